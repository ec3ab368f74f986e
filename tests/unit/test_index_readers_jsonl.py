"""Reading JSON Lines: what is read, and what is reported with file, line and field."""

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from reading import jsonl, papers_and_rejects, write

from index.paper import Paper
from index.readers import Rejected, opening, read_papers
from index.text import clean_text


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
                ("doi:10.1145/x",),
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
            ({"id": 12345}, "extra", {"id": "12345"}),  # the number of a row says nothing in another file
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
            ("[1, 2]", "record", r"it is \[1, 2\], an object"),
            ("[" * 100_000, "record", "nested too deeply"),
            ('{"title": "T", "abstract": "A", "x": ' + "9" * 5000 + "}", "record", "not JSON"),
            (r'{"title": "T", "abstract": "A", "x": "\ud800"}', "record", "surrogate"),
            ('{"abstract": "A"}', "title", "it has no title"),
            ('{"title": "T"}', "abstract", "it has no abstract"),
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
        assert rejects == [Rejected(f"{path}:2", "record", "it is not UTF-8")]

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
                assert record.field in {
                    name for name, raw in (("title", title), ("abstract", text)) if not clean_text(raw)
                }
