"""Decide which records are one paper, and combine what they say. Reads no files and no database.

A DOI, an arXiv id (of any version), a PubMed id or another id that is no mere number makes two records one paper.
Without a common one, the normalised title and the first author's surname do, unless both have an id of the same kind
and the ids differ: two editorials of one name and author with a DOI each are two papers.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from .paper import Paper, title_id

_PUBLIC = ("doi", "arxiv", "pmid")
_TITLE = "title:"


def recognised_by(paper: Paper) -> tuple[str, ...]:
    """Return every name that a record can be recognised by: its identifiers, and its title with its first author."""
    return tuple(dict.fromkeys((*paper.names, title_id(paper.title, paper.authors))))


def is_title_name(name: str) -> bool:
    """Whether a name of :func:`recognised_by` stands for a title; it says less than an identifier."""
    return name.startswith(_TITLE)


def conflict(names: Iterable[str], others: Iterable[str]) -> bool:
    """Whether two papers of one title are different ones: both have ids of one kind, and no common one.

    Example:
        >>> conflict(["doi:10.1000/a"], ["doi:10.1000/b"]), conflict(["doi:10.1000/a"], ["arxiv:2401.00001"])
        (True, False)
    """
    ours, theirs = _by_kind(names), _by_kind(others)
    return any(ours[kind].isdisjoint(theirs[kind]) for kind in ours.keys() & theirs.keys())


def combine(paper_id: str, records: Sequence[Paper]) -> Paper:
    """Return what several records say of one paper.

    The longest abstract and the longest list of authors count, of other fields the first that is not empty; tags and
    identifiers are united. Where records are equally good, the earlier one counts.

    Args:
        paper_id: The id that the paper has and keeps.
        records: At least one, in order of arrival.
    """
    names = dict.fromkeys(name for record in records for name in record.names if not is_title_name(name))
    others = tuple(name for name in names if name != paper_id)
    first = records[0]
    if len(records) == 1:
        return replace(first, id=paper_id, identifiers=others)
    return Paper(
        id=paper_id,
        title=first.title,
        abstract=max((record.abstract for record in records), key=len),
        authors=max((record.authors for record in records), key=len),
        year=next((record.year for record in records if record.year is not None), None),
        venue=next((record.venue for record in records if record.venue), ""),
        url=next((record.url for record in records if record.url), ""),
        doi=next((record.doi for record in records if record.doi), ""),
        tags=tuple(dict.fromkeys(tag for record in records for tag in record.tags)),
        extra={key: value for record in reversed(records) for key, value in record.extra.items()},
        identifiers=others,
    )


def _by_kind(names: Iterable[str]) -> dict[str, set[str]]:
    kinds: dict[str, set[str]] = {}
    for name in names:
        if not is_title_name(name):
            prefix = name.partition(":")[0]
            kinds.setdefault(prefix if prefix in _PUBLIC else "own", set()).add(name)
    return kinds
