import json
import subprocess
import sys
import types
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

import eval.cli
from eval import Dataset, load_questions, read_run, render_text, run_answers
from eval.answers import WARM_UP
from eval.dataset import dataset_sha256
from eval.refusals import refusal_curve
from eval.run import Bars, Curves, Histogram
from index.errors import CitewellError, EvalDataError, IndexNotFoundError
from index.paper import Paper
from rag.answer import Answer, AnswerSentence, Citation, Trace

ROOT = Path(__file__).parents[2]
FAST = Paper.create("A Fast Network", "We build it. It is 4.3x faster.", id="f")
SLOW = Paper.create("A Slow Network", "It is slow. It takes 40 days.", id="s")
SHAPE = {"answer": "", "papers": [], "evidence": [], "must_include": []}
ROWS = [
    SHAPE | {"id": "1", "kind": "factoid", "question": "how fast?", "papers": ["A Fast Network"], "evidence": ["4.3x"],
             "must_include": ["4.3"]},
    SHAPE | {"id": "2", "kind": "unanswerable", "question": "who won?"},
    SHAPE | {"id": "3", "kind": "factoid", "question": "how slow?", "papers": ["A Slow Network"],
             "evidence": ["It takes 40 days."], "must_include": ["40"],
             "history": [{"role": "user", "content": "hello"}]},
    SHAPE | {"id": "4", "kind": "unanswerable", "question": "what colour?"},
]  # fmt: skip


def answered(question, paper, start, end, answerability):
    citation = Citation(1, paper.id, paper.abstract[start:end], start, end, 0.9)
    sentence = AnswerSentence(paper.abstract[start:end], 0.9, (citation,))
    return Answer(question, "answered", (sentence,), trace=Trace(answerability=answerability))


def refused(question, answerability):
    return Answer(question, "refused", reason="No 40.", trace=Trace(answerability=answerability))


class ScriptedQA:
    """Answers by a script and keeps what it was asked; it has the face of ``PaperQA``."""

    answerer = "script"

    def __init__(self, papers=(FAST, SLOW)):
        self.asked = []
        self.closed = False
        self.stored = list(papers)

    def ask(self, question, history=None):
        self.asked.append((question, history))
        return {
            "how fast?": lambda: answered(question, FAST, 13, 31, 0.9),
            "how slow?": lambda: refused(question, 0.4),
            "who won?": lambda: refused(question, 0.1),
            "what colour?": lambda: answered(question, SLOW, 0, 11, 0.4),
        }.get(question, lambda: refused(question, 0.0))()

    def paper(self, paper_id):
        return {paper.id: paper for paper in self.stored}[paper_id]

    def papers(self):
        return list(self.stored)

    def add(self, source):
        self.stored += source

    def close(self):
        self.closed = True

    def __len__(self):
        return len(self.stored)


@pytest.fixture
def dataset(tmp_path):
    path = tmp_path / "questions.jsonl"
    path.write_text("\n".join(map(json.dumps, ROWS)), encoding="utf-8")
    return path


def measure(qa, dataset, progress=None):
    return run_answers(qa, load_questions(dataset), Dataset.of_file(dataset), {"a": 1}, progress)


@pytest.fixture
def run(dataset):
    return measure(ScriptedQA(), dataset)


def test_questions_are_asked_in_order_after_a_warm_up(dataset):
    qa, ticks = ScriptedQA(), []
    measure(qa, dataset, lambda done, total: ticks.append((done, total)))
    assert qa.asked == [
        (WARM_UP, None),
        ("how fast?", None),
        ("who won?", None),
        ("how slow?", [{"role": "user", "content": "hello"}]),
        ("what colour?", None),
    ]
    assert ticks == [(0, 4), (1, 4), (2, 4), (3, 4), (4, 4)]


def test_rows_keep_what_was_said(run):
    first, second, third, fourth = run.rows
    assert (first.id, first.group, first.text) == ("1", "factoid", "how fast?")
    assert first.details == {
        "status": "answered",
        "answer": "It is 4.3x faster [1].",
        "cited": ["A Fast Network"],
        "answerability": 0.9,
        "bad_quotes": 0,
        "uncited_sentences": 0,
    }
    assert (first.scores["key_facts"], first.scores["sentence_recall"], first.scores["words"]) == (1.0, 1.0, 4.0)
    assert (first.scores["refused_answerable"], first.scores["refused_unanswerable"]) == (0.0, None)
    assert (second.details["status"], second.scores["gold_first"]) == ("refused", None)
    assert (second.scores["refused_answerable"], second.scores["refused_unanswerable"]) == (None, 1.0)
    # "40" stands in the reason, which is no answer
    assert (third.scores["gold_first"], third.scores["key_facts"], third.scores["words"]) == (0.0, 0.0, None)
    assert (third.scores["refused_answerable"], fourth.scores["refused_unanswerable"]) == (1.0, 0.0)
    assert all(row.scores["latency_ms"] >= 0 for row in run.rows)


