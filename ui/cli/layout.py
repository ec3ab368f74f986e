"""Lay answers and papers out as text for a terminal. Pure functions: prints nothing."""

import textwrap
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from index.paper import Paper

if TYPE_CHECKING:
    from rag.answer import Answer, Source


def lay_out_answer(answer: "Answer", width: int = 0) -> str:
    """Return an answer with its sources and their quotes; on refusal, with the nearest papers.

    Args:
        answer: What to show.
        width: Longest line in columns; 0 leaves lines as long as they are.
    """
    parts = ["\n".join(wrapped(line, width, "  " if line.startswith("- ") else "") for line in answer.text.split("\n"))]
    parts += lay_out_remarks(answer, width)
    if answer.cited:
        parts.append(lay_out_sources(answer, width))
    return "\n\n".join(part for part in parts if part)


def lay_out_remarks(answer: "Answer", width: int = 0) -> list[str]:
    """Return what stands below an answer: why it is partial, remarks, what was removed, the nearest papers."""
    parts = []
    if answer.sentences and answer.reason:
        parts.append(wrapped(f"({answer.reason})", width))
    parts += [wrapped(f"({remark})", width) for remark in answer.trace.notes if remark != answer.reason]
    if answer.dropped:
        lines = [f"- {sentence.text} ({sentence.reason})" for sentence in answer.dropped]
        parts.append("\n".join(["Left out:", *(wrapped(line, width, "  ") for line in lines)]))
    if answer.nearest:
        lines = [f"- {reference(paper)}" for paper in answer.nearest]
        parts.append("\n".join(["Nearest papers:", *(wrapped(line, width, "  ") for line in lines)]))
    return parts


def lay_out_sources(answer: "Answer", width: int = 0, *, quotes: bool = True) -> str:
    """Return the cited papers in order of marker, each with the sentences quoted from it."""
    quoted: dict[int, dict[int, str]] = {}
    for sentence in answer.sentences:
        for citation in sentence.citations:
            quoted.setdefault(citation.marker, {})[citation.start] = citation.quote
    lines = ["Sources:"]
    for source in answer.cited:
        lines.append(wrapped(f"[{source.marker}] {reference(source.paper)}", width, "    "))
        if quotes:
            found = quoted.get(source.marker or 0, {})
            lines += [wrapped(f"    “{found[start]}”", width, "     ") for start in sorted(found)]
    return "\n".join(lines)


def lay_out_hits(hits: "list[Source]", width: int = 0) -> str:
    """Return search results, best first, with their fused scores."""
    digits = len(str(len(hits)))
    indent = " " * (digits + 8)
    return "\n".join(
        wrapped(f"{hit.rank:>{digits}}. {hit.score:5.2f} {reference(hit.paper)}", width, indent) for hit in hits
    )


def reference(paper: Paper) -> str:
    """Return a paper in one line: title, authors, venue, year, and how to name it to a command.

    Example:
        >>> reference(Paper(id="arxiv:2304.05659", title="RIFormer", abstract="…", authors=("J. Wang",), year=2023))
        'RIFormer. J. Wang. 2023. <arxiv:2304.05659>'
    """
    authors = ", ".join(paper.authors[:3]) + (" et al." if len(paper.authors) > 3 else "")
    place = ", ".join(fact for fact in (paper.venue, str(paper.year or "")) if fact)
    facts = [fact if fact.endswith((".", "?", "!")) else f"{fact}." for fact in (paper.title, authors, place) if fact]
    return " ".join([*facts, f"<{paper.id}>"])


def lay_out_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    r"""Return a table as text, its columns side by side, two spaces between them; lines stay as long as they are.

    Example:
        >>> lay_out_table(("model", "size"), [("one", "1 GB")])
        'model  size\none    1 GB'
    """
    lines = [head, *rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )


def wrapped(text: str, width: int, indent: str = "") -> str:
    """Break text into lines of at most ``width`` columns, all but the first indented; 0 leaves it alone."""
    if not width:
        return text
    return textwrap.fill(
        text, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False, drop_whitespace=True
    )
