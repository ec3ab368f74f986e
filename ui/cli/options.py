"""Options that several commands share. Reads no settings itself."""

from pathlib import Path
from typing import Annotated

import typer

IndexOption = Annotated[
    Path | None, typer.Option("--index", metavar="PATH", help="Folder of the index.  [default: papers.idx]")
]
IndexArgument = Annotated[
    Path | None, typer.Argument(metavar="[INDEX]", help="Folder of the index, as --index.", show_default=False)
]
LlmOption = Annotated[
    str | None,
    typer.Option(
        "--llm",
        metavar="MODEL",
        help="Language model that writes: a folder, a hub id or http://host:port/v1#model.  "
        "[default: none, the evidence reader answers]",
    ),
]
WhereOption = Annotated[
    str | None, typer.Option("--where", metavar="FILTER", help="Only papers like these: 'year>=2020 author:Chen'.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of text.")]


def chosen_index(argument: Path | None, option: Path | None) -> Path | None:
    """Return the index that an argument or the option names.

    Raises:
        ValueError: If both do, and differ.
    """
    if argument is not None and option is not None and argument != option:
        raise ValueError(f"two indexes are named, {argument} and {option}; name one")
    return option if argument is None else argument
