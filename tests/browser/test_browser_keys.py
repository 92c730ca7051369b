"""Every kind of task done with keys only, checked in the database; and how many keys a ranking takes."""

from __future__ import annotations

import random
import statistics
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from browser.bench import Bench, press, ready, wait_for
from heed.form_library import LIBRARY
from heed.records import Completion, Prompt
from heed.store.studio.asks import Ask

if TYPE_CHECKING:
    from playwright.sync_api import Page

Sit = Callable[..., "Page"]


def texts_by_letter(page: Page) -> dict[str, str]:
    """The texts of the answers as this labeler sees them."""
    cards = page.locator(".answer-card[data-letter]")
    return {
        str(card.get_attribute("data-letter")): card.locator(".answer-body").inner_text().strip()
        for card in cards.all()
    }


def test_a_ranking_with_a_tie(bench: Bench, sit_down: Sit) -> None:
    labeler, campaign = bench.labeler(), bench.ranking()
    page = sit_down(bench, campaign, labeler=labeler)
    ready(page)
    shown = texts_by_letter(page)
    press(page, "2", "1", "2", "4", "Enter")
    wait_for(lambda: bench.payloads(labeler))
    assert bench.payloads(labeler)[0]["tiers"] == {"A": 1, "B": 0, "C": 1, "D": 2}
    assert bench.tiers_by_text(labeler) == {shown["A"]: 1, shown["B"]: 0, shown["C"]: 1, shown["D"]: 2}


def test_every_key_of_ranking(bench: Bench, sit_down: Sit) -> None:
    labeler, campaign = bench.labeler(), bench.ranking()
    page = sit_down(bench, campaign, labeler=labeler)
    ready(page)
    press(page, "c", "1", "a", "2", "b", "2", "d", "4")  # C | A B | D
    press(page, "Shift+K")  # to the empty third place
    press(page, "=")  # C | A B D
    press(page, "z", "z", "z", "y", "y", "y")  # there and back
    press(page, "b", "Shift+J")  # C | A D | B
    press(page, "k", "0")  # A is out again
    assert "a place for A" in page.locator("#missing").inner_text()
    press(page, "Enter")
    assert bench.payloads(labeler) == []
    press(page, "1", "Control+Enter")  # A C | D | B
    wait_for(lambda: bench.payloads(labeler))
    assert bench.payloads(labeler)[0]["tiers"] == {"A": 0, "B": 2, "C": 0, "D": 1}


def test_grades_then_a_ranking_that_is_confirmed(bench: Bench, sit_down: Sit) -> None:
    labeler, campaign = bench.labeler(), bench.ranking("grade")
    page = sit_down(bench, campaign, labeler=labeler)
    ready(page)
    press(page, "Enter")  # not without a grade
    assert page.locator("#announcer").inner_text().startswith("Answer A still needs")
    press(page, "5", "f", "Enter", "7", "Enter", "5", "m", "m", "Enter", "1", "h", "m", "Enter")
    assert "confirm the order" in page.locator("#missing").inner_text()
    press(page, "Control+Enter")
    page.wait_for_timeout(100)
    assert bench.payloads(labeler) == []
    press(page, "p", "Space", "Shift+N", "text:Hard to tell", "Escape", "Enter", "Enter")
    said = wait_for(lambda: bench.payloads(labeler))[0]
    assert said["tiers"] == {"A": 1, "B": 0, "C": 1, "D": 2}
    assert {letter: values["overall"] for letter, values in said["candidates"].items()} == {
        "A": 5,
        "B": 7,
        "C": 5,
        "D": 1,
    }
    assert said["item"] == {"ambiguous": True}
    assert said["note"] == "Hard to tell"
    flags = {
        letter: {name for name, value in values.items() if value is True}
        for letter, values in said["candidates"].items()
    }
    assert flags == {"A": {"fails_task"}, "B": set(), "C": set(), "D": {"harmful_advice", "hallucination"}}
    assert said["candidates"]["C"]["hallucination"] is False
    assert said["candidates"]["B"].get("hallucination") is None
    assert said["candidates"]["B"]["violent"] is False


