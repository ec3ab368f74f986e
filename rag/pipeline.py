"""The way from a question to an answer, one stage after the other, as a stream of events.

Search, read, decide whether to answer, write, cite. Each stage is a module of its own; this one only orders them.
"""

import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace

from index.filters import Where
from index.paper import Paper
from index.store import PaperStore

from .answer import Answer, Source, Trace
from .answering.draft import Draft
from .answering.evidence_answerer import compose
from .answering.llm_answerer import PROMPT_PAPERS, LLMAnswerer
from .answering.routing import is_easy
from .answering.selection import Selection, select
from .citations import Markers
from .events import CancelToken, Done, Event, Sources, Status
from .evidence.gathering import gather, gather_parts
from .evidence.reader import EvidenceReader, PaperEvidence
from .followup import Reference, refer
from .llm.shared import SharedModel, Turn
from .question import Form, form_of, parts_of
from .refusal import Answerability, answerability
from .reranking import read, rerank
from .retrieval import Retrieval, Retriever, marked
from .rewriting import rewrite
from .settings import Settings

NEAREST_ON_REFUSAL = 3


class _Clock:
    """Milliseconds per stage."""

    def __init__(self) -> None:
        self.timings: dict[str, float] = {}
        self._began = self._last = time.perf_counter()

    def stage(self, name: str) -> None:
        now = time.perf_counter()
        self.timings[name] = round(1000 * (now - self._last), 2)
        self.timings["total"] = round(1000 * (now - self._began), 2)
        self._last = now


@dataclass(frozen=True, slots=True)
class _Considered:
    """What is known before anything is written: the papers in their order, what is in them, and whether they answer."""

    retrieval: Retrieval
    evidence: list[PaperEvidence]
    selection: Selection
    verdict: Answerability


