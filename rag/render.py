"""Write an answer as text, Markdown or BibTeX. Pure functions; HTML belongs to the web app."""

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING
from urllib.parse import quote

from index.paper import Paper
from index.text import strip_invisible
from index.writers.addresses import web_address
from index.writers.bibtex import citations

from .safety import without_markers

if TYPE_CHECKING:
    from .answer import Answer, AnswerSentence

REFUSAL = "The papers in this collection do not answer this."
NO_SOURCE = "no source"  # said of a sentence that no abstract supports, where such sentences are marked

# What Markdown reads: its signs, entities, the sign of an e-mail address, what makes an address a link; where a line
# begins, lists and rules.
_SIGNS = re.compile(r"[\\`*_{}\[\]<>#|!~$]|&(?=#?\w)|(?<=\S)@(?=\S)|:(?=//)|(?<=www)\.")
_LINE_BEGINS = re.compile(r"^(\s*|\s*\d{1,9})(?<!\\)([-+=](?=[-+=\s]|$)|(?<=\d)[.)](?=\s|$))")
_LINE_ENDS = re.compile(r"[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]+")


def answer_text(answer: "Answer") -> str:
    """Return the answer as plain text: prose, or one line per paper where sentences are labelled."""
    if not answer.sentences:
        return f"{REFUSAL} {answer.reason}".strip() if answer.status == "refused" else answer.reason
    return "\n".join(_lines(answer))


def _lines(answer: "Answer", emphasis: str = "") -> list[str]:
    """Join the sentences of a paragraph; a labelled sentence begins a line of its own."""
    lines: list[list[str]] = []
    listed = sum(bool(sentence.label) for sentence in answer.sentences) > 1
    for sentence in answer.sentences:
        text = sentence_text(sentence)
        if sentence.label:
            lines.append([f"{'- ' if listed else ''}{emphasis}{without_markers(sentence.label)}{emphasis} — {text}"])
        elif lines:
            lines[-1].append(text)
        else:
            lines.append([text])
    return [" ".join(line) for line in lines]


def sentence_text(sentence: "AnswerSentence") -> str:
    """Return a sentence with its markers before the final stop, as in "It is faster [1].".

    A sentence that is marked as unsupported says so there: "It is faster (no source).". What reads as a marker in a
    quoted sentence ("as in [3]") gets parentheses: it is not one of ours.
    """
    text = without_markers(sentence.text)
    markers = "".join(f"[{n}]" for n in sorted({c.marker for c in sentence.citations}))
    if sentence.unsupported:
        markers += f"({NO_SOURCE})"
    if not markers:
        return text
    body, stop = re.fullmatch(r"(.*?)([.!?]?)", text, flags=re.S).groups()  # type: ignore[union-attr]
    return f"{body} {markers}{stop}"


def answer_markdown(answer: "Answer") -> str:
    """Return question, answer, quotes and references as Markdown that needs nothing else to be read."""
    parts = [f"## {escape_markdown(answer.question.strip())}"]
    if answer.status == "refused":
        parts.append(f"{REFUSAL} {escape_markdown(answer.reason)}".strip())
        if answer.nearest:
            parts.append("Nearest papers:\n" + "\n".join(f"- {_reference(paper)}" for paper in answer.nearest))
        return "\n\n".join(parts) + "\n"
    parts.append("\n".join(_escaped_lines(answer)))
    if answer.reason:
        parts.append(f"*{escape_markdown(answer.reason)}*")
    quotes = {(c.marker, c.start): c.quote for sentence in answer.sentences for c in sentence.citations}
    references = []
    for source in answer.cited:
        references.append(f"{source.marker}. {_reference(source.paper)}")
        references += [f"   > {escape_markdown(quotes[key])}" for key in sorted(quotes) if key[0] == source.marker]
    if references:
        parts.append("### References\n\n" + "\n".join(references))
    return "\n\n".join(parts) + "\n"


def _escaped_lines(answer: "Answer") -> list[str]:
    from dataclasses import replace

    escaped = tuple(
        replace(s, text=_escaped(s), label=escape_markdown(without_markers(s.label))) for s in answer.sentences
    )
    return _lines(replace(answer, sentences=escaped), emphasis="**")


def _escaped(sentence: "AnswerSentence") -> str:
    """Return a sentence as Markdown, with what answers the question in bold."""
    text = without_markers(sentence.text)
    if not sentence.highlight:
        return escape_markdown(text)
    start, end = sentence.highlight
    before, inside, after = (escape_markdown(t) for t in (text[:start], text[start:end], text[end:]))
    return f"{before}**{inside}**{after}"


def escape_markdown(text: str) -> str:
    r"""Make text safe to place in Markdown: no markup, links, images, mathematics, lists or HTML survive.

    Nor do addresses become links by themselves, where readers do that. The text reads as it stands, on one line.

    Example:
        >>> escape_markdown("- ![x](http://a.b)")
        '\\- \\!\\[x\\](http\\://a.b)'
    """
    text = _SIGNS.sub(r"\\\g<0>", strip_invisible(_LINE_ENDS.sub(" ", text)))
    return _LINE_BEGINS.sub(r"\1\\\2", text)


def _reference(paper: Paper) -> str:
    authors = ", ".join(paper.authors[:3]) + (" et al." if len(paper.authors) > 3 else "")
    facts = [authors, f"**{escape_markdown(paper.title)}**", paper.venue, str(paper.year or "")]
    link = web_address(paper.url) or (web_address(f"https://doi.org/{quote(paper.doi)}") if paper.doi else "")
    shown = [facts[1] if fact == facts[1] else escape_markdown(fact) for fact in facts if fact]
    return ". ".join([*shown, f"<{link}>"] if link else shown)


def bibtex(papers: Iterable[Paper]) -> str:
    """Return one BibTeX entry per paper, with distinct keys such as ``vaswani2017attention``."""
    return citations(papers)
