"""The lead's pages about people: figures, suspicion, invitations, pausing, leaving, drift and bias."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from heed.form_library import LIBRARY
from heed.forms import LETTERS
from heed.records import Completion, Prompt
from heed.store import Store
from heed.store.studio.asks import Ask
from heed.store.studio.campaigns import CampaignSettings
from heed.store.studio.said import Gold
from heed.web.studio import Studio

As = Callable[..., Any]
CALM = CampaignSettings(recheck_share=0, gold_share=0, anchor_share=0, overlap=0)


def ask(n: int, purpose: str = "ordinary", **fields: Any) -> Ask:
    short, long = Completion(text="short answer", policy="m", stop="eos"), Completion(text="- long\n- list " * 8)
    return Ask(prompt=Prompt.from_text(f"q{n}"), candidates=(short, long), purpose=purpose, **fields)  # type: ignore[arg-type]


def work(studio: Studio, account: Any, tiers: tuple[int, int], times: int) -> None:
    for _ in range(times):
        lease = studio.queue.claim(account.id)
        assert lease is not None
        later = studio.store.now() + timedelta(seconds=10)  # no more than really passed counts as active
        studio.store._clock = lambda later=later: later  # type: ignore[misc]
        payload = {"tiers": {LETTERS[i]: tiers[ordinal] for i, ordinal in enumerate(lease.order)}}
        studio.queue.submit(account.id, lease.token, f"key-{lease.token}", payload, active_ms=9000, idle_ms=0)


@pytest.fixture
def busy(studio: Studio, client_as: As) -> dict[str, Any]:
    """Three careful labelers and one who says the opposite, 60 shared items."""
    studio.campaigns.create("c", LIBRARY["rank"], settings=CALM, state="active")
    studio.campaigns.add_items("c", [ask(n, slots=4) for n in range(60)])
    people = {name: client_as("labeler", name) for name in ("Ann", "Bob", "Cyd", "Dan")}
    for name, one in people.items():
        work(studio, one.account, (1, 0) if name == "Dan" else (0, 1), 60)
    return people


def main_of(page: Any) -> str:
    assert page.status_code == 200, page.text[-500:]
    return str(page.text.split("<main")[1])


def test_an_empty_studio_has_people_pages(client_as: As) -> None:
    lead = client_as("lead")
    assert "Nobody stands out" in main_of(lead.get("/lead/people"))
    assert "no anchor was judged yet" in main_of(lead.get("/lead/drift"))
    assert "0 pairs of answers were judged" in main_of(lead.get("/lead/bias"))
    assert "Nobody is being screened" in main_of(lead.get("/lead/screening"))
    assert "No open appeal" in main_of(lead.get("/lead/appeals"))
    assert "Nothing answered yet" in main_of(lead.get(f"/lead/people/{lead.account.id}"))


def test_the_one_who_answers_against_all_others_is_named(client_as: As, busy: dict[str, Any]) -> None:
    lead = client_as("lead")
    page = main_of(lead.get("/lead/people"))
    suspicion = page.split('id="suspicion"')[1].split("</section>")[0]
    assert "Dan" in suspicion and "against what is right" in suspicion
    assert not any(name in suspicion for name in ("Ann", "Bob", "Cyd"))
    assert "0 % of what the others say together on 60 shared items" in suspicion
    person = main_of(lead.get(f"/lead/people/{busy['Dan'].account.id}"))
    assert "against what is right" in person and "no item with a known answer was met yet" in person
    ann = main_of(lead.get(f"/lead/people/{busy['Ann'].account.id}"))
    assert "66.7 %" in ann and "What sways their preferences" in ann and "Twice as long" in ann


def test_figures_are_anew_after_new_answers(studio: Studio, client_as: As, busy: dict[str, Any]) -> None:
    lead = client_as("lead")
    assert "the newest 240 answers" in main_of(lead.get("/lead/people"))
    studio.campaigns.add_items("c", [ask(1000)])
    work(studio, busy["Ann"].account, (0, 1), 1)
    assert "the newest 241 answers" in main_of(lead.get("/lead/people"))


def test_an_invitation_is_shown_once_and_can_be_revoked(studio: Studio, client_as: As) -> None:
    lead, stranger = client_as("lead"), client_as("anyone")
    form = {"role": "labeler", "group": "heldout", "hours": "24", "note": "Mia <b>"}
    page = lead.post("/lead/people/invite", form)
    assert page.status_code == 200 and "held-out group" in page.text
    link = re.search(r'value="(http://testserver(/join/[^"]+))"', page.text)
    assert link is not None and stranger.get(link[2]).status_code == 200
    listed = main_of(lead.get("/lead/people"))
    assert "Mia &lt;b&gt;" in listed and link[2] not in listed
    [open_one] = studio.people.invitations()
    assert open_one.group == "heldout"
    assert lead.post(f"/lead/people/invitations/{open_one.id}/revoke").status_code == 303
    assert stranger.get(link[2]).status_code == 404 and studio.people.invitations() == []


def test_only_the_owner_invites_and_makes_leads(studio: Studio, client_as: As) -> None:
    lead, owner, ann = client_as("lead"), client_as("owner"), client_as("labeler", "Ann")
    form = {"role": "lead", "group": "training", "hours": "24"}
    assert lead.post("/lead/people/invite", form).status_code == 422
    assert owner.post("/lead/people/invite", form).status_code == 200
    for bad in ({"role": "owner"}, {"group": "x"}, {"hours": "9999"}):
        assert owner.post("/lead/people/invite", {**form, **bad}).status_code == 422
    at = f"/lead/people/{ann.account.id}"
    assert lead.post(f"{at}/role", {"role": "lead"}).status_code == 404
    assert owner.post(f"{at}/role", {"role": "owner"}).status_code == 422
    assert owner.post(f"{at}/role", {"role": "lead"}).status_code == 303
    assert lead.post(f"{at}/status", {"status": "paused"}).status_code == 422  # a lead now, so the owner's to manage
    assert owner.post(f"{at}/status", {"status": "paused"}).status_code == 303
    assert lead.post(f"/lead/people/{lead.account.id}/status", {"status": "closed"}).status_code == 422
    assert lead.post(f"/lead/people/{owner.account.id}/link").status_code == 422


def test_pausing_and_letting_back_in(studio: Studio, client_as: As) -> None:
    lead, ann = client_as("lead"), client_as("labeler", "Ann")
    at = f"/lead/people/{ann.account.id}"
    assert lead.post(f"{at}/status", {"status": "paused"}).status_code == 303
    assert ann.api("/api/next").status_code == 403
    assert lead.post(f"{at}/status", {"status": "active"}).status_code == 303
    assert ann.api("/api/next").status_code == 200
    assert lead.post(f"{at}/status", {"status": "king"}).status_code == 422
    assert [event.verb for event in studio.audit.events(2)] == ["account.status", "account.status"]
    assert lead.get("/lead/people/0000000000000000").status_code == 404


def test_a_way_back_in_signs_in_the_same_person(client_as: As) -> None:
    lead, ann, stranger = client_as("lead"), client_as("labeler", "Ann"), client_as("anyone")
    page = lead.post(f"/lead/people/{ann.account.id}/link")
    link = re.search(r"http://testserver(/join/[^\"]+)", page.text)
    assert link is not None and "Ann" in stranger.get(link[1]).text


def test_leaving_shows_what_depends_on_it_and_needs_the_word(
    studio: Studio, client_as: As, busy: dict[str, Any], tmp_path: Path
) -> None:
    lead, dan = client_as("lead"), busy["Dan"]
    store: Store = studio.store
    export = store.freeze_export("rankings", tmp_path, store.rankings())
    store.register_model("rm-1", parent=None, export_hash=export.hash, config_hash="x", stage="reward")
    at = f"/lead/people/{dan.account.id}/withdraw"
    page = main_of(lead.get(at))
    assert export.hash[:16] in page and "rm-1" in page
    refused = lead.post(at, {"confirm": "yes"})
    assert refused.status_code == 422 and len(store.rankings()) == 240
    assert lead.post(at, {"confirm": "withdraw", "reason": "asked to"}).status_code == 303
    assert len(store.rankings()) == 180
    event = studio.audit.events()[0]
    assert event.verb == "labeler.withdraw" and event.detail["models"] == ["rm-1"]
    suspicion = main_of(lead.get("/lead/people")).split('id="suspicion"')[1].split("</section>")[0]
    assert "Dan" not in suspicion and "withdrawn" in main_of(lead.get("/lead/people"))
    assert dan.get("/me").status_code in (303, 403)
    back = lead.post(f"/lead/people/{dan.account.id}/status", {"status": "active"})
    assert back.status_code == 422 and "withdrawn" in back.text


def test_drift_over_weeks(studio: Studio, client_as: As) -> None:
    lead, people = client_as("lead"), [client_as("labeler", f"L{n}").account for n in range(6)]
    calm = CALM.model_copy(update={"anchor_share": 1.0})
    start = studio.store.now()
    for week in range(5):
        studio.campaigns.create(f"w{week}", LIBRARY["rank"], settings=calm, state="active")
        studio.campaigns.add_items(f"w{week}", [ask(n, "anchor") for n in range(8)])
        now = start + timedelta(weeks=week)
        studio.store._clock = lambda now=now: now  # type: ignore[misc]
        for account in people:
            work(studio, account, (1, 0) if week == 4 else (0, 1), 8)
        studio.campaigns.set_state(f"w{week}", "done")
    lead = client_as("lead", "Late")
    page = main_of(lead.get("/lead/drift"))
    assert "Outside the limits" in page and page.count(">outside<") == 1 and "<svg" in page
    assert "L3" in page and lead.get("/lead/drift?baseline=nonsense").status_code == 200


def test_bias_is_measured_from_what_was_shown(client_as: As, busy: dict[str, Any]) -> None:
    page = main_of(client_as("lead").get("/lead/bias"))
    assert "Has a list, the other has none" in page and "with two answers it is the same as standing earlier" in page
    assert "240" in page and "Dan" in page


def test_hostile_names_and_words_stay_text(studio: Studio, client_as: As) -> None:
    lead, eve = client_as("lead"), client_as("labeler", "<img src=x onerror=alert(1)>")
    studio.standing.tell(eve.account.id, "<svg onload=alert(2)>", lead.account.id)
    studio.screening.declare(eve.account.id, ["<script>alert(3)</script>"])
    for path in ("/lead/people", f"/lead/people/{eve.account.id}", "/lead/screening"):
        page = lead.get(path).text
        assert "<img src=x" not in page and "<svg onload" not in page and "<script>alert" not in page
    assert "<svg onload" not in eve.get("/me").text and "<script>alert" not in eve.get("/screening").text


def test_gold_may_be_mended_only_through_an_appeal() -> None:
    """What the form leaves out stays as it is known."""
    from heed.web.pages.lead_appeals import corrected

    gold = Gold(tiers=(0, 1, 1), values={("sexual", 0): 1.0, ("topic", None): "law"}, reason="r", part="")
    assert corrected(gold, {}) == gold
    changed = corrected(gold, {"tier-0": "5", "tier-1": "2", "tier-2": "5", "value-0": "0", "value-1": "age"})
    assert changed.tiers == (1, 0, 1) and changed.values == {("sexual", 0): 0.0, ("topic", None): "age"}
    with pytest.raises(ValueError, match="expected 1 to 9"):
        corrected(gold, {"tier-0": "0"})
