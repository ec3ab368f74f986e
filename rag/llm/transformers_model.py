"""A causal language model on this machine, through transformers. Knows nothing of papers but their number.

Any folder or hub model that ``AutoModelForCausalLM`` loads will do. Text streams token by token, and a stop takes
effect before the next token, or before the next layer while the prompt is read. It is used directly rather than through
llama-index's HuggingFaceLLM, whose streaming offers no way to stop a running generation.
"""

import queue
import threading
from collections.abc import Callable, Generator, Iterator
from typing import Any

from index.embedding.device import Device
from index.errors import GenerationError

from ..events import CancelToken
from .chat_template import render
from .citation_processor import CitationProcessor, CitationRules
from .ending import EndingProcessor
from .memory import ADVICE, ran_out_of_memory, release_memory
from .model import Messages
from .source import FolderSource, HubSource
from .stopping import Stopped, stop_when, watch_layers
from .transformers_loading import Dtype, Quantization, first_line, load_transformers_model
from .written_text import Vocabulary, WrittenText

_PATIENCE_S = 0.05  # how long one that waits for the next piece may not notice a stop


class LocalLLM:
    """A chat model; a :class:`rag.llm.model.LanguageModel` and a :class:`rag.llm.model.LocalModel`.

    Several threads may stream at once and each gets what it would get alone, only later: they share the processor.

    Args:
        source: A folder, or a model that is in the hub cache.
        device: Where it runs; "auto": a GPU that torch can use, else the CPU.
        dtype: What its weights are; "auto": bfloat16 where the machine computes in it, see
            :func:`rag.llm.transformers_loading.chosen_dtype`.
        quantization: Whether the weights are made smaller while they are loaded; needs bitsandbytes.
        trust_remote_code: Whether program code that comes with the model may run.

    Attributes:
        name: The folder's path or the hub id.

    Raises:
        ModelLoadError: If the model or its tokenizer cannot be loaded; the message says what to do.
    """

    concurrent = 1

    def __init__(
        self,
        source: FolderSource | HubSource,
        *,
        device: Device = "auto",
        dtype: Dtype = "auto",
        quantization: Quantization = "none",
        trust_remote_code: bool = False,
    ) -> None:
        self._tokenizer, self._model = load_transformers_model(
            source, device=device, dtype=dtype, quantization=quantization, trust_remote_code=trust_remote_code
        )
        self.name = source.name
        watch_layers(self._model)
        self._vocabulary = Vocabulary(self._tokenizer)
        self._rules = CitationRules(self._vocabulary)
        self._ends = _ends(self._model, self._tokenizer)

    @property
    def parameters(self) -> int:
        """How many numbers its weights are, tied ones counted once."""
        return int(self._model.num_parameters())

    @property
    def dtype(self) -> str:
        """The format of its weights; where they have fewer bits, that in which it computes."""
        return str(self._model.dtype).removeprefix("torch.")

    @property
    def device(self) -> str:
        """Where it runs."""
        return str(self._model.device)

    @property
    def window(self) -> int | None:
        """The most tokens of prompt and answer together that the model was made for; None where it does not say."""
        config = self._model.config
        text_config = config.get_text_config(decoder=True) if hasattr(config, "get_text_config") else config
        tokens = getattr(text_config, "max_position_embeddings", None)
        return int(tokens) if tokens else None

    def count_tokens(self, text: str) -> int:
        """Return how many tokens the model reads when it is given a text."""
        return len(self._encode(text))

    def prompt(self, messages: Messages) -> str:
        """Return the text the model is given for chat messages, by its own chat template.

        Raises:
            GenerationError: If the template fails, or does not end within some seconds.
        """
        return render(self._tokenizer, messages, self.name)

    def stream(
        self, messages: Messages, max_new_tokens: int, cancel: CancelToken, papers: int = 0
    ) -> Generator[str, None, bool]:
        """Yield the model's text piece by piece, greedily decoded; closing the iterator stops the model.

        Citation markers name only papers that are there (:mod:`rag.llm.citation_processor`), and in the last quarter of
        the tokens the answer ends with a sentence (:mod:`rag.llm.ending`).

        Args:
            messages: What the model is asked.
            max_new_tokens: The most it writes.
            cancel: Stops it, also while it reads the prompt; nothing is yielded after that.
            papers: Markers name the numbers 1 to ``papers``; with 0 there are none.

        Raises:
            GenerationError: If the model fails or runs out of memory.
        """
        try:
            prompt = render(self._tokenizer, messages, self.name, lambda: cancel.cancelled)
        except GenerationError:
            if cancel.cancelled:
                return False
            raise
        reader_gone = threading.Event()
        pieces: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        failure: list[GenerationError] = []
        cut = False

        def generate() -> None:
            nonlocal cut
            try:
                cut = self._generate(
                    prompt, max_new_tokens, papers, pieces.put, lambda: cancel.cancelled or reader_gone.is_set()
                )
            except Stopped:
                pass
            except Exception as exc:  # whatever it is, the reader has to hear of it: no one else sees this thread
                failure.append(self._failed(exc))
            finally:
                pieces.put(None)

        thread = threading.Thread(target=generate, name="citewell-generate", daemon=True)
        thread.start()
        try:
            yield from _read(pieces, cancel)
        finally:
            reader_gone.set()  # closed early or read to the end: nothing goes on behind the reader's back
            thread.join()
        if failure:
            raise failure[0]
        return cut and not cancel.cancelled

    def _generate(
        self,
        prompt: str,
        max_new_tokens: int,
        papers: int,
        put: Callable[[str], None],
        unwanted: Callable[[], bool],
    ) -> bool:
        """Write an answer, handing on each piece; ends early, or with :class:`Stopped`, once it is unwanted.

        Returns:
            Whether the limit ended it.
        """
        import torch
        from transformers import LogitsProcessorList

        ids = torch.tensor([self._encode(prompt)], device=self._model.device)
        written = WrittenText(self._vocabulary, ids.shape[1])
        processors = LogitsProcessorList()
        processors.append(CitationProcessor(self._rules, written, papers, self._ends))
        processors.append(EndingProcessor(written, max_new_tokens, self._ends, prompt))
        pad = self._tokenizer.pad_token_id
        with stop_when(unwanted), torch.inference_mode():
            output = self._model.generate(
                input_ids=ids,
                attention_mask=torch.ones_like(ids),
                max_new_tokens=max_new_tokens,
                do_sample=False,
                num_beams=1,
                temperature=None,
                top_p=None,
                top_k=None,
                eos_token_id=self._ends or None,
                pad_token_id=pad if pad is not None else next(iter(self._ends), None),
                streamer=_streamer(self._vocabulary, put),
                stopping_criteria=_stopping_criteria(unwanted),
                logits_processor=processors,
            )
        new = output[0, ids.shape[1] :].tolist()
        return len(new) >= max_new_tokens and new[-1] not in self._ends

    def _encode(self, text: str) -> list[int]:
        """Return a text's tokens; a chat template has written the mark that begins a text, if there is one, itself."""
        bos = self._tokenizer.bos_token
        special = not (bos and text.startswith(bos))
        tokens: list[int] = self._tokenizer(text, add_special_tokens=special, verbose=False)["input_ids"]
        return tokens

    def _failed(self, exc: Exception) -> GenerationError:
        if ran_out_of_memory(exc):
            release_memory(exc)
            failed = GenerationError(f"The language model {self.name} ran out of memory. {ADVICE}")
        else:
            failed = GenerationError(f"The language model {self.name} failed: {first_line(exc)}")
        failed.__cause__ = exc
        return failed


