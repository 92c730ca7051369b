"""The same tasks with a mouse, and ranking by dragging, with a mouse and with a finger."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from browser.bench import Bench, ready, wait_for
from heed.records import Completion, Prompt
from heed.store.studio.asks import Ask

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

Sit = Callable[..., "Page"]


def hand_in(page: Page) -> None:
    page.locator("#submit").click()


def drag(page: Page, handle: Locator, target: Locator) -> None:
    start, end = handle.bounding_box(), target.bounding_box()
    assert start and end
    page.mouse.move(start["x"] + start["width"] / 2, start["y"] + start["height"] / 2)
    page.mouse.down()
    page.mouse.move(end["x"] + 10, end["y"] + 10, steps=5)
    page.mouse.move(end["x"] + end["width"] / 2, end["y"] + end["height"] / 2)
    page.mouse.up()


def test_dragging_answers_to_their_places(bench: Bench, sit_down: Sit) -> None:
    labeler, campaign = bench.labeler(), bench.ranking()
    page = sit_down(bench, campaign, labeler=labeler)
    ready(page)
    for letter, slot in (("A", 2), ("B", 1), ("C", 2), ("D", 4)):
        drag(page, page.locator(f'.answer-card[data-letter="{letter}"] .letter'), page.locator(f'[data-slot="{slot}"]'))
    drag(page, page.locator(".slot .chip", has_text="D"), page.locator('[data-slot="3"]'))
    drag(page, page.locator(".slot .chip", has_text="A"), page.locator('[data-slot="0"]'))
    assert "a place for A" in page.locator("#missing").inner_text()
    page.get_by_role("button", name="Undo").click()
    hand_in(page)
    assert wait_for(lambda: bench.payloads(labeler))[0]["tiers"] == {"A": 1, "B": 0, "C": 1, "D": 2}


def test_ranking_by_clicks(bench: Bench, sit_down: Sit) -> None:
    labeler, campaign = bench.labeler(), bench.ranking(k=6)
    page = sit_down(bench, campaign, labeler=labeler)
    ready(page)
    page.locator("#submit").click(force=True)
    for letter, slot in zip("ABCDEF", (6, 5, 4, 3, 1, 1), strict=True):
        page.locator(f'.answer-card[data-letter="{letter}"] .slots label').nth(slot - 1).click()
    page.locator(".answer-card").last.scroll_into_view_if_needed()
    page.wait_for_selector('#submit[aria-disabled="false"]')
    assert bench.payloads(labeler) == []
    hand_in(page)
    expected = {"A": 4, "B": 3, "C": 2, "D": 1, "E": 0, "F": 0}
    assert wait_for(lambda: bench.payloads(labeler))[0]["tiers"] == expected


def test_grading_by_clicks_with_a_step_back(bench: Bench, sit_down: Sit) -> None:
    labeler, campaign = bench.labeler(), bench.ranking("grade", k=2)
    page = sit_down(bench, campaign, labeler=labeler)
    ready(page)
    page.locator(".likert label").nth(2).click()
    page.get_by_text("Violent content").click()
    page.get_by_role("button", name="Done with this answer").click()
    page.locator(".likert label").nth(5).click()
    page.locator('[data-flag="hallucination"] label').nth(2).click()
    page.get_by_role("button", name="Done with this answer").click()
    page.get_by_role("button", name="Answer A, done").click()
    page.locator(".likert label").nth(6).click()
    page.get_by_role("button", name="Ranking", exact=True).click()
    page.get_by_role("button", name="Confirm the order").click()
    hand_in(page)
    said = wait_for(lambda: bench.payloads(labeler))[0]
    assert said["tiers"] == {"A": 0, "B": 1}
    assert [said["candidates"][letter]["overall"] for letter in "AB"] == [7, 6]
    assert said["candidates"]["A"]["violent"] is True
    assert said["candidates"]["B"]["hallucination"] is True


def test_comparing_and_judging_by_clicks(bench: Bench, sit_down: Sit) -> None:
    labeler = bench.labeler()
    page = sit_down(bench, bench.ranking("compare", k=2), labeler=labeler)
    ready(page)
    page.get_by_role("radio", name="B slightly").check()
    hand_in(page)
    assert wait_for(lambda: bench.payloads(labeler))[0]["item"] == {"strength": 1}
    sensitive = bench.campaign("sensitive", [Ask(prompt=Prompt.from_text("Everybody hates that team."))])
    page.goto(f"{bench.served.url}/work?campaign={sensitive}")
    ready(page)
    page.get_by_role("radio", name="Yes").check()
    hand_in(page)
    assert wait_for(lambda: len(said := bench.payloads(labeler)) == 2 and said)[0]["item"] == {"sensitive": True}


def test_writing_by_clicks(bench: Bench, sit_down: Sit) -> None:
    labeler = bench.labeler()
    answer = Completion(text="It is green.", policy="sft")
    edit = bench.campaign("edit", [Ask(prompt=Prompt.from_text("Which colour?"), candidates=(answer,))])
    page = sit_down(bench, edit, labeler=labeler)
    ready(page)
    page.get_by_label("The better answer").fill("It is blue.")
    hand_in(page)
    assert wait_for(lambda: bench.payloads(labeler))[0]["item"] == {"edit": "It is blue."}
    write = bench.campaign("write", [Ask(prompt=Prompt.from_text("Name a bridge."))])
    page.goto(f"{bench.served.url}/work?campaign={write}")
    ready(page)
    page.get_by_label("Your answer").fill("Pont Neuf")
    page.get_by_text("Remarks on the prompt").click()
    page.get_by_text("Asks for advice").click()
    hand_in(page)
    said = wait_for(lambda: len(found := bench.payloads(labeler)) == 2 and found)[0]
    assert said["item"] == {"demonstration": "Pont Neuf", "requests_advice": True}
    prompt = bench.campaign("prompt", [Ask(prompt=Prompt.from_text("About bridges", split="brief"))])
    page.goto(f"{bench.served.url}/work?campaign={prompt}")
    ready(page)
    page.get_by_role("radio", name="few-shot").check()
    page.get_by_label("The instruction").fill("Name its city.")
    page.get_by_role("button", name="Add an example").click()
    page.get_by_label("Query").fill("Pont Neuf")
    page.get_by_label("Response").fill("Paris")
    hand_in(page)
    assert wait_for(lambda: len(found := bench.payloads(labeler)) == 3 and found)[0]["item"]["style"] == "few_shot"


def test_a_phone_shows_one_answer_at_a_time_and_wants_each_looked_at(bench: Bench, sit_down: Sit) -> None:
    labeler, campaign = bench.labeler(), bench.ranking()
    phone = {"viewport": {"width": 360, "height": 740}, "has_touch": True, "is_mobile": True}
    page = sit_down(bench, campaign, labeler=labeler, **phone)
    ready(page)
    assert page.locator(".answer-card:visible").count() == 1
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    for letter, slot in (("A", 1), ("B", 2), ("C", 3), ("D", 4)):
        page.locator(f'[data-jump="{letter}"]').tap()
        page.locator(f'.answer-card[data-letter="{letter}"] .slots label').nth(slot - 1).tap()
    page.locator("#submit").tap()
    assert wait_for(lambda: bench.payloads(labeler))[0]["tiers"] == {"A": 0, "B": 1, "C": 2, "D": 3}


def test_revising_from_the_history(bench: Bench, sit_down: Sit) -> None:
    labeler, campaign = bench.labeler(), bench.ranking("compare", k=2)
    page = sit_down(bench, campaign, labeler=labeler)
    ready(page)
    page.get_by_role("radio", name="A clearly").check()
    hand_in(page)
    wait_for(lambda: bench.payloads(labeler))
    page.goto(f"{bench.served.url}/work/history")
    page.get_by_role("link", name="Open").click()
    page.wait_for_selector(".task")
    assert page.locator(".strength input:checked").count() == 1
    page.get_by_role("radio", name="Equal").check()
    hand_in(page)
    page.wait_for_url("**/work/history")
    assert bench.payloads(labeler)[0]["item"] == {"strength": 0}
    assert [done.superseded for done in bench.queue.history(labeler)].count(True) == 1
