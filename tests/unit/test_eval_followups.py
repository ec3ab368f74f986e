"""Measuring stand-alone wordings: F1 worked by hand, what counts as left alone, and the command."""

import json

import pytest
from fake_llm import ScriptedLLM
from typer.testing import CliRunner

import eval.cli
from eval.compare import compare_runs
from eval.followups import SYSTEMS, FollowUp, by_model, load_follow_ups, run_followups, word_f1
from eval.run import Dataset, parse_run, run_json
from index.errors import EvalDataError

DATASET = Dataset("rewrites.jsonl", "0" * 64)
FIRST = "What is throat cancer?"
ROWS = [
    {"source": "cast19", "id": "31_1", "history": [], "utterance": FIRST, "rewrite": FIRST},
    {"source": "cast19", "id": "31_2", "history": [FIRST], "utterance": "Is it treatable?",
     "rewrite": "Is throat cancer treatable?"},
    {"source": "cast19", "id": "31_3", "history": [FIRST, "Is it treatable?"],
     "utterance": "Tell me about lung cancer.", "rewrite": "Tell me  about lung cancer. "},
    {"source": "other", "id": "c<::>2", "history": [FIRST], "utterance": "Is it a disease?",
     "rewrite": "Is it a disease?"},
]  # fmt: skip


@pytest.fixture
def write(tmp_path):
    def written(*rows, name="rewrites.jsonl"):
        path = tmp_path / name
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        return path

    return written


def measured(rows, **systems):
    made = [FollowUp(**{**row, "history": tuple(row["history"])}) for row in rows]
    return run_followups(made, DATASET, {}, systems=systems or SYSTEMS)


# -- F1 -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "other", "f1"),
    [
        ("Is it treatable?", "Is throat cancer treatable?", 2 * 1 / (1 + 3)),
        ("Is throat cancer treatable?", "Is throat cancer treatable?", 1.0),
        ("throat cancer and lung cancer treatable", "Is throat cancer treatable?", 2 * 3 / (4 + 3)),
        ("cancers of the throat", "throat cancer", 1.0),  # stems; order and function words do not count
        ("bees", "honey", 0.0),
        ("What is it?", "Who are they?", 1.0),  # neither has a topic word
        ("What is it?", "honey", 0.0),
    ],
)
def test_f1_worked_by_hand(text, other, f1):
    assert word_f1(text, other) == pytest.approx(f1)
    assert word_f1(other, text) == pytest.approx(f1)


def test_measures_worked_by_hand():
    run = measured(ROWS)
    value = {measure.name: measure.value for measure in run.measures}
    assert value["raw_f1"] == pytest.approx((1 + 0.5 + 1 + 1) / 4)
    assert value["raw_f1_depends"] == pytest.approx(0.5)
    assert value["raw_f1_alone"] == 1.0
    assert value["standalone_f1_depends"] == 1.0
    # "Is throat cancer a disease?" against a person's "Is it a disease?": 2 · 1 / (3 + 1), and not left alone.
    assert value["standalone_f1_alone"] == pytest.approx((1 + 1 + 0.5) / 3)
    assert value["standalone_left"] == pytest.approx(2 / 3)
    assert value["standalone_left_later"] == pytest.approx(1 / 2)
    assert {name: n for name, n in ((m.name, m.n) for m in run.measures) if name.startswith("standalone")} == {
        "standalone_f1": 4,
        "standalone_f1_depends": 1,
        "standalone_f1_alone": 3,
        "standalone_left": 3,
        "standalone_left_later": 2,
    }
    assert run.group("cast19").measure("standalone_f1").value == 1.0
    assert run.group("other").measure("standalone_f1").value == 0.5


def test_the_rule_without_the_conversation_is_the_question_as_asked():
    for row in measured(ROWS).rows:
        assert row.details["no_history"] == row.details["raw"] == row.text
        assert row.scores["no_history_f1"] == row.scores["raw_f1"]


def test_a_system_that_loses_the_question_scores_nothing():
    run = measured(ROWS, standalone=lambda question, history: "honey")
    assert run.measure("standalone_f1").value == 0.0
    assert run.measure("standalone_left").value == 0.0


