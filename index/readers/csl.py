"""Name the fields of CSL-JSON, as Zotero and Crossref write it, as we do. Reads no file."""

from collections.abc import Mapping
from typing import Any

_DATES = ("issued", "published", "published-print", "published-online", "original-date")
_SINGLE = ("title", "container-title", "abstract")  # Crossref's own records have lists of these


def recognises(record: Mapping[str, Any]) -> bool:
    """Whether the record has what only CSL-JSON has."""
    return any(isinstance(record.get(name), Mapping) for name in _DATES) or "container-title" in record


def fields(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return the record's fields by our names. A citation key is no id: two files use one for different papers."""
    found = {name: value for name, value in record.items() if name not in _DATES}
    for name in _SINGLE:
        if isinstance(found.get(name), list):
            found[name] = found[name][0] if found[name] else None
    for name in _DATES:
        if (year := _year(record.get(name))) and "year" not in found:
            found["year"] = year
    if "id" in found:
        found["key"] = found.pop("id")
    if "subject" in found and not found.get("keyword"):
        found["keywords"] = found.pop("subject")
    return found


def _year(date: Any) -> Any:
    """Return the year of a CSL date; None if it has none."""
    if not isinstance(date, Mapping):
        return None
    parts = date.get("date-parts")
    if isinstance(parts, list) and parts and isinstance(parts[0], list) and parts[0]:
        return parts[0][0]
    text = str(date.get("raw") or date.get("literal") or "")
    return next((text[i : i + 4] for i in range(len(text) - 3) if text[i : i + 4].isdecimal()), None)
