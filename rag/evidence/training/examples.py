"""Turn abstracts into training examples: questions, claims, and the twins of both. Runs no network.

A *twin* is the same question on the same abstract without the sentences that answer it: nothing in the wording tells
the two apart, so the reader has to read. Twins stand beside their originals, and so do claims and their edits.
"""

import itertools
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from index.embedding.encoder import Vectors

from ...claims import names
from ..abstractqa import LabelledAbstract
from .edits import edited, shortened

IGNORED = -1
TWINS = 3  # questions of an abstract that come with a twin
THINNED = 0.6  # share of the units of claims that lose sentences
SHORTEST_CLAIM = 8  # words of a sentence that is taken for a claim
_ROWS = 2048


class Abstract(Protocol):
    """Title and sentences, whether labelled or not."""

    @property
    def title(self) -> str:
        """The paper's title."""
        ...

    @property
    def sentences(self) -> tuple[str, ...]:
        """The abstract's sentences, in order."""
        ...


@dataclass(frozen=True, slots=True)
class UnlabelledAbstract:
    """An abstract of which nothing is known but its title."""

    title: str
    sentences: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Example:
    """One text with one abstract, and what is known of the two.

    Attributes:
        text: A question or a claim.
        abstract: Number of the abstract.
        kept: Numbers of the abstract's sentences that are shown.
        evidence: 1, 0 or IGNORED for each of them: does it answer, or is the claim about it.
        support: 1, 0 or IGNORED for each: does it support the claim.
        answerable: Whether they answer the question; IGNORED for claims.
        supported: Whether they support the claim; IGNORED for questions.
        relevant: Whether the abstract is one that the text asks for or is about.
        pair: Number shared by an example and the one that it must beat; -1 for none.
        titled: Whether the paper's title is shown.
    """

    text: str
    abstract: int
    kept: tuple[int, ...]
    evidence: tuple[int, ...]
    support: tuple[int, ...]
    answerable: int = IGNORED
    supported: int = IGNORED
    relevant: int = IGNORED
    pair: int = -1
    titled: bool = True


def epoch_examples(
    abstracts: Sequence[LabelledAbstract], neighbours: Sequence[Sequence[int]], rng: random.Random
) -> list[list[Example]]:
    """Return the examples of one pass over the abstracts, in units that belong into one batch.

    Args:
        abstracts: The training abstracts.
        neighbours: For each, the numbers of others on a near topic, nearest first.
        rng: Decides which questions, twins, edits and neighbours this pass has, and which sentences are left out.
    """
    units: list[list[Example]] = []
    pairs = itertools.count()
    for at, abstract in enumerate(abstracts):
        near = rng.choice(neighbours[at])
        units += _questions(at, abstract, near, abstracts[near], pairs, rng)
        units += _claims(at, abstract, [*names_of(abstract), *names_of(abstracts[near])], pairs, rng)
    return [_thinned(unit, rng) for unit in units]


def _thinned(unit: Sequence[Example], rng: random.Random) -> list[Example]:
    """Leave sentences out that a claim is not about, the same ones for the whole unit: more claims for the same text.

    Only sentences labelled 0 by both sentence heads are left out, so questions are always read with all of theirs.
    """
    if rng.random() >= THINNED or len({example.abstract for example in unit}) > 1:
        return list(unit)
    needed = {n for e in unit for n, *labels in zip(e.kept, e.evidence, e.support, strict=True) if any(labels)}
    spare = sorted({n for example in unit for n in example.kept} - needed)
    gone = set(rng.sample(spare, k=min(rng.randint(1, 5), len(spare), max(0, min(len(e.kept) for e in unit) - 2))))
    thinned = []
    for e in unit:
        shown = [at for at, n in enumerate(e.kept) if n not in gone]
        kept, evidence, support = (tuple(values[at] for at in shown) for values in (e.kept, e.evidence, e.support))
        thinned.append(replace(e, kept=kept, evidence=evidence, support=support))
    return thinned


def unlabelled_examples(
    abstracts: Sequence[UnlabelledAbstract],
    neighbours: Sequence[Sequence[int]],
    rng: random.Random,
    *,
    first: int,
    first_pair: int,
) -> list[list[Example]]:
    """Return examples that need no labels by hand: two units per abstract.

    The title as what is asked for, shown with its own abstract and with a near one's, both without a title. And a
    sentence as a claim, shortened or not: the abstract supports it; it does not support the claim with one thing
    changed, and not even the claim when the sentence is gone.

    Args:
        abstracts: Any abstracts, each of at least two sentences.
        neighbours: For each, the places in ``abstracts`` of others on a near topic.
        rng: Decides which neighbour, sentence and change this pass has.
        first: Number of the first of them, as an example's ``abstract``.
        first_pair: Number of their first pair; pairs of labelled examples must have smaller ones.
    """
    units: list[list[Example]] = []
    for at, abstract in enumerate(abstracts):
        near = rng.choice(neighbours[at])
        units.append(
            [
                replace(_sought(abstract.title, first + at, abstract, relevant=1), titled=False),
                replace(_sought(abstract.title, first + near, abstracts[near], relevant=0), titled=False),
            ]
        )
        others = [*names_of(abstract), *names_of(abstracts[near])]
        units.append(_sentence_as_claim(first + at, abstract, others, first_pair + at, rng))
    return [_thinned(unit, rng) for unit in units]


