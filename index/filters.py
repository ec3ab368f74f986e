"""The ``where`` of a search: which papers may be found at all. Does not search.

Filters are applied inside dense and keyword search, never after, so that ``k`` results are ``k`` results.
"""

import json
import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from .paper import paper_id

_FIELDS = ("year", "venue", "author", "tag", "id", "source")
_LISTS = ("venue", "author", "tag", "id", "source")
# One part of a filter: a comparison of the year, or a name and a value. A quote within a value (O'Brien) is a letter.
_YEAR = re.compile(r"year\s*(>=|<=|=|>|<|:)\s*(\d{4})(?!\S)")
_FIELD = re.compile(r"""(venue|author|tag|id|source):(?:"([^"]+)"|'([^']+)'|([^\s"']\S*))(?!\S)""")

_UNKNOWN_TO_SQL = re.compile("[\0\ud800-\udfff]")

# The papers that have a value with one of the wanted parts. The trigram index holds every part of three letters or
# more; shorter ones, and lists too long for it, are looked for in every value.
_HOLDS_PART = """key IN (
    SELECT paper FROM facet_parts CROSS JOIN facets ON facets.key = facet_parts.rowid
    JOIN paper_facets ON facet = facets.key WHERE facet_parts MATCH ? AND field = ?
)"""
_HOLDS_SHORT_PART = """key IN (
    SELECT paper FROM facets JOIN paper_facets ON facet = facets.key
    WHERE field = ? AND EXISTS (SELECT 1 FROM json_each(?) AS w WHERE instr(facets.value, w.value))
)"""
_MIN_TRIGRAM_CHARS, _MAX_TRIGRAM_VALUES = 3, 100
_HAS_TAG = """key IN (
    SELECT paper FROM facets JOIN paper_facets ON facet = facets.key
    WHERE field = 'tag' AND facets.value IN (SELECT value FROM json_each(?))
)"""
_FROM_SOURCE = """key IN (
    SELECT paper FROM records JOIN sources ON source = sources.key
    WHERE name IN (SELECT value FROM json_each(?)) OR path IN (SELECT value FROM json_each(?))
)"""


@dataclass(frozen=True, slots=True)
class Where:
    """A filter; the fields are combined with *and*, several values of one field with *or*.

    Attributes:
        year_from: First year, inclusive.
        year_to: Last year, inclusive.
        venues: Parts of the venue's name, any case.
        authors: Parts of an author's name, any case.
        tags: Whole tags, any case.
        ids: Paper ids, or other identifiers of papers.
        sources: Files that papers were added from: the whole path, or the name alone in any case.
    """

    year_from: int | None = None
    year_to: int | None = None
    venues: tuple[str, ...] = ()
    authors: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    ids: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()

    def to_sql(self) -> tuple[str, list[Any]]:
        """Return an SQL condition on the table ``papers`` and its parameters."""
        conditions: list[str] = ["1"]
        values: list[Any] = []
        if self.year_from is not None:
            conditions.append("year >= ?")
            values.append(self.year_from)
        if self.year_to is not None:
            conditions.append("year <= ?")
            values.append(self.year_to)
        # The values of a field travel as one JSON list: a chain of thousands of ORs is too deep for SQLite.
        for field, wanted in (("venue", self.venues), ("author", self.authors)):
            folded = [fold(value) for value in wanted]
            if folded and min(map(len, folded)) >= _MIN_TRIGRAM_CHARS and len(folded) <= _MAX_TRIGRAM_VALUES:
                conditions.append(_HOLDS_PART)
                values += [" OR ".join('"' + value.replace('"', '""') + '"' for value in folded), field]
            elif folded:
                conditions.append(_HOLDS_SHORT_PART)
                values += [field, json.dumps(folded)]
        if self.tags:
            conditions.append(_HAS_TAG)
            values.append(json.dumps([fold(tag) for tag in self.tags]))
        if self.ids:
            conditions.append("key IN (SELECT paper FROM names WHERE name IN (SELECT value FROM json_each(?)))")
            known = [name for name in self.ids if "\0" not in name]  # SQLite's JSON ends there
            values.append(json.dumps([form for name in known for form in (name, paper_id(name))]))
        if self.sources:
            conditions.append(_FROM_SOURCE)
            values += [json.dumps([fold(name) for name in self.sources]), json.dumps(self.sources)]
        return " AND ".join(conditions), values


def parse_where(where: "str | Mapping[str, Any] | Where | None") -> Where | None:
    """Read a filter written as text or as a mapping.

    Text: ``year>=2020 year<2024 author:Chen venue:"Nature Methods" tag:cs.LG id:arxiv:2304.05659``. A value with
    spaces stands in double or single quotes; a quote inside a word (O'Brien) needs nothing.
    Mapping: ``{"year": 2020}``, ``{"year": (2020, None)}``, ``{"author": ["Chen", "Li"]}``.

    Raises:
        ValueError: If a field or a value is not understood; the message names it and the known fields.
    """
    if where is None or isinstance(where, Where):
        return where
    parsed = _from_text(where) if isinstance(where, str) else _from_mapping(where)
    return None if parsed == Where() else parsed


def fold(text: str) -> str:
    """Fold the case of ``text`` and compose its accents, as the stored values of filters are."""
    folded = unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())
    return _UNKNOWN_TO_SQL.sub("\ufffd", folded)


def _from_mapping(where: Mapping[str, Any]) -> Where:
    unknown = [key for key in where if key not in _FIELDS]
    if unknown:
        raise ValueError(f"unknown filter field {unknown[0]!r}; known fields: {', '.join(_FIELDS)}")
    year = where.get("year")
    if _is_year(year):
        low = high = year
    elif isinstance(year, (tuple, list)) and len(year) == 2 and all(map(_is_year, year)):
        low, high = year
    else:
        raise ValueError(f"year must be a number or a pair (first, last) with None for open, not {year!r}")
    return Where(low, high, *(_texts(name, where.get(name)) for name in _LISTS))


def _is_year(value: object) -> bool:
    """Tell whether ``value`` is a year or None; a bool is an int to Python and an eon no integer to SQLite."""
    return value is None or (isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**63)


def _texts(name: str, value: object) -> tuple[str, ...]:
    """Return the values of a field of a mapping."""
    values = () if value is None else (value,) if isinstance(value, str) else value
    if not isinstance(values, Iterable) or isinstance(values, (bytes, Mapping)):
        raise ValueError(f"{name} must be a text or a list of texts, not {value!r}")
    texts = tuple(values)
    for text in texts:
        if not isinstance(text, str) or not text.strip():
            raise ValueError(f"{name} must be a text or a list of texts that are not empty, not {value!r}")
    return texts


def _from_text(where: str) -> Where:
    first: list[int] = []
    last: list[int] = []
    lists: dict[str, list[str]] = {name: [] for name in _LISTS}
    rest = where.strip()
    while rest:
        if match := _YEAR.match(rest):
            sign, year = match[1], int(match[2])
            if sign in (">", ">=", "=", ":"):
                first.append(year + (sign == ">"))
            if sign in ("<", "<=", "=", ":"):
                last.append(year - (sign == "<"))
        elif match := _FIELD.match(rest):
            lists[match[1]].append(match[match.lastindex or 0])
        else:
            raise ValueError(
                f"filter {rest.split()[0]!r} is not understood; write for example: year>=2020 author:Chen "
                'venue:"Nature Methods" tag:cs.LG id:arxiv:2304.05659'
            )
        rest = rest[match.end() :].lstrip()
    return Where(max(first, default=None), min(last, default=None), *(tuple(lists[name]) for name in _LISTS))
