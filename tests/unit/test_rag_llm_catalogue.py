"""What is said of recommended models follows from their published shapes, and the README says the same."""

from pathlib import Path

import pytest

from rag.llm.catalogue import RECOMMENDED, TABLE_HEAD, gigabytes, table_rows
from rag.llm.source import HubSource, parse_source

README = (Path(__file__).resolve().parents[2] / "README.md").read_text(encoding="utf-8")

# vocabulary, hidden size, intermediate size, layers, query heads, key and value heads, head dim, tied, norms of q and k
SHAPES = {
    "Qwen/Qwen3-0.6B": (151_936, 1024, 3072, 28, 16, 8, 128, True, True),
    "Qwen/Qwen3-1.7B": (151_936, 2048, 6144, 28, 16, 8, 128, True, True),
    "HuggingFaceTB/SmolLM2-1.7B-Instruct": (49_152, 2048, 8192, 24, 32, 32, 64, True, False),
    "HuggingFaceTB/SmolLM3-3B": (128_256, 2048, 11_008, 36, 16, 4, 128, True, False),
    "Qwen/Qwen3-4B-Instruct-2507": (151_936, 2560, 9728, 36, 32, 8, 128, True, True),
    "Qwen/Qwen3-8B": (151_936, 4096, 12_288, 36, 32, 8, 128, False, True),
}


@pytest.mark.parametrize("model", RECOMMENDED, ids=lambda model: model.model_id)
def test_the_number_of_parameters_is_that_of_the_published_shape(model):
    vocabulary, hidden, inner, layers, heads, kv_heads, head_dim, tied, qk_norms = SHAPES[model.model_id]
    attention = 2 * hidden * heads * head_dim + 2 * hidden * kv_heads * head_dim + 2 * head_dim * qk_norms
    layer = attention + 3 * hidden * inner + 2 * hidden
    assert model.parameters == vocabulary * hidden * (1 if tied else 2) + layers * layer + hidden
    assert (model.layers, model.kv_heads, model.head_dim) == (layers, kv_heads, head_dim)


def test_memory_by_hand():
    small = RECOMMENDED[0]
    assert small.weight_bytes(2) == 1_192_099_840
    assert small.weight_bytes(4) == 2_384_199_680
    assert small.context_bytes(tokens=1) == 2 * 28 * 8 * 128 * 2  # a key and a value in each layer and head
    assert small.context_bytes(4096) == 4096 * small.context_bytes(1)
    assert gigabytes(small.weight_bytes(2)) == "1.2 GB"


def test_every_id_names_a_hub_model_and_none_twice():
    ids = [model.model_id for model in RECOMMENDED]
    assert [parse_source(name) for name in ids] == [HubSource(name) for name in ids]
    assert len(set(ids)) == len(ids)
    assert {len(row) for row in table_rows()} == {len(TABLE_HEAD)}


def test_the_table_of_the_readme_is_the_catalogue():
    lines = README.splitlines()
    head = lines.index("| " + " | ".join(TABLE_HEAD) + " |")
    table = lines[head + 2 : lines.index("", head)]
    assert [tuple(cell.strip() for cell in line.strip("|").split("|")) for line in table] == table_rows()
