"""Nothing typed is lost: killed tabs, killed servers, dropped lines, expired sessions, and two browsers at one item."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from browser.bench import Bench, open_page, press, ready, wait_for
from heed.records import Prompt
from heed.store.studio.asks import Ask

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

Sit = Callable[..., "Page"]


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    made = browser.new_context(viewport={"width": 1280, "height": 900})
    yield made
    made.close()


def drafts(bench: Bench, labeler: str) -> list[Any]:
    return [dict(lease.draft) for lease in bench.queue.live(labeler) if lease.draft]


def crash(page: Page) -> None:
    """End the tab's process: no unload, no goodbye."""
    with contextlib.suppress(Exception):
        page.goto("chrome://crash", timeout=2000)
    page.close()


def writing(bench: Bench, num_items: int = 1) -> str:
    return bench.campaign("write", [Ask(prompt=Prompt.from_text(f"Write, {number}.")) for number in range(num_items)])


def test_a_draft_survives_a_killed_tab_here_and_on_another_machine(
    bench: Bench, context: BrowserContext, sit_down: Sit
) -> None:
    labeler, campaign = bench.labeler(), writing(bench)
    page = open_page(context, bench, labeler, f"/work?campaign={campaign}")
    token = ready(page)
    press(page, "text:Half of the ans")
    wait_for(lambda: drafts(bench, labeler))
    press(page, "text:wer")  # not yet on the server when the tab dies
    page.wait_for_timeout(50)
    crash(page)
    assert drafts(bench, labeler)[0]["item"]["demonstration"].startswith("Half of the ans")
    again = context.new_page()
    again.errors = []  # type: ignore[attr-defined]
    again.goto(f"{bench.served.url}/work?campaign={campaign}")
    assert ready(again) == token
    assert again.get_by_label("Your answer").input_value() == "Half of the answer"
    wait_for(lambda: drafts(bench, labeler)[0]["item"]["demonstration"] == "Half of the answer")
    context.close()
    elsewhere = sit_down(bench, campaign, labeler=labeler)
    assert ready(elsewhere) == token
    assert elsewhere.get_by_label("Your answer").input_value() == "Half of the answer"


def test_a_half_made_ranking_survives_too(bench: Bench, sit_down: Sit) -> None:
    labeler, campaign = bench.labeler(), bench.ranking("grade", k=3)
    page = sit_down(bench, campaign, labeler=labeler)
    ready(page)
    press(page, "5", "v", "Enter", "6", "Enter", "2", "Enter", "c", "1")
    wait_for(lambda: any(draft["page"]["ranking"]["slots"].get("C") == 1 for draft in drafts(bench, labeler)))
    elsewhere = sit_down(bench, campaign, labeler=labeler)
    ready(elsewhere)
    assert elsewhere.locator(".answer-card .place").all_inner_texts() == ["2nd", "1st, tied with C", "1st, tied with B"]
    press(elsewhere, "Enter")
    said = wait_for(lambda: bench.payloads(labeler))[0]
    assert said["tiers"] == {"A": 1, "B": 0, "C": 0}
    assert said["candidates"]["A"]["violent"] is True


def test_a_killed_server_loses_nothing(mortal: Bench, sit_down: Sit) -> None:
    labeler, campaign = mortal.labeler(), writing(mortal, 3)
    page = sit_down(mortal, campaign, labeler=labeler)
    first = ready(page)
    press(page, "text:Before")
    wait_for(lambda: drafts(mortal, labeler))
    mortal.served.kill()
    press(page, "text: and after")
    page.wait_for_selector('#saved[data-state="held"]')
    press(page, "Control+Enter")  # the next task was fetched ahead
    ready(page, after=first)
    assert "1 answer waits" in page.locator("#saved").inner_text()
    press(page, "text:Second")
    mortal.served.start()
    said = wait_for(lambda: mortal.payloads(labeler), 40)
    assert [one["item"]["demonstration"] for one in said] == ["Before and after"]
    wait_for(lambda: any(draft["item"].get("demonstration") == "Second" for draft in drafts(mortal, labeler)), 40)
    page.wait_for_selector('#saved[data-state="saved"]')


def test_answers_wait_for_the_line_even_when_the_browser_is_closed(bench: Bench, context: BrowserContext) -> None:
    labeler, campaign = bench.labeler(), writing(bench, 3)
    page = open_page(context, bench, labeler, f"/work?campaign={campaign}")
    first = ready(page)
    page.wait_for_timeout(300)  # the next one comes ahead
    context.set_offline(True)
    press(page, "text:One", "Control+Enter")
    second = ready(page, after=first)
    press(page, "text:Two", "Control+Enter")
    page.wait_for_selector('#saved:has-text("2 answers wait")')
    assert bench.payloads(labeler) == []
    crash(page)
    context.set_offline(False)
    again = context.new_page()
    again.errors = []  # type: ignore[attr-defined]
    again.goto(f"{bench.served.url}/work?campaign={campaign}")
    third = ready(again)
    assert third not in (first, second)
    said = wait_for(lambda: len(found := bench.payloads(labeler)) == 2 and found)
    assert sorted(one["item"]["demonstration"] for one in said) == ["One", "Two"]
    assert len(bench.store.demonstrations()) == len({one.completion.id for one in bench.store.demonstrations()})


