"""Measure the index at the size of a large library, and llama-index's own stores beside it on the same texts.

    python -m eval.bench.index_scale DATA [--out FOLDER] [--passages 1000000] [--rival]

DATA is any file of papers. Each step runs in a process of its own, so that its memory is its own, and is kept in the
folder: a second run measures again but builds nothing anew. The vectors are mixes of real ones
(:mod:`eval.bench.mixing`), apart from the step that measures the encoder. With ``--passages`` the collection is
extended by papers whose abstracts are the real ones with their sentences in another order.
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from itertools import count, islice
from pathlib import Path
from typing import Any

import numpy as np

from index.computing import PassageSettings, compute, cut
from index.embedding.minilm import MiniLMEncoder
from index.filters import Where
from index.paper import Paper
from index.readers import read_papers
from index.sentences import sentence_spans
from index.store import PaperStore
from index.terms import question_terms

from .measuring import Stopwatch, folder_bytes, machine, milliseconds, peak_megabytes, spread
from .mixing import MixEncoder, sentence_vectors, title_vectors
from .tables import render

MIXED_TITLES = 120_000  # embedded for real; the vectors of passages are mixes of theirs
MIXED_PAPERS = 500  # embedded for real; the vectors of sentences are mixes of theirs
ENCODER_PAPERS = 1_000
ENCODER_ROUNDS = 4
QUESTIONS = 200
NARROW = 1e-4  # share of the papers that a narrow filter lets through
VERIFIED = 50
DELETED = 1_000
UPDATES = 20


def main() -> None:
    """Run all steps and print the table."""
    parser = argparse.ArgumentParser(prog="python -m eval.bench.index_scale", description=__doc__)
    parser.add_argument("data", type=Path, help="a file of papers")
    parser.add_argument("--out", type=Path, default=Path("bench-index"), help="where indexes and figures are kept")
    parser.add_argument("--passages", type=int, default=0, help="extend the collection to so many passages")
    parser.add_argument("--rival", action="store_true", help="measure llama-index's stores as well")
    parser.add_argument("--step", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    if arguments.step:
        print(json.dumps(_STEPS[arguments.step](arguments)))
        return
    figures: dict[str, Any] = {"machine": machine(), "data": str(arguments.data), "passages": arguments.passages}
    steps = ["reading", "encoder", "build", "query", "verify", "update"]
    if arguments.rival:
        from . import rival  # noqa: F401 - fails here, before hours of work, if the packages are missing

        steps += ["rival_build", "rival_query"]
    for step in steps:
        print(f"{step} …", file=sys.stderr, flush=True)
        command = [sys.executable, "-m", "eval.bench.index_scale", str(arguments.data), "--out", str(arguments.out)]
        command += ["--passages", str(arguments.passages), "--step", step]
        run = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        figures[step] = json.loads(run.stdout.splitlines()[-1])
        name = f"figures-{arguments.passages}.json" if arguments.passages else "figures.json"
        (arguments.out / name).write_text(json.dumps(figures, indent=2))
    print(render(figures))


# -- steps ----------------------------------------------------------------------------------------------------


def reading(arguments: argparse.Namespace) -> dict[str, Any]:
    """Read, clean and check every record."""
    begun = time.perf_counter()
    records = sum(1 for _ in read_papers(arguments.data))
    seconds = time.perf_counter() - begun
    return {"records": records, "seconds": round(seconds, 1), "records_per_s": round(records / seconds)}


def encoder(arguments: argparse.Namespace) -> dict[str, Any]:
    """Embed the same papers by the bare encoder and through ``add``, in turn."""
    real = MiniLMEncoder(arguments.out)
    settings = PassageSettings(real.max_tokens)
    papers = list(islice(_papers(arguments.data), ENCODER_PAPERS))
    bare: list[float] = []
    whole: list[float] = []
    size = len(papers) // ENCODER_ROUNDS
    for number in range(ENCODER_ROUNDS):
        some = papers[number * size : (number + 1) * size]
        pieces = [(paper, cut(paper, real, settings)) for paper in some]
        begun = time.perf_counter()
        compute(pieces, real)
        bare.append(time.perf_counter() - begun)
        store = PaperStore.open(_fresh(arguments.out / "encoder.idx"), real, create=True)
        begun = time.perf_counter()
        store.add(some)
        whole.append(time.perf_counter() - begun)
        store.close()
    ratios = [b / w for b, w in zip(bare, whole, strict=True)]
    return {
        "papers": len(papers),
        "bare_per_s": round(len(papers) / sum(bare), 2),
        "add_per_s": round(len(papers) / sum(whole), 2),
        "ratio": round(float(np.median(ratios)), 3),
        "seconds_per_paper": round(sum(bare) / len(papers), 4),
    }


def build(arguments: argparse.Namespace) -> dict[str, Any]:
    """Fill the index, and see where the time goes that is not the encoder's."""
    from index import ingest
    from index.derived import Derived

    folder = _folder(arguments)
    kept = folder / "built.json"
    if kept.exists():
        known: dict[str, Any] = json.loads(kept.read_text())
        return known
    mix = mix_encoder(arguments)
    watch = Stopwatch()
    for owner, function, name in (
        (MixEncoder, "embed_passages", "stand-in for the encoder"),
        (ingest.Ingest, "_recognise", "recognising and cutting"),
        (ingest.Ingest, "_write", "writing"),
        (Derived, "_save_keywords", "keywords"),
        (Derived, "_save_vectors", "vectors"),
    ):
        watch.watch(owner, function, name)
    begun = time.perf_counter()
    store = PaperStore.open(_fresh(folder), mix, create=True)
    papers = _extended(arguments, mix) if arguments.passages else _papers(arguments.data)
    report = store.add(papers, str(arguments.data), progress=_Told())
    seconds = time.perf_counter() - begun
    with store._database.reading() as db:
        passages = int(db.execute("SELECT count(*) FROM passages").fetchone()[0])
    store.close()
    sizes = {
        "sqlite": sum(path.stat().st_size for path in folder.glob("papers.sqlite*")),
        "faiss": sum(path.stat().st_size for path in folder.glob("vectors*")),
        "keywords": folder_bytes(folder / "keywords"),
    }
    graph = store._derived.vectors.graph
    figures = {
        "papers": report.added,
        "records": sum((report.added, report.updated, report.unchanged, report.duplicates, report.merged)),
        "rejected": len(report.rejected),
        "passages": passages,
        "seconds": round(seconds, 1),
        "stages_s": {name: round(spent, 1) for name, spent in watch.seconds.items()},
        "peak_mb": peak_megabytes(),
        "bytes": sizes,
        "bytes_per_passage": round(sum(sizes.values()) / passages),
        "graph": graph and {"recall@10": graph.recall, "searches": graph.sample, "efSearch": graph.effort},
    }
    kept.write_text(json.dumps(figures))
    return figures


