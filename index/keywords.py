"""The keyword index: tantivy over terms, derived from SQLite. Holds no text and decides no weights.

Terms are made by :mod:`index.terms`, so tantivy only splits at spaces. The folder is stamped with the
generation it reflects and with the digest of its files; a folder that does not match is built again.
"""

import json
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tantivy

from .database import of_one_epoch
from .digest import file_sha256
from .rows import Keys
from .terms import analysis

MAX_LISTED_KEYS = 5_000  # measured over 120,000 papers: a search within 5,000 keys takes 7 ms, within 100,000 57 ms

_FORMAT = 3
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
        self._facts: dict[str, Any] | None = None  # the stamp of what is loaded; None if it is not in the folder
        self.generation = -1
        self.reload()

    def reload(self, current: int | None = None) -> None:
        """Take up what another process has committed.

        Args:
            current: The generation of SQLite; files of another index are not taken up. None: whatever is there.

        If there is nothing usable (missing, being written, damaged), what was loaded before stays, with the
        generation it reflects; the generation is -1 if there was nothing before.
        """
        try:
            stamp = self._stamp.read_text()
            facts = json.loads(stamp)
            generation = int(facts["generation"])
            if facts["format"] != _FORMAT or facts["terms"] != analysis() or generation <= self.generation:
                return  # of another version, or nothing new
            if current is not None and not of_one_epoch(generation, current):
                return
            # Tantivy checks no file as a whole: what is damaged would fail, or find nothing, at some later search.
            known = {} if self._facts is None else self._facts["files"]
            for name, digest in facts["files"].items():
                if digest != known.get(name) and digest != file_sha256(self._folder / name):
                    raise ValueError(name)
            index = self._open()
            if self._stamp.read_text() != stamp:  # a writer removes it first: these files may be newer than it says
                return
            self._index, self._facts, self.generation = index, facts, generation
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            pass  # see above

    def forget(self) -> None:
        """Drop what is loaded; the folder stays as it is."""
        self._index, self._facts, self.generation = None, None, -1

    def discard(self) -> None:
        """Drop what is loaded, and what says that the folder holds anything."""
        self.forget()
        self._stamp.unlink(missing_ok=True)

    def rebuild(self, papers: Iterable[tuple[int, str]], generation: int) -> None:
        """Throw everything away and index ``papers``, pairs of a key and :func:`~index.terms.indexed_terms`."""
        self.forget()
        self._stamp.unlink(missing_ok=True)  # first: a stamp beside half a folder would be a lie
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir(parents=True, exist_ok=True)
        self._index = self._open()
        self._write((), papers)
        self._save_stamp(generation)

    def rebuild_in_memory(self, papers: Iterable[tuple[int, str]], generation: int) -> None:
        """Index ``papers`` without touching the folder, for a process that may not write there."""
        self._index, self._facts = _prepared(tantivy.Index(_schema())), None
        self._write((), papers)
        self.generation = generation

    def update(self, deleted: Iterable[int], added: Iterable[tuple[int, str]], generation: int) -> None:
        """Remove the papers with the keys ``deleted``, then add ``added``, and stamp the result.

        Args:
            deleted: Keys; those of papers that are not there are passed over.
            added: Key of each paper and its terms from :func:`index.terms.indexed_terms`.
            generation: The generation of SQLite that is reached.

        Raises:
            OSError: If the folder is not the one that was loaded; it must be built again.
            ValueError: If Tantivy cannot work with what is there; likewise.
        """
        facts = json.loads(self._stamp.read_text())
        if facts != self._facts or not all((self._folder / name).exists() for name in facts["files"]):
            raise FileNotFoundError(f"{self._folder} has been changed or damaged")
        self._stamp.unlink()
        self._write(deleted, added)
        self._save_stamp(generation)

    def _write(self, deleted: Iterable[int], added: Iterable[tuple[int, str]]) -> None:
        writer = self._index.writer(heap_size=_HEAP_BYTES, num_threads=1)
        try:
            writer.delete_documents_by_query(self._keys(deleted))
            for key, text in added:
                document = tantivy.Document()
                document.add_integer("key", key)
                document.add_text("terms", text)
                writer.add_document(document)
            writer.commit()
            writer.wait_merging_threads()
        finally:
            del writer  # it holds Tantivy's own lock, which an exception's traceback would keep
        self._index.reload()

    def _save_stamp(self, generation: int) -> None:
        known = {} if self._facts is None else self._facts["files"]
        files = {}
        for path in sorted(self._folder.iterdir()):
            if path.suffix and not path.name.startswith("."):
                # A segment never changes, so the digest of its birth is kept; only the list of them does.
                digest = None if path.name == "meta.json" else known.get(path.name)
                files[path.name] = digest or file_sha256(path)
        facts = {"format": _FORMAT, "terms": analysis(), "generation": generation, "files": files}
        draft = self._folder / ".generation.new"
        draft.write_text(json.dumps(facts))
        draft.replace(self._stamp)
        self._facts, self.generation = facts, generation

    def search(self, terms: Sequence[str], limit: int, allowed: Keys | None) -> list[int]:
        """Return the keys of the best papers by BM25, best first.

        Args:
            terms: Question terms; a paper with any of them is a match.
            limit: How many at most, at least 1.
            allowed: Keys that may be found, int64; None for all.
        """
        limit = min(limit, len(self))  # Tantivy reserves memory for as many as it is asked for
        if limit == 0 or not terms or (allowed is not None and not len(allowed)):
            return []
        query = tantivy.Query.boolean_query([(tantivy.Occur.Should, self._term(term)) for term in terms])
        if allowed is None:
            return self._ranked(query, limit)
        if len(allowed) <= MAX_LISTED_KEYS:
            inside, must = self._keys(allowed.tolist()), tantivy.Occur.Must
            both = tantivy.Query.boolean_query([(must, query), (must, tantivy.Query.const_score_query(inside, 0.0))])
            return self._ranked(both, limit)
        # A list of so many keys costs more than the search. Reading the ranking until enough of it has passed gives
        # the same papers in the same order.
        depth = limit
        while True:
            depth = min(2 * depth * len(self) // len(allowed) + 1, len(self))
            keys = self._ranked(query, depth)
            passed = np.isin(keys, allowed).nonzero()[0].tolist()
            if len(passed) >= limit or len(keys) < depth or depth == len(self):
                return [keys[at] for at in passed[:limit]]

    def _ranked(self, query: Any, limit: int) -> list[int]:
        searcher = self._index.searcher()
        hits = searcher.search(query, limit, count=False).hits
        keys = searcher.fast_field_values("key", [address for _, address in hits])
        # Equal scores are ordered by key, so that a rebuilt index answers as the old one did.
        ranked = sorted(zip(hits, keys, strict=True), key=lambda pair: (-pair[0][0], pair[1]))
        return [int(key) for _, key in ranked]

    def search_near(self, term: str, limit: int) -> list[int]:
        """Return the keys of papers that hold a term one slip away: a letter more, less, other, or two exchanged."""
        limit = min(limit, len(self))
        if not limit:
            return []
        query = tantivy.Query.fuzzy_term_query(self._index.schema, "terms", term, 1, transposition_cost_one=True)
        return self._ranked(query, limit)

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

    def _keys(self, keys: Iterable[int]) -> Any:
        return tantivy.Query.term_set_query(self._index.schema, "key", list(keys))

    def _open(self) -> Any:
        return _prepared(tantivy.Index(_schema(), path=str(self._folder)))


def _schema() -> Any:
    builder = tantivy.SchemaBuilder()
    # Signed: tantivy-py makes a signed term of an int, so in an unsigned field nothing is found, or deleted, by key.
    builder.add_integer_field("key", indexed=True, fast=True)
    builder.add_text_field("terms", tokenizer_name="spaces", index_option="freq")
    return builder.build()


def _prepared(index: Any) -> Any:
    index.register_tokenizer("spaces", tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.whitespace()).build())
    # By default a reader takes up any commit in its folder by itself, before the stamp says which generation it is.
    index.config_reader(reload_policy="manual")
    return index
