"""Language models that suit Citewell, by the hardware they need. Loads, downloads and measures none of them.

What stands here is public knowledge of each model: its shape, its licence, whether it thinks. Memory is computed from
the shape. How well they answer was not measured here; ``citewell models check`` tries one on this machine.
"""

from dataclasses import dataclass

CONTEXT_TOKENS = 4096
TABLE_HEAD = ("model", "parameters", "bfloat16", "float32", "4k context", "licence", "thinks", "for")


@dataclass(frozen=True, slots=True)
class RecommendedModel:
    """A model of a hub, and what is known of it.

    Attributes:
        model_id: Its hub id.
        parameters: How many numbers its weights are, those used twice (tied embeddings) counted once.
        layers: Its attention layers.
        kv_heads: Heads of keys and values in each layer.
        head_dim: Numbers in each key or value.
        licence: Under which its weights are published, an SPDX identifier.
        thinks: Whether it can write its thoughts before an answer. Citewell asks its chat template not to.
        hardware: The least machine it suits, for people.
    """

    model_id: str
    parameters: int
    layers: int
    kv_heads: int
    head_dim: int
    licence: str
    thinks: bool
    hardware: str

    def weight_bytes(self, bytes_per_number: int) -> int:
        """Return what its weights take in memory, 2 bytes a number for bfloat16 and 4 for float32."""
        return self.parameters * bytes_per_number

    def context_bytes(self, tokens: int = CONTEXT_TOKENS, bytes_per_number: int = 2) -> int:
        """Return what the keys and values of that many tokens take beside the weights; buffers not counted."""
        return 2 * self.layers * self.kv_heads * self.head_dim * tokens * bytes_per_number


RECOMMENDED = (
    RecommendedModel("Qwen/Qwen3-0.6B", 596_049_920, 28, 8, 128, "Apache-2.0", True, "CPU, 8 GB of memory"),
    RecommendedModel("Qwen/Qwen3-1.7B", 1_720_574_976, 28, 8, 128, "Apache-2.0", True, "CPU, 16 GB; GPU, 6 GB"),
    RecommendedModel(
        "HuggingFaceTB/SmolLM2-1.7B-Instruct", 1_711_376_384, 24, 32, 64, "Apache-2.0", False, "CPU, 16 GB; GPU, 6 GB"
    ),
    RecommendedModel(
        "HuggingFaceTB/SmolLM3-3B", 3_075_098_624, 36, 4, 128, "Apache-2.0", True, "CPU, 24 GB; GPU, 8 GB"
    ),
    RecommendedModel(
        "Qwen/Qwen3-4B-Instruct-2507", 4_022_468_096, 36, 8, 128, "Apache-2.0", False, "CPU, 32 GB; GPU, 12 GB"
    ),
    RecommendedModel("Qwen/Qwen3-8B", 8_190_735_360, 36, 8, 128, "Apache-2.0", True, "GPU, 24 GB"),
)
"""Smallest memory first by hardware."""


def table_rows() -> list[tuple[str, ...]]:
    """Return the catalogue as text, one row a model in the columns of :data:`TABLE_HEAD`."""
    return [
        (
            model.model_id,
            f"{model.parameters / 1e9:.1f} billion",
            gigabytes(model.weight_bytes(2)),
            gigabytes(model.weight_bytes(4)),
            f"+ {gigabytes(model.context_bytes())}",
            model.licence,
            "can, kept off" if model.thinks else "no",
            model.hardware,
        )
        for model in RECOMMENDED
    ]


def gigabytes(size: int) -> str:
    """Return a number of bytes in GB of a billion, with one decimal.

    Example:
        >>> gigabytes(1_192_099_840)
        '1.2 GB'
    """
    return f"{size / 1e9:.1f} GB"
