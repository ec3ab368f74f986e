r"""Score one answer against what was expected. Does not run questions, average, or read files.

Scores are 0 to 1, higher is better. A refused or empty answer scores 0, so that declining never raises a mean.
Neutral papers are left out on both sides. Where a question gives nothing to measure by (an unanswerable
question, or one without evidence or key facts) the score is None.

Precision and recall follow Manning, Raghavan and Schütze, *Introduction to Information Retrieval* (2008), section
8.3, over the set of papers cited and the set of sentences quoted.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from index.paper import Paper
from index.text import clean_text
from rag.answer import Answer, AnswerSentence, Citation
from rag.render import answer_text

from .dataset import Question
from .gold import Gold, Span

_TYPOGRAPHY = str.maketrans(
    {
        **dict.fromkeys("\u2010\u2011\u2012\u2013\u2212", "-"),  # hyphens, figure and en dash, minus
        **dict.fromkeys("\u2018\u2019\u02bc", "'"),
        **dict.fromkeys("\u201c\u201d", '"'),
        **dict.fromkeys("\u00a0\u2009\u202f", " "),
    }
)


@dataclass(frozen=True, slots=True)
class Scores:
    """The scores of one answer, each 0 to 1; None where the question gives nothing to measure by.

    Attributes:
        gold_first: 1 when the first paper cited is a gold paper.
        paper_precision: Share of the cited papers that are gold.
        paper_recall: Share of the gold papers that are cited.
        sentence_precision: Share of the quotes that overlap gold evidence.
        sentence_recall: Share of the gold evidence that a quote overlaps.
        key_facts: Share of the key facts that the text holds.
    """

    gold_first: float | None = None
    paper_precision: float | None = None
    paper_recall: float | None = None
    sentence_precision: float | None = None
    sentence_recall: float | None = None
    key_facts: float | None = None


def score_answer(answer: Answer, question: Question, gold: Gold) -> Scores:
    """Return every score of one answer."""
    if not question.answerable:
        return Scores()
    return Scores(
        gold_first=gold_first(answer, gold),
        paper_precision=paper_precision(answer, gold),
        paper_recall=paper_recall(answer, gold),
        sentence_precision=sentence_precision(answer, gold) if gold.evidence else None,
        sentence_recall=sentence_recall(answer, gold) if gold.evidence else None,
        key_facts=key_fact_coverage(plain_text(answer), question.must_include) if question.must_include else None,
    )


def gold_first(answer: Answer, gold: Gold) -> float:
    """Return 1 when the first citation of the first sentence is of a gold paper, else 0.

    Citations of neutral papers are passed over.
    """
    for sentence in _said(answer):
        if not sentence.citations:
            return 0.0
        for citation in sentence.citations:
            if citation.paper_id not in gold.neutral:
                return float(citation.paper_id in gold.paper_ids)
    return 0.0


def paper_precision(answer: Answer, gold: Gold) -> float:
    """Return the share of the distinct cited papers that are gold; 0 when none is cited."""
    cited = _cited_papers(answer) - gold.neutral
    return len(cited & gold.paper_ids) / len(cited) if cited else 0.0


def paper_recall(answer: Answer, gold: Gold) -> float:
    """Return the share of the gold papers that are cited.

    Raises:
        ValueError: If there are no gold papers.
    """
    if not gold.papers:
        raise ValueError("recall needs at least one gold paper")
    cited = _cited_papers(answer)
    return sum(bool(cited & copies) for copies in gold.papers) / len(gold.papers)


def sentence_precision(answer: Answer, gold: Gold) -> float:
    """Return the share of the distinct quotes that overlap gold evidence; 0 when nothing is quoted."""
    quotes = {quote for quote in _quotes(answer) if quote.paper_id not in gold.neutral}
    places = [place for passage in gold.evidence for place in passage]
    return sum(any(map(quote.overlaps, places)) for quote in quotes) / len(quotes) if quotes else 0.0


def sentence_recall(answer: Answer, gold: Gold) -> float:
    """Return the share of the passages of gold evidence that at least one quote overlaps.

    Raises:
        ValueError: If there is no gold evidence.
    """
    if not gold.evidence:
        raise ValueError("recall needs at least one passage of evidence")
    quotes = _quotes(answer)
    found = (any(quote.overlaps(place) for quote in quotes for place in passage) for passage in gold.evidence)
    return sum(found) / len(gold.evidence)


def key_fact_coverage(text: str, must_include: Sequence[str]) -> float:
    r"""Return the share of the key facts that ``text`` holds.

    A fact is held when one of its alternatives (separated by ``|``) occurs in the text, without regard to case
    and to variants of hyphens, quotes and blanks. Both sides are compared as they stand and after the cleaning
    that abstracts go through. A digit at either end of an alternative must not continue into a longer number.

    Args:
        text: The answer without markers.
        must_include: The key facts, at least one.

    Raises:
        ValueError: If there are no key facts.

    Example:
        >>> key_fact_coverage("It is 4,000 times faster, with 3% loss.", ["4000|4,000", "3\\%", "40|loss of"])
        0.6666666666666666
    """
    if not must_include:
        raise ValueError("coverage needs at least one key fact")
    texts = (_folded(text), _folded(clean_text(text)))
    return sum(_holds(texts, fact) for fact in must_include) / len(must_include)


def plain_text(answer: Answer) -> str:
    """Return what the answer says, without markers; "" when it is refused or empty."""
    unmarked = tuple(replace(sentence, citations=()) for sentence in _said(answer))
    return answer_text(replace(answer, sentences=unmarked)) if unmarked else ""


def word_count(text: str) -> int:
    """Return the number of words: what white space separates and holds a letter or a digit."""
    return sum(any(c.isalnum() for c in word) for word in text.split())


def bad_quotes(answer: Answer, paper: Callable[[str], Paper]) -> int:
    """Count citations whose quote is not the exact text at its offsets; always 0 unless something is broken.

    Args:
        answer: The answer to check.
        paper: Returns the paper of an id, and raises KeyError for an unknown one.
    """
    citations = [citation for sentence in answer.sentences for citation in sentence.citations]
    return sum(not _is_exact(citation, paper) for citation in citations)


def uncited_sentences(answer: Answer) -> int:
    """Count sentences without a citation; always 0 unless something is broken."""
    return sum(not sentence.citations for sentence in answer.sentences)


def _said(answer: Answer) -> tuple[AnswerSentence, ...]:
    return () if answer.status == "refused" else answer.sentences


def _cited_papers(answer: Answer) -> frozenset[str]:
    return frozenset(quote.paper_id for quote in _quotes(answer))


def _quotes(answer: Answer) -> frozenset[Span]:
    return frozenset(Span(c.paper_id, c.start, c.end) for sentence in _said(answer) for c in sentence.citations)


def _is_exact(citation: Citation, paper: Callable[[str], Paper]) -> bool:
    if not 0 <= citation.start < citation.end:  # a negative offset would count from the end of the abstract
        return False
    try:
        return paper(citation.paper_id).abstract[citation.start : citation.end] == citation.quote
    except KeyError:
        return False


def _holds(texts: tuple[str, str], fact: str) -> bool:
    as_written, cleaned = texts
    return any(
        _occurs(_folded(alternative), as_written) or _occurs(_folded(_cleaned(alternative)), cleaned)
        for alternative in fact.split("|")
    )


def _cleaned(alternative: str) -> str:
    """Clean an alternative but keep a blank at its ends, which stands for the end of a word (" no ")."""
    before = " " if alternative[:1].isspace() else ""
    after = " " if alternative[-1:].isspace() else ""
    return f"{before}{clean_text(alternative)}{after}"


def _folded(text: str) -> str:
    return text.translate(_TYPOGRAPHY).casefold()


def _occurs(wanted: str, text: str) -> bool:
    before = r"(?<!\d)(?<!\d[.,])" if wanted[:1].isdecimal() else ""
    after = r"(?!\d|[.,]\d)" if wanted[-1:].isdecimal() else ""
    return re.search(f"{before}{re.escape(wanted)}{after}", f" {text} ") is not None
