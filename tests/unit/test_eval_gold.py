from dataclasses import replace
from pathlib import Path

import pytest

from eval.dataset import Question, load_questions
from eval.gold import Gold, Span, locate_gold
from index.errors import EvalDataError
from index.paper import Paper

DATA = Path(__file__).parents[3] / "shared" / "data"
LISTING = DATA / "000_a6df42966278ca45.txt"

FAST = Paper.create(
    "A Fast Network", "We build it. It is 2times faster, and 3\\% better. It is 2times faster, again.", id="f"
)
SLOW = Paper.create("Slow: Naïve Design", "It is slow.", id="s")
QUESTION = Question(
    id="q1",
    kind="factoid",
    question="?",
    papers=("a fast network",),
    evidence=("3\\% better.",),
    answer="",
    must_include=(),
)


def test_titles_and_evidence_are_found_after_cleaning():
    assert FAST.abstract == "We build it. It is 2× faster, and 3% better. It is 2× faster, again."
    question = replace(QUESTION, papers=("a fast network",), neutral=("SLOW -- naive design",))
    (gold,) = locate_gold([question], [FAST, SLOW])
    assert gold == Gold(papers=(frozenset({"f"}),), evidence=((Span("f", 34, 44),),), neutral=frozenset({"s"}))
    assert FAST.abstract[34:44] == "3% better."


def test_every_place_of_the_evidence_counts():
    (gold,) = locate_gold([replace(QUESTION, evidence=("2times faster",))], [FAST])
    assert gold.evidence == ((Span("f", 19, 28), Span("f", 51, 60)),)


def test_copies_of_a_paper_are_all_gold():
    copy = replace(FAST, id="copy")
    (gold,) = locate_gold([QUESTION], [FAST, SLOW, copy])
    assert gold.papers == (frozenset({"f", "copy"}),)
    assert gold.paper_ids == {"f", "copy"}
    assert gold.evidence == ((Span("f", 34, 44), Span("copy", 34, 44)),)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"papers": ("A Fast Net",)}, "Question q1, field papers: no paper of the collection is called 'A Fast Net'"),
        ({"neutral": ("Unknown",)}, "Question q1, field neutral: no paper of the collection is called 'Unknown'"),
        ({"evidence": ("It is slow.",)}, "Question q1, field evidence: no gold abstract holds 'It is slow.'"),
        ({"evidence": ("\u200b",)}, "Question q1, field evidence: no gold abstract holds ''"),
    ],
)
def test_what_is_not_in_the_collection_is_named(change, said):
    with pytest.raises(EvalDataError) as caught:
        locate_gold([replace(QUESTION, **change)], [FAST, SLOW])
    assert str(caught.value).startswith(said)


@pytest.mark.skipif(not LISTING.exists(), reason=f"{LISTING} is not on this machine")
def test_the_seed_questions_are_found_in_the_seed_papers():
    lines = LISTING.read_text(encoding="utf-8").splitlines()[2:]  # two lines of page furniture
    lines[0] = lines[0].removeprefix("Subscribe")
    papers = [Paper.create(title, text) for title, text in zip(lines[::2], lines[1::2], strict=True)]
    questions = load_questions(DATA / "seedqa_dev.jsonl")
    golds = locate_gold(questions, papers)
    assert [len(gold.papers) for gold in golds] == [len(question.papers) for question in questions]
    assert all(len(gold.evidence) == len(question.evidence) for gold, question in zip(golds, questions, strict=True))
