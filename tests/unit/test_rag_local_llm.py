"""The transformers answerer, run with real (tiny) models: templates, streaming, stopping, failing."""

import threading
from pathlib import Path

import pytest

from index.bundled import bundled_papers
from index.errors import ModelLoadError
from rag import CancelToken, Done, PaperQA, Token
from rag.answering.local_llm import LocalLLM, check_model_folder
from rag.settings import AnsweringSettings, RefusalSettings, Settings

QWEN_TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n"
    "{% if enable_thinking is defined and not enable_thinking %}<think>\n\n</think>\n\n{% endif %}{% endif %}"
    "{# system #}"
)


@pytest.fixture(scope="session")
def tiny_qwen(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random Qwen2-like model of 0.2M parameters, with a tokenizer trained on some abstracts."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM

    folder = tmp_path_factory.mktemp("tiny-qwen")
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    trainer = trainers.BpeTrainer(
        vocab_size=1000, special_tokens=special, initial_alphabet=pre_tokenizers.ByteLevel.alphabet()
    )
    tokenizer.train_from_iterator((paper.abstract for paper in list(bundled_papers())[:60]), trainer)
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<|im_end|>", pad_token="<|endoftext|>")
    fast.chat_template = QWEN_TEMPLATE
    fast.save_pretrained(folder)
    torch.manual_seed(0)
    config = Qwen2Config(
        vocab_size=len(fast),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=8192,
        eos_token_id=fast.eos_token_id,
        pad_token_id=fast.pad_token_id,
        bos_token_id=None,
    )
    Qwen2ForCausalLM(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def stories(shared_data: Path) -> Path:
    """A real Llama of 260,032 parameters."""
    folder = shared_data.parent / "weights" / "stories260K"
    if not folder.is_dir():
        pytest.skip(f"there is no model at {folder}")
    return folder


MESSAGES = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Tell me about Lily."}]


def test_the_chat_template_is_used_with_thinking_off(tiny_qwen: Path) -> None:
    prompt = LocalLLM(str(tiny_qwen)).prompt(MESSAGES)
    assert prompt.startswith("<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\n")
    assert prompt.endswith("<|im_start|>assistant\n<think>\n\n</think>\n\n")


def test_a_template_without_a_system_turn_gets_it_in_the_first_question(stories: Path) -> None:
    prompt = LocalLLM(str(stories)).prompt(MESSAGES)
    assert prompt.split() == "Be brief. Tell me about Lily.".split()


def test_text_streams_in_pieces_and_is_what_generate_gives(stories: Path) -> None:
    llm = LocalLLM(str(stories))
    prompt = "Once upon a time, there was a little girl named Lily."
    pieces = list(llm.stream(prompt, 40, CancelToken()))
    inputs = llm._tokenizer(prompt, return_tensors="pt")
    whole = llm._model.generate(**inputs, max_new_tokens=40, do_sample=False)[0, inputs["input_ids"].shape[1] :]
    assert "".join(pieces) == llm._tokenizer.decode(whole, skip_special_tokens=True)
    assert len(pieces) > 5
    assert list(llm.stream(prompt, 40, CancelToken())) == pieces


def generating() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "citewell-generate"]


def test_a_stop_takes_effect_within_two_tokens_and_frees_the_thread(tiny_qwen: Path) -> None:
    import torch

    llm = LocalLLM(str(tiny_qwen))
    steps = 0
    forward = llm._model.forward

    def counted(*args: object, **kwargs: object) -> torch.Tensor:
        nonlocal steps
        steps += 1
        return forward(*args, **kwargs)

    llm._model.forward = counted
    cancel = CancelToken()
    stream = llm.stream("papers", 3000, cancel)
    next(stream)
    cancel.cancel()
    at_stop = steps
    rest = list(stream)
    assert steps <= at_stop + 2 + len(rest)
    assert steps < 500
    assert not generating()


def test_closing_the_stream_stops_the_model(tiny_qwen: Path) -> None:
    stream = LocalLLM(str(tiny_qwen)).stream("papers", 5000, CancelToken())
    next(stream)
    assert generating()
    stream.close()
    assert not generating()


def test_the_window_is_respected(tiny_qwen: Path) -> None:
    llm = LocalLLM(str(tiny_qwen))
    assert llm.fits("word " * 100, 100)
    assert not llm.fits("word " * 9000, 100)


@pytest.mark.parametrize("name", ["./none", "/no/such/folder", "~/none", "a/b/c"])
def test_a_missing_folder_is_named(name: str) -> None:
    with pytest.raises(ModelLoadError, match="There is no model at"):
        check_model_folder(name)


def test_a_hub_id_is_left_alone_and_fails_offline_with_the_next_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)  # it reads the variable once, at import
    assert check_model_folder("Qwen/Qwen3-1.7B") == "Qwen/Qwen3-1.7B"
    with pytest.raises(ModelLoadError, match=r"hf download Qwen/Qwen3-1\.7B"):
        LocalLLM("Qwen/Qwen3-1.7B")


def test_a_damaged_model_is_a_readable_error(tiny_qwen: Path, tmp_path: Path) -> None:
    import shutil

    broken = tmp_path / "broken"
    shutil.copytree(tiny_qwen, broken)
    (broken / "model.safetensors").write_bytes(b"not weights")
    with pytest.raises(ModelLoadError, match="cannot be loaded"):
        LocalLLM(str(broken))


def test_a_model_of_no_use_still_leaves_a_cited_answer(tiny_qwen: Path, tmp_path: Path) -> None:
    settings = Settings(
        refusal=RefusalSettings(threshold=0.0), answering=AnsweringSettings(llm=str(tiny_qwen), max_new_tokens=30)
    )
    qa = PaperQA.open(tmp_path / "papers.idx", settings=settings)
    qa.add(list(bundled_papers())[:8])
    events = list(qa.stream("Which paper removes token mixers from a vision backbone?"))
    assert any(isinstance(event, Token) for event in events)
    assert isinstance(events[-1], Done)
    answer = events[-1].answer
    assert answer.sentences
    assert answer.trace.answerer == str(tiny_qwen)
    assert answer.trace.prompt.count("<|im_start|>") == 3
    for sentence in answer.sentences:
        for citation in sentence.citations:
            assert qa.paper(citation.paper_id).abstract[citation.start : citation.end] == citation.quote
