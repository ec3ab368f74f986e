"""The answerer without a language model: it quotes. Every sentence is a sentence of an abstract.

The form follows the question: a few sentences of one paper, one line per paper, or one block per paper. Each
begins with the paper's title.
"""

from ..answer import AnswerSentence
from ..citations import Markers, quoted_sentence
from ..evidence.reader import PaperEvidence
from ..question import Form
from .selection import Selection

WORTH_ADDING = 0.6  # of the best sentence's evidence score


def compose(selection: Selection, markers: Markers, max_words: int, max_sentences: int) -> list[AnswerSentence]:
    """Return the sentences of the answer.

    Args:
        selection: What to write about.
        markers: Gives the papers their numbers.
        max_words: Words of a single answer, or of one paper's block of a comparison.
        max_sentences: Sentences of a single answer, or of one paper's block of a comparison.
    """
    if selection.form is Form.LIST:
        return [_line(evidence, markers) for evidence in selection.papers]
    return [
        sentence for evidence in selection.papers for sentence in _block(evidence, markers, max_words, max_sentences)
    ]


def _line(evidence: PaperEvidence, markers: Markers) -> AnswerSentence:
    stored = evidence.hit.stored
    return quoted_sentence(stored.paper, stored.sentences[evidence.order[0]], markers, label=stored.paper.title)


def _block(evidence: PaperEvidence, markers: Markers, max_words: int, max_sentences: int) -> list[AnswerSentence]:
    """Quote a paper's best sentences in the order of the abstract: the best one always, others if they come near it."""
    paper, spans = evidence.hit.stored.paper, evidence.hit.stored.sentences
    lengths = [len(paper.abstract[start:end].split()) for start, end in spans]
    chosen = [evidence.order[0]]
    floor = WORTH_ADDING * evidence.scores[chosen[0]]
    for number in evidence.order[1:]:
        fits = len(chosen) < max_sentences and sum(lengths[n] for n in chosen) + lengths[number] <= max_words
        if fits and evidence.scores[number] >= floor:
            chosen.append(number)
    return [
        quoted_sentence(paper, spans[number], markers, paper.title if place == 0 else "")
        for place, number in enumerate(sorted(chosen))
    ]
