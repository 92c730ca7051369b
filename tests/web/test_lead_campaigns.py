"""Campaigns, gold items, guidelines and forms: made through the pages, and refused with a reason."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from heed.web.studio import Studio
from lead_fakes import fill, honest, make_campaign, payload, work

ClientAs = Callable[..., Any]
NEW = {
    "name": "Autumn 1",
    "form": "rank",
    "policy": ["sft", "ppo"],
    "answers": "3",
    "count": "10",
    "overlap": "20",
    "note": "yes",
}


def test_a_campaign_is_looked_at_and_then_made(studio: Studio, client_as: ClientAs) -> None:
    fill(studio)
    lead = client_as("lead")
    shown = lead.post("/lead/campaigns/new", {**NEW, "do": "preview"})
    assert shown.status_code == 200 and "What would be asked" in shown.text
    assert "Question" in shown.text and "a guess: nothing was measured yet" in shown.text
    assert 'value="Autumn 1"' in shown.text and studio.campaigns.list() == []
    made = lead.post("/lead/campaigns/new", {**NEW, "do": "draft"})
    assert (made.status_code, made.headers["location"]) == (303, "/lead/campaigns/Autumn%201")
    one = studio.campaigns.get("Autumn 1")
    assert (one.state, one.settings.overlap, one.form.name) == ("draft", 0.2, "rank")
    assert studio.review.count_items("Autumn 1", "ordinary") == 10
    [event] = studio.audit.events(limit=1)
    assert (event.verb, event.object, event.detail["items"]) == ("campaign.create", "Autumn 1", 10)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"name": ""}, "campaign"),
        ({"name": "new"}, "cannot be called"),
        ({"name": "<script>alert(1)</script>"}, "a name has"),
        ({"form": "none"}, "choose a form"),
        ({"policy": []}, "no policy is chosen"),
        ({"count": "0"}, "count is 0"),
        ({"count": "1e9"}, "count is"),
        ({"answers": "10"}, "answers is 10"),
        ({"overlap": "120"}, "overlap is 120 %"),
        ({"overlap": "half"}, "overlap is"),
        ({"labels_in_pool": "1"}, "labels_in_pool"),
        ({"lease_seconds": "1"}, "lease_seconds"),
        ({"guideline": "9"}, "no guideline of version 9"),
    ],
)
def test_what_is_wrong_is_said_and_what_was_typed_is_kept(
    studio: Studio, client_as: ClientAs, changed: dict[str, Any], words: str
) -> None:
    fill(studio)
    page = client_as("lead").post("/lead/campaigns/new", {**NEW, "do": "draft", **changed})
    assert page.status_code == 422 and words in page.text, page.text[:3000]
    assert "<script>alert" not in page.text
    assert 'name="count"' in page.text and studio.campaigns.list() == []


def test_demonstrations_need_prompts_alone(studio: Studio, client_as: ClientAs) -> None:
    fill(studio)
    lead = client_as("lead")
    assert (
        lead.post("/lead/campaigns/new", {"name": "demos", "form": "write", "count": "5", "do": "start"}).status_code
        == 303
    )
    assert studio.campaigns.get("demos").state == "active"
    lease = studio.queue.claim(client_as("labeler").account.id)
    assert lease is not None and lease.shown == ()


def test_a_chat_draws_nothing_but_names_its_models(studio: Studio, client_as: ClientAs) -> None:
    lead = client_as("lead")
    form = {"name": "talks", "form": "chat", "do": "draft"}
    assert "needs models to talk to" in lead.post("/lead/campaigns/new", form).text
    form["policies"] = "sft, ppo"
    assert "begin talks themselves" in lead.post("/lead/campaigns/new", {**form, "do": "preview"}).text
    assert lead.post("/lead/campaigns/new", form).status_code == 303
    assert studio.campaigns.get("talks").settings.policies == ("sft", "ppo")
    assert "Add items" not in lead.get("/lead/campaigns/talks").text


def test_state_settings_and_more_items(studio: Studio, client_as: ClientAs) -> None:
    fill(studio)
    lead = client_as("lead")
    lead.post("/lead/campaigns/new", {**NEW, "name": "c", "count": "4", "do": "draft"})
    assert lead.post("/lead/campaigns/c/state", {"state": "active"}).status_code == 303
    assert studio.campaigns.get("c").state == "active"
    assert lead.post("/lead/campaigns/c/state", {"state": "flying"}).status_code == 422
    page = lead.get("/lead/campaigns/c").text
    values = dict(re.findall(r'name="(\w+)" inputmode="decimal" value="([^"]*)"', page))
    assert values["overlap"] == "20" and values["lease_seconds"] == "1800"
    studio.store.add_guideline("first")
    kept = lead.post("/lead/campaigns/c/settings", {**values, "gold_share": "10", "note": "yes", "guideline": "1"})
    assert kept.status_code == 303
    one = studio.campaigns.get("c")
    assert (one.settings.gold_share, one.settings.note, one.settings.feedback, one.guideline_version) == (
        0.1,
        True,
        False,
        1,
    )
    assert studio.audit.events(limit=1)[0].detail == {"gold_share": [0.05, 0.1], "guideline": [None, 1]}
    more = {"policy": ["sft", "ppo"], "answers": "2", "count": "20", "fresh": "yes", "seed": "7"}
    shown = lead.post("/lead/campaigns/c/items", {**more, "do": "preview"})
    assert shown.status_code == 200 and studio.review.count_items("c", "ordinary") == 4
    assert lead.post("/lead/campaigns/c/items", {**more, "do": "add"}).status_code == 303
    assert studio.review.count_items("c", "ordinary") == 12
    assert lead.post("/lead/campaigns/c/items", {**more, "do": "add"}).status_code == 422  # no fresh prompt is left
    anchors = {"policy": ["sft", "ppo"], "answers": "2", "count": "3", "purpose": "anchor", "do": "add"}
    assert lead.post("/lead/campaigns/c/items", anchors).status_code == 303
    assert studio.review.count_items("c", "anchor") == 3


def test_anchors_set_one_policy_against_the_other(studio: Studio, client_as: ClientAs) -> None:
    fill(studio)
    lead = client_as("lead")
    lead.post("/lead/campaigns/new", {**NEW, "name": "c", "do": "draft"})
    lead.post("/lead/campaigns/c/items", {"policy": ["sft", "ppo"], "answers": "2", "count": "5", "purpose": "anchor"})
    page = studio.review.items(_items(purpose="anchor"))
    for row in page.rows:
        view = studio.review.item(row.id)
        assert view is not None and {one.completion.policy for one in view.candidates} == {"sft", "ppo"}


def test_gold_is_made_from_what_a_lead_said(studio: Studio, client_as: ClientAs) -> None:
    fill(studio)
    make_campaign(studio, "c", gold_share=1.0)
    lead = client_as("lead")
    assert "No lead has answered" in lead.get("/lead/campaigns/c/gold").text
    lease = studio.queue.claim(lead.account.id)
    assert lease is not None
    said = payload(lease.form, [3.0, 1.0, 2.0])
    studio.queue.submit(lead.account.id, lease.token, "first key of all", said, active_ms=0, idle_ms=0)
    page = lead.get("/lead/campaigns/c/gold").text
    assert f"Item {lease.item_id}" in page
    form = {"item": [str(lease.item_id)], f"reason-{lease.item_id}": ""}
    assert "needs a reason" in lead.post("/lead/campaigns/c/gold", form).text
    assert "choose at least one" in lead.post("/lead/campaigns/c/gold", {}).text
    form[f"reason-{lease.item_id}"] = "The first is right."
    assert lead.post("/lead/campaigns/c/gold", form).status_code == 303
    [row] = studio.review.items(_items(purpose="gold")).rows
    view = studio.review.item(row.id)
    assert view is not None and view.gold is not None and view.gold.reason == "The first is right."
    by_place = {place: view.candidates[k].completion.id for k, place in enumerate(view.gold.tiers)}
    assert [by_place[k] for k in range(3)] == [lease.shown[k].id for k in (0, 2, 1)]
    got = studio.queue.claim(client_as("labeler").account.id)
    assert got is not None and got.purpose == "gold"


def test_the_cost_of_a_pool(client_as: ClientAs) -> None:
    lead = client_as("lead")
    page = lead.get("/lead/overlap?items=1000&answers=4&seconds=90&rate=20&agreement=72.6").text
    assert "1,800" in page  # 100 items, three labels, three pairs of people and six of answers
    assert lead.get("/lead/overlap?items=-3").status_code == 422


def test_a_guideline_is_previewed_kept_and_compared(studio: Studio, client_as: ClientAs) -> None:
    lead = client_as("lead")
    text = "# Rules\n\nBe kind.\n\n<script>alert(1)</script> [out](javascript:alert(1))\n"
    shown = lead.post("/lead/guidelines", {"text": text, "do": "preview"})
    assert shown.status_code == 200 and "<script>alert" not in shown.text and 'href="javascript' not in shown.text
    assert studio.campaigns.guidelines() == []
    assert lead.post("/lead/guidelines", {"text": text, "do": "save"}).headers["location"] == "/lead/guidelines/1"
    lead.post("/lead/guidelines", {"text": text.replace("kind", "exact"), "do": "save"})
    page = lead.get("/lead/guidelines/2").text
    assert "<del>Be kind.</del>" in page and "<ins>Be exact.</ins>" in page
    assert "No set of answers was judged under both" in page
    again = lead.post("/lead/guidelines", {"text": text.replace("kind", "exact"), "do": "save"})
    assert again.headers["location"] == "/lead/guidelines/2" and len(studio.campaigns.guidelines()) == 2
    assert lead.post("/lead/guidelines", {"text": "  ", "do": "save"}).status_code == 422
    assert lead.post("/lead/guidelines", {"text": "a\u202eb", "do": "save"}).status_code == 422


def test_items_are_asked_again_and_the_shift_is_told(studio: Studio, client_as: ClientAs) -> None:
    """Labelers who were honest under version 1 turn everything round under version 2."""
    fill(studio)
    make_campaign(studio, "old")
    lead = client_as("lead")
    for name in ("ann", "ben", "cid"):
        work(studio.queue, client_as("labeler", name).account.id, honest)
    lead.post("/lead/guidelines", {"text": "Worst answers first.", "do": "save"})
    form = {"name": "again", "campaign": "old", "count": "8", "category": ""}
    assert lead.post("/lead/guidelines/2/reopen", {**form, "gaps": "yes"}).status_code == 422
    assert lead.post("/lead/guidelines/2/reopen", form).status_code == 303
    one = studio.campaigns.get("again")
    assert (one.state, one.guideline_version) == ("draft", 2)
    assert studio.review.count_items("again", "ordinary") == 8
    assert lead.post("/lead/guidelines/2/reopen", form).status_code == 422  # the name is taken
    studio.campaigns.set_state("again", "active")
    for name in ("ann", "ben", "cid"):
        labeler = client_as("labeler", name).account.id
        work(studio.queue, labeler, lambda lease, draw: payload(lease.form, [-one for one in _scores(lease)]))
    page = lead.get("/lead/guidelines/2").text
    assert "The change moved labels" in page


def test_a_form_is_checked_shown_and_kept(studio: Studio, client_as: ClientAs) -> None:
    lead = client_as("lead")
    assert lead.post("/lead/forms", {"start": "rank", "name": "my-rank"}).status_code == 303
    assert lead.post("/lead/forms", {"start": "rank", "name": "my-rank"}).status_code == 422
    assert lead.post("/lead/forms", {"start": "rank", "name": "My rank"}).status_code == 422
    definition = {
        "name": "my-rank", "task": "rank", "title": "Rank <b>them</b>",
        "questions": [{"name": "ranking", "kind": "tiers", "label": "Order", "ties": False}],
    }  # fmt: skip
    shown = lead.post("/lead/forms/my-rank", {"definition": json.dumps(definition), "do": "preview"})
    assert shown.status_code == 200 and "not kept yet" in shown.text and "<b>them</b>" not in shown.text
    assert "No ties." in shown.text
    assert lead.post("/lead/forms/my-rank", {"definition": json.dumps(definition), "do": "save"}).status_code == 303
    assert [one.version for one in studio.campaigns.forms() if one.form.name == "my-rank"] == [2, 1]
    assert lead.get("/lead/forms/my-rank?version=1").status_code == 200
    assert lead.get("/lead/forms/my-rank?version=3").status_code == 404


@pytest.mark.parametrize(
    ("definition", "words"),
    [
        ("{", "not JSON: line 1"),
        ("[1]", "not a JSON object"),
        ("[" * 50_000, "not JSON"),
        ('{"name": "rank", "task": "rank", "title": "t", "questions": []}', "questions"),
        ('{"name": "rank", "task": "rank", "title": "t", "question": [1]}', "the definition: question"),
        ('{"name": "other", "task": "rank", "title": "t", "questions": [{"name": "a", "kind": "tiers", "label": "l"}]}',
         "on this page it is"),
    ],
)  # fmt: skip
def test_a_definition_that_is_no_form(client_as: ClientAs, definition: str, words: str) -> None:
    page = client_as("lead").post("/lead/forms/rank", {"definition": definition, "do": "save"})
    assert page.status_code == 422 and words in page.text


def test_hostile_texts_do_nothing(studio: Studio, client_as: ClientAs) -> None:
    """In prompts, answers, notes and categories, on every page that shows them."""
    from heed.form_library import LIBRARY
    from heed.records import Completion, Prompt
    from heed.store.studio.asks import Ask

    evil = "<img src=x onerror=alert(1)><script>alert(2)</script>\"'>[x](javascript:alert(3)) ![p](http://evil/x.png)"
    prompt = Prompt.from_text(evil, category=evil[:40], source=evil)
    answers = tuple(Completion(text=f"{evil} {k}", policy=evil) for k in range(2))
    studio.store.add_generations([prompt], [answers])
    studio.campaigns.create("c", LIBRARY["rank"], state="active")
    studio.campaigns.add_items("c", [Ask(prompt=prompt, candidates=answers, slots=2)])
    for name, scores in (("ann", [1.0, 0.0]), ("ben", [0.0, 1.0])):
        labeler = client_as("labeler", name).account.id
        lease = studio.queue.claim(labeler)
        assert lease is not None
        by_text = sorted(lease.shown, key=lambda one: one.text)
        said = {**payload(lease.form, [scores[by_text.index(one)] for one in lease.shown]), "note": evil}
        studio.queue.submit(labeler, lease.token, f"key of {name}", said, active_ms=0, idle_ms=0)
    lead = client_as("lead")
    lead.post("/lead/items/1", {"cause": "other", "note": evil, "answers": "no"})
    for path in (
        "/lead/items", "/lead/items?view=all", "/lead/items/1", "/lead/pairs", "/lead/agreement", "/lead/campaigns/new",
        "/lead/audit", "/lead/guidelines?item=1",
    ):  # fmt: skip
        page = lead.get(path)
        assert page.status_code == 200
        for bad in ("<img", "<script>", 'href="javascript', "onerror=alert(1)>"):
            assert bad not in page.text.replace('<img src="/static/', ""), (path, bad)


def _items(**fields: str) -> Any:
    from heed.store.studio.items import ItemFilter

    return ItemFilter(**fields)


def _scores(lease: Any) -> list[float]:
    from lead_fakes import quality

    return [float(quality(one.text)) for one in lease.shown]
