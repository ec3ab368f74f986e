"""Make questions of a collection's own papers, so that it can be measured without labels. Asks none of them.

Two kinds. A *title* probe is a title without the name before its colon and without its rarest word. A *sentence* probe
is about half of the content words of one sentence of an abstract, those of the title left out. Whoever made the paper
chose these words, so probes are easier than people's questions: they show what a change does to a collection, not how
good its answers are.
"""

import hashlib
import json
import random
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from index.errors import EvalDataError
from index.paper import Paper
from index.sentences import sentence_spans
from index.terms import document_terms, question_terms

MIN_WORDS = 3
"""The fewest content words of a probe."""
MIN_SENTENCE_WORDS = 6
"""The fewest content words that a sentence must have beside those of the title."""

Frequency = Callable[[Sequence[str]], tuple[Mapping[str, int], int]]
"""Tells in how many papers each term is, and how many papers there are."""

_WORD = re.compile(r"[^\W_]+(?:[-.'’][^\W_]+)*")


class Kind(StrEnum):
    """What a probe is made of."""

    TITLE = "title"
    SENTENCE = "sentence"


@dataclass(frozen=True, slots=True)
class Probe:
    """A question made of one paper.

    Attributes:
        kind: What it is made of.
        text: What to ask.
        paper: Where it is from, and what should be found.
        span: The characters of the abstract that the sentence takes, end exclusive; None for a title.
    """

    kind: Kind
    text: str
    paper: Paper
    span: tuple[int, int] | None = None

    @property
    def id(self) -> str:
        """Its name, unique among the probes of a collection."""
        return f"{self.kind} {self.paper.id}"


def make_probes(papers: Sequence[Paper], frequency: Frequency, limit: int, seed: int = 0) -> list[Probe]:
    """Return at most ``limit`` probes of each kind, titles first; the same for the same papers and seed.

    Papers are taken at random. One whose title or abstract has too few words gives no probe of that kind.

    Args:
        papers: The papers of the collection.
        frequency: Which words of a title are rare.
        limit: At least 1.
        seed: Decides which papers, sentences and words are taken.

    Raises:
        EvalDataError: If no abstract gives a sentence probe.
    """
    order = random.Random(seed).sample(papers, len(papers))
    sentences = _first(limit, (_sentence_probe(paper, random.Random(f"{seed} {paper.id}")) for paper in order))
    if not sentences:
        raise EvalDataError(
            f"No abstract has a sentence with {MIN_SENTENCE_WORDS} content words beside those of its title, so there "
            "is nothing to ask. Add papers with longer abstracts."
        )
    return [*_first(limit, (_title_probe(paper, frequency) for paper in order)), *sentences]


def probes_sha256(probes: Sequence[Probe]) -> str:
    """Return a digest of the probes, hexadecimal: equal where the same is asked of papers of the same ids."""
    asked = [[probe.id, probe.text] for probe in probes]
    return hashlib.sha256(json.dumps(asked).encode()).hexdigest()


def _first(limit: int, probes: Iterator[Probe | None]) -> list[Probe]:
    found: list[Probe] = []
    for probe in probes:
        if probe is not None:
            found.append(probe)
            if len(found) == limit:
                break
    return found


def _title_probe(paper: Paper, frequency: Frequency) -> Probe | None:
    _, _, after_name = paper.title.partition(": ")
    words = _WORD.findall(after_name or paper.title)
    terms = {word: question_terms(word) for word in words}
    content = [word for word in terms if terms[word]]
    if len(content) <= MIN_WORDS:
        return None
    counts, _ = frequency([term for word in content for term in terms[word]])
    rarest = min(content, key=lambda word: min(counts[term] for term in terms[word]))
    return Probe(Kind.TITLE, " ".join(word for word in words if word != rarest), paper)


def _sentence_probe(paper: Paper, rng: random.Random) -> Probe | None:
    in_title = set(document_terms(paper.title))
    sentences = [
        (span, words)
        for span in sentence_spans(paper.abstract)
        if len(words := _content_words(paper.abstract[slice(*span)], in_title)) >= MIN_SENTENCE_WORDS
    ]
    if not sentences:
        return None
    span, words = rng.choice(sentences)
    kept = sorted(rng.sample(range(len(words)), (len(words) + 1) // 2))
    return Probe(Kind.SENTENCE, " ".join(words[at] for at in kept) + "?", paper, span)


def _content_words(sentence: str, in_title: set[str]) -> list[str]:
    """Return the distinct words that carry a topic and have no term of the title, in order."""
    words: dict[tuple[str, ...], str] = {}
    for word in _WORD.findall(sentence):
        terms = tuple(question_terms(word))
        if terms and in_title.isdisjoint(terms):
            words.setdefault(terms, word)
    return list(words.values())
