"""Ingest: what records are counted as, what is combined, what is embedded, in batches, over a real store."""

import threading
import time

import oracle
import pytest
from fakes import HashEncoder
from oracle import assert_search_is_exact, assert_sound

from index.filters import Where
from index.ingest import IngestReport
from index.paper import Paper
from index.readers import Rejected
from index.store import PaperStore

BATCH = 4


class SmallBatches(HashEncoder):
    """Takes four papers at once; can be made to wait, and writes down what it embeds."""

    def __init__(self):
        super().__init__()
        self.titles, self.go_on = [], threading.Event()
        self.go_on.set()

    @property
    def bulk_size(self):
        return 2 * BATCH  # two batches can be under way

    def embed_passages(self, passages):
        assert self.go_on.wait(10)
        self.titles.append([passage.title for passage in passages])
        return super().embed_passages(passages)


@pytest.fixture
def folder(memory_path):
    return memory_path / "papers.idx"


@pytest.fixture
def store(folder):
    return PaperStore.open(folder, SmallBatches(), create=True)


def papers(count, abstract="An abstract."):
    return [Paper(f"id{n}", f"Title {n}", abstract) for n in range(count)]


def record(*names, title="A title", abstract="An abstract.", **fields):
    return Paper.create(title, abstract, id=names[0] if names else "", identifiers=names[1:], **fields)


def counted(report):
    names = ("added", "updated", "unchanged", "duplicates", "merged")
    return {name: number for name in names if (number := getattr(report, name))}


def generation(store):
    with store._database.reading() as db:
        return int(db.execute("SELECT value FROM meta WHERE key = 'generation'").fetchone()[0])


# -- what records are counted as ------------------------------------------------------------------------------


def test_every_record_is_counted_once(store):
    store.add(papers(3))
    rejected = Rejected("f:1", "title", "is empty")
    report = store.add(
        [
            papers(1)[0],  # unchanged
            Paper("id1", "Title 1", "Another abstract."),
            Paper("id2", "Title 2", "An abstract.", year=2020),
            Paper("new", "T", "A."),
            Paper("new", "T", "A different one."),
            rejected,
        ]
    )
    assert report == IngestReport(added=1, updated=2, unchanged=1, duplicates=1, rejected=(rejected,))
    assert store.paper("new").abstract == "A different one."  # the longer one


def test_adding_nothing_reports_nothing(store):
    assert store.add([]) == IngestReport()
    assert store.interrupted is None


def test_a_source_takes_back_what_it_said_before(store):
    store.add([record("own", abstract="A long abstract of many words.", tags=("x",), year=2020)], "a.bib")
    report = store.add([record("own", abstract="Short.")], "a.bib")
    assert counted(report) == {"updated": 1}
    assert store.paper("own") == record("own", abstract="Short.")


def test_sources_are_combined_and_each_takes_back_its_own_part_only(store):
    store.add([record("own", abstract="A long abstract.", tags=("x",))], "a.bib")
    report = store.add([record("own", abstract="Short.", tags=("y",), year=2021)], "b.csv")
    assert counted(report) == {"merged": 1}
    assert store.paper("own") == record("own", abstract="A long abstract.", tags=("x", "y"), year=2021)
    report = store.add([record("own", abstract="Brief.", tags=("z",))], "a.bib")
    assert counted(report) == {"updated": 1}
    assert store.paper("own") == record("own", abstract="Brief.", tags=("z", "y"), year=2021)
    report = store.add([record("own", abstract="Brief, not long.")], "b.csv")
    assert store.paper("own") == record("own", abstract="Brief, not long.", tags=("z",))
    assert_sound(store)


