"""The lead's pages over a campaign on which three labelers have worked, one of them the wrong way round."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from heed.web.studio import Studio
from lead_fakes import fill, honest, hostile, make_campaign, work

PAGES = (
    "/lead",
    "/lead/fragment",
    "/lead/campaigns",
    "/lead/campaigns/new",
    "/lead/campaigns/first",
    "/lead/campaigns/first/gold",
    "/lead/overlap",
    "/lead/agreement",
    "/lead/agreement?ties=half&campaign=first",
    "/lead/items",
    "/lead/items?cause=labeler_error&campaign=first",
    "/lead/items?view=all",
    "/lead/items?view=all&purpose=ordinary&state=full&category=qa&order=oldest",
    "/lead/items?view=all&cause=model_error",
    "/lead/items/1",
    "/lead/pairs",
    "/lead/pairs?ties=half&adjudicated=all&seed=3",
    "/lead/guidelines",
    "/lead/guidelines?item=1",
    "/lead/guidelines/1",
    "/lead/forms",
    "/lead/forms/rank",
    "/lead/forms/rank?version=1",
    "/lead/forms/grade",
    "/lead/audit",
)

ClientAs = Callable[..., Any]


@pytest.fixture
def labeled(studio: Studio, client_as: ClientAs) -> Studio:
    """Twelve items with three labels each: two honest labelers, and a hostile one."""
    fill(studio)
    make_campaign(studio)
    for name, answer in (("ann", honest), ("ben", honest), ("Mallory", hostile)):
        browser = client_as("labeler", name)
        assert work(studio.queue, browser.account.id, answer) == 12
    return studio


@pytest.mark.parametrize("path", PAGES)
def test_a_page_opens_for_leads_and_for_nobody_else(path: str, labeled: Studio, client_as: ClientAs) -> None:
    page = client_as("lead").get(path)
    assert page.status_code == 200, page.text
    assert "style=" not in page.text and "<script>" not in page.text and " onclick" not in page.text
    assert client_as("labeler", "ann").get(path).status_code == 404
    assert client_as("anyone").get(path).headers["location"] == "/login"


@pytest.mark.parametrize("path", [path for path in PAGES if "first" not in path and "items/1" not in path])
def test_a_page_opens_in_an_empty_workspace(path: str, client_as: ClientAs) -> None:
    page = client_as("lead").get(path)
    there = path not in ("/lead/guidelines/1", "/lead/forms/rank?version=1")
    assert page.status_code == (200 if there else 404), page.text


def test_what_is_not_there_is_not_found(client_as: ClientAs) -> None:
    lead = client_as("lead")
    for path in (
        "/lead/campaigns/none", "/lead/items/99", "/lead/items/1x", "/lead/guidelines/7", "/lead/forms/none",
        "/lead/campaigns/none/gold", "/lead/items/" + "9" * 30,
    ):  # fmt: skip
        assert lead.get(path).status_code == 404, path


def test_progress_counts_what_was_done(labeled: Studio, client_as: ClientAs) -> None:
    page = client_as("lead").get("/lead").text
    assert "of 36 labels on 12 items" in page
    assert re.search(r"<strong class=\"num\">36</strong> done", page)
    assert "12 of 12 items have all their labels" in page
    assert "everything is answered" in page


def test_agreement_is_low_with_the_hostile_one(labeled: Studio, client_as: ClientAs) -> None:
    """36 meetings of three pairs; a third of the meetings is of the two honest ones."""
    page = client_as("lead").get("/lead/agreement").text
    assert "108 comparisons, 12 sets of answers, 3 labelers" in page
    assert "InstructGPT" in page and "72.6 %" in page
    assert "training labelers with each other" in page.lower()


def test_the_hostile_one_is_named_only_after_a_decision(labeled: Studio, client_as: ClientAs) -> None:
    lead = client_as("lead")
    page = lead.get("/lead/items").text
    assert "Slip" in page
    found = re.search(r'href="/lead/items/(\d+)"', page)
    assert found is not None
    item = int(found[1])
    before = lead.get(f"/lead/items/{item}").text
    assert "Labeler 1" in before and "Mallory" not in before and ">ann<" not in before
    assert "sft</p>" not in before  # policies would tell which answer is whose
    form = {"cause": "labeler_error", "note": "turned round", "answers": "no"}
    assert lead.post(f"/lead/items/{item}", form).status_code == 303
    after = lead.get(f"/lead/items/{item}").text
    assert "Mallory" in after and "A word in private" in after
    [event] = labeled.audit.events(limit=1)
    assert (event.actor, event.object, event.detail["cause"]) == (lead.account.id, f"item {item}", "labeler_error")


def test_a_decision_is_the_leads_own_answer(labeled: Studio, client_as: ClientAs) -> None:
    """The lead ranks all three answers; in the pairs, that stands for the item from then on."""
    lead = client_as("lead")
    pairs = lead.get("/lead/pairs").text
    assert re.search(r"Rankings that give some</span><span>36<", pairs)
    form = {"cause": "ambiguous", "answers": "yes", "tier-A": "1", "tier-B": "2", "tier-C": "2", "note": ""}
    assert lead.post("/lead/items/1", form).status_code == 303
    view = labeled.review.item(1)
    assert view is not None and len(view.voices) == 4
    own = view.voices[-1]
    assert (own.labeler, sorted(own.tiers)) == (lead.account.id, [0, 1, 1])
    assert view.decisions[-1].response_id == own.response_id
    assert view.slots_open == 0
    pairs = lead.get("/lead/pairs").text
    assert re.search(r"Rankings that give some</span><span>34<", pairs)
    assert len(labeled.store.rankings(final=True)) == 34 and len(labeled.store.rankings()) == 37
    assert own.labeler in {one.labeler for one in labeled.store.rankings(final=True)}
    everyone = lead.get("/lead/pairs?adjudicated=all").text
    assert re.search(r"Rankings that give some</span><span>37<", everyone)
    assert "stands as the decision" in lead.get("/lead/items/1").text


def test_letters_mean_what_the_lead_saw(labeled: Studio, client_as: ClientAs) -> None:
    """The answer shown as A is the one that gets A's place."""
    lead = client_as("lead")
    page = lead.get("/lead/items/2").text
    shown = re.findall(r"<h2>Answer ([A-C])</h2><div class=\"answer\" dir=\"auto\"><p>(.*?)</p>", page)
    assert [letter for letter, _ in shown] == ["A", "B", "C"]
    lead.post(
        "/lead/items/2", {"cause": "other", "note": "x", "answers": "yes", "tier-A": "3", "tier-B": "1", "tier-C": "2"}
    )
    view = labeled.review.item(2)
    assert view is not None
    place = {c.completion.text: view.voices[-1].tiers[c.ordinal] for c in view.candidates}
    assert [place[text] for _, text in shown] == [2, 0, 1]


