"""Print an answer while it is made, each sentence as soon as it is settled. Asks nothing; ``layout`` has the rest."""

import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING

import typer

from .layout import lay_out_remarks, lay_out_sources, wrapped
from .output import StatusLine, printable, say, text_width

if TYPE_CHECKING:
    from rag.answer import Answer, AnswerSentence
    from rag.events import Event


def print_answer(events: "Iterable[Event]", *, quotes: bool) -> None:
    """Print the events of one answer: the stages on stderr while they last, then its sentences, remarks and sources.

    Args:
        events: What ``stream`` gives.
        quotes: Whether the sources are shown with the sentences quoted from them.
    """
    from rag.events import Done, Sentence, Status

    line, text = StatusLine(), AnswerText(text_width())
    try:
        for event in events:
            # A Token is shown only as part of its sentence: it may yet be dropped.
            if isinstance(event, Status) and not text.begun:  # later it would write over the sentences
                line.show(event.message)
            elif isinstance(event, Sentence):
                line.clear()
                text.add(event.sentence)
            elif isinstance(event, Done):
                line.clear()
                text.close()
                _print_rest(event.answer, quotes=quotes)
    finally:
        line.clear()
        text.close()


class AnswerText:
    """Prints the sentences of one answer as they are settled, in the form that the whole answer has as text.

    A labelled sentence is held back until it is known whether a second one makes the two a list.

    Args:
        width: Longest line in columns; 0 leaves lines as long as they are.

    Attributes:
        begun: Whether anything was printed.
    """

    def __init__(self, width: int = 0) -> None:
        self.begun = False
        self._width = width
        self._column = 0
        self._indent = ""
        self._held: list[AnswerSentence] = []
        self._labels = 0

    def add(self, sentence: "AnswerSentence") -> None:
        """Take the next sentence."""
        self._held.append(sentence)
        self._labels += bool(sentence.label)
        if self._labels != 1:
            self.end()

    def end(self) -> None:
        """Print what was held back."""
        from rag.render import sentence_text
        from rag.safety import without_markers

        for sentence in self._held:
            bullet = "- " if sentence.label and self._labels > 1 else ""
            label = f"{bullet}{without_markers(sentence.label)} — " if sentence.label else ""
            if sentence.label or not self.begun:
                self._indent = " " * len(bullet)
                self._begin_line()
            self._flow(printable(f"{label}{sentence_text(sentence)}"))
            self.begun = True
        self._held.clear()
        sys.stdout.flush()

    def close(self) -> None:
        """Print what was held back and end the last line."""
        self.end()
        if self._column:
            self._begin_line()

    def _begin_line(self) -> None:
        if self.begun:
            typer.echo()
        self._column = 0

    def _flow(self, text: str) -> None:
        """Go on with the line, word by word; a word that does not fit begins the next."""
        pieces = []
        for word in text.split(" "):
            space = " " if self._column else ""
            if self._width and self._column and self._column + 1 + len(word) > self._width:
                space, self._column = f"\n{self._indent}", len(self._indent) - 1
            pieces.append(f"{space}{word}")
            self._column += len(word) + bool(space)
        typer.echo("".join(pieces), nl=False)


def _print_rest(answer: "Answer", *, quotes: bool) -> None:
    width = text_width()
    if not answer.sentences:
        say(wrapped(answer.text, width))
    sources = [lay_out_sources(answer, width, quotes=quotes)] if answer.cited else []
    for part in [*lay_out_remarks(answer, width), *sources]:
        say(f"\n{part}")
