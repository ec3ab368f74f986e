"""Read papers from JSON Lines: one JSON object a line. Knows nothing of JSON that spans lines."""

import json
from collections.abc import Iterator
from io import StringIO
from typing import Any, TextIO

from ..paper import Paper
from . import opening
from .records import paper_from_record
from .rejected import Rejected

NAME = "JSON Lines"
SUFFIXES: tuple[str, ...] = (".jsonl", ".ndjson")


def sniff(head: str) -> bool:
    """Whether some line among the first is a JSON object; a first line longer than ``head`` must look like one."""
    if not head.lstrip().startswith("{"):
        return False
    lines = [line for _, line in opening.numbered_lines(StringIO(head))]
    if len(lines) == 1 and lines[0].startswith('{"') and not head.endswith("\n"):
        return True
    return any(isinstance(_parse(line), dict) for line in lines)


def read(file: TextIO, name: str) -> Iterator[Paper | Rejected]:
    """Yield one paper a line, or what is wrong with the line."""
    for number, line in opening.numbered_lines(file):
        where = f"{name}:{number}"
        if len(line) >= opening.MAX_LINE_CHARS:
            yield Rejected(where, "record", f"the line has more than {opening.MAX_LINE_CHARS:,} characters")
        elif opening.undecodable(line):
            yield Rejected(where, "record", "the line is not UTF-8")
        elif isinstance(record := _parse(line), dict):
            yield paper_from_record(record, where)
        elif isinstance(record, ValueError):
            yield Rejected(where, "record", f"the line is not JSON: {record}")
        else:
            yield Rejected(where, "record", f"the line holds a {type(record).__name__}, an object is needed")


def _parse(line: str) -> Any:
    """Return the line's value, or the error that stopped it."""
    try:
        # NaN, which pandas and Python write for a missing number, is not JSON; it means "unknown".
        value = json.loads(line, parse_constant=lambda _: None)
    except RecursionError:
        return ValueError("it is nested too deeply")
    except ValueError as exc:
        return exc
    if "\\ud" in line.lower() and _has_lone_surrogate(value):
        return ValueError("half of a surrogate pair is missing")
    return value


def _has_lone_surrogate(value: Any) -> bool:
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return True
    return False
