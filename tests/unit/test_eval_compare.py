import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from typer.testing import CliRunner

import eval.cli
from eval import Dataset, compare_runs, run_json
from eval.compare import TOSSES, comparison_html, comparison_text, holm, sign_flip_p
from eval.estimates import clustered_mean, mean
from eval.run import Row
from eval.summary import Definition, summarise
from index.errors import EvalDataError

DEFINITIONS = (
    Definition(name="s", label="the score"),
    Definition(name="e", label="errors", higher_is_better=False),
    Definition(name="w", label="words", unit="words", higher_is_better=None),
    Definition(name="total", label="total", over=len),
)
OF_THE_TEXTS = Definition(name="text_alone_pairs", label="the texts")


def run(s, e=None, w=None, *, ids=None, command="answers", sha256="x", definitions=DEFINITIONS, clusters=None):
    n = len(s)
    names = ids or [str(i) for i in range(n)]
    scores = [{"s": s[i], "e": (e or [0.5] * n)[i], "w": (w or [7.0] * n)[i]} for i in range(n)]
    details = [{"cluster": cluster} for cluster in clusters] if clusters else [{}] * n
    rows = [Row(name, "", name, some, more) for name, some, more in zip(names, scores, details, strict=True)]
    return summarise(command, Dataset("data", sha256), {}, definitions, rows)


def test_differences_by_hand():
    comparison = compare_runs(run([0.0, 0.5, 1.0, None]), run([1.0, 0.5, 1.0, 1.0]))
    score, errors, words = comparison.differences
    # Three queries have the score in both: 1, 0, 0.
    assert (score.measure.name, score.n) == ("s", 3)
    assert (score.a, score.b, score.value) == pytest.approx((0.5, 2.5 / 3, 1 / 3))
    assert (score.low, score.high) == (0.0, 1.0)
    assert (errors.value, errors.low, errors.high, errors.p, errors.n) == (0.0, 0.0, 0.0, 1.0, 4)
    assert words.measure.unit == "words"
    assert (comparison.paired, comparison.only_a, comparison.only_b) == (4, 0, 0)


def test_rows_are_paired_by_id_not_by_place():
    comparison = compare_runs(run([0.0, 1.0, 0.3], ids=["a", "b", "c"]), run([1.0, 0.0], ids=["b", "a"]))
    assert comparison.differences[0].value == 0.0
    assert (comparison.paired, comparison.only_a, comparison.only_b) == (2, 1, 0)


def test_who_is_better_depends_on_the_direction():
    low, high = [0.0] * 20, [1.0] * 20
    score, errors, words = compare_runs(run(low, low, low), run(high, high, high)).differences
    assert (score.verdict, errors.verdict, words.verdict) == ("B is better", "A is better", "B is higher")
    score, errors, words = compare_runs(run(high, high, high), run(low, low, low)).differences
    assert (score.verdict, errors.verdict, words.verdict) == ("A is better", "B is better", "A is higher")


def test_few_queries_show_nothing():
    # Of four equal signs even the extreme has p = 2/16.
    (score, *_) = compare_runs(run([0.0] * 4), run([1.0] * 4)).differences
    assert score.p == pytest.approx(2 / 16, abs=0.01)
    assert score.verdict == "no difference that 4 queries can show"


def test_queries_of_one_cluster_count_together():
    # Five abstracts of ten queries each: fifty alike differences are only five, of which the extreme has p = 2/32.
    clusters = [f"abstract {n // 10}" for n in range(50)]
    (alone, *_), (together, *_) = (
        compare_runs(run([0.0] * 50, clusters=some), run([1.0] * 50, clusters=some)).differences
        for some in (None, clusters)
    )
    assert alone.p == pytest.approx(1 / (TOSSES + 1))
    assert together.p == pytest.approx(2 / 32, abs=0.01)
    assert (together.value, together.n, together.verdict) == (1.0, 50, "no difference that 50 queries can show")


def test_clusters_are_summed_and_resampled_whole():
    rng = np.random.default_rng(3)
    clusters = [f"abstract {n // 4}" for n in range(40)]
    scores = list(np.repeat(rng.normal(0.2, 0.5, size=10), 4) + rng.normal(0, 0.1, size=40))
    (score, *_) = compare_runs(run([0.0] * 40, clusters=clusters), run(scores, clusters=clusters)).differences
    expected = clustered_mean(scores, clusters)
    assert (score.value, score.low, score.high) == (expected.value, expected.low, expected.high)
    assert score.high - score.low > 1.5 * (mean(scores).high - mean(scores).low)
    assert score.p == sign_flip_p(np.reshape(scores, (10, 4)).sum(axis=1))


