"""Take the records out of an XML document one at a time. Gives their elements no meaning.

Only what XML itself defines is resolved: a document that declares entities is left there, and nothing outside it is
ever fetched. The tree of a record is freed when the next one is asked for.
"""

import re
from collections.abc import Collection, Iterator
from typing import TextIO
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

from . import opening
from .rejected import Rejected

_CHUNK_CHARS = 1 << 16
_MAX_DEPTH = 200


class _Stop(Exception):
    """The document must not be read further; the text says why."""


def elements(file: TextIO, name: str, tags: Collection[str]) -> Iterator[tuple[int, Element] | Rejected]:
    """Yield each element with one of the tags and the line it begins on; where the document breaks off, say so.

    Namespaces are left out: ``{http://www.w3.org/2005/Atom}entry`` is ``entry``.
    """
    builder = _Records(tags)
    while True:
        # Back to bytes, as the document says itself what their encoding is.
        data = file.read(_CHUNK_CHARS).encode("utf-8", "surrogateescape")
        fault = builder.feed(data)
        yield from builder.taken()
        if fault is not None:
            line, why = fault
            yield Rejected(f"{name}:{line}", "file", why)
            return
        if not data:
            return


def text_of(element: Element | None) -> str:
    """Return all text in an element, that of the elements in it too, with single spaces; "" for None."""
    return " ".join("".join(element.itertext()).split()) if element is not None else ""


class _Records:
    """Builds the trees of the wanted elements out of what the parser reports."""

    def __init__(self, tags: Collection[str]) -> None:
        self._tags = tags
        self._builder: TreeBuilder | None = None  # while inside a record
        self._line = 0
        self._depth = 0
        self._size = 0
        self._done: list[tuple[int, Element]] = []
        parser = self._parser = expat.ParserCreate(namespace_separator=" ")
        parser.buffer_text = True
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._data
        parser.EntityDeclHandler = self._entity
        parser.SetParamEntityParsing(expat.XML_PARAM_ENTITY_PARSING_NEVER)

    def feed(self, data: bytes) -> tuple[int, str] | None:
        """Parse on (to the end, if there is no more data); return line and cause if that is not possible."""
        try:
            self._parser.Parse(data, not data)
        except expat.ExpatError as exc:
            what = expat.errors.messages.get(exc.code, "unknown error") if exc.code else "unknown error"
            where = f", in the record of line {self._line}" if self._builder is not None else ""
            return exc.lineno, f"the XML breaks off here{where}: {what}"
        except _Stop as exc:
            return self._parser.CurrentLineNumber, str(exc)
        except (LookupError, ValueError) as exc:  # an encoding that Python does not know, or cannot use
            return self._parser.CurrentLineNumber, f"the XML cannot be read: {exc}"
        return None

    def taken(self) -> Iterator[tuple[int, Element]]:
        """Yield the records that are complete, and forget them."""
        done, self._done = self._done, []
        yield from done

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        tag = name.rpartition(" ")[2]
        if self._builder is None:
            if tag not in self._tags:
                return
            self._builder, self._line, self._depth, self._size = TreeBuilder(), self._parser.CurrentLineNumber, 0, 0
        self._depth += 1
        self._size += len(tag)
        if self._depth > _MAX_DEPTH:
            raise _Stop(f"the record of line {self._line} is nested too deeply")
        self._builder.start(tag, attributes)

    def _end(self, name: str) -> None:
        if self._builder is None:
            return
        self._builder.end(name.rpartition(" ")[2])
        self._depth -= 1
        if not self._depth:
            self._done.append((self._line, self._builder.close()))
            self._builder = None

    def _data(self, text: str) -> None:
        if self._builder is not None:
            self._size += len(text)
            if self._size > opening.MAX_LINE_CHARS:
                raise _Stop(f"the record of line {self._line} has more than {opening.MAX_LINE_CHARS:,} characters")
            self._builder.data(text)

    def _entity(self, *_: object) -> None:
        raise _Stop("the document declares entities, which are not read: they can fetch files or fill the memory")


def looks_like(head: str, tag: str) -> bool:
    """Whether a document begins here that has an element ``tag``."""
    return head.lstrip().startswith("<") and re.search(rf"<(?:\w+:)?{tag}[\s>]", head) is not None
