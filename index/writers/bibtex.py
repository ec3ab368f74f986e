r"""Write papers as BibTeX, for LaTeX and reference managers. Reads none: see :mod:`index.readers.bibtex`.

The text of a paper comes out of LaTeX as it stands: nothing in it can be a command, a field or the end of an entry. So
that a file can be read again without loss, :func:`entries` adds two fields that BibTeX styles pass over:
``citewell-id``, and, where reading the entry would lose something (an odd address, an ``extra``), ``citewell-exact``
with that as JSON.
"""

import io
import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from urllib.parse import quote

from ..paper import Paper, first_surname, normalised_title
from ..readers import bibtex as reader
from ..readers.exact import unsaid
from ..text import strip_invisible
from .addresses import web_address

_ESCAPES = {
    **{ord(sign): f"\\{sign}" for sign in "%&#$_"},
    ord("\\"): r"\textbackslash{}",
    ord("~"): r"\textasciitilde{}",
    ord("^"): r"\textasciicircum{}",
    ord("{"): r"\textbraceleft{}",  # BibTeX counts braces, escaped ones too: \{ without a partner would end the entry
    ord("}"): r"\textbraceright{}",
}
# What an `extra` may hold that BibTeX has a name for.
_COMMON = "volume number pages publisher month issn isbn note series primaryclass".split()


def entries(papers: Iterable[Paper]) -> Iterator[str]:
    """Yield an entry for each paper, from which the same paper can be read; the keys differ."""
    keys = _Keys()
    for paper in papers:
        key, fields = keys.key(paper), _fields(paper)
        separator = "; " if any("," in tag for tag in paper.tags) else ", "
        fields["keywords"] = separator.join(map(_escape, paper.tags))
        fields["pmid"] = next((_escape(name[5:]) for name in paper.names if name.startswith("pmid:")), "")
        for name in _COMMON:
            if isinstance(value := paper.extra.get(name), str):
                fields[name] = _escape(value)
        fields[reader.OWN_ID] = _escape(paper.id)
        (read,) = reader.read(io.StringIO(_entry(paper, key, fields)), "")
        if exact := unsaid(paper, read):
            fields[reader.OWN_EXACT] = exact.translate(_ESCAPES)  # one line of ASCII, each space of which counts
        yield _entry(paper, key, fields) + "\n"


def citations(papers: Iterable[Paper]) -> str:
    """Return an entry for each paper, for a document that cites it: without fields of Citewell's own, or braces."""
    keys = _Keys()
    return "\n".join(_entry(paper, keys.key(paper), _fields(_without_braces(paper))) for paper in papers)


def _fields(paper: Paper) -> dict[str, str]:
    fields = {
        "title": f"{{{_escape(paper.title)}}}",  # the second braces keep styles from changing its capitals
        "author": " and ".join(_author(name) for name in paper.authors),
        "year": str(paper.year or ""),
        "journal": _escape(paper.venue),
        "doi": _encode(paper.doi),
        "url": _encode(web_address(paper.url)),
        "abstract": _escape(paper.abstract),
    }
    if arxiv := next((name for name in paper.names if name.startswith("arxiv:")), ""):
        fields |= {"eprint": _encode(arxiv.removeprefix("arxiv:")), "archiveprefix": "arXiv"}
    return fields


def _without_braces(paper: Paper) -> Paper:
    """Leave out braces: in titles they mostly are LaTeX's own, meant to keep capitals, which :func:`_fields` does."""

    def bare(text: str) -> str:
        return text.replace("{", "").replace("}", "")

    authors = tuple(map(bare, paper.authors))
    return replace(
        paper, title=bare(paper.title), abstract=bare(paper.abstract), venue=bare(paper.venue), authors=authors
    )


def _entry(paper: Paper, key: str, fields: dict[str, str]) -> str:
    body = "".join(f"  {name} = {{{value}}},\n" for name, value in fields.items() if value.strip())
    return f"@{'article' if paper.venue else 'misc'}{{{key},\n{body}}}\n"


class _Keys:
    """Gives each paper a key such as ``vaswani2017attention``, and none twice."""

    def __init__(self) -> None:
        self._used: dict[str, int] = {}  # how many papers have asked for a key
        self._taken: set[str] = set()

    def key(self, paper: Paper) -> str:
        """Return the key of the next paper."""
        base = _base_key(paper)
        while True:
            n = self._used.get(base, 0)
            self._used[base] = n + 1
            key = base + (str(n) if n > 26 else chr(96 + n) if n else "")
            if key not in self._taken:
                self._taken.add(key)
                return key


def _base_key(paper: Paper) -> str:
    surname = re.sub(r"[^a-z]", "", first_surname(paper.authors))
    words = [word for word in normalised_title(paper.title).split() if len(word) > 3 and word.isascii()]
    return f"{surname}{paper.year or ''}{words[0] if words else ''}" or "paper"


def _author(name: str) -> str:
    """Return a name; in braces, if BibTeX would take it for several or for the rest of the authors."""
    escaped = _escape(name)
    return f"{{{escaped}}}" if re.search(r"\band\b|^others$", name, re.I) else escaped


def _escape(text: str) -> str:
    """Return prose on one line that LaTeX prints as it stands."""
    return strip_invisible(" ".join(text.split())).translate(_ESCAPES)


def _encode(name: str) -> str:
    """Percent-encode in an address or a name of one what BibTeX or TeX would read; styles print these verbatim."""
    name = strip_invisible(re.sub(r"\s", lambda sign: quote(sign[0], safe=""), name))
    return re.sub(r"[{}\\~^]", lambda sign: quote(sign[0], safe=""), name).replace("~", "%7E")
