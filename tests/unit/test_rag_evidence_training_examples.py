"""What the reader is trained on: edits, twins, thinning, and examples without labels."""

import random
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from index.embedding.encoder import unit
from index.errors import CorpusError
from index.readers import read_papers
from rag.contradiction import contradiction
from rag.evidence.abstractqa import Answerable, LabelledAbstract, Unanswerable
from rag.evidence.training import examples as module
from rag.evidence.training.edits import edited, shortened
from rag.evidence.training.examples import (
    IGNORED,
    UnlabelledAbstract,
    epoch_examples,
    near_topics,
    unlabelled_examples,
)
from rag.evidence.training.papers import load_unlabelled

SEEDS = st.integers(0, 2000)


def abstract(name: str, *, questions: int = 4, openq: str = "") -> LabelledAbstract:
    return LabelledAbstract(
        id=name,
        title=f"A study of {name}",
        sentences=tuple(f"Sentence {n} of {name} shows that Net{n} is higher by {n}.5 points." for n in range(7)),
        questions=tuple(
            Answerable(f"What of {n} in {name}?", (n,), (n + 1,), f"Net{n} is higher by {n}.5.")
            for n in range(questions)
        ),
        unanswerable=(Unanswerable(f"What of {name} is absent?", (3,)),),
        claim_true=f"Net5 of {name} is higher.",
        claim_sents=(5,),
        claim_edit=f"Net5 of {name} is lower.",
        claim_false=f"Net9 of {name} is red.",
        claim_true2=f"Net6 of {name} is higher by 6.5.",
        claim_true2_sents=(6, 5),
        openq=openq,
    )


ABSTRACTS = [abstract("graphs", openq="graph search"), abstract("proteins"), abstract("stars", questions=0)]
GOLD = {
    **{q.q: {*q.sents} for a in ABSTRACTS for q in a.answerables},
    **{q.a: {*q.sents} for a in ABSTRACTS for q in a.answerables},
    **{text: {*sents} for a in ABSTRACTS for text, sents in a.true_claims},
}


def contradicts(statement: str, quoted: str) -> str:
    return contradiction(statement, quoted, mentioned=lambda name: name.lower() in quoted.lower())


def units(seed: int) -> list:
    return epoch_examples(ABSTRACTS, [[1, 2], [0, 2], [1, 0]], random.Random(seed))


@pytest.mark.parametrize(
    ("statement", "others"),
    [
        ("It takes 12 steps.", []),
        ("It takes 3.5 ms and 3 runs.", []),
        ("Accuracy is higher.", []),
        ("Samples with labels improve it.", []),
        ("We train BERT on it.", ["GPT", "ViT"]),
        ("It is small.", []),
        ("It does not converge.", []),
        ("It was seen that Adam is 1,000 times faster.", ["Lion"]),
    ],
)
def test_an_edit_differs_and_contradicts(statement, others):
    for seed in range(30):
        changed = edited(statement, others, random.Random(seed))
        assert changed is not None
        assert changed != statement
        assert contradicts(changed, statement)
        assert changed == edited(statement, others, random.Random(seed))


@settings(deadline=None)
@given(SEEDS)
def test_an_edit_changes_one_word_or_two(seed):
    statement = "BERT is faster than the other 12 models, and it is cheap with 3.5 GB."
    changed = edited(statement, ["GPT"], random.Random(seed))
    before, after = statement.split(), changed.split()
    assert abs(len(before) - len(after)) <= 1
    assert len(set(before) ^ set(after)) <= 2


@pytest.mark.parametrize("statement", ["", "Everything goes well.", "Goes well without it."])
def test_some_statements_cannot_be_edited(statement):
    if "without" in statement:  # "without" has an opposite
        assert edited(statement, [], random.Random(1)) == "Goes well with it."
    else:
        assert edited(statement, [], random.Random(1)) is None


def test_a_number_inside_a_longer_one_is_left_alone():
    changed = {edited("Of 3.52 and 3 we see 3.", [], random.Random(seed)) for seed in range(40)}
    assert not any("3.52" not in one and " and 3 " not in one for one in changed)


def test_a_shortened_statement_says_less_and_stays_right():
    statement = "Moreover, BERT (a network) significantly improves the 12 novel tasks."
    found = {shortened(statement, random.Random(seed)) for seed in range(60)}
    assert "BERT improves the 12 tasks." in found
    assert all("BERT" in one and "12" in one and "improves" in one for one in found)
    assert len(found) > 4


@pytest.mark.parametrize("statement", ["It does not significantly improve.", "It improves (by 3%).", "Very"])
def test_what_would_become_wrong_or_empty_is_not_shortened(statement):
    short = {shortened(statement, random.Random(seed)) for seed in range(20)}
    assert short <= {statement, "It improves."}
    assert "It does not improve." not in short


@settings(deadline=None)
@given(SEEDS)
def test_labels_stay_right_however_sentences_are_left_out(seed):
    for unit_ in units(seed):
        for example in unit_:
            assert len(example.kept) == len(example.evidence) == len(example.support) >= 2
            assert sorted(set(example.kept)) == list(example.kept)
            assert set(example.kept) <= set(range(7))
            right = {n for n, label in zip(example.kept, example.evidence, strict=True) if label == 1}
            gold = GOLD.get(example.text, set())
            if example.answerable == 1 or example.supported == 1:
                assert right == gold
            elif example.text in GOLD and example.relevant == 1:  # a twin
                assert not gold & set(example.kept)
            if example.supported == 1:
                assert {n for n, s in zip(example.kept, example.support, strict=True) if s == 1} == gold
            elif example.supported == 0:
                assert 1 not in example.support


