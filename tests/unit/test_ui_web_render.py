"""The HTML of answers and sources: exact highlights, nothing unescaped, one place per citation."""

import re
from dataclasses import replace
from html import unescape
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from index.paper import Paper
from rag.answer import Answer, AnswerSentence, Citation, DroppedSentence, Source, Trace
from rag.events import Done
from ui.web.chat import advance
from ui.web.render import SHOWN_QUESTION_CHARS, render_status, render_turn, shorten_question
from ui.web.sources import highlight, paper_url, render_sources
from ui.web.turn import Turn, mark_id, paper_anchor

HOSTILE = "<img src=x onerror=alert(1)> <script>alert(2)</script> ![x](http://evil.example/a.png) ${1} {{this}} \"'"
MIXER = Paper(
    id="arxiv:2304.05659",
    title="RIFormer: Keep Your Vision Backbone Effective",
    abstract="Token mixers are costly. We remove them. Accuracy stays.",
    authors=("A. One", "B. Two", "C. Three", "D. Four", "E. Five"),
    year=2023,
    venue="CVPR",
)
NASTY = Paper('x"><b>', HOSTILE, HOSTILE, authors=(HOSTILE,), venue=HOSTILE, url="javascript:alert(3)")


class Reader(HTMLParser):
    """Collects the tags, the ids and the text of a piece of HTML, and checks that tags are closed."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.open: list[str] = []
        self.attributes: list[dict[str, str | None]] = []
        self.text = ""
        self.marked: list[str] = []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.open.append(tag)
        self.attributes.append(dict(attrs))
        if tag == "mark":
            self.marked.append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data
        if "mark" in self.open:
            self.marked[-1] += data

    @property
    def ids(self) -> list[str]:
        return [value for attributes in self.attributes if (value := attributes.get("id"))]


def source(paper: Paper, rank: int = 1, marker: int | None = None) -> Source:
    return Source(paper, rank, 1.5, 0.71, 0.77, 0.52, 1, None, marker)


def cite(marker: int, paper: Paper, quote: str, support: float = 0.875) -> Citation:
    start = paper.abstract.index(quote)
    return Citation(marker, paper.id, quote, start, start + len(quote), support)


def turn_of(answer: Answer, number: int = 1) -> Turn:
    return advance(Turn(number, answer.question), Done(answer))


@pytest.fixture
def answered() -> Turn:
    sentences = (
        AnswerSentence("RIFormer removes token mixers.", 0.875, (cite(1, MIXER, "We remove them."),)),
        AnswerSentence("Nothing is lost.", 0.5, (cite(1, MIXER, "Accuracy stays.", 0.5),)),
    )
    return turn_of(Answer("Which?", "answered", sentences, (source(MIXER, marker=1), source(NASTY, 2))))


def test_a_marker_names_its_source_its_quote_and_its_support(answered: Turn) -> None:
    links = [a for a in Reader(render_turn(answered)).attributes if a.get("class") == "cw-marker"]
    assert len(links) == 2
    assert links[0]["aria-label"] == "Source 1: RIFormer: Keep Your Vision Backbone Effective"
    assert links[0]["title"] == "“We remove them.” (support 0.88)"
    assert links[0]["href"] == "#cw-1-1-25-40"


def test_every_marker_leads_to_the_mark_with_its_exact_quote(answered: Turn) -> None:
    sources = Reader(render_sources(answered))
    assert sources.marked == ["We remove them.", "Accuracy stays."]
    for link in Reader(render_turn(answered)).attributes:
        if link.get("class") == "cw-marker":
            assert link["data-goto"] in sources.ids
            assert link["data-turn"] == "1"


def test_turns_share_no_id(answered: Turn) -> None:
    pages = [Reader(render(replace(answered, number=n))) for n in (1, 2) for render in (render_turn, render_sources)]
    ids = [name for page in pages for name in page.ids]
    assert len(ids) == len(set(ids))


def test_quotes_of_one_paper_share_a_marker() -> None:
    citations = (cite(1, MIXER, "We remove them."), cite(1, MIXER, "Accuracy stays.", 0.25))
    answer = Answer("?", "answered", (AnswerSentence("Both.", 0.9, citations),), (source(MIXER, marker=1),))
    links = [a for a in Reader(render_turn(turn_of(answer))).attributes if a.get("class") == "cw-marker"]
    assert [link["data-goto"] for link in links] == ["cw-1-1-25-40 cw-1-1-41-56"]
    assert links[0]["title"] == "“We remove them.” (support 0.88)\n“Accuracy stays.” (support 0.25)"


def test_hostile_text_is_shown_as_text() -> None:
    citation = Citation(1, NASTY.id, HOSTILE, 0, len(HOSTILE), 0.5)
    answer = Answer(
        HOSTILE,
        "partial",
        (AnswerSentence(HOSTILE, 0.5, (citation,), label=HOSTILE),),
        (source(NASTY, marker=1), source(replace(NASTY, id="other"), 2)),
        dropped=(DroppedSentence(HOSTILE, HOSTILE, 0.1),),
        reason=HOSTILE,
        trace=Trace(standalone_question=HOSTILE + "?", notes=(HOSTILE + "!",)),
    )
    for html in (
        render_turn(turn_of(answer)),
        render_sources(turn_of(answer)),
        render_turn(Turn(1, HOSTILE, progress=HOSTILE, draft=HOSTILE)),
        render_turn(Turn(1, HOSTILE, error=HOSTILE)),
        render_turn(Turn(1, HOSTILE, sentences=(AnswerSentence(HOSTILE, 0.1, (), unsupported=HOSTILE),))),
        render_turn(turn_of(Answer(HOSTILE, "refused", nearest=(NASTY,), sources=(source(NASTY),), reason=HOSTILE))),
        render_status(3, HOSTILE),
    ):
        page = Reader(html)
        assert not {"img", "script"} & set(page.tags)
        assert not [name for attributes in page.attributes for name in attributes if name.startswith("on")]
        assert not [a for a in page.attributes if (a.get("href") or "#").startswith("javascript")]
        assert HOSTILE in page.text


def test_labelled_sentences_have_a_line_each() -> None:
    def sentence(text: str, label: str) -> AnswerSentence:
        return AnswerSentence(text, 0.9, (cite(1, MIXER, "We remove them."),), label=label)

    many = (sentence("Two papers do.", ""), sentence("It removes mixers.", "RIFormer"), sentence("It adds.", "Other"))
    html = render_turn(turn_of(Answer("?", "answered", many, (source(MIXER, marker=1),))))
    assert Reader(html).tags.count("li") == 2
    assert '<li><strong>RIFormer</strong> It removes <span class="cw-end">mixers.<a' in html
    one = render_turn(turn_of(Answer("?", "answered", many[1:2], (source(MIXER, marker=1),))))
    assert '<p><strong>RIFormer</strong> It removes <span class="cw-end">mixers.<a' in one
    assert "<li>" not in one


def test_a_refusal_says_why_and_links_the_nearest_papers() -> None:
    elsewhere = replace(MIXER, id="elsewhere", title="Not retrieved")
    turn = turn_of(Answer("?", "refused", (), (source(MIXER),), (MIXER, elsewhere), reason="No abstract is about it."))
    page = Reader(render_turn(turn))
    assert "The papers in this collection do not answer this." in page.text
    assert "No abstract is about it." in page.text
    goto = [a["data-goto"] for a in page.attributes if "data-goto" in a]
    assert goto == [paper_anchor(turn, MIXER.id), "cw-sources-1"]
    assert "Not retrieved" in page.text
    assert "1 paper considered<" in render_sources(turn)


def test_dropped_sentences_are_folded_with_their_reason() -> None:
    dropped = (DroppedSentence("It cures.", "no abstract says so", 0.123),)
    done = turn_of(Answer("?", "partial", dropped=dropped, reason="Stopped."))
    for html in (render_turn(done), render_turn(Turn(1, "?", dropped=dropped))):
        assert '<details class="cw-aside"><summary>1 sentence was left out</summary>' in html
        assert "<li><q>It cures.</q> <span>No abstract says so (support 0.12)</span></li>" in html
        assert html.count("<details") - html.count("hidden>") == 1
    assert '<p class="cw-note">Stopped.</p>' in render_turn(done)
    assert "2 sentences were left out" in render_turn(Turn(1, "?", dropped=dropped * 2))


def test_what_comes_later_replaces_no_earlier_part() -> None:
    """The script patches part by part: a fold that a reader opened must stay the same element."""
    said = AnswerSentence("RIFormer removes token mixers.", 0.875, (cite(1, MIXER, "We remove them."),))
    live = Turn(1, "?", progress="Writing", draft="It")
    turns = (
        live,
        replace(live, sentences=(said,), corrected=frozenset({0}), draft=""),
        turn_of(Answer("?", "refused")),
    )
    for turn in turns:
        parts = re.findall(r'class="(cw-text|cw-progress|cw-asides|cw-aside)"', render_turn(turn))
        assert parts == ["cw-text", "cw-progress", "cw-asides", "cw-aside", "cw-aside", "cw-aside"]


def test_a_corrected_citation_says_so_without_alarm(answered: Turn) -> None:
    html = render_turn(replace(answered, corrected=frozenset({1})))
    links = [a for a in Reader(html).attributes if "cw-marker" in (a.get("class") or "")]
    assert [link["class"] for link in links] == ["cw-marker", "cw-marker cw-corrected"]
    assert (links[1]["title"] or "").endswith("Citation set by code. The language model named another paper or none.")
    assert "Citation set by code" not in (links[0]["title"] or "")
    assert "<summary>1 citation was set by code</summary>" in html


def test_a_sentence_without_a_source_is_marked_where_that_is_wished(answered: Turn) -> None:
    bare = AnswerSentence("It cures <b>.", 0.123, ())
    marked = replace(bare, unsupported='no abstract says "so"')
    html = render_turn(replace(answered, sentences=(*answered.sentences, marked)))
    assert '<span class="cw-unsupported">It cures <span class="cw-end">&lt;b&gt;.' in html
    assert 'title="No abstract says &quot;so&quot;">no source</span></span></span>' in html
    assert "<summary>1 sentence has no source</summary>" in html
    assert "No abstract says &quot;so&quot; (support 0.12)" in html
    html = render_turn(replace(answered, sentences=(*answered.sentences, bare)))
    assert "It cures &lt;b&gt;.</p>" in html
    assert "cw-no-source" not in html
    alone = turn_of(Answer("?", "answered", (bare,), (source(MIXER),)))
    assert "It cures &lt;b&gt;." in Reader(render_turn(alone)).text.replace("<b>", "&lt;b&gt;")
    assert "1 paper considered<" in render_sources(alone)


def test_a_live_turn_shows_the_unsettled_text_and_is_busy() -> None:
    html = render_turn(Turn(4, "Why?", progress="Reading 8 abstracts…", draft="Because <b>"))
    assert 'aria-busy="true"' in html
    assert '<p><span class="cw-draft" aria-hidden="true">Because &lt;b&gt;</span></p>' in html
    assert "Reading 8 abstracts…" in html
    assert "cw-tools" not in html


def test_a_draft_stands_where_its_sentence_will(answered: Turn) -> None:
    html = render_turn(replace(answered, answer=None, draft="  And then"))
    assert '</a></span> <span class="cw-draft" aria-hidden="true">And then</span></p>' in html
    assert "cw-draft" not in render_turn(replace(answered, answer=None, draft=" "))


def test_a_long_question_is_cut() -> None:
    shown = shorten_question("x" * 100_000)
    assert shown == "x" * SHOWN_QUESTION_CHARS + "… (100,000 characters)"


def test_sources_show_what_is_known_and_why() -> None:
    text = Reader(render_sources(turn_of(Answer("?", "refused", sources=(source(MIXER),))))).text
    assert "A. One, B. Two, C. Three, D. Four et al. · CVPR · 2023 · arxiv.org" in text
    assert "By meaningno. 1 (0.71)" in text
    assert "By keywordsnot ranked (0.52)" in text


def test_uncited_papers_are_folded_below(answered: Turn) -> None:
    html = render_sources(answered)
    assert html.index('class="cw-paper"') < html.index('class="cw-considered"')
    assert "1 paper considered, not cited" in html
    assert " open" not in html


@pytest.mark.parametrize(
    ("fields", "url"),
    [
        ({"url": "https://example.org/p"}, "https://example.org/p"),
        ({"url": "javascript:alert(1)"}, ""),
        ({"url": "http://[bad"}, ""),
        ({"url": "http://[bad", "id": "arxiv:2304.05659"}, "https://arxiv.org/abs/2304.05659"),
        ({"url": "javascript:alert(1)", "doi": '10.1000/a"b'}, "https://doi.org/10.1000/a%22b"),
        ({"id": "arxiv:2304.05659"}, "https://arxiv.org/abs/2304.05659"),
        ({}, ""),
    ],
)
def test_links_are_web_addresses(fields: dict[str, str], url: str) -> None:
    assert paper_url(Paper(**{"id": "title:1", "title": "T", "abstract": "A", **fields})) == url  # type: ignore[arg-type]


def test_overlapping_spans_are_cut_where_one_begins_or_ends() -> None:
    html = highlight("abcdefgh", [(0, 5, "x"), (3, 7, "y")])
    assert html == (
        '<mark id="x" tabindex="-1" data-spans="x">abc</mark>'
        '<mark id="y" tabindex="-1" data-spans="x y">de</mark>'
        '<mark data-spans="y">fg</mark>h'
    )


@given(
    text=st.text(alphabet="ab <>&\"'é𝒳", min_size=1, max_size=40),
    cuts=st.lists(st.tuples(st.integers(0, 39), st.integers(1, 40)), max_size=4),
)
def test_highlight_keeps_the_text_and_marks_exactly_the_spans(text: str, cuts: list[tuple[int, int]]) -> None:
    spans = [(a, min(b, len(text)), f"s{n}") for n, (a, b) in enumerate(cuts) if a < min(b, len(text))]
    html = highlight(text, spans)
    assert Reader(html).text == text
    for start, end, name in spans:
        pieces = re.findall(rf'data-spans="[^"]*\b{name}\b[^"]*">([^<]*)</mark>', html)
        assert unescape("".join(pieces)) == text[start:end]


def test_the_status_line_says_how_many_papers_and_who_answers() -> None:
    assert Reader(render_status(1254, "evidence reader (no language model)")).text == (
        "1,254 papers · answers by: evidence reader (no language model)"
    )
    assert "1 paper<" in render_status(1, "x")
    assert "citewell add" in render_status(0, "x")


def test_a_mark_id_belongs_to_a_span_not_to_a_sentence(answered: Turn) -> None:
    citation = next(answered.citations)
    assert mark_id(answered, citation) == mark_id(answered, replace(citation, support=0.1))


def test_a_bad_address_does_not_break_the_page() -> None:
    source = Source(Paper("a", "T", "A.", url="http://[bad"), 1, 1.0, 0.5, 0.5, 0.5, 1, 1, 1)
    html = render_sources(Turn(1, "q", sources=(source,)))
    assert "T" in html
    assert "[bad" not in html
