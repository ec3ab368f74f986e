"""What an index must hold and what its searches must answer, in plain Python and numpy.

Written from the promises, not from the code: nothing here is imported from what it judges. Only what is tested
elsewhere is used, to cut abstracts into passages and to embed them.
"""

import json
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import lru_cache

import numpy as np
from fakes import DIMENSION, HashEncoder

from index.embedding.encoder import PassageText
from index.filters import Where
from index.paper import Paper
from index.passages import split_passages
from index.terms import document_terms, question_terms

TOLERANCE = 2e-6  # of a cosine: FAISS adds up 64 products in another order


# -- which records are one paper, and what they say together ------------------------------------------------------


@dataclass(eq=False)
class Known:
    """A paper, with what each source says of it in order of arrival: [source, record, whether given in this call]."""

    id: str
    said: list[list] = field(default_factory=list)
    named_after: set[tuple] = field(default_factory=set)  # the title that the id stands for, if it is none of the ids

    @property
    def paper(self) -> Paper:
        records = [record for _, record, _ in self.said]

        def first(name, empty):
            return next((getattr(r, name) for r in records if getattr(r, name) != empty), empty)

        def union(values):
            return tuple(dict.fromkeys(values))

        extra = {}
        for record in records:
            extra = {**record.extra, **extra}
        ids = union(name for r in records for name in (r.id, *r.identifiers) if not name.startswith("title:"))
        return Paper(
            id=self.id,
            title=records[0].title,
            abstract=sorted((r.abstract for r in records), key=len, reverse=True)[0],
            authors=sorted((r.authors for r in records), key=len, reverse=True)[0],
            year=first("year", None),
            venue=first("venue", ""),
            url=first("url", ""),
            doi=first("doi", ""),
            tags=union(tag for r in records for tag in r.tags) if len(records) > 1 else records[0].tags,
            extra=json.loads(json.dumps(extra)),
            identifiers=tuple(name for name in ids if name != self.id),
        )

    @property
    def ids(self) -> set[str]:
        return {name for r in [self.paper, *(r for _, r, _ in self.said)] for name in public_ids(r)}

    @property
    def titles(self) -> set[tuple]:
        return self.named_after | {title_of(r) for r in [self.paper, *(r for _, r, _ in self.said)]}

    @property
    def sources(self) -> set[str]:
        return {source for source, _, _ in self.said}


def public_ids(record: Paper) -> set[str]:
    return {name for name in (record.id, *record.identifiers) if not name.startswith("title:")}


def title_of(record: Paper) -> tuple[str, str]:
    """Return the title and the first author's surname, without case, accents and punctuation."""
    surname = record.authors[0].split()[-1] if record.authors else ""
    return plain(record.title), plain(surname)


def plain(text: str) -> str:
    letters = unicodedata.normalize("NFKD", text).casefold()
    return " ".join(re.findall(r"[^\W_]+", "".join(c for c in letters if not unicodedata.combining(c))))


def differ(ids: Iterable[str], others: Iterable[str]) -> bool:
    """Whether both sides have an id of one kind, and none in common."""

    def of(names, kind):
        kinds = ("doi", "arxiv", "pmid")
        return {n for n in names if (n.split(":")[0] if n.split(":")[0] in kinds else "own") == kind}

    pairs = [(of(ids, kind), of(others, kind)) for kind in ("doi", "arxiv", "pmid", "own")]
    return any(a and b and not a & b for a, b in pairs)


