"""Read what the setting ``answering.llm`` names: a model folder, a hub id or a server. Loads and contacts nothing."""

import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from index.errors import ConfigError, ModelLoadError

_ADDRESS = "Write it as http://host:port/v1#model"
_WAYS = (
    "Name a model folder, a hub id or a server (http://host:port/v1#model), or leave out --llm to use the evidence "
    "reader"
)
_HUB_ID = re.compile(r"[\w][\w.-]*(?:/[\w][\w.-]*)?")


@dataclass(frozen=True, slots=True)
class FolderSource:
    """A model folder on this machine."""

    path: Path

    @property
    def name(self) -> str:
        """What people see: the folder's path."""
        return str(self.path)


@dataclass(frozen=True, slots=True)
class HubSource:
    """A model of a hub, such as Qwen/Qwen3-1.7B; it is taken from the cache, never downloaded by answering."""

    model_id: str

    @property
    def name(self) -> str:
        """What people see: the hub id."""
        return self.model_id


@dataclass(frozen=True, slots=True)
class ServerSource:
    """A server that speaks OpenAI's protocol.

    Attributes:
        base_url: Its address up to the version, without a slash at the end: ``http://127.0.0.1:8000/v1``.
        model: Which of its models; "" for the only one it has.
    """

    base_url: str
    model: str = ""

    @property
    def host(self) -> str:
        """The server's host and port."""
        return urlsplit(self.base_url).netloc

    @property
    def name(self) -> str:
        """What people see: the model and the host, the host alone while the model is not known."""
        return f"{self.model} at {self.host}" if self.model else self.host


ModelSource = FolderSource | HubSource | ServerSource


def parse_source(text: str) -> ModelSource:
    """Return what a text names.

    Example:
        >>> parse_source("http://127.0.0.1:8000/v1#qwen3")
        ServerSource(base_url='http://127.0.0.1:8000/v1', model='qwen3')
        >>> parse_source("Qwen/Qwen3-1.7B")
        HubSource(model_id='Qwen/Qwen3-1.7B')

    Raises:
        ConfigError: If it is neither a folder's path, a hub id nor a server's address.
        ModelLoadError: If it is a path and there is no model at it.
    """
    text = text.strip()
    if not text:
        raise ConfigError(f"No language model is named. {_WAYS}.")
    if re.match(r"[a-z][a-z0-9+.-]*://", text, re.I):
        return _server(text)
    path = Path(text)
    try:
        path = path.expanduser()
        here, whole = path.exists(), (path / "config.json").exists()
    except (OSError, RuntimeError, ValueError):  # a name that no file can have, or the home of nobody
        here, whole = False, False
    if not here and not text.startswith((".", "/", "~")) and _HUB_ID.fullmatch(text):
        return HubSource(text)
    if re.match(r"[\w.-]+:\d+(?:/|$)", text):
        raise ConfigError(f"{text} looks like a server's address without http://. {_ADDRESS}")
    if not whole:
        raise ModelLoadError(
            f"There is no model at {path}: a model folder holds config.json, a tokenizer and weights. {_WAYS}."
        )
    return FolderSource(path)


def _server(text: str) -> ServerSource:
    if "@" in re.split(r"[/?#]", text.partition("://")[2], maxsplit=1)[0]:  # said before the address is repeated
        raise ConfigError(
            "The address of the server holds a password or a name. Write it as http://host:port/v1#model, and put the "
            "key into the variable CITEWELL_LLM_API_KEY."
        )
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname, parts.port  # a port that is none fails here
    except ValueError as exc:
        raise ConfigError(f"{text} is not a server's address: {exc}. {_ADDRESS}") from exc
    address = text.partition("#")[0]
    if parts.scheme not in ("http", "https") or not host or parts.query or not _is_plain(address):
        raise ConfigError(f"{text} is not a server's address. {_ADDRESS}")
    return ServerSource(urlunsplit((parts.scheme, parts.netloc, parts.path.rstrip("/"), "", "")), parts.fragment)


def _is_plain(address: str) -> bool:
    """Whether an address has no white space and nothing that is never seen."""
    return address.isprintable() and not re.search(r"\s", address)
