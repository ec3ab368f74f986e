"""Read the JSON of OpenAI's chat protocol, as servers really write it. Sends and receives nothing."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from index.text import strip_invisible

_CUT = {"length", "max_tokens", "content_filter", "abort"}  # the protocol's two, and what some servers say besides
_SHOWN = 200  # characters of a server's own words in a message for people


class UnreadableError(Exception):
    """What came is not what the protocol says.

    Attributes:
        said: What came, as it came: for a message it has to be :func:`shortened`.
    """

    def __init__(self, said: str | bytes) -> None:
        super().__init__()
        self.said = said


class FailedError(Exception):
    """The server says that it failed.

    Attributes:
        said: What it says, as it says it: for a message it has to be :func:`shortened`.
        code: Its HTTP status, if it says one.
    """

    def __init__(self, said: str, code: int | None = None) -> None:
        super().__init__()
        self.said = said
        self.code = code


@dataclass(frozen=True, slots=True)
class Chunk:
    """What one event of a stream, or a whole answer, says.

    Attributes:
        text: What the model writes to the reader, "" for none.
        thought: Whether it says something of the model's thinking, which is not for the reader.
        finished: Whether the model has ended.
        reason: Why, in the server's words, such as "stop" or "length"; "" if it does not say.
    """

    text: str = ""
    thought: bool = False
    finished: bool = False
    reason: str = ""

    @property
    def cut(self) -> bool:
        """Whether something else than the model ended its text."""
        return self.reason in _CUT


@dataclass(frozen=True, slots=True)
class ListedModel:
    """A model of a server.

    Attributes:
        id: What to ask for.
        window: Tokens of prompt and answer together, if the server says.
        llama_cpp: Whether the server is llama.cpp's, which says elsewhere how much of the window it uses.
    """

    id: str
    window: int | None = None
    llama_cpp: bool = False


def read_chunk(data: str | bytes) -> Chunk:
    """Return what an event of a stream says, or the answer of a server that does not stream.

    Raises:
        UnreadableError: If it is not a JSON object.
        FailedError: If it is an error.
    """
    value = _json_object(data)
    if value.get("error"):
        said, code = _error_of(value)
        raise FailedError(said, code)
    choices = value.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices else None
    if not isinstance(choice, dict):
        return Chunk()  # usage, for example
    turn = choice.get("delta") or choice.get("message")
    turn = turn if isinstance(turn, dict) else {}
    reason = choice.get("finish_reason")
    return Chunk(
        text=_text_of(turn.get("content")),
        # Whitespace is none: transformers serve repeats here the empty block by which a template switches it off.
        thought=bool(_text_of(turn.get("reasoning_content") or turn.get("reasoning")).strip()),
        finished=bool(reason),
        reason=reason if isinstance(reason, str) else "",
    )


def is_json(data: str) -> bool:
    """Whether a text is whole JSON."""
    try:
        json.loads(data)
    except (ValueError, RecursionError):
        return False
    return True


def read_models(data: bytes) -> list[ListedModel]:
    """Return the models of a list of models.

    Raises:
        UnreadableError: If it is not such a list.
    """
    value = _json_object(data)
    entries = value.get("data")
    if not isinstance(entries, list):
        raise UnreadableError(data)
    models = []
    for entry in entries:
        if isinstance(entry, dict) and isinstance(entry.get("id"), str):
            meta = entry.get("meta")
            trained = meta.get("n_ctx_train") if isinstance(meta, dict) else None
            window = _count(entry.get("max_model_len")) or _count(trained)
            models.append(ListedModel(entry["id"], window, _count(trained) is not None))
    return models


def read_llama_cpp_window(data: bytes) -> int | None:
    """Return the window of llama.cpp's ``/props``, in tokens, if it says one.

    Raises:
        UnreadableError: If it is not a JSON object.
    """
    settings = _json_object(data).get("default_generation_settings")
    return _count(settings.get("n_ctx")) if isinstance(settings, dict) else None


def said_by(body: bytes) -> str:
    """Return what the body of an error says, as it says it; "" if it says nothing to people.

    Example:
        >>> said_by(b'{"error": {"message": "no such model", "code": 404}}')
        'no such model'
    """
    try:
        said, _ = _error_of(_json_object(body))
    except UnreadableError:
        page = body.lstrip().startswith(b"<")  # which is not for reading in a message
        return "" if page else body.decode("utf-8", "replace")
    return said


def shortened(text: str | bytes, secret: str = "") -> str:
    """Return the beginning of a server's words on one line, without characters that steer a terminal.

    Args:
        text: The words as they came: a secret that was cut before would be shown in part.
        secret: Is not shown; "" for none.
    """
    if isinstance(text, bytes):
        text = text.decode("utf-8", "replace")
    text = _without(text, secret)[: 20 * _SHOWN]
    line = _without(" ".join(strip_invisible(re.sub(r"\s", " ", text)).split()), secret)
    return line if len(line) <= _SHOWN else f"{line[: _SHOWN - 1]}…"


def _without(text: str, secret: str) -> str:
    """Return a text without a secret, also one with backslashes in it, as errors of libraries and JSON write it."""
    return re.sub("".join(rf"\\{{0,4}}{re.escape(char)}" for char in secret), "…", text) if secret else text


def _json_object(data: str | bytes) -> dict[str, Any]:
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        raise UnreadableError(data) from None
    if not isinstance(value, dict):
        raise UnreadableError(data)
    return value


def _error_of(value: Mapping[str, Any]) -> tuple[str, int | None]:
    """Return what an error says, and its HTTP status: each server puts them elsewhere."""
    error = value.get("error") or value
    if not isinstance(error, dict):
        return str(error), None
    said = error.get("message") or error.get("detail")
    if isinstance(said, list) and said and isinstance(said[0], dict):  # FastAPI's own list of what is wrong
        said = said[0].get("msg")
    return said if isinstance(said, str) else json.dumps(error), _count(error.get("code"))


def _text_of(content: object) -> str:
    """Return the text of a content, which may be a list of parts."""
    if isinstance(content, list):
        parts = [part for part in content if isinstance(part, dict) and part.get("type", "text") == "text"]
        content = "".join(part["text"] for part in parts if isinstance(part.get("text"), str))
    if not isinstance(content, str) or content.isascii():
        return content if isinstance(content, str) else ""
    # A server that cuts the JSON escape of an emoji in two sends half characters, which no file or page can hold.
    return content.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None
