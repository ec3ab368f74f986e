"""The vector store of llama-index: against llama-index's own in memory, and under its ``VectorStoreIndex``."""

import asyncio
import math
import pickle
import re
import shutil
import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pytest
from fakes import DIMENSION, HashEncoder
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test
from llama_index.core import Document, StorageContext, VectorStoreIndex, load_index_from_storage
from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.node_parser import SentenceSplitter
from llama_index.core.schema import ImageNode, IndexNode, Node, NodeRelationship, RelatedNodeInfo, TextNode
from llama_index.core.vector_stores.simple import SimpleVectorStore
from llama_index.core.vector_stores.types import (
    FilterCondition,
    FilterOperator,
    MetadataFilter,
    MetadataFilters,
    VectorStoreQuery,
    VectorStoreQueryMode,
)
from llama_index.core.vector_stores.utils import build_metadata_filter_fn, node_to_metadata_dict

from index.errors import (
    IndexCorruptError,
    IndexLockedError,
    IndexMismatchError,
    IndexNotFoundError,
    IndexStoreError,
)
from index.llama_index_store import CitewellVectorStore
from index.lock import writer_lock
from index.vectors import VectorIndex

README = Path(__file__).resolve().parents[2] / "README.md"
ROUNDING = 1e-3  # of half precision, in a cosine


def vector(seed: int, dimension: int = 8) -> list[float]:
    return (3 * np.random.default_rng(seed).standard_normal(dimension)).tolist()


def node(name: str, seed: int, doc: str | None = None, **metadata: Any) -> TextNode:
    source = {NodeRelationship.SOURCE: RelatedNodeInfo(node_id=doc)} if doc else {}
    return TextNode(
        id_=name, text=f"Text of {name}.", metadata=metadata, embedding=vector(seed), relationships=source
    )  # fmt: skip


def found(store: Any, seed: int, k: int = 3, **restrictions: Any) -> list[str]:
    query = VectorStoreQuery(query_embedding=vector(seed), similarity_top_k=k, **restrictions)
    return store.query(query).ids


def own_score(store: CitewellVectorStore, seed: int) -> tuple[str, float]:
    """Return the node nearest to the vector that the node of this seed has, and its similarity."""
    result = store.query(VectorStoreQuery(query_embedding=vector(seed)))
    return result.ids[0], result.similarities[0]


def where(key: str, value: Any, operator: str = "==") -> MetadataFilter:
    return MetadataFilter(key=key, value=value, operator=FilterOperator(operator))


def all_of(*filters: Any, condition: str = "and") -> MetadataFilters:
    return MetadataFilters(filters=list(filters), condition=FilterCondition(condition))


def ids(nodes: Any) -> list[str]:
    return [each.node_id for each in nodes]


