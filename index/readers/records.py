"""Turn one record of named fields into a paper. Does not read files; knows the names that sources use."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from ..paper import Paper
from .rejected import Rejected

# Our field, then the names it goes by elsewhere; the first that is present and not empty counts.
_NAMES: dict[str, tuple[str, ...]] = {
    "title": ("title",),
    "abstract": ("abstract", "summary"),
    "id": ("id",),
    "authors": ("authors", "author"),
    "year": ("year",),
    "venue": ("venue", "journal", "journal-ref", "booktitle"),
    "url": ("url", "link"),
    "doi": ("doi",),
    "tags": ("tags", "categories", "keywords"),
}
_YEARS = range(1000, 3000)


class _FieldError(ValueError):
    """A field holds something it cannot hold."""

    def __init__(self, field: str, why: str) -> None:
        super().__init__(why)
        self.field = field


def paper_from_record(record: Mapping[str, Any], where: str) -> Paper | Rejected:
    """Build a paper from a record; the fields that are not ours go into ``extra``.

    Authors may be a list of names or one string separated by "and" or semicolons; commas separate them where
    that leaves whole names ("Ada Lovelace, Alan Turing", not "Lovelace, Ada"). Tags may be a list or a
    string separated by commas, semicolons or else white space, as arXiv writes categories.

    Args:
        record: The fields, by any of the names they commonly go by, in any case.
        where: ``file:line`` of the record.
    """
    fields = {name.strip().lower(): value for name, value in record.items()}
    taken: dict[str, Any] = {}
    for ours, names in _NAMES.items():
        found = next((name for name in names if fields.get(name) not in (None, "", [])), names[0])
        taken[ours] = fields.pop(found, None)
    try:
        return Paper.create(
            _text(taken, "title"),
            _text(taken, "abstract"),
            id=_text(taken, "id"),
            authors=_list(taken, "authors", _split_authors),
            year=_year(taken["year"]),
            venue=_text(taken, "venue"),
            url=_text(taken, "url"),
            doi=_text(taken, "doi"),
            tags=_list(taken, "tags", _split_tags),
            extra={name: value for name, value in fields.items() if value not in (None, "", [])},
        )
    except _FieldError as exc:
        return Rejected(where, exc.field, str(exc))
    except ValueError as exc:  # Paper.create says "title is empty": the field comes first
        return Rejected(where, str(exc).split()[0], str(exc))


def _text(taken: Mapping[str, Any], field: str) -> str:
    value = taken[field]
    if value is None:
        return ""
    if isinstance(value, int) and not isinstance(value, bool) and field == "id":
        return str(value)
    if not isinstance(value, str):
        raise _FieldError(field, f"{field} is {_shown(value)}, a text is needed")
    return value


def _list(taken: Mapping[str, Any], field: str, split: Callable[[str], list[str]]) -> tuple[str, ...]:
    value = taken[field]
    if value is None:
        return ()
    if isinstance(value, str):
        return tuple(part for part in split(value) if part)
    if isinstance(value, list) and all(isinstance(part, str) for part in value):
        return tuple(value)
    raise _FieldError(field, f"{field} is {_shown(value)}, a text or a list of texts is needed")


def _split_authors(text: str) -> list[str]:
    if ";" in text:
        return [name.strip() for name in text.split(";")]
    names = [name.strip(" ,") for name in re.split(r"\s+and\s+", text.strip())]
    parts = [part.strip() for name in names for part in name.split(",")]
    return parts if all(" " in part for part in parts) else names


def _split_tags(text: str) -> list[str]:
    return re.split(r"\s*[;,]\s*" if re.search("[;,]", text) else r"\s+", text.strip())


def _year(value: Any) -> int | None:
    if value is None or value == "":
        return None
    text = str(value).strip()
    if isinstance(value, bool) or not re.fullmatch(r"[0-9]{4}(\.0)?", text) or int(text[:4]) not in _YEARS:
        raise _FieldError("year", f"year is {_shown(value)}, four digits are needed")
    return int(text[:4])


def _shown(value: Any) -> str:
    shown = repr(value)
    return shown if len(shown) <= 40 else f"{shown[:39]}…"
