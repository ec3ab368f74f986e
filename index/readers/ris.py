"""Read papers from RIS, the tagged format of reference managers. Writes none: see :mod:`index.writers.ris`.

Citewell's own files carry the id in ``C7`` and what RIS cannot say in ``C8``, see :mod:`index.readers.exact`.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, TextIO

from ..paper import Paper
from . import tagged
from .exact import overlay
from .records import paper_from_fields
from .rejected import Rejected

NAME = "RIS"
SUFFIXES: tuple[str, ...] = (".ris",)
OWN_ID, OWN_EXACT = "citewell-id:", "citewell-exact:"

_LINE = re.compile(r"([A-Z][A-Z0-9])  ?-(?:\s(.*))?$", re.S)
_START = re.compile(r"^TY  ?- ?", re.M)
_TITLES, _ABSTRACTS, _AUTHORS = ("TI", "T1", "CT"), ("AB", "N2"), ("AU", "A1")
_VENUES, _DATES, _NUMBERS = ("JF", "T2", "JO", "JA", "J2", "BT"), ("PY", "Y1", "DA"), ("AN", "PMID", "M1", "C2")
_OTHERS = {  # what the rest is called in `extra`; a tag that is not here keeps its own name
    "TY": "type", "ID": "key", "VL": "volume", "IS": "number", "SP": "start page", "EP": "end page", "PB": "publisher",
    "SN": "issn", "LA": "language", "N1": "note", "DB": "database", "DP": "provider", "L1": "file", "CY": "place",
    "AN": "accession number",
}  # fmt: skip
_OWN_TAGS = ("C7", "C8")
_USED = frozenset((*_TITLES, *_ABSTRACTS, *_AUTHORS, *_VENUES, *_DATES, "UR", "DO", "KW"))
_KNOWN_NUMBER = re.compile(r"(?:arxiv|pmid|pubmed|medline):\s*\S+", re.I)
_PUBMED = re.compile(r"pubmed|medline", re.I)


def sniff(head: str) -> bool:
    """Whether a line of the file begins a record."""
    return _START.search(head) is not None


def read(file: TextIO, name: str, field_map: Mapping[str, str] | None = None) -> Iterator[Paper | Rejected]:
    """Yield one paper for each record, or what is wrong with it. RIS names its fields itself: no ``field_map``."""
    for record in tagged.records(file, name, _LINE, "TY", "ER"):
        yield record if isinstance(record, Rejected) else _paper(record, f"{name}:{record.line}")


def _paper(record: tagged.Record, where: str) -> Paper | Rejected:
    if record.cut:
        return Rejected(where, "record", "the file ends before the record does (ER)")
    if len(titles := record.all("TI") or record.all("T1", "CT")) > 1:
        return Rejected(where, "title", f"it has {len(titles)} titles; is the end (ER) of a record missing?")
    fields: dict[str, Any] = {
        "title": titles[0] if titles else "",
        "abstract": " ".join(next((found for tag in _ABSTRACTS if (found := record.all(tag))), [])),
        "authors": record.all(*_AUTHORS),
        "date": record.first(*_DATES),
        "venue": record.first(*_VENUES),
        "url": record.first("UR"),
        "doi": record.first("DO"),
        "tags": record.all("KW"),
    }
    own: dict[str, str] = {}
    extra: dict[str, Any] = {}
    identifiers = []
    is_pubmed = _PUBMED.search(f"{record.first('DB')} {record.first('DP')}") is not None
    for tag, value in record.fields:
        if (mark := next((mark for mark in (OWN_ID, OWN_EXACT) if value.startswith(mark)), "")) and tag in _OWN_TAGS:
            own[mark] = value.removeprefix(mark).strip()
        elif identifier := _identifier(tag, value, is_pubmed):
            identifiers.append(identifier)
        elif value and tag not in _USED:
            extra.setdefault(_OTHERS.get(tag, tag), value)
    fields["identifiers"] = identifiers
    if not own:
        return paper_from_fields(fields, extra, where, tagged=True)
    extra.pop("type", None)
    fields["id"] = own.get(OWN_ID, "")
    try:
        fields, extra = overlay(fields, extra, own.get(OWN_EXACT, "{}"))
    except ValueError as exc:
        return Rejected(where, "C8", f"{OWN_EXACT} {exc}")
    return paper_from_fields(fields, extra, where, exact=True)


def _identifier(tag: str, value: str, is_pubmed: bool) -> str:
    """Return the arXiv or PubMed id that a field holds, "" if it holds none."""
    if tag in _NUMBERS and _KNOWN_NUMBER.match(value):
        kind, _, number = value.partition(":")
        return f"{'arxiv' if kind.lower() == 'arxiv' else 'pmid'}:{number.strip()}"
    return f"pmid:{value}" if tag == "PMID" or (tag == "AN" and is_pubmed and value.isdecimal()) else ""
