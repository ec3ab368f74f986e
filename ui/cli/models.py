"""The commands ``models list``, ``pull`` and ``check``, about language models. They touch no collection."""

import os
import shlex
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .layout import lay_out_table, wrapped
from .opening import read_settings
from .options import JsonOption
from .output import emit, fail, note, progress_bar, say, text_width

if TYPE_CHECKING:
    from rag.llm.hub_cache import CachedModel
    from rag.model_check import CheckedAnswer, ModelReport

NOT_MEASURED = (
    "Memory is computed from the number of parameters, for weights alone; 4k context is what 4,096 tokens add in "
    "bfloat16. How well these models answer was not measured here: try one with citewell models check."
)

models_app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)


def register(app: typer.Typer) -> None:
    """Add the group of commands of this module."""
    app.add_typer(
        models_app,
        name="models",
        help="List, download and try language models that can write the answers.",
        epilog="Example: citewell models list",
    )


@models_app.command("list", epilog="Example: citewell models list --json")
def list_models(as_json: JsonOption = False) -> None:
    """Show models that suit Citewell, those that are on this machine, and the one that is set. Contacts nothing."""
    from rag.llm.catalogue import TABLE_HEAD, table_rows
    from rag.llm.hub_cache import cache_folder, cached_models

    chosen, where = _chosen()
    cached = cached_models()
    if as_json:
        emit({"recommended": _recommended(cached), "cached": [_cached(m) for m in cached], "set": chosen})
        return
    say(lay_out_table(TABLE_HEAD, table_rows()))
    say()
    say(wrapped(NOT_MEASURED, text_width()))
    say()
    say(f"On this machine, in {cache_folder()}:" if cached else f"On this machine, in {cache_folder()}: none.")
    for model in cached:
        say(f"  {model.model_id}, {_size(model.size_bytes)}{'' if model.complete else ', incomplete: pull it again'}")
    say()
    say(f"Set: {chosen}  ({where})" if chosen else "Set: none, the evidence reader answers.")


def _chosen() -> tuple[str | None, str]:
    """Return the setting ``answering.llm`` and where it came from."""
    from rag.settings import describe

    settings = read_settings()
    row = next(row for row in describe(settings) if row.name == "answering.llm")
    return row.value, row.source


def _recommended(cached: "list[CachedModel]") -> list[dict[str, Any]]:
    from rag.llm.catalogue import CONTEXT_TOKENS, RECOMMENDED

    here = {model.model_id for model in cached if model.complete}
    return [
        {
            **asdict(model),
            "bfloat16_bytes": model.weight_bytes(2),
            "float32_bytes": model.weight_bytes(4),
            "context_tokens": CONTEXT_TOKENS,
            "context_bytes": model.context_bytes(),
            "cached": model.model_id in here,
        }
        for model in RECOMMENDED
    ]


def _cached(model: "CachedModel") -> dict[str, Any]:
    return {**asdict(model), "path": str(model.path)}


@models_app.command(epilog="Example: citewell models pull Qwen/Qwen3-0.6B")
def pull(
    model_id: Annotated[
        str, typer.Argument(metavar="MODEL_ID", help="The hub id, such as Qwen/Qwen3-0.6B.", show_default=False)
    ],
    revision: Annotated[
        str | None, typer.Option(metavar="NAME", help="Branch, tag or commit.  [default: the main branch]")
    ] = None,
) -> None:
    """Download a language model into the hub cache, the only time that Citewell contacts a hub for one.

    Only configuration, tokenizer, chat template and safetensors are taken. Stopped with Ctrl-C, it keeps the files that
    were finished, and the same command goes on with the others. HF_TOKEN, HF_ENDPOINT (a mirror) and HF_HUB_CACHE are
    heeded.
    """
    # The plain way of downloading can be stopped at once; the other one reads the variable when it is imported.
    os.environ.setdefault("HF_HUB_DISABLE_XET", "1")
    from rag.llm.pulling import pull as download

    try:
        with progress_bar(f"Asking for {model_id}") as progress:
            pulled = download(model_id, revision, progress)
    except KeyboardInterrupt:
        note("Stopped. The files that were finished are kept: run it again to continue.")
        raise
    had = "" if pulled.downloaded_bytes else ", all of it there already"
    say(f"{pulled.model_id} is in {pulled.path} ({_size(pulled.size_bytes)}{had}).")
    name = pulled.model_id if revision is None else str(pulled.path)  # by its id, the main branch would be taken
    note(f"Try it: citewell models check {shlex.quote(name)}. Use it: citewell ask --llm {shlex.quote(name)} …")


