"""The vector index against numpy, on scores, and its files against everything that can happen to a file."""

import json
import shutil
import tempfile
import threading
from dataclasses import replace
from pathlib import Path

import faiss
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

import index.vectors
from index.vectors import VectorIndex

DIMENSION = 16
NOTHING = np.empty(0, np.int64)


def unit_vectors(count, seed=0, dimension=DIMENSION):
    """Unit vectors as they are stored, float16."""
    vectors = np.random.default_rng(seed).standard_normal((count, dimension)).astype(np.float32)
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float16)


def question(seed=1):
    return unit_vectors(1, seed)[0].astype(np.float32)


def filled(keys, vectors, papers=None, generation=3):
    made = VectorIndex(DIMENSION)
    keys = np.asarray(keys, np.int64)
    made.add(keys, keys if papers is None else np.asarray(papers, np.int64), vectors)
    made.generation = generation
    return made


def mask(papers, size):
    allowed = np.zeros(size, np.bool_)
    allowed[list(papers)] = True
    return allowed


def brute_force(stored, vector, allowed=None):
    """Return paper, score and key of all vectors, best first, and of equal ones the earlier first."""
    rows = [
        (paper, float(np.float32(stored_vector.astype(np.float32) @ vector)), key)
        for key, (paper, stored_vector) in stored.items()
        if allowed is None or (paper < len(allowed) and allowed[paper])
    ]
    return sorted(rows, key=lambda row: (-row[1], row[2]))


def assert_equal_to_brute_force(made, stored, vector, limit, allowed=None, **options):
    """Compare scores, and that each is of a vector of its paper; of equal ones at the end any may be found."""
    owners, scores = made.search(vector, limit, allowed, **options)
    everything = brute_force(stored, vector, allowed)
    assert len(owners) == min(limit, len(everything))
    np.testing.assert_allclose(scores, [score for _, score, _ in everything[:limit]], atol=1e-6, rtol=0)
    left = [(paper, score) for paper, score, _ in everything]
    for owner, score in zip(owners.tolist(), scores, strict=True):
        at = next(n for n, (paper, other) in enumerate(left) if paper == owner and abs(score - other) < 1e-6)
        del left[at]  # each vector is found once


class VectorsAgainstNumpy(RuleBasedStateMachine):
    """Adding, removing, saving, loading and growing a graph, in any order."""

    graph = False

    @initialize()
    def make(self):

        self.folder = Path(tempfile.mkdtemp())
        self.made, self.stored, self.next_key, self.seed = VectorIndex(DIMENSION), {}, 3, 0
        self.made.generation = 1

    @rule(count=st.integers(1, 40), papers=st.integers(1, 9), twins=st.booleans())
    def add(self, count, papers, twins):
        self.seed += 1
        keys = np.arange(self.next_key, self.next_key + 2 * count, 2, dtype=np.int64)
        vectors = unit_vectors(1 if twins else count, self.seed).repeat(count if twins else 1, axis=0)
        owners = keys // papers
        self.made.add(keys, owners, vectors)
        self.made.generation += 1
        self.stored |= {int(k): (int(o), v) for k, o, v in zip(keys, owners, vectors, strict=True)}
        self.next_key += 2 * count + 5

    @precondition(lambda self: self.stored)
    @rule(data=st.data(), share=st.sampled_from([0.05, 0.3, 1.0]))
    def remove(self, data, share):
        keys = sorted(self.stored)
        chosen = data.draw(st.sets(st.sampled_from(keys), max_size=max(1, int(share * len(keys)))))
        absent = data.draw(st.sets(st.integers(0, self.next_key + 5), max_size=3)) - set(keys)
        self.made.remove(np.array(sorted(chosen | absent), np.int64))
        self.made.generation += 1
        for key in chosen:
            del self.stored[key]

    @rule()
    def save(self):
        probes = unit_vectors(20, 99).astype(np.float32) if self.graph else None
        self.made = self.made.saved(self.folder, probes)
        assert self.made.saved_generation == self.made.generation
        assert not self.made.stale

    @precondition(lambda self: self.made.saved_generation == self.made.generation)
    @rule()
    def load(self):
        self.made = VectorIndex.load(self.folder, DIMENSION)

    @rule(limit=st.sampled_from([1, 3, 1000]), seed=st.integers(0, 5), allowed=st.none() | st.sets(st.integers(0, 60)))
    def search(self, limit, seed, allowed):
        allowed = None if allowed is None else mask(allowed, 61)
        vector = question(seed)
        exhaustive = {"exhaustive": True} if self.graph else {}
        assert_equal_to_brute_force(self.made, self.stored, vector, limit, allowed, **exhaustive)
        expected = list(dict.fromkeys(paper for paper, _, _ in brute_force(self.stored, vector, allowed)))
        if self.graph:
            owners, _ = self.made.search(vector, limit, allowed)
            assert set(owners.tolist()) <= set(expected)
        else:
            found = self.made.nearest_papers(vector, limit, allowed)
            best = {p: s for p, s, _ in reversed(brute_force(self.stored, vector, allowed))}
            assert len(set(found)) == len(found) == min(limit, len(expected))
            np.testing.assert_allclose([best[p] for p in found], [best[p] for p in expected[:limit]], atol=1e-6)

    @invariant()
    def holds_what_it_should(self):
        if not hasattr(self, "made"):
            return
        assert len(self.made) == len(self.stored)
        assert self.made.keys().tolist() == sorted(self.stored)
        assert self.made.last_key <= self.next_key
        rows = [row for chunk in self.made.chunks(7) for row in zip(*chunk, strict=True)]
        assert [int(key) for key, _, _ in rows] == sorted(self.stored)
        for key, owner, vector in rows:
            assert owner == self.stored[int(key)][0]
            np.testing.assert_array_equal(vector, self.stored[int(key)][1])

    def teardown(self):

        if hasattr(self, "folder"):
            shutil.rmtree(self.folder)


