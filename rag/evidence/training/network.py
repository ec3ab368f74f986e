"""The reader as a torch network: a BERT trunk with three heads. Reads no files and trains nothing.

What :class:`Heads` computes, :mod:`rag.evidence.heads` computes in numpy at answering time.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..features import ABSTRACT_FEATURES, SENTENCE_FEATURES

SENTENCE_WIDTH = 256
ABSTRACT_WIDTH = 128


@dataclass(frozen=True, slots=True)
class Scores:
    """Logits of a batch.

    Attributes:
        sentence: Evidence and support of each sentence, shape (batch, sentences, 2); -30 or so where there is none.
        abstract: Answerable, supported, relevant, shape (batch, 3).
    """

    sentence: Tensor
    abstract: Tensor


class Heads(nn.Module):
    """Score sentences and abstract from the means of token states."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.pair = nn.Linear(4 * hidden, SENTENCE_WIDTH)
        self.dropout = nn.Dropout(0.1)
        self.sentence = nn.Linear(SENTENCE_WIDTH, 2)
        self.sentence_features = nn.Linear(SENTENCE_FEATURES, 2, bias=False)
        self.whole = nn.Linear(2 * hidden + 2 * SENTENCE_WIDTH, ABSTRACT_WIDTH)
        self.abstract = nn.Linear(ABSTRACT_WIDTH, 3)
        self.abstract_features = nn.Linear(ABSTRACT_FEATURES + 4, 3, bias=False)
        nn.init.normal_(self.sentence.weight, std=0.02)
        nn.init.normal_(self.abstract.weight, std=0.02)
        with torch.no_grad():  # training starts from similarity
            self.sentence_features.weight.zero_()
            self.sentence_features.weight[:, 0] = 6.0
            self.sentence_features.weight[:, 1] = 3.0
            self.sentence.bias.fill_(-4.0)
            self.abstract_features.weight.zero_()

    def forward(self, means: Tensor, present: Tensor, features: Tensor, abstract_features: Tensor) -> Scores:
        """Return the scores.

        Args:
            means: Shape (batch, 2 + sentences, hidden): the first mark, the text, each sentence.
            present: Shape (batch, sentences), false where a row is padding.
            features: Shape (batch, sentences, SENTENCE_FEATURES).
            abstract_features: Shape (batch, ABSTRACT_FEATURES).
        """
        first, text, sentences = means[:, 0], means[:, 1], means[:, 2:]
        wide = text[:, None].expand_as(sentences)
        pairs = functional.gelu(
            self.pair(torch.cat([sentences, wide, sentences * wide, (sentences - wide).abs()], dim=-1))
        )
        pairs = self.dropout(pairs)
        logits = self.sentence(pairs) + self.sentence_features(features)
        logits = logits.masked_fill(~present[..., None], -30.0)
        attention = torch.softmax(logits, dim=1)
        gathered = torch.einsum("bsk,bsw->bkw", attention, pairs).flatten(1)
        whole = functional.gelu(self.whole(torch.cat([first, text, gathered], dim=-1)))
        strongest = torch.cat([logits.amax(dim=1), torch.logsumexp(logits, dim=1)], dim=-1)
        given = torch.cat([abstract_features, strongest], dim=-1)
        return Scores(logits, self.abstract(whole) + self.abstract_features(given))


class ReaderNetwork(nn.Module):
    """Trunk and heads.

    Args:
        trunk: A transformers ``BertModel`` without pooler; its word table is frozen, and so need not be shipped.
    """

    def __init__(self, trunk: Any) -> None:
        super().__init__()
        self.trunk = trunk
        self.heads = Heads(trunk.config.hidden_size)
        trunk.embeddings.word_embeddings.weight.requires_grad_(False)

    def forward(
        self, ids: Tensor, mask: Tensor, weights: Tensor, present: Tensor, features: Tensor, abstract_features: Tensor
    ) -> Scores:
        """Return the scores; ``weights`` (batch, means, tokens) take the means of the token states."""
        states = self.trunk(input_ids=ids, attention_mask=mask).last_hidden_state
        means = torch.bmm(weights, states.float())
        scores: Scores = self.heads(means, present, features, abstract_features)
        return scores
