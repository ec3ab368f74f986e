"""Write to the two streams: results to stdout, everything else to stderr. Lays nothing out.

Standard output carries the result and nothing else, so that ``citewell … --json | jq`` works.
"""

import json
import re
import shutil
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import typer

from index.text import strip_invisible

if TYPE_CHECKING:
    from index.progress import Progress as ProgressCallback


def version() -> str:
    """Return the installed version, or say that there is none."""
    from importlib.metadata import PackageNotFoundError
    from importlib.metadata import version as installed

    try:
        return installed("citewell")
    except PackageNotFoundError:
        return "(not installed)"


def printable(text: str) -> str:
    r"""Remove what could steer a terminal: papers and models are not trusted to print escape sequences.

    Example:
        >>> printable("a\x1b[2Jb")
        'a[2Jb'
    """
    return strip_invisible(text).replace("\r", "")  # which would let a line be written over


def text_width() -> int:
    """Return the columns to wrap text at: those of the terminal, at most 100; 0 (do not wrap) for a pipe."""
    return min(shutil.get_terminal_size().columns, 100) if sys.stdout.isatty() else 0


def say(text: str = "") -> None:
    """Print a result."""
    typer.echo(printable(text))


def note(text: str) -> None:
    """Print something beside the result, to stderr."""
    typer.echo(printable(text), err=True)


def fail(message: str, code: int = 1) -> int:
    """Print an error as one line to stderr; return the exit code given."""
    note("Error: " + " ".join(message.split()))
    return code


def emit(value: Any) -> None:
    """Print a value as one JSON document. What :func:`printable` removes is escaped here: nothing is lost."""
    readable = (sys.stdout.encoding or "").lower().startswith("utf")
    document = json.dumps(value, ensure_ascii=not readable, indent=2)
    typer.echo(re.sub(r"[^\x20-\x7e\n]", lambda c: c[0] if printable(c[0]) else json.dumps(c[0])[1:-1], document))


@contextmanager
def progress_bar(start: str) -> "Iterator[ProgressCallback]":
    """Show a bar on stderr while something is counted; without a terminal, one line when it begins."""
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        ProgressColumn,
        Task,
        TextColumn,
        TimeRemainingColumn,
    )
    from rich.text import Text

    class SpeedColumn(ProgressColumn):
        def render(self, task: Task) -> Text:
            return Text(f"{task.speed:,.0f}/s" if task.speed else "")

    console = Console(stderr=True)
    if not console.is_terminal:
        note(start)
        yield lambda done, total, message: None
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        SpeedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(escape(start), total=None)

        def update(done: int, total: int | None, message: str) -> None:
            bar.update(task, completed=done, total=total, description=escape(printable(message or start)))

        yield update


@contextmanager
def late_progress_bar() -> "Iterator[ProgressCallback]":
    """Show a bar from the moment something is told, for what usually takes no time."""
    with ExitStack() as stack:
        shown: list[ProgressCallback] = []

        def update(done: int, total: int | None, message: str) -> None:
            if not shown:
                shown.append(stack.enter_context(progress_bar(message)))
            shown[0](done, total, message)

        yield update


class StatusLine:
    """One line on stderr that says what is going on and goes away; nothing without a terminal."""

    def __init__(self) -> None:
        self._shown = False

    def show(self, message: str) -> None:
        """Replace the line."""
        if sys.stderr.isatty():
            # One that is wider than the terminal would take two lines, of which only the last could be taken away.
            room = max(1, shutil.get_terminal_size().columns - 3)
            sys.stderr.write(f"\r\x1b[K{printable(message)[:room]} …")
            sys.stderr.flush()
            self._shown = True

    def clear(self) -> None:
        """Take the line away."""
        if self._shown:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
            self._shown = False
