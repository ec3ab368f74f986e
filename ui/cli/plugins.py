"""Add commands that live in other packages, found by entry point. Imports none of them until they are called.

``citewell eval`` belongs to the package ``eval``, and ``ui`` and ``eval`` must not import each other. So
``pyproject.toml`` names it in the entry point group ``citewell.commands`` (``eval = "eval.cli:app"``), and
only that name is known here. Any installed package can add a command in the same way: a typer app.
"""

from collections.abc import Callable
from importlib.metadata import EntryPoint, entry_points

import typer

from index.errors import CitewellError

GROUP = "citewell.commands"


def add_plugins(app: typer.Typer) -> None:
    """Add one command per entry point; it hands its arguments on, ``--help`` included."""
    for entry in sorted(entry_points(group=GROUP), key=lambda entry: entry.name):
        app.command(
            entry.name,
            help=f"Commands of the package {entry.module.partition('.')[0]}: see citewell {entry.name} --help.",
            add_help_option=False,
            context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
        )(_forward(entry))


def _forward(entry: EntryPoint) -> Callable[[typer.Context], None]:
    def command(ctx: typer.Context) -> None:
        try:
            plugin = entry.load()
        except (ImportError, AttributeError) as exc:
            raise CitewellError(f"The command {entry.name} cannot be loaded ({exc}). Install citewell again.") from exc
        # Not stand-alone: errors reach main(), so that they look alike in every command.
        code = plugin(args=ctx.args, prog_name=f"citewell {entry.name}", standalone_mode=False)
        if isinstance(code, int) and code:
            raise typer.Exit(code)

    return command
