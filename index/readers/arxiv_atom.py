"""Read papers from the Atom feed of arXiv's API. Knows nothing of the metadata snapshot."""

from collections.abc import Iterator, Mapping
from typing import TextIO
from xml.etree.ElementTree import Element

from ..paper import Paper
from .records import paper_from_fields
from .rejected import Rejected
from .xml_records import elements, looks_like, text_of

NAME = "arXiv Atom feed"
SUFFIXES: tuple[str, ...] = (".atom",)


def sniff(head: str) -> bool:
    """Whether an Atom feed begins here."""
    return "http://www.w3.org/2005/Atom" in head and (looks_like(head, "feed") or looks_like(head, "entry"))


def read(file: TextIO, name: str, field_map: Mapping[str, str] | None = None) -> Iterator[Paper | Rejected]:
    """Yield one paper for each entry, or what is wrong with it. The fields have their names: no ``field_map``."""
    for found in elements(file, name, ("entry",)):
        if isinstance(found, Rejected):
            yield found
        else:
            line, entry = found
            yield _paper(entry, f"{name}:{line}")


def _paper(entry: Element, where: str) -> Paper | Rejected:
    address = text_of(entry.find("id"))
    pages = [link.get("href", "") for link in entry.iterfind("link") if link.get("rel", "alternate") == "alternate"]
    fields = {
        "id": address,
        "title": text_of(entry.find("title")),
        "abstract": text_of(entry.find("summary")),
        "authors": [text_of(name) for name in entry.iterfind("author/name")],
        "date": text_of(entry.find("published")),
        "venue": text_of(entry.find("journal_ref")),
        "url": pages[0] if pages else address,
        "doi": text_of(entry.find("doi")),
        "tags": [term for category in entry.iterfind("category") if (term := category.get("term", ""))],
    }
    comment = text_of(entry.find("comment"))
    return paper_from_fields(fields, {"comment": comment} if comment else {}, where)
