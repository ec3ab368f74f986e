"""The transformers answerer, run with real (tiny) models: templates, streaming, stopping, failing."""

import shutil
import threading
import time
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tiny_model import build_tiny_qwen

from index.bundled import bundled_papers
from index.errors import GenerationError, ModelLoadError
from rag import CancelToken, Done, PaperQA, Token
from rag.answering.sentence_stream import SentenceStream, WrittenSentence
from rag.llm import chat_template, transformers_loading
from rag.llm.model import LocalModel, read_to_end
from rag.llm.source import FolderSource, HubSource
from rag.llm.transformers_model import LocalLLM
from rag.settings import AnsweringSettings, RefusalSettings, Settings

MESSAGES = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Tell me about Lily."}]


@pytest.fixture(autouse=True)
def one_core() -> Iterator[None]:
    """Let torch use one core: with models this small, two only wait for each other, for long on a busy machine."""
    import torch

    cores = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(cores)


def local(folder: Path, **options: Any) -> LocalLLM:
    return LocalLLM(FolderSource(folder), device="cpu", **options)


@pytest.fixture
def tiny(tiny_qwen: Path) -> LocalLLM:
    return local(tiny_qwen)


def said(text: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": text}]


def stream(llm: LocalLLM, text: str, tokens: int, cancel: CancelToken | None = None, papers: int = 5) -> Any:
    return llm.stream(said(text), tokens, cancel or CancelToken(), papers)


def generating() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "citewell-generate"]


def test_the_chat_template_is_used_with_thinking_off(tiny: LocalLLM) -> None:
    prompt = tiny.prompt(MESSAGES)
    assert prompt.startswith("<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\n")
    assert prompt.endswith("<|im_start|>assistant\n<think>\n\n</think>\n\n")


def test_a_template_without_a_system_turn_gets_it_in_the_first_question(stories: Path) -> None:
    prompt = local(stories).prompt(MESSAGES)
    assert prompt.split() == "Be brief. Tell me about Lily.".split()


def turns(role_check: str) -> str:
    return "{% for m in messages %}" + role_check + "<{{ m['role'] }}>{{ m['content'] | trim }}{% endfor %}"


REFUSES = "{% if m['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
IGNORES = "{# the system turn #}{% if m['role'] != 'system' %}"


def test_a_template_that_refuses_or_ignores_the_system_turn_gets_it_in_the_first_question(tiny: LocalLLM) -> None:
    tiny._tokenizer.chat_template = turns(REFUSES)  # as Gemma's does
    assert tiny.prompt(MESSAGES) == "<user>Be brief.\n\nTell me about Lily."
    tiny._tokenizer.chat_template = turns(IGNORES).replace("{% endfor %}", "{% endif %}{% endfor %}")
    assert tiny.prompt(MESSAGES) == "<user>Be brief.\n\nTell me about Lily."
    tiny._tokenizer.chat_template = turns("")  # it never says "system", and takes the turn all the same
    assert tiny.prompt(MESSAGES) == "<system>Be brief.<user>Tell me about Lily."


@pytest.mark.parametrize("template", ["{{ raise_exception('no turns at all') }}", "{% for", "{{ messages + 1 }}"])
def test_a_template_that_fails_is_a_readable_error(tiny: LocalLLM, template: str) -> None:
    tiny._tokenizer.chat_template = template
    with pytest.raises(GenerationError, match=r"The chat template of .* fails: .*\. Name another model"):
        tiny.prompt(MESSAGES)


def fail_at(llm: LocalLLM, step: int, error: Exception, held: list[Any] | None = None) -> None:
    """Make one forward pass fail; ``held`` gets a weak reference to a tensor that it held."""
    import torch

    forward, steps = llm._model.forward, iter(range(10_000))

    def failing(*args: object, **kwargs: object) -> object:
        if next(steps) == step:
            ballast = torch.zeros(1000)
            if held is not None:
                held.append(weakref.ref(ballast))
            raise error
        return forward(*args, **kwargs)

    llm._model.forward = failing


