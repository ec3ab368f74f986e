"""A causal language model on this machine, through transformers. Knows nothing of papers or citations.

Any folder or hub id that ``AutoModelForCausalLM`` loads will do. Text streams token by token, and a stop takes
effect before the next token. It is used directly rather than through llama-index's HuggingFaceLLM, whose
streaming offers no way to stop a running generation.
"""

import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from index.errors import GenerationError, ModelLoadError

from ..events import CancelToken

_PATIENCE_S = 0.05  # how long one that waits for the model may not notice a stop


class LocalLLM:
    """A chat model loaded from a folder or by hub id.

    Args:
        name: Model folder or hub id. A hub id is downloaded on first use if it is not in the cache.
        device: "auto" (CUDA, Apple GPU, else CPU), or a torch device.

    Raises:
        ModelLoadError: If the model or its tokenizer cannot be loaded; the message says what to do.
    """

    def __init__(self, name: str, device: str = "auto") -> None:
        import torch
        from safetensors import SafetensorError
        from transformers import AutoModelForCausalLM, AutoTokenizer

        source = check_model_folder(name)
        self.device = _best_device() if device == "auto" else device
        dtype = torch.float32 if self.device == "cpu" else torch.bfloat16
        try:
            self._tokenizer: Any = AutoTokenizer.from_pretrained(source)
            model: Any = AutoModelForCausalLM.from_pretrained(source, dtype=dtype)
            self._model: Any = model.to(self.device).eval()
        except (OSError, ValueError, RuntimeError, ImportError, KeyError, SafetensorError) as exc:
            raise ModelLoadError(
                f"The language model {name} cannot be loaded: {_first_line(exc)} "
                f"If it is a hub model, download it once with a connection: hf download {name}. "
                "Or leave out --llm to use the evidence reader."
            ) from exc
        self.name = name
        # One generation at a time: they would share the same cores. The thread that generates holds it, never the
        # reader, who may pause between two pieces for as long as they like.
        self._lock = threading.Lock()

    def prompt(self, messages: Sequence[Mapping[str, str]]) -> str:
        """Return the text the model is given for chat messages, by its own chat template.

        A template that refuses a system turn, or leaves it out, gets it at the head of the first user turn.

        Raises:
            GenerationError: If the template fails on that, too.
        """
        turns = [dict(message) for message in messages]
        if getattr(self._tokenizer, "chat_template", None) is None:
            return "\n\n".join(turn["content"] for turn in turns) + "\n\nAnswer:"
        system = "\n\n".join(turn["content"] for turn in turns if turn["role"] == "system").strip()
        try:
            text = self._render(turns)
            if system in text:
                return text
        except GenerationError:
            if not system:
                raise
        rest = [turn for turn in turns if turn["role"] != "system"] or [{"role": "user", "content": ""}]
        rest[0]["content"] = f"{system}\n\n{rest[0]['content']}".strip()
        return self._render(rest)

    def _render(self, turns: Sequence[Mapping[str, str]]) -> str:
        from jinja2 import TemplateError

        try:
            text: str = self._tokenizer.apply_chat_template(
                list(turns), tokenize=False, add_generation_prompt=True, enable_thinking=False
            )
        except (TemplateError, TypeError, ValueError, LookupError) as exc:  # a template is a program of its own
            raise GenerationError(
                f"The chat template of {self.name} fails: {_first_line(exc)} Name another model with --llm."
            ) from exc
        return text

    def fits(self, prompt: str, max_new_tokens: int) -> bool:
        """Whether the prompt and the answer fit the model's window."""
        window = getattr(self._model.config, "max_position_embeddings", None)
        return window is None or len(self._tokenizer(prompt, verbose=False)["input_ids"]) + max_new_tokens <= window

    def stream(self, prompt: str, max_new_tokens: int, cancel: CancelToken) -> Iterator[str]:
        """Yield the model's text piece by piece, greedily decoded; closing the iterator stops the model.

        Waits while another generation runs; a stop ends the waiting, too.

        Raises:
            GenerationError: If the model fails or runs out of memory.
        """
        import torch
        from transformers import StoppingCriteria, StoppingCriteriaList, TextIteratorStreamer

        reader_gone = threading.Event()

        def unwanted() -> bool:
            return cancel.cancelled or reader_gone.is_set()

        class Cancelled(StoppingCriteria):
            def __call__(self, input_ids: Any, scores: Any, **_: Any) -> Any:
                return torch.full((input_ids.shape[0],), unwanted(), dtype=torch.bool, device=input_ids.device)

        failure: list[Exception] = []
        streamer: Any = TextIteratorStreamer(self._tokenizer, skip_prompt=True, skip_special_tokens=True)
        pad = self._tokenizer.pad_token_id
        settings = {
            "max_new_tokens": max_new_tokens,
            "do_sample": False,
            "temperature": None,
            "top_p": None,
            "top_k": None,
            "pad_token_id": pad if pad is not None else self._tokenizer.eos_token_id,
        }

        def generate() -> None:
            try:
                with self._turn(unwanted) as mine, torch.inference_mode():
                    if mine:
                        criteria = StoppingCriteriaList([Cancelled()])
                        self._model.generate(
                            **self._inputs(prompt), **settings, streamer=streamer, stopping_criteria=criteria
                        )
            except Exception as exc:  # whatever it is, the reader has to hear of it: no one else sees this thread
                failure.append(exc)
            finally:
                # Not streamer.end(), which decodes what is left first: if decoding is what failed, it fails again.
                streamer.on_finalized_text("", stream_end=True)

        thread = threading.Thread(target=generate, name="citewell-generate", daemon=True)
        thread.start()
        try:
            for piece in streamer:
                if piece:
                    yield piece
        finally:
            reader_gone.set()  # closed early or read to the end: nothing goes on behind the reader's back
            thread.join()
        if failure:
            raise GenerationError(
                f"The language model {self.name} failed: {_first_line(failure[0])}", retryable=False
            ) from failure[0]

    @contextmanager
    def _turn(self, unwanted: Callable[[], bool]) -> Iterator[bool]:
        """Wait for the model and hold it; gives False if it is no longer wanted by then."""
        while not unwanted():
            if self._lock.acquire(timeout=_PATIENCE_S):
                try:
                    yield True
                finally:
                    self._lock.release()
                return
        yield False

    def _inputs(self, prompt: str) -> dict[str, Any]:
        inputs = self._tokenizer(prompt, return_tensors="pt", add_special_tokens=not _has_bos(self._tokenizer, prompt))
        return {name: inputs[name].to(self.device) for name in ("input_ids", "attention_mask")}


