"""The keyword index: tantivy over terms, derived from SQLite. Holds no text and decides no weights.

Terms are made by :mod:`index.terms`, so tantivy only splits at spaces. The folder is stamped with the
generation it reflects; a folder without a matching stamp is built again.
"""

import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import tantivy

from .terms import document_terms

_FORMAT = 1
_HEAP_BYTES = 64_000_000


class KeywordIndex:
    """BM25 search over papers.

    Args:
        folder: Where it lives; it is made when needed.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._stamp = folder / "generation"
        self._index: Any = None
        self.generation = -1
        self.reload()

    def reload(self) -> None:
        """Take up what another process has committed; leaves the index empty if there is nothing usable."""
        try:
            form, generation = self._stamp.read_text().split()
            if int(form) != _FORMAT:
                raise ValueError(form)
            index = self._open()
            index.reload()
            self._index, self.generation = index, int(generation)
        except (OSError, ValueError):  # missing, half written or damaged: it will be built again
            self._index, self.generation = None, -1

    def rebuild(self, papers: Iterable[tuple[int, str]], generation: int) -> None:
        """Throw everything away and index ``papers``, pairs of a paper's key and its title and abstract."""
        self._index = None
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir(parents=True)
        self._index = self._open()
        self.update((), papers, generation)

    def update(self, deleted: Iterable[int], added: Iterable[tuple[int, str]], generation: int) -> None:
        """Remove the papers with the keys ``deleted``, then add ``added``, and stamp the result."""
        self._stamp.unlink(missing_ok=True)
        writer = self._index.writer(heap_size=_HEAP_BYTES, num_threads=1)
        for key in deleted:
            writer.delete_documents("key", key)
        for key, text in added:
            document = tantivy.Document()
            document.add_unsigned("key", key)
            document.add_text("terms", " ".join(document_terms(text)))
            writer.add_document(document)
        writer.commit()
        writer.wait_merging_threads()
        self._index.reload()
        draft = self._stamp.with_name("generation.new")
        draft.write_text(f"{_FORMAT} {generation}")
        draft.replace(self._stamp)
        self.generation = generation

    def search(self, terms: Sequence[str], limit: int, allowed: Sequence[int] | None) -> list[int]:
        """Return the keys of the best papers by BM25, best first.

        Args:
            terms: Question terms; a paper with any of them is a match.
            limit: How many at most, at least 1.
            allowed: Keys that may be found; None for all.
        """
        if self._index is None or not terms:
            return []
        words = [(tantivy.Occur.Should, self._term(term)) for term in terms]
        query = tantivy.Query.boolean_query(words)
        if allowed is not None:
            inside = tantivy.Query.term_set_query(self._index.schema, "key", list(allowed))
            must = tantivy.Occur.Must
            query = tantivy.Query.boolean_query([(must, query), (must, tantivy.Query.const_score_query(inside, 0.0))])
        searcher = self._index.searcher()
        hits = searcher.search(query, limit, count=False).hits
        keys = searcher.fast_field_values("key", [address for _, address in hits])
        # Equal scores are ordered by key, so that a rebuilt index answers as the old one did.
        ranked = sorted(zip(hits, keys, strict=True), key=lambda pair: (-pair[0][0], pair[1]))
        return [int(key) for _, key in ranked]

    def document_frequencies(self, terms: Iterable[str]) -> dict[str, int]:
        """Return how many papers hold each term. Deleted papers are not counted."""
        if self._index is None:
            return dict.fromkeys(terms, 0)
        searcher = self._index.searcher()
        return {term: searcher.search(self._term(term), 1, count=True).count for term in terms}

    def __len__(self) -> int:
        return 0 if self._index is None else int(self._index.searcher().num_docs)

    def _term(self, term: str) -> Any:
        return tantivy.Query.term_query(self._index.schema, "terms", term, "freq")

    def _open(self) -> Any:
        builder = tantivy.SchemaBuilder()
        builder.add_unsigned_field("key", indexed=True, fast=True)
        builder.add_text_field("terms", tokenizer_name="spaces", index_option="freq")
        index = tantivy.Index(builder.build(), path=str(self._folder))
        index.register_tokenizer("spaces", tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.whitespace()).build())
        return index
