"""What a file format must offer, and the list of those we read. Opens no files.

To add a format, write a module with ``NAME``, ``SUFFIXES``, ``sniff`` and ``read``, and put it into
:data:`FORMATS`.
"""

from collections.abc import Iterator
from typing import Protocol, TextIO

from ..paper import Paper
from . import jsonl, listing
from .rejected import Rejected


class Format(Protocol):
    """A module that reads one format."""

    NAME: str
    """What users call it."""

    SUFFIXES: tuple[str, ...]
    """File endings that decide when no format recognises the content."""

    def sniff(self, head: str) -> bool:
        """Whether a file that begins with ``head`` (its first characters, cut anywhere) is of this format."""
        ...

    def read(self, file: TextIO, name: str) -> Iterator[Paper | Rejected]:
        """Yield the records of ``file`` in order; ``name`` is the file's name in :attr:`Rejected.where`."""
        ...


# In order of how sure they can be: the listing has no syntax, only a shape, so it comes last.
FORMATS: tuple[Format, ...] = (jsonl, listing)


def format_of(head: str, suffix: str) -> Format | None:
    """Return the format of a file: by its content first, by its suffix (``".jsonl"``) if that says nothing."""
    by_content = (candidate for candidate in FORMATS if candidate.sniff(head))
    by_suffix = (candidate for candidate in FORMATS if suffix.lower() in candidate.SUFFIXES)
    return next(by_content, None) or next(by_suffix, None)


def supported() -> str:
    """Name the formats for a message."""
    return ", ".join(f"{known.NAME} ({', '.join(known.SUFFIXES)})" for known in FORMATS) + ", and each of them as .gz"
