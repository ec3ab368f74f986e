"""Find a sentence-transformers model and read how it wants its texts. Loads neither weights nor tokenizer.

A hub is contacted only for the hub id the user named, and not at all when ``HF_HUB_OFFLINE`` is set.
"""

import hashlib
import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..digest import file_sha256
from ..errors import ModelLoadError
from .pooling import Pooling

_DESCRIPTIONS = ["*.json", "*.txt", "*.model"]
_WEIGHTS = ("model*.safetensors", "pytorch_model*.bin")  # the first kind that is there counts, as in transformers
_VOCABULARIES = ("tokenizer.json", "vocab.txt", "vocab.json", "*.model")
_OTHER_ENGINES = ["onnx/*", "openvino/*"]
_KNOWN_MODULES = ("Transformer", "Pooling", "Normalize")
_QUERY_PROMPTS = ("query",)
_PASSAGE_PROMPTS = ("document", "passage", "corpus")
_TRUE = ("1", "ON", "YES", "TRUE")
_BUNDLED = "or leave out index.embed_model to use the bundled one."


@dataclass(frozen=True, slots=True)
class ModelFolder:
    """A model on this machine, as its files describe it.

    Attributes:
        path: Folder of the network and its tokenizer.
        name: The hub id, or the folder's own name: a folder may be moved.
        pooling: What the vector of a text is.
        max_tokens: Longest text the model was made for; None if the files do not say.
        lower_case: Whether texts are put into lower case first, whatever the tokenizer does.
        query_prefix: Put in front of a question.
        passage_prefix: Put in front of a passage.
    """

    path: Path
    name: str
    pooling: Pooling
    max_tokens: int | None
    lower_case: bool
    query_prefix: str
    passage_prefix: str

    def digest(self) -> str:
        """Return a SHA-256 over the names and digests of the weights and the tokenizer, and the pooling.

        Raises:
            ModelLoadError: If there are no weights, or no vocabulary.
        """
        # Without a vocabulary transformers makes an empty one up, for which every text is the same.
        files = self._first_kind(_WEIGHTS, "weights") + self._first_kind(_VOCABULARIES, "tokenizer")
        parts = [self.pooling, *(f"{file.name} {file_sha256(file)}" for file in files)]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()

    def _first_kind(self, patterns: tuple[str, ...], what: str) -> list[Path]:
        for pattern in patterns:
            if files := sorted(self.path.glob(pattern)):
                return files
        raise ModelLoadError(
            f"The model {self.name} has no {what} at {self.path}: there is none of {', '.join(patterns)}. "
            f"Save or download it again, {_BUNDLED}"
        )


def find_model(model_name: str) -> ModelFolder:
    """Return the model that ``model_name`` names, after downloading it if it is a hub id not yet in the hub's cache.

    Args:
        model_name: A folder, or a hub id such as ``BAAI/bge-small-en-v1.5``.

    Raises:
        ModelLoadError: If there is no such model, or it is of a kind that is not supported; the message says why.
    """
    if re.match(r"https?://", model_name):
        raise ModelLoadError(f"{model_name} is a server; name a model folder or hub id, {_BUNDLED}")
    folder = Path(model_name).expanduser()
    if folder.is_dir():
        return _read(folder, folder.resolve().name)
    if model_name.startswith((".", "/", "~")) or model_name.count("/") > 1:
        raise ModelLoadError(
            f"There is no model at {folder}: a model folder holds config.json, a tokenizer and weights. "
            f"Name such a folder or a hub id, {_BUNDLED}"
        )
    described = _read(_download(model_name, _DESCRIPTIONS), model_name)  # refused before its weights are fetched
    for pattern in _WEIGHTS:
        root = _download(model_name, [pattern, f"*/{pattern}"])  # older models keep the network in a folder below
        if any(described.path.glob(pattern)):
            break
    return _read(root, model_name)


def _download(model_name: str, patterns: list[str]) -> Path:
    """Return the folder of a hub model in the hub's cache, with the files that match fetched if it may."""
    from httpx import HTTPError
    from huggingface_hub import snapshot_download

    offline = os.environ.get("HF_HUB_OFFLINE", "").upper() in _TRUE
    try:
        return Path(
            snapshot_download(
                model_name, allow_patterns=patterns, ignore_patterns=_OTHER_ENGINES, local_files_only=offline
            )
        )
    except (OSError, ValueError, RuntimeError, HTTPError) as exc:  # the hub's own errors are kinds of these
        reason = (
            "HF_HUB_OFFLINE is set and it is not in the cache"
            if offline
            else next(iter(str(exc).strip().splitlines()), type(exc).__name__)
        )
        raise ModelLoadError(
            f"The embedding model {model_name} is no folder here and cannot be fetched from the hub: {reason}. "
            f"Download it once with a connection: hf download {model_name}. Or name a folder, {_BUNDLED}"
        ) from exc


def _read(root: Path, name: str) -> ModelFolder:
    """Read the files that describe a model; a plain transformers model has none of sentence-transformers' own."""
    modules = _json(root / "modules.json") or []
    kinds = {str(module["type"]).rpartition(".")[2]: root / module["path"] for module in modules}
    foreign = [kind for kind in kinds if kind not in _KNOWN_MODULES]
    if foreign or (modules and "Transformer" not in kinds):
        raise ModelLoadError(
            f"The model {name} has a module {(foreign or ['no Transformer'])[0]}; only Transformer, Pooling and "
            f"Normalize are supported. Name another model, {_BUNDLED}"
        )
    path = kinds.get("Transformer", root)
    if not (path / "config.json").exists():
        raise ModelLoadError(
            f"There is no model at {path}: config.json is missing. Name a folder that holds config.json, a tokenizer "
            f"and weights, {_BUNDLED}"
        )
    own = _json(path / "sentence_bert_config.json") or {}
    about = _json(root / "config_sentence_transformers.json") or {}
    prompts = about.get("prompts") or {}
    default = prompts.get(about.get("default_prompt_name")) or ""
    query, passage = (
        next((str(prompts[key]) for key in keys if prompts.get(key)), default)
        for keys in (_QUERY_PROMPTS, _PASSAGE_PROMPTS)
    )
    return ModelFolder(
        path=path,
        name=name,
        pooling=_pooling(_json(kinds["Pooling"] / "config.json") or {}, name) if "Pooling" in kinds else "mean",
        max_tokens=own.get("max_seq_length"),
        lower_case=bool(own.get("do_lower_case")),
        query_prefix=query,
        passage_prefix=passage,
    )


def _pooling(config: dict[str, Any], name: str) -> Pooling:
    """Return the pooling that a Pooling module's file describes, in its older or newer form."""
    older = [key for key, on in config.items() if key.startswith("pooling_mode_") and on is True]
    modes = config.get("pooling_mode") or [key.removeprefix("pooling_mode_") for key in older]
    found = {"mean_tokens": "mean", "cls_token": "cls"}
    chosen = [found.get(mode, mode) for mode in ([modes] if isinstance(modes, str) else modes)] or ["mean"]
    if config.get("include_prompt") is False:
        chosen = [f"{'+'.join(chosen)} without the prompt"]
    if chosen == ["cls"]:
        return "cls"
    if chosen != ["mean"]:
        raise ModelLoadError(
            f"The model {name} pools its token states by {'+'.join(chosen)}; only mean and cls are supported. "
            f"Name another model, {_BUNDLED}"
        )
    return "mean"


def _json(path: Path) -> Any:
    """Return what a JSON file holds; None if there is no such file."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as exc:
        raise ModelLoadError(f"{path} cannot be read: {exc}. Save or download the model again, {_BUNDLED}") from exc
