"""Ask a collection the probes made of its own papers, and try its switches on them. Makes no probe and stores nothing.

Each probe is asked twice: as it is, and with its paper left out of the collection. Then no paper should answer it, but
some can: what two papers say is not unanswerable because one of them is gone. The share of refusals is comparable
between two runs, and cannot be expected to reach 1.
"""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from itertools import product
from typing import NamedTuple

from pydantic import JsonValue

from rag import Answer, CancelToken, Done, Settings
from rag.citations import Markers
from rag.evidence.reader import EvidenceReader
from rag.pipeline import Pipeline

from .answers import WARM_UP
from .compare import ALPHA, holm, sign_flip_p
from .left_out import StoreWithout
from .probes import Kind, Probe
from .refusals import answerability_area, answerability_scores, refusal_curve, refusal_histogram
from .report import aligned, number
from .run import Bars, Dataset, Plot, Row, Run
from .summary import LATENCY, Definition, summarise

COMMAND = "probe"
DEPTH = 10
"""Papers retrieved per probe."""
DECISIVE = f"mrr@{DEPTH}"
"""The measure that decides between switches."""
EASIER = "probes of its own papers, which are easier than people's questions"
"""What a report says of its data."""

_SCORES = ("hit@1", DECISIVE, "sentence_hit", "refused_answerable", "refused_unanswerable")


class Switches(NamedTuple):
    """The switches of the settings that are tried, by the names of ``retrieval``."""

    keywords: bool
    rerank: bool

    def __str__(self) -> str:
        return f"keywords {_on(self.keywords)}, rerank {_on(self.rerank)}"

    def settings(self) -> dict[str, bool | float | None]:
        """Return them as :meth:`rag.PaperQA.tune` takes them."""
        return {f"retrieval.{name}": value for name, value in self._asdict().items()}


ALL_SWITCHES = tuple(Switches(keywords, rerank) for keywords, rerank in product((True, False), repeat=2))


@dataclass(frozen=True, slots=True)
class Trial:
    """What one setting of the switches does.

    Attributes:
        switches: The setting.
        values: The mean of each score, 0 to 1; None where no probe gives anything to measure by.
        by_kind: The decisive measure of the probes of each kind.
        gain: How much more of the decisive measure it has than the setting in use, averaged over papers.
        p: Two-sided p-value of that, corrected by Holm for the number of trials; None for the setting in use.
    """

    switches: Switches
    values: Mapping[str, float | None]
    by_kind: Mapping[Kind, float | None]
    gain: float
    p: float | None

    @property
    def better(self) -> bool:
        """Whether it is better than the setting in use, and by more than chance would explain."""
        return self.p is not None and self.p <= ALPHA and self.gain > 0


def ask(pipeline: Pipeline, text: str, k: int = DEPTH) -> Answer:
    """Return the answer to one question that stands alone."""
    for event in pipeline.run(text, (), None, k, CancelToken(), Markers({})):
        if isinstance(event, Done):
            return event.answer
    raise AssertionError("a stream ends with Done")


def run_probes(
    store: StoreWithout,
    reader: EvidenceReader,
    settings: Settings,
    probes: Sequence[Probe],
    dataset: Dataset,
    used: Mapping[str, JsonValue],
    progress: Callable[[int, int], None] | None = None,
) -> Run:
    """Ask every probe, with its paper and without it, with each setting of the switches; the quoting answerer answers.

    The measures of a setting of the switches that is not in use have its name behind theirs. Time is measured with the
    setting in use, after a question that is not counted.

    Args:
        store: The collection.
        reader: Reads what is found.
        settings: The settings in use.
        probes: At least one.
        dataset: What they are.
        used: The settings, for the record.
        progress: Called with (questions done, questions in all), first with 0.

    Raises:
        ValueError: If there are no probes.
    """
    if not probes:
        raise ValueError("there are no probes to ask")
    report_progress = progress or (lambda done, total: None)
    report_progress(0, 2 * len(probes))
    in_use = switches_of(settings)
    pipelines = {in_use: Pipeline(store, lambda: reader, None, settings)}
    for switches in ALL_SWITCHES:
        if switches != in_use:
            retrieval = settings.retrieval.model_copy(update=switches._asdict())
            pipelines[switches] = Pipeline(
                store, lambda: reader, None, settings.model_copy(update={"retrieval": retrieval})
            )
    k = max(DEPTH, settings.retrieval.similarity_top_k)
    ask(pipelines[in_use], WARM_UP, k)
    rows: list[Row] = []
    for left_out in (False, True):
        for probe in probes:
            with store.without(probe.paper) if left_out else nullcontext():
                rows.append(_row(pipelines, probe, k, left_out=left_out))
            report_progress(len(rows), 2 * len(probes))
    definitions = [*DEFINITIONS, *(d for s in ALL_SWITCHES if s != in_use for d in _definitions_of(s))]
    return summarise(COMMAND, dataset, used, definitions, rows, _plots(rows, settings.refusal.threshold))