TestVectorsAgainstNumpy = VectorsAgainstNumpy.TestCase
TestVectorsAgainstNumpy.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)


class GraphAgainstNumpy(VectorsAgainstNumpy):
    """The same with a graph of every base of thirty vectors."""

    graph = True

    def __init__(self):
        super().__init__()
        self.graph_from, index.vectors.GRAPH_FROM = index.vectors.GRAPH_FROM, 30

    def teardown(self):
        index.vectors.GRAPH_FROM = self.graph_from
        super().teardown()


TestGraphAgainstNumpy = GraphAgainstNumpy.TestCase
TestGraphAgainstNumpy.settings = settings(max_examples=20, stateful_step_count=25, deadline=None)


# -- searches -------------------------------------------------------------------------------------------------


def test_a_vector_of_its_own_scores_one():
    vectors = unit_vectors(5)
    owners, scores = filled(range(5), vectors).search(vectors[3].astype(np.float32), 1)
    assert owners.tolist() == [3]
    assert scores[0] == pytest.approx(1, abs=1e-3)  # of half precision
    assert scores[0] == pytest.approx(float(vectors[3].astype(np.float32) @ vectors[3].astype(np.float32)), abs=1e-6)


def test_of_equal_scores_the_earlier_key_comes_first_in_base_and_tail(tmp_path):
    same = unit_vectors(1).repeat(60, axis=0)
    made = filled(range(40), same[:40]).saved(tmp_path)
    made.add(np.arange(40, 60), np.arange(40, 60), same[40:])
    made.remove(np.array([0, 5]))
    for limit in (1, 3, 37, 45, 58):
        assert (
            made.search(same[0].astype(np.float32), limit)[0].tolist()
            == [n for n in range(60) if n not in (0, 5)][:limit]
        )


def test_one_paper_of_very_many_passages_does_not_crowd_out_the_others():
    vectors = unit_vectors(203)
    vectors[:200] = vectors[0]
    made = filled(range(203), vectors, papers=[7] * 200 + [1, 2, 3])
    assert sorted(made.nearest_papers(vectors[0].astype(np.float32), 4)) == [1, 2, 3, 7]
    assert made.nearest_papers(vectors[0].astype(np.float32), 1) == [7]


def test_a_paper_newer_than_the_filter_does_not_pass_it():
    vectors = unit_vectors(4)
    made = filled(range(4), vectors)
    assert sorted(made.nearest_papers(question(), 9, mask([0, 1], 2))) == [0, 1]
    assert made.nearest_papers(question(), 9, mask([], 1)) == []
    assert made.nearest_papers(question(), 9, mask([3], 90)) == [3]


def test_keys_beyond_32_bits_are_kept():
    vectors = unit_vectors(2)
    made = filled([2**40, 2**40 + 1], vectors, papers=[0, 1])
    made.remove(np.array([2**40]))
    assert made.keys().tolist() == [2**40 + 1]
    assert made.search(vectors[0].astype(np.float32), 2)[0].tolist() == [1]


