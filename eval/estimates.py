"""Turn scores of many questions into one number with its 95% interval. Does not know what was scored."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

LEVEL = 0.95
RESAMPLES = 2000
SEED = 0


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number measured on a sample of questions.

    Attributes:
        value: The number.
        low: Lower end of its 95% interval.
        high: Upper end of its 95% interval.
        n: Questions it was measured on.
    """

    value: float
    low: float
    high: float
    n: int


def rate(outcomes: Sequence[bool]) -> Estimate | None:
    """Return the share of true outcomes with its Wilson score interval; None when there are no outcomes.

    With z = 1.96 the interval is (p + z²/2n ± z √(p(1-p)/n + z²/4n²)) / (1 + z²/n): Wilson, *Probable
    inference, the law of succession, and statistical inference* (1927). Unlike a resampled interval it keeps a
    width when every outcome agrees.
    """
    n = len(outcomes)
    if not n:
        return None
    p = sum(outcomes) / n
    z = NormalDist().inv_cdf((1 + LEVEL) / 2)
    middle = p + z * z / (2 * n)
    margin = z * sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    scale = 1 + z * z / n
    return Estimate(p, max(0.0, (middle - margin) / scale), min(1.0, (middle + margin) / scale), n)


def mean(scores: Sequence[float]) -> Estimate | None:
    """Return the mean of per-question scores, resampled over questions; None when there are no scores.

    The interval holds the middle 95% of the means of 2,000 samples with replacement: the percentile bootstrap
    of Efron, *Bootstrap methods: another look at the jackknife* (1979). The seed is fixed.
    """
    if not scores:
        return None
    values = np.asarray(scores, dtype=np.float64)
    means = values[_draws(np.random.default_rng(SEED), len(values))].mean(axis=1)
    return _estimate(float(values.mean()), means, len(values))


def auroc(positive: Sequence[float], negative: Sequence[float]) -> Estimate | None:
    """Return how often a positive scores above a negative, ties counting half; None when either is missing.

    From mid-ranks R over both: (ΣR(positive) - p(p+1)/2) / (p n), the Mann-Whitney statistic (Hanley and McNeil,
    *The meaning and use of the area under a ROC curve*, 1982). The interval resamples each side on its own, so
    that no sample lacks one.

    Args:
        positive: Scores that should be high.
        negative: Scores that should be low.
    """
    if not positive or not negative:
        return None
    high, low = np.asarray(positive, dtype=np.float64), np.asarray(negative, dtype=np.float64)
    rng = np.random.default_rng(SEED)
    samples = zip(high[_draws(rng, len(high))], low[_draws(rng, len(low))], strict=True)
    areas = np.array([_area(some_high, some_low) for some_high, some_low in samples])
    return _estimate(_area(high, low), areas, len(high) + len(low))


def clustered_mean(scores: Sequence[float], clusters: Sequence[Hashable]) -> Estimate | None:
    """Return the mean of scores that come in clusters, such as several questions on one abstract; None without scores.

    The interval resamples whole clusters, each with all its scores: Davison and Hinkley, *Bootstrap Methods and their
    Application* (1997), section 3.8. Scores of one cluster resemble each other, and resampling them one by one would
    give too narrow an interval.

    Args:
        scores: One per question.
        clusters: What each score belongs to, one per score.
    """
    if not scores:
        return None
    codes = _codes(clusters)
    values = np.asarray(scores, dtype=np.float64)
    sums, counts = np.bincount(codes, weights=values), np.bincount(codes)
    times = _times(len(counts))
    return _estimate(float(values.mean()), (times @ sums) / (times @ counts), len(values))


def clustered_auroc(
    positive: Sequence[float],
    negative: Sequence[float],
    positive_clusters: Sequence[Hashable],
    negative_clusters: Sequence[Hashable],
) -> Estimate | None:
    """Return what :func:`auroc` does, with an interval for scores that come in clusters; None when a side is missing.

    Whole clusters are resampled, with the scores of both sides: Rutter, *Bootstrap estimation of diagnostic accuracy
    with patient-clustered data* (2000). A pair, such as one question's scores with and without the sentences that
    answer it, so stays together. Samples that lack a side are left out.

    Args:
        positive: Scores that should be high.
        negative: Scores that should be low.
        positive_clusters: What each positive belongs to.
        negative_clusters: What each negative belongs to.
    """
    if not positive or not negative:
        return None
    codes = _codes([*positive_clusters, *negative_clusters])
    size = int(codes.max()) + 1
    high, low = np.asarray(positive, dtype=np.float64)[:, None], np.asarray(negative, dtype=np.float64)[None]
    ours, theirs = codes[: len(positive)], codes[len(positive) :]
    cells = (ours[:, None] * size + theirs[None]).ravel()
    in_order = ((high > low) + 0.5 * (high == low)).ravel()
    won = np.bincount(cells, weights=in_order, minlength=size * size).reshape(size, size)  # by both clusters of a pair
    positives, negatives = np.bincount(ours, minlength=size), np.bincount(theirs, minlength=size)
    times = _times(size)
    pairs = (times @ positives) * (times @ negatives)
    areas = ((times @ won) * times).sum(axis=1)[pairs > 0] / pairs[pairs > 0]
    return _estimate(float(won.sum()) / high.size / low.size, areas, high.size + low.size)


def percentile(values: Sequence[float], q: float) -> Estimate | None:
    """Return the ``q``-th percentile (0 to 100), interpolated linearly; None when there are no values.

    The interval is resampled over questions, as that of :func:`mean`.
    """
    if not values:
        return None
    numbers = np.asarray(values, dtype=np.float64)
    resampled = np.percentile(numbers[_draws(np.random.default_rng(SEED), len(numbers))], q, axis=1)
    return _estimate(float(np.percentile(numbers, q)), resampled, len(numbers))


def _area(positive: NDArray[np.float64], negative: NDArray[np.float64]) -> float:
    _, places, counts = np.unique(np.concatenate([positive, negative]), return_inverse=True, return_counts=True)
    mid_ranks = np.cumsum(counts) - (counts - 1) / 2  # counted from 1; equal scores share the mean of their ranks
    p, n = len(positive), len(negative)
    return float((mid_ranks[places[:p]].sum() - p * (p + 1) / 2) / (p * n))


def _draws(rng: np.random.Generator, n: int) -> NDArray[np.int64]:
    """Return question numbers drawn with replacement, shape (RESAMPLES, n)."""
    return rng.integers(0, n, size=(RESAMPLES, n))


def _codes(clusters: Sequence[Hashable]) -> NDArray[np.int64]:
    """Number the clusters from 0, shape (len(clusters),)."""
    numbers: dict[Hashable, int] = {}
    return np.array([numbers.setdefault(cluster, len(numbers)) for cluster in clusters], dtype=np.int64)


def _times(clusters: int) -> NDArray[np.int64]:
    """Return how often each cluster is in each sample drawn with replacement, shape (RESAMPLES, clusters)."""
    return np.random.default_rng(SEED).multinomial(clusters, np.full(clusters, 1 / clusters), size=RESAMPLES)


def _estimate(value: float, resampled: NDArray[np.float64], n: int) -> Estimate:
    tail = 50 * (1 - LEVEL)
    low, high = np.percentile(resampled, [tail, 100 - tail])
    return Estimate(value, float(low), float(high), n)