def check_model_folder(name: str) -> str:
    """Return what transformers should load: the folder's path, or the hub id as it is. Loads nothing.

    Raises:
        ModelLoadError: If ``name`` is a path and there is no model at it.
    """
    if re.match(r"https?://", name):
        raise ModelLoadError(f"{name} is a server; only model folders and hub ids can be loaded. Leave out --llm.")
    path = Path(name).expanduser()
    if not name.startswith((".", "/", "~")) and name.count("/") <= 1 and not path.exists():
        return name  # a hub id, such as Qwen/Qwen3-1.7B
    if not (path / "config.json").exists():
        raise ModelLoadError(
            f"There is no model at {path}: a model folder holds config.json, a tokenizer and weights. "
            "Name such a folder or a hub id, or leave out --llm to use the evidence reader."
        )
    return str(path)


def _first_line(exc: Exception) -> str:
    """Return the first line of an error's message as a sentence; libraries put pages after it."""
    line = next(iter(str(exc).strip().splitlines()), "") or type(exc).__name__
    return line if line.endswith((".", "!", "?")) else f"{line}."


def _has_bos(tokenizer: Any, prompt: str) -> bool:
    """Whether a chat template has already written the begin-of-text mark."""
    return bool(tokenizer.bos_token) and prompt.startswith(tokenizer.bos_token)


def _best_device() -> str:
    import torch

    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"
