"""Turn texts into token ids that remember where in the text they stand. Runs no model."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from tokenizers import Encoding, Tokenizer

Ids = npt.NDArray[np.int32]
_AFTER_THE_TEXT = np.iinfo(np.int64).max


@dataclass(frozen=True, slots=True)
class Tokens:
    """The tokens of one text.

    Attributes:
        ids: int32, shape (tokens,), with the model's own marks at both ends.
        last: The last character of each token, int64, shape (tokens,), never falling. The marks in front have -1,
            those at the end are behind every character.
    """

    ids: Ids
    last: npt.NDArray[np.int64]

    def inside(self, spans: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Return which tokens each character span holds.

        Args:
            spans: Half-open spans of characters, int64, shape (spans, 2).

        Returns:
            Half-open spans of tokens, int64, shape (spans, 2); an empty one if the text was cut off before.
        """
        # By the end, because some vocabularies count the white space before a word as its first character.
        return np.searchsorted(self.last, spans).astype(np.int64)


class TokenReader:
    """A tokenizer that neither pads nor cuts by itself. Safe to use from several threads.

    Args:
        tokenizer: It is changed: its padding and truncation are turned off.
    """

    def __init__(self, tokenizer: "Tokenizer") -> None:
        tokenizer.no_padding()
        tokenizer.no_truncation()
        self._tokenizer = tokenizer

    def count(self, texts: Sequence[str]) -> list[int]:
        """Return the number of tokens of each text, without the model's own marks, however long it is."""
        # The fast call leaves the offsets out. One call for many texts spreads them over the cores.
        return [len(encoding) for encoding in self._tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)]

    def read(self, texts: Sequence[str], limit: int) -> list[Tokens]:
        """Return the tokens of each text, cut to ``limit`` with the end marks kept, as models are trained."""
        return [_tokens(encoding, limit) for encoding in self._tokenizer.encode_batch(list(texts))]


def _tokens(encoding: "Encoding", limit: int) -> Tokens:
    ids = np.array(encoding.ids, dtype=np.int32)
    last = np.array(encoding.offsets, dtype=np.int64).reshape(-1, 2)[:, 1] - 1
    words = np.flatnonzero(np.array(encoding.special_tokens_mask) == 0)
    first, stop = (int(words[0]), int(words[-1]) + 1) if len(words) else (len(ids), len(ids))
    last[:first] = -1
    last[stop:] = _AFTER_THE_TEXT
    if len(ids) > limit:
        end_marks = len(ids) - stop
        kept = np.r_[: max(limit - end_marks, 0), stop : len(ids)]
        ids, last = ids[kept], last[kept]
    return Tokens(ids, np.maximum.accumulate(last))
