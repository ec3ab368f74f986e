"""The threshold of refusals: what it promises, where it comes from, and that it is kept."""

import json
import math
from pathlib import Path

import pytest
from fakes import HashEncoder
from hypothesis import assume, given
from hypothesis import strategies as st
from stores import papers_of_words
from typer.testing import CliRunner

import eval.cli
from eval.calibrate import (
    MOST_FROM_PROBES,
    TARGETS,
    calibration_text,
    run_calibration,
    score_probes,
    score_questions,
    share_answerable,
    threshold_for,
    too_few,
)
from eval.dataset import load_questions
from eval.left_out import StoreWithout
from eval.probes import Kind, make_probes
from eval.run import Dataset, Row, parse_run, read_run, run_json
from index.errors import EvalDataError
from index.paper import Paper
from index.store import PaperStore
from rag import PaperQA, Settings
from rag.evidence.similarity import SimilarityReader
from rag.pipeline import Pipeline
from rag.settings import RefusalSettings

DATASET = Dataset("questions", "00")
TOPICS = ("convolution", "bacteria", "inflation", "volcanoes", "sonnets", "lithium")
PAPERS = [
    Paper.create(
        f"Studying {topic} with care",
        f"Early {topic} measurements show hidden {topic} patterns near {other} harbours during cold winter evenings. "
        f"Small {topic} groups report seven unusual effects beyond ordinary statistical noise.",
    )
    for topic, other in zip(TOPICS, (*TOPICS[1:], TOPICS[0]), strict=True)
]


# -- the threshold --------------------------------------------------------------------------------------------


@given(scores=st.lists(st.floats(0, 1), min_size=2, max_size=60), target=st.floats(0.01, 0.99))
def test_a_new_question_is_refused_as_seldom_as_was_asked(scores, target):
    """Each of the questions in turn is the new one, and the threshold comes from the others."""
    assume(math.floor(target * len(scores) + 1e-9) >= 1)  # else there are too few to promise it
    others = [scores[:n] + scores[n + 1 :] for n in range(len(scores))]
    refused = sum(new < threshold_for(known, target) for new, known in zip(scores, others, strict=True))
    assert refused <= target * len(scores) + 1e-9


@given(scores=st.lists(st.floats(0, 1), min_size=1, max_size=60), target=st.floats(0.01, 0.99))
def test_the_threshold_is_the_order_statistic_rounded_down(scores, target):
    threshold = threshold_for(scores, target)
    score = sorted(scores)[max(0, math.floor(target * (len(scores) + 1) + 1e-9) - 1)]
    assert 0 <= score - threshold < 2e-4
    assert threshold == round(threshold, 4)


@pytest.mark.parametrize(
    ("target", "expected"), [(0.01, 0.1), (0.1, 0.1), (0.18, 0.1), (0.19, 0.2), (0.3, 0.3), (0.9, 0.9), (0.99, 1.0)]
)
def test_a_table_worked_by_hand(target, expected):
    assert threshold_for([n / 10 for n in range(1, 11)], target) == expected


def test_a_share_that_is_not_exact_in_binary_is_not_rounded_down():
    assert threshold_for([n / 100 for n in range(1, 100)], 0.29) == 0.29


@pytest.mark.parametrize(("scores", "target"), [([], 0.1), ([0.5], 1.0), ([0.5], 0.0)])
def test_nothing_to_choose_from_is_a_slip_of_the_caller(scores, target):
    with pytest.raises(ValueError, match="a threshold needs scores"):
        threshold_for(scores, target)


def test_the_share_that_is_answerable_does_not_fall():
    """Pool-adjacent-violators by hand: 0.2 and 0.4 are in the wrong order and share a half."""
    found = share_answerable([0.2, 0.6, 0.8], [0.1, 0.4], [0.0, 0.1, 0.2, 0.4, 0.6, 1.0])
    assert found == [0.0, 0.0, 0.5, 0.5, 1.0, 1.0]