def switches_of(settings: Settings) -> Switches:
    """Return the switches as they are set."""
    return Switches(settings.retrieval.keywords, settings.retrieval.rerank)


def trials(run: Run, in_use: Switches) -> list[Trial]:
    """Compare the switches by the rows of a run, the setting in use first.

    The decisive measure is paired by probe. Probes of one paper resemble each other, so the test, that of
    :mod:`eval.compare`, tosses one sign per paper, for the mean of its gains.
    """
    others = [switches for switches in ALL_SWITCHES if switches != in_use]
    gains = {switches: _gains(run.rows, switches) for switches in others}
    corrected = holm([sign_flip_p(gains[switches]) for switches in others])
    return [
        Trial(in_use, *_means(run.rows, None), 0.0, None),
        *(
            Trial(switches, *_means(run.rows, switches), sum(gains[switches]) / len(gains[switches]), p)
            for switches, p in zip(others, corrected, strict=True)
        ),
    ]


def best_trial(tried: Sequence[Trial]) -> Trial:
    """Return the trial with the greatest gain of those that are better; the setting in use if none is."""
    return max((trial for trial in tried if trial.better), key=lambda trial: trial.gain, default=tried[0])


def trials_text(tried: Sequence[Trial]) -> str:
    """Return the trials as aligned text, and what follows from them."""
    header = [
        "switches",
        "hit@1",
        "MRR@10",
        "sent",
        "ref ans",
        "ref unans",
        *(f"MRR {kind}" for kind in Kind),
        "p (Holm)",
    ]
    body = [
        [
            f"{trial.switches}{' (in use)' if trial.p is None else ''}",
            *map(_shown, [*(trial.values[name] for name in _SCORES), *trial.by_kind.values()]),
            "" if trial.p is None else f"{trial.p:.4f}",
        ]
        for trial in tried
    ]
    lines = aligned([header, *body])
    best = best_trial(tried)
    if best.p is None:
        verdict = "No other setting of the switches is better by MRR@10 than the one in use, beyond chance."
    else:
        verdict = f"Better here: {best.switches} (MRR@10 {best.gain:+.3f} a paper, p = {best.p:.4f})."
    return "\n".join([lines[0], "-" * len(lines[0]), *lines[1:], "", verdict])


def _row(pipelines: Mapping[Switches, Pipeline], probe: Probe, k: int, *, left_out: bool) -> Row:
    (_, pipeline), *others = pipelines.items()  # the first is the one in use
    started = time.perf_counter()
    answer = ask(pipeline, probe.text, k)
    scores = {**_scores(answer, probe, left_out=left_out), "latency_ms": 1000 * (time.perf_counter() - started)}
    for switches, other in others:
        found = _scores(ask(other, probe.text, k), probe, left_out=left_out)
        scores |= {_named(name, switches): score for name, score in found.items()}
    return Row(
        id=f"{probe.id}, left out" if left_out else probe.id,
        group=f"{probe.kind}, left out" if left_out else str(probe.kind),
        text=probe.text,
        scores=scores,
        details={
            "cluster": probe.paper.id,
            "paper": probe.paper.title,
            "sentence": probe.paper.abstract[slice(*probe.span)] if probe.span else "",
            "status": answer.status,
            "answer": answer.text,
            "cited": [source.paper.title for source in answer.cited],
            "answerability": answer.trace.answerability,
        },
    )