def test_what_depends_on_the_texts_alone_is_not_compared():
    comparison = compare_runs(*(run(s, definitions=(*DEFINITIONS, OF_THE_TEXTS)) for s in ([0.0], [1.0])))
    assert [difference.measure.name for difference in comparison.differences] == ["s", "e", "w"]
    with pytest.raises(EvalDataError, match="no measure in common"):
        compare_runs(*(run([1.0], definitions=(OF_THE_TEXTS,)) for _ in "ab"))


def test_sign_flips_agree_with_scipy():
    differences = np.random.default_rng(7).normal(0.2, 0.3, size=40)
    reference = stats.permutation_test(
        (differences,), np.mean, permutation_type="samples", n_resamples=TOSSES, rng=np.random.default_rng(1)
    )
    assert sign_flip_p(differences) == pytest.approx(reference.pvalue, abs=0.01)
    assert 0.001 < reference.pvalue < 0.2


def test_sign_flips_by_hand():
    # 16 ways to sign 1, 1, 1, 2: sums of 3 or more are +++2 (5), two of the ones (3, three ways); and their opposites.
    assert sign_flip_p([1, 1, -1, 2]) == pytest.approx(8 / 16, abs=0.02)
    assert sign_flip_p([0, 0]) == 1.0
    assert sign_flip_p([0.0, *[1.0] * 30]) == pytest.approx(1 / (TOSSES + 1))
    assert sign_flip_p([0.1, 0.2, 0.3]) == sign_flip_p([-0.1, -0.2, -0.3])


def test_holm_by_hand():
    # 4 x 0.005, 3 x 0.01 = 0.03, 2 x 0.03 = 0.06, then 0.04 which may not be less than 0.06
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


@settings(deadline=None)
@given(st.lists(st.floats(0.0001, 1), min_size=1, max_size=6))
def test_holm_keeps_the_order_and_never_lowers(p_values):
    corrected = holm(p_values)
    assert all(p <= q <= 1.0 for p, q in zip(p_values, corrected, strict=True))
    assert min(corrected) == min(1.0, len(p_values) * min(p_values))
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    assert [corrected[i] for i in order] == sorted(corrected)


def test_what_cannot_be_compared_is_refused():
    a = run([1.0])
    with pytest.raises(EvalDataError, match=r"a\.json is a run of answers, b\.json of retrieval"):
        compare_runs(a, run([1.0], command="retrieval"), ("a.json", "b.json"))
    with pytest.raises(EvalDataError, match=r"SHA-256 x.*Repeat one of them"):
        compare_runs(a, run([1.0], sha256="y"))
    with pytest.raises(EvalDataError, match="no query in common"):
        compare_runs(a, run([1.0], ids=["other"]))
    with pytest.raises(EvalDataError, match="no measure in common"):
        compare_runs(a, run([1.0], definitions=DEFINITIONS[-1:]))


def test_text_and_page_say_what_was_found():
    comparison = compare_runs(run([0.0] * 20), run([1.0] * 20), ("<a>.json", "b.json"))
    text = comparison_text(comparison)
    (score,) = [line.split() for line in text.splitlines() if line.startswith("the score")]
    assert score[2:] == "20 0.000 1.000 +1.000 [+1.000, +1.000] 0.0001 0.0003 B is better".split()
    assert "words (words)" in text
    assert "randomisation test" in text
    assert "Measures over many queries at once, such as AUROC, are not compared." in text
    page = comparison_html(comparison)
    assert "&lt;a&gt;.json" in page
    assert "<a>" not in page
    assert "B is better" in page
    assert not re.search(r"(?:src|href)=|https?:|url\(", page)


def test_command_prints_and_writes_the_comparison(tmp_path):
    a, b, out = tmp_path / "a.json", tmp_path / "b.json", tmp_path / "c.html"
    a.write_text(run_json(run([0.0] * 20)), encoding="utf-8")
    b.write_text(run_json(run([1.0] * 20)), encoding="utf-8")

    def invoke(*arguments):
        return CliRunner().invoke(eval.cli.app, ["compare", *map(str, arguments)])

    result = invoke(a, b, "--out", out)
    assert result.exit_code == 0, result.output
    assert f"A = {a}" in result.stdout
    assert "B is better" in out.read_text(encoding="utf-8")
    assert isinstance(invoke(a, tmp_path / "absent.json").exception, EvalDataError)
    assert invoke(a, b, "--out", "/no/such/folder/x.html").exit_code == 2
    b.write_text(run_json(replace(run([1.0]), command="retrieval")), encoding="utf-8")
    assert "one command" in str(invoke(a, b, "--out", out).exception)
