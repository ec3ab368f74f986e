"""The chat page in a real browser: with the bundled papers, and with a slow answerer that can be stopped."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from browsing import DESKTOP, PHONE, Visit

from index.bundled import bundled_papers
from index.paper import Paper
from rag import PaperQA, load_settings
from rag.answer import Answer, AnswerSentence, Citation, Source
from rag.events import CancelToken, Done, Event, Sentence, Sources, Token
from ui.web.app import build_app, launch

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page

QUESTION = "Which paper removes token mixers from a vision backbone, and how does it avoid the accuracy drop?"
HOSTILE = '<img src="http://192.0.2.1/a.png" onerror="alert(1)"> ![b](http://192.0.2.1/b.png) ${1} {{this}} &amp;'


class SlowQA:
    """Writes one sentence at once and then words without end, until it is told to stop."""

    answerer = "a slow typist"
    answers: tuple[Answer, ...] = ()

    def __init__(self) -> None:
        abstract = f"Rivers are long. {HOSTILE} is text."
        self.papers = [Paper("title:1", f"On rivers {HOSTILE}", abstract, authors=(HOSTILE,))]
        self.tokens: list[CancelToken] = []

    def __len__(self) -> int:
        return 1

    def ask(self, question: str) -> Answer:
        raise NotImplementedError(question)

    def chat(self) -> "SlowQA":
        return self

    def stream(self, question: str, where: str | None = None, *, cancel: CancelToken | None = None) -> Iterator[Event]:
        cancel = cancel or CancelToken()
        self.tokens.append(cancel)
        sources = (Source(self.papers[0], 1, 1.0, 0.5, 0.5, 0.5, 1, 1, 1),)
        quote = "Rivers are long."
        citation = Citation(1, "title:1", quote, 0, len(quote), 0.9)
        sentence = AnswerSentence(f"They are long. {HOSTILE}", 0.9, (citation,))
        yield Sources(sources)
        yield Sentence(0, sentence)
        while not cancel.cancelled:
            yield Token("and on ")
            time.sleep(0.05)
        yield Done(Answer(question, "partial", (sentence,), sources, reason="Stopped before the end."))

    def example_questions(self, n: int = 4) -> list[str]:
        return ["How long are rivers?"]


@pytest.fixture(scope="session")
def papers_address(tmp_path_factory: pytest.TempPathFactory, cache_dir: Path) -> Iterator[str]:
    """The page over the bundled papers."""
    settings = load_settings(overrides={"index": {"cache_dir": cache_dir}})
    qa = PaperQA.open(tmp_path_factory.mktemp("web") / "papers.idx", settings=settings)
    qa.add(bundled_papers())
    app = build_app(qa)
    yield launch(app, "127.0.0.1", 0)
    app.close(verbose=False)
    qa.close()


@pytest.fixture(scope="session")
def slow_qa() -> SlowQA:
    return SlowQA()


@pytest.fixture(scope="session")
def slow_address(slow_qa: SlowQA) -> Iterator[str]:
    app = build_app(slow_qa)
    yield launch(app, "127.0.0.1", 0)
    app.close(verbose=False)


@pytest.fixture
def papers(visit, papers_address: str) -> Visit:
    return visit(papers_address)


@pytest.fixture
def slow(visit, slow_address: str) -> Visit:
    return visit(slow_address)


def visible_marks(page: "Page") -> "Locator":
    return page.locator(".cw-sources:not([hidden]) mark")


def is_in_view(mark: "Locator") -> bool:
    seen: bool = mark.evaluate(
        """async (mark) => {
          const until = performance.now() + 3000;
          const inside = () => {
            const box = mark.getBoundingClientRect();
            return box.height > 0 && box.top >= 0 && box.top < innerHeight;
          };
          while (!inside() && performance.now() < until) await new Promise((done) => setTimeout(done, 50));
          return inside();
        }"""
    )
    return seen


def quotes_of(marker: "Locator") -> list[str]:
    title = marker.get_attribute("title") or ""
    return [line.rpartition("” (support")[0].removeprefix("“") for line in title.splitlines()]


def test_a_marker_leads_to_the_exact_sentence(papers: Visit) -> None:
    papers.submit(QUESTION)
    turn = papers.settle(1)
    assert "RIFormer" in papers.page.locator(".cw-sources:not([hidden])").inner_text()
    marker = turn.locator(".cw-marker").first
    marker.click()
    first_id = (marker.get_attribute("data-goto") or "").split()[0]
    mark = papers.page.locator(f'mark[data-spans~="{first_id}"]').first
    assert mark.inner_text() == quotes_of(marker)[0]
    assert is_in_view(mark)
    assert "cw-flash" in (mark.get_attribute("class") or "")
    assert mark.evaluate("(mark) => mark === document.activeElement")


def test_the_papers_are_shown_before_the_answer_is_whole(slow: Visit) -> None:
    slow.submit("How long?")
    slow.page.locator("#cw-turn-1 .cw-draft").wait_for()
    assert slow.turn(1).get_attribute("aria-busy") == "true"
    assert visible_marks(slow.page).inner_text() == "Rivers are long."


def test_an_unanswerable_question_is_refused_and_names_the_nearest_papers(papers: Visit) -> None:
    papers.submit("What did the mayor of Lisbon have for breakfast on Sunday?")
    card = papers.settle(1).locator(".cw-refusal")
    assert "do not answer" in card.inner_text()
    card.locator("a").first.click()
    assert papers.page.locator(".cw-sources:not([hidden]) .cw-other[open]").count() == 1


def test_a_marker_of_an_older_answer_still_works(papers: Visit) -> None:
    papers.submit(QUESTION)
    papers.settle(1)
    papers.submit("How many times faster than EfficientNet is GENet on GPU?")
    papers.settle(2)
    assert papers.page.locator(".cw-sources:not([hidden])").get_attribute("data-turn") == "2"
    marker = papers.turn(1).locator(".cw-marker").first
    marker.focus()
    papers.page.keyboard.press("Enter")
    assert papers.page.locator(".cw-sources:not([hidden])").get_attribute("data-turn") == "1"
    assert is_in_view(visible_marks(papers.page).first)
    papers.page.locator(".cw-sources:not([hidden]) .cw-back").click()
    assert marker.evaluate("(link) => link === document.activeElement")


def test_an_example_question_is_answered(papers: Visit) -> None:
    example = papers.page.locator("#cw-examples button").first
    text = example.inner_text()
    example.click()
    assert papers.settle(1).locator("h2").inner_text() == text
    assert papers.page.locator("#cw-examples button").count() == 0


def test_asking_again_replaces_the_answer_and_keeps_what_is_typed(papers: Visit) -> None:
    papers.submit(QUESTION)
    before = papers.settle(1).inner_text()
    papers.page.locator("#cw-box textarea").fill("half a thought")
    papers.page.get_by_role("button", name="Ask again").click()
    papers.page.wait_for_timeout(1000)
    assert papers.settle(1).inner_text() == before
    assert papers.page.locator(".cw-turn").count() == 1
    assert papers.page.locator("#cw-box textarea").input_value() == "half a thought"


def test_stop_ends_the_answer_at_once(slow: Visit) -> None:
    slow.submit("How long?")
    slow.page.locator("#cw-turn-1 .cw-draft").wait_for()
    slow.page.locator("#cw-box .stop-button").click()
    turn = slow.page.locator("#cw-turn-1:not([aria-busy])")
    turn.wait_for(timeout=5000)
    assert "Stopped before the end." in turn.inner_text()
    assert "They are long." in turn.inner_text()
    slow.page.locator("#cw-box .submit-button").wait_for()


def test_closing_the_page_stops_the_answer(browser: "Browser", slow_address: str, slow_qa: SlowQA) -> None:
    leaving = Visit(browser, slow_address, DESKTOP, "light")
    leaving.submit("How long?")
    leaving.page.locator("#cw-turn-1 .cw-draft").wait_for()
    token = slow_qa.tokens[-1]
    assert not token.cancelled
    leaving.context.close()
    until = time.monotonic() + 20
    while not token.cancelled and time.monotonic() < until:
        time.sleep(0.1)
    assert token.cancelled


def test_a_new_conversation_during_an_answer_stays_empty(slow: Visit, slow_qa: SlowQA) -> None:
    slow.submit("How long?")
    slow.page.locator("#cw-turn-1 .cw-draft").wait_for()
    slow.page.get_by_role("button", name="New conversation").click()
    slow.page.locator(".cw-turn").wait_for(state="detached")
    slow.page.locator("#cw-box .submit-button").wait_for()
    slow.page.wait_for_timeout(500)
    assert slow.page.locator(".cw-turn").count() == 0
    assert slow_qa.tokens[-1].cancelled
    slow.submit("Again?")
    slow.page.locator("#cw-turn-1 .cw-draft").wait_for()


def test_markup_in_papers_is_shown_as_text(slow: Visit) -> None:
    slow.submit(HOSTILE)
    slow.page.locator("#cw-turn-1 .cw-draft").wait_for()
    assert HOSTILE in slow.turn(1).inner_text()
    assert HOSTILE in slow.page.locator(".cw-sources").inner_text()
    assert slow.page.locator(".cw-list img").count() == 0


def test_a_marker_works_while_text_arrives(slow: Visit) -> None:
    slow.submit("How long?")
    slow.page.locator("#cw-turn-1 .cw-draft").wait_for()
    box = slow.turn(1).locator(".cw-marker").bounding_box()
    assert box is not None
    slow.page.mouse.move(box["x"] + 4, box["y"] + 4)
    slow.page.mouse.down()
    slow.page.wait_for_timeout(200)  # several tokens arrive between press and release
    slow.page.mouse.up()
    assert visible_marks(slow.page).evaluate("(mark) => mark === document.activeElement")


def test_what_a_reader_opened_stays_open_while_text_arrives(slow: Visit) -> None:
    slow.submit("How long?")
    slow.page.locator("#cw-turn-1 .cw-draft").wait_for()
    slow.page.locator(".cw-why summary").click()
    slow.page.wait_for_timeout(400)
    assert slow.page.locator(".cw-why[open]").count() == 1


@pytest.mark.parametrize("question", ["   ", "x" * 100_000])
def test_bad_questions_are_met_with_words(papers: Visit, question: str) -> None:
    papers.submit(question)
    if question.strip():
        assert "100" in papers.settle(1).locator(".cw-error").inner_text()
        papers.page.wait_for_function("document.querySelector('#cw-box textarea').value.length === 100000")
    papers.page.wait_for_timeout(300)
    assert "Traceback" not in papers.page.inner_text("body")
    assert papers.overflow() <= 0
    papers.submit(QUESTION)
    assert papers.settle(2 if question.strip() else 1).locator(".cw-marker").count() > 0


def test_a_phone_shows_everything_without_sideways_scrolling(visit, papers_address: str) -> None:
    phone: Visit = visit(papers_address, PHONE)
    assert phone.overflow() <= 0
    phone.submit(QUESTION)
    marker = phone.settle(1).locator(".cw-marker").first
    assert phone.overflow() <= 0
    marker.click()
    assert is_in_view(visible_marks(phone.page).first)
    chat, side = (phone.page.locator(name).bounding_box() for name in ("#cw-chat", "#cw-side"))
    assert chat is not None
    assert side is not None
    assert side["y"] >= chat["y"] + chat["height"] - 1
    phone.page.locator(".cw-sources:not([hidden]) .cw-back").click()
    assert marker.evaluate("(link) => link === document.activeElement")


THREE_QUESTIONS = (QUESTION, "What did the mayor of Lisbon have for breakfast on Sunday?", "How fast is GENet on GPU?")


def ask_three(visit: Visit) -> "Locator":
    """Ask three questions, one of them refused, and return the last answer."""
    for number, question in enumerate(THREE_QUESTIONS, 1):
        visit.submit(question)
        visit.settle(number)
    visit.page.wait_for_timeout(300)
    return visit.turn(3).locator(".cw-answer")


def is_uncovered(part: "Locator") -> bool:
    """Whether the centre of the part, or of its first line of text, is on the screen with nothing above it."""
    seen: bool = part.evaluate(
        """(part) => {
          const box = part.getClientRects()[0];
          return part.contains(document.elementFromPoint(box.x + box.width / 2, box.y + box.height / 2));
        }"""
    )
    return seen


def scrolled(page: "Page") -> float:
    top: float = page.evaluate("window.scrollY")
    return top


@pytest.mark.parametrize("size", [PHONE, (700, 800), (899, 800)], ids=lambda size: str(size[0]))
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_narrow_page_scrolls_as_a_whole_and_covers_nothing(
    visit, papers_address: str, size: tuple[int, int], scheme: str
) -> None:
    narrow: Visit = visit(papers_address, size, scheme)
    page = narrow.page
    answer = ask_three(narrow)
    assert is_uncovered(narrow.turn(3).locator("h2"))
    assert is_uncovered(answer)
    assert is_uncovered(page.locator("#cw-box textarea"))
    assert narrow.overflow() <= 0
    chat, side = (page.locator(name).bounding_box() for name in ("#cw-chat", "#cw-side"))
    assert chat
    assert side
    assert side["y"] >= chat["y"] + chat["height"] - 1
    assert side["height"] > 100

    before = scrolled(page)
    page.mouse.move(size[0] / 2, size[1] / 3)
    page.mouse.wheel(0, -300)
    page.wait_for_function(f"window.scrollY < {before} - 200")

    marker = narrow.turn(1).locator(".cw-marker").first
    marker.click()
    first_id = (marker.get_attribute("data-goto") or "").split()[0]
    mark = page.locator(f'mark[data-spans~="{first_id}"]').first
    assert is_in_view(mark)
    assert is_uncovered(mark)
    page.locator(".cw-sources:not([hidden]) .cw-back").click()
    assert is_in_view(narrow.turn(1).locator("h2"))
    assert marker.evaluate("(link) => link === document.activeElement")


def test_a_finger_scrolls_the_page_of_a_phone(visit, papers_address: str) -> None:
    phone: Visit = visit(papers_address, PHONE)
    ask_three(phone)
    before = scrolled(phone.page)
    finger = phone.context.new_cdp_session(phone.page)
    for kind, height in (("touchStart", 250), *(("touchMove", y) for y in range(270, 571, 20))):
        finger.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": 195, "y": height}]})
    finger.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    phone.page.wait_for_function(f"window.scrollY < {before} - 200")


@pytest.mark.parametrize("width", [900, 1280])
def test_a_wide_page_has_two_columns_that_scroll_on_their_own(visit, papers_address: str, width: int) -> None:
    wide: Visit = visit(papers_address, (width, 800))
    answer = ask_three(wide)
    assert is_uncovered(answer)
    assert is_uncovered(wide.page.locator("#cw-box textarea"))
    assert wide.page.evaluate("document.documentElement.scrollHeight") == 800
    chat, side = (wide.page.locator(name).bounding_box() for name in ("#cw-chat", "#cw-side"))
    assert chat
    assert side
    assert chat["y"] == side["y"]
    assert chat["y"] + chat["height"] == side["y"] + side["height"] == 800
    assert side["x"] >= chat["x"] + chat["width"] - 1
    column = wide.page.locator(".cw-scroll").first
    before = column.evaluate("(column) => column.scrollTop")
    wide.page.mouse.move(200, 300)
    wide.page.mouse.wheel(0, -300)
    wide.page.wait_for_function(f"document.querySelector('.cw-scroll').scrollTop < {before}")
    assert scrolled(wide.page) == 0


def test_dark_mode_is_dark(visit, slow_address: str) -> None:
    dark: Visit = visit(slow_address, scheme="dark")
    dark.submit("How long?")
    dark.page.locator("#cw-turn-1 .cw-draft").wait_for()

    def brightness(selector: str, what: str) -> int:
        script = f"(e) => getComputedStyle(e).{what}.match(/\\d+/g).slice(0, 3).reduce((sum, n) => sum + Number(n), 0)"
        value: int = dark.page.locator(selector).first.evaluate(script)
        return value

    assert brightness(".gradio-container", "backgroundColor") < 120
    assert brightness(".cw-panel", "backgroundColor") < 150
    assert brightness(".cw-question", "color") > 600
    assert brightness("mark", "color") > 600
    assert brightness("mark", "backgroundColor") < 250
