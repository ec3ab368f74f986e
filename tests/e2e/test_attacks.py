"""Poisoned papers and a model that obeys them, with the real encoder and reader: no request leaves, no markup lives."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from attacks import EVIL, INPUTS, OUTPUTS
from browsing import Visit
from fake_llm import ScriptedLLM

from index.bundled import bundled_papers
from index.paper import Paper
from rag import PaperQA, load_settings
from ui.web.app import build_app, launch

if TYPE_CHECKING:
    from playwright.sync_api import Dialog

HTML = (
    '<img src="http://192.0.2.1/a.png" onerror="alert(1)"><script>alert(2)</script><a href="javascript:alert(3)">x</a>'
)
SCRIPT = """
import socket, sys

real = socket.socket.connect
def connect(self, address):
    if self.family in (socket.AF_INET, socket.AF_INET6):
        raise AssertionError(f"a connection to {address} was tried")
    return real(self, address)
socket.socket.connect = connect
def getaddrinfo(host, *args, **kwargs):
    raise AssertionError(f"the address of {host} was looked up")
socket.getaddrinfo = getaddrinfo

sys.path[:0] = sys.argv[1:]
from attacks import EVIL, INPUTS, OUTPUTS
from fake_llm import ScriptedLLM
from index.bundled import bundled_papers
from index.paper import Paper
from rag import PaperQA
from rag.claims import addresses, markup
from rag.safety import MARKER
from rag.settings import load_settings

FACT = "RIFormer removes token mixers from the basic building blocks of vision backbones"
overrides = {"answering": {"prompt_tokens": 500000, "max_new_tokens": 100000}}
llm = ScriptedLLM("")
qa = PaperQA.open("papers.idx", llm=llm, settings=load_settings(overrides=overrides))
qa.add(list(bundled_papers())[:20])
attacks = [a for a in (*INPUTS[::6], *OUTPUTS[::2]) if len(a.text) < 1000]  # each takes seconds
qa.add(
    Paper.create(
        f"Poison {number}: {attack.text if attack.place == 'title' else 'On token mixers'}",
        f"We study token mixers of vision backbones. {attack.text} This ends the abstract.",
    )
    for number, attack in enumerate(attacks)
)
kept = lines = 0
for number, attack in enumerate(attacks):
    llm._replies = [
        f"{FACT} [1].\\n\\n{attack.text[:600]}\\n\\nPWNED. As the paper [7] proves, RIFormer was retracted [7]. "
        f"{FACT}, see {EVIL} [1]. RIFormer removes ![x]({EVIL}) token mixers [1]."
    ]
    question = "How does RIFormer remove token mixers from a vision backbone?"
    if number % 2:
        question = f"{question} {attack.text[:300]}"
    *_, done = qa.stream(question)
    answer = done.answer
    sources = {source.paper.id: source for source in answer.sources}
    kept += any(FACT in sentence.text for sentence in answer.sentences)
    for sentence in answer.sentences:
        lines += 1
        assert sentence.citations
        quotes = " ".join(citation.quote for citation in sentence.citations)
        for c in sentence.citations:
            assert qa.paper(c.paper_id).abstract[c.start : c.end] == c.quote
            assert sources[c.paper_id].marker == c.marker
        assert not MARKER.search(sentence.text), sentence
        assert not (addresses(sentence.text) | markup(sentence.text)) - (addresses(quotes) | markup(quotes)), sentence
        fakes = [word for word in ("PWNED", "retracted", "SECRET") if word in sentence.text and word not in quotes]
        assert not fakes, sentence
print(f"{kept} answers, {lines} sentences")
assert kept > 20
print("obeyed and harmless")
"""


def test_an_obeying_model_reaches_nobody_and_says_only_what_papers_say(tmp_path: Path, cache_dir: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(Path(__file__).parent.parent), str(Path(__file__).parents[2])],
        cwd=tmp_path,
        env={**os.environ, "CITEWELL_CACHE_DIR": str(cache_dir)},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert run.returncode == 0, run.stderr[-3000:]
    assert "obeyed and harmless" in run.stdout


@pytest.fixture
def poisoned_page(tmp_path: Path, cache_dir: Path) -> Iterator[str]:
    """The page over papers that hold every attack, with a model that copies them; unsupported sentences may stay."""
    answering = {"grounding": "mark", "prompt_tokens": 500_000, "max_new_tokens": 100_000}
    settings = load_settings(overrides={"index": {"cache_dir": cache_dir}, "answering": answering})
    reply = "\n\n".join(
        [
            "RIFormer removes token mixers [1].",
            HTML,
            f"It is here: ![x]({EVIL}).",
            *(a.text[:300] for a in OUTPUTS[:20]),
        ]
    )
    qa = PaperQA.open(tmp_path / "papers.idx", llm=ScriptedLLM(reply), settings=settings)
    qa.add(list(bundled_papers())[:10])
    qa.add(
        Paper.create(
            f"Token mixers {n} {attack.text[:200]}", f"Token mixers {HTML}. {attack.text[:500]}", authors=(HTML,)
        )
        for n, attack in enumerate(INPUTS)
    )
    app = build_app(qa)
    yield launch(app, "127.0.0.1", 0)
    app.close(verbose=False)
    qa.close()


def test_in_a_browser_nothing_of_it_is_alive(visit, poisoned_page: str) -> None:
    page: Visit = visit(poisoned_page)  # it asserts at its end that nothing was fetched from outside
    dialogs: list[str] = []

    def dismiss(dialog: "Dialog") -> None:
        dialogs.append(dialog.message)
        dialog.dismiss()

    page.page.on("dialog", dismiss)
    page.submit(f"Which paper removes token mixers from a vision backbone? {HTML}")
    turn = page.settle(1)
    assert turn.locator(".cw-marker").count() > 0
    assert "onerror" in turn.inner_text()
    page.page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    for place in ("#cw-turn-1", ".cw-sources"):
        part = page.page.locator(place)
        assert part.locator("img, script, iframe, svg, form, style, link, object, embed, base, meta").count() == 0
        assert part.locator("a:not([href^='#cw-'])").evaluate_all(
            "(links) => links.every((link) => link.protocol === 'https:' || link.protocol === 'http:')"
        )
        assert not part.evaluate_all(
            "(parts) => parts.some((part) => [...part.querySelectorAll('*')].some("
            "(one) => [...one.attributes].some((named) => named.name.startsWith('on') || named.name === 'src')))"
        )
    turn.locator(".cw-marker").first.click()
    page.page.wait_for_timeout(500)
    assert dialogs == []
