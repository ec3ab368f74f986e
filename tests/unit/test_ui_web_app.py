"""The page as Gradio sees it: what it offers to programs, where it listens, what it fetches."""

import itertools
import json
import os
import re
import socket
import urllib.request
from collections.abc import Iterator
from typing import Any

import gradio as gr
import pytest

from index.errors import ConfigError
from index.paper import Paper
from rag.answer import Answer
from rag.events import CancelToken, Done, Event
from rag.settings import AnsweringSettings
from ui.web.app import answers_at_once, build_app, launch, serve
from ui.web.chat import Session
from ui.web.script import CONVERSATION_JS, SOURCES_JS
from ui.web.theme import CSS, HEAD, build_theme
from ui.web.visitors import Visitors


class RefusingQA:
    """Refuses every question."""

    answerer = "nobody"
    answers: tuple[Answer, ...] = ()

    def __len__(self) -> int:
        return 2

    def ask(self, question: str, *, where: str | None = None) -> Answer:
        if not question:
            raise ValueError("The question is empty.")
        return Answer(question, "refused", nearest=(Paper("title:1", "T", "A"),), reason="No.")

    def chat(self) -> "RefusingQA":
        return self

    def stream(self, question: str, where: str | None = None, *, cancel: CancelToken | None = None) -> Iterator[Event]:
        yield Done(self.ask(question, where=where))

    def example_questions(self, n: int = 4) -> list[str]:
        return ["What is T?"]


@pytest.fixture(scope="module")
def app() -> gr.Blocks:
    return build_app(RefusingQA())


@pytest.fixture(scope="module")
def address(app: gr.Blocks) -> Iterator[str]:
    yield launch(app, "127.0.0.1", 0)
    app.close(verbose=False)


def get(url: str) -> Any:
    with urllib.request.urlopen(url) as response:
        return json.load(response)


def test_programs_see_one_endpoint(address: str) -> None:
    info = get(f"{address}gradio_api/info")
    assert list(info["named_endpoints"]) == ["/ask"]
    assert info["unnamed_endpoints"] == {}


def test_the_endpoint_answers_as_json(address: str) -> None:
    body = json.dumps({"data": ["Why?", "year>=2020"]}).encode()
    request = urllib.request.Request(f"{address}gradio_api/call/ask", body, {"Content-Type": "application/json"})
    event = get(request)["event_id"]  # type: ignore[arg-type]
    with urllib.request.urlopen(f"{address}gradio_api/call/ask/{event}") as response:
        data = response.read().decode().split("data: ")[-1]
    assert Answer.from_dict(json.loads(data)[0]).reason == "No."


def test_nothing_is_reported_or_recorded(address: str) -> None:
    config = get(f"{address}config")
    assert config["analytics_enabled"] is False
    assert config["footer_links"] == []
    assert not config.get("run_history")


def test_the_page_listens_on_this_machine_alone(address: str) -> None:
    assert address.startswith("http://127.0.0.1:")


def test_a_taken_port_is_named_and_another_proposed() -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        with pytest.raises(ConfigError) as error:
            launch(build_app(RefusingQA()), "127.0.0.1", port)
    other = port + 1 if port < 65535 else port - 1
    assert str(error.value) == f"Port {port} is in use. Name another: citewell ui --port {other}"


def test_an_address_of_another_machine_is_named() -> None:
    with pytest.raises(ConfigError, match=r"cannot listen on 192\.0\.2\.1:7860: ") as error:
        launch(build_app(RefusingQA()), "192.0.2.1", 7860)
    assert "GRADIO" not in str(error.value)