def _scores(answer: Answer, probe: Probe, *, left_out: bool) -> dict[str, float | None]:
    scores: dict[str, float | None] = dict.fromkeys(_SCORES)
    refused = float(answer.status == "refused")
    if left_out:
        return {**scores, "refused_unanswerable": refused}
    ids = [source.paper.id for source in answer.sources[:DEPTH]]
    rank = ids.index(probe.paper.id) + 1 if probe.paper.id in ids else None
    scores |= {"hit@1": float(rank == 1), DECISIVE: 1 / rank if rank else 0.0, "refused_answerable": refused}
    if probe.span is not None:
        start, end = probe.span
        quoted = [c for sentence in answer.sentences for c in sentence.citations if c.paper_id == probe.paper.id]
        scores["sentence_hit"] = float(any(c.start < end and start < c.end for c in quoted))
    return scores


def _gains(rows: Sequence[Row], switches: Switches) -> list[float]:
    """Return the mean gain of each paper's probes."""
    gains: dict[str, list[float]] = {}
    for row in rows:
        before, after = row.scores[DECISIVE], row.scores[_named(DECISIVE, switches)]
        if before is not None and after is not None:
            gains.setdefault(str(row.details["cluster"]), []).append(after - before)
    return [sum(some) / len(some) for some in gains.values()]


def _means(rows: Sequence[Row], switches: Switches | None) -> tuple[dict[str, float | None], dict[Kind, float | None]]:
    """Return the mean of each score, and the decisive one by kind; switches of None are those in use."""
    columns = {name: name if switches is None else _named(name, switches) for name in _SCORES}
    values = {name: _mean(row.scores[column] for row in rows) for name, column in columns.items()}
    of_kind = {kind: _mean(row.scores[columns[DECISIVE]] for row in rows if row.group == kind) for kind in Kind}
    return values, of_kind


def _mean(scores: Iterable[float | None]) -> float | None:
    known = [score for score in scores if score is not None]
    return sum(known) / len(known) if known else None


def _shown(share: float | None) -> str:
    return "-" if share is None else number(share, "")


def _named(name: str, switches: Switches) -> str:
    return f"{name}, {switches}"


def _on(switch: bool) -> str:
    return "on" if switch else "off"


_BY_SCORE = (
    Definition(name="hit@1", label="paper first", column="hit@1", yes_or_no=True),
    Definition(name=DECISIVE, label=f"MRR@{DEPTH}", column=f"MRR@{DEPTH}"),
    Definition(name="sentence_hit", label="sentence among the quoted ones", column="sent", yes_or_no=True),
    Definition(
        name="refused_answerable",
        label="refused with its paper there (false refusals)",
        column="ref ans",
        higher_is_better=False,
        yes_or_no=True,
    ),
    Definition(
        name="refused_unanswerable", label="refused with its paper left out", column="ref unans", yes_or_no=True
    ),
)

DEFINITIONS = (
    *_BY_SCORE,
    Definition(name="auroc", label="AUROC of answerability", column="AUROC", over=answerability_area),
    *LATENCY,
)
"""What is measured with the switches in use."""


def _definitions_of(switches: Switches) -> list[Definition]:
    return [
        Definition(
            name=_named(definition.name, switches),
            label=f"{definition.label}, with {switches}",
            higher_is_better=definition.higher_is_better,
            yes_or_no=definition.yes_or_no,
        )
        for definition in _BY_SCORE
    ]


def _plots(rows: Sequence[Row], threshold: float) -> list[Plot]:
    scores = answerability_scores(rows)
    return [
        Bars("hit@1"),
        Bars(DECISIVE),
        refusal_histogram(*scores, threshold),
        refusal_curve(*scores, threshold),
    ]
