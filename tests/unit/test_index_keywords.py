"""The keyword index: deletion deletes, filters filter, and what cannot be trusted is not used."""

import math
import time

import pytest

from index.keywords import KeywordIndex

TEXTS = {1: "Graph attention.", 2: "Graph graph networks.", 3: "Whales sing at night.", 4: "A graph of whales."}


@pytest.fixture
def keywords(tmp_path):
    made = KeywordIndex(tmp_path / "keywords")
    made.rebuild(TEXTS.items(), 7)
    return made


def test_a_new_folder_is_empty_and_of_no_generation(tmp_path):
    empty = KeywordIndex(tmp_path / "absent")
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


def test_equal_scores_are_ordered_by_key(tmp_path):
    made = KeywordIndex(tmp_path / "keywords")
    made.rebuild([(5, "same words"), (3, "same words"), (9, "same words")], 1)
    assert made.search(["same"], 10, None) == [3, 5, 9]


@pytest.mark.parametrize(("allowed", "found"), [([1, 3], [1]), ([], []), ([99], []), ([4, 2], [2, 4])])
def test_only_allowed_papers_are_found(keywords, allowed, found):
    assert sorted(keywords.search(["graph"], 10, allowed)) == found


def test_a_filter_does_not_change_the_order(keywords):
    order = keywords.search(["graph", "whale"], 10, None)
    assert keywords.search(["graph", "whale"], 10, [1, 2, 4]) == [key for key in order if key != 3]


def test_one_allowed_paper_in_many_is_found(tmp_path):
    made = KeywordIndex(tmp_path / "keywords")
    made.rebuild([(n, "common") for n in range(1, 3001)], 1)
    assert made.search(["common"], 3, [2999, 17, 404, 5000]) == [17, 404, 2999]


def test_a_deleted_paper_is_neither_found_nor_counted(keywords):
    keywords.update([2], [], 8)
    assert sorted(keywords.search(["graph"], 10, None)) == [1, 4]
    assert keywords.document_frequencies(["graph", "network"]) == {"graph": 2, "network": 0}
    assert len(keywords) == 3


def test_an_updated_paper_is_found_by_its_new_words_only(keywords):
    keywords.update([2], [(2, "Galaxies.")], 8)
    assert 2 not in keywords.search(["graph", "network"], 10, None)
    assert keywords.search(["galaxi"], 10, None) == [2]
    assert len(keywords) == 4


def test_a_key_beyond_32_bits_is_deleted_like_any_other(tmp_path):
    made = KeywordIndex(tmp_path / "keywords")
    made.rebuild([(2**40, "graph"), (2**40 + 1, "graph")], 1)
    made.update([2**40], [], 2)
    assert made.search(["graph"], 5, None) == [2**40 + 1]


@pytest.mark.parametrize("term", ["a AND b", 'x"y', "terms:graph", "*", "graph~2", "+graph", "(", "x" * 70_000])
def test_query_syntax_is_data(keywords, term):
    assert keywords.search([term], 5, None) == []


def test_a_saved_index_is_loaded_with_its_generation(tmp_path, keywords):
    keywords.update([1], [(6, "A graph.")], 9)
    loaded = KeywordIndex(tmp_path / "keywords")
    assert loaded.generation == 9
    assert loaded.search(["graph"], 10, None) == keywords.search(["graph"], 10, None)


def test_another_process_takes_up_what_was_committed(tmp_path, keywords):
    reader = KeywordIndex(tmp_path / "keywords")
    keywords.update([], [(6, "Galaxies.")], 8)
    assert reader.search(["galaxi"], 5, None) == []
    reader.reload()
    assert (reader.generation, reader.search(["galaxi"], 5, None)) == (8, [6])


def test_a_reader_takes_up_nothing_by_itself(tmp_path, keywords):
    reader = KeywordIndex(tmp_path / "keywords")
    keywords.update([], [(6, "Galaxies.")], 8)
    time.sleep(1)  # a reader of Tantivy's that watches its folder looks twice a second
    assert (len(reader), reader.document_frequencies(["galaxi"])) == (4, {"galaxi": 0})


def test_files_that_change_while_they_are_opened_are_left_for_later(tmp_path, keywords, monkeypatch):
    reader = KeywordIndex(tmp_path / "keywords")
    keywords.update([], [(6, "Galaxies.")], 8)
    really_open = KeywordIndex._open

    def open_late(self):
        (tmp_path / "keywords" / "generation").unlink()  # as a writer does first
        return really_open(self)

    monkeypatch.setattr(KeywordIndex, "_open", open_late)
    reader.reload()
    assert (reader.generation, len(reader)) == (7, 4)


@pytest.mark.parametrize("limit", [10**13, 10**20])
def test_a_limit_beyond_the_collection_finds_all_that_match(keywords, limit):
    assert sorted(keywords.search(["graph"], limit, None)) == [1, 2, 4]


def test_an_older_stamp_does_not_replace_a_newer_index(tmp_path, keywords):
    other = KeywordIndex(tmp_path / "keywords")
    other.rebuild_in_memory([(6, "Galaxies.")], 12)
    other.reload()
    assert (other.generation, other.search(["galaxi"], 5, None)) == (12, [6])


@pytest.mark.parametrize("suffix", ["json", "idx", "term", "fieldnorm", "fast", "store", "pos"])
@pytest.mark.parametrize("damage", [lambda data: b"", lambda data: data[:-1], lambda data: data[:-1] + b"?"])
def test_a_damaged_file_is_not_used(tmp_path, keywords, suffix, damage):
    (path,) = [p for p in (tmp_path / "keywords").glob(f"*.{suffix}") if not p.name.startswith(".")]
    path.write_bytes(damage(path.read_bytes()))
    assert KeywordIndex(tmp_path / "keywords").generation == -1


def test_damage_while_it_is_open_is_not_signed_by_the_next_update(tmp_path, keywords):
    (path,) = (tmp_path / "keywords").glob("*.fieldnorm")
    data = bytearray(path.read_bytes())
    data[0] ^= 0xFF
    path.write_bytes(data)
    keywords.update([], [(6, "Galaxies.")], 8)
    assert KeywordIndex(tmp_path / "keywords").generation == -1


def test_an_update_of_a_folder_that_was_changed_is_refused(tmp_path, keywords):
    other = KeywordIndex(tmp_path / "keywords")
    other.update([], [(6, "Galaxies.")], 8)
    with pytest.raises(FileNotFoundError, match="changed or damaged"):
        keywords.update([], [(7, "Stars.")], 8)


def test_an_update_that_fails_leaves_no_stamp_and_no_lock(tmp_path, keywords):
    def texts():
        yield 6, "Galaxies."
        raise RuntimeError("the database broke")

    with pytest.raises(RuntimeError) as caught:
        keywords.update([1], texts(), 8)
    assert KeywordIndex(tmp_path / "keywords").generation == -1
    keywords.rebuild(TEXTS.items(), 9)
    assert caught.value.args == ("the database broke",)  # its traceback is alive, and holds no writer
    assert KeywordIndex(tmp_path / "keywords").generation == 9
