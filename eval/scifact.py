r"""Read claims of SciFact with the sentences that support or contradict them. Measures nothing.

The form, JSON Lines, one rationale per line (Wadden et al., *Fact or fiction: verifying scientific claims*, 2020)::

    {"split": "dev", "claim_id": "3", "claim": "...", "doc_id": "14717500", "label": "SUPPORT",
     "sentence_idx": [2, 5], "doc_sentences": ["...", "..."]}

Rows of other labels have no rationale and are passed over. Titles come from ``corpus.jsonl`` beside the file
(``{"_id": "14717500", "title": "..."}``) if it is there. The data's licence (CC BY-NC) is for measuring: no
weights that are handed on are trained on it.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from index.errors import EvalDataError

from .evidence_set import Abstract, Case, EvidenceSet, Sort
from .lines import read_objects

DEFAULT_SPLIT = "dev"
_SORTS = {"SUPPORT": Sort.TRUE, "CONTRADICT": Sort.FALSE}


@dataclass(frozen=True, slots=True)
class _Rationale:
    split: str
    claim_id: str
    claim: str
    doc_id: str
    label: str
    sentence_idx: tuple[int, ...]
    doc_sentences: tuple[str, ...]


def load_scifact(path: Path, split: str | None = None) -> EvidenceSet:
    """Return every claim of a split that has a rationale, with each abstract it is in.

    All sentences of any rationale are right. White space is folded. Claims that share an abstract, and abstracts that
    share a claim, are one cluster.

    Args:
        path: The file.
        split: Which claims; None: "dev".

    Raises:
        EvalDataError: If the file cannot be read, a line is not of the form above, or there is no such split. The
            message names file, line and field.
    """
    rationales = [_parse(row, where) for where, row in read_objects(path) if row.get("label") in _SORTS]
    split = split or DEFAULT_SPLIT
    splits = sorted({rationale.split for rationale in rationales})
    if split not in splits:
        raise EvalDataError(f"{path}, field split: there is no {split!r}, but {', '.join(splits) or 'nothing'}.")
    titles = _titles(path.parent / "corpus.jsonl")
    abstracts = {
        rationale.doc_id: Abstract(rationale.doc_id, titles.get(rationale.doc_id, ""), rationale.doc_sentences)
        for rationale in rationales
    }
    numbers = {name: number for number, name in enumerate(abstracts)}
    pairs: dict[tuple[str, str], list[_Rationale]] = {}
    for rationale in rationales:
        if rationale.split == split:
            pairs.setdefault((rationale.doc_id, rationale.claim_id), []).append(rationale)
    clusters = _clusters(list(pairs))
    cases = [
        Case(
            id=f"{claim_id} {doc_id}",
            abstract=numbers[doc_id],
            sort=_SORTS[found[0].label],
            group=found[0].label,
            text=found[0].claim,
            sents=tuple(sorted({at for rationale in found for at in rationale.sentence_idx})),
            cluster=clusters[doc_id],
        )
        for (doc_id, claim_id), found in pairs.items()
    ]
    return EvidenceSet(tuple(abstracts.values()), tuple(sorted(cases, key=lambda case: case.abstract)))


def is_scifact(path: Path) -> bool:
    """Whether the first line that is not blank has SciFact's fields.

    Raises:
        EvalDataError: If the file cannot be read, or its first line is not a JSON object.
    """
    return next(("doc_sentences" in row for _, row in read_objects(path)), False)


def _parse(row: dict[str, Any], where: str) -> _Rationale:
    texts = {}
    for field in ("split", "claim_id", "claim", "doc_id", "label"):
        value = row.get(field)
        if not isinstance(value, str) or not value.strip():
            raise EvalDataError(f"{where}, field {field}: must be a text that is not empty")
        texts[field] = value.strip()
    sentences = row.get("doc_sentences")
    if not isinstance(sentences, list) or not all(isinstance(text, str) and text.strip() for text in sentences):
        raise EvalDataError(f"{where}, field doc_sentences: must be a list of texts that are not empty")
    chosen = row.get("sentence_idx")
    if not isinstance(chosen, list) or not chosen or not all(type(at) is int for at in chosen):
        raise EvalDataError(f"{where}, field sentence_idx: must be a list of numbers that is not empty")
    if not all(0 <= at < len(sentences) for at in chosen):
        raise EvalDataError(
            f"{where}, field sentence_idx: {chosen} does not fit the {len(sentences)} sentences, counted from 0"
        )
    folded = tuple(" ".join(text.split()) for text in sentences)
    return _Rationale(**texts, sentence_idx=tuple(chosen), doc_sentences=folded)


def _titles(path: Path) -> dict[str, str]:
    if not path.is_file():
        return {}
    titles = {}
    for where, row in read_objects(path):
        name, title = row.get("_id"), row.get("title")
        if not isinstance(name, str) or not isinstance(title, str):
            raise EvalDataError(f"{where}, field {'title' if isinstance(name, str) else '_id'}: is no text")
        titles[name] = " ".join(title.split())
    return titles


def _clusters(pairs: list[tuple[str, str]]) -> dict[str, str]:
    """Return for each abstract the name of its cluster: what is joined by claims, directly or over others."""
    cluster: dict[str, str] = {}  # by abstract
    seen: dict[str, str] = {}  # by claim
    for doc_id, claim_id in pairs:
        own, joined = cluster.setdefault(doc_id, doc_id), seen.get(claim_id, doc_id)
        other = cluster[joined]
        seen[claim_id] = doc_id
        for name in [name for name, of in cluster.items() if of == other]:
            cluster[name] = own
    return cluster
