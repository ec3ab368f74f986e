"""Any sentence-transformers model as an encoder, run by torch. It needs nothing of sentence-transformers itself."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..errors import ModelLoadError
from .device import GPU_BULK_SIZE, Device, torch_device
from .encoder import CPU_BULK_SIZE, PassageText, PassageVectors, Vectors
from .model_folder import ModelFolder, find_model
from .pooling import PooledTexts
from .tokens import TokenReader

if TYPE_CHECKING:
    from tokenizers import Tokenizer

DEFAULT_MAX_TOKENS = 512  # for a model that does not say; long windows blur an abstract and cost quadratic time


class TransformerEncoder:
    """A model folder or hub id as an :class:`~index.embedding.encoder.Encoder`.

    The vectors of whole texts equal those of sentence-transformers, scaled to length 1.

    Args:
        model_name: A folder, or a hub id. The hub is contacted for what is not in its cache.
        device: Where it runs. "auto": a GPU that torch can use, else the CPU.
        query_prefix: Put in front of questions; None takes what the model's own files say.
        passage_prefix: Put in front of passages; None takes what the model's own files say.

    Raises:
        ModelLoadError: If the model is missing, damaged or of a kind that is not supported, or a GPU was named and
            torch cannot use it.
    """

    def __init__(
        self,
        model_name: str,
        device: Device = "auto",
        *,
        query_prefix: str | None = None,
        passage_prefix: str | None = None,
    ) -> None:
        folder = find_model(model_name)
        self._name = folder.name
        self._digest = folder.digest()
        self._on_cpu = (where := torch_device(device)) == "cpu"
        from .torch_model import TorchModel, load_network

        network = load_network(folder.path)
        tokenizer, window = _load_tokenizer(folder)
        window = min(window, getattr(network.config, "max_position_embeddings", None) or window)
        limit = min(folder.max_tokens or DEFAULT_MAX_TOKENS, window)
        self._model = TorchModel(network, where)
        self._texts = PooledTexts(
            reader=TokenReader(tokenizer),
            dimension=int(network.config.hidden_size),
            query_limit=limit,
            passage_limit=limit,
            pooling=folder.pooling,
            query_prefix=folder.query_prefix if query_prefix is None else query_prefix,
            passage_prefix=folder.passage_prefix if passage_prefix is None else passage_prefix,
        )
        # The prefix takes its room from every passage.
        self._max_tokens = limit - sum(self._texts.reader.count([self._texts.passage_prefix]))

    @property
    def identity(self) -> dict[str, str | int]:
        """The model by name and digest of its files, with its dimension, window and prefixes."""
        return {
            "model_name": self._name,
            "digest": self._digest,
            "dimension": self.dimension,
            "max_tokens": self._max_tokens,
            "query_prefix": self._texts.query_prefix,
            "passage_prefix": self._texts.passage_prefix,
        }

    @property
    def dimension(self) -> int:
        """Length of every vector."""
        return self._texts.dimension

    @property
    def max_tokens(self) -> int:
        """Tokens of title and passage together: the model's window, less the passage prefix."""
        return self._max_tokens

    @property
    def bulk_size(self) -> int:
        """512 papers at once on a GPU, 32 on the CPU."""
        return CPU_BULK_SIZE if self._on_cpu else GPU_BULK_SIZE

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Return the number of tokens of each text, without the model's own marks, however long it is."""
        return self._texts.reader.count(texts)

    def embed_queries(self, texts: Sequence[str]) -> Vectors:
        """Return unit vectors of questions, float32, shape (len(texts), dimension).

        Raises:
            ModelError: If the device fails.
        """
        return self._texts.queries(self._model, texts)

    def embed_passages(self, passages: Sequence[PassageText]) -> list[PassageVectors]:
        """Return passage and sentence vectors; a sentence past the window gets its passage's vector.

        Raises:
            ModelError: If the device fails.
        """
        return self._texts.passages(self._model, passages)


def _load_tokenizer(folder: ModelFolder) -> tuple["Tokenizer", int]:
    """Return a model's tokenizer and the most tokens it allows.

    Raises:
        ModelLoadError: If there is none, or none that tells where a token stands in the text.
    """
    from tokenizers.normalizers import Lowercase, Normalizer
    from tokenizers.normalizers import Sequence as InTurn
    from transformers import AutoTokenizer

    try:
        loaded = AutoTokenizer.from_pretrained(folder.path, local_files_only=True)
    except (OSError, ValueError, RuntimeError, ImportError, KeyError, AttributeError, TypeError) as exc:
        reason = next(iter(str(exc).strip().splitlines()), "") or type(exc).__name__
        raise ModelLoadError(
            f"The tokenizer of the embedding model {folder.name} cannot be loaded from {folder.path}: {reason} "
            "Save or download the model again, or leave out index.embed_model to use the bundled one."
        ) from exc
    if not loaded.is_fast:
        raise ModelLoadError(
            f"The tokenizer of {folder.name} ({type(loaded).__name__}) does not tell where a token stands in the text, "
            "which the vectors of sentences need. Name a model with a tokenizer.json, or leave out index.embed_model."
        )
    tokenizer: Tokenizer = loaded.backend_tokenizer
    if folder.lower_case:
        lower: list[Normalizer] = [Lowercase()]
        tokenizer.normalizer = InTurn(lower + ([tokenizer.normalizer] if tokenizer.normalizer else []))
    return tokenizer, int(loaded.model_max_length)
