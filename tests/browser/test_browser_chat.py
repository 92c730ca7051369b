"""The live chat in a real browser: with keys only, with a mouse, and on a phone. The models are parrots."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from browser.bench import Bench, press, wait_for
from browser.test_browser_axe import findings
from heed.records import Ranking

if TYPE_CHECKING:
    from playwright.sync_api import Page

Sit = Callable[..., "Page"]
PHONE = {"width": 390, "height": 800}


@pytest.fixture
def campaign(bench: Bench) -> str:
    for name in ("anna", "otto"):
        directory = bench.workspace.models_dir / name
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "heed.json").write_text(json.dumps({"kind": "policy", "card": {}}))
    return bench.campaign("chat", [], policies=("anna", "otto"))


def rankings(bench: Bench, labeler: str) -> list[Ranking]:
    return [one for one in bench.store.rankings() if one.labeler == labeler]


def shown(page: Page) -> list[str]:
    return [text.split(" heard")[0] for text in page.locator("form[data-choice] .answer div").all_inner_texts()]


def begin(page: Page, campaign: str) -> None:
    page.get_by_role("button", name=f"Begin: {campaign}", exact=True).focus()
    press(page, "Enter")
    page.wait_for_selector("#message")


def better(ranking: Ranking) -> str:
    return next(one.policy for one, tier in zip(ranking.completions, ranking.tiers, strict=True) if tier == 0)


def test_a_talk_with_keys_only(bench: Bench, sit_down: Sit, campaign: str) -> None:
    labeler = bench.labeler()
    page = sit_down(bench, campaign, labeler=labeler, path="/chat")
    begin(page, campaign)
    press(page, "text:Hello <b>you</b> 3", "Control+Enter")
    page.wait_for_selector("form[data-choice]")
    left, right = shown(page)
    assert {left, right} == {"anna", "otto"}
    assert findings(page) == []
    press(page, "6", "Enter")  # of six: B, clearly
    page.wait_for_selector("#message")
    (first,) = wait_for(lambda: rankings(bench, labeler))
    assert better(first) == right
    assert "HELLO <B>YOU</B> 3" in page.locator("main").inner_text()
    press(page, "text:And now?", "Control+Enter")
    page.wait_for_selector("form[data-choice]")
    left, _ = shown(page)
    press(page, "1", "Enter")
    page.wait_for_selector("#message")
    second = wait_for(lambda: rankings(bench, labeler)[1:])[0]
    assert better(second) == left
    assert [one.role for one in second.prompt.messages] == ["user", "assistant", "user"]
    assert page.errors == []  # type: ignore[attr-defined]


def test_a_talk_with_a_mouse_on_a_phone(bench: Bench, sit_down: Sit, campaign: str) -> None:
    labeler = bench.labeler()
    page = sit_down(bench, campaign, labeler=labeler, path="/chat", viewport=PHONE, has_touch=True)
    page.get_by_role("button", name=f"Begin: {campaign}", exact=True).tap()
    page.locator("#message").fill("Hello")
    page.get_by_role("button", name="Send").tap()
    page.wait_for_selector("form[data-choice]")
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    _, right = shown(page)
    page.get_by_text("B is better, clearly").tap()
    page.get_by_role("button", name="Go on from the better one").tap()
    (only,) = wait_for(lambda: rankings(bench, labeler))
    assert better(only) == right


def test_enter_without_a_choice_hands_nothing_in(bench: Bench, sit_down: Sit, campaign: str) -> None:
    labeler = bench.labeler()
    page = sit_down(bench, campaign, labeler=labeler, path="/chat")
    begin(page, campaign)
    press(page, "text:Hello", "Control+Enter")
    page.wait_for_selector("form[data-choice]")
    press(page, "Enter")
    page.wait_for_timeout(300)
    assert page.locator("form[data-choice]").count() == 1
    assert rankings(bench, labeler) == []
    page.reload()
    assert {*shown(page)} == {"anna", "otto"}, "the turn waits, with the same answers"
