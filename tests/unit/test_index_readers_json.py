"""Reading JSON documents: where the list of records is, what damage costs, and the forms of several sources."""

import io
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from index.paper import Paper
from index.readers import Rejected, json_document, jsonl, opening
from index.readers.markup import without_tags
from index.readers.openalex import abstract

RECORD = {"title": "T", "abstract": "A."}


def read(text: str) -> list[Paper | Rejected]:
    return list(json_document.read(io.StringIO(text), "f"))


@pytest.mark.parametrize(
    "document",
    [
        [RECORD],
        {"papers": [RECORD]},
        {"meta": {"list": [1, {"title": "x"}]}, "results": [RECORD], "more": []},
        {"status": "ok", "message": {"facets": {}, "items": [RECORD]}},
        {"data": {"references": [RECORD]}},
        {"references": ["a text"], "papers": [RECORD]},
        RECORD,
    ],
)
@pytest.mark.parametrize("indent", [None, 0, 2])
def test_the_list_is_found(document: Any, indent: int | None) -> None:
    text = json.dumps(document, indent=indent)
    (paper,) = read(text)
    assert isinstance(paper, Paper)
    assert json_document.sniff(text) or jsonl.sniff(text)


@pytest.mark.parametrize(
    "line",
    [
        json.dumps(RECORD),
        json.dumps({"references": [{"title": "x"}], **RECORD}),
        json.dumps({"id": "https://openalex.org/W1", "title": "T", "results": [{}]}),
        "{broken",
    ],
)
def test_a_record_a_line_is_no_document(line: str) -> None:
    assert not json_document.sniff(f"{line}\n{line}\n")
    assert jsonl.sniff(f"{line}\n{json.dumps(RECORD)}\n")


@pytest.mark.parametrize(
    ("text", "field", "why"),
    [
        ('{"papers": 3}', "title", "no list of records under"),
        ('{"a": ', "record", "it is not JSON"),
        ("[1]", "record", "it is 1, an object is needed"),
        ('[{"title": "T"}]', "abstract", "it has no abstract"),
        ('[{"title": "T", "abstract": "A."', "file", "breaks off"),
        ("[", "file", "breaks off"),
        ("[" * 1000, "file", "breaks off"),
    ],
)
def test_what_is_wrong_is_said(text: str, field: str, why: str) -> None:
    (record,) = read(text)
    assert isinstance(record, Rejected)
    assert (record.where, record.field) == ("f:1", field)
    assert why in record.why


@given(st.lists(st.dictionaries(st.text(max_size=4), st.text(max_size=20) | st.lists(st.text(max_size=4)), max_size=3)),
       st.sampled_from([None, 0, 1, 4]), st.integers(1, 40))  # fmt: skip
def test_any_list_is_cut_into_its_records(extras: list[dict[str, Any]], indent: int | None, chunk: int) -> None:
    records = [{**extra, "title": f"T{n}", "abstract": "A."} for n, extra in enumerate(extras)]
    document = json_document._Document(io.StringIO(json.dumps(records, indent=indent)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_document, "_CHUNK_CHARS", chunk)
        document.grow(1)
        document.advance(1)
        found = [text for _, text in document.elements()]
    assert [json.loads(text) for text in found if isinstance(text, str)] == records


@given(st.integers(0, 9), st.sampled_from('{}",:'), st.integers(0, 100), st.sampled_from([None, 1]))
def test_losing_any_one_sign_costs_one_record(lost: int, sign: str, seed: int, indent: int | None) -> None:
    records = [json.dumps({"title": f"T{n}", "abstract": "A."}, indent=indent) for n in range(10)]
    places = [place for place, found in enumerate(records[lost]) if found == sign]
    place = places[seed % len(places)]
    records[lost] = records[lost][:place] + records[lost][place + 1 :]
    titles = {record.title for record in read("[\n" + ",\n".join(records) + "\n]") if isinstance(record, Paper)}
    assert titles == {f"T{n}" for n in range(10) if n != lost}


def test_a_record_longer_than_any_may_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "MAX_LINE_CHARS", 1000)
    monkeypatch.setattr(json_document, "_CHUNK_CHARS", 100)
    records = [*read(json.dumps([RECORD, {"title": "T", "abstract": "x" * 200_000}]))]
    assert isinstance(records[0], Paper)
    assert isinstance(records[1], Rejected)


@pytest.mark.parametrize(
    ("index", "text"),
    [
        ({"b": [1], "a": [0, 2]}, "a b a"),
        (None, ""),
        ({"a": "x", "b": [0, -1, "1", 10**12]}, "b"),
        ([], ""),
    ],
)
def test_an_inverted_index(index: Any, text: str) -> None:
    assert abstract(index) == text


@pytest.mark.parametrize(
    ("tagged", "text"),
    [
        ("<jats:p>One.</jats:p><jats:p>Two.</jats:p>", "One. Two."),
        ("<jats:title>Abstract</jats:title><p>One</p>", "One"),
        ("<b>Aim</b> CO<sub>2</sub> &lt; 5 &amp; <i>x</i>", "Aim CO2 < 5 & x"),
        ("a < b and c > d, <none> <x@y.z>", "a < b and c > d, <none> <x@y.z>"),
        ('<p class="x">P</p><br/>Q', "P Q"),
    ],
)
def test_tags_are_taken_out(tagged: str, text: str) -> None:
    assert " ".join(without_tags(tagged).split()) == text
