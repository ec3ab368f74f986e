"""A chat model on a server that speaks OpenAI's protocol. Starts no server, and never tries again by itself.

vLLM, llama.cpp, Ollama and ``transformers serve`` speak it, each a little differently; what they say is read in
:mod:`rag.llm.completions`.
"""

import asyncio
import ipaddress
import json
import logging
import ssl
import threading
from collections.abc import AsyncGenerator, Generator
from contextlib import aclosing, closing, suppress
from typing import NoReturn
from urllib.parse import urlsplit

import httpx

from index.errors import ConfigError, GenerationError

from ..events import CancelToken
from ..settings import API_KEY_VARIABLE
from .background import read_in_background
from .completions import (
    Chunk,
    FailedError,
    ListedModel,
    UnreadableError,
    is_json,
    read_chunk,
    read_llama_cpp_window,
    read_models,
    said_by,
    shortened,
)
from .model import Messages, PlainModel
from .source import ServerSource
from .sse import EventStream, TooLongError

_CONNECT_S = 5.0
_LOOKUP_S = 3.0  # for what is good to know but not needed
_ERROR_BYTES = 1 << 16  # read of the body of an error
_LIST_BYTES = 1 << 22  # read of a list of models
# A server that goes on after the tokens it was asked for is cut off, since nothing else would end it. Tokens of text
# have 4 to 5 characters; the event around one has some 300 bytes.
_CHARS_PER_TOKEN = 16
_BYTES_PER_TOKEN = 1 << 12
_SPARE_BYTES = 1 << 20
_DONE = "[DONE]"
_LISTED = 10  # models named in a message
_NO_LLM = "leave out --llm to use the evidence reader"
_logger = logging.getLogger(__name__)
_warned: set[str] = set()  # hosts of which it was said that they are sent the key in the clear


