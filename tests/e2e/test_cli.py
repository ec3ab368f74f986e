"""The command line as a user meets it: a process of its own, the real models, the bundled papers."""

import contextlib
import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from eval.cli import app
from index.bundled import bundled_papers
from index.lock import writer_lock
from rag import Answer

REPOSITORY = Path(__file__).resolve().parents[2]
QUESTION = "Which paper keeps a vision backbone effective while removing token mixers?"
COMMANDS = ["add", "ask", "chat", "config", "delete", "doctor", "export", "models", "papers", "reindex", "search", "ui"]
TWO_PAPERS = """\
{"id": "a1", "title": "On mixers", "abstract": "Token mixers are slow. We remove them.", "year": 2020}
{"id": "b2", "title": "On whales", "abstract": "Whales sing at night. Nobody knows why.", "year": 2024}
"""


def environment(cache_dir):
    """Return the variables a command runs with: the test's own machine, this working tree, the shared cache."""
    kept = {name: value for name, value in os.environ.items() if not name.upper().startswith("CITEWELL_")}
    return {**kept, "PYTHONPATH": str(REPOSITORY), "CITEWELL_CACHE_DIR": str(cache_dir), "HF_HUB_OFFLINE": "1"}


@pytest.fixture(scope="session")
def run(cache_dir):
    """Run ``citewell`` with arguments; the result has returncode, stdout and stderr."""

    def run_citewell(*arguments, stdin="", timeout_s=120, **variables):
        return subprocess.run(
            [sys.executable, "-m", "ui", *map(str, arguments)],
            input=stdin,
            env={**environment(cache_dir), **variables},
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=timeout_s,
        )

    return run_citewell


@pytest.fixture(scope="session")
def library(run, tmp_path_factory):
    """The index of the bundled papers, made by the command itself."""
    path = tmp_path_factory.mktemp("library") / "papers.idx"
    result = run("add", "--example", "--json", "--index", path, timeout_s=300)
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout)["added"] == 254
    return path


@pytest.fixture
def small(run):
    """An index of two papers that a test may change."""
    Path("two.jsonl").write_text(TWO_PAPERS)
    result = run("add", "two.jsonl", "--index", "two.idx")
    assert result.returncode == 0, result.stderr
    return Path("two.idx")


def assert_error(result, code, *parts):
    """Assert that a command failed as it should: nothing on stdout, one line on stderr, no traceback."""
    assert (result.returncode, result.stdout) == (code, "")
    assert "Traceback" not in result.stderr
    errors = [line for line in result.stderr.splitlines() if line.startswith("Error: ")]
    assert len(errors) == 1
    for part in parts:
        assert str(part) in errors[0]


def document(result):
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


# Every command has help.


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_an_example(run, command):
    result = run(command, "--help")
    assert result.returncode == 0
    assert re.search(rf"Example: .*citewell {command}\b", result.stdout)


def test_help_lists_exactly_the_commands(run):
    text = run("--help").stdout
    listed = re.findall(r"^  (\w+)  ", text[text.index("Commands:") :], flags=re.M)
    assert sorted(set(listed) - {"eval"}) == COMMANDS


def test_no_command_shows_the_help(run):
    assert "Usage: citewell" in run().stdout + run().stderr


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"])
def test_documents_name_only_commands_that_exist(name):
    text = (REPOSITORY / name).read_text(encoding="utf-8")
    named = set(re.findall(r"(?:^|`|\$ |/)citewell ([a-z]+)\b", text, flags=re.M))
    assert named <= {*COMMANDS, "eval"}


def test_every_command_is_in_the_readme():
    text = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    assert [command for command in COMMANDS if f"citewell {command}" not in text] == []


def test_every_eval_command_is_documented():
    named = {command.name or command.callback.__name__ for command in app.registered_commands}
    for document_name in ("README.md", "eval/README.md"):
        text = (REPOSITORY / document_name).read_text(encoding="utf-8")
        assert [name for name in sorted(named) if f"citewell eval {name}" not in text] == [], document_name


# The collection.


def test_adding_again_changes_nothing(run, small):
    report = document(run("add", "two.jsonl", "--index", small, "--json"))
    none = dict.fromkeys(("added", "updated", "duplicates", "merged"), 0)
    assert report == {**none, "unchanged": 2, "rejected": [], "papers": 2}