class Pipeline:
    """Answers questions over a store.

    Args:
        store: The collection.
        load_reader: Returns what finds the sentences that answer; called when the papers are found, so that they can be
            shown before that.
        llm: Writes the answer; None for the evidence answerer.
        settings: All settings.
    """

    def __init__(
        self,
        store: PaperStore,
        load_reader: Callable[[], EvidenceReader],
        llm: SharedModel | None,
        settings: Settings,
    ) -> None:
        self._store = store
        self._load_reader = load_reader
        self._llm = llm
        self._settings = settings
        self._threshold = settings.refusal.threshold
        self._retriever = Retriever(store, settings.retrieval.candidates, keywords=settings.retrieval.keywords)

    def search(self, query: str, k: int, where: Where | None) -> list[Source]:
        """Return the ``k`` best papers, the first ones in the order that the reader finds."""
        depth = self._settings.retrieval.similarity_top_k
        retrieval = self._retriever.retrieve([(query, 1.0)], max(k, depth), where)
        found = read(self._load_reader(), retrieval.query, retrieval.hits, depth)
        hits, _ = rerank(found, retrieval.hits[depth:])
        return [hit.source for hit in hits[:k]]

    def run(
        self,
        question: str,
        history: Sequence[Mapping[str, str]],
        where: Where | None,
        k: int,
        cancel: CancelToken,
        markers: Markers,
    ) -> Iterator[Event]:
        """Answer one question; the last event is :class:`~rag.events.Done`.

        Args:
            question: A cleaned question.
            history: Messages with ``role`` and ``content``, oldest first.
            where: Filter on papers.
            k: Papers to retrieve.
            cancel: Stops the answer.
            markers: Gives cited papers their numbers.
        """
        with self._llm.turn() if self._llm else nullcontext() as turn:
            yield from self._run(question, history, where, k, cancel, markers, turn)

    def _run(
        self,
        question: str,
        history: Sequence[Mapping[str, str]],
        where: Where | None,
        k: int,
        cancel: CancelToken,
        markers: Markers,
        turn: Turn | None,
    ) -> Iterator[Event]:
        clock, draft = _Clock(), Draft()
        yield Status("search", "Searching the papers")
        reference = refer(question, history, self._retriever, where)
        found, retrieval = self._search(reference, k, where)
        yield Sources(marked(retrieval.hits, {}))
        clock.stage("search")
        yield Status("read", "Reading the nearest papers")
        form, reader = form_of(question), self._load_reader()
        considered = self._consider(reader, reference, retrieval, form, k)
        clock.stage("read")
        trace = Trace(
            answerer="evidence",
            embed_model=str(self._store.encoder.identity["model_name"]),
            answerability=considered.verdict.score,
            threshold=self._threshold,
        )
        if not considered.selection.papers or considered.verdict.score < self._threshold:
            reason, nearest = self._explain(question, considered.verdict, found, considered.retrieval, where)
            trace = replace(trace, standalone_question=reference.text, timings_ms=clock.timings)
            sources = marked(considered.retrieval.hits, {})
            yield Done(Answer(question, "refused", sources=sources, nearest=nearest, reason=reason, trace=trace))
            return

        if turn is not None and reference.depends and self._settings.answering.rewrite:
            reworded = yield from self._reword(turn, reference, history, draft, cancel)
            if reworded is not reference:
                reference = reworded
                _, retrieval = self._search(reference, k, where)
                yield Sources(marked(retrieval.hits, {}))
                considered = self._consider(reader, reference, retrieval, form, k)
            clock.stage("rewrite")
        trace = replace(trace, standalone_question=reference.text)
        gap = considered.verdict.gap()
        if turn is not None:
            if self._wants_model(question, reference, considered.selection, draft):
                said_before = history if reference.depends else ()
                yield from self._let_model_write(turn, question, considered, form, draft, cancel, markers, said_before)
                if draft.sentences:
                    trace = replace(trace, answerer=turn.shared.name)
                    gap = ""  # it was judged by the papers that would be quoted, and the model may have cited others
            turn.leave()  # quoting needs no model
        if not draft.sentences and not draft.stopped:
            selection, lacking = self._cover_parts(reader, question, considered.selection)
            gap = gap or lacking
            yield from self._quote(question, selection, draft, cancel, markers)
        clock.stage("write")
        reason = "Stopped before the end." if draft.stopped else draft.incomplete or gap
        cited = {c.paper_id: c.marker for sentence in draft.sentences for c in sentence.citations}
        yield Done(
            Answer(
                question=question,
                status="partial" if reason else "answered",
                sentences=tuple(draft.sentences),
                sources=marked(considered.retrieval.hits, cited),
                dropped=tuple(draft.dropped),
                reason=reason,
                trace=replace(trace, prompt=draft.prompt, notes=tuple(draft.notes), timings_ms=clock.timings),
            )
        )

    def _let_model_write(
        self,
        turn: Turn,
        question: str,
        considered: "_Considered",
        form: Form,
        draft: Draft,
        cancel: CancelToken,
        markers: Markers,
        said_before: Sequence[Mapping[str, str]],
    ) -> Iterator[Event]:
        """Let the language model write from the papers that were read; the others that were found may support it."""
        writer = LLMAnswerer(self._load_reader(), self._retriever.query, self._settings.answering)
        single = form is Form.SINGLE
        given = considered.evidence[:PROMPT_PAPERS] if single else considered.evidence
        others = considered.retrieval.hits[len(given) :]
        return writer.write(turn, question, given, draft, cancel, markers, said_before, others, one_paper=single)

    def _reword(
        self,
        turn: Turn,
        reference: Reference,
        history: Sequence[Mapping[str, str]],
        draft: Draft,
        cancel: CancelToken,
    ) -> Generator[Event, None, Reference]:
        """Add the language model's stand-alone wording to those that are searched, if it has one."""
        (question, own), *others = reference.wordings
        text = yield from rewrite(turn, question, history, self._settings.answering, draft, cancel)
        if not text:
            return reference
        rest = [(wording, weight / 2) for wording, weight in others]
        return replace(reference, text=text, wordings=((question, own), *rest, (text, (1 - own) / 2)))

    def _wants_model(self, question: str, reference: Reference, selection: Selection, draft: Draft) -> bool:
        """Whether the language model is to write: it is not when it was given up before, or the question is easy."""
        if draft.without_model or draft.stopped:
            return False
        if self._settings.answering.routing and not reference.depends and is_easy(question, selection):
            draft.give_up("One sentence answers this surely")
            return False
        return True

    def _search(self, reference: Reference, k: int, where: Where | None) -> tuple[Retrieval, Retrieval]:
        """Return what is found, and the same without the paper that is not wanted again."""
        found = self._retriever.retrieve(reference.wordings, k + bool(reference.left_out), where)
        return found, _without(found, reference.left_out, k)

    def _consider(
        self, reader: EvidenceReader, reference: Reference, retrieval: Retrieval, form: Form, k: int
    ) -> "_Considered":
        """Read the best papers, choose those that an answer is made of, and judge whether they answer."""
        retrieval, evidence = self._read(reader, retrieval, form, alone=not reference.depends)
        selection = select(form, retrieval.query, evidence, k)
        verdict = answerability(
            retrieval.query, retrieval.names, selection.papers, selection.form, follow_up=reference.depends
        )
        return _Considered(retrieval, evidence, selection, verdict)

    def _read(
        self, reader: EvidenceReader, retrieval: Retrieval, form: Form, *, alone: bool
    ) -> tuple[Retrieval, list[PaperEvidence]]:
        """Read the best papers, more for a list than for a single answer, and put them in their new order.

        If the question does not stand alone the order stays: the reader sees only the question's own words.
        """
        depth = len(retrieval.hits) if form is not Form.SINGLE else self._settings.evidence.papers_read
        if self._llm is not None:
            depth = max(depth, PROMPT_PAPERS)
        found, rest = read(reader, retrieval.query, retrieval.hits, depth), retrieval.hits[depth:]
        hits = [*(hit for hit, _ in found), *rest]
        if alone and self._settings.retrieval.rerank:
            hits, found = rerank(found, rest)
        return replace(retrieval, hits=tuple(hits)), gather(retrieval.query, found, form, alone=alone)

    def _cover_parts(self, reader: EvidenceReader, question: str, selection: Selection) -> tuple[Selection, str]:
        """Look for each part of a question that asks several things of one paper; tell which parts are not answered."""
        parts = parts_of(question)
        if len(parts) == 1 or selection.form is not Form.SINGLE or not selection.papers:
            return selection, ""
        evidence, lacking = gather_parts(selection.papers[0], [self._retriever.query(p) for p in parts], reader)
        told = " ".join(f"“{part.rstrip('?')}?”" for part in lacking)
        return replace(selection, papers=(evidence,)), f"Not found in the paper: {told}" if lacking else ""

    def _explain(
        self, question: str, verdict: Answerability, found: Retrieval, kept: Retrieval, where: Where | None
    ) -> tuple[str, tuple[Paper, ...]]:
        """Return why a question is refused, and the nearest papers."""
        if kept.hits:
            return verdict.reason(), _papers(kept)
        if found.hits:
            return "The collection has no other paper that comes near.", _papers(found)
        if where is not None:
            outside = self._retriever.retrieve([(question, 1.0)], NEAREST_ON_REFUSAL)
            if outside.hits:
                return "No paper passes the filter; the nearest papers outside it are shown.", _papers(outside)
        return "The collection is empty. Add papers: citewell add FILE", ()

    def _quote(
        self, question: str, selection: Selection, draft: Draft, cancel: CancelToken, markers: Markers
    ) -> Iterator[Event]:
        settings = self._settings.evidence
        for sentence in compose(question, selection, markers, settings.max_words, settings.max_sentences):
            if cancel.cancelled:
                draft.stopped = True
                return
            yield draft.settle(sentence)


def _papers(retrieval: Retrieval) -> tuple[Paper, ...]:
    return tuple(hit.source.paper for hit in retrieval.hits[:NEAREST_ON_REFUSAL])


def _without(retrieval: Retrieval, paper_id: str, k: int) -> Retrieval:
    """Leave out a paper and close the ranks."""
    kept = [hit for hit in retrieval.hits if hit.source.paper.id != paper_id][:k]
    hits = [replace(hit, source=replace(hit.source, rank=rank)) for rank, hit in enumerate(kept, start=1)]
    return replace(retrieval, hits=tuple(hits))
