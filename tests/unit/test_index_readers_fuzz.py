"""Readers never fail or hang, whatever bytes they meet: there are papers and reports, and nothing else."""

import io
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from index.errors import CorpusError
from index.paper import Paper
from index.readers import Rejected, opening, read_stream
from index.readers.formats import FORMATS, Format

FOLDER = Path(__file__).resolve().parents[1] / "data" / "formats"
FILES = sorted(path for path in FOLDER.iterdir() if not path.name.endswith(".expected.json"))
CONTENTS = [path.read_bytes() for path in FILES]
NAMES = [known.NAME for known in FORMATS]
LIMITS = settings(max_examples=60, deadline=2000, suppress_health_check=[HealthCheck.too_slow])
# Pieces that mean something to some reader.
SIGNS = [
    b"{",
    b"}",
    b"[",
    b"]",
    b'"',
    b"\\",
    b",",
    b";",
    b"\n",
    b"\n@article{k,",
    b"@string{a=b#b",
    b"title={T},",
    b"#",
    b"abstract={A.}",
    b"TY  - JOUR\n",
    b"TI  - T\n",
    b"AB  - A.\n",
    b"ER  - \n",
    b"PMID- 1\n",
    b"<PubmedArticle>",
    b"</PubmedArticle>",
    b"<entry>",
    b"&amp;",
    b"<!ENTITY a 'b'>",
    b"title,abstract\n",
    b'{"title": "T"',
    b"\xff",
    b"\xed\xa0\x80",
    b"\x00",
    b"\r",
    b"\t",
    b"\xef\xbb\xbf",
    b"\\ud800",
    b"9" * 50,
    b"$",
    b"(",
    b")",
    b"=",
]


BEGINNINGS = (
    b"",
    b"TY  - JOUR\nTI  - ",
    b'[{"title": "',
    b"@misc{k, title = {",
    b"<feed><entry><title>",
    b'title,abstract\n"',
)


def check(records: object) -> None:
    for record in records:  # type: ignore[attr-defined]
        assert isinstance(record, (Paper, Rejected))
        if isinstance(record, Paper):
            assert record.title
            assert record.abstract
            repr(record).encode()  # no half of a surrogate pair, which no database takes
        else:
            assert record.where
            assert record.field
            assert record.why


def read_as(known: Format, content: bytes) -> None:
    with opening.open_text(io.BytesIO(content)) as file:
        check(known.read(file, "f"))


@pytest.mark.parametrize("known", FORMATS, ids=NAMES)
@LIMITS
@given(content=st.one_of(st.binary(max_size=300), st.lists(st.sampled_from(SIGNS), max_size=40).map(b"".join)))
def test_any_bytes(known: Format, content: bytes) -> None:
    if content.startswith(b"\x1f\x8b"):
        return
    known.sniff(content.decode("utf-8", "surrogateescape"))
    read_as(known, content)


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A file of ours with bytes changed, lines dropped or doubled, or its end cut off."""
    content = draw(st.sampled_from(CONTENTS))
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, max(len(content) - 1, 0)))
        lines = content.splitlines(keepends=True) or [b""]
        line = draw(st.integers(0, len(lines) - 1))
        kind = draw(st.sampled_from(["flip", "put", "cut", "drop", "double", "swap"]))
        if kind == "flip":
            content = content[:place] + bytes([draw(st.integers(0, 255))]) + content[place + 1 :]
        elif kind == "put":
            content = content[:place] + draw(st.sampled_from(SIGNS)) + content[place:]
        elif kind == "cut":
            content = content[:place]
        elif kind == "drop":
            content = b"".join(lines[:line] + lines[line + 1 :])
        elif kind == "double":
            content = b"".join(lines[: line + 1] + lines[line:])
        else:
            other = draw(st.integers(0, len(lines) - 1))
            lines[line], lines[other] = lines[other], lines[line]
            content = b"".join(lines)
    return content


@settings(LIMITS, max_examples=600)
@given(damaged())
def test_damaged_files(content: bytes) -> None:
    try:
        records = read_stream(io.BytesIO(content))
    except CorpusError:
        return  # it looks like no format at all any more, and that is said
    check(records)


@pytest.mark.parametrize("known", FORMATS, ids=NAMES)
@settings(LIMITS, max_examples=40)
@given(content=damaged())
def test_damaged_files_read_as_what_they_are_not(known: Format, content: bytes) -> None:
    read_as(known, content)


@pytest.mark.parametrize("known", FORMATS, ids=NAMES)
@pytest.mark.parametrize(
    "unit",
    [b"{", b"[", b'"', b'{"a":[', b"@article{k,\n", b"a = b # ", b"<a>", b"<PubmedArticle>", b"\\", b"$", b" ", b"\n",
     b"AB  - x\n", b"@", b"\\textbf{", b"``", b"and ", b"x\n", b"{\n", b"@a{b,}",
     b"@string{a = a # a}\n", b",", b"title,abstract\n\"", b"<entry><i>", b"&lt;", b"]", b"}"],
    ids=repr,
)  # fmt: skip
def test_a_sign_without_end_is_no_trap(known: Format, unit: bytes) -> None:
    count = 25_000 // len(unit)
    known.sniff((unit * count)[: opening.HEAD_BYTES].decode() + "x")
    for before in BEGINNINGS:
        read_as(known, before + unit * count)