# -- a run ----------------------------------------------------------------------------------------------------


def row(number, score, *, answerable):
    scores = {"refused_answerable": 0.0 if answerable else None, "refused_unanswerable": None if answerable else 0.0}
    return Row(f"q{number}", "yes" if answerable else "no", f"text {number}", scores, {"answerability": score})


ROWS = [row(n, n / 40, answerable=True) for n in range(1, 41)] + [
    row(n, n / 80, answerable=False) for n in range(41, 45)
]


def test_a_run_tells_what_the_threshold_does():
    run = run_calibration(ROWS, 0.05, DATASET, {})
    assert run.measure("threshold").value == 0.05  # the second lowest of forty
    false, true = run.measure("refused_answerable"), run.measure("refused_unanswerable")
    assert (false.value, false.n, round(false.low, 4), round(false.high, 4)) == (0.025, 40, 0.0044, 0.1288)  # Wilson
    assert (true.value, true.n) == (0.0, 4)
    assert [run.measure(f"threshold@{share}").value for share in TARGETS] == [0.025, 0.025, 0.05, 0.1]
    assert run.group("yes").measure("threshold") is None
    assert parse_run(run_json(run), "run") == run


def test_the_text_shows_each_target_once_with_intervals():
    lines = calibration_text(run_calibration(ROWS, 0.6, DATASET, {}), 0.6).splitlines()
    assert lines[0].startswith("On the same questions")
    assert [line.split()[:4] for line in lines[3:8]] == [
        ["1.0%", "0.0250", "0.000", "[0.000,"],
        ["2.0%", "0.0250", "0.000", "[0.000,"],
        ["5.0%", "0.0500", "0.025", "[0.004,"],
        ["10.0%", "0.1000", "0.075", "[0.026,"],
        ["60.0%", "0.6000", "0.575", "[0.422,"],
    ]
    assert lines[7].split()[5] == "1.000"  # all four of the unanswerable are below
    assert lines[9].startswith("Answerable among these 44 questions, by score: ")
    assert len(calibration_text(run_calibration(ROWS, 0.05, DATASET, {}), 0.05).splitlines()) == 9


@pytest.mark.parametrize(("n", "target", "needed"), [(39, 0.05, 40), (6, 0.3, 7), (19, 0.1, 20), (1, 0.01, 200)])
def test_a_threshold_of_few_questions_is_not_to_be_kept(n, target, needed):
    some = [row(number, 0.5, answerable=True) for number in range(needed)] + ROWS[40:]
    assert too_few(run_calibration(some, target, DATASET, {}), target) == ""
    told = too_few(run_calibration(some[:n], target, DATASET, {}), target)
    assert f"for a target of {target:.1%} it takes {needed} answerable questions, and there are {n}." in told


def test_without_unanswerable_questions_there_is_still_a_threshold():
    run = run_calibration(ROWS[:20], 0.1, DATASET, {})
    assert run.measure("threshold").value == 0.05
    assert run.plots == ()
    assert calibration_text(run, 0.1).splitlines()[-1].split()[-1] == "-"


def test_probes_lower_the_threshold_and_never_raise_it():
    assert run_calibration(ROWS, 0.6, DATASET, {}, MOST_FROM_PROBES).measure("threshold").value == 0.5
    assert run_calibration(ROWS, 0.05, DATASET, {}, MOST_FROM_PROBES).measure("threshold").value == 0.05
    assert Settings().refusal.threshold == MOST_FROM_PROBES


# -- where the scores come from -------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path):
    PaperStore.open(tmp_path / "papers.idx", HashEncoder(), create=True).add(PAPERS)
    return tmp_path / "papers.idx"


