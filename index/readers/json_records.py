"""Turn a JSON text into a paper, whichever source wrote it. Does not split files into records.

A source whose records need more than other names for the fields has a module of its own with ``recognises`` and
``fields``.
"""

import json
from collections.abc import Mapping
from typing import Any, Protocol

from ..paper import Paper
from . import arxiv_snapshot, csl, openalex, opening
from .records import paper_from_record
from .rejected import Rejected


class Source(Protocol):
    """A module that knows how one source writes a record."""

    def recognises(self, record: Mapping[str, Any]) -> bool:
        """Whether the record is one of this source's."""
        ...

    def fields(self, record: Mapping[str, Any]) -> dict[str, Any]:
        """Return the record's fields by our names; ``extra`` of the paper is what has no such name."""
        ...


_SOURCES: tuple[Source, ...] = (openalex, arxiv_snapshot, csl)
_TAGGED: tuple[Source, ...] = (openalex, csl)


def paper_from_json(text: str, where: str, field_map: Mapping[str, str] | None = None) -> Paper | Rejected:
    """Build a paper from the JSON text of a record."""
    if opening.undecodable(text):
        return Rejected(where, "record", "it is not UTF-8")
    record = parsed(text)
    if isinstance(record, ValueError):
        return Rejected(where, "record", f"it is not JSON: {record}")
    if not isinstance(record, dict):
        return Rejected(where, "record", f"it is {text.strip()[:40]}, an object is needed")
    if isinstance(record.get("extra"), dict):  # as Citewell writes it
        return paper_from_record(record, where, field_map)
    source = next((source for source in _SOURCES if source.recognises(record)), None)
    if source is not None:
        # What the user maps is looked up under the names of the file, so those stay.
        kept = {name: record[name] for name in (field_map or {}).values() if name in record}
        record = kept | source.fields(record)
    return paper_from_record(record, where, field_map, tagged=source in _TAGGED)


def parsed(text: str) -> Any:
    """Return the value of a JSON text, or the error that stopped it."""
    try:
        # NaN, which pandas and Python write for a missing number, is not JSON; it means "unknown".
        value = json.loads(text, parse_constant=lambda _: None)
    except RecursionError:
        return ValueError("it is nested too deeply")
    except ValueError as exc:
        return exc
    if "\\ud" in text.lower() and _has_lone_surrogate(value):
        return ValueError("half of a surrogate pair is missing")
    return value


def _has_lone_surrogate(value: Any) -> bool:
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return True
    return False
