"""A model hub on the loopback: one model, and a line as slow as one likes."""

import hashlib
import json
import re
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

COMMIT = "0123456789abcdef0123456789abcdef01234567"
_PIECE = 1 << 20


class FakeHub:
    """What the hub has, and what was asked of it.

    Attributes:
        model_id: The one model.
        files: Its files by name.
        url: Its address.
        pause_s: Pause before each MB of a file.
        asked: Names of the files that were asked for, in order.
        sent: Bytes of each file that were sent so far.
    """

    def __init__(self, model_id: str, files: Mapping[str, bytes]) -> None:
        self.model_id, self.files = model_id, dict(files)
        self.url = ""
        self.pause_s = 0.0
        self.asked: list[str] = []
        self.sent = dict.fromkeys(files, 0)

    def answer(self, path: str) -> tuple[object, str]:
        """Return what there is at a path, and the file's name if it is one; None where there is nothing."""
        model = re.escape(self.model_id)
        if re.fullmatch(rf"/api/models/{model}(/revision/(main|{COMMIT}))?", path):
            return {"id": self.model_id, "modelId": self.model_id, "sha": COMMIT, "private": False, "siblings": []}, ""
        if path == f"/api/models/{self.model_id}/tree/{COMMIT}":
            return [
                {"type": "file", "path": name, "size": len(data), "oid": hashlib.sha1(data).hexdigest()}
                for name, data in self.files.items()
            ], ""
        found = re.fullmatch(rf"/{model}/resolve/{COMMIT}/(.+)", path)
        return (self.files.get(found[1]), found[1]) if found else (None, "")


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    hub: FakeHub

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: whoever asked has gone."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def _answer(self, *, body: bool) -> None:
        hub = self.server.hub
        found, name = hub.answer(self.path.partition("?")[0])
        data = found if isinstance(found, bytes) else json.dumps(found or {}).encode()
        self.send_response(404 if found is None else 200)
        self.send_header("Content-Length", str(len(data)))
        if found is None:
            self.send_header("X-Error-Code", "RepoNotFound")
        if name:
            self.send_header("X-Repo-Commit", COMMIT)
            self.send_header("ETag", f'"{hashlib.sha1(data).hexdigest()}"')
        self.end_headers()
        if body and name:
            hub.asked.append(name)
        for start in range(0, len(data) if body else 0, _PIECE):
            if name:
                time.sleep(hub.pause_s)
                hub.sent[name] += len(data[start : start + _PIECE])
            self.wfile.write(data[start : start + _PIECE])

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def serve(hub: FakeHub) -> Iterator[FakeHub]:
    """Serve a hub, and tell its address in ``hub.url``."""
    with _Server(("127.0.0.1", 0), _Handler) as server:
        server.hub = hub
        hub.url = f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield hub
        finally:
            server.shutdown()
