"""Ask questions of a collection of paper abstracts; every sentence of an answer cites an exact sentence.

Importing this loads neither torch, transformers, gradio, FAISS nor ONNX Runtime.
"""

from typing import TYPE_CHECKING, Any

from index.errors import (
    CitewellError,
    ConfigError,
    CorpusError,
    EvalDataError,
    GenerationError,
    IndexCorruptError,
    IndexLockedError,
    IndexMismatchError,
    IndexNotFoundError,
    IndexStoreError,
    ModelError,
    ModelLoadError,
)
from index.paper import Paper

from .answer import Answer, AnswerSentence, Citation, DroppedSentence, Source, Trace
from .chat import ChatSession
from .events import CancelToken, Done, Dropped, Event, Sentence, Sources, Status, Token
from .qa import PaperQA

if TYPE_CHECKING:
    from .settings import Settings, load_settings

__all__ = [
    "Answer",
    "AnswerSentence",
    "CancelToken",
    "ChatSession",
    "Citation",
    "CitewellError",
    "ConfigError",
    "CorpusError",
    "Done",
    "Dropped",
    "DroppedSentence",
    "EvalDataError",
    "Event",
    "GenerationError",
    "IndexCorruptError",
    "IndexLockedError",
    "IndexMismatchError",
    "IndexNotFoundError",
    "IndexStoreError",
    "ModelError",
    "ModelLoadError",
    "Paper",
    "PaperQA",
    "Sentence",
    "Settings",
    "Source",
    "Sources",
    "Status",
    "Token",
    "Trace",
    "load_settings",
]


def __getattr__(name: str) -> Any:
    if name in ("Settings", "load_settings"):  # pydantic-settings takes a fifth of a second to import
        from . import settings

        return getattr(settings, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