def test_a_source_may_list_a_paper_twice_and_be_added_twice(store):
    lines = [record("own", abstract="Short.", tags=("x",)), record("own", abstract="A longer one.", tags=("y",))]
    assert counted(store.add(lines, "a.bib")) == {"added": 1, "duplicates": 1}
    both = record("own", abstract="A longer one.", tags=("x", "y"))
    assert store.paper("own") == both
    before = (generation(store), store.encoder.embedded_passages)
    for _ in range(2):
        assert counted(store.add(lines, "a.bib")) == {"unchanged": 1, "duplicates": 1}
        assert store.paper("own") == both
    assert (generation(store), store.encoder.embedded_passages) == before
    lines[1] = record("own", abstract="Another longer one.", tags=("z",))
    assert counted(store.add(lines, "a.bib")) == {"unchanged": 1, "duplicates": 1}
    assert store.paper("own") == record("own", abstract="Another longer one.", tags=("x", "z"))


def test_files_that_share_papers_can_be_added_again_in_any_order(store):
    files = {
        "a.bib": [record("own", tags=("x",)), record("doi:10.1/a", title="Other")],
        "b.csv": [record("own", abstract="A longer abstract."), record("doi:10.1/a", title="Other", year=2020)],
    }
    for name, lines in files.items():
        store.add(lines, name)
    before, everything = (generation(store), store.encoder.embedded_passages), store.papers()
    for name in ("b.csv", "a.bib", "b.csv"):
        assert counted(store.add(files[name], name)) == {"unchanged": 2}
    report = store.add_records([(name, line) for name, lines in files.items() for line in lines], "both")
    assert counted(report) == {"unchanged": 4}
    assert (generation(store), store.encoder.embedded_passages) == before
    assert store.papers() == everything


def test_a_record_under_another_of_its_names_is_the_same_record(store):
    store.add([record("doi:10.1/a", "arxiv:2401.00001")], "a.bib")
    assert counted(store.add([record("arxiv:2401.00001", "doi:10.1/a")], "a.bib")) == {"unchanged": 1}


@pytest.mark.parametrize("kind", ["doi:10.1000/{}", "arxiv:2401.0000{}", "pmid:{}", "own{}"])
def test_papers_of_one_title_with_an_id_each_are_two(store, kind):
    store.add([record(kind.format(n), title="Editorial") for n in (1, 2)])
    assert [entry.id for entry in store.papers()] == [kind.format(n) for n in (1, 2)]
    assert counted(store.add([record(kind.format(n), title="Editorial") for n in (2, 1)])) == {"unchanged": 2}


def test_a_record_without_an_id_is_recognised_by_title_and_first_author(store):
    store.add([record("doi:10.1/a", title="On Graphs", authors=("Ada Lovelace", "Bo Li"))], "a.bib")
    report = store.add([record(title="ON GRAPHS.", authors=("Lovelace, A.",), year=2020)], "b.csv")
    assert counted(report) == {"merged": 1}
    report = store.add([record(title="On graphs", authors=("Bo Li",))], "b.csv")
    assert counted(report) == {"added": 1}
    assert len(store) == 2
    assert store.paper("doi:10.1/a").year == 2020


def test_a_paper_keeps_its_id_when_a_better_one_becomes_known(store):
    store.add([record(title="On Graphs")], "a.bib")
    (before,) = store.papers()
    store.add([record("doi:10.1/a", title="On Graphs")], "b.csv")
    (after,) = store.papers()
    assert before.id == after.id
    assert after.identifiers == ("doi:10.1/a",)
    assert store.paper("doi:10.1/a") == store.paper(before.id) == after


# -- records that link papers ---------------------------------------------------------------------------------

PREPRINT = record("arxiv:2401.00001", title="On graphs", abstract="The abstract of the preprint.", tags=("cs",))
ARTICLE = record("doi:10.1/a", title="On Graphs, Revised", abstract="The article's.", year=2021)
LINK = record("doi:10.1/a", "arxiv:2401.00001", title="On graphs", abstract="It.", venue="V")


