"""The command line of evaluation, ``citewell eval``. Does not score, and leaves errors to the parent command."""

import json
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from index.errors import CitewellError, IndexNotFoundError

if TYPE_CHECKING:
    from rag import PaperQA, Settings

    from .answers import AnswersReport
    from .dataset import Question

EXAMPLE_QUESTIONS = Path(__file__).parent / "data" / "example_questions.jsonl"

app = typer.Typer(
    name="eval", no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None
)


@app.callback()
def main() -> None:
    """Measure answers on questions whose answers are known."""


@app.command()
def answers(
    file: Annotated[
        Path | None, typer.Argument(metavar="[FILE]", help="Questions with expected answers, JSON Lines.")
    ] = None,
    index: Annotated[Path | None, typer.Option(help="The collection to ask; else the index.path setting.")] = None,
    example: Annotated[bool, typer.Option("--example", help="Ask the bundled papers, indexed for this run.")] = False,
    out: Annotated[Path, typer.Option(help="Where the full report is written.")] = Path("eval-answers.json"),
    llm: Annotated[str | None, typer.Option(help="Language model that writes, as in citewell ask.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Ask N questions, spread over the file.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the full report as JSON.")] = False,
) -> None:
    """Ask every question of FILE and report papers, quotes, key facts, refusals and time.

    With --example and no FILE: the 120 questions on the bundled papers that come with Citewell.
    """
    if file is None and not example:
        raise typer.BadParameter("name a file of questions, or give --example", param_hint="FILE")
    if example and index is not None:
        raise typer.BadParameter("give --index or --example, not both")
    if not out.absolute().parent.is_dir():
        raise typer.BadParameter(f"there is no folder {out.absolute().parent}", param_hint="--out")

    from rag import load_settings

    from .dataset import load_questions
    from .report import render_report, report_dict

    file = file or EXAMPLE_QUESTIONS
    questions = spread(load_questions(file), limit)
    overrides: dict[str, dict[str, Path | str]] = {}
    if index is not None:
        overrides["index"] = {"path": index}
    if llm is not None:
        overrides["answering"] = {"llm": llm}
    settings = load_settings(overrides=overrides)
    with _example(settings) if example else _collection(settings) as qa:
        used = {**settings.model_dump(mode="json"), "eval": {"example": example, "limit": limit}}
        report = _run(qa, questions)
        document = report_dict(report, dataset=file, settings=used, answerer=qa.answerer)
    text = json.dumps(document, indent=2, ensure_ascii=False)
    typer.echo(text if as_json else render_report(report))
    try:
        out.write_text(text + "\n", encoding="utf-8")
    except OSError as exc:
        raise CitewellError(f"{out} cannot be written: {exc.strerror or exc}. Name another file with --out.") from exc
    typer.echo(f"Full report: {out}", err=True)


def spread(questions: Sequence["Question"], limit: int | None) -> list["Question"]:
    """Return at most ``limit`` questions (None: all) at even distances, so that every part of a file is tried."""
    if limit is None or limit >= len(questions):
        return list(questions)
    return [questions[n * len(questions) // limit] for n in range(limit)]


@contextmanager
def _collection(settings: "Settings") -> Iterator["PaperQA"]:
    from rag import PaperQA

    path = settings.index.path
    qa = PaperQA.open(path, llm=settings.answering.llm, settings=settings)
    try:
        if not len(qa):
            raise IndexNotFoundError(f"{path} holds no papers. Add some: citewell add FILE, or ask with --example.")
        yield qa
    finally:
        qa.close()


@contextmanager
def _example(settings: "Settings") -> Iterator["PaperQA"]:
    from index.bundled import bundled_papers
    from rag import PaperQA

    with tempfile.TemporaryDirectory(prefix="citewell-eval-") as folder:
        qa = PaperQA.open(Path(folder) / "papers.idx", llm=settings.answering.llm, settings=settings)
        try:
            typer.echo("Indexing the bundled papers", err=True)
            qa.add(bundled_papers())
            yield qa
        finally:
            qa.close()


def _run(qa: "PaperQA", questions: Sequence["Question"]) -> "AnswersReport":
    from rich.console import Console
    from rich.progress import Progress

    from .answers import run_answers

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("Asking", total=len(questions))
        return run_answers(qa, questions, lambda done, total: bar.update(task, completed=done, total=total))
