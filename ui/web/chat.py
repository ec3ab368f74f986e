"""Turn the events of an answer into what the page shows. Knows nothing of Gradio; the app puts views on the page."""

import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Protocol, assert_never

from index.errors import CitewellError
from rag.answer import Answer
from rag.events import CancelToken, Done, Dropped, Event, Sentence, Sources, Status, Token

from .render import render_turn
from .sources import render_sources
from .turn import Turn

logger = logging.getLogger(__name__)

WENT_WRONG = "Something went wrong; the log has the details."
LEFT = "The connection was closed before the answer was there."


class Conversation(Protocol):
    """What a session needs of :class:`rag.ChatSession`.

    Attributes:
        answers: What was answered so far; the next answer builds on it.
    """

    answers: tuple[Answer, ...]

    def stream(self, question: str, where: str | None = None, *, cancel: CancelToken | None = None) -> Iterator[Event]:
        """Answer from the papers that pass a filter, with the conversation so far in mind."""
        ...


class Library(Protocol):
    """What the page needs of :class:`rag.PaperQA`."""

    @property
    def answerer(self) -> str:
        """What writes the answers, for people."""
        ...

    def __len__(self) -> int:
        """Count the papers."""
        ...

    def ask(self, question: str, *, where: str | None = None) -> Answer:
        """Answer one question from the papers that pass a filter."""
        ...

    def chat(self) -> Conversation:
        """Begin a conversation."""
        ...

    def example_questions(self, n: int = 4) -> list[str]:
        """Return questions that the papers answer."""
        ...


@dataclass
class Session:
    """One visitor's conversation. It starts empty, so that a copy of a new one is a new one.

    Attributes:
        chat: The conversation, begun with the first question.
        turns: What was asked and answered, in order.
        running: Stops the answer that is being made; None when there is none.
        left: Whether the visitor began another conversation; nothing of this one is shown any more.
    """

    chat: Conversation | None = None
    turns: list[Turn] = field(default_factory=list)
    running: CancelToken | None = None
    left: bool = False

    def stop(self) -> None:
        """Ask a running answer to end with what it has; without one, do nothing."""
        if self.running:
            self.running.cancel()

    def leave(self, timeout_s: float = 5.0) -> None:
        """Show nothing more; stop a running answer and wait until its last view is out, or the time is over."""
        self.left = True
        self.stop()
        until = time.monotonic() + timeout_s
        while self.running and time.monotonic() < until:
            time.sleep(0.02)

    def take_back(self) -> str:
        """Forget the last turn and return its question, "" when there is none or it is still being answered."""
        if not self.turns or self.running:
            return ""
        turn = self.turns.pop()
        if self.chat and turn.answer:
            self.chat.answers = self.chat.answers[:-1]
        return turn.question


@dataclass(frozen=True, slots=True)
class View:
    """What the page shows at one moment.

    Attributes:
        conversation: HTML of each turn.
        sources: HTML of each turn's papers, in the same order.
        busy: Whether an answer is being made.
        unread: A question turned down before anything came of it, such as one too long; "" otherwise.
    """

    conversation: list[str]
    sources: list[str]
    busy: bool
    unread: str = ""


def respond(qa: Library, question: str, session: Session, where: str = "") -> Iterator[View]:
    """Answer a question, one view per event; the first shows the question, the last the settled turn.

    A blank question changes nothing, nor does one that comes while another is being answered. Failures are
    shown as text: those that Citewell or a bad question raise in their own words, any other as
    :data:`WENT_WRONG`, with the traceback in the log. Closing the generator (a visitor who leaves) stops
    the answer.

    Args:
        qa: The papers to ask.
        question: What was typed.
        session: The visitor's conversation; changed in place.
        where: Filter on papers, as text; "" for none.
    """
    if not question.strip() or session.running:
        yield _view(session)
        return
    cancel = session.running = CancelToken()
    number, where = len(session.turns) + 1, where.strip()
    session.turns.append(Turn(number, question, where=where, progress="Reading the question…"))
    place = len(session.turns) - 1
    try:
        yield _view(session)
        for count, turn in enumerate(_answer(qa, session, cancel)):
            session.turns[place] = turn
            if session.left:
                return
            yield _view(session, unread=turn.question if turn.error and not count else "")
    finally:
        cancel.cancel()
        session.running = None
        if session.turns[place].live:
            session.turns[place] = replace(session.turns[place], error=LEFT, progress="", draft="")


def _answer(qa: Library, session: Session, cancel: CancelToken) -> Iterator[Turn]:
    turn = session.turns[-1]
    try:
        if session.chat is None:
            session.chat = qa.chat()
        for event in session.chat.stream(turn.question, turn.where or None, cancel=cancel):
            turn = advance(turn, event)
            yield turn
    except (CitewellError, ValueError) as exc:
        logger.info("question %d was not answered: %s", turn.number, exc)
        yield replace(turn, error=str(exc) or WENT_WRONG, progress="", draft="")
    except Exception:
        logger.exception("question %d failed", turn.number)
        yield replace(turn, error=WENT_WRONG, progress="", draft="")


def advance(turn: Turn, event: Event) -> Turn:
    """Return the turn after one more event."""
    match event:
        case Status(message=message):
            return replace(turn, progress=message)
        case Sources(sources=sources):
            return replace(turn, sources=sources)
        case Token(text=text):
            return replace(turn, draft=turn.draft + text)
        case Sentence(index=index, sentence=sentence, verdict=verdict):
            corrected = turn.corrected | ({index} if verdict == "corrected" else set())
            return replace(turn, sentences=(*turn.sentences, sentence), corrected=corrected, draft="")
        case Dropped(sentence=dropped):
            return replace(turn, dropped=(*turn.dropped, dropped), draft="")
        case Done(answer=answer):
            return replace(
                turn,
                answer=answer,
                sentences=answer.sentences,
                dropped=answer.dropped,
                sources=answer.sources,
                draft="",
                progress="",
            )
        case _:
            assert_never(event)


def _view(session: Session, unread: str = "") -> View:
    return View(
        conversation=[render_turn(turn) for turn in session.turns],
        sources=[render_sources(turn) for turn in session.turns],
        busy=bool(session.turns) and session.turns[-1].live,
        unread=unread,
    )
