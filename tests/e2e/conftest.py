"""A browser for the tests of the chat page; they are skipped where there is none."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from browsing import DESKTOP, Visit

if TYPE_CHECKING:
    from playwright.sync_api import Browser

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@pytest.fixture(scope="session")
def browser() -> "Iterator[Browser]":
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with sync_api.sync_playwright() as playwright:
        bundled = Path(playwright.chromium.executable_path)
        if not CHROMIUM and not bundled.exists():
            pytest.skip("there is no Chromium on this machine: apt install chromium, or playwright install chromium")
        # A container's root cannot use Chromium's sandbox; the pages are our own.
        sandbox = [] if os.geteuid() else ["--no-sandbox"]
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=sandbox)
        yield browser
        browser.close()


@pytest.fixture
def visit(browser: "Browser") -> "Iterator[object]":
    visits: list[Visit] = []

    def open_page(address: str, size: tuple[int, int] = DESKTOP, scheme: str = "light") -> Visit:
        visits.append(Visit(browser, address, size, scheme))
        return visits[-1]

    yield open_page
    for one in visits:
        one.context.close()
        assert one.outside == []
        assert one.problems == []
