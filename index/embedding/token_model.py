"""What is asked of the network behind an encoder, and how texts share a pass. Runs nothing itself."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from .encoder import Vectors
from .tokens import Ids


@dataclass(frozen=True, slots=True)
class TokenMeans:
    """A text, and the means of its token states that are wanted.

    The means are taken where the states are: a passage has 200 states but about ten means, and only the means have to
    leave the network's memory.

    Attributes:
        ids: Token ids, int32, shape (tokens,), at least one.
        weights: One row per mean, float32, shape (means, tokens).
    """

    ids: Ids
    weights: Vectors


class TokenModel(Protocol):
    """A network that gives every token a state. Implementations are safe to call from several threads."""

    def means(self, texts: Sequence[TokenMeans]) -> list[Vectors]:
        """Return ``weights @ states`` of each text, float32, shape (means, dimension), in the order given.

        Raises:
            ModelError: If the device fails or its memory is too small.
        """
        ...


def passes(texts: Sequence[TokenMeans], max_tokens: int, max_padding: float) -> list[list[int]]:
    """Group texts of similar length into passes, the longest texts first.

    Args:
        texts: All texts.
        max_tokens: Most tokens of a pass, padding included; a longer text has a pass of its own.
        max_padding: Most padding of a text, as a share of its own length.

    Returns:
        Positions in ``texts``; each is in one pass.
    """
    order = sorted(range(len(texts)), key=lambda at: -len(texts[at].ids))
    groups: list[list[int]] = []
    width = 0
    for at in order:
        length = len(texts[at].ids)
        if groups and (len(groups[-1]) + 1) * width <= max_tokens and width <= length * (1 + max_padding):
            groups[-1].append(at)
        else:
            groups.append([at])
            width = length
    return groups


def padded(texts: Sequence[TokenMeans], pad_id: int = 0) -> tuple[Ids, Ids, Vectors]:
    """Return the arrays of one pass: ids and mask, shape (texts, tokens), and weights, shape (texts, means, tokens)."""
    width = max(len(text.ids) for text in texts)
    rows = max(len(text.weights) for text in texts)
    ids = np.full((len(texts), width), pad_id, dtype=np.int32)
    mask = np.zeros((len(texts), width), dtype=np.int32)
    weights = np.zeros((len(texts), rows, width), dtype=np.float32)
    for at, text in enumerate(texts):
        ids[at, : len(text.ids)] = text.ids
        mask[at, : len(text.ids)] = 1
        weights[at, : len(text.weights), : len(text.ids)] = text.weights
    return ids, mask, weights
