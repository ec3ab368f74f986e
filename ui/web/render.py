"""Write a question and its answer as safe HTML. Pure functions; the sources panel is in ``ui.web.sources``.

Every piece of text passes :func:`html.escape`. The result is put into the page as it is: no Markdown reader
sees it, because one would find links and images in abstracts that are meant as text.
"""

from collections.abc import Iterable
from html import escape
from itertools import groupby

from rag.answer import Answer, AnswerSentence, Citation, DroppedSentence
from rag.render import REFUSAL

from .turn import Turn, mark_id, paper_anchor

SHOWN_QUESTION_CHARS = 400
KEPT_WORD_CHARS = 20


def render_turn(turn: Turn) -> str:
    """Return one question and its answer, as far as it is there, as a ``<section>``."""
    body = [_sentences(turn)]
    if turn.live:
        body += [_draft(turn.draft), _progress(turn.progress)]
    if turn.error:
        body.append(f'<p class="cw-card cw-error" role="alert">{escape(turn.error)}</p>')
    if turn.answer:
        body += _settled(turn, turn.answer)
    busy = ' aria-busy="true"' if turn.live else ""
    return (
        f'<section class="cw-turn" id="cw-turn-{turn.number}" tabindex="-1" aria-label="Question {turn.number}"{busy}>'
        f'<h2 class="cw-question">{escape(shorten_question(turn.question))}</h2>'
        f'{_filter(turn.where)}<div class="cw-answer">{"".join(body)}</div></section>'
    )


def shorten_question(question: str) -> str:
    """Return a question short enough to show; a cut one ends with its length.

    Example:
        >>> shorten_question("Why? ")
        'Why?'
    """
    question = question.strip()
    if len(question) <= SHOWN_QUESTION_CHARS:
        return question
    return f"{question[:SHOWN_QUESTION_CHARS].rstrip()}… ({len(question):,} characters)"


def render_status(papers: int, answerer: str) -> str:
    """Return the line that says what is searched and what writes the answers."""
    if not papers:
        return '<p class="cw-collection">No papers yet. Add some with <code>citewell add papers.jsonl</code></p>'
    count = f"{papers:,} paper{'' if papers == 1 else 's'}"
    return f'<p class="cw-collection"><b>{count}</b><span> · answers by: {escape(answerer)}</span></p>'


def _filter(where: str) -> str:
    return f'<p class="cw-filtered">Only papers with <code>{escape(where)}</code></p>' if where else ""


def _settled(turn: Turn, answer: Answer) -> list[str]:
    parts = []
    if answer.status == "refused":
        parts.append(_refusal(turn, answer))
    elif answer.reason:
        parts.append(f'<p class="cw-note">{escape(answer.reason)}</p>')
    parts += [f'<p class="cw-note">{escape(note)}</p>' for note in answer.trace.notes if note != answer.reason]
    parts += [_dropped(answer.dropped), _footer(turn, answer)]
    return parts


def _sentences(turn: Turn) -> str:
    """Join the sentences of a paragraph; a labelled sentence begins a block of its own."""
    blocks: list[tuple[str, list[str]]] = []
    for sentence in turn.sentences:
        text = _sentence(turn, sentence)
        if sentence.label or not blocks:
            blocks.append((sentence.label, [text]))
        else:
            blocks[-1][1].append(text)
    listed = sum(bool(label) for label, _ in blocks) > 1
    html = "".join(
        f"{'<li>' if listed and label else '<p>'}"
        f"{f'<strong>{escape(label)}</strong> ' if label else ''}{' '.join(texts)}"
        f"{'</li>' if listed and label else '</p>'}"
        for label, texts in blocks
    )
    if not listed:
        return html
    lead, first, rest = html.partition("<li>")
    return f'{lead}<ul class="cw-papers">{first}{rest}</ul>'


def _sentence(turn: Turn, sentence: AnswerSentence) -> str:
    by_marker = groupby(sorted(sentence.citations, key=lambda c: (c.marker, c.start)), key=lambda c: c.marker)
    markers = "".join(_marker(turn, number, tuple(citations)) for number, citations in by_marker)
    space = sentence.text.rfind(" ") + 1
    if not markers or len(sentence.text) - space > KEPT_WORD_CHARS:
        return f"{_marked(sentence, 0, len(sentence.text))}{markers}"
    # The last word and its markers stay on one line, so that no line begins with a marker.
    end = f'<span class="cw-end">{_marked(sentence, space, len(sentence.text))}{markers}</span>'
    return f"{_marked(sentence, 0, space)}{end}"


