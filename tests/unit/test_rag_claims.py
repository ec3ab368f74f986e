"""What a statement commits itself to, and when a quote does not bear it out."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rag.claims import contradiction, names, negation, numbers, opposites, turned_round, units


def against(statement, quoted):
    return contradiction(statement, quoted, mentioned=lambda name: name.lower() in quoted.lower())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("It has 1,000 layers.", {"1,000": "1000"}),
        ("from 3.5 to 12,5", {"3.5": "3.5", "12,5": "12,5"}),
        ("Two of the seven sets", {"Two": "2", "seven": "7"}),
        ("one model is enough", {"one": "1"}),
        ("one of them, and one can see, no one, this one", {}),
        ("one another", {}),
        ("nothing", {}),
    ],
)
def test_numbers(text, expected):
    assert numbers(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("We train BERT on ImageNet", ["BERT", "ImageNet"]),
        ("GPT-4 and ResNet50 win", ["GPT", "ResNet50"]),  # the 4 is judged as a number
        ("Models by Adam are used", ["Adam"]),
        ("The model is small", []),
    ],
)
def test_names(text, expected):
    assert list(dict.fromkeys(names(text))) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("It does not help", "not"),
        ("Not only fast but small", ""),
        ("It can't help", "n't"),
        ("It fails to converge", "fails to"),
        ("See no. 5", ""),
        ("Without labels", "Without"),
        ("It helps", ""),
    ],
)
def test_negation(text, expected):
    assert negation(text) == expected


def test_opposites():
    assert "lower" in opposites("Higher")
    assert "higher" in opposites("lower")
    assert opposites("graph") == []


@pytest.mark.parametrize(
    ("statement", "sentence", "expected"),
    [
        ("higher accuracy", "lower accuracy", "higher"),
        ("higher accuracy", "accuracy", ""),
        ("higher accuracy", "a higher accuracy at lower cost", ""),
        ("with labels", "without labels", "with"),
        ("Before training", "after training", "before"),
    ],
)
def test_turned_round(statement, sentence, expected):
    assert turned_round(statement, sentence) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("It takes 5 msec and 10%.", {"5": {"ms"}, "10": {"%"}}),
        ("by 10 percent", {"10": {"%"}}),
        ("by 2 percentage points", {"2": {"point"}}),
        ("2x faster, 3 times smaller", {"2": {"times"}, "3": {"times"}}),
        ("1,000 images and 12 layers", {"1000": {"image"}, "12": {"layer"}}),
        ("5 GB", {"5": {"gb"}}),
        ("7 dwarfs", {}),
    ],
)
def test_units(text, expected):
    assert units(text) == expected


@pytest.mark.parametrize(
    ("statement", "quoted", "expected"),
    [
        ("It takes 5 steps.", "Five steps are taken.", ""),
        ("It takes 6 steps.", "Five steps are taken.", "does not give the number 6"),
        ("It takes 5 ms.", "It takes 5 msec on a phone.", ""),
        ("It takes 5 s.", "It takes 5 ms.", "gives 5 in ms, not in s"),
        ("The model is BERT.", "We use BERT.", ""),
        ("The model is GPT.", "We use BERT.", "does not mention GPT"),
        ("It does not help.", "It never helps.", ""),
        ("It does not help.", "It helps.", "says “not”, and the nearest sentence has no negation"),
        ("It helps.", "It does not help.", "nearest sentence says “not”, and it has no negation"),
        ("Accuracy is higher.", "It has the greater accuracy.", ""),
        ("Accuracy is not higher.", "It never has the lower accuracy.", ""),  # two negations: not compared
        ("Accuracy is higher.", "It has the lower accuracy.", "says “higher”, and the nearest sentence says the opp"),
    ],
)
def test_each_rule_passes_and_fails(statement, quoted, expected):
    found = against(statement, quoted)
    assert expected in found
    assert bool(expected) == bool(found)


PIECES = st.sampled_from(
    "It higher lower not no never one 1 3.5 1,000 ms % 5 BERT ImageNet GPT-4 Adam with without , . ( can't two".split()
)


@settings(deadline=None)
@given(st.lists(PIECES, max_size=12).map(" ".join) | st.text(max_size=60))
def test_a_sentence_never_contradicts_itself(sentence):
    assert against(sentence, sentence) == ""
