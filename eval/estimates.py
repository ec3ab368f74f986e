"""Turn scores of many questions into one number with its 95% interval. Does not know what was scored."""

from collections.abc import Sequence
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
        value: The number, 0 to 1.
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


def percentile(values: Sequence[float], q: float) -> float | None:
    """Return the ``q``-th percentile (0 to 100), interpolated linearly; None when there are no values."""
    return float(np.percentile(np.asarray(values, dtype=np.float64), q)) if values else None


def _area(positive: NDArray[np.float64], negative: NDArray[np.float64]) -> float:
    _, places, counts = np.unique(np.concatenate([positive, negative]), return_inverse=True, return_counts=True)
    mid_ranks = np.cumsum(counts) - (counts - 1) / 2  # counted from 1; equal scores share the mean of their ranks
    p, n = len(positive), len(negative)
    return float((mid_ranks[places[:p]].sum() - p * (p + 1) / 2) / (p * n))


def _draws(rng: np.random.Generator, n: int) -> NDArray[np.int64]:
    """Return question numbers drawn with replacement, shape (RESAMPLES, n)."""
    return rng.integers(0, n, size=(RESAMPLES, n))


def _estimate(value: float, resampled: NDArray[np.float64], n: int) -> Estimate:
    tail = 50 * (1 - LEVEL)
    low, high = np.percentile(resampled, [tail, 100 - tail])
    return Estimate(value, float(low), float(high), n)
