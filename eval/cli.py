"""The command line of evaluation, ``citewell eval``. Does not score, and leaves errors to the parent command."""

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from index.errors import EvalDataError, IndexMismatchError, IndexNotFoundError

from .using import THROUGH_THE_PRODUCT, Using

if TYPE_CHECKING:
    from rag import PaperQA, Settings
    from rag.llm.model import LanguageModel

    from .beir import Benchmark
    from .left_out import StoreWithout
    from .retrieval import Search
    from .run import Run

EXAMPLE_QUESTIONS = Path(__file__).parent / "data" / "example_questions.jsonl"
EXAMPLE_DRAFTS = Path(__file__).parent / "data" / "example_drafts.jsonl"

_T = TypeVar("_T")

app = typer.Typer(
    name="eval", no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None
)


@app.callback()
def main() -> None:
    """Measure answers, retrieval and what is read, on data of which it is known what is right."""


@app.command()
def answers(
    file: Annotated[
        Path | None, typer.Argument(metavar="[FILE]", help="Questions with expected answers, JSON Lines.")
    ] = None,
    index: Annotated[Path | None, typer.Option(help="The collection to ask; else the index.path setting.")] = None,
    example: Annotated[bool, typer.Option("--example", help="Ask the bundled papers, indexed for this run.")] = False,
    out: Annotated[Path, typer.Option(help="Where the report is written; HTML beside it.")] = Path("eval-answers.json"),
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
    check_out(out)

    from rag import load_settings

    from .answers import run_answers
    from .dataset import load_questions
    from .run import Dataset

    file = file or EXAMPLE_QUESTIONS
    questions = spread(load_questions(file), limit)
    overrides: dict[str, dict[str, Path | str]] = {}
    if index is not None:
        overrides["index"] = {"path": index}
    if llm is not None:
        overrides["answering"] = {"llm": llm}
    settings = load_settings(overrides=overrides)
    with _example(settings) if example else _collection(settings) as qa, progress_bar("Asking") as tell:
        used = settings.model_dump(mode="json")
        used["eval"] = {"example": example, "limit": limit, "answerer": qa.answerer}
        run = run_answers(qa, questions, Dataset.of_file(file), used, tell)
    publish(run, out, as_json)


@app.command()
def retrieval(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A benchmark in the layout of BEIR.")],
    split: Annotated[str, typer.Option(help="Judgements to use: qrels/SPLIT.tsv.")] = "test",
    using: Annotated[Using, typer.Option(help="Rank as the product does, or by a part of it.")] = Using.PRODUCT,
    index: Annotated[
        Path | None, typer.Option(help="Index of the corpus, made if need be and kept; else one for this run.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Where the report is written; HTML beside it.")] = Path(
        "eval-retrieval.json"
    ),
    limit: Annotated[int | None, typer.Option(min=1, help="Ask N queries, spread over the file.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the full report as JSON.")] = False,
) -> None:
    """Search for every query of DIR and report nDCG@10, recall, MRR@10 and time.

    DIR holds corpus.jsonl, queries.jsonl and qrels/SPLIT.tsv; the corpus is indexed as citewell add does it.
    """
    check_out(out)

    from rag import load_settings

    from .beir import load_benchmark
    from .retrieval import DEPTH, run_retrieval

    benchmark = load_benchmark(folder, split)
    asked = {name: benchmark.queries[name] for name in spread(list(benchmark.queries), limit)}
    benchmark = replace(benchmark, queries=asked, relevant={name: benchmark.relevant[name] for name in asked})
    given = load_settings().retrieval
    enough: dict[str, int] = {
        "candidates": max(given.candidates, DEPTH),
        "max_question_chars": max(given.max_question_chars, *map(len, asked.values())),
    }
    if using is Using.READER:
        enough["rerank"] = True
    with ExitStack() as stack:
        if index is None:
            index = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="citewell-eval-"))) / "papers.idx"
        settings = load_settings(overrides={"index": {"path": index}, "retrieval": enough})
        search = stack.enter_context(_searching(benchmark, settings, using))
        tell = stack.enter_context(progress_bar("Searching"))
        used = settings.model_dump(mode="json")
        used["eval"] = {"split": split, "using": using, "limit": limit}
        run = run_retrieval(benchmark, search, used, tell)
    publish(run, out, as_json)


