"""The names in a question, and whether a paper mentions them. Searches nothing.

*Names* are what a paper must mention to answer: a data set, a metric, a model, a number. They are told from
ordinary words by digits, capitals, or being rare enough that the encoder's vocabulary has no whole word for them.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from index.paper import Paper
from index.sentences import sentence_spans
from index.terms import STOP_WORDS, document_terms, fold_words, stem

RARE_WORD = 0.4  # weight of a name that is only told by its rarity

_WORDS = re.compile(r"[^\W_]+")
_TOKEN = re.compile(r"[^\W_]+(?:[-.][^\W_]+)*")
_PREFIX = re.compile(
    r"^(?:anti|auto|co|de|dis|hyper|inter|meta|micro|mis|multi|non|out|over|pre|re|self|semi|sub|super|un|under)"
)
_LIKENESS = ("like", "style", "esque")  # "photosynthesis-like" describes, it does not name
_LONGEST_RUN = 4  # words that one name may be written in: "GOT-10k", "Yuan 2.0-M32"


@dataclass(frozen=True, slots=True)
class Name:
    """Something specific that a question mentions.

    Attributes:
        text: As written.
        weight: How surely a paper must mention it to answer, 0 to 1.
    """

    text: str
    weight: float


def find_names(
    question: str, is_known: Callable[[str], bool], pieces: Callable[[Sequence[str]], list[int]]
) -> list[Name]:
    """Find the names in a question.

    Args:
        question: One line of text.
        is_known: Whether any paper of the collection holds a term; known lower-case words are not names.
        pieces: The encoder's token counts; words of its vocabulary have one or two pieces.
    """
    names: dict[str, Name] = {}
    words = _WORDS.findall(question)
    shouting = len(words) >= 4 and sum(word[0].isupper() for word in words) > 0.6 * len(words)
    sentence_start = True
    for match in _TOKEN.finditer(question):
        word = match.group()
        parts = re.split(r"[-.]", word)
        first, sentence_start = sentence_start, question[match.end() : match.end() + 1] in ".?!"
        if len(word) == 1 or all(part.lower() in STOP_WORDS for part in parts):
            continue
        weight = _by_spelling(word, capitals_count=not (first or shouting), shouting=shouting)
        ordinary = parts[-1] in _LIKENESS or all(_is_ordinary(fold_words(p), is_known, pieces) for p in parts if p)
        weight = weight or (0.0 if ordinary else RARE_WORD)
        if weight:
            names.setdefault(word.lower(), Name(word, weight))
    return list(names.values())


def _by_spelling(word: str, *, capitals_count: bool, shouting: bool) -> float:
    if re.fullmatch(r"[\d.]+", word):
        return 0.5
    if re.fullmatch(r"[A-Z]{2}s?", word):  # AI, ML, RL: field names more often than not
        return 0.0 if shouting else 0.3
    if re.search(r"\d", word) or (not shouting and re.search(r"[a-z][A-Z]|[A-Z]{2}", word)):
        return 1.0
    return 1.0 if capitals_count and word[0].isupper() else 0.0


def _is_ordinary(word: str, is_known: Callable[[str], bool], pieces: Callable[[Sequence[str]], list[int]]) -> bool:
    if is_known(stem(word)) or pieces([word])[0] <= 2:
        return True
    prefix = _PREFIX.match(word)
    rest = word[prefix.end() :] if prefix else ""
    return len(rest) >= 4 and _is_ordinary(rest, is_known, pieces)


def missing_names(names: Sequence[Name], papers: Sequence[Paper]) -> list[Name]:
    """Return the names that none of the papers mentions."""
    return [name for name in names if not any(mentions(paper, name.text) for paper in papers)]


def mentions(paper: Paper, name: str) -> bool:
    """Whether a paper mentions a name: in title, abstract, authors, venue or year.

    A name counts as mentioned as written, joined or split ("WavTokenizer", "wav-tokenizer"), in the plural, with a
    version ("EfficientNetV2" mentions "EfficientNet"), glued to a number ("24kHz"), or spelt out, for capitals of
    three letters or more ("multi-party computation" mentions "MPC"). Parts of longer words do not count.
    """
    text = f"{paper.title}. {paper.abstract}"
    facts = f"{' '.join(paper.authors)} {paper.venue} {paper.year or ''}"
    if quantity := re.fullmatch(r"(\d+(?:[.,]\d+)*)(?:[A-Za-z]{1,3})?", name):  # 24, 1.8, 1024px, 30fps
        return re.search(rf"(?<![\d.,]){re.escape(quantity.group(1))}(?!\d)", f"{text} {facts}") is not None
    run = "".join(_WORDS.findall(fold_words(name)))
    forms = {run, f"{run}s"} if name.isupper() else {run, f"{run}s", run.removesuffix("s")}
    if not forms.isdisjoint(_runs(text)) or not forms.isdisjoint(_runs(facts)):
        return True
    version = re.compile(rf"{re.escape(run)}v?\d+\w{{0,2}}")
    if len(run) >= 4 and any(version.fullmatch(word) for word in _runs(text)):
        return True
    if re.search(rf"\d{re.escape(run)}s?\b", fold_words(text)):
        return True
    if name.islower():
        return set(document_terms(name)) <= set(document_terms(text))
    acronym = name.removesuffix("s") if name[:-1].isupper() else name
    return re.fullmatch(r"[A-Z]{3,6}", acronym) is not None and acronym.lower() in _initials(text)


def names_in_title(paper: Paper, question: str) -> bool:
    """Whether a question calls a paper by the name its title begins with ("RIFormer: …"), spelt with its capitals."""
    name, colon, _ = paper.title.partition(":")
    words = _TOKEN.findall(name)
    if not colon or not 1 <= len(words) <= _LONGEST_RUN:
        return False
    plain = len(words) == 1 and words[0].isupper() and words[0].isalpha()  # LINE is a name, "line" is a word
    asked = question if plain else fold_words(question)
    run = "".join(_WORDS.findall(name if plain else fold_words(name)))
    return run in _runs_of_words(asked)


def _joined(words: Sequence[str]) -> Iterator[str]:
    """Yield every run of up to four neighbouring words, written as one."""
    for start in range(len(words)):
        for end in range(start + 1, min(start + _LONGEST_RUN, len(words)) + 1):
            yield "".join(words[start:end])


@lru_cache(maxsize=2_000)
def _runs(text: str) -> frozenset[str]:
    return frozenset(_joined(_WORDS.findall(fold_words(text))))


@lru_cache(maxsize=100)
def _runs_of_words(question: str) -> frozenset[str]:
    return frozenset(_joined(_WORDS.findall(question)))


@lru_cache(maxsize=2_000)
def _initials(text: str) -> str:
    """Return the initials of neighbouring content words, broken where a function word or a sentence comes between."""
    pieces = []
    for start, end in sentence_spans(text):
        words = _WORDS.findall(fold_words(text[start:end]))
        pieces.append("".join(" " if word in STOP_WORDS else word[0] for word in words))
    return " ".join(pieces)