def _sentence_as_claim(
    at: int, abstract: Abstract, others: Sequence[str], pair: int, rng: random.Random
) -> list[Example]:
    every = range(len(abstract.sentences))
    sentence = rng.choice([n for n in every if len(abstract.sentences[n].split()) >= SHORTEST_CLAIM] or every)
    claim = abstract.sentences[sentence]
    if rng.random() < 0.5:
        claim = shortened(claim, rng)
    wrong = edited(claim, others, rng) if rng.random() < 0.5 else None
    rest = [n for n in every if n != sentence]
    return [
        claim_example(claim, at, every, (sentence,), supported=1, pair=pair),
        claim_example(wrong, at, every, (sentence,), supported=0, pair=pair)
        if wrong
        else claim_example(claim, at, rest, (), supported=0, pair=pair),
    ]


def names_of(abstract: Abstract) -> list[str]:
    """Return the names in an abstract, each once."""
    return list(dict.fromkeys(name for sentence in abstract.sentences for name in names(sentence)))


def _questions(
    at: int,
    abstract: LabelledAbstract,
    near: int,
    other: LabelledAbstract,
    pairs: Iterator[int],
    rng: random.Random,
) -> Iterator[list[Example]]:
    count = len(abstract.sentences)
    for number, question in enumerate(rng.sample(abstract.answerables, k=min(4, len(abstract.answerables)))):
        pair = next(pairs) if number < TWINS else -1
        labels = [1 if n in question.sents else IGNORED if n in question.also else 0 for n in range(count)]
        unit = [question_example(question.q, at, range(count), labels, answerable=1, pair=pair)]
        rest = [n for n in range(count) if n not in question.sents and n not in question.also]
        if number < TWINS and rest:
            unit.append(question_example(question.q, at, rest, [0] * len(rest), answerable=0, pair=pair))
        yield unit
    for absent in rng.sample(abstract.unanswerables, k=min(2, len(abstract.unanswerables))):
        yield [question_example(absent.q, at, range(count), [0] * count, answerable=0)]
    if abstract.answerables:
        asked, beside = rng.choice(abstract.answerables).q, len(other.sentences)
        yield [question_example(asked, near, range(beside), [0] * beside, answerable=0, relevant=0)]
    if abstract.openq:
        yield [_sought(abstract.openq, at, abstract, relevant=1), _sought(abstract.openq, near, other, relevant=0)]


def _sought(text: str, at: int, abstract: Abstract, *, relevant: int) -> Example:
    """Return the example of a text that asks for a paper: which sentences would answer it is not known."""
    every = range(len(abstract.sentences))
    return question_example(text, at, every, [IGNORED] * len(every), answerable=IGNORED, relevant=relevant)


def question_example(
    text: str,
    abstract: int,
    kept: Sequence[int],
    labels: Sequence[int],
    *,
    answerable: int,
    relevant: int = 1,
    pair: int = -1,
) -> Example:
    """Return the example of a question."""
    support = (IGNORED,) * len(kept)
    return Example(text, abstract, tuple(kept), tuple(labels), support, answerable, IGNORED, relevant, pair)


def _claims(
    at: int, abstract: LabelledAbstract, others: Sequence[str], pairs: Iterator[int], rng: random.Random
) -> Iterator[list[Example]]:
    count = len(abstract.sentences)
    true = list(abstract.true_claims)
    answers = [(q.a, q.sents) for q in abstract.answerables if q.a]
    edit_pair = next(pairs)
    yield [
        claim_example(true[0][0], at, range(count), true[0][1], supported=1, pair=edit_pair),
        claim_example(abstract.claim_edit, at, range(count), true[0][1], supported=0, pair=edit_pair),
    ]
    if len(true) > 1 and rng.random() < 0.5:
        yield [claim_example(true[1][0], at, range(count), true[1][1], supported=1)]
    else:
        yield [claim_example(abstract.claim_false, at, range(count), (), supported=0)]
    text, sents = rng.choice(true)
    rest = [n for n in range(count) if n not in sents]
    if rest:
        yield [claim_example(text, at, rest, (), supported=0)]
    for text, sents in rng.sample(answers, k=min(2, len(answers))):
        pair = next(pairs)
        unit = [claim_example(text, at, range(count), sents, supported=1, pair=pair)]
        wrong = edited(text, others, rng)
        rest = [n for n in range(count) if n not in sents]
        if wrong and (rng.random() < 0.7 or not rest):
            unit.append(claim_example(wrong, at, range(count), sents, supported=0, pair=pair))
        elif rest:
            unit.append(claim_example(text, at, rest, (), supported=0, pair=pair))
        yield unit


def claim_example(
    text: str, abstract: int, kept: Sequence[int], sents: Sequence[int], *, supported: int, pair: int = -1
) -> Example:
    """Return the example of a claim; ``sents`` are those it is about."""
    evidence = tuple((1 if n in sents else 0) if sents else IGNORED for n in kept)
    support = tuple(int(bool(supported) and n in sents) for n in kept)
    return Example(text, abstract, tuple(kept), evidence, support, IGNORED, supported, 1, pair)


def near_topics(vectors: Vectors, count: int) -> list[list[int]]:
    """Return for each abstract the numbers of those nearest to it, nearest first.

    Args:
        vectors: Unit vectors, float32, shape (abstracts, dimension).
        count: Most neighbours of each.

    Raises:
        ValueError: If there is but one abstract.
    """
    if len(vectors) == 1:
        raise ValueError("one abstract has no neighbour: name a file of two or more")
    nearest: list[list[int]] = []
    for start in range(0, len(vectors), _ROWS):  # all similarities at once would not fit the memory
        similarity = vectors[start : start + _ROWS] @ vectors.T
        rows = np.arange(len(similarity))
        similarity[rows, start + rows] = -np.inf
        order = np.argsort(-similarity, axis=1)[:, : min(count, len(vectors) - 1)]
        nearest += order.tolist()
    return nearest