def test_an_empty_index_finds_nothing():
    owners, scores = VectorIndex(DIMENSION).search(question(), 5)
    assert owners.shape == scores.shape == (0,)
    assert VectorIndex(DIMENSION).nearest_papers(question(), 5) == []


@pytest.mark.parametrize("keys", [[5], [4], [7, 6], [6, 6]])
def test_a_key_that_is_not_new_is_refused(keys):
    made = filled([3, 5], unit_vectors(2))
    with pytest.raises(ValueError, match="a key is never used twice"):
        made.add(np.array(keys), np.array(keys), unit_vectors(len(keys)))


def test_removing_from_base_and_tail_at_once_counts_each_once(tmp_path):
    made = filled(range(6), unit_vectors(6)).saved(tmp_path)
    made.add(np.arange(6, 9), np.arange(6, 9), unit_vectors(3))
    made.remove(np.array([1, 2, 6, 99]))
    made.remove(np.array([1, 2, 6]))
    assert len(made) == len(made.keys()) == 6


def test_a_search_uses_one_thread_whichever_thread_asks():
    made, used = filled(range(5), unit_vectors(5)), []

    def search():
        faiss.omp_set_num_threads(4)
        made.search(question(), 1)
        used.append(faiss.omp_get_max_threads())

    thread = threading.Thread(target=search)
    thread.start()
    thread.join()
    assert used == [1]


def test_it_is_stale_when_more_than_a_tenth_has_changed(tmp_path):
    made = filled(range(100), unit_vectors(100))
    assert made.stale
    made = made.saved(tmp_path)
    made.remove(np.arange(5))
    made.add(np.arange(100, 105), np.arange(100, 105), unit_vectors(5))
    assert not made.stale
    made.remove(np.array([6]))
    assert made.stale


# -- graphs ---------------------------------------------------------------------------------------------------


@pytest.fixture
def small_graphs(monkeypatch):
    monkeypatch.setattr(index.vectors, "GRAPH_FROM", 500)


def clustered(count, seed):
    """Vectors around a few centres, as texts are: of vectors from all around, none is near."""
    generator = np.random.default_rng(seed)
    centres = unit_vectors(25, 7).astype(np.float32)
    vectors = centres[generator.integers(25, size=count)] + 0.3 * generator.standard_normal((count, DIMENSION))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float16)


def recall(made, stored, probes, allowed=None):
    found = 0
    for probe in probes:
        owners, scores = made.search(probe, 10, allowed)
        expected = brute_force(stored, probe, allowed)[:10]
        truth = {key: score for key, score, _ in expected}
        found += len(set(owners.tolist()) & set(truth))
        for owner, score in zip(owners.tolist(), scores, strict=True):  # what is found has its exact score
            assert score == pytest.approx(float(stored[owner][1].astype(np.float32) @ probe), abs=1e-6)
            assert allowed is None or allowed[owner]
        assert scores.tolist() == sorted(scores, reverse=True)
    return found / (10 * len(probes))


def test_a_graph_finds_what_is_measured_and_a_filter_is_exact(tmp_path, small_graphs, monkeypatch):
    vectors, probes = clustered(3000, 1), clustered(40, 2).astype(np.float32)
    told = []
    made = filled(range(3000), vectors).saved(tmp_path, probes, lambda *what: told.append(what))
    stored = {n: (n, vectors[n]) for n in range(3000)}
    assert told[-1] == (3000, 3000)
    assert made.graph.sample == 40
    assert made.graph.recall == pytest.approx(recall(made, stored, probes), abs=1e-3)
    assert made.graph.recall >= 0.99
    assert not made.wants_graph
    for allowed in (mask(range(0, 3000, 2), 3000), mask(range(0, 3000, 600), 3000)):  # with a filter, exhaustively
        for probe in probes[:10]:
            assert_equal_to_brute_force(made, stored, probe, 10, allowed)
            assert_equal_to_brute_force(made, stored, probe, 10, exhaustive=True)
    used = []
    monkeypatch.setattr(index.vectors, "_flat", lambda part: used.append(part) or part)
    made.search(probes[0], 10)
    assert not [part for part in used if part.ntotal]


