"""Name the fields of a record of arXiv's metadata snapshot as we do. Reads no file.

Its ``authors`` is prose with affiliations, so the names come from ``authors_parsed``; its ``update_date`` is when the
record was last touched, so the year comes from the id.
"""

from collections.abc import Mapping
from typing import Any

_DROPPED = frozenset(("authors_parsed", "versions", "update_date", "submitter", "license"))


def recognises(record: Mapping[str, Any]) -> bool:
    """Whether the record is one of the snapshot's."""
    return "authors_parsed" in record or ("categories" in record and "update_date" in record)


def fields(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return the record's fields by our names."""
    found = {name: value for name, value in record.items() if name not in _DROPPED}
    names = [_name(parts) for parts in record["authors_parsed"]] if _is_parsed(record.get("authors_parsed")) else []
    if names:
        found["authors"] = names
    number = record.get("id")
    if isinstance(number, str) and number and ":" not in number:
        found["id"] = f"arXiv:{number}"
        found.setdefault("url", f"https://arxiv.org/abs/{number}")
    doi = record.get("doi")
    if isinstance(doi, str) and " " in doi.strip():  # of several, the first; all are names of the paper
        found["doi"], found["identifiers"] = doi.split()[0], doi.split()[1:]
    return found


def _is_parsed(value: Any) -> bool:
    return isinstance(value, list) and all(
        isinstance(parts, list) and parts and all(isinstance(part, str) for part in parts) for parts in value
    )


def _name(parts: list[str]) -> str:
    """Return a name that comes as family name, given names, suffix and affiliations."""
    family, given, suffix = (*parts, "", "")[:3]
    return " ".join(part for part in (given, family, suffix) if part)
