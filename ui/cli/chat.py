"""The command ``chat``: a conversation, typed or piped in. Follow-up questions are understood by ``rag``."""

import contextlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from index.errors import CitewellError

from .interrupt import interrupt_cancels
from .layout import lay_out_sources
from .opening import collection, read_settings
from .options import IndexOption, LlmOption, WhereOption
from .output import fail, note, say, text_width
from .printing import print_answer

if TYPE_CHECKING:
    from rag import ChatSession

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
    from rag.events import CancelToken

    token = CancelToken()
    with interrupt_cancels(token):
        print_answer(session.stream(question, where, cancel=token), quotes=False)
    say()


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