def query(arguments: argparse.Namespace) -> dict[str, Any]:
    """Open the index as a process that answers does, and search it."""
    import rag.retrieval as retrieval

    begun = time.perf_counter()
    mix = mix_encoder(arguments)
    loaded = time.perf_counter()
    store = PaperStore.open(_folder(arguments), mix)
    opened = time.perf_counter()
    titles = _titles(store)
    retriever = retrieval.Retriever(store)
    filters = _narrow_filters(store)
    vectors = mix.embed_queries(titles)
    terms = [question_terms(title) for title in titles]
    derived = store._derived
    for title in titles[:5]:
        retriever.retrieve([(title, 1.0)], 8)

    def fused(title: str, where: Where | None = None) -> None:
        retriever.retrieve([(title, 1.0)], 8, where)

    figures: dict[str, Any] = {
        "open_encoder_s": round(loaded - begun, 2),
        "open_index_s": round(opened - loaded, 2),
        "dense": spread(milliseconds(lambda vector: derived.vectors.nearest_papers(vector, 50), vectors)),
        "keyword": spread(milliseconds(lambda some: derived.keywords.search(some, 50, None), terms)),
    }
    plain: list[float] = []
    narrow: list[float] = []
    for title, where in zip(titles, filters, strict=True):  # in turn, so that both meet the same machine
        plain += milliseconds(fused, [title])
        narrow += milliseconds(partial(fused, where=where), [title])
    broad = Where(tags=(_commonest_tag(store),))
    fused(titles[0], broad)
    figures |= {
        "fused": spread(plain),
        "narrow": spread(narrow),
        "broad": spread(milliseconds(partial(fused, where=broad), titles)),
        "peak_mb": peak_megabytes(),
    }
    return figures


