"""Options that several commands share. Reads no settings itself."""

from pathlib import Path
from typing import Annotated

import typer

IndexOption = Annotated[
    Path | None, typer.Option("--index", metavar="PATH", help="Folder of the index.  [default: papers.idx]")
]
LlmOption = Annotated[
    str | None,
    typer.Option(
        "--llm",
        metavar="MODEL",
        help="Language model that writes: a folder or hub id.  [default: none, the evidence reader answers]",
    ),
]
WhereOption = Annotated[
    str | None, typer.Option("--where", metavar="FILTER", help="Only papers like these: 'year>=2020 author:Chen'.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of text.")]
