"""Readers: files, folders and streams, how a format is told, and the names of columns."""

import gzip
import io
import os
from pathlib import Path
from typing import Any

import pytest
from reading import abstract, jsonl, listing, papers_and_rejects, write

from index.errors import CorpusError
from index.paper import Paper
from index.readers import Rejected, opening, read_papers, read_sources, read_stream
from index.readers.formats import FORMATS


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
        assert all(f"{known.NAME} ({', '.join(known.SUFFIXES)})" in message for known in FORMATS)
        assert message.endswith("and each of them as .gz.")

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


class TestSources:
    def test_each_record_comes_with_its_file(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        write(tmp_path / "in/a.jsonl", jsonl({"title": "A", "abstract": "A."}, {"title": "B"}))
        write(tmp_path / "in/sub/c.txt", listing("SubscribeC", abstract(1)))
        write(tmp_path / "in/what", "what is this")
        monkeypatch.chdir(tmp_path)
        found = [(source, r.title if isinstance(r, Paper) else r.where) for source, r in read_sources(Path("in"))]
        a, c, what = (str((tmp_path / "in" / name).resolve()) for name in ("a.jsonl", "sub/c.txt", "what"))
        assert found == [(a, "A"), (a, "in/a.jsonl:2"), (what, "in/what"), (c, "C")]
        assert [source for source, _ in read_sources(Path("in/a.jsonl"))] == [a, a]

    def test_a_link_is_followed(self, tmp_path: Path) -> None:
        path = write(tmp_path / "a.jsonl", jsonl({"title": "A", "abstract": "A."}))
        (tmp_path / "link").symlink_to(path)
        assert [source for source, _ in read_sources(tmp_path / "link")] == [str(path.resolve())]

    def test_errors_come_at_once(self, tmp_path: Path) -> None:
        with pytest.raises(CorpusError, match="there is no such file"):
            read_sources(tmp_path / "nowhere")


class TestStream:
    @pytest.mark.parametrize("compress", [bytes, gzip.compress])
    def test_a_stream_is_read_like_a_file(self, compress: Any) -> None:
        text = jsonl({"title": "A", "abstract": "A."}, {"title": "B"}, {"title": "C", "abstract": "C."})
        records = list(read_stream(io.BytesIO(compress(text.encode()))))
        assert [r.title if isinstance(r, Paper) else r.where for r in records] == ["A", "stdin:2", "C"]

    def test_a_stream_larger_than_what_is_held_in_memory(self) -> None:
        text = jsonl(*({"title": f"T{i}", "abstract": "word " * 500} for i in range(2500)))
        assert len(text) > 5_000_000
        assert sum(isinstance(record, Paper) for record in read_stream(io.BytesIO(text.encode()))) == 2500

    @pytest.mark.parametrize(("content", "found"), [(b"", "it is empty"), (b"hello\n", "begins with 'hello'")])
    def test_what_is_no_collection_is_refused_at_once(self, content: bytes, found: str) -> None:
        with pytest.raises(CorpusError, match=f"stdin: .*{found}"):
            read_stream(io.BytesIO(content))


class TestFieldMap:
    def test_it_beats_the_names_that_are_known(self, tmp_path: Path) -> None:
        record = {"title": "Wrong", "Name": "Right", "abstract": "Wrong.", "Notes": "Right.", "who": "A B; C D"}
        mapping = {"title": "Name", "abstract": "notes", "authors": "who"}
        as_csv = ";".join(record) + "\n" + ";".join(f'"{value}"' for value in record.values()) + "\n"
        for name, text in (("p.jsonl", jsonl(record)), ("p.json", f"[{jsonl(record)}]"), ("p.csv", as_csv)):
            (paper,) = read_papers(write(tmp_path / name, text), mapping)
            assert isinstance(paper, Paper)
            assert (paper.title, paper.abstract, paper.authors) == ("Right", "Right.", ("A B", "C D"))
            assert paper.extra == {}

    def test_a_table_of_unknown_columns_is_known_by_the_map(self) -> None:
        (paper,) = read_stream(io.BytesIO(b"Name\tNotes\nT\tA.\n"), {"title": "Name", "abstract": "Notes"})
        assert isinstance(paper, Paper)

    def test_an_openalex_record_can_be_mapped_too(self, tmp_path: Path) -> None:
        record = {"id": "https://openalex.org/W1", "title": "T", "abstract_inverted_index": None, "tldr": "Short."}
        (paper,) = read_papers(write(tmp_path / "p.jsonl", jsonl(record)), {"abstract": "tldr"})
        assert isinstance(paper, Paper)
        assert (paper.id, paper.abstract) == ("openalex:W1", "Short.")

    def test_a_field_that_is_none_of_ours(self, tmp_path: Path) -> None:
        path = write(tmp_path / "p.csv", "title,abstract\nT,A.\n")
        with pytest.raises(ValueError, match="'colour' is no field of a paper; the fields are title, abstract, id"):
            read_papers(path, {"colour": "title"})

    def test_a_column_that_is_not_there(self, tmp_path: Path) -> None:
        path = write(tmp_path / "p.csv", "title,abstract\nT,A.\n")
        with pytest.raises(CorpusError, match="no column 'Notes' to take the abstract from; its columns are title"):
            read_papers(path, {"abstract": "Notes"})
        (reject,) = read_papers(tmp_path, {"abstract": "Notes"})
        assert isinstance(reject, Rejected)
        assert reject.field == "file"

    def test_a_table_without_abstracts(self, tmp_path: Path) -> None:
        path = write(tmp_path / "p.csv", "PMID,Title,Authors,Citation\n1,T,A B,x\n")
        with pytest.raises(CorpusError, match="none of its columns is known to be the abstract: PMID, Title"):
            read_papers(path)

    def test_json_without_the_key(self, tmp_path: Path) -> None:
        (reject,) = read_papers(write(tmp_path / "p.jsonl", jsonl({"title": "T", "abstract": "A."})), {"abstract": "x"})
        assert isinstance(reject, Rejected)
        assert (reject.field, reject.why) == ("abstract", "it has no abstract")


@pytest.mark.parametrize(
    ("name", "year"),
    [("2503.11731", 2025), ("arXiv:0704.0001v3", 2007), ("hep-th/9901001", 1999), ("math/0309136", 2003),
     ("10.48550/arXiv.9912.0001", 1999), ("2513.00001", None), ("10.1000/2503.11731", None)],
)  # fmt: skip
def test_a_missing_year_comes_from_the_arxiv_id(tmp_path: Path, name: str, year: int | None) -> None:
    (paper,) = read_papers(write(tmp_path / "p.jsonl", jsonl({"title": "T", "abstract": "A.", "id": name})))
    assert isinstance(paper, Paper)
    assert paper.year == year
