"""The chat page with a slow language model: drafts, the queue, stopping, and visitors who go away."""

import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from browsing import DESKTOP, Visit
from fake_llm import ScriptedLLM

from index.bundled import bundled_papers
from rag import PaperQA, load_settings
from rag.events import CancelToken
from rag.llm.model import Messages
from ui.web.app import build_app, launch

if TYPE_CHECKING:
    from playwright.sync_api import Browser

QUESTION = "Which paper removes token mixers from a vision backbone, and how does it avoid the accuracy drop?"
SAID = "RIFormer removes token mixers from the basic building blocks of vision backbones"
UNSUPPORTED = "It was trained on a thousand GPUs in Lisbon"
REPLY = f"{SAID} [1]. {UNSUPPORTED} [1]. "
ENDLESS = REPLY + "And then it goes " + "on and " * 500 + "on."
SECONDS_TO_STOP = 3.0


class SlowLLM(ScriptedLLM):
    """Also reads its prompt slowly when told to: for ever, unless it is stopped."""

    reading = False

    def __init__(self, *replies: str, delay_s: float = 0.05) -> None:
        super().__init__(*replies, delay_s=delay_s)
        self.began = threading.Event()

    def count_tokens(self, text: str) -> int:
        return len(text) // 8

    def stream(
        self, messages: Messages, max_new_tokens: int, cancel: CancelToken, papers: int = 0
    ) -> Generator[str, None, bool]:
        self.began.set()
        self.running += self.reading
        try:
            while self.reading and not cancel.cancelled:
                time.sleep(0.02)
        finally:
            self.running -= self.reading
        return (yield from super().stream(messages, max_new_tokens, cancel, papers))


class Library:
    """The page of a collection, with a model and settings that a test chooses."""

    def __init__(self, index: Path, cache_dir: Path, llm: SlowLLM, grounding: str) -> None:
        answering = {"grounding": grounding, "rewrite": False}
        settings = load_settings(overrides={"index": {"cache_dir": cache_dir}, "answering": answering})
        self.llm = llm
        self.qa = PaperQA.open(index, llm=llm, settings=settings)
        self._app = build_app(self.qa)
        self.address = launch(self._app, "127.0.0.1", 0)

    def close(self) -> None:
        self._app.close(verbose=False)
        self.qa.close()


OpenLibrary = Callable[..., Library]


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory, cache_dir: Path) -> Path:
    """A few papers."""
    folder = tmp_path_factory.mktemp("web") / "papers.idx"
    settings = load_settings(overrides={"index": {"cache_dir": cache_dir}})
    with closing(PaperQA.open(folder, settings=settings)) as qa:
        qa.add([paper for paper in bundled_papers() if "Vision" in paper.title])
    return folder


@pytest.fixture
def library(index: Path, cache_dir: Path) -> Iterator[OpenLibrary]:
    opened: list[Library] = []

    def open_library(*replies: str, grounding: str = "strict", delay_s: float = 0.05) -> Library:
        opened.append(Library(index, cache_dir, SlowLLM(*replies, delay_s=delay_s), grounding))
        return opened[-1]

    yield open_library
    for one in opened:
        one.close()


def ends_soon(llm: SlowLLM) -> bool:
    """Whether the model stops within a few seconds, and its pieces stay as many."""
    until = time.monotonic() + SECONDS_TO_STOP
    while llm.running and time.monotonic() < until:
        time.sleep(0.02)
    pieces = llm.pieces
    time.sleep(0.5)
    return not llm.running and llm.pieces == pieces


def test_closing_the_page_stops_a_model_that_writes(browser: "Browser", library: OpenLibrary) -> None:
    papers = library(ENDLESS)
    leaving = Visit(browser, papers.address, DESKTOP, "light")
    leaving.submit(QUESTION)
    leaving.page.locator("#cw-turn-1 .cw-draft").wait_for()
    assert papers.llm.running
    leaving.page.close()
    assert ends_soon(papers.llm)
    leaving.context.close()


def test_closing_the_page_stops_a_model_that_reads_its_prompt(browser: "Browser", library: OpenLibrary) -> None:
    papers = library(ENDLESS)
    papers.llm.reading = True
    leaving = Visit(browser, papers.address, DESKTOP, "light")
    leaving.submit(QUESTION)
    assert papers.llm.began.wait(10)
    leaving.page.close()
    assert ends_soon(papers.llm)
    leaving.context.close()


