"""Download a language model from a hub into the local cache. Nothing else in Citewell contacts a hub for one.

Only what transformers needs to load it is taken: configuration, tokenizer, chat template and safetensors. Pickled
weights and program code are left where they are.
"""

import shutil
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from index.errors import ConfigError, ModelError, ModelLoadError
from index.progress import Progress, silent

from .catalogue import gigabytes
from .hub_cache import cache_folder
from .source import FolderSource, HubSource, parse_source

WANTED = (
    "config.json",
    "generation_config.json",
    "tokenizer*",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.*",
    "merges.txt",
    "*.tiktoken",
    "spiece.model",
    "chat_template*",
    "*.safetensors",
    "model.safetensors.index.json",
)
UNWANTED = ("*/*", "*.py", "*.bin", "*.pth", "*.pt", "*.gguf", "consolidated*")  # the last: the same weights again
_MB = 1_000_000
_SHORTEST_WAIT_S = 0.1  # between two looks whether the download has ended or Ctrl-C was pressed
_LONGEST_END_S = 10.0  # given to a download that was stopped, to remove what it has begun


@dataclass(frozen=True, slots=True)
class PulledModel:
    """A model that is now in the cache.

    Attributes:
        model_id: Its hub id.
        path: The folder of the revision.
        size_bytes: What its files take, those that were there before included.
        downloaded_bytes: How much of that came over the network.
    """

    model_id: str
    path: Path
    size_bytes: int
    downloaded_bytes: int


class _Stopped(Exception):
    """The download was stopped: ends the threads of the hub's client."""


def pull(model_id: str, revision: str | None = None, progress: Progress = silent) -> PulledModel:
    """Download a model of a hub, or what is still missing of it.

    Stopped with Ctrl-C it keeps the files that were finished; called again it goes on with the others. A file that was
    not finished is begun anew: the hub's client does not continue it, so that no two processes write to the same one.

    Args:
        model_id: The hub id, such as Qwen/Qwen3-0.6B.
        revision: Branch, tag or commit; None for the main branch.
        progress: Called with megabytes done and in all.

    Raises:
        ValueError: If ``model_id`` is a folder, a server or no hub id.
        ModelError: If the hub cannot be reached, does not give the model, has no safetensors of it, or the disk is too
            small.
    """
    _check_hub_id(model_id)
    files = _listing(model_id, revision)
    missing = sum(file.file_size or 0 for file in files if file.will_download)
    free = _free_bytes(cache_folder())
    if missing > free:
        raise ModelError(
            f"{model_id} needs {gigabytes(missing)} more and the disk of {cache_folder()} has {gigabytes(free)} free. "
            "Make room, or set HF_HUB_CACHE to a folder on another disk."
        )
    path = _download(model_id, revision, missing, progress)
    return PulledModel(model_id, Path(path), sum(file.file_size or 0 for file in files), missing)


def _check_hub_id(model_id: str) -> None:
    try:
        source = parse_source(model_id)
    except (ConfigError, ModelLoadError) as exc:
        raise ValueError(f"{model_id!r} is not the id of a hub model, such as Qwen/Qwen3-0.6B") from exc
    if not isinstance(source, HubSource):
        what = "folder" if isinstance(source, FolderSource) else "server"
        raise ValueError(
            f"{model_id} is a {what}; only a model of a hub is pulled, by its id such as Qwen/Qwen3-0.6B. The {what} "
            f"can be used as it is: citewell models check {model_id}"
        )


def _listing(model_id: str, revision: str | None) -> list[Any]:
    """Return the files that would be downloaded or are there already.

    Raises:
        ModelError: If the hub does not tell, or what it has cannot be loaded by transformers as safetensors.
    """
    quiet = _bar(threading.Event(), 0, silent, "")
    files: list[Any] = list(_hub(model_id, revision, dry_run=True, tqdm_class=quiet))
    names = {file.filename for file in files}
    if "config.json" not in names or not any(name.endswith(".safetensors") for name in names):
        lacking = "safetensors weights" if "config.json" in names else "config.json"
        raise ModelError(
            f"{model_id} has no {lacking}, which transformers needs. Pickled and GGUF weights are not loaded: choose "
            "another model (citewell models list), or serve this one and name the server (http://host:port/v1#model)."
        )
    return files


