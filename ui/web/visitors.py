"""Whose answer is being made, so that it ends when its visitor goes away. Makes none and shows nothing.

Gradio notices at once that a page was closed, but lets go of its answer only with the next view. A language model that
loads, reads its prompt, or is waited for may give none for minutes.
"""

import itertools
from collections.abc import Iterator
from contextlib import contextmanager

import gradio as gr

from .chat import Session


class Visitors:
    """The sessions that have an answer under way, each with Gradio's name for its page."""

    def __init__(self) -> None:
        self._answering: dict[int, tuple[str, Session]] = {}
        self._numbers = itertools.count()

    @contextmanager
    def answering(self, request: gr.Request, session: Session) -> Iterator[None]:
        """Know the session of a page for as long as its answer is made.

        A page can be here several times: a second click comes and goes while the first is being answered.
        """
        number = next(self._numbers)
        self._answering[number] = (request.session_hash or "", session)
        try:
            yield
        finally:
            del self._answering[number]

    def leave(self, request: gr.Request) -> None:
        """Stop the answer of a page that was closed, if there is one."""
        for page, session in list(self._answering.values()):
            if page == (request.session_hash or ""):
                session.stop()