class ServerLLM(PlainModel):
    """A :class:`rag.llm.model.LanguageModel` on a server. Constructing it contacts nothing.

    A proxy named in the environment is asked for servers elsewhere, not for those on this machine. Redirections are
    not followed: they would take the question, the papers and the key to a host that nobody named.

    Args:
        source: The server, and which of its models; one without a name is looked up on first use.
        concurrent: Answers it may write at the same time, at least 1.
        timeout_s: Longest silence of the server, before its first word and between two, in seconds.
        api_key: Sent as a bearer token; "" for none. It appears in no message.
        key_withheld: Why a key that there is was not given, and what to do, a sentence for the message of a server that
            asks for one; "" if there is none.
        window: Most tokens of a prompt and its answer. None: what the server says, if it does.

    Raises:
        ConfigError: If the address or the key cannot be sent.
        ValueError: If ``concurrent`` or ``timeout_s`` is not positive.
    """

    def __init__(
        self,
        source: ServerSource,
        *,
        concurrent: int = 8,
        timeout_s: float = 120.0,
        api_key: str = "",
        key_withheld: str = "",
        window: int | None = None,
    ) -> None:
        if concurrent < 1 or timeout_s <= 0:
            raise ValueError(f"concurrent is {concurrent} and timeout_s {timeout_s}; both must be positive")
        self._url = source.base_url
        self._host = urlsplit(self._url).netloc
        self._local = _is_this_machine(_checked_host(self._url))
        self._model = source.model
        self._concurrent = concurrent
        self._timeout_s = timeout_s
        self._api_key = _checked_key(api_key)
        self._key_withheld = key_withheld
        self._window = window
        self._window_settled = window is not None
        self._asking: threading.Event | None = None  # for the window, until the server has said it or not
        self._lookup = threading.Lock()
        self._refuses_switch = threading.Event()  # the server does not know the switch for thinking
        self._tls = _tls_of(self._url, trust_env=not self._local)
        if self._api_key and self._url.startswith("http:") and not self._local and self._host not in _warned:
            _warned.add(self._host)
            _logger.warning(
                "The key in %s goes to %s without encryption, as do questions and papers. Use https if it can.",
                API_KEY_VARIABLE,
                self._host,
            )

    @property
    def name(self) -> str:
        """The model and the server's host; the host alone before the model is known."""
        return f"{self._quoted(self._model)} at {self._host}" if self._model else self._host

    @property
    def concurrent(self) -> int:
        """How many answers it may write at the same time."""
        return self._concurrent

    @property
    def window(self) -> int | None:
        """The most tokens of a prompt and its answer, asked of the server once; None if it does not say.

        Takes up to 3 seconds the first time, for all who want to know it together. A server that is not there yet is
        asked again the next time.
        """
        with self._lookup:
            if self._window_settled:
                return self._window
            asking = self._asking
            if asking is None:
                answered = self._asking = threading.Event()
        if asking is not None:
            asking.wait()
            return self._window
        try:
            for window in read_in_background(self._ask_window, CancelToken()):
                self._window, self._window_settled = window, True
        finally:
            with self._lookup:
                self._asking = None
            answered.set()
        return self._window

    def stream(
        self, messages: Messages, max_new_tokens: int, cancel: CancelToken, papers: int = 0
    ) -> Generator[str, None, bool]:
        """Yield what the server writes, as it comes; see :class:`rag.llm.model.LanguageModel`.

        A stop or closing the iterator also closes the connection, by which the server notices. ``papers`` is not
        used: citation markers of any number may come.

        Raises:
            GenerationError: If the server cannot be reached, refuses, fails or sends something else than an answer.
        """
        cut = False
        with closing(read_in_background(lambda: self._write(messages, max_new_tokens), cancel)) as parts:
            for part in parts:
                if isinstance(part, str):
                    yield part
                else:
                    cut = part
        return cut

    async def _write(self, messages: Messages, max_new_tokens: int) -> AsyncGenerator[str | bool, None]:
        """Yield what the server writes, and at the end whether it was cut."""
        most = _CHARS_PER_TOKEN * max_new_tokens
        left, thought, cut = most, False, False
        try:
            async with self._client() as client:
                model = self._model or await self._only_model(client)
                response = await self._ask(client, model, messages, max_new_tokens)
                async with aclosing(response), aclosing(self._chunks(response, max_new_tokens)) as chunks:
                    async for chunk in chunks:
                        thought |= chunk.thought
                        # transformers serve puts the white space that ends the prompt before the answer.
                        if text := chunk.text.lstrip() if left == most else chunk.text:
                            yield text[:left]
                            left -= len(text)
                        cut = chunk.cut or left <= 0
                        if left <= 0:
                            break
        except httpx.RequestError as exc:
            raise self._broken(exc) from None  # it can hold the key
        if thought and left == most:
            self._fail(
                f"wrote {max_new_tokens} tokens of thinking and no answer",
                "Switch thinking off there, or raise answering.max_new_tokens",
            )
        yield cut

    def _client(self) -> httpx.AsyncClient:
        """Return a client for one call: it belongs to the loop of that call."""
        # A compressed body could be far larger than what is counted.
        headers = {"Accept-Encoding": "identity"}
        if self._api_key:
            headers["Authorization"] = f"Bearer {self._api_key}"
        return httpx.AsyncClient(
            headers=headers,
            timeout=httpx.Timeout(self._timeout_s, connect=_CONNECT_S),
            trust_env=not self._local,
            verify=self._tls,
            follow_redirects=False,
        )

    async def _ask(
        self, client: httpx.AsyncClient, model: str, messages: Messages, max_new_tokens: int
    ) -> httpx.Response:
        """Ask for an answer; a server that refuses the switch for thinking is asked once more without it."""
        body: dict[str, object] = {
            "model": model,
            "messages": [dict(message) for message in messages],
            "max_tokens": max_new_tokens,
            "temperature": 0,
            "stream": True,
        }
        switched = not self._refuses_switch.is_set()
        response = await self._post(
            client, {**body, "chat_template_kwargs": {"enable_thinking": False}} if switched else body
        )
        if switched and response.status_code in (400, 422):
            await response.aclose()
            response = await self._post(client, body)
            if response.is_success:
                self._refuses_switch.set()
        if not response.is_success:
            await self._refused(response)
        return response

    async def _post(self, client: httpx.AsyncClient, body: dict[str, object]) -> httpx.Response:
        # In ASCII: half of a character, which UTF-8 cannot hold, is then no error here.
        content = json.dumps(body).encode("ascii")
        headers = {"Content-Type": "application/json"}
        request = client.build_request("POST", f"{self._url}/chat/completions", content=content, headers=headers)
        return await client.send(request, stream=True)

    async def _chunks(self, response: httpx.Response, max_new_tokens: int) -> AsyncGenerator[Chunk, None]:
        """Yield what the server says up to the chunk that says that it is done; or fail."""
        most = _SPARE_BYTES + _BYTES_PER_TOKEN * max_new_tokens
        kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind in ("text/html", "application/xhtml+xml"):
            self._fail("answers with a web page", f"Name another address, or {_NO_LLM}")
        # One that does not stream says everything at once, and then is done.
        streams = kind != "application/json"
        chunk = None
        try:
            async with aclosing(_events(response, most) if streams else _whole(response, most)) as events:
                async for data in events:
                    chunk = Chunk(finished=True) if data.strip() == _DONE else read_chunk(data)
                    yield chunk
                    if chunk.finished or (not streams and chunk.text):
                        return
        except FailedError as exc:
            lasting = exc.code is not None and 400 <= exc.code < 500 and exc.code not in (408, 429)
            self._fail(
                f"failed: {self._quoted(exc.said)}",
                f"Try again, look into its log, or {_NO_LLM}",
                retryable=not lasting,
            )
        except UnreadableError as exc:
            self._fail(f"sent what is no answer: {self._quoted(exc.said)}", f"Check the address, or {_NO_LLM}")
        except TooLongError as exc:
            self._fail(f"does not stop sending: {exc}", f"Restart it, or {_NO_LLM}")
        what = "sent no answer" if chunk is None else "ended its answer in the middle"
        self._fail(what, f"Try again, look into its log, or {_NO_LLM}", retryable=True)

    async def _only_model(self, client: httpx.AsyncClient) -> str:
        """Return the only model the server has, and keep it."""
        response = await self._get(client, f"{self._url}/models")
        syntax = f"Name it after a #, as in {self._url}#"
        if response.status_code in (401, 403, 429):
            await self._refused(response)
        try:
            models = read_models(await _body(response, _LIST_BYTES)) if response.is_success else []
        except (UnreadableError, TooLongError):
            models = []
        if not models:
            what = "does not say which models it has"
            self._fail(f"{what} ({response.status_code})", f"{syntax}name", retryable=response.is_server_error)
        if len(models) > 1:
            names = ", ".join(self._quoted(model.id) for model in models[:_LISTED])
            more = f" and {len(models) - _LISTED} more" if len(models) > _LISTED else ""
            self._fail(f"has several models: {names}{more}", f"{syntax}{self._quoted(models[0].id)}")
        self._model = models[0].id
        return self._model

    async def _ask_window(self) -> AsyncGenerator[int | None, None]:
        """Yield the window once it is known that the server says it, or does not; else nothing."""
        window = None
        try:
            async with asyncio.timeout(_LOOKUP_S), self._client() as client:
                response = await self._get(client, f"{self._url}/models")
                if response.status_code == 503:
                    return  # it is still loading its model
                models = read_models(await _body(response, _LIST_BYTES)) if response.is_success else []
                if len(models) == 1 and not self._model:
                    self._model = models[0].id
                for model in models:
                    if model.id == self._model or len(models) == 1:  # llama.cpp takes any name for its only model
                        window = await self._window_of(client, model)
        except httpx.ConnectError:
            return
        except (httpx.RequestError, TimeoutError, UnreadableError, TooLongError):
            pass  # the window is of use, but whatever is wrong with the server, the answer itself will tell
        yield window

    async def _window_of(self, client: httpx.AsyncClient, model: ListedModel) -> int | None:
        if not model.llama_cpp:
            return model.window
        # The list says what the model was trained with; each answer may have less.
        response = await self._get(client, f"{self._url.removesuffix('/v1')}/props")
        used = read_llama_cpp_window(await _body(response, _LIST_BYTES)) if response.is_success else None
        return min(filter(None, (used, model.window)), default=None)

    async def _get(self, client: httpx.AsyncClient, url: str) -> httpx.Response:
        return await client.send(client.build_request("GET", url), stream=True)

    async def _refused(self, response: httpx.Response) -> NoReturn:
        """Raise what a status other than success means."""
        code = response.status_code
        if code in (401, 403):
            if self._key_withheld and not self._api_key:
                self._fail(f"asks for a key ({code})", self._key_withheld.rstrip("."))
            doubt = "does not accept the key" if self._api_key else "asks for a key"
            verb = "Correct it" if self._api_key else "Put it"
            self._fail(f"{doubt} ({code})", f"{verb} in the environment variable {API_KEY_VARIABLE}")
        if response.is_redirect:
            target = self._quoted(response.headers.get("location", ""))
            self._fail(f"redirects to {target} ({code})", f"Name that address if it is the right one, or {_NO_LLM}")
        said = self._quoted(await _said(response))
        what = f"{said} ({code})" if said else f"{code} {self._quoted(response.reason_phrase)}".strip()
        if code == 404:
            step = "Check the address, http://host:port/v1 for most servers, and the model's name after the #"
            self._fail(f"does not know the address or the model: {what}", step)
        if code == 429:
            self._fail(f"has too much to do: {what}", "Try again in a while", retryable=True)
        if response.is_server_error or code == 408:
            self._fail(f"failed: {what}", f"Try again, look into its log, or {_NO_LLM}", retryable=True)
        self._fail(f"refused the question: {what}", f"Check the model and its settings there, or {_NO_LLM}")

    def _fail(self, what: str, step: str, *, retryable: bool = False) -> NoReturn:
        raise GenerationError(f"The server at {self._url} {what.rstrip('.')}. {step}.", retryable=retryable) from None

    def _quoted(self, said: str | bytes) -> str:
        """Return what came from elsewhere for a message; servers like to repeat a key that they do not accept."""
        return shortened(said, self._api_key)

    def _broken(self, exc: httpx.RequestError) -> GenerationError:
        """Return what a connection that failed means."""
        reason = self._quoted(str(exc)) or type(exc).__name__
        if isinstance(exc, httpx.ConnectError | httpx.ConnectTimeout):
            within = f" within {_CONNECT_S:.0f} seconds" if isinstance(exc, httpx.ConnectTimeout) else f" ({reason})"
            return GenerationError(
                f"No server answers at {self._url}{within}: start it, or leave out --llm to use the evidence reader.",
                retryable=True,
            )
        if isinstance(exc, httpx.TimeoutException):
            return GenerationError(
                f"The server at {self._url} said nothing for {self._timeout_s:g} seconds. Try again when it has less "
                f"to do, raise answering.timeout_s, or {_NO_LLM}.",
                retryable=True,
            )
        return GenerationError(
            f"The connection to the server at {self._url} broke: {reason.rstrip('.')}. Try again, look into its log, "
            f"or {_NO_LLM}.",
            retryable=True,
        )