class Collection:
    """The papers of an index.

    Attributes:
        known: Papers in the order they were added.
        texts: Title and abstract of every text whose vectors are kept.
    """

    def __init__(self) -> None:
        self.known: list[Known] = []
        self.texts: set[tuple[str, str]] = set()

    def add(self, records: Iterable[tuple[str, Paper]]) -> tuple[Counter, list[tuple[str, str]]]:
        """Take records with their sources; return what they are counted as, and the texts that must be embedded.

        A record that shares a name with a paper that is on its way is taken after the others.
        """
        counts, embedded = Counter(), []
        for known in self.known:
            for entry in known.said:
                entry[2] = False
        waiting = [(source, replace(record, extra=json.loads(json.dumps(record.extra)))) for source, record in records]
        while waiting:
            taken, waiting, under_way = waiting, [], set()
            for source, record in taken:
                names = public_ids(record) | {title_of(record)}
                if names & under_way:
                    waiting.append((source, record))
                    under_way |= names
                else:
                    under_way |= self._take(source, record, counts, embedded)
        return counts, embedded

    def _take(self, source: str, record: Paper, counts: Counter, embedded: list) -> set:
        """Take one record; return the names of the papers that it changes, before and after."""
        found = self._recognise(source, record)
        before = [(k.paper.title, k.paper.abstract) for k in found]
        names = {name for known in found for name in known.ids | known.titles}
        if not found:
            counts["added"] += 1
            known = Known(
                record.id, [[source, record, True]], {title_of(record)} if record.id.startswith("title:") else set()
            )
            self.known.append(known)
        else:
            known = self._combine(found, source, record, counts)
            if known is None:
                return set()
        text = (known.paper.title, known.paper.abstract)
        if text not in before[:1] and text not in self.texts:
            embedded.append(text)
        self.texts.add(text)
        return names | known.ids | known.titles

    def _recognise(self, source: str, record: Paper) -> list[Known]:
        if found := [known for known in self.known if known.ids & public_ids(record)]:
            return found
        similar = [k for k in self.known if title_of(record) in k.titles and not differ(public_ids(record), k.ids)]
        before = [k for k in similar if any(s == source and alike(r, record, k.id) for s, r, _ in k.said)]
        return (before or similar)[:1]

    def _combine(self, found: list[Known], source: str, record: Paper, counts: Counter) -> Known | None:
        """Put a record to what is known of its paper; None if it says nothing new."""
        known, *others = found
        for other in others:
            known.said += other.said
            self.known.remove(other)
        again = any(given for name, _, given in known.said if name == source)
        listed = source in known.sources
        earlier = [entry for entry in known.said if entry[0] == source and not entry[2]]
        same = [entry for entry in earlier if alike(entry[1], record, known.id)]
        if same or earlier:  # what it said before of the paper: the same, or else the first of it
            (same or earlier)[0][1:] = [record, True]
        else:
            known.said.append([source, record, True])
        nothing_new = same and not others
        counts["duplicates" if again else "unchanged" if nothing_new else "updated" if listed else "merged"] += 1
        return None if nothing_new else known

    def delete(self, names: Iterable[str]) -> int:
        gone = [known for known in self.known if known.ids & set(names) or known.id in names]
        self.known = [known for known in self.known if known not in gone]
        return len(gone)

    def reindexed(self) -> None:
        """Only the vectors of the papers that are there have been made anew."""
        self.texts = {(known.paper.title, known.paper.abstract) for known in self.known}

    def papers(self, where: Where | None = None) -> list[Paper]:
        return [known.paper for known in self.known if passes(known, where)]


def alike(one: Paper, other: Paper, paper_id: str) -> bool:
    """Whether two records of the paper of this id say the same, by whichever of its ids they call it."""
    names = [
        [name for name in (record.id, *record.identifiers) if name in public_ids(record) - {paper_id}]
        for record in (one, other)
    ]
    return names[0] == names[1] and replace(one, id="", identifiers=()) == replace(other, id="", identifiers=())


# -- filters ------------------------------------------------------------------------------------------------------


def passes(known: Known, where: Where | None) -> bool:
    """Say what a filter means, in Python."""
    if where is None:
        return True
    paper = known.paper
    within = paper.year is not None and (where.year_from or 0) <= paper.year <= (where.year_to or 9999)
    files = {path.rpartition("/")[2] for path in known.sources}
    return (
        (within or (where.year_from is None and where.year_to is None))
        and (not where.venues or any(folded(v) in folded(paper.venue) for v in where.venues))
        and (not where.authors or any(folded(a) in folded(n) for a in where.authors for n in paper.authors))
        and (not where.tags or any(folded(t) == folded(tag) for t in where.tags for tag in paper.tags))
        and (not where.ids or bool(known.ids & set(where.ids)) or known.id in where.ids)
        and (not where.sources or any(s in known.sources or folded(s) in map(folded, files) for s in where.sources))
    )


def folded(text: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())


# -- searches -----------------------------------------------------------------------------------------------------


@lru_cache(maxsize=20_000)
def passage_vectors(title: str, abstract: str, window: int) -> np.ndarray:
    """Return the float16 vectors that must be stored for a text, as float32, shape (passages, DIMENSION)."""
    encoder = _encoder(window)
    texts = [
        PassageText(
            title,
            abstract[p.start : p.end],
            tuple((start - p.start, end - p.start) for start, end in p.sentences),
        )
        for p in split_passages(title, abstract, window, encoder.count_tokens)
    ]
    return np.stack([v.passage for v in encoder.embed_passages(texts)]).astype(np.float16).astype(np.float32)


@lru_cache(maxsize=8)
def _encoder(window: int) -> HashEncoder:
    return HashEncoder(window)


