"""The transformers answerer, run with real (tiny) models: templates, streaming, stopping, failing."""

import threading
import time
from pathlib import Path

import pytest

from index.bundled import bundled_papers
from index.errors import GenerationError, ModelLoadError
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


def turns(role_check: str) -> str:
    return "{% for m in messages %}" + role_check + "<{{ m['role'] }}>{{ m['content'] | trim }}{% endfor %}"


REFUSES = "{% if m['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
IGNORES = "{# the system turn #}{% if m['role'] != 'system' %}"


def test_a_template_that_refuses_or_ignores_the_system_turn_gets_it_in_the_first_question(tiny_qwen: Path) -> None:
    llm = LocalLLM(str(tiny_qwen))
    llm._tokenizer.chat_template = turns(REFUSES)  # as Gemma's does
    assert llm.prompt(MESSAGES) == "<user>Be brief.\n\nTell me about Lily."
    llm._tokenizer.chat_template = turns(IGNORES).replace("{% endfor %}", "{% endif %}{% endfor %}")
    assert llm.prompt(MESSAGES) == "<user>Be brief.\n\nTell me about Lily."
    llm._tokenizer.chat_template = turns("")  # it never says "system", and takes the turn all the same
    assert llm.prompt(MESSAGES) == "<system>Be brief.<user>Tell me about Lily."


@pytest.mark.parametrize("template", ["{{ raise_exception('no turns at all') }}", "{% for", "{{ messages + 1 }}"])
def test_a_template_that_fails_is_a_readable_error(tiny_qwen: Path, template: str) -> None:
    llm = LocalLLM(str(tiny_qwen))
    llm._tokenizer.chat_template = template
    with pytest.raises(GenerationError, match=r"The chat template of .* fails: .*\. Name another model"):
        llm.prompt(MESSAGES)


@pytest.mark.parametrize("error", [RuntimeError("CUDA out of memory\nlong story"), KeyError("past"), AssertionError()])
def test_whatever_fails_in_the_model_ends_the_stream(tiny_qwen: Path, error: Exception) -> None:
    llm = LocalLLM(str(tiny_qwen))
    forward, steps = llm._model.forward, iter(range(100))

    def failing(*args: object, **kwargs: object) -> object:
        if next(steps) == 5:
            raise error
        return forward(*args, **kwargs)

    llm._model.forward = failing
    with pytest.raises(GenerationError, match=r"failed: .+\.$") as caught:
        list(llm.stream("papers", 50, CancelToken()))
    assert "long story" not in str(caught.value)
    assert not generating()
    llm._model.forward = forward
    assert list(llm.stream("papers", 5, CancelToken()))  # the lock is free again


def test_a_failure_to_decode_ends_the_stream(tiny_qwen: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    llm = LocalLLM(str(tiny_qwen))

    def decode(*_: object, **__: object) -> str:
        raise OverflowError("no such token")

    monkeypatch.setattr(llm._tokenizer, "decode", decode)
    with pytest.raises(GenerationError, match="no such token"):
        list(llm.stream("papers", 5, CancelToken()))


def test_a_reader_that_pauses_does_not_keep_others_waiting(tiny_qwen: Path) -> None:
    llm = LocalLLM(str(tiny_qwen))
    paused = llm.stream("papers", 30, CancelToken())
    first = next(paused)
    assert list(llm.stream("papers", 30, CancelToken())) == [first, *paused]


def test_waiting_for_the_model_ends_with_a_stop_or_with_the_reader(tiny_qwen: Path) -> None:
    llm = LocalLLM(str(tiny_qwen))
    cancel = CancelToken()
    read: list[list[str]] = []
    with llm._lock:  # as a long generation holds it
        reader = threading.Thread(target=lambda: read.append(list(llm.stream("papers", 5, cancel))))
        reader.start()
        time.sleep(0.1)
        assert reader.is_alive()
        cancel.cancel()
        reader.join(timeout=5)
        assert read == [[]]
    assert not generating()


def test_a_reader_that_leaves_frees_the_model_for_the_next(tiny_qwen: Path) -> None:
    llm = LocalLLM(str(tiny_qwen))
    left = llm.stream("papers", 5000, CancelToken())
    next(left)
    pieces: list[str] = []
    waiting = threading.Thread(target=lambda: pieces.extend(llm.stream("papers", 5, CancelToken())))
    waiting.start()
    left.close()
    waiting.join(timeout=30)
    assert pieces


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
    assert answer.trace.answerer == "evidence"
    assert answer.trace.notes == (f"No sentence of {tiny_qwen} was supported; the evidence reader answered.",)
    assert answer.trace.prompt.count("<|im_start|>") == 3
    for sentence in answer.sentences:
        for citation in sentence.citations:
            assert qa.paper(citation.paper_id).abstract[citation.start : citation.end] == citation.quote
