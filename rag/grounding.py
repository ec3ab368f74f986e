"""Check the sentences a language model wrote against the abstracts. Writes nothing itself.

A sentence is kept when one or two sentences of one abstract are close to it in meaning and hold every number and
every name in it. The score is a similarity, not a proof; it is shown as such.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from index.embedding.encoder import Encoder, Vectors
from index.sentences import sentence_spans

from .answer import AnswerSentence, DroppedSentence
from .citations import Markers, cite
from .evidence.reader import PaperEvidence
from .question import mentions
from .retrieval import term_set

MIN_SUPPORT = 0.5
_MARKER_BONUS = 0.05  # the paper the model named itself wins a close race
_SECOND_QUOTE = 0.9  # a second quote is cited when it comes this near to the first

_MARKERS = re.compile(r"\s*[\[【(]\s*(\d+(?:\s*[,;–-]\s*\d+)*)\s*[\]】)]")
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
_NAME = re.compile(r"\b(?:[A-Za-z]*[A-Z]{2,}\w*|\w*[a-z][A-Z]\w*|[A-Za-z]+-?\d\w*)\b")
_THINKING = re.compile(r"<think>.*?(?:</think>|$)", re.S)


@dataclass(frozen=True, slots=True)
class _Quote:
    paper: int
    sentence: int
    score: float


def split_model_text(text: str) -> list[str]:
    """Split what a model wrote into sentences, markers included; thinking blocks are removed."""
    cleaned = " ".join(re.sub(r"^\s*[-*•]\s+", "", line) for line in _THINKING.sub("", text).splitlines())
    return [cleaned[start:end] for start, end in sentence_spans(cleaned)]


def ground(
    sentence: str, evidence: Sequence[PaperEvidence], encoder: Encoder, markers: Markers
) -> AnswerSentence | DroppedSentence:
    """Attach citations to one sentence, or say why it is dropped.

    Args:
        sentence: As the model wrote it, with its own markers, which are only a hint.
        evidence: The papers in the prompt; number ``i + 1`` is ``evidence[i]``.
        encoder: Embeds the sentence.
        markers: Gives cited papers their numbers.
    """
    named = {int(n) - 1 for group in _MARKERS.findall(sentence) for n in re.findall(r"\d+", group)}
    text = " ".join(_MARKERS.sub("", sentence).split())
    text = re.sub(r"\s+([.,;:!?])", r"\1", text)
    if len(term_set(text)) < 2:
        return DroppedSentence(text, "it says nothing that could be checked", 0.0)
    vector = encoder.embed_queries([text])[0]
    quotes = sorted(_quotes(text, vector, evidence, named), key=lambda quote: -quote.score)
    if not quotes:
        return DroppedSentence(text, "no abstract was retrieved", 0.0)
    best = quotes[0]
    support = round(min(1.0, max(0.0, best.score)), 4)
    if support < MIN_SUPPORT:
        return DroppedSentence(text, "no sentence of the retrieved abstracts says this", support)
    floor = max(MIN_SUPPORT, _SECOND_QUOTE * best.score)
    chosen = [best, *[quote for quote in quotes[1:] if quote.paper == best.paper and quote.score >= floor][:1]]
    stored = evidence[best.paper].hit.stored
    quoted = " ".join(stored.paper.abstract[slice(*stored.sentences[q.sentence])] for q in chosen)
    if lacking := [n for n in _NUMBER.findall(text) if n not in _NUMBER.findall(quoted)]:
        return DroppedSentence(text, f"the nearest sentence does not give the number {lacking[0]}", support)
    if lacking := [n for n in _NAME.findall(text) if not mentions(stored.paper, n)]:
        return DroppedSentence(text, f"the paper does not mention {lacking[0]}", support)
    citations = tuple(
        cite(stored.paper, stored.sentences[q.sentence], markers, round(min(1.0, max(0.0, q.score)), 4))
        for q in sorted(chosen, key=lambda q: q.sentence)
    )
    return AnswerSentence(text, support, citations)


def _quotes(
    text: str,
    vector: Vectors,
    evidence: Sequence[PaperEvidence],
    named: set[int],
) -> list[_Quote]:
    """Score every retrieved sentence: half meaning, half the share of the text's words it holds."""
    words = term_set(text)
    quotes = []
    for number, found in enumerate(evidence):
        stored = found.hit.stored
        title = term_set(stored.paper.title)
        similarity = stored.sentence_vectors @ vector
        for index, (start, end) in enumerate(stored.sentences):
            share = len(words & (term_set(stored.paper.abstract[start:end]) | title)) / len(words)
            score = 0.5 * float(similarity[index]) + 0.5 * share + (_MARKER_BONUS if number in named else 0.0)
            quotes.append(_Quote(number, index, score))
    return quotes
