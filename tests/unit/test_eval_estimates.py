import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eval.estimates import Estimate, auroc, clustered_auroc, clustered_mean, mean, percentile, rate


def test_wilson_interval_of_8_in_10():
    # Wilson (1927) for p = 0.8, n = 10, z = 1.96: centre 0.7167, half width 0.2266
    estimate = rate([True] * 8 + [False] * 2)
    assert estimate.value == pytest.approx(0.8)
    assert estimate.low == pytest.approx(0.49016, abs=1e-5)
    assert estimate.high == pytest.approx(0.94332, abs=1e-5)
    assert estimate.n == 10


def test_wilson_interval_keeps_a_width_when_all_agree():
    estimate = rate([True] * 10)
    assert estimate.value == 1.0
    assert estimate.low == pytest.approx(0.72247, abs=1e-5)  # n / (n + z²)
    assert estimate.high == pytest.approx(1.0)


def test_mean_is_the_mean_and_its_interval_near_the_normal_one():
    scores = [0.0, 1.0] * 100
    estimate = mean(scores)
    assert estimate.value == 0.5
    assert estimate.n == 200
    half = 1.96 * 0.5 / np.sqrt(200)
    assert estimate.low == pytest.approx(0.5 - half, abs=0.01)
    assert estimate.high == pytest.approx(0.5 + half, abs=0.01)


def test_resampling_is_reproducible():
    scores = [0.1, 0.5, 0.25, 1.0, 0.0]
    assert mean(scores) == mean(scores)
    assert auroc(scores, scores[:2]) == auroc(scores, scores[:2])


def test_equal_scores_have_no_width():
    assert mean([0.5, 0.5, 0.5]) == Estimate(0.5, 0.5, 0.5, 3)


@pytest.mark.parametrize(
    ("positive", "negative", "expected"),
    [
        ([0.9, 0.8], [0.1, 0.2], 1.0),
        ([0.1, 0.2], [0.9, 0.8], 0.0),
        ([0.5, 0.5], [0.5], 0.5),
        # pairs: 0.8 beats 0.5, 0.5, 0.1; 0.5 ties twice and beats 0.1; 0.3 beats 0.1: (3 + 1 + 1 + 1) / 9
        ([0.8, 0.5, 0.3], [0.5, 0.5, 0.1], 6 / 9),
    ],
)
def test_auroc_by_hand(positive, negative, expected):
    estimate = auroc(positive, negative)
    assert estimate.value == pytest.approx(expected)
    assert 0.0 <= estimate.low <= estimate.value <= estimate.high <= 1.0
    assert estimate.n == len(positive) + len(negative)


scores = st.lists(st.sampled_from([0.0, 0.2, 0.4, 0.6]), min_size=1, max_size=8)


@settings(deadline=None)  # how long it takes is the machine's affair
@given(scores, scores)
def test_auroc_is_the_share_of_pairs_in_order(positive, negative):
    pairs = [1.0 if p > n else 0.5 if p == n else 0.0 for p in positive for n in negative]
    assert auroc(positive, negative).value == pytest.approx(np.mean(pairs))


def test_nothing_measured_is_none():
    assert rate([]) is None
    assert mean([]) is None
    assert auroc([], [0.5]) is None
    assert auroc([0.5], []) is None
    assert percentile([], 50) is None


def test_percentile_interpolates():
    assert percentile([10, 20, 30, 40], 50).value == 25
    assert percentile([0, 100], 95).value == 95


def test_percentile_has_an_interval_within_the_values():
    estimate = percentile(list(range(101)), 50)
    assert (estimate.value, estimate.n) == (50, 101)
    assert 35 < estimate.low < 50 < estimate.high < 65  # the binomial interval of a median is 50 ± 0.98 √101


def test_clustered_mean_of_one_score_per_cluster_is_near_the_plain_one():
    scores = [0.0, 1.0] * 100
    plain, clustered = mean(scores), clustered_mean(scores, range(200))
    assert (clustered.value, clustered.n) == (0.5, 200)
    assert clustered.low == pytest.approx(plain.low, abs=0.01)
    assert clustered.high == pytest.approx(plain.high, abs=0.01)


def test_clusters_that_agree_count_as_one():
    # 20 clusters of 10 equal scores are worth 20 scores, not 200: the interval is wider by about sqrt(10).
    scores = [float(n % 2) for n in range(20) for _ in range(10)]
    estimate = clustered_mean(scores, [n for n in range(20) for _ in range(10)])
    assert (estimate.value, estimate.n) == (0.5, 200)
    half = 1.96 * 0.5 / np.sqrt(20)
    assert estimate.high - estimate.low == pytest.approx(2 * half, abs=0.05)


def test_clustered_mean_weighs_scores_not_clusters():
    assert clustered_mean([1.0, 1.0, 1.0, 0.0], ["a", "a", "a", "b"]).value == 0.75


@settings(deadline=None)  # how long it takes is the machine's affair
@given(scores, scores)
def test_clustered_auroc_is_auroc(positive, negative):
    estimate = clustered_auroc(positive, negative, range(len(positive)), [0] * len(negative))
    assert estimate.value == pytest.approx(auroc(positive, negative).value)
    assert estimate.n == len(positive) + len(negative)


def test_clustered_auroc_keeps_pairs_together():
    # Within each cluster the positive wins, whatever else: every sample of clusters keeps that, so that resampled
    # clusters vary less than single scores where clusters differ much.
    positive, negative = [10.0, 20.0, 30.0, 40.0], [9.0, 19.0, 29.0, 39.0]
    estimate = clustered_auroc(positive, negative, "abcd", "abcd")
    assert estimate.value == pytest.approx((1 + 2 + 3 + 4) / 16)
    # The same cluster four times gives 1, the most; two clusters twice each give 3/4; never less than 1/2.
    assert estimate.low >= 0.5
    assert auroc(positive, negative).low < 0.5


def test_samples_without_one_side_are_left_out():
    # A sample of "a" or "b" alone has one side only.
    assert clustered_auroc([1.0], [0.0], ["a"], ["b"]) == Estimate(1.0, 1.0, 1.0, 2)


def test_nothing_clustered_is_none():
    assert clustered_mean([], []) is None
    assert clustered_auroc([], [0.5], [], ["a"]) is None
    assert clustered_auroc([0.5], [], ["a"], []) is None
