r"""Read papers from BibTeX and BibLaTeX, entry by entry. Resolves no crossref; leaves LaTeX to :mod:`.latex`.

An entry ends where its braces are closed. If they never are, it ends where a line begins the next one, so that a lost
brace costs one entry. The key of an entry is no id, as two files use one for different papers: it goes into ``extra``.

Citewell's own files carry the id as ``citewell-id`` and what BibTeX cannot say as ``citewell-exact``, see
:mod:`index.readers.exact`.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, TextIO

from ..paper import MAX_TEXT_CHARS, Paper
from . import opening
from .exact import overlay
from .latex import plain_text
from .records import paper_from_fields
from .rejected import Rejected

NAME = "BibTeX"
SUFFIXES: tuple[str, ...] = (".bib", ".bibtex")
OWN_ID, OWN_EXACT = "citewell-id", "citewell-exact"

_ENTRY = re.compile(r"@\s*+[A-Za-z]++\s*+([{(])")
_NEXT_ENTRY = re.compile(r"@\s*+[A-Za-z]++\s*+([{(])")
_SNIFF = re.compile(r"^[ \t]*@\s*(?!comment|preamble)[A-Za-z]+\s*[{(]\s*[^\s{}(),]*\s*[,=]", re.M | re.I)
_STRAY_FIELD = re.compile(r"\s*+(?:\}|,?\s*+[A-Za-z][\w-]*+\s*+=\s*+[{\"\d])")
_BRACES = re.compile(r"[{}]")
_QUOTED = re.compile(r'[{}]|(?<!\\)"|(?<=\\)"(?=\s*[,#}])')  # the sign of an accent outside braces is let pass
_HEAD = re.compile(r"\s*@\s*([A-Za-z]+)\s*[{(]\s*(?:([^\s,={}\"]*)\s*(?:,|(?=[})]\s*$)))?")
_NAME = re.compile(r"[\s,]*([^\s,={}\"#()]+)\s*=\s*")
_WORD = re.compile(r"[^\s,={}\"#()]+")
_CONCATENATION = re.compile(r"\s*#\s*")
_AND = re.compile(r"[{}]|\sand\s", re.I)
_MAX_VALUE_CHARS = 10 * MAX_TEXT_CHARS  # macros can be doubled without an end
_MAX_MACROS = 100_000
_MONTHS = {month[:3].lower(): month for month in (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)}  # fmt: skip
_VENUES = ("journal", "journaltitle", "booktitle")
_TAKEN = frozenset(
    ("title", "abstract", "author", "year", "date", "doi", "url", "keywords", "keyword", "eprint", "archiveprefix",
     "eprinttype", "arxivid", "pmid", OWN_ID, OWN_EXACT)
)  # fmt: skip
_ARXIV_JOURNAL = re.compile(r"arxiv(?: preprint)?(?: arxiv)?:\s*([a-z.-]+/\d{7}|\d{4}\.\d{4,5})", re.I)


class _EntryError(ValueError):
    """An entry is not as BibTeX wants it; the text says where."""


def sniff(head: str) -> bool:
    """Whether a line begins an entry."""
    return _SNIFF.search(head) is not None


def read(file: TextIO, name: str, field_map: Mapping[str, str] | None = None) -> Iterator[Paper | Rejected]:
    """Yield one paper for each entry, or what is wrong with it. BibTeX names its fields itself: no ``field_map``."""
    macros: dict[str, str] = dict(_MONTHS)
    for line, text, fault in _entries(file):
        head = _HEAD.match(text)
        kind, key = (head[1].lower(), head[2] or "") if head else ("", "")
        if kind in ("comment", "preamble"):
            continue
        shown = f" ({key[:60]})" if key and kind != "string" and not opening.undecodable(key) else ""
        where = f"{name}:{line}{shown}"
        if fault or head is None:
            yield Rejected(where, "record", fault or "it is no entry")
            continue
        if opening.undecodable(text):
            yield Rejected(where, "record", "the entry is not UTF-8")
            continue
        try:
            if kind == "string":
                _define(text, head.start(2) if head[2] is not None else head.end(), macros)
            else:
                yield _paper(_fields(text, head.end(), macros), kind, key, where)
        except _EntryError as exc:
            yield Rejected(where, "record", str(exc))


def _entries(file: TextIO) -> Iterator[tuple[int, str, str]]:
    """Yield line, text and fault ("" if none) of each entry; what stands between entries is BibTeX's comment."""
    closed: tuple[int, str] | None = None  # an entry held back until what follows shows that it was closed in time
    for line, text, fault in _pieces(file):
        is_entry = line > 0
        if closed and (is_entry or text.strip()):
            is_stray = not is_entry and _STRAY_FIELD.match(text)
            yield *closed, "a closing brace too many ends it before its last field" if is_stray else ""
            closed = None
        if is_entry and fault:
            yield line, text, fault
        elif is_entry:
            closed = line, text
    if closed:
        yield *closed, ""