@pytest.fixture(params=["memory", "folder"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> CitewellVectorStore:
    return CitewellVectorStore(tmp_path / "nodes" if request.param == "folder" else None)


# -- what other stores over FAISS get wrong -----------------------------------------------------------------------


def test_what_is_added_after_a_deletion_is_not_taken_for_another_node(store):
    store.add([node(f"n{n}", n) for n in range(4)])
    store.delete_nodes(["n1", "n3"])
    store.add([node("n5", 5)])
    for n in (0, 2, 5):
        assert found(store, n, k=1) == [f"n{n}"]
    assert sorted(found(store, 1, k=10)) == ["n0", "n2", "n5"]
    assert store.client.keys().tolist() == [1, 3, 5]  # of which none was another node's


def test_deleting_a_document_deletes_all_its_nodes(store):
    store.add([node("n0", 0, "paper"), node("n1", 1, "paper"), node("n2", 2, "other"), node("n3", 3)])
    store.delete("paper")
    assert sorted(found(store, 0, k=10)) == ["n2", "n3"]
    assert ids(store.get_nodes()) == ["n2", "n3"]
    store.delete("paper")
    store.delete("None")  # which is what llama-index writes for no document at all
    assert ids(store.get_nodes()) == ["n2", "n3"]


def test_a_node_that_is_added_again_takes_its_own_place(store):
    store.add([node("n0", 0), node("n1", 1), node("n2", 2)])
    assert store.add([node("n1", 7, year=2020)]) == ["n1"]
    assert sorted(found(store, 7, k=10)) == ["n0", "n1", "n2"]
    assert found(store, 7, k=1) == ["n1"]
    assert store.get_nodes(["n1"])[0].metadata == {"year": 2020}
    assert len(store.client) == 3


def test_of_two_nodes_with_one_id_the_last_counts(store):
    assert store.add([node("n0", 0), node("n0", 1)]) == ["n0", "n0"]
    assert len(store.client) == 1
    result = store.query(VectorStoreQuery(query_embedding=vector(1)))
    assert result.similarities == pytest.approx([1], abs=ROUNDING)


def test_a_node_that_is_added_unchanged_changes_nothing(store):
    store.add([node("n0", 0)])
    before = store.client.generation
    store.add([node("n0", 0)])
    assert store.client.generation == before


def test_filters_are_applied_inside_the_search(store):
    store.add([node(f"n{n}", n, year=2000 + n, tags=["a", "b"] if n % 2 else []) for n in range(100)])
    nearest = found(store, 3, k=100)
    recent = [name for name in nearest if int(name[1:]) >= 90]
    assert found(store, 3, k=10, filters=all_of(where("year", 2090, ">="))) == recent
    assert (
        found(store, 3, k=2, filters=all_of(where("year", 2090, ">="), where("tags", "a", "contains")))
        == [name for name in recent if int(name[1:]) % 2][:2]
    )


def test_a_filter_sees_what_has_changed_since(store):
    recent = all_of(where("year", 2020, ">="))
    store.add([node("n0", 0, year=2021), node("n1", 1, year=2022)])
    assert sorted(found(store, 0, filters=recent)) == ["n0", "n1"]
    store.add([node("n0", 0, year=2001), node("n2", 2, year=2023), node("n3", 3)])
    store.delete_nodes(["n1"])
    assert found(store, 0, filters=recent) == ids(store.get_nodes(filters=recent)) == ["n2"]


def test_scores_are_cosines_and_higher_is_closer(store):
    store.add([node(f"n{n}", n) for n in range(20)])
    query = np.array(vector(77))
    result = store.query(VectorStoreQuery(query_embedding=query.tolist(), similarity_top_k=20))
    matrix = np.array([vector(int(name[1:])) for name in result.ids])
    cosines = matrix @ query / np.linalg.norm(matrix, axis=1) / np.linalg.norm(query)
    np.testing.assert_allclose(result.similarities, cosines, atol=ROUNDING)
    assert result.similarities == sorted(result.similarities, reverse=True)
    assert [each.text for each in result.nodes] == [f"Text of {name}." for name in result.ids]


# -- against llama-index's own store --------------------------------------------------------------------------------

VALUES = st.one_of(
    st.none(), st.integers(-2, 2), st.sampled_from([0.5, 1.0, -2.0]), st.text("aAb", max_size=3), st.booleans(),
    st.lists(st.text("ab", max_size=2), max_size=2), st.lists(st.integers(-1, 1), max_size=2),
)  # fmt: skip
METADATA = st.dictionaries(st.sampled_from("xyz"), VALUES)
WORDS = st.one_of(st.lists(st.text("ab", max_size=2), max_size=3), st.lists(st.integers(-2, 2), max_size=3))
NUMBERS = st.one_of(st.integers(-2, 2), st.sampled_from([0.5, 1.0]), st.text("aAb", max_size=2))


def operands(operator: FilterOperator) -> st.SearchStrategy[Any]:
    match operator.value:
        case "in" | "nin" | "any" | "all":
            return st.one_of(WORDS, st.text("ab", max_size=2))
        case "text_match" | "text_match_insensitive":
            return st.text("aAb", max_size=2)
        case ">" | ">=" | "<" | "<=":
            return st.one_of(NUMBERS, WORDS)
        case _:
            return st.one_of(st.none(), NUMBERS, WORDS)


ONE_FILTER = st.sampled_from(FilterOperator).flatmap(
    lambda operator: st.builds(
        MetadataFilter, key=st.sampled_from("xyz"), value=operands(operator), operator=st.just(operator)
    )
)
FILTERS = st.recursive(
    ONE_FILTER,
    lambda part: st.builds(
        MetadataFilters, filters=st.lists(part, max_size=3), condition=st.sampled_from([*FilterCondition, None])
    ),
    max_leaves=5,
)


def passes(part: MetadataFilter | MetadataFilters, metadata: dict[str, Any]) -> bool:
    """Evaluate a filter with llama-index's function, which knows neither nesting nor values that do not compare."""
    if isinstance(part, MetadataFilters):
        results = [passes(each, metadata) for each in part.filters]
        if not results or part.condition in (FilterCondition.AND, None):
            return all(results)
        return any(results) == (part.condition == FilterCondition.OR)
    try:
        return build_metadata_filter_fn(lambda _: metadata, MetadataFilters(filters=[part]))("")
    except TypeError:
        return part.operator == FilterOperator.NIN


@given(st.lists(METADATA, min_size=1, max_size=6), FILTERS)
@settings(deadline=None)
def test_filters_of_every_kind_and_depth_give_what_llama_index_gives(all_metadata, part):
    store = CitewellVectorStore()
    nodes = [node(f"n{n}", n, **metadata) for n, metadata in enumerate(all_metadata)]
    store.add(nodes)
    filters = part if isinstance(part, MetadataFilters) else all_of(part)
    expected = [each.node_id for each in nodes if passes(filters, node_to_metadata_dict(each))]
    assert ids(store.get_nodes(filters=filters)) == expected
    assert sorted(found(store, 0, k=10, filters=filters)) == expected


@pytest.mark.parametrize(
    ("operator", "value", "needed"),
    [
        (">", None, "a value"),
        ("in", None, "a list"),
        ("nin", 3, "a list"),
        ("any", 0.5, "a list"),
        ("all", None, "a list"),
        ("text_match", 3, "a string"),
        ("text_match_insensitive", ["a"], "a string"),
    ],
)
def test_a_filter_that_makes_no_sense_is_a_slip_of_the_caller(store, operator, value, needed):
    store.add([node("n0", 0)])
    with pytest.raises(ValueError, match=f"filter on 'x' with '{operator}' needs {needed}"):
        store.get_nodes(filters=all_of(where("x", value, operator)))


def test_the_document_of_a_node_can_be_filtered_by(store):
    store.add([node("n0", 0, "paper"), node("n1", 1)])
    assert ids(store.get_nodes(filters=all_of(where("ref_doc_id", "paper")))) == ["n0"]


class Machine(RuleBasedStateMachine):
    """Two objects over one folder, as two processes have them, against llama-index's store in memory."""

    names = st.sampled_from([f"n{n}" for n in range(7)])
    docs = st.sampled_from(["d0", "d1", "d2"])
    which = st.sampled_from([0, 1])
    made = st.tuples(names, st.integers(0, 50), st.one_of(st.none(), docs), METADATA)
    folder: Path  # set by the test

    @initialize()
    def open(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
        self.stores = [CitewellVectorStore(self.folder) for _ in range(2)]
        self.model = SimpleVectorStore()

    @rule(which=which, new=st.lists(made, min_size=1, max_size=4))
    def add(self, which, new):
        nodes = [node(name, seed, doc, **metadata) for name, seed, doc, metadata in new]
        assert self.stores[which].add(nodes) == self.model.add(nodes)

    @rule(which=which, doc=docs)
    def delete(self, which, doc):
        self.stores[which].delete(doc)
        self.model.delete(doc)

    @rule(which=which, wanted=st.lists(names, max_size=3))
    def delete_nodes(self, which, wanted):
        self.stores[which].delete_nodes(wanted)
        self.model.delete_nodes(wanted)

    @rule(which=which, part=FILTERS, wanted=st.one_of(st.none(), st.lists(names)))
    def delete_filtered(self, which, part, wanted):
        filters = all_of(part)
        gone = [name for name, fields in self.model.data.metadata_dict.items() if passes(filters, fields)]
        self.stores[which].delete_nodes(wanted, filters)
        self.model.delete_nodes([name for name in gone if wanted is None or name in wanted])

    @rule(which=which)
    def clear(self, which):
        self.stores[which].clear()
        self.model.clear()

    @rule(which=which)
    def flush(self, which):
        self.stores[which].persist(str(self.folder))

    @rule(which=which)
    def reopen(self, which):
        self.stores[which] = CitewellVectorStore(self.folder)

    @rule(which=which, kind=st.sampled_from(["vectors.json", "*.faiss", "*.npy"]), whole=st.booleans())
    def damage(self, which, kind, whole):
        for path in self.folder.glob(kind):
            data = path.read_bytes()
            path.unlink()  # others have it mapped
            if not whole:
                path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
        self.stores[which] = CitewellVectorStore(self.folder)

    # Each object looks for itself, so that the other can do much in the meantime.

    @rule(which=which, seed=st.integers(0, 60), k=st.integers(1, 8), part=st.none() | FILTERS, doc=st.none() | docs)
    def query(self, which, seed, k, part, doc):
        stored = self.model.data
        allowed = [
            name
            for name, fields in stored.metadata_dict.items()
            if (part is None or passes(part, fields)) and doc in (None, stored.text_id_to_ref_doc_id[name])
        ]
        asked = {"query_embedding": vector(seed), "similarity_top_k": k}
        expected = self.model.query(VectorStoreQuery(**asked, node_ids=allowed)).similarities
        every = self.model.query(VectorStoreQuery(**{**asked, "similarity_top_k": 100}))
        exact = dict(zip(every.ids, every.similarities, strict=True))
        filters, docs = part and all_of(part), doc and [doc]
        result = self.stores[which].query(VectorStoreQuery(**asked, filters=filters, doc_ids=docs))
        assert ids(result.nodes) == result.ids
        assert len(set(result.ids)) == len(result.ids)
        assert set(result.ids) <= set(allowed)
        np.testing.assert_allclose(result.similarities, expected, atol=ROUNDING)
        np.testing.assert_allclose(result.similarities, [exact[name] for name in result.ids], atol=ROUNDING)

    @rule(which=which)
    def read(self, which):
        assert sorted(ids(self.stores[which].get_nodes())) == sorted(self.model.data.embedding_dict)


def test_it_is_a_store_of_llama_index_whatever_happens(tmp_path, monkeypatch):
    monkeypatch.setattr("index.llama_index_store.node_index._SAVE_FROM", 3)
    machine = type("InThisFolder", (Machine,), {"folder": tmp_path / "nodes"})
    run_state_machine_as_test(machine, settings=settings(max_examples=12, stateful_step_count=15, deadline=None))


# -- what may be found ----------------------------------------------------------------------------------------------


def test_a_search_can_be_kept_to_nodes_and_documents(store):
    store.add([node("n0", 0, "a"), node("n1", 1, "a"), node("n2", 2, "b"), node("n3", 3)])
    assert sorted(found(store, 0, k=9, doc_ids=["a"])) == ["n0", "n1"]
    assert sorted(found(store, 0, k=9, node_ids=["n1", "n3", "gone"])) == ["n1", "n3"]
    assert found(store, 0, k=9, doc_ids=["a"], node_ids=["n1", "n3"]) == ["n1"]
    assert found(store, 0, k=9, doc_ids=[]) == []
    assert len(found(store, 0, k=9, node_ids=[])) == 4  # llama-index's retriever gives an empty list to say nothing


def test_nodes_are_read_in_the_order_asked_for(store):
    store.add([node("n0", 0, year=1), node("n1", 1, year=2), node("n2", 2, year=2)])
    assert ids(store.get_nodes(["n2", "gone", "n0", "n2"])) == ["n2", "n0"]
    assert ids(store.get_nodes(["n2", "n0"], all_of(where("year", 2)))) == ["n2"]
    assert store.get_nodes([]) == []
    assert store.get_nodes()[0].embedding is None


def test_of_equal_nodes_the_earlier_comes_first(store):
    store.add([node(f"n{n}", 0) for n in range(5)])
    assert found(store, 0, k=3) == ["n0", "n1", "n2"]


def test_a_vector_of_zeros_is_like_nothing(store):
    store.add([node("n0", 0), TextNode(id_="zero", text="", embedding=[0.0] * 8)])
    assert found(store, 0, k=2) == ["n0", "zero"]
    result = store.query(VectorStoreQuery(query_embedding=[0.0] * 8, similarity_top_k=2))
    assert result.similarities == [0, 0]


@pytest.mark.parametrize("size", [1e-300, 1e300])
def test_the_length_of_a_vector_does_not_matter(store, size):
    store.add([TextNode(id_="n0", text="", embedding=[3 * size, 4 * size])])
    result = store.query(VectorStoreQuery(query_embedding=[4 * size, 3 * size]))
    assert result.similarities == pytest.approx([0.96], abs=ROUNDING)


def test_an_empty_store_finds_nothing_and_is_not_false(store):
    assert found(store, 0) == []
    assert store.get_nodes() == []
    assert store.get_nodes(["n0"], all_of(where("x", 1))) == []
    store.delete_nodes(["n0"])
    assert StorageContext.from_defaults(vector_store=store).vector_store is store
    assert store.client is None


# -- slips and failures ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"mode": VectorStoreQueryMode.MMR}, "mode 'mmr' is not supported; supported is 'default'"),
        ({"query_embedding": None}, "no embedding"),
        ({"query_embedding": []}, "no embedding"),
        ({"query_embedding": [math.nan] * 8}, "query has a number that is not finite"),
        ({"similarity_top_k": 0}, "similarity_top_k is 0"),
    ],
)
def test_a_query_that_makes_no_sense_is_a_slip_of_the_caller(store, changed, message):
    store.add([node("n0", 0)])
    with pytest.raises(ValueError, match=message):
        store.query(VectorStoreQuery(**{"query_embedding": vector(0), **changed}))


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (TextNode(id_="bad", text=""), "node 'bad' has no embedding"),
        (TextNode(id_="bad", text="", embedding=[1.0, math.inf, *[0.0] * 6]), "of node 'bad' has a number"),
        (TextNode(id_="bad", text="", embedding=[1.0, 2.0]), "all of one length"),
        (TextNode(id_="half a pair: \ud800", text="", embedding=vector(1)), "surrogates"),
    ],
)
def test_nodes_are_added_all_or_none(store, bad, message):
    store.add([node("old", 9)])
    with pytest.raises(ValueError, match=message):
        store.add([node("n0", 0), bad])
    assert ids(store.get_nodes()) == ["old"]
    store.add([node("n0", 0)])
    assert found(store, 0, k=1) == ["n0"]


