"""The way in, from the link to the decision, and a labeler's own page."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from heed.form_library import LIBRARY
from heed.forms import LETTERS
from heed.records import Completion, Prompt
from heed.store.studio.asks import Ask
from heed.store.studio.campaigns import CampaignSettings
from heed.web.pages.lead_screening import code_of
from heed.web.studio import Studio

As = Callable[..., Any]


def flat(**settings: Any) -> CampaignSettings:
    return CampaignSettings(**{"recheck_share": 0, "gold_share": 0, "anchor_share": 0, "overlap": 0, **settings})


def answer(studio: Studio, browser: Any, choose: Callable[[Any], dict[str, Any]], times: int = 1) -> list[int]:
    """Work as the task page does, through the queue."""
    done = []
    for _ in range(times):
        lease = studio.queue.claim(browser.account.id)
        assert lease is not None
        receipt = studio.queue.submit(
            browser.account.id, lease.token, f"key-{lease.token}", choose(lease), active_ms=4000, idle_ms=0
        )
        done.append(receipt.response_id)
    return done


def best_first(lease: Any) -> dict[str, Any]:
    if lease.form.task == "demonstration":
        return {"item": {"demonstration": "Please <b>talk</b> to someone you trust."}}
    if lease.form.task == "sensitive":
        return {"item": {"sensitive": bool(lease.gold["item"]["sensitive"])}}
    return {"tiers": {LETTERS[i]: lease.gold["tiers"][ordinal] for i, ordinal in enumerate(lease.order)}}


@pytest.fixture
def gold_campaign(studio: Studio) -> None:
    studio.campaigns.create("c", LIBRARY["rank"], settings=flat(gold_share=1.0, revise_hours=0), state="active")
    answers = (Completion(text="good"), Completion(text="bad"))
    gold = {"tiers": [0, 1], "reason": "it answers the <question>"}
    ask = Ask(prompt=Prompt.from_text("Which one?"), candidates=answers, purpose="gold", gold=gold)
    studio.campaigns.add_items("c", [ask])


def test_from_the_guideline_to_the_decision(studio: Studio, client_as: As) -> None:
    studio.store.add_guideline("# Be kind\n\nHelp first.")
    lead, new = client_as("lead"), client_as("onboarding")
    added = lead.client.post("/lead/screening", data={"source": "starter", "csrf": lead.csrf}, files={})
    assert added.status_code in (303, 415, 422)
    if added.status_code != 303:
        added = lead.client.post("/lead/screening", files={"source": (None, "starter"), "csrf": (None, lead.csrf)})
    assert added.status_code == 303

    page = new.get("/onboarding")
    assert page.status_code == 200 and "Be kind" in page.text and "I have read the guideline" in page.text
    assert new.get("/screening").headers["location"].endswith("/onboarding")
    assert new.post("/onboarding/read", {}).status_code == 422
    assert new.post("/onboarding/read", {"read": "yes"}).headers["location"].endswith("/screening")
    assert studio.audit.events()[0].verb == "guideline.read"
    page = new.get("/screening").text
    assert "0 of 6" in page and "0 of 8" in page and "Go on with the next task" in page

    answer(studio, new, best_first, times=24)
    assert new.post("/screening/topics", {"topic": ["law", "health"], "more": "beekeeping, "}).status_code == 303
    page = new.get("/screening").text
    assert "8 of 8" in page and "All done" in page and "beekeeping" in page

    code = code_of(new.account.id)
    listed = lead.get("/lead/screening").text
    assert code in listed and new.account.name not in listed.split("<main")[1]
    page = lead.get(f"/lead/screening/{code}").text
    assert new.account.name not in page.split("<main")[1]
    assert "still open" in page.lower() and "&lt;b&gt;talk&lt;/b&gt;" in page and "<b>talk" not in page
    for one in studio.screening.written(new.account.id):
        rated = lead.post(f"/lead/screening/{code}/rate", {"response": one.looked.said.response_id, "score": "7"})
        assert rated.status_code == 303
    page = lead.get(f"/lead/screening/{code}").text
    assert "By the figures: accept" in page and "new to the team: law, health, beekeeping" in page
    assert lead.post(f"/lead/screening/{code}/decide", {"choice": "maybe"}).status_code == 422
    assert lead.post(f"/lead/screening/{code}/decide", {"choice": "accept", "note": "good"}).status_code == 303
    account = studio.people.account(new.account.id)
    assert account is not None and account.status == "active"
    [decision] = studio.screening.decisions(account.id)
    assert decision.figures["advice"] == "accept" and decision.note == "good"
    assert "You are in" in new.get("/screening").text
    assert lead.get("/lead/screening/NOBODY").status_code == 404


def test_declined_means_closed_and_signed_out(studio: Studio, client_as: As) -> None:
    lead, new = client_as("lead"), client_as("screening")
    code = code_of(new.account.id)
    assert lead.post(f"/lead/screening/{code}/decide", {"choice": "decline"}).status_code == 303
    assert new.get("/screening").status_code in (303, 403)
    account = studio.people.account(new.account.id)
    assert account is not None and account.status == "closed"


def test_screening_items_from_a_file(studio: Studio, client_as: As) -> None:
    lead = client_as("lead")

    def send(text: str, name: str = "Own") -> Any:
        fields = {"source": (None, "file"), "name": (None, name), "csrf": (None, lead.csrf)}
        return lead.client.post("/lead/screening", files={**fields, "file": ("set.jsonl", text.encode())})

    good = (
        '{"task": "rank", "prompt": "Which?", "answers": ["a", "b"], "gold": {"tiers": [0, 1]}}\n'
        '{"task": "write", "prompt": "Say it well"}\n'
        '{"task": "sensitive", "prompt": "Hm", "gold": {"item": {"sensitive": 1}, "part": "training", "reason": "r"}}\n'
    )
    assert send(good).status_code == 303
    totals = {part.part: part.total for part in studio.screening.parts("")}
    assert totals == {"training": 1, "sensitive": 0, "ranking": 1, "demonstration": 1}
    for bad, words in (
        ("{", "line 1 is not JSON"),
        ('{"task": "sing", "prompt": "x"}', "line 1: task is"),
        ('{"task": "rank", "prompt": "x", "answers": ["a", "b"]}', "the gold is missing"),
        ('{"task": "rank", "prompt": "x", "answers": ["a", "b"], "gold": {"tiers": [0]}}', "1 tiers for 2 answers"),
        ("\n\n", "holds no screening items"),
    ):
        refused = send(bad, "Bad")
        assert refused.status_code == 422 and words in refused.text, refused.text


def test_my_page_before_and_after_work(studio: Studio, client_as: As, gold_campaign: None) -> None:
    me = client_as("labeler")
    page = me.get("/me")
    assert page.status_code == 200 and "You have not answered anything yet" in page.text
    answer(studio, me, lambda lease: {"tiers": {LETTERS[i]: 1 - o for i, o in enumerate(lease.order)}})
    page = me.get("/me").text
    assert "it answers the &lt;question&gt;" in page and "Which one?" in page and "0 %" in page
    assert "no own item came back yet" in page


def test_who_may_still_revise_is_not_told_the_known_answer(studio: Studio, client_as: As, gold_campaign: None) -> None:
    me = client_as("labeler")
    studio.campaigns.update_settings("c", flat(gold_share=1.0, revise_hours=24))
    answer(studio, me, lambda lease: {"tiers": {LETTERS[i]: 1 - o for i, o in enumerate(lease.order)}})
    page = me.get("/me").text
    assert "it answers the" not in page and "None so far" in page
    later = studio.store.now() + timedelta(hours=25)
    studio.store._clock = lambda: later  # type: ignore[misc]
    assert "it answers the" in client_as("labeler").get("/me").text


def test_the_pay_clock_is_one_s_own_setting(studio: Studio, client_as: As) -> None:
    me = client_as("labeler")
    assert me.post("/me/pay", {"rate": "18,50", "currency": "EUR"}).status_code == 303
    assert "Pay clock, last seven days" in me.get("/me").text and "EUR" in me.get("/me").text
    assert me.post("/me/pay", {"rate": "lots"}).status_code == 422
    assert me.post("/me/pay", {"rate": "nan"}).status_code == 422
    assert me.post("/me/pay", {"rate": ""}).status_code == 303
    assert "Pay clock, last seven days" not in me.get("/me").text


def test_an_appeal_that_wins_mends_the_gold(studio: Studio, client_as: As, gold_campaign: None) -> None:
    me, other, lead = client_as("labeler", "Zoe"), client_as("labeler", "other"), client_as("lead")
    [response] = answer(studio, me, lambda lease: {"tiers": {LETTERS[i]: 1 - o for i, o in enumerate(lease.order)}})
    assert other.post("/me/appeal", {"response": response, "text": "mine"}).status_code == 422
    assert me.post("/me/appeal", {"response": response, "text": "the rule says <i>short</i>"}).status_code == 303
    page = lead.get("/lead/appeals")
    assert (
        page.status_code == 200 and "&lt;i&gt;short" in page.text and me.account.name not in page.text.split("<main")[1]
    )
    [appeal] = studio.standing.appeals(state="open")
    wrong = {"choice": "accept", "answer": "", "tier-0": "2", "tier-1": "1"}
    assert lead.post(f"/lead/appeals/{appeal.id}", wrong).status_code == 422
    right = {"choice": "accept", "answer": "You are right.", "tier-0": "2", "tier-1": "1", "reason": "short wins"}
    assert lead.post(f"/lead/appeals/{appeal.id}", right).status_code == 303
    assert lead.post(f"/lead/appeals/{appeal.id}", right).status_code == 404
    gold = studio.standing.gold(appeal.item_id)
    assert gold is not None and gold.tiers == (1, 0) and gold.reason == "short wins"
    assert studio.audit.events()[0].detail["gold_before"]["tiers"] == [0, 1]
    assert "None so far" in me.get("/me").text  # with the gold mended it is no miss any more


def test_feedback_reaches_the_labeler_and_counts_as_read_once(studio: Studio, client_as: As) -> None:
    me, lead = client_as("labeler"), client_as("lead")
    sent = lead.post(f"/lead/people/{me.account.id}/feedback", {"text": "Read <script>to the end</script>, please."})
    assert sent.status_code == 303
    assert ", new" in me.get("/me").text and ", new" not in me.get("/me").text
    assert "<script>to" not in me.get("/me").text and "&lt;script&gt;to the end" in me.get("/me").text


def test_a_paused_labeler_still_sees_their_own_page(client_as: As) -> None:
    paused = client_as("paused")
    assert paused.get("/me").status_code == 200
    assert paused.post("/screening/topics", {"topic": "law"}).status_code == 403
