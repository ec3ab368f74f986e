"""Hostile texts in papers, questions and answers reach a page, a Markdown file or a terminal as text only."""

import io
import re
import unicodedata
from dataclasses import replace
from html import unescape
from html.parser import HTMLParser

import pytest
from attacks import ATTACKS, EVIL, Attack

from index.paper import Paper
from index.readers import bibtex as bibtex_reader
from rag.answer import Answer, AnswerSentence, Citation, DroppedSentence, Source, Trace
from rag.safety import MARKER
from ui.cli.layout import lay_out_answer, lay_out_hits
from ui.cli.output import printable
from ui.web.render import render_turn
from ui.web.sources import paper_url, render_sources
from ui.web.turn import Turn

URL = "https://example.org/paper"
PLAIN = "Plain words."
every_attack = pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: f"{attack.place}-{attack.name}")


def answer_with(text: str, paper: Paper, status: str = "partial") -> Answer:
    """Return an answer with a text in every place that holds text."""
    citation = Citation(1, paper.id, paper.abstract, 0, len(paper.abstract), 0.5)
    sentences = (
        AnswerSentence(text, 0.5, (citation,), label=text, highlight=(0, min(4, len(text)))),
        AnswerSentence(text, 0.5, (citation,), label=text),
        AnswerSentence(text, 0.5, (), unsupported=text),
        AnswerSentence(text, 0.5, ()),
    )
    sources = (
        Source(paper, 1, 1.0, 0.5, 0.5, 0.5, 1, 1, 1),
        Source(replace(paper, id="other"), 2, 1.0, 0.5, 0.5, 0.5, 2, 2),
    )
    trace = Trace(standalone_question=f"{text}?", notes=(f"{text}!",))
    dropped = (DroppedSentence(text, text, 0.1),)
    if status == "refused":
        return Answer(text, "refused", (), sources, (paper,), (), text, trace)
    return Answer(text, "partial", sentences, sources, (), dropped, text, trace)


def paper_with(text: str) -> Paper:
    """Return a paper with a text in every field, as it is stored."""
    return Paper.create(
        f"{text} x", f"{text} x", id="doi:10.1/x", authors=(f"{text} x", f"x {text}"), venue=text, url=URL
    )


def raw_paper_with(text: str) -> Paper:
    """Return a paper that no reader has cleaned, such as one of a conversation file."""
    return Paper(text, text, text or "x", authors=(text,), venue=text, url=text, doi=text)