def test_all_equal(labeled: Studio, client_as: ClientAs) -> None:
    lead = client_as("lead")
    assert lead.post("/lead/items/3", {"cause": "equal", "answers": "yes", "tie": "yes"}).status_code == 303
    view = labeled.review.item(3)
    assert view is not None and view.voices[-1].tiers == (0, 0, 0)


@pytest.mark.parametrize(
    ("form", "words"),
    [
        ({}, "choose a cause"),
        ({"cause": "mood"}, "choose a cause"),
        ({"cause": "other", "note": " "}, "say in the note"),
        ({"cause": "equal", "answers": "yes"}, "answer A has no place"),
        ({"cause": "equal", "answers": "yes", "tier-A": "0", "tier-B": "1", "tier-C": "1"}, "answer A has no place"),
        ({"cause": "equal", "answers": "no", "note": "\u202e"}, "invisible character"),
    ],
)
def test_a_decision_says_what_is_missing(
    labeled: Studio, client_as: ClientAs, form: dict[str, str], words: str
) -> None:
    page = client_as("lead").post("/lead/items/1", form)
    assert page.status_code == 422 and words in page.text
    view = labeled.review.item(1)
    assert view is not None and view.decisions == () and len(view.voices) == 3


def test_a_held_out_item_takes_no_answer_of_a_lead_who_is_not(studio: Studio, client_as: ClientAs) -> None:
    fill(studio)
    make_campaign(studio, heldout_share=1.0)
    held = client_as("heldout")
    assert work(studio.queue, held.account.id, honest) == 12
    lead = client_as("lead")
    assert "would mix the groups" in lead.get("/lead/items/1").text
    refused = lead.post("/lead/items/1", {"cause": "equal", "answers": "yes", "tie": "yes"})
    assert refused.status_code == 422
    assert lead.post("/lead/items/1", {"cause": "equal", "answers": "no"}).status_code == 303
    assert "12 rankings of held-out labelers" in lead.get("/lead/pairs").text


def test_the_audit_log_filters_and_verifies(labeled: Studio, client_as: ClientAs) -> None:
    lead = client_as("lead")
    labeled.audit.record(lead.account.id, "campaign.state", "first", {"state": "paused"})
    page = lead.get("/lead/audit").text
    assert "chain verified" in page and "campaign.state" in page
    other = lead.get("/lead/audit?verb=nothing'--").text
    assert "campaign.state" in other  # what is not on offer is no filter
