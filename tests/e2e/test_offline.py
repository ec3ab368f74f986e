"""Everything works with the network taken away: only the loopback interface answers."""

import os
import subprocess
import sys
from pathlib import Path

SCRIPT = """
import socket

real = socket.socket.connect
def connect(self, address):
    if self.family in (socket.AF_INET, socket.AF_INET6) and address[0] not in ("127.0.0.1", "::1", "localhost"):
        raise AssertionError(f"a connection to {address} was tried")
    return real(self, address)
socket.socket.connect = connect
lookup = socket.getaddrinfo
def getaddrinfo(host, *args, **kwargs):
    if host not in ("127.0.0.1", "::1", "localhost", None, ""):
        raise AssertionError(f"the address of {host} was looked up")
    return lookup(host, *args, **kwargs)
socket.getaddrinfo = getaddrinfo

from index.bundled import bundled_papers
from rag import PaperQA
from rag.settings import load_settings

qa = PaperQA.open("papers.idx", settings=load_settings())
qa.add(list(bundled_papers())[:20])
chat = qa.chat()
answer = chat.ask("Which paper removes token mixers from a vision backbone?")
assert answer.cited[0].paper.title.startswith("RIFormer"), answer.text
chat.ask("and how does it avoid the accuracy drop?")
assert qa.ask("who won the 2023 nobel prize in physics?").status == "refused"

import gradio
import httpx
from ui.web.app import build_app, launch
address = launch(build_app(qa), "127.0.0.1", 0)
assert httpx.get(address, trust_env=False).status_code == 200
print("offline and fine")
"""


def test_a_whole_session_touches_nothing_but_the_loopback(tmp_path: Path, cache_dir: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        cwd=tmp_path,
        env={**os.environ, "CITEWELL_CACHE_DIR": str(cache_dir)},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert run.returncode == 0, run.stderr[-2000:]
    assert "offline and fine" in run.stdout
