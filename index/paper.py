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
_INITIALS = re.compile(r"[A-Z]{1,3}")


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
        identifiers: Its other names, in the forms of ``id``.
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
    identifiers: tuple[str, ...] = ()

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
        identifiers: tuple[str, ...] = (),
    ) -> "Paper":
        """Clean the text, derive the id and check the fields.

        Args:
            title: As the source writes it.
            abstract: Likewise.
            id: What the source calls the paper; it becomes the paper's id, in its one form if it is a public one.
            authors: Names in order, "Ada Lovelace" or "Lovelace, Ada".
            year: Year of publication.
            venue: Journal, conference or repository.
            url: Where to read it; one of arXiv or a DOI resolver gives an identifier too.
            doi: With or without a resolver in front.
            tags: Keywords or categories.
            extra: Whatever else the source says.
            identifiers: Further names: DOIs, arXiv ids, "PMID: …", or names of the source's own.

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
        authors, tags = (tuple(filter(None, map(clean_text, names))) for names in (authors, tags))
        own_id, *others = _names(id, doi, url, identifiers) or [title_id(title, authors)]
        return cls(
            id=own_id,
            title=title,
            abstract=abstract,
            authors=authors,
            year=year,
            venue=clean_text(venue),
            url=url.strip(),
            doi=doi,
            tags=tags,
            extra=dict(extra or {}),
            identifiers=tuple(others),
        )

    @property
    def names(self) -> tuple[str, ...]:
        """The id and the other identifiers: a record with any of them is the same paper."""
        return tuple(dict.fromkeys((self.id, *self.identifiers)))

    @property
    def short_title(self) -> str:
        """The name before a colon when there is one ("RIFormer"), else the whole title."""
        name, colon, _ = self.title.partition(": ")
        return name if colon and len(name) <= 60 else self.title


def paper_id(given: str = "", *, doi: str = "", url: str = "", title: str = "", authors: tuple[str, ...] = ()) -> str:
    """Return the stable id of a paper: the given one, DOI, arXiv id, else a hash of title and first author.

    A given id that is a DOI, an arXiv id or a PubMed id is brought to its one form; another is kept as it is.

    Example:
        >>> paper_id("https://arxiv.org/abs/2304.05659v2")
        'arxiv:2304.05659'
    """
    names = _names(given, doi, url, ())
    return names[0] if names else title_id(title, authors)


def title_id(title: str, authors: tuple[str, ...] = ()) -> str:
    """Return the id of a paper that has no better one, from its normalised title and its first author's surname."""
    # A title of signs alone has no normal form; its own text keeps it apart from others like it.
    text = normalised_title(title) or title
    if surname := first_surname(authors):
        text += f"\n{surname}"
    return f"title:{hashlib.sha256(text.encode(errors='surrogatepass')).hexdigest()[:16]}"


def first_surname(authors: tuple[str, ...]) -> str:
    """Return the first author's surname, folded like a title; "" if there is no author.

    Example:
        >>> [first_surname((name,)) for name in ("Ada Lovelace", "Lovelace, Ada", "Lovelace AB")]
        ['lovelace', 'lovelace', 'lovelace']
    """
    if not authors:
        return ""
    surname, comma, _ = authors[0].partition(",")
    if not comma:
        words = authors[0].split()
        if len(words) > 1 and _INITIALS.fullmatch(words[-1]):  # as PubMed writes names
            words.pop()
        surname = words[-1] if words else ""
    return normalised_title(surname).rpartition(" ")[2]


def _names(given: str, doi: str, url: str, identifiers: tuple[str, ...]) -> list[str]:
    """Return the distinct names of a paper: own names as they are, a DOI or an address only if it is a known form."""
    own = [_known_id(name) or name for name in map(str.strip, (given, *identifiers))]
    names = [own[0], _known_id(doi), _known_id(url), *own[1:]]
    return [name for name in dict.fromkeys(names) if name]


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
    return re.sub(r"^(?:(?:(?:https?://)?(?:www\.|dx\.)?doi\.org/|doi:)\s*)+", "", doi.strip(), flags=re.I)
