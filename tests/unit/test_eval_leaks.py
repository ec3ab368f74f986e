import numpy as np
import pytest

from eval.estimates import auroc
from eval.leaks import FOLDS, fitted_scores, held_out_scores

GROUPS = [f"abstract {n}" for n in range(10)]


def area(scores, labels):
    return auroc(
        [s for s, of in zip(scores, labels, strict=True) if of],
        [s for s, of in zip(scores, labels, strict=True) if not of],
    )


def test_a_word_that_gives_the_label_away_is_found():
    texts = [f"{'clearly' if true else 'maybe'} number {n} wins" for n in range(10) for true in (True, False)]
    labels = [True, False] * 10
    scores = held_out_scores(texts, labels, [group for group in GROUPS for _ in range(2)])
    assert area(scores, labels).value == 1.0


def test_texts_of_one_group_are_never_on_both_sides():
    # Each group has two texts that share a word nobody else has, with one label. Only one who had seen the other text
    # of the group could tell; every other word is the same.
    labels = [bool(n % 2) for n in range(10) for _ in range(2)]
    texts = [f"word{n} stands" for n in range(10) for _ in range(2)]
    groups = [group for group in GROUPS for _ in range(2)]
    assert area(fitted_scores(texts, labels, texts), labels).value == 1.0  # seen, it is easy
    held_out = held_out_scores(texts, labels, groups)
    for n in range(10):
        assert held_out[2 * n] == held_out[2 * n + 1]
    # Unseen, no text says anything: all texts of a fold get the score of the words they share.
    assert len(set(held_out.round(9))) <= FOLDS


def test_equal_texts_cannot_be_told_apart():
    texts = [f"question {n}" for n in range(10) for _ in range(2)]
    labels = [True, False] * 10
    scores = held_out_scores(texts, labels, [group for group in GROUPS for _ in range(2)])
    assert area(scores, labels).value == pytest.approx(0.5)


def test_pairs_of_words_count():
    # The same words in both: only their neighbours differ.
    known = ["red then blue", "blue then red"] * 5
    scores = fitted_scores(known, [True, False] * 5, ["red then blue", "blue then red"])
    assert scores[0] > scores[1]


def test_scores_are_reproducible():
    texts = [f"{'yes' if n % 3 else 'no'} text {n}" for n in range(20)]
    labels = [bool(n % 2) for n in range(20)]
    groups = [n // 2 for n in range(20)]
    assert np.array_equal(held_out_scores(texts, labels, groups), held_out_scores(texts, labels, groups))


def test_too_little_to_fit_on():
    assert held_out_scores(["a text", "b text"] * 2, [True, False] * 2, [1, 1, 2, 2]) is None  # fewer groups than folds
    assert held_out_scores(["a text"] * 10, [True] * 10, GROUPS) is None
    assert fitted_scores([], [], ["a text"]) is None
    assert fitted_scores(["a text"], [True], ["a text"]) is None
