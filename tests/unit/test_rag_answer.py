"""The answer types: text, Markdown, BibTeX, and a JSON form that loses nothing."""

import json
import re
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from index.paper import Paper
from rag.answer import Answer, AnswerSentence, Citation, DroppedSentence, Source, Trace
from rag.chat import ChatSession
from rag.render import bibtex, web_address

PAPER = Paper(
    id="arxiv:1706.03762",
    title="Attention Is All You Need",
    abstract="We propose the Transformer. It is fast.",
    authors=("Ashish Vaswani", "Noam Shazeer"),
    year=2017,
    venue="NeurIPS",
    url="https://arxiv.org/abs/1706.03762",
)
OTHER = Paper(
    id="title:0", title="50% of {Graphs} & *Trees*", abstract="<img src=x onerror=alert(1)> [link](http://x)."
)


def source(paper: Paper, rank: int, marker: int | None) -> Source:
    return Source(paper, rank, 1.5, 0.6, 0.7, 0.5, rank, None, marker)


def quote(paper: Paper, marker: int, start: int, end: int) -> AnswerSentence:
    text = paper.abstract[start:end]
    return AnswerSentence(text, 1.0, (Citation(marker, paper.id, text, start, end, 1.0),))


ANSWER = Answer(
    question="What is proposed?",
    status="answered",
    sentences=(quote(PAPER, 1, 0, 27), quote(PAPER, 1, 28, 39)),
    sources=(source(PAPER, 1, 1), source(OTHER, 2, None)),
    dropped=(DroppedSentence("It cures.", "no abstract says so", 0.1),),
    trace=Trace(standalone_question="What is proposed?", notes=("a note",), timings_ms={"total": 3.0}),
)


def test_markers_stand_before_the_final_stop() -> None:
    assert ANSWER.text == "We propose the Transformer [1]. It is fast [1]."


def test_a_sentence_without_a_source_says_so_where_it_is_marked() -> None:
    marked = AnswerSentence("It cures <b>all</b>.", 0.1, (), unsupported="no abstract says so")
    both = replace(ANSWER, sentences=(*ANSWER.sentences[1:], marked))
    assert both.text == "It is fast [1]. It cures <b>all</b> (no source)."
    assert "It is fast [1]. It cures \\<b\\>all\\</b\\> (no source)." in both.to_markdown()
    assert both.to_bibtex() == ANSWER.to_bibtex()


def test_an_answer_may_cite_nothing() -> None:
    bare = replace(ANSWER, sentences=(AnswerSentence("It cures.", 0.1, ()),), sources=(source(OTHER, 1, None),))
    assert bare.text == "It cures."
    assert bare.to_markdown() == "## What is proposed?\n\nIt cures.\n"
    assert bare.to_bibtex() == ""
    assert Answer.from_dict(bare.to_dict()) == bare


def test_labelled_sentences_are_lines_of_a_list() -> None:
    listed = replace(
        ANSWER,
        sentences=(
            replace(ANSWER.sentences[0], label="Attention"),
            replace(quote(OTHER, 2, 0, 28), label="Trees"),
        ),
    )
    assert listed.text.splitlines() == [
        "- Attention — We propose the Transformer [1].",
        "- Trees — <img src=x onerror=alert(1)> [2]",
    ]


def test_a_refusal_says_why() -> None:
    refused = Answer("q", "refused", nearest=(PAPER,), reason="Nothing is near.")
    assert refused.text == "The papers in this collection do not answer this. Nothing is near."
    assert "Attention Is All You Need" in refused.to_markdown()
    assert "vaswani2017attention" in refused.to_bibtex()


def test_markdown_holds_quotes_and_references_and_no_live_markup() -> None:
    text = replace(ANSWER, sentences=(quote(OTHER, 1, 0, 45),), sources=(source(OTHER, 1, 1),)).to_markdown()
    assert "<img" not in text.replace("\\<img", "")
    assert "](http" not in text.replace("\\](http", "")
    assert "\\> " not in text.split("### References")[0].splitlines()[0]
    assert "1. **50% of \\{Graphs\\} & \\*Trees\\***" in text


def test_bibtex_has_one_entry_per_cited_paper_with_distinct_keys() -> None:
    twins = (source(PAPER, 1, 1), source(replace(PAPER, id="b"), 2, 2))
    entries = replace(ANSWER, sources=twins).to_bibtex()
    assert "@article{vaswani2017attention,\n" in entries
    assert "@article{vaswani2017attentiona,\n" in entries
    assert "  author = {Ashish Vaswani and Noam Shazeer},\n" in entries
    assert "eprint = {1706.03762}" in entries


def test_bibtex_escapes_what_latex_would_read() -> None:
    refused = Answer("q", "refused", nearest=(OTHER,), reason="")
    assert "title = {{50\\% of Graphs \\& *Trees*}}" in refused.to_bibtex()


def test_json_round_trip_is_exact() -> None:
    assert Answer.from_dict(json.loads(json.dumps(ANSWER.to_dict()))) == ANSWER


@pytest.mark.parametrize("damage", [{"schema_version": 99}, {"sentences": [{"text": "x"}]}, {"sources": None}])
def test_a_foreign_form_is_refused(damage: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"schema_version|not an answer"):
        Answer.from_dict({**ANSWER.to_dict(), **damage})


def test_timings_do_not_make_answers_differ() -> None:
    assert replace(ANSWER, trace=replace(ANSWER.trace, timings_ms={})) == ANSWER


@given(st.text(min_size=1), st.floats(0, 1))
def test_any_text_survives_the_round_trip(text: str, support: float) -> None:
    sentence = AnswerSentence(text, support, (Citation(1, "id", text, 0, len(text), support),), label=text)
    answer = Answer(text, "partial", (sentence,), reason=text)
    assert Answer.from_dict(answer.to_dict()) == answer