def test_sentence_probes_are_asked_with_their_paper_and_without(tmp_path):
    store = StoreWithout.open(tmp_path / "words.idx", HashEncoder(), create=True)
    store.add(papers_of_words(6))
    probes = make_probes(store.papers(), store.document_frequency, 6)
    pipeline, told = Pipeline(store, SimilarityReader, None, Settings()), []
    rows = score_probes(store, pipeline, probes, lambda done, total: told.append((done, total)))
    assert [row.group for row in rows] == ["paper there"] * 6 + ["paper left out"] * 6
    assert told == [(n, 12) for n in range(13)]
    there, left_out = rows[:6], rows[6:]
    assert [row.text for row in there] == [row.text for row in left_out]
    for one, other in zip(there, left_out, strict=True):
        assert one.details["answerability"] > other.details["answerability"]
    with pytest.raises(ValueError, match="no sentence probes"):
        score_probes(store, pipeline, [probe for probe in probes if probe.kind is Kind.TITLE])


def question(number, text, *titles, **fields):
    kind = "factoid" if titles else "unanswerable"
    shape = {"id": str(number), "kind": kind, "question": text, "papers": list(titles)}
    return json.dumps({**shape, "evidence": [], "answer": "", "must_include": [], **fields})


QUESTIONS = [
    question(1, "How many unusual effects do small bacteria groups report?", PAPERS[1].title),
    question(2, "What do early inflation measurements show?", PAPERS[2].title),
    question(3, "Who won the football match in Lisbon?"),
]


def test_questions_of_people_are_asked_as_they_are(folder, tmp_path):
    (tmp_path / "q.jsonl").write_text("\n".join(QUESTIONS))
    qa = PaperQA.open(folder, embed_model=HashEncoder(), settings=Settings(evidence={"reader": "similarity"}))
    rows = score_questions(qa, load_questions(tmp_path / "q.jsonl"))
    assert [row.group for row in rows] == ["factoid", "factoid", "unanswerable"]
    expected = [qa.ask(json.loads(line)["question"]).trace.answerability for line in QUESTIONS]
    assert [row.details["answerability"] for row in rows] == expected


def test_questions_that_give_no_threshold_are_told(folder, tmp_path):
    qa = PaperQA.open(folder, embed_model=HashEncoder(), settings=Settings(evidence={"reader": "similarity"}))
    (tmp_path / "no.jsonl").write_text(QUESTIONS[2])
    with pytest.raises(EvalDataError, match="None of the questions is answerable"):
        score_questions(qa, load_questions(tmp_path / "no.jsonl"))
    (tmp_path / "other.jsonl").write_text(question(1, "Which?", "A paper that is not there"))
    with pytest.raises(EvalDataError, match="no paper of the collection is called"):
        score_questions(qa, load_questions(tmp_path / "other.jsonl"))


# -- the commands ---------------------------------------------------------------------------------------------


@pytest.fixture
def invoke(folder, monkeypatch):
    """Run an eval command on the collection, with stand-ins for the models."""
    monkeypatch.setattr("index.embedding.loading.load_encoder", lambda *arguments: HashEncoder())
    monkeypatch.setenv("CITEWELL_EVIDENCE__READER", "similarity")
    monkeypatch.setenv("COLUMNS", "200")

    def run(command, *arguments):
        return CliRunner().invoke(eval.cli.app, [command, *map(str, arguments)], catch_exceptions=False)

    return run


def kept(folder):
    return PaperStore.open(folder, HashEncoder()).tuning()


def test_calibrate_keeps_the_threshold_and_the_next_run_uses_it(folder, invoke):
    result = invoke("calibrate", folder, "--limit", 5, "--target", 0.4)
    assert result.exit_code == 0, result.output
    run = read_run("eval-calibrate.json")
    assert kept(folder) == {"refusal.threshold": run.measure("threshold").value}
    assert run.measure("threshold").value <= 0.5
    assert "easier than people's questions" in result.output
    assert Path("eval-calibrate.html").read_text().startswith("<!")
    qa = PaperQA.open(folder, embed_model=HashEncoder(), settings=Settings(evidence={"reader": "similarity"}))
    assert qa.ask("bacteria?").trace.threshold == run.measure("threshold").value


