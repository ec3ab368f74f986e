"""Read a question: its words, the names in it, and what form of answer it asks for. Does not search.

*Names* are what a paper must mention to answer: a data set, a metric, a model, a number. They are told from
ordinary words by digits, capitals, or being rare enough that the encoder's vocabulary has no whole word for them.
"""

import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from index.paper import Paper
from index.terms import STOP_WORDS, document_terms, stem
from index.text import strip_invisible

RARE_WORD = 0.4  # weight of a name that is only told by its rarity

_WORDS = re.compile(r"[^\W_]+")
_TOKEN = re.compile(r"[^\W_]+(?:[-.][^\W_]+)*")
_PREFIX = re.compile(
    r"^(?:anti|auto|co|de|dis|hyper|inter|meta|micro|mis|multi|non|out|over|pre|re|self|semi|sub|super|un|under)"
)
_COMPARES = re.compile(r"\b(?:vs|versus|compare[ds]?|comparing|comparison|differ(?:s|ence|ences|ent from)?)\b")
_LISTS = re.compile(
    r"\b(?:which|what|any|all|list|some|other|find|show|the|are there) (?:\w+ ){0,3}"
    r"(?:papers|works|studies|articles|surveys)\b"
    r"|^(?:papers|works?|studies|articles|surveys|research|literature) (?:on|about|that|using|for|with|in|which)\b"
    r"|\bwhich papers\b|^(?:list|name|enumerate)\b|\blist (?:the|all|of|them)\b|\bwho (?:uses?|has|have)\b"
    r"|\bwhat'?s (?:in here|there) (?:about|on)\b|\bin (?:this|the) (?:collection|corpus|library)\b"
)
_CONTRASTS = re.compile(
    r"\bdo(?:es)? (?:each|both)\b|\brespectively\b|\bin \w+ and (?:what|how|which)? ?in \w+"
    r"|\b(?:which|what|how)\b.* paper and (?:which|what|how)\b|^\S+ or \S+ (?:if|for|when)\b"
)


class Form(StrEnum):
    """The form of answer a question asks for."""

    SINGLE = "single"
    LIST = "list"
    COMPARISON = "comparison"


@dataclass(frozen=True, slots=True)
class Name:
    """Something specific that a question mentions.

    Attributes:
        text: As written.
        weight: How surely a paper must mention it to answer, 0 to 1.
    """

    text: str
    weight: float


def clean_question(raw: str, max_chars: int) -> str:
    """Return the question as one line of visible text.

    Raises:
        ValueError: If nothing is left, or it is longer than ``max_chars`` characters.
    """
    text = " ".join(strip_invisible(unicodedata.normalize("NFC", raw)).split())
    if not text:
        raise ValueError("The question is empty. Ask about the papers, for example: Which paper removes token mixers?")
    if len(text) > max_chars:
        raise ValueError(f"The question has {len(text):,} characters; at most {max_chars:,} are read. Shorten it.")
    return text


def form_of(question: str) -> Form:
    """Tell the form of answer a question asks for, by its wording alone."""
    folded = question.casefold()
    if _COMPARES.search(folded):
        return Form.COMPARISON
    if _LISTS.search(folded):
        return Form.LIST
    return Form.COMPARISON if _CONTRASTS.search(folded) else Form.SINGLE


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
    sentence_start = True
    for match in _TOKEN.finditer(question):
        word = match.group()
        parts = re.split(r"[-.]", word)
        first, sentence_start = sentence_start, question[match.end() : match.end() + 1] in ".?!"
        if len(word) == 1 or all(part.lower() in STOP_WORDS for part in parts):
            continue
        weight = _name_weight(word, first)
        likens = parts[-1] in ("like", "style", "esque")  # "photosynthesis-like" describes, it does not name
        ordinary = likens or all(_is_ordinary(part.lower(), is_known, pieces) for part in parts if part)
        weight = weight or (0.0 if ordinary else RARE_WORD)
        if weight:
            names.setdefault(word.lower(), Name(word, weight))
    return list(names.values())


def _name_weight(word: str, first_in_sentence: bool) -> float:
    if re.fullmatch(r"[\d.]+", word):
        return 0.5
    if re.fullmatch(r"[A-Z]{2}s?", word):  # AI, ML, RL: field names more often than not
        return 0.3
    if re.search(r"\d|[a-z][A-Z]|[A-Z]{2}", word) or (word[0].isupper() and not first_in_sentence):
        return 1.0
    return 0.0


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
    """Whether a paper mentions a name: as written, run together, in the plural, or spelt out as initials."""
    text = f"{paper.title} . {paper.abstract}"
    if quantity := re.fullmatch(r"(\d+(?:[.,]\d+)*)(?:[A-Za-z]{1,3})?", name):  # 24, 1.8, 1024px, 30fps
        return re.search(rf"(?<![\d.,]){re.escape(quantity.group(1))}(?![\d])", text) is not None
    run = _run_together(name)
    singular = run.removesuffix("s")
    words = {_run_together(word) for word in _TOKEN.findall(text)} | set(_WORDS.findall(text.casefold()))
    if not words.isdisjoint((run, singular, f"{run}s")):
        return True
    if re.search(rf"\d{re.escape(run)}s?\b", text.casefold()):  # kHz in "24kHz"
        return True
    if len(run) > 3 and singular in _run_together(text):  # too short a name would be found inside other words
        return True
    if name.islower():
        return set(document_terms(name)) <= set(document_terms(text))
    initials = "".join(word[0] for word in _WORDS.findall(text.casefold()))
    return re.fullmatch(r"[A-Z]{3,6}s?", name) is not None and singular in initials


def _run_together(text: str) -> str:
    return "".join(_WORDS.findall(text.casefold()))