def ranking(papers: Iterable[Paper], vector: np.ndarray, window: int) -> list[tuple[str, float]]:
    """Return paper id and cosine of every passage, best first."""
    found = [
        (paper.id, float(score))
        for paper in papers
        for score in passage_vectors(paper.title, paper.abstract, window) @ vector
    ]
    return sorted(found, key=lambda pair: -pair[1])


def assert_same_ranking(found: list[tuple[str, float]], expected: list[tuple[str, float]]) -> None:
    """Compare two rankings of passages, ids and scores; equal scores may stand in any order."""
    assert len(found) == len(expected)
    np.testing.assert_allclose([s for _, s in found], [s for _, s in expected], atol=TOLERANCE, rtol=0)
    start = 0
    for at in range(1, len(found) + 1):
        # Where the score falls, the same ids must have stood above it.
        if at == len(found) or expected[at - 1][1] - expected[at][1] > 3 * TOLERANCE:
            ids, others = (Counter(i for i, _ in pairs[start:at]) for pairs in (found, expected))
            assert ids == others, (ids, others)
            start = at


def assert_search_is_exact(store, papers, question, limit, where=None, window=None, collection=None):
    """Compare both searches of a store, and the scores of all its vectors, with brute force.

    Args:
        store: The store.
        papers: The papers that pass ``where``.
        question: Words to look for.
        limit: Papers wanted.
        where: The filter.
        window: Tokens of a passage; None for the store's own.
        collection: All papers, to compare the document frequencies; None to leave them out.
    """
    papers, window = list(papers), window or store.passages.max_tokens
    vector = _encoder(window).embed_queries([question])[0]
    terms = question_terms(question)
    found = store.candidates(vector, terms, limit, where)
    known = {paper.id: paper for paper in papers}

    expected = ranking(papers, vector, window)
    best = list(dict(reversed(expected)).items())  # each paper's best passage
    best.sort(key=lambda pair: -pair[1])
    scores = dict(best)
    by_meaning = [found.papers[key].paper.id for key in found.by_meaning]
    assert len(set(by_meaning)) == len(by_meaning) == min(limit, len(papers))
    assert set(by_meaning) <= set(known)
    np.testing.assert_allclose(
        [scores[paper_id] for paper_id in by_meaning], [s for _, s in best[:limit]], atol=TOLERANCE, rtol=0
    )
    for stored in found.papers.values():
        assert stored.paper == known[stored.paper.id]
        wanted = passage_vectors(stored.paper.title, stored.paper.abstract, window)
        np.testing.assert_array_equal(stored.passage_vectors, wanted)
        assert len(stored.sentences) == len(stored.sentence_vectors)
        assert stored.sentences[0][0] == 0
        assert stored.sentences[-1][1] == len(stored.paper.abstract)
    assert_same_ranking(all_scores(store, vector, where), expected)

    words = {paper.id: set(document_terms(f"{paper.title}\n{paper.abstract}")) for paper in papers}
    matching = {paper_id for paper_id, of in words.items() if set(terms) & of}
    by_keyword = [found.papers[key].paper.id for key in found.by_keyword]
    assert len(set(by_keyword)) == len(by_keyword) == min(limit, len(matching))
    assert set(by_keyword) <= matching
    if collection is not None:
        everything = [set(document_terms(f"{p.title}\n{p.abstract}")) for p in collection]
        assert found.total == len(everything)
        assert found.document_frequency == {term: sum(term in of for of in everything) for term in terms}
    return found


def all_scores(store, vector, where=None, *, exhaustive=True) -> list[tuple[str, float]]:
    """Return paper id and score of every passage that passes a filter, as the vector index ranks them."""
    with store._derived.current() as db:
        _, mask = store._allowed(db, where)
        vectors = store._derived.vectors
        owners, scores = vectors.search(vector, max(1, len(vectors)), mask, exhaustive=exhaustive)
        ids = dict(db.execute("SELECT key, id FROM papers"))
    return [(ids[owner], float(score)) for owner, score in zip(owners.tolist(), scores, strict=True)]


def statuses(store) -> dict[str, bool]:
    return {check.name: check.ok for check in store.check()}


def assert_sound(store, *, but: Iterable[str] = ()) -> None:
    """Assert that an examination finds nothing wrong, apart from the checks named."""
    checks = store.check()
    assert all(check.ok for check in checks if check.name not in but), checks


__all__ = [
    "DIMENSION", "Collection", "Known", "all_scores", "assert_same_ranking", "assert_search_is_exact", "assert_sound",
    "passage_vectors", "passes", "ranking", "statuses",
]  # fmt: skip