def test_a_bad_record_is_reported_and_the_rest_is_added(run):
    Path("some.jsonl").write_text(TWO_PAPERS + "{broken\n")
    result = run("add", "some.jsonl", "--index", "some.idx")
    assert result.returncode == 0
    assert result.stdout.startswith("2 added, 1 rejected.")
    assert "some.jsonl" in result.stderr
    [rejection] = document(run("add", "some.jsonl", "--index", "some.idx", "--json"))["rejected"]
    assert {"where", "why"} <= set(rejection)


def test_one_unreadable_file_does_not_keep_the_others_out(run):
    Path("two.jsonl").write_text(TWO_PAPERS)
    Path("empty.jsonl").write_text("")
    result = run("add", "empty.jsonl", "two.jsonl", "--index", "both.idx")
    assert result.returncode == 1
    assert result.stdout.startswith("2 added.")
    assert "empty.jsonl" in result.stderr
    assert_error(run("add", "empty.jsonl", "--index", "none.idx"), 1, "empty.jsonl")
    assert not Path("none.idx").exists()


def test_an_empty_folder_becomes_an_index(run):
    Path("e.idx").mkdir()
    for command in (["papers"], ["ask", "What is slow?"]):
        assert_error(run(*command, "--index", "e.idx"), 1, "no index at e.idx", "citewell add")
    Path("two.jsonl").write_text(TWO_PAPERS)
    assert document(run("add", "two.jsonl", "--index", "e.idx", "--json"))["papers"] == 2
    assert len(document(run("papers", "--index", "e.idx", "--json"))) == 2


def test_papers_lists_all_or_those_of_a_filter(run, small, library):
    assert [paper["id"] for paper in document(run("papers", "--index", small, "--json"))] == ["a1", "b2"]
    assert run("papers", "--index", small, "--where", "year>=2024").stdout == "On whales. 2024. <b2>\n"
    listed = document(run("papers", "--index", library, "--json"))
    assert {paper["id"] for paper in listed} == {paper.id for paper in bundled_papers()}


def test_search_finds_the_paper_first(run, library):
    hits = document(run("search", "removing", "token", "mixers", "-k", "3", "--index", library, "--json"))
    assert [hit["rank"] for hit in hits] == [1, 2, 3]
    assert hits[0]["paper"]["title"].startswith("RIFormer")
    text = run("search", "removing token mixers", "-k", "3", "--index", library).stdout
    assert text.startswith("1. ")
    assert len(text.splitlines()) == 3


def test_delete(run, small):
    assert document(run("delete", "a1", "--index", small, "--json")) == {"deleted": 1, "missing": [], "papers": 1}
    again = run("delete", "a1", "b2", "--index", small)
    assert (again.returncode, again.stdout) == (1, "1 deleted. The collection has 0 papers.\n")
    assert "Not in the collection: a1." in again.stderr


# Answers.


def test_ask_answers_with_exact_quotes(run, library):
    answer = Answer.from_dict(document(run("ask", QUESTION, "--index", library, "--json")))
    abstracts = {paper.id: paper.abstract for paper in bundled_papers()}
    assert answer.status in ("answered", "partial")
    assert answer.question == QUESTION
    for sentence in answer.sentences:
        assert sentence.citations
        for citation in sentence.citations:
            assert abstracts[citation.paper_id][citation.start : citation.end] == citation.quote


def test_ask_for_people_shows_text_sources_and_quotes(run, library):
    asked = Answer.from_dict(document(run("ask", QUESTION, "--index", library, "--json")))
    result = run("ask", *QUESTION.split(), "--index", library)
    assert result.returncode == 0
    assert result.stdout.startswith(asked.text)
    assert "\n\nSources:\n[1] " in result.stdout
    assert all(f"“{c.quote}”" in result.stdout for sentence in asked.sentences for c in sentence.citations)


def test_a_question_can_come_from_stdin(run, library):
    assert document(run("ask", "-", "--index", library, "--json", stdin=f"{QUESTION}\n"))["question"] == QUESTION


def test_a_refusal_is_an_answer_and_names_the_nearest_papers(run, library):
    question = "What is the capital of France?"
    result = run("ask", question, "--index", library)
    assert result.returncode == 0
    assert "do not answer this" in result.stdout
    assert "\n\nNearest papers:\n- " in result.stdout
    assert document(run("ask", question, "--index", library, "--json"))["status"] == "refused"


