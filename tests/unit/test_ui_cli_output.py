"""What goes to which stream, and what never reaches a terminal."""

import io
import json
import sys

import pytest

from ui.cli.output import StatusLine, emit, fail, note, printable, progress_bar, say, text_width


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain [1] text\n\tnext", "plain [1] text\n\tnext"),
        ("a\x1b[2Jb", "a[2Jb"),
        ("a\x9b31mb", "a31mb"),
        ("shown\rhidden", "shownhidden"),
        ("abc\u202efdp.exe", "abcfdp.exe"),
        ("naïve 🙂 日本語", "naïve 🙂 日本語"),
        ("a\u2066b\u2069c\u061cd\U000e0041e", "abcde"),
    ],
)
def test_control_characters_do_not_reach_the_terminal(text, expected):
    assert printable(text) == expected


def test_results_and_notes_go_to_different_streams(capsys):
    say("result")
    note("note")
    assert capsys.readouterr() == ("result\n", "note\n")


def test_an_error_is_one_line(capsys):
    assert fail("first\nsecond   third", code=2) == 2
    assert capsys.readouterr() == ("", "Error: first second third\n")


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_json_is_readable_whatever_the_terminal_can_show(monkeypatch, encoding):
    buffer = io.BytesIO()
    stream = io.TextIOWrapper(buffer, encoding=encoding)
    monkeypatch.setattr(sys, "stdout", stream)
    emit({"title": "naïve “quote”"})
    stream.flush()
    assert json.loads(buffer.getvalue().decode(encoding)) == {"title": "naïve “quote”"}


def test_a_pipe_is_not_wrapped(capsys):
    assert text_width() == 0


def test_progress_without_a_terminal_is_one_line(capsys):
    with progress_bar("Reading refs.bib") as progress:
        progress(1, 10, "")
        progress(10, 10, "")
    assert capsys.readouterr() == ("", "Reading refs.bib\n")


def test_the_status_line_needs_a_terminal_and_clears_itself(monkeypatch):
    pipe, terminal = io.StringIO(), Terminal()
    for stream in (pipe, terminal):
        monkeypatch.setattr(sys, "stderr", stream)
        line = StatusLine()
        line.clear()
        line.show("Searching\x1b[2J")
        line.clear()
    assert pipe.getvalue() == ""
    assert terminal.getvalue() == "\r\x1b[KSearching[2J …\r\x1b[K"


def test_a_status_wider_than_the_terminal_is_cut(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("COLUMNS", "20")
    StatusLine().show("Loading /a/very/long/path/to/a/model")
    assert terminal.getvalue() == "\r\x1b[KLoading /a/very/l …"


def test_json_escapes_what_could_steer_a_terminal_and_loses_nothing(monkeypatch):
    buffer = io.BytesIO()
    stream = io.TextIOWrapper(buffer, encoding="utf-8")
    monkeypatch.setattr(sys, "stdout", stream)
    value = {"naïve": "\x1b[2J \x7f \x9b31m \u202e \u2066 \u061c \u200b \U000e0041 \ud800 日本語 🙂 \t\r\n"}
    emit(value)
    stream.flush()
    text = buffer.getvalue().decode()
    assert json.loads(text) == value
    assert "\\u009b31m \\u202e \\u2066 \\u061c" in text
    assert "naïve" in text
    assert "日本語 🙂" in text
    assert printable(text) == text
