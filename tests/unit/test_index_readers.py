"""Readers: what is read, what is reported with file, line and field, and how a format is told."""

import gzip
import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from index.errors import CorpusError
from index.paper import Paper
from index.readers import Rejected, opening, read_papers
from index.text import clean_text

LONG = "This abstract is a full sentence with more than a dozen words, as abstracts of papers are. It has two of them."
FURNITURE = "Get trending papers in your email inbox once a day!\nGet trending papers in your email inbox!\n"


def papers_and_rejects(path: Path) -> tuple[list[Paper], list[Rejected]]:
    records = list(read_papers(path))
    return [r for r in records if isinstance(r, Paper)], [r for r in records if isinstance(r, Rejected)]


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def jsonl(*records: Any) -> str:
    return "".join(json.dumps(record) + "\n" for record in records)


def abstract(i: int) -> str:
    return f"{LONG} Its number is {i}."


def listing(*lines: str) -> str:
    return FURNITURE + "\n".join(lines) + "\n"


class TestJsonl:
    def test_every_field(self, tmp_path: Path) -> None:
        record = {
            "id": "arXiv:2304.05659v2",
            "title": "A  title",
            "abstract": "2times faster.",
            "authors": ["Ada Lovelace", "Alan Turing"],
            "year": 2023,
            "venue": "NeurIPS",
            "url": "https://example.org",
            "doi": "https://doi.org/10.1145/X",
            "tags": ["cs.CL", "cs.AI"],
            "citations": 7,
            "empty": None,
        }
        assert list(read_papers(write(tmp_path / "p.jsonl", jsonl(record)))) == [
            Paper(
                "arxiv:2304.05659", "A title", "2× faster.", ("Ada Lovelace", "Alan Turing"), 2023, "NeurIPS",
                "https://example.org", "10.1145/X", ("cs.CL", "cs.AI"), {"citations": 7},
            )
        ]  # fmt: skip

    @pytest.mark.parametrize(
        ("fields", "attribute", "value"),
        [
            ({"summary": "Other.", "abstract": None}, "abstract", "Other."),
            ({"author": "Ada Lovelace and Alan Turing"}, "authors", ("Ada Lovelace", "Alan Turing")),
            ({"authors": "Lovelace, Ada; Turing, Alan"}, "authors", ("Lovelace, Ada", "Turing, Alan")),
            ({"authors": "Lovelace, Ada and Turing, Alan"}, "authors", ("Lovelace, Ada", "Turing, Alan")),
            ({"authors": "A. Sandoval, B. Andand, and C. Do"}, "authors", ("A. Sandoval", "B. Andand", "C. Do")),
            ({"authors": "Lovelace, Ada"}, "authors", ("Lovelace, Ada",)),
            ({"year": " 2023 "}, "year", 2023),
            ({"year": 2023.0}, "year", 2023),
            ({"year": ""}, "year", None),
            ({"journal": "JMLR"}, "venue", "JMLR"),
            ({"journal-ref": "Phys.Rev.D76"}, "venue", "Phys.Rev.D76"),
            ({"categories": "math.CO cs.CG"}, "tags", ("math.CO", "cs.CG")),
            ({"keywords": "graph networks; pruning"}, "tags", ("graph networks", "pruning")),
            ({"id": 12345}, "id", "12345"),
            ({"ID": "k1"}, "id", "k1"),
            ({"score": float("nan")}, "extra", {}),
            ({"tags": "a", "categories": "b"}, "extra", {"categories": "b"}),
        ],
    )
    def test_other_names_and_forms(self, tmp_path: Path, fields: dict[str, Any], attribute: str, value: Any) -> None:
        path = write(tmp_path / "p.jsonl", jsonl({"title": "T", "abstract": "A.", **fields}))
        (paper,) = read_papers(path)
        assert getattr(paper, attribute) == value

    @pytest.mark.parametrize(
        ("line", "field", "why"),
        [
            ("{broken", "record", "not JSON"),
            ("[1, 2]", "record", "list"),
            ("[" * 100_000, "record", "nested too deeply"),
            ('{"title": "T", "abstract": "A", "x": ' + "9" * 5000 + "}", "record", "not JSON"),
            (r'{"title": "T", "abstract": "A", "x": "\ud800"}', "record", "surrogate"),
            ('{"abstract": "A"}', "title", "title is empty"),
            ('{"title": "T"}', "abstract", "abstract is empty"),
            ('{"title": "T", "abstract": "\u200b"}', "abstract", "abstract is empty"),
            ('{"title": ["T"], "abstract": "A"}', "title", r"\['T'\]"),
            ('{"title": "T", "abstract": "A", "year": "soon"}', "year", "'soon'"),
            ('{"title": "T", "abstract": "A", "year": true}', "year", "True"),
            ('{"title": "T", "abstract": "A", "year": 20233}', "year", "20233"),
            ('{"title": "T", "abstract": "A", "authors": [1]}', "authors", r"\[1\]"),
            ('{"title": "T", "abstract": "A", "doi": 10.5}', "doi", "10.5"),
        ],
    )
    def test_a_broken_line_is_reported_and_the_rest_read(self, tmp_path: Path, line: str, field: str, why: str) -> None:
        good = jsonl({"title": "T", "abstract": "A."})
        path = write(tmp_path / "p.jsonl", f"{good}\n{line}\n{good}")
        papers, (reject,) = papers_and_rejects(path)
        assert len(papers) == 2
        assert (reject.where, reject.field) == (f"{path}:3", field)
        assert re.search(why, reject.why)

    def test_a_broken_first_line_does_not_hide_the_format(self, tmp_path: Path) -> None:
        path = write(tmp_path / "p", "{broken\n" + jsonl({"title": "T", "abstract": "A."}))
        papers, (reject,) = papers_and_rejects(path)
        assert [p.title for p in papers] == ["T"]
        assert reject.where == f"{path}:1"

    def test_byte_order_mark_line_ends_and_line_separators(self, tmp_path: Path) -> None:
        path = tmp_path / "p.jsonl"
        text = '{"title": "É", "abstract": "A\u2028b."}\r\n{"title": "U", "abstract": "C."}'
        path.write_bytes(b"\xef\xbb\xbf" + text.encode())
        assert [(p.title, p.abstract) for p in read_papers(path)] == [("É", "A b."), ("U", "C.")]

    def test_a_line_that_is_not_utf8(self, tmp_path: Path) -> None:
        path = tmp_path / "p.jsonl"
        good = jsonl({"title": "T", "abstract": "A."}).encode()
        path.write_bytes(good + '{"title": "É", "abstract": "A."}\n'.encode("latin-1") + good)
        papers, rejects = papers_and_rejects(path)
        assert len(papers) == 2
        assert rejects == [Rejected(f"{path}:2", "record", "the line is not UTF-8")]

    def test_a_line_without_end_is_not_kept_in_memory(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(opening, "MAX_LINE_CHARS", 100)
        good = jsonl({"title": "T", "abstract": "A."})
        path = write(tmp_path / "p.jsonl", good + jsonl({"title": "T", "abstract": "x" * 350}) + good)
        papers, (reject,) = papers_and_rejects(path)
        assert len(papers) == 2
        assert (reject.where, reject.why) == (f"{path}:2", "the line has more than 100 characters")

    def test_it_streams(self, tmp_path: Path) -> None:
        path = write(tmp_path / "p.jsonl", jsonl({"title": "T", "abstract": "A."}) * 2)
        records = read_papers(path)
        next(records)
        with path.open("a") as file:
            file.write("x" * 200_000 + "\n")
        assert len(list(records)) == 2

    @given(st.lists(st.tuples(st.text(), st.text()), max_size=5))
    def test_any_text_comes_back_cleaned_or_is_reported(self, tmp_path_factory: Any, pairs: list[Any]) -> None:
        path = tmp_path_factory.mktemp("any") / "p.jsonl"
        write(path, jsonl(*({"title": t, "abstract": a} for t, a in pairs), {"title": "T", "abstract": "A."}))
        records = list(read_papers(path))
        assert len(records) == len(pairs) + 1
        for (title, text), record in zip(pairs, records, strict=False):
            if clean_text(title) and clean_text(text):
                assert isinstance(record, Paper)
                assert (record.title, record.abstract) == (clean_text(title), clean_text(text))
            else:
                assert isinstance(record, Rejected)
                assert record.field == ("abstract" if clean_text(title) else "title")


class TestListing:
    def test_furniture_and_button_are_left_out(self, tmp_path: Path) -> None:
        path = write(tmp_path / "p", listing("SubscribeFirst", abstract(1), "Subscribe to Second", abstract(2)))
        assert [(p.title, p.abstract) for p in read_papers(path)] == [
            ("First", abstract(1)),
            ("Subscribe to Second", abstract(2)),
        ]

    def test_without_furniture_the_shape_tells(self, tmp_path: Path) -> None:
        path = write(tmp_path / "p", f"One\n{abstract(1)}\n\nTwo\n\n{abstract(2)}\n")
        assert [(p.title, p.abstract) for p in read_papers(path)] == [("One", abstract(1)), ("Two", abstract(2))]

    @pytest.mark.parametrize(
        ("lines", "titles", "rejects"),
        [
            (["A", abstract(1), "B"], ["A"], [(5, "abstract", "ends after")]),
            (["A", "", "B", abstract(2)], ["B"], [(3, "abstract", "line 5")]),
            (["A", "Quite a title of B", abstract(2), "C", abstract(3)], ["Quite a title of B", "C"],
             [(3, "abstract", "line 4")]),
            (["A", abstract(1), abstract(2), "C", abstract(3)], ["A", "C"], [(5, "title", "its title is missing")]),
            (["A", abstract(1), abstract(2) * 3, abstract(3) * 3, "D", abstract(4)], ["A", "D"],
             [(5, "title", "missing"), (6, "title", "missing")]),
            ([abstract(1), "B", abstract(2)], ["B"], [(3, "title", "missing")]),
            (["A", abstract(1), "A longer title of B", "C", abstract(3)], ["A", "C"], [(5, "abstract", "line 6")]),
            (["A", abstract(1), "B", "We prove B is finite.", "C", abstract(3)], ["A", "B", "C"], []),
            (["A", "\u200b", "B", abstract(2)], ["B"], [(3, "abstract", "")]),
        ],
    )  # fmt: skip
    def test_a_broken_turn_does_not_shift_what_follows(
        self, tmp_path: Path, lines: list[str], titles: list[str], rejects: list[tuple[int, str, str]]
    ) -> None:
        path = write(tmp_path / "p", listing(*lines))
        papers, found = papers_and_rejects(path)
        assert [p.title for p in papers] == titles
        assert [(r.where, r.field) for r in found] == [(f"{path}:{line}", field) for line, field, _ in rejects]
        assert all(why in reject.why for reject, (_, _, why) in zip(found, rejects, strict=True))
        assert all(paper.abstract == lines[lines.index(paper.title) + 1] for paper in papers)

    @given(st.integers(0, 19), st.integers(1, 20))
    def test_losing_any_one_line_loses_one_paper(self, tmp_path_factory: Any, lost: int, seed: int) -> None:
        lines = [line for i in range(10) for line in (f"Title {'x' * (i * seed % 37)}{i}", abstract(i))]
        whole = dict(zip(lines[::2], lines[1::2], strict=True))
        path = tmp_path_factory.mktemp("lost") / "p"
        write(path, listing(*lines[:lost], *lines[lost + 1 :]))
        papers, rejects = papers_and_rejects(path)
        assert {p.title: p.abstract for p in papers}.items() <= whole.items()
        assert len(papers) == 9
        assert len(rejects) == 1

    def test_a_line_that_is_not_utf8(self, tmp_path: Path) -> None:
        path = tmp_path / "p"
        lines = listing("A", abstract(1), "B", abstract(2)).replace("full", "füll", 1)
        path.write_bytes(lines.encode("latin-1"))
        papers, rejects = papers_and_rejects(path)
        assert [p.title for p in papers] == ["B"]
        assert rejects == [Rejected(f"{path}:4", "abstract", "the line is not UTF-8")]

    @pytest.mark.parametrize(
        "text",
        [
            "@article{key,\n  title = {A title},\n  abstract = {" + LONG * 4 + "},\n}\n" * 3,
            "TY  - JOUR\nTI  - A title\nAB  - " + LONG + "\nER  - \n" * 3,
            "id,title,abstract\n" + f'1,A title,"{LONG}"\n' * 4,
            "# Heading\n" + LONG + "\n# Other\n" + LONG,
            "<feed>\n<entry>" + LONG + "</entry>\n</feed>\n",
            "just a note\nand another\n",
            f"{LONG}\n{LONG}\n{LONG}\n",
        ],
    )
    def test_other_text_is_not_taken_for_a_listing(self, tmp_path: Path, text: str) -> None:
        with pytest.raises(CorpusError, match="its format is not known; it begins with"):
            read_papers(write(tmp_path / "p.md", text))


class TestFilesAndFolders:
    def test_content_goes_before_the_suffix(self, tmp_path: Path) -> None:
        as_listing = write(tmp_path / "p.jsonl", listing("SubscribeA", abstract(1)))
        as_jsonl = write(tmp_path / "p.txt", jsonl({"title": "B", "abstract": "C."}))
        assert [p.title for p in read_papers(as_listing)] == ["A"]
        assert [p.title for p in read_papers(as_jsonl)] == ["B"]

    def test_the_suffix_decides_when_the_content_does_not(self, tmp_path: Path) -> None:
        path = write(tmp_path / "P.JSONL", "nonsense\n" + jsonl({"title": "B", "abstract": "C."}))
        papers, rejects = papers_and_rejects(path)
        assert ([p.title for p in papers], [r.where for r in rejects]) == (["B"], [f"{path}:1"])

    def test_one_record_longer_than_the_head(self, tmp_path: Path) -> None:
        text = "word " * opening.HEAD_BYTES
        (paper,) = read_papers(write(tmp_path / "p", jsonl({"title": "B", "note": text, "abstract": "A"}).strip()))
        assert isinstance(paper, Paper)
        assert paper.extra == {"note": text}

    @pytest.mark.parametrize("name", ["p.jsonl.gz", "p.gz", "p.jsonl"])
    def test_gz_is_told_by_its_first_bytes(self, tmp_path: Path, name: str) -> None:
        path = tmp_path / name
        path.write_bytes(gzip.compress(jsonl({"title": "T", "abstract": "A."}, {"abstract": "A."}).encode()))
        papers, rejects = papers_and_rejects(path)
        assert [p.title for p in papers] == ["T"]
        assert [r.where for r in rejects] == [f"{path}:2"]

    def test_gz_of_a_listing(self, tmp_path: Path) -> None:
        path = tmp_path / "p.gz"
        path.write_bytes(gzip.compress(listing("SubscribeA", abstract(1)).encode()))
        assert [p.title for p in read_papers(path)] == ["A"]

    def test_a_gz_cut_short_gives_what_is_there_and_says_so(self, tmp_path: Path) -> None:
        path = tmp_path / "p.jsonl.gz"
        records = [{"title": f"T{i}", "abstract": os.urandom(200).hex()} for i in range(2000)]
        whole = gzip.compress(jsonl(*records).encode())
        path.write_bytes(whole[: len(whole) // 2])
        papers, (reject,) = papers_and_rejects(path)
        assert 500 < len(papers) < 1500
        assert [p.title for p in papers] == [f"T{i}" for i in range(len(papers))]
        assert (reject.where, reject.field) == (str(path), "file")
        assert "before its end" in reject.why

    @pytest.mark.parametrize(
        ("content", "found"),
        [
            (b"", "it is empty"),
            (b" \n\n ", "nothing but white space"),
            (b"%PDF-1.7\nstream", "a PDF document"),
            (b"PK\x03\x04rest", "a zip archive"),
            (b"\x00\x01\x02\x03" * 100, "binary"),
            (bytes(range(128, 256)) * 10, "binary"),
            ("{}".encode("utf-16"), "UTF-16"),
            (b"\x1f\x8b\x08broken", "cannot be read"),
            (gzip.compress(b""), "it is empty"),
            (gzip.compress(b"\x00" * 100), "binary"),
            (b"hello, world\n", "it begins with 'hello, world'"),
        ],
    )
    def test_a_file_without_papers(self, tmp_path: Path, content: bytes, found: str) -> None:
        path = tmp_path / "p.dat"
        path.write_bytes(content)
        with pytest.raises(CorpusError) as caught:
            read_papers(path)
        message = str(caught.value)
        assert message.startswith(f"{path}: ")
        assert found in message
        assert "JSON Lines (.jsonl, .ndjson), paper listing (.txt, .text), and each of them as .gz" in message

        (reject,) = read_papers(tmp_path)  # in a folder it is one report among others
        assert isinstance(reject, Rejected)
        assert (reject.where, reject.field) == (str(path), "file")
        assert found in reject.why

    def test_a_missing_path(self, tmp_path: Path) -> None:
        with pytest.raises(CorpusError, match=r"nowhere\.jsonl: there is no such file or folder"):
            read_papers(tmp_path / "nowhere.jsonl")

    def test_a_folder_in_sorted_order(self, tmp_path: Path) -> None:
        for i, name in enumerate(["b.jsonl", "a.txt", "sub/c.jsonl", "sub/.hidden.jsonl", ".git/d.jsonl", "Z.jsonl"]):
            write(tmp_path / name, jsonl({"title": f"T{i}", "abstract": "A."}))
        write(tmp_path / "b.note", "what is this")
        records = list(read_papers(tmp_path))
        shown = [r.title if isinstance(r, Paper) else Path(r.where).name for r in records]
        assert shown == ["T5", "T1", "T0", "b.note", "T2"]

    def test_a_folder_without_files(self, tmp_path: Path) -> None:
        (tmp_path / "sub").mkdir()
        write(tmp_path / ".hidden", "x")
        with pytest.raises(CorpusError, match="holds no files"):
            read_papers(tmp_path)


@pytest.mark.parametrize(
    "content",
    [jsonl({"title": "T", "abstract": "A b. " * 30_000}), f"On graphs\n{'A b. ' * 30_000}\nOn trees\n{'A b. ' * 30}\n"],
    ids=["JSON Lines", "listing"],
)
def test_an_abstract_that_is_too_long_is_reported(tmp_path: Path, content: str) -> None:
    _, rejects = papers_and_rejects(write(tmp_path / "p.txt", content))
    assert [(reject.field, "100,000" in reject.why) for reject in rejects] == [("abstract", True)]
