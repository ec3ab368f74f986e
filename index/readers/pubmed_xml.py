"""Read papers from PubMed's XML (``PubmedArticleSet``). Knows nothing of the tagged format, nbib."""

from collections.abc import Iterator, Mapping
from typing import TextIO
from xml.etree.ElementTree import Element

from ..paper import Paper
from .records import paper_from_fields
from .rejected import Rejected
from .xml_records import elements, looks_like, text_of

NAME = "PubMed XML"
SUFFIXES: tuple[str, ...] = (".xml",)

_RECORDS = ("PubmedArticle", "PubmedBookArticle")


def sniff(head: str) -> bool:
    """Whether there is an article or a set of articles of PubMed."""
    return any(looks_like(head, tag) for tag in ("PubmedArticleSet", *_RECORDS))


def read(file: TextIO, name: str, field_map: Mapping[str, str] | None = None) -> Iterator[Paper | Rejected]:
    """Yield one paper for each article, or what is wrong with it. The fields have their names: no ``field_map``."""
    for found in elements(file, name, _RECORDS):
        if isinstance(found, Rejected):
            yield found
        else:
            line, record = found
            yield _paper(record, f"{name}:{line}")


def _paper(record: Element, where: str) -> Paper | Rejected:
    citation = _child(record, "MedlineCitation", "BookDocument")
    article = citation.find("Article") if citation.tag == "MedlineCitation" else citation
    if article is None:
        return Rejected(where, "record", "it has no Article")
    pmid = text_of(citation.find("PMID"))
    ids = {
        identifier.get("IdType", ""): text_of(identifier)
        for path in ("PubmedData/ArticleIdList/ArticleId", "BookDocument/ArticleIdList/ArticleId")
        for identifier in record.iterfind(path)
    }
    doi = ids.get("doi") or next(
        (text_of(place) for place in article.iterfind("ELocationID") if place.get("EIdType") == "doi"), ""
    )
    journal = article.find("Journal")
    fields = {
        "title": text_of(article.find("ArticleTitle")) or text_of(article.find("VernacularTitle")),
        "abstract": _abstract(article.find("Abstract")),
        "authors": [name for author in article.iterfind("AuthorList/Author") if (name := _name(author))],
        "date": _date(article),
        "venue": text_of(journal.find("Title")) or text_of(journal.find("ISOAbbreviation"))
        if journal is not None
        else text_of(article.find("Book/BookTitle")),
        "doi": doi,
        "pmid": pmid or ids.get("pubmed", ""),
        "tags": _tags(citation),
    }
    extra = {"pmcid": ids["pmc"]} if ids.get("pmc") else {}
    return paper_from_fields(fields, extra, f"{where} (PMID {pmid[:20]})" if pmid else where)


def _child(record: Element, *tags: str) -> Element:
    return next((child for tag in tags if (child := record.find(tag)) is not None), record)


def _abstract(abstract: Element | None) -> str:
    """Join the parts of an abstract; the label of a part stands before it, as in "METHODS: We …"."""
    parts = []
    for part in abstract.iterfind("AbstractText") if abstract is not None else ():
        label, text = part.get("Label", ""), text_of(part)
        if text:
            parts.append(f"{label}: {text}" if label and label.upper() != "UNLABELLED" else text)
    return " ".join(parts)


def _name(author: Element) -> str:
    given = text_of(author.find("ForeName")) or text_of(author.find("Initials"))
    parts = (given, text_of(author.find("LastName")), text_of(author.find("Suffix")))
    return " ".join(part for part in parts if part) or text_of(author.find("CollectiveName"))


def _date(article: Element) -> str:
    for path in ("Journal/JournalIssue/PubDate", "ArticleDate", "Book/PubDate", "ContributionDate"):
        date = article.find(path)
        if date is not None and (text := text_of(date.find("Year")) or text_of(date.find("MedlineDate"))):
            return text
    return ""


def _tags(citation: Element) -> list[str]:
    """Return the keywords and the MeSH headings, each once."""
    paths = ("KeywordList/Keyword", "MeshHeadingList/MeshHeading/DescriptorName")
    return list(dict.fromkeys(tag for path in paths for found in citation.iterfind(path) if (tag := text_of(found))))