@pytest.mark.parametrize(("keys", "strength"), [(["1"], -3), (["ArrowRight", "ArrowRight"], 2), (["="], 0), (["7"], 3)])
def test_a_comparison(bench: Bench, sit_down: Sit, keys: list[str], strength: int) -> None:
    labeler, campaign = bench.labeler(), bench.ranking("compare", k=2)
    page = sit_down(bench, campaign, labeler=labeler)
    ready(page)
    press(page, *keys, "Enter")
    said = wait_for(lambda: bench.payloads(labeler))[0]
    assert said["item"] == {"strength": strength}


def test_a_demonstration(bench: Bench, sit_down: Sit) -> None:
    labeler = bench.labeler()
    campaign = bench.campaign("write", [Ask(prompt=Prompt.from_text("Name a river by keys."))])
    page = sit_down(bench, campaign, labeler=labeler)
    ready(page)
    press(page, "text:The *Seine*.", "Escape", "v")
    page.wait_for_selector(".preview em")
    assert page.locator(".count").inner_text() == "2 words"
    press(page, "e", "Control+Enter")
    wait_for(lambda: bench.payloads(labeler))
    written = [one for one in bench.store.demonstrations() if one.labeler == labeler]
    assert [one.completion.text for one in written] == ["The *Seine*."]


def test_prompts_of_each_style(bench: Bench, sit_down: Sit) -> None:
    labeler = bench.labeler()
    briefs = [Prompt.from_text(f"Something about rivers, {number}", split="brief") for number in range(3)]
    campaign = bench.campaign("prompt", [Ask(prompt=brief) for brief in briefs])
    page = sit_down(bench, campaign, labeler=labeler)
    before = ready(page)
    styles = [
        ["1", "e", "text:List three rivers."],
        ["2", "e", "text:Name its country.", "Escape", "+", "text:Seine", "Tab", "text:France"],
        ["3", "e", "text:Plan a trip.", "Tab", "text:Someone who likes boats"],
    ]
    for keys in styles:
        press(page, *keys, "Control+Enter")
        if keys is not styles[-1]:
            before = ready(page, after=before)
    said = wait_for(lambda: (found := bench.payloads(labeler)) and len(found) == 3 and found)
    by_style = {one["item"]["style"]: one["item"] for one in said}
    assert by_style["plain"] == {"style": "plain", "prompt": "List three rivers."}
    assert by_style["user_based"]["use_case"] == "Someone who likes boats"
    assert [
        tuple(one.values()) if hasattr(one, "values") else tuple(one) for one in by_style["few_shot"]["examples"]
    ] == [("Seine", "France")]


def test_an_edit(bench: Bench, sit_down: Sit) -> None:
    labeler = bench.labeler()
    answer = Completion(text="The Seine flows through Lyon.", policy="sft")
    campaign = bench.campaign("edit", [Ask(prompt=Prompt.from_text("Where is the Seine?"), candidates=(answer,))])
    page = sit_down(bench, campaign, labeler=labeler)
    ready(page)
    press(page, "Control+Enter")
    assert "a change" in page.locator("#missing").inner_text()
    press(page, "Control+End", *["Backspace"] * 5, "text:Paris.")
    page.wait_for_selector(".changes ins")
    assert page.locator(".changes del").inner_text() == "Lyon"
    press(page, "Control+Enter")
    said = wait_for(lambda: bench.payloads(labeler))[0]
    assert said["item"] == {"edit": "The Seine flows through Paris."}


