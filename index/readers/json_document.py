"""Read papers from one JSON document: a list of records, or an object that holds one. Not for a record a line.

The document is cut into its records by brackets and strings alone, so that one record is in memory at a time, each
has its line, and one that is no JSON is reported while the rest is read.
"""

import re
from collections.abc import Iterator, Mapping
from typing import TextIO

from ..paper import Paper
from . import opening
from .json_records import paper_from_json, parsed
from .rejected import Rejected

NAME = "JSON"
SUFFIXES: tuple[str, ...] = (".json",)

_LISTS = frozenset(
    "papers results items records references articles works entries documents publications data docs".split()
)
_HOLDERS = frozenset(("message", "data", "response", "result", "hits"))  # objects around the list, as at Crossref
# A string ends at its line's end at the latest: JSON has no line ends in strings, so a lost quote harms one record.
_STRING = r'"[^"\\\n]*+(?:\\.[^"\\\n]*+)*+(?:["\n]|\\?\Z)'
_TOKEN = re.compile(_STRING + r'|\\|[\[\]{},:]|[^\s"\\\[\]{},:]++')
_BRACKET = re.compile(_STRING + r"|[\[\]{}]")
_SCALAR = re.compile(_STRING + r"|[^,\]\s]++")
_OBJECTS = re.compile(r"\s*+(?:[{\]]|$)")
_BETWEEN = re.compile(r"[\s,]*+")
_PARTNERS = {"}": "{", "]": "["}
_CHUNK_CHARS = 1 << 16
_MAX_DEPTH = 50
_PATIENCE_CHARS = 1 << 18  # no record is as long; beyond, one that seems to hold others is taken for broken


def sniff(head: str) -> bool:
    """Whether a list of objects begins here, or an object in which there is one under a name such as "results"."""
    start = head.lstrip()
    if start.startswith("["):
        return re.match(r"\[\s*(?:[{\]]|$)", start) is not None
    if not start.startswith("{"):
        return False
    first, *rest = [line.strip() for line in start.split("\n", 2)[:2]]
    if first.endswith("}") and rest and rest[0].startswith("{"):
        return False  # a record a line
    return first == "{" or _list_start(start) is not None


def read(file: TextIO, name: str, field_map: Mapping[str, str] | None = None) -> Iterator[Paper | Rejected]:
    """Yield one paper for each record, or what is wrong with it."""
    document = _Document(file)
    document.grow(opening.HEAD_BYTES)
    start = _list_start(document.text)
    if start is None:
        yield _single(document, name, field_map)
        return
    document.advance(start)
    for line, record in document.elements():
        where = f"{name}:{line}"
        if isinstance(record, str):
            yield paper_from_json(record, where, field_map)
        else:
            yield Rejected(where, record.field, record.why)


def _single(document: "_Document", name: str, field_map: Mapping[str, str] | None) -> Paper | Rejected:
    """Return the paper that the whole document is, if it is one."""
    document.grow(opening.MAX_LINE_CHARS)
    document.skip_separators()
    where = f"{name}:{document.line}"
    record = paper_from_json(document.text, where, field_map)
    if isinstance(record, Rejected) and record.field in ("title", "record"):
        lists = ", ".join(sorted(_LISTS))
        return Rejected(where, record.field, f"{record.why}; and there is no list of records under {lists}")
    return record


def _list_start(head: str) -> int | None:
    """Return the place behind the bracket that opens the list of records, None if there is no such list.

    An object is walked key by key; values are passed over, but for those that are lists of objects under one of
    the known names, and the objects around such lists.
    """
    tokens = _TOKEN.finditer(head)
    first = next(tokens, None)
    if first is None or first[0] != "{":
        return first.end() if first is not None and first[0] == "[" else None
    key, level = None, 1  # how many objects are open that are walked
    for token in tokens:
        sign = token[0]
        if sign in (",", ":"):
            continue
        if sign == "}":
            level, key = level - 1, None
        elif key is None:
            key = sign.strip('"').lower() if sign.startswith('"') else "title"
        elif sign == "[" and key in _LISTS and _OBJECTS.match(head, token.end()):
            return token.end()
        else:
            level += _walk_into(key, tokens) if sign in ("{", "[") else 0
            key = None
        if key == "title" or not level:  # a record itself, or no JSON
            return None
    return None


