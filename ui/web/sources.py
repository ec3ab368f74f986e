"""Write the papers behind one answer as safe HTML, cited sentences marked. Pure functions; no answer text."""

from collections.abc import Collection, Iterable
from html import escape
from itertools import pairwise
from urllib.parse import quote, urlsplit

from index.paper import Paper
from index.writers.addresses import web_address
from rag.answer import Citation, Source

from .render import shorten_question
from .turn import Turn, mark_id, paper_anchor

SHOWN_AUTHORS = 4


def render_sources(turn: Turn) -> str:
    """Return the papers of one turn as a ``<section>``: cited ones open, the others folded below."""
    markers = {citation.paper_id: citation.marker for citation in turn.citations}
    cited = sorted((s for s in turn.sources if s.paper.id in markers), key=lambda s: markers[s.paper.id])
    others = [source for source in turn.sources if source.paper.id not in markers]
    body = "".join(_cited_paper(turn, source, markers[source.paper.id]) for source in cited)
    if turn.error and not turn.sources:
        body = '<p class="cw-facts">No papers were read for this question.</p>'
    return (
        f'<section class="cw-sources" id="cw-sources-{turn.number}" data-turn="{turn.number}" tabindex="-1"'
        f' aria-label="Sources of question {turn.number}"><header class="cw-sources-head">'
        f'<p class="cw-for">{escape(shorten_question(turn.question))}</p>'
        f'<a class="cw-back" href="#cw-turn-{turn.number}" data-back="cw-turn-{turn.number}">Back to the answer</a>'
        f"</header>{body}{_considered(turn, others, opened=not cited)}</section>"
    )


def highlight(abstract: str, spans: Collection[tuple[int, int, str]]) -> str:
    """Return an abstract as HTML with ``<mark>`` around the given spans, exact to the character.

    Overlapping spans are cut where one begins or ends: each piece names every span it belongs to in
    ``data-spans``, and the first piece of a span carries its id.

    Args:
        abstract: The text that the offsets refer to.
        spans: Start, end (one past the last character) and id of each span; ids are distinct.

    Returns:
        Escaped HTML whose text content equals ``abstract``.

    Example:
        >>> highlight("a < b", [(0, 1, "x")])
        '<mark id="x" tabindex="-1" data-spans="x">a</mark> &lt; b'
    """
    cuts = sorted({0, len(abstract), *(cut for start, end, _ in spans for cut in (start, end))})
    pieces, named = [], set()
    for begin, finish in pairwise(cuts):
        text = escape(abstract[begin:finish])
        names = [name for start, end, name in spans if start <= begin and finish <= end]
        if not names:
            pieces.append(text)
            continue
        first = [name for name in names if name not in named]
        named.update(names)
        # An element has one id; two spans that begin together are told apart by data-spans alone.
        identity = f' id="{escape(first[0])}" tabindex="-1"' if first else ""
        pieces.append(f'<mark{identity} data-spans="{escape(" ".join(names))}">{text}</mark>')
    return "".join(pieces)


def paper_url(paper: Paper) -> str:
    """Return where to read a paper, "" when unknown."""
    if url := web_address(paper.url):
        return url
    if paper.doi:
        return f"https://doi.org/{quote(paper.doi)}"
    if paper.id.startswith("arxiv:"):
        return f"https://arxiv.org/abs/{quote(paper.id.removeprefix('arxiv:'))}"
    return ""


def _cited_paper(turn: Turn, source: Source, marker: int) -> str:
    citations = [citation for citation in turn.citations if citation.paper_id == source.paper.id]
    spans = {(citation.start, citation.end, mark_id(turn, citation)) for citation in citations}
    return (
        f'<article class="cw-paper" id="{paper_anchor(turn, source.paper.id)}" tabindex="-1">'
        f'<h3><span class="cw-number">{marker}</span>{escape(source.paper.title)}</h3>{_facts(source.paper)}'
        f'<p class="cw-abstract">{highlight(source.paper.abstract, sorted(spans))}</p>'
        f'<div class="cw-under">{_support(citations)}{_why(source)}</div></article>'
    )


def _considered(turn: Turn, sources: Iterable[Source], *, opened: bool) -> str:
    papers = "".join(
        f'<details class="cw-other" id="{paper_anchor(turn, source.paper.id)}" tabindex="-1">'
        f"<summary>{escape(source.paper.title)}</summary>{_facts(source.paper)}"
        f'<p class="cw-abstract">{escape(source.paper.abstract)}</p>'
        f'<div class="cw-under">{_why(source)}</div></details>'
        for source in sources
    )
    if not papers:
        return ""
    count = papers.count('<details class="cw-other"')
    label = f"{count} paper{'' if count == 1 else 's'} considered{'' if opened else ', not cited'}"
    return f'<details class="cw-considered"{" open" if opened else ""}><summary>{label}</summary>{papers}</details>'


def _facts(paper: Paper) -> str:
    authors = ", ".join(paper.authors[:SHOWN_AUTHORS]) + (" et al." if len(paper.authors) > SHOWN_AUTHORS else "")
    facts = [escape(fact) for fact in (authors, paper.venue, str(paper.year or "")) if fact]
    if url := paper_url(paper):
        host = escape((urlsplit(url).hostname or "").removeprefix("www."))
        facts.append(f'<a href="{escape(url)}" target="_blank" rel="noopener noreferrer">{host}</a>')
    return f'<p class="cw-facts">{" · ".join(facts)}</p>' if facts else ""


def _support(citations: Iterable[Citation]) -> str:
    best: dict[tuple[int, int], float] = {}
    for citation in citations:
        span = (citation.start, citation.end)
        best[span] = max(citation.support, best.get(span, 0.0))
    scores = ", ".join(f"{best[span]:.2f}" for span in sorted(best))
    meaning = "How well the marked text supports the answer, 0 to 1"
    return f'<span class="cw-support" title="{meaning}">Support {scores}</span>'


def _why(source: Source) -> str:
    rows = {
        "By meaning": _rank(source.dense_rank, source.dense_score),
        "By keywords": _rank(source.keyword_rank, source.keyword_score),
        "Best sentence": f"{source.sentence_score:.2f}",
        "Together": _rank(source.rank, source.score),
    }
    if source.evidence_score is not None:
        rows["Answers the question"] = f"{source.evidence_score:.2f}"
    cells = "".join(f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in rows.items())
    return f'<details class="cw-why"><summary>Why it was found</summary><dl>{cells}</dl></details>'


def _rank(rank: int | None, score: float) -> str:
    return f"no. {rank} ({score:.2f})" if rank else f"not ranked ({score:.2f})"
