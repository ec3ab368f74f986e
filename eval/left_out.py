"""Search a collection as if one paper were not in it. Changes nothing that is stored."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from index.embedding.encoder import Vectors
from index.filters import Where
from index.paper import Paper
from index.store import Candidates, PaperStore
from index.terms import indexed_terms


class StoreWithout(PaperStore):
    """A store whose searches can pass over one paper, for one thread.

    While they do, it is among no candidates, and neither it nor its words count in what the rarity of a word is
    computed from. Two things still know its words, so what is found is nearly, not always, what an index without the
    paper would give: the BM25 scores that choose candidates by keyword, and what :meth:`respelled` takes for a slip.
    """

    _left_out: Paper | None = None
    _terms: frozenset[str] = frozenset()

    @contextmanager
    def without(self, paper: Paper) -> Iterator[None]:
        """Leave a paper of the collection out of all searches."""
        self._left_out, self._terms = paper, frozenset(indexed_terms(paper.title, paper.abstract).split())
        try:
            yield
        finally:
            self._left_out, self._terms = None, frozenset()

    def candidates(self, vector: Vectors, terms: Sequence[str], limit: int, where: Where | None = None) -> Candidates:
        """Search as :meth:`index.store.PaperStore.candidates` does."""
        if self._left_out is None:
            return super().candidates(vector, terms, limit, where)
        found = super().candidates(vector, terms, limit + 1, where)  # its place goes to the next one
        left_out = self._left_out.id
        others = [key for key, stored in found.papers.items() if stored.paper.id != left_out]
        by_meaning = tuple(key for key in found.by_meaning if key in others)[:limit]
        by_keyword = tuple(key for key in found.by_keyword if key in others)[:limit]
        return replace(
            found,
            papers={key: found.papers[key] for key in dict.fromkeys([*by_meaning, *by_keyword])},
            by_meaning=by_meaning,
            by_keyword=by_keyword,
            document_frequency=self._less(found.document_frequency),
            total=found.total - 1,
        )

    def document_frequency(self, terms: Sequence[str]) -> tuple[dict[str, int], int]:
        """Return in how many papers each term is, and the number of papers."""
        counts, total = super().document_frequency(terms)
        return (counts, total) if self._left_out is None else (self._less(counts), total - 1)

    def _less(self, counts: dict[str, int]) -> dict[str, int]:
        return {term: count - (term in self._terms) for term, count in counts.items()}
