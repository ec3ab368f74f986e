"""Write papers as JSON Lines, with the names of their fields. Leaves nothing out that reading would miss."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict

from ..paper import Paper


def entries(papers: Iterable[Paper]) -> Iterator[str]:
    """Yield one line for each paper; empty fields are left out.

    ``extra`` is always there as an object: it tells the reader that nothing is to be derived, as from an arXiv id.
    """
    for paper in papers:
        fields = {
            name: value for name, value in asdict(paper).items() if value not in (None, "", ()) or name == "extra"
        }
        yield _visible(json.dumps(fields, ensure_ascii=False)) + "\n"


def _visible(document: str) -> str:
    """Escape the signs that nobody sees, which could steer a terminal or end a line for other programs."""
    if document.isprintable():
        return document
    return "".join(sign if sign.isprintable() else json.dumps(sign)[1:-1] for sign in document)
