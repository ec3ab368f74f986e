import json

import pytest

from eval import load_benchmark
from index.errors import EvalDataError

CORPUS = [
    {"_id": "7", "title": "On mixers", "text": "Token mixers are slow.", "metadata": {}},
    {"_id": "doc b", "title": "", "text": "Whales sing at night."},
    {"_id": "c", "title": "A title alone", "text": " "},
]
QUERIES = [{"_id": "q2", "text": "whales?"}, {"_id": "q1", "text": " mixers\n? "}, {"_id": "q3", "text": "unjudged"}]
QRELS = "query-id\tcorpus-id\tscore\nq1\t7\t1\nq2\tdoc b\t2\nq2\tc\t1\nq2\t7\t0\nq3\tc\t0\n"


def lines(rows):
    return "\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows) + "\n"


def write(folder, corpus=CORPUS, queries=QUERIES, qrels=QRELS, split="test"):
    (folder / "qrels").mkdir(exist_ok=True)
    (folder / "corpus.jsonl").write_text(lines(corpus), encoding="utf-8")
    (folder / "queries.jsonl").write_text(lines(queries), encoding="utf-8")
    (folder / "qrels" / f"{split}.tsv").write_text(qrels, encoding="utf-8")
    return folder


def test_reads_papers_queries_and_judgements(tmp_path):
    benchmark = load_benchmark(write(tmp_path))
    papers = benchmark.papers
    assert list(papers) == ["7", "doc b", "c"]
    assert (papers["7"].id, papers["7"].title, papers["7"].abstract) == ("7", "On mixers", "Token mixers are slow.")
    assert papers["doc b"].title == papers["doc b"].abstract == "Whales sing at night."
    assert papers["c"].abstract == "A title alone"
    assert benchmark.queries == {"q1": "mixers ?", "q2": "whales?"}  # q3 has nothing to find
    assert list(benchmark.queries) == ["q1", "q2"]
    assert benchmark.relevant == {"q1": {"7": 1}, "q2": {"doc b": 2, "c": 1}}
    assert benchmark.dataset.path == str(tmp_path)


def test_the_digest_is_of_what_was_read(tmp_path):
    before = load_benchmark(write(tmp_path)).dataset.sha256
    assert load_benchmark(write(tmp_path)).dataset.sha256 == before
    write(tmp_path, qrels=QRELS + "q1\tc\t1\n", split="dev")
    assert load_benchmark(tmp_path).dataset.sha256 == before
    assert load_benchmark(tmp_path, "dev").dataset.sha256 != before


@pytest.mark.parametrize(
    ("changes", "file", "says"),
    [
        ({"corpus": ["no json"]}, "corpus.jsonl", "line 1: is not JSON"),
        ({"corpus": ["[]"]}, "corpus.jsonl", "line 1: is not a JSON object"),
        ({"corpus": [CORPUS[0], CORPUS[0]]}, "corpus.jsonl", "line 2, field _id: '7' is already"),
        ({"corpus": [{"title": "a", "text": "b"}]}, "corpus.jsonl", "line 1, field _id: must be a text, and is None"),
        ({"corpus": [{"_id": "", "title": "a", "text": "b"}]}, "corpus.jsonl", "line 1, field _id: is empty"),
        ({"corpus": [{"_id": "1", "title": "", "text": ""}]}, "corpus.jsonl", "line 1, field title: title is empty"),
        ({"corpus": [{"_id": "1", "title": "a", "text": 1}]}, "corpus.jsonl", "line 1, field text: must be a text"),
        ({"queries": [{"_id": "q1", "text": " "}]}, "queries.jsonl", "line 1, field text: is empty"),
        ({"queries": QUERIES[:1]}, "test.tsv", "line 2, field query-id: 'q1' is not in"),
        ({"corpus": CORPUS[:2]}, "test.tsv", "line 4, field corpus-id: 'c' is not in"),
        ({"qrels": "q1\t7\t1\n"}, "test.tsv", "line 1: needs the header"),
        ({"qrels": QRELS + "q1 7 1\n"}, "test.tsv", "line 7: has 1 fields, and needs 3"),
        ({"qrels": QRELS + "q1\t7\tyes\n"}, "test.tsv", "line 7, field score: 'yes' is not a whole number"),
        ({"qrels": "query-id\tcorpus-id\tscore\nq1\t7\t0\n"}, "test.tsv", "calls no document relevant"),
        ({"qrels": ""}, "test.tsv", "line 1: needs the header"),
    ],
)
def test_broken_files_are_refused_with_file_line_and_field(tmp_path, changes, file, says):
    with pytest.raises(EvalDataError, match=rf"{file}.*{says}"):
        load_benchmark(write(tmp_path, **changes))


def test_files_that_are_not_there_or_no_text(tmp_path):
    write(tmp_path)
    with pytest.raises(EvalDataError, match=r"dev\.tsv cannot be read"):
        load_benchmark(tmp_path, "dev")
    (tmp_path / "queries.jsonl").write_bytes(b"\xff\xfe")
    with pytest.raises(EvalDataError, match=r"queries\.jsonl is not UTF-8"):
        load_benchmark(tmp_path)
