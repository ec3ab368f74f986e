"""Drafts are read with errors that name the place, and what stays of them is counted rightly."""

import json
from pathlib import Path

import pytest
from fakes import HashEncoder

from eval.cli import EXAMPLE_DRAFTS, EXAMPLE_QUESTIONS
from eval.dataset import Question, load_questions
from eval.drafts import load_drafts
from eval.grounding import DEFINITIONS, DraftWriter, Said, run_grounding
from eval.run import Dataset, Row
from index.errors import EvalDataError
from index.paper import Paper
from rag import CancelToken, PaperQA
from rag.settings import EvidenceSettings, RefusalSettings, Settings

PAPERS = [
    Paper.create(
        "RIFormer: Backbones without Mixers",
        "Token mixers are costly. RIFormer removes token mixers from the backbone. RIFormer reaches 81.3% on ImageNet.",
    ),
    Paper.create("WavCodec: A Tokenizer", "WavCodec compresses speech. One second of speech needs 40 tokens."),
]
QUESTIONS = [
    Question(
        "q1",
        "factoid",
        "What does RIFormer remove?",
        (PAPERS[0].title,),
        ("RIFormer removes token mixers from the backbone.", "reaches 81.3% on ImageNet"),
        "mixers",
        (),
    )
]
DRAFT = {
    "id": "q1",
    "set": "tuned",
    "true": [
        {"text": "From the backbone, RIFormer removes token mixers.", "evidence": [0]},
        {"text": "RIFormer reaches 81.3% on ImageNet.", "evidence": [1]},
    ],
    "invented": {"text": "RIFormer reaches 99.9% on ImageNet.", "kind": "number"},
}


def write(folder: Path, *drafts: object) -> Path:
    path = folder / "drafts.jsonl"
    path.write_text("".join(json.dumps(draft) + "\n" for draft in drafts), encoding="utf-8")
    return path


def test_the_drafts_that_come_with_citewell_fit_their_questions() -> None:
    drafts = load_drafts(EXAMPLE_DRAFTS, load_questions(EXAMPLE_QUESTIONS))
    answerable = {question.id for question in load_questions(EXAMPLE_QUESTIONS) if question.answerable}
    for name in ("tuned", "held-out"):
        assert {question.id for question, draft in drafts if draft.set == name} == answerable
    assert len(drafts) == 2 * len(answerable)


@pytest.mark.parametrize(
    ("draft", "message"),
    [
        ({**DRAFT, "id": "q9"}, "line 1, field id: there is no question 'q9'"),
        ({**DRAFT, "set": "other"}, "line 1, field set: Input should be 'tuned' or 'held-out'"),
        ({**DRAFT, "true": [{"text": "A.", "evidence": [2]}]}, "field evidence: .*2.*, and question q1 has 2 passages"),
        ({**DRAFT, "true": [{"text": "A.", "evidence": []}]}, "field evidence"),
        ({**DRAFT, "more": 1}, "line 1, field more"),
        ({**DRAFT, "invented": {"text": " ", "kind": "number"}}, "line 1, field invented.text"),
    ],
)
def test_a_draft_that_does_not_fit_is_named(tmp_path: Path, draft: object, message: str) -> None:
    with pytest.raises(EvalDataError, match=message):
        load_drafts(write(tmp_path, draft), QUESTIONS)


def test_a_file_without_drafts_is_named(tmp_path: Path) -> None:
    with pytest.raises(EvalDataError, match="holds no drafts"):
        load_drafts(write(tmp_path), QUESTIONS)


def test_markers_are_right_wrong_missing_and_invented_in_turn() -> None:
    writer = DraftWriter()
    writer.prepare([Said(f"Sentence {name}.", (0,)) for name in "abcdefgh"], ["Second"])
    messages = [{"role": "user", "content": "Papers:\n\n[1] First\nA.\n\n[2] Second (2023)\nB.\n\nQuestion: how?"}]
    text = "".join(writer.stream(messages, 400, CancelToken(), papers=2))
    assert text == (
        "Sentence a [1]. Sentence b. Sentence c [0]. Sentence d [2]. Sentence e [1]. Sentence f. Sentence g [99]. "
        "Sentence h [2]."
    )
    assert "".join(writer.stream(messages, 400, CancelToken(), papers=0)) == ""  # a follow-up is not rewritten


def test_what_stays_is_counted(tmp_path: Path) -> None:
    writer = DraftWriter()
    settings = Settings(refusal=RefusalSettings(threshold=0.0), evidence=EvidenceSettings(reader="similarity"))
    qa = PaperQA.open(tmp_path / "papers.idx", embed_model=HashEncoder(), llm=writer, settings=settings)
    qa.add(PAPERS)
    drafts = load_drafts(write(tmp_path, DRAFT), QUESTIONS)
    told: list[tuple[int, int]] = []
    run = run_grounding(qa, writer, drafts, Dataset("drafts", "0" * 64), {}, lambda *done: told.append(done))
    assert told == [(0, 2), (1, 2), (2, 2)]
    assert [row.group for row in run.rows] == ["reworded, tuned", "verbatim, tuned"]
    counts = {name: [row.details[name] for row in run.rows] for name in ("true", "true_kept", "invented_kept")}
    assert counts == {"true": [2, 2], "true_kept": [2, 2], "invented_kept": [0, 0]}
    values = {measure.name: measure.value for measure in run.measures}
    assert values == {
        "citation_precision": 1.0,
        "citation_precision_strict": 1.0,
        "citation_recall": 1.0,
        "invented_removed": 1.0,
        "true_kept": 1.0,
    }


def test_shares_are_of_all_rows_together() -> None:
    counts = {
        "citations": 3,
        "right_citations": 2,
        "right_true_citations": 1,
        "evidence": 4,
        "cited_evidence": 1,
        "true": 2,
        "true_kept": 1,
    }
    rows = [
        Row("a", "g", "?", {}, {**counts, "invented": 1, "invented_kept": 1}),
        Row(
            "b", "g", "?", {}, {**dict.fromkeys(counts, 0), "evidence": 1, "true": 3, "invented": 1, "invented_kept": 0}
        ),
    ]
    measured = {definition.name: definition.measure(rows) for definition in DEFINITIONS}
    assert {name: measure.value for name, measure in measured.items() if measure} == {
        "citation_precision": pytest.approx(2 / 3),
        "citation_precision_strict": pytest.approx(1 / 3),
        "citation_recall": pytest.approx(1 / 5),
        "invented_removed": pytest.approx(1 / 2),
        "true_kept": pytest.approx(1 / 5),
    }
