"""The FAISS index against numpy, and its files against everything that can happen to a file."""

import threading

import faiss
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from index.vectors import VectorIndex, difference

DIMENSION = 16


def unit_vectors(count, seed=0):
    vectors = np.random.default_rng(seed).standard_normal((count, DIMENSION)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def filled(keys, vectors, generation=3):
    made = VectorIndex(DIMENSION)
    made.update(np.empty(0, np.int64), np.asarray(keys, np.int64), vectors, generation)
    return made


@given(
    st.integers(1, 40),
    st.sets(st.integers(0, 39)),
    st.one_of(st.none(), st.sets(st.integers(0, 50))),
    st.integers(1, 60),
)
def test_a_search_equals_brute_force(count, removed, allowed, limit):
    vectors, query = unit_vectors(count), unit_vectors(1, seed=1)[0]
    made = filled(np.arange(count) * 7, vectors)
    made.update(np.array(sorted(removed), np.int64) * 7, np.empty(0, np.int64), np.empty((0, DIMENSION)), 4)
    left = [n for n in range(count) if n not in removed and (allowed is None or n in allowed)]
    keys, scores = made.search(query, limit, None if allowed is None else np.array(sorted(allowed), np.int64) * 7)
    expected = sorted(left, key=lambda n: -float(vectors[n] @ query))[:limit]
    assert keys.tolist() == [7 * n for n in expected]
    np.testing.assert_allclose(scores, vectors[expected] @ query, atol=1e-6)


def test_a_vector_of_its_own_scores_one():
    vectors = unit_vectors(5)
    keys, scores = filled(range(5), vectors).search(vectors[3], 1, None)
    assert keys.tolist() == [3]
    assert scores[0] == pytest.approx(1, abs=1e-6)


def test_a_key_keeps_its_vector_after_another_is_removed():
    vectors = unit_vectors(5)
    made = filled([1, 2, 3, 4], vectors[:4])
    made.update(np.array([1]), np.array([5]), vectors[4:], 4)
    for key in (2, 3, 4, 5):
        assert made.search(vectors[key - 1], 1, None)[0].tolist() == [key]
    assert len(made) == 4


def test_keys_beyond_32_bits_are_kept():
    vectors = unit_vectors(2)
    made = filled([2**40, 2**40 + 1], vectors)
    assert made.search(vectors[1], 2, np.array([2**40 + 1]))[0].tolist() == [2**40 + 1]


def test_an_empty_index_finds_nothing():
    keys, scores = VectorIndex(DIMENSION).search(unit_vectors(1)[0], 5, None)
    assert keys.shape == scores.shape == (0,)


def test_a_search_uses_one_thread_whichever_thread_asks():
    made, used = filled(range(5), unit_vectors(5)), []

    def search():
        faiss.omp_set_num_threads(4)
        made.search(unit_vectors(1)[0], 1, None)
        used.append(faiss.omp_get_max_threads())

    thread = threading.Thread(target=search)
    thread.start()
    thread.join()
    assert used == [1]


def test_saving_and_loading_keeps_everything(tmp_path):
    vectors = unit_vectors(6)
    filled([2, 4, 6, 8, 10, 12], vectors, generation=2**60).save(tmp_path / "vectors.faiss")
    loaded = VectorIndex.load(tmp_path / "vectors.faiss", DIMENSION)
    assert loaded.generation == 2**60
    assert loaded.keys().tolist() == [2, 4, 6, 8, 10, 12]
    np.testing.assert_array_equal(loaded.vectors(), vectors)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["vectors.faiss", "vectors.json"]


def test_an_empty_index_is_saved_and_loaded(tmp_path):
    VectorIndex(DIMENSION).save(tmp_path / "vectors.faiss")
    loaded = VectorIndex.load(tmp_path / "vectors.faiss", DIMENSION)
    assert len(loaded) == 0
    assert loaded.vectors().shape == (0, DIMENSION)


@pytest.mark.parametrize("place", [0, 5, 40, -1])
def test_a_flipped_byte_is_not_loaded(tmp_path, place):
    path = tmp_path / "vectors.faiss"
    filled(range(4), unit_vectors(4)).save(path)
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)
    assert VectorIndex.load(path, DIMENSION) is None


@pytest.mark.parametrize("stamp", ["", "{", "null", "[]", "{}", '{"format": 1}', '{"format": 99, "sha256": ""}'])
def test_a_stamp_that_makes_no_sense_is_not_believed(tmp_path, stamp):
    filled(range(4), unit_vectors(4)).save(tmp_path / "vectors.faiss")
    (tmp_path / "vectors.json").write_text(stamp)
    assert VectorIndex.load(tmp_path / "vectors.faiss", DIMENSION) is None


def test_an_index_of_another_dimension_is_not_loaded(tmp_path):
    filled(range(4), unit_vectors(4)).save(tmp_path / "vectors.faiss")
    assert VectorIndex.load(tmp_path / "vectors.faiss", DIMENSION + 1) is None


@given(st.sets(st.integers(0, 30)), st.sets(st.integers(0, 30)))
def test_the_difference_leads_from_one_set_of_keys_to_the_other(stored, wanted):
    removed, missing = difference(np.array(list(stored), np.int64), list(wanted))
    assert (stored - set(removed.tolist())) | set(missing.tolist()) == wanted
    assert set(removed.tolist()) <= stored
    assert not set(missing.tolist()) & stored
