"""The language models in the local hub cache. Contacts no hub, loads and removes nothing."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_WRITES_TEXT = ("ForCausalLM", "LMHeadModel")  # how transformers names the classes of models that write


@dataclass(frozen=True, slots=True)
class CachedModel:
    """A text-generation model in the cache.

    Attributes:
        model_id: Its hub id.
        size_bytes: What it takes on the disk, all its revisions together.
        path: The folder of the revision it would be loaded from.
        complete: Whether the configuration and all its safetensors files are there.
    """

    model_id: str
    size_bytes: int
    path: Path
    complete: bool


def cache_folder() -> Path:
    """Return the folder of the hub cache; it need not exist."""
    from huggingface_hub import constants

    return Path(constants.HF_HUB_CACHE)


def cached_models() -> list[CachedModel]:
    """Return the models of the cache that write text, by id; those of which nothing but parts is there included."""
    from huggingface_hub import CacheNotFound, scan_cache_dir

    try:
        repos = scan_cache_dir(cache_folder()).repos
    except CacheNotFound:
        return []
    found = []
    for repo in repos:
        revisions = sorted(repo.revisions, key=lambda revision: ("main" in revision.refs, revision.last_modified))
        if repo.repo_type != "model" or not revisions:
            continue
        path = revisions[-1].snapshot_path
        if writes_text(path):
            found.append(CachedModel(repo.repo_id, repo.size_on_disk, path, is_complete(path)))
    return sorted(found, key=lambda model: model.model_id)


def writes_text(folder: Path) -> bool:
    """Whether a model folder's configuration is that of a text-generation model."""
    architectures = _json(folder / "config.json").get("architectures")
    return isinstance(architectures, list) and any(str(name).endswith(_WRITES_TEXT) for name in architectures)


def is_complete(folder: Path) -> bool:
    """Whether a model folder has a configuration and every safetensors file that belongs to it."""
    files = _json(folder / "model.safetensors.index.json").get("weight_map")
    needed = {str(name) for name in files.values()} if isinstance(files, dict) else {"model.safetensors"}
    return all((folder / name).is_file() for name in {"config.json", *needed})


def _json(path: Path) -> dict[str, Any]:
    """Return a JSON object of a file; an empty one where there is none that can be read."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}
