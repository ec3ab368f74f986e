"""Write papers as RIS, for reference managers. Reads none: see :mod:`index.readers.ris`.

RIS has no place for a name of our own and no escapes. ``C7`` (its custom fields are for such things) carries the id as
``citewell-id: …``, and ``C8`` what reading the record would lose, as JSON after ``citewell-exact:``; ``extra`` is there
as well. Other programs show both as notes of no importance.
"""

import io
from collections.abc import Iterable, Iterator

from ..paper import Paper
from ..readers import ris as reader
from ..readers.exact import unsaid
from ..text import strip_invisible


def entries(papers: Iterable[Paper]) -> Iterator[str]:
    """Yield one record for each paper."""
    for paper in papers:
        fields = _fields(paper)
        (read,) = reader.read(io.StringIO(_record(fields)), "")
        if exact := unsaid(paper, read):
            fields.append(("C8", f"{reader.OWN_EXACT} {exact}"))
        yield _record(fields) + "\n"


def _fields(paper: Paper) -> list[tuple[str, str]]:
    numbers = [name for kind in ("arxiv:", "pmid:") for name in paper.names if name.startswith(kind)]
    fields = [
        ("TY", "JOUR" if paper.venue else "GEN"),
        ("TI", paper.title),
        *(("AU", name) for name in paper.authors),
        ("PY", str(paper.year or "")),
        ("T2", paper.venue),
        ("DO", paper.doi),
        *(("AN", number) for number in numbers),
        ("UR", paper.url),
        *(("KW", tag) for tag in paper.tags),
        ("AB", paper.abstract),
        ("C7", f"{reader.OWN_ID} {paper.id}"),
    ]
    # A line end in a value would end it; signs that nobody sees may make the file look binary.
    return [(tag, text) for tag, value in fields if (text := strip_invisible(" ".join(value.split())))]


def _record(fields: Iterable[tuple[str, str]]) -> str:
    return "".join(f"{tag}  - {value}\n" for tag, value in fields) + "ER  - \n"
