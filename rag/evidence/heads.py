"""The reader's heads in numpy: from the means of token states to scores. Runs no transformer.

The same computation as :class:`rag.evidence.training.network.Heads`, which trains the weights.
"""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from index.embedding.encoder import Vectors

from .reader import Reading

Weights = Mapping[str, npt.NDArray[np.float32]]


class Heads:
    """Scores sentences and abstract.

    Args:
        weights: The tensors of the torch module, float32, by its names ("pair.weight", …).
    """

    def __init__(self, weights: Weights) -> None:
        self._weights = weights

    def read(self, means: Vectors, features: Vectors, abstract_features: Vectors) -> Reading:
        """Return the scores of one text and one abstract.

        Args:
            means: Token means, shape (2 + sentences, hidden): the first mark, the text, each sentence.
            features: Of :func:`rag.evidence.features.sentence_features`.
            abstract_features: Of :func:`rag.evidence.features.abstract_features`.
        """
        first, text, sentences = means[0], means[1], means[2:]
        wide = np.broadcast_to(text, sentences.shape)
        compared = np.concatenate([sentences, wide, sentences * wide, np.abs(sentences - wide)], axis=1)
        pairs = gelu(self._linear("pair", compared))
        logits = self._linear("sentence", pairs) + features @ self._weights["sentence_features.weight"].T
        highest = logits.max(axis=0)
        powers = np.exp(logits - highest)
        attention = powers / powers.sum(axis=0)
        gathered = (attention.T @ pairs).reshape(-1)
        whole = gelu(self._linear("whole", np.concatenate([first, text, gathered])))
        summed = highest + np.log(powers.sum(axis=0))
        given = np.concatenate([abstract_features, highest, summed])
        scores = self._linear("abstract", whole) + given @ self._weights["abstract_features.weight"].T
        answerable, supported, relevant = (float(score) for score in scores)
        return Reading(
            evidence=logits[:, 0].astype(np.float32),
            support=logits[:, 1].astype(np.float32),
            answerable=answerable,
            supported=supported,
            relevant=relevant,
        )

    def _linear(self, name: str, values: Vectors) -> Vectors:
        return np.asarray(values @ self._weights[f"{name}.weight"].T + self._weights[f"{name}.bias"], dtype=np.float32)


def gelu(values: Vectors) -> Vectors:
    """Return x Φ(x), Hendrycks and Gimpel's *Gaussian error linear units* (2016).

    The error function is Abramowitz and Stegun's approximation 7.1.26, off by less than 2e-7.
    """
    at = np.abs(values) / np.float32(np.sqrt(2))
    t = 1 / (1 + 0.3275911 * at)
    series = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))))
    erf = np.sign(values) * (1 - series * np.exp(-at * at))
    return np.asarray(0.5 * values * (1 + erf), dtype=np.float32)
