"""Measure an evidence reader on abstracts of which it is known what they say. Searches for nothing, trains no reader.

Each text is read with its own abstract given, whole, and where it has a twin also without the sentences that answer or
support it. The reduced abstract is embedded anew, so that no vector remembers what was taken out. As the wording is the
same on both sides, nothing but the abstract can tell them apart.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import JsonValue

from index.embedding.encoder import Encoder
from index.errors import EvalDataError
from index.rows import StoredPaper
from index.terms import indexed_terms, question_terms
from rag.evidence.abstractqa import load_abstracts
from rag.evidence.reader import EvidenceReader, Reading
from rag.retrieval import Query, rarity

from .evidence_measures import DEFINITIONS, SCORES, plots
from .evidence_set import Abstract, Case, EvidenceSet, Sort, labelled_set
from .leaks import fitted_scores, held_out_scores
from .run import Dataset, Row, Run
from .scifact import is_scifact, load_scifact
from .stored import stored_papers
from .summary import summarise

COMMAND = "evidence"
RECALLED = 3

_Labelled = list[tuple[Case, bool]]
_QUESTIONS = (Sort.ANSWERABLE, Sort.UNANSWERABLE)


def load_evidence_set(path: str | Path, split: str | None = None) -> EvidenceSet:
    """Read labelled abstracts (:mod:`rag.evidence.abstractqa`) or SciFact (:mod:`eval.scifact`), told by their fields.

    Args:
        path: The file.
        split: Part of a SciFact file; None: "dev".

    Raises:
        EvalDataError: If the file cannot be read or is of neither form, or a part of labelled abstracts is asked for.
    """
    path = Path(path)
    if is_scifact(path):
        return load_scifact(path, split)
    if split is not None:
        raise EvalDataError(f"{path} holds labelled abstracts, which have no splits. Leave --split out.")
    return labelled_set(load_abstracts(path))


def run_evidence(
    reader: EvidenceReader,
    encoder: Encoder,
    measured: EvidenceSet,
    dataset: Dataset,
    settings: Mapping[str, JsonValue],
    progress: Callable[[int, int], None] | None = None,
    *,
    known: EvidenceSet | None = None,
) -> Run:
    """Read every case and score what the reader makes of it.

    Args:
        reader: What is measured.
        encoder: Makes the vectors of texts and abstracts.
        measured: At least one case. A word's rarity is that in its abstracts.
        dataset: Where they come from.
        settings: The settings of the run, for the record.
        progress: Called with (cases read, cases in all), first with 0.
        known: What the classifiers that see only the text are fitted on, abstracts of ``measured`` left out. None:
            on the other abstracts of ``measured``, by cross-validation.

    Raises:
        ValueError: If there are no cases.
    """
    if not measured.cases:
        raise ValueError("there are no cases to read")
    total = len(measured.cases)
    report_progress = progress or (lambda done, total: None)
    report_progress(0, total)
    readings: dict[str, tuple[Reading, Reading | None]] = {}
    for case, whole, twin in _read(reader, encoder, measured):
        readings[case.id] = whole, twin
        report_progress(len(readings), total)
    alone = _from_text_alone(measured, known)
    rows = []
    for case in measured.cases:
        whole, twin = readings[case.id]
        scores = dict.fromkeys(SCORES, None) | _scores(case, whole, twin) | alone[case.id]
        if case.unedited:
            unedited = readings[case.unedited][0].supported
            scores |= {"supported_unedited": unedited, "edit_pairs": in_order(unedited, whole.supported)}
        rows.append(Row(case.id, case.group, case.text, scores, _details(case, measured, whole)))
    return summarise(COMMAND, dataset, settings, DEFINITIONS, rows, plots(rows))


def ranked(scores: NDArray[np.float32], left_out: Sequence[int] = ()) -> list[int]:
    """Return sentence numbers by their scores, best first, the earlier of equals first, without ``left_out``."""
    return [int(at) for at in np.argsort(-scores, kind="stable") if at not in left_out]


def in_order(above: float, below: float) -> float:
    """Return 1 if the first is more than the second, 0 if it is less, and a half if they are equal."""
    return 1.0 if above > below else 0.5 if above == below else 0.0


def _read(
    reader: EvidenceReader, encoder: Encoder, measured: EvidenceSet
) -> Iterator[tuple[Case, Reading, Reading | None]]:
    """Yield each case with what the reader makes of the whole abstract and of its twin."""
    frequency = Counter(
        term for a in measured.abstracts for term in set(indexed_terms(a.title, " ".join(a.sentences)).split())
    )
    for number, group in groupby(measured.cases, key=lambda case: case.abstract):
        cases = list(group)
        whole, twins = _papers(measured.abstracts[number], cases, encoder)
        vectors = encoder.embed_queries([case.text for case in cases])
        for case, vector in zip(cases, vectors, strict=True):
            terms = tuple(question_terms(case.text))
            query = Query(case.text, vector, terms, rarity(terms, frequency, len(measured.abstracts)))
            found = reader.judge(query, [whole, twins[_removed(case)]] if case.twin else [whole])
            yield case, found[0], found[1] if case.twin else None


def _papers(
    abstract: Abstract, cases: Sequence[Case], encoder: Encoder
) -> tuple[StoredPaper, dict[frozenset[int], StoredPaper]]:
    """Return the whole abstract, and every reduced one by what was removed."""
    removed = list(dict.fromkeys(_removed(case) for case in cases if case.twin))
    whole, *twins = stored_papers([abstract, *map(abstract.without, removed)], encoder)
    return whole, dict(zip(removed, twins, strict=True))


def _removed(case: Case) -> frozenset[int]:
    return frozenset({*case.sents, *case.also})


def _scores(case: Case, whole: Reading, twin: Reading | None) -> dict[str, float | None]:
    scores: dict[str, float | None] = {"relevant": whole.relevant}
    if case.sort in _QUESTIONS:
        scores["answerable"] = whole.answerable
        if twin:
            scores["answerable_twin"] = twin.answerable
            scores["answerable_pairs"] = in_order(whole.answerable, twin.answerable)
    else:
        scores["supported"] = whole.supported
        if twin:
            scores["supported_twin"] = twin.supported
            scores["support_pairs"] = in_order(whole.supported, twin.supported)
    if case.sort is Sort.ANSWERABLE:
        scores["hit@1"], scores["recall@3"] = _hits(ranked(whole.evidence, case.also), case)
        scores["strict_hit@1"], scores["strict_recall@3"] = _hits(ranked(whole.evidence), case)
    elif case.sents:
        scores["claim_hit@1"], scores["claim_recall@3"] = _hits(ranked(whole.evidence), case)
        if case.sort is Sort.TRUE:
            scores["support_hit@1"], _ = _hits(ranked(whole.support), case)
    return scores


def _hits(order: Sequence[int], case: Case) -> tuple[float, float]:
    """Return whether a right sentence comes first, and the share of them among the first three."""
    right = set(case.sents)
    return float(order[0] in right), len(right.intersection(order[:RECALLED])) / len(right)


def _details(case: Case, measured: EvidenceSet, whole: Reading) -> dict[str, JsonValue]:
    sentences = measured.abstracts[case.abstract].sentences
    return {
        "sort": str(case.sort),
        "cluster": case.cluster,
        "abstract": measured.abstracts[case.abstract].id,
        "right": [sentences[at] for at in case.sents],
        "ranked first": sentences[ranked(whole.evidence)[0]],
        "sents": list(case.sents),
        "also": list(case.also),
        "evidence": [float(score) for score in whole.evidence],
        "support": [float(score) for score in whole.support],
    }


def _from_text_alone(measured: EvidenceSet, known: EvidenceSet | None) -> dict[str, dict[str, float | None]]:
    """Return the scores of classifiers that see nothing but the text, by case.

    There is one classifier for questions, one for true and false claims, and one for true claims and their edits. An
    edited claim's row has the score of the true one, too; the true claim's own row has that of the second classifier.
    """
    ids = {abstract.id for abstract in measured.abstracts}
    others = [case for case in known.cases if known.abstracts[case.abstract].id not in ids] if known else None
    scores: dict[str, dict[str, float | None]] = {case.id: {} for case in measured.cases}
    for compared in (_questions, _claims):
        for name, score in _classified(compared(measured.cases), None if others is None else compared(others)).items():
            scores[name] = {"text_alone": score}
    edits = _classified(_edits(measured.cases), None if others is None else _edits(others))
    for case in measured.cases:
        if case.id in edits and case.unedited:
            edited, unedited = edits[case.id], edits[case.unedited]
            scores[case.id] = {
                "text_alone": edited,
                "text_alone_unedited": unedited,
                "text_alone_edit_pairs": in_order(unedited, edited),
            }
    return scores


def _classified(labelled: _Labelled, known: _Labelled | None) -> dict[str, float]:
    """Return scores by case; {} where there is too little to fit on."""
    texts, labels = [case.text for case, _ in labelled], [label for _, label in labelled]
    if known is None:
        found = held_out_scores(texts, labels, [case.cluster for case, _ in labelled])
    else:
        found = fitted_scores([case.text for case, _ in known], [label for _, label in known], texts)
    return {} if found is None else {case.id: float(score) for (case, _), score in zip(labelled, found, strict=True)}


def _questions(cases: Sequence[Case]) -> _Labelled:
    return [(case, case.sort is Sort.ANSWERABLE) for case in cases if case.sort in _QUESTIONS]


def _claims(cases: Sequence[Case]) -> _Labelled:
    return [(case, case.sort is Sort.TRUE) for case in cases if case.sort in (Sort.TRUE, Sort.FALSE)]


def _edits(cases: Sequence[Case]) -> _Labelled:
    by_id = {case.id: case for case in cases}
    pairs = [(by_id[case.unedited], case) for case in cases if case.unedited]
    return [labelled for true, edit in pairs for labelled in ((true, True), (edit, False))]
