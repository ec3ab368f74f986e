"""Exit codes and error lines of the command line, and what it hands to the settings."""

import os

import pytest
from typer.testing import CliRunner

from index.errors import ConfigError, IndexLockedError
from ui.cli import app as app_module
from ui.cli.app import app, main
from ui.cli.opening import read_settings


def run_main(monkeypatch, exc):
    def raising(**options):
        raise exc

    monkeypatch.setattr(app_module, "app", raising)
    with pytest.raises(SystemExit) as caught:
        main()
    return caught.value.code


@pytest.mark.parametrize(
    ("exc", "code", "message"),
    [
        (IndexLockedError("papers.idx is being written."), 1, "Error: papers.idx is being written.\n"),
        (ConfigError("two\nlines"), 1, "Error: two lines\n"),
        (ValueError("The question is empty."), 2, "Error: The question is empty.\n"),
        (PermissionError(13, "Permission denied", "papers.idx"), 1, "Error: papers.idx: Permission denied.\n"),
        (RuntimeError("odd"), 1, "Error: Unexpected RuntimeError: odd. `citewell --debug …` shows where"),
        (KeyboardInterrupt(), 130, ""),
        (BrokenPipeError(), 1, ""),
    ],
)
def test_exceptions_become_one_line_and_an_exit_code(monkeypatch, capsys, exc, code, message):
    monkeypatch.setattr(app_module, "_silence", lambda stream: None)
    assert run_main(monkeypatch, exc) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(message)
    assert err.count("\n") == bool(message)


def test_debug_shows_the_traceback(monkeypatch):
    monkeypatch.setenv("CITEWELL_DEBUG", "1")
    monkeypatch.setattr(app_module, "app", lambda **options: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        main()


def test_config_and_debug_are_the_same_as_their_variables(monkeypatch, tmp_path):
    for name in ("CITEWELL_CONFIG", "CITEWELL_DEBUG"):
        monkeypatch.setenv(name, "")  # so that they are put back after the test
    named = tmp_path / "named.toml"
    named.write_text("[ui]\nport = 1234\n")
    result = CliRunner().invoke(app, ["--config", str(named), "--debug", "config"])
    assert result.exit_code == 0
    assert f"ui.port = 1234  ({named})" in result.stdout
    assert os.environ["CITEWELL_DEBUG"] == "1"


def test_what_is_not_said_on_the_command_line_is_left_to_the_other_sources(monkeypatch, tmp_path):
    monkeypatch.setenv("CITEWELL_UI__PORT", "1234")
    settings = read_settings(index=tmp_path, host="::1")
    assert (settings.index.path, settings.ui.host, settings.ui.port) == (tmp_path, "::1", 1234)
    assert settings.answering.llm is None