def test_the_place_of_a_visitor_who_leaves_goes_to_the_next(browser: "Browser", library: OpenLibrary) -> None:
    papers = library(ENDLESS, REPLY)
    first, second = (Visit(browser, papers.address, DESKTOP, "light") for _ in range(2))
    first.submit(QUESTION)
    first.page.locator("#cw-turn-1 .cw-draft").wait_for()
    second.submit(QUESTION)
    waiting = second.page.locator("#cw-turn-1 .cw-progress", has_text="Waiting for scripted: 1 answer goes first")
    waiting.wait_for()
    first.page.close()
    assert SAID in second.settle(1).inner_text()
    assert papers.llm.most_running == 1
    first.context.close()
    second.context.close()


def test_one_who_leaves_the_queue_is_not_waited_for(browser: "Browser", library: OpenLibrary) -> None:
    papers = library(ENDLESS, REPLY)
    visits = [Visit(browser, papers.address, DESKTOP, "light") for _ in range(3)]
    progress = [visit.page.locator("#cw-turn-1 .cw-progress") for visit in visits]
    for visit, shown, text in zip(visits, progress, ("is writing", ": 1 answer goes", ": 2 answers go"), strict=True):
        visit.submit(QUESTION)
        shown.filter(has_text=text).wait_for()
    visits[1].page.close()
    progress[2].filter(has_text=": 1 answer goes first").wait_for()
    visits[0].page.locator("#cw-box .stop-button").click()
    assert SAID in visits[2].settle(1).inner_text()
    assert len(papers.llm.prompts) == 2
    for visit in visits:
        visit.context.close()


def test_stop_ends_the_model_and_keeps_what_is_settled(visit, library: OpenLibrary) -> None:
    papers = library(ENDLESS)
    one: Visit = visit(papers.address)
    one.submit(QUESTION)
    one.page.locator("#cw-turn-1 .cw-aside", has_text="1 sentence was left out").wait_for()
    one.page.locator("#cw-turn-1 .cw-draft").wait_for()
    one.page.locator("#cw-box .stop-button").click()
    assert ends_soon(papers.llm)
    text = one.settle(1).inner_text()
    assert SAID in text
    assert "Stopped before the end." in text
    assert "And then it goes" not in text
    one.page.locator("#cw-box .submit-button").wait_for()


def test_a_dropped_draft_is_cleared_counted_and_told_at_once(visit, library: OpenLibrary) -> None:
    papers = library(ENDLESS, delay_s=0.15)  # slow enough that a browser sees what is soon gone
    one: Visit = visit(papers.address)
    one.submit(QUESTION)
    text = one.page.locator("#cw-turn-1 .cw-text")
    one.page.locator("#cw-turn-1 .cw-draft", has_text=UNSUPPORTED[:20]).wait_for()
    progress = one.page.locator("#cw-turn-1 .cw-progress").bounding_box()
    folded = one.page.locator("#cw-turn-1 .cw-aside:not([hidden])")
    folded.wait_for()
    assert one.turn(1).get_attribute("aria-busy") == "true"
    assert UNSUPPORTED not in text.inner_text()
    folded.locator("summary").click()
    assert f"{UNSUPPORTED}." in folded.inner_text()
    assert "No sentence of the retrieved abstracts says this (support 0." in folded.inner_text()
    after = one.page.locator("#cw-turn-1 .cw-progress").bounding_box()
    assert progress
    assert after
    assert after["y"] >= progress["y"]
    one.page.locator("#cw-box .stop-button").click()
    one.settle(1)
    assert folded.get_attribute("open") is not None


@pytest.mark.parametrize(("grounding", "marked"), [("mark", 1), ("off", 0)])
def test_unsupported_sentences_stay_where_they_may(visit, library: OpenLibrary, grounding: str, marked: int) -> None:
    papers = library(REPLY, grounding=grounding, delay_s=0)
    one: Visit = visit(papers.address)
    one.submit(QUESTION)
    turn = one.settle(1)
    assert UNSUPPORTED in turn.locator(".cw-text").inner_text()
    assert turn.locator(".cw-marker").count() == 1
    assert turn.locator(".cw-no-source").count() == marked
    assert turn.locator(".cw-aside:not([hidden])").count() == marked
    if marked:
        assert "abstracts says this" in (turn.locator(".cw-no-source").get_attribute("title") or "")