@app.command()
def evidence(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Labelled abstracts or SciFact's evidence, JSON Lines.")],
    reader: Annotated[
        str | None, typer.Option(help="trained or similarity; else the evidence.reader setting.", show_default=False)
    ] = None,
    split: Annotated[str | None, typer.Option(help="Part of a SciFact file; else dev.", show_default=False)] = None,
    train: Annotated[
        Path | None,
        typer.Option(help="More labelled abstracts, to fit on what sees only the text; else it is cross-validated."),
    ] = None,
    out: Annotated[Path, typer.Option(help="Where the report is written; HTML beside it.")] = Path(
        "eval-evidence.json"
    ),
    limit: Annotated[int | None, typer.Option(min=1, help="Read N abstracts, spread over the file.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the full report as JSON.")] = False,
) -> None:
    """Read every question and claim of FILE with its own abstract, and report the sentences found and what is judged.

    Beside what is judged of written texts stands what a classifier tells from the text alone.
    """
    check_out(out)

    from index.embedding.loading import load_encoder
    from rag import load_settings
    from rag.evidence.loading import load_reader

    from .evidence import load_evidence_set, run_evidence
    from .run import Dataset

    settings = load_settings(overrides={} if reader is None else {"evidence": {"reader": reader}})
    found = load_evidence_set(file, split)
    measured = found.of_abstracts(spread(list(dict.fromkeys(case.abstract for case in found.cases)), limit))
    known = None if train is None else load_evidence_set(train)
    used = settings.model_dump(mode="json")
    used["eval"] = {"split": split, "train": None if train is None else str(train), "limit": limit}
    encoder = load_encoder(settings.index.embed_model, settings.index.cache_dir, settings.index.device)
    with progress_bar("Reading") as tell:
        run = run_evidence(
            load_reader(settings, encoder.identity.get("digest", "")),
            encoder,
            measured,
            Dataset.of_file(file),
            used,
            tell,
            known=known,
        )
    publish(run, out, as_json)


@app.command()
def grounding(
    file: Annotated[
        Path | None, typer.Argument(metavar="[FILE]", help="Drafts with what is true of them, JSON Lines.")
    ] = None,
    questions: Annotated[
        Path | None, typer.Option(help="The questions that the drafts answer; else those that come with Citewell.")
    ] = None,
    index: Annotated[
        Path | None, typer.Option(help="The collection; else the bundled papers, indexed for this run.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Where the report is written; HTML beside it.")] = Path(
        "eval-grounding.json"
    ),
    limit: Annotated[int | None, typer.Option(min=1, help="Write N drafts, spread over the file.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the full report as JSON.")] = False,
) -> None:
    """Let a model write drafts with wrong markers and an invented sentence each, and report what stays.

    Without FILE: 220 drafts on the bundled papers, of which 110 were not seen while the rules were made.
    """
    check_out(out)

    from rag import load_settings

    from .dataset import load_questions
    from .drafts import load_drafts
    from .grounding import DraftWriter, run_grounding
    from .run import Dataset

    file = file or EXAMPLE_DRAFTS
    drafts = spread(load_drafts(file, load_questions(questions or EXAMPLE_QUESTIONS)), limit)
    settings = load_settings(overrides={} if index is None else {"index": {"path": index}})
    writer = DraftWriter()
    opened = _example(settings, writer) if index is None else _collection(settings, writer)
    with opened as qa, progress_bar("Writing") as tell:
        used = settings.model_dump(mode="json")
        used["eval"] = {"questions": None if questions is None else str(questions), "limit": limit}
        run = run_grounding(qa, writer, drafts, Dataset.of_file(file), used, tell)
    publish(run, out, as_json)