def _download(model_id: str, revision: str | None, size_bytes: int, progress: Progress) -> str:
    """Download in a thread of its own: the hub's client would let Ctrl-C wait for all that is under way."""
    stopped = threading.Event()
    bar = _bar(stopped, size_bytes, progress, f"Downloading {model_id}, MB")
    path: list[str] = []
    failure: list[BaseException] = []

    def work() -> None:
        try:
            path.append(str(_hub(model_id, revision, tqdm_class=bar)))
        except BaseException as exc:  # handed to the thread that waits
            failure.append(exc)

    progress(0, size_bytes // _MB, f"Downloading {model_id}, MB")
    thread = threading.Thread(target=work, name="citewell-pull", daemon=True)
    thread.start()
    try:
        while thread.is_alive():
            thread.join(_SHORTEST_WAIT_S)
    except BaseException:
        stopped.set()
        thread.join(_LONGEST_END_S)
        raise
    if failure:
        raise failure[0]
    return path[0]


def _bar(stopped: threading.Event, size_bytes: int, progress: Progress, message: str) -> type[Any]:
    """Return what the hub's client uses in place of its own bars: it shows nothing, and tells ``progress``.

    Its ``update`` is called in the client's threads, so it is also where a stop reaches them.
    """
    from huggingface_hub.utils.tqdm import tqdm

    class Bar(tqdm):
        def __init__(self, *args: Any, **options: Any) -> None:
            options.pop("name", None)
            self._bytes = options.get("unit") == "B"
            super().__init__(*args, **{**options, "disable": True})  # type: ignore[no-untyped-call]

        def update(self, n: float | None = 1) -> None:
            if stopped.is_set():
                raise _Stopped
            self.n += n or 0
            if self._bytes:
                progress(min(int(self.n), size_bytes) // _MB, size_bytes // _MB, message)

    return Bar


def _hub(model_id: str, revision: str | None, **options: Any) -> Any:
    """Call the hub's client; what goes wrong becomes a sentence with the next step."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    try:
        return snapshot_download(
            model_id, revision=revision, allow_patterns=list(WANTED), ignore_patterns=list(UNWANTED), **options
        )
    except HFValidationError as exc:
        raise ValueError(f"{model_id!r} is not the id of a hub model, such as Qwen/Qwen3-0.6B") from exc
    except (OSError, HfHubHTTPError, RuntimeError) as exc:
        raise ModelError(_explain(model_id, revision, exc)) from exc


def _explain(model_id: str, revision: str | None, exc: BaseException) -> str:
    from huggingface_hub import errors

    causes = list(_causes(exc))

    def met(*kinds: type[BaseException]) -> bool:
        return any(isinstance(cause, kinds) for cause in causes)

    copy = "or copy the model's folder from another machine and name its path in place of the id."
    if met(errors.GatedRepoError):
        return (
            f"{model_id} is given only to those who have accepted its terms. Accept them on its page, then set "
            f"HF_TOKEN to a token of your account, {copy}"
        )
    if met(errors.RevisionNotFoundError):
        return f"{model_id} has no revision {revision}. Leave out --revision to take the main branch."
    if met(errors.RepositoryNotFoundError):
        return (
            f"The hub has no model {model_id}, or it is private. Check the id (citewell models list); for a private "
            "one, set HF_TOKEN to a token that may read it."
        )
    if met(errors.OfflineModeIsEnabled):
        return f"HF_HUB_OFFLINE is set, so no hub is contacted. Unset it to download {model_id}, {copy}"
    full = next((c for c in causes if isinstance(c, OSError) and c.errno == 28), None)  # ENOSPC
    if full is not None:
        return f"The disk of {cache_folder()} is full. Make room and run it again to continue."
    why = next(iter(str(causes[-1]).strip().splitlines()), "") or type(causes[-1]).__name__
    return (
        f"{model_id} cannot be downloaded ({why.rstrip('.')}). Check the connection and run it again to continue, set "
        f"HF_ENDPOINT to a mirror, {copy}"
    )


def _causes(exc: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and what led to it, the first cause last."""
    while exc is not None:
        yield exc
        exc = exc.__cause__


def _free_bytes(folder: Path) -> int:
    """Return the free space of the disk that a folder, which need not exist yet, is on."""
    return shutil.disk_usage(next(path for path in (folder, *folder.parents) if path.exists())).free
