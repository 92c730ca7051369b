"""A live chat: two answers a turn, a choice, and rankings that anyone can read."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from starlette.testclient import TestClient

from heed.errors import EndpointError
from heed.form_library import LIBRARY
from heed.records import Completion, Prompt
from heed.roles import Decoding
from heed.store.studio.settings import CampaignSettings
from heed.web.app import build_app
from heed.web.studio import Studio


@dataclass
class Talker:
    """A desk of two models, which say who they are and how long the talk is; a broken one says nothing."""

    broken: bool = False
    asked: list[Prompt] = field(default_factory=list)
    name: str = ""

    def sampler(self, name: str) -> Talker:
        return Talker(broken=self.broken, asked=self.asked, name=name)

    def sample(self, prompts: Sequence[Prompt], n: int, decoding: Decoding) -> list[list[Completion]]:
        if self.broken:
            raise EndpointError("the models' process has crashed; try again")
        self.asked.append(prompts[0])
        text = f"{self.name} after {len(prompts[0].messages)} <script>alert(1)</script>"
        return [[Completion(text=text, policy=self.name, stop="eos", token_ids=(1,), logprobs=(-1.0,))]]


@pytest.fixture
def desk() -> Talker:
    return Talker()


@pytest.fixture
def labeler(studio: Studio, desk: Talker, client_as: Callable[..., Any]) -> Any:
    settings = CampaignSettings(policies=("alpha", "beta"))
    studio.campaigns.create("talk", LIBRARY["chat"], guideline=None, settings=settings, state="active")
    known = client_as("labeler")
    app = build_app(replace(studio, desk=desk))  # type: ignore[arg-type]
    client = TestClient(app, base_url="http://testserver", follow_redirects=False)
    client.cookies.set("heed", known.client.cookies["heed"])
    yield replace(known, client=client)
    client.close()


def field_of(page: str, name: str) -> str:
    found = re.search(rf'name="{name}" value="([^"]*)"', page)
    assert found is not None, name
    return found[1]


def choose(labeler: Any, strength: int, note: str = "") -> Any:
    page = labeler.get("/chat").text
    form = {"token": field_of(page, "token"), "key": field_of(page, "key"), "strength": str(strength), "note": note}
    return labeler.post("/chat/choose", form | {"active_ms": "1500"})


def test_a_talk_of_two_turns_is_two_rankings(studio: Studio, labeler: Any, desk: Talker) -> None:
    assert labeler.post("/chat/begin", {"campaign": "talk"}).status_code == 303
    assert labeler.post("/chat", {"message": "Hello <b>there</b>"}).status_code == 303
    page = labeler.get("/chat").text
    assert "alpha" in page and "beta" in page  # the fake models say their names; the page itself never does
    assert "<script>alert" not in page and "<b>there" not in page
    assert "policies" not in page and "Going on" not in page
    shown = re.findall(r"(alpha|beta) after 1", page)
    assert choose(labeler, 2).status_code == 303
    (first,) = studio.store.rankings()
    better = next(one for one, tier in zip(first.completions, first.tiers, strict=True) if tier == 0)
    assert better.policy == shown[1], "2 says that B, the second one shown, is better"
    labeler.post("/chat", {"message": "And then?"})
    assert [one.content for one in desk.asked[-1].messages] == ["Hello <b>there</b>", better.text, "And then?"]
    assert choose(labeler, -1).status_code == 303
    second = studio.store.rankings()[1]
    assert len(second.prompt.messages) == 3
    assert second.labeler == labeler.account.id
    assert studio.campaigns.totals("talk").done == 2


def test_sides_are_drawn_anew_each_turn(labeler: Any) -> None:
    labeler.post("/chat/begin", {"campaign": "talk"})
    lefts = set()
    for number in range(10):
        labeler.post("/chat", {"message": f"Turn {number}"})
        lefts.add(re.findall(r"(alpha|beta) after", labeler.get("/chat").text)[-2])
        choose(labeler, 1)
    assert lefts == {"alpha", "beta"}


def test_a_choice_is_needed_and_counts_once(studio: Studio, labeler: Any) -> None:
    labeler.post("/chat/begin", {"campaign": "talk"})
    labeler.post("/chat", {"message": "Hello"})
    assert "choose the better answer first" in labeler.post("/chat", {"message": "Too soon"}).text
    assert choose(labeler, 0).status_code == 422, "a chat has no ties: it could not go on"
    page = labeler.get("/chat").text
    form = {"token": field_of(page, "token"), "key": field_of(page, "key"), "strength": "1"}
    assert labeler.post("/chat/choose", form).status_code == 303
    assert labeler.post("/chat/choose", form).status_code == 303, "a button pressed twice is one answer"
    assert len(studio.store.rankings()) == 1


def test_a_model_that_fails_loses_nothing_typed(labeler: Any, desk: Talker) -> None:
    labeler.post("/chat/begin", {"campaign": "talk"})
    desk.broken = True
    page = labeler.post("/chat", {"message": "A long thought"})
    assert page.status_code == 422
    assert "crashed" in page.text
    assert ">A long thought</textarea>" in page.text


def test_leaving_keeps_what_was_chosen_and_nothing_else(studio: Studio, labeler: Any) -> None:
    labeler.post("/chat/begin", {"campaign": "talk"})
    labeler.post("/chat", {"message": "Hello"})
    choose(labeler, 1)
    labeler.post("/chat", {"message": "And?"})
    assert labeler.post("/chat/leave").status_code == 303
    assert "Begin: talk" in labeler.get("/chat").text
    assert len(studio.store.rankings()) == 1
    totals = studio.campaigns.totals("talk")
    assert totals.open + totals.live + totals.done == totals.total


def test_nobody_chats_for_another(studio: Studio, labeler: Any, client_as: Callable[..., Any]) -> None:
    labeler.post("/chat/begin", {"campaign": "talk"})
    labeler.post("/chat", {"message": "Hello"})
    page = labeler.get("/chat").text
    form = {"token": field_of(page, "token"), "key": "k" * 32, "strength": "1"}
    assert client_as("labeler", "Eve").post("/chat/choose", form).status_code == 409
    assert studio.store.rankings() == []


def test_a_chat_needs_models(studio: Studio, labeler: Any) -> None:
    studio.campaigns.create("mute", LIBRARY["chat"], guideline=None, settings=CampaignSettings(), state="active")
    assert "nobody has said yet" in labeler.post("/chat/begin", {"campaign": "mute"}).text
    assert labeler.post("/chat/begin", {"campaign": "none"}).status_code == 422
