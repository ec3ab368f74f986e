import hashlib
import json
from collections import Counter
from pathlib import Path

import pytest

from eval.dataset import Question, Turn, dataset_sha256, load_questions
from index.errors import EvalDataError

SEED = Path(__file__).parents[3] / "shared" / "data" / "seedqa_dev.jsonl"

GOOD = {
    "id": "q1",
    "kind": "factoid",
    "question": "How fast is it?",
    "papers": ["A Fast Network"],
    "evidence": ["It is 4.3x faster"],
    "answer": "4.3x",
    "must_include": ["4.3|4,3"],
}
UNANSWERABLE = GOOD | {"kind": "unanswerable", "papers": [], "evidence": [], "must_include": []}


def write(folder, *rows):
    path = folder / "questions.jsonl"
    path.write_text("\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows), encoding="utf-8")
    return path


def test_reads_every_field(tmp_path):
    history = [{"role": "user", "content": "hello"}, {"role": "assistant", "content": "hi"}]
    path = write(tmp_path, GOOD, "", UNANSWERABLE | {"id": "q2", "history": history, "neutral": ["Another Paper"]})
    first, second = load_questions(path)
    assert first == Question(
        id="q1",
        kind="factoid",
        question="How fast is it?",
        papers=("A Fast Network",),
        evidence=("It is 4.3x faster",),
        answer="4.3x",
        must_include=("4.3|4,3",),
    )
    assert first.answerable
    assert not second.answerable
    assert second.history == (Turn("user", "hello"), Turn("assistant", "hi"))
    assert second.neutral == ("Another Paper",)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("{not json", "line 2: Invalid JSON"),
        ("[1, 2]", "line 2: "),
        ({k: v for k, v in GOOD.items() if k != "papers"}, "line 2, field papers: "),
        (GOOD | {"question": "  "}, "line 2, field question: must not be empty"),
        (GOOD | {"papers": "A Fast Network"}, "line 2, field papers: "),
        (GOOD | {"papers": ["A", 3]}, "line 2, field papers.1: "),
        (GOOD | {"neutrl": ["A"]}, "line 2, field neutrl: unknown field"),
        (GOOD | {"history": [{"role": "system", "content": "x"}]}, "line 2, field history.0.role: "),
        (GOOD | {"history": [{"role": "user", "content": "x", "name": "me"}]}, "line 2, field history.0.name: unknown"),
        (GOOD | {"must_include": ["4.3||four"]}, "line 2, field must_include.0: must not be empty"),
        (GOOD | {"must_include": ["4.3|"]}, "line 2, field must_include.0: must not be empty"),
        (GOOD | {"papers": []}, "line 2, field papers: kind is 'factoid' and 0 gold papers"),
        (GOOD | {"kind": "unanswerable"}, "line 2, field papers: kind is 'unanswerable' and 1 gold papers"),
        (UNANSWERABLE | {"must_include": ["4"]}, "line 2, field must_include: must be empty"),
        (GOOD | {"id": "q0"}, "line 2, field id: 'q0' is already the id of line 1"),
    ],
)
def test_a_bad_line_is_named(tmp_path, row, said):
    path = write(tmp_path, GOOD | {"id": "q0"}, row)
    with pytest.raises(EvalDataError) as caught:
        load_questions(path)
    assert str(caught.value).startswith(f"{path}, {said}")


@pytest.mark.parametrize("content", [b"", b"\n \n"])
def test_a_file_without_questions_is_refused(tmp_path, content):
    path = tmp_path / "empty.jsonl"
    path.write_bytes(content)
    with pytest.raises(EvalDataError, match="holds no questions"):
        load_questions(path)


def test_a_file_that_cannot_be_read_is_refused(tmp_path):
    with pytest.raises(EvalDataError, match=r"absent\.jsonl cannot be read"):
        load_questions(tmp_path / "absent.jsonl")
    with pytest.raises(EvalDataError, match=r"absent\.jsonl cannot be read"):
        dataset_sha256(tmp_path / "absent.jsonl")
    (tmp_path / "latin.jsonl").write_bytes('{"id": "é"}'.encode("latin-1"))
    with pytest.raises(EvalDataError, match="not UTF-8"):
        load_questions(tmp_path / "latin.jsonl")


def test_a_byte_order_mark_is_no_error(tmp_path):
    path = tmp_path / "bom.jsonl"
    path.write_text(json.dumps(GOOD), encoding="utf-8-sig")
    assert len(load_questions(path)) == 1


def test_digest_is_of_the_bytes(tmp_path):
    path = tmp_path / "some.jsonl"
    path.write_bytes(b"abc")
    assert dataset_sha256(path) == hashlib.sha256(b"abc").hexdigest()


@pytest.mark.skipif(not SEED.exists(), reason=f"{SEED} is not on this machine")
def test_the_seed_questions_load():
    questions = load_questions(SEED)
    assert len(questions) == 120
    assert Counter(question.kind for question in questions) == {
        "factoid": 30,
        "method": 25,
        "paraphrase": 25,
        "list": 12,
        "comparison": 8,
        "followup": 10,
        "unanswerable": 10,
    }
    assert sum(bool(question.history) for question in questions) == 10