def _marked(sentence: AnswerSentence, first: int, stop: int) -> str:
    """Return ``sentence.text[first:stop]`` with what answers the question in it set off."""
    start, end = (min(max(place, first), stop) for place in sentence.highlight or (first, first))
    before, inside, after = sentence.text[first:start], sentence.text[start:end], sentence.text[end:stop]
    mark = f'<b class="cw-span">{escape(inside)}</b>' if inside else ""
    return f"{escape(before)}{mark}{escape(after)}"


def _marker(turn: Turn, number: int, citations: tuple[Citation, ...]) -> str:
    """Return the numbered link of one paper; several quotes of that paper share it."""
    titles = {source.paper.id: source.paper.title for source in turn.sources}
    title = titles.get(citations[0].paper_id, citations[0].paper_id)
    quotes = "\n".join(f"“{c.quote}” (support {c.support:.2f})" for c in citations)
    marks = [mark_id(turn, citation) for citation in citations]
    return (
        f'<a class="cw-marker" href="#{marks[0]}" data-turn="{turn.number}" data-goto="{" ".join(marks)}"'
        f' aria-label="{escape(f"Source {number}: {title}")}" title="{escape(quotes)}">{number}</a>'
    )


def _draft(text: str) -> str:
    return f'<p class="cw-draft">{escape(text)}</p>' if text.strip() else ""


def _progress(message: str) -> str:
    return f'<p class="cw-progress" role="status">{escape(message or "Working…")}</p>'


def _refusal(turn: Turn, answer: Answer) -> str:
    reason = f"<p>{escape(answer.reason)}</p>" if answer.reason else ""
    nearest = "".join(f"<li>{_paper_link(turn, paper.id, paper.title)}</li>" for paper in answer.nearest)
    listed = f'<p class="cw-nearest">Nearest papers</p><ul>{nearest}</ul>' if nearest else ""
    return f'<div class="cw-card cw-refusal"><p><strong>{escape(REFUSAL)}</strong></p>{reason}{listed}</div>'


def _paper_link(turn: Turn, paper_id: str, title: str) -> str:
    anchor = paper_anchor(turn, paper_id)
    if not anchor:
        return escape(title)
    return f'<a href="#{anchor}" data-turn="{turn.number}" data-goto="{anchor}">{escape(title)}</a>'


def _dropped(dropped: Iterable[DroppedSentence]) -> str:
    items = [
        f"<li><q>{escape(sentence.text)}</q> {escape(sentence.reason)} (support {sentence.support:.2f})</li>"
        for sentence in dropped
    ]
    if not items:
        return ""
    count = "1 sentence was" if len(items) == 1 else f"{len(items)} sentences were"
    return f'<details class="cw-dropped"><summary>{count} left out</summary><ul>{"".join(items)}</ul></details>'


def _footer(turn: Turn, answer: Answer) -> str:
    buttons = [
        f'<a class="cw-tool cw-to-sources" href="#cw-sources-{turn.number}" data-turn="{turn.number}"'
        f' data-goto="cw-sources-{turn.number}">Sources</a>'
    ]
    if answer.sentences:
        buttons += [
            f'<button type="button" class="cw-tool" data-copy="{escape(answer.to_markdown())}">Copy</button>',
            f'<button type="button" class="cw-tool" data-copy="{escape(answer.to_bibtex())}">Copy BibTeX</button>',
        ]
    return f'<footer class="cw-tools">{"".join(buttons)}{_searched(turn.question, answer)}</footer>'


def _searched(question: str, answer: Answer) -> str:
    """Return what was searched, folded, where that is not the question itself."""
    searched = answer.trace.standalone_question.strip()
    if searched in ("", question.strip()):
        return ""
    text = escape(shorten_question(searched))
    return f'<details class="cw-searched"><summary class="cw-tool">What was searched</summary><p>{text}</p></details>'
