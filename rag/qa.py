"""The public face of Citewell: a collection of papers that answers questions. Holds no logic of its own."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from index.filters import Where, parse_where
from index.location import index_exists, not_found
from index.paper import Paper
from index.readers import Rejected, read_sources

from .answer import Answer, Source
from .events import CancelToken, Done, Event
from .question import clean_question

if TYPE_CHECKING:
    from llama_index.core.base.base_query_engine import BaseQueryEngine
    from llama_index.core.base.base_retriever import BaseRetriever
    from llama_index.core.base.embeddings.base import BaseEmbedding
    from llama_index.core.base.llms.base import BaseLLM

    from index.doctor import Check
    from index.embedding.encoder import Encoder
    from index.ingest import IngestReport
    from index.progress import Progress
    from index.store import PaperStore

    from .chat import ChatSession
    from .evidence.reader import EvidenceReader
    from .llm.model import LanguageModel
    from .llm.shared import SharedModel
    from .pipeline import Pipeline
    from .settings import Settings

_PAPERS_FOR_EXAMPLES = 500  # the first ones: to read all of a large collection would take seconds

WhereLike = str | Mapping[str, Any] | Where | None
History = Sequence[Mapping[str, str]] | None


class PaperQA:
    """A collection of papers that answers questions with exact citations.

    Open one with :meth:`open`. It is safe to use from several threads.

    Example:
        >>> qa = PaperQA.open("papers.idx")  # doctest: +SKIP
        >>> qa.add("refs.jsonl")  # doctest: +SKIP
        >>> qa.ask("Does dropout help graph networks?").text  # doctest: +SKIP
    """

    def __init__(
        self, path: Path, settings: "Settings", llm: "str | LanguageModel | BaseLLM | None", encoder: "Encoder"
    ) -> None:
        self.path = path
        self._settings = settings
        self._encoder = encoder
        self._given_llm = llm
        self._llm = _shared_model(llm, settings)
        self._lock = threading.Lock()
        self._reader_lock = threading.Lock()
        self._store: PaperStore | None = None
        self._reader: EvidenceReader | None = None

    @classmethod
    def open(
        cls,
        path: str | Path,
        *,
        llm: "str | LanguageModel | BaseLLM | None" = None,
        embed_model: "str | BaseEmbedding | Encoder | None" = None,
        settings: "Settings | None" = None,
        progress: "Progress | None" = None,
    ) -> "PaperQA":
        """Open the index at ``path``; it is made by the first :meth:`add`.

        Settings that belong to the collection (:meth:`tune`) take the place of those that ``settings`` has by default.

        Args:
            path: The index folder. There may be no index in it yet, nor a folder.
            llm: Who writes answers. None: the evidence reader, which quotes. A folder or hub id: that model, run
                by transformers on this machine; it is loaded with the first question, never downloaded.
                ``http://host:port/v1#model``: a server that speaks OpenAI's protocol, contacted with the first
                question.
                Or a llama-index LLM, or any object as :class:`rag.llm.model.LanguageModel` describes.
            embed_model: What turns texts into vectors. None: the model of the settings, else the bundled
                all-MiniLM-L6-v2. A folder or hub id: that sentence-transformers model. Or a llama-index embedding
                model.
            settings: All settings; see :func:`rag.load_settings`. None: the defaults.
            progress: Told while search files that were lost or damaged are made anew.

        Raises:
            IndexMismatchError: If the index was made by another version or embedding model.
            IndexCorruptError: If its database cannot be read.
            ModelLoadError: If the embedding model, or the model that ``llm`` names, is not on this machine.
            ConfigError: If ``llm`` is none of these.
        """
        from .settings import Settings

        settings = settings or Settings()
        llm = llm if llm is not None else settings.answering.llm
        if isinstance(llm, str):
            from .llm.loading import check_source

            check_source(llm)
        qa = cls(Path(path).expanduser(), settings, llm, _encoder(embed_model, settings))
        if index_exists(qa.path):
            qa._open_store(create=False, progress=progress)
        return qa

    @classmethod
    def reindex(
        cls,
        path: str | Path,
        *,
        embed_model: "str | BaseEmbedding | Encoder | None" = None,
        settings: "Settings | None" = None,
        progress: "Progress | None" = None,
    ) -> "PaperQA":
        """Embed all papers anew with another model or other passages, and return the collection changed to that.

        Until the end the index answers as before. What was embedded is kept if this is interrupted; the same call
        goes on from there. Nothing is done if the index is already made so.

        Args:
            path: The index folder.
            embed_model: The model to change to; None as for :meth:`open`.
            settings: All settings; ``index.passage_tokens`` tells how long passages become.
            progress: Told after each batch.

        Raises:
            IndexNotFoundError: If there is no index.
            IndexLockedError: If another process is writing.
        """
        from index.store import PaperStore

        from .settings import Settings

        settings, folder = settings or Settings(), Path(path).expanduser()
        qa = cls(folder, settings, settings.answering.llm, _encoder(embed_model, settings))
        tokens = settings.index.passage_tokens
        qa._store = PaperStore.reindexed(folder, qa._encoder, passage_tokens=tokens, progress=progress)
        return qa

    # -- the collection -----------------------------------------------------------------------------------

    def add(
        self,
        source: "str | Path | Iterable[Paper | Rejected]",
        progress: "Progress | None" = None,
        *,
        field_map: Mapping[str, str] | None = None,
    ) -> "IngestReport":
        """Add papers from a file, a folder or an iterable; known papers are updated, equal ones cost nothing.

        What was written stays written if this is interrupted; calling it again continues. While another thread
        adds or deletes through this object, it waits.

        Args:
            source: A file or folder of papers, or the papers themselves.
            progress: Called with records read, records in all (for files an estimate; None when unknown), and what is
                going on.
            field_map: For tables and JSON files: fields of a paper and the columns or keys that hold them, such as
                ``{"abstract": "Notes"}``.

        Raises:
            CorpusError: If the file cannot be read at all, before anything is written.
            ValueError: If ``field_map`` has a field that no paper has.
            IndexLockedError: If another process is writing.
        """
        if isinstance(source, (str, Path)):
            path = Path(source).expanduser()
            records = read_sources(path, field_map)  # raises here, before an empty index is made
            store = self._open_store(create=True)
            return store.add_records(records, str(path), progress, lambda: records.fraction)
        return self._open_store(create=True).add(source, progress=progress)

    def delete(self, ids: Iterable[str]) -> int:
        """Delete papers by id and return how many there were; unknown ids are passed over."""
        return self._need_store().delete([ids] if isinstance(ids, str) else ids)

    def paper(self, paper_id: str) -> Paper:
        """Return one paper.

        Raises:
            KeyError: If there is none with this id.
        """
        return self._need_store().paper(paper_id)

    def papers(self, where: WhereLike = None) -> list[Paper]:
        """Return the papers that pass a filter, in the order they were added; see :func:`index.filters.parse_where`."""
        return self._need_store().papers(parse_where(where))

    def __len__(self) -> int:
        return 0 if self._store is None and not index_exists(self.path) else len(self._need_store())

    def search(self, query: str, k: int = 10, where: WhereLike = None) -> list[Source]:
        """Return the ``k`` best papers for a query, best first, without answering it.

        Raises:
            ValueError: If the query is empty or too long, or ``k`` is less than 1.
        """
        query, k = self._checked(query, k)
        from .pipeline import Pipeline
        from .retrieval import Retriever

        store, parsed = self._need_store(), parse_where(where)
        settings = self._tuned(store)
        if settings.retrieval.rerank:
            return Pipeline(store, self._need_reader, None, settings).search(query, k, parsed)
        retriever = Retriever(store, settings.retrieval.candidates, keywords=settings.retrieval.keywords)
        return [hit.source for hit in retriever.retrieve([(query, 1.0)], k, parsed).hits]

    def check(self, *, repair: bool = False, progress: "Progress | None" = None) -> "list[Check]":
        """Examine the index: database, papers, vectors, keywords, unfinished work.

        Opening mends what is derived from the database, so lost or damaged search files show as mended, not as bad.

        Args:
            repair: Make anew what is derived and wrong. Papers are never changed.
            progress: Told while that takes long.
        """
        return self._need_store().check(repair=repair, tell=progress)

    def tune(self, values: Mapping[str, bool | float | None]) -> None:
        """Keep settings with this collection, for every later run; the next question is answered by them.

        They take the place of defaults: arguments, environment and settings file go before them.

        Args:
            values: By name, of ``refusal.threshold``, ``retrieval.keywords`` and ``retrieval.rerank``; None removes
                what was kept. Those that are not named stay.

        Raises:
            ConfigError: If a name is none of these or a value is not allowed.
            IndexNotFoundError: If there is no index yet.
            IndexLockedError: If another process is writing.
        """
        from .settings import check_tuning

        check_tuning(values)
        self._need_store().tune(values)

    @property
    def embed_model(self) -> str:
        """The name of the embedding model."""
        return str(self._encoder.identity["model_name"])

    @property
    def interrupted(self) -> str | None:
        """The sources of earlier adds that did not come to their end, joined by commas; None when all did.

        Adding them again finishes them.
        """
        return None if self._store is None else self._store.interrupted

    # -- questions ----------------------------------------------------------------------------------------

    @property
    def answerer(self) -> str:
        """Who writes the answers, for people."""
        return self._llm.name if self._llm else "evidence reader, no language model"

    def ask(self, question: str, history: History = None, where: WhereLike = None, k: int | None = None) -> Answer:
        """Answer a question.

        Args:
            question: What to ask.
            history: Earlier messages with ``role`` ("user", "assistant") and ``content``, oldest first.
            where: Filter on papers, as text or mapping; see :func:`index.filters.parse_where`.
            k: Papers to retrieve; None for the setting ``retrieval.similarity_top_k``.

        Raises:
            ValueError: If the question is empty or too long, ``k`` is less than 1, or the filter is not understood.
            IndexNotFoundError: If there is no index yet.
        """
        for event in self.stream(question, history, where, k):
            if isinstance(event, Done):
                return event.answer
        raise AssertionError("a stream ends with Done")

    def stream(
        self,
        question: str,
        history: History = None,
        where: WhereLike = None,
        k: int | None = None,
        cancel: CancelToken | None = None,
    ) -> Iterator[Event]:
        """Answer a question as a stream of events that ends with :class:`~rag.events.Done`; see :meth:`ask`.

        The stream is a generator: close it, or cancel, if it is not read to its end. Until then it keeps its place in a
        language model's queue.
        """
        return self._stream(question, history, where, k, cancel, {})

    def _stream(
        self,
        question: str,
        history: History,
        where: WhereLike,
        k: int | None,
        cancel: CancelToken | None,
        taken: dict[str, int],
    ) -> Iterator[Event]:
        from .citations import Markers

        question, k = self._checked(question, self._settings.retrieval.similarity_top_k if k is None else k)
        messages = _checked_history(history)
        parsed = parse_where(where)
        return self._make_pipeline().run(question, messages, parsed, k, cancel or CancelToken(), Markers(taken))

    async def aask(
        self, question: str, history: History = None, where: WhereLike = None, k: int | None = None
    ) -> Answer:
        """Answer a question without blocking the event loop; see :meth:`ask`."""
        async for event in self.astream(question, history, where, k):
            if isinstance(event, Done):
                return event.answer
        raise AssertionError("a stream ends with Done")

    async def astream(
        self,
        question: str,
        history: History = None,
        where: WhereLike = None,
        k: int | None = None,
        cancel: CancelToken | None = None,
    ) -> AsyncIterator[Event]:
        """Answer as an asynchronous stream of events; leaving it early stops the answer. See :meth:`stream`."""
        cancel = cancel or CancelToken()
        events = await asyncio.to_thread(self.stream, question, history, where, k, cancel)
        step: asyncio.Future[Event | None] | None = None
        try:
            while True:
                step = asyncio.ensure_future(asyncio.to_thread(next, events, None))
                event = await asyncio.shield(step)
                if event is None:
                    return
                yield event
        finally:
            cancel.cancel()
            if step is not None and not step.done():
                await asyncio.wait([step])  # the worker must be out of the generator before it is closed
            await asyncio.to_thread(_close, events)

    def chat(self) -> "ChatSession":
        """Begin a conversation; it keeps its history and its citation numbers."""
        from .chat import ChatSession

        return ChatSession(self)

    def example_questions(self, n: int = 4) -> list[str]:
        """Return questions that this collection can be asked, for a first page."""
        from .examples import example_questions

        return example_questions(self._need_store().papers(limit=_PAPERS_FOR_EXAMPLES), n)

    # -- llama-index --------------------------------------------------------------------------------------

    def as_retriever(self, similarity_top_k: int | None = None) -> "BaseRetriever":
        """Return a llama-index retriever over this collection; a node is a paper's abstract.

        Args:
            similarity_top_k: Papers per query; None for the setting ``retrieval.similarity_top_k``.

        Raises:
            ValueError: If ``similarity_top_k`` is less than 1.
        """
        from .llama_index import PaperRetriever

        default = self._settings.retrieval.similarity_top_k
        return PaperRetriever(self, default if similarity_top_k is None else similarity_top_k)

    def as_query_engine(self) -> "BaseQueryEngine":
        """Return a llama-index query engine; the whole answer is in the response's metadata under ``answer``."""
        from .llama_index import PaperQueryEngine

        return PaperQueryEngine(self)

    # -- inside -------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Let go of the index, and of a language model that was loaded by its name.

        The embedding model stays (the bundled one takes about 100 MB), as does a language model that was given as an
        object: it is the caller's. A model that is loading, or an answer that is being made, is not stopped. Using
        the object again opens everything again.
        """
        with self._lock:
            if self._store is not None:
                self._store.close()
            self._store = None
        with self._reader_lock:
            self._reader = None
        self._llm = _shared_model(self._given_llm, self._settings)

    def _checked(self, question: str, k: int) -> tuple[str, int]:
        if k < 1:
            raise ValueError(f"k is {k}; it must be at least 1")
        return clean_question(question, self._settings.retrieval.max_question_chars), k

    def _open_store(self, *, create: bool, progress: "Progress | None" = None) -> "PaperStore":
        from index.store import PaperStore

        tokens = self._settings.index.passage_tokens
        with self._lock:
            if self._store is None:
                self._store = PaperStore.open(
                    self.path, self._encoder, create=create, passage_tokens=tokens, tell=progress
                )
            return self._store

    def _need_store(self) -> "PaperStore":
        if self._store is None and not index_exists(self.path):
            raise not_found(self.path)
        return self._open_store(create=False)

    def _make_pipeline(self) -> "Pipeline":
        store = self._need_store()
        from .pipeline import Pipeline

        return Pipeline(store, self._need_reader, self._llm, self._tuned(store))

    def _need_reader(self) -> "EvidenceReader":
        from .evidence.loading import load_reader

        with self._reader_lock:
            if self._reader is None:
                self._reader = load_reader(self._settings, self._encoder.identity.get("digest", ""))
            return self._reader

    def _tuned(self, store: "PaperStore") -> "Settings":
        """Return the settings with those that the collection keeps; another process may just have changed them."""
        from .settings import tuned

        return tuned(self._settings, store.tuning(), self.path)


def _encoder(embed_model: "str | BaseEmbedding | Encoder | None", settings: "Settings") -> "Encoder":
    from index.embedding.encoder import Encoder

    if embed_model is None or isinstance(embed_model, str):
        from index.embedding.loading import load_encoder

        chosen = settings.index
        return load_encoder(embed_model or chosen.embed_model, chosen.cache_dir, chosen.device)
    if isinstance(embed_model, Encoder):
        return embed_model
    from index.embedding.llama_index import LlamaIndexEncoder

    return LlamaIndexEncoder(embed_model)


def _shared_model(llm: "str | LanguageModel | BaseLLM | None", settings: "Settings") -> "SharedModel | None":
    if llm is None:
        return None
    from .llm.loading import as_language_model, load_model
    from .llm.shared import SharedModel
    from .llm.source import parse_source

    concurrent, waiting = settings.answering.concurrent, settings.answering.max_waiting
    if isinstance(llm, str):
        return SharedModel(lambda: load_model(llm, settings), parse_source(llm).name, concurrent, waiting)
    model = as_language_model(llm)
    return SharedModel(lambda: model, model.name, concurrent, waiting)


def _checked_history(history: History) -> list[Mapping[str, str]]:
    for number, message in enumerate(history or ()):
        said = message if isinstance(message, Mapping) else {}
        if said.get("role") not in ("user", "assistant") or not isinstance(said.get("content"), str):
            raise ValueError(
                f"history[{number}] needs a role (user or assistant) and a content (text), not {message!r}"
            )
    return list(history or ())


def _close(events: Iterator[Event]) -> None:
    close = getattr(events, "close", None)
    if close is not None:
        close()
