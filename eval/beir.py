"""Read a retrieval benchmark in the layout of BEIR. Searches and scores nothing.

A folder holds ``corpus.jsonl`` (``_id``, ``title``, ``text``), ``queries.jsonl`` (``_id``, ``text``), other fields are
passed over, and ``qrels/SPLIT.tsv``: a header line, then query id, document id and relevance (a whole number, 0 for
none), with tabs between. The layout is that of Thakur et al., *BEIR: A heterogeneous benchmark for zero-shot evaluation
of information retrieval models* (2021).
"""

import hashlib
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from index.errors import EvalDataError
from index.paper import Paper
from rag.question import clean_question

from .dataset import dataset_sha256
from .lines import read_lines, read_objects
from .run import Dataset


@dataclass(frozen=True, slots=True)
class Benchmark:
    """A corpus, and queries for which it is known what they should find.

    Attributes:
        dataset: The folder, and a digest over the three files read.
        papers: A paper per document id. Where a document lacks title or text, the other stands for both.
        queries: Text, cleaned as questions are, by query id: those with at least one relevant document, in the order
            of the judgements.
        relevant: For each query id the relevant documents with their grades, 1 or more.
    """

    dataset: Dataset
    papers: Mapping[str, Paper]
    queries: Mapping[str, str]
    relevant: Mapping[str, Mapping[str, int]]


def load_benchmark(folder: str | Path, split: str = "test") -> Benchmark:
    """Read a benchmark.

    Args:
        folder: The folder.
        split: Name of the judgements to use, ``qrels/SPLIT.tsv``.

    Raises:
        EvalDataError: If a file cannot be read, or a line is not of its form or names what is not there; the message
            names file, line and field.
    """
    folder = Path(folder)
    corpus, asked, judged = folder / "corpus.jsonl", folder / "queries.jsonl", folder / "qrels" / f"{split}.tsv"
    digests = [dataset_sha256(path) for path in (corpus, asked, judged)]
    papers: dict[str, Paper] = {}
    for where, document in read_objects(corpus):
        name = _new_id(document, papers, where)
        title, text = _string(document, "title", where), _string(document, "text", where)
        try:
            papers[name] = Paper.create(title if title.strip() else text, text if text.strip() else title, id=name)
        except ValueError as exc:
            raise EvalDataError(f"{where}, field {'text' if title.strip() else 'title'}: {exc}") from exc
    texts: dict[str, str] = {}
    for where, query in read_objects(asked):
        name = _new_id(query, texts, where)
        try:
            texts[name] = clean_question(_string(query, "text", where), sys.maxsize)
        except ValueError as exc:
            raise EvalDataError(f"{where}, field text: is empty") from exc
    relevant: dict[str, dict[str, int]] = {}
    for where, query_id, document_id, grade in _judgements(judged):
        if query_id not in texts:
            raise EvalDataError(f"{where}, field query-id: {query_id!r} is not in {asked}")
        if document_id not in papers:
            raise EvalDataError(f"{where}, field corpus-id: {document_id!r} is not in {corpus}")
        if grade > 0:
            relevant.setdefault(query_id, {})[document_id] = grade
    if not relevant:
        raise EvalDataError(f"{judged} calls no document relevant. Name another split with --split.")
    return Benchmark(
        dataset=Dataset(str(folder), hashlib.sha256("".join(digests).encode()).hexdigest()),
        papers=papers,
        queries={name: texts[name] for name in relevant},
        relevant=relevant,
    )


def _judgements(path: Path) -> Iterator[tuple[str, str, str, int]]:
    lines = read_lines(path)
    header = next(lines, (1, ""))[1].rstrip("\r\n").split("\t")
    if len(header) != 3 or header[2].lstrip("-").isdecimal():
        raise EvalDataError(f"{path}, line 1: needs the header query-id, corpus-id, score, with tabs between")
    for number, line in lines:
        where = f"{path}, line {number}"
        fields = line.rstrip("\r\n").split("\t")
        if len(fields) != 3:
            raise EvalDataError(f"{where}: has {len(fields)} fields, and needs 3 with tabs between")
        try:
            yield where, fields[0], fields[1], int(fields[2])
        except ValueError as exc:
            raise EvalDataError(f"{where}, field score: {fields[2]!r} is not a whole number") from exc


def _new_id(record: Mapping[str, object], known: Mapping[str, object], where: str) -> str:
    name = _string(record, "_id", where)
    if not name.strip():
        raise EvalDataError(f"{where}, field _id: is empty")
    if name in known:
        raise EvalDataError(f"{where}, field _id: {name!r} is already the id of an earlier line")
    return name


def _string(record: Mapping[str, object], field: str, where: str) -> str:
    value = record.get(field)
    if not isinstance(value, str):
        raise EvalDataError(f"{where}, field {field}: must be a text, and is {value!r:.60}")
    return value