@app.command()
def followups(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="Questions of conversations, with rewrites, JSON Lines.")
    ],
    out: Annotated[Path, typer.Option(help="Where the report is written; HTML beside it.")] = Path(
        "eval-followups.json"
    ),
    llm: Annotated[str | None, typer.Option(help="Let this language model word them, too, as in citewell ask.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Word N questions, spread over the file.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the full report as JSON.")] = False,
) -> None:
    """Word every question of FILE to stand alone, and report how far that agrees with what a person wrote.

    Questions that a person left as they are should be left alone.
    """
    check_out(out)

    from .followups import SYSTEMS, by_model, load_follow_ups, run_followups
    from .run import Dataset

    asked, systems = spread(load_follow_ups(file), limit), dict(SYSTEMS)
    if llm is not None:
        from rag import load_settings
        from rag.llm.loading import load_model

        systems["llm"] = by_model(load_model(llm, load_settings(overrides={"answering": {"llm": llm}})))
    with progress_bar("Wording") as tell:
        run = run_followups(asked, Dataset.of_file(file), {"eval": {"limit": limit, "llm": llm}}, tell, systems=systems)
    publish(run, out, as_json)


@app.command()
def probe(
    index: Annotated[
        Path | None, typer.Argument(metavar="[INDEX]", help="The collection; else the index.path setting.")
    ] = None,
    example: Annotated[bool, typer.Option("--example", help="Probe the bundled papers, indexed for this run.")] = False,
    limit: Annotated[int, typer.Option(min=1, help="Make N probes of each kind.")] = 100,
    seed: Annotated[int, typer.Option(help="Decides which papers and words are taken.")] = 0,
    apply: Annotated[bool, typer.Option("--apply", help="Keep the best switches with the collection.")] = False,
    out: Annotated[Path, typer.Option(help="Where the report is written; HTML beside it.")] = Path("eval-probe.json"),
    as_json: Annotated[bool, typer.Option("--json", help="Print the full report as JSON.")] = False,
) -> None:
    """Ask a collection questions made of its own papers, and try its switches on them. No labels are needed.

    Probes are a title without its rarest word, and half the words of a sentence; each is also asked with its paper left
    out. They are easier than people's questions: they show what a change does to a collection, not how good it is.
    """
    if example and (index is not None or apply):
        raise typer.BadParameter("give --example, or INDEX and --apply", param_hint="--example")
    check_out(out)

    from rag.evidence.loading import load_reader

    from .probe import EASIER, best_trial, run_probes, switches_of, trials, trials_text
    from .probes import make_probes, probes_sha256
    from .run import Dataset

    with _tunable(index, example=example) as (qa, store, settings):
        probes = make_probes(store.papers(), store.document_frequency, limit, seed)
        dataset = Dataset(f"{qa.path}: {EASIER}", probes_sha256(probes))
        used = settings.model_dump(mode="json")
        used["eval"] = {"example": example, "limit": limit, "seed": seed}
        reader = load_reader(settings, store.encoder.identity.get("digest", ""))
        with progress_bar("Asking") as tell:
            run = run_probes(store, reader, settings, probes, dataset, used, tell)
        publish(run, out, as_json)
        tried = trials(run, switches_of(settings))
        typer.echo(f"\n{trials_text(tried)}\nAll this is on {EASIER}.", err=as_json)
        if apply and best_trial(tried) is not tried[0]:
            _keep(qa, best_trial(tried).switches.settings(), settings)


