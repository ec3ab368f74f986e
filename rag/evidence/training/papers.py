"""Read abstracts without labels, to train on beside the labelled ones. Makes no examples of them."""

import hashlib
import heapq
from collections.abc import Collection, Iterator
from pathlib import Path

from index.paper import Paper
from index.readers import Rejected, read_papers
from index.sentences import sentence_spans

from .examples import UnlabelledAbstract

FEWEST_SENTENCES = 4


def load_unlabelled(path: Path, count: int, seed: int, without: Collection[str] = ()) -> list[UnlabelledAbstract]:
    """Return ``count`` abstracts of a file of papers, chosen by chance, whatever their order in the file.

    Records that cannot be read are passed over, and so are abstracts of fewer than FEWEST_SENTENCES sentences.

    Args:
        path: A file of any form that ``citewell add`` reads.
        count: How many; fewer if there are no more.
        seed: Decides which.
        without: Ids of papers not to take, such as those that the reader is measured on.

    Raises:
        CorpusError: If the file cannot be read.
    """

    def place(paper: Paper) -> bytes:
        return hashlib.sha256(f"{seed} {paper.id}".encode()).digest()

    chosen = heapq.nsmallest(count, _suitable(path, without), key=place)
    return [UnlabelledAbstract(paper.title, _sentences(paper)) for paper in chosen]


def _suitable(path: Path, without: Collection[str]) -> Iterator[Paper]:
    for paper in read_papers(path):
        if not isinstance(paper, Rejected) and paper.id not in without and len(_sentences(paper)) >= FEWEST_SENTENCES:
            yield paper


def _sentences(paper: Paper) -> tuple[str, ...]:
    return tuple(paper.abstract[start:end] for start, end in sentence_spans(paper.abstract))
