"""axe finds nothing serious or critical on any page, light or dark, wide or narrow."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from browser.bench import Bench, open_page, press, ready
from browser.sample import Sample
from heed.web.app import ROUTES

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

AXE = (Path(__file__).parent / "vendor" / "axe.min.js").read_text(encoding="utf-8")
CONTRAST = "{ runOnly: ['color-contrast'], resultTypes: ['violations'] }"
EVERYTHING = "{ resultTypes: ['violations'] }"


@pytest.fixture(scope="module")
def sample(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sample]:
    with Bench(tmp_path_factory.mktemp("sample")) as made:
        yield Sample(made)


def findings(page: Page) -> list[str]:
    """What axe calls serious or critical, in the light, in the dark, and whether the page is wider than the screen."""
    if not page.evaluate("Boolean(window.axe)"):
        page.evaluate(AXE)
    found = []
    for theme, options in (("light", EVERYTHING), ("dark", CONTRAST)):
        page.emulate_media(color_scheme=theme)
        result: dict[str, Any] = page.evaluate(f"() => axe.run(document, {options})")
        found += [
            f"{page.url} {theme} {one['impact']} {one['id']}: {node['html'][:160]} {node['failureSummary'][:300]}"
            for one in result["violations"]
            if one["impact"] in ("serious", "critical")
            for node in one["nodes"][:3]
        ]
    return found


def test_axe_sees_what_is_planted(browser: Browser, sample: Sample) -> None:
    context = browser.new_context()
    page = open_page(context, sample.bench, sample.people[0], "/guideline")
    assert findings(page) == []
    page.evaluate(
        """() => {
            const pale = document.createElement('p');
            pale.textContent = 'hard to read';
            pale.style.color = '#888888';
            pale.style.backgroundColor = '#777777';
            document.querySelector('main').append(pale, document.createElement('button'));
        }"""
    )
    kinds = [line.split()[3].rstrip(":") for line in findings(page)]
    assert kinds.count("color-contrast") == 2
    assert kinds.count("button-name") == 1
    context.close()


def test_task_pages(browser: Browser, sample: Sample) -> None:
    bench = sample.bench
    context = browser.new_context(viewport={"width": 1280, "height": 900}, reduced_motion="reduce")
    page = open_page(context, bench, bench.labeler(), "/healthz")
    found = []
    for name, campaign in sample.campaigns.items():
        page.goto(f"{bench.served.url}/work?campaign={campaign}")
        ready(page)
        found += findings(page)
        if name == "grade":
            press(page, "5", "f", "Enter", "5", "Enter", "2", "Enter", "3", "Enter")
            found += findings(page)
        if name == "many":
            press(page, "Shift+D", "1", "q")
            found += findings(page)
        if name == "write":
            press(page, "text:Some *words*", "Escape", "v", "p", "Escape", "Shift+G")
            page.wait_for_timeout(200)
            found += findings(page)
            press(page, "Shift+S")
            found += findings(page)
            press(page, "Escape", "?")
            found += findings(page)
    context.close()
    assert not found, "\n".join(found)


@pytest.mark.parametrize("width", [1280, 360])
def test_all_other_pages(browser: Browser, sample: Sample, width: int) -> None:
    bench = sample.bench
    labeler = sample.people[0]
    done = bench.queue.history(labeler, limit=1)[0].response_id
    found: list[str] = []
    pages = [
        (labeler, ["/me", "/work/history", f"/work/history/{done}", "/guideline", "/settings"]),
        (bench.owner, [*sample.addresses(ROUTES), "/nowhere"]),
    ]
    for account, addresses in pages:
        context = browser.new_context(viewport={"width": width, "height": 900}, reduced_motion="reduce")
        page = open_page(context, bench, account, "/healthz")
        for address in addresses:
            answer = page.goto(bench.served.url + address)
            if answer and answer.status >= 500:
                found.append(f"{answer.status}: {address}")
            if width > 400:
                found += findings(page)
            elif page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth + 1"):
                found.append(f"{address} is wider than a phone")
        found += page.errors  # type: ignore[attr-defined]
        context.close()
    assert not found, "\n".join(found)
