"""Measure what grounding makes of answers of which it is known what is true. Needs no real language model.

A model that writes a given draft takes the place of a real one: true sentences with right, wrong, missing and invented
markers, and one sentence that nothing supports. Everything after it is the product. Each draft is written twice: with
true sentences in a model's words, and with the evidence itself.
"""

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from pydantic import JsonValue

from index.text import clean_text
from rag import Answer, CancelToken, PaperQA
from rag.answering.sentence_stream import SentenceStream, WrittenSentence
from rag.llm.model import Messages, PlainModel
from rag.safety import neutralise

from .dataset import Question
from .drafts import DraftAnswer
from .gold import Gold, Span, locate_gold
from .run import Bars, Dataset, Row, Run
from .summary import Definition, summarise

COMMAND = "grounding"
_PIECE = 7  # characters, so that pieces respect neither words nor markers


class Wording(StrEnum):
    """How the true sentences of a draft are worded."""

    REWORDED = "reworded"
    VERBATIM = "verbatim"


@dataclass(frozen=True, slots=True)
class Said:
    """A sentence that the model will write.

    Attributes:
        text: The sentence.
        evidence: The passages it rests on; empty for an invented one.
    """

    text: str
    evidence: tuple[int, ...]


class DraftWriter(PlainModel):
    """A language model that writes what it is told to, with markers that are right only in one of four sentences."""

    name = "draft"

    def __init__(self) -> None:
        self._said: Sequence[Said] = ()
        self._titles: Sequence[str] = ()
        self._turn = 0

    def prepare(self, said: Sequence[Said], titles: Sequence[str]) -> None:
        """Set what is written next, and the titles of the gold papers."""
        self._said, self._titles = said, titles

    def stream(
        self, messages: Messages, max_new_tokens: int, cancel: CancelToken, papers: int = 0
    ) -> Generator[str, None, bool]:
        """Write the draft; where no paper may be cited, it was not asked for an answer, and there is nothing to say."""
        text = " ".join(self._sentence(said, messages, papers) for said in self._said) if papers else ""
        for start in range(0, len(text), _PIECE):
            yield text[start : start + _PIECE]
        return False

    def _sentence(self, said: Said, messages: Messages, papers: int) -> str:
        heads = [f"] {neutralise(title)}" for title in self._titles]
        prompt = messages[-1]["content"]
        right = [number for number in range(1, papers + 1) if any(f"[{number}{head}" in prompt for head in heads)]
        wrong = [number for number in range(1, papers + 1) if number not in right] or [1]
        self._turn += 1
        markers = (
            f" [{right[0] if right else 1}]",
            f" [{wrong[self._turn % len(wrong)]}]",
            "",
            _INVENTED[self._turn // 4 % len(_INVENTED)],
        )
        marker = markers[self._turn % len(markers)]
        return f"{said.text.rstrip('.')}{marker}."


_INVENTED = (" [0]", " [99]", " 【42】", " [[17]]", " [Paper 12]", " [1-99]")


def run_grounding(
    qa: PaperQA,
    writer: DraftWriter,
    drafts: Sequence[tuple[Question, DraftAnswer]],
    dataset: Dataset,
    settings: Mapping[str, JsonValue],
    progress: Callable[[int, int], None] | None = None,
) -> Run:
    """Let every draft be written in both wordings, and report what of it stays with which citations.

    Args:
        qa: A collection, opened with ``writer`` as its language model.
        writer: Is told what to write.
        drafts: At least one, each with its question.
        dataset: Where they come from.
        settings: The settings of the run, for the record.
        progress: Called with (drafts done, drafts in all), first with 0.

    Raises:
        EvalDataError: If gold papers or evidence are not in the collection.
    """
    tell = progress or (lambda done, total: None)
    golds = locate_gold([question for question, _ in drafts], qa.papers())
    rows: list[Row] = []
    tell(0, 2 * len(drafts))
    for (question, draft), gold in zip(drafts, golds, strict=True):
        for wording in Wording:
            said = list(_said(question, draft, wording))
            writer.prepare(said, question.papers)
            history = [{"role": turn.role, "content": turn.content} for turn in question.history]
            answer = qa.ask(question.question, history=history or None)
            rows.append(_row(question, draft, wording, said, gold, answer))
            tell(len(rows), 2 * len(drafts))
    bars = [Bars(definition.name) for definition in DEFINITIONS]
    return summarise(COMMAND, dataset, settings, DEFINITIONS, rows, bars)


def _said(question: Question, draft: DraftAnswer, wording: Wording) -> Iterator[Said]:
    if wording is Wording.VERBATIM:
        used = sorted({place for sentence in draft.true for place in sentence.evidence})
        for place in used:
            text = clean_text(question.evidence[place])  # may be a part of a sentence, which a model would begin large
            yield Said(text[0].upper() + text[1:], (place,))
    else:
        yield from (Said(sentence.text, sentence.evidence) for sentence in draft.true)
    yield Said(draft.invented.text, ())


def _row(
    question: Question, draft: DraftAnswer, wording: Wording, said: Sequence[Said], gold: Gold, answer: Answer
) -> Row:
    by_model = answer.trace.answerer == DraftWriter.name
    kept = {sentence.text for sentence in answer.sentences} if by_model else set()
    invented = _as_written(draft.invented.text)
    quoted = [(s.text, Span(c.paper_id, c.start, c.end)) for s in answer.sentences for c in s.citations if by_model]
    cited = [span for _, span in quoted]
    evidence = [place for passage in gold.evidence for place in passage]
    hits = [text for text, span in quoted if any(span.overlaps(place) for place in evidence)]
    used = {place for sentence in said for place in sentence.evidence}
    found = sum(any(span.overlaps(place) for span in cited for place in gold.evidence[passage]) for passage in used)
    pieces = {sentence.text: _as_written(sentence.text) for sentence in said}
    true = [piece for sentence in said if sentence.evidence for piece in pieces[sentence.text]]
    counts = {
        "citations": len(cited),
        "right_citations": len(hits),
        "right_true_citations": sum(text not in invented for text in hits),
        "evidence": len(used),
        "cited_evidence": found,
        "true": len(true),
        "true_kept": sum(text in kept for text in true),
        "invented": len(invented),
        "invented_kept": sum(text in kept for text in invented),
    }
    return Row(
        id=f"{question.id}, {draft.set}, {wording}",
        group=f"{wording}, {draft.set}",
        text=question.question,
        scores={},
        details={
            **counts,
            "kind": draft.invented.kind,
            "answer": answer.text,
            "dropped": [f"{sentence.text} ({sentence.reason})" for sentence in answer.dropped],
        },
    )


def _as_written(text: str) -> list[str]:
    """Return a sentence of a draft as the stream will cut it."""
    stream = SentenceStream(0)
    parts = [*stream.feed(f"{text.rstrip('.')}."), *stream.end(cut=False)]
    return [part.text for part in parts if isinstance(part, WrittenSentence)]


def _ratio(part: str, whole: str, *, of_rest: bool = False) -> Callable[[Sequence[Row]], float | None]:
    """Return the share of one count in another, over all rows together; the share of the rest where ``of_rest``."""

    def share(rows: Sequence[Row]) -> float | None:
        total = sum(_count(row, whole) for row in rows)
        value = sum(_count(row, part) for row in rows) / total if total else None
        return value if value is None or not of_rest else 1 - value

    return share


def _count(row: Row, name: str) -> int:
    value = row.details[name]
    assert isinstance(value, int)
    return value


DEFINITIONS = (
    Definition(
        name="citation_precision",
        label="citations that are gold evidence",
        column="cite P",
        over=_ratio("right_citations", "citations"),
    ),
    Definition(
        name="citation_precision_strict",
        label="the same, those of invented sentences being wrong",
        column="strict P",
        over=_ratio("right_true_citations", "citations"),
    ),
    Definition(
        name="citation_recall",
        label="evidence used that is cited",
        column="cite R",
        over=_ratio("cited_evidence", "evidence"),
    ),
    Definition(
        name="invented_removed",
        label="invented sentences removed",
        column="inv out",
        over=_ratio("invented_kept", "invented", of_rest=True),
    ),
    Definition(name="true_kept", label="true sentences kept", column="true in", over=_ratio("true_kept", "true")),
)
"""What is measured, over all drafts together: every citation and every sentence counts the same."""
