"""Load the evidence reader that the settings name. Reads nothing with it."""

from index.embedding.minilm import SAFETENSORS_SHA256

from ..settings import Settings
from .reader import EvidenceReader


def load_reader(settings: Settings, encoder_digest: str | int) -> EvidenceReader:
    """Return the reader.

    Args:
        settings: All settings.
        encoder_digest: Which embedding model made the vectors that it reads with, from its identity; "" if unknown.

    Raises:
        ModelLoadError: If its weights are missing or damaged.
    """
    if settings.evidence.reader == "similarity":
        from .similarity import SimilarityReader

        return SimilarityReader()
    from .trained import TrainedReader

    return TrainedReader(settings.index.cache_dir, familiar=encoder_digest == SAFETENSORS_SHA256)
