"""What the network is told about its scores: one number per batch. Changes no weight."""

import torch
from torch import Tensor
from torch.nn import functional

from .batches import Batch
from .examples import IGNORED
from .network import Scores

SMOOTHING = 0.05  # labels are 0.05 and 0.95: some are wrong, and sure scores would be trusted too much
ABSTRACT_WEIGHTS = (1.0, 1.0, 0.5)  # answerable, supported, relevant


def loss_of(scores: Scores, batch: Batch) -> Tensor:
    """Return the loss against the labels, summed over the examples.

    An example has up to four parts: a right sentence comes first (the softmax over the sentences, summed over the
    right ones); each sentence by itself (mean binary cross-entropy); the abstract (the same, weighted); and its
    abstract scores higher than that of the example it must beat (log(1 + exp(-difference))).
    """
    labelled = batch.present[..., None] & (batch.sentence_targets != IGNORED)
    right = labelled & (batch.sentence_targets == 1)
    return (
        _right_first(scores.sentence, labelled, right)
        + _each(scores, _smooth(batch.sentence_targets), labelled, _smooth(batch.abstract_targets), batch)
        + _in_order(scores.abstract, batch)
    )


def loss_against(scores: Scores, taught: Scores, batch: Batch) -> Tensor:
    """Return the cross-entropy against what teachers think, summed over the examples.

    Hinton, Vinyals and Dean, *Distilling the knowledge in a neural network* (2015), at temperature 1. A head is taught
    where the example has labels for it, and there also on the sentences whose label is unknown.

    Args:
        scores: The student's.
        taught: The mean of the teachers' logits.
        batch: What both read.
    """
    asked = batch.present[..., None] & (batch.sentence_targets != IGNORED).any(dim=1, keepdim=True)
    return _each(scores, taught.sentence.sigmoid(), asked, taught.abstract.sigmoid(), batch)


def _right_first(logits: Tensor, labelled: Tensor, right: Tensor) -> Tensor:
    among = logits.masked_fill(~labelled, -torch.inf).logsumexp(dim=1)
    chosen = logits.masked_fill(~right, -torch.inf).logsumexp(dim=1)
    return (among - chosen)[right.any(dim=1)].sum()


def _each(scores: Scores, sentences: Tensor, counted: Tensor, wholes: Tensor, batch: Batch) -> Tensor:
    """Sum binary cross-entropies: the mean over an example's counted sentences, and its labelled abstract scores."""
    each = functional.binary_cross_entropy_with_logits(scores.sentence, sentences, reduction="none") * counted
    whole = functional.binary_cross_entropy_with_logits(scores.abstract, wholes, reduction="none")
    weights = scores.abstract.new_tensor(ABSTRACT_WEIGHTS) * (batch.abstract_targets != IGNORED)
    return each.sum(dim=1).div(counted.sum(dim=1).clamp(min=1)).sum() + (whole * weights).sum()


def _in_order(abstract: Tensor, batch: Batch) -> Tensor:
    """For answerable and supported: every example of a pair that has 1 must score above every one that has 0."""
    targets, logits = batch.abstract_targets[:, :2], abstract[:, :2]
    together = (batch.pairs[:, None] == batch.pairs[None]) & (batch.pairs >= 0)[:, None]
    beats = together[..., None] & (targets[:, None] == 1) & (targets[None] == 0)
    return functional.softplus(logits[None] - logits[:, None])[beats].sum()


def _smooth(targets: Tensor) -> Tensor:
    return targets.clamp(min=0) * (1 - 2 * SMOOTHING) + SMOOTHING