def _pieces(file: TextIO) -> Iterator[tuple[int, str, str]]:
    """Yield entries as :func:`_entries` does, and what stands between them with 0 for the line."""
    entry: _OpenEntry | None = None
    for number, line in opening.raw_lines(file):
        if entry is not None and _NEXT_ENTRY.match(line):
            yield entry.line, entry.text(), "it has no end: a brace is not closed"
            entry = None
        place = 0
        while place < len(line):
            if entry is None:
                match = None if place == 0 and line.lstrip().startswith("%") else _ENTRY.search(line, place)
                yield 0, line[place : match.start() if match else None], ""
                if match is None:
                    break
                entry, place = _OpenEntry(number, match[1] == "("), match.start()
            end = entry.take(line, place)
            place = len(line) if end is None else end
            if end is not None:
                yield entry.line, entry.text(), entry.fault
                entry = None
    if entry is not None:
        yield entry.line, entry.text(), "the file ends before the entry does: a brace is not closed"


class _OpenEntry:
    """The lines of an entry up to the brace that closes it."""

    def __init__(self, line: int, in_parentheses: bool) -> None:
        self.line = line
        self.fault = ""
        self._in_parentheses = in_parentheses
        self._parts: list[str] = []
        self._depth = 0
        self._size = 0

    def take(self, line: str, place: int) -> int | None:
        """Take a line from ``place`` on; return where in it the entry ends, None if it goes on."""
        self._size += len(line) - place
        if self._size > opening.MAX_LINE_CHARS:
            self.fault = f"it has more than {opening.MAX_LINE_CHARS:,} characters"
            return len(line)
        for brace in _BRACES.finditer(line, place):
            self._depth += 1 if brace[0] == "{" else -1
            if self._depth <= 0 and not self._in_parentheses:
                self._parts.append(line[place : brace.end()])
                return brace.end()
        self._parts.append(line[place:])
        if self._in_parentheses and self._depth <= 0 and line.rstrip().endswith(")"):
            return len(line)
        return None

    def text(self) -> str:
        """Return what was taken."""
        return "".join(self._parts)


def _define(text: str, place: int, macros: dict[str, str]) -> None:
    """Add the macros of an ``@string``."""
    for name, value in _fields(text, place, macros).items():
        if len(macros) >= _MAX_MACROS:
            raise _EntryError(f"the file defines more than {_MAX_MACROS:,} macros")
        macros[name] = value


def _fields(text: str, place: int, macros: Mapping[str, str]) -> dict[str, str]:
    """Return the fields from ``place`` on as they are written; the first of two with one name counts."""
    fields: dict[str, str] = {}
    while match := _NAME.match(text, place):
        value, place = _value(text, match.end(), macros, match[1])
        fields.setdefault(match[1].lower(), value)
    if rest := text[place:].strip(" \t\r\n,})"):
        raise _EntryError(f"a field with '=' is expected at {' '.join(rest.split())[:40]!r}")
    return fields


def _value(text: str, place: int, macros: Mapping[str, str], name: str) -> tuple[str, int]:
    """Return a value, its parts joined, and where it ends."""
    parts: list[str] = []
    size = 0
    while True:
        part, place = _part(text, place, macros, name)
        parts.append(part)
        size += len(part)
        if size > _MAX_VALUE_CHARS:
            raise _EntryError(f"the value of {name} has more than {_MAX_VALUE_CHARS:,} characters")
        match = _CONCATENATION.match(text, place)
        if match is None:
            return "".join(parts), place
        place = match.end()