def test_deleting_everything_has_to_be_said(store):
    store.add([node("n0", 0)])
    for nothing in (None, MetadataFilters(filters=[])):
        with pytest.raises(ValueError, match=r"clear\(\)"):
            store.delete_nodes(filters=nothing)
    store.clear()
    assert store.get_nodes() == []


def test_vectors_of_another_length_are_refused_until_the_store_is_cleared(store):
    store.add([node("n0", 0)])
    assert store.dimension == 8
    other = TextNode(id_="n1", text="", embedding=[1.0, 2.0])
    with pytest.raises(IndexMismatchError, match=r"has vectors of 8 numbers, not 2\. Use the embedding model"):
        store.add([other])
    with pytest.raises(IndexMismatchError, match="not 3"):
        store.query(VectorStoreQuery(query_embedding=[1.0] * 3))
    store.clear()
    store.add([other])
    assert store.dimension == 2
    assert store.query(VectorStoreQuery(query_embedding=[1.0, 2.0])).ids == ["n1"]


def test_a_dimension_can_be_asked_for(tmp_path):
    with pytest.raises(ValueError, match="dimension is 0"):
        CitewellVectorStore(dimension=0)
    assert CitewellVectorStore(tmp_path, dimension=8).dimension == 8
    assert CitewellVectorStore(tmp_path).dimension == 8
    with pytest.raises(IndexMismatchError, match="8 numbers, not 9"):
        CitewellVectorStore(tmp_path, dimension=9)


