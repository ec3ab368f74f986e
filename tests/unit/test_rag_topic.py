"""A topic is put into a question: in the place of a pronoun, or at the end."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.noun_phrases import noun_phrases
from rag.topic import open_pronoun, with_topic

asked = st.text(max_size=60) | st.lists(
    st.sampled_from(
        "What is are the of it its they them about and roles Lewis and Clark cancer main types ? , '".split()
    ),
    max_size=12,
).map(" ".join)


def test_a_given_topic_is_put_in():
    assert with_topic("how does it compare to Glider?", ["RIFormer"]) == "how does RIFormer compare to Glider?"
    assert with_topic("tell me more", ["RIFormer"]) == "tell me more (RIFormer)"
    assert with_topic("Is RIFormer fast?", ["RIFormer"]) == "Is RIFormer fast?"


def test_a_long_topic_does_not_stand_in_the_place_of_a_pronoun():
    title = "A Machine Learning Approach That Beats Large Cubes"
    assert with_topic("is it fast?", [title]) == f"is it fast ({title})?"


@pytest.mark.parametrize(
    ("question", "topic", "expected"),
    [
        ("What are its symptoms?", ["throat cancer"], "What are throat cancer's symptoms?"),
        ("What are their habits?", ["mammals"], "What are mammals' habits?"),
        ("How do they taste?", ["soup", "stew"], "How do soup and stew taste?"),
        ("Who invented it?", ["soup", "stew"], "Who invented soup (stew)?"),
        ("Which one is better?", ["soup", "stew"], "Which one is better (soup, stew)?"),
        ("Is soup better?", ["soup", "stew"], "Is soup better (stew)?"),
        ("Is it good?", [], "Is it good?"),
        ("why", ["soup"], "why (soup)"),
    ],
)
def test_the_topic_takes_the_place_of_a_pronoun_or_is_added(question, topic, expected):
    assert with_topic(question, topic) == expected


@pytest.mark.parametrize(
    ("question", "pronoun"),
    [
        ("Is it treatable?", "it"),
        ("What is the Galileo system and why is it important?", None),  # it stands for something in the question
        ("Is there a cure?", None),
        ("Is it possible to swim?", None),
        ("What does that mean for them?", "does that"),
        ("What is the method that wins?", None),
    ],
)
def test_the_pronoun_that_stands_for_nothing_in_the_question(question, pronoun):
    found = open_pronoun(question)
    assert (found[0] if found else None) == pronoun


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("What are the most common types of throat cancer?", ["throat cancer"]),
        ("Who were Lewis and Clark?", ["Lewis and Clark"]),
        ("soup and stew", ["soup", "stew"]),
        ("How is it?", []),
        ("the advantages", []),  # a side of something, and not the thing
        ("The Earth's moon, the moon, the moon", ["Earth's moon", "moon"]),
    ],
)
def test_noun_phrases(text, expected):
    assert noun_phrases(text) == expected


@given(asked)
def test_nothing_of_the_question_is_lost_but_one_pronoun(question):
    text = with_topic(question, ["throat cancer"])
    words, kept = re.findall(r"\w+", question), re.findall(r"\w+", text)
    assert sum(word not in kept for word in words) <= 1 + sum(words.count(word) > 1 for word in words)
