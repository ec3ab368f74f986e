"""The conversation without a browser: views per event, stopping, failures as text."""

import logging
from collections.abc import Callable, Iterator

import pytest

from index.errors import GenerationError
from index.paper import Paper
from rag.answer import Answer, AnswerSentence, Citation, DroppedSentence, Source
from rag.events import CancelToken, Done, Dropped, Event, Sentence, Sources, Status, Token
from ui.web.chat import WENT_WRONG, Session, View, advance, respond
from ui.web.turn import Turn

PAPER = Paper(id="title:1", title="RIFormer", abstract="We remove token mixers.")
SOURCES = (Source(PAPER, 1, 1.0, 0.7, 0.8, 0.5, 1, 1),)
SENTENCE = AnswerSentence("It removes them.", 0.9, (Citation(1, PAPER.id, PAPER.abstract, 0, 23, 0.9),))

Script = Callable[[str, CancelToken], Iterator[Event]]


def normal(question: str, cancel: CancelToken) -> Iterator[Event]:
    yield Status("retrieval", "Searching…")
    yield Sources(SOURCES)
    yield Token("It rem")
    if cancel.cancelled:
        yield Done(Answer(question, "partial", (), SOURCES, reason="Stopped."))
        return
    yield Sentence(0, SENTENCE)
    yield Done(Answer(question, "answered", (SENTENCE,), SOURCES))


class ScriptedQA:
    """Answers by a script and remembers what it was asked and with which token."""

    answerer = "script"

    def __init__(self, script: Script = normal) -> None:
        self.script = script
        self.chats = 0
        self.asked: list[str] = []
        self.filters: list[str | None] = []
        self.tokens: list[CancelToken] = []
        self.closed = 0
        self.answers: tuple[Answer, ...] = ()

    def __len__(self) -> int:
        return 1

    def ask(self, question: str, *, where: str | None = None) -> Answer:
        raise NotImplementedError(question)

    def chat(self) -> "ScriptedQA":
        self.chats += 1
        return self

    def stream(self, question: str, where: str | None = None, *, cancel: CancelToken | None = None) -> Iterator[Event]:
        assert cancel is not None
        self.filters.append(where)
        self.asked.append(question)
        self.tokens.append(cancel)
        try:
            for event in self.script(question, cancel):
                if isinstance(event, Done):
                    self.answers = (*self.answers, event.answer)
                yield event
        finally:
            self.closed += 1

    def example_questions(self, n: int = 4) -> list[str]:
        return []


def failing(error: Exception) -> Script:
    def script(question: str, cancel: CancelToken) -> Iterator[Event]:
        yield Status("retrieval", "Searching…")
        raise error

    return script


def last(views: Iterator[View]) -> View:
    return list(views)[-1]


def test_the_question_comes_first_then_sources_then_text_then_sentences() -> None:
    session = Session()
    views = list(respond(ScriptedQA(), "Which?", session))
    first, searching, found, drafted, settled, done = views
    assert "Which?" in first.conversation[0]
    assert "Searching…" in searching.conversation[0]
    assert "RIFormer" in found.sources[0]
    assert "cw-draft" in drafted.conversation[0]
    assert "cw-marker" in settled.conversation[0]
    assert "<mark" in settled.sources[0]
    assert [view.busy for view in views] == [True, True, True, True, True, False]
    assert "cw-draft" not in done.conversation[0]
    assert session.running is None


def test_a_dropped_sentence_takes_its_draft_away_and_is_counted_at_once() -> None:
    dropped = DroppedSentence("It cures.", "no abstract says so", 0.1)
    turn = advance(advance(Turn(1, "?"), Token("It cures.")), Dropped(dropped))
    assert (turn.draft, turn.dropped, turn.live) == ("", (dropped,), True)
    assert advance(turn, Done(Answer("?", "answered", (SENTENCE,), dropped=(dropped,)))).dropped == (dropped,)


def test_which_citations_were_corrected_is_known_to_the_end() -> None:
    turn = advance(advance(Turn(1, "?"), Sentence(0, SENTENCE)), Sentence(1, SENTENCE, "corrected"))
    turn = advance(turn, Done(Answer("?", "answered", (SENTENCE, SENTENCE))))
    assert turn.corrected == {1}


def test_a_stage_takes_the_place_of_the_one_before() -> None:
    turn = Turn(1, "?")
    for message in ("Waiting for it: 2 answers go first", "Waiting for it: 1 answer goes first", "It is writing"):
        turn = advance(turn, Status("any", message))
        assert turn.progress == message


def test_sources_may_come_twice() -> None:
    turn = advance(advance(Turn(1, "?"), Sources(SOURCES)), Sources(()))
    assert turn.sources == ()


def test_a_session_has_one_chat_and_keeps_its_turns() -> None:
    qa, session = ScriptedQA(), Session()
    last(respond(qa, "One?", session))
    view = last(respond(qa, "Two?", session))
    assert (qa.chats, qa.asked) == (1, ["One?", "Two?"])
    assert len(view.conversation) == len(view.sources) == 2
    assert "cw-turn-2" in view.conversation[1]


