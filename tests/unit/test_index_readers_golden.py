"""Every format: files as the sources write them, and damaged ones, with what is to be read beside each.

``tests/data/formats/NAME.expected.json`` holds the papers without their empty fields, and place, field and cause of
each rejected record.
"""

import gzip
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from index.paper import Paper
from index.readers import read_papers, read_stream

FOLDER = Path(__file__).resolve().parents[1] / "data" / "formats"
FILES = sorted(path for path in FOLDER.iterdir() if not path.name.endswith(".expected.json"))
MAPS = {"semicolon.csv": {"title": "titel", "abstract": "Zusammenfassung"}}


def outcome(records: Any, name: str) -> dict[str, Any]:
    papers, rejected = [], []
    for record in records:
        if isinstance(record, Paper):
            papers.append({key: value for key, value in asdict(record).items() if value not in (None, "", (), {})})
        else:
            assert record.where.startswith(name)
            rejected.append([record.where.removeprefix(name), record.field, record.why])
    return json.loads(json.dumps({"papers": papers, "rejected": rejected}))


def expected(path: Path) -> dict[str, Any]:
    return json.loads(path.with_name(f"{path.name}.expected.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_file_gives_what_is_expected(path: Path) -> None:
    assert outcome(read_papers(path, MAPS.get(path.name)), str(path)) == expected(path)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_the_content_alone_tells_the_format_and_gz_changes_nothing(path: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    copy.write_bytes(gzip.compress(path.read_bytes()))
    assert outcome(read_papers(copy, MAPS.get(path.name)), str(copy)) == expected(path)
    with path.open("rb") as file:
        assert outcome(read_stream(file, MAPS.get(path.name)), "stdin") == expected(path)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_line_ends_of_windows_change_nothing(path: Path, tmp_path: Path) -> None:
    copy = tmp_path / path.name
    copy.write_bytes(path.read_bytes().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"))
    assert outcome(read_papers(copy, MAPS.get(path.name)), str(copy)) == expected(path)


def test_nothing_is_read_through_an_external_entity(tmp_path: Path) -> None:
    secret = tmp_path / "secret.dtd"
    secret.write_text("<!ENTITY leaked 'leaked'>")
    article = (
        "<PubmedArticleSet><PubmedArticle><MedlineCitation><PMID>1</PMID><Article><ArticleTitle>T</ArticleTitle>"
        "<Abstract><AbstractText>A &leaked; b.</AbstractText></Abstract></Article></MedlineCitation></PubmedArticle>"
        "</PubmedArticleSet>"
    )
    for doctype in (
        f"<!DOCTYPE PubmedArticleSet SYSTEM '{secret.as_uri()}'>",
        f"<!DOCTYPE PubmedArticleSet [<!ENTITY % ext SYSTEM '{secret.as_uri()}'> %ext;]>",
        f"<!DOCTYPE PubmedArticleSet [<!ENTITY leaked SYSTEM '{secret.as_uri()}'>]>",
    ):
        path = tmp_path / "p.xml"
        path.write_text(doctype + article)
        records = list(read_papers(path))
        assert len(records) == 1
        assert "leaked" not in str(records[0])


def test_an_xml_document_says_its_own_encoding(tmp_path: Path) -> None:
    path = tmp_path / "p.xml"
    text = (FOLDER / "pubmed.xml").read_text(encoding="utf-8").replace('encoding="UTF-8"', 'encoding="ISO-8859-1"')
    path.write_bytes(text.encode("latin-1"))
    assert outcome(read_papers(path), str(path)) == expected(FOLDER / "pubmed.xml")
