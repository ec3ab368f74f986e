"""Read papers from JSON Lines: one JSON object a line. Knows nothing of JSON that spans lines."""

from collections.abc import Iterator, Mapping
from io import StringIO
from typing import TextIO

from ..paper import Paper
from . import opening
from .json_records import paper_from_json, parsed
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
    return any(isinstance(parsed(line), dict) for line in lines)


def read(file: TextIO, name: str, field_map: Mapping[str, str] | None = None) -> Iterator[Paper | Rejected]:
    """Yield one paper a line, or what is wrong with the line."""
    for number, line in opening.numbered_lines(file):
        where = f"{name}:{number}"
        if len(line) >= opening.MAX_LINE_CHARS:
            yield Rejected(where, "record", f"the line has more than {opening.MAX_LINE_CHARS:,} characters")
        else:
            yield paper_from_json(line, where, field_map)
