"""The collection that comes with the package: 254 papers of a public listing. Builds no index of it.

The data file is made from the listing by::

    python -m index.bundled LISTING > index/data/papers254.jsonl
"""

import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from .errors import CorpusError
from .paper import Paper
from .readers import Rejected, read_papers

BUNDLED_PATH = Path(__file__).parent / "data" / "papers254.jsonl"


def bundled_papers() -> Iterator[Paper]:
    """Yield the bundled papers in the order of the listing.

    Raises:
        CorpusError: If the data file is missing or damaged.
    """
    return _only_papers(read_papers(BUNDLED_PATH))


def bundle(listing: Path) -> Iterator[str]:
    """Yield the lines of the data file: the cleaned title and abstract of each paper of ``listing``."""
    for paper in _only_papers(read_papers(listing)):
        yield json.dumps({"title": paper.title, "abstract": paper.abstract}, ensure_ascii=False) + "\n"


def _only_papers(records: Iterable[Paper | Rejected]) -> Iterator[Paper]:
    for record in records:
        if isinstance(record, Rejected):
            raise CorpusError(f"{record.where}: {record.why}. Install Citewell again to restore its files.")
        yield record


if __name__ == "__main__":
    sys.stdout.reconfigure(encoding="utf-8")  # type: ignore[union-attr]
    sys.stdout.writelines(bundle(Path(sys.argv[1])))
