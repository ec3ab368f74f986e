"""Probes: what they are made of, that a paper that is left out is not there, and what is concluded from them."""

import pytest
from fakes import HashEncoder
from stores import papers_of_words

from eval.left_out import StoreWithout
from eval.probe import ALL_SWITCHES, DECISIVE, Switches, ask, best_trial, run_probes, trials, trials_text
from eval.probes import Kind, make_probes, probes_sha256
from eval.run import Dataset, Row, Run, parse_run, run_json
from index.errors import EvalDataError
from index.paper import Paper
from index.store import PaperStore
from index.terms import document_terms, question_terms
from rag import Settings
from rag.evidence.similarity import SimilarityReader
from rag.pipeline import Pipeline
from rag.settings import RefusalSettings

DATASET = Dataset("probes", "00")
ALWAYS = Settings(refusal=RefusalSettings(threshold=0.0))
PAPERS = papers_of_words(12)


@pytest.fixture
def store(memory_path):
    made = StoreWithout.open(memory_path / "papers.idx", HashEncoder(), create=True)
    made.add(PAPERS)
    return made


def probes_of(store, limit=12, seed=0):
    return make_probes(store.papers(), store.document_frequency, limit, seed)


# -- making them ----------------------------------------------------------------------------------------------


def no_frequency(terms):
    return dict.fromkeys(terms, 1), 1


def test_a_title_probe_lacks_the_name_and_the_rarest_word():
    paper = Paper("a", "RIFormer: Keep your vision backbone effective but removing token mixer", "A b. " * 3)
    counts = {"vision": 9, "backbon": 4, "effect": 7, "remov": 5, "token": 6, "mixer": 3, "keep": 8}
    text = "Token filters slow every convolution network badly today."
    other = Paper("b", "B", text)
    title, sentence = make_probes([paper, other], lambda terms: ({t: counts.get(t, 9) for t in terms}, 9), 5)
    assert (title.kind, title.paper, title.span) == (Kind.TITLE, paper, None)
    assert title.text == "Keep your vision backbone effective but removing token"
    assert (sentence.kind, sentence.paper, sentence.span) == (Kind.SENTENCE, other, (0, len(text)))


def test_a_short_title_gives_no_probe():
    papers = [Paper(f"p{n}", title, PAPERS[0].abstract) for n, title in enumerate(["Three new words", "X: a b c"])]
    assert {probe.kind for probe in make_probes(papers, no_frequency, 9)} == {Kind.SENTENCE}


def test_a_sentence_probe_is_half_the_content_words_in_order_without_those_of_the_title(store):
    found = [probe for probe in probes_of(store) if probe.kind is Kind.SENTENCE]
    assert len({probe.paper.id for probe in found}) == len(found) == 12
    for probe in found:
        sentence = probe.paper.abstract[slice(*probe.span)]
        in_title = set(document_terms(probe.paper.title))
        content = [w for w in sentence.rstrip(".").split() if in_title.isdisjoint(question_terms(w))]
        words = probe.text.removesuffix("?").split()
        assert probe.text.endswith("?")
        assert len(words) == (len(content) + 1) // 2
        assert words == [word for word in content if word in words]


def test_they_depend_on_the_papers_and_the_seed_alone(store):
    first, again, other = probes_of(store), probes_of(store), probes_of(store, seed=1)
    assert first == again
    assert probes_sha256(first) == probes_sha256(again) != probes_sha256(other)
    assert probes_sha256(first).startswith("c7fd04306e40")  # on every machine


def test_at_most_so_many_of_each_kind(store):
    kinds = [probe.kind for probe in probes_of(store, limit=3)]
    assert kinds == [Kind.TITLE] * 3 + [Kind.SENTENCE] * 3


@pytest.mark.parametrize("papers", [[], [Paper("a", "A title of several fine words", "Too short. Really short.")]])
def test_a_collection_that_gives_none_is_told(papers):
    with pytest.raises(EvalDataError, match=r"6 content words .*longer abstracts"):
        make_probes(papers, no_frequency, 5)


# -- a paper that is left out ---------------------------------------------------------------------------------