@app.command()
def calibrate(
    index: Annotated[
        Path | None, typer.Argument(metavar="[INDEX]", help="The collection; else the index.path setting.")
    ] = None,
    questions: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Questions, as for citewell eval answers; else probes.")
    ] = None,
    target: Annotated[
        float, typer.Option(min=0.01, max=0.5, help="Share of the answerable questions that may be refused.")
    ] = 0.05,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Keep nothing with the collection.")] = False,
    limit: Annotated[int, typer.Option(min=1, help="Make N probes, if there is no FILE.")] = 100,
    seed: Annotated[int, typer.Option(help="Decides which papers and words are taken.")] = 0,
    out: Annotated[Path, typer.Option(help="Where the report is written; HTML beside it.")] = Path(
        "eval-calibrate.json"
    ),
    as_json: Annotated[bool, typer.Option("--json", help="Print the full report as JSON.")] = False,
) -> None:
    """Choose the threshold below which a collection refuses questions, and keep it with the collection.

    Give questions of your own if you can. Probes made of the papers are easier than people's questions and would give
    too high a threshold, so without FILE the threshold can be lowered but not raised above the default. It is kept only
    if enough answerable questions were asked: 40 for a target of 0.05, twice as many for half of it.
    """
    check_out(out)

    from rag.evidence.loading import load_reader
    from rag.pipeline import Pipeline

    from .calibrate import (
        MOST_FROM_PROBES,
        calibration_text,
        run_calibration,
        score_probes,
        score_questions,
        too_few,
    )
    from .dataset import load_questions
    from .probe import EASIER
    from .probes import Kind, make_probes, probes_sha256
    from .run import Dataset

    asked = [] if questions is None else load_questions(questions)
    with _tunable(index) as (qa, store, settings):
        with progress_bar("Asking") as tell:
            if questions is not None:
                dataset, most = Dataset.of_file(questions), 1.0
                rows = score_questions(qa, asked, tell)
            else:
                made = make_probes(store.papers(), store.document_frequency, limit, seed)
                probes = [probe for probe in made if probe.kind is Kind.SENTENCE]
                dataset, most = Dataset(f"{qa.path}: {EASIER}", probes_sha256(probes)), MOST_FROM_PROBES
                reader = load_reader(settings, store.encoder.identity.get("digest", ""))
                rows = score_probes(store, Pipeline(store, lambda: reader, None, settings), probes, tell)
        used = settings.model_dump(mode="json")
        used["eval"] = {"target": target, "limit": limit, "seed": seed}
        run = run_calibration(rows, target, dataset, used, most)
        publish(run, out, as_json)
        typer.echo(f"\n{calibration_text(run, target)}", err=as_json)
        if questions is None:
            typer.echo(f"All this is on {EASIER}: the threshold is {most} at most.", err=as_json)
        few = too_few(run, target)
        if few and not dry_run:
            raise EvalDataError(few)
        if few:
            typer.echo(few, err=True)
        elif not dry_run:
            _keep(qa, {"refusal.threshold": run.measure("threshold").value}, settings)


@app.command()
def compare(
    a: Annotated[Path, typer.Argument(metavar="A.json", help="A report of citewell eval.")],
    b: Annotated[Path, typer.Argument(metavar="B.json", help="Another of the same command and data.")],
    out: Annotated[Path, typer.Option(help="Where the page is written.")] = Path("eval-compare.html"),
) -> None:
    """Tell what differs between two runs, and whether so many queries can show it."""
    if not out.absolute().parent.is_dir():
        raise typer.BadParameter(f"there is no folder {out.absolute().parent}", param_hint="--out")

    from .compare import compare_runs, comparison_html, comparison_text
    from .run import read_run, write_text

    comparison = compare_runs(read_run(a), read_run(b), (str(a), str(b)))
    typer.echo(comparison_text(comparison))
    write_text(out, comparison_html(comparison))
    typer.echo(f"Page: {out}", err=True)


def check_out(out: Path) -> None:
    """Refuse a place for a report that cannot be written, before anything is measured.

    Raises:
        BadParameter: If its folder does not exist, or the HTML beside it would be the same file.
    """
    if not out.absolute().parent.is_dir():
        raise typer.BadParameter(f"there is no folder {out.absolute().parent}", param_hint="--out")
    if out.suffix == ".html":
        raise typer.BadParameter("name the JSON file; the HTML is written beside it", param_hint="--out")


def publish(run: "Run", out: Path, as_json: bool) -> None:
    """Print a run and write it: as JSON to ``out``, and as HTML beside it.

    Args:
        run: What was measured.
        out: The JSON file.
        as_json: Print the JSON document instead of the table.

    Raises:
        CitewellError: If a file cannot be written; what was measured has been printed.
    """
    from .html import render_html
    from .report import render_text
    from .run import run_json, write_text

    text = run_json(run)
    typer.echo(text if as_json else render_text(run))
    page = out.with_suffix(".html")
    write_text(out, text + "\n")
    write_text(page, render_html(run))
    typer.echo(f"Full report: {out} and {page}", err=True)


@contextmanager
def progress_bar(doing: str) -> Iterator[Callable[[int, int | None], None]]:
    """Show a bar on standard error; what is yielded is called with how much is done, and how much there is in all."""
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(doing, total=None)

        yield lambda done, total: bar.update(task, completed=done, total=total)


