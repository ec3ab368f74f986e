"""Embed a whole collection anew, beside what is there, and change to it in one step. Touches no search file.

What is computed goes into tables of its own, batch by batch; the collection answers from the old ones meanwhile. At the
end they take the old tables' place in one transaction. A process that dies leaves the old tables in use and the new
ones as far as they had come, and the next call with the same model and settings goes on from there.
"""

import json
import sqlite3
from collections.abc import Mapping

from . import rows
from .computing import PassageSettings, compute, cut
from .database import Database, read_generation, read_meta, set_meta
from .embedding.encoder import Encoder
from .ingest import papers_per_batch
from .paper import Paper
from .passages import Passage
from .progress import Progress, silent
from .rows import Computed
from .schema import COMPUTED, PASSAGE_TRIGGER, computed_tables
from .stages import Stages
from .terms import analysis

_NEXT = "next_"
_TEXTS_PER_BATCH = 2_000
_TARGET = "reindexing"  # entry of the manifest: what the tables beside are made with


def embed_anew(
    database: Database,
    encoder: Encoder,
    settings: PassageSettings,
    manifest: Mapping[str, str],
    progress: Progress | None = None,
) -> None:
    """Compute everything anew, beside what there is. The write lock of the folder is held.

    Args:
        database: The index.
        encoder: The model to change to.
        settings: The passage settings to change to.
        manifest: The entries of the manifest that name both.
        progress: Told after each batch.
    """

    def embed(batch: list[tuple[int, Paper, list[Passage]]]) -> list[tuple[int, Paper, Computed]]:
        made = compute([(paper, passages) for _, paper, passages in batch], encoder)
        return [(key, paper, computed) for (key, paper, _), computed in zip(batch, made, strict=True)]

    def write(batch: list[tuple[int, Paper, Computed]]) -> None:
        with database.writing(visible=False) as db:
            for key, paper, computed in batch:
                rows.write_computed(db, key, paper, computed, _NEXT)

    tell = progress or silent
    with database.writing(visible=False) as db:
        if manifest.items() <= read_meta(db).items():  # it is what it is to become
            _forget(db)
            return
        todo = _prepare(db, manifest)
        total = rows.count_papers(db)
    stages = Stages(embed, write)
    try:
        size = papers_per_batch(encoder)
        for start in range(0, len(todo), size):
            tell(total - len(todo) + start, total, "Embedding the papers anew")
            with database.reading() as db:
                found = [(key, rows.read_paper(db, key)) for key in todo[start : start + size]]
            stages.submit([(key, paper, cut(paper, encoder, settings)) for key, paper in found if paper is not None])
        stages.drain()
    except BaseException:
        stages.close(discard=True)
        raise
    stages.close()
    tell(total, total, "Changing to the new vectors")


def renew_terms(database: Database, progress: Progress | None = None) -> None:
    """Compute the terms of all papers anew, after the words of a text are read in another way. The lock is held."""
    tell = progress or silent
    with database.reading() as db:
        total = rows.count_papers(db)
    done, last = 0, 0
    while True:  # a transaction for each batch: one that stays open keeps SQLite from emptying its log
        with database.writing() as db:
            some = list(rows.iter_texts(db, last, _TEXTS_PER_BATCH))
            rows.renew_terms(db, some)
            if not some:
                set_meta(db, "terms", analysis())
                return
        done, last = done + len(some), some[-1][0]
        tell(done, total, "Reading the words anew")


def unfinished_reindex(db: sqlite3.Connection) -> str | None:
    """Return the name of the model that an unfinished reindexing is changing to; None if there is none."""
    target = read_meta(db).get(_TARGET)
    return None if target is None else str(json.loads(json.loads(target)["encoder"]).get("model_name"))


def _prepare(db: sqlite3.Connection, manifest: Mapping[str, str]) -> list[int]:
    """Make the tables beside, or go on with those of an earlier call; return the keys of the papers to embed."""
    target = json.dumps(dict(manifest), sort_keys=True)
    if read_meta(db).get(_TARGET) != target:
        _forget(db)
        for statement in filter(str.strip, computed_tables(_NEXT).split(";")):
            db.execute(statement)
        # The keys of passages go on ascending after the change, though an add before it may use some of them too.
        db.execute(
            f"INSERT INTO sqlite_sequence SELECT '{_NEXT}passages', seq FROM sqlite_sequence WHERE name = ?",
            ("passages",),
        )
        set_meta(db, _TARGET, target)
    made = dict(db.execute(f"SELECT paper, digest FROM {_NEXT}embeddings"))
    # A paper may have got another text since the last call.
    return [key for key, title, abstract in rows.iter_texts(db) if made.get(key) != rows.digest_of(title, abstract)]


def _forget(db: sqlite3.Connection) -> None:
    """Drop what an earlier call has left."""
    for table in COMPUTED:
        db.execute(f"DROP TABLE IF EXISTS {_NEXT}{table}")
    set_meta(db, _TARGET, None)


def change_over(database: Database, manifest: Mapping[str, str]) -> None:
    """Change to what :func:`embed_anew` has computed, if there is any, in one transaction."""
    with database.writing() as db:
        if _TARGET in read_meta(db):
            _change_over(db, manifest)


def _change_over(db: sqlite3.Connection, manifest: Mapping[str, str]) -> None:
    rows.forget_spare(db)  # they are of the old model
    for table in COMPUTED:
        db.execute(f"DROP TABLE {table}")
        db.execute(f"ALTER TABLE {_NEXT}{table} RENAME TO {table}")
    for index, definition in db.execute(
        "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND name LIKE ? AND sql IS NOT NULL", (f"{_NEXT}%",)
    ).fetchall():
        db.execute(f"DROP INDEX {index}")
        db.execute(definition.replace(index, index.removeprefix(_NEXT)))
    db.execute(PASSAGE_TRIGGER)
    db.execute("DELETE FROM removed_passages")
    for key, value in {**manifest, "vectors_since": str(read_generation(db) + 1)}.items():
        set_meta(db, key, value)
    set_meta(db, _TARGET, None)