@pytest.mark.parametrize("sources", [("a", "b", "c"), ("a", "a", "a"), ("a", "b", "a")])
@pytest.mark.parametrize("calls", [1, 3])
def test_a_record_with_the_ids_of_two_papers_makes_them_one(store, sources, calls):
    lines = list(zip(sources, (PREPRINT, ARTICLE, LINK), strict=True))
    for _ in range(2):  # the second time nothing changes
        if calls == 1:
            report = store.add_records(lines, "all")
        else:
            for line in lines:
                store.add_records([line], "all")
        (merged,) = store.papers()
        assert merged.id == "arxiv:2401.00001"  # the older paper's
        assert merged.identifiers == ("doi:10.1/a",)
        if calls == 1 or len(set(sources)) == 3:  # else a later call replaces what the source said in an earlier one
            assert merged.abstract == "The abstract of the preprint."
            assert (merged.title, merged.tags, merged.year, merged.venue) == ("On graphs", ("cs",), 2021, "V")
        assert_search_is_exact(store, [merged], "graphs", 5, collection=[merged])
        assert_sound(store)
    if calls == 1:
        assert (
            counted(report)
            == {
                ("a", "b", "c"): {"unchanged": 3},
                ("a", "a", "a"): {"unchanged": 1, "duplicates": 2},
                ("a", "b", "a"): {"unchanged": 2, "duplicates": 1},
            }[sources]
        )
    with pytest.raises(KeyError):
        store.paper("absent")
    assert store.papers(Where(sources=("a",))) == store.papers(Where(ids=("doi:10.1/a",))) == [merged]


def test_the_records_of_one_source_stay_apart_when_two_of_its_papers_become_one(store):
    """Whichever of its lines links them, and in whichever order they stand."""
    lines = [
        record("doi:10.1/a", title="One", tags=("1",)),
        record("arxiv:2401.00001", title="Two", tags=("2",)),
        record("doi:10.1/a", title="Three", tags=("3",)),
        record("doi:10.1/a", "arxiv:2401.00001", title="Four", tags=("4",)),
    ]
    store.add(lines, "a.bib")
    (merged,) = store.papers()
    assert set(merged.tags) == {"1", "2", "3", "4"}
    before = generation(store)
    assert counted(store.add(lines, "a.bib")) == {"unchanged": 1, "duplicates": 3}
    assert generation(store) == before
    assert counted(store.add(lines[::-1], "a.bib")) == {"unchanged": 1, "duplicates": 3}
    assert store.papers() == [merged]
    changed = [lines[1], record("doi:10.1/a", "arxiv:2401.00001", title="Five", tags=("5",)), *lines[2:]]
    store.add(changed, "a.bib")
    assert set(store.papers()[0].tags) == {"5", "2", "3", "4"}


def test_an_id_that_a_source_takes_back_is_no_longer_a_name(store):
    store.add([record("doi:10.1/a", "arxiv:2401.00001")], "a.bib")
    store.add([record("doi:10.1/a")], "a.bib")
    assert store.paper("doi:10.1/a").identifiers == ()
    with pytest.raises(KeyError):
        store.paper("arxiv:2401.00001")
    report = store.add([record("arxiv:2401.00001", title="Another paper")], "a.bib")
    assert counted(report) == {"added": 1}


def test_an_id_that_is_taken_back_while_a_record_has_it_is_decided_in_order(store):
    """Both in one call: the second record must see what the first one has left."""
    store.add([record("doi:10.1/a", "arxiv:2401.00001")], "a.bib")
    report = store.add([record("doi:10.1/a"), record("arxiv:2401.00001", title="Another paper")], "a.bib")
    assert counted(report) == {"updated": 1, "added": 1}
    assert [entry.names for entry in store.papers()] == [("doi:10.1/a",), ("arxiv:2401.00001",)]


def test_records_of_one_paper_keep_their_order_while_it_is_on_its_way(store):
    """The third shares no name with the second, which waits for the first although that has arrived meanwhile."""
    lines = [
        record("own", "pmid:1", title="One"),
        *(record(f"other{n}", title=f"Other {n}") for n in range(BATCH - 1)),
        record("own", title="Two", year=2001),
        record("pmid:1", title="Three", year=2002),
    ]

    def records():
        store.encoder.go_on.clear()
        yield from lines[:-1]
        store.encoder.go_on.set()
        while len(store) < BATCH:
            time.sleep(0.001)
        time.sleep(0.05)  # until that is known in this process, too
        yield lines[-1]

    store.add(records(), "a.bib")
    assert store.paper("own").year == 2001
    before = generation(store)
    assert counted(store.add(lines, "a.bib")) == {"unchanged": BATCH, "duplicates": 2}
    assert generation(store) == before