@pytest.mark.parametrize("k", [10**13, 10**20])
def test_more_papers_than_there_are_can_be_asked_for(run, small, k):
    assert len(document(run("search", "whales", "-k", k, "--index", small, "--json"))) == 2
    assert len(document(run("ask", "What is slow?", "-k", k, "--index", small, "--json"))["sources"]) == 2


def test_a_filter_limits_what_is_read(run, small):
    answer = document(run("ask", "What is slow?", "--index", small, "--where", "year>=2024", "--json"))
    assert {source["paper"]["id"] for source in answer["sources"]} <= {"b2"}


def test_a_conversation_through_a_pipe_can_be_saved_and_resumed(run, library):
    first = run("chat", "--index", library, stdin=f"{QUESTION}\n/sources\n/save talk.json\n/save talk.md\n/quit\n")
    assert first.returncode == 0, first.stderr
    assert "Sources:\n[1] " in first.stdout
    assert "“" in first.stdout
    assert Path("talk.md").read_text(encoding="utf-8").startswith("## Which paper")
    second = run("chat", "--index", library, "--resume", "talk.json", stdin="/sources\n")
    assert second.returncode == 0, second.stderr
    assert "Sources:\n[1] " in second.stdout


# The installation.


def test_config_shows_values_and_sources(run):
    Path("citewell.toml").write_text("[retrieval]\nsimilarity_top_k = 5\n")
    rows = {row["name"]: row for row in document(run("config", "--json", CITEWELL_UI__PORT="8000"))}
    assert (rows["retrieval.similarity_top_k"]["value"], rows["retrieval.similarity_top_k"]["source"]) == (
        5,
        "citewell.toml",
    )
    assert (rows["ui.port"]["value"], rows["ui.port"]["source"]) == (8000, "environment CITEWELL_UI__PORT")
    assert "ui.port = 8000  (environment CITEWELL_UI__PORT)" in run("config", CITEWELL_UI__PORT="8000").stdout


def test_config_shows_what_the_collection_keeps(run, small):
    with contextlib.closing(sqlite3.connect(small / "papers.sqlite")) as db, db:
        db.execute("INSERT INTO meta VALUES ('tuning', '{\"refusal.threshold\": 0.25, \"retrieval.rerank\": false}')")
    variables = {"CITEWELL_INDEX__PATH": str(small), "CITEWELL_RETRIEVAL__RERANK": "true"}
    rows = {row["name"]: (row["value"], row["source"]) for row in document(run("config", "--json", **variables))}
    assert rows["refusal.threshold"] == (0.25, f"collection {small}")
    assert rows["retrieval.rerank"] == (True, "environment CITEWELL_RETRIEVAL__RERANK")
    assert rows["retrieval.keywords"] == (True, "default")
    with contextlib.closing(sqlite3.connect(small / "papers.sqlite")) as db, db:
        db.execute("UPDATE meta SET value = '[' WHERE key = 'tuning'")
    damaged = run("config", **variables)
    assert "refusal.threshold = 0.5  (default)" in damaged.stdout
    assert "its manifest lacks a usable entry" in damaged.stderr


def test_doctor_finds_nothing_wrong(run, library):
    findings = document(run("doctor", "--index", library, "--json"))
    assert len(findings) > 1
    assert all(finding["ok"] for finding in findings)


def test_doctor_says_what_opening_mended(run, small):
    for path in small.glob("vectors-*.faiss"):
        path.unlink()
    findings = {finding["name"]: finding for finding in document(run("doctor", "--index", small, "--json"))}
    assert findings["vectors"]["detail"].endswith("rebuilt when opened")
    assert "opened" not in run("doctor", "--index", small).stdout


def test_doctor_takes_the_index_as_an_argument_and_repairs_what_opening_does_not_notice(run, small):
    stamp = small / "vectors.json"  # names a file whose digest is right and whose vectors are another index's
    Path("other.jsonl").write_text(TWO_PAPERS.replace("whales", "quails").replace("Whales", "Quails"))
    run("add", "other.jsonl", "--index", "other.idx")
    theirs, ours = (json.loads((folder / "vectors.json").read_text()) for folder in (Path("other.idx"), small))
    for name in theirs["files"]:
        (small / name).write_bytes((Path("other.idx") / name).read_bytes())
    stamp.write_text(json.dumps({**theirs, "generation": ours["generation"]}))
    result = run("doctor", small)
    assert result.returncode == 0
    assert "ok    vectors: 2 vectors in FAISS, 2 in SQLite, equal; made anew" in result.stdout
    assert "made anew" not in run("doctor", small).stdout
    assert_error(run("doctor", small, "--index", "other.idx"), 2, "two indexes are named")


