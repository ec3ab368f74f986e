"""The keyword index: deletion deletes, filters filter, and what cannot be trusted is not used."""

import json
import math
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import index.keywords
from index.keywords import KeywordIndex
from index.terms import document_terms

TEXTS = {1: "Graph attention.", 2: "Graph graph networks.", 3: "Whales sing at night.", 4: "A graph of whales."}


def indexed(texts):
    """Return pairs of key and terms, as they are stored."""
    return [(key, " ".join(document_terms(text))) for key, text in texts]


def allowed(*keys):
    return np.array(sorted(keys), np.int64)


@pytest.fixture
def keywords(memory_path):
    made = KeywordIndex(memory_path / "keywords")
    made.rebuild(indexed(TEXTS.items()), 7)
    return made


def test_a_new_folder_is_empty_and_of_no_generation(memory_path):
    empty = KeywordIndex(memory_path / "absent")
    assert (empty.generation, len(empty)) == (-1, 0)
    assert empty.search(["graph"], 5, None) == []
    assert empty.document_frequencies(["graph"]) == {"graph": 0}


def test_a_search_ranks_by_bm25(keywords):
    """With equal lengths it is the term frequency that counts; the rarer term weighs more."""
    lengths = {1: 2, 2: 3, 3: 4, 4: 4}
    average = sum(lengths.values()) / 4

    def bm25(key, counts):
        score = 0.0
        for term, frequency in counts.items():
            holders = {"graph": 3, "whale": 2}[term]
            idf = math.log(1 + (4 - holders + 0.5) / (holders + 0.5))
            score += idf * frequency * 2.2 / (frequency + 1.2 * (0.25 + 0.75 * lengths[key] / average))
        return score

    scores = {
        1: bm25(1, {"graph": 1}),
        2: bm25(2, {"graph": 2}),
        3: bm25(3, {"whale": 1}),
        4: bm25(4, {"graph": 1, "whale": 1}),
    }
    assert keywords.search(["graph", "whale"], 10, None) == sorted(scores, key=lambda key: -scores[key])


def test_equal_scores_are_ordered_by_key(memory_path):
    made = KeywordIndex(memory_path / "keywords")
    made.rebuild(indexed([(5, "same words"), (3, "same words"), (9, "same words")]), 1)
    assert made.search(["same"], 10, None) == [3, 5, 9]


@pytest.mark.parametrize(("keys", "found"), [([1, 3], [1]), ([], []), ([99], []), ([4, 2], [2, 4])])
@pytest.mark.parametrize("listed", [0, 5_000], ids=["by reading on", "by a list"])
def test_only_allowed_papers_are_found(keywords, keys, found, listed, monkeypatch):
    monkeypatch.setattr(index.keywords, "MAX_LISTED_KEYS", listed)
    assert sorted(keywords.search(["graph"], 10, allowed(*keys))) == found


def test_a_filter_does_not_change_the_order(keywords):
    order = keywords.search(["graph", "whale"], 10, None)
    assert keywords.search(["graph", "whale"], 10, allowed(1, 2, 4)) == [key for key in order if key != 3]


def test_one_allowed_paper_in_many_is_found(memory_path):
    made = KeywordIndex(memory_path / "keywords")
    made.rebuild([(n, "common") for n in range(1, 3001)], 1)
    assert made.search(["common"], 3, allowed(2999, 17, 404, 5000)) == [17, 404, 2999]


def test_a_deleted_paper_is_neither_found_nor_counted(keywords):
    keywords.update([2], [], 8)
    assert sorted(keywords.search(["graph"], 10, None)) == [1, 4]
    assert keywords.document_frequencies(["graph", "network"]) == {"graph": 2, "network": 0}
    assert len(keywords) == 3


def test_an_updated_paper_is_found_by_its_new_words_only(keywords):
    keywords.update([2], indexed([(2, "Galaxies.")]), 8)
    assert 2 not in keywords.search(["graph", "network"], 10, None)
    assert keywords.search(["galaxi"], 10, None) == [2]
    assert len(keywords) == 4


