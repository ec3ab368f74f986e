"""How a text and an abstract become one row of tokens."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from index.embedding.minilm import bundled_folder
from rag.evidence.inputs import MAX_TOKENS, TEXT_TOKENS, TITLE_TOKENS, InputLayout

TOKENIZER = Tokenizer.from_file(str(bundled_folder() / "tokenizer.json"))
TOKENIZER.no_padding()
TOKENIZER.no_truncation()
LAYOUT = InputLayout(TOKENIZER)
WORDS = st.integers(0, 30).map(lambda count: " ".join(["graph"] * count))


def tokens(ids):
    return [TOKENIZER.id_to_token(int(token)) for token in ids]


def test_a_row_holds_marks_text_title_and_sentences_in_order():
    row = LAYOUT.row("why dropout", "graph networks", ["it helps .", "no ."])
    assert tokens(row.ids) == ("[CLS] why drop ##out [SEP] graph networks [SEP] it helps . no . [SEP]".split())
    assert row.ids.dtype == np.int32
    covered = [[tokens(row.ids)[at] for at in np.flatnonzero(weights)] for weights in row.weights]
    assert covered == [["[CLS]"], ["why", "drop", "##out"], ["it", "helps", "."], ["no", "."]]
    assert row.weights.sum(axis=1) == pytest.approx(np.ones(4))
    assert row.weights[2].max() == pytest.approx(1 / 3)


def test_nothing_has_no_weight():
    row = LAYOUT.row("", "", ["", "yes"])
    assert tokens(row.ids) == ["[CLS]", "[SEP]", "[SEP]", "yes", "[SEP]"]
    assert row.weights.sum(axis=1).tolist() == [1, 0, 0, 1]


def test_a_long_text_and_a_long_title_are_cut():
    row = LAYOUT.row("why " * 200, "graph " * 200, ["it"])
    assert tokens(row.ids).count("why") == TEXT_TOKENS
    assert tokens(row.ids).count("graph") == TITLE_TOKENS
    assert np.count_nonzero(row.weights[1]) == TEXT_TOKENS
    assert np.flatnonzero(row.weights[2]).tolist() == [1 + TEXT_TOKENS + 1 + TITLE_TOKENS + 1]


def test_what_does_not_fit_is_cut_and_a_sentence_behind_has_no_weight():
    row = LAYOUT.row("why", "graph", ["it " * 600, "never seen"])
    assert len(row.ids) == MAX_TOKENS
    assert tokens(row.ids)[-1] == "[SEP]"
    assert row.weights[2].sum() == pytest.approx(1)
    assert row.weights[3].sum() == 0


def test_a_short_abstract_is_one_window():
    assert LAYOUT.windows("why", "graph", ["it", "no"]) == [(0, 2)]


def test_a_long_abstract_is_split_where_the_room_ends():
    head = 5  # [CLS] why [SEP] graph [SEP]; one more mark ends the row
    full = "it " * (MAX_TOKENS - head - 1 - 100)
    assert LAYOUT.windows("why", "graph", [full, "it " * 100, "it"]) == [(0, 2), (2, 3)]
    assert LAYOUT.windows("why", "graph", [full, "it " * 101, "it"]) == [(0, 1), (1, 3)]


def test_a_sentence_too_long_for_any_window_has_one_of_its_own():
    assert LAYOUT.windows("why", "graph", ["a", "it " * 600, "b"]) == [(0, 1), (1, 2), (2, 3)]


@settings(deadline=None)
@given(WORDS, WORDS, st.lists(WORDS.map(lambda text: text * 6), min_size=1, max_size=12))
def test_windows_hold_every_sentence_once_and_cut_none(text, title, sentences):
    windows = LAYOUT.windows(text, title, sentences)
    assert [at for start, stop in windows for at in range(start, stop)] == list(range(len(sentences)))
    for start, stop in windows:
        row = LAYOUT.row(text, title, sentences[start:stop])
        assert len(row.ids) <= MAX_TOKENS
        counts = [len(TOKENIZER.encode(s, add_special_tokens=False).ids) for s in sentences[start:stop]]
        assert np.count_nonzero(row.weights, axis=1)[2:].tolist() == counts


def test_another_kind_of_tokenizer_is_refused():
    from tokenizers.models import WordLevel

    with pytest.raises(ValueError, match=r"no \[CLS\]"):
        InputLayout(Tokenizer(WordLevel({"a": 0}, unk_token="a")))
