"""Lay out a text and the sentences of an abstract as one row of tokens. Runs no network.

``[CLS] text [SEP] title [SEP] sentence sentence … [SEP]``. With the tokens go the weights of the means that the heads
want: the first mark, the text, and each sentence.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from index.embedding.token_model import TokenMeans

if TYPE_CHECKING:
    from tokenizers import Tokenizer

MAX_TOKENS = 512  # the trunk's position table
TEXT_TOKENS = 96
TITLE_TOKENS = 64


class InputLayout:
    """Makes the reader's inputs. Safe to use from several threads.

    Args:
        tokenizer: The trunk's own; its padding and truncation are off.

    Raises:
        ValueError: If it is no BERT tokenizer.
    """

    def __init__(self, tokenizer: "Tokenizer") -> None:
        first, end = tokenizer.token_to_id("[CLS]"), tokenizer.token_to_id("[SEP]")
        if first is None or end is None:
            raise ValueError("the tokenizer has no [CLS] or no [SEP]")
        self._first, self._end = first, end

        @lru_cache(maxsize=50_000)
        def pieces(text: str) -> tuple[int, ...]:
            return tuple(tokenizer.encode(text, add_special_tokens=False).ids)

        self._pieces = pieces

    def windows(self, text: str, title: str, sentences: Sequence[str]) -> list[tuple[int, int]]:
        """Return half-open runs of sentences that each fit one pass; nearly always one run."""
        room = MAX_TOKENS - len(self._head(text, title)) - 1
        runs: list[tuple[int, int]] = []
        start, used = 0, 0
        for at, sentence in enumerate(sentences):
            length = len(self._pieces(sentence))
            if at > start and used + length > room:
                runs.append((start, at))
                start, used = at, 0
            used += length
        return [*runs, (start, len(sentences))]

    def row(self, text: str, title: str, sentences: Sequence[str]) -> TokenMeans:
        """Return the tokens, and weights of shape (2 + sentences, tokens); what does not fit is cut off."""
        ids = self._head(text, title)
        spans = [(0, 1), (1, 1 + min(len(self._pieces(text)), TEXT_TOKENS))]
        for sentence in sentences:
            piece = self._pieces(sentence)[: MAX_TOKENS - 1 - len(ids)]
            spans.append((len(ids), len(ids) + len(piece)))
            ids += piece
        ids.append(self._end)
        weights = np.zeros((len(spans), len(ids)), dtype=np.float32)
        for at, (start, stop) in enumerate(spans):
            weights[at, start:stop] = 1 / max(stop - start, 1)
        return TokenMeans(np.array(ids, dtype=np.int32), weights)

    def _head(self, text: str, title: str) -> list[int]:
        asked, called = self._pieces(text)[:TEXT_TOKENS], self._pieces(title)[:TITLE_TOKENS]
        return [self._first, *asked, self._end, *called, self._end]