def test_more_records_of_one_paper_than_may_wait_are_combined(store, monkeypatch):
    monkeypatch.setattr("index.ingest._MAX_SET_ASIDE", 7)
    lines = [record("own", tags=(f"t{n}",)) for n in range(50)]
    assert counted(store.add(lines, "a.bib")) == {"added": 1, "duplicates": 49}
    assert store.paper("own").tags == tuple(f"t{n}" for n in range(50))
    assert counted(store.add(lines, "a.bib")) == {"unchanged": 1, "duplicates": 49}


# -- what is embedded -----------------------------------------------------------------------------------------


def test_an_unchanged_paper_costs_no_embedding(store):
    store.add(papers(3))
    calls = store.encoder.passage_calls
    assert store.add(papers(3)).unchanged == 3
    assert store.encoder.passage_calls == calls


def test_changed_metadata_costs_no_embedding(store):
    store.add(papers(2))
    calls = store.encoder.passage_calls
    assert store.add([Paper("id1", "Title 1", "An abstract.", year=2021, authors=("A",))]).updated == 1
    assert store.encoder.passage_calls == calls
    assert store.paper("id1").authors == ("A",)


def test_only_the_paper_whose_abstract_changed_is_embedded_again(store):
    store.add(papers(5))
    store.encoder.titles.clear()
    changed = Paper("id2", "Title 2", "Now it is about galaxies.")
    store.add([changed if entry.id == "id2" else entry for entry in papers(5)])
    assert store.encoder.titles == [["Title 2"]]
    assert_search_is_exact(store, store.papers(), "galaxies", 5)


def test_a_text_that_is_known_is_not_embedded_under_another_id_or_from_another_source(folder, store):
    store.add([record("own", title="T", abstract="The text.")], "a.bib")
    store.add([record("doi:10.1/a", title="T", abstract="The text.", authors=("Ada",))], "b.csv")  # another paper
    store.add([record("own", title="T", abstract="The text.")], "c.json")
    store.add([record("own", title="T", abstract="The text, longer.")], "d.json")
    assert store.encoder.titles == [["T"], ["T"]]
    reopened = PaperStore.open(folder, SmallBatches())
    reopened.delete(["own", "doi:10.1/a"])
    assert len(reopened) == 0
    for abstract in ("The text.", "The text, longer."):
        reopened.add([record("other", title="T", abstract=abstract)], "a.bib")
        assert_search_is_exact(reopened, reopened.papers(), "the text", 5, collection=reopened.papers())
    assert reopened.encoder.titles == []
    assert_sound(reopened)


def test_two_papers_of_one_call_with_one_text_are_both_found(store):
    twins = [record("doi:10.1/a", title="T", authors=("Ada",)), record("doi:10.1/b", title="T", authors=("Bo",))]
    store.add(twins)
    found = assert_search_is_exact(store, twins, "T", 5)
    assert len(found.by_meaning) == 2


def test_the_vectors_of_a_text_that_only_reads_alike_are_its_own(store):
    """One digest of title and abstract run together would take these for one text."""
    pair = [Paper("one", "A\nB", "C is here."), Paper("two", "A", "B\nC is here.")]
    for entry in pair:
        store.add([entry])
    assert_search_is_exact(store, pair, "A B C", 2)


def test_vectors_of_more_texts_than_are_kept_are_made_anew(store, monkeypatch):
    monkeypatch.setattr("index.rows.MAX_SPARE_TEXTS", 2)
    for entry in papers(3):
        store.add([entry])
        store.delete([entry.id])
    store.encoder.titles.clear()
    store.add(papers(3))
    assert store.encoder.titles == [["Title 0"]]  # of the three, the two latest were kept
    assert_search_is_exact(store, papers(3), "title 1", 3)


