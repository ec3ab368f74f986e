"""Read papers from a listing saved as text: a title line and an abstract line in turn. Has no other fields.

There is no syntax to hold on to, so lines are told apart by their shape. Where the turn is broken, the line
at fault is reported and the pairs after it stay together.
"""

import re
from collections.abc import Iterator, Mapping
from io import StringIO
from typing import TextIO

from ..paper import Paper
from . import opening
from .rejected import Rejected

NAME = "paper listing"
SUFFIXES: tuple[str, ...] = (".txt", ".text")
MAX_TITLE_CHARS = 300

_FURNITURE = re.compile(r"Get trending papers in your email inbox.{0,20}")
_BUTTON = "Subscribe"  # the page's button, glued to the title that follows the furniture
_MIN_PROSE_CHARS, _MIN_PROSE_WORDS = 80, 12
_SNIFFED_PAIRS = 2  # without the furniture, this many pairs and no broken turn make a listing

_Line = tuple[int, str]


def sniff(head: str) -> bool:
    """Whether the page furniture is there, or else title and abstract lines alternate without a fault."""
    lines = [line for _, line in opening.numbered_lines(StringIO(head))]
    if any(_FURNITURE.fullmatch(line) for line in lines[:5]):
        return True
    lines = lines[: len(lines) // 2 * 2]  # the last line may be cut
    titles, abstracts = lines[::2], lines[1::2]
    return (
        len(titles) >= _SNIFFED_PAIRS
        and not any(_is_prose(title) or title[0] in "@<{[#%" for title in titles)
        and all(_is_prose(abstract) for abstract in abstracts[:-1])
    )


def read(file: TextIO, name: str, field_map: Mapping[str, str] | None = None) -> Iterator[Paper | Rejected]:
    """Yield one paper for each title and abstract, or what is wrong where the turn is broken. No ``field_map``."""
    lines = _content(file)
    title, abstract = next(lines, None), next(lines, None)
    while title is not None:
        following = next(lines, None)
        if fault := _fault(title, abstract, following):
            yield Rejected(f"{name}:{title[0]}", *fault)
            title, abstract = abstract, following  # move on by one line, not by a pair
        elif abstract is not None:
            yield _paper(title, abstract, name)
            title, abstract = following, next(lines, None)


def _fault(title: _Line, abstract: _Line | None, following: _Line | None) -> tuple[str, str] | None:
    """Return the field at fault and why, if ``title`` and ``abstract`` are not what their places say."""
    text = title[1]
    next_is_prose = abstract is not None and _is_prose(abstract[1])
    if len(text) > MAX_TITLE_CHARS or (_is_prose(text) and not next_is_prose):
        return "title", f"an abstract of {len(text)} characters stands where a title should be; its title is missing"
    if abstract is None:
        return "abstract", "the file ends after this title"
    is_title = len(abstract[1]) < len(text) or (following is not None and _is_prose(following[1]))
    if not next_is_prose and is_title:
        return "abstract", f"no abstract follows this title; line {abstract[0]} looks like the next title"
    return None


def _paper(title: _Line, abstract: _Line, name: str) -> Paper | Rejected:
    for field, (number, text) in (("title", title), ("abstract", abstract)):
        if opening.undecodable(text):
            return Rejected(f"{name}:{number}", field, "the line is not UTF-8")
    try:
        return Paper.create(title[1], abstract[1])
    except ValueError as exc:
        return Rejected(f"{name}:{title[0]}", str(exc).split()[0], str(exc))


def _content(file: TextIO) -> Iterator[_Line]:
    """Yield the lines that are not page furniture."""
    after_furniture = False
    for number, line in opening.numbered_lines(file):
        if _FURNITURE.fullmatch(line):
            after_furniture = True
            continue
        line = line.removeprefix(_BUTTON).lstrip() if after_furniture else line
        after_furniture = False
        if line:
            yield number, line


def _is_prose(line: str) -> bool:
    """Whether a line can only be an abstract: too long for a title, or a full sentence of many words."""
    if len(line) > MAX_TITLE_CHARS:
        return True
    return len(line) >= _MIN_PROSE_CHARS and line.endswith(".") and len(line.split()) >= _MIN_PROSE_WORDS
