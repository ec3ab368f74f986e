"""When a quote does not bear out a statement: every rule by worked cases, and what holds for any text."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rag.contradiction import contradiction
from rag.roles import converses, swapped


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
        ("It does not help.", "It is there.", ""),  # nothing that could be held against it
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


@pytest.mark.parametrize(
    ("statement", "quoted", "expected"),
    [
        # The same number in another form.
        ("It has 10,000 images.", "It has 10k images.", ""),
        ("It has ten thousand images.", "It has 10,000 images.", ""),
        ("It has 2 million images.", "It has 2M images.", ""),
        ("It has 2.0 million images.", "It has 2 million images.", ""),
        ("It has 20k images.", "It has 2k images.", "the number 20"),
        ("It has two thousand images.", "It has 2 million images.", "the number two"),
        ("It gains 6%.", "It gains 6.0%.", ""),
        ("It gains 2.0 points.", "Net2 gains 2.5 points.", "the number 2.0"),
        ("It gains 3 points.", "It gains 3%.", ""),
        ("It gains 3%.", "It gains 3 percentage points.", ""),
        ("It gains 3 ms.", "It gains 3%.", "gives 3 in %, not in ms"),
        # Near bounds.
        ("It gains more than five points.", "It gains 5.1 points.", ""),
        ("It gains more than five points.", "It gains 4.9 points.", "the number five"),
        ("It gains more than five points.", "It gains 50 points.", "the number five"),
        ("It costs less than 3%.", "It costs 2.7%.", ""),
        ("It costs less than 3%.", "It costs 3.7%.", "the number 3"),
        ("It scores below 4.0.", "It scores above 3.9.", "the number 4.0"),
        ("It is about 21 times smaller.", "It is 21.07 times smaller.", ""),
        ("It is about 21 times smaller.", "It is 25 times smaller.", "the number 21"),
        ("It gains more than 5 points.", "It takes 5.1 ms.", "the number 5"),
        # Counts of what is listed.
        ("All three tasks improve.", "Retrieval, ranking and reading improve.", ""),
        ("All three tasks improve.", "In these tests, retrieval, ranking and reading improve.", ""),
        ("All four tasks improve.", "Retrieval and ranking improve.", "the number four"),
        ("The two losses agree.", "Both losses agree.", ""),
        ("The two losses agree.", "The losses agree.", "the number two"),
        ("It has two losses.", "Both losses agree.", "the number two"),  # a count of its own
        ("The two-leg ladder is seen.", "Three-leg ladders and others are seen.", "the number two"),
        ("It comes at zero cost.", "It comes without cost.", ""),
        ("It comes at zero cost.", "It comes at a cost.", "the number zero"),
    ],
)
def test_a_number_may_have_another_form(statement, quoted, expected):
    check(statement, quoted, expected)


@pytest.mark.parametrize(
    ("statement", "quoted", "expected"),
    [
        ("It wins 30 out of 30 games.", "It wins 21 out of 30 games.", "the number 30 only once"),
        ("It wins 30 of 30 games.", "It wins 30 of 30 games.", ""),
        ("It wins 1.2.3 of 1.2.3 games.", "It wins 1.2.3 games.", ""),  # no number
        ("It wins 30 out of 21 games.", "It wins 21 out of 30 games.", "has 30 and 21 the other way round"),
        ("It wins 21 of 30 games.", "It wins 21 out of the 30 games.", ""),
        ("It goes from 10 ms to 30 ms.", "It falls from 30 ms to 10 ms.", "has 10 and 30 the other way round"),
        ("It goes from 30 ms to 10 ms.", "It falls from 30ms to 10ms.", ""),
        ("r is 0.8.", "r is -0.8.", "gives 0.8 with the other sign"),
        ("r is -0.8.", "r is 0.8.", "gives 0.8 with the other sign"),
        ("r is -0.8.", "r = −0.8.", ""),
        ("r is 0.8.", "r lies in 0.5-0.8.", ""),  # a range
        ("It drops by 0.8.", "The change is -0.8.", ""),
        ("It has 2 encoders and 4 heads.", "It has 4 encoders and 2 heads.", "another number for “encod” than 2"),
        ("It has 2 heads and 4 encoders.", "It has 4 encoders and 2 heads.", ""),
        ("It has 2 sparse encoders.", "It has 2 encoders.", ""),
        ("2.5x accuracy and 10% speed.", "10% accuracy and 2.5x speed.", "another number for “accuraci” than 2.5"),
        ("2.5x speed and 10% accuracy.", "10% accuracy and 2.5x speed.", ""),
        ("It needs at least 10 samples.", "It needs at most 10 samples.", "says “at least 10”"),
        ("It needs up to 10 samples.", "It needs at least 10 samples.", "says “up to 10”"),
        ("It needs no more than 10 samples.", "It needs at most 10 samples.", ""),
        ("It needs up to 10 samples.", "It needs 10 samples.", ""),
    ],
)
def test_a_number_has_its_place(statement, quoted, expected):
    check(statement, quoted, expected)


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
        # The quote has to affirm the very word.
        ("It cannot be parallelised.", "It is inherently sequential.", ""),
        ("It does not fully remove noise.", "It removes noise.", "does not deny that"),
        ("It does not fully remove noise.", "It is fully unable to remove noise.", ""),
        ("It works but not on graphs.", "It works on text and graphs.", "does not deny that"),
        ("It can not help explain models.", "It can be adapted to explain models.", "does not deny that"),
        ("It is not slow but fast on graphs.", "It is fast on graphs.", ""),  # not beyond "but"
        ("It is not slower than the others.", "It is as fast as the others.", ""),
        ("Labels cannot be used.", "Label use is not possible.", ""),
        ("The data are without labels.", "The data are non-label data.", ""),
        # Much that is said with "no" is said in another way as well.
        ("No labels are needed.", "It is label-free.", ""),
        ("No labels are needed.", "It has labels.", "does not deny that"),
        ("No model is better.", "It is the best model.", ""),
        ("No other model is so fast.", "It is a fast model.", ""),
        ("No model did so before.", "It is the first model to do so.", ""),
        ("It has no effect.", "The effect is negligible.", ""),
        ("It has no effect.", "It has an effect.", "does not deny that"),
        ("No more than 10 samples are used.", "It uses 10 samples.", ""),
        ("Runs with and without labels differ.", "Runs with labels differ from others.", ""),
        # What the quote denies and affirms at once.
        ("It learns energies.", "Instead of learning policies, it learns energies.", ""),
        ("It learns policies.", "Instead of policies, it learns energies.", "says “Instead of”"),
        ("The model keeps it.", "The model keeps it. The model does not keep it.", "it has no negation"),
        ("Nobody compared them.", "No comparison was made.", ""),
        ("They miss structure.", "They are without structure.", ""),
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
        ("Labels replace prompts.", "We replace labels with prompts.", "", "replace"),
        ("Attention replaces convolution.", "Convolution replaces attention.", "", "replaces"),
        ("Pruning is followed by tuning.", "Tuning is followed by pruning.", "", "followed by"),
        ("It learns tokens instead of pixels.", "It learns pixels instead of tokens.", "", "instead of"),
        ("LaNAS outperforms RIFormer.", "We outperform LaNAS.", "RIFormer", "outperforms"),
        ("RIFormer outperforms LaNAS.", "We outperform LaNAS.", "RIFormer", ""),
        ("LaNAS outperforms RIFormer.", "Our method outperforms LaNAS.", "RIFormer", "outperforms"),
        ("RIFormer is outperformed by LaNAS.", "The proposed backbone outperforms LaNAS.", "RIFormer", "outperformed"),
        ("LaNAS outperforms RIFormer.", "We outperform LaNAS.", "", ""),  # nobody knows who "we" are
        ("It is nice.", "LaNAS outperforms AmoebaNet.", "", ""),
        # It is the head of what something is done to that counts, and not what stands before it.
        ("The ResNet backbone beats VoVNet.", "VoVNet also beats the widely used ResNet backbone.", "", "beats"),
        ("VoVNet beats the ResNet backbone.", "VoVNet also beats the widely used ResNet backbone.", "", ""),
        ("Search spaces beat SpaceEvo.", "SpaceEvo beats existing manually-designed search spaces.", "", "beat"),
        ("The model creates parts of the HyperNet.", "The HyperNet creates parts of the model.", "", "creates"),
        (
            "The model creates parts of a HyperNet.",
            "By learning a HyperNet that creates parts of a model.",
            "",
            "creates",
        ),
        ("The HyperNet creates parts of the model.", "The HyperNet creates parts of the model.", "", ""),
        # Any comparative.
        ("DenseNet is smaller than VoVNet.", "VoVNet is smaller than DenseNet.", "", "smaller than"),
        ("DenseNet is smaller than VoVNet.", "VoVNet is larger than DenseNet.", "", ""),
        ("DenseNet is smaller than VoVNet.", "VoVNet is faster than DenseNet.", "", ""),  # of another kind
        ("DenseNet is more fine-tuned than ViT.", "ViT is more fine-tuned than DenseNet.", "", "more fine-tuned than"),
        ("DenseNet has fewer new layers than ViT.", "ViT has fewer layers than DenseNet.", "", "fewer new layers than"),
        ("ViT has higher test accuracy than DenseNet.", "DenseNet beats ViT.", "", "higher test accuracy than"),
        ("ViT has a higher loss than DenseNet.", "DenseNet beats ViT.", "", ""),
        ("ViT is cheaper than DenseNet.", "DenseNet is cheaper than ViT.", "", "cheaper than"),
        ("ViT is not smaller than DenseNet.", "DenseNet is smaller than ViT.", "", ""),  # negated: not compared
        ("ViT has more than 3 layers.", "DenseNet has more than ViT.", "", ""),
        ("ViT is tested rather than DenseNet.", "DenseNet is tested rather than ViT.", "", "rather than"),
        # Other relations.
        ("Images are created from text.", "Text is created from images.", "", "created from"),
        ("Images are created from text.", "We create images from text.", "", ""),
        ("Each FFN is turned into an MoE.", "We turn each MoE into an FFN.", "", "turned into"),
        ("Each MoE is turned into an FFN.", "We turn each MoE into an FFN.", "", ""),
        ("Large weights cause noise.", "Noise leads to large weights; noise causes large weights.", "", "cause"),
        ("Noise causes large weights.", "Noise causes large weights.", "", ""),
        ("Attention is replaced with pooling.", "We replace attention by pooling.", "", ""),
        ("Pooling is replaced with attention.", "We replace attention by pooling.", "", "replaced with"),
        ("Attention replaces pooling.", "We substitute pooling for attention.", "", "replaces"),
        ("Pooling replaces attention.", "We substitute pooling for attention.", "", ""),
        ("B outperforms C++.", "C++ outperforms B.", "C++", "outperforms"),
    ],
)
def test_nobody_changes_sides(statement, quoted, own_name, relation):
    assert swapped(statement, quoted, own_name) == relation
    if relation:
        check(statement, quoted, f"has the two sides of “{relation}” the other way round", own_name)


def test_one_place_with_the_same_sides_is_enough():
    assert swapped("AmoebaNet beats LaNAS.", "LaNAS beats AmoebaNet; on phones AmoebaNet beats LaNAS.") == ""


@pytest.mark.parametrize(
    ("statement", "quoted", "expected"),
    [
        ("AmoebaNet is worse than LaNAS.", "LaNAS outperforms AmoebaNet.", ""),
        ("LaNAS is worse than AmoebaNet.", "LaNAS outperforms AmoebaNet.", "says “worse”"),
        ("AmoebaNet has more layers than LaNAS.", "LaNAS has fewer layers than AmoebaNet.", ""),
        ("LaNAS has more layers than AmoebaNet.", "LaNAS has fewer layers than AmoebaNet.", "says “more”"),
        ("AmoebaNet is worse than LaNAS, at higher cost.", "LaNAS outperforms AmoebaNet at lower cost.", "“higher"),
    ],
)
def test_a_comparison_may_be_turned_round_with_its_sides(statement, quoted, expected):
    check(statement, quoted, expected)
    assert converses(statement, statement) == []


# -- opposites and scope --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("statement", "quoted", "expected"),
    [
        ("We remove edges.", "We add edges.", "says “remove”, and the nearest sentence says the opposite"),
        ("We remove edges.", "We add nodes.", ""),  # beside another word
        ("We remove edges.", "We add edges or remove edges.", ""),
        ("We remove edges.", "We add no edges.", ""),  # negated: not compared
        ("It saves training time.", "It saves inference time.", "says “training”"),
        ("It saves training time.", "It saves training time, not inference time.", ""),
        ("It has an upper bound.", "It has a lower bound.", "says “upper”"),
        ("It doubles errors.", "It halves errors.", "says “doubles”"),
        ("It keeps the encoder frozen.", "It keeps the decoder frozen.", "says “encoder”"),
        ("All datasets improve.", "Most datasets improve.", "says “All”, and the nearest sentence says it of some"),
        ("Every dataset improves.", "Several of the new datasets improve.", "says “Every”"),
        ("Some datasets improve.", "All datasets improve.", ""),
        ("All datasets improve.", "The datasets improve.", ""),
        ("All datasets improve.", "Each of many datasets improves.", ""),
        ("Not all datasets improve.", "Most datasets improve.", ""),
        ("It is for large models only.", "It is for large and small models.", "says “models only”"),
        ("It is only for large models.", "It is for small, large and tiny models.", "says “only large”"),
        ("It is only for large models.", "It is for large models.", ""),
        ("It is only for large models.", "It is restricted to small and large models.", ""),
        ("It works on images only.", "It works on images and text.", "says “images only”"),
        ("It only uses slow layers.", "It only uses fast layers, which beats any of the earlier and heavier "
         "designs that were made by hand of slow layers.", "says “only slow”"),
        ("It is not only for large models.", "It is for small, large and tiny models.", ""),
    ],
)  # fmt: skip
def test_opposites_and_scope(statement, quoted, expected):
    check(statement, quoted, expected)


# -- any text -------------------------------------------------------------------------------------------------

PIECES = st.sampled_from(
    "It higher lower not no never one 1 3.5 1,000 ms % 5 BERT ImageNet GPT-4 GPT-4,5 A1,5 sim2 Adam with without , . ( "
    "can't two prevents instead of outperforms is outperformed by we our while ; growth labels reduces one second "
    "https://a.org <b> Psi of 30 10k -0.8 from to at least most 1.2.3 only for all some both smaller than worse "
    "replace into remove add before".split(" ")
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
    "is outperformed by |replaces a, and |learn|higher |less |we |a-|(|n't|10 of |from 1 to 2 |-1 |1 a |about 1 |"
    "at least 1 |all the |some as |only for |a, and |add |remove |smaller than |more a |replace a with |from |"
    "creates a of |1.|no a than |not a |a. not a. ".split("|"),
)
def test_the_time_grows_with_the_text(bit):
    text = bit * 4000
    began = time.perf_counter()
    contradiction(text, text, mentioned=lambda _: True, own_name="we")
    assert time.perf_counter() - began < 2
