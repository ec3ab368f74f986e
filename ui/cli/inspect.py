"""The commands that explain this installation: ``config`` and ``doctor``. They change no paper and no setting."""

import platform
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

import typer

from index.errors import CitewellError, IndexStoreError

from .opening import collection, read_settings
from .options import IndexArgument, IndexOption, JsonOption, LlmOption, chosen_index
from .output import emit, late_progress_bar, note, say, version

if TYPE_CHECKING:
    from rag.settings import Settings


class Finding(TypedDict):
    """One thing that was checked."""

    name: str
    ok: bool
    detail: str


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command(epilog="Example: CITEWELL_RETRIEVAL__SIMILARITY_TOP_K=5 citewell config")(config)
    app.command(epilog="Example: citewell doctor papers.idx")(doctor)


def config(as_json: JsonOption = False) -> None:
    """Show every setting, its value and where the value came from.

    Set a value in citewell.toml ([retrieval] similarity_top_k = 5) or in the environment
    (CITEWELL_RETRIEVAL__SIMILARITY_TOP_K=5). The environment beats the file; what citewell eval has stored with the
    collection beats the defaults only.
    """
    from rag.settings import describe

    settings = _with_tuning(read_settings())
    rows = describe(settings)
    if as_json:
        emit([{**row._asdict(), "value": str(row.value) if isinstance(row.value, Path) else row.value} for row in rows])
        return
    for row in rows:
        say(f"{row.name} = {'none' if row.value is None else row.value}  ({row.source})")
        say(f"    {row.description}")


def _with_tuning(settings: "Settings") -> "Settings":
    """Put in what the collection of the settings keeps; one that cannot be read is told and left out."""
    from index.database import tuning_at
    from index.location import index_exists
    from rag.settings import tuned

    path = settings.index.path
    try:
        return tuned(settings, tuning_at(path), path) if index_exists(path) else settings
    except CitewellError as exc:
        note(str(exc))
        return settings


def doctor(
    path: IndexArgument = None, index: IndexOption = None, llm: LlmOption = None, as_json: JsonOption = False
) -> None:
    """Check the installation, the index and the models, and repair what can be made again from the papers.

    Everything stored is compared with what it must agree with: counts, texts, vectors, keywords. Search files that
    are lost, damaged or wrong are made again. Exit code 1: something still needs attention.
    """
    findings: list[Finding] = [
        {"name": "citewell", "ok": True, "detail": f"{version()}, Python {platform.python_version()}"},
        *_check_collection(read_settings(chosen_index(path, index), llm)),
    ]
    if as_json:
        emit(findings)
    else:
        for finding in findings:
            say(f"{'ok  ' if finding['ok'] else 'FAIL'}  {finding['name']}: {finding['detail']}")
    if not all(finding["ok"] for finding in findings):
        raise typer.Exit(1)


def _check_collection(settings: "Settings") -> list[Finding]:
    try:
        with collection(settings) as qa, late_progress_bar() as progress:
            checks = qa.check(repair=True, progress=progress)
        return [{"name": check.name, "ok": check.ok, "detail": check.detail} for check in checks]
    except CitewellError as exc:
        name = "index" if isinstance(exc, IndexStoreError) else "models"
        return [{"name": name, "ok": False, "detail": str(exc)}]
