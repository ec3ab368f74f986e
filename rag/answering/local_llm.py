"""A causal language model on this machine, through transformers. Knows nothing of papers or citations.

Any folder or hub id that ``AutoModelForCausalLM`` loads will do. Text streams token by token, and a stop takes
effect before the next token. It is used directly rather than through llama-index's HuggingFaceLLM, whose
streaming offers no way to stop a running generation.
"""

import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from index.errors import GenerationError, ModelLoadError

from ..events import CancelToken


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
            first_line = str(exc).strip().splitlines()[0] if str(exc).strip() else type(exc).__name__
            raise ModelLoadError(
                f"The language model {name} cannot be loaded: {first_line} "
                f"If it is a hub model, download it once with a connection: hf download {name}. "
                "Or leave out --llm to use the evidence reader."
            ) from exc
        self.name = name
        self._lock = threading.Lock()  # one generation at a time: they would share the same cores

    def prompt(self, messages: Sequence[Mapping[str, str]]) -> str:
        """Return the text the model is given for chat messages, by its own chat template."""
        turns = [dict(message) for message in messages]
        template = getattr(self._tokenizer, "chat_template", None)
        if template is None:
            return "\n\n".join(turn["content"] for turn in turns) + "\n\nAnswer:"
        if "system" not in template:  # such templates drop the system turn, or refuse it
            system = "\n\n".join(t["content"] for t in turns if t["role"] == "system")
            turns = [t for t in turns if t["role"] != "system"]
            turns[0]["content"] = f"{system}\n\n{turns[0]['content']}"
        text: str = self._tokenizer.apply_chat_template(
            turns, tokenize=False, add_generation_prompt=True, enable_thinking=False
        )
        return text

    def fits(self, prompt: str, max_new_tokens: int) -> bool:
        """Whether the prompt and the answer fit the model's window."""
        window = getattr(self._model.config, "max_position_embeddings", None)
        return window is None or len(self._tokenizer(prompt, verbose=False)["input_ids"]) + max_new_tokens <= window

    def stream(self, prompt: str, max_new_tokens: int, cancel: CancelToken) -> Iterator[str]:
        """Yield the model's text piece by piece, greedily decoded; closing the iterator stops the model.

        Raises:
            GenerationError: If the model fails or runs out of memory.
        """
        import torch
        from transformers import StoppingCriteria, StoppingCriteriaList, TextIteratorStreamer

        reader_gone = threading.Event()

        class Cancelled(StoppingCriteria):
            def __call__(self, input_ids: Any, scores: Any, **_: Any) -> Any:
                stop = cancel.cancelled or reader_gone.is_set()
                return torch.full((input_ids.shape[0],), stop, dtype=torch.bool, device=input_ids.device)

        failure: list[BaseException] = []
        streamer: Any = TextIteratorStreamer(self._tokenizer, skip_prompt=True, skip_special_tokens=True)
        inputs = self._tokenizer(prompt, return_tensors="pt", add_special_tokens=not _has_bos(self._tokenizer, prompt))
        inputs = {name: inputs[name].to(self.device) for name in ("input_ids", "attention_mask")}
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
                with torch.inference_mode():
                    self._model.generate(
                        **inputs, **settings, streamer=streamer, stopping_criteria=StoppingCriteriaList([Cancelled()])
                    )
            except (RuntimeError, ValueError, IndexError) as exc:
                failure.append(exc)
                streamer.end()

        with self._lock:
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
            raise GenerationError(f"The language model {self.name} failed: {failure[0]}", retryable=False) from failure[
                0
            ]


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


def _has_bos(tokenizer: Any, prompt: str) -> bool:
    """Whether a chat template has already written the begin-of-text mark."""
    return bool(tokenizer.bos_token) and prompt.startswith(tokenizer.bos_token)


def _best_device() -> str:
    import torch

    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"