@pytest.mark.parametrize(
    "error", [RuntimeError("device-side assert\nlong story"), KeyError("past"), AssertionError(), StopIteration()]
)
def test_whatever_fails_in_the_model_ends_the_stream(tiny: LocalLLM, error: Exception) -> None:
    fail_at(tiny, 5, error)
    with pytest.raises(GenerationError, match=r"failed: .+\.$") as caught:
        list(stream(tiny, "papers", 50))
    assert "long story" not in str(caught.value)
    assert caught.value.__cause__ is error
    assert not generating()
    assert list(stream(tiny, "papers", 5))  # it goes on working


def out_of_memory() -> list[Exception]:
    import torch

    return [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB.\nlong story"),
        RuntimeError(
            "[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: can't allocate memory: you tried 1 byte"
        ),
        RuntimeError("MPS backend out of memory (MPS allocated: 9.00 GB)"),
        OSError(12, "Cannot allocate memory"),
        MemoryError(),
    ]


@pytest.mark.parametrize("kind", range(5))
def test_without_memory_the_next_step_is_named_and_what_was_held_is_freed(tiny: LocalLLM, kind: int) -> None:
    held: list[Any] = []
    fail_at(tiny, 3, out_of_memory()[kind], held)
    with pytest.raises(GenerationError, match=r"ran out of memory\. Take a smaller model") as caught:
        list(stream(tiny, "papers", 50))
    assert "answering.quantization" in str(caught.value)
    assert "answering.prompt_tokens" in str(caught.value)
    assert held[0]() is None  # although the error still lives
    assert list(stream(tiny, "papers", 5))


@pytest.mark.parametrize("kind", range(5))
def test_a_model_too_large_for_the_memory_is_named(tiny_qwen: Path, monkeypatch: pytest.MonkeyPatch, kind: int) -> None:
    def load(*_: object, **__: object) -> None:
        raise out_of_memory()[kind]

    monkeypatch.setattr("transformers.AutoModelForCausalLM.from_pretrained", load)
    with pytest.raises(ModelLoadError, match=r"The memory is too small for the language model .* smaller model"):
        local(tiny_qwen)


def test_a_failure_to_decode_ends_the_stream(tiny: LocalLLM, monkeypatch: pytest.MonkeyPatch) -> None:
    def decode(*_: object, **__: object) -> str:
        raise OverflowError("no such token")

    monkeypatch.setattr(tiny._tokenizer, "decode", decode)
    with pytest.raises(GenerationError, match="no such token"):
        list(stream(tiny, "papers", 5))
    assert not generating()


def test_text_streams_in_pieces_and_is_what_generate_gives(stories: Path) -> None:
    llm = local(stories)
    prompt = "Once upon a time, there was a little girl named Lily."
    pieces = list(stream(llm, prompt, 200))
    inputs = llm._tokenizer(llm.prompt(said(prompt)), return_tensors="pt")
    whole = llm._model.generate(**inputs, max_new_tokens=200, do_sample=False)[0, inputs["input_ids"].shape[1] :]
    text, whole_text = "".join(pieces), llm._tokenizer.decode(whole, skip_special_tokens=True)
    assert whole_text.startswith(text)
    assert len(whole_text) * 0.7 < len(text) < len(whole_text)
    assert text.endswith(".")  # it ended with a sentence
    assert len(pieces) > 5
    assert list(stream(llm, prompt, 200)) == pieces


def test_a_model_that_loves_wrong_numbers_writes_right_ones(tiny: LocalLLM) -> None:
    import torch

    from rag.safety import MARKER, marker_numbers

    likes = [tiny._tokenizer(piece)["input_ids"][0] for piece in ("[", "0", "3", "7", "9", "]")]

    def loving(*args: object, **kwargs: object) -> Any:
        outputs = forward(*args, **kwargs)
        outputs.logits[..., likes] += 10 * torch.rand(len(likes), generator=generator)
        return outputs

    forward, generator = tiny._model.forward, torch.Generator().manual_seed(0)
    tiny._model.forward = loving
    named = [
        number
        for papers in (0, 3, 5, 8)
        for text in [" ".join("".join(stream(tiny, "papers", 300, papers=papers)).split())]
        for marker in MARKER.findall(text)
        for number in [*marker_numbers(marker), -papers]
    ]
    assert len(named) > 20
    assert set(named) <= {3, 7, -3, -5, -8}


