"""The command ``chat``: a conversation, typed or piped in. Follow-up questions are understood by ``rag``."""

import contextlib
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import typer

from index.errors import CitewellError

from .layout import lay_out_remarks, lay_out_sources
from .opening import collection, read_settings
from .options import IndexOption, LlmOption, WhereOption
from .output import StatusLine, fail, note, printable, say, text_width

if TYPE_CHECKING:
    from rag import CancelToken, ChatSession
    from rag.answer import Answer, AnswerSentence

HELP = """\
/sources    the papers behind the last answer, with the quoted sentences
/save FILE  keep the conversation (FILE.md: to read, else JSON for --resume)
/quit       leave (or Ctrl-D)
Ctrl-C stops an answer and keeps what is settled."""


def register(app: typer.Typer) -> None:
    """Add the command of this module."""
    app.command(epilog="Example: citewell chat --index papers.idx")(chat)


def chat(
    index: IndexOption = None,
    llm: LlmOption = None,
    where: WhereOption = None,
    resume: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Go on with a saved conversation.", exists=True, dir_okay=False)
    ] = None,
) -> None:
    """Talk with the collection: follow-up questions, sources on demand.

    In a conversation, /help lists the commands. Questions can also be piped in, one per line.
    """
    interactive = sys.stdin.isatty()
    with collection(read_settings(index, llm)) as qa:
        if resume is None:
            session = qa.chat()
        else:
            from rag import ChatSession

            session = ChatSession.load(resume, qa)
        if interactive:
            with contextlib.suppress(ImportError):
                import readline  # noqa: F401 - gives input() a history and line editing
            note(f"{len(qa)} papers, {qa.answerer}. /help lists the commands.")
        failed = sum([not _turn(session, line, where) for line in _lines(interactive)])
    if failed and not interactive:
        raise typer.Exit(1)


def _lines(interactive: bool) -> Iterator[str]:
    """Yield what is typed or piped in, without empty lines, up to /quit or the end."""
    while True:
        try:
            line = input("> ").strip() if interactive else sys.stdin.readline()
        except EOFError:
            say()
            return
        if not interactive and not line:
            return
        if line.strip() in ("/quit", "/exit"):
            return
        if line.strip():
            yield line.strip()


def _turn(session: "ChatSession", line: str, where: str | None = None) -> bool:
    """Do what one line says; return whether it worked."""
    name, _, argument = line.partition(" ")
    try:
        if not name.startswith("/"):
            _ask(session, line, where)
        elif name in _COMMANDS:
            _COMMANDS[name](session, argument.strip())
        else:
            raise ValueError(f"There is no command {name}. /help lists them; a question does not begin with /.")
    except (CitewellError, ValueError) as exc:
        fail(str(exc))
        return False
    except BrokenPipeError:  # nobody reads on: that ends the conversation
        raise
    except OSError as exc:
        fail(f"{exc.filename or argument}: {exc.strerror or exc}.")
        return False
    return True


def _ask(session: "ChatSession", question: str, where: str | None) -> None:
    """Ask one question and print each sentence as soon as it is settled."""
    from rag.events import CancelToken, Done, Sentence, Status

    line, token, text = StatusLine(), CancelToken(), _AnswerText()
    try:
        with _interrupt_cancels(token):
            for event in session.stream(question, where, cancel=token):
                line.clear()
                if isinstance(event, Status):
                    line.show(event.message)
                # A Token is shown only as part of its sentence: it may yet be dropped.
                elif isinstance(event, Sentence):
                    text.add(event.sentence)
                elif isinstance(event, Done):
                    text.end()
                    _print_end(event.answer, begun=text.begun)
    finally:
        line.clear()
        text.end()


class _AnswerText:
    """Prints the sentences of one answer as they are settled, in the form that ``ask`` prints.

    A labelled sentence is held back until it is known whether a second one makes the two a list.

    Attributes:
        begun: Whether anything was printed.
    """

    def __init__(self) -> None:
        self.begun = False
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

        for sentence in self._held:
            before = "" if not self.begun else "\n" if sentence.label else " "
            bullet = "- " if sentence.label and self._labels > 1 else ""
            label = f"{bullet}{sentence.label} — " if sentence.label else ""
            typer.echo(printable(f"{before}{label}{sentence_text(sentence)}"), nl=False)
            self.begun = True
        self._held.clear()
        sys.stdout.flush()


def _print_end(answer: "Answer", *, begun: bool) -> None:
    if begun:
        say()
    else:
        say(answer.text)
    sources = [lay_out_sources(answer, text_width(), quotes=False)] if answer.cited else []
    for part in [*lay_out_remarks(answer, text_width()), *sources]:
        say(f"\n{part}")
    say()


@contextlib.contextmanager
def _interrupt_cancels(token: "CancelToken") -> Iterator[None]:
    """Let the first Ctrl-C stop the answer in good order and the second one stop the program."""

    def handler(number: int, frame: FrameType | None) -> None:
        if token.cancelled:
            raise KeyboardInterrupt
        token.cancel()

    previous = signal.signal(signal.SIGINT, handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, previous)


def _show_sources(session: "ChatSession", argument: str) -> None:
    if not session.answers:
        raise ValueError("There is no answer yet.")
    answer = session.answers[-1]
    say(lay_out_sources(answer, text_width()) if answer.cited else "The last answer cites nothing.")
    say()


def _save(session: "ChatSession", argument: str) -> None:
    if not argument:
        raise ValueError("Name a file: /save talk.md")
    path = Path(argument).expanduser()
    if path.suffix == ".md":
        path.write_text("\n".join(answer.to_markdown() for answer in session.answers), encoding="utf-8")
    else:
        session.save(path)
    note(f"Saved {path}")


def _show_help(session: "ChatSession", argument: str) -> None:
    say(HELP)
    say()


_COMMANDS: dict[str, Callable[["ChatSession", str], None]] = {
    "/help": _show_help,
    "/save": _save,
    "/sources": _show_sources,
}
