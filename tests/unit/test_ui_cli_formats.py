"""``add`` and ``export`` with files of every kind: standard input, mapped columns, rejects, and what is written."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from fakes import HashEncoder
from reading import jsonl
from typer.testing import CliRunner

from index.paper import Paper
from index.readers import read_papers
from rag import PaperQA
from ui.cli import export, library
from ui.cli.app import app

RUN = CliRunner()
PAPERS = [
    Paper.create("On mixers", "Token mixers are slow.", year=2020, authors=("Ada Lovelace",), doi="10.1000/a_b"),
    Paper.create("On {whales}", "Whales sing at 50% volume.", year=2024, id="own/1", extra={"n": [1, 2]}),
]


@pytest.fixture(autouse=True)
def hashed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Open collections with an encoder that needs no model."""

    @contextmanager
    def collection(settings: Any, *, create: bool = False) -> Iterator[PaperQA]:
        qa = PaperQA.open(settings.index.path, embed_model=HashEncoder())
        try:
            yield qa
        finally:
            qa.close()

    for module in (library, export):
        monkeypatch.setattr(module, "collection", collection)


def added(*arguments: str, stdin: bytes = b"") -> dict[str, Any]:
    result = RUN.invoke(app, ["add", "--json", *arguments], input=stdin)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def titles() -> list[str]:
    return [paper["title"] for paper in json.loads(RUN.invoke(app, ["papers", "--json"]).stdout)]


def test_add_reads_standard_input() -> None:
    text = jsonl({"title": "One", "abstract": "A."}, {"title": "Two"})
    report = added("-", stdin=text.encode())
    assert report["added"] == 1
    assert report["rejected"] == [{"where": "stdin:2", "field": "abstract", "why": "it has no abstract"}]
    assert titles() == ["One"]


def test_a_source_that_is_not_there_is_a_usage_error() -> None:
    result = RUN.invoke(app, ["add", "nowhere.bib"])
    assert result.exit_code == 2
    assert "there is no file or folder nowhere.bib" in " ".join(result.stderr.split())


def test_add_maps_columns() -> None:
    Path("p.csv").write_text("Name;Notes\nOne;A.\n")
    assert added("--map", "title=Name", "--map", "abstract=Notes", "p.csv")["added"] == 1
    assert added("--map", "title = Name", "--map", "abstract=Notes", "-", stdin=b"Name\tNotes\nTwo\tB.\n")["added"] == 1
    assert titles() == ["One", "Two"]


@pytest.mark.parametrize(
    ("given", "said"),
    [("title", "'title' is not FIELD=COLUMN"), ("title=", "not FIELD=COLUMN"), ("colour=x", "'colour' is no field")],
)
def test_a_mapping_that_is_none_is_a_usage_error(given: str, said: str) -> None:
    Path("p.csv").write_text("title,abstract\nOne,A.\n")
    result = RUN.invoke(app, ["add", "--map", given, "p.csv"])
    assert result.exit_code == 2
    assert said in " ".join(result.stderr.split())


def test_every_reject_is_written() -> None:
    Path("p.jsonl").write_text(jsonl({"title": "One", "abstract": "A."}, *({"title": f"T{i}"} for i in range(30))))
    Path("p.png").write_bytes(b"\x89PNG")
    result = RUN.invoke(app, ["add", "--rejects", "left.jsonl", "p.jsonl", "p.png"])
    assert result.exit_code == 1
    assert "and 20 more: --rejects FILE or --json lists all" in result.stderr
    lines = [json.loads(line) for line in Path("left.jsonl").read_text().splitlines()]
    assert lines[0] == {"where": "p.jsonl:2", "field": "abstract", "why": "it has no abstract"}
    assert [line["where"] for line in lines[:30]] == [f"p.jsonl:{n}" for n in range(2, 32)]
    assert (lines[30]["where"], lines[30]["field"]) == ("p.png", "file")
    assert len(lines) == 31


@pytest.mark.parametrize("form", ["bib", "ris", "jsonl"])
def test_what_is_exported_can_be_added_without_a_change(form: str) -> None:
    qa = PaperQA.open("papers.idx", embed_model=HashEncoder())
    qa.add(PAPERS)
    qa.close()
    result = RUN.invoke(app, ["export", "--format", form])
    assert result.exit_code == 0
    Path("copy").write_text(result.stdout, encoding="utf-8")
    assert list(read_papers(Path("copy"))) == PAPERS
    report = added("copy")
    assert {name: report[name] for name in ("added", "updated", "rejected", "papers")} == {
        "added": 0, "updated": 0, "rejected": [], "papers": 2,
    }  # fmt: skip


def test_export_writes_a_file_whole_or_not_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    qa = PaperQA.open("papers.idx", embed_model=HashEncoder())
    qa.add(PAPERS)
    qa.close()
    Path("refs.bib").write_text("before")
    monkeypatch.setattr(export, "write_papers", lambda *_: 1 / 0)
    assert isinstance(RUN.invoke(app, ["export", "-o", "refs.bib"]).exception, ZeroDivisionError)
    assert Path("refs.bib").read_text() == "before"
    monkeypatch.undo()


def test_export_takes_the_format_from_the_ending_and_a_filter() -> None:
    qa = PaperQA.open("papers.idx", embed_model=HashEncoder())
    qa.add(PAPERS)
    qa.close()
    Path("refs.ris").write_text("before")
    result = RUN.invoke(app, ["export", "--where", "year>=2024", "-o", "refs.ris"])
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "1 papers written to refs.ris\n")
    assert list(read_papers(Path("refs.ris"))) == PAPERS[1:]
    assert sorted(path.name for path in Path().iterdir()) == ["papers.idx", "refs.ris"]


@pytest.mark.parametrize("arguments", [[], ["-o", "refs.txt"], ["--format", "xml"]])
def test_export_needs_a_format_it_knows(arguments: list[str]) -> None:
    result = RUN.invoke(app, ["export", *arguments])
    assert result.exit_code == 2
    assert "bib" in result.stderr
