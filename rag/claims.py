"""What a statement commits itself to: addresses, numbers, names, negation, direction. Judges no meaning.

These are the things that a small model reads past, and that make a sentence wrong when they are off by one word. An
address or markup that the quoted text lacks is more: what a hostile abstract makes a model write, to lead people away.
"""

import re
from dataclasses import dataclass
from decimal import Decimal

from index.terms import STOP_WORDS

_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
_NUMBER_WORDS = {
    word: str(value)
    for value, word in enumerate("zero one two three four five six seven eight nine ten eleven twelve".split())
}
# "One" is a number unless it stands for a thing or a person: one of them, this one, one another, no one, one can.
_NUMBER_WORD = re.compile(
    rf"\b(?<!no )(?<!this )(?<!that )(?<!the )(?<!each )(?<!every )(?<!another )(?<!which )one\b"
    rf"(?! of\b| another\b| can\b| may\b| might\b| must\b| should\b|['’]s\b)"
    rf"|\b(?:{'|'.join(word for word in _NUMBER_WORDS if word != 'one')})\b",
    re.I,
)
_NAME = re.compile(r"\b(?:[A-Za-z]*[A-Z]{2,}\w*|\w*[a-z][A-Z]\w*|[A-Za-z]+-?\d\w*)\b")
_WORD = re.compile(r"[^\W_]+")
_QUANTITY = re.compile(
    r"(?<![\w.,])(\d+(?:[.,]\d+)*)\s?"
    r"(%|percent(?:age points?)?|[a-zA-ZµμΩ°]{1,8}(?:\^?-?\d)?(?:/[a-zA-Z]{1,4})?)(?!\w)"
)
_UNITS = {
    "percent": "%", "pp": "point", "x": "times", "×": "times", "fold": "times", "msec": "ms", "millisecond": "ms",
    "sec": "s", "second": "s", "minute": "min", "hour": "h", "hr": "h", "day": "d", "kb": "KB", "mb": "MB", "gb": "GB",
    "tb": "TB",
}  # fmt: skip
_MAGNITUDES = {"K": "thousand", "k": "thousand", "M": "million", "B": "billion"}
_AMOUNT = re.compile(
    rf"(?<![\w.,])(?P<number>\d+(?:[.,]\d+)*|(?:{'|'.join(_NUMBER_WORDS)})\b)"
    r"(?:(?P<letter>(?-i:[kKMB]))(?!\w)|[\s-](?P<word>hundred|thousand|million|billion|trillion)\b)?"
    r"(?![a-z]{0,5}\d|\w{6}|_)",
    re.I,
)
_TIMES = {
    "k": 10**3, "m": 10**6, "b": 10**9,
    "hundred": 100, "thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12,
}  # fmt: skip
_DECIMAL = re.compile(r"[0-9]{1,25}(?:\.[0-9]{1,25})?")
_MINUS = re.compile(r"(?:^|[\s(\[{$=~≈<>,:])[-−–]$")
_CASE_MATTERS = frozenset({"mW", "MW", "mHz", "MHz", "mPa", "MPa"})
_KNOWN_UNITS = frozenset(
    "% times ms us µs μs ns s min h d week month year km m cm mm nm µm μm um hz khz mhz ghz thz db kb mb gb tb k °c c "
    "mev gev tev ev kev w mw kw v mv a ma pa kpa mpa gpa kg g mg fps million billion thousand point bit byte token "
    "layer parameter image sample dataset task language epoch step participant patient".split()
)
NEGATION = re.compile(
    r"\b(?:not(?! only\b)|no(?!\. ?\d)|never|without|cannot|neither|nor|none|fail(?:s|ed|ing)? to)\b|n['’]t\b", re.I
)
# Words that turn a statement round when one takes the place of the other. Each line is one pair of opposite sets.
_OPPOSITES = [
    ("more greater higher larger increase increases increased increasing improve improves improved rises rise grows "
     "exceed exceeds exceeded", "less fewer lower smaller decrease decreases decreased decreasing reduce reduces "
     "reduced drop drops falls fall shrinks degrade degrades degraded"),
    ("better best outperform outperforms outperformed superior stronger strongest highest", "worse worst underperform "
     "underperforms underperformed inferior weaker weakest lowest"),
    ("faster fast quicker accelerates accelerate", "slower slow slows"),
    ("before prior precede precedes", "after following follow follows"),
    ("with including requires require needs need", "without excluding lacks lack"),
    ("all every always fully entirely", "some sometimes partly partially rarely"),
    ("many several multiple most", "few single only"),
    ("supervised labeled labelled", "unsupervised unlabeled unlabelled"),
    ("long longer longest", "short shorter shortest"),
    ("positive positively", "negative negatively"),
    ("early earlier first", "late later last"),
    ("simple cheap cheaply easy", "complex expensive extensive hard"),
    ("strong robust", "weak fragile"),
    ("same identical similar", "different distinct dissimilar"),
    ("online dynamic", "offline static"),
    ("linear", "nonlinear"),
    ("upper maximum maximize maximizes", "lower minimum minimize minimizes"),
    ("internal inside within", "external outside beyond"),
    ("local", "global"),
]  # fmt: skip
# Web and other addresses, with or without their scheme, and e-mail addresses. A bare name of a host counts in small
# letters only ("ASP.NET" is a name), unless a path follows.
_ADDRESS = re.compile(
    r"(?<![\w+.-])(?:"
    r"[a-zA-Z][\w+.-]{1,20}:(?://|\\\\)[^\s<>\"”]+|(?i:javascript|vbscript|data|mailto|file|tel|blob):[^\s<>\"”]+"
    r"|[\w+.-]{1,64}@[\w-]+(?:\.[\w-]+)*+"
    r"|(?:[\w-]++\.)+(?:[^\W\d_]{2,24}(?::\d+)?[/?][^\s<>\"”]+"
    r"|(?:com|org|net|info|io|ai|dev|app|co|edu|gov|xyz|site|online|top|me|example)\b(?!\.\w))"
    r"|\d{1,3}(?:\.\d{1,3}){3}(?::\d+)?(?:[/?][^\s<>\"”]*)?"
    r")"
)
_ADDRESS_FRAME = re.compile(r"^(?:https?://)?(?:www\.)?|[/.,;:!?)\]}’']+$", re.I)
# HTML, tags and entities; links and images of Markdown; tags of chat templates; places of templates; LaTeX's links.
_MARKUP = re.compile(
    r"</?[a-zA-Z!?][^<>]{0,300}>|<(?:img|script|iframe|svg|a|form|style|link|object|embed)\b|!?\[[^\[\]]{0,200}\][(\[:]"
    r"|<[|｜]|[|｜]>|&#?\w{1,31};|\$?\{\{|\$\{|\\(?:href|url|includegraphics|input|write)\b|\bon[a-z]{3,20}=[\"'\w]"
    r"|\{\"\w+\":",
    re.I,
)
_DIRECTION: dict[str, set[tuple[int, int]]] = {}
for _row, _sides in enumerate(_OPPOSITES):
    for _side, _words in enumerate(_sides):
        for _word in _words.split():
            _DIRECTION.setdefault(_word, set()).add((_row, _side))
