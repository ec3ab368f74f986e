"""Make the text a model is given of chat messages, with the model's own template. Generates nothing.

A template comes with the model and is a program: it may fail in any way, and it may never end. So it runs in a thread
of its own, in which every line of it asks whether to go on.
"""

import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from types import FrameType
from typing import Any

from index.errors import GenerationError

from .model import Messages
from .transformers_loading import first_line

_LIMIT_S = 5.0  # a template takes milliseconds
_GRACE_S = 0.5  # for a single step of a template, in which nobody can ask
_PATIENCE_S = 0.02  # how long a stop may go unnoticed
_STEP = "Name another model with --llm."
_TEMPLATE_FILE = "<template>"  # what jinja calls the code that it makes of a template


class _Unending(GenerationError):
    """The template did not end in time, or was stopped: it is not worth a second try."""


class _Left(BaseException):
    """Ends the template; no handler of errors stops it."""


def render(tokenizer: Any, messages: Messages, name: str, unwanted: Callable[[], bool] = lambda: False) -> str:
    """Return the text of chat messages, with thinking off where the template has a switch for it.

    A template that refuses a system turn, or leaves it out, gets it at the head of the first user turn.

    Args:
        tokenizer: Of transformers. Without a template, the messages stand one after another.
        messages: The messages.
        name: The model's, for messages to people.
        unwanted: Asked again and again; once it is true, the template is ended.

    Raises:
        GenerationError: If the template fails on that, too, or does not end within some seconds, or was ended.
    """
    turns = [dict(message) for message in messages]
    if getattr(tokenizer, "chat_template", None) is None:
        return "\n\n".join(turn["content"] for turn in turns) + "\n\nAnswer:"
    system = "\n\n".join(turn["content"] for turn in turns if turn["role"] == "system").strip()
    try:
        text = _rendered(tokenizer, turns, name, unwanted)
        if system in text:
            return text
    except _Unending:
        raise
    except GenerationError:
        if not system:
            raise
    rest = [turn for turn in turns if turn["role"] != "system"] or [{"role": "user", "content": ""}]
    rest[0]["content"] = f"{system}\n\n{rest[0]['content']}".strip()
    return _rendered(tokenizer, rest, name, unwanted)


def _rendered(tokenizer: Any, turns: Sequence[Mapping[str, str]], name: str, unwanted: Callable[[], bool]) -> str:
    texts: list[str] = []
    failures: list[Exception] = []
    until = time.monotonic() + _LIMIT_S

    def over() -> bool:
        return time.monotonic() >= until or unwanted()

    def run() -> None:
        sys.settrace(_ending_templates(over))  # of this thread only
        try:
            texts.append(
                tokenizer.apply_chat_template(
                    list(turns), tokenize=False, add_generation_prompt=True, enable_thinking=False
                )
            )
        except Exception as exc:  # a template can raise anything, and no one else sees this thread
            failures.append(exc)
        except _Left:
            pass
        finally:
            sys.settrace(None)

    thread = threading.Thread(target=run, name="citewell-template", daemon=True)
    thread.start()
    while thread.is_alive() and not over():
        thread.join(_PATIENCE_S)
    thread.join(_GRACE_S)
    if failures:
        raise GenerationError(f"The chat template of {name} fails: {first_line(failures[0])} {_STEP}") from failures[0]
    if not texts:
        why = "was stopped" if unwanted() else f"does not end within {_LIMIT_S:g} seconds"
        raise _Unending(f"The chat template of {name} {why}. {_STEP}")
    return texts[0]


def _ending_templates(over: Callable[[], bool]) -> Callable[[FrameType, str, Any], Any]:
    """Return a trace function that ends the code of a template once it is over."""

    def trace(frame: FrameType, event: str, _argument: Any) -> Any:
        if frame.f_code.co_filename != _TEMPLATE_FILE:
            return None
        if over():
            raise _Left
        return trace

    return trace
