"""When ``citewell ui --example`` may add the example papers: never to somebody's own."""

import pytest
from fakes import HashEncoder

from index.bundled import bundled_papers
from index.paper import Paper
from rag import PaperQA
from ui.cli.web import _may_take_example


@pytest.fixture
def qa(tmp_path):
    collection = PaperQA.open(tmp_path / "papers.idx", embed_model=HashEncoder())
    yield collection
    collection.close()


def test_a_collection_that_is_not_there_yet_may(qa):
    assert _may_take_example(qa)


def test_an_unfinished_example_may(qa):
    qa.add(list(bundled_papers())[:3])
    assert _may_take_example(qa)


def test_the_whole_example_need_not(qa):
    qa.add(bundled_papers())
    assert not _may_take_example(qa)


def test_somebodys_own_papers_may_not(qa):
    qa.add([Paper.create("On whales", "Whales sing.")])
    assert not _may_take_example(qa)