class Page(HTMLParser):
    """Collects the elements, addresses and text of a piece of HTML, and checks that elements are closed."""

    def __init__(self, *html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: set[tuple[str, tuple[str, ...]]] = set()
        self.addresses: list[str] = []
        self.text = ""
        self.open: list[str] = []
        for piece in html:
            self.feed(piece)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.add((tag, tuple(sorted(name for name, _ in attrs))))
        self.addresses += [value or "" for name, value in attrs if name in ("href", "src", "action", "srcset")]
        self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data

    def handle_comment(self, data: str) -> None:
        raise AssertionError(f"a comment: {data}")

    def handle_decl(self, decl: str) -> None:
        raise AssertionError(f"a declaration: {decl}")

    def handle_pi(self, data: str) -> None:
        raise AssertionError(f"an instruction: {data}")


def pages(text: str, paper: Paper) -> tuple[Page, ...]:
    """Return the pages of a settled, a refused, a running and a failed turn."""
    answer, refused = answer_with(text, paper), answer_with(text, paper, "refused")
    settled = Turn(
        1,
        text,
        where=text,
        sources=answer.sources,
        sentences=answer.sentences,
        corrected=frozenset({0}),
        dropped=answer.dropped,
        answer=answer,
    )
    turns = (
        settled,
        Turn(2, text, sources=refused.sources, answer=refused),
        replace(settled, answer=None, draft=text, progress=text),
        Turn(4, text, error=text),
    )
    return tuple(Page(render_turn(turn), render_sources(turn)) for turn in turns)


@every_attack
@pytest.mark.parametrize("make", [paper_with, raw_paper_with])
def test_a_page_has_the_elements_of_a_harmless_one(attack: Attack, make) -> None:
    paper = make(attack.text)
    for page, harmless in zip(pages(attack.text, paper), pages(PLAIN, paper_with(PLAIN)), strict=True):
        assert page.elements <= harmless.elements
        for address in page.addresses:
            assert address.startswith("#cw-") or address == paper_url(paper)
            assert address.startswith(("#cw-", "https://", "http://"))
    shown = " ".join(pages(attack.text, paper)[0].text.split())
    assert " ".join(attack.text.split()) in shown


# -- Markdown --------------------------------------------------------------------------------------------------

INLINE = {"text", "text_special", "strong_open", "strong_close", "em_open", "em_close", "softbreak"}


def parsed(markdown: str) -> tuple[list[str], set[str], list[str], str]:
    """Return the blocks, the kinds of inline markup, the addresses and the text of a Markdown document."""
    markdown_it = pytest.importorskip("markdown_it")
    reader = markdown_it.MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
    blocks, kinds, addresses, text = [], set(), [], ""
    for token in reader.parse(markdown):
        blocks.append(token.type)
        for child in token.children or ():
            if child.type == "link_open":
                addresses.append(str(child.attrs["href"]))
            elif child.type != "link_close":
                kinds.add(child.type)
            text += " " if child.type == "softbreak" else child.content
        text += "\n" if token.type == "inline" else ""
    return blocks, kinds, addresses, text


def with_parentheses(text: str) -> str:
    """Return a text as it is shown, its fake markers in parentheses."""
    signs = {"Ps": "(", "Pe": ")"}
    return MARKER.sub(lambda m: "".join(signs.get(unicodedata.category(c), c) for c in m[0]), text)


@every_attack
@pytest.mark.parametrize("status", ["partial", "refused"])
def test_markdown_has_the_structure_of_a_harmless_document(attack: Attack, status: str) -> None:
    text = " ".join(attack.text.split())
    markdown = answer_with(text, paper_with(text), status).to_markdown()
    blocks, kinds, addresses, shown = parsed(markdown)
    assert blocks == parsed(answer_with(PLAIN, paper_with(PLAIN), status).to_markdown())[0]
    assert kinds <= INLINE
    assert set(addresses) == {URL}
    assert not re.search(
        r"(?<!\\)(?:!?\[(?!1\])|<(?!https://example)|\$|`)|(?<!<https)(?<!\\):(?=//)|www\.|\w@", markdown
    )
    visible = "".join(c for c in text if not unicodedata.category(c).startswith("C"))
    assert " ".join(with_parentheses(visible).split()) in " ".join(with_parentheses(shown).split())


@every_attack
def test_markdown_of_what_no_reader_cleaned_has_no_markup_either(attack: Attack) -> None:
    blocks, kinds, addresses, _ = parsed(answer_with(attack.text, raw_paper_with(attack.text)).to_markdown())
    assert kinds <= INLINE
    assert all(address.startswith(("https://", "http://")) for address in addresses)
    assert not {"html_block", "fence", "code_block", "hr", "table_open"} & set(blocks)


# -- terminal and files ----------------------------------------------------------------------------------------


@every_attack
@pytest.mark.parametrize("width", [0, 80])
def test_a_terminal_gets_no_escape_sequence_and_no_fake_source(attack: Attack, width: int) -> None:
    text = " ".join(attack.text.split())
    answer = answer_with(text, paper_with(text))
    for shown in (
        lay_out_answer(answer, width),
        lay_out_hits(list(answer.sources), width),
        answer_with(text, paper_with(text), "refused").text,
    ):
        printed = printable(shown)
        assert not [c for c in printed if c not in "\n\t" and unicodedata.category(c).startswith("C")]
    lines = lay_out_answer(answer, 0).splitlines()
    sources = lines[lines.index("Sources:") :]
    assert len([line for line in sources if re.match(r"\[\d+\] ", line)]) == len(answer.cited) == 1


@every_attack
def test_the_markers_of_a_text_are_those_of_its_citations(attack: Attack) -> None:
    text = printable(" ".join(attack.text.split()))
    assert set(MARKER.findall(answer_with(text, paper_with(text)).text)) == {"[1]"}


@every_attack
def test_bibtex_stays_one_entry_of_the_same_paper(attack: Attack) -> None:
    paper = paper_with(attack.text)
    (read,) = bibtex_reader.read(io.StringIO(answer_with(PLAIN, paper).to_bibtex()), "")
    assert isinstance(read, Paper)

    def bare(text: str) -> str:
        return re.sub(r"[{}\s]", "", unescape(text))  # the reader takes "&lt;" for what it stands for

    assert bare(read.title) == bare(paper.title)
    assert bare(read.abstract) == bare(paper.abstract)
    assert read.url == URL


def test_an_answer_survives_its_json_whatever_it_holds() -> None:
    for attack in ATTACKS:
        answer = answer_with(attack.text, raw_paper_with(attack.text))
        assert Answer.from_dict(answer.to_dict()) == answer


def test_an_address_of_a_model_is_no_link_in_markdown() -> None:
    markdown = answer_with(f"See {EVIL} and www.evil.example", paper_with(PLAIN)).to_markdown()
    assert "https\\://evil.example" in markdown
    assert "www\\.evil.example" in markdown