def test_a_reader_that_pauses_does_not_keep_others_waiting(tiny: LocalLLM) -> None:
    paused = stream(tiny, "papers", 30)
    first = next(paused)
    assert list(stream(tiny, "papers", 30)) == [first, *paused]


def test_threads_that_stream_at_once_get_what_each_gets_alone(tiny: LocalLLM, stories: Path) -> None:
    other = local(stories)
    jobs = [(llm, f"{start} a time, Lily", 60) for llm in (tiny, other) for start in ("Once upon", "There was", "At")]
    alone = ["".join(stream(*job)) for job in jobs]
    assert len(set(alone)) == len(jobs)
    together = [""] * len(jobs)

    def run(at: int) -> None:
        for _ in range(3):
            together[at] = "".join(stream(*jobs[at]))
            assert jobs[at][0].count_tokens("word " * 50) > 20

    threads = [threading.Thread(target=run, args=(at,)) for at in range(len(jobs))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert together == alone


def count_steps(llm: LocalLLM) -> list[int]:
    steps: list[int] = []
    llm._model.register_forward_pre_hook(lambda *_: steps.append(1))
    return steps


def test_a_stop_takes_effect_within_two_tokens_and_frees_the_thread(tiny: LocalLLM) -> None:
    steps = count_steps(tiny)
    cancel = CancelToken()
    running = stream(tiny, "papers", 3000, cancel)
    next(running)
    cancel.cancel()
    at_stop = len(steps)
    assert list(running) == []
    assert len(steps) <= at_stop + 2
    assert not generating()


def test_closing_the_stream_stops_the_model_within_two_tokens(tiny: LocalLLM) -> None:
    steps = count_steps(tiny)
    running = stream(tiny, "papers", 3000)
    next(running)
    assert generating()
    at_stop = len(steps)
    running.close()
    assert len(steps) <= at_stop + 2
    assert not generating()


def test_a_stop_before_the_beginning_writes_nothing(tiny: LocalLLM) -> None:
    steps = count_steps(tiny)
    cancel = CancelToken()
    cancel.cancel()
    assert list(stream(tiny, "papers", 50, cancel)) == []
    assert len(steps) <= 1
    assert not generating()


def test_a_stop_of_one_stream_leaves_the_others_alone(tiny: LocalLLM) -> None:
    alone = list(stream(tiny, "papers", 60))
    cancel = CancelToken()
    stopped, other = stream(tiny, "Lily", 3000, cancel), stream(tiny, "papers", 60)
    pieces = [next(other)]
    next(stopped)
    cancel.cancel()
    assert list(stopped) == []
    assert [*pieces, *other] == alone


@pytest.fixture(scope="module")
def slow_reader(tmp_path_factory: pytest.TempPathFactory) -> LocalLLM:
    """A model that takes seconds to read 8000 tokens."""
    folder = build_tiny_qwen(
        tmp_path_factory.mktemp("slow"),
        hidden_size=256,
        intermediate_size=1024,
        num_hidden_layers=16,
        max_position_embeddings=16_384,
    )
    return local(folder, dtype="float32")


@pytest.fixture
def layers_run(slow_reader: LocalLLM) -> Iterator[list[int]]:
    """Gets an item for each layer that has begun."""
    layers: list[int] = []
    # Before any other hook: one that is begun and then stopped counts, too.
    hooks = [layer.register_forward_pre_hook(lambda *_: layers.append(1)) for layer in slow_reader._model.model.layers]
    yield layers
    for hook in hooks:
        hook.remove()


def test_a_stop_while_the_prompt_is_read_waits_for_one_layer_at_most(
    slow_reader: LocalLLM, layers_run: list[int]
) -> None:
    prompt = "the " * 8000
    assert slow_reader.count_tokens(slow_reader.prompt(said(prompt))) > 8000
    cancel = CancelToken()
    pieces: list[str] = []
    reader = threading.Thread(target=lambda: pieces.extend(stream(slow_reader, prompt, 5, cancel)))
    reader.start()
    while len(layers_run) < 2:
        time.sleep(0.001)
    cancel.cancel()
    at_stop = len(layers_run)
    assert at_stop < 10
    reader.join(timeout=60)
    assert len(layers_run) <= at_stop + 1
    assert pieces == []
    assert not generating()
    assert list(stream(slow_reader, "papers", 5))  # it goes on working


def test_window_and_tokens_are_the_models(tiny: LocalLLM) -> None:
    assert tiny.window == 8192
    assert tiny.concurrent == 1
    prompt = tiny.prompt(MESSAGES)
    assert tiny.count_tokens(prompt) == len(tiny._tokenizer(prompt)["input_ids"])
    assert tiny.count_tokens("word " * 9000) >= 9000


def test_a_begin_mark_that_the_template_writes_is_not_doubled(stories: Path) -> None:
    llm = local(stories)
    bos = llm._tokenizer.bos_token
    assert bos
    assert llm._encode(f"{bos}Lily").count(llm._tokenizer.bos_token_id) == 1
    assert llm._encode("Lily").count(llm._tokenizer.bos_token_id) == 1


def test_the_end_of_a_turn_ends_an_answer_although_the_model_does_not_name_it(tiny_qwen: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_qwen, tmp_path / "base")
    for name in ("config.json", "generation_config.json"):
        text = (folder / name).read_text().replace('"eos_token_id": 2', '"eos_token_id": 0')
        (folder / name).write_text(text)
    assert local(folder)._ends == [0, 2]


# Loading


def test_the_name_is_the_folder_or_the_hub_id(tiny_qwen: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert local(tiny_qwen).name == str(tiny_qwen)
    cached = tmp_path / "models--makers--tiny"
    (cached / "refs").mkdir(parents=True)
    (cached / "refs" / "main").write_text("abc123")
    shutil.copytree(tiny_qwen, cached / "snapshots" / "abc123")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    llm = LocalLLM(HubSource("makers/tiny"), device="cpu")
    assert llm.name == "makers/tiny"
    assert list(stream(llm, "papers", 5))
    (cached / "snapshots" / "abc123" / "model.safetensors").unlink()
    with pytest.raises(ModelLoadError, match=r"is not whole.* Download it again: citewell models pull makers/tiny"):
        LocalLLM(HubSource("makers/tiny"))


@pytest.mark.parametrize("model_id", ["makers/none", "makers--none..", "none"])
def test_a_hub_model_is_never_downloaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model_id: str) -> None:
    def connect(*_: object, **__: object) -> None:
        raise AssertionError("it reached for the network")

    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr("socket.socket.connect", connect)
    monkeypatch.setattr("socket.getaddrinfo", connect)
    with pytest.raises(ModelLoadError, match=f"is not on this machine.* citewell models pull {model_id}"):
        LocalLLM(HubSource(model_id))


def test_a_damaged_model_is_a_readable_error(tiny_qwen: Path, tmp_path: Path) -> None:
    broken = shutil.copytree(tiny_qwen, tmp_path / "broken")
    (broken / "model.safetensors").write_bytes(b"not weights")
    with pytest.raises(ModelLoadError, match=r"cannot be loaded: .*\. Or leave out --llm"):
        local(broken)


def test_pickles_are_not_loaded(tiny_qwen: Path, tmp_path: Path) -> None:
    import torch

    class Program:
        def __reduce__(self) -> tuple[Any, ...]:
            return Path.touch, (tmp_path / "it-ran",)

    folder = shutil.copytree(tiny_qwen, tmp_path / "old")
    (folder / "model.safetensors").unlink()
    torch.save({"weight": Program()}, folder / "pytorch_model.bin")
    with pytest.raises(ModelLoadError, match="only pickles"):
        local(folder)
    (folder / "pytorch_model.bin").unlink()
    with pytest.raises(ModelLoadError, match=r"weights are missing\. Copy the whole folder"):
        local(folder)
    assert not (tmp_path / "it-ran").exists()


def test_a_models_own_code_runs_only_when_it_may(
    tiny_qwen: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import json

    folder = shutil.copytree(tiny_qwen, tmp_path / "own-code")
    config = json.loads((folder / "config.json").read_text()) | {
        "model_type": "mystery",
        "auto_map": {"AutoConfig": "mystery.Config", "AutoModelForCausalLM": "mystery.Model"},
    }
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "mystery.py").write_text(
        "from pathlib import Path\n"
        "from transformers import Qwen2Config, Qwen2ForCausalLM\n"
        f"Path({str(tmp_path / 'it-ran')!r}).touch()\n"
        "class Config(Qwen2Config):\n    model_type = 'mystery'\n"
        "class Model(Qwen2ForCausalLM):\n    config_class = Config\n"
    )
    monkeypatch.setattr("transformers.dynamic_module_utils.HF_MODULES_CACHE", str(tmp_path / "modules"))
    with pytest.raises(ModelLoadError, match=r"program code of its own.*answering\.trust_remote_code"):
        local(folder)
    assert not (tmp_path / "it-ran").exists()
    assert list(stream(local(folder, trust_remote_code=True), "papers", 5))
    assert (tmp_path / "it-ran").exists()


def test_fewer_bits_need_a_package(tiny_qwen: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name, *_: None if name == "bitsandbytes" else object())
    with pytest.raises(ModelLoadError, match=r"answering\.quantization is 4bit.* pip install bitsandbytes$"):
        local(tiny_qwen, quantization="4bit")


def test_a_device_that_is_not_there_is_named_with_its_setting(tiny_qwen: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(ModelLoadError, match=r"answering\.device is cuda.* CITEWELL_ANSWERING__DEVICE=auto"):
        LocalLLM(FolderSource(tiny_qwen), device="cuda")


@pytest.mark.parametrize(
    ("flags", "expected"),
    [({"avx2"}, "float32"), ({"avx2", "avx512_bf16"}, "bfloat16"), ({"amx_bf16"}, "bfloat16"), (set(), "float32")],
)
def test_a_cpu_gets_bfloat16_if_it_computes_in_it(
    tiny_qwen: Path, monkeypatch: pytest.MonkeyPatch, flags: set[str], expected: str
) -> None:
    import torch

    monkeypatch.setattr(transformers_loading, "_cpu_flags", lambda: flags)
    assert local(tiny_qwen)._model.dtype == getattr(torch, expected)
    assert local(tiny_qwen, dtype="float16")._model.dtype == torch.float16


@pytest.mark.parametrize(("native", "expected"), [(True, "bfloat16"), (False, "float16")])
def test_a_gpu_gets_bfloat16_or_float16(monkeypatch: pytest.MonkeyPatch, native: bool, expected: str) -> None:
    import torch

    monkeypatch.setattr("torch.cuda.is_bf16_supported", lambda including_emulation: native)
    assert transformers_loading.chosen_dtype("auto", "cuda") == getattr(torch, expected)


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


# -- templates that are no use --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "template",
    [
        "{{ 1/0 }}",
        "{% for i in range(1000000) %}{% endfor %}",
        "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
        "{{ 'x'.no.way }}",
    ],
)
def test_whatever_a_template_raises_is_a_readable_error(tiny: LocalLLM, template: str) -> None:
    tiny._tokenizer.chat_template = template
    for asks in (lambda: tiny.prompt(MESSAGES), lambda: list(tiny.stream(MESSAGES, 5, CancelToken()))):
        with pytest.raises(GenerationError, match=r"The chat template of .* fails: .*\. Name another model with --llm"):
            asks()


ENDLESS = "{% for i in range(90000) %}{% for j in range(90000) %}{% endfor %}{% endfor %}x"


def templates_running() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "citewell-template"]


