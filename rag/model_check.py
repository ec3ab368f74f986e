"""Try a language model on this machine: five questions on bundled papers, through the ordinary way to an answer.

It tells whether the model runs, how fast, and whether what it writes stands on the papers. Five questions are no
measurement of quality; that is ``citewell eval answers``.
"""

import sys
import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from index.progress import Progress, silent

from .events import Done, Event, Sentence
from .llm.loading import check_source, load_model
from .llm.measuring import Generation, MeasuredModel
from .llm.model import LanguageModel, LocalModel
from .settings import AnsweringSettings, IndexSettings, Settings

if TYPE_CHECKING:
    from index.paper import Paper

    from .answer import Answer

_OTHER_PAPERS = 35  # beside those that answer, so that there is something to find


@dataclass(frozen=True, slots=True)
class KnownQuestion:
    """A question of which it is known what is right.

    Attributes:
        question: What is asked.
        paper: How the title of the paper that answers begins.
        facts: Texts of which each must be in a right answer.
    """

    question: str
    paper: str
    facts: tuple[str, ...]


QUESTIONS = (
    KnownQuestion("How much faster than BERT-base is SqueezeBERT on the Pixel 3?", "SqueezeBERT", ("4.3",)),
    KnownQuestion(
        "How many times faster than EfficientNet is GENet on GPU?",
        "Neural Architecture Design for GPU-Efficient Networks",
        ("6.4",),
    ),
    KnownQuestion(
        "How many tokens does WavTokenizer need for one second of 24 kHz audio?", "WavTokenizer", ("40", "75")
    ),
    KnownQuestion("Which dataset was released together with the CARROT LLM router?", "CARROT", ("SPROUT",)),
    KnownQuestion(
        "How long does GraphVite need for a graph with 66 million nodes and 1.8 billion edges?",
        "GraphVite",
        ("20 hours",),
    ),
)


@dataclass(frozen=True, slots=True)
class CheckedAnswer:
    """What came of one question.

    Attributes:
        question: What was asked.
        answerer: Who wrote the answer: the model's name, or "evidence" for the evidence reader.
        stands: Whether the model wrote it, and at least one of its sentences is supported by a paper.
        right: Whether the answer, whoever wrote it, cites the right paper and gives the known facts.
        kept: Sentences of the model that stayed with the papers it had named.
        corrected: Sentences of the model that stayed with other papers than it had named.
        dropped: Sentences of the model that were left out.
        tokens: How many tokens the model wrote.
        tokens_per_s: How fast, after the first one; None where there is nothing to measure.
        first_token_s: Seconds from the prompt to the first piece; None if none came.
        seconds: Seconds from the question to the whole answer, search and reading included.
        notes: What the answer says of how it came about, for people.
    """

    question: str
    answerer: str
    stands: bool
    right: bool
    kept: int
    corrected: int
    dropped: int
    tokens: int
    tokens_per_s: float | None
    first_token_s: float | None
    seconds: float
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ModelReport:
    """What was found out about a model.

    Attributes:
        name: The model's name.
        parameters: How many numbers its weights are; None where that is not known, as on a server.
        dtype: Their format, "" where that is not known.
        device: Where it runs, "" where that is not known.
        window: The most tokens of prompt and answer together; None where that is not known.
        load_s: Seconds to load it.
        answers: What came of the questions, in order; fewer than asked if the model failed.
        peak_bytes: The most memory this process has had, that of the encoder and the reader included; None where the
            system does not tell.
        gpu_bytes: The most memory of a CUDA device that was in use; None without one.
        failure: Why the model failed, for people; "" if it did not.
    """

    name: str
    parameters: int | None
    dtype: str
    device: str
    window: int | None
    load_s: float
    answers: tuple[CheckedAnswer, ...]
    peak_bytes: int | None
    gpu_bytes: int | None
    failure: str = ""

    @property
    def tokens_per_s(self) -> float | None:
        """The median speed; None where there is none."""
        return _median(answer.tokens_per_s for answer in self.answers)

    @property
    def first_token_s(self) -> float | None:
        """The median time to the first piece, in seconds; None where there is none."""
        return _median(answer.first_token_s for answer in self.answers)

    @property
    def kept(self) -> int:
        """Sentences that stayed with the papers the model had named."""
        return sum(answer.kept for answer in self.answers)

    @property
    def corrected(self) -> int:
        """Sentences that stayed with other papers than it had named."""
        return sum(answer.corrected for answer in self.answers)

    @property
    def dropped(self) -> int:
        """Sentences that were left out."""
        return sum(answer.dropped for answer in self.answers)

    @property
    def verdict(self) -> str:
        """What to make of it, in a sentence."""
        if self.failure:
            return f"not usable: it failed. {self.failure}"
        total, standing = len(self.answers), sum(answer.stands for answer in self.answers)
        if not any(answer.tokens for answer in self.answers):
            return "not usable: it wrote nothing; the evidence reader answered"
        if not standing:
            return "not usable: no sentence of it was supported; the evidence reader answered"
        right = sum(answer.stands and answer.right for answer in self.answers)
        said = f"{standing} of {total} answers stand on the papers, {right} of {total} give what is known to be right"
        if standing == total:
            return f"usable: {said}"
        return f"partly usable: {said}; the evidence reader gave the others"


