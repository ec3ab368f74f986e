"""The ``where`` of a search: which papers may be found at all. Does not search.

Filters are applied inside dense and keyword search, never after, so that ``k`` results are ``k`` results.
"""

import json
import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

_FIELDS = ("year", "venue", "author", "tag", "id")
_LISTS = ("venue", "author", "tag", "id")
# One part of a filter: a comparison of the year, or a name and a value. A quote within a value (O'Brien) is a letter.
_YEAR = re.compile(r"year\s*(>=|<=|=|>|<|:)\s*(\d{4})(?!\S)")
_FIELD = re.compile(r"""(venue|author|tag|id):(?:"([^"]+)"|'([^']+)'|([^\s"']\S*))(?!\S)""")


@dataclass(frozen=True, slots=True)
class Where:
    """A filter; the fields are combined with *and*, several values of one field with *or*.

    Attributes:
        year_from: First year, inclusive.
        year_to: Last year, inclusive.
        venues: Parts of the venue's name, any case.
        authors: Parts of an author's name, any case.
        tags: Whole tags, any case.
        ids: Paper ids.
    """

    year_from: int | None = None
    year_to: int | None = None
    venues: tuple[str, ...] = ()
    authors: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    ids: tuple[str, ...] = ()

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
        alternatives = (
            ("EXISTS (SELECT 1 FROM json_each(?) AS w WHERE instr(fold(venue), w.value))", map(fold, self.venues)),
            (
                "EXISTS (SELECT 1 FROM json_each(?) AS w, json_each(authors) AS a WHERE instr(fold(a.value), w.value))",
                map(fold, self.authors),
            ),
            (
                "EXISTS (SELECT 1 FROM json_each(?) AS w, json_each(tags) AS t WHERE fold(t.value) = w.value)",
                map(fold, self.tags),
            ),
            ("id IN (SELECT value FROM json_each(?))", iter(self.ids)),
        )
        for condition, wanted in alternatives:
            if listed := list(wanted):
                conditions.append(condition)
                values.append(json.dumps(listed))
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
    """Fold the case of ``text`` and compose its accents; the store offers this to SQL, whose LOWER knows only ASCII."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())


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
