"""Reindexing: answers stay as they were until all is changed, an interruption costs a batch, readers are told."""

import threading

import numpy as np
import oracle
import pytest
from fakes import DIMENSION, HashEncoder
from oracle import assert_search_is_exact, assert_sound

from index.embedding.encoder import PassageVectors, unit
from index.errors import IndexLockedError, IndexMismatchError, IndexNotFoundError
from index.lock import writer_lock
from index.paper import Paper
from index.store import PaperStore

BATCH = 4


class Model(HashEncoder):
    """Takes four papers at once, fails at a call that it is told, and can be of another kind."""

    def __init__(self, name="hash-encoder", dimension=DIMENSION, max_tokens=256):
        super().__init__(max_tokens)
        self.name, self.size, self.fails_at = name, dimension, None
        self.titles = []

    @property
    def identity(self):
        return {**super().identity, "model_name": self.name, "dimension": self.size}

    @property
    def dimension(self):
        return self.size

    @property
    def bulk_size(self):
        return 2 * BATCH  # two batches can be under way

    def embed_passages(self, passages):
        if self.passage_calls == self.fails_at:
            raise RuntimeError("the model broke")
        self.titles += [passage.title for passage in passages]
        made = super().embed_passages(passages)
        return [PassageVectors(self._cut(each.passage), self._cut(each.sentences)) for each in made]

    def embed_queries(self, texts):
        return self._cut(super().embed_queries(texts))

    def _cut(self, vectors):
        return unit(vectors[..., : self.size])


LONG = " ".join(f"It is about graphs {n} and whales." for n in range(8))


def paper(number, text=LONG):
    return Paper(f"id{number}", f"Title {number}", f"Abstract word{number}. {text}")


ENTRIES = [paper(n) for n in range(10)]


@pytest.fixture
def folder(memory_path):
    return memory_path / "papers.idx"


@pytest.fixture
def store(folder):
    made = PaperStore.open(folder, Model(), create=True)
    made.add(ENTRIES)
    return made


def details(store):
    return {check.name: check.detail for check in store.check()}


def generation(store):
    with store._database.reading() as db:
        return int(db.execute("SELECT value FROM meta WHERE key = 'generation'").fetchone()[0])


def test_other_passages_change_every_vector_and_nothing_else(folder, store):
    told = []
    store.reindex(Model(), 24, progress=lambda *what: told.append(what))
    assert store.passages.max_tokens == 24
    assert store.papers() == ENTRIES
    for each in (store, PaperStore.open(folder, Model())):
        found = assert_search_is_exact(each, ENTRIES, "whales 3 word3", 5, window=24, collection=ENTRIES)
        assert len(found.papers[found.by_meaning[0]].passage_vectors) > 2
        assert_sound(each)
    assert [done for done, total, _ in told if total] == sorted(done for done, total, _ in told if total)
    assert (10, 10, "Changing to the new vectors") in told
    with pytest.raises(IndexMismatchError, match="at most 24 tokens"):
        PaperStore.open(folder, Model(), passage_tokens=256)
    store.add([paper(10)])
    assert_search_is_exact(store, [*ENTRIES, paper(10)], "whales word10", 5, window=24)
    store.delete(["id1"])
    assert_search_is_exact(store, [e for e in [*ENTRIES, paper(10)] if e.id != "id1"], "whales word1", 5, window=24)
    assert_sound(store)


def test_another_model_of_another_dimension_takes_over(folder, store):
    small = Model("small", 16)
    store.reindex(small)
    assert store.encoder is small
    opened = PaperStore.open(folder, Model("small", 16))
    with pytest.raises(IndexMismatchError, match=r"built with small.*ask for hash-encoder.*citewell reindex"):
        PaperStore.open(folder, Model())
    for each in (store, opened):
        vector = small.embed_queries(["title 3 word3"])[0]
        found = each.candidates(vector, ["word3"], 10)
        texts = small.embed_passages([oracle.PassageText(e.title, e.abstract, ()) for e in ENTRIES])
        stored = [made.passage.astype(np.float16).astype(np.float32) for made in texts]
        expected = {e.id: float(passage @ vector) for e, passage in zip(ENTRIES, stored, strict=True)}
        assert [found.papers[key].paper.id for key in found.by_meaning] == sorted(
            expected, key=expected.get, reverse=True
        )
        scores = dict(oracle.all_scores(each, vector))
        assert scores == pytest.approx(expected, abs=1e-6)
        assert_sound(each)
    assert opened.encoder.embedded_passages == 0
    small.titles.clear()
    opened.add([paper(3), paper(11)])
    assert opened.papers() == [*ENTRIES, paper(11)]


