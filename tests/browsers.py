"""A browser for tests of pages, Debian's Chromium driven by Playwright, and what is seen of a page in it."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]


@dataclass
class Seen:
    """What a page complained of, and which addresses it asked for, those of data left out."""

    complaints: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """One browser for the tests of a module, whose event loop is in the way of others; they are skipped without one."""
    api: Any = pytest.importorskip("playwright.sync_api", reason="the extra browser is not installed")
    if not CHROMIUM.exists():
        pytest.skip(f"there is no {CHROMIUM}")
    with api.sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        yield opened
        opened.close()


def open_page(browser: Any, address: str, **context: Any) -> tuple[Any, Seen]:
    """A page in a context of its own, with what is seen of it from then on.

    Arguments:
        browser: the fixture.
        address: of the page.
        context: options of Playwright's `new_context`, such as `viewport` and `color_scheme`.
    """
    page, seen = browser.new_context(**context).new_page(), Seen()
    page.on("console", lambda message: seen.complaints.append(message.text))
    page.on("pageerror", lambda error: seen.complaints.append(str(error)))
    page.on("request", lambda request: None if request.url.startswith("data:") else seen.asked.append(request.url))
    page.goto(address)
    return page, seen
