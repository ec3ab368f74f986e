"""Read papers from a table with a header: CSV, with commas or semicolons, and TSV. Guesses no column by its values.

A row whose quotes do not add up is reported, and reading goes on with the line after the row's first: a lost quote
costs one row and not all that follow.
"""

import csv
from collections import deque
from collections.abc import Iterator, Mapping
from typing import TextIO

from ..errors import CorpusError
from ..paper import Paper
from . import opening
from .records import NAMES, paper_from_record
from .rejected import Rejected

NAME = "CSV or TSV"
SUFFIXES: tuple[str, ...] = (".csv", ".tsv", ".tab")

_DELIMITERS = (",", ";", "\t", "|")
_PREFACE_LINES = 5  # Dimensions has a line about the data before the header, Excel "sep=;"
_MAX_ROW_CHARS = 400_000  # a lost quote is noticed here at the latest; no row of a bibliography is as long
# The column names of Web of Science's tab-delimited export.
_WOS_MARK = frozenset(("PT", "AU", "TI", "UT"))
_WOS = {
    "TI": "title", "AB": "abstract", "AF": "author full names", "AU": "authors", "PY": "year", "SO": "venue",
    "DI": "doi", "DE": "keywords", "ID": "keywords plus", "PM": "pmid", "UT": "accession number",
}  # fmt: skip


def sniff(head: str) -> bool:
    """Whether a header with a title and another field we know is among the first lines."""
    return _header(head, {}) is not None


def has_columns(head: str, field_map: Mapping[str, str]) -> bool:
    """Whether a header with all the columns that a field map names is among the first lines."""
    return bool(field_map) and _header(head, field_map) is not None


def check_columns(head: str, field_map: Mapping[str, str]) -> None:
    """Refuse a table that cannot give papers.

    Raises:
        CorpusError: If a column that the map names is missing, or there is none for title or abstract. The message
            does not name the file.
    """
    found = _header(head, {})
    if found is None:
        found = _header(head, field_map) or (0, ",", _cells(head.split("\n", 1)[0], _likely_delimiter(head)))
    columns = {name.strip().lower() for name in found[2]}
    shown = ", ".join(name.strip() for name in found[2] if name.strip())[:500]
    for ours, column in field_map.items():
        if column.strip().lower() not in columns:
            raise CorpusError(f"it has no column {column!r} to take the {ours} from; its columns are {shown}")
    for ours in ("title", "abstract"):
        if ours not in field_map and not columns & set(NAMES[ours]):
            hint = f"name it with --map {ours}=COLUMN"
            raise CorpusError(f"none of its columns is known to be the {ours}: {shown}; {hint}")


def read(file: TextIO, name: str, field_map: Mapping[str, str] | None = None) -> Iterator[Paper | Rejected]:
    """Yield one paper for each row, or what is wrong with it."""
    lines = _Lines(file)
    head = "".join(lines.peek(_PREFACE_LINES + 1))
    nothing: tuple[int, str, list[str]] = (0, _likely_delimiter(head), [])
    skipped, delimiter, columns = _header(head, {}) or _header(head, field_map or {}) or nothing
    for _ in range(skipped):
        next(lines, None)
    if not columns:
        columns = _cells(next(lines, ""), delimiter)
    else:
        next(lines, None)
    for line, row in _rows(lines, delimiter):
        where = f"{name}:{line}"
        if isinstance(row, str):
            yield Rejected(where, "record", row)
        elif len(row) > len(columns) and any(cell.strip() for cell in row[len(columns) :]):
            yield Rejected(where, "record", f"the row has {len(row)} cells, the header {len(columns)}")
        elif any(map(opening.undecodable, row)):
            yield Rejected(where, "record", "the row is not UTF-8")
        elif any(cell.strip() for cell in row):
            record: dict[str, str] = {}
            for column, cell in zip(columns, row, strict=False):
                if cell := cell.strip():
                    record.setdefault(column, cell)
            yield paper_from_record(record, where, field_map, tagged=True)


def _rows(lines: "_Lines", delimiter: str) -> Iterator[tuple[int, list[str] | str]]:
    """Yield the line and the cells of each row, or in their place what is wrong with it."""
    while True:
        lines.commit()
        start = lines.number + 1
        line = next(lines, None)
        if line is None:
            return
        if '"' not in line:  # most rows of many tables, and then there is nothing to parse
            yield start, line.rstrip("\n").split(delimiter)
            continue
        try:
            yield start, next(csv.reader(_from(line, lines), delimiter=delimiter, strict=True))
        except csv.Error as exc:
            lines.back_to(start)
            yield start, f"its quotes do not add up ({exc}); a quote within a cell is written twice"


def _from(line: str, lines: "_Lines") -> Iterator[str]:
    yield line
    size = len(line)
    for more in lines:
        if (size := size + len(more)) > _MAX_ROW_CHARS:
            raise csv.Error("a cell has no end")
        yield more


def _header(head: str, field_map: Mapping[str, str]) -> tuple[int, str, list[str]] | None:
    """Return the lines before the header, the delimiter and the columns, None if there is no header we know."""
    wanted = {column.strip().lower() for column in field_map.values()}
    for number, line in enumerate(head.split("\n")[:_PREFACE_LINES]):
        for delimiter in _DELIMITERS:
            cells = _cells(line, delimiter)
            lower = {cell.strip().lower() for cell in cells}
            if len(cells) > 1 and (wanted <= lower if wanted else _is_known(lower)):
                return number, delimiter, cells
    return None


def _is_known(columns: set[str]) -> bool:
    known = [ours for ours, names in NAMES.items() if columns & set(names)]
    return "title" in known and len(known) > 1


def _cells(line: str, delimiter: str) -> list[str]:
    try:
        cells = next(csv.reader([line], delimiter=delimiter, strict=True), [])
    except csv.Error:
        return []
    return [_WOS.get(cell.strip(), cell) for cell in cells] if _WOS_MARK <= {c.strip() for c in cells} else cells


def _likely_delimiter(head: str) -> str:
    return max(_DELIMITERS, key=head.split("\n", 1)[0].count)


class _Lines(Iterator[str]):
    """The lines of a file, with a way back to one that was read since the last commit."""

    def __init__(self, file: TextIO) -> None:
        self._source = (line for _, line in opening.raw_lines(file))
        self._read: list[str] = []
        self._ahead: deque[str] = deque()
        self.number = 0  # of the last line given

    def __next__(self) -> str:
        line = self._ahead.popleft() if self._ahead else next(self._source)
        self._read.append(line)
        self.number += 1
        return line

    def peek(self, count: int) -> list[str]:
        """Return the next lines, up to ``count``, without going on."""
        while len(self._ahead) < count and (line := next(self._source, None)) is not None:
            self._ahead.append(line)
        return list(self._ahead)[:count]

    def commit(self) -> None:
        """Forget the lines given so far."""
        self._read.clear()

    def back_to(self, number: int) -> None:
        """Give the lines after ``number`` again."""
        keep = len(self._read) - (self.number - number)
        self._ahead.extendleft(reversed(self._read[keep:]))
        self.number = number
