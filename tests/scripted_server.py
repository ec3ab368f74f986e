"""A real HTTP server on loopback that answers as a test tells it: whole, in pieces, slowly, badly or never."""

import json
import select
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Exchange:
    """A request, and the means to answer it."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: Any
    handler: BaseHTTPRequestHandler
    left: threading.Event = field(default_factory=threading.Event)
    chunked: bool = False

    def head(self, status: int = 200, kind: str = "text/event-stream", chunked: bool = True, **headers: str) -> None:
        self.chunked = chunked
        lines = [f"HTTP/1.1 {status} Said So", f"Content-Type: {kind}", "Connection: close"]
        lines += ["Transfer-Encoding: chunked"] * chunked
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        self.raw(("\r\n".join(lines) + "\r\n\r\n").encode())

    def raw(self, data: bytes) -> None:
        self.handler.connection.sendall(data)

    def write(self, data: bytes) -> None:
        if data:
            self.raw(b"%x\r\n%s\r\n" % (len(data), data) if self.chunked else data)

    def end(self) -> None:
        if self.chunked:
            self.raw(b"0\r\n\r\n")

    def events(self, *events: object) -> None:
        for event in events:
            self.write(sse(event))

    def whole(self, status: int, kind: str, body: bytes | str | Mapping[str, object], **headers: str) -> None:
        if isinstance(body, Mapping):
            body = json.dumps(body)
        self.head(status, kind, chunked=False, **headers)
        self.write(body.encode() if isinstance(body, str) else body)

    def wait_until_the_client_left(self, timeout_s: float = 10) -> bool:
        """Return whether the client closed the connection; what it did is also in ``left``."""
        connection = self.handler.connection
        try:
            readable, _, _ = select.select([connection], [], [], timeout_s)
            if readable and connection.recv(1, socket.MSG_PEEK) == b"":
                self.left.set()
        except OSError:
            self.left.set()
        return self.left.is_set()


Script = Callable[[Exchange], None]


@dataclass
class ScriptedServer:
    """A server at ``base_url``; ``requests`` are those that came, in order."""

    port: int
    requests: list[Exchange]

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def wait_for(self, count: int, timeout_s: float = 10) -> Exchange:
        """Return the last of ``count`` requests."""
        end = time.monotonic() + timeout_s
        while len(self.requests) < count and time.monotonic() < end:
            time.sleep(0.005)
        return self.requests[count - 1]


@contextmanager
def scripted_server(*scripts: Script) -> Iterator[ScriptedServer]:
    """Serve while the block runs: the n-th request by the n-th script, further ones by the last."""
    requests: list[Exchange] = []

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            exchange = Exchange(self.command, self.path, dict(self.headers), json.loads(body) if body else None, self)
            requests.append(exchange)
            try:
                scripts[min(len(requests), len(scripts)) - 1](exchange)
            except OSError:
                exchange.left.set()
            self.close_connection = True

        do_GET = do_POST = answer

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, name="scripted-server")
    serving.start()
    try:
        yield ScriptedServer(server.server_address[1], requests)
    finally:
        server.shutdown()
        serving.join()
        server.server_close()


def piece(text: str | None, finish: str | None = None, **delta: object) -> dict[str, object]:
    """A chunk as servers send them."""
    return {"choices": [{"index": 0, "delta": {"content": text, **delta}, "finish_reason": finish}]}


def sse(event: object) -> bytes:
    """An event of a text, or of the JSON of anything else."""
    data = event if isinstance(event, str) else json.dumps(event, ensure_ascii=False)
    return f"data: {data}\n\n".encode()


def says(*texts: str) -> Script:
    """A good answer, a chunk for each text."""

    def script(exchange: Exchange) -> None:
        exchange.head()
        exchange.events(piece("", role="assistant"), *map(piece, texts), piece(None, "stop"), "[DONE]")
        exchange.end()

    return script
