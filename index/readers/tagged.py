"""Split a file of tagged lines (``TI  - A title``) into records. Gives the tags no meaning: RIS and nbib do.

A line without a tag goes on with the field before it.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TextIO

from . import opening
from .rejected import Rejected


@dataclass(slots=True)
class Record:
    """One record.

    Attributes:
        line: Where it begins.
        fields: Tags and values in their order.
        cut: Whether the file ends before the record's end tag.
    """

    line: int
    fields: list[tuple[str, str]] = field(default_factory=list)
    cut: bool = False

    def all(self, *tags: str) -> list[str]:
        """Return the values under any of the tags, in order; those that are empty are left out."""
        return [value for tag, value in self.fields if tag in tags and value]

    def first(self, *tags: str) -> str:
        """Return the value under the first of the tags that has one, "" if none has."""
        return next((values[0] for tag in tags if (values := self.all(tag))), "")


def records(
    file: TextIO, name: str, tag_line: re.Pattern[str], start: str, end: str | None
) -> Iterator[Record | Rejected]:
    """Yield the records of a file.

    Args:
        file: The file.
        name: Its name for :attr:`Rejected.where`.
        tag_line: What a line with a tag looks like; its groups are the tag and the value.
        start: The tag that begins a record.
        end: The tag that ends one; None where only the next record does.
    """
    record: Record | None = None
    parts: list[tuple[str, list[str]]] = []  # of the record: tags, and the lines of their values
    size = 0
    for number, line in opening.raw_lines(file):
        match = tag_line.match(line)
        tag, value = (match[1], (match[2] or "").strip()) if match else ("", line.strip())
        if tag == start:
            if record is not None:
                yield _checked(record, parts, name, size)
            record, parts, size = Record(number), [], 0
        if record is None:
            continue  # a preface, or what follows a record's end
        size += len(line)
        if tag == end:
            yield _checked(record, parts, name, size)
            record = None
        elif size > opening.MAX_LINE_CHARS:
            parts.clear()
        elif tag:
            parts.append((tag, [value]))
        elif parts and value:
            parts[-1][1].append(value)
    if record is not None:
        record.cut = end is not None
        yield _checked(record, parts, name, size)


def _checked(record: Record, parts: list[tuple[str, list[str]]], name: str, size: int) -> Record | Rejected:
    if size > opening.MAX_LINE_CHARS:
        why = f"the record has more than {opening.MAX_LINE_CHARS:,} characters"
        return Rejected(f"{name}:{record.line}", "record", why)
    record.fields = [(tag, " ".join(values)) for tag, values in parts]
    for tag, value in record.fields:
        if opening.undecodable(value):
            return Rejected(f"{name}:{record.line}", "record", f"its field {tag} is not UTF-8")
    return record
