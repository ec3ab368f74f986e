"""What is guessed of a conversation: which topic, whether a question leaves it out, and what is left alone."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval.standalone import standalone


def after(*questions):
    return [{"role": "user", "content": question} for question in questions]


CANCER = "What is throat cancer?"
messages = st.lists(
    st.fixed_dictionaries({"role": st.sampled_from(["user", "assistant"]), "content": st.text(max_size=60)}), max_size=5
)
# Text of any letters seldom looks like a question; this does.
asked = st.text(max_size=60) | st.lists(
    st.sampled_from(
        "What is are the of it its they them about and roles Lewis and Clark cancer main types ? , '".split()
    ),
    max_size=12,
).map(" ".join)


@pytest.mark.parametrize(
    ("history", "question", "expected"),
    [
        ([CANCER], "Is it treatable?", "Is throat cancer treatable?"),
        ([CANCER], "What are its symptoms?", "What are throat cancer's symptoms?"),
        (["What are mammals?"], "What are their key characteristics?", "What are mammals' key characteristics?"),
        ([CANCER, "Is it treatable?"], "What causes it?", "What causes throat cancer?"),
        ([CANCER, "Tell me about lung cancer."], "Can it spread?", "Can lung cancer spread?"),
        ([CANCER], "What are the symptoms?", "What are the symptoms (throat cancer)?"),
        ([CANCER], "What about for children?", "What about for children (throat cancer)?"),
        ([CANCER], "why", "why (throat cancer)"),
        (["Tell me about the history of toilets."], "How many types are there?", "How many types are there (toilets)?"),
        (["Is Docker fast?", "What about Podman?"], "Who made it?", "Who made Podman?"),
        (["Who were Lewis and Clark?"], "What did they discover?", "What did Lewis and Clark discover?"),
        (["What are the advantages of a 529 plan?", "Who sells plans?"], "Is it safe?", "Is 529 plan safe?"),
    ],
)
def test_the_topic_takes_the_place_of_a_pronoun_or_is_added(history, question, expected):
    assert standalone(question, after(*history)) == expected


@pytest.mark.parametrize(
    "question",
    [
        "Tell me about lung cancer.",
        "What causes throat cancer?",
        "What is the Galileo system and why is it important?",  # the pronoun stands for something in the question
        "If you do not eat meat, is it bad for you?",
        "How do measles spread?",
        "What does it mean to be a vegan?",
        "Why do transformers need so much memory?",
    ],
)
def test_a_question_that_stands_alone_is_left_alone(question):
    assert standalone(question, after(CANCER)) == question


def test_two_things_in_play_are_both_carried_over():
    history = after("What is the difference between soup and stew?")
    assert standalone("Which one is better?", history) == "Which one is better (soup, stew)?"
    assert standalone("How do they taste?", history) == "How do soup and stew taste?"
    assert standalone("Who invented it?", history) == "Who invented soup (stew)?"


def test_the_name_an_answer_opens_with_is_what_it_is():
    history = [
        {"role": "user", "content": "is there a method for registering lidar scans, no RANSAC"},
        {"role": "assistant", "content": "Yes, RegFormer is a transformer network [1]."},
    ]
    assert standalone("does it scale?", history) == "does RegFormer scale?"
    history[1]["content"] = "The network needs no post-processing [1]."
    assert standalone("does it scale?", history) != "does RegFormer scale?"


@given(asked)
def test_without_a_conversation_nothing_changes(question):
    assert standalone(question, []) == question


@given(asked, messages | st.lists(asked, max_size=5).map(lambda texts: after(*texts)))
def test_it_never_fails_and_is_the_same_each_time(question, history):
    text = standalone(question, history)
    assert text == standalone(question, history)
    # Nothing of the question is lost but one pronoun.
    words, kept = re.findall(r"\w+", question), re.findall(r"\w+", text)
    assert sum(word not in kept for word in words) <= 2 + sum(words.count(word) > 1 for word in words)