def check_model(source: str, settings: Settings, progress: Progress = silent) -> ModelReport:
    """Load a model and try it.

    Args:
        source: A folder, a hub id that is in the cache, or a server's address; see :func:`rag.llm.source.parse_source`.
        settings: How the model is loaded and run (the group ``answering``), and where the cache is.
        progress: Told of each step.

    Raises:
        ConfigError: If ``source`` cannot be read.
        ModelLoadError: If it cannot be loaded.
    """
    steps = len(QUESTIONS) + 2
    check_source(source)
    progress(0, steps, f"Loading {source}")
    began = time.perf_counter()
    model = load_model(source, settings)
    load_s = time.perf_counter() - began
    return examine(model, settings, lambda done, total, message: progress(done + 1, steps, message), load_s)


def examine(model: LanguageModel, settings: Settings, progress: Progress = silent, load_s: float = 0.0) -> ModelReport:
    """Try a model that is loaded; if it fails, the report says so and holds the answers before that.

    Args:
        model: The model.
        settings: As for :func:`check_model`.
        progress: Told of each step.
        load_s: How long it took to load it, in seconds, for the report.
    """
    from .qa import PaperQA

    measured, answers, failure = MeasuredModel(model), [], ""
    with tempfile.TemporaryDirectory(prefix="citewell-check-") as folder:
        path = Path(folder) / "papers.idx"
        progress(0, len(QUESTIONS) + 1, "Indexing a few bundled papers")
        qa = PaperQA.open(path, llm=measured, settings=_settings(settings, path))
        try:
            qa.add(_papers())
            for number, known in enumerate(QUESTIONS):
                progress(number + 1, len(QUESTIONS) + 1, f"Question {number + 1} of {len(QUESTIONS)}")
                began, before = time.perf_counter(), len(measured.generations)
                events = list(qa.stream(known.question))
                seconds = time.perf_counter() - began
                generations = measured.generations[before:]
                answers.append(_checked(known, events, generations, seconds))
                if failure := next((g.failure for g in generations if g.failure), ""):
                    break
        finally:
            qa.close()
    local = model if isinstance(model, LocalModel) else None
    return ModelReport(
        name=model.name,
        parameters=local.parameters if local else None,
        dtype=local.dtype if local else "",
        device=local.device if local else "",
        window=model.window,
        load_s=load_s,
        answers=tuple(answers),
        peak_bytes=peak_bytes(),
        gpu_bytes=gpu_bytes(),
        failure=failure,
    )


def _settings(settings: Settings, path: Path) -> Settings:
    """Return the settings of the trial: the model's own, and the defaults for all else.

    Whatever would keep a question from the model, or an unsupported sentence in its answer, is off.
    """
    how = settings.answering.model_dump()
    answering = AnsweringSettings(**{**how, "llm": None, "routing": False, "grounding": "strict"})
    return Settings(index=IndexSettings(path=path, cache_dir=settings.index.cache_dir), answering=answering)


def _papers() -> "list[Paper]":
    from index.bundled import bundled_papers

    papers = list(bundled_papers())
    needed = [paper for paper in papers if paper.title.startswith(tuple(known.paper for known in QUESTIONS))]
    return needed + [paper for paper in papers if paper not in needed][:_OTHER_PAPERS]


def _checked(
    known: KnownQuestion, events: Iterable[Event], generations: list[Generation], seconds: float
) -> CheckedAnswer:
    settled: list[Sentence] = []
    answer: Answer | None = None
    for event in events:
        if isinstance(event, Sentence):
            settled.append(event)
        elif isinstance(event, Done):
            answer = event.answer
    if answer is None:
        raise AssertionError("a stream ends with Done")
    wrote = answer.trace.answerer != "evidence"
    verdicts = [event.verdict for event in settled] if wrote else []
    spoken = max(generations, key=lambda generation: generation.tokens, default=Generation())
    return CheckedAnswer(
        question=known.question,
        answerer=answer.trace.answerer,
        stands=bool(verdicts),
        right=_is_right(known, answer),
        kept=verdicts.count("kept"),
        corrected=verdicts.count("corrected"),
        dropped=len(answer.dropped),
        tokens=sum(generation.tokens for generation in generations),
        tokens_per_s=spoken.tokens_per_s,
        first_token_s=spoken.first_s,
        seconds=seconds,
        notes=answer.trace.notes,
    )


def _is_right(known: KnownQuestion, answer: "Answer") -> bool:
    """Whether an answer cites the right paper and gives the facts; this is a search for words, not a judgement."""
    cited = any(source.paper.title.startswith(known.paper) for source in answer.cited)
    text = answer.text.casefold()
    return cited and all(fact.casefold() in text for fact in known.facts)


def peak_bytes() -> int | None:
    """Return the most memory this process has had so far; None where the system does not tell (Windows)."""
    try:
        import resource
    except ImportError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # macOS counts bytes, the others kilobytes


def gpu_bytes() -> int | None:
    """Return the most memory of a CUDA device that torch has used in this process; None without one."""
    torch: Any = sys.modules.get("torch")  # not imported: a model on a server needs none
    if torch is None or not torch.cuda.is_available():
        return None
    return int(torch.cuda.max_memory_allocated())


def _median(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return median(known) if known else None