# -- batches --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("extra", [-1, 0, 1])
def test_papers_are_embedded_in_batches(store, extra):
    count = 2 * BATCH + extra
    store.add(papers(count))
    assert [len(titles) for titles in store.encoder.titles] == [BATCH] * (count // BATCH) + [extra % BATCH] * bool(
        extra % BATCH
    )
    assert store.papers() == papers(count)


def test_what_needs_no_model_goes_in_large_batches(store):
    store.add(papers(3 * BATCH))
    before = generation(store)
    store.add([Paper(entry.id, entry.title, entry.abstract, year=2000) for entry in papers(3 * BATCH)])
    assert generation(store) == before + 1


def test_progress_is_told_as_records_go_in_and_at_the_end(store):
    told = []
    total = 2 * BATCH + 2
    store.add(papers(total), progress=lambda *what: told.append(what))
    counts = [done for done, _, message in told if message.endswith("known")]
    assert counts == sorted(set(counts))
    assert set(counts) >= {BATCH, 2 * BATCH, total}
    assert {of for _, of, message in told if message.endswith("known")} == {total}
    assert told[-1] == (total, total, f"{total} new papers, 0 known")
    told.clear()
    store.add(iter(papers(3)), progress=lambda *what: told.append(what))
    assert told[-1] == (3, None, "0 new papers, 3 known")


def test_records_are_taken_as_they_come_and_never_held_all_at_once(store):
    taken = []
    store.encoder.go_on.clear()

    def records():
        for entry in papers(20 * BATCH):
            taken.append(entry.id)
            yield entry

    adding = threading.Thread(target=store.add, args=(records(),))
    adding.start()
    waited = -1
    while not 0 < waited == len(taken):  # until it takes no more
        waited = len(taken)
        time.sleep(0.1)
    assert len(store) == 0
    assert BATCH <= waited <= 8 * BATCH
    store.encoder.go_on.set()
    adding.join()
    assert store.papers() == papers(20 * BATCH)


def test_a_model_that_breaks_stops_the_add_and_what_was_written_stays(store):
    real, calls = store.encoder.embed_passages, []

    def breaks(passages):
        calls.append(1)
        if len(calls) == 3:
            while len(store) < 2 * BATCH:  # the batches before are written in another thread
                time.sleep(0.001)
            raise RuntimeError("the model broke")
        return real(passages)

    store.encoder.embed_passages = breaks
    with pytest.raises(RuntimeError, match="the model broke"):
        store.add(papers(6 * BATCH), "refs.bib")
    assert store.papers() == papers(2 * BATCH)
    assert store.interrupted == "refs.bib"
    assert counted(store.add(papers(6 * BATCH), "refs.bib")) == {"added": 4 * BATCH, "unchanged": 2 * BATCH}
    assert_sound(store)


def test_a_large_add_equals_the_plain_collection(store):
    """Three files that overlap, several batches under way at once."""

    def entry(name, n, places):
        abstract = f"Abstract of {n}." + " It is longer." * (n % places)
        names = [f"doi:10.1/{n}", *([f"pmid:{n}"] if n % 3 else [])]
        return record(*names, title=f"Title {n}", abstract=abstract, tags=(name,))

    files = {
        name: [entry(name, n, places) for n in range(0, 60, step)]
        for name, step, places in (("a", 1, 2), ("b", 2, 3), ("c", 3, 4))
    }
    lines = [(name, entry) for name, entries in files.items() for entry in entries]
    model = oracle.Collection()
    counts, _ = model.add(lines)
    assert counted(store.add_records(lines, "all")) == dict(counts) == {"added": 60, "merged": 50}
    assert store.papers() == model.papers()
    assert_search_is_exact(store, model.papers(), "title 7 longer", 20, collection=model.papers())
    assert counted(store.add_records(lines, "all")) == {"unchanged": 110}
