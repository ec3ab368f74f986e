import json
from pathlib import Path

import pytest
from fakes import HashEncoder
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

import eval.cli
from eval import load_benchmark, read_run, run_retrieval
from eval.beir import Benchmark
from eval.retrieval import DEPTH, part_search, recall_curve, score_rankings
from eval.run import Dataset
from eval.using import THROUGH_THE_PRODUCT, Using
from index.errors import IndexMismatchError
from index.paper import Paper
from index.store import PaperStore
from rag import PaperQA, load_settings


def test_scores_by_hand():
    relevant = {
        "two": {"a": 1, "c": 1},
        "graded": {"a": 2, "b": 1},
        "late": {"z": 1},
        "none": {"a": 1},
        "lost": {"a": 1},
    }
    far = [f"n{n}" for n in range(10)]
    found = {"two": ["a", "b", "c"], "graded": ["b", "a"], "late": [*far, "z"], "none": [], "extra": ["a"]}
    scores = score_rankings(relevant, found)
    assert scores.keys() == relevant.keys()
    # (1 + 1/log2 4) / (1 + 1/log2 3)
    assert scores["two"]["nDCG@10"] == pytest.approx(0.9197208)
    assert (scores["two"]["R@5"], scores["two"]["RR@10"]) == (1.0, 1.0)
    # (1 + 2/log2 3) / (2 + 1/log2 3)
    assert scores["graded"]["nDCG@10"] == pytest.approx(0.8597186)
    late = scores["late"]
    assert (late["nDCG@10"], late["RR@10"], late["R@10"], late["R@100"]) == (0.0, 0.0, 0.0, 1.0)
    for query in ("none", "lost"):
        assert set(scores[query].values()) == {0.0}


def test_half_of_the_papers_is_half_the_recall():
    scores = score_rankings({"q": {"a": 1, "b": 1}}, {"q": ["x", "y", "z", "a"]})["q"]
    assert (scores["R@5"], scores["R@100"], scores["RR@10"]) == (0.5, 0.5, 0.25)


def test_the_order_found_counts_not_the_names():
    # trec_eval breaks ties by name: equal scores would put "z" first.
    assert score_rankings({"q": {"a": 1}}, {"q": ["a", "z"]})["q"]["RR@10"] == 1.0
    assert score_rankings({"q": {"z": 1}}, {"q": ["a", "z"]})["q"]["RR@10"] == 0.5


@settings(deadline=None)
@given(st.permutations("abcdefgh"), st.sets(st.sampled_from("abcdefgh"), min_size=1))
def test_scores_agree_with_their_definitions(found, relevant):
    scores = score_rankings({"q": dict.fromkeys(relevant, 1)}, {"q": found})["q"]
    first = min(found.index(name) for name in relevant)
    assert scores["RR@10"] == pytest.approx(1 / (first + 1))
    assert scores["R@5"] == pytest.approx(len(relevant & set(found[:5])) / len(relevant))
    assert 0 < scores["nDCG@10"] <= 1 + 1e-9


def test_the_recall_curve():
    curve = recall_curve({"q": {"a": 1, "b": 1}, "r": {"c": 1}}, {"q": ["a", "x", "b"]})
    (line,) = curve.lines
    assert line.x[:3] == (1, 2, 3)
    assert line.y[:3] == (0.25, 0.25, 0.5)  # r finds nothing
    assert (len(line.x), line.y[-1]) == (DEPTH, 0.5)


PAPERS = {
    "1": Paper.create("On whales", "Whales sing at night. Nobody knows why.", id="1"),
    "2": Paper.create("On mixers", "Token mixers are slow. We remove token mixers.", id="2"),
    "3": Paper.create("On birds", "Birds sing at dawn.", id="3"),
}
BENCHMARK = Benchmark(
    Dataset("b", "x"), PAPERS, {"q1": "whales at night", "q2": "nothing"}, {"q1": {"1": 1}, "q2": {"2": 1, "3": 1}}
)