def verify(arguments: argparse.Namespace) -> dict[str, Any]:
    """Compare searches with numpy over all vectors."""
    mix = mix_encoder(arguments)
    store = PaperStore.open(_folder(arguments), mix)
    titles = _titles(store)[:VERIFIED]
    filters = _narrow_filters(store)[:VERIFIED]
    owners, matrix = _all_vectors(store)
    exact = narrow = 0.0
    for vector, where in zip(mix.embed_queries(titles), filters, strict=True):
        scores = matrix @ vector
        found = store.candidates(vector, [], 10, None)
        exact += len(set(_best(owners, scores, 10)) & set(found.by_meaning)) / 10
        found = store.candidates(vector, [], 10, where)
        with store._database.reading() as db:
            allowed = [
                row[0] for row in db.execute("SELECT key FROM papers WHERE " + where.to_sql()[0], where.to_sql()[1])
            ]
        inside = np.isin(owners, allowed)
        narrow += tuple(_best(owners[inside], scores[inside], 10)) == found.by_meaning
    return {"searches": len(titles), "recall@10": round(exact / len(titles), 4), "narrow_equal": int(narrow)}


def update(arguments: argparse.Namespace) -> dict[str, Any]:
    """Add single papers to the full index and delete many; afterwards it is as before."""

    class Working(MixEncoder):
        def embed_passages(self, passages: Any) -> Any:
            self._real.embed_passages(passages)  # for the time it takes
            return super().embed_passages(passages)

    mix = mix_encoder(arguments, Working)
    store = PaperStore.open(_folder(arguments), mix)
    some = [store.paper(paper_id) for paper_id in _sample_ids(store, UPDATES)]
    new = [
        Paper(f"bench:{n}", f"{paper.title} benchmark{n}x", f"{paper.abstract} This is number {n}.")
        for n, paper in enumerate(some)
    ]
    visible = 0

    def add(paper: Paper) -> None:
        store.add([paper], "benchmark")

    taken = []
    for n, paper in enumerate(new):
        taken += milliseconds(add, [paper])
        vector = mix.embed_queries([paper.title])[0]
        found = store.candidates(vector, question_terms(f"benchmark{n}x"), 5)
        visible += [found.papers[key].paper.id for key in found.by_keyword] == [paper.id]
    ids = _sample_ids(store, DELETED)
    gone = [store.paper(paper_id) for paper_id in ids]
    begun = time.perf_counter()
    store.delete(ids)
    deleted = time.perf_counter() - begun
    store.delete([paper.id for paper in new])
    store.add(gone, str(arguments.data))  # their vectors were kept: nothing is embedded
    return {
        "add_one": spread(taken),
        "visible_at_once": f"{visible} of {len(new)}",
        "delete_1000_s": round(deleted, 2),
    }


def rival_build(arguments: argparse.Namespace) -> dict[str, Any]:
    """Fill llama-index's stores with the same passages and vectors."""
    from . import rival

    store = PaperStore.open(_folder(arguments), mix_encoder(arguments))
    return rival.build(_fresh(arguments.out / "rival"), store, arguments.data)


def rival_query(arguments: argparse.Namespace) -> dict[str, Any]:
    """Open llama-index's stores and search them."""
    from . import rival

    mix = mix_encoder(arguments)
    titles = [json.loads(line) for line in (arguments.out / "rival" / "titles.jsonl").read_text().splitlines()]
    return rival.query(arguments.out / "rival", titles, mix)


_STEPS = {step.__name__: step for step in (reading, encoder, build, query, verify, update, rival_build, rival_query)}


# -- what they share ------------------------------------------------------------------------------------------


def _papers(data: Path) -> Iterator[Paper]:
    return (record for record in read_papers(data) if isinstance(record, Paper))


