"""What a file format must offer, and the list of those we read. Opens no files.

To add a format, write a module with ``NAME``, ``SUFFIXES``, ``sniff`` and ``read``, and put it into
:data:`FORMATS`.
"""

from collections.abc import Iterator, Mapping
from typing import Protocol, TextIO

from ..paper import Paper
from . import arxiv_atom, bibtex, delimited, json_document, jsonl, listing, nbib, pubmed_xml, ris
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

    def read(self, file: TextIO, name: str, field_map: Mapping[str, str] | None = None) -> Iterator[Paper | Rejected]:
        """Yield the records of ``file`` in order.

        Args:
            file: The file.
            name: Its name in :attr:`Rejected.where`.
            field_map: Our fields and the names they have in the file, for formats where a file chooses those.
        """
        ...


# In order of how sure they can be: entries of BibTeX may stand in any text, and the listing has no syntax at all.
FORMATS: tuple[Format, ...] = (
    json_document,
    jsonl,
    pubmed_xml,
    arxiv_atom,
    nbib,
    ris,
    delimited,
    bibtex,
    listing,
)


def format_of(head: str, suffix: str, field_map: Mapping[str, str]) -> Format | None:
    """Return the format of a file: by its content first, by its suffix (``".jsonl"``) if that says nothing.

    Raises:
        CorpusError: If it is a table without the columns that are needed. The message does not name the file.
    """
    by_content = (candidate for candidate in FORMATS if candidate.sniff(head))
    by_columns = (delimited for _ in range(1) if delimited.has_columns(head, field_map))
    by_suffix = (candidate for candidate in FORMATS if suffix.lower() in candidate.SUFFIXES)
    known = next(by_content, None) or next(by_columns, None) or next(by_suffix, None)
    if known is delimited:
        delimited.check_columns(head, field_map)
    return known


def supported() -> str:
    """Name the formats for a message."""
    return ", ".join(f"{known.NAME} ({', '.join(known.SUFFIXES)})" for known in FORMATS) + ", and each of them as .gz"
