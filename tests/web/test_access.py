"""Who may do what, as a table: every route, every role, own and foreign objects. A route not in it fails here."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from heed.form_library import LIBRARY
from heed.records import Completion, Prompt
from heed.store.studio.asks import Ask
from heed.store.studio.settings import CampaignSettings
from heed.web.app import ROUTES
from heed.web.studio import Studio

TABLE = {
    "anyone": """
        GET /
        GET /login
        POST /login
        GET /join/{token}
        POST /join/{token}
        GET /healthz
    """,
    "signed_in": """
        POST /logout
        GET /out
        GET /settings
        POST /settings
        POST /settings/password
        POST /settings/leave
        GET /work/history
        GET /work/history/{id}
        GET /guideline
        GET /api/guideline/{version}
        POST /api/preview
        GET /api/response/{id}
        GET /me
        POST /me/pay
        POST /me/appeal
        GET /onboarding
        POST /onboarding/read
        GET /screening
    """,
    "labeler": """
        GET /work
        GET /api/tasks
        POST /api/next
        PUT /api/task/{token}/draft
        POST /api/task/{token}/submit
        POST /api/task/{token}/skip
        POST /api/task/{token}/beat
        POST /api/task/{token}/return
        POST /api/response/{id}/revise
        POST /screening/topics
        GET /chat
        POST /chat
        POST /chat/begin
        POST /chat/choose
        POST /chat/leave
    """,
    "lead": """
        GET /lead/people
        POST /lead/people/invite
        POST /lead/people/invitations/{invitation}/revoke
        GET /lead/people/{account}
        POST /lead/people/{account}/status
        POST /lead/people/{account}/feedback
        POST /lead/people/{account}/link
        GET /lead/people/{account}/withdraw
        POST /lead/people/{account}/withdraw
        GET /lead/screening
        POST /lead/screening
        GET /lead/screening/{code}
        POST /lead/screening/{code}/rate
        POST /lead/screening/{code}/decide
        GET /lead/appeals
        POST /lead/appeals/{appeal}
        GET /lead/drift
        GET /lead/bias
        GET /lead
        GET /lead/fragment
        GET /lead/overlap
        GET /lead/campaigns
        GET /lead/campaigns/new
        POST /lead/campaigns/new
        GET /lead/campaigns/{name}
        POST /lead/campaigns/{name}/state
        POST /lead/campaigns/{name}/settings
        POST /lead/campaigns/{name}/items
        GET /lead/campaigns/{name}/gold
        POST /lead/campaigns/{name}/gold
        GET /lead/agreement
        GET /lead/items
        GET /lead/items/{id}
        POST /lead/items/{id}
        GET /lead/pairs
        GET /lead/guidelines
        POST /lead/guidelines
        GET /lead/guidelines/{version}
        POST /lead/guidelines/{version}/reopen
        GET /lead/forms
        POST /lead/forms
        GET /lead/forms/{name}
        POST /lead/forms/{name}
        GET /lead/audit
        GET /lead/train
        POST /lead/train
        GET /lead/train/{job}
        GET /lead/train/{job}/fragment
        POST /lead/train/{job}/stop
        GET /models
        GET /models/chat
        POST /models/chat
        GET /models/compare
        POST /models/compare
        GET /models/{name:path}
        GET /runs
        GET /runs/{name}
        GET /samples
        GET /lead/data
        POST /lead/data/import
        POST /lead/data/import/{token}
        POST /lead/data/export
        GET /lead/data/export/{id}
    """,
    "owner": """
        POST /lead/people/{account}/role
        POST /lead/data/backup
        GET /lead/privacy
        GET /lead/privacy/{id:path}
        POST /lead/privacy/{id:path}
    """,
}
"""Who may call what, written down a second time: a change of a route's rights has to be made here too."""
WHO = {line.strip(): who for who, lines in TABLE.items() for line in lines.strip().splitlines()}
ALLOWED = {
    "anyone": {"anyone", "onboarding", "screening", "labeler", "heldout", "paused", "lead", "owner"},
    "signed_in": {"onboarding", "screening", "labeler", "heldout", "paused", "lead", "owner"},
    "labeler": {"screening", "labeler", "heldout", "lead", "owner"},
    "lead": {"lead", "owner"},
    "owner": {"owner"},
}
ROLES = ("anyone", "onboarding", "screening", "labeler", "heldout", "paused", "lead", "owner")
FILL = {"token": "t" * 43, "id": "999999", "name": "none", "account": "f" * 16, "job": "0" * 12, "invitation": "0" * 64}


