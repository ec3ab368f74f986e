import json
import subprocess
import sys
import types
from pathlib import Path

import pytest
from typer.testing import CliRunner

import eval.cli
from eval import load_questions, render_report, report_dict, run_answers
from eval.answers import WARM_UP
from eval.dataset import dataset_sha256
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


@pytest.fixture
def report(dataset):
    return run_answers(ScriptedQA(), load_questions(dataset))


def test_questions_are_asked_in_order_after_a_warm_up(dataset):
    qa, ticks = ScriptedQA(), []
    run_answers(qa, load_questions(dataset), lambda done, total: ticks.append((done, total)))
    assert qa.asked == [
        (WARM_UP, None),
        ("how fast?", None),
        ("who won?", None),
        ("how slow?", [{"role": "user", "content": "hello"}]),
        ("what colour?", None),
    ]
    assert ticks == [(0, 4), (1, 4), (2, 4), (3, 4), (4, 4)]


def test_rows_keep_what_was_said(report):
    first, second, third, _ = report.rows
    assert (first.status, first.text, first.cited) == ("answered", "It is 4.3x faster [1].", ("A Fast Network",))
    assert first.scores.key_facts == first.scores.sentence_recall == 1.0
    assert first.words == 4
    assert (second.answerable, second.status, second.scores.gold_first) == (False, "refused", None)
    assert (third.scores.gold_first, third.scores.key_facts, third.words) == (0.0, 0.0, 0)  # "40" stands in the reason
    assert all(row.latency_ms >= 0 for row in report.rows)


def test_refusals_are_counted_by_what_was_right(report):
    overall = report.overall
    assert (overall.refused_answerable.value, overall.refused_answerable.n) == (0.5, 2)
    assert (overall.refused_unanswerable.value, overall.refused_unanswerable.n) == (0.5, 2)
    factoid, unanswerable = report.kinds
    assert (factoid.name, factoid.n, factoid.refused_answerable.value) == ("factoid", 2, 0.5)
    assert factoid.refused_unanswerable is None
    assert unanswerable.refused_answerable is None
    assert unanswerable.refused_unanswerable.value == 0.5


def test_a_refused_answer_halves_the_means(report):
    overall = report.overall
    for name in ("gold_first", "paper_precision", "paper_recall", "sentence_precision", "sentence_recall", "key_facts"):
        assert (getattr(overall, name).value, getattr(overall, name).n) == (0.5, 2)


def test_answerability_is_compared_over_both_sorts(report):
    # 0.9 beats 0.1 and 0.4; 0.4 beats 0.1 and ties 0.4
    assert report.overall.auroc.value == pytest.approx(3.5 / 4)
    assert [kind.auroc for kind in report.kinds] == [None, None]


def test_totals(report):
    assert report.overall.n == 4
    assert report.overall.median_words == 3.5  # 4 and 3; refusals have no length
    assert (report.overall.bad_quotes, report.overall.uncited_sentences) == (0, 0)
    assert report.overall.latency_p50_ms <= report.overall.latency_p95_ms


def test_nothing_is_asked_when_gold_is_missing(dataset):
    qa = ScriptedQA([FAST])
    with pytest.raises(EvalDataError, match="Question 3"):
        run_answers(qa, load_questions(dataset))
    assert qa.asked == []
    with pytest.raises(ValueError, match="no questions"):
        run_answers(qa, [])


def test_table_shows_each_kind_and_the_intervals(report):
    lines = render_report(report).splitlines()
    header, _, factoid, unanswerable, _, overall, *_ = lines
    assert header.split()[:2] == ["kind", "n"]
    assert factoid.split()[:9] == ["factoid", "2", *["0.500"] * 7]
    assert factoid.split()[9:11] == ["-", "-"]
    assert unanswerable.split()[:11] == ["unanswerable", "2", *["-"] * 7, "0.500", "-"]
    assert overall.split()[:11] == ["overall", "4", *["0.500"] * 8, "0.875"]
    assert len({len(line) for line in (header, factoid, unanswerable, overall)}) == 1
    (facts,) = [line for line in lines if line.startswith("key facts ")]
    assert facts.split() == ["key", "facts", "0.500", "[0.000,", "1.000]", "n", "=", "2"]


def test_document_says_what_is_needed_to_repeat_it(report, dataset):
    document = report_dict(report, dataset=dataset, settings={"a": 1}, answerer="script")
    again = json.loads(json.dumps(document, allow_nan=False))
    assert again["dataset"] == {"path": str(dataset), "sha256": dataset_sha256(dataset)}
    assert again["settings"] == {"a": 1}
    assert again["answerer"] == "script"
    assert {"citewell", "python", "numpy", "faiss-cpu"} <= again["versions"].keys()
    assert [row["id"] for row in again["rows"]] == ["1", "2", "3", "4"]
    assert again["rows"][0]["text"] == "It is 4.3x faster [1]."
    assert again["overall"]["gold_first"]["value"] == 0.5
    assert [kind["name"] for kind in again["kinds"]] == ["factoid", "unanswerable"]


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
    document = json.loads((tmp_path / "eval-answers.json").read_text(encoding="utf-8"))
    assert document["settings"]["index"]["path"] == "my.idx"
    assert document["settings"]["answering"]["llm"] == "some/model"
    assert document["settings"]["eval"] == {"example": False, "limit": None}
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


@pytest.mark.parametrize("arguments", [["--example", "--index", "a"], ["--out", "/no/such/folder/x"], ["--limit", 0]])
def test_command_refuses_arguments_that_disagree(opened, dataset, arguments):
    assert invoke(dataset, *arguments).exit_code == 2
    assert opened == []


def test_importing_the_command_loads_nothing_heavy():
    heavy = "{'gradio', 'numpy', 'pydantic', 'torch', 'transformers'}"
    code = f"import sys, eval.cli; sys.exit(', '.join({heavy} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.stderr.strip() == ""
