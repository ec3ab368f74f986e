"""The ``where`` of a search: which papers may be found at all. Does not search.

Filters are applied inside dense and keyword search, never after, so that ``k`` results are ``k`` results.
"""

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_FIELDS = ("year", "venue", "author", "tag", "id")
_YEAR = re.compile(r"year\s*(>=|<=|=|>|<|:)\s*(\d{4})")


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
        alternatives = (
            ("instr(fold(venue), ?)", [fold(v) for v in self.venues]),
            ("EXISTS (SELECT 1 FROM json_each(authors) WHERE instr(fold(value), ?))", [fold(a) for a in self.authors]),
            ("EXISTS (SELECT 1 FROM json_each(tags) WHERE fold(value) = ?)", [fold(t) for t in self.tags]),
            ("id = ?", list(self.ids)),
        )
        for condition, wanted in alternatives:
            if wanted:
                conditions.append("(" + " OR ".join([condition] * len(wanted)) + ")")
                values += wanted
        return " AND ".join(conditions), values


def parse_where(where: "str | Mapping[str, Any] | Where | None") -> Where | None:
    """Read a filter written as text or as a mapping.

    Text: ``year>=2020 year<2024 author:Chen venue:"Nature Methods" tag:cs.LG id:arxiv:2304.05659``.
    Mapping: ``{"year": 2020}``, ``{"year": (2020, None)}``, ``{"author": ["Chen", "Li"]}``.

    Raises:
        ValueError: If a field or a value is not understood; the message names it and the known fields.
    """
    if where is None or isinstance(where, Where):
        return where
    parsed = _from_text(where) if isinstance(where, str) else _from_mapping(where)
    return None if parsed == Where() else parsed


def fold(text: str) -> str:
    """Fold the case of ``text``; the store offers this to SQL, whose own LOWER knows only ASCII."""
    return text.casefold()


def _from_mapping(where: Mapping[str, Any]) -> Where:
    unknown = [key for key in where if key not in _FIELDS]
    if unknown:
        raise ValueError(f"unknown filter field {unknown[0]!r}; known fields: {', '.join(_FIELDS)}")
    lists = {}
    for name in ("venue", "author", "tag", "id"):
        value = where.get(name, ())
        lists[f"{name}s"] = (value,) if isinstance(value, str) else tuple(value)
    year = where.get("year")
    if year is None or isinstance(year, int):
        low = high = year
    elif isinstance(year, (tuple, list)) and len(year) == 2 and all(y is None or isinstance(y, int) for y in year):
        low, high = year
    else:
        raise ValueError(f"year must be a number or a pair (first, last) with None for open, not {year!r}")
    return Where(year_from=low, year_to=high, **lists)


def _from_text(where: str) -> Where:
    low: int | None = None
    high: int | None = None
    lists: dict[str, list[str]] = {"venue": [], "author": [], "tag": [], "id": []}
    try:
        words = shlex.split(_YEAR.sub(r"year\1\2", where))
    except ValueError as exc:
        raise ValueError(f"filter {where!r} cannot be read: {exc}") from exc
    for word in words:
        if match := _YEAR.fullmatch(word):
            sign, year = match.group(1), int(match.group(2))
            first = {">=": year, ">": year + 1, "=": year, ":": year}.get(sign)
            last = {"<=": year, "<": year - 1, "=": year, ":": year}.get(sign)
            low = first if low is None else max(low, first or low)
            high = last if high is None else min(high, last or high)
            continue
        name, colon, value = word.partition(":")
        if not colon or name not in lists or not value:
            raise ValueError(
                f"filter {word!r} is not understood; write for example: year>=2020 author:Chen "
                'venue:"Nature Methods" tag:cs.LG id:arxiv:2304.05659'
            )
        lists[name].append(value)
    return Where(low, high, *(tuple(lists[name]) for name in ("venue", "author", "tag", "id")))
