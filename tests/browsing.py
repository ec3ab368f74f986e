"""A visitor of the chat page in a real browser. Starts neither the browser nor the page; asserts nothing."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page

DESKTOP, PHONE = (1280, 800), (390, 844)


class Visit:
    """A page that writes down what it fetches and what goes wrong."""

    def __init__(self, browser: "Browser", address: str, size: tuple[int, int], scheme: str) -> None:
        self.context = browser.new_context(
            viewport={"width": size[0], "height": size[1]},
            color_scheme=scheme,  # type: ignore[arg-type]
            reduced_motion="reduce",  # scrolling takes no time, so that positions can be compared
        )
        self.page: Page = self.context.new_page()
        self.outside: list[str] = []
        self.problems: list[str] = []
        self.page.on("request", lambda request: self._note(request.url))
        self.page.on("pageerror", lambda error: self.problems.append(str(error)))
        self.page.on("console", lambda m: self.problems.append(m.text) if m.type in ("error", "warning") else None)
        self.page.goto(f"{address}?__theme={scheme}")
        self.page.locator(".cw-collection").wait_for()

    def _note(self, url: str) -> None:
        if not url.startswith(("http://127.0.0.1:", "data:", "blob:")):
            self.outside.append(url)

    def submit(self, question: str) -> None:
        self.page.locator("#cw-box textarea").fill(question)
        self.page.locator("#cw-box textarea").press("Enter")

    def turn(self, number: int) -> "Locator":
        return self.page.locator(f"#cw-turn-{number}")

    def settle(self, number: int) -> "Locator":
        turn = self.page.locator(f"#cw-turn-{number}:not([aria-busy])")
        turn.wait_for(timeout=60_000)
        return turn

    def overflow(self) -> int:
        width: int = self.page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
        return width