def test_a_template_that_does_not_end_is_ended(tiny: LocalLLM, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chat_template, "_LIMIT_S", 0.5)
    tiny._tokenizer.chat_template = ENDLESS
    began = time.monotonic()
    with pytest.raises(GenerationError, match=r"does not end within 0\.5 seconds\. Name another model"):
        tiny.prompt(MESSAGES)
    assert time.monotonic() - began < 2.0
    assert not templates_running()


def test_a_stop_ends_a_template(tiny: LocalLLM) -> None:
    tiny._tokenizer.chat_template = ENDLESS
    cancel, began = CancelToken(), time.monotonic()
    threading.Timer(0.2, cancel.cancel).start()
    assert list(tiny.stream(MESSAGES, 5, cancel)) == []
    assert time.monotonic() - began < 2.0
    assert not templates_running()


# -- thinking, its end, and what the model tells of itself ----------------------------------------------------

THOUGHTS = [
    ("[THINK]The user asks. [/THINK]It needs 40.", ["[THINK]", "[/THINK]"]),
    ("◁think▷The user asks. ◁/think▷It needs 40.", ["◁think▷", "◁/think▷"]),
    (
        "<|channel|>analysis<|message|>The user asks. <|end|><|start|>assistant<|channel|>final<|message|>It needs 40.",
        ["<|channel|>", "<|message|>", "<|end|>", "<|start|>"],
    ),
    ("<|START_THINKING|>The user asks. <|END_THINKING|>It needs 40.", ["<|START_THINKING|>", "<|END_THINKING|>"]),
]