def test_sessions_share_nothing() -> None:
    qa = ScriptedQA()
    last(respond(qa, "One?", Session()))
    assert len(last(respond(qa, "Two?", Session())).conversation) == 1
    assert qa.chats == 2


@pytest.mark.parametrize("question", ["", "  \n\t "])
def test_a_blank_question_changes_nothing(question: str) -> None:
    qa, session = ScriptedQA(), Session()
    assert list(respond(qa, question, session)) == [View([], [], busy=False)]
    assert (qa.chats, session.turns) == (0, [])


def test_stop_ends_with_what_is_settled() -> None:
    session = Session()
    views = respond(ScriptedQA(), "Which?", session)
    for _ in range(4):
        next(views)
    session.stop()
    view = last(views)
    assert "Stopped." in view.conversation[0]
    assert not view.busy


def test_nothing_is_shown_after_the_visitor_left() -> None:
    qa, session = ScriptedQA(), Session()
    views = respond(qa, "Which?", session)
    next(views)
    session.leave(timeout_s=0)
    assert list(views) == []
    assert qa.tokens[0].cancelled
    assert session.running is None


def test_stop_without_an_answer_does_nothing() -> None:
    Session().stop()


def test_a_visitor_who_leaves_stops_the_answer() -> None:
    qa, session = ScriptedQA(), Session()
    views = respond(qa, "Which?", session)
    for _ in range(3):
        next(views)
    views.close()  # type: ignore[attr-defined]
    assert qa.tokens[0].cancelled
    assert qa.closed == 1
    assert session.running is None
    assert not session.turns[0].live


def test_a_question_during_an_answer_is_left_out() -> None:
    qa, session = ScriptedQA(), Session()
    views = respond(qa, "One?", session)
    next(views)
    next(views)
    assert len(last(respond(qa, "Two?", session)).conversation) == 1
    assert "cw-marker" in last(views).conversation[0]
    assert qa.asked == ["One?"]


@pytest.mark.parametrize("error", [GenerationError("The model ran out of memory."), ValueError("k is 0 <b>")])
def test_expected_failures_are_shown_in_their_own_words(error: Exception) -> None:
    view = last(respond(ScriptedQA(failing(error)), "Which?", Session()))
    assert str(error).replace("<b>", "&lt;b&gt;") in view.conversation[0]
    assert not view.busy


def test_a_question_that_is_turned_down_is_given_back() -> None:
    def too_long(question: str, cancel: CancelToken) -> Iterator[Event]:
        raise ValueError("The question is too long.")
        yield

    first, refused = respond(ScriptedQA(too_long), " Which? ", Session())
    assert (first.unread, refused.unread) == ("", " Which? ")


def test_a_question_that_was_read_is_not_given_back() -> None:
    views = list(respond(ScriptedQA(failing(ValueError("no"))), "Which?", Session()))
    assert [view.unread for view in views] == ["", "", ""]


def test_other_failures_are_logged_and_not_shown(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR, "ui.web.chat"):
        view = last(respond(ScriptedQA(failing(KeyError("secret"))), "Which?", Session()))
    assert WENT_WRONG in view.conversation[0]
    assert "secret" not in view.conversation[0]
    assert "secret" in caplog.text


def test_a_conversation_goes_on_after_a_failure() -> None:
    qa, session = ScriptedQA(failing(KeyError("secret"))), Session()
    last(respond(qa, "One?", session))
    qa.script = normal
    assert "cw-marker" in last(respond(qa, "Two?", session)).conversation[1]


def test_a_question_taken_back_is_forgotten_and_can_be_asked_again() -> None:
    qa, session = ScriptedQA(), Session()
    last(respond(qa, "One?", session))
    last(respond(qa, "Two?", session))
    view = last(respond(qa, session.take_back(), session))
    assert len(view.conversation) == 2
    assert qa.asked == ["One?", "Two?", "Two?"]
    assert [answer.question for answer in qa.answers] == ["One?", "Two?"]


def test_taking_back_a_failure_leaves_the_answers_alone() -> None:
    qa, session = ScriptedQA(), Session()
    last(respond(qa, "One?", session))
    qa.script = failing(ValueError("no"))
    last(respond(qa, "Two?", session))
    assert session.take_back() == "Two?"
    assert [answer.question for answer in qa.answers] == ["One?"]


def test_nothing_is_taken_back_from_an_empty_or_running_conversation() -> None:
    session = Session()
    assert session.take_back() == ""
    views = respond(ScriptedQA(), "One?", session)
    next(views)
    assert session.take_back() == ""


def test_a_filter_goes_with_the_question_and_is_shown_with_it() -> None:
    qa, session = ScriptedQA(), Session()
    view = last(respond(qa, "One?", session, " year>=2020 author:<b> "))
    last(respond(qa, "Two?", session))
    assert qa.filters == ["year>=2020 author:<b>", None]
    assert "Only papers with <code>year&gt;=2020 author:&lt;b&gt;</code>" in view.conversation[0]
