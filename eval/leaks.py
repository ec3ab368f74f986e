"""Tell labels from the wording of texts alone: what a score on written texts may owe to wording. Reads no abstract.

Questions that people wrote to be unanswerable, and claims that they wrote to be false, differ in style from the others.
A reader can learn that style and look right. What a classifier reaches that sees nothing but the text therefore belongs
beside each such score: Poliak et al., *Hypothesis only baselines in natural language inference* (2018).
"""

from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

FOLDS = 5
SEED = 0


def held_out_scores(
    texts: Sequence[str], labels: Sequence[bool], groups: Sequence[Hashable]
) -> NDArray[np.float64] | None:
    """Score each text by a classifier that was fitted on the texts of other groups.

    Args:
        texts: Questions or claims.
        labels: What to tell from them.
        groups: What each belongs to, such as its abstract; one group's texts are never on both sides.

    Returns:
        Log odds of a true label, shape (len(texts),); they come from five classifiers and are compared as they are.
        None if there are fewer groups than folds, or a fold leaves only one label to fit on.
    """
    from sklearn.model_selection import GroupKFold

    numbers = {group: number for number, group in enumerate(dict.fromkeys(groups))}
    if len(numbers) < FOLDS:
        return None
    folds = GroupKFold(FOLDS, shuffle=True, random_state=SEED)
    scores = np.zeros(len(texts))
    for fit, held_out in folds.split(texts, groups=[numbers[group] for group in groups]):
        found = fitted_scores([texts[at] for at in fit], [labels[at] for at in fit], [texts[at] for at in held_out])
        if found is None:
            return None
        scores[held_out] = found
    return scores


def fitted_scores(known: Sequence[str], labels: Sequence[bool], texts: Sequence[str]) -> NDArray[np.float64] | None:
    """Score texts by a classifier that was fitted on other texts.

    Args:
        known: Texts to fit on.
        labels: Their labels.
        texts: Texts to score.

    Returns:
        Log odds of a true label, shape (len(texts),); None if ``labels`` are all the same.
    """
    if len(set(labels)) < 2:
        return None
    classifier = _classifier().fit(known, labels)
    return np.asarray(classifier.decision_function(texts), dtype=np.float64)


def _classifier() -> Any:
    """TF-IDF of single words and pairs, and a logistic regression; both as scikit-learn has them.

    Labels weigh the same however frequent, so that scores of folds with more of one label can be compared.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    return make_pipeline(
        TfidfVectorizer(ngram_range=(1, 2)), LogisticRegression(class_weight="balanced", max_iter=1000)
    )
