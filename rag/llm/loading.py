"""Make the language model that the settings name. Knows no model's inner workings; downloads nothing."""

import os
from typing import Any

from index.errors import ModelLoadError

from ..settings import API_KEY_VARIABLE, CONFIG_FILE, Settings
from .guarded import GuardedModel
from .model import LanguageModel
from .source import HubSource, ServerSource, parse_source

_SERVER_CONCURRENT = 8
_WITHHELD = (
    f"The key in {API_KEY_VARIABLE} was not sent, since only the {CONFIG_FILE} of the current folder names this "
    "server. If you trust it, name it yourself: --llm, CITEWELL_ANSWERING__LLM, or the file with --config"
)
_PARTS = ("prompt", "count_tokens", "stream", "window", "concurrent")


def load_model(source: str, settings: Settings) -> LanguageModel:
    """Load a model on this machine, or prepare for a server, which is contacted with the first question.

    Args:
        source: A folder, a hub id or a server's address; see :func:`rag.llm.source.parse_source`.
        settings: All settings; the group ``answering`` says how.

    Raises:
        ConfigError: If ``source`` cannot be read.
        ModelLoadError: If the model is missing, damaged, or too large for the memory.
    """
    found, wanted = parse_source(source), settings.answering
    if isinstance(found, ServerSource):
        from .server import ServerLLM

        key = os.environ.get(API_KEY_VARIABLE, "")
        merely_found = source == wanted.llm and settings.was_found("answering.llm")
        withheld = _WITHHELD if key and merely_found else ""
        return ServerLLM(
            found,
            concurrent=wanted.concurrent or _SERVER_CONCURRENT,
            timeout_s=wanted.timeout_s,
            api_key="" if withheld else key,
            key_withheld=withheld,
        )
    from .transformers_model import LocalLLM

    return LocalLLM(
        found,
        device=wanted.device,
        dtype=wanted.dtype,
        quantization=wanted.quantization,
        trust_remote_code=wanted.trust_remote_code,
    )


def check_source(source: str) -> None:
    """Check, as far as that costs nothing, that a model can be had; loads and contacts nothing.

    Raises:
        ConfigError: If ``source`` cannot be read.
        ModelLoadError: If there is no model in the folder, or a hub model was never downloaded.
    """
    found = parse_source(source)
    if isinstance(found, HubSource):
        from huggingface_hub import try_to_load_from_cache
        from huggingface_hub.errors import HFValidationError

        try:
            cached = isinstance(try_to_load_from_cache(found.model_id, "config.json"), str)
        except HFValidationError:
            cached = False
        if not cached:
            raise ModelLoadError(
                f"The model {found.model_id} is not on this machine. Download it once: "
                f"citewell models pull {found.model_id}. Or leave out --llm to use the evidence reader."
            )


def as_language_model(given: Any) -> LanguageModel:
    """Return an object that a caller gave as a language model, of our kind or of llama-index, guarded.

    Raises:
        TypeError: If it is neither.
    """
    if not isinstance(given, type) and all(_has(given, name) for name in _PARTS):
        return given if isinstance(given, GuardedModel) else GuardedModel(given)
    if not isinstance(given, type) and _has(given, "stream_chat") and _has(given, "metadata"):
        from .llama_index_model import LlamaIndexLLM

        return GuardedModel(LlamaIndexLLM(given))
    raise TypeError(
        f"llm is a {type(given).__name__}; give a folder, a hub id, a server's address, a llama-index LLM, or an "
        "object as rag.llm.model.LanguageModel describes"
    )


def _has(given: object, name: str) -> bool:
    """Whether an object has an attribute; one that fails when it is asked for is there."""
    try:
        return hasattr(given, name)
    except Exception:
        return True
