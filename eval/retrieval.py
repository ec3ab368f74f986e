"""Measure how well relevant papers are found, on a benchmark of known relevance. Reads no files and does not print.

The measures are those of trec_eval, computed by ir_measures (MacAvaney, Macdonald and Ounis, *Streamlining evaluation
with ir-measures*, 2022): nDCG@10 with linear gains (Järvelin and Kekäläinen, *Cumulated gain-based evaluation of IR
techniques*, 2002), the share of the relevant papers among the first k (recall), and the reciprocal rank of the first
relevant one among the first ten (its mean is MRR@10). A query that finds nothing scores 0.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import ir_measures
import numpy as np
from ir_measures import RR, Qrel, R, ScoredDoc, nDCG
from pydantic import JsonValue

from index.paper import Paper
from index.store import Candidates, PaperStore
from index.terms import question_terms
from rag.retrieval import SENTENCE_WEIGHT, Query, Retriever, rarity

from .beir import Benchmark
from .run import Bars, Curves, Histogram, Line, Plot, Row, Run, Series
from .summary import LATENCY, Definition, summarise
from .using import THROUGH_THE_PRODUCT, Using

COMMAND = "retrieval"
DEPTH = 100
"""Papers asked for per query, as many as R@100 needs."""

Search = Callable[[str, int], Sequence[Paper]]
"""Returns the best papers for a query, best first, at most as many as it is told."""

_LABELS = {nDCG @ 10: "nDCG@10", R @ 5: "recall@5", R @ 10: "recall@10", R @ 100: "recall@100", RR @ 10: "MRR@10"}
_MAIN = "nDCG@10"
_SHOWN = 10

DEFINITIONS = (
    *(Definition(name=str(metric), label=label, column=label) for metric, label in _LABELS.items()),
    *LATENCY,
)
"""What is measured of retrieval; the names are those of ir_measures."""


def run_retrieval(
    benchmark: Benchmark,
    search: Search,
    settings: Mapping[str, JsonValue],
    progress: Callable[[int, int], None] | None = None,
) -> Run:
    """Search for each query of a benchmark, one after the other, and score what is found.

    A found paper stands for every document that became part of it: records of one paper are merged when they are added.

    Args:
        benchmark: What is searched for; its papers are what ``search`` searches.
        search: Finds papers.
        settings: The settings of the run, for the record.
        progress: Called with (queries done, queries in all), first with 0.
    """
    report_progress = progress or (lambda done, total: None)
    documents: dict[str, list[str]] = {}
    for name, paper in benchmark.papers.items():
        for paper_name in paper.names:
            documents.setdefault(paper_name, []).append(name)
    found: dict[str, list[str]] = {}
    latency_ms: dict[str, float] = {}
    report_progress(0, len(benchmark.queries))
    search(next(iter(benchmark.queries.values())), 1)  # loads the model: not timed
    for name, text in benchmark.queries.items():
        started = time.perf_counter()
        papers = search(text, DEPTH)
        latency_ms[name] = 1000 * (time.perf_counter() - started)
        ranked = (document for paper in papers for own in paper.names for document in documents.get(own, ()))
        found[name] = list(dict.fromkeys(ranked))[:DEPTH]
        report_progress(len(found), len(benchmark.queries))
    scores = score_rankings(benchmark.relevant, found)
    rows = [
        _row(benchmark, name, found[name], {**scores[name], "latency_ms": latency_ms[name]})
        for name in benchmark.queries
    ]
    return summarise(COMMAND, benchmark.dataset, settings, DEFINITIONS, rows, _plots(rows, benchmark, found))


def score_rankings(
    relevant: Mapping[str, Mapping[str, int]], found: Mapping[str, Sequence[str]]
) -> dict[str, dict[str, float]]:
    """Return the scores of each query's ranking, 0 to 1, by query and measure; queries that found nothing score 0.

    Args:
        relevant: Grade, 1 or more, of each relevant document, by query.
        found: Distinct document ids, best first, by query.

    Example:
        >>> score_rankings({"q": {"a": 1}}, {"q": ["b", "a"]})["q"]["RR@10"]
        0.5
    """
    qrels = [Qrel(query, name, grade) for query, grades in relevant.items() for name, grade in grades.items()]
    # Scores that fall with the rank: trec_eval sorts by score, and breaks ties by the names of documents.
    ranking = [
        ScoredDoc(query, name, -float(rank)) for query, names in found.items() for rank, name in enumerate(names)
    ]
    scores: dict[str, dict[str, float]] = {query: {str(m): 0.0 for m in _LABELS} for query in relevant}
    for metric in ir_measures.iter_calc(list(_LABELS), qrels, ranking):
        scores[metric.query_id][str(metric.measure)] = float(metric.value)
    return scores


def part_search(store: PaperStore, using: Using, candidates: int) -> Search:
    """Return a search by a part of the product's ranking, for ablations.

    Args:
        store: The collection.
        using: The part.
        candidates: Papers taken from each search; raised to the number of papers wanted.

    Raises:
        ValueError: If it is searched through :class:`rag.PaperQA`.
    """
    if using in THROUGH_THE_PRODUCT:
        raise ValueError(f"{using} is searched through PaperQA, not by a part")
    if using is Using.FUSED:
        return partial(_search_fused, store, candidates)
    return partial(_search_by_part, store, using, candidates)


def _search_fused(store: PaperStore, candidates: int, text: str, k: int) -> list[Paper]:
    return [hit.source.paper for hit in Retriever(store, candidates).retrieve([(text, 1.0)], k).hits]


def _search_by_part(store: PaperStore, using: Using, candidates: int, text: str, k: int) -> list[Paper]:
    (vector,) = store.encoder.embed_queries([text])
    terms = tuple(question_terms(text))
    found = store.candidates(vector, terms, max(candidates, k))
    query = Query(text, vector, terms, rarity(terms, found.document_frequency, found.total))
    return [found.papers[key].paper for key in _ranked(using, query, found)[:k]]


def _ranked(using: Using, query: Query, found: Candidates) -> Sequence[int]:
    if using is Using.DENSE:
        return found.by_meaning
    if using is Using.KEYWORD:
        return found.by_keyword
    scores: dict[int, float] = {}
    for key in found.by_meaning:
        stored = found.papers[key]
        passage = float(np.max(stored.passage_vectors @ query.vector))
        scores[key] = passage + SENTENCE_WEIGHT * float(np.max(stored.sentence_vectors @ query.vector))
    return sorted(scores, key=lambda key: (-scores[key], key))


def _row(benchmark: Benchmark, query: str, found: Sequence[str], scores: Mapping[str, float]) -> Row:
    relevant = benchmark.relevant[query]
    ranks = {name: rank for rank, name in enumerate(found, start=1)}
    return Row(
        id=query,
        group="one relevant" if len(relevant) == 1 else "several relevant",
        text=benchmark.queries[query],
        scores=scores,
        details={
            "relevant": [
                f"{benchmark.papers[name].title} (rank {ranks.get(name, f'over {DEPTH}')})" for name in relevant
            ],
            "found": [benchmark.papers[name].title for name in found[:_SHOWN]],
        },
    )


def _plots(rows: Sequence[Row], benchmark: Benchmark, found: Mapping[str, Sequence[str]]) -> list[Plot]:
    values = tuple(row.scores[_MAIN] or 0.0 for row in rows)
    return [
        *(Bars(str(metric)) for metric in _LABELS),
        Histogram(f"{_MAIN} of the queries", _MAIN, 0.0, 1.0, (Series("queries", values),)),
        recall_curve(benchmark.relevant, found),
    ]


def recall_curve(relevant: Mapping[str, Mapping[str, int]], found: Mapping[str, Sequence[str]]) -> Curves:
    """Return the mean recall among the first k found, for every k from 1 to :data:`DEPTH`."""
    shares = np.zeros(DEPTH)
    for query, grades in relevant.items():
        hits = [float(name in grades) for name in found.get(query, ())] + [0.0] * DEPTH
        shares += np.cumsum(hits[:DEPTH]) / len(grades)
    line = Line("recall", tuple(map(float, range(1, DEPTH + 1))), tuple(map(float, shares / len(relevant))))
    return Curves("Recall among the first k", "k, papers read", "share of the relevant papers", (line,))