def writing(llm: LocalLLM, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make a model write a text, and then its end."""
    import torch

    tokens = iter([*llm._tokenizer(text, add_special_tokens=False)["input_ids"], *llm._ends[:1] * 100])
    forward = llm._model.forward

    def scripted(*args: object, **kwargs: object) -> Any:
        output = forward(*args, **kwargs)
        output.logits[:] = torch.zeros_like(output.logits)
        output.logits[:, -1, next(tokens)] = 9.0
        return output

    monkeypatch.setattr(llm._model, "forward", scripted)


@pytest.mark.parametrize(("text", "tags"), THOUGHTS, ids=[tags[0] for _, tags in THOUGHTS])
def test_thinking_whose_tags_are_special_tokens_stays_thinking(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, tags: list[str]
) -> None:
    folder = build_tiny_qwen(tmp_path, vocab_size=1100)
    tokenizer = local(folder)._tokenizer
    tokenizer.add_special_tokens({"additional_special_tokens": [*tags, "<|other|>"]})
    tokenizer.save_pretrained(folder)
    llm = local(folder)
    writing(llm, text.replace("It needs", "<|other|>It needs"), monkeypatch)
    written, cut = read_to_end(llm.stream(said("How many?"), 90, CancelToken()))
    assert (written, cut) == (text, False)  # the tags are there, and no other special token is
    sentences = SentenceStream(2, llm.prompt(said("How many?")))
    parts = [*sentences.feed(written), *sentences.end(cut=cut)]
    assert [part.text for part in parts if isinstance(part, WrittenSentence)] == ["It needs 40."]
    assert "".join(part for part in parts if isinstance(part, str)) == "It needs 40."


def test_whether_the_limit_cut_the_text_is_told(tiny: LocalLLM, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "It needs 40 tokens."
    needed = len(tiny._tokenizer(text)["input_ids"])
    for limit, cut in ((needed - 1, True), (needed, True), (needed + 1, False), (needed + 9, False)):
        with monkeypatch.context() as patch:
            writing(tiny, text, patch)
            monkeypatch.setattr("rag.llm.ending._FROM_SHARE", 2.0)  # it would end the answer before
            assert read_to_end(tiny.stream(said("How many?"), limit, CancelToken()))[1] is cut
    cancel = CancelToken()
    pieces = stream(tiny, "papers", 50, cancel)
    next(pieces)
    cancel.cancel()
    assert read_to_end(pieces)[1] is False


def test_a_model_tells_what_it_is(tiny: LocalLLM, tiny_qwen: Path) -> None:
    assert isinstance(tiny, LocalModel)
    assert tiny.parameters == sum(weight.numel() for weight in tiny._model.parameters())
    assert tiny.dtype in ("float32", "bfloat16")
    assert local(tiny_qwen, dtype="float16").dtype == "float16"
    assert tiny.device == "cpu"


def test_loading_draws_no_bar(tiny_qwen: Path, capfd: pytest.CaptureFixture[str]) -> None:
    from transformers.utils import logging

    logging.enable_progress_bar()
    local(tiny_qwen)
    assert logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    local(tiny_qwen)
    assert not logging.is_progress_bar_enabled()
    logging.enable_progress_bar()
    assert "%" not in capfd.readouterr().err
