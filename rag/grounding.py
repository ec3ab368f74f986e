"""Check the sentences a language model wrote against the abstracts. Writes nothing itself.

A sentence is kept when one or two sentences of one abstract, its quotes, support it: the evidence reader's support head
and closeness in meaning and words say so together, and nothing in it contradicts the quotes (:mod:`rag.claims`):

- every number in it stands in the quotes: digits, and the words zero to twelve, "three" and "3" being the same, with
  the same unit where both have one;
- every name in it (a word with inner capitals, with digits or in capitals anywhere; a capitalised word unless it opens
  the sentence) stands in the *title or abstract* of the cited paper, see :func:`rag.names.mentions`: a quote often
  says "our method" where the sentence has to name it;
- it is negated (not, no, never, without, n't, cannot, fails to, neither, nor, none) exactly when its quotes are;
- no word of it has its opposite in its place ("higher", "lower").

Not checked by rule: what a number or a name is said of, what a negation denies, ordinals, number words beyond twelve, a
capitalised word that opens the sentence, and who does what to whom; of these only the reader has a notion. The score is
not a proof; it is shown as such.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from index.sentences import sentence_spans

from .answer import AnswerSentence, DroppedSentence
from .citations import Markers, cite
from .claims import contradiction
from .evidence.reader import EvidenceReader, PaperEvidence, probability
from .names import mentions
from .retrieval import Query, term_set
from .safety import MARKER, MARKER_RUN, strip_markers

MIN_SUPPORT = 0.5
_MARKER_BONUS = 0.05  # the paper the model named itself wins a close race
_SECOND_QUOTE = 0.9  # a second quote is cited when it comes this near to the first
_PAPERS_JUDGED = 2  # the nearest ones are read; a third hardly ever holds the support
_MAX_RANGE = 20  # a model that writes [1-9999] means nothing by it

_THINKING = re.compile(r"<think(?:ing)?>.*?(?:</think(?:ing)?>|\Z)", re.S | re.I)
_THINKING_END = re.compile(r"</think(?:ing)?>", re.I)
_BULLET = re.compile(r"^\s*(?:[-*•]|\d{1,2}[.)])\s+")
_GLUED_MARKER = re.compile(rf"""([.!?…。！？]["'”’)]*)(?={MARKER.pattern})""", re.I)
_TERMINATOR = re.compile(r"""[.!?…。！？]+["'”’)\]*_」』）]*$""")


@dataclass(frozen=True, slots=True)
class _Quote:
    paper: int
    sentence: int
    score: float


def visible_text(text: str) -> str:
    """Return what a model wrote without its thinking: tagged blocks, and all before a closing tag of its own.

    Some chat templates open the block in the prompt, so that the text only holds its end. A block that is not closed
    goes on to the end. As the text grows, what this returns grows at its end, unless such a lone closing tag comes.
    """
    return _THINKING_END.split(_THINKING.sub(" ", text))[-1].lstrip()


def split_model_text(text: str) -> list[str]:
    """Split what a model wrote into sentences that hold words, each with its markers before its terminator.

    Thinking, bullets and line numbers are removed. Markers that follow a terminator belong to the sentence before.

    Example:
        >>> split_model_text("It is fast. [1] It is small.[2]")
        ['It is fast [1].', 'It is small [2].']
    """
    lines = " ".join(_BULLET.sub("", line) for line in visible_text(text).splitlines())
    cleaned = _GLUED_MARKER.sub(r"\1 ", " ".join(lines.split()))
    sentences: list[str] = []
    for start, end in sentence_spans(cleaned):
        piece = cleaned[start:end]
        if sentences and (leading := MARKER_RUN.match(piece)):
            sentences[-1] = _with_markers(sentences[-1], leading[0].strip())
            piece = piece[leading.end() :].lstrip(" ,;:")
        if any(c.isalnum() for c in strip_markers(piece)):
            sentences.append(piece)
    return sentences


def _with_markers(sentence: str, markers: str) -> str:
    terminator = _TERMINATOR.search(sentence)
    end = terminator.start() if terminator else len(sentence)
    return f"{sentence[:end]} {markers}{sentence[end:]}"


def ends_whole(sentence: str) -> bool:
    """Whether a sentence of :func:`split_model_text` has its terminator; without one the model was cut off."""
    return _TERMINATOR.search(strip_markers(sentence)) is not None


def ground(
    sentence: str,
    evidence: Sequence[PaperEvidence],
    reader: EvidenceReader,
    make_query: Callable[[str], Query],
    markers: Markers,
) -> AnswerSentence | DroppedSentence:
    """Attach citations to one sentence, or say why it is dropped.

    Args:
        sentence: As the model wrote it, with its own markers, which are only a hint.
        evidence: The papers in the prompt; number ``i + 1`` is ``evidence[i]``.
        reader: Judges whether the nearest papers support the sentence.
        make_query: Puts the sentence into the form that the reader needs.
        markers: Gives cited papers their numbers.
    """
    text = strip_markers(sentence)
    if len(term_set(text)) < 2:
        return DroppedSentence(text or sentence, "it says nothing that could be checked", 0.0)
    query = make_query(text)
    quotes = _judged(_quotes(query, evidence, _papers_named(sentence)), query, evidence, reader)
    if not quotes:
        return DroppedSentence(text, "no abstract was retrieved", 0.0)
    best = quotes[0]
    support = round(min(1.0, max(0.0, best.score)), 4)
    if support < MIN_SUPPORT:
        return DroppedSentence(text, "no sentence of the retrieved abstracts says this", support)
    floor = max(MIN_SUPPORT, _SECOND_QUOTE * best.score)
    near = [quote for quote in quotes[1:] if quote.paper == best.paper and quote.score >= floor][:1]
    found = evidence[best.paper]
    if reason := _what_differs(text, found, [best, *near]):
        if not near or _what_differs(text, found, [best]):
            return DroppedSentence(text, reason, support)
        near = []  # it is the second quote alone that differs
    stored = found.hit.stored
    citations = tuple(
        cite(stored.paper, stored.sentences[q.sentence], markers, round(min(1.0, max(0.0, q.score)), 4))
        for q in sorted([best, *near], key=lambda q: q.sentence)
    )
    return AnswerSentence(text, support, citations)


def _what_differs(text: str, found: PaperEvidence, chosen: Sequence[_Quote]) -> str:
    """Return why the chosen quotes do not support ``text``, "" if they do."""
    stored = found.hit.stored
    quoted = " ".join(stored.paper.abstract[slice(*stored.sentences[quote.sentence])] for quote in chosen)
    return contradiction(text, quoted, mentioned=lambda name: mentions(stored.paper, name))


def _judged(
    quotes: Sequence[_Quote], query: Query, evidence: Sequence[PaperEvidence], reader: EvidenceReader
) -> list[_Quote]:
    """Return the quotes of the nearest papers, each scored half by closeness and half by the reader, best first."""
    nearest = list(dict.fromkeys(quote.paper for quote in sorted(quotes, key=lambda quote: -quote.score)))[
        :_PAPERS_JUDGED
    ]
    readings = dict(zip(nearest, reader.judge(query, [evidence[at].hit.stored for at in nearest]), strict=True))
    judged = [
        replace(q, score=0.5 * q.score + 0.5 * probability(float(readings[q.paper].support[q.sentence])))
        for q in quotes
        if q.paper in readings
    ]
    return sorted(judged, key=lambda quote: -quote.score)


def _papers_named(sentence: str) -> set[int]:
    """Return the indices of the papers that a sentence's markers name."""
    named: set[int] = set()
    for marker in MARKER.findall(" ".join(sentence.split())):
        for first, last in re.findall(r"(\d+)(?: ?[–—-] ?(\d+))?", marker.split("†")[0]):
            low, high = int(first), int(last or first)
            named |= set(range(low - 1, high)) if high - low <= _MAX_RANGE else {low - 1, high - 1}
    return named


def _quotes(query: Query, evidence: Sequence[PaperEvidence], named: set[int]) -> list[_Quote]:
    """Score every retrieved sentence by closeness: half meaning, half the share of the text's words it holds."""
    words = term_set(query.text)
    quotes = []
    for number, found in enumerate(evidence):
        stored = found.hit.stored
        title = term_set(stored.paper.title)
        similarity = stored.sentence_vectors @ query.vector
        for index, (start, end) in enumerate(stored.sentences):
            share = len(words & (term_set(stored.paper.abstract[start:end]) | title)) / len(words)
            score = 0.5 * float(similarity[index]) + 0.5 * share + (_MARKER_BONUS if number in named else 0.0)
            quotes.append(_Quote(number, index, score))
    return quotes
