"""A conversation in the terminal: streaming, slash commands, stopping."""

import signal
from contextlib import contextmanager
from pathlib import Path

import pytest
from typer.testing import CliRunner

from index.errors import GenerationError
from index.paper import Paper
from rag.answer import Answer, AnswerSentence, Citation, Source
from rag.events import CancelToken, Done, Sentence, Sources, Status, Token
from ui.cli import chat
from ui.cli.app import app
from ui.cli.interrupt import interrupt_cancels

PAPER = Paper(id="p1", title="On Mixers", abstract="Mixers are slow. Mixers are heavy.")
SOURCE = Source(PAPER, 1, 2.0, 0.5, 0.5, 0.5, 1, 1, marker=1)


def sentence(quote, label=""):
    start = PAPER.abstract.index(quote)
    return AnswerSentence(quote, 0.9, (Citation(1, "p1", quote, start, start + len(quote), 0.9),), label)


class ScriptedSession:
    """A conversation that gives the same two sentences to each question, or fails when told to."""

    def __init__(self):
        self.answers = ()
        self.questions = []

    def stream(self, question, where=None, cancel=None):
        self.questions.append(question)
        if question == "fail":
            raise GenerationError("The model is tired.")
        if question == "too long":
            raise ValueError("The question is too long.")
        said = (sentence("Mixers are slow."), sentence("Mixers are heavy."))
        if question == "refuse":
            answer = Answer(question, "refused", nearest=(PAPER,), reason="Too far.")
        else:
            answer = Answer(question, "answered", said, (SOURCE,))
        yield Status("search", "Searching")
        yield Sources((SOURCE,))
        for index, settled in enumerate(answer.sentences):
            yield Token("unsettled")
            yield Sentence(index, settled)
        self.answers = (*self.answers, answer)
        yield Done(answer)

    def save(self, path):
        Path(path).write_text("saved")


class OpenCollection:
    answerer = "evidence reader (no language model)"

    def __init__(self, session):
        self.session = session

    def chat(self):
        return self.session

    def __len__(self):
        return 1


@pytest.fixture
def session(monkeypatch):
    session = ScriptedSession()

    @contextmanager
    def collection(settings, *, create=False):
        yield OpenCollection(session)

    monkeypatch.setattr(chat, "collection", collection)
    return session


def talk(*lines):
    return CliRunner().invoke(app, ["chat"], input="".join(f"{line}\n" for line in lines))


def test_each_line_of_a_pipe_is_a_question(session):
    result = talk("first", "", "second")
    assert result.exit_code == 0
    assert session.questions == ["first", "second"]
    assert result.stdout == "Mixers are slow [1]. Mixers are heavy [1].\n\nSources:\n[1] On Mixers. <p1>\n\n" * 2


def test_quit_leaves(session):
    assert talk("first", "/quit", "second").exit_code == 0
    assert session.questions == ["first"]


def test_unsettled_text_is_not_shown(session):
    assert "unsettled" not in talk("first").stdout


def test_a_refusal_shows_the_nearest_papers(session):
    result = talk("refuse")
    assert result.exit_code == 0
    assert result.stdout == (
        "The papers in this collection do not answer this. Too far.\n\nNearest papers:\n- On Mixers. <p1>\n\n"
    )


def test_sources_shows_the_quotes_of_the_last_answer(session):
    assert "“Mixers are slow.”" in talk("first", "/sources").stdout
    assert "The last answer cites nothing." in talk("refuse", "/sources").stdout


def test_save_writes_json_or_markdown(session):
    assert talk("first", "/save talk.json", "/save talk.md").exit_code == 0
    assert Path("talk.json").read_text() == "saved"
    assert Path("talk.md").read_text().startswith("## first\n\nMixers are slow")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("fail", "Error: The model is tired."),
        ("too long", "Error: The question is too long."),
        ("/sources", "Error: There is no answer yet."),
        ("/save", "Error: Name a file"),
        ("/save no/such/folder.json", "Error: no/such/folder.json: No such file or directory."),
        ("/sauce", "Error: There is no command /sauce."),
    ],
)
def test_a_turn_that_fails_does_not_end_the_conversation(session, line, message):
    result = talk(line, "second")
    assert result.exit_code == 1  # a script can tell
    assert message in result.stderr
    assert session.questions[-1] == "second"


def test_help_names_every_command(session):
    text = talk("/help").stdout
    assert all(name in text for name in chat._COMMANDS if name != "/help")
    assert "/quit" in text


def test_the_first_interrupt_stops_the_answer_and_the_second_the_program():
    token = CancelToken()
    before = signal.getsignal(signal.SIGINT)
    with interrupt_cancels(token):
        signal.raise_signal(signal.SIGINT)
        assert token.cancelled
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before
