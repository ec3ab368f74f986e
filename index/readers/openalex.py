"""Name the fields of an OpenAlex work as we do: its abstract comes as an inverted index. Reads no file."""

from collections.abc import Mapping
from typing import Any

_SMALL_EXTRAS = frozenset("type language cited_by_count is_retracted biblio".split())
_MIN_CONCEPT_SCORE = 0.3
MAX_POSITION = 100_000  # no abstract has more words; a wrong number must not make a list of that length


def recognises(record: Mapping[str, Any]) -> bool:
    """Whether the record is a work of OpenAlex."""
    return "abstract_inverted_index" in record or str(record.get("id", "")).startswith("https://openalex.org/")


def fields(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return the record's fields by our names; of the others, only the small ones are kept."""
    ids = _mapping(record.get("ids"))
    number = str(record.get("id") or ids.get("openalex") or "").rpartition("/")[2]
    pmid = str(ids.get("pmid") or "").rpartition("/")[2]
    source = _mapping(_mapping(record.get("primary_location")).get("source"))
    found: dict[str, Any] = {
        "title": record.get("title") or record.get("display_name"),
        "abstract": abstract(record.get("abstract_inverted_index")),
        "authors": _authors(record.get("authorships")),
        "year": record.get("publication_year"),
        "date": record.get("publication_date"),
        "venue": source.get("display_name"),
        "url": _mapping(record.get("primary_location")).get("landing_page_url"),
        "doi": record.get("doi") or ids.get("doi"),
        "tags": _tags(record),
        "pmid": pmid,
        "identifiers": [f"openalex:{number}"] if number else [],
    }
    return found | {name: record[name] for name in _SMALL_EXTRAS & set(record)}


def abstract(index: Any) -> str:
    """Put the words of an inverted index, ``{"word": [positions]}``, into their order.

    Example:
        >>> abstract({"to": [0, 4], "be": [1, 5], "or": [2], "not": [3]})
        'to be or not to be'
    """
    words: list[tuple[int, str]] = []
    for word, places in _mapping(index).items():
        for place in places if isinstance(places, list) else ():
            if isinstance(place, int) and 0 <= place < MAX_POSITION:
                words.append((place, word))
    return " ".join(word for _, word in sorted(words, key=lambda found: found[0]))


def _authors(authorships: Any) -> list[str]:
    found = []
    for authorship in authorships if isinstance(authorships, list) else ():
        name = _mapping(_mapping(authorship).get("author")).get("display_name") or _mapping(authorship).get(
            "raw_author_name"
        )
        if isinstance(name, str):
            found.append(name)
    return found


def _tags(record: Mapping[str, Any]) -> list[str]:
    """Return the keywords, else the concepts that are not far-fetched."""
    for name in ("keywords", "concepts"):
        entries = record.get(name)
        tags = []
        for entry in entries if isinstance(entries, list) else ():
            tag, score = _mapping(entry).get("display_name"), _mapping(entry).get("score")
            if isinstance(tag, str) and (not isinstance(score, (int, float)) or score >= _MIN_CONCEPT_SCORE):
                tags.append(tag)
        if tags:
            return tags
    return []


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
