"""Read a question: clean it, and tell what form of answer it asks for. Does not search."""

import re
import unicodedata
from enum import StrEnum

from index.text import strip_invisible

_COMPARES = re.compile(r"\b(?:vs|versus|compare[ds]?|comparing|comparison|differ(?:s|ence|ences|ent from)?)\b")
_PAPERS = r"(?:papers|studies|articles|surveys)"
_LISTS = re.compile(
    rf"\b(?:which|what|any|all|list|some|other|find|show|the|are there) (?:\w+ ){{0,3}}{_PAPERS}\b"
    rf"|^(?:\w+ ){{0,2}}(?:{_PAPERS}|research|literature) (?:on|about|that|using|for|with|in|which)\b"
    rf"|^(?:\w+ ){{1,3}}{_PAPERS}[?.!]?$"
    r"|\b(?:which|any|all|some|other) (?:\w+ )?works\b|^works? (?:on|about|that|using|which)\b"
    r"|^(?:list|name|enumerate)\b|\blist (?:the|all|of|them)\b|\bwho (?:uses?|has|have)\b"
    r"|\bwhat'?s (?:in here|there) (?:about|on)\b|\bin (?:this|the) (?:collection|corpus|library)\b"
)
_CONTRASTS = re.compile(
    r"\bdo(?:es)? (?:each|both)\b|\brespectively\b|\bin \w+ and (?:what|how|which)? ?in \w+"
    r"|\b(?:which|what|how)\b.* paper and (?:which|what|how)\b|^\S+ or \S+ (?:if|for|when)\b"
)
_ASKS = re.compile(
    r"\b(?:what|which|how|why|who|whose|where|when|is|are|do|does|did|can|was|were|has|have|any|size|percentage)\b",
    re.I,
)
_PART = re.compile(
    r"\?\s+(?=\w)"
    r"|,?\s+(?:and|or)\s+(?=(?:(?:by|at|in|on|of|to|from) )?(?:what|which|how|why|who|where|when)\b)"
    r"|,?\s+and\s+(?=(?:is|are|do|does|did|can|was|were) (?:it|they|its|their|the|this|that|there|you|we|one)\b)",
    re.I,
)
_SHORTEST_PART = 3  # words


class Form(StrEnum):
    """The form of answer a question asks for."""

    SINGLE = "single"
    LIST = "list"
    COMPARISON = "comparison"


def clean_question(raw: str, max_chars: int) -> str:
    """Return the question as one line of visible text.

    Raises:
        ValueError: If nothing is left, or it is longer than ``max_chars`` characters.
    """
    if not isinstance(raw, str):
        raise ValueError(f"The question must be text, not {type(raw).__name__}.")
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


def parts_of(question: str) -> list[str]:
    """Split a question that asks several things into its parts; a question that asks one thing is its only part.

    Example:
        >>> parts_of("How are the fragments made, and why not simply crop the video?")
        ['How are the fragments made', 'why not simply crop the video?']
    """
    parts: list[str] = []
    for piece in (piece.strip() for piece in _PART.split(question)):
        if parts and not _ASKS.search(parts[-1]):
            parts[-1] += f", {piece}"  # what went before only says of what is asked
        else:
            parts.append(piece)
    asking = all(_ASKS.search(part) and len(part.split()) >= _SHORTEST_PART for part in parts)
    return parts if asking else [question]
