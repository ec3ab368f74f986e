"""A real server, ``transformers serve`` with a tiny random model, writes the answers."""

import importlib.util
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from index.bundled import bundled_papers
from index.errors import GenerationError
from rag import CancelToken, PaperQA
from rag.llm.server import ServerLLM
from rag.llm.source import ServerSource
from rag.settings import AnsweringSettings, RefusalSettings, Settings

MESSAGES = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "What removes token mixers?"}]


@pytest.fixture(scope="module")
def served(tiny_qwen: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a running server, without a model's name."""
    if not importlib.util.find_spec("openai"):
        pytest.skip("transformers serve is not installed: pip install 'transformers[serving]'")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    home = tmp_path_factory.mktemp("server")
    command = [sys.executable, "-m", "transformers.cli.transformers", "serve", str(tiny_qwen)]
    with (home / "log").open("wb") as log:
        process = subprocess.Popen(
            [*command, "--host", "127.0.0.1", "--port", str(port), "--device", "cpu"],
            env={
                **os.environ,
                "HF_HUB_OFFLINE": "1",
                "HF_HUB_DISABLE_UPDATE_CHECK": "1",  # even offline it asks PyPI for a newer version
                "HF_HOME": str(home),
                "OMP_NUM_THREADS": "1",
            },
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        _wait_for(process, f"http://127.0.0.1:{port}/health", home / "log")
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        process.terminate()
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_for(process: "subprocess.Popen[bytes]", health: str, log: Path, timeout_s: float = 120) -> None:
    end = time.monotonic() + timeout_s
    while time.monotonic() < end and process.poll() is None:
        try:
            if httpx.get(health, trust_env=False, timeout=5).is_success:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.2)
    pytest.fail(f"transformers serve did not start:\n{log.read_text(errors='replace')[-3000:]}")


def test_text_streams_and_is_the_same_each_time(served: str, tiny_qwen: Path) -> None:
    llm = ServerLLM(ServerSource(served, str(tiny_qwen)))
    pieces = list(llm.stream(MESSAGES, 40, CancelToken()))
    assert len(pieces) > 5
    assert list(llm.stream(MESSAGES, 40, CancelToken())) != []
    assert "".join(llm.stream(MESSAGES, 40, CancelToken())) == "".join(pieces)
    assert llm.window is None  # it does not say
    assert llm.name == f"{tiny_qwen} at {served.removeprefix('http://').removesuffix('/v1')}"


def test_the_answer_is_what_the_model_writes_here(served: str, tiny_qwen: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(tiny_qwen)
    model = AutoModelForCausalLM.from_pretrained(tiny_qwen)
    prompt = tokenizer.apply_chat_template(
        MESSAGES, add_generation_prompt=True, enable_thinking=False, return_tensors="pt", return_dict=True
    )
    written = model.generate(**prompt, max_new_tokens=40, do_sample=False)[0, prompt["input_ids"].shape[1] :]
    llm = ServerLLM(ServerSource(served, str(tiny_qwen)))
    assert "".join(llm.stream(MESSAGES, 40, CancelToken())) == tokenizer.decode(written, skip_special_tokens=True)


def test_a_stop_ends_the_generation_there_too(served: str, tiny_qwen: Path) -> None:
    llm = ServerLLM(ServerSource(served, str(tiny_qwen)))
    cancel = CancelToken()
    stream = llm.stream(MESSAGES, 4000, cancel)
    next(stream)
    start = time.monotonic()
    cancel.cancel()
    assert list(stream) == []
    assert time.monotonic() - start < 1
    assert not [thread for thread in threading.enumerate() if thread.name == "citewell-server"]
    # It writes one answer at a time: the next comes soon only if the long one has ended.
    assert list(llm.stream(MESSAGES, 3, CancelToken()))
    assert time.monotonic() - start < 15


@pytest.mark.parametrize(
    ("model", "says"),
    [("", "Name it after a #"), ("another", r"Server is pinned to .*; requested 'another'\. \(400\)")],
)
def test_the_wrong_model_is_a_readable_error(served: str, model: str, says: str) -> None:
    with pytest.raises(GenerationError, match=says):
        list(ServerLLM(ServerSource(served, model)).stream(MESSAGES, 5, CancelToken()))


def test_a_whole_answer_cites_exactly(served: str, tiny_qwen: Path, tmp_path: Path) -> None:
    settings = Settings(
        refusal=RefusalSettings(threshold=0.0),
        answering=AnsweringSettings(llm=f"{served}#{tiny_qwen}", max_new_tokens=30),
    )
    qa = PaperQA.open(tmp_path / "papers.idx", settings=settings)
    qa.add(list(bundled_papers())[:8])
    answer = qa.ask("Which paper removes token mixers from a vision backbone?")
    assert answer.sentences
    assert answer.trace.notes or answer.trace.answerer != "evidence"
    for sentence in answer.sentences:
        assert sentence.citations
        for citation in sentence.citations:
            assert qa.paper(citation.paper_id).abstract[citation.start : citation.end] == citation.quote
