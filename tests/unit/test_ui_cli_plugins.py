"""Commands from other packages: found by entry point, loaded when called."""

import sys
from importlib.metadata import EntryPoint

import pytest
import typer
from typer.testing import CliRunner

from index.errors import CitewellError
from ui.cli import plugins

PLUGIN = '''
import typer

app = typer.Typer()

@app.callback()
def group() -> None:
    """Measure things."""

@app.command()
def count(word: str, twice: bool = False) -> None:
    """Count letters."""
    if word == "bad":
        raise typer.Exit(3)
    if word == "odd":
        raise typer.BadParameter("odd word")
    typer.echo(len(word) * (2 if twice else 1))
'''


@pytest.fixture
def app(monkeypatch, tmp_path):
    (tmp_path / "citewell_test_plugin.py").write_text(PLUGIN)
    monkeypatch.syspath_prepend(str(tmp_path))
    found = [
        EntryPoint("measure", "citewell_test_plugin:app", plugins.GROUP),
        EntryPoint("broken", "citewell_no_such_module:app", plugins.GROUP),
    ]
    monkeypatch.setattr(plugins, "entry_points", lambda group: found if group == plugins.GROUP else [])
    app = typer.Typer(rich_markup_mode=None)
    plugins.add_plugins(app)
    yield app
    sys.modules.pop("citewell_test_plugin", None)


def test_help_lists_the_command_without_loading_it(app):
    result = CliRunner().invoke(app, ["--help"])
    assert "measure" in result.stdout
    assert "citewell_test_plugin" not in sys.modules


def test_arguments_and_options_are_handed_on(app):
    assert CliRunner().invoke(app, ["measure", "count", "--twice", "abc"]).stdout == "6\n"


def test_help_of_the_command_is_its_own(app):
    assert "Count letters." in CliRunner().invoke(app, ["measure", "count", "--help"]).stdout
    assert "citewell measure" in CliRunner().invoke(app, ["measure", "--help"]).stdout


@pytest.mark.parametrize(("word", "code"), [("bad", 3), ("odd", 2), ("good", 0)])
def test_exit_codes_come_through(app, word, code):
    assert CliRunner().invoke(app, ["measure", "count", word]).exit_code == code


def test_a_broken_command_breaks_only_itself(app):
    result = CliRunner().invoke(app, ["broken"])
    assert isinstance(result.exception, CitewellError)
    assert "The command broken cannot be loaded" in str(result.exception)