def test_a_run_has_a_row_per_query():
    asked = []

    def search(text, k):
        asked.append((text, k))
        return [PAPERS["3"], PAPERS["1"]] if "whales" in text else []

    ticks = []
    run = run_retrieval(BENCHMARK, search, {"a": 1}, lambda done, total: ticks.append((done, total)))
    assert asked == [("whales at night", 1), ("whales at night", DEPTH), ("nothing", DEPTH)]
    assert ticks == [(0, 2), (1, 2), (2, 2)]
    assert [(row.id, row.text, row.scores["RR@10"]) for row in run.rows] == [
        ("q1", "whales at night", 0.5),
        ("q2", "nothing", 0.0),
    ]
    assert (run.measure("RR@10").value, run.measure("RR@10").n) == (0.25, 2)
    assert run.measure("nDCG@10").value == pytest.approx(0.6309298 / 2)
    assert [group.name for group in run.groups] == ["one relevant", "several relevant"]
    assert run.rows[0].details == {"relevant": ["On whales (rank 2)"], "found": ["On birds", "On whales"]}
    assert run.rows[1].details["relevant"] == ["On mixers (rank over 100)", "On birds (rank over 100)"]


def test_a_merged_paper_stands_for_all_its_documents():
    merged = Paper.create("One", "Two records of one paper.", id="doi:10.1000/x", identifiers=("arxiv:2401.00001",))
    papers = {"10.1000/x": Paper.create("One", "Two.", id="10.1000/x"), "arXiv:2401.00001v2": Paper.create(
        "One", "Two records of one paper.", id="arXiv:2401.00001v2")}  # fmt: skip
    benchmark = Benchmark(Dataset("b", "x"), papers, {"q": "one"}, {"q": dict.fromkeys(papers, 1)})
    run = run_retrieval(benchmark, lambda text, k: [merged], {})
    assert run.measure("R@5").value == 1.0


@pytest.fixture
def store(tmp_path):
    store = PaperStore.open(tmp_path / "papers.idx", HashEncoder(), create=True)
    store.add(PAPERS.values())
    yield store
    store.close()


def titles(store, using, text, candidates=50, k=3):
    return [paper.title for paper in part_search(store, using, candidates)(text, k)]


def test_parts_of_the_ranking(store):
    # Only the words of the first two are in the question; the dense search ranks all papers.
    assert titles(store, Using.KEYWORD, "whales sing at night") == ["On whales", "On birds"]
    assert titles(store, Using.DENSE, "whales sing at night")[:2] == ["On whales", "On birds"]
    for using in (Using.SENTENCE, Using.FUSED):
        assert titles(store, using, "Birds sing at dawn") == ["On birds", "On whales", "On mixers"]
    assert titles(store, Using.FUSED, "token", k=1) == ["On mixers"]


def test_a_part_scores_what_it_says(store):
    # One paper says it in one sentence among others; the other has the words in no sentence together, and little else.
    told = "Zebras graze quietly. Soil warms early there because rain falls often upon dry northern hills in spring."
    store.add(
        [Paper.create("Fields", told, id="4"), Paper.create("Zebras", "Zebras. They graze. It is quiet.", id="5")]
    )
    text = "zebras graze quietly"
    (vector,) = store.encoder.embed_queries([text])
    stored = store.candidates(vector, ["zebra"], 5).papers.values()
    passage = {item.paper.title: (item.passage_vectors @ vector).max() for item in stored}
    sentence = {item.paper.title: (item.sentence_vectors @ vector).max() for item in stored}
    both = {title: passage[title] + 0.8 * sentence[title] for title in passage}
    assert titles(store, Using.DENSE, text, k=5) == sorted(passage, key=lambda title: -passage[title])
    assert titles(store, Using.SENTENCE, text, k=5) == sorted(both, key=lambda title: -both[title])
    assert titles(store, Using.DENSE, text)[0] == "Zebras"
    assert titles(store, Using.SENTENCE, text)[0] == "Fields"