async def _events(response: httpx.Response, most: int) -> AsyncGenerator[str, None]:
    """Yield the data of the events of a response.

    Raises:
        TooLongError: If it has more than ``most`` bytes, or an event is too long.
    """
    events = EventStream()
    received = 0
    async for chunk in response.aiter_bytes():
        received += len(chunk)
        for data in events.feed(chunk):
            yield data
        if received > most:
            raise TooLongError(f"more than {most} bytes")
    for data in events.close():
        if data.strip() == _DONE or is_json(data):  # half of an event only says that the rest is missing
            yield data


async def _whole(response: httpx.Response, most: int) -> AsyncGenerator[str, None]:
    """Yield a whole body, as if it were the data of one event."""
    yield (await _body(response, most)).decode("utf-8", "replace")


async def _body(response: httpx.Response, most: int) -> bytes:
    """Return a whole body.

    Raises:
        TooLongError: If it has more than ``most`` bytes.
    """
    body = bytearray()
    async for chunk in response.aiter_bytes():
        body += chunk
        if len(body) > most:
            raise TooLongError(f"more than {most} bytes")
    return bytes(body)


async def _said(response: httpx.Response) -> str:
    """Return what an error's body says, as far as it comes soon."""
    body = bytearray()
    with suppress(TimeoutError, httpx.RequestError):
        async with asyncio.timeout(_LOOKUP_S):
            async for chunk in response.aiter_bytes():
                body += chunk
                if len(body) > _ERROR_BYTES:
                    break
    return said_by(bytes(body))


def _checked_host(url: str) -> str:
    try:
        host = httpx.URL(url).host
        host.encode("idna")
    except (httpx.InvalidURL, UnicodeError) as exc:
        raise ConfigError(f"{url} is not a server's address: {exc}. Write it as http://host:port/v1#model") from exc
    return host


def _checked_key(key: str) -> str:
    """Return the key without white space around it. What is wrong with a key is not said with the key."""
    key = key.strip()
    if not key.isascii() or not key.isprintable():
        raise ConfigError(f"The key in {API_KEY_VARIABLE} holds characters that no key has. Copy it anew.")
    return key


def _is_this_machine(host: str) -> bool:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
    return address.is_loopback or address.is_unspecified  # servers print 0.0.0.0 as theirs


def _tls_of(url: str, *, trust_env: bool) -> ssl.SSLContext:
    """Return whom to trust: for https the known authorities, for http, which needs none, nobody, which is faster."""
    if url.startswith("https:"):
        return httpx.create_ssl_context(trust_env=trust_env)
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
