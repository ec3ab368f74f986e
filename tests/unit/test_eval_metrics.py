import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval.dataset import Question
from eval.gold import Gold, Span
from eval.metrics import (
    Scores,
    bad_quotes,
    gold_first,
    key_fact_coverage,
    paper_precision,
    paper_recall,
    plain_text,
    score_answer,
    sentence_precision,
    sentence_recall,
    uncited_sentences,
    word_count,
)
from index.paper import Paper
from rag.answer import Answer, AnswerSentence, Citation

ABSTRACT = "We build it. It is 4.3x faster. It is free."  # sentences at 0-12, 13-31, 32-43
PAPERS = {name: Paper(id=name, title=name, abstract=ABSTRACT) for name in "abcdn"}
FIRST, SECOND, THIRD = (0, 12), (13, 31), (32, 43)


def cite(paper, span=SECOND, marker=1, quote=None):
    start, end = span
    return Citation(marker, paper, ABSTRACT[start:end] if quote is None else quote, start, end, 0.9)


def say(*sentences, status="answered"):
    said = tuple(AnswerSentence(f"Sentence {n}.", 0.9, tuple(citations)) for n, citations in enumerate(sentences))
    return Answer("?", status, said)


def gold(*papers, evidence=(), neutral=""):
    return Gold(tuple(frozenset(p) for p in papers), tuple((place,) for place in evidence), frozenset(neutral))


REFUSED = Answer("?", "refused", reason="Nothing about 4.3.")
EMPTY = Answer("?", "partial", reason="Stopped.")


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (say([cite("a")], [cite("b")]), 1.0),
        (say([cite("b")], [cite("a")]), 0.0),
        (say([cite("b"), cite("a")]), 0.0),  # the first citation decides, not any citation of the sentence
        (say([cite("n"), cite("a")]), 1.0),  # neutral: passed over
        (say([cite("n")], [cite("a")]), 1.0),
        (say([cite("n")], [cite("b")]), 0.0),
        (say([cite("n")]), 0.0),
        (say([], [cite("a")]), 0.0),  # the first sentence cites nothing
        (REFUSED, 0.0),
        (EMPTY, 0.0),
    ],
)
def test_gold_first(answer, expected):
    assert gold_first(answer, gold("a", neutral="n")) == expected


@pytest.mark.parametrize(
    ("cited", "precision", "recall"),
    [
        ("a", 1.0, 1 / 3),
        ("abcd", 3 / 4, 1.0),
        ("aab", 1.0, 2 / 3),  # a paper counts once however often it is cited
        ("adn", 1 / 2, 1 / 3),  # n is neutral
        ("n", 0.0, 0.0),
        ("d", 0.0, 0.0),
    ],
)
def test_papers_by_hand(cited, precision, recall):
    answer = say(*([cite(paper)] for paper in cited))
    wanted = gold("a", "b", "c", neutral="n")
    assert paper_precision(answer, wanted) == pytest.approx(precision)
    assert paper_recall(answer, wanted) == pytest.approx(recall)


def test_copies_of_a_gold_paper_are_one_paper_to_find():
    wanted = gold("ab", "c")
    answer = say([cite("a"), cite("b")])
    assert paper_precision(answer, wanted) == 1.0
    assert paper_recall(answer, wanted) == 0.5


@pytest.mark.parametrize(
    ("quotes", "precision", "recall"),
    [
        ([("a", SECOND)], 1.0, 1 / 2),  # evidence 19-23 is a part of this sentence
        ([("a", SECOND), ("a", THIRD)], 1.0, 1.0),
        ([("a", FIRST), ("a", SECOND)], 1 / 2, 1 / 2),
        ([("a", SECOND), ("a", SECOND)], 1.0, 1 / 2),
        ([("b", SECOND)], 0.0, 0.0),  # the same place of another paper
        ([("n", SECOND), ("a", THIRD)], 1.0, 1 / 2),
        ([("a", (0, 19))], 0.0, 0.0),  # ends where the evidence begins
        ([("a", (0, 20))], 1.0, 1 / 2),
    ],
)
def test_quotes_by_hand(quotes, precision, recall):
    answer = say(*([cite(paper, span)] for paper, span in quotes))
    wanted = gold("a", evidence=(Span("a", 19, 23), Span("a", 32, 43)), neutral="n")
    assert sentence_precision(answer, wanted) == pytest.approx(precision)
    assert sentence_recall(answer, wanted) == pytest.approx(recall)