def test_what_is_left_out_is_searched_as_if_it_were_not_there(store, memory_path):
    for paper in PAPERS[:3]:
        smaller = PaperStore.open(memory_path / f"{paper.id}.idx", HashEncoder(), create=True)
        smaller.add([other for other in PAPERS if other.id != paper.id])
        text = " ".join(paper.abstract.split()[:8])
        vector, terms = store.encoder.embed_queries([text])[0], tuple(question_terms(text))
        for limit in (1, 3, 20):
            expected = smaller.candidates(vector, terms, limit)
            with store.without(paper):
                found = store.candidates(vector, terms, limit)
                counts = store.document_frequency(terms)
            assert names(found, found.by_meaning) == names(expected, expected.by_meaning)
            assert names(found, found.by_keyword) == names(expected, expected.by_keyword)
            assert (found.document_frequency, found.total) == (expected.document_frequency, expected.total)
            assert counts == smaller.document_frequency(terms)
            assert set(found.papers) == {*found.by_meaning, *found.by_keyword}


def names(found, keys):
    return [found.papers[key].paper.id for key in keys]


def test_afterwards_it_is_there_again(store):
    pipeline = Pipeline(store, SimilarityReader, None, ALWAYS)
    text = PAPERS[0].abstract[:60]
    with store.without(PAPERS[0]):
        assert PAPERS[0].id not in {source.paper.id for source in ask(pipeline, text).sources}
    with pytest.raises(ValueError, match="empty"), store.without(PAPERS[0]):
        raise ValueError("empty")
    assert ask(pipeline, text).sources[0].paper == PAPERS[0]
    assert store.document_frequency(("x",))[1] == len(PAPERS)


def test_a_paper_that_is_left_out_is_never_cited(store):
    run = run_probes(store, SimilarityReader(), ALWAYS, probes_of(store), DATASET, {})
    left_out = [row for row in run.rows if row.group.endswith("left out")]
    assert len(left_out) == 24
    for row in left_out:
        assert row.details["status"] != "refused"
        assert row.details["cited"]
        assert row.details["paper"] not in row.details["cited"]


# -- what is measured -----------------------------------------------------------------------------------------


def test_every_probe_is_asked_with_its_paper_and_without(store):
    probes, told = probes_of(store), []
    run = run_probes(
        store, SimilarityReader(), Settings(), probes, DATASET, {}, lambda done, total: told.append((done, total))
    )
    assert told == [(n, 48) for n in range(49)]
    assert [(group.name, group.n) for group in run.groups] == [
        ("title", 12), ("sentence", 12), ("title, left out", 12), ("sentence, left out", 12)
    ]  # fmt: skip
    assert [row.text for row in run.rows] == [probe.text for probe in probes] * 2
    sentences = run.group("sentence")
    assert sentences.measure("hit@1").value == sentences.measure(DECISIVE).value == 1.0  # no two papers share one
    titles = run.group("title")  # some of their words are in other papers, too, but all of them only in their own
    assert titles.measure("hit@1").value == titles.measure(DECISIVE).value == 1.0
    for rerank in (True, False):  # by the meaning of abstracts, as these vectors have it, a title is not found so well
        assert 0.2 < titles.measure(f"hit@1, {Switches(keywords=False, rerank=rerank)}").value < 0.8
    assert run.measure("hit@1").n == 24
    assert run.measure("sentence_hit").n == 12
    assert run.measure("sentence_hit").value > 0.8
    high, low = ([row.details["answerability"] for row in some] for some in (run.rows[:24], run.rows[24:]))
    in_order = [(one > other) + (one == other) / 2 for one in high for other in low]
    assert run.measure("auroc").value == pytest.approx(sum(in_order) / 24**2)
    assert run.measure("latency_ms").n == 48
    refused = [row for row in run.rows if row.details["status"] == "refused" and row.group.endswith("left out")]
    assert run.measure("refused_unanswerable").value == len(refused) / 24
    assert parse_run(run_json(run), "run") == run


def test_scores_are_what_the_answer_says(store):
    """A wrong paper first, a paper that is not found, and a quote beside the sentence each cost their score."""
    probes = [probe for probe in probes_of(store) if probe.kind is Kind.SENTENCE]
    wrong = [
        type(probe)(probe.kind, probe.text, other.paper, other.span)
        for probe, other in zip(probes, [*probes[1:], probes[0]], strict=True)
    ]
    run = run_probes(store, SimilarityReader(), ALWAYS, wrong, DATASET, {})
    pipeline = Pipeline(store, SimilarityReader, None, ALWAYS)
    for probe, row in zip(wrong, run.rows, strict=False):
        ranks = {source.paper.id: source.rank for source in ask(pipeline, probe.text).sources}
        rank = ranks.get(probe.paper.id)
        assert rank != 1
        assert row.scores[DECISIVE] == (1 / rank if rank else 0.0)
        assert row.scores["hit@1"] == row.scores["sentence_hit"] == row.scores["refused_answerable"] == 0.0
    with pytest.raises(ValueError, match="no probes"):
        run_probes(store, SimilarityReader(), ALWAYS, [], DATASET, {})