def test_refusals_are_counted_by_what_was_right(run):
    wrongly, rightly = run.measure("refused_answerable"), run.measure("refused_unanswerable")
    assert (wrongly.value, wrongly.n, wrongly.higher_is_better) == (0.5, 2, False)
    assert (rightly.value, rightly.n, rightly.higher_is_better) == (0.5, 2, True)
    factoid, unanswerable = run.groups
    assert (factoid.name, factoid.n, factoid.measure("refused_answerable").value) == ("factoid", 2, 0.5)
    assert factoid.measure("refused_unanswerable") is None
    assert unanswerable.measure("refused_answerable") is None
    assert unanswerable.measure("refused_unanswerable").value == 0.5


def test_a_refused_answer_halves_the_means(run):
    for name in ("gold_first", "paper_precision", "paper_recall", "sentence_precision", "sentence_recall", "key_facts"):
        assert (run.measure(name).value, run.measure(name).n) == (0.5, 2)
        assert run.measure(name).per_query


def test_answerability_is_compared_over_both_sorts(run):
    # 0.9 beats 0.1 and 0.4; 0.4 beats 0.1 and ties 0.4
    assert run.measure("auroc").value == pytest.approx(3.5 / 4)
    assert [group.measure("auroc") for group in run.groups] == [None, None]


def test_totals(run):
    assert len(run.rows) == 4
    assert run.measure("median_words").value == run.measure("words").value == 3.5  # 4 and 3; refusals have no length
    for name in ("bad_quotes", "uncited_sentences"):
        assert (run.measure(name).value, run.measure(name).low, run.measure(name).per_query) == (0, None, False)
    assert run.measure("latency_p50_ms").value <= run.measure("latency_p95_ms").value


def test_broken_quotes_are_counted(dataset):
    class Inexact(ScriptedQA):
        def ask(self, question, history=None):
            answer = super().ask(question, history)
            if not answer.sentences:
                return answer
            (sentence,) = answer.sentences
            wrong = replace(sentence.citations[0], quote="We build it!")
            return replace(answer, sentences=(replace(sentence, citations=(wrong,)), replace(sentence, citations=())))

    run = measure(Inexact(), dataset)
    assert (run.measure("bad_quotes").value, run.measure("uncited_sentences").value) == (2, 2)
    assert run.group("factoid").measure("bad_quotes").value == 1


def test_nothing_is_asked_when_gold_is_missing(dataset):
    qa = ScriptedQA([FAST])
    with pytest.raises(EvalDataError, match="Question 3"):
        measure(qa, dataset)
    assert qa.asked == []
    with pytest.raises(ValueError, match="no questions"):
        run_answers(qa, [], Dataset.of_file(dataset), {})


def test_the_refusal_curve_by_hand():
    # Below 0.4 are 0.1 (unanswerable); below 0.9 also 0.4 and 0.4; below 1 all.
    curve = refusal_curve([0.9, 0.4], [0.1, 0.4], 0.5)
    answered, refused = curve.lines
    assert answered.x == refused.x == (0.0, 0.1, 0.4, 0.9, 1.0)
    assert answered.y == (1.0, 1.0, 1.0, 0.5, 0.0)
    assert refused.y == (0.0, 0.0, 0.5, 1.0, 1.0)
    assert (curve.mark, curve.steps) == (0.5, True)


def test_what_is_drawn(run):
    bars = [plot.measure for plot in run.plots if isinstance(plot, Bars)]
    assert bars == [
        "gold_first",
        "paper_precision",
        "paper_recall",
        "sentence_precision",
        "sentence_recall",
        "key_facts",
    ]
    (scores,) = [plot for plot in run.plots if isinstance(plot, Histogram)]
    assert [(series.name, series.values) for series in scores.series] == [
        ("answerable", (0.9, 0.4)),
        ("unanswerable", (0.1, 0.4)),
    ]
    assert len([plot for plot in run.plots if isinstance(plot, Curves)]) == 1


