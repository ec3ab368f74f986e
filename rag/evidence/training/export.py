"""Write a trained network's weights in the form that is shipped: float16, without the word table. Trains nothing.

``python -m rag.evidence.training.export run1/weights.pt run2/weights.pt --out reader.safetensors`` writes their
average.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from torch import Tensor

from index.errors import CitewellError

from ..trained import WORD_TABLE

# The reader takes its word table from the bundled encoder, and has no use for a pooler.
_LEFT_OUT = ("pooler", WORD_TABLE, "position_ids")


def export_weights(state: Mapping[str, Tensor], path: Path) -> None:
    """Write the state of a :class:`~rag.evidence.training.network.ReaderNetwork` as safetensors (about 22 MB)."""
    from safetensors.numpy import save_file

    tensors = {
        name: np.ascontiguousarray(tensor.float().cpu().numpy().astype(np.float16))
        for name, tensor in state.items()
        if not any(part in name for part in _LEFT_OUT)
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(".draft")
    save_file(tensors, draft)
    draft.chmod(0o644)  # safetensors makes files that only their owner may read
    draft.replace(path)


def main(arguments: Sequence[str] | None = None) -> None:
    """Average and write."""
    from .weights import load_weights, new_network, save

    parser = argparse.ArgumentParser(prog="python -m rag.evidence.training.export", description=__doc__)
    parser.add_argument("weights", type=Path, nargs="+", help="files of weights that training wrote; several: averaged")
    parser.add_argument("--out", type=Path, required=True, help="the file to write, .safetensors")
    parser.add_argument("--average", type=Path, metavar="PATH", help="write the average also as training reads it, .pt")
    given = parser.parse_args(arguments)
    try:
        network = new_network("cpu", seed=0)
        load_weights(network, given.weights)
    except CitewellError as exc:
        sys.exit(str(exc))
    if given.average:
        save(network.state_dict(), given.average)
    export_weights(network.state_dict(), given.out)


if __name__ == "__main__":
    main()
