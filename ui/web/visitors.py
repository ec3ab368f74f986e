"""Whose answer is being made, so that it ends when its visitor goes away. Makes none and shows nothing.

Gradio notices at once that a page was closed, but lets go of its answer only with the next view. A language model that
loads, reads its prompt, or is waited for may give none for minutes.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import gradio as gr

from .chat import Session


class Visitors:
    """The sessions of the pages that have an answer under way, by Gradio's name for the page."""

    def __init__(self) -> None:
        self._answering: dict[str, Session] = {}

    @contextmanager
    def answering(self, request: gr.Request, session: Session) -> Iterator[None]:
        """Know the session of a page for as long as its answer is made."""
        page = request.session_hash or ""
        self._answering[page] = session
        try:
            yield
        finally:
            self._answering.pop(page, None)

    def leave(self, request: gr.Request) -> None:
        """Stop the answer of a page that was closed, if there is one."""
        session = self._answering.get(request.session_hash or "")
        if session:
            session.stop()