def test_reindex_changes_the_passages_and_says_how_to_keep_them(run, small):
    result = run("reindex", small, "--passage-tokens", 32, "--json")
    assert (result.returncode, document(result)["papers"]) == (0, 2)
    assert "set index.passage_tokens = 32 in citewell.toml" in result.stderr
    found = run("search", "whales", "--index", small, "--json")
    assert document(found)[0]["paper"]["id"] == "b2"
    refused = run("search", "whales", "--index", small, CITEWELL_INDEX__PASSAGE_TOKENS="64")
    assert_error(refused, 1, "at most 32 tokens", "ask for 64", "citewell reindex")
    assert_error(run("reindex", "absent.idx"), 1, "no index at absent.idx")
    assert_error(run("reindex", small, "--passage-tokens", 9_999), 1, "reads at most 256 tokens")


def test_papers_of_two_files_are_merged_and_found_by_their_file(run, small):
    Path("more.jsonl").write_text(
        '{"doi": "10.1000/X", "id": "b2", "title": "On whales", "abstract": "Whales sing.", "tags": ["cetacea"]}\n'
    )
    result = run("add", "more.jsonl", "--index", small)
    assert result.stdout == "1 merged with what other files say. The collection has 2 papers.\n"
    (paper,) = document(run("papers", "--where", "source:more.jsonl", "--index", small, "--json"))
    assert paper["abstract"] == "Whales sing at night. Nobody knows why."
    assert (paper["tags"], paper["identifiers"]) == (["cetacea"], ["doi:10.1000/x"])
    assert document(run("delete", "https://doi.org/10.1000/x", "--index", small, "--json"))["deleted"] == 1


def test_doctor_fails_without_an_index(run):
    result = run("doctor", "--index", "nowhere.idx")
    assert result.returncode == 1
    assert "FAIL  index: " in result.stdout


def test_version(run):
    assert re.fullmatch(r"citewell \S.*\n", run("--version").stdout)


