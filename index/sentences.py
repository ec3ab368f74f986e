"""Find sentence boundaries as character offsets. Does not change the text.

Abstracts are edited prose, so a handful of rules is enough: a terminator, then white space, then something
a sentence can begin with, unless the terminator belongs to an abbreviation, an initial or a number.
"""

import re

MAX_SENTENCE_CHARS = 1000  # about the encoder's 256 tokens; 1 sentence in 10,000 of arXiv abstracts exceeds 870

# Abbreviations that are followed by more of the same sentence.
_ABBREVIATIONS = frozenset(
    "e.g i.e et al cf vs fig figs eq eqs sec secs ref refs no nos vol approx resp ca viz w.r.t wrt a.k.a "
    "dr prof mr mrs ms st dept univ inc ltd co jr sr ph.d u.s u.k e.u i.i.d s.t incl excl ver chap tab".split()
)
# Of these, some also end sentences; they do when a capitalised function word follows.
_MAY_END = frozenset({"al", "u.s", "u.k", "e.u", "no", "i.i.d", "co", "inc", "etc"})
_STARTERS = frozenset(
    "the this these those that we our in it its they their to however moreover furthermore additionally here "
    "for while when although as a an by with on at finally results first second third then thus therefore "
    "hence both unlike since such if extensive experiments experimental".split()
)
# Each run of terminators is tried once, from its beginning: a table of contents has thousands of dots in a row.
_BOUNDARY = re.compile(
    r"""(?<![.!?…])([.!?…]++)(["'”’)\]]*)(\s+)(?=["'“‘(\[]*(\S+))|([。！？]+[”’」』）]*)(\s*)(?=\S)"""
)
_LAST_WORD = re.compile(r"([^\s(\[“\"]+)$")
_LAST_WORD_CHARS = 60  # no abbreviation is longer, and to search all that went before takes quadratic time


def sentence_spans(text: str) -> list[tuple[int, int]]:
    """Return the sentences of ``text`` as half-open character spans, in order.

    The spans do not overlap, carry no white space at their ends, and cover every other character.

    Example:
        >>> text = "It works, e.g. on v1.5. We show how."
        >>> [text[start:end] for start, end in sentence_spans(text)]
        ['It works, e.g. on v1.5.', 'We show how.']
    """
    spans: list[tuple[int, int]] = []
    start = len(text) - len(text.lstrip())
    for match in _BOUNDARY.finditer(text):
        if match.group(5):  # Chinese and Japanese: no white space is needed, and there are no abbreviations
            spans.append((start, match.end(5)))
            start = match.end()
        elif _ends_sentence(
            text[max(start, match.start() - MAX_SENTENCE_CHARS) : match.start()], *match.group(1, 2, 4)
        ):
            spans.append((start, match.end(2)))
            start = match.end(3)
    end = len(text.rstrip())
    if start < end:
        spans.append((start, end))
    return [piece for span in spans for piece in _shorten(text, *span)]


def _shorten(text: str, start: int, end: int) -> list[tuple[int, int]]:
    """Cut what is too long to be one sentence (a list, a table, lost punctuation) at its weakest joints."""
    pieces = []
    while end - start > MAX_SENTENCE_CHARS:
        window = text[start : start + MAX_SENTENCE_CHARS]
        cut = next((window.rfind(mark) + 1 for mark in ("; ", ", ", " ") if window.rfind(mark) > 0), len(window))
        pieces.append((start, start + len(window[:cut].rstrip())))
        start += cut + len(text[start + cut : end]) - len(text[start + cut : end].lstrip())
    return [*pieces, (start, end)]


def _ends_sentence(before: str, terminator: str, closing: str, next_word: str) -> bool:
    if not _can_start(next_word):
        return False
    if "." not in terminator or len(terminator) > 1 or (closing and closing[0] in '"”’'):
        return True
    word = _LAST_WORD.search(before[-_LAST_WORD_CHARS:])
    if word is None:
        return True
    last = word.group(1).lower().strip("'’,;:")
    if closing and before.count("(") <= before.count(")") and last in _ABBREVIATIONS:
        return False
    if len(last) == 1 and last.isalpha() and before[-1:].isupper():
        # An initial ("J. Smith") or a name that ends in a letter ("vitamin C. The ...").
        return next_word.lower().strip(",") in _STARTERS
    if last in _ABBREVIATIONS:
        return last in _MAY_END and next_word.lower().strip(",") in _STARTERS
    return True


def _can_start(word: str) -> bool:
    """Whether a sentence can begin with ``word``: a capital, a digit, or a name such as ``zkDL`` or ``t5``."""
    if not word[0].islower():
        return word[0] not in ",;:%)]}"
    return any(c.isupper() or c.isdigit() for c in word[1:])