def test_every_route_is_in_the_table_and_says_the_same() -> None:
    assert {f"{route.method} {route.path}": route.who for route in ROUTES} == WHO


def test_no_route_is_there_twice() -> None:
    assert len({(route.method, route.path) for route in ROUTES}) == len(ROUTES)


def address(path: str) -> str:
    """A path with things in its placeholders that do not exist."""
    return re.sub(r"\{(\w+)(?::path)?\}", lambda found: FILL.get(found[1], "999999"), path)


def call(browser: Any, method: str, path: str) -> Any:
    headers = {"x-heed-csrf": browser.csrf} if method != "GET" else {}
    body: dict[str, Any] = {"json": {}} if path.startswith("/api/") and method != "GET" else {}
    return browser.client.request(method, address(path), headers=headers, **body)


@pytest.mark.parametrize("role", ROLES)
def test_a_role_reaches_what_the_table_says_and_nothing_else(client_as: Callable[..., Any], role: str) -> None:
    wrong = []
    for name, who in WHO.items():
        method, path = name.split(" ")
        if name == "POST /settings/leave" or name == "POST /logout":
            continue  # which would end the session in the middle of this test
        response = call(client_as(role), method, path)
        status, allowed = response.status_code, role in ALLOWED[who]
        if status >= 500:
            wrong.append(f"{name}: {status}")
        elif role == "anyone" and not allowed:
            door = status == 303 and response.headers["location"] == "/login"
            if not (status == 401 or (method == "GET" and door)):
                wrong.append(f"{name}: a stranger gets {status}")
        elif not allowed:
            expected = 403 if who == "labeler" else 404
            if status != expected:
                wrong.append(f"{name}: {role} gets {status}, expected {expected}")
        elif status in (401, 403) and not (role == "screening" and status == 403):
            wrong.append(f"{name}: {role} gets {status}, but may")
        elif status in (200, 303) and method == "GET" and re.search(r"\{(?!token)", path) and "fragment" not in path:
            wrong.append(f"{name}: {status} for something that is not there")
    assert not wrong, "\n".join(wrong)


def test_nothing_is_done_without_the_token_of_the_page(client_as: Callable[..., Any]) -> None:
    """Also for the owner, and also with the token of another session."""
    owner, other = client_as("owner"), client_as("lead")
    wrong = []
    for route in ROUTES:
        if route.method == "GET":
            continue
        for headers in ({}, {"x-heed-csrf": other.csrf}, {"x-heed-csrf": owner.csrf, "sec-fetch-site": "cross-site"}):
            body: dict[str, Any] = {"json": {}} if route.body == "json" else {}
            status = owner.client.request(route.method, address(route.path), headers=headers, **body).status_code
            if status != 403:
                wrong.append(f"{route.method} {route.path} with {headers}: {status}")
    assert not wrong, "\n".join(wrong)


def test_a_session_that_was_closed_opens_nothing(studio: Studio, client_as: Callable[..., Any]) -> None:
    labeler = client_as("labeler")
    assert labeler.get("/work").status_code == 200
    studio.people.set_status(labeler.account.id, "closed", labeler.account.id)
    assert labeler.get("/work").headers["location"] == "/login"
    assert labeler.api("/api/next").status_code == 401


# --- what belongs to someone else


@pytest.fixture
def campaign(studio: Studio) -> str:
    studio.campaigns.create("c", LIBRARY["rank"], guideline=None, settings=CampaignSettings(overlap=0), state="active")
    asks = [
        Ask(prompt=Prompt.from_text(f"Say {n}."), candidates=(Completion(text="one"), Completion(text="two")))
        for n in range(6)
    ]
    studio.campaigns.add_items("c", asks)
    return "c"


def test_a_foreign_task_is_not_there(studio: Studio, campaign: str, client_as: Callable[..., Any]) -> None:
    """Neither to read nor to change, whoever asks; and it cannot be told from one that never was."""
    ann, eve = client_as("labeler", "Ann"), client_as("labeler", "Eve")
    token = ann.api("/api/next", {"have": []}).json()["task"]["token"]
    payload = {"tiers": {"A": 0, "B": 1}}
    calls = {
        f"/api/task/{{}}/{name}": value
        for name, value in {
            "submit": {"key": "k" * 32, "payload": payload, "active_ms": 1, "idle_ms": 1, "first_input_at": None},
            "skip": {"reason": "other", "note": ""},
            "beat": {},
            "return": {},
        }.items()
    }
    for person in (eve, client_as("lead"), client_as("owner")):
        for path, value in calls.items():
            foreign, none = person.api(path.format(token), value), person.api(path.format("n" * len(token)), value)
            assert foreign.status_code == none.status_code == 409
            assert foreign.json() == none.json()
        draft = {"revision": 1, "payload": payload}
        assert person.api(f"/api/task/{token}/draft", draft, "PUT").status_code == 409
    (lease,) = studio.queue.live(ann.account.id)
    assert (lease.token, lease.draft) == (token, None)


