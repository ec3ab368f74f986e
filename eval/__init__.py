"""Measure how well a collection's questions are answered. Does not answer them; that is :mod:`rag`.

Example::

    from eval import load_questions, render_report, run_answers
    report = run_answers(qa, load_questions("questions.jsonl"))
    print(render_report(report))
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .answers import AnswersReport, run_answers
    from .dataset import Question, load_questions
    from .report import render_report, report_dict

_HOME = {
    "AnswersReport": "answers",
    "Question": "dataset",
    "load_questions": "dataset",
    "render_report": "report",
    "report_dict": "report",
    "run_answers": "answers",
}

__all__ = ["AnswersReport", "Question", "load_questions", "render_report", "report_dict", "run_answers"]


def __getattr__(name: str) -> Any:
    """Load a public name when it is first used, so that the command line starts without numpy."""
    from importlib import import_module

    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOME[name]}", __name__), name)