def test_sensitive_and_survey(bench: Bench, sit_down: Sit) -> None:
    labeler = bench.labeler()
    sensitive = bench.campaign("sensitive", [Ask(prompt=Prompt.from_text("All people from that town are thieves."))])
    page = sit_down(bench, sensitive, labeler=labeler)
    ready(page)
    press(page, "y", "n", "Enter")
    assert wait_for(lambda: bench.payloads(labeler))[0]["item"] == {"sensitive": False}
    survey = bench.campaign("topics", [Ask(prompt=Prompt.from_text("About you", split="brief"))])
    page.goto(f"{bench.served.url}/work?campaign={survey}")
    ready(page)
    press(page, "Enter")
    assert "at least one answer" in page.locator("#missing").inner_text()
    press(page, "2", "8", "2", "Enter")
    topics = next(question.choices for question in LIBRARY["topics"].questions)
    said = wait_for(lambda: len(found := bench.payloads(labeler)) == 2 and found)[0]
    assert list(said["item"]["topics"]) == [topics[7]]


def test_many_answers_sorted_by_questions(bench: Bench, sit_down: Sit) -> None:
    labeler, campaign = bench.labeler(), bench.ranking(k=9)
    page = sit_down(bench, campaign, labeler=labeler)
    ready(page)
    wanted = {letter: "CAHBGDIFE".index(letter) // 2 for letter in "ABCDEFGHI"}
    press(page, "q")
    asked = 0
    while page.locator("heed-sorter").count():
        left, right = page.locator("heed-sorter .letter").all_inner_texts()
        asked += 1
        press(page, "1" if wanted[left] < wanted[right] else "2" if wanted[left] == wanted[right] else "3")
    assert asked <= 21
    press(page, "Enter")
    assert wait_for(lambda: bench.payloads(labeler))[0]["tiers"] == wanted


def test_skip_note_guideline_and_keys(bench: Bench, sit_down: Sit) -> None:
    labeler, campaign = bench.labeler(), bench.ranking(num_items=2)
    page = sit_down(bench, campaign, labeler=labeler)
    first = ready(page)
    press(page, "?")
    assert "skip it" in page.locator("#keys").inner_text()
    press(page, "1", "Escape")  # keys do nothing behind a dialog
    assert page.locator("#missing").inner_text().startswith("Still to do: a place for A, B, C, D")
    press(page, "Shift+G")
    page.wait_for_selector("#guideline:not([hidden])")
    press(page, "Escape", "Shift+S", "Enter")
    assert "Say why" in page.locator("#skip .error").inner_text()
    press(page, "6", "Enter")
    ready(page, after=first)
    totals = wait_for(lambda: (now := bench.campaigns.totals(campaign)).done == 0 and now)
    assert totals.total == 2
    assert first not in {lease.token for lease in bench.queue.live(labeler)}


def test_practice_tells_what_was_expected_before_it_goes_on(bench: Bench, sit_down: Sit) -> None:
    labeler = bench.labeler()
    gold = {"tiers": [0, 1], "reason": "The first one is *right*."}
    answers = tuple(Completion(text=text, policy="sft") for text in ("It is two.", "It is three."))
    asks = [
        Ask(prompt=Prompt.from_text(f"What is one and one? ({n})"), candidates=answers, purpose="gold", gold=gold)
        for n in range(2)
    ]
    campaign = bench.campaign("rank", asks, feedback=True, gold_share=1.0)
    page = sit_down(bench, campaign, labeler=labeler)
    first = ready(page)
    right = {"It is two.": "1", "It is three.": "2"}
    wrong = {"It is two.": "2", "It is three.": "1"}
    press(page, *(wrong[text] for text in texts_by_letter(page).values()), "Enter")
    page.wait_for_selector("#expected[open]")
    assert "The first one is *right*." in page.locator("#expected").inner_text()
    assert page.locator("#expected .tag").all_inner_texts() == ["differs"]
    press(page, "Enter")
    page.wait_for_selector("#expected:not([open])", state="attached")
    ready(page, after=first)
    press(page, *(right[text] for text in texts_by_letter(page).values()), "Enter")
    page.wait_for_selector("#expected[open]")
    assert page.locator("#expected .tag").all_inner_texts() == ["same"]
    assert page.locator("#undo").is_hidden()


def test_taking_back_what_was_handed_in(bench: Bench, sit_down: Sit) -> None:
    labeler, campaign = bench.labeler(), bench.ranking(num_items=2)
    page = sit_down(bench, campaign, labeler=labeler)
    first = ready(page)
    press(page, "1", "2", "3", "4", "Enter")
    ready(page, after=first)
    wait_for(lambda: bench.payloads(labeler))
    press(page, "u")
    page.wait_for_selector('#work[data-token=""] .task')
    page.wait_for_timeout(200)
    press(page, "a", "4", "d", "1", "Enter")
    said = wait_for(lambda: len(bench.queue.history(labeler)) == 2 and bench.payloads(labeler))
    assert len(said) == 1
    assert said[0]["tiers"] == {"A": 3, "B": 1, "C": 2, "D": 0}
    assert ready(page) != first


WATCH_WAITS = """() => {
    const work = document.querySelector('#work');
    window.waits = [];
    let pressed = 0;
    addEventListener('keydown', () => { pressed = performance.now(); }, true);
    new MutationObserver(() => requestAnimationFrame(() => {
        if (work.dataset.token) window.waits.push(performance.now() - pressed);
    })).observe(work, { attributes: true, attributeFilter: ['data-token'] });
}"""


SLOW_NEXT = """(delay) => {
    const send = window.fetch;
    window.fetch = (address, options) => String(address).includes('/api/next')
        ? new Promise((answer) => setTimeout(() => answer(send(address, options)), delay))
        : send(address, options);
}"""


def test_the_next_task_is_there_at_once(bench: Bench, sit_down: Sit) -> None:
    """It was fetched while the labeler read: where the server takes three seconds for it, nobody waits so long."""
    labeler, campaign = bench.labeler(), bench.ranking(num_items=6)
    page = sit_down(bench, campaign, labeler=labeler)
    token = ready(page)
    page.wait_for_timeout(500)  # the one fetched ahead before the server gets slow
    page.evaluate(SLOW_NEXT, 3000)
    page.evaluate(WATCH_WAITS)
    for _ in range(3):
        press(page, "1", "2", "3", "4", "Enter")
        token = ready(page, after=token)
        page.wait_for_timeout(4000)  # the labeler reads; meanwhile the next one comes
    waits = page.evaluate("window.waits")
    assert len(waits) == 3 and max(waits) < 2000


COUNT_KEYS = """() => {
    window.strokes ?? addEventListener('keydown', (event) => { if (!event.repeat) window.strokes += 1; }, true);
    window.strokes = 0;
}"""


def test_strokes_of_a_ranking(bench: Bench, sit_down: Sit, capsys: pytest.CaptureFixture[str]) -> None:
    """For any order of four answers, ties included: keys pressed with and without own grades."""
    draw = random.Random(4)
    plain, graded = [], []
    labeler = bench.labeler()
    campaign = bench.ranking(num_items=8)
    page = sit_down(bench, campaign, labeler=labeler)
    token = ""
    for _ in range(8):
        token = ready(page, after=token)
        page.evaluate(COUNT_KEYS)
        places = [draw.randint(1, 4) for _ in "ABCD"]
        press(page, *map(str, places), "Enter")
        plain.append(page.evaluate("window.strokes"))
    campaign = bench.ranking("grade", num_items=8)
    page = sit_down(bench, campaign, labeler=labeler)
    for _ in range(8):
        token = ready(page, after=token)
        grades = [draw.randint(2, 7) for _ in "ABCD"]
        for grade in grades:
            press(page, str(grade), "Enter")
        page.evaluate(COUNT_KEYS)
        if draw.random() < 0.4:  # on second thoughts
            press(page, draw.choice("ABCD").lower(), draw.choice("1234"))
        else:
            press(page, "Enter")
        press(page, "Enter")
        graded.append(page.evaluate("window.strokes"))
    wait_for(lambda: len(bench.payloads(labeler)) == 16)
    bare, kept = statistics.median(plain), statistics.median(graded)
    with capsys.disabled():
        print(f"\nK=4 ranking: {bare:g} keys ({bare - 1:g} placements, handing in); {kept:g} after own grades; n = 16")
    assert bare == 5
    assert kept <= 3