@models_app.command(epilog="Example: citewell models check Qwen/Qwen3-0.6B")
def check(
    model: Annotated[
        str | None,
        typer.Argument(
            metavar="[MODEL]",
            help="A folder, a hub id or http://host:port/v1#model.  [default: the setting answering.llm]",
            show_default=False,
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Load a language model and ask it five questions on papers that come with Citewell.

    Shows whether it works, how fast, and how many of its sentences the papers support. Exit code 1: it cannot be
    loaded, or it failed.
    """
    settings = read_settings(llm=model)
    chosen = settings.answering.llm
    if not chosen:
        raise ValueError(
            "no language model is named and none is set: citewell models check MODEL, or set answering.llm"
        )
    from rag.model_check import check_model

    with progress_bar("Loading the model") as progress:
        report = check_model(chosen, settings, progress)
    if as_json:
        emit(_as_json(report))
    else:
        _say_report(report)
    if report.failure:
        raise typer.Exit(fail(report.failure))


def _as_json(report: "ModelReport") -> dict[str, Any]:
    totals = ("tokens_per_s", "first_token_s", "kept", "corrected", "dropped", "verdict")
    return {**asdict(report), **{name: getattr(report, name) for name in totals}}


def _say_report(report: "ModelReport") -> None:
    facts = [
        f"{report.parameters / 1e9:.2g} billion parameters" if report.parameters else "",
        report.dtype,
        f"on {report.device}" if report.device else "",
        f"window of {report.window:,} tokens" if report.window else "",
        f"loaded in {report.load_s:.1f} s",
    ]
    say(f"{report.name}: {', '.join(fact for fact in facts if fact)}")
    width = text_width()
    for number, answer in enumerate(report.answers, start=1):
        say()
        say(wrapped(f"{number}. {answer.question}", width, "   "))
        say(wrapped(f"   {_outcome(answer)}", width, "   "))
        for remark in answer.notes:
            say(wrapped(f"   ({remark})", width, "   "))
    say()
    memory = [
        f"this process used at most {_size(report.peak_bytes)}" if report.peak_bytes else "",
        f"the GPU {_size(report.gpu_bytes)}" if report.gpu_bytes is not None else "",
    ]
    say(wrapped(f"Sentences: {_sentences(report)}. Speed, median: {_speed(report)}.", width))
    if any(memory):
        say(wrapped(f"Memory: {', '.join(fact for fact in memory if fact)}.", width))
    say(wrapped(f"Verdict: {report.verdict.rstrip('.')}.", width))
    note("Five questions show that it works, not how well: citewell eval answers --example --llm MODEL measures that.")


def _outcome(answer: "CheckedAnswer") -> str:
    by = "evidence reader" if answer.answerer == "evidence" else answer.answerer
    right = "right" if answer.right else "not what is known to be right"
    return f"{by}, {right}; of the model: {_sentences(answer)}; {_speed(answer)}; {answer.seconds:.1f} s in all"


def _sentences(counts: "CheckedAnswer | ModelReport") -> str:
    return f"{counts.kept} kept, {counts.corrected} with citations corrected, {counts.dropped} dropped"


def _speed(times: "CheckedAnswer | ModelReport") -> str:
    if times.first_token_s is None:
        return "nothing written"
    rate = "too short to tell tokens/s" if times.tokens_per_s is None else f"{times.tokens_per_s:.1f} tokens/s"
    return f"{rate}, first token after {times.first_token_s:.2f} s"


def _size(size_bytes: int) -> str:
    from rag.llm.catalogue import gigabytes

    return gigabytes(size_bytes) if size_bytes >= 100_000_000 else f"{size_bytes / 1e6:.1f} MB"
