"""Find the noun phrases of a text that name a thing. Parses nothing: it knows what stands between them.

A noun phrase is a run of words between function words, verbs and punctuation, which finds most of them without a
parser. The lists were chosen on the questions of TREC CAsT 2019 and 2020.
"""

import re
from collections.abc import Iterator, Sequence

from index.terms import STOP_WORDS, fold_words, stem

_WORD = re.compile(r"[^\W_]+(?:[-‐‑.'’&/][^\W_]+)*")
_JOINS = frozenset(("and", "of"))  # inside a name, between two capitalised words

# Between noun phrases, beside the words without a topic: verbs and adverbs of questions.
_BETWEEN = STOP_WORDS - frozenset(
    """approach approaches article articles author authors collection method methods novel paper papers study
    studies""".split()
) | frozenset(
    """affect again against allow already among anything apart around because become becomes before begin behind
    besides beyond buy call called cause caused causes change changed choose come comes compare compared consider
    contrast cost cure define describe determine develop developed didn't differ discover discuss doesn't don't down
    drink during eat elaborate enough even ever everyone explain far found generally give go going good happen happened
    happens help helps however impact improve increase inside instead isn't it's keep kill know known learn learning
    least let's live long look made main make makes mean means mine must near need never no off oh ok okay prevent
    produce provide put really reduce relate related require share shift should since someone something start started
    still suffer suffering take taught that's think throughout together too toward towards treat treated try unless
    until upon versus visit vs wasn't weigh went what's where's who's within won't worth would wow yes yet""".split()
)
GRADING = frozenset(
    """actual available bad basic best better big biggest certain common current different early exact expensive famous
    fast few first good great hard important interesting key largest last late later latest least likely main major many
    modern new newest notable old oldest other own popular possible powerful real recent same second significant similar
    simple small smallest special specific successful typical unique useful various whole worst""".split()
)
"""Words that grade or order, at the beginning of a noun phrase ("the most common types")."""
# Words at the end of a run that say something of the noun phrase before them, beside participles in -ed.
_SAYING = frozenset(
    """bad carry close contain die different difficult exist famous free important naturally powerful useful""".split()
)
# Nouns that name a side of something, and not the thing: alone they ask about the topic.
_SIDES = frozenset(
    stem(word)
    for word in """advantage application argument aspect author background beginning benefit case category cause
    challenge characteristic class con concern cons consequence cost creation criticism date definition description
    detail development difference disadvantage drawback effect element evidence example experience fact factor feature
    finding form founder function future history idea impact implication importance influence information invention
    issue key kind layer level limitation meaning member number objective option origin part people person place point
    price pro problem process project pros purpose question reason relation relationship requirement result risk role
    rule side sign significance similarity size solution sort source stage step story strategy strength success symptom
    system term theme thing time tip topic treatment type use variant variation variety version way weakness winner
    year""".split()
)


def noun_phrases(text: str) -> list[str]:
    """Return the noun phrases of a text that name a thing, in order.

    Example:
        >>> noun_phrases("What are the most common types of throat cancer and how is it treated?")
        ['throat cancer']
    """
    return list(dict.fromkeys(" ".join(words) for run in _runs(text) if (words := _trimmed(run))))


def _runs(text: str) -> Iterator[list[str]]:
    """Yield the runs of words with nothing between them."""
    run: list[str] = []
    words = list(_WORD.finditer(text))
    for place, match in enumerate(words):
        word = match[0]
        if run and text[words[place - 1].end() : match.start()].strip():
            yield run
            run = []
        if not _is_between(word) or _joins(words[max(place - 1, 0) : place + 2]):
            run.append(word)
        elif run:
            yield run
            run = []
    if run:
        yield run


def _is_between(word: str) -> bool:
    return word != "US" and fold_words(word).replace("’", "'") in _BETWEEN


def _joins(around: Sequence[re.Match[str]]) -> bool:
    """Whether the middle one of three words makes one name of the others ("Lewis and Clark")."""
    if len(around) < 3 or around[1][0] not in _JOINS:
        return False
    near = around[2].start() - around[0].end() == len(around[1][0]) + 2
    return near and all(match[0][0].isupper() and not _is_between(match[0]) for match in (around[0], around[2]))


def _trimmed(run: Sequence[str]) -> list[str]:
    """Return a run without what grades it and what is said of it; nothing if it only names a side of something."""
    words = list(run)
    while words and fold_words(words[0]) in GRADING:
        words.pop(0)
    while words and (words[-1] in _SAYING or re.fullmatch(r"[a-z]{2,}[^e\W]ed", words[-1])):
        words.pop()
    if all(stem(fold_words(word)) in _SIDES for word in words):
        return []
    return [*words[:-1], re.sub(r"['’]s?$", "", words[-1])]