def test_each_setting_of_the_switches_is_measured_as_if_it_were_in_use(store):
    probes = probes_of(store)
    off = Switches(keywords=False, rerank=False)
    settings = ALWAYS.model_copy(update={"retrieval": ALWAYS.retrieval.model_copy(update=off._asdict())})
    here = run_probes(store, SimilarityReader(), ALWAYS, probes, DATASET, {})
    there = run_probes(store, SimilarityReader(), settings, probes, DATASET, {})
    for name in ("hit@1", DECISIVE, "sentence_hit", "refused_answerable", "refused_unanswerable"):
        for row, other in zip(here.rows, there.rows, strict=True):
            assert row.scores[f"{name}, {off}"] == other.scores[name]
    assert f"{DECISIVE}, {off}" not in {measure.name for measure in there.measures}


# -- what is concluded ----------------------------------------------------------------------------------------

IN_USE = Switches(keywords=True, rerank=True)
OTHER = Switches(keywords=True, rerank=False)


def scored_run(pairs, per_paper=1):
    """Return a run in which the setting in use has the first score of each pair, OTHER the second, the rest 0."""
    rows = []
    for number, (mine, theirs) in enumerate(pairs):
        values = {switches: 0.0 for switches in ALL_SWITCHES} | {IN_USE: mine, OTHER: theirs}
        scores = {}
        for switches, value in values.items():
            after = "" if switches == IN_USE else f", {switches}"
            for name in ("hit@1", DECISIVE, "refused_answerable"):
                scores[name + after] = value
            scores |= {f"sentence_hit{after}": None, f"refused_unanswerable{after}": None}
        rows.append(Row(f"r{number}", "title", "text", scores, {"cluster": f"paper {number // per_paper}"}))
    return Run("probe", DATASET, {}, {}, (), (), tuple(rows))


def test_switches_are_changed_only_for_more_than_chance():
    clear = trials(scored_run([(0.5, 1.0)] * 20), IN_USE)
    best = best_trial(clear)
    assert (best.switches, best.gain, best.values[DECISIVE], best.values["sentence_hit"]) == (OTHER, 0.5, 1.0, None)
    assert best.p < 0.001
    assert "Better here: keywords on, rerank off (MRR@10 +0.500" in trials_text(clear)
    for pairs in ([(0.5, 1.0)] * 4, [(1.0, 0.5)] * 20, [(0.5, 1.0), (1.0, 0.5)] * 10, [(0.5, 0.5)] * 20):
        tried = trials(scored_run(pairs), IN_USE)
        assert best_trial(tried) is tried[0]
        assert "No other setting of the switches is better" in trials_text(tried)


def test_probes_of_one_paper_count_once():
    tried = trials(scored_run([(0.5, 1.0)] * 20, per_paper=5), IN_USE)  # four papers: the extreme has p = 2/16
    assert best_trial(tried) is tried[0]
    (other,) = (trial for trial in tried if trial.switches == OTHER)
    assert (other.gain, other.p > 0.1) == (0.5, True)
    uneven = trials(scored_run([(0.0, 1.0), (0.0, 0.5), (0.5, 0.5)], per_paper=2), IN_USE)
    (other,) = (trial for trial in uneven if trial.switches == OTHER)
    assert other.gain == pytest.approx((0.75 + 0.0) / 2)  # the mean of a paper's gains, then of the papers'


def test_the_table_has_a_line_per_setting():
    lines = trials_text(trials(scored_run([(0.5, 1.0)] * 20), IN_USE)).splitlines()
    assert lines[0].split()[1:5] == ["hit@1", "MRR@10", "sent", "ref"]
    assert lines[0].split()[-6:] == ["MRR", "title", "MRR", "sentence", "p", "(Holm)"]
    assert lines[2].split()[4:] == ["(in", "use)", "0.500", "0.500", "-", "0.500", "-", "0.500", "-"]
    assert lines[3].split()[:7] == ["keywords", "on,", "rerank", "off", "1.000", "1.000", "-"]
    assert lines[3].split()[9:11] == ["1.000", "-"]  # MRR@10 of titles; there are no sentences
    assert len(lines) == 8


def test_switches_are_told_as_the_collection_keeps_them():
    assert OTHER.settings() == {"retrieval.keywords": True, "retrieval.rerank": False}