@pytest.mark.parametrize(
    ("text", "fact", "held"),
    [
        ("needs 40 or 75 tokens", "40", True),
        ("needs 4000 tokens", "40", False),
        ("needs 140 tokens", "40", False),
        ("needs 40,000 tokens", "40", False),
        ("needs 1,040 tokens", "40", False),
        ("needs 40, or 75", "40", True),
        ("needs 40.", "40", True),
        ("40", "40", True),
        ("40ms", "40", True),
        ("is 4.3x faster", "4.3", True),
        ("is 14.35x faster", "4.3", False),
        ("is 14.3x faster", "4.3", False),
        ("is 4.35x faster", "4.3", False),
        ("is 2.4.3", "4.3", False),
        ("gains 19%", "9%", False),  # a digit at one end only is bounded there
        ("gains 1.9%", "9%", False),
        ("gains 9%", "9%", True),
        ("on log^72 n", "log^7", False),
        ("is 12x faster", "2x", False),
        ("gains 3%", "3\\%", True),
        ("gains 3\\%", "3\\%|none", True),
        ("up to 2× faster", "2times", True),
        ("over 16\u201124% of it", "16-24", True),
        ("over 16-24% of it", "16\u201324", True),
        ("a low\u2010frequency band", "low-frequency", True),
        ("The RANDOM forest", "random Forest", True),
        ("a Random Tree", "random forest|TREE", True),
        ("we have none", " no ", False),
        ("No assumption", " no ", True),
        ("there is no\u00a0assumption", " no ", True),
        ("it doesn\u2019t", "doesn't", True),
        ("uses (2 experts)", "*2 experts|(2 experts", True),
        ("costs log(1/ε)", "log(1/\\epsilon)", True),
        ("", "40", False),
    ],
)
def test_one_key_fact(text, fact, held):
    assert key_fact_coverage(text, [fact]) == float(held)


def test_key_facts_are_averaged():
    assert key_fact_coverage("Only 40 tokens.", ["40", "75", "token", "byte"]) == 0.5


def test_text_is_what_is_shown_without_markers():
    sentences = (
        AnswerSentence("It is 4.3x faster.", 0.9, (cite("a"),), label="FastNet"),
        AnswerSentence("See [7] there.", 0.9, (cite("b", marker=2),), label="SlowNet"),
    )
    answer = Answer("?", "answered", sentences)
    assert plain_text(answer) == "- FastNet — It is 4.3x faster.\n- SlowNet — See (7) there."  # no marker of ours
    assert word_count(plain_text(answer)) == 9
    assert plain_text(REFUSED) == plain_text(EMPTY) == ""


def test_exact_quotes_and_cited_sentences_count_as_none_bad():
    answer = say([cite("a", FIRST), cite("b", THIRD)], [cite("c")])
    assert bad_quotes(answer, PAPERS.__getitem__) == 0
    assert uncited_sentences(answer) == 0


@pytest.mark.parametrize(
    "citation",
    [
        cite("a", SECOND, quote="It is 4.4x faster."),
        cite("a", SECOND, quote="It is 4.3x faster"),
        cite("absent"),
        cite("a", (5, 5)),
        cite("a", (-11, -1)),
        cite("a", (32, 44), quote=ABSTRACT[32:] + " "),
    ],
)
def test_a_bad_quote_is_counted(citation):
    assert bad_quotes(say([cite("b"), citation]), PAPERS.__getitem__) == 1


def test_uncited_sentences_are_counted():
    assert uncited_sentences(say([], [cite("a")], [])) == 2


def question(**change):
    fields = {
        "id": "q",
        "kind": "factoid",
        "question": "?",
        "papers": ("a", "b"),
        "evidence": ("4.3x",),
        "answer": "",
        "must_include": ("Sentence 0", "4.3"),
    }
    return Question(**(fields | change))


def test_all_scores_of_one_answer():
    wanted = gold("a", "b", evidence=(Span("a", 19, 23),))
    answer = say([cite("a", SECOND)], [cite("c", FIRST, 2)], [cite("c", THIRD, 2)])
    assert score_answer(answer, question(), wanted) == Scores(
        gold_first=1.0,
        paper_precision=1 / 2,
        paper_recall=1 / 2,
        sentence_precision=1 / 3,
        sentence_recall=1.0,
        key_facts=1 / 2,
    )


@pytest.mark.parametrize("answer", [REFUSED, EMPTY, say([cite("a")], status="refused")])
def test_a_refused_or_empty_answer_scores_zero(answer):
    wanted = gold("a", "b", evidence=(Span("a", 19, 23),))
    assert score_answer(answer, question(), wanted) == Scores(0.0, 0.0, 0.0, 0.0, 0.0, 0.0)


def test_what_cannot_be_measured_is_none():
    answer = say([cite("a")])
    assert score_answer(answer, question(papers=(), kind="unanswerable"), Gold()) == Scores()
    scores = score_answer(answer, question(evidence=(), must_include=()), gold("a"))
    assert scores == Scores(gold_first=1.0, paper_precision=1.0, paper_recall=1.0)


@pytest.mark.parametrize(
    "measure",
    [
        lambda: paper_recall(EMPTY, Gold()),
        lambda: sentence_recall(EMPTY, Gold()),
        lambda: key_fact_coverage("", []),
    ],
)
def test_nothing_to_find_is_the_callers_slip(measure):
    with pytest.raises(ValueError, match="at least one"):
        measure()


spans = st.tuples(st.sampled_from("abn"), st.integers(0, 20), st.integers(1, 20)).map(
    lambda t: Span(t[0], t[1], t[1] + t[2])
)


@given(quoted=st.lists(st.lists(spans, max_size=3), max_size=4), evidence=st.lists(spans, min_size=1, max_size=3))
def test_scores_stay_between_0_and_1(quoted, evidence):
    answer = say(*([cite(s.paper_id, (s.start, s.end)) for s in sentence] for sentence in quoted))
    wanted = gold("a", "b", evidence=evidence, neutral="n")
    for measure in (gold_first, paper_precision, paper_recall, sentence_precision, sentence_recall):
        assert 0.0 <= measure(answer, wanted) <= 1.0
