"""Gather examples into passes of like length, and passes into steps. Computes no loss and changes no weight."""

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from index.embedding.token_model import padded

from .examples import IGNORED, Example
from .network import ReaderNetwork, Scores
from .prepare import Inputs

Step = list[list[Example]]  # the passes of one step of the optimiser


@dataclass(frozen=True, slots=True)
class Batch:
    """Several examples as tensors, padded to the longest.

    Attributes:
        ids: Tokens, int64, shape (batch, tokens).
        mask: 1 for a token, 0 for padding, int64, shape (batch, tokens).
        weights: What takes the means of the token states, shape (batch, 2 + sentences, tokens).
        present: Whether there is such a sentence, bool, shape (batch, sentences).
        features: Shape (batch, sentences, SENTENCE_FEATURES).
        abstract_features: Shape (batch, ABSTRACT_FEATURES).
        sentence_targets: Evidence and support, 0, 1 or IGNORED, shape (batch, sentences, 2).
        abstract_targets: Answerable, supported, relevant, 0, 1 or IGNORED, shape (batch, 3).
        pairs: Numbers of the pairs, int64, shape (batch,); -1 for none.
    """

    ids: Tensor
    mask: Tensor
    weights: Tensor
    present: Tensor
    features: Tensor
    abstract_features: Tensor
    sentence_targets: Tensor
    abstract_targets: Tensor
    pairs: Tensor

    def to(self, device: str) -> "Batch":
        """Return the batch on a device."""
        return Batch(*(getattr(self, name).to(device) for name in Batch.__slots__))


def collate(inputs: Sequence[Inputs], examples: Sequence[Example] | None = None) -> Batch:
    """Pad inputs to one batch; without examples every target is IGNORED."""
    ids, mask, weights = padded([one.row for one in inputs])
    count, sentences = len(inputs), weights.shape[1] - 2
    present = np.zeros((count, sentences), dtype=bool)
    features = np.zeros((count, sentences, inputs[0].features.shape[1]), dtype=np.float32)
    targets = np.full((count, sentences, 2), IGNORED, dtype=np.float32)
    wholes = np.full((count, 3), IGNORED, dtype=np.float32)
    pairs = np.full(count, -1, dtype=np.int64)
    for at, one in enumerate(inputs):
        shown = len(one.features)
        present[at, :shown] = True
        features[at, :shown] = one.features
        if examples is not None:
            example = examples[at]
            targets[at, :shown, 0], targets[at, :shown, 1] = example.evidence, example.support
            wholes[at] = (example.answerable, example.supported, example.relevant)
            pairs[at] = example.pair
    return Batch(
        torch.from_numpy(ids).long(),
        torch.from_numpy(mask).long(),
        torch.from_numpy(weights),
        torch.from_numpy(present),
        torch.from_numpy(features),
        torch.from_numpy(np.stack([one.abstract_features for one in inputs])),
        torch.from_numpy(targets),
        torch.from_numpy(wholes),
        torch.from_numpy(pairs),
    )


def read(network: ReaderNetwork, batch: Batch, *, bfloat16: bool = True) -> Scores:
    """Return a network's scores of a batch that is on its device, as float32.

    Args:
        network: It is run in the mode it is in.
        batch: What it reads.
        bfloat16: Whether matrices are multiplied in bfloat16, which halves the time; weights and sums are float32.
    """
    with torch.autocast(batch.ids.device.type, dtype=torch.bfloat16, enabled=bfloat16):
        scores = network(batch.ids, batch.mask, batch.weights, batch.present, batch.features, batch.abstract_features)
    return Scores(scores.sentence.float(), scores.abstract.float())


def micro_batches(
    units: Sequence[Sequence[Example]], lengths: Callable[[Example], int], max_tokens: int, rng: random.Random
) -> list[list[Example]]:
    """Gather units of like length into passes, in random order.

    Args:
        units: Examples that must share a pass.
        lengths: Tells the tokens of an example.
        max_tokens: Most tokens of a pass, padding included; a unit that is longer has a pass of its own.
        rng: Decides the order of the passes, and which of nearly equal length share one.
    """
    longest = [max(lengths(example) for example in unit) for unit in units]
    blurred = sorted((length * rng.uniform(0.95, 1.05), at) for at, length in enumerate(longest))
    passes: list[list[Example]] = []
    width = 0
    for _, at in blurred:
        width = max(width, longest[at])
        if passes and (len(passes[-1]) + len(units[at])) * width <= max_tokens:
            passes[-1] += units[at]
        else:
            passes.append(list(units[at]))
            width = longest[at]
    rng.shuffle(passes)
    return passes


def steps_of(passes: Sequence[list[Example]], batch_size: int) -> Iterator[Step]:
    """Yield the passes of each step: at least ``batch_size`` examples, fewer in the last."""
    step: Step = []
    for one in passes:
        step.append(one)
        if sum(len(examples) for examples in step) >= batch_size:
            yield step
            step = []
    if step:
        yield step
