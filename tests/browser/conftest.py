"""A studio, a browser, and people who use it. Without Playwright or Chromium all of this is skipped, and says so."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from browser.bench import Bench, open_page
from browser.serving import Served

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

LIGHT = {"width": 1280, "height": 900}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Not for the whole session: while Playwright is there an event loop runs, and other tests could start none."""
    sync_api = pytest.importorskip(
        "playwright.sync_api", reason="browser tests need Playwright: pip install playwright"
    )
    chromium = os.environ.get("HEED_CHROMIUM") or shutil.which("chromium")
    if not chromium:
        pytest.skip("browser tests need Chromium on the PATH, or its path in HEED_CHROMIUM")
    with sync_api.sync_playwright() as playwright:
        launched = playwright.chromium.launch(
            executable_path=chromium, args=["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"]
        )
        yield launched
        launched.close()


@pytest.fixture(scope="module")
def bench(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """One studio for all tests of a module that leave it alive; each makes its own campaign and labelers."""
    with Bench(tmp_path_factory.mktemp("studio")) as made:
        yield made


@pytest.fixture
def mortal(browser: Browser, tmp_path: Path) -> Iterator[Bench]:
    """A studio to be killed."""
    with Bench(tmp_path / "studio") as made:
        yield made


@pytest.fixture
def sit_down(browser: Browser) -> Iterator[Callable[..., Page]]:
    """Sit a labeler down before a campaign in a browser of their own; gives the page."""
    contexts = []

    def sit(bench: Bench, campaign: str, *, labeler: str = "", path: str = "", **options: Any) -> Page:
        context = browser.new_context(**{"viewport": LIGHT, "reduced_motion": "reduce", **options})
        contexts.append(context)
        return open_page(context, bench, labeler or bench.labeler(), path or f"/work?campaign={campaign}")

    yield sit
    for context in contexts:
        for page in context.pages:
            with suppress(Exception):  # Playwright's own error, which is imported only where Playwright is
                page.goto("about:blank", timeout=10_000)  # closing would wait for whatever the page still waits for
        context.close()


__all__ = ["Served"]
