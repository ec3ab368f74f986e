"""What a format cannot say about a paper, as one JSON object in a field of Citewell's own. Reads no file.

A writer asks :func:`unsaid` what reading its own entry loses and puts that into the field; the reader lays it over what
it read with :func:`overlay`. So a paper comes back as it was from every format.
"""

import json
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from ..paper import Paper
from .rejected import Rejected

_FIELDS = tuple(field.name for field in fields(Paper))


def unsaid(paper: Paper, read: Paper | Rejected) -> str:
    """Return the values of ``paper`` that ``read``, made from its entry, does not have, as ASCII JSON; "" if none."""
    wanted: dict[str, Any] = {}
    for name in _FIELDS:
        value = getattr(paper, name)
        found = getattr(read, name, None)
        if name == "extra":
            known = found if isinstance(found, Mapping) else {}
            value = {key: item for key, item in value.items() if key not in known or known[key] != item}
            found = {}
        if value != found or (isinstance(read, Rejected) and value):
            wanted[name] = value
    return json.dumps(wanted, ensure_ascii=True) if wanted else ""


def overlay(fields: Mapping[str, Any], extra: Mapping[str, Any], text: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Lay the values in ``text``, made by :func:`unsaid`, over the fields and the extra that were read.

    Raises:
        ValueError: If the text is not such an object.
    """
    try:
        values = json.loads(text)
        json.dumps(values, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise ValueError("half of a surrogate pair is missing") from None
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    if not isinstance(values, dict) or not set(values) <= set(_FIELDS) or not isinstance(values.get("extra", {}), dict):
        raise ValueError("it does not hold the fields of a paper")
    merged = {**extra, **values.pop("extra", {})}
    kept = dict(fields)
    if "identifiers" in values:
        kept = {name: value for name, value in kept.items() if name not in ("arxiv", "pmid")}
    if "year" in values:
        kept.pop("date", None)
    return kept | values, merged