def _extended(arguments: argparse.Namespace, mix: MixEncoder) -> Iterator[Paper]:
    """Yield the papers, then the same ones with their sentences turned by one, two, … until there are enough."""
    wanted = round(arguments.passages / mix.passages_per_paper)
    for turn in count():
        for paper in _papers(arguments.data):
            if not wanted:
                return
            wanted -= 1
            yield _turned(paper, turn) if turn else paper


def _turned(paper: Paper, turn: int) -> Paper:
    spans = sentence_spans(paper.abstract)
    at = spans[turn % len(spans)][0]
    abstract = f"{paper.abstract[at:]} {paper.abstract[:at]}".strip()
    return replace(paper, id=f"{paper.id}-{turn}", title=f"{paper.title} ({turn})", abstract=abstract, identifiers=())


def mix_encoder(arguments: argparse.Namespace, kind: type[MixEncoder] = MixEncoder) -> MixEncoder:
    """Return the encoder of the large indexes; its mixes are kept in the folder."""
    real = MiniLMEncoder(arguments.out)
    titles = title_vectors(islice(_papers(arguments.data), MIXED_TITLES), real, arguments.out / "mixed")
    spaced = list(islice(_papers(arguments.data), MIXED_PAPERS))
    return kind(real, titles, *sentence_vectors(spaced, real, arguments.out / "mixed" / "sentences.npz"))


def _folder(arguments: argparse.Namespace) -> Path:
    return Path(arguments.out / (f"{arguments.passages}.idx" if arguments.passages else "papers.idx"))


def _fresh(folder: Path) -> Path:
    import shutil

    shutil.rmtree(folder, ignore_errors=True)
    return folder


def _sample_ids(store: PaperStore, count: int) -> list[str]:
    """Return the ids of papers spread evenly over the collection."""
    with store._database.reading() as db:
        last = db.execute("SELECT max(key) FROM papers").fetchone()[0]
        keys = np.linspace(1, last, count + 2, dtype=int)[1:-1].tolist()
        found = [db.execute("SELECT id FROM papers WHERE key >= ? ORDER BY key", (key,)).fetchone()[0] for key in keys]
    return found


def _titles(store: PaperStore) -> list[str]:
    return [store.paper(paper_id).title for paper_id in _sample_ids(store, QUESTIONS)]


def _narrow_filters(store: PaperStore) -> list[Where]:
    """Return filters by author, each of which lets about one paper in 10,000 through."""
    wanted = max(2, round(len(store) * NARROW))
    query = """
        SELECT value FROM facets JOIN paper_facets ON facet = key WHERE field = 'author' AND length(value) > 8
        GROUP BY facet ORDER BY abs(count(*) - ?), facet LIMIT ?
    """
    with store._database.reading() as db:
        return [Where(authors=(row[0],)) for row in db.execute(query, (wanted, QUESTIONS))]


def _commonest_tag(store: PaperStore) -> str:
    query = """
        SELECT value FROM facets JOIN paper_facets ON facet = key WHERE field = 'tag'
        GROUP BY facet ORDER BY count(*) DESC
    """
    with store._database.reading() as db:
        return str(db.execute(query).fetchone()[0])


def _all_vectors(store: PaperStore) -> tuple[Any, Any]:
    chunks = list(store._derived.vectors.chunks())
    return np.concatenate([papers for _, papers, _ in chunks]), np.concatenate(
        [vectors.astype(np.float32) for _, _, vectors in chunks]
    )


def _best(owners: Any, scores: Any, limit: int) -> list[int]:
    """Return the papers of the best scores, each once."""
    return list(dict.fromkeys(owners[np.argsort(-scores, kind="stable")].tolist()))[:limit]


class _Told:
    """Prints how far the build is, every ten seconds."""

    def __init__(self) -> None:
        self._begun = self._last = time.monotonic()

    def __call__(self, done: int, total: int | None, message: str) -> None:
        if time.monotonic() - self._last > 10:
            self._last = time.monotonic()
            print(f"  {self._last - self._begun:5.0f} s  {done:,} {message}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