# Of these words the opposite is a contradiction by itself; "fast" and "slow" may stand in one true sentence.
COMPARATIVES = frozenset(
    "more greater higher larger increase increases increased improve improves improved rises grows exceeds exceeded "
    "less fewer lower smaller decrease decreases decreased reduce reduces reduced drops falls shrinks degrade "
    "degrades degraded better worse outperform outperforms outperformed underperform underperforms underperformed "
    "superior inferior faster slower quicker".split()
)
_OTHER = {
    word: [other for sides in _OPPOSITES for side in (0, 1) if word in sides[side].split()
           for other in sides[1 - side].split()]
    for word in _DIRECTION
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Amount:
    """A number where it stands in a text.

    Attributes:
        written: The number as written, without what multiplies it.
        digits: The same in digits.
        times: What multiplies it: 1000 in "10k" and "ten thousand".
        negative: Whether a minus stands before it.
        start: Where it begins.
        end: Where it ends, with what multiplies it.
    """

    written: str
    digits: Decimal
    times: int
    negative: bool
    start: int
    end: int

    @property
    def value(self) -> Decimal:
        """What it comes to, without its sign."""
        return self.digits * self.times


def amounts(text: str) -> list[Amount]:
    """Return the numbers of a text in their order, with the words up to twelve. "1.2.3" is none.

    Example:
        >>> [(str(a.value), a.negative) for a in amounts("ten thousand images, r = -0.8, 3M")]
        [('10000', False), ('0.8', True), ('3000000', False)]
    """
    found = []
    for match in _AMOUNT.finditer(text):
        written, times = match["number"], (match["letter"] or match["word"] or "").lower()
        digits = re.sub(r",(?=\d{3}(?!\d))", "", _NUMBER_WORDS.get(written.lower(), written))
        if _DECIMAL.fullmatch(digits):
            negative = bool(_MINUS.search(text[max(0, match.start() - 3) : match.start()]))
            found.append(Amount(written, Decimal(digits), _TIMES.get(times, 1), negative, match.start(), match.end()))
    return found


def numbers(text: str) -> dict[str, str]:
    """Return the numbers of a text: as written, and in digits without thousands separators."""
    found = {n: re.sub(r",(?=\d{3}(?!\d))", "", n) for n in _NUMBER.findall(text)}
    return found | {word: _NUMBER_WORDS[word.lower()] for word in _NUMBER_WORD.findall(text)}


def names(text: str) -> list[str]:
    """Return the names of a statement: inner capitals, digits or capitals anywhere, capitalised unless in front."""
    words = list(_WORD.finditer(text))[1:]  # the first word has a capital in any case
    plain = [
        w[0] for w in words if len(w[0]) > 1 and w[0].isalpha() and w[0].istitle() and w[0].lower() not in STOP_WORDS
    ]
    return [*_NAME.findall(text), *plain]


def negation(text: str) -> str:
    """Return the first word that negates, "" if there is none."""
    found = NEGATION.search(text)
    return found[0] if found else ""


def opposites(word: str) -> list[str]:
    """Return the words that turn a statement round when they take the place of ``word``."""
    return _OTHER.get(word.lower(), [])


def direction(word: str) -> set[tuple[int, int]]:
    """Return the pairs of opposites a word belongs to, each with its side, 0 or 1."""
    return _DIRECTION.get(word, set())


def turned_round(statement: str, sentence: str) -> str:
    """Return a word of ``statement`` whose opposite, and nothing of its side, stands in ``sentence``; "" if none."""
    there = set().union(*(_DIRECTION.get(word, set()) for word in _WORD.findall(sentence.lower())))
    words: list[str] = _WORD.findall(statement.lower())
    for word in words:
        sides = _DIRECTION.get(word, set())
        if any((row, 1 - side) in there for row, side in sides) and not sides & there:
            return word
    return ""


def units(text: str) -> dict[str, set[str]]:
    """Return the units of the numbers of a text that have one: number in digits -> units, folded ("%", "times", "ms").

    What is counted (layers, patients) is a unit too, if it follows directly and is common.
    """
    found: dict[str, set[str]] = {}
    for number, unit in _QUANTITY.findall(text):
        folded = _MAGNITUDES.get(unit, unit.lower() if unit not in _CASE_MATTERS else unit)
        if folded.startswith("percentage point"):
            folded = "point"
        folded = folded.removesuffix("s") if len(folded) > 3 and folded not in _KNOWN_UNITS else folded
        folded = folded if folded in _CASE_MATTERS else _UNITS.get(folded, folded).lower()
        if folded in _KNOWN_UNITS or folded in _CASE_MATTERS:
            found.setdefault(re.sub(r",(?=\d{3}(?!\d))", "", number), set()).add(folded)
    return found


def is_unit(word: str) -> bool:
    """Whether something is measured or counted in a word: "seconds", "GB", "layers"."""
    folded = word.lower()
    forms = {folded, folded.removesuffix("s")} if len(folded) > 3 else {folded}  # "as" is no unit of current
    return not forms.isdisjoint(_UNITS.keys() | _KNOWN_UNITS)


def addresses(text: str) -> set[str]:
    """Return the web, e-mail and other addresses of a text, without what is the same address anyway ("https://www.").

    Example:
        >>> sorted(addresses("Code: https://github.com/a/b. Ask me@example.org"))
        ['github.com/a/b', 'me@example.org']
    """
    return {_ADDRESS_FRAME.sub("", address) for address in _ADDRESS.findall(text)}


def markup(text: str) -> set[str]:
    """Return what a page, a Markdown reader or a chat template could take for its own in a text, as written."""
    return set(_MARKUP.findall(text))
