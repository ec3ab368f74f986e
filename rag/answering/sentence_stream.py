"""Cut what a model writes into sentences, as it comes. Judges no sentence.

A model writes pieces that respect neither words nor markers nor tags. What comes out is text to show while it comes,
and each sentence as soon as no further text can change it:

- thinking is taken out, and whatever is never seen: control and zero-width characters, hidden text;
- citation markers in any form ([1], [1, 2], [1-3], [[1]], 【1†source】, "Paper 2"; not intervals) are taken out of the
  text; of the numbers in them, those that name a paper of the prompt are kept with the sentence, as a hint, all others
  are counted;
- bullets, headings' marks and emphasis are taken out; a list item, or a paragraph, ends a sentence without a full stop;
- a line that begins like a turn of a conversation ("Question: …"), or a chat template's tag behind the first word,
  ends the answer: the model is talking to itself.

The text between two sentences in what :meth:`SentenceStream.feed` yields is the text of the second.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from index.sentences import sentence_spans

from ..safety import (
    CLOSING,
    MARKER,
    MARKER_RUN,
    OPENING,
    PARENTHESES,
    TURN_TAG,
    marker_numbers,
    strip_markers,
    visible,
)
from .thinking import Restart, ThinkingFilter

_OPENING, _CLOSING = re.escape(OPENING), re.escape(CLOSING)
_INSIDE = rf"[^{_OPENING}{_CLOSING}\n]{{0,60}}"
_MARKER_BEGUN = re.compile(
    rf"(?:[{_OPENING}]\s?){{1,2}}{_INSIDE}\Z|[{_OPENING}][{_OPENING}]{_INSIDE}[{_CLOSING}]\Z"
    r"|<[|｜/]?[^<>|｜\n]{0,60}[|｜]?\Z"  # a template's tag
)
_MARKER_CUT = re.compile(rf"[{_OPENING}]{{1,2}}[\d ,;–—-]*(?:†{_INSIDE})?\Z")
_WORD_BEGUN = re.compile(r"[^\s。！？]+\Z")
_BLANKS, _LINES = re.compile(r"[^\S\n]+"), re.compile(r"\n(?:[^\S\n]*\n)+")  # runs of them mean no more than one
_BULLET = re.compile(r"^\s*(?:[-*•–]\s+|\d{1,2}[.)]\s+|#{1,6}\s+|>\s+)")
_BREAK = re.compile(r"\n(?=[ \t]*(?:[-*•–]|\d{1,2}[.)]|#{1,6}|>)[ \t])|\n[ \t]*(?=\n)")
_BREAK_BEGUN = re.compile(r"\n[ \t]*(?:[-*•–>]|#{1,6}|\d{1,2}[.)]?)?\Z")
_EMPHASIS = re.compile(r"\*\*|__|(?<!\w)[*_](?=\w)|(?<=[\w.!?])[*_](?!\w)|`")
_TERMINATOR = re.compile(r"""[.!?…。！？]+["'”’)\]*_」』）]*$""")
_TURN = re.compile(r"^\s*\W{0,3}(?:question|user|human|assistant|earlier (?:question|answer))\W{0,3}:", re.I)
_PART = re.compile(r"^\s*\W{0,3}(?:papers?|system|references?|sources?)\W{0,3}:", re.I)  # an answer may begin so
_PREFACE = re.compile(r"^(?:the )?(?:final |short )?answer\s*:\s*", re.I)
_NAMED_PAPER = re.compile(r"\b(?:[Pp]aper|[Ss]ource|[Rr]eference|[Dd]ocument|[Pp]assage) #?(\d{1,2})\b(?!\.\d|%)")
_INTERVAL = re.compile(  # of numbers, and no marker: "in the interval [0, 1]"
    r"\b(?:range|interval|within|between|lies? in|values? in|bounded by|normali[sz]ed to|scaled to)(?: of| from)? "
    r"\[ ?\d+ ?, ?\d+ ?\]|\b(?:in|to|from) \[ ?0 ?, ?\d+ ?\]",
    re.I,
)
_BY_MARKER = re.compile(
    r"^(?:according to|as (?:is |was )?(?:stated|shown|described|reported|noted|mentioned) (?:in|by)|based on|in|from"
    rf"|per)(?: the)?(?: papers?| sources?)?(?:{MARKER_RUN.pattern}),? ?",
    re.I,
)


@dataclass(frozen=True, slots=True)
class WrittenSentence:
    """A sentence that a model has ended.

    Attributes:
        text: On one line, without markers, bullets and emphasis; holds a letter or a digit.
        papers: Numbers of the prompt's papers that its markers name.
        strays: How many numbers its markers hold that name no paper of the prompt.
        whole: Whether it has an end; False where the model was cut off.
    """

    text: str
    papers: frozenset[int]
    strays: int = 0
    whole: bool = True


