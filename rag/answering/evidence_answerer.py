"""The answerer without a language model: it quotes. Every sentence is a sentence of an abstract.

The form follows the question: a few sentences of one paper, one line per paper, or one block per paper. Each
begins with the paper's title, so that a sentence about "this approach" says whose. A sentence that begins with a mere
pronoun brings the one before it along, if there is room.
"""

import re
from dataclasses import replace

from ..answer import AnswerSentence
from ..citations import Markers, quoted_sentence
from ..evidence.reader import PaperEvidence, probability
from ..question import Form
from .highlight import answering_span
from .selection import Selection

_PRONOUN = re.compile(
    r"(?:It|They|Its|Their|He|She|Both|Each|The (?:former|latter))\b"
    r"|(?:This|These|Those) (?:is|are|was|were|can|has|have|allows?|enables?|leads?|makes?|results?)\b"
)


def compose(
    question: str, selection: Selection, markers: Markers, max_words: int, max_sentences: int
) -> list[AnswerSentence]:
    """Return the sentences of the answer.

    Args:
        question: What was asked; its answer is highlighted where it is sure.
        selection: What to write about.
        markers: Gives the papers their numbers.
        max_words: Words of a single answer, or of one paper's block of a comparison.
        max_sentences: Sentences of a single answer, or of one paper's block of a comparison.
    """
    if selection.form is Form.LIST:
        return [_line(evidence, markers) for evidence in selection.papers]
    sentences = []
    for evidence in selection.papers:
        sentences += _block(evidence, markers, max_words, max_sentences)
    return [replace(sentence, highlight=answering_span(question, sentence.text)) for sentence in sentences]


def _line(evidence: PaperEvidence, markers: Markers) -> AnswerSentence:
    stored = evidence.hit.stored
    return quoted_sentence(stored.paper, stored.sentences[evidence.order[0]], markers, label=stored.paper.title)


def _block(evidence: PaperEvidence, markers: Markers, max_words: int, max_sentences: int) -> list[AnswerSentence]:
    """Quote a paper's best sentences in the order of the abstract: the best one always, others if they come near it."""
    paper, spans = evidence.hit.stored.paper, evidence.hit.stored.sentences
    texts = [paper.abstract[start:end] for start, end in spans]
    lengths = [len(text.split()) for text in texts]
    chosen: list[int] = []
    for number in evidence.order:
        if chosen and probability(float(evidence.scores[number])) < evidence.floor:
            continue
        before = number - 1 if number and number - 1 not in chosen and _PRONOUN.match(texts[number]) else None
        for wanted in ([before, number] if before is not None else [], [number]):
            added = [n for n in wanted if n not in chosen]
            fits = len(chosen) + len(added) <= max_sentences
            fits = fits and sum(lengths[n] for n in [*chosen, *added]) <= max_words
            if added and (fits or (not chosen and wanted == [number])):
                chosen += added
                break
    return [
        quoted_sentence(paper, spans[number], markers, paper.title if place == 0 else "")
        for place, number in enumerate(sorted(chosen))
    ]
