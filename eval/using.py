"""Name the rankings that can be measured. Ranks nothing; apart so that the command line starts without numpy."""

from enum import StrEnum


class Using(StrEnum):
    """What ranks the papers."""

    PRODUCT = "product"
    """What a user gets, :meth:`rag.PaperQA.search`."""
    DENSE = "dense"
    """The cosine of the nearest passage alone."""
    SENTENCE = "sentence"
    """The candidates of the dense search, with the nearest sentence's cosine added."""
    KEYWORD = "keyword"
    """BM25 alone."""
    FUSED = "fused"
    """The candidates of both searches, by passage, sentence and words, and nothing after that."""
    READER = "reader"
    """As the product, with the evidence reader reordering the best papers whatever the settings say."""


THROUGH_THE_PRODUCT = frozenset({Using.PRODUCT, Using.READER})
"""Rankings of :meth:`rag.PaperQA.search`; the others are made of its parts by :mod:`eval.retrieval`."""
