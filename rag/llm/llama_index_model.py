"""A language model of llama-index, adapted. What it does inside, and how it is stopped there, is its own affair."""

from collections.abc import Generator
from typing import TYPE_CHECKING

from index.errors import GenerationError

from ..events import CancelToken
from .model import Messages, PlainModel

if TYPE_CHECKING:
    from llama_index.core.base.llms.base import BaseLLM

_LONGEST_TOKEN = 12  # characters on average, far above any tokenizer's: beyond that it does not keep to its limit


class LlamaIndexLLM(PlainModel):
    """Any llama-index LLM.

    A stop takes effect at its next piece: llama-index has no way to stop a running generation sooner. How much it
    writes is set in the object itself.

    Args:
        llm: The model, such as a subclass of ``CustomLLM``.
    """

    def __init__(self, llm: "BaseLLM") -> None:
        self._llm = llm

    @property
    def name(self) -> str:
        """The name that the model gives itself, else its class."""
        try:
            named = self._llm.metadata.model_name
        except Exception:  # the metadata are a program of their own, and a name is needed to say so
            named = ""
        return named if named and named != "unknown" else type(self._llm).__name__

    @property
    def window(self) -> int | None:
        """The window that the model's metadata tell.

        Raises:
            GenerationError: If they fail.
        """
        try:
            return self._llm.metadata.context_window
        except Exception as exc:
            raise self._failed(exc) from exc

    def stream(
        self, messages: Messages, max_new_tokens: int, cancel: CancelToken, papers: int = 0
    ) -> Generator[str, None, bool]:
        """Yield what the model writes; see :meth:`rag.llm.model.LanguageModel.stream`.

        Whether it was cut is an estimate, which says so rather too often: the model does not tell.
        """
        from llama_index.core.base.llms.types import ChatMessage

        text, limit = "", max_new_tokens * _LONGEST_TOKEN
        try:
            chat = [ChatMessage(role=message["role"], content=message["content"]) for message in messages]
            for response in self._llm.stream_chat(chat):
                if cancel.cancelled:
                    return False
                if piece := response.delta or "":
                    text += piece
                    yield piece
                if len(text) > limit:
                    return True
            return self.count_tokens(text) >= min(max_new_tokens, self._llm.metadata.num_output or max_new_tokens)
        except GenerationError:
            raise
        except Exception as exc:  # any library may stand behind it, and any error of any of them may come
            raise self._failed(exc) from exc

    def _failed(self, exc: Exception) -> GenerationError:
        return GenerationError(f"The language model {self.name} failed: {str(exc) or type(exc).__name__}")
