"""Write an answer as text, Markdown or BibTeX. Pure functions; HTML belongs to the web app."""

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

from index.paper import Paper, normalised_title

if TYPE_CHECKING:
    from .answer import Answer, AnswerSentence

REFUSAL = "The papers in this collection do not answer this."


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
            lines.append([f"{'- ' if listed else ''}{emphasis}{sentence.label}{emphasis} — {text}"])
        elif lines:
            lines[-1].append(text)
        else:
            lines.append([text])
    return [" ".join(line) for line in lines]


def sentence_text(sentence: "AnswerSentence") -> str:
    """Return a sentence with its markers before the final stop, as in "It is faster [1]."."""
    markers = "".join(f"[{n}]" for n in sorted({c.marker for c in sentence.citations}))
    if not markers:
        return sentence.text
    body, stop = re.fullmatch(r"(.*?)([.!?]?)", sentence.text, flags=re.S).groups()  # type: ignore[union-attr]
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
    parts.append("### References\n\n" + "\n".join(references))
    return "\n\n".join(parts) + "\n"


def _escaped_lines(answer: "Answer") -> list[str]:
    from dataclasses import replace

    escaped = tuple(replace(s, text=escape_markdown(s.text), label=escape_markdown(s.label)) for s in answer.sentences)
    return _lines(replace(answer, sentences=escaped), emphasis="**")


def escape_markdown(text: str) -> str:
    """Make text safe to place in Markdown: no markup, links, images or HTML survive."""
    return re.sub(r"([\\`*_{}\[\]<>#|!~])", r"\\\1", text)


def _reference(paper: Paper) -> str:
    authors = ", ".join(paper.authors[:3]) + (" et al." if len(paper.authors) > 3 else "")
    facts = [authors, f"**{escape_markdown(paper.title)}**", paper.venue, str(paper.year or "")]
    link = web_address(paper.url) or (web_address(f"https://doi.org/{quote(paper.doi)}") if paper.doi else "")
    shown = [facts[1] if fact == facts[1] else escape_markdown(fact) for fact in facts if fact]
    return ". ".join([*shown, f"<{link}>"] if link else shown)


def web_address(url: str) -> str:
    """Return ``url`` if it is a whole web address, else "": never ``javascript:``, nor text around an address.

    Example:
        >>> web_address("https://arxiv.org/abs/1706.03762"), web_address("http://[bad"), web_address("javascript:x")
        ('https://arxiv.org/abs/1706.03762', '', '')
    """
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    # White space, quotes, braces and the like must be percent-encoded in an address; raw, they end it somewhere.
    sound = (
        parts.scheme in ("http", "https") and parts.netloc and not re.search(r"""[\s\x00-\x1f\x7f"<>{}|\\^`]""", url)
    )
    return url if sound else ""


def bibtex(papers: Iterable[Paper]) -> str:
    """Return one BibTeX entry per paper, with distinct keys such as ``vaswani2017attention``."""
    entries, taken = [], set()
    for paper in papers:
        base = _key(paper)
        key = next(
            k for n in range(1000) if (k := base + (chr(96 + n) if 0 < n < 27 else str(n) if n else "")) not in taken
        )
        taken.add(key)
        fields = {
            "title": f"{{{_escape_bibtex(paper.title)}}}",
            "author": " and ".join(_escape_bibtex(name) for name in paper.authors),
            "year": _escape_bibtex(str(paper.year or "")),
            "journal": _escape_bibtex(paper.venue),
            "doi": _encode(paper.doi),
            "url": _encode(web_address(paper.url)),
            "abstract": _escape_bibtex(paper.abstract),
        }
        if paper.id.startswith("arxiv:"):
            fields |= {"eprint": _encode(paper.id.removeprefix("arxiv:")), "archiveprefix": "arXiv"}
        body = "".join(f"  {name} = {{{value}}},\n" for name, value in fields.items() if value)
        entries.append(f"@{'article' if paper.venue else 'misc'}{{{key},\n{body}}}\n")
    return "\n".join(entries)


def _key(paper: Paper) -> str:
    surname = re.sub(r"[^a-z]", "", normalised_title(paper.authors[0]).split(" ")[-1]) if paper.authors else ""
    words = [word for word in normalised_title(paper.title).split() if len(word) > 3 and word.isascii()]
    return f"{surname}{paper.year or ''}{words[0] if words else ''}" or "paper"


_BIBTEX = {
    **{ord(sign): f"\\{sign}" for sign in "%&#$_"},
    ord("\\"): r"\textbackslash{}",
    ord("~"): r"\textasciitilde{}",
    ord("^"): r"\textasciicircum{}",
    ord("{"): None,  # BibTeX counts braces, escaped ones too: one that has no partner would end the entry
    ord("}"): None,
}


def _escape_bibtex(text: str) -> str:
    """Return prose that LaTeX prints as it stands, but for braces, which are left out."""
    return text.translate(_BIBTEX)


def _encode(name: str) -> str:
    """Percent-encode in an address or a name of one what BibTeX or TeX would read; styles print these verbatim."""
    return re.sub(r"[\s{}\\~^]", lambda sign: quote(sign[0], safe=""), name).replace("~", "%7E")