def test_an_answer_sent_twice_counts_once(bench: Bench, context: BrowserContext) -> None:
    """The server got it, but its receipt never came back."""
    labeler, campaign = bench.labeler(), writing(bench)
    page = open_page(context, bench, labeler, f"/work?campaign={campaign}")
    ready(page)
    lost = []

    def drop_the_receipt(route: Any) -> None:
        if not lost:
            lost.append(route.fetch().status)
            route.abort("connectionreset")
        else:
            route.continue_()

    context.route("**/submit", drop_the_receipt)
    press(page, "text:Once", "Control+Enter")
    page.wait_for_selector('#saved[data-state="saved"]')
    assert lost == [200]
    assert len(bench.queue.history(labeler)) == 1


def test_two_browsers_race_for_one_item(bench: Bench, sit_down: Sit) -> None:
    campaign = bench.ranking(num_items=1)
    people = [bench.labeler() for _ in range(2)]
    pages = [sit_down(bench, campaign, labeler=one) for one in people]
    for page in pages:
        page.wait_for_selector('#work:not([data-token=""]) .task, .empty:has-text("nothing left")')
    held = [len(bench.queue.live(one)) for one in people]
    assert sorted(held) == [0, 1]
    assert sorted(bool(page.locator("#work").get_attribute("data-token")) for page in pages) == [False, True]


def test_two_tabs_of_one_person_work_on_two_items(bench: Bench, context: BrowserContext) -> None:
    labeler, campaign = bench.labeler(), bench.ranking(num_items=5)
    first = open_page(context, bench, labeler, f"/work?campaign={campaign}")
    one = ready(first)
    second = context.new_page()
    second.errors = []  # type: ignore[attr-defined]
    second.goto(f"{bench.served.url}/work?campaign={campaign}")
    assert ready(second) != one


def test_a_task_that_went_to_someone_else_is_kept_and_explained(bench: Bench, sit_down: Sit) -> None:
    campaign = writing(bench)
    slow, quick = bench.labeler(), bench.labeler()
    page = sit_down(bench, campaign, labeler=slow)
    token = ready(page)
    press(page, "text:Too late, but not lost")
    wait_for(lambda: drafts(bench, slow))
    bench.queue.give_back(slow, token)
    taken = bench.queue.claim(quick, campaign=campaign)
    assert taken
    press(page, "Control+Enter")
    page.wait_for_selector("#notices .notice")
    page.locator("#notices summary").click()
    assert "Too late, but not lost" in page.locator("#notices").inner_text()
    assert bench.payloads(slow) == []


def test_a_session_that_ends_is_taken_up_again_in_another_tab(bench: Bench, context: BrowserContext) -> None:
    labeler, campaign = bench.labeler(), writing(bench, 2)
    page = open_page(context, bench, labeler, f"/work?campaign={campaign}")
    ready(page)
    bench.people.close_sessions(labeler)
    press(page, "text:Still here", "Control+Enter")
    page.wait_for_selector('#saved:has-text("Signed out")')
    assert bench.payloads(labeler) == []
    session = bench.people.open_session(labeler, "another tab")
    context.add_cookies([{"name": "heed", "value": session.token, "url": bench.served.url}])
    said = wait_for(lambda: bench.payloads(labeler), 30)
    assert said[0]["item"]["demonstration"] == "Still here"


def test_time_counts_once_and_signing_out_leaves_nothing_behind(bench: Bench, context: BrowserContext) -> None:
    labeler, campaign = bench.labeler(), writing(bench, 2)
    page = open_page(context, bench, labeler, f"/work?campaign={campaign}")
    first = ready(page)
    press(page, "text:Some", "text: words")
    page.wait_for_timeout(1500)
    press(page, "text: more", "Control+Enter")
    ready(page, after=first)
    wait_for(lambda: bench.payloads(labeler))
    done = bench.queue.history(labeler)[0]
    assert 1500 <= done.active_ms <= 10_000
    press(page, "text:A secret draft")
    page.wait_for_timeout(100)
    kept = page.evaluate("Object.entries(localStorage).filter(([key]) => key.startsWith('heed:')).join()")
    assert "A secret draft" in kept
    assert not any(word in kept.lower() for word in ("csrf", "session", "cookie"))
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url("**/login")
    assert page.evaluate("Object.keys(localStorage).length") == 0