@pytest.mark.parametrize("data", [[], "text", 3, None, True, [1, 2], {}, {"schema_version": [1]}])
def test_json_that_is_no_answer_is_refused(data: Any) -> None:
    with pytest.raises(ValueError, match=r"not an answer|schema_version"):
        Answer.from_dict(data)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the path of every value in a JSON document but the open ``extra``."""
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    below = [found for name, item in inside if name != "extra" for found in places(item, (*path, name))]
    return [*([path] if path and path[0] not in ("text", "schema_version") else []), *below]


@pytest.mark.parametrize("wrong", [{"a": 1}, [[]], "x", 3, 2.5, True, None], ids=repr)
def test_a_value_of_the_wrong_type_is_refused_by_name_or_taken_as_it_is(wrong: Any) -> None:
    whole = json.loads(json.dumps(replace(ANSWER, nearest=(OTHER,)).to_dict()))
    for path in places(whole):
        damaged = json.loads(json.dumps(whole))
        holder = damaged
        for name in path[:-1]:
            holder = holder[name]
        holder[path[-1]] = wrong
        with suppress(ValueError):
            answer = Answer.from_dict(damaged)
            assert json.loads(json.dumps(answer.to_dict())) == {**damaged, "text": answer.text}
            answer.to_markdown()
            answer.to_bibtex()


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        ({"status": "maybe"}, "status is 'maybe', not answered or partial or refused"),
        ({"status": 1}, "status is 1"),
        ({"question": None}, "question is None, not a text"),
        ({"sentences": [{"text": "x"}]}, r"sentences\[0\].citations is missing"),
        (
            {"dropped": [{"text": "x", "reason": "", "support": "high"}]},
            r"dropped\[0\].support is 'high', not a number",
        ),
        ({"colour": "red"}, "colour is not known"),
        ({"nearest": ["x" * 90]}, r"nearest\[0\] is 'x{39}…, not an object"),
    ],
)
def test_what_is_wrong_is_named(damage: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Answer.from_dict({**ANSWER.to_dict(), **damage})


@pytest.mark.parametrize(
    "content",
    ["", "[]", "3", '"x"', "null", "{}", '{"schema_version": 1}', '{"schema_version": 1, "answers": 3}',
     '{"schema_version": 1, "answers": [3]}', '{"schema_version": 1, "answers": {"a": 1}}', '{"schema_version": 7}',
     "[" * 100_000],
)  # fmt: skip
def test_a_file_that_is_no_conversation_is_refused_in_words(tmp_path: Path, content: str) -> None:
    path = tmp_path / "talk.json"
    path.write_text(content)
    with pytest.raises(ValueError, match=r"talk\.json is not a saved conversation: "):
        ChatSession.load(path, None)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("url", "sound"),
    [
        ("https://arxiv.org/abs/1706.03762v2", True),
        ("http://user@example.org:80/a?b=c&d=%20#e~f", True),
        ("https://例え.jp/日本", True),
        ("", False),
        ("http://[bad", False),
        ("http://", False),
        ("https:example.org", False),
        ("//example.org", False),
        ("javascript:alert(1)", False),
        ("data:text/html,x", False),
        ("java\nscript:x", False),
        ("http://a.b/ c", False),
        ("http://a.b/<img>", False),
        ('http://a.b/"x', False),
        ("https://a.b/}, note={x", False),
        ("https://a.b/\\input", False),
    ],
)
def test_only_whole_web_addresses_are_linked(url: str, sound: bool) -> None:
    assert web_address(url) == (url if sound else "")
    linked = f"<{url}>" in Answer("q", "refused", nearest=(replace(PAPER, url=url),)).to_markdown()
    assert linked == sound


HOSTILE = st.lists(st.sampled_from([*"{}\\~^%&#$_,=\n x", "@misc{k,", "\\input{x}", "}, note={", "https://a.b/"])).map(
    "".join
)


def fields_of(entry: str) -> dict[str, str]:
    """Read an entry as BibTeX does: by counting braces."""
    found, depth, start = {}, 0, 0
    body = entry[entry.index(",") + 1 : entry.rindex("}")]
    for place, sign in enumerate(body):
        depth += {"{": 1, "}": -1}.get(sign, 0)
        assert depth >= 0
        if sign == "," and depth == 0:
            name, _, value = body[start:place].partition("=")
            found[name.strip()] = value.strip()[1:-1]
            start = place + 1
    assert depth == 0
    assert not body[start:].strip()
    return found


@given(HOSTILE, HOSTILE, HOSTILE)
def test_no_text_of_a_paper_becomes_a_field_or_a_command(one: str, two: str, three: str) -> None:
    paper = Paper(f"arxiv:{one}", two, three, (one, two), 2020, three, f"https://a.b/{one}", two)
    fields = fields_of(bibtex([paper]))
    names = {"title", "author", "year", "journal", "doi", "url", "abstract", "eprint", "archiveprefix"}
    assert fields.keys() <= names
    for value in fields.values():
        commands = re.sub(r"\\(?:[%&#$_]|text(?:backslash|asciitilde|asciicircum)\{\})", "", value)
        assert "\\" not in commands
        assert "~" not in commands
        assert "^" not in commands


def test_a_url_with_a_field_in_it_is_not_written() -> None:
    paper = replace(PAPER, url="https://a.b/}, note={\\input{x}} ,x={", doi="10.1000/a_b}, note={x")
    entry = bibtex([paper])
    assert "url" not in fields_of(entry)
    assert fields_of(entry)["doi"] == "10.1000/a_b%7D,%20note=%7Bx"
    assert fields_of(bibtex([PAPER]))["url"] == PAPER.url
