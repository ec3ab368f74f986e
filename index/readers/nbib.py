"""Read papers from PubMed's own tagged format, MEDLINE (``.nbib``). Knows nothing of PubMed's XML."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, TextIO

from ..paper import Paper
from . import tagged
from .records import paper_from_fields
from .rejected import Rejected

NAME = "PubMed nbib"
SUFFIXES: tuple[str, ...] = (".nbib", ".medline")

_LINE = re.compile(r"(?=[A-Z ]{4}-)([A-Z]{2,4}) *-(?:\s(.*))?$", re.S)  # what goes on is indented
_START = re.compile(r"^PMID ?- ?\d", re.M)
_OTHERS = {"PMC": "pmcid", "PT": "publication types", "LA": "language", "VI": "volume", "IP": "number", "PG": "pages"}


def sniff(head: str) -> bool:
    """Whether a line of the file begins a record."""
    return _START.search(head) is not None


def read(file: TextIO, name: str, field_map: Mapping[str, str] | None = None) -> Iterator[Paper | Rejected]:
    """Yield one paper for each record, or what is wrong with it. The fields have their names: no ``field_map``."""
    for record in tagged.records(file, name, _LINE, "PMID", None):
        if isinstance(record, Rejected):
            yield record
        else:
            pmid = record.first("PMID")
            yield _paper(record, pmid, f"{name}:{record.line} (PMID {pmid[:20]})")


def _paper(record: tagged.Record, pmid: str, where: str) -> Paper | Rejected:
    if len(record.all("TI")) > 1:
        return Rejected(where, "title", "it has two titles; is the PMID line of a record missing?")
    dois = [value.removesuffix("[doi]").strip() for value in record.all("LID", "AID") if value.endswith("[doi]")]
    extra: dict[str, Any] = {}
    for tag, value in record.fields:
        if tag in _OTHERS and value:
            extra[_OTHERS[tag]] = f"{extra[_OTHERS[tag]]}; {value}" if _OTHERS[tag] in extra else value
    # "*" marks the main headings, "/" the aspect of one.
    headings = [value.replace("*", "").split("/")[0] for value in record.all("MH")]
    fields = {
        "title": record.first("TI", "BTI"),
        "abstract": " ".join(record.all("AB")),
        "authors": record.all("FAU") or record.all("AU") or record.all("CN"),
        "date": record.first("DP"),
        "venue": record.first("JT", "TA"),
        "doi": dois[0] if dois else "",
        "pmid": pmid,
        "tags": list(dict.fromkeys([*(tag.lstrip("*") for tag in record.all("OT")), *headings])),
    }
    return paper_from_fields(fields, extra, where)
