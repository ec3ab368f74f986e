"""Run a transformer's network in torch, on a GPU or the CPU. Knows no tokenizer; import it only where torch is wanted.

Everything is computed in float32, so that the same weights give the same vectors on every device.
"""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from ..errors import ModelError, ModelLoadError
from .encoder import Vectors
from .token_model import TokenMeans, padded, passes

# On a CPU small passes are fastest and padding is waste; a GPU wants large ones and minds padding less.
CPU_PASS_TOKENS, CPU_PASS_PADDING = 1024, 0.05
GPU_PASS_TOKENS, GPU_PASS_PADDING = 32_768, 0.25


class TorchModel:
    """A :class:`~index.embedding.token_model.TokenModel` over a transformers model.

    Args:
        network: A ``PreTrainedModel`` whose output has a ``last_hidden_state``.
        device: "cpu", "cuda" or "mps".

    Raises:
        ModelLoadError: If the network does not fit the device's memory.
    """

    def __init__(self, network: Any, device: str) -> None:
        self.device = device
        self._on_cpu = device == "cpu"
        pad_id = getattr(network.config, "pad_token_id", None)
        self._pad_id = 0 if pad_id is None else int(pad_id)
        self._lock = threading.Lock()  # one pass at a time: it already uses the whole device
        try:
            self._network = network.to(device=device, dtype=torch.float32).eval()
        except RuntimeError as exc:
            raise ModelLoadError(
                f"The embedding model does not go onto {device}: {_first_line(exc)} "
                "Free its memory, or embed on the CPU: CITEWELL_INDEX__DEVICE=cpu"
            ) from exc

    def means(self, texts: Sequence[TokenMeans]) -> list[Vectors]:
        """Return ``weights @ states`` of each text, float32, shape (means, dimension), in the order given.

        Raises:
            ModelError: If the device fails, or its memory is too small for a single text.
        """
        limits = (CPU_PASS_TOKENS, CPU_PASS_PADDING) if self._on_cpu else (GPU_PASS_TOKENS, GPU_PASS_PADDING)
        found: dict[int, Vectors] = {}
        for group in passes(texts, *limits):
            found.update(zip(group, self._pass([texts[at] for at in group]), strict=True))
        return [found[at] for at in range(len(texts))]

    def _pass(self, texts: Sequence[TokenMeans]) -> list[Vectors]:
        """Run one pass; if it does not fit the memory, run its halves."""
        try:
            return self._run(texts)
        except RuntimeError as exc:  # torch's errors of memory and of devices are kinds of it
            too_large = "out of memory" in str(exc).lower()
            if not too_large or len(texts) == 1:
                raise ModelError(
                    f"The embedding model failed on {self.device}: {_first_line(exc)} "
                    "Free its memory, or embed on the CPU: CITEWELL_INDEX__DEVICE=cpu"
                ) from exc
        half = len(texts) // 2
        return self._pass(texts[:half]) + self._pass(texts[half:])

    def _run(self, texts: Sequence[TokenMeans]) -> list[Vectors]:
        arrays = padded(texts, self._pad_id)
        with self._lock, torch.inference_mode():
            ids, mask, weights = (torch.from_numpy(array).to(self.device) for array in arrays)
            states = self._network(input_ids=ids.long(), attention_mask=mask.long()).last_hidden_state
            means: Vectors = torch.bmm(weights, states).cpu().numpy()
        return [means[at, : len(text.weights)] for at, text in enumerate(texts)]


def load_network(folder: Path) -> Any:
    """Load the network of a model folder in float32, on the CPU. No hub is contacted and no code of the folder is run.

    Raises:
        ModelLoadError: If it cannot be loaded, lacks weights, or is no encoder.
    """
    from safetensors import SafetensorError
    from transformers import AutoModel

    try:
        with _quiet():
            network, loaded = AutoModel.from_pretrained(
                folder, dtype=torch.float32, local_files_only=True, output_loading_info=True
            )
    except (OSError, ValueError, RuntimeError, ImportError, KeyError, AttributeError, SafetensorError) as exc:
        raise ModelLoadError(
            f"The embedding model in {folder} cannot be loaded: {_first_line(exc)} Name a model that transformers' "
            "AutoModel loads, or leave out index.embed_model to use the bundled one."
        ) from exc
    # transformers gives random values to what it does not find. The pooler is not used here, and often left out.
    lacking = sorted(name for name in loaded["missing_keys"] if "pooler" not in name)
    if lacking:
        raise ModelLoadError(
            f"The weights in {folder} lack {len(lacking)} tensors of a {type(network).__name__}, such as {lacking[0]}. "
            "Save or download the model again, or leave out index.embed_model to use the bundled one."
        )
    if network.config.is_encoder_decoder:
        raise ModelLoadError(
            f"The model in {folder} is a {type(network).__name__}, which writes text; an embedding model is an "
            "encoder. Name one, or leave out index.embed_model to use the bundled one."
        )
    return network


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep transformers from drawing its own progress bar and from reporting tensors that are not used."""
    from transformers import utils

    logging: Any = utils.logging  # its functions carry no annotations
    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()


def _first_line(exc: Exception) -> str:
    """Return the first line of an error's message as a sentence; libraries put pages after it."""
    line = next(iter(str(exc).strip().splitlines()), "") or type(exc).__name__
    return line if line.endswith((".", "!", "?")) else f"{line}."