def test_adds_and_deletes_after_a_graph_was_made_are_exact(tmp_path, small_graphs):
    vectors = clustered(1200, 1)
    made = filled(range(1000), vectors[:1000]).saved(tmp_path, vectors[:20].astype(np.float32))
    stored = {n: (n, vectors[n]) for n in range(1000)}
    made.add(np.arange(1000, 1050), np.arange(1000, 1050), vectors[1000:1050])
    stored |= {n: (n, vectors[n]) for n in range(1000, 1050)}
    for n in range(1000, 1050):
        assert made.nearest_papers(vectors[n].astype(np.float32), 1) == [n]
    gone = np.arange(0, 60, 2)
    made.remove(gone)
    for n in gone.tolist():
        del stored[n]
        assert n not in made.nearest_papers(vectors[n].astype(np.float32), 20)
    assert not made.wants_graph
    made.add(np.arange(1050, 1200), np.arange(1050, 1200), vectors[1050:])
    stored |= {n: (n, vectors[n]) for n in range(1050, 1200)}
    assert made.wants_graph
    grown = made.saved(tmp_path, vectors[:20].astype(np.float32))
    loaded = VectorIndex.load(tmp_path, DIMENSION)
    for each in (grown, loaded):
        assert each.keys().tolist() == sorted(stored)
        assert not each.wants_graph
        assert recall(each, stored, clustered(30, 5).astype(np.float32)) > 0.97
        assert_equal_to_brute_force(each, stored, question(), 2000, exhaustive=True)
    assert loaded.graph == grown.graph


def test_a_graph_with_too_much_gone_is_made_from_what_is_left(tmp_path, small_graphs):
    vectors = clustered(1500, 1)
    made = filled(range(1500), vectors).saved(tmp_path, vectors[:20].astype(np.float32))
    made.remove(np.arange(700))
    assert made.stale
    left = made.saved(tmp_path, vectors[:20].astype(np.float32))
    assert left._base.index.ntotal == len(left) == 800
    left.remove(np.arange(700, 1100))
    few = left.saved(tmp_path, vectors[:20].astype(np.float32))
    assert (few.graph, len(few)) == (None, 400)  # too few for a graph
    assert_equal_to_brute_force(few, {n: (n, vectors[n]) for n in range(1100, 1500)}, question(), 400)


def test_a_graph_is_grown_though_another_process_has_written_the_file_anew(tmp_path, small_graphs):
    vectors = clustered(800, 1)
    probes = vectors[:20].astype(np.float32)
    made = filled(range(600), vectors[:600]).saved(tmp_path, probes)
    VectorIndex.load(tmp_path, DIMENSION).saved(tmp_path, probes)  # under another name
    made.add(np.arange(600, 800), np.arange(600, 800), vectors[600:])
    grown = made.saved(tmp_path, probes)
    assert grown.graph is not None
    assert_equal_to_brute_force(grown, {n: (n, vectors[n]) for n in range(800)}, question(), 800, exhaustive=True)


# -- files ----------------------------------------------------------------------------------------------------


def test_saving_and_loading_keeps_everything(tmp_path):
    vectors = unit_vectors(6)
    made = filled([2, 4, 6, 8, 10, 12], vectors, papers=[1, 1, 2, 2, 3, 3], generation=2**60)
    made.remove(np.array([4]))
    made.saved(tmp_path)
    loaded = VectorIndex.load(tmp_path, DIMENSION)
    assert loaded.generation == loaded.saved_generation == 2**60
    ((keys, papers, stored),) = [chunk for chunk in loaded.chunks() if len(chunk[0])]
    assert (keys.tolist(), papers.tolist()) == ([2, 6, 8, 10, 12], [1, 2, 2, 3, 3])
    np.testing.assert_array_equal(stored, vectors[[0, 2, 3, 4, 5]])
    assert sorted({path.suffix for path in tmp_path.iterdir()}) == [".faiss", ".json", ".npy"]


def test_an_empty_index_is_saved_and_loaded(tmp_path):
    VectorIndex(DIMENSION).saved(tmp_path)
    loaded = VectorIndex.load(tmp_path, DIMENSION)
    assert (len(loaded), loaded.last_key) == (0, -1)
    loaded.add(np.array([0]), np.array([0]), unit_vectors(1))
    assert loaded.keys().tolist() == [0]


def test_a_mapped_file_outlives_its_successor(tmp_path):
    """As a reader in another process has it, while the writer writes the files anew."""
    vectors = unit_vectors(50)
    filled(range(40), vectors[:40]).saved(tmp_path)
    reader = VectorIndex.load(tmp_path, DIMENSION)
    writer = VectorIndex.load(tmp_path, DIMENSION)
    writer.add(np.arange(40, 50), np.arange(40, 50), vectors[40:])
    writer.saved(tmp_path)
    assert len(list(tmp_path.glob("vectors-*"))) == 2
    stored = {n: (n, vectors[n]) for n in range(40)}
    assert_equal_to_brute_force(reader, stored, question(), 40)