def test_a_key_beyond_32_bits_is_deleted_like_any_other(memory_path):
    made = KeywordIndex(memory_path / "keywords")
    made.rebuild([(2**40, "graph"), (2**40 + 1, "graph")], 1)
    made.update([2**40], [], 2)
    assert made.search(["graph"], 5, None) == [2**40 + 1]


@pytest.mark.parametrize("term", ["a AND b", 'x"y', "terms:graph", "*", "graph~2", "+graph", "(", "x" * 70_000])
def test_query_syntax_is_data(keywords, term):
    assert keywords.search([term], 5, None) == []


def test_a_saved_index_is_loaded_with_its_generation(memory_path, keywords):
    keywords.update([1], indexed([(6, "A graph.")]), 9)
    loaded = KeywordIndex(memory_path / "keywords")
    assert loaded.generation == 9
    assert loaded.search(["graph"], 10, None) == keywords.search(["graph"], 10, None)


def test_another_process_takes_up_what_was_committed(memory_path, keywords):
    reader = KeywordIndex(memory_path / "keywords")
    keywords.update([], indexed([(6, "Galaxies.")]), 8)
    assert reader.search(["galaxi"], 5, None) == []
    reader.reload()
    assert (reader.generation, reader.search(["galaxi"], 5, None)) == (8, [6])


def test_a_reader_takes_up_nothing_by_itself(memory_path, keywords):
    reader = KeywordIndex(memory_path / "keywords")
    keywords.update([], indexed([(6, "Galaxies.")]), 8)
    time.sleep(1)  # a reader of Tantivy's that watches its folder looks twice a second
    assert (len(reader), reader.document_frequencies(["galaxi"])) == (4, {"galaxi": 0})


def test_files_that_change_while_they_are_opened_are_left_for_later(memory_path, keywords, monkeypatch):
    reader = KeywordIndex(memory_path / "keywords")
    keywords.update([], indexed([(6, "Galaxies.")]), 8)
    really_open = KeywordIndex._open

    def open_late(self):
        (memory_path / "keywords" / "generation").unlink()  # as a writer does first
        return really_open(self)

    monkeypatch.setattr(KeywordIndex, "_open", open_late)
    reader.reload()
    assert (reader.generation, len(reader)) == (7, 4)


@pytest.mark.parametrize("limit", [10**13, 10**20])
def test_a_limit_beyond_the_collection_finds_all_that_match(keywords, limit):
    assert sorted(keywords.search(["graph"], limit, None)) == [1, 2, 4]


def test_an_older_stamp_does_not_replace_a_newer_index(memory_path, keywords):
    other = KeywordIndex(memory_path / "keywords")
    other.rebuild_in_memory(indexed([(6, "Galaxies.")]), 12)
    other.reload()
    assert (other.generation, other.search(["galaxi"], 5, None)) == (12, [6])


@pytest.mark.parametrize("suffix", ["json", "idx", "term", "fieldnorm", "fast", "store"])
@pytest.mark.parametrize("damage", [lambda data: b"", lambda data: data[:-1], lambda data: data[:-1] + b"?"])
def test_a_damaged_file_is_not_used(memory_path, keywords, suffix, damage):
    (path,) = [p for p in (memory_path / "keywords").glob(f"*.{suffix}") if not p.name.startswith(".")]
    path.write_bytes(damage(path.read_bytes()))
    assert KeywordIndex(memory_path / "keywords").generation == -1


def test_damage_while_it_is_open_is_not_signed_by_the_next_update(memory_path, keywords):
    (path,) = (memory_path / "keywords").glob("*.fieldnorm")
    data = bytearray(path.read_bytes())
    data[0] ^= 0xFF
    path.write_bytes(data)
    keywords.update([], indexed([(6, "Galaxies.")]), 8)
    assert KeywordIndex(memory_path / "keywords").generation == -1


def test_an_update_of_a_folder_that_was_changed_is_refused(memory_path, keywords):
    other = KeywordIndex(memory_path / "keywords")
    other.update([], indexed([(6, "Galaxies.")]), 8)
    with pytest.raises(FileNotFoundError, match="changed or damaged"):
        keywords.update([], indexed([(7, "Stars.")]), 8)