def test_what_the_index_is_already_costs_nothing(store):
    model = Model()
    store.reindex(model)
    assert model.titles == []
    assert_search_is_exact(store, ENTRIES, "whales word3", 5, collection=ENTRIES)
    assert_sound(store)


@pytest.mark.parametrize("calls", [0, 1, 2])
def test_an_interruption_leaves_the_answers_and_the_next_call_goes_on(folder, store, calls):
    broken = Model()
    broken.fails_at = calls
    with pytest.raises(RuntimeError, match="the model broke"):
        store.reindex(broken, 24)
    for each in (store, PaperStore.open(folder, Model())):
        assert each.passages.max_tokens == 256
        assert_search_is_exact(each, ENTRIES, "whales word3", 5, window=256, collection=ENTRIES)
        checks = {check.name: check for check in each.check()}
        assert not checks.pop("reindexing").ok
        assert all(check.ok for check in checks.values())
        said = details(each)["reindexing"]
        assert said.startswith("changing to hash-encoder was interrupted; the index answers as before; ")
        assert said.endswith(f"citewell reindex {folder} finishes it")
    again = Model()
    PaperStore.open(folder, Model()).reindex(again, 24)
    left = set(again.titles)
    assert 10 - BATCH * calls <= len(left) <= 10 - BATCH * max(0, calls - 2)
    for each in (store, PaperStore.open(folder, Model())):
        assert_search_is_exact(each, ENTRIES, "whales word3", 5, window=24, collection=ENTRIES)
        assert_sound(each)


def test_what_changes_between_an_interruption_and_the_next_call_is_embedded_anew(folder, store):
    broken = Model()
    broken.fails_at = 2
    with pytest.raises(RuntimeError):
        store.reindex(broken, 24)
    store.add([paper(1, "Another text about galaxies."), paper(20)])
    store.delete(["id0", "id9"])
    kept = [paper(1, "Another text about galaxies."), *ENTRIES[2:9], paper(20)]
    assert_search_is_exact(store, kept, "galaxies word20", 9, window=256, collection=kept)
    again = Model()
    store.reindex(again, 24)
    assert {"Title 1", "Title 20"} <= set(again.titles)
    assert not {"Title 0", "Title 9"} & set(again.titles)
    for each in (store, PaperStore.open(folder, Model())):
        assert_search_is_exact(each, kept, "galaxies word20", 9, window=24, collection=kept)
        assert_sound(each)


def test_another_target_begins_anew_and_the_present_one_gives_up(store):
    broken = Model()
    broken.fails_at = 1
    with pytest.raises(RuntimeError):
        store.reindex(broken, 24)
    store.reindex(Model(), 40)
    assert_search_is_exact(store, ENTRIES, "whales word3", 5, window=40, collection=ENTRIES)
    assert_sound(store)
    broken = Model()
    broken.fails_at = 1
    with pytest.raises(RuntimeError):
        store.reindex(broken, 24)
    store.reindex(Model(), 40)  # as it is
    assert_sound(store)


def test_vectors_of_texts_that_are_gone_are_not_taken_for_those_of_the_new_model(store):
    store.delete(["id1"])
    store.reindex(Model(), 24)
    store.encoder.titles.clear()
    store.add([ENTRIES[1]])
    assert "Title 1" in store.encoder.titles
    assert_search_is_exact(store, store.papers(), "whales word1", 10, window=24)