def test_a_dry_run_keeps_nothing(folder, invoke):
    assert invoke("calibrate", folder, "--dry-run", "--json", "--target", 0.5).exit_code == 0
    assert kept(folder) == {}


def test_too_few_questions_are_told_and_nothing_is_kept(folder, invoke):
    with pytest.raises(EvalDataError, match=r"is not kept: for a target of 5\.0% .* 40 answerable .* there are 6"):
        invoke("calibrate", folder)
    assert kept(folder) == {}
    assert len(read_run("eval-calibrate.json").rows) == 12  # the report is there all the same
    result = invoke("calibrate", folder, "--dry-run")
    assert result.exit_code == 0
    assert "it takes 40 answerable questions, and there are 6" in result.stderr
    assert kept(folder) == {}


def test_calibrate_reads_questions_and_tells_what_goes_before_it(folder, invoke, monkeypatch, tmp_path):
    more = [question(n, f"What do small {TOPICS[n]} groups report?", PAPERS[n].title) for n in (4, 5)]
    (tmp_path / "q.jsonl").write_text("\n".join([*QUESTIONS, *more]))
    monkeypatch.setenv("CITEWELL_REFUSAL__THRESHOLD", "0.4")
    result = invoke("calibrate", folder, "--questions", tmp_path / "q.jsonl", "--target", 0.5)
    run = read_run("eval-calibrate.json")
    assert run.dataset == Dataset.of_file(tmp_path / "q.jsonl")
    assert run.measure("refused_answerable").value <= 0.25  # below the second lowest of four
    assert kept(folder) == {"refusal.threshold": run.measure("threshold").value}
    assert "refusal.threshold is 0.4 by environment CITEWELL_REFUSAL__THRESHOLD" in result.output


def test_probe_measures_tries_the_switches_and_changes_nothing_unasked(folder, invoke):
    result = invoke("probe", folder, "--limit", 3, "--out", "p.json")
    assert result.exit_code == 0, result.output
    assert read_run("p.json").settings["eval"] == {"example": False, "limit": 3, "seed": 0}
    assert "keywords on, rerank on (in use)" in result.output
    assert "easier than people's questions" in result.output
    assert kept(folder) == {}
    assert invoke("probe", folder, "--limit", 3, "--apply", "--json").exit_code == 0  # six probes show no difference
    assert kept(folder) == {}


def test_probe_keeps_switches_that_are_better(folder, invoke, monkeypatch):
    from eval import probe

    monkeypatch.setattr(probe, "best_trial", lambda tried: tried[3])
    result = invoke("probe", folder, "--limit", 2, "--apply")
    assert kept(folder) == {"retrieval.keywords": False, "retrieval.rerank": False}
    assert "Kept with the collection" in result.output
    PaperQA.open(folder, embed_model=HashEncoder()).tune({"refusal.threshold": 0.2})
    result = invoke("probe", folder, "--limit", 2)
    assert "keywords off, rerank off (in use)" in result.output
    assert read_run("eval-probe.json").settings["refusal"] == {"threshold": 0.2}


@pytest.mark.parametrize("arguments", [["x.idx", "--example"], ["--example", "--apply"]])
def test_an_example_takes_no_index_and_keeps_nothing(invoke, arguments):
    assert invoke("probe", *arguments).exit_code == 2


def test_settings_given_by_argument_are_not_overruled_by_what_is_kept(folder):
    PaperQA.open(folder, embed_model=HashEncoder()).tune({"refusal.threshold": 0.2})
    settings = Settings(refusal=RefusalSettings(threshold=0.9), evidence={"reader": "similarity"})
    assert PaperQA.open(folder, embed_model=HashEncoder(), settings=settings).ask("bacteria?").trace.threshold == 0.9