def _walk_into(key: str, tokens: Iterator[re.Match[str]]) -> bool:
    """Whether to walk through what has just begun; if not, go on to its end."""
    if key in _HOLDERS:
        return True
    depth = 1
    while depth and (token := next(tokens, None)) is not None:
        depth += (token[0] in ("{", "[")) - (token[0] in ("}", "]"))
    return False


class _Document:
    """The part of a document that is in memory, how far it has been read, and the line there."""

    def __init__(self, file: TextIO) -> None:
        self.text = ""
        self.place = 0
        self.line = 1
        self._file = file

    def grow(self, chars: int) -> bool:
        """Forget what has been read and take up more; tell whether there was more."""
        self.text = self.text[self.place :]
        self.place = 0
        more = self._file.read(chars)
        self.text += more
        return bool(more)

    def advance(self, place: int) -> None:
        """Go to a later place."""
        self.line += self.text.count("\n", self.place, place)
        self.place = place

    def skip_separators(self) -> None:
        """Go past white space and commas."""
        self.advance(_BETWEEN.match(self.text, self.place).end())  # type: ignore[union-attr]

    def elements(self) -> Iterator[tuple[int, str | Rejected]]:
        """Yield the line and the text of each element up to the end of the list, or what is wrong there.

        An element that runs into the next ones is left where a line begins an object with the same indentation.
        """
        while True:
            self.skip_separators()
            if self.place == len(self.text):
                if not self.grow(_CHUNK_CHARS):
                    yield self.line, Rejected("", "file", "the document breaks off: its list of records has no end")
                    return
                continue
            if self.text[self.place] == "]":
                return
            indentation = self._indentation()
            end = self._end(indentation)
            following = self._following(indentation, end)
            line, text = self.line, "" if end is None else self.text[self.place : end]
            if following is not None and isinstance(parsed(text), ValueError):
                yield line, Rejected("", "record", "it is not JSON: a quote or a bracket is not closed")
                self.advance(following)
            elif end is not None:
                self.advance(end)
                yield line, text
            else:
                yield line, Rejected("", "file", "the document breaks off in this record, or the record is too long")
                return

    def _indentation(self) -> str | None:
        """Return the white space before an object that begins a line; None before anything else."""
        before = self.text[max(self.place - 200, 0) : self.place].rpartition("\n")
        return before[2] if before[1] and not before[2].strip() and self.text[self.place] == "{" else None

    def _following(self, indentation: str | None, end: int | None) -> int | None:
        """Return where a later line begins an object with this indentation, None if none does up to ``end``."""
        if indentation is None:
            return None
        place = self.text.find(f"\n{indentation}{{", self.place, end)
        return None if place < 0 else place + 1 + len(indentation)

    def _end(self, indentation: str | None) -> int | None:
        """Return where the element that begins here ends; None if it does not end, or not soon enough."""
        is_scalar = self.text[self.place] not in "{["
        pattern, resume, nesting = _SCALAR if is_scalar else _BRACKET, 0, _Nesting()
        while nesting.depth <= _MAX_DEPTH:
            for token in pattern.finditer(self.text, self.place + resume):
                if token.end() == len(self.text) and (is_scalar or token[0].startswith('"')):
                    break  # it may go on
                resume = token.end() - self.place
                if is_scalar or nesting.take(token[0]):
                    return token.start() if nesting.overrun else token.end()
                if nesting.depth > _MAX_DEPTH:
                    break
            size = len(self.text) - self.place
            if size > _PATIENCE_CHARS and self._following(indentation, None) is not None:
                break
            if size >= opening.MAX_LINE_CHARS or not self.grow(max(_CHUNK_CHARS, size)):
                break
        return None


class _Nesting:
    """The brackets that are open."""

    def __init__(self) -> None:
        self._opened = ""
        self.overrun = False  # whether a bracket closed that was opened before all of them

    @property
    def depth(self) -> int:
        """How many there are."""
        return len(self._opened)

    def take(self, sign: str) -> bool:
        """Take a bracket or a string; tell whether that was the end."""
        if sign in ("{", "["):
            self._opened += sign
        elif sign in _PARTNERS:
            partner = self._opened.rfind(_PARTNERS[sign])
            self.overrun = partner < 0 and sign == "]"
            self._opened = self._opened[: max(partner, 0)]  # what was opened since has no end of its own
            return not self._opened
        return False
