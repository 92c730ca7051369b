"""What the task page gets and sends: letters instead of names, nothing about purposes, and errors one can act on."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest

from heed.form_library import LIBRARY
from heed.records import Completion, Prompt
from heed.store.studio.asks import Ask
from heed.store.studio.settings import CampaignSettings
from heed.web.studio import Studio

CAMPAIGN = "ranks"
GOLD = {"tiers": [0, 1, 1], "reason": "the first one is right"}


def asks(count: int, k: int = 3, **fields: Any) -> list[Ask]:
    return [
        Ask(
            prompt=Prompt.from_text(f"question {number} of {k}"),
            candidates=tuple(Completion(text=f"answer {i} to {number}", policy=f"policy-{i}") for i in range(k)),
            **fields,
        )
        for number in range(count)
    ]


@pytest.fixture
def ranks(studio: Studio) -> Studio:
    """Three rankings of three answers, one of them gold."""
    settings = CampaignSettings(overlap=0, recheck_share=0, gold_share=0, anchor_share=0)
    studio.campaigns.create(CAMPAIGN, LIBRARY["rank"], settings=settings, state="active")
    studio.campaigns.add_items(CAMPAIGN, asks(3))
    return studio


def test_a_task_holds_what_one_needs_and_nothing_else(ranks: Studio, client_as: Callable[..., Any]) -> None:
    said = client_as("labeler").api("/api/next", {"have": []}).json()
    task = said["task"]
    assert said["left"] is True
    assert task.keys() == {
        "token", "campaign", "title", "instruction", "task", "form", "brief", "prompt", "answers", "draft", "revision",
        "lease_until", "guideline", "settings",
    }  # fmt: skip
    assert [answer["letter"] for answer in task["answers"]] == ["A", "B", "C"]
    assert {key for answer in task["answers"] for key in answer} == {"letter", "text", "html"}
    assert datetime.fromisoformat(task["lease_until"]).tzinfo is not None
    text = json.dumps(said)
    assert not any(word in text for word in ("policy", "purpose", "gold", "priority", "arm"))


def test_a_gold_item_looks_like_any_other(studio: Studio, client_as: Callable[..., Any]) -> None:
    settings = CampaignSettings(overlap=0, recheck_share=0, gold_share=1, anchor_share=0)
    studio.campaigns.create(CAMPAIGN, LIBRARY["rank"], settings=settings, state="active")
    studio.campaigns.add_items(CAMPAIGN, [*asks(1, purpose="gold", gold=GOLD), *asks(1, k=2)])
    labeler = client_as("labeler")
    first = labeler.api("/api/next", {"have": []}).json()["task"]
    second = labeler.api("/api/next", {"have": [first["token"]]}).json()["task"]
    assert first.keys() == second.keys()
    assert first["settings"] == second["settings"]
    tiers = {answer["letter"]: 0 for answer in first["answers"]}
    receipt = labeler.api(f"/api/task/{first['token']}/submit", {"key": "key-of-k", "payload": {"tiers": tiers}}).json()
    assert receipt.keys() == {"response", "replayed", "gold"}
    assert receipt["gold"] is None


def test_training_shows_what_was_expected_in_the_labelers_own_letters(
    studio: Studio, client_as: Callable[..., Any]
) -> None:
    settings = CampaignSettings(overlap=0, recheck_share=0, gold_share=1, anchor_share=0, feedback=True)
    studio.campaigns.create(CAMPAIGN, LIBRARY["rank"], settings=settings, state="active")
    studio.campaigns.add_items(CAMPAIGN, asks(1, purpose="gold", gold=GOLD))
    labeler = client_as("labeler")
    task = labeler.api("/api/next", {"have": []}).json()["task"]
    tiers = {answer["letter"]: 0 for answer in task["answers"]}
    gold = labeler.api(f"/api/task/{task['token']}/submit", {"key": "key-of-k", "payload": {"tiers": tiers}}).json()[
        "gold"
    ]
    assert gold["reason"] == GOLD["reason"]
    expected = {answer["letter"]: int(not answer["text"].startswith("answer 0")) for answer in task["answers"]}
    assert gold["tiers"] == expected


def test_what_is_held_comes_back_and_no_more_than_three_are(ranks: Studio, client_as: Callable[..., Any]) -> None:
    labeler = client_as("labeler")
    ranks.campaigns.add_items(CAMPAIGN, asks(3, k=2))
    first = labeler.api("/api/next", {"have": []}).json()["task"]["token"]
    assert labeler.api("/api/next", {"have": []}).json()["task"]["token"] == first
    have = [first]
    for _ in range(2):
        have.append(labeler.api("/api/next", {"have": have}).json()["task"]["token"])
    refused = labeler.api("/api/next", {"have": have}).json()
    assert refused["task"] is None
    assert "3 tasks" in refused["message"]
    assert [task["token"] for task in labeler.get("/api/tasks").json()["tasks"]] == have
    assert client_as("heldout").get("/api/tasks").json() == {"tasks": []}


def test_a_draft_is_kept_and_an_older_one_does_not_replace_it(ranks: Studio, client_as: Callable[..., Any]) -> None:
    labeler = client_as("labeler")
    token = labeler.api("/api/next", {"have": []}).json()["task"]["token"]
    path = f"/api/task/{token}/draft"
    assert labeler.api(path, {"revision": 2, "payload": {"tiers": {"A": 0}}}, method="PUT").json() == {"revision": 2}
    assert labeler.api(path, {"revision": 1, "payload": {}}, method="PUT").json() == {"revision": 2}
    task = labeler.api("/api/next", {"have": []}).json()["task"]
    assert (task["revision"], task["draft"]) == (2, {"tiers": {"A": 0}})


def test_handing_in_twice_with_one_key_is_once(ranks: Studio, client_as: Callable[..., Any]) -> None:
    labeler = client_as("labeler")
    token = labeler.api("/api/next", {"have": []}).json()["task"]["token"]
    body = {
        "key": "key-of-same",
        "payload": {"tiers": {"A": 1, "B": 0, "C": 1}},
        "active_ms": 1234.6,
        "idle_ms": 5,
        "first_input_at": "2026-05-06T07:08:09.123Z",
    }
    first = labeler.api(f"/api/task/{token}/submit", body).json()
    again = labeler.api(f"/api/task/{token}/submit", body).json()
    assert again == {**first, "replayed": True}
    (done,) = ranks.queue.history(labeler.account.id)
    assert 0 <= done.active_ms <= 1234  # never more than has passed since it was given out
    assert done.payload["tiers"] == {"A": 1, "B": 0, "C": 1}


@pytest.mark.parametrize(
    ("verb", "body", "status", "words"),
    [
        ("submit", {"key": "key-of-k", "payload": {"tiers": {"A": 0}}}, 422, "expected each of ABC"),
        ("submit", {"key": "key-of-k"}, 422, "payload"),
        ("submit", {"key": 7, "payload": {}}, 422, "key"),
        ("submit", {"key": "key-of-k", "payload": {}, "active_ms": -1}, 422, "active_ms"),
        ("submit", {"key": "key-of-k", "payload": {}, "active_ms": float("inf")}, 422, ""),
        ("submit", {"key": "key-of-k", "payload": {}, "first_input_at": "yesterday"}, 422, "first_input_at"),
        ("skip", {"reason": "bored"}, 422, "bored"),
        ("skip", {}, 422, "reason"),
    ],
)
def test_what_cannot_be_taken_is_said_and_changes_nothing(
    ranks: Studio, client_as: Callable[..., Any], verb: str, body: dict[str, Any], status: int, words: str
) -> None:
    labeler = client_as("labeler")
    token = labeler.api("/api/next", {"have": []}).json()["task"]["token"]
    response = labeler.client.post(
        f"/api/task/{token}/{verb}",
        content=json.dumps(body),
        headers={"x-heed-csrf": labeler.csrf, "content-type": "application/json"},
    )
    assert response.status_code == status
    assert words in response.json()["error"]
    assert [lease.token for lease in ranks.queue.live(labeler.account.id)] == [token]


def test_someone_elses_task_and_answer_are_out_of_reach(ranks: Studio, client_as: Callable[..., Any]) -> None:
    mine, other = client_as("labeler", "Ann"), client_as("labeler", "Bob")
    token = mine.api("/api/next", {"have": []}).json()["task"]["token"]
    tiers = {"tiers": {"A": 0, "B": 0, "C": 0}}
    for verb, body in (("submit", {"key": "key-of-x", "payload": tiers}), ("skip", {"reason": "other"}), ("beat", {})):
        assert other.api(f"/api/task/{token}/{verb}", body).status_code in (404, 409)
    assert other.api(f"/api/task/{token}/draft", {"revision": 9, "payload": {}}, method="PUT").status_code in (404, 409)
    response = mine.api(f"/api/task/{token}/submit", {"key": "key-of-y", "payload": tiers}).json()["response"]
    assert other.get(f"/api/response/{response}").status_code == 404
    assert other.get(f"/work/history/{response}").status_code == 404
    assert other.api(f"/api/response/{response}/revise", {"key": "key-of-z", "payload": tiers}).status_code in (
        404,
        409,
    )
    assert mine.get(f"/work/history/{response}").status_code == 200
    assert mine.get("/work/history/99999999999999999999").status_code == 404


def test_a_revision_replaces_and_the_first_word_stays(ranks: Studio, client_as: Callable[..., Any]) -> None:
    labeler = client_as("labeler")
    token = labeler.api("/api/next", {"have": []}).json()["task"]["token"]
    flat, steep = {"tiers": {"A": 0, "B": 0, "C": 0}}, {"tiers": {"A": 0, "B": 1, "C": 2}}
    first = labeler.api(f"/api/task/{token}/submit", {"key": "key-of-1", "payload": flat}).json()["response"]
    task = labeler.get(f"/api/response/{first}").json()
    assert task["draft"]["tiers"] == flat["tiers"]
    assert task["revisable"] is True
    second = labeler.api(f"/api/response/{first}/revise", {"key": "key-of-2", "payload": steep}).json()["response"]
    assert second != first
    pages = [labeler.get(f"/work/history/{one}").text for one in (first, second)]
    assert "has replaced this one" in pages[0]
    assert 'id="work"' in pages[1]
    (ranking,) = ranks.store.rankings()
    assert sorted(ranking.tiers) == [0, 1, 2]


def test_the_history_has_pages(ranks: Studio, client_as: Callable[..., Any]) -> None:
    labeler = client_as("labeler")
    ranks.campaigns.add_items(CAMPAIGN, asks(40, k=2))
    for _ in range(35):
        lease = ranks.queue.claim(labeler.account.id)
        assert lease
        tiers = dict.fromkeys("ABC"[: len(lease.shown)], 0)
        ranks.queue.submit(labeler.account.id, lease.token, lease.token, {"tiers": tiers}, active_ms=1, idle_ms=0)
    page = labeler.get("/work/history").text
    assert page.count("<tr>") == 31
    older = page.split("?before=")[1].split('"')[0]
    assert labeler.get(f"/work/history?before={older}").text.count("<tr>") == 6


def test_guidelines_by_version(studio: Studio, client_as: Callable[..., Any]) -> None:
    labeler = client_as("labeler")
    assert "no guideline yet" in labeler.get("/guideline").text
    studio.store.add_guideline("first *rule*")
    studio.store.add_guideline("second <b>rule</b>")
    assert "second &lt;b&gt;rule" in labeler.get("/guideline").text
    assert "first <em>rule" in labeler.get("/guideline?version=1").text
    assert labeler.get("/guideline?version=7").status_code == 404
    assert labeler.get("/api/guideline/1").json() == {"version": 1, "html": "<p>first <em>rule</em></p>\n"}
    assert labeler.get("/api/guideline/x").status_code == 404
