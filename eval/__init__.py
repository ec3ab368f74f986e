"""Measure how well questions are answered and papers are found. Does not answer or find; that is :mod:`rag`.

Example::

    from eval import Dataset, load_questions, render_text, run_answers
    file = "questions.jsonl"
    run = run_answers(qa, load_questions(file), Dataset.of_file(file), settings={})
    print(render_text(run))
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .answers import run_answers
    from .beir import Benchmark, load_benchmark
    from .compare import Comparison, compare_runs
    from .dataset import Question, load_questions
    from .evidence import load_evidence_set, run_evidence
    from .html import render_html
    from .report import render_text
    from .retrieval import run_retrieval
    from .run import Dataset, Run, read_run, run_json

_HOME = {
    "Benchmark": "beir",
    "Comparison": "compare",
    "Dataset": "run",
    "Question": "dataset",
    "Run": "run",
    "compare_runs": "compare",
    "load_benchmark": "beir",
    "load_evidence_set": "evidence",
    "load_questions": "dataset",
    "read_run": "run",
    "render_html": "html",
    "render_text": "report",
    "run_answers": "answers",
    "run_evidence": "evidence",
    "run_json": "run",
    "run_retrieval": "retrieval",
}

__all__ = [
    "Benchmark",
    "Comparison",
    "Dataset",
    "Question",
    "Run",
    "compare_runs",
    "load_benchmark",
    "load_evidence_set",
    "load_questions",
    "read_run",
    "render_html",
    "render_text",
    "run_answers",
    "run_evidence",
    "run_json",
    "run_retrieval",
]


def __getattr__(name: str) -> Any:
    """Load a public name when it is first used, so that the command line starts without numpy."""
    from importlib import import_module

    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOME[name]}", __name__), name)
