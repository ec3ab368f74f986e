"""Examine everything an index stores. Changes nothing: what is found wrong is mended by whoever asked."""

import hashlib
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from . import rows
from .database import Database, read_generation, read_meta, unfinished_sources
from .derived import Derived
from .lock import current_writer
from .reindex import unfinished_reindex
from .rows import Halves, Keys
from .terms import indexed_terms

LEAST_RECALL = 0.9  # of a graph; one that finds less is not worth its speed
_SAMPLED_TERMS = 200


@dataclass(frozen=True, slots=True)
class Check:
    """One finding.

    Attributes:
        name: What was examined.
        ok: Whether it needs no attention.
        detail: What was found, for people.
        derived: Whether it can be made again from the papers.
    """

    name: str
    ok: bool
    detail: str
    derived: bool = False


def examine(database: Database, derived: Derived, dimension: int) -> list[Check]:
    """Compare everything that is stored with what it must agree with."""
    writer = current_writer(database.folder)
    with derived.current() as db:
        checks = [
            _database(db),
            _papers(db),
            _texts(db, dimension),
            _vectors(db, derived, dimension),
            _search(derived),
            _keywords(db, derived, writer),
        ]
        adding = ", ".join(sorted(unfinished_sources(read_meta(db))))
        target = unfinished_reindex(db)
    checks.append(_last_add(adding, writer))
    if target is not None:
        detail = f"{writer} is changing to {target} now" if writer else f"changing to {target} was interrupted; the "
        detail += "" if writer else f"index answers as before; citewell reindex {database.folder} finishes it"
        checks.append(Check("reindexing", writer is not None, detail))
    return checks


def _database(db: sqlite3.Connection) -> Check:
    verdict = str(db.execute("PRAGMA integrity_check").fetchone()[0])
    dangling = len(db.execute("PRAGMA foreign_key_check").fetchall())
    detail = f"SQLite integrity check: {verdict}" + (f", {dangling} rows without what they belong to" * bool(dangling))
    return Check("database", verdict == "ok" and not dangling, detail)


def _papers(db: sqlite3.Connection) -> Check:
    def count(condition: str) -> int:
        return int(db.execute(f"SELECT count(*) FROM {condition}").fetchone()[0])

    papers = rows.count_papers(db)
    stray = count("passages WHERE paper NOT IN (SELECT key FROM papers)")
    unsearchable = count("papers WHERE key NOT IN (SELECT paper FROM passages)")
    nameless = count("papers WHERE key NOT IN (SELECT paper FROM names)")
    bare = count("papers WHERE key NOT IN (SELECT paper FROM embeddings)")
    unsaid = count("papers WHERE key NOT IN (SELECT paper FROM records)")
    detail = f"{papers} papers, {stray} passages without a paper, {unsearchable} papers without a passage"
    others = ((nameless, "without a name"), (unsaid, "without a source"), (bare, "without sentences"))
    for number, what in others:
        detail += f", {number} {what}" * bool(number)
    return Check("papers", stray == unsearchable == nameless == unsaid == bare == 0, detail)


def _texts(db: sqlite3.Connection, dimension: int) -> Check:
    """Compare what was computed of each text, and what filters look for, with the paper."""
    query = """
        SELECT papers.key, title, abstract, digest, sentences, length(vectors), terms
        FROM papers JOIN embeddings ON paper = papers.key
    """
    wrong = sum(
        digest != rows.digest_of(title, abstract)
        or terms != indexed_terms(title, abstract)
        or not rows.sentences_fit(sentences, size, abstract, dimension)
        for _, title, abstract, digest, sentences, size, terms in db.execute(query)
    )
    stale = rows.count_stale_facets(db)
    detail = f"{wrong} papers have vectors or words of another text" if wrong else "vectors and words fit the texts"
    detail += f", {stale} papers are not found by their authors, venue or tags" * bool(stale)
    return Check("texts", not wrong and not stale, detail)


def _vectors(db: sqlite3.Connection, derived: Derived, dimension: int) -> Check:
    stored = int(db.execute("SELECT count(*) FROM passages").fetchone()[0])
    known = len(derived.vectors)
    same = _fingerprint(derived.vectors.chunks()) == _fingerprint(rows.iter_passages(db, -1, dimension))
    detail = f"{known} vectors in FAISS, {stored} in SQLite, {'equal' if same else 'different'}"
    return Check("vectors", same, detail + derived.mended.get("vectors", ""), derived=True)


def _fingerprint(chunks: Iterator[tuple[Keys, Keys, Halves]]) -> list[bytes]:
    """Return digests of all keys, papers and vectors, however they are cut into chunks."""
    digests = [hashlib.blake2b() for _ in range(3)]
    for chunk in chunks:
        for digest, values in zip(digests, chunk, strict=True):
            digest.update(np.ascontiguousarray(values).data)
    return [digest.digest() for digest in digests]


def _search(derived: Derived) -> Check:
    graph = derived.vectors.graph
    if graph is None and not derived.vectors.wants_graph:
        return Check("search", True, "exhaustive, exact")
    if graph is None:
        return Check("search", False, "exhaustive, exact, and slow: the graph is missing", derived=True)
    measured = f"recall@10 {graph.recall:.3f} against exact search ({graph.sample} searches, efSearch {graph.effort})"
    return Check("search", graph.recall >= LEAST_RECALL, f"by graph, {measured}")


def _keywords(db: sqlite3.Connection, derived: Derived, writer: str | None) -> Check:
    known, papers = len(derived.keywords), rows.count_papers(db)
    detail = f"{known} papers in the keyword index, {papers} in SQLite"
    if derived.keywords.generation != read_generation(db):
        detail += f"; {writer} is writing and will bring it up to date" if writer else ", not up to date"
        return Check("keywords", writer is not None, detail, derived=True)
    expected = rows.sample_frequencies(db, _SAMPLED_TERMS)
    found = derived.keywords.document_frequencies(expected)
    if different := sorted(term for term, count in expected.items() if found[term] != count):
        detail += f"; {len(different)} of {len(expected)} words are found in other papers than they should"
    ok = known == papers and not different
    return Check("keywords", ok, detail + derived.mended.get("keywords", ""), derived=True)


def _last_add(adding: str, writer: str | None) -> Check:
    if not adding:
        return Check("last add", True, "nothing was interrupted")
    if writer is not None:
        return Check("last add", True, f"{writer} is adding {adding} now")
    return Check("last add", False, f"adding {adding} was interrupted; add it again to finish")