@settings(deadline=None)
@given(SEEDS)
def test_pairs_share_a_unit_and_an_abstract_and_disagree(seed):
    places: dict[int, set[int]] = {}
    for at, unit_ in enumerate(units(seed)):
        for example in unit_:
            if example.pair >= 0:
                places.setdefault(example.pair, set()).add(at)
        paired = [example for example in unit_ if example.pair >= 0]
        if len(paired) == 2:
            assert paired[0].abstract == paired[1].abstract
            assert {e.answerable for e in paired} == {0, 1} or {e.supported for e in paired} == {0, 1}
    assert all(len(at) == 1 for at in places.values())


def test_questions_are_read_whole_and_their_twins_without_what_answers():
    for seed in range(20):
        for unit_ in units(seed):
            if unit_[0].answerable == 1:
                assert len(unit_[0].kept) == 7
                (question,) = (q for a in ABSTRACTS for q in a.answerables if q.q == unit_[0].text)
                for twin in unit_[1:]:
                    assert set(unit_[0].kept) - set(twin.kept) == {*question.sents, *question.also}


def test_a_claim_and_its_edit_lose_the_same_sentences():
    pairs = [unit_ for seed in range(20) for unit_ in units(seed) if len(unit_) == 2 and unit_[0].supported == 1]
    edits = [unit_ for unit_ in pairs if unit_[0].text != unit_[1].text]
    assert all(claim.kept == edit.kept for claim, edit in edits)
    assert any(len(claim.kept) < 7 for claim, _ in edits)


def test_a_neighbours_question_is_not_answered_and_not_what_is_sought():
    found = [e for unit_ in units(3) for e in unit_ if e.relevant == 0]
    assert {e.answerable for e in found} == {0, IGNORED}
    assert all(set(e.evidence) <= {0, IGNORED} for e in found)


def test_the_same_seed_gives_the_same_examples():
    assert units(5) == units(5)
    assert units(5) != units(6)


def test_near_topics_are_the_nearest_others():
    vectors = unit(np.array([[1, 0], [0.9, 0.1], [0, 1], [0.4, 0.6]], dtype=np.float32))
    assert near_topics(vectors, 2) == [[1, 3], [0, 3], [3, 1], [2, 1]]
    assert near_topics(vectors, 9) == [[1, 3, 2], [0, 3, 2], [3, 1, 0], [2, 1, 0]]
    assert near_topics(vectors[:0], 2) == []
    with pytest.raises(ValueError, match="one abstract has no neighbour"):
        near_topics(vectors[:1], 2)


def test_near_topics_do_not_depend_on_how_many_are_compared_at_once(monkeypatch):
    vectors = unit(np.random.default_rng(1).standard_normal((23, 8)).astype(np.float32))
    whole = near_topics(vectors, 4)
    monkeypatch.setattr(module, "_ROWS", 5)
    assert near_topics(vectors, 4) == whole


UNLABELLED = [UnlabelledAbstract(a.title, a.sentences) for a in ABSTRACTS]


@settings(deadline=None)
@given(SEEDS)
def test_abstracts_without_labels(seed):
    found = unlabelled_examples(UNLABELLED, [[1], [2], [0]], random.Random(seed), first=10, first_pair=50)
    assert len(found) == 6
    for at, (sought, claimed) in enumerate(zip(found[::2], found[1::2], strict=True)):
        own, near = sought
        assert (own.abstract, near.abstract) == (10 + at, 10 + (at + 1) % 3)
        assert (own.relevant, near.relevant) == (1, 0)
        assert own.text == near.text == UNLABELLED[at].title
        assert not own.titled
        assert not near.titled
        assert {*own.evidence, *near.evidence, own.answerable, own.supported} == {IGNORED}
        true, false = claimed
        assert (true.supported, false.supported) == (1, 0)
        assert true.pair == false.pair == 50 + at
        assert true.abstract == false.abstract == 10 + at
        assert true.titled
        assert sum(label == 1 for label in true.support) == 1
        (about,) = (n for n, label in zip(true.kept, true.support, strict=True) if label == 1)
        if false.text == true.text:
            assert about not in false.kept
        else:
            assert about in false.kept
            assert contradicts(false.text, UNLABELLED[at].sentences[about])


def write_papers(path: Path, order: list[int]) -> Path:
    lines = [
        f'{{"id": "p{n}", "title": "Title {n}", "abstract": "First {n} is. Second is it. Third it is. Fourth it is."}}'
        for n in order
    ]
    short = '{"id": "short", "title": "Short", "abstract": "One sentence only."}'
    path.write_text("\n".join([short, '{"id": "broken"}', *lines]), encoding="utf-8")
    return path


def test_papers_are_chosen_by_chance_and_not_by_their_order(tmp_path):
    forth = load_unlabelled(write_papers(tmp_path / "a.jsonl", list(range(30))), 5, seed=1)
    back = load_unlabelled(write_papers(tmp_path / "b.jsonl", list(reversed(range(30)))), 5, seed=1)
    other = load_unlabelled(tmp_path / "a.jsonl", 5, seed=2)
    assert len(forth) == 5
    assert forth == back
    assert forth != other
    assert forth[0].sentences[1] == "Second is it."


def test_short_broken_and_unwanted_papers_are_left_out(tmp_path):
    path = write_papers(tmp_path / "a.jsonl", [1, 2, 3])
    (unwanted,) = (paper.id for paper in read_papers(path) if getattr(paper, "title", "") == "Title 2")
    found = load_unlabelled(path, 10, seed=1, without={unwanted})
    assert sorted(paper.title for paper in found) == ["Title 1", "Title 3"]


def test_a_missing_file_of_papers(tmp_path):
    with pytest.raises(CorpusError):
        load_unlabelled(tmp_path / "none.jsonl", 10, seed=1)
