"""When a quote does not bear out a statement: every rule by worked cases, and what holds for any text."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rag.contradiction import contradiction
from rag.roles import swapped


def against(statement, quoted, own_name=""):
    known = f"{quoted} {own_name}".lower()
    return contradiction(statement, quoted, mentioned=lambda name: name.lower() in known, own_name=own_name)


def check(statement, quoted, expected, own_name=""):
    found = against(statement, quoted, own_name)
    assert expected in found
    assert bool(expected) == bool(found)


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
        ("It does not help.", "It helps.", "says “not”, and the nearest sentence does not deny that"),
        ("It does not help.", "It is there.", "says “not”, and the nearest sentence has no negation"),
        ("It helps.", "It does not help.", "nearest sentence says “not”, and it has no negation"),
        ("Accuracy is higher.", "It has the greater accuracy.", ""),
        ("Accuracy is not higher.", "It never has the lower accuracy.", ""),  # two negations: not compared
        ("Accuracy is higher.", "It has the lower accuracy.", "says “higher”, and the nearest sentence says the opp"),
        ("Code is at https://github.com/a/b.", "Code: github.com/a/b", ""),
        ("Code is at https://github.com/a.", "Code: https://github.com/a/b", "it has an address"),
        ("It helps, ask me@evil.example.", "It helps.", "it has an address that the nearest sentence does not have"),
        ("It helps <b>much</b>.", "It helps much.", "it has markup that the nearest sentence does not have"),
        ("The <mask> token helps.", "The <mask> token helps.", ""),
    ],
)
def test_each_rule_passes_and_fails(statement, quoted, expected):
    check(statement, quoted, expected)


# -- numbers and names ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("statement", "quoted", "expected"),
    [
        ("It is trained on CIFAR-10.", "We train on CIFAR-10.", ""),
        ("It is trained on CIFAR-100.", "We train on CIFAR-10.", "the number 100"),
        ("It is trained on CIFAR-100.", "We train on CIFAR-10/100.", ""),
        ("It runs on a P100.", "A P100 is used.", ""),
        ("It runs on a P40.", "A P100 is used.", "the number 40"),
        ("YOLOv5.1 is used.", "We use YOLOv5.1.", ""),
        ("It has GPT-4,5 now.", "It has GPT-4,5 now.", ""),
        ("It has 1,000 layers.", "It has 1000 layers.", ""),
        ("It has 1,000 layers.", "It has 100 layers.", "the number 1,000"),
        ("It takes one second.", "It is fast.", "the number one"),
        ("It takes One second.", "It is fast.", "the number One"),
        ("It takes one second.", "It takes a second.", ""),
        ("It reads 40 tokens in one second.", "It reads 40 tokens per second.", ""),
        ("It uses one model.", "It uses the model.", ""),  # no unit: "one" only stands for it
        ("It sees one as the other.", "It sees the other.", ""),
        ("It has two heads.", "It has the heads.", "the number two"),
        ("It is measured at Psi.", "It is measured at Ψ.", ""),
        ("It is measured at Psi.", "It is measured at ψ.", ""),
        ("It is measured at Psi.", "It is measured at Φ.", "does not mention Psi"),
        ("It beats the Transformer.", "It beats the RNN.", "does not mention Transformer"),
    ],
)
def test_numbers_and_names(statement, quoted, expected):
    check(statement, quoted, expected)


def test_a_name_of_the_paper_may_stand_outside_the_quote():
    assert contradiction("We use RIFormer.", "We use it.", mentioned=lambda name: name == "RIFormer") == ""


def test_the_number_in_a_name_of_the_paper_need_not_stand_in_the_quote():
    mentioned = {"CIFAR-10", "CIFAR"}.__contains__
    assert contradiction("It is tested on CIFAR-10.", "It is tested.", mentioned=mentioned) == ""
    assert "number 10" in contradiction("It is tested 10 times on CIFAR.", "It is tested.", mentioned=mentioned)


# -- denial ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("statement", "quoted", "expected"),
    [
        ("It does not need labels.", "It needs labels.", "says “not”, and the nearest sentence does not deny that"),
        ("It needs labels.", "It does not need labels.", "says “not”, and it has no negation"),
        ("It needs labels.", "Labels are not needed.", "says “not”, and it has no negation"),
        ("It works.", "It works without labels.", ""),  # what is denied is left out
        ("It works without labels.", "It works without labels.", ""),
        ("It works with labels.", "It works without labels.", "says “without”, and it has no negation"),
        ("It works without labels.", "It works with labels.", "says “without”"),
        # Both have a negation, and of different things.
        ("It needs labels, not time.", "It does not need labels or time.", ""),  # not seen: one negation may do for two
        ("It is not fast without labels.", "It is fast and does not need memory.", "does not deny that"),
        # Words that do away with something.
        ("It grows.", "It prevents growth.", "says “prevents”, and it has no negation"),
        ("It promotes growth.", "It prevents growth.", "says “prevents”, and it has no negation"),
        ("It prevents growth.", "It prevents growth.", ""),
        ("It does not grow.", "It prevents growth.", ""),
        ("It learns pixels.", "It learns tokens instead of pixels.", "says “instead of”"),
        ("It learns tokens.", "It learns tokens instead of pixels.", ""),
        ("It drifts.", "It keeps the model from drifting.", "says “keeps the model from”"),
        ("It does not need labels.", "It removes the need for labels.", ""),
        ("It removes the need for labels.", "It does not need labels.", ""),
        ("Accuracy does not drop.", "The accuracy drop is avoided.", ""),
        ("The accuracy drop is avoided.", "It avoids the accuracy drop.", ""),
        ("It does not reduce accuracy.", "It reduces accuracy.", "does not deny that"),
        ("It needs no labels.", "It is unsupervised.", ""),
        ("It is not only fast.", "It is fast.", ""),
        ("See no. 5.", "See no. 5 here.", ""),
    ],
)
def test_what_one_denies_the_other_may_not_affirm(statement, quoted, expected):
    check(statement, quoted, expected)


# -- direction and sides --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("statement", "quoted", "expected"),
    [
        ("It has lower accuracy.", "It has higher accuracy.", "says “lower”"),
        ("It has lower accuracy.", "It has higher accuracy at lower cost.", "says “lower accuracy”"),
        ("It has lower cost.", "It has higher accuracy at lower cost.", ""),
        ("It has higher accuracy.", "It has higher test accuracy at lower cost.", ""),
        ("It has higher accuracy.", "It does not have lower accuracy at higher cost.", ""),  # negated: not compared
        ("It does not have higher accuracy.", "It does not have higher accuracy.", ""),
        ("It is slow and lasts.", "It is fast and lasts.", ""),  # no comparative: may both be true
    ],
)
def test_a_comparative_and_its_opposite(statement, quoted, expected):
    check(statement, quoted, expected)


@pytest.mark.parametrize(
    ("statement", "quoted", "own_name", "relation"),
    [
        ("AmoebaNet outperforms LaNAS.", "LaNAS outperforms AmoebaNet.", "", "outperforms"),
        ("LaNAS outperforms AmoebaNet.", "LaNAS outperforms AmoebaNet.", "", ""),
        ("LaNAS beats AmoebaNet on ImageNet.", "On ImageNet, LaNAS is better than AmoebaNet.", "", ""),
        ("AmoebaNet beats LaNAS on ImageNet.", "On ImageNet, LaNAS is better than AmoebaNet.", "", "beats"),
        ("AmoebaNet outperforms LaNAS.", "LaNAS outperforms the AmoebaNet.", "", "outperforms"),
        ("LaNAS is outperformed by AmoebaNet.", "AmoebaNet outperforms LaNAS.", "", ""),
        ("AmoebaNet is outperformed by LaNAS.", "AmoebaNet outperforms LaNAS.", "", "outperformed"),
        ("AmoebaNet is clearly outperformed by LaNAS.", "AmoebaNet outperforms LaNAS.", "", "outperformed"),
        ("LaNAS outperforms AmoebaNet.", "LaNAS is outperformed by AmoebaNet.", "", "outperforms"),
        ("AmoebaNet outperforms LaNAS.", "LaNAS is outperformed by AmoebaNet.", "", ""),
        # No passive, although "by" follows.
        ("LaNAS is outperforming AmoebaNet by 3 points.", "LaNAS outperforms AmoebaNet.", "", ""),
        ("LaNAS is better than AmoebaNet by 3 points.", "LaNAS is better than AmoebaNet.", "", ""),
        ("Labels replace prompts.", "We replace labels with prompts.", "", ""),  # nobody's side is known
        ("Attention replaces convolution.", "Convolution replaces attention.", "", "replaces"),
        ("Pruning is followed by tuning.", "Tuning is followed by pruning.", "", "followed by"),
        ("It learns tokens instead of pixels.", "It learns pixels instead of tokens.", "", "instead of"),
        ("LaNAS outperforms RIFormer.", "We outperform LaNAS.", "RIFormer", "outperforms"),
        ("RIFormer outperforms LaNAS.", "We outperform LaNAS.", "RIFormer", ""),
        ("LaNAS outperforms RIFormer.", "Our method outperforms LaNAS.", "RIFormer", "outperforms"),
        ("RIFormer is outperformed by LaNAS.", "The proposed backbone outperforms LaNAS.", "RIFormer", "outperformed"),
        ("LaNAS outperforms RIFormer.", "We outperform LaNAS.", "", ""),  # nobody knows who "we" are
        ("It is nice.", "LaNAS outperforms AmoebaNet.", "", ""),
        ("B outperforms C++.", "C++ outperforms B.", "C++", "outperforms"),
    ],
)
def test_nobody_changes_sides(statement, quoted, own_name, relation):
    assert swapped(statement, quoted, own_name) == relation
    if relation:
        check(statement, quoted, f"has the two sides of “{relation}” the other way round", own_name)


def test_one_place_with_the_same_sides_is_enough():
    assert swapped("AmoebaNet beats LaNAS.", "LaNAS beats AmoebaNet; on phones AmoebaNet beats LaNAS.") == ""


# -- any text -------------------------------------------------------------------------------------------------

PIECES = st.sampled_from(
    "It higher lower not no never one 1 3.5 1,000 ms % 5 BERT ImageNet GPT-4 GPT-4,5 A1,5 sim2 Adam with without , . ( "
    "can't two prevents instead of outperforms is outperformed by we our while ; growth labels reduces one second "
    "https://a.org <b> Psi".split(" ")
)
TEXTS = st.lists(PIECES, max_size=14).map(" ".join) | st.text(max_size=60)


@settings(deadline=None)
@given(TEXTS)
def test_a_sentence_never_contradicts_itself(sentence):
    assert against(sentence, sentence) == ""
    for known in (True, False):
        assert contradiction(sentence, sentence, mentioned=lambda _: known, own_name="BERT") == ""  # noqa: B023
    assert swapped(sentence, sentence) == swapped(sentence, sentence, "BERT") == ""


@settings(deadline=None)
@given(TEXTS, TEXTS)
def test_a_reason_is_a_line_for_people(statement, quoted):
    found = against(statement, quoted, "BERT")
    assert found == against(statement, quoted, "BERT")
    assert "\n" not in found


@pytest.mark.parametrize(
    "bit",
    "not |no1 |keep |keep a |instead of |prevents |is avoided |A|aA|A1|A1.|A1,|1.|one |is |outperforms |"
    "is outperformed by |replaces a, and |learn|higher |less |we |a-|(|n't".split("|"),
)
def test_the_time_grows_with_the_text(bit):
    text = bit * 4000
    began = time.perf_counter()
    contradiction(text, text, mentioned=lambda _: True, own_name="we")
    assert time.perf_counter() - began < 2