def test_table_shows_each_kind_and_the_intervals(run):
    lines = render_text(run).splitlines()
    header, _, factoid, unanswerable, _, overall, *_ = lines
    assert header.split()[:2] == ["kind", "n"]
    assert factoid.split()[:9] == ["factoid", "2", *["0.500"] * 7]
    assert factoid.split()[9:11] == ["-", "-"]
    assert unanswerable.split()[:11] == ["unanswerable", "2", *["-"] * 7, "0.500", "-"]
    assert overall.split()[:11] == ["overall", "4", *["0.500"] * 8, "0.875"]
    assert header.endswith("words  p50 ms  p95 ms  bad  uncited")
    assert len({len(line) for line in (header, factoid, unanswerable, overall)}) == 1
    (facts,) = [line for line in lines if line.startswith("key facts ")]
    assert facts.split() == ["key", "facts", "0.500", "[0.000,", "1.000]", "n", "=", "2"]


def test_a_run_says_what_is_needed_to_repeat_it(run, dataset):
    assert run.command == "answers"
    assert (run.dataset.path, run.dataset.sha256) == (str(dataset), dataset_sha256(dataset))
    assert run.settings == {"a": 1}
    assert {"citewell", "python", "numpy", "faiss-cpu"} <= run.versions.keys()


@pytest.fixture
def opened(monkeypatch):
    """Put a scripted ``PaperQA`` behind the command; the list holds each one that is opened and its path."""
    import rag.settings

    made = []

    class FakePaperQA(ScriptedQA):
        @classmethod
        def open(cls, path, llm=None, settings=None):
            qa = cls([] if "empty" in str(path) or "citewell-eval-" in str(path) else (FAST, SLOW))
            made.append((qa, path, llm))
            return qa

    bundled = types.ModuleType("index.bundled")
    bundled.bundled_papers = lambda: iter([FAST, SLOW])
    monkeypatch.setitem(sys.modules, "index.bundled", bundled)
    monkeypatch.setattr("rag.PaperQA", FakePaperQA, raising=False)
    monkeypatch.setattr("rag.load_settings", rag.settings.load_settings, raising=False)
    return made


def invoke(*arguments):
    return CliRunner().invoke(eval.cli.app, ["answers", *map(str, arguments)])


def test_command_prints_a_table_and_writes_the_report(opened, dataset, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = invoke(dataset, "--index", "my.idx", "--llm", "some/model")
    assert result.exit_code == 0, result.output
    assert "overall" in result.stdout
    settings = read_run("eval-answers.json").settings
    assert settings["index"]["path"] == "my.idx"
    assert settings["answering"]["llm"] == "some/model"
    assert settings["eval"] == {"example": False, "limit": None, "answerer": "script"}
    page = (tmp_path / "eval-answers.html").read_text(encoding="utf-8")
    assert "citewell eval answers" in page
    assert "Refusal curve" in page
    ((qa, path, llm),) = opened
    assert (path, llm, qa.closed) == (Path("my.idx"), "some/model", True)


def test_command_over_the_example(opened, dataset, tmp_path):
    out = tmp_path / "out.json"
    result = invoke(dataset, "--example", "--json", "--limit", 2, "--out", out)
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout) == json.loads(out.read_text(encoding="utf-8"))
    assert [row["id"] for row in json.loads(result.stdout)["rows"]] == ["1", "3"]  # spread over the file
    ((qa, path, _),) = opened
    assert qa.closed
    assert not path.parent.exists()


def test_command_leaves_errors_to_its_parent(opened, dataset, tmp_path):
    out = tmp_path / "out.json"
    result = invoke(dataset, "--index", tmp_path / "empty.idx", "--out", out)
    assert isinstance(result.exception, IndexNotFoundError)
    assert "citewell add" in str(result.exception)
    assert opened[0][0].closed
    assert isinstance(invoke(tmp_path / "absent.jsonl", "--out", out).exception, EvalDataError)
    failed = invoke(dataset, "--out", tmp_path)  # a folder
    assert isinstance(failed.exception, CitewellError)
    assert "cannot be written" in str(failed.exception)
    assert "overall" in failed.stdout  # what was measured is shown all the same


@pytest.mark.parametrize(
    "arguments",
    [["--example", "--index", "a"], ["--out", "/no/such/folder/x"], ["--out", "x.html"], ["--limit", 0]],
)
def test_command_refuses_arguments_that_disagree(opened, dataset, arguments):
    assert invoke(dataset, *arguments).exit_code == 2
    assert opened == []


def test_importing_the_command_loads_nothing_heavy():
    heavy = "{'gradio', 'numpy', 'pydantic', 'torch', 'transformers'}"
    code = f"import sys, eval.cli; sys.exit(', '.join({heavy} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.stderr.strip() == ""
