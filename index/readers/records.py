"""Turn one record of named fields into a paper. Does not read files; knows the names that sources use."""

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from ..paper import Paper
from .markup import without_tags
from .rejected import Rejected

# Our field, then the names it goes by elsewhere, in lower case; the first that is present and not empty counts.
NAMES: dict[str, tuple[str, ...]] = {
    "title": ("title", "article title", "document title"),
    "abstract": ("abstract", "abstract note", "summary"),
    "id": ("id",),
    "authors": ("author full names", "authors", "author", "author names"),
    "year": ("year", "publication year", "pubyear"),
    "date": ("date", "publication date", "published"),
    "venue": (
        "venue", "journal", "journal-ref", "journal_ref", "booktitle", "publication title", "source title",
        "container-title", "journal/book", "journal title", "conference name",
    ),
    "url": ("url", "link"),
    "doi": ("doi",),
    "tags": (
        "tags", "categories", "keywords", "keyword", "author keywords", "manual tags", "index keywords",
        "automatic tags", "keywords plus", "mesh terms",
    ),
    "pmid": ("pmid", "pubmed id"),
    "arxiv": ("arxiv", "arxiv id", "arxiv_id"),
    "identifiers": ("identifiers",),
}  # fmt: skip
MAPPABLE = tuple(name for name in NAMES if name != "date")
_ABSENT: tuple[Any, ...] = (None, "", [], ())
_YEARS = range(1000, 3000)
_ANY_YEAR = re.compile(r"(?<![0-9])[12][0-9]{3}(?![0-9])")
_ARXIV_NUMBER = re.compile(r"arxiv:(?:[a-z-]+/)?([0-9]{2})(?:0[1-9]|1[0-2])")


class _FieldError(ValueError):
    """A field holds something it cannot hold."""

    def __init__(self, field: str, why: str) -> None:
        super().__init__(why)
        self.field = field


def checked_field_map(field_map: Mapping[str, str] | None) -> dict[str, str]:
    """Return the mapping of our fields to a file's own names.

    Raises:
        ValueError: If a field is none of ours; the message names those.
    """
    for field in field_map or {}:
        if field not in MAPPABLE:
            raise ValueError(f"{field!r} is no field of a paper; the fields are {', '.join(MAPPABLE)}")
    return dict(field_map or {})


def paper_from_record(
    record: Mapping[str, Any],
    where: str,
    field_map: Mapping[str, str] | None = None,
    *,
    tagged: bool = False,
) -> Paper | Rejected:
    """Build a paper from a record; the fields that are not ours go into ``extra``.

    Authors may be a list of names or one string separated by "and" or semicolons; commas separate them where
    that leaves whole names ("Ada Lovelace, Alan Turing", not "Lovelace, Ada"). Tags may be a list or a
    string separated by commas, semicolons or else white space, as arXiv writes categories.

    A record with an object called ``extra`` is one that Citewell wrote: its year is not derived.

    Args:
        record: The fields, by any of the names they commonly go by, in any case.
        where: ``file:line`` of the record.
        field_map: Our fields and the names they have in this record; these beat the common ones.
        tagged: Whether the source is known to put HTML or JATS tags into titles and abstracts.
    """
    mapped = {ours: _pop(record, name) for ours, name in field_map.items()} if field_map else {}
    if field_map:
        columns = {name.strip().lower() for name in field_map.values()}
        record = {name: value for name, value in record.items() if name.strip().lower() not in columns}
    fields: dict[str, Any] = {}
    for name, value in record.items():
        fields.setdefault(name.strip().lower(), value)
    own = fields.pop("extra") if isinstance(fields.get("extra"), Mapping) else None
    taken: dict[str, Any] = {}
    for ours, names in NAMES.items():
        for name in names:
            if fields.get(name) not in _ABSENT:
                taken[ours] = fields.pop(name)
                break
        else:
            fields.pop(names[0], None)
    if "authors" in taken:
        fields.pop("authors", None)  # the short names beside the full ones
    extra = {name: value for name, value in fields.items() if value not in _ABSENT}
    taken.update(mapped)
    return paper_from_fields(
        taken, {**own, **extra} if own is not None else extra, where, tagged, exact=own is not None
    )


def paper_from_fields(
    fields: Mapping[str, Any], extra: Mapping[str, Any], where: str, tagged: bool = False, *, exact: bool = False
) -> Paper | Rejected:
    """Build a paper from fields that have our names already.

    Args:
        fields: Those of :data:`NAMES`. ``year`` must be one; ``date`` may hold one, or none ("in press").
        extra: What else the record said.
        where: ``file:line`` of the record.
        tagged: Whether titles and abstracts may hold HTML or JATS tags.
        exact: Whether the fields are those of a paper, from which nothing is to be derived.
    """
    try:
        title, abstract = _text(fields, "title"), _text(fields, "abstract")
        for name, text in (("title", title), ("abstract", abstract)):
            if not text:
                raise _FieldError(name, f"it has no {name}")
        if tagged:
            title, abstract = without_tags(title), without_tags(abstract)
        year = _year(fields.get("year"))
        if year is None and (date := fields.get("date")) not in _ABSENT:
            year = _year_in(date)
            if year is None:
                extra = {**extra, "date": date}
        own_id = _text(fields, "id")
        if not exact and own_id.strip().isdigit():
            extra, own_id = {**extra, "id": own_id.strip()}, ""  # the number of a row: other files count from 1 as well
        paper = Paper.create(
            title,
            abstract,
            id=own_id,
            authors=_authors(fields),
            year=year,
            venue=_text(fields, "venue"),
            url=_text(fields, "url"),
            doi=_text(fields, "doi"),
            tags=_list(fields, "tags", _split_tags),
            extra=extra,
            identifiers=_identifiers(fields),
        )
    except _FieldError as exc:
        return Rejected(where, exc.field, str(exc))
    except ValueError as exc:  # Paper.create says "title is empty": the field comes first
        return Rejected(where, str(exc).split()[0], str(exc))
    if year is None and not exact and (derived := _year_of_arxiv(paper.names)):
        return replace(paper, year=derived)
    return paper