def test_a_reader_with_the_same_model_goes_on_and_one_with_another_is_refused(folder, store):
    reader = PaperStore.open(folder, Model())
    assert_search_is_exact(reader, ENTRIES, "whales word3", 5, window=256)
    store.reindex(Model(), 24)
    assert_search_is_exact(reader, ENTRIES, "whales word3", 5, window=24, collection=ENTRIES)
    assert reader.passages.max_tokens == 24
    reader.add([paper(10)])
    assert_search_is_exact(store, [*ENTRIES, paper(10)], "whales word10", 5, window=24)
    store.reindex(Model("small", 16))
    vector = Model().embed_queries(["whales"])[0]
    for use in (lambda: reader.candidates(vector, ["whale"], 3), lambda: reader.add([paper(11)]),
                lambda: reader.delete(["id1"]), lambda: reader.check()):  # fmt: skip
        with pytest.raises(IndexMismatchError, match=r"built with small.*ask for hash-encoder"):
            use()
    assert len(reader) == 11
    assert [entry.id for entry in reader.papers()][-1] == "id10"
    assert_sound(store)


def test_a_reader_is_answered_as_before_until_the_change_over(folder, store):
    reader, seen = PaperStore.open(folder, Model()), []

    def look(done, _total, message):
        if message.startswith("Embedding"):
            assert_search_is_exact(reader, ENTRIES, "whales word3", 5, window=256, collection=ENTRIES)
            assert "is changing to hash-encoder now" in details(reader)["reindexing"]
            seen.append(done)

    store.reindex(Model(), 24, progress=look)
    assert seen == [0, 4, 8]
    assert_search_is_exact(reader, ENTRIES, "whales word3", 5, window=24, collection=ENTRIES)


def test_threads_of_the_store_search_while_it_is_changed(store):
    """Other passages of one model: no search fails, and each is of one of the two."""
    vector = Model().embed_queries(["whales word3"])[0]
    texts = [(entry.title, entry.abstract) for entry in ENTRIES]
    sizes = {sum(len(oracle.passage_vectors(*text, window)) for text in texts) for window in (24, 256)}
    failures, seen, stop = [], set(), threading.Event()

    def search():
        try:
            while not stop.is_set():
                found = store.candidates(vector, ["whale"], 20)
                assert len(found.by_meaning) == 10
                assert len(found.by_keyword) in (0, 10)  # none while the keyword files are made anew
                seen.add(sum(len(stored.passage_vectors) for stored in found.papers.values()))
        except BaseException as exc:
            failures.append(exc)

    threads = [threading.Thread(target=search) for _ in range(3)]
    for thread in threads:
        thread.start()
    for window in (24, 256) * 6:
        store.reindex(Model(), window)
    stop.set()
    for thread in threads:
        thread.join()
    assert failures == []
    assert seen == sizes


def test_an_index_is_opened_by_reindexing_it(folder, store):
    with pytest.raises(IndexMismatchError):
        PaperStore.open(folder, Model("small", 16))
    opened = PaperStore.reindexed(folder, Model("small", 16), passage_tokens=24)
    assert (opened.passages.max_tokens, opened.papers()) == (24, ENTRIES)
    assert_sound(opened)
    assert PaperStore.open(folder, Model("small", 16)).passages.max_tokens == 24
    with pytest.raises(IndexNotFoundError):
        PaperStore.reindexed(folder / "absent", Model())


def test_an_empty_index_is_changed_too(folder):
    store = PaperStore.open(folder, Model(), create=True)
    store.reindex(Model("small", 16))
    store.add(ENTRIES[:3])
    assert_sound(PaperStore.open(folder, Model("small", 16)))


def test_it_is_refused_while_another_process_writes(folder, store):
    before = generation(store)
    with writer_lock(folder), pytest.raises(IndexLockedError):
        store.reindex(Model(), 24)
    assert generation(store) == before


def test_a_change_to_another_model_is_never_taken_for_damage(store):
    """A thread that asks with the old model's vectors is told so, or answered; nothing else happens to it."""
    failures, stop = [], threading.Event()

    def search():
        while not stop.is_set():
            try:
                vector = Model("any", store.encoder.dimension).embed_queries(["whales"])[0]
                found = store.candidates(vector, ["whale"], 20)
                assert len(found.by_meaning) == 10
            except IndexMismatchError:
                pass
            except AssertionError as exc:  # as FAISS tells a vector of another length
                if str(exc):
                    failures.append(exc)
            except BaseException as exc:
                failures.append(exc)

    threads = [threading.Thread(target=search) for _ in range(3)]
    for thread in threads:
        thread.start()
    for dimension in (16, DIMENSION) * 6:
        store.reindex(Model(f"of {dimension}", dimension))
    stop.set()
    for thread in threads:
        thread.join()
    assert failures == []
    assert_sound(store)