def test_serve_writes_the_address_and_keeps_proxies_out(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("NO_PROXY", "intra.example")
    monkeypatch.setenv("no_proxy", "")
    monkeypatch.setattr(gr.Blocks, "block_thread", lambda blocks: blocks.close(verbose=False))
    serve(RefusingQA(), "127.0.0.1", 0)
    assert re.match(r"Citewell is open at http://127\.0\.0\.1:\d+/\n", capsys.readouterr().out)
    assert os.environ["NO_PROXY"] == "intra.example,127.0.0.1,localhost"
    assert os.environ["no_proxy"] == "127.0.0.1,localhost"


def test_an_empty_collection_has_a_page() -> None:
    class EmptyQA(RefusingQA):
        def __len__(self) -> int:
            return 0

        def example_questions(self, n: int = 4) -> list[str]:
            raise AssertionError("there are no papers to ask about")

    buttons = [block.value for block in build_app(EmptyQA()).blocks.values() if isinstance(block, gr.Button)]
    assert buttons == ["Ask again", "New conversation"]


def test_each_visitor_has_a_session(app: gr.Blocks) -> None:
    states = [block for block in app.blocks.values() if isinstance(block, gr.State)]
    assert len(states) == 1
    assert states[0].value.turns == []


def test_a_page_that_is_closed_stops_its_own_answer_alone() -> None:
    visitors, staying, leaving = Visitors(), Session(running=CancelToken()), Session(running=CancelToken())
    pages = [gr.Request(session_hash=name) for name in ("one", "two")]
    with visitors.answering(pages[0], staying):
        with visitors.answering(pages[1], leaving):
            visitors.leave(pages[1])
        visitors.leave(pages[1])  # which has no answer any more
        assert staying.running
        assert leaving.running
        assert (staying.running.cancelled, leaving.running.cancelled) == (False, True)


def test_a_question_beside_a_running_answer_does_not_hide_it_from_leaving() -> None:
    visitors, session, page = Visitors(), Session(running=CancelToken()), gr.Request(session_hash="one")
    with visitors.answering(page, session):
        with visitors.answering(page, session):
            pass  # a second click: it is left out and ends at once
        visitors.leave(page)
    assert session.running
    assert session.running.cancelled


def test_a_new_conversation_beside_an_answer_that_still_ends_is_known_too() -> None:
    visitors, page = Visitors(), gr.Request(session_hash="one")
    old, new = Session(running=CancelToken()), Session(running=CancelToken())
    with visitors.answering(page, new):
        with visitors.answering(page, old):
            pass
        visitors.leave(page)
    assert new.running
    assert new.running.cancelled


@pytest.mark.parametrize("waiting", [0, 16, 100])
def test_nobody_waits_in_the_queue_of_gradio_while_the_model_has_places(waiting: int) -> None:
    answering = AnsweringSettings(concurrent=2, max_waiting=waiting)
    at_once = answers_at_once(answering)
    page = build_app(RefusingQA(), at_once)
    limits = {fn.concurrency_limit for fn in page.fns.values() if fn.concurrency_id == "answers"}
    assert limits == {at_once}
    assert at_once > 2 + waiting  # the reader answers those for whom there is no place
    launch(page, "127.0.0.1", 0, at_once)
    try:
        assert page.max_threads > at_once  # a stop needs one, too
    finally:
        page.close(verbose=False)


def test_the_look_needs_no_other_machine() -> None:
    theme = build_theme()
    texts = [CSS, HEAD, CONVERSATION_JS, SOURCES_JS, theme._get_theme_css()]
    outside = re.findall(r"https?://[^\s\"')]+", "".join(texts))
    assert set(outside) <= {"http://www.w3.org/2000/svg"}
    assert not any(theme._stylesheets)


def luminance(colour: str) -> float:
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("mode", [0, 1], ids=["light", "dark"])
def test_text_is_legible_on_every_ground_it_stands_on(mode: int) -> None:
    blocks = [dict(re.findall(r"(--cw-[\w-]+): (#\w{6})", block)) for block in CSS.split("}")[:2]]
    colours = blocks[mode]
    pairs = [
        *itertools.product(["ink", "soft", "accent"], ["page", "card", "tint"]),
        *itertools.product(["ink"], ["mark", "flash"]),
        ("accent", "accent-tint"),
        ("on-accent", "accent"),
        ("warn", "warn-tint"),
    ]
    low = {pair: ratio for pair in pairs if (ratio := contrast(*(colours[f"--cw-{name}"] for name in pair))) < 4.5}
    assert low == {}
