"""Write papers to a text stream in a format chosen by name. Holds no knowledge of a format itself."""

from collections.abc import Iterable
from typing import Literal, TextIO, get_args

from ..paper import Paper
from . import bibtex, jsonl, ris

WriterFormat = Literal["bib", "ris", "jsonl"]
_ENTRIES = {"bib": bibtex.entries, "ris": ris.entries, "jsonl": jsonl.entries}


def write_papers(papers: Iterable[Paper], stream: TextIO, format: WriterFormat) -> int:
    """Write papers one at a time and return how many there were.

    Reading the file again gives the same papers, with their ids, identifiers and extra. The stream must take every
    character (UTF-8), and must not translate line ends within a text: each entry ends its lines with a line feed.

    Raises:
        ValueError: If the format is none of ``bib``, ``ris`` and ``jsonl``.
    """
    if format not in _ENTRIES:
        raise ValueError(f"{format!r} is no format that can be written; those are {', '.join(get_args(WriterFormat))}")
    count = 0
    for entry in _ENTRIES[format](papers):
        stream.write(entry)
        count += 1
    return count
