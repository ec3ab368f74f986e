"""Measure how long an answer without a language model takes, in a small and in a large collection.

    python -m eval.bench.answer_latency DATA [--out FOLDER]

The example questions are asked of the bundled papers and of all papers of DATA, question by question in turn, so that
both meet the same machine. The large index is the one of :mod:`eval.bench.index_scale`, in the same folder (its vectors
are mixes of real ones); it is built if it is not there.
"""

import argparse
import subprocess
import sys
import time
from collections import defaultdict
from pathlib import Path

import numpy as np

from index.bundled import bundled_papers
from index.embedding.minilm import SAFETENSORS_SHA256
from rag import PaperQA, Settings
from rag.evidence.loading import load_reader

from ..cli import EXAMPLE_QUESTIONS
from ..dataset import load_questions
from .index_scale import mix_encoder
from .measuring import machine, milliseconds, peak_megabytes, spread
from .tables import table

ROUNDS = 3
READ = 40  # abstracts read for the cost of one


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(prog="python -m eval.bench.answer_latency", description=__doc__)
    parser.add_argument("data", type=Path, help="a file of papers")
    parser.add_argument("--out", type=Path, default=Path("bench-index"), help="where the indexes are kept")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    if not (arguments.out / "papers.idx" / "built.json").exists():
        print("Building the large index …", file=sys.stderr, flush=True)
        command = [sys.executable, "-m", "eval.bench.index_scale", str(arguments.data), "--out", str(arguments.out)]
        subprocess.run([*command, "--step", "build"], stdout=subprocess.DEVNULL, check=True)
    arguments.passages = 0
    settings = Settings(index={"cache_dir": arguments.out})
    load_reader(settings, SAFETENSORS_SHA256)  # makes the graph, the first time
    begun = time.perf_counter()
    load_reader(settings, SAFETENSORS_SHA256)
    loaded = time.perf_counter() - begun
    small = PaperQA.open(arguments.out / "example.idx", settings=settings)
    small.add(bundled_papers())
    large = PaperQA.open(arguments.out / "papers.idx", settings=settings, embed_model=mix_encoder(arguments))
    taken: dict[str, list[float]] = {"small": [], "large": []}
    stages: dict[str, defaultdict[str, list[float]]] = {name: defaultdict(list) for name in taken}
    questions = load_questions(EXAMPLE_QUESTIONS)
    for number in range(ROUNDS + 1):
        for question in questions:
            history = [{"role": turn.role, "content": turn.content} for turn in question.history]
            for name, qa in (("small", small), ("large", large)):
                answer = qa.ask(question.question, history)
                if number:  # the first round loads models and files
                    for stage, ms in answer.trace.timings_ms.items():
                        stages[name][stage].append(ms)
                    taken[name].append(answer.trace.timings_ms["total"])
    rows: list[tuple[str, ...]] = [("what", f"{len(small):,} papers", f"{len(large):,} papers")]
    for label, stage in (("whole answer", "total"), ("search", "search"), ("reading", "read"), ("writing", "write")):
        figures = [spread(stages[name][stage]) for name in taken]
        rows.append((f"{label}, p50; p95", *(f"{f['p50']:.0f} ms; {f['p95']:.0f} ms" for f in figures)))
    gap = float(np.median(np.array(taken["large"]) - np.array(taken["small"])))
    rows.append(("more than in the small one, median", "", f"{gap:.0f} ms"))
    rows.append(("loading the reader (its graph is cached)", f"{1000 * loaded:.0f} ms", ""))
    rows.append(("one abstract read", f"{_cost(small, settings):.0f} ms", ""))
    rows.append(("peak memory, both collections open", f"{peak_megabytes():,.0f} MB", ""))
    print(f"{len(questions)} questions, {ROUNDS} rounds; {machine()['cores']} cores\n\n{table(rows)}")


def _cost(qa: PaperQA, settings: Settings) -> float:
    """Return the milliseconds for one abstract when four are read together."""
    from rag.retrieval import Retriever

    reader = load_reader(settings, SAFETENSORS_SHA256)
    retriever = Retriever(qa._need_store())
    found = retriever.retrieve([("How is attention made faster?", 1.0)], READ)
    papers = [hit.stored for hit in found.hits]
    groups = [papers[at : at + 4] for at in range(0, len(papers) - 3, 4)]
    reader.judge(found.query, groups[0])
    return float(np.median(milliseconds(lambda group: reader.judge(found.query, group), groups))) / 4


if __name__ == "__main__":
    main()