def test_a_folder_that_is_something_else_is_left_alone(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(IndexStoreError, match="is a file"):
        CitewellVectorStore(tmp_path / "file")
    with pytest.raises(IndexStoreError, match="is a file"):
        CitewellVectorStore().persist(str(tmp_path / "file"))
    (tmp_path / "papers.sqlite").write_text("")
    with pytest.raises(IndexStoreError, match="is an index of papers"):
        CitewellVectorStore(tmp_path)
    with pytest.raises(IndexStoreError, match="Cannot make the folder"):
        CitewellVectorStore(tmp_path / "file" / "nodes")


def test_who_writes_is_named_to_who_waits_too_long(tmp_path, monkeypatch):
    monkeypatch.setattr("index.llama_index_store.node_database._LOCK_TIMEOUT_S", 0.05)
    store = CitewellVectorStore(tmp_path)
    with writer_lock(tmp_path), pytest.raises(IndexLockedError, match="is being written by process"):
        store.add([node("n0", 0)])
    store.add([node("n0", 0)])
    assert found(store, 0) == ["n0"]


def test_a_damaged_database_is_told(tmp_path):
    store = CitewellVectorStore(tmp_path)
    store.add([node("n0", 0)])
    with sqlite3.connect(tmp_path / "nodes.sqlite") as db:
        db.execute("UPDATE nodes SET content = 'x'")
    with pytest.raises(IndexCorruptError, match=r"Restore nodes\.sqlite from a backup"):
        found(store, 0)
    with sqlite3.connect(tmp_path / "nodes.sqlite") as db:
        db.execute("UPDATE meta SET value = '99' WHERE key = 'format_version'")
    with pytest.raises(IndexMismatchError, match="has format 99"):
        CitewellVectorStore(tmp_path)
    (tmp_path / "nodes.sqlite").write_text("no database" * 1000)
    with pytest.raises(IndexCorruptError):
        CitewellVectorStore(tmp_path)
    (tmp_path / "nodes.sqlite").unlink()
    with pytest.raises(IndexNotFoundError, match="any more"):
        store.add([node("n0", 0)])


# -- files ------------------------------------------------------------------------------------------------------------


def test_a_store_is_persisted_and_loaded(store, tmp_path):
    store.add([node("n0", 0, "a", year=2020), node("n1", 1)])
    store.persist(str(tmp_path / "copy"))
    store.delete("a")
    loaded = CitewellVectorStore.from_persist_path(str(tmp_path / "copy"))
    assert found(loaded, 0, k=9, filters=all_of(where("year", 2020))) == ["n0"]
    loaded.add([node("n2", 2)])
    assert sorted(ids(CitewellVectorStore(tmp_path / "copy").get_nodes())) == ["n0", "n1", "n2"]
    assert ids(store.get_nodes()) == ["n1"]


def test_what_is_persisted_takes_the_place_of_what_was_there(tmp_path):
    there = CitewellVectorStore(tmp_path)
    there.add([node("old", 0), node("older", 1)])
    there.persist(str(tmp_path))
    other = CitewellVectorStore()
    other.add([node("new", 2)])
    other.persist(str(tmp_path))
    for opened in (there, CitewellVectorStore(tmp_path)):
        assert ids(opened.get_nodes()) == found(opened, 0) == ["new"]


def test_a_store_is_persisted_to_another_file_system(store):
    store.add([node("n0", 0), node("n1", 1)])
    fs = fsspec.filesystem("memory")
    store.persist("/somewhere/store", fs=fs)
    loaded = CitewellVectorStore.from_persist_path("/somewhere/store", fs=fs)
    assert found(loaded, 1, k=1) == ["n1"]
    assert loaded.path is None
    loaded.add([node("n2", 2)])
    assert found(loaded, 2, k=1) == ["n2"]


@pytest.mark.parametrize("fs", [None, fsspec.filesystem("file"), fsspec.filesystem("memory")])
def test_what_was_never_persisted_is_not_loaded(tmp_path, fs):
    with pytest.raises(IndexNotFoundError, match="no vector store"):
        CitewellVectorStore.from_persist_dir(str(tmp_path), fs=fs)
    assert list(tmp_path.iterdir()) == []


def test_a_file_is_written_when_enough_has_changed(tmp_path, monkeypatch):
    monkeypatch.setattr("index.llama_index_store.node_index._SAVE_FROM", 10)
    store = CitewellVectorStore(tmp_path)
    store.add([node(f"n{n}", n) for n in range(9)])
    assert not (tmp_path / "vectors.json").exists()
    store.add([node("n9", 9)])
    assert VectorIndex.load(tmp_path, 8).keys().tolist() == list(range(1, 11))
    store.persist(str(tmp_path))
    assert len(list(tmp_path.glob("vectors-*"))) == 2


def test_a_restored_backup_is_not_searched_by_a_newer_file(tmp_path):
    store = CitewellVectorStore(tmp_path)
    store.add([node("n0", 0)])
    backup = (tmp_path / "nodes.sqlite").read_bytes()
    store.add([node("n1", 1)])
    store.persist(str(tmp_path))
    (tmp_path / "nodes.sqlite").write_bytes(backup)
    CitewellVectorStore(tmp_path).add([node("n2", 2)])  # with the key and the generation that n1 had
    assert own_score(CitewellVectorStore(tmp_path), 2) == ("n2", pytest.approx(1, abs=ROUNDING))


def test_a_copy_is_not_searched_by_the_file_of_what_it_replaces(tmp_path):
    store = CitewellVectorStore()
    store.add([node("n0", 0)])
    store.persist(str(tmp_path))
    copy = CitewellVectorStore(tmp_path)
    copy.add([node("n1", 1)])
    copy.persist(str(tmp_path))
    store.add([node("n2", 2)])
    store.persist(str(tmp_path))
    for opened in (copy, CitewellVectorStore(tmp_path)):
        assert own_score(opened, 2) == ("n2", pytest.approx(1, abs=ROUNDING))


def test_another_object_sees_that_a_store_was_cleared(tmp_path):
    store, other = CitewellVectorStore(tmp_path), CitewellVectorStore(tmp_path)
    store.add([node("n0", 0), node("n1", 1)])
    assert len(found(other, 0)) == 2
    store.clear()
    store.add([node("n2", 2)])
    assert found(other, 0) == ["n2"]


def test_the_log_of_removals_is_emptied_when_the_file_knows_them(tmp_path):
    store = CitewellVectorStore(tmp_path)
    store.add([node("n0", 0), node("n1", 1)])
    store.delete_nodes(["n0"])
    store.persist(str(tmp_path))
    with sqlite3.connect(tmp_path / "nodes.sqlite") as db:
        assert db.execute("SELECT count(*) FROM removed").fetchone() == (0,)
    assert found(CitewellVectorStore(tmp_path), 0) == ["n1"]


def test_a_full_disk_keeps_what_was_stored(tmp_path, monkeypatch):
    monkeypatch.setattr("index.llama_index_store.node_index._SAVE_FROM", 1)

    def fail(*args: object) -> None:
        raise OSError("disk full")

    store = CitewellVectorStore(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr("index.vectors.faiss.write_index", fail)
        store.add([node("n0", 0)])
        with pytest.raises(IndexStoreError, match=r"could not be saved: disk full\. The nodes are stored"):
            store.persist(str(tmp_path))
    assert found(store, 0) == found(CitewellVectorStore(tmp_path), 0) == ["n0"]


def test_what_is_changed_again_and_again_takes_no_more_room(monkeypatch):
    monkeypatch.setattr("index.llama_index_store.node_index._SAVE_FROM", 10)
    store = CitewellVectorStore()
    for n in range(60):
        store.add([node("n0", n)])
    assert store.client.gone <= 21
    assert found(store, 59) == ["n0"]


def test_a_large_store_can_have_a_graph(tmp_path, monkeypatch):
    monkeypatch.setattr("index.vectors.GRAPH_FROM", 300)
    told = []
    store = CitewellVectorStore(tmp_path)
    store.add([node(f"n{n}", n, year=n) for n in range(299)])
    assert not store.build_graph()
    store.add([node("n299", 299, year=299)])
    assert store.build_graph(lambda done, total, message: told.append((done, total, message)))
    assert told[-1] == (300, 300, "Linking the vectors")
    assert not CitewellVectorStore().build_graph()
    store.delete_nodes(["n7"])
    store.add([node("n300", 300, year=300)])
    store.persist(str(tmp_path))
    for opened in (store, CitewellVectorStore(tmp_path)):
        assert opened.client.graph is not None
        assert found(opened, 300, k=1) == ["n300"]
        assert found(opened, 8, k=1) == ["n8"]
        assert "n7" not in found(opened, 7, k=300)
        assert len(found(opened, 7, k=5, filters=all_of(where("year", 290, ">=")))) == 5


# -- nodes ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "kept",
    [
        TextNode(id_="x", text="Text", metadata={"a": [1, "b", {"c": None}], "é": "中"}),
        Node(id_="x", text_resource={"text": "Text"}),
        ImageNode(id_="x", text="A picture", image="aGVsbG8="),
        IndexNode(id_="x", text="Text", index_id="other"),
        Document(id_="x", text="Text", metadata={"a": 1}),
        TextNode(id_="a NUL: \0", text="half a pair: \ud800, a NUL: \0", metadata={"a": "\udfff"}),
    ],
    ids=lambda kept: type(kept).__name__,
)
def test_a_node_is_read_as_it_was_added(store, kept):
    name = kept.node_id
    store.add([kept.model_copy(update={"embedding": vector(0)}), node(name[:5] + "y", 1)])
    (read,) = store.get_nodes([name])
    assert type(read) is type(kept)
    assert read == kept
    assert found(store, 0, k=1) == [name]


def test_a_store_is_reopened_by_pickle_and_by_its_fields(tmp_path):
    store = CitewellVectorStore(tmp_path)
    store.add([node("n0", 0)])
    for other in (pickle.loads(pickle.dumps(store)), CitewellVectorStore.from_dict(store.to_dict())):
        assert found(other, 0) == ["n0"]
    with pytest.raises(TypeError, match="in memory"):
        pickle.dumps(CitewellVectorStore())


def test_threads_may_share_a_store(store):
    store.add([node(f"old{n}", n) for n in range(20)])
    failures: list[BaseException] = []

    def work(first: int) -> None:
        try:
            for n in range(first, first + 10):
                store.add([node(f"n{n}", n, f"d{n}")])
                assert found(store, n, k=2)
                if n % 2:
                    store.delete(f"d{n}")
        except BaseException as exc:
            failures.append(exc)

    threads = [threading.Thread(target=work, args=(100 * n,)) for n in range(1, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert len(store.get_nodes()) == len(store.client) == 40


def test_the_coroutines_do_the_same():
    async def use() -> list[str]:
        store = CitewellVectorStore()
        await store.async_add([node("n0", 0, "a"), node("n1", 1, "b"), node("n2", 2)])
        await store.adelete("a")
        await store.adelete_nodes(["n2"])
        return (await store.aquery(VectorStoreQuery(query_embedding=vector(0), similarity_top_k=5))).ids

    with ThreadPoolExecutor(1) as pool:  # a browser of another test can leave a loop running in this thread
        assert pool.submit(asyncio.run, use()).result() == ["n1"]


# -- under an index of llama-index ------------------------------------------------------------------------------------


ENCODER = HashEncoder()


class HashEmbedding(BaseEmbedding):
    """Words hashed into a vector, so that texts that share words are close."""

    def _get_text_embedding(self, text: str) -> list[float]:
        return ENCODER.embed_queries([text])[0].tolist()

    def _get_query_embedding(self, query: str) -> list[float]:
        return self._get_text_embedding(query)

    async def _aget_query_embedding(self, query: str) -> list[float]:
        return self._get_text_embedding(query)


PARTS = {
    "embed_model": HashEmbedding(),
    "transformations": [SentenceSplitter(chunk_size=24, chunk_overlap=0, tokenizer=str.split)],
}
PAPERS = [
    Document(id_="pruning", text="Filters are pruned by their norm. " * 4, metadata={"year": 2017}),
    Document(id_="mixing", text="Tokens are mixed by pooling. " * 6, metadata={"year": 2022}),
    Document(id_="codec", text="Audio is coded in forty tokens. " * 6, metadata={"year": 2024}),
]  # fmt: skip


def retrieved(index: VectorStoreIndex, question: str, **kwargs: Any) -> list[str]:
    hits = index.as_retriever(**{"similarity_top_k": 2, **kwargs}).retrieve(question)
    assert all(hit.node.text for hit in hits)
    return [hit.node.ref_doc_id for hit in hits]


def test_an_index_of_llama_index_is_kept_in_it(tmp_path):
    store = CitewellVectorStore(tmp_path)
    index = VectorStoreIndex([], storage_context=StorageContext.from_defaults(vector_store=store), **PARTS)
    for paper in PAPERS:
        index.insert(paper)
    assert store.dimension == DIMENSION
    assert len(store.get_nodes(filters=all_of(where("ref_doc_id", "codec")))) > 1
    assert retrieved(index, "How are filters pruned?") == ["pruning"] * 2
    recent = all_of(where("year", 2020, ">="))
    assert set(retrieved(index, "How are filters pruned?", filters=recent, similarity_top_k=99)) == {"mixing", "codec"}
    assert set(retrieved(index, "How are filters pruned?", doc_ids=["codec"])) == {"codec"}

    index.delete_ref_doc("codec")
    assert set(retrieved(index, "audio tokens", similarity_top_k=99)) == {"pruning", "mixing"}
    index.update_ref_doc(Document(id_="mixing", text="Audio is mixed.", metadata={"year": 2025}))
    assert retrieved(index, "How is audio mixed?", filters=recent) == ["mixing"]
    assert len(store.get_nodes(filters=all_of(where("doc_id", "mixing")))) == 1

    reopened = VectorStoreIndex.from_vector_store(CitewellVectorStore(tmp_path), **PARTS)
    assert retrieved(reopened, "How is audio mixed?")[0] == "mixing"
    reopened.insert(PAPERS[2])
    assert retrieved(reopened, "forty tokens") == retrieved(index, "forty tokens") == ["codec"] * 2


def test_a_storage_context_persists_it(tmp_path):
    context = StorageContext.from_defaults(vector_store=CitewellVectorStore())
    index = VectorStoreIndex([], storage_context=context, **PARTS)
    index.insert(PAPERS[0])
    context.persist(str(tmp_path))
    context = StorageContext.from_defaults(
        persist_dir=str(tmp_path), vector_store=CitewellVectorStore.from_persist_dir(str(tmp_path))
    )
    loaded = load_index_from_storage(context, **PARTS)
    assert retrieved(loaded, "How are filters pruned?", similarity_top_k=1) == ["pruning"]


def test_the_example_of_the_readme_runs_and_prints_what_it_says(capsys):
    section = README.read_text(encoding="utf-8").partition("## As a llama-index vector store\n")[2]
    code = re.search(r"```python\n(.*?)```", section, flags=re.S).group(1)
    exec(code, {})
    printed = capsys.readouterr().out.splitlines()
    assert len(printed) == 2
    assert printed == re.findall(r"^print\(.*#\s(.*)$", code, flags=re.M)