def test_fused_is_the_products_ranking_without_the_reader(tmp_path):
    plain = load_settings(overrides={"retrieval": {"rerank": False}})
    qa = PaperQA.open(tmp_path / "papers.idx", embed_model=HashEncoder(), settings=plain)
    qa.add(PAPERS.values())
    store = PaperStore.open(tmp_path / "papers.idx", HashEncoder())
    for text in ("whales sing at night", "who removes token mixers", "dawn"):
        assert titles(store, Using.FUSED, text) == [source.paper.title for source in qa.search(text, 3)]
    store.close()
    qa.close()


@pytest.mark.parametrize("using", THROUGH_THE_PRODUCT)
def test_the_product_is_no_part(store, using):
    with pytest.raises(ValueError, match="through PaperQA"):
        part_search(store, using, 50)


# The command.


@pytest.fixture
def folder(tmp_path):
    home = tmp_path / "bench"
    (home / "qrels").mkdir(parents=True)
    documents = [{"_id": name, "title": p.title, "text": p.abstract} for name, p in PAPERS.items()]
    queries = [{"_id": "q1", "text": "whales at night"}, {"_id": "q2", "text": "token mixers"}]
    for name, rows in (("corpus", documents), ("queries", queries)):
        (home / f"{name}.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    (home / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\nq1\t1\t1\nq2\t2\t1\n", encoding="utf-8")
    return home


@pytest.fixture
def encoder(monkeypatch):
    """Put the fake encoder in the place of the one that settings name."""
    encoder = HashEncoder()
    monkeypatch.setattr("index.embedding.loading.load_encoder", lambda *arguments: encoder)
    monkeypatch.setenv("CITEWELL_RETRIEVAL__RERANK", "false")
    return encoder


def invoke(*arguments):
    return CliRunner().invoke(eval.cli.app, ["retrieval", *map(str, arguments)])


@pytest.mark.parametrize("using", ["product", "dense", "sentence", "keyword", "fused"])
def test_command_measures_and_keeps_the_index(encoder, folder, tmp_path, using):
    index, out = tmp_path / "bench.idx", tmp_path / "out.json"
    arguments = [folder, "--using", using, "--index", index, "--out", out]
    for _ in range(2):
        result = invoke(*arguments)
        assert result.exit_code == 0, result.output
    assert "nDCG@10" in result.stdout
    run = read_run(out)
    assert run.measure("nDCG@10").value == run.measure("RR@10").value == 1.0
    assert run.settings["eval"] == {"split": "test", "using": using, "limit": None}
    assert run.settings["retrieval"]["candidates"] == DEPTH
    assert run.settings["index"]["path"] == str(index)
    assert run.dataset == load_benchmark(folder).dataset
    assert "Recall among the first k" in out.with_suffix(".html").read_text(encoding="utf-8")
    assert encoder.embedded_passages == 3  # the second run embeds nothing


def test_command_without_an_index_leaves_none(encoder, folder, tmp_path):
    result = invoke(folder, "--limit", 1, "--json", "--out", tmp_path / "out.json")
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert [row["id"] for row in document["rows"]] == ["q1"]
    assert not Path(document["settings"]["index"]["path"]).exists()


def test_command_refuses_an_index_of_other_papers(encoder, folder, tmp_path):
    qa = PaperQA.open(tmp_path / "bench.idx", embed_model=encoder)
    qa.add([Paper.create("A stranger", "It belongs elsewhere.")])
    qa.close()
    result = invoke(folder, "--index", tmp_path / "bench.idx", "--out", tmp_path / "out.json")
    assert isinstance(result.exception, IndexMismatchError)
    assert "A stranger" in str(result.exception)
    assert "--index" in str(result.exception)


@pytest.mark.parametrize("arguments", [["--using", "magic"], ["--out", "/no/such/folder/x.json"], ["--limit", 0]])
def test_command_refuses_bad_arguments(folder, arguments):
    assert invoke(folder, *arguments).exit_code == 2