def _read(pieces: "queue.SimpleQueue[str | None]", cancel: CancelToken) -> Iterator[str]:
    """Yield pieces as they come, to the None that ends them or to a stop."""
    while not cancel.cancelled:
        try:
            piece = pieces.get(timeout=_PATIENCE_S)
        except queue.Empty:
            continue
        if piece is None:
            return
        if piece:
            yield piece


def _ends(model: Any, tokenizer: Any) -> list[int]:
    """Return the tokens that end an answer: the model's, and the tokenizer's, which for chats is the end of a turn."""
    config = getattr(model, "generation_config", None)
    named = getattr(config, "eos_token_id", None)
    ends = [*named] if isinstance(named, list | tuple) else [named]
    return list(dict.fromkeys(token for token in (*ends, tokenizer.eos_token_id) if token is not None))


def _streamer(vocabulary: Vocabulary, put: Callable[[str], None]) -> Any:
    """Return a streamer that hands on text as far as no further token can change it: to the last blank."""
    from transformers import TextStreamer

    class Streamer(TextStreamer):
        def on_finalized_text(self, text: str, stream_end: bool = False) -> None:
            put(text)

    tokenizer: Any = vocabulary  # of which it wants nothing but to decode
    return Streamer(tokenizer, skip_prompt=True)


def _stopping_criteria(unwanted: Callable[[], bool]) -> Any:
    import torch
    from transformers import StoppingCriteria, StoppingCriteriaList

    class Unwanted(StoppingCriteria):
        def __call__(self, input_ids: Any, scores: Any, **_: Any) -> Any:
            return torch.full((input_ids.shape[0],), unwanted(), dtype=torch.bool, device=input_ids.device)

    return StoppingCriteriaList([Unwanted()])