def test_ui_prints_its_address_and_stops_on_an_interrupt(cache_dir, library):
    process = subprocess.Popen(
        [sys.executable, "-m", "ui", "ui", "--index", str(library), "--port", "0"],
        env={**environment(cache_dir), "PYTHONUNBUFFERED": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
    )
    try:
        address = next(filter(None, (re.search(r"http://127\.0\.0\.1:\d+", line) for line in process.stdout))).group()
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with direct.open(address, timeout=30) as page:
            assert page.status == 200
        process.send_signal(signal.SIGINT)
        rest, _ = process.communicate(timeout=60)
        assert "Traceback" not in rest
        assert process.returncode in (0, 130)
    finally:
        process.kill()
        process.wait()


# What goes wrong.


@pytest.mark.parametrize(
    "arguments",
    [["ask", "a question"], ["search", "words"], ["papers"], ["delete", "a1"], ["chat"], ["ui"]],
    ids=lambda arguments: arguments[0],
)
def test_a_missing_index_names_the_command_that_makes_it(run, arguments):
    assert_error(run(*arguments, "--index", "nowhere.idx"), 1, "nowhere.idx", "citewell add")
    assert not Path("nowhere.idx").exists()


def test_a_folder_that_is_no_index(run):
    Path("folder").mkdir()
    Path("folder/notes.txt").write_text("mine")
    assert_error(run("papers", "--index", "folder"), 1, "folder")
    assert os.listdir("folder") == ["notes.txt"]


def test_a_locked_index_names_its_writer(run, small):
    with writer_lock(small):
        assert_error(run("add", "two.jsonl", "--index", small), 1, "two.idx", os.getpid())
        assert run("papers", "--index", small).returncode == 0  # reading goes on


def test_an_interrupted_add_is_told_and_finished_by_adding_again(run, small):
    with contextlib.closing(sqlite3.connect(small / "papers.sqlite")) as db, db:
        db.execute("INSERT INTO meta VALUES ('adding two.jsonl', '')")
    result = run("papers", "--index", small)
    assert result.returncode == 0
    assert "Adding two.jsonl was interrupted" in result.stderr
    assert run("doctor", "--index", small).returncode == 1
    assert run("add", "two.jsonl", "--index", small).returncode == 0
    assert "interrupted" not in run("papers", "--index", small).stderr


@pytest.mark.parametrize("name", ["photo.png", "refs.bib", "papers.jsonl"])
def test_a_binary_file_is_no_collection(run, name):
    Path(name).write_bytes(bytes(range(256)) * 64)
    result = run("add", name, "--index", "new.idx")
    assert "Traceback" not in result.stderr
    assert name in result.stderr
    assert result.returncode == 1 or "rejected" in result.stdout


def test_a_missing_source_is_a_usage_error(run):
    result = run("add", "nowhere.bib")
    assert (result.returncode, result.stdout) == (2, "")
    assert "nowhere.bib" in result.stderr
    assert run("add").returncode == 2


@pytest.mark.parametrize("question", ["", "   "])
def test_an_empty_question_is_refused_as_input(run, library, question):
    assert_error(run("ask", question, "--index", library), 2)


def test_a_question_that_is_too_long(run, library):
    assert_error(run("ask", "why " * 1000, "--index", library), 2, "characters")


def test_a_bad_filter_is_refused_as_input(run, library):
    assert_error(run("papers", "--index", library, "--where", "year>=soon"), 2)


def test_a_missing_model_folder(run, library):
    assert_error(run("ask", QUESTION, "--index", library, "--llm", "./no-such-model"), 1, "no-such-model")


def test_a_mistyped_setting(run):
    assert_error(run("papers", CITEWELL_UI__PROT="1"), 1, "CITEWELL_UI__PROT", "Did you mean CITEWELL_UI__PORT?")
    assert_error(run("--config", "nowhere.toml", "papers"), 1, "nowhere.toml")


def test_a_mistyped_option(run):
    result = run("ask", "--jsn", "a question")
    assert (result.returncode, result.stdout) == (2, "")
    assert "--json" in result.stderr


def test_a_reader_that_leaves_early_is_no_error(cache_dir, library):
    command = f"'{sys.executable}' -m ui papers --json --index '{library}' | head -n 1"
    result = subprocess.run(
        command, shell=True, env=environment(cache_dir), capture_output=True, text=True, encoding="utf-8"
    )
    assert (result.stdout, result.stderr) == ("[\n", "")


def test_text_a_terminal_cannot_show_does_not_stop_a_command(run, small):
    result = run("ask", "What is slow, naïvely “said”?", "--index", small, PYTHONIOENCODING="ascii")
    assert result.returncode == 0
    assert json.loads(run("papers", "--index", small, "--json", PYTHONIOENCODING="ascii").stdout)


# Evaluation.


@pytest.fixture
def benchmark():
    """A benchmark of two papers in the layout of BEIR."""
    folder = Path("benchmark")
    (folder / "qrels").mkdir(parents=True)
    papers = [json.loads(line) for line in TWO_PAPERS.splitlines()]
    documents = [{"_id": paper["id"], "title": paper["title"], "text": paper["abstract"]} for paper in papers]
    queries = [{"_id": "q1", "text": "token mixers"}, {"_id": "q2", "text": "singing whales"}]
    for name, rows in (("corpus", documents), ("queries", queries)):
        (folder / f"{name}.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (folder / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\nq1\ta1\t1\nq2\tb2\t1\n")
    return folder


def test_retrieval_is_measured_and_two_runs_are_compared(run, benchmark):
    for using in ("product", "keyword"):
        options = ("--using", using, "--index", "benchmark.idx", "--out", f"{using}.json", "--json")
        found = document(run("eval", "retrieval", benchmark, *options, timeout_s=300))
        values = {measure["name"]: measure["value"] for measure in found["measures"]}
        assert values["nDCG@10"] == values["RR@10"] == 1.0
        assert "nDCG@10" in Path(f"{using}.html").read_text()
    result = run("eval", "compare", "product.json", "keyword.json")
    assert result.returncode == 0, result.stderr
    assert "no difference that 2 queries can show" in result.stdout
    assert "product.json" in Path("eval-compare.html").read_text()


def test_what_cannot_be_measured_or_compared_says_so(run, benchmark):
    (benchmark / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\nq1\tgone\t1\n")
    assert_error(run("eval", "retrieval", benchmark), 1, "test.tsv, line 2, field corpus-id", "gone")
    Path("a.json").write_text("{}")
    assert_error(run("eval", "compare", "a.json", "a.json"), 1, "a.json, field form", "Name the JSON file")
