"""The command ``export``: write papers of the collection to a file that other programs read. Changes no collection."""

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated, TextIO

import typer

from index.writers import write_papers

from .opening import collection, read_settings
from .options import IndexOption, WhereOption
from .output import note


class ExportFormat(StrEnum):
    """What can be written."""

    bib = "bib"
    ris = "ris"
    jsonl = "jsonl"


def register(app: typer.Typer) -> None:
    """Add the command of this module."""
    app.command(epilog="Example: citewell export --format bib --where 'year>=2023' -o refs.bib")(export)


def export(
    format: Annotated[
        ExportFormat | None,
        typer.Option("--format", "-f", help="What to write.  [default: by the ending of FILE]", show_default=False),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Where to write.  [default: standard output]")
    ] = None,
    index: IndexOption = None,
    where: WhereOption = None,
) -> None:
    """Write the papers as BibTeX, RIS or JSON lines; `citewell add` reads each of them without loss.

    A file that is there is replaced when the new one is complete.
    """
    chosen = format or _by_ending(output)
    with collection(read_settings(index)) as qa:
        found = qa.papers(where=where)
    with _standard_output() if output is None else _replaced(output.expanduser()) as stream:
        count = write_papers(found, stream, chosen.value)
    if output is not None:
        note(f"{count} papers written to {output}")


def _by_ending(output: Path | None) -> ExportFormat:
    ending = output.suffix.lower().removeprefix(".") if output is not None else ""
    if ending not in list(ExportFormat):
        raise typer.BadParameter("say which: bib, ris or jsonl", param_hint="--format")
    return ExportFormat(ending)


@contextmanager
def _standard_output() -> Iterator[TextIO]:
    """Open standard output for UTF-8, which these formats are in, whatever the terminal speaks."""
    stream = io.TextIOWrapper(typer.get_binary_stream("stdout"), encoding="utf-8", newline="\n")
    try:
        yield stream
        stream.flush()
    finally:
        stream.detach()


@contextmanager
def _replaced(path: Path) -> Iterator[TextIO]:
    """Open a file beside ``path`` that takes its place at the end, if there was no error."""
    path = path.resolve()  # a link stays a link
    if path.exists() and not path.is_file():  # a pipe or a terminal cannot be replaced
        with path.open("w", encoding="utf-8", newline="\n") as stream:
            yield stream
        return
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with temporary.open("w", encoding="utf-8", newline="\n") as stream:
            yield stream
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
