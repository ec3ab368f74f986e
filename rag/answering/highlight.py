"""Find the words of a quoted sentence that are the answer itself, where that is sure. Chooses no sentence.

Two kinds of question have an answer that can be told by its form: one that asks for a quantity, and one that asks what
something is called. If the sentence holds exactly one candidate that the question does not hold itself, that is marked.
"""

import re

from index.terms import stem

from ..claims import names

Span = tuple[int, int]

_MEASURES = (
    "accuracy|score|rate|ratio|percentage|share|number|speed-?up|size|auc|auroc|f1|bleu|psnr|ssim|map|latency|fps|"
    "perplexity|improvement|gain|error|value|factor|parameters|cost|time|distance|temperature|pressure|frequency"
)
_ASKS_QUANTITY = re.compile(
    r"\bhow (?:many|much|fast|large|big|long|high|low|far|often|small|accurate|old|wide|deep|tall|strong)\b"
    rf"|\b(?:what|which)\b.{{0,40}}\b(?:{_MEASURES})s?\b",
    re.I,
)
_ASKS_NAME = re.compile(
    r"\b(?:called|named)\b|\bnames? of\b"
    r"|\b(?:what|which) (?:\w+ ){0,2}(?:data ?sets?|benchmarks?|models?|algorithms?|methods?|frameworks?|languages?|"
    r"systems?|tools?|simulators?|architectures?)\b",
    re.I,
)
_COUNTED = re.compile(r"\bhow many (?:\w+[- ]){0,2}?(\w+)", re.I)
_NUMBER = r"\d+(?:,\d{3})*(?:\.\d+)?"
_UNIT = (
    r"(?:\s?(?:%|percent(?:age points?)?|[x×](?![A-Za-z])|times|fold|-fold|points?|[kMGT]?B|[KMGT]Hz|Hz|ms|s|fps|dB|"
    r"K|M|million|billion|thousand|hours?|minutes?|seconds?|days?|weeks?|months?|years?|GPU[- ]hours?|[kmcn]?m|MeV|"
    r"GeV|GPa))"
)
_QUANTITY = re.compile(
    rf"(?:\b(?:up to|at least|at most|about|around|over|nearly|more than|less than|only) |[~≈<>≤≥]\s?)?"
    rf"(?<![\w.-]){_NUMBER}(?:\s?(?:-|–|to|±|\+/-)\s?{_NUMBER})?{_UNIT}?(?![\w.]*[A-Za-z0-9])",
    re.I,
)
_WORDS_AFTER = 3  # in which the thing that is counted has to follow its number


def answering_span(question: str, sentence: str) -> Span | None:
    """Return the half-open span of ``sentence`` that answers ``question``, None where that is not sure.

    Example:
        >>> sentence = "GENet is up to 6.4 times faster than EfficientNet."
        >>> start, end = answering_span("how much faster is GENet?", sentence)
        >>> sentence[start:end]
        'up to 6.4 times'
    """
    if _ASKS_QUANTITY.search(question):
        return _quantity(question, sentence)
    return _name(question, sentence) if _ASKS_NAME.search(question) else None


def _quantity(question: str, sentence: str) -> Span | None:
    known = set(re.findall(_NUMBER, question))
    found = [m for m in _QUANTITY.finditer(sentence) if not known & set(re.findall(_NUMBER, m[0]))]
    if counted := _COUNTED.search(question):
        thing = stem(counted[1].lower())
        found = [m for m in found if thing in map(stem, _counted_by(m, sentence))]
    return found[0].span() if len(found) == 1 else None


def _name(question: str, sentence: str) -> Span | None:
    asked = question.lower()
    found = [name for name in dict.fromkeys(names(sentence)) if name.lower() not in asked]
    places = list(re.finditer(rf"\b{re.escape(found[0])}\b", sentence)) if len(found) == 1 else []
    return places[0].span() if places else None


def _counted_by(quantity: re.Match[str], sentence: str) -> list[str]:
    """Return the words of a quantity itself and the few that follow, up to the next number."""
    following = re.split(r"\d", sentence[quantity.end() :], maxsplit=1)[0]
    words = re.findall(r"[a-z]+", following.lower())[:_WORDS_AFTER]
    return [*re.findall(r"[a-z]+", quantity[0].lower()), *words]
