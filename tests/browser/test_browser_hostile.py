"""Texts that would like to be programs: in prompts, answers, guidelines, notes and names. None of them runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from browser.bench import Bench, press, ready, wait_for
from heed.records import Completion, Message, Prompt
from heed.store.studio.asks import Ask

if TYPE_CHECKING:
    from playwright.sync_api import Page

Sit = Callable[..., "Page"]
HOSTILE = (
    "<script>window.owned = 1; alert(1)</script>",
    "<img src=x onerror='window.owned = 1; alert(2)'>",
    "<svg onload=alert(3)><style>body { display: none }</style>",
    "[click](javascript:alert(4)) [data](data:text/html,<script>alert(5)</script>)",
    "![](https://example.com/pixel.png) ![x](x' onerror='alert(6))",
    "$\\href{javascript:alert(7)}{x}$ $$\\unicode{<img src=x onerror=alert(8)>}$$ \\(\\url{",
    "<iframe srcdoc='<script>alert(9)</script>'></iframe><form action=/logout><button>Sign out</button></form>",
    "\u202eevil\u202c {{ 7 * 7 }} ${window.owned = 1} </textarea></template></title>",
    "<a href=/settings style='position:fixed;inset:0'>x</a><base href=//a.example><meta http-equiv=refresh content=0>",
)
"""One for each slot, so that the fault is in each in turn."""

WATCH = """() => {
    window.violations = [];
    document.addEventListener('securitypolicyviolation', (event) => window.violations.push(
        event.violatedDirective + ' ' + event.blockedURI + ' ' + event.sample));
}"""


def watched(page: Page) -> list[str]:
    """Dialogs, requests that leave the studio, and policies that had to step in, from now on."""
    seen: list[str] = []

    def dismiss(dialog: Any) -> None:
        seen.append(f"dialog {dialog.message}")
        dialog.dismiss()

    page.on("dialog", dismiss)
    page.on("request", lambda request: "127.0.0.1" in request.url or seen.append(f"request {request.url}"))
    page.context.add_init_script(f"({WATCH})()")
    return seen


def harmless(page: Page, seen: list[str]) -> None:
    page.wait_for_timeout(200)
    assert seen == []
    assert page.evaluate("window.violations ?? []") == []
    assert page.evaluate("window.owned ?? 0") == 0
    inside = ".answer, .prompt, .rich, .answer-body"
    for bad in ("script", "img", "svg", "iframe", "form", "style", "[style]", "base", "meta", "[onerror]", "[onload]"):
        assert page.locator(inside).locator(bad).count() == 0, bad
    links = page.locator(inside).locator("a[href]").evaluate_all("all => all.map((one) => one.getAttribute('href'))")
    assert all(link.startswith(("/out?to=", "/work/history")) for link in links), links


def test_hostile_texts_on_every_page_of_a_labeler(bench: Bench, sit_down: Sit) -> None:
    labeler = bench.labeler()
    number = bench.store.add_guideline("# Guide\n\n" + "\n\n".join(HOSTILE))
    prompt = Prompt(messages=(Message(role="user", content="\n\n".join(HOSTILE)),))
    answers = tuple(Completion(text=text, policy="sft") for text in HOSTILE)
    campaign = bench.campaign("rank", [Ask(prompt=prompt, candidates=answers)])
    page = sit_down(bench, campaign, labeler=labeler)
    seen = watched(page)
    page.reload()
    ready(page)
    harmless(page, seen)
    press(page, "Shift+D", "b", "Shift+D", "q", "q", "1", "1", "1", "1", "1", "1", "1", "1", "1")
    harmless(page, seen)
    for letter, slot in zip("ABCDEFGHI", "123456789", strict=True):
        press(page, letter.lower(), slot)
    press(page, "Shift+N", f"text:{HOSTILE[0]}", "Escape", "Control+Enter")
    wait_for(lambda: bench.payloads(labeler))
    for path in ("/work/history", f"/work/history/{bench.queue.history(labeler)[0].response_id}", "/guideline"):
        page.goto(bench.served.url + path)
        harmless(page, seen)
    assert number


def test_hostile_texts_while_grading_writing_and_editing(bench: Bench, sit_down: Sit) -> None:
    labeler = bench.labeler()
    graded = tuple(Completion(text=text, policy="sft") for text in HOSTILE[:2])
    campaign = bench.campaign("grade", [Ask(prompt=Prompt.from_text(HOSTILE[1]), candidates=graded)])
    page = sit_down(bench, campaign, labeler=labeler)
    seen = watched(page)
    page.reload()
    ready(page)
    press(page, "1", "Enter", "7", "Enter")
    harmless(page, seen)
    writing = bench.campaign("write", [Ask(prompt=Prompt.from_text(HOSTILE[2]))])
    page.goto(f"{bench.served.url}/work?campaign={writing}")
    ready(page)
    page.get_by_label("Your answer").fill("\n\n".join((*HOSTILE[:7], *HOSTILE[8:])))
    press(page, "Escape", "v")
    page.wait_for_selector(".preview .answer p")
    harmless(page, seen)
    edit = bench.campaign("edit", [Ask(prompt=Prompt.from_text("Mend it"), candidates=graded[:1])])
    page.goto(f"{bench.served.url}/work?campaign={edit}")
    ready(page)
    page.get_by_label("The better answer").fill(HOSTILE[1])
    page.wait_for_selector(".changes ins")
    harmless(page, seen)


def test_text_that_is_refused_comes_back_to_be_mended(bench: Bench, sit_down: Sit) -> None:
    """Invisible characters may not be stored: the page says so and gives the work back."""
    labeler = bench.labeler()
    writing = bench.campaign("write", [Ask(prompt=Prompt.from_text(f"Write, {number}")) for number in range(2)])
    page = sit_down(bench, writing, labeler=labeler)
    ready(page)
    page.get_by_label("Your answer").fill("turned \u202earound")
    press(page, "Control+Enter")
    page.wait_for_selector('#problem:has-text("invisible character")')
    assert page.get_by_label("Your answer").input_value() == "turned \u202earound"
    page.get_by_label("Your answer").fill("straight")
    press(page, "Control+Enter")
    assert wait_for(lambda: bench.payloads(labeler))[0]["item"] == {"demonstration": "straight"}