def test_an_update_that_fails_leaves_no_stamp_and_no_lock(memory_path, keywords):
    def texts():
        yield 6, "Galaxies."
        raise RuntimeError("the database broke")

    with pytest.raises(RuntimeError) as caught:
        keywords.update([1], texts(), 8)
    assert KeywordIndex(memory_path / "keywords").generation == -1
    keywords.rebuild(indexed(TEXTS.items()), 9)
    assert caught.value.args == ("the database broke",)  # its traceback is alive, and holds no writer
    assert KeywordIndex(memory_path / "keywords").generation == 9


def test_the_same_papers_are_found_by_a_list_and_by_reading_on(memory_path, monkeypatch):
    made = KeywordIndex(memory_path / "keywords")
    generator = np.random.default_rng(3)
    words = [f"w{n}" for n in range(30)]
    made.rebuild([(n, " ".join(generator.choice(words, generator.integers(1, 20)))) for n in range(1, 2000)], 1)
    for share in (0.001, 0.1, 0.9):
        keys = np.flatnonzero(generator.random(2000) < share).astype(np.int64)
        for limit in (1, 20, 5000):
            found = {}
            for listed in (0, 5_000):
                monkeypatch.setattr(index.keywords, "MAX_LISTED_KEYS", listed)
                found[listed] = made.search(["w1", "w7"], limit, keys)
            assert len(found[0]) == len(found[5_000])
            assert set(found[0]) <= set(keys.tolist())
            if limit == 5000:
                assert found[0] == found[5_000]


@settings(max_examples=25, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("update"), st.sets(st.integers(1, 30)), st.sets(st.integers(1, 30))),
            st.tuples(st.sampled_from(["reload", "rebuild", "in memory", "discard"])),
        ),
        max_size=8,
    )
)
def test_any_run_of_updates_leaves_what_was_added_and_not_removed(tmp_path_factory, steps):
    folder = tmp_path_factory.mktemp("keywords")
    made, held, generation = KeywordIndex(folder), {}, 1
    made.rebuild([], generation)
    for step in steps:
        generation += 1
        if step[0] == "update" and made._facts is not None:
            _, gone, new = step
            made.update(gone | new, [(key, f"common w{key} g{generation}") for key in sorted(new)], generation)
            held = {key: g for key, g in held.items() if key not in gone} | dict.fromkeys(new, generation)
        elif step[0] == "reload" and made._facts is not None:
            made = KeywordIndex(folder)
        elif step[0] == "in memory":
            made.rebuild_in_memory([(key, f"common w{key} g{g}") for key, g in held.items()], generation)
        else:
            if step[0] == "discard":
                made.discard()
                assert (len(made), made.generation, KeywordIndex(folder).generation) == (0, -1, -1)
            made.rebuild([(key, f"common w{key} g{g}") for key, g in held.items()], generation)
        assert len(made) == len(held)
        assert sorted(made.search(["common"], 100, None)) == sorted(held)
        for key in range(1, 31):
            assert made.search([f"w{key}"], 5, None) == [key] * (key in held)
        for g in range(1, generation + 1):
            assert made.document_frequencies([f"g{g}"]) == {f"g{g}": list(held.values()).count(g)}


@pytest.mark.parametrize("change", [{"format": 99}, {"terms": "another"}, {"files": []}, {"generation": None}])
def test_a_stamp_of_another_version_or_without_sense_is_not_believed(memory_path, keywords, change):
    stamp = memory_path / "keywords" / "generation"
    stamp.write_text(json.dumps({**json.loads(stamp.read_text()), **change}))
    assert KeywordIndex(memory_path / "keywords").generation == -1


def test_forgetting_leaves_the_folder_to_be_loaded_again(memory_path, keywords):
    keywords.forget()
    assert (len(keywords), keywords.generation, keywords.search(["graph"], 5, None)) == (0, -1, [])
    keywords.reload()
    assert (len(keywords), keywords.generation) == (4, 7)