def _part(text: str, place: int, macros: Mapping[str, str], name: str) -> tuple[str, int]:
    """Return a value in braces or quotes, a number or what a macro stands for, and where it ends."""
    opened = text[place : place + 1]
    if opened == "{":
        depth = 0
        for brace in _BRACES.finditer(text, place):
            depth += 1 if brace[0] == "{" else -1
            if not depth:
                return text[place + 1 : brace.start()], brace.end()
    elif opened == '"':
        depth = 0
        for sign in _QUOTED.finditer(text, place + 1):
            depth += (sign[0] == "{") - (sign[0] == "}")
            if sign[0] == '"' and not depth:
                return text[place + 1 : sign.start()], sign.end()
    elif word := _WORD.match(text, place):
        return macros.get(word[0].lower(), word[0]), word.end()
    raise _EntryError(f"the value of {name} has no end" if opened in ("{", '"') and opened else f"{name} has no value")


def _paper(raw: Mapping[str, str], kind: str, key: str, where: str) -> Paper | Rejected:
    own = OWN_ID in raw or OWN_EXACT in raw
    plain = {name: plain_text(value) for name, value in raw.items() if name not in ("author", "doi", "url")}
    eprint, prefix = plain.get("eprint", "").strip(), plain.get("archiveprefix", plain.get("eprinttype", "")).lower()
    venue = next((name for name in _VENUES if plain.get(name, "").strip()), "")
    fields: dict[str, Any] = {
        "title": plain.get("title", ""),
        "abstract": plain.get("abstract", ""),
        "authors": _authors(raw.get("author", "")),
        "date": " ".join((plain.get("year") or plain.get("date", "")).split()),
        "venue": plain.get(venue, ""),
        "url": _address(raw.get("url", "")),
        "doi": _address(raw.get("doi", "")),
        "tags": _tags(plain.get("keywords") or plain.get("keyword", "")),
        "pmid": plain.get("pmid", "") or (eprint if prefix in ("pubmed", "pmid") else ""),
        "arxiv": plain.get("arxivid", "") or (eprint if prefix == "arxiv" else ""),
    }
    used = {*_TAKEN, venue} - ({"eprint"} if prefix not in ("arxiv", "pubmed", "pmid") else set())
    extra: dict[str, Any] = {
        name: " ".join(value.split()) for name, value in plain.items() if name not in used and value.strip()
    }
    if own:
        fields["id"] = plain.get(OWN_ID, "")
        try:
            fields, extra = overlay(fields, extra, plain.get(OWN_EXACT) or "{}")
        except ValueError as exc:
            return Rejected(where, OWN_EXACT, str(exc))
        return paper_from_fields(fields, extra, where, exact=True)
    if not fields["arxiv"] and (match := _ARXIV_JOURNAL.search(fields["venue"])):
        fields["arxiv"] = match[1]
    for name, value in (("eprint", eprint), ("key", key), ("type", kind)):
        if value and (name != "eprint" or name in extra):
            extra[name] = value
    return paper_from_fields(fields, extra, where, tagged=True)


def _authors(source: str) -> list[str]:
    """Split at "and" outside braces: a name in braces, such as that of a firm, is one."""
    names, depth, start = [], 0, 0
    source = " ".join(source.split())
    for sign in _AND.finditer(source):
        if sign[0] in "{}":
            depth += 1 if sign[0] == "{" else -1
        elif depth <= 0:
            names.append(source[start : sign.start()])
            start = sign.end()
    found = (plain_text(name).strip() for name in (*names, source[start:]))
    return [name for name in found if name and name.lower() != "others"]


def _tags(keywords: str) -> list[str]:
    return [tag.strip() for tag in re.split(";" if ";" in keywords else ",", keywords) if tag.strip()]


def _address(source: str) -> str:
    r"""Return an address, which BibTeX prints as it stands: only ``\_`` and the like, and ``\url{…}``, are read."""
    return re.sub(r"\\([%&#$_{}~])", r"\1", re.sub(r"\\url\s*\{([^{}]*)\}", r"\1", source)).strip().strip("{}")
