"""Follow-up questions get what they leave out, and nothing else is changed."""

import pytest

from rag.followup import stand_alone

HISTORY = [
    {"role": "user", "content": "what is wavtokenizer?"},
    {"role": "assistant", "content": "WavTokenizer is a discrete codec [1]. It compresses audio [1][2]."},
]


def test_without_history_a_question_stands_alone() -> None:
    wanted = stand_alone("How fast is it?", [])
    assert wanted.text == "How fast is it?"
    assert wanted.wordings("How fast is it?") == [("How fast is it?", 1.0)]


def test_a_follow_up_carries_the_last_exchange_without_markers() -> None:
    wanted = stand_alone("how many tokens does it need?", HISTORY)
    assert wanted.depends
    assert wanted.text == (
        "how many tokens does it need? what is wavtokenizer? "
        "WavTokenizer is a discrete codec. It compresses audio."
    )  # fmt: skip


@pytest.mark.parametrize("question", ["and for training?", "which datasets did they test it on", "speed?"])
def test_what_points_back_depends_on_the_history(question: str) -> None:
    assert stand_alone(question, HISTORY).depends


def test_a_new_topic_is_searched_mostly_by_itself() -> None:
    question = "Which paper removes token mixers from a vision backbone?"
    (own, weight), (_, rest) = stand_alone(question, HISTORY).wordings(question)
    assert own == question
    assert weight > rest
    assert weight + rest == 1


def test_asking_for_another_paper_is_noticed() -> None:
    assert stand_alone("is there a paper that goes the opposite way with such agents?", HISTORY).wants_another
    assert not stand_alone("how many tokens does it need?", HISTORY).wants_another


def test_a_long_answer_does_not_push_the_question_out_of_the_window() -> None:
    long = [*HISTORY[:1], {"role": "assistant", "content": "word " * 5000}]
    assert len(stand_alone("how fast is it?", long).text.split()) <= 130
