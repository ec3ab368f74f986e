"""Make a network for training, and read what training wrote. Trains nothing and ships nothing; see :mod:`.export`."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from index.embedding.minilm import bundled_folder
from index.embedding.torch_model import load_network
from index.errors import ModelLoadError

from .network import ReaderNetwork

State = Mapping[str, Tensor]


def load_trunk(device: str) -> Any:
    """Return the bundled encoder's network as it is trained here: without pooler and without dropout.

    Dropout in the trunk would double the time of a step on a CPU; the heads keep theirs. On a CPU plain attention is
    faster under bfloat16 than torch's fused one, on a GPU slower.

    Raises:
        ModelLoadError: If the bundled encoder is missing or damaged.
    """
    trunk = load_network(bundled_folder())
    trunk.set_attn_implementation("eager" if device == "cpu" else "sdpa")
    trunk.pooler = None
    for module in trunk.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    return trunk


def new_network(device: str, seed: int) -> ReaderNetwork:
    """Return a network on a device: the trunk is the bundled encoder's, the heads are drawn with ``seed``.

    Torch's generators are left seeded, so that a run that follows is determined, too.

    Raises:
        ModelLoadError: If the bundled encoder is missing or damaged.
    """
    torch.manual_seed(seed)
    return ReaderNetwork(load_trunk(device)).to(device)


def load_weights(network: ReaderNetwork, paths: Sequence[Path]) -> None:
    """Load the weights of one training run into a network, or the average of those of several.

    Raises:
        ModelLoadError: If a file cannot be read or holds weights of another kind.
    """
    states = [_read(path) for path in paths]
    try:
        network.load_state_dict(average(states))
    except (RuntimeError, ValueError) as exc:
        raise ModelLoadError(
            f"{', '.join(map(str, paths))}: no weights of one reader: {str(exc).strip().splitlines()[0]} "
            "Name files that training wrote."
        ) from exc


def average(states: Sequence[State]) -> dict[str, Tensor]:
    """Return the mean of the weights of several networks, name by name.

    Networks that were trained from the same start and averaged often score better than the best of them, at the cost
    of one: Wortsman et al., *Model soups* (2022).

    Raises:
        ValueError: If there are none, or their names or shapes differ.
    """
    if not states:
        raise ValueError("there are no weights to average")
    names = states[0].keys()
    for state in states[1:]:
        if state.keys() != names or any(state[name].shape != states[0][name].shape for name in names):
            raise ValueError("the names or shapes of the weights differ")
    # Summed in double precision: the mean of equal weights is then exactly them.
    return {
        name: torch.stack([state[name].double() for state in states]).mean(dim=0).to(states[0][name].dtype)
        for name in names
    }


def save(value: Any, path: Path) -> None:
    """Write tensors so that at any moment the file is the old one or the new one."""
    draft = path.with_suffix(".draft")
    torch.save(value, draft)
    draft.replace(path)


def _read(path: Path) -> State:
    try:
        state: State = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as exc:  # what is no file of torch's can make its reader fail in any way
        raise ModelLoadError(f"The weights in {path} cannot be read: {exc}. Name a file that training wrote.") from exc
    return state
