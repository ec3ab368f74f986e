"""Terms: documents and questions are cut alike, so a question always finds the text it quotes."""

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from index.terms import STOP_WORDS, document_terms, one_slip_apart, question_terms, stem


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("optimise", "optimize"),
        ("optimisation", "optimization"),
        ("optimisers", "optimizers"),
        ("generalising", "generalizing"),
        ("colour", "color"),
        ("behavioural", "behavioral"),
        ("labelled neighbours", "labelled neighbors"),
        ("Graphs", "graph"),
        ("naïve", "naive"),
        ("Schrödinger", "SCHRODINGER"),
        ("ﬁne", "fine"),
        ("𝐀dam 𝐎ptimizer", "Adam optimizer"),
        ("ℝeal", "real"),
        ("Weiß", "weiss"),
        ("Adam's", "Adam"),
        ("Adam’s", "Adam"),
        ("ADAM'S", "Adam"),
        ("'segment anything'", "segment anything"),
        ("‘self attention’", "self attention"),
        ("GPT‑4", "GPT-4"),
        ("snake_case", "snake case"),
        ("x2", "x²"),
    ],
)
def test_spellings_of_one_word_agree(one, other):
    assert document_terms(one) == document_terms(other)
    assert question_terms(one) == question_terms(other)


@pytest.mark.parametrize(("one", "other"), [("rise", "rize"), ("our", "or"), ("hour", "hor"), ("sour", "sor")])
def test_short_words_are_not_respelt(one, other):
    assert document_terms(one) != document_terms(other)


def test_a_hyphenated_word_of_a_document_counts_as_its_parts_and_as_one():
    assert document_terms("over-squashing") == ["over", "squash", "oversquash"]
    assert set(question_terms("oversquashing")) <= set(document_terms("over-squashing"))
    assert set(question_terms("squashing")) <= set(document_terms("over-squashing"))


def test_several_hyphens_are_one_word():
    assert document_terms("state-of-the-art") == ["state", "of", "the", "art", "stateoftheart"]


def test_document_terms_keep_order_and_repetition():
    assert document_terms("Graph of the graphs.") == ["graph", "of", "the", "graph"]


def test_question_terms_are_distinct_and_without_stop_words():
    assert question_terms("Which papers use graphs, or a graph, for retrieval?") == ["graph", "retriev"]


@pytest.mark.parametrize("word", sorted(STOP_WORDS))
def test_a_stop_word_is_no_topic_however_it_is_written(word):
    assert question_terms(word.upper()) == []


@pytest.mark.parametrize("text", ["", "   ", "?!", "___", "-", "🙂", "\u0301"])
def test_a_text_without_words_has_no_terms(text):
    assert document_terms(text) == []
    assert question_terms(text) == []


texts = st.one_of(
    st.text(max_size=80),
    st.lists(
        st.sampled_from(
            ["Optimise", "over-squashing", "naïve", "Adam's", "'self'", "the", "GPT‑4", "İstanbul", "ŉ", "ſ"]
        )
    ).map(" ".join),
)


@given(texts)
def test_every_question_term_of_a_text_is_among_its_document_terms(text):
    assert set(question_terms(text)) <= set(document_terms(text))


@given(texts)
def test_every_document_term_that_is_missing_from_the_question_is_a_stop_word_or_a_joined_one(text):
    asked = set(question_terms(text))
    stopped = {stem(word) for word in STOP_WORDS}
    joined = {term for term in document_terms(text)} - {t for t in document_terms(text.replace("-", " "))}
    if not any(mark in text for mark in "‐‑"):
        assert set(document_terms(text)) - asked <= stopped | joined


@given(texts)
def test_terms_are_single_words_without_white_space(text):
    for term in document_terms(text):
        assert term
        assert len(term.split()) == 1


@given(texts)
def test_the_case_of_a_text_does_not_matter(text):
    if text.upper().lower() == text.lower():  # not so for ı, ſ and their like
        assert document_terms(text.lower()) == document_terms(text)


def test_several_threads_get_the_same_stems():
    words = [
        f"{a}{b}" for a in ("optimis", "generalis", "normalis", "token", "graph") for b in ("ing", "ation", "ed", "s")
    ]
    expected = [stem.__wrapped__(word) for word in words]
    results = []

    def work():
        for _ in range(50):
            results.append([stem.__wrapped__(word) for word in words] == expected)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 200
    assert all(results)


@pytest.mark.parametrize(
    ("one", "other", "near"),
    [
        ("product", "prodcut", True),
        ("product", "produt", True),
        ("product", "prodduct", True),
        ("product", "productx", True),
        ("product", "xproduct", True),
        ("product", "prowuct", True),
        ("product", "product", False),
        ("product", "porducts", False),
        ("product", "produ", False),
        ("ab", "ba", True),
        ("abc", "cba", False),
        ("", "a", True),
    ],
)
def test_one_slip(one: str, other: str, near: bool) -> None:
    assert one_slip_apart(one, other) is near
    assert one_slip_apart(other, one) is near
