"""Check the sentences a language model wrote against the abstracts. Writes nothing itself.

A sentence is kept when one or two sentences of one abstract, its quotes, support it: the evidence reader's support head
and closeness in meaning and words say so together, or the paper's title says all of it; and nothing in it contradicts
the quotes (:mod:`rag.contradiction`):

- every number in it stands in the quotes: digits, and the words two to twelve, "three" and "3" being the same, with the
  same unit where both have one; "one" only before a unit; also in another form ("10k"), as a near bound ("more than
  five" for 5.1) or as a count of what they list ("all three"), and not in another's place, with another sign or bound
  (:mod:`rag.figures`);
- every name in it (a word with inner capitals, with digits or in capitals anywhere; a capitalised word unless it opens
  the sentence) stands in the *title or abstract* of the cited paper, see :func:`rag.names.mentions`: a quote often
  says "our method" where the sentence has to name it;
- it does not deny (not, no, never, without, n't, cannot, fails to, neither, nor, none) a word that the quotes affirm,
  nor the other way round (:mod:`rag.denial`);
- no word of it has its opposite in its place ("higher", "lower"; "add" and "remove" beside the same word);
- it does not have the two sides of a relation ("outperforms", "is smaller than") crosswise (:mod:`rag.roles`);
- it does not say "all" for "some", nor "only" of what is one of several (:mod:`rag.scope`).

Not checked by rule: what a number or a name is said of, unless the word that follows it tells, ordinals, number words
beyond twelve, a capitalised word that opens the sentence, a negation of what the quotes put into other words, two
negations in one sentence, and who does what to whom where no relation of that list says so; of these only the reader
has a notion. The score is not a proof; it is shown as such.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from index.rows import StoredPaper
from index.terms import question_terms

from .answer import AnswerSentence, DroppedSentence
from .answering.sentence_stream import WrittenSentence
from .citations import Markers, cite
from .contradiction import contradiction
from .events import Verdict
from .evidence.gathering import BOILERPLATE
from .evidence.reader import EvidenceReader, probability
from .names import mentions, names_in_title
from .retrieval import Hit, Query, term_set

MIN_SUPPORT = 0.55
_SURE_HINT = 0.5  # a text that says no more than a title is of that paper
_HINT = 0.05  # the paper that the model named, or was speaking of, wins a close race
_SECOND_QUOTE = 0.9  # a second quote is cited when it comes this near to the first
_ANOTHER = re.compile(
    r"\b(?:one|another|other|second|third|some|several|both|also|in contrast|by contrast|similarly)\b", re.I
)
_CLEARLY_BEHIND = 0.15  # a paper whose nearest sentence is so much farther is not read
_GENERIC = set(question_terms("paper article work study method model approach system called named titled"))
_PAPERS_JUDGED = 2  # the nearest ones are read; a third hardly ever holds the support


@dataclass(frozen=True, slots=True)
class _Quote:
    paper: int
    sentence: int
    score: float
    hint: float  # decides between quotes, and is no support
    in_title: bool  # whether the title says all that the text does, which names the paper; False for where the code is

    @property
    def rank(self) -> float:
        return self.score + self.hint


@dataclass(frozen=True, slots=True)
class Grounded:
    """A sentence that may stay.

    Attributes:
        sentence: The sentence with its citations.
        verdict: See :class:`rag.events.Sentence`.
    """

    sentence: AnswerSentence
    verdict: Verdict


def ground(
    written: WrittenSentence,
    hits: Sequence[Hit],
    reader: EvidenceReader,
    make_query: Callable[[str], Query],
    markers: Markers,
    spoken_of: str = "",
) -> Grounded | DroppedSentence:
    """Attach citations to one sentence, or say why no abstract supports it.

    Args:
        written: What the model wrote; the papers it named are only a hint.
        hits: The papers that were found, those of the prompt first: its number ``i + 1`` is ``hits[i]``. The others
            may support a sentence, too.
        reader: Judges whether the nearest papers support the sentence.
        make_query: Puts the sentence into the form that the reader needs.
        markers: Gives cited papers their numbers.
        spoken_of: Id of the paper that the sentence before it cites, "" for none.
    """
    text = written.text
    if len(term_set(text)) < 2:
        return DroppedSentence(text, "it says nothing that could be checked", 0.0)
    query = make_query(text)
    quotes = _quotes(query, hits, {number - 1 for number in written.papers}, spoken_of)
    quotes = _judged(quotes, query, hits, reader)
    if not quotes:
        return DroppedSentence(text, "no abstract was retrieved", 0.0)
    dropped: DroppedSentence | None = None
    for paper in dict.fromkeys(quote.paper for quote in quotes):
        best, *others = (quote for quote in quotes if quote.paper == paper)
        support = round(min(1.0, max(0.0, best.score)), 4)
        if support < MIN_SUPPORT:
            reason = "no sentence of the retrieved abstracts says this"
        elif reason := _changes_paper(written, paper, hits, spoken_of):
            pass
        else:
            chosen, reason = _agreeing(text, hits[paper].stored, best, others)
            if not reason:
                stored = hits[paper].stored
                citations = tuple(
                    cite(stored.paper, stored.sentences[q.sentence], markers, round(min(1.0, max(0.0, q.score)), 4))
                    for q in sorted(chosen, key=lambda q: q.sentence)
                )
                right = written.papers == {paper + 1} and not written.strays
                return Grounded(AnswerSentence(text, support, citations), "kept" if right else "corrected")
        dropped = dropped or DroppedSentence(text, reason, support)
    assert dropped is not None
    return dropped


def _agreeing(text: str, found: StoredPaper, best: _Quote, others: Sequence[_Quote]) -> tuple[list[_Quote], str]:
    """Return the quotes to cite, one or two, and why they do not support ``text``, "" if they do."""
    floor = max(MIN_SUPPORT, _SECOND_QUOTE * best.score)
    near = [quote for quote in others if quote.score >= floor and not best.in_title][:1]
    reason = _what_differs(text, found, [best, *near])
    if reason and near and not _what_differs(text, found, [best]):
        return [best], ""  # it is the second quote alone that differs
    return [best, *near], reason


def _changes_paper(written: WrittenSentence, paper: int, hits: Sequence[Hit], spoken_of: str) -> str:
    """Return a reason if a sentence would be about another paper than the one before it without saying so, else ""."""
    found = hits[paper].stored.paper
    if not spoken_of or found.id == spoken_of or paper + 1 in written.papers or _ANOTHER.search(written.text):
        return ""
    if names_in_title(found, written.text):
        return ""
    return "only another paper says this than the one before it speaks of"


def _what_differs(text: str, stored: StoredPaper, chosen: Sequence[_Quote]) -> str:
    """Return why the chosen quotes do not support ``text``, "" if they do."""
    title = [stored.paper.title] if chosen[0].in_title else []
    sentences = [stored.paper.abstract[slice(*stored.sentences[quote.sentence])] for quote in chosen]
    quoted = " ".join([*title, *sentences])
    own_name, colon, _ = stored.paper.title.partition(":")
    return contradiction(
        text,
        quoted,
        mentioned=lambda name: mentions(stored.paper, name),
        own_name=own_name if colon and len(own_name.split()) <= 3 else "",
    )


def _judged(quotes: Sequence[_Quote], query: Query, hits: Sequence[Hit], reader: EvidenceReader) -> list[_Quote]:
    """Return the quotes of the nearest papers, each scored half by closeness and half by the reader, best first."""
    best: dict[int, float] = {}
    for quote in sorted(quotes, key=lambda quote: -quote.rank):
        best.setdefault(quote.paper, quote.rank)
    first = max(best.values(), default=0.0)
    nearest = [paper for paper, rank in best.items() if rank >= first - _CLEARLY_BEHIND][:_PAPERS_JUDGED]
    readings = dict(zip(nearest, reader.judge(query, [hits[at].stored for at in nearest]), strict=True))
    judged = [
        replace(q, score=_support(q, float(readings[q.paper].support[q.sentence])))
        for q in quotes
        if q.paper in readings
    ]
    return sorted(judged, key=lambda quote: -quote.rank)


def _support(quote: _Quote, log_odds: float) -> float:
    """Return half closeness and half what the reader says; closeness alone of what a title says already.

    The reader sees little support in a title ("RIFormer removes token mixers").
    """
    judged = 0.5 * quote.score + 0.5 * probability(log_odds)
    return max(judged, quote.score, MIN_SUPPORT) if quote.in_title else judged


def _quotes(query: Query, hits: Sequence[Hit], named: set[int], spoken_of: str) -> list[_Quote]:
    """Score every retrieved sentence by closeness: half meaning, half the share of the text's words it holds."""
    words, topic = term_set(query.text), set(question_terms(query.text)) - _GENERIC
    quotes = []
    for number, hit in enumerate(hits):
        stored = hit.stored
        title = term_set(stored.paper.title)
        in_title = topic <= title and names_in_title(stored.paper, query.text)
        hinted = number in named or stored.paper.id == spoken_of
        hint = _SURE_HINT if in_title else _HINT if hinted else 0.0
        similarity = stored.sentence_vectors @ query.vector
        for index, (start, end) in enumerate(stored.sentences):
            sentence = stored.paper.abstract[start:end]
            share = len(words & (term_set(sentence) | title)) / len(words)
            says_more = in_title and not BOILERPLATE.search(sentence)  # than where the code is
            quotes.append(_Quote(number, index, 0.5 * float(similarity[index]) + 0.5 * share, hint, says_more))
    return quotes