def test_a_foreign_answer_is_not_there(studio: Studio, campaign: str, client_as: Callable[..., Any]) -> None:
    ann, eve = client_as("labeler", "Ann"), client_as("labeler", "Eve")
    token = ann.api("/api/next", {"have": []}).json()["task"]["token"]
    said = {"key": "k" * 32, "payload": {"tiers": {"A": 0, "B": 1}}, "active_ms": 1, "idle_ms": 1}
    response = ann.api(f"/api/task/{token}/submit", {**said, "first_input_at": None}).json()["response"]
    assert ann.get(f"/work/history/{response}").status_code == 200
    for person in (eve, client_as("lead")):
        assert person.get(f"/work/history/{response}").status_code == 404
        assert person.get(f"/api/response/{response}").status_code in (404, 409)
        change = {"key": "j" * 32, "payload": {"tiers": {"A": 1, "B": 0}}}
        assert person.api(f"/api/response/{response}/revise", change).status_code in (404, 409)
        assert person.post("/me/appeal", {"response": response, "text": "No."}).status_code in (404, 422)
    assert len(studio.queue.history(ann.account.id)) == 1
    assert "Ann" not in eve.get("/me").text


def test_leads_are_managed_by_the_owner_alone(studio: Studio, client_as: Callable[..., Any]) -> None:
    """No one raises themselves or anyone else, and no link leads into a higher account."""
    owner, lead, other, labeler = (client_as(role) for role in ("owner", "lead", "heldout", "labeler"))
    second = client_as("lead", "Second lead")
    for target in (owner, second, lead):
        path = f"/lead/people/{target.account.id}"
        assert lead.post(path + "/role", {"role": "labeler"}).status_code == 404
        assert lead.post(path + "/status", {"status": "closed"}).status_code == 422
        assert lead.post(path + "/link").status_code == 422
        assert lead.post(path + "/withdraw", {"confirm": "withdraw", "reason": ""}).status_code == 422
    assert lead.post("/lead/people/invite", {"role": "lead", "group": "training", "hours": "168"}).status_code == 422
    assert lead.post("/lead/people/invite", {"role": "owner", "group": "training", "hours": "168"}).status_code == 422
    assert owner.post(f"/lead/people/{owner.account.id}/role", {"role": "labeler"}).status_code in (403, 422)
    assert labeler.post("/settings", {"role": "owner", "status": "active", "theme": "dark"}).status_code == 303
    found = studio.people.account(labeler.account.id)
    assert found is not None and found.role == "labeler" and dict(found.settings) == {"theme": "dark"}
    assert owner.post(f"/lead/people/{other.account.id}/role", {"role": "lead"}).status_code == 303
    assert [event.actor for event in studio.audit.events(verb="account.role")] == [owner.account.id]


def test_nothing_that_labelers_read_tells_what_an_item_is_for(
    studio: Studio, campaign: str, client_as: Callable[..., Any]
) -> None:
    """Purposes, known answers, policies, scores and other people's answers stay on the server."""
    gold = {"tiers": [0, 1], "item": {}, "candidates": [], "reason": "because of SECRET"}
    answers = (Completion(text="g1", policy="POLICY-X"), Completion(text="g2", policy="POLICY-Y"))
    studio.campaigns.add_items(
        "c", [Ask(prompt=Prompt.from_text("Gold?"), candidates=answers, purpose="gold", gold=gold)]
    )
    studio.campaigns.update_settings("c", CampaignSettings(gold_share=1.0, recheck_share=0, anchor_share=0))
    ann = client_as("labeler", "Ann")
    task = ann.api("/api/next", {"have": []}).text
    assert "g1" in task
    for secret in ("gold", "SECRET", "POLICY", "purpose", "policy", "ordinal", "item_id", "arm", "priority"):
        assert secret not in task.replace('"gold": null', ""), secret
    token = ann.api("/api/tasks", method="GET").json()["tasks"][0]["token"]
    said = {"key": "k" * 32, "payload": {"tiers": {"A": 0, "B": 1}}, "active_ms": 1, "idle_ms": 1}
    done = ann.api(f"/api/task/{token}/submit", {**said, "first_input_at": None}).json()
    assert done["gold"] is None
    assert "SECRET" not in ann.get("/work/history").text
