"""Show a report as aligned text or as JSON values. Does not measure, and does not write files."""

import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from .answers import AnswersReport, Summary
from .dataset import dataset_sha256
from .estimates import LEVEL, Estimate

SCHEMA_VERSION = 1
PACKAGES = ("faiss-cpu", "llama-index-core", "numpy", "onnxruntime", "tokenizers", "torch", "transformers")

_ESTIMATES = {  # field of Summary: (column, line of the interval list)
    "gold_first": ("gold 1st", "gold paper cited first"),
    "paper_precision": ("paper P", "paper precision"),
    "paper_recall": ("paper R", "paper recall"),
    "sentence_precision": ("sent P", "sentence precision"),
    "sentence_recall": ("sent R", "sentence recall"),
    "key_facts": ("facts", "key facts"),
    "refused_answerable": ("ref ans", "refused though answerable"),
    "refused_unanswerable": ("ref unans", "refused and unanswerable"),
    "auroc": ("AUROC", "AUROC of answerability"),
}
_COLUMNS = ("kind", "n", *(column for column, _ in _ESTIMATES.values()), "words", "p50 ms", "p95 ms", "bad", "uncited")


def render_report(report: AnswersReport) -> str:
    """Return a line per kind, one over all, and the overall numbers with their intervals.

    ``ref ans`` and ``ref unans`` are the shares refused of the answerable and the unanswerable questions; ``bad``
    and ``uncited`` count quotes that are not exact and sentences without a citation.
    """
    lines = _aligned([_COLUMNS, *(_cells(summary) for summary in (*report.kinds, report.overall))])
    rule = "-" * len(lines[0])
    estimates = {text: getattr(report.overall, field) for field, (_, text) in _ESTIMATES.items()}
    intervals = _aligned([(text, _interval(estimate)) for text, estimate in estimates.items() if estimate])
    heading = f"Over all questions, with {LEVEL:.0%} intervals:"
    return "\n".join([lines[0], rule, *lines[1:-1], rule, lines[-1], "", heading, *intervals])


def report_dict(
    report: AnswersReport, *, dataset: str | Path, settings: Mapping[str, Any], answerer: str
) -> dict[str, Any]:
    """Return a report and what is needed to repeat it, as JSON values.

    Args:
        report: What was measured.
        dataset: The file of questions; its SHA-256 is recorded.
        settings: The settings of the run, as JSON values.
        answerer: Who answered, as :attr:`rag.PaperQA.answerer` says it.

    Raises:
        EvalDataError: If the file of questions cannot be read any more.
    """
    return {
        "schema_version": SCHEMA_VERSION,
        "dataset": {"path": str(dataset), "sha256": dataset_sha256(dataset)},
        "answerer": answerer,
        "settings": dict(settings),
        "versions": {"python": platform.python_version(), "citewell": _version("citewell"), **_package_versions()},
        "overall": asdict(report.overall),
        "kinds": [asdict(summary) for summary in report.kinds],
        "rows": [asdict(row) for row in report.rows],
    }


def _cells(summary: Summary) -> tuple[str, ...]:
    estimates = [getattr(summary, field) for field in _ESTIMATES]
    whole = [summary.median_words, summary.latency_p50_ms, summary.latency_p95_ms]
    return (
        summary.name,
        str(summary.n),
        *("-" if estimate is None else f"{estimate.value:.3f}" for estimate in estimates),
        *("-" if number is None else f"{number:.0f}" for number in whole),
        str(summary.bad_quotes),
        str(summary.uncited_sentences),
    )


def _interval(estimate: Estimate) -> str:
    return f"{estimate.value:.3f}  [{estimate.low:.3f}, {estimate.high:.3f}]  n = {estimate.n:>3}"


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Pad the cells of each column to one width: the first to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    template = "  ".join(f"{{:{'>' if n else '<'}{width}}}" for n, width in enumerate(widths))
    return [template.format(*row) for row in rows]


def _package_versions() -> dict[str, str]:
    return {name: _version(name) for name in PACKAGES}


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