def spread(questions: Sequence[_T], limit: int | None) -> list[_T]:
    """Return at most ``limit`` questions (None: all) at even distances, so that every part of a file is tried."""
    if limit is None or limit >= len(questions):
        return list(questions)
    return [questions[n * len(questions) // limit] for n in range(limit)]


@contextmanager
def _searching(benchmark: "Benchmark", settings: "Settings", using: Using) -> "Iterator[Search]":
    """Index the corpus of a benchmark, or what is missing of it, and yield the search to be measured.

    Raises:
        IndexMismatchError: If the index holds other papers, too: they would take the places of those judged.
    """
    from index.embedding.loading import load_encoder
    from index.store import PaperStore
    from rag import PaperQA

    from .retrieval import part_search

    path = settings.index.path
    known = {name for paper in benchmark.papers.values() for name in paper.names}
    with closing(PaperQA.open(path, settings=settings)) as qa:
        with progress_bar("Indexing") as tell:
            qa.add(list(benchmark.papers.values()), lambda done, total, message: tell(done, total))
        if foreign := next((paper for paper in qa.papers() if known.isdisjoint(paper.names)), None):
            raise IndexMismatchError(
                f"{path} also holds other papers, such as {foreign.title!r}. Name another folder with --index."
            )
        if using in THROUGH_THE_PRODUCT:
            yield lambda query, k: [source.paper for source in qa.search(query, k)]
            return
    chosen = settings.index
    encoder = load_encoder(chosen.embed_model, chosen.cache_dir, chosen.device)
    with closing(PaperStore.open(path, encoder, passage_tokens=chosen.passage_tokens)) as store:
        yield part_search(store, using, settings.retrieval.candidates)


@contextmanager
def _tunable(index: Path | None, *, example: bool = False) -> "Iterator[tuple[PaperQA, StoreWithout, Settings]]":
    """Open a collection, once as people use it and once so that papers can be left out; yield the settings in use."""
    from index.embedding.loading import load_encoder
    from rag import load_settings
    from rag.settings import tuned

    from .left_out import StoreWithout

    overrides: dict[str, dict[str, Path | None]] = {"answering": {"llm": None}}  # what to refuse is decided before it
    if index is not None:
        overrides["index"] = {"path": index}
    settings = load_settings(overrides=overrides)
    chosen = settings.index
    with _example(settings) if example else _collection(settings) as qa:
        encoder = load_encoder(chosen.embed_model, chosen.cache_dir, chosen.device)
        with closing(StoreWithout.open(qa.path, encoder, passage_tokens=chosen.passage_tokens)) as store:
            yield qa, store, tuned(settings, store.tuning(), qa.path)


def _keep(qa: "PaperQA", values: "Mapping[str, bool | float | None]", settings: "Settings") -> None:
    """Store settings with a collection, and tell which of them something else goes before."""
    from rag.settings import describe

    qa.tune(values)
    kept = ", ".join(f"{name} = {value}" for name, value in values.items())
    typer.echo(f"Kept with the collection {qa.path}: {kept}", err=True)
    for row in describe(settings):
        if row.name in values and row.source not in ("default", f"collection {qa.path}"):
            typer.echo(f"But {row.name} is {row.value} by {row.source}, which goes before it.", err=True)


@contextmanager
def _collection(settings: "Settings", llm: "LanguageModel | None" = None) -> Iterator["PaperQA"]:
    from rag import PaperQA

    path = settings.index.path
    qa = PaperQA.open(path, llm=llm or settings.answering.llm, settings=settings)
    try:
        if not len(qa):
            raise IndexNotFoundError(f"{path} holds no papers. Add some: citewell add FILE, or ask with --example.")
        yield qa
    finally:
        qa.close()


@contextmanager
def _example(settings: "Settings", llm: "LanguageModel | None" = None) -> Iterator["PaperQA"]:
    from index.bundled import bundled_papers
    from rag import PaperQA

    with tempfile.TemporaryDirectory(prefix="citewell-eval-") as folder:
        qa = PaperQA.open(Path(folder) / "papers.idx", llm=llm or settings.answering.llm, settings=settings)
        try:
            typer.echo("Indexing the bundled papers", err=True)
            qa.add(bundled_papers())
            yield qa
        finally:
            qa.close()
