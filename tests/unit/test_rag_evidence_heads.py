"""The heads in numpy against the torch module that trains their weights."""

import math

import numpy as np
import pytest
import torch

from rag.evidence.features import ABSTRACT_FEATURES, SENTENCE_FEATURES
from rag.evidence.heads import Heads, gelu
from rag.evidence.training.network import Heads as TorchHeads

HIDDEN = 24


@pytest.mark.parametrize("sentences", [1, 2, 13])
def test_the_heads_equal_those_of_torch(sentences):
    torch.manual_seed(sentences)
    trained = TorchHeads(HIDDEN).eval()
    for parameter in trained.parameters():  # training starts with many zeros, which would hide a difference
        torch.nn.init.normal_(parameter, std=0.3)
    means = torch.randn(1, 2 + sentences, HIDDEN)
    features, whole = torch.randn(1, sentences, SENTENCE_FEATURES), torch.randn(1, ABSTRACT_FEATURES)
    with torch.no_grad():
        expected = trained(means, torch.ones(1, sentences, dtype=torch.bool), features, whole)
    heads = Heads({name: tensor.numpy() for name, tensor in trained.state_dict().items()})
    reading = heads.read(means[0].numpy(), features[0].numpy(), whole[0].numpy())
    assert reading.evidence == pytest.approx(expected.sentence[0, :, 0].numpy(), abs=1e-4)
    assert reading.support == pytest.approx(expected.sentence[0, :, 1].numpy(), abs=1e-4)
    found = [reading.answerable, reading.supported, reading.relevant]
    assert found == pytest.approx(expected.abstract[0].tolist(), abs=1e-4)
    assert reading.evidence.dtype == np.float32


def test_a_padded_sentence_changes_nothing_in_torch():
    torch.manual_seed(1)
    heads = TorchHeads(HIDDEN).eval()
    means, features, whole = torch.randn(1, 5, HIDDEN), torch.randn(1, 3, SENTENCE_FEATURES), torch.randn(1, 4)
    with torch.no_grad():
        alone = heads(means, torch.ones(1, 3, dtype=torch.bool), features, whole)
        padded = heads(
            torch.cat([means, torch.randn(1, 1, HIDDEN)], dim=1),
            torch.tensor([[True, True, True, False]]),
            torch.cat([features, torch.randn(1, 1, SENTENCE_FEATURES)], dim=1),
            whole,
        )
    assert torch.allclose(padded.sentence[:, :3], alone.sentence, atol=1e-6)
    assert torch.allclose(padded.abstract, alone.abstract, atol=1e-5)


def test_gelu_is_exact_to_six_digits():
    values = np.linspace(-6, 6, 401, dtype=np.float32)
    expected = [0.5 * x * (1 + math.erf(x / math.sqrt(2))) for x in values.tolist()]
    assert gelu(values) == pytest.approx(np.array(expected), abs=1e-6)
    assert gelu(np.zeros(1, np.float32)).tolist() == [0.0]