def _pop(record: Mapping[str, Any], name: str) -> Any:
    """Return the value under a name: as it is written, else in any case."""
    if name in record:
        return record[name]
    wanted = name.strip().lower()
    return next((value for key, value in record.items() if key.strip().lower() == wanted), None)


def _text(fields: Mapping[str, Any], field: str) -> str:
    value = fields.get(field)
    if value is None:
        return ""
    if isinstance(value, int) and not isinstance(value, bool) and field in ("id", "pmid"):
        return str(value)
    if not isinstance(value, str):
        raise _FieldError(field, f"{field} is {_shown(value)}, a text is needed")
    return value


def _list(fields: Mapping[str, Any], field: str, split: Callable[[str], list[str]]) -> tuple[str, ...]:
    value = fields.get(field)
    if value is None:
        return ()
    if isinstance(value, str):
        return tuple(part for part in split(value) if part)
    if isinstance(value, (list, tuple)) and all(isinstance(part, str) for part in value):
        return tuple(value)
    raise _FieldError(field, f"{field} is {_shown(value)}, a text or a list of texts is needed")


def _authors(fields: Mapping[str, Any]) -> tuple[str, ...]:
    value = fields.get("authors")
    if isinstance(value, list) and value and all(isinstance(name, Mapping) for name in value):
        fields = {"authors": [_name(name) for name in value]}
    return _list(fields, "authors", split_authors)


def _name(parts: Mapping[str, Any]) -> str:
    """Return a name that comes in parts, as in CSL-JSON, or as an object with a name."""
    whole = next((parts[key] for key in ("name", "literal", "full_name") if isinstance(parts.get(key), str)), None)
    if whole is not None:
        return str(whole)
    keys = ("given", "dropping-particle", "non-dropping-particle", "family", "suffix")
    name = " ".join(str(parts[key]) for key in keys if parts.get(key))
    if not name:
        raise _FieldError("authors", f"authors has {_shown(dict(parts))}, in which there is no name")
    return name


def _identifiers(fields: Mapping[str, Any]) -> tuple[str, ...]:
    found = []
    if arxiv := _text(fields, "arxiv").strip():
        found.append(arxiv if ":" in arxiv else f"arXiv:{arxiv.split()[0]}")
    if pmid := _text(fields, "pmid").strip():
        found.append(f"PMID:{pmid}" if pmid.isdecimal() and pmid.isascii() else pmid)
    return (*found, *_list(fields, "identifiers", lambda text: re.split(r"[\s;]+", text)))


def split_authors(text: str) -> list[str]:
    """Split authors given as one string."""
    if ";" in text:  # Scopus puts its number of the author behind each full name
        return [re.sub(r"\s*\([0-9]+\)$", "", name.strip()) for name in text.split(";")]
    names = [name.strip(" ,") for name in " ".join(text.split()).split(" and ")]
    parts = [part.strip() for name in names for part in name.split(",")]
    return parts if all(" " in part for part in parts) else names


def _split_tags(text: str) -> list[str]:
    return [tag.strip() for tag in re.split("[;,]" if re.search("[;,]", text) else r"\s", text)]


def _year(value: Any) -> int | None:
    if value is None or value == "":
        return None
    text = str(value).strip()
    if isinstance(value, bool) or not re.fullmatch(r"[0-9]{4}(\.0)?", text) or int(text[:4]) not in _YEARS:
        raise _FieldError("year", f"year is {_shown(value)}, four digits are needed")
    return int(text[:4])


def _year_in(date: Any) -> int | None:
    """Return the year that a date begins with or holds; None if there is none, as in "in press"."""
    match = _ANY_YEAR.search(str(date)[:100])
    return int(match[0]) if match else None


def _year_of_arxiv(names: tuple[str, ...]) -> int | None:
    """Return the year in an arXiv id: arXiv began in 1991.

    Example:
        >>> _year_of_arxiv(("arxiv:2503.11731",)), _year_of_arxiv(("arxiv:hep-th/9901001",))
        (2025, 1999)
    """
    for name in names:
        if match := _ARXIV_NUMBER.match(name):
            return (1900 if int(match[1]) > 90 else 2000) + int(match[1])
    return None


def _shown(value: Any) -> str:
    shown = repr(value)
    return shown if len(shown) <= 40 else f"{shown[:39]}…"
