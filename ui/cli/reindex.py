"""The command ``reindex``: change the embedding model or the passages of a collection. Adds no papers."""

from pathlib import Path
from typing import Annotated

import typer

from index.location import index_exists, not_found

from .opening import read_settings
from .options import IndexArgument, IndexOption, JsonOption, chosen_index
from .output import emit, note, progress_bar, say


def register(app: typer.Typer) -> None:
    """Add the command of this module."""
    app.command(epilog="Example: citewell reindex papers.idx --embed-model models/bge-small-en-v1.5")(reindex)


def reindex(
    path: IndexArgument = None,
    index: IndexOption = None,
    embed_model: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL",
            help="Embedding model to change to: a folder or hub id.  [default: the setting index.embed_model]",
        ),
    ] = None,
    passage_tokens: Annotated[
        int | None,
        typer.Option(min=32, help="Most tokens of a passage.  [default: the setting, else the model's window]"),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Embed all papers anew with another model or other passages, and change over at the end.

    The collection can be used meanwhile. After an interruption, the same command goes on where it stopped.
    """
    settings = read_settings(chosen_index(path, index), embed_model=embed_model, passage_tokens=passage_tokens)
    folder: Path = settings.index.path.expanduser()
    if not index_exists(folder):
        raise not_found(folder)
    from rag import PaperQA

    with progress_bar(f"Embedding the papers of {folder} anew") as progress:
        qa = PaperQA.reindex(folder, settings=settings, progress=progress)
    name, total = qa.embed_model, len(qa)
    qa.close()
    if as_json:
        emit({"papers": total, "embed_model": name})
    else:
        say(f"{total} papers, embedded with {name}.")
    lasting = {"embed_model": embed_model, "passage_tokens": passage_tokens}
    if changed := [f"index.{setting} = {value!r}" for setting, value in lasting.items() if value is not None]:
        note(f"Keep it so: set {' and '.join(changed)} in citewell.toml, or other commands will not fit the index.")
