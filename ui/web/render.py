"""Write a question and its answer as safe HTML. Pure functions; the sources panel is in ``ui.web.sources``.

Every piece of text passes :func:`html.escape`. The result is put into the page as it is: no Markdown reader
sees it, because one would find links and images in abstracts that are meant as text.
"""

from html import escape
from itertools import groupby

from rag.answer import Answer, AnswerSentence, Citation
from rag.render import NO_SOURCE, REFUSAL

from .turn import Turn, mark_id, paper_anchor

SHOWN_QUESTION_CHARS = 400
KEPT_WORD_CHARS = 20
CORRECTED = "The language model named another paper or none."


def render_turn(turn: Turn) -> str:
    """Return one question and its answer, as far as it is there, as a ``<section>``.

    The first parts of an answer are always there, empty or hidden at first: what comes later moves and replaces
    none of them.
    """
    body = [f'<div class="cw-text">{_sentences(turn)}</div>', _progress(turn), _asides(turn)]
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
    parts.append(_footer(turn, answer))
    return parts


def _sentences(turn: Turn) -> str:
    """Join the sentences of a paragraph, the draft the last; a labelled sentence begins a block of its own."""
    written = [(s.label, _sentence(turn, s, index in turn.corrected)) for index, s in enumerate(turn.sentences)]
    if turn.live and turn.draft.strip():
        # Not read out: it may yet be left out, and else it is read out once it is settled.
        written.append(("", f'<span class="cw-draft" aria-hidden="true">{escape(turn.draft.strip())}</span>'))
    blocks: list[tuple[str, list[str]]] = []
    for label, text in written:
        if label or not blocks:
            blocks.append((label, [text]))
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


def _sentence(turn: Turn, sentence: AnswerSentence, corrected: bool) -> str:
    by_marker = groupby(sorted(sentence.citations, key=lambda c: (c.marker, c.start)), key=lambda c: c.marker)
    markers = "".join(_marker(turn, number, tuple(citations), corrected) for number, citations in by_marker)
    if not sentence.unsupported:
        return _kept_together(sentence, markers)
    badge = f'<span class="cw-no-source" title="{escape(_capitalized(sentence.unsupported))}">{NO_SOURCE}</span>'
    return f'<span class="cw-unsupported">{_kept_together(sentence, badge)}</span>'


def _kept_together(sentence: AnswerSentence, markers: str) -> str:
    """Return a sentence whose last word and markers stay on one line, so that no line begins with a marker."""
    space = sentence.text.rfind(" ") + 1
    if not markers or len(sentence.text) - space > KEPT_WORD_CHARS:
        return f"{_marked(sentence, 0, len(sentence.text))}{markers}"
    end = f'<span class="cw-end">{_marked(sentence, space, len(sentence.text))}{markers}</span>'
    return f"{_marked(sentence, 0, space)}{end}"


def _marked(sentence: AnswerSentence, first: int, stop: int) -> str:
    """Return ``sentence.text[first:stop]`` with what answers the question in it set off."""
    start, end = (min(max(place, first), stop) for place in sentence.highlight or (first, first))
    before, inside, after = sentence.text[first:start], sentence.text[start:end], sentence.text[end:stop]
    mark = f'<b class="cw-span">{escape(inside)}</b>' if inside else ""
    return f"{escape(before)}{mark}{escape(after)}"


def _marker(turn: Turn, number: int, citations: tuple[Citation, ...], corrected: bool) -> str:
    """Return the numbered link of one paper; several quotes of that paper share it."""
    titles = {source.paper.id: source.paper.title for source in turn.sources}
    title = titles.get(citations[0].paper_id, citations[0].paper_id)
    quotes = "\n".join(
        [
            *(f"“{c.quote}” (support {c.support:.2f})" for c in citations),
            *[f"Citation set by code. {CORRECTED}"] * corrected,
        ]
    )
    marks = [mark_id(turn, citation) for citation in citations]
    return (
        f'<a class="cw-marker{" cw-corrected" * corrected}" href="#{marks[0]}" data-turn="{turn.number}"'
        f' data-goto="{" ".join(marks)}" aria-label="{escape(f"Source {number}: {title}")}"'
        f' title="{escape(quotes)}">{number}</a>'
    )


def _progress(turn: Turn) -> str:
    return f'<p class="cw-progress" role="status">{escape(turn.progress or "Working…") if turn.live else ""}</p>'


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


def _asides(turn: Turn) -> str:
    """Return what is to be known of a language model's sentences, each kind folded; what there is none of is hidden."""
    left_out = [_aside_item(s.text, f"{_capitalized(s.reason)} (support {s.support:.2f})") for s in turn.dropped]
    unsupported = [
        _aside_item(s.text, f"{_capitalized(s.unsupported)} (support {s.support:.2f})")
        for s in turn.sentences
        if s.unsupported
    ]
    corrected = [_aside_item(turn.sentences[n].text) for n in sorted(turn.corrected) if n < len(turn.sentences)]
    folds = (
        _aside(left_out, "1 sentence was left out", "{} sentences were left out"),
        _aside(unsupported, "1 sentence has no source", "{} sentences have no source"),
        _aside(corrected, "1 citation was set by code", "{} citations were set by code", CORRECTED),
    )
    return f'<div class="cw-asides">{"".join(folds)}</div>'


def _aside(items: list[str], one: str, many: str, meaning: str = "") -> str:
    summary = one if len(items) == 1 else many.format(len(items))
    told = f"<p>{escape(meaning)}</p>" if meaning else ""
    hidden = "" if items else " hidden"
    return f'<details class="cw-aside"{hidden}><summary>{summary}</summary>{told}<ul>{"".join(items)}</ul></details>'


def _aside_item(text: str, remark: str = "") -> str:
    return f"<li><q>{escape(text)}</q>{f' <span>{escape(remark)}</span>' if remark else ''}</li>"


def _capitalized(reason: str) -> str:
    return reason[:1].upper() + reason[1:]


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
