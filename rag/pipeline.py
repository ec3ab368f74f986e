"""The way from a question to an answer, one stage after the other, as a stream of events.

Search, read, decide whether to answer, write, cite. Each stage is a module of its own; this one only orders them.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from index.filters import Where
from index.store import PaperStore

from .answer import Answer, Trace
from .answering.evidence_answerer import compose
from .answering.llm_answerer import Draft, LanguageModel, LLMAnswerer
from .answering.selection import Selection, select
from .citations import Markers
from .events import CancelToken, Done, Event, Sources, Status
from .evidence.reader import EvidenceReader
from .followup import StandAlone, stand_alone
from .question import find_names, form_of
from .refusal import Answerability, answerability
from .retrieval import Hit, Retrieval, Retriever, marked
from .settings import Settings

NEAREST_ON_REFUSAL = 3
_IN_PLAY = 0.5  # share of the last answer's words that the paper it spoke of holds


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


class Pipeline:
    """Answers questions over a store.

    Args:
        store: The collection.
        reader: Finds the sentences that answer.
        llm: Writes the answer; None for the evidence answerer.
        settings: All settings.
        threshold: Refuse below this answerability.
    """

    def __init__(
        self, store: PaperStore, reader: EvidenceReader, llm: LanguageModel | None, settings: Settings, threshold: float
    ) -> None:
        self._store = store
        self._reader = reader
        self._llm = llm
        self._settings = settings
        self._threshold = threshold
        self._retriever = Retriever(store, settings.retrieval.candidates)

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
        clock = _Clock()
        yield Status("search", "Searching the papers")
        wanted = stand_alone(question, history)
        retrieval = self._retrieve(question, wanted, k, where)
        clock.stage("search")
        yield Sources(marked(retrieval.hits, {}))

        form = form_of(question)
        evidence = self._reader.read(retrieval.query, retrieval.hits, form)
        selection = select(form, retrieval.query, evidence, k)
        verdict = self._judge(question, wanted, retrieval, selection)
        clock.stage("read")
        trace = Trace(
            standalone_question=wanted.text,
            answerer=self._llm.name if self._llm else "evidence",
            embed_model=str(self._store.encoder.identity["model_name"]),
            answerability=verdict.score,
            threshold=self._threshold,
        )
        if not selection.papers or verdict.score < self._threshold:
            reason = verdict.reason() if evidence else self._nothing_found(where)
            nearest = tuple(hit.source.paper for hit in retrieval.hits[:NEAREST_ON_REFUSAL])
            if not nearest and where is not None:
                nearest = tuple(h.source.paper for h in self._retrieve(question, wanted, NEAREST_ON_REFUSAL, None).hits)
            trace = replace(trace, timings_ms=clock.timings)
            sources = marked(retrieval.hits, {})
            yield Done(Answer(question, "refused", sources=sources, nearest=nearest, reason=reason, trace=trace))
            return

        draft = Draft()
        if self._llm is not None:
            yield Status("write", f"{self._llm.name} is writing")
            writer = LLMAnswerer(self._llm, self._store.encoder, self._settings.answering.max_new_tokens)
            yield from writer.write(question, evidence, draft, cancel, markers)
        if not draft.sentences and not draft.stopped:
            yield from self._quote(selection, draft, cancel, markers)
        clock.stage("write")
        reason = "Stopped before the end." if draft.stopped else verdict.gap()
        trace = replace(trace, prompt=draft.prompt, notes=tuple(draft.notes), timings_ms=clock.timings)
        yield Done(
            Answer(
                question=question,
                status="partial" if reason else "answered",
                sentences=tuple(draft.sentences),
                sources=marked(retrieval.hits, markers.used),
                dropped=tuple(draft.dropped),
                reason=reason,
                trace=trace,
            )
        )

    def _retrieve(self, question: str, wanted: StandAlone, k: int, where: Where | None) -> Retrieval:
        retrieval = self._retriever.retrieve(wanted.wordings(question), k + wanted.wants_another, where)
        if not wanted.wants_another:
            return retrieval
        spoken_of = self._retriever.retrieve([(wanted.last_answer, 1.0)], 1, where).hits
        in_play = {hit.source.paper.id for hit in spoken_of if hit.source.keyword_score >= _IN_PLAY}
        return _without(retrieval, in_play, k)

    def _judge(self, question: str, wanted: StandAlone, retrieval: Retrieval, selection: Selection) -> Answerability:
        names = find_names(question, retrieval.known_terms.__contains__, self._store.encoder.count_tokens)
        queries = retrieval.queries if wanted.depends else retrieval.queries[:1]
        return answerability(queries, names, selection.papers)

    def _nothing_found(self, where: Where | None) -> str:
        if where is not None:
            return "No paper passes the filter; the nearest papers outside it are shown."
        return "The collection is empty. Add papers: citewell add FILE"

    def _quote(self, selection: Selection, draft: Draft, cancel: CancelToken, markers: Markers) -> Iterator[Event]:
        settings = self._settings.evidence
        for sentence in compose(selection, markers, settings.max_words, settings.max_sentences):
            if cancel.cancelled:
                draft.stopped = True
                return
            yield draft.settle(sentence)


def _without(retrieval: Retrieval, ids: set[str], k: int) -> Retrieval:
    """Leave out papers and close the ranks."""
    kept = [hit for hit in retrieval.hits if hit.source.paper.id not in ids][:k]
    hits = [Hit(replace(hit.source, rank=rank), hit.stored) for rank, hit in enumerate(kept, start=1)]
    return replace(retrieval, hits=tuple(hits))
