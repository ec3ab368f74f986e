"""Choose the encoder that the settings name. Loads nothing that is not asked for."""

from pathlib import Path

from .device import Device
from .encoder import Encoder


def load_encoder(embed_model: str | None, cache_dir: Path, device: Device = "auto") -> Encoder:
    """Return an embedding model.

    Args:
        embed_model: A sentence-transformers model: a folder or hub id. None, or
            its own name: the bundled all-MiniLM-L6-v2.
        cache_dir: Folder for what can be rebuilt, such as the bundled model's graph.
        device: Where it runs; see the encoders.

    Raises:
        ModelLoadError: If the model cannot be loaded; the message says what to do.
    """
    from .minilm import MODEL_NAME, MiniLMEncoder

    if embed_model in (None, MODEL_NAME):
        return MiniLMEncoder(cache_dir, device=device)
    from .transformer import TransformerEncoder

    return TransformerEncoder(str(embed_model), device)
