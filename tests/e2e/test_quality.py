"""The whole product on the example questions: what the README promises is measured here."""

from pathlib import Path

import pytest

from eval.answers import run_answers
from eval.cli import EXAMPLE_DRAFTS, EXAMPLE_QUESTIONS
from eval.dataset import load_questions
from eval.drafts import load_drafts
from eval.grounding import DraftWriter, run_grounding
from eval.run import Dataset, Run
from index.bundled import bundled_papers
from rag import PaperQA, load_settings


@pytest.fixture(scope="module")
def grounded(tmp_path_factory: pytest.TempPathFactory, cache_dir: Path) -> Run:
    writer = DraftWriter()
    settings = load_settings(overrides={"index": {"cache_dir": cache_dir}})
    qa = PaperQA.open(tmp_path_factory.mktemp("grounding") / "papers.idx", llm=writer, settings=settings)
    qa.add(bundled_papers())
    drafts = load_drafts(EXAMPLE_DRAFTS, load_questions(EXAMPLE_QUESTIONS))
    return run_grounding(qa, writer, drafts[::10], Dataset.of_file(EXAMPLE_DRAFTS), {})  # 22 of 220: all take minutes


def test_grounding_keeps_what_is_true_and_removes_what_is_invented(grounded: Run) -> None:
    assert grounded.measure("citation_precision").value >= 0.9
    assert grounded.measure("citation_recall").value >= 0.8
    assert grounded.measure("invented_removed").value >= 0.85
    assert grounded.measure("true_kept").value >= 0.88


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, cache_dir: Path) -> Run:
    qa = PaperQA.open(
        tmp_path_factory.mktemp("quality") / "papers.idx",
        settings=load_settings(overrides={"index": {"cache_dir": cache_dir}}),
    )
    qa.add(bundled_papers())
    return run_answers(qa, load_questions(EXAMPLE_QUESTIONS), Dataset.of_file(EXAMPLE_QUESTIONS), {})


def test_a_gold_paper_is_cited_first(run: Run) -> None:
    assert run.measure("gold_first").value >= 0.95


def test_key_facts_are_in_short_answers(run: Run) -> None:
    assert run.measure("key_facts").value >= 0.60
    assert run.measure("median_words").value <= 90


def test_refusals_fall_where_they_should(run: Run) -> None:
    assert run.measure("refused_unanswerable").value >= 0.7
    assert run.measure("refused_answerable").value <= 0.05


def test_every_quote_is_exact_and_every_sentence_cited(run: Run) -> None:
    assert run.measure("bad_quotes").value == 0
    assert run.measure("uncited_sentences").value == 0


def test_the_example_questions_are_those_of_the_evaluation_data(shared_data: Path) -> None:
    assert EXAMPLE_QUESTIONS.read_bytes() == (shared_data / "seedqa_dev.jsonl").read_bytes()
