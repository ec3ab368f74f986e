"""What a paper is, and what makes two records the same paper. Does not read files or store anything."""

import hashlib
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .text import clean_text

MAX_TEXT_CHARS = 100_000  # of an abstract, or a title; the longest abstracts have a few thousand

_ARXIV = re.compile(
    r"(?:https?://)?(?:[\w.]*arxiv\.org/(?:abs|pdf|html)/|arxiv:\s*|10\.48550/arxiv\.)?"
    r"(\d{4}\.\d{4,5}|([a-z-]+)(?:\.[a-z]{2})?/(\d{7}))(?:v\d+)?(?:\.pdf)?/?",
    re.I,
)
_PMID = re.compile(r"pmid:\s*(\d+)", re.I)
_DOI = re.compile(r"10\.\d{4,9}/\S+")


@dataclass(frozen=True, slots=True)
class Paper:
    """One paper of a collection: a title, an abstract and what is known about them.

    Build one with :meth:`create`, which cleans the text and derives the id; the plain constructor stores
    what it is given.

    Attributes:
        id: Stable name of the paper: ``doi:…``, ``arxiv:…``, ``pmid:…``, else ``title:`` and a hash.
        title: Cleaned title, one line.
        abstract: Cleaned abstract, one line. Citation offsets refer to it, so it never changes in place.
        authors: Names as given, in order.
        year: Year of publication, or None.
        venue: Journal, conference or repository, "" when unknown.
        url: Where to read it, "" when unknown.
        doi: DOI without a resolver in front, "" when unknown.
        tags: Keywords or categories.
        extra: Whatever else the source said, as JSON values.
    """

    id: str
    title: str
    abstract: str
    authors: tuple[str, ...] = ()
    year: int | None = None
    venue: str = ""
    url: str = ""
    doi: str = ""
    tags: tuple[str, ...] = ()
    extra: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def create(
        cls,
        title: str,
        abstract: str,
        *,
        id: str = "",
        authors: tuple[str, ...] = (),
        year: int | None = None,
        venue: str = "",
        url: str = "",
        doi: str = "",
        tags: tuple[str, ...] = (),
        extra: Mapping[str, Any] | None = None,
    ) -> "Paper":
        """Clean the text, derive the id and check the fields.

        Raises:
            ValueError: If the title or the abstract is empty after cleaning, or has more than 100,000 characters;
                the message begins with the field.
        """
        for name, text in (("title", title), ("abstract", abstract)):
            if len(text) > MAX_TEXT_CHARS:
                raise ValueError(f"{name} has {len(text):,} characters, more than {MAX_TEXT_CHARS:,} are not read")
        title, abstract = clean_text(title), clean_text(abstract)
        if not title:
            raise ValueError("title is empty")
        if not abstract:
            raise ValueError("abstract is empty")
        doi = _bare_doi(doi)
        return cls(
            id=paper_id(id, doi=doi, url=url, title=title),
            title=title,
            abstract=abstract,
            authors=tuple(clean_text(name) for name in authors if name.strip()),
            year=year,
            venue=clean_text(venue),
            url=url.strip(),
            doi=doi,
            tags=tuple(clean_text(tag) for tag in tags if tag.strip()),
            extra=dict(extra or {}),
        )

    @property
    def short_title(self) -> str:
        """The name before a colon when there is one ("RIFormer"), else the whole title."""
        name, colon, _ = self.title.partition(": ")
        return name if colon and len(name) <= 60 else self.title


def paper_id(given: str = "", *, doi: str = "", url: str = "", title: str = "") -> str:
    """Return the stable id of a paper: the given one, DOI, arXiv id, else a hash of the normalised title.

    A given id that is a DOI, an arXiv id or a PubMed id is brought to its one form; another is kept as it is.

    Example:
        >>> paper_id("https://arxiv.org/abs/2304.05659v2")
        'arxiv:2304.05659'
    """
    given = given.strip()
    if given:
        return _known_id(given) or given
    for name in (doi, url):
        if known := _known_id(name):
            return known
    # A title of signs alone has no normal form; its own text keeps it apart from others like it.
    digest = hashlib.sha256((normalised_title(title) or title).encode()).hexdigest()
    return f"title:{digest[:16]}"


def _known_id(name: str) -> str:
    """Return the id that a DOI, an arXiv id or a PubMed id stands for, however it is written, else ""."""
    bare = _bare_doi(name)
    if match := _ARXIV.fullmatch(bare):
        number, archive, old_number = match.groups()  # math.GT/0309136 and math/0309136 are one paper
        return f"arxiv:{archive.lower()}/{old_number}" if archive else f"arxiv:{number}"
    if _DOI.fullmatch(bare):
        return f"doi:{bare.lower()}"
    if match := _PMID.fullmatch(bare):
        return f"pmid:{match[1]}"
    return ""


def normalised_title(title: str) -> str:
    """Fold case, accents, punctuation and white space, so that spelling variants of a title agree."""
    folded = unicodedata.normalize("NFKD", title).casefold()
    return " ".join(re.findall(r"[^\W_]+", "".join(c for c in folded if not unicodedata.combining(c))))


def _bare_doi(doi: str) -> str:
    return re.sub(r"^(?:(?:https?://)?(?:www\.|dx\.)?doi\.org/|doi:\s*)", "", doi.strip(), flags=re.I)
