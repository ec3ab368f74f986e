"""A language model of llama-index, adapted. What it does inside, and how it is stopped there, is its own affair."""

from collections.abc import Generator
from typing import TYPE_CHECKING

from index.errors import GenerationError

from ..events import CancelToken
from .model import Messages, estimate_tokens, likeness

if TYPE_CHECKING:
    from llama_index.core.base.llms.base import BaseLLM

_LONGEST_TOKEN = 12  # characters on average, far above any tokenizer's: beyond that it does not keep to its limit


class LlamaIndexLLM:
    """Any llama-index LLM.

    A stop takes effect at its next piece: llama-index has no way to stop a running generation sooner. How much it
    writes is set in the object itself.

    Args:
        llm: The model, such as a subclass of ``CustomLLM``.
    """

    concurrent = 1

    def __init__(self, llm: "BaseLLM") -> None:
        self._llm = llm

    @property
    def name(self) -> str:
        """The name that the model gives itself, else its class."""
        named = self._llm.metadata.model_name
        return named if named and named != "unknown" else type(self._llm).__name__

    @property
    def window(self) -> int | None:
        """The window that the model's metadata tell."""
        return self._llm.metadata.context_window

    def prompt(self, messages: Messages) -> str:
        """Return a likeness of the prompt, which the model makes itself."""
        return likeness(messages)

    def count_tokens(self, text: str) -> int:
        """Return an estimate, rather too high: the model does not tell."""
        return estimate_tokens(text)

    def stream(
        self, messages: Messages, max_new_tokens: int, cancel: CancelToken, papers: int = 0
    ) -> Generator[str, None, None]:
        """Yield what the model writes; see :meth:`rag.llm.model.LanguageModel.stream`."""
        from llama_index.core.base.llms.types import ChatMessage

        written, limit = 0, max_new_tokens * _LONGEST_TOKEN
        try:
            chat = [ChatMessage(role=message["role"], content=message["content"]) for message in messages]
            for response in self._llm.stream_chat(chat):
                if cancel.cancelled:
                    return
                if piece := response.delta or "":
                    written += len(piece)
                    yield piece
                if written > limit:
                    return
        except GenerationError:
            raise
        except Exception as exc:  # any library may stand behind it, and any error of any of them may come
            raise GenerationError(f"The language model {self.name} failed: {str(exc) or type(exc).__name__}") from exc