def test_a_write_that_fails_leaves_the_old_files_and_no_others(tmp_path, monkeypatch):
    made = filled(range(4), unit_vectors(4)).saved(tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    made.add(np.array([4]), np.array([4]), unit_vectors(1, 9))

    def full(*_arguments, **_options):
        raise OSError(28, "No space left on device")

    for target, name in ((index.vectors.faiss, "write_index"), (np, "save"), (index.vectors, "file_sha256")):
        with monkeypatch.context() as patch:
            patch.setattr(target, name, full)
            with pytest.raises(OSError, match="No space left"):
                made.saved(tmp_path)
        assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    assert len(made.saved(tmp_path)) == 5


@pytest.mark.parametrize("suffix", ["faiss", "npy"])
@pytest.mark.parametrize("place", [0, 5, 40, -1])
def test_a_flipped_byte_is_not_loaded(tmp_path, suffix, place):
    filled(range(4), unit_vectors(4)).saved(tmp_path)
    (path,) = tmp_path.glob(f"*.{suffix}")
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)
    assert VectorIndex.load(tmp_path, DIMENSION) is None


@pytest.mark.parametrize("suffix", ["faiss", "npy", "json"])
def test_a_missing_file_is_not_loaded(tmp_path, suffix):
    filled(range(4), unit_vectors(4)).saved(tmp_path)
    for path in tmp_path.glob(f"*.{suffix}"):
        path.unlink()
    assert VectorIndex.load(tmp_path, DIMENSION) is None


def test_what_was_discarded_is_not_loaded(tmp_path):
    filled(range(4), unit_vectors(4)).saved(tmp_path)
    VectorIndex.discard(tmp_path)
    VectorIndex.discard(tmp_path)
    assert VectorIndex.load(tmp_path, DIMENSION) is None


STAMPS = ["", "{", "null", "[]", "{}", '{"format": 2}', '{"format": 99, "files": {}}']


@pytest.mark.parametrize("stamp", STAMPS)
def test_a_stamp_that_makes_no_sense_is_not_believed(tmp_path, stamp):
    filled(range(4), unit_vectors(4)).saved(tmp_path)
    (tmp_path / "vectors.json").write_text(stamp)
    assert VectorIndex.load(tmp_path, DIMENSION) is None


@pytest.mark.parametrize(
    "change",
    [
        {"files": []},
        {"files": {}},
        {"files": "x"},
        {"generation": None},
        {"graph": 3},
        {"graph": {"x": 1}},
        {"format": 1},
    ],
)
def test_a_stamp_with_an_entry_that_makes_no_sense_is_not_believed(tmp_path, change):
    filled(range(4), unit_vectors(4)).saved(tmp_path)
    stamp = json.loads((tmp_path / "vectors.json").read_text())
    (tmp_path / "vectors.json").write_text(json.dumps({**stamp, **change}))
    assert VectorIndex.load(tmp_path, DIMENSION) is None


def test_an_index_of_another_dimension_is_not_loaded(tmp_path):
    filled(range(4), unit_vectors(4)).saved(tmp_path)
    assert VectorIndex.load(tmp_path, DIMENSION + 1) is None


@given(st.integers(1, 12), st.sets(st.integers(0, 11)))
def test_removing_is_the_same_before_and_after_saving(count, removed):

    vectors, gone = unit_vectors(count), np.array(sorted(removed), np.int64)
    with tempfile.TemporaryDirectory() as name:
        before, after = filled(range(count), vectors), filled(range(count), vectors)
        before.remove(gone)
        before = before.saved(Path(name))
        after = after.saved(Path(name))
        after.remove(gone)
        for each in (before, after):
            assert_equal_to_brute_force(
                each, {n: (n, vectors[n]) for n in range(count) if n not in removed}, question(), 20
            )


def test_what_is_known_of_a_graph_is_read_back(tmp_path, small_graphs):
    vectors = unit_vectors(600)
    made = filled(range(600), vectors).saved(tmp_path, vectors[:10].astype(np.float32))
    assert replace(made.graph) == VectorIndex.load(tmp_path, DIMENSION).graph