class SentenceStream:
    """Cuts one answer into sentences.

    Args:
        papers: How many papers the prompt holds; they are numbered from 1.
        prompt: What the model was given; see :class:`~rag.answering.thinking.ThinkingFilter`.

    Attributes:
        over: Whether the model has begun to talk to itself; nothing that comes then counts.
    """

    def __init__(self, papers: int, prompt: str = "") -> None:
        self._papers = papers
        self._thinking = ThinkingFilter(prompt)
        self._tail = ""  # what belongs to no ended sentence
        self._shown = 0  # of the tail
        self._began = self._blank = False  # whether anything was shown; whether a blank is due before what comes next
        self._first = True  # whether no sentence has ended
        self.over = False

    def feed(self, piece: str) -> Iterator[str | WrittenSentence | Restart]:
        """Take the next piece; yield text to show, sentences that have ended, and that all before was thinking."""
        for passed in self._thinking.feed(visible(piece)):
            if isinstance(passed, Restart):
                self._tail, self._shown, self._first = "", 0, True
                yield passed
            elif not self.over:
                kept, end = self._tail[:-2], self._tail[-2:]
                self._tail = kept + _BLANKS.sub(" ", _LINES.sub("\n\n", f"{end}{passed}".replace("\r", "")))
                self._tail = _INTERVAL.sub(lambda interval: interval[0].translate(PARENTHESES), self._tail)
                yield from self._end_at_tag()
        yield from self._advance()

    def end(self, *, cut: bool) -> Iterator[str | WrittenSentence]:
        """Yield what is left when the model has come to its end.

        Args:
            cut: Whether it may have been stopped by a limit. A last sentence without a full stop is then not whole.
        """
        if self.over:
            return
        self._tail += self._thinking.end()
        yield from self._finish(cut)

    def _end_at_tag(self) -> Iterator[str | WrittenSentence]:
        """End the answer at a template's tag; one before the first word only goes."""
        while not self.over and (tag := TURN_TAG.search(self._tail)):
            before, after = self._tail[: tag.start()], self._tail[tag.end() :]
            if not self._began and not before.strip():
                self._tail = after
                continue
            self._tail = before
            yield from self._finish(cut=False)
            self.over = True

    def _finish(self, cut: bool) -> Iterator[str | WrittenSentence]:
        """Yield what is left; nothing comes after it."""
        yield from self._advance()
        self._tail = _MARKER_CUT.sub("", self._tail)
        ends = _sentence_ends(self._tail)
        for place, end in enumerate(ends):
            yield from self._cut(end - ends[place - 1] if place else end, complete=not cut or place + 1 < len(ends))
        self._tail, self._shown = "", 0

    def _advance(self) -> Iterator[str | WrittenSentence]:
        stable = _BREAK_BEGUN.sub("", _MARKER_BEGUN.sub("", _WORD_BEGUN.sub("", self._tail)))
        done = 0
        for end in _sentence_ends(stable)[:-1]:
            yield from self._cut(end - done, complete=True)
            done = end
        if self.over or (self._shown == 0 and self._is_turn(self._tail)):
            return  # a turn of a conversation is not shown, and is judged when its sentence has ended
        # The text after what may be the end of a sentence waits until it is known whether it is.
        known = _BREAK_BEGUN.sub("", _MARKER_BEGUN.sub("", self._tail))
        ends = _sentence_ends(known)
        yield from self._show(ends[0] if len(ends) > 1 else len(known))

    def _show(self, end: int) -> Iterator[str]:
        """Yield the tail's text up to ``end`` that was not shown yet; blanks wait for what follows them."""
        raw = self._tail[self._shown : end]
        raw = raw[: len(raw.rstrip())]
        if raw:
            self._shown += len(raw)
            text = MARKER_RUN.sub("", raw.replace("\n", " ")).translate(_PLAIN)
            self._blank = self._blank or text[:1].isspace()
            if words := text.strip():
                yield f" {words}" if self._blank and self._began else words
                self._blank, self._began = False, True

    def _is_turn(self, text: str) -> bool:
        """Whether a text begins like a turn of a conversation, or like a part of the prompt after the answer."""
        return bool(_TURN.match(text) or (not self._first and _PART.match(text)))

    def _cut(self, end: int, *, complete: bool) -> Iterator[str | WrittenSentence]:
        """Yield the rest of the tail's first sentence and the sentence itself, and go on behind it."""
        raw = self._tail[:end]
        if self.over or self._is_turn(raw):
            self.over = True
            return
        yield from self._show(end)
        self._tail, self._shown, self._blank = self._tail[end:], 0, True
        if label := _PART.match(raw):
            raw = raw[label.end() :].lstrip()
            raw = raw[:1].upper() + raw[1:]
        self._first = False
        sentence = _written(raw, self._papers, complete)
        if sentence is not None:
            yield sentence


# What is left in square brackets must not become a marker together with what comes.
_PLAIN = PARENTHESES | str.maketrans("", "", "*`")


def _sentence_ends(text: str) -> list[int]:
    """Return where each sentence of a text ends, markers and blanks that follow it included; the last is its length."""
    # Markers are blanked out, so that "It is fast.[1] It is small" has its full stop before a blank.
    view = MARKER_RUN.sub(lambda run: " " * len(run[0]), text.replace("\n", " "))
    ends = [0]
    starts = [0, *(found.end() for found in _BREAK.finditer(text)), len(text)]
    for begin, finish in pairwise(starts):
        spans = sentence_spans(view[begin:finish])
        ends += [begin + start for start, _ in spans[1:]]
        if spans:
            ends.append(finish)
    if len(ends) > 1:
        ends[-1] = len(text)
    return ends[1:]


def _written(raw: str, papers: int, complete: bool) -> WrittenSentence | None:
    """Return a sentence without its markup; None if no word is left."""
    text = " ".join(_BULLET.sub("", line) for line in raw.splitlines())
    text = _PREFACE.sub("", " ".join(_EMPHASIS.sub("", text).split()))
    numbers = [number for marker in MARKER.findall(text) for number in marker_numbers(marker)]
    text = strip_markers(_BY_MARKER.sub("", text))
    named = _NAMED_PAPER.findall(text)
    if named and all(1 <= int(number) <= papers for number in named):
        numbers += map(int, named)
        text = _NAMED_PAPER.sub("the paper", text)
    if text[:1].islower() and raw.lstrip()[:1] != text[:1]:
        text = text[0].upper() + text[1:]
    if not any(char.isalnum() for char in text):
        return None
    known = frozenset(number for number in numbers if 1 <= number <= papers)
    whole = complete or _TERMINATOR.search(text) is not None
    return WrittenSentence(text, known, len(set(numbers) - known), whole)
