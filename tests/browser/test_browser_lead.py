"""The lead's pages in a browser: progress that keeps itself up to date, and a decision made with keys alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from browser.bench import Bench, press, wait_for
from heed.store.studio.items import ItemFilter
from heed.store.studio.review import Review

if TYPE_CHECKING:
    from playwright.sync_api import Page

Sit = Callable[..., "Page"]


def answer(bench: Bench, labeler: str, campaign: str, *, turned: bool = False) -> None:
    """One ranking of two answers, by their texts."""
    lease = bench.queue.claim(labeler, campaign=campaign)
    assert lease is not None
    order = sorted(range(2), key=lambda at: lease.shown[at].text, reverse=turned)
    tiers = {"AB"[at]: place for place, at in enumerate(order)}
    bench.queue.submit(labeler, lease.token, f"key of {lease.token}", {"tiers": tiers}, active_ms=0, idle_ms=0)


def test_progress_keeps_itself_up_to_date(bench: Bench, sit_down: Sit) -> None:
    campaign = bench.ranking(num_items=3, k=2)
    page = sit_down(bench, campaign, labeler=bench.owner, path="/lead")
    card = page.locator("section.card", has_text=campaign)
    assert "0 done" in card.inner_text()
    answer(bench, bench.labeler(), campaign)
    wait_for(lambda: "1 done" in card.inner_text(), 20)
    assert page.errors == []  # type: ignore[attr-defined]


def test_a_decision_with_keys_alone(bench: Bench, sit_down: Sit) -> None:
    """Two labelers say opposite things; the lead opens the item, ranks, and decides, without touching the mouse."""
    campaign = bench.ranking(num_items=1, k=2, overlap=1.0, labels_in_pool=2)
    answer(bench, bench.labeler(), campaign)
    answer(bench, bench.labeler(), campaign, turned=True)
    page = sit_down(bench, campaign, labeler=bench.owner, path=f"/lead/items?campaign={campaign}")
    page.locator("tbody a").first.focus()
    press(page, "Enter")
    page.wait_for_selector("h1:has-text('Item')")
    assert "Labeler 1" in page.locator("main").inner_text()
    page.get_by_role("radio", name="Ambiguous").focus()
    press(page, "Space")
    for letter, place in (("A", "2"), ("B", "1")):
        page.locator(f"#t-{letter}").focus()
        press(page, place)
    page.get_by_label("Note", exact=True).focus()
    press(page, "text:B is plainer", "Tab", "Enter")
    page.wait_for_selector("text=Decisions")
    assert "B is plainer" in page.locator("main").inner_text()
    review = Review(bench.store)
    [row] = review.items(ItemFilter(campaign=campaign)).rows
    view = review.item(row.id)
    assert view is not None
    [decision] = view.decisions
    own = next(voice for voice in view.voices if voice.response_id == decision.response_id)
    assert own.labeler == bench.owner and sorted(own.tiers) == [0, 1]
    assert page.errors == []  # type: ignore[attr-defined]
