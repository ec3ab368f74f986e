"""The whole product on the example questions: what the README promises is measured here."""

from pathlib import Path

import pytest

from eval.answers import AnswersReport, run_answers
from eval.cli import EXAMPLE_QUESTIONS
from eval.dataset import load_questions
from index.bundled import bundled_papers
from rag import PaperQA, load_settings


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory, cache_dir: Path) -> AnswersReport:
    qa = PaperQA.open(
        tmp_path_factory.mktemp("quality") / "papers.idx",
        settings=load_settings(overrides={"index": {"cache_dir": cache_dir}}),
    )
    qa.add(bundled_papers())
    return run_answers(qa, load_questions(EXAMPLE_QUESTIONS))


def test_a_gold_paper_is_cited_first(report: AnswersReport) -> None:
    assert report.overall.gold_first.value >= 0.95


def test_key_facts_are_in_short_answers(report: AnswersReport) -> None:
    assert report.overall.key_facts.value >= 0.60
    assert report.overall.median_words <= 90


def test_refusals_fall_where_they_should(report: AnswersReport) -> None:
    assert report.overall.refused_unanswerable.value >= 0.7
    assert report.overall.refused_answerable.value <= 0.05


def test_every_quote_is_exact_and_every_sentence_cited(report: AnswersReport) -> None:
    assert report.overall.bad_quotes == 0
    assert report.overall.uncited_sentences == 0


def test_the_example_questions_are_those_of_the_evaluation_data(shared_data: Path) -> None:
    assert EXAMPLE_QUESTIONS.read_bytes() == (shared_data / "seedqa_dev.jsonl").read_bytes()
