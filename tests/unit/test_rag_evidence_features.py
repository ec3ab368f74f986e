"""What is told of a question and a sentence without a network, by hand."""

import numpy as np
import pytest

from rag.evidence.features import ABSTRACT_FEATURES, SENTENCE_FEATURES, abstract_features, sentence_features
from rag.retrieval import term_set

COSINE, BESIDE_TITLE, OF_ALL, NUMBERS, NEGATED, TURNED, NAMES, LENGTH, PLACE = range(SENTENCE_FEATURES)


def features(text, sentences, *, title="A study", weights=None, similarity=None):
    weights = dict.fromkeys(sorted(term_set(text)), 1.0) if weights is None else weights
    given = np.array(similarity or [0.0] * len(sentences), dtype=np.float32)
    rows = sentence_features(text, weights, given, title, sentences)
    assert rows.shape == (len(sentences), SENTENCE_FEATURES)
    assert rows.dtype == np.float32
    return rows


def test_similarity_length_and_place_are_passed_on():
    rows = features("dropout", ["one two", "word " * 80, "x"], similarity=[0.5, -0.25, 1.0])
    assert rows[:, COSINE].tolist() == [0.5, -0.25, 1.0]
    assert rows[:, LENGTH] == pytest.approx([2 / 40, 1, 1 / 40])
    assert rows[:, PLACE].tolist() == [0, 0.5, 1]
    assert features("dropout", ["alone"])[0, PLACE] == 0


def test_words_count_by_weight_and_those_of_the_title_apart():
    weights = {"graph": 3.0, "dropout": 1.0, "drift": 2.0}
    rows = features("?", ["dropout and drift", "a graph", "nothing"], title="On graphs", weights=weights)
    assert rows[:, OF_ALL] == pytest.approx([3 / 6, 3 / 6, 0])
    assert rows[:, BESIDE_TITLE] == pytest.approx([1, 0, 0])


def test_without_words_nothing_is_shared():
    rows = features("?", ["dropout"], weights={})
    assert rows[0, [BESIDE_TITLE, OF_ALL]].tolist() == [0, 0]


def test_the_share_of_missing_numbers():
    rows = features("It takes 3 steps and 1,000 samples", ["three steps, 1000 samples", "3 steps", "30 samples"])
    assert rows[:, NUMBERS].tolist() == [0, 0.5, 1]
    assert features("It takes steps", ["3 steps"])[0, NUMBERS] == 0


def test_negation_on_one_side_only():
    sentences = ["It does not help.", "It helps."]
    assert features("It does not help", sentences)[:, NEGATED].tolist() == [0, 1]
    assert features("It helps", sentences)[:, NEGATED].tolist() == [1, 0]


def test_the_opposite_direction():
    rows = features("Accuracy is higher", ["accuracy is lower", "accuracy is higher", "accuracy is the same"])
    assert rows[:, TURNED].tolist() == [1, 0, 0]


def test_the_share_of_missing_names():
    rows = features("How does it do on CIFAR and ImageNet", ["on imagenet", "on CIFAR and ImageNet", "on MNIST"])
    assert rows[:, NAMES] == pytest.approx([0.5, 0, 1])
    titled = features("How does it do on CIFAR and ImageNet", ["on MNIST"], title="CIFAR revisited")
    assert titled[0, NAMES] == pytest.approx(0.5)


def test_the_abstract_as_a_whole():
    weights = {"graph": 3.0, "dropout": 1.0, "drift": 2.0}
    sentences = ["dropout is good", "graphs"]
    rows = features("?", sentences, title="On graphs", weights=weights, similarity=[0.25, 0.75])
    whole = abstract_features(weights, rows, "On graphs", sentences)
    assert whole.shape == (ABSTRACT_FEATURES,)
    assert whole == pytest.approx([0.75, 1 / 3, 4 / 6, 1 / 3])


def test_a_question_of_the_titles_words_is_covered():
    rows = features("?", ["other"], title="On graphs", weights={"graph": 3.0})
    assert abstract_features({"graph": 3.0}, rows, "On graphs", ["other"])[2:].tolist() == [1, 1]
