"""Open the collection that a command works on, with the settings of this run. Adds and answers nothing."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from index.location import index_exists, not_found

from .output import late_progress_bar, note

if TYPE_CHECKING:
    from rag import PaperQA
    from rag.settings import Settings


def read_settings(
    index: Path | None = None,
    llm: str | None = None,
    host: str | None = None,
    port: int | None = None,
    embed_model: str | None = None,
    passage_tokens: int | None = None,
) -> "Settings":
    """Load the settings; what the command line says (not None) beats every other source."""
    from rag.settings import load_settings

    given: dict[str, dict[str, Any]] = {
        "index": {"path": index, "embed_model": embed_model, "passage_tokens": passage_tokens},
        "answering": {"llm": llm},
        "ui": {"host": host, "port": port},
    }
    said = {group: {k: v for k, v in fields.items() if v is not None} for group, fields in given.items()}
    return load_settings(overrides=said)


@contextmanager
def collection(settings: "Settings", *, create: bool = False) -> Iterator["PaperQA"]:
    """Open the collection the settings name, and close it at the end.

    Args:
        settings: The settings of this run.
        create: Whether the index may be missing, because the command fills it.

    Raises:
        IndexNotFoundError: If it is missing and may not be.
    """
    path = settings.index.path.expanduser()
    if not create and not index_exists(path):
        raise not_found(path)
    from rag import PaperQA

    with late_progress_bar() as progress:
        qa = PaperQA.open(path, llm=settings.answering.llm, settings=settings, progress=progress)
    try:
        if qa.interrupted:
            note(f"Adding {qa.interrupted} was interrupted; what it had written is kept. Add it again to finish.")
        yield qa
    finally:
        qa.close()