def test_another_system_is_one_function():
    run = measured(ROWS, llm=lambda question, history: f"{question} {len(history)}")
    assert [row.details["llm"][-1] for row in run.rows] == ["0", "1", "2", "1"]
    kinds = ("f1", "f1_depends", "f1_alone", "left", "left_later")
    assert {measure.name for measure in run.measures} == {f"llm_{kind}" for kind in kinds}


def test_a_language_model_is_one_too_and_is_only_asked_where_there_is_a_conversation():
    llm = ScriptedLLM("Is throat cancer treatable?", "I do not know.")
    system = by_model(llm)
    history = [{"role": "user", "content": "What is throat cancer?"}]
    assert system("Is it treatable?", []) == "Is it treatable?"
    assert llm.prompts == []
    assert system("Is it treatable?", history) == "Is throat cancer treatable?"
    assert system("Is it treatable?", history) == "Is it treatable?"  # what is no rewriting is not used
    assert "Earlier question: What is throat cancer?" in llm.prompts[0]


def test_intervals_resample_conversations():
    assert [row.details["cluster"] for row in measured(ROWS).rows] == ["cast19 31_"] * 3 + ["other c<::>"]


def test_runs_can_be_compared_and_read_again():
    run = measured(ROWS)
    assert parse_run(run_json(run), "run") == run
    changed = measured(ROWS, **{**SYSTEMS, "standalone": SYSTEMS["raw"]})
    difference = {d.measure.name: d.value for d in compare_runs(run, changed).differences}
    assert difference["standalone_f1_depends"] == pytest.approx(-0.5)
    assert difference["raw_f1"] == 0


def test_there_must_be_questions():
    with pytest.raises(ValueError, match="no questions"):
        measured([])


# -- the file -------------------------------------------------------------------------------------------------


def test_the_history_of_cast_2021_holds_the_answers():
    row = {**ROWS[1], "source": "cast21", "history": (FIRST, "A disease.", "Is it bad?", "Yes.")}
    assert [message["role"] for message in FollowUp(**row).messages] == ["user", "assistant"] * 2
    assert [message["role"] for message in FollowUp(**{**row, "source": "cast20"}).messages] == ["user"] * 4


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ({**ROWS[0], "rewrite": " "}, "line 2, field rewrite"),
        ({**ROWS[0], "history": ["a", 1]}, "line 2, field history.1"),
        ({"source": "x"}, "line 2, field id"),
        (ROWS[1], "line 2, field id: '31_2' is the id of an earlier line"),
    ],
)
def test_a_line_of_another_form_is_named(write, row, told):
    with pytest.raises(EvalDataError, match=told):
        load_follow_ups(write(ROWS[1], row))


def test_a_file_without_rows_is_refused(write):
    with pytest.raises(EvalDataError, match="holds no questions"):
        load_follow_ups(write())


# -- the command ----------------------------------------------------------------------------------------------


def test_command_prints_and_writes(write, tmp_path):
    out = tmp_path / "out.json"
    result = CliRunner().invoke(eval.cli.app, ["followups", str(write(*ROWS)), "--out", str(out)])
    assert result.exit_code == 0, result.output
    assert "standalone F1 dep." in result.stdout
    document = json.loads(out.read_text(encoding="utf-8"))
    assert document["command"] == "followups"
    assert document["rows"][1]["details"]["standalone"] == "Is throat cancer treatable?"
    assert "<svg" in out.with_suffix(".html").read_text(encoding="utf-8")


def test_command_as_json_with_a_limit(write, tmp_path):
    arguments = ["followups", str(write(*ROWS)), "--json", "--limit", "2", "--out", str(tmp_path / "out.json")]
    result = CliRunner().invoke(eval.cli.app, arguments)
    assert result.exit_code == 0, result.output
    assert [row["id"] for row in json.loads(result.stdout)["rows"]] == ["31_1", "31_3"]


def test_without_a_question_that_depends_nothing_is_drawn(write):
    assert measured(ROWS[:1]).plots == ()
