"""Put the commands together and turn what goes wrong into one line and an exit code. Does no command's work.

Exit codes: 0 done (a refused question is an answer too), 1 something is wrong with a file, an index or a
model, 2 the command was given something it cannot use, 130 stopped with Ctrl-C.
"""

import contextlib
import os
import sys
from pathlib import Path
from typing import Annotated, TextIO

import typer

from index.errors import CitewellError

from . import ask, chat, export, inspect, library, models, reindex, web
from .output import fail, version
from .plugins import add_plugins

app = typer.Typer(
    name="citewell",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,  # errors are one line, see main()
    rich_markup_mode=None,  # "[1]" and "[--json]" are text here, and plain help starts faster
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"citewell {version()}")
        raise typer.Exit


@app.callback()
def citewell(
    config: Annotated[
        Path | None, typer.Option(help="Settings file.  [default: citewell.toml if there is one]", metavar="FILE")
    ] = None,
    debug: Annotated[bool, typer.Option("--debug", help="Show the full traceback of an error.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Ask questions of a collection of paper abstracts; every sentence of an answer cites its source."""
    # The variables are the way both settings reach commands that other packages plug in.
    if config is not None:
        os.environ["CITEWELL_CONFIG"] = str(config)
    if debug:
        os.environ["CITEWELL_DEBUG"] = "1"


for _module in (library, export, ask, chat, web, inspect, reindex, models):
    _module.register(app)
add_plugins(app)


def main() -> None:
    """Run ``citewell`` with the arguments of the process, and exit."""
    for stream in (sys.stdin, sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a letter the terminal cannot show, or a byte that is none, stops nothing
            stream.reconfigure(errors="replace")
    try:
        try:
            app(prog_name="citewell")
        finally:
            sys.stdout.flush()
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:  # the reader of our output, such as `head`, has seen enough
        _silence(sys.stdout)
        sys.exit(1)
    except Exception as exc:
        if os.environ.get("CITEWELL_DEBUG", "0") not in ("", "0"):
            raise
        sys.exit(_explain(exc))


def _explain(exc: Exception) -> int:
    """Print one line about an error; return the exit code."""
    if isinstance(exc, CitewellError):
        return fail(str(exc))
    if isinstance(exc, ValueError):
        return fail(str(exc), code=2)
    if isinstance(exc, OSError) and exc.strerror:
        where = f"{exc.filename}: " if exc.filename else ""
        return fail(f"{where}{exc.strerror}.")
    return fail(f"Unexpected {type(exc).__name__}: {exc}. `citewell --debug …` shows where it happened.")


def _silence(stream: TextIO) -> None:
    """Let nothing more be written, so that Python's own flush at exit does not complain."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
