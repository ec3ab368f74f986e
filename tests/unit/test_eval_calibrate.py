"""The threshold of refusals: what it promises, where it comes from, and that it is kept."""

import json
import math
from pathlib import Path

import pytest
from fakes import HashEncoder
from hypothesis import given
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


@given(scores=st.lists(st.floats(0, 1), min_size=1, max_size=60), target=st.floats(0, 0.99))
def test_the_threshold_is_the_highest_that_keeps_the_target(scores, target):
    threshold = threshold_for(scores, target)
    assert sum(score < threshold for score in scores) <= target * len(scores) + 1e-9
    higher = sorted(scores)[math.floor(target * len(scores) + 1e-9)] + 1e-9
    assert sum(score < higher for score in scores) > target * len(scores)
    assert higher - threshold < 2e-4
    assert threshold == round(threshold, 4)


@pytest.mark.parametrize(
    ("target", "expected"), [(0.0, 0.1), (0.09, 0.1), (0.1, 0.2), (0.25, 0.3), (0.3, 0.4), (0.9, 1.0)]
)
def test_a_table_worked_by_hand(target, expected):
    assert threshold_for([n / 10 for n in range(1, 11)], target) == expected


def test_a_share_that_is_not_exact_in_binary_is_not_rounded_down():
    assert threshold_for([n / 100 for n in range(1, 101)], 0.29) == 0.30


@pytest.mark.parametrize(("scores", "target"), [([], 0.1), ([0.5], 1.0), ([0.5], -0.1)])
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


ROWS = [row(n, n / 20, answerable=True) for n in range(1, 21)] + [
    row(n, n / 40, answerable=False) for n in range(21, 25)
]


def test_a_run_tells_what_the_threshold_does():
    run = run_calibration(ROWS, 0.05, DATASET, {})
    assert run.measure("threshold").value == 0.1
    false, true = run.measure("refused_answerable"), run.measure("refused_unanswerable")
    assert (false.value, false.n, round(false.low, 4), round(false.high, 4)) == (0.05, 20, 0.0089, 0.2361)  # Wilson
    assert (true.value, true.n) == (0.0, 4)
    assert [run.measure(f"threshold@{share}").value for share in TARGETS] == [0.05, 0.05, 0.1, 0.15]
    assert run.group("yes").measure("threshold") is None
    assert parse_run(run_json(run), "run") == run


def test_the_text_shows_each_target_once_with_intervals():
    lines = calibration_text(run_calibration(ROWS, 0.6, DATASET, {}), 0.6).splitlines()
    assert [line.split()[:4] for line in lines[2:7]] == [
        ["1.0%", "0.0500", "0.000", "[0.000,"],
        ["2.0%", "0.0500", "0.000", "[0.000,"],
        ["5.0%", "0.1000", "0.050", "[0.009,"],
        ["10.0%", "0.1500", "0.100", "[0.028,"],
        ["60.0%", "0.6500", "0.600", "[0.387,"],
    ]
    assert lines[6].split()[5] == "1.000"  # all four of the unanswerable are below
    assert lines[8].startswith("Answerable among these 24 questions, by score: ")
    assert len(calibration_text(run_calibration(ROWS, 0.05, DATASET, {}), 0.05).splitlines()) == 8


def test_without_unanswerable_questions_there_is_still_a_threshold():
    run = run_calibration(ROWS[:20], 0.1, DATASET, {})
    assert run.measure("threshold").value == 0.15
    assert run.plots == ()
    assert calibration_text(run, 0.1).splitlines()[-1].split()[-1] == "-"


def test_probes_lower_the_threshold_and_never_raise_it():
    assert run_calibration(ROWS, 0.6, DATASET, {}, MOST_FROM_PROBES).measure("threshold").value == 0.5
    assert run_calibration(ROWS, 0.05, DATASET, {}, MOST_FROM_PROBES).measure("threshold").value == 0.1
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
    pipeline, told = Pipeline(store, SimilarityReader(), None, Settings()), []
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
    result = invoke("calibrate", folder, "--limit", 5)
    assert result.exit_code == 0, result.output
    run = read_run("eval-calibrate.json")
    assert kept(folder) == {"refusal.threshold": run.measure("threshold").value}
    assert run.measure("threshold").value <= 0.5
    assert "easier than people's questions" in result.output
    assert Path("eval-calibrate.html").read_text().startswith("<!")
    qa = PaperQA.open(folder, embed_model=HashEncoder(), settings=Settings(evidence={"reader": "similarity"}))
    assert qa.ask("bacteria?").trace.threshold == run.measure("threshold").value


def test_a_dry_run_keeps_nothing(folder, invoke):
    assert invoke("calibrate", folder, "--dry-run", "--json").exit_code == 0
    assert kept(folder) == {}


def test_calibrate_reads_questions_and_tells_what_goes_before_it(folder, invoke, monkeypatch, tmp_path):
    (tmp_path / "q.jsonl").write_text("\n".join(QUESTIONS))
    monkeypatch.setenv("CITEWELL_REFUSAL__THRESHOLD", "0.4")
    result = invoke("calibrate", folder, "--questions", tmp_path / "q.jsonl", "--target", 0)
    run = read_run("eval-calibrate.json")
    assert run.dataset == Dataset.of_file(tmp_path / "q.jsonl")
    assert run.measure("refused_answerable").value == 0
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
