"""A simulated labeler's day: fetch a task, think, save a draft, hand it in; now and then something goes wrong."""

from __future__ import annotations

import asyncio
import random
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from heed.errors import EndpointError
from heed.feedback.crew.browser import Browser, Refused
from heed.feedback.crew.characters import Asked, Character, asked_of

LOST = 409
"""What the server says when a task has been given to someone else in the meantime."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mishaps:
    """How often things go wrong, as shares of the tasks."""

    dropped: float = 0.03
    """The connection breaks while an answer is on its way: it is sent again under the same key."""
    repeated: float = 0.02
    """An answer that arrived is sent once more."""
    killed: float = 0.02
    """The tab is killed after a draft was saved; the task is found again and done."""
    skipped: float = 0.01
    """The task is skipped with a reason."""
    abandoned: float = 0.0
    """The task is left lying, until its lease ends."""


USUAL = Mishaps()
NO_MISHAPS = Mishaps(dropped=0.0, repeated=0.0, killed=0.0, skipped=0.0)


@dataclass(slots=True, kw_only=True)
class Diary:
    """What one labeler did."""

    name: str
    account: str = ""
    new: bool = False
    """Came by an invitation, not back to an account."""
    acknowledged: dict[str, str] = field(default_factory=dict)
    """Response ids by idempotency key: what the server said it has."""
    screened: int = 0
    """Answers of the screening, which are not among those."""
    skipped: int = 0
    lost: int = 0
    """Tasks whose lease had ended."""
    resumed: int = 0
    """Tasks that were found again after a killed tab, with their draft."""
    replayed: int = 0
    errors: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Worker:
    """One labeler at a browser."""

    character: Character
    browser: Browser
    diary: Diary
    rng: random.Random
    speed: float = 1.0
    """How many times faster than a person. The server is told the time that a person would have taken."""
    mishaps: Mishaps = USUAL
    drafts: bool = True
    """Whether a draft is saved before an answer is handed in."""
    campaign: str | None = None

    async def work(self, enough: Callable[[], bool]) -> None:
        """Do tasks until there is none left, or ``enough`` says so."""
        while not enough():
            try:
                found = await self.browser.call("POST", "/api/next", self._wish())
                if found["task"] is None:
                    return
                await self._do(found["task"])
            except Refused as error:
                if error.status != LOST:
                    self.diary.errors.append(str(error))
                    return
                self.diary.lost += 1
            except EndpointError as error:
                self.diary.errors.append(str(error))
                return

    def _wish(self) -> dict[str, Any]:
        wish: dict[str, Any] = {"have": []}
        return wish if self.campaign is None else {**wish, "campaign": self.campaign}

    async def _do(self, task: dict[str, Any]) -> None:
        asked = asked_of(task)
        seconds = self.character.seconds(asked, self.rng)
        await asyncio.sleep(seconds / self.speed)
        address = f"/api/task/{asked.token}"
        if self._happens(self.mishaps.skipped):
            await self.browser.call("POST", f"{address}/skip", {"reason": "unclear", "note": ""})
            self.diary.skipped += 1
            return
        if self._happens(self.mishaps.abandoned):
            return
        payload = self.character.answer(asked, self.rng)
        if self.drafts:
            body: dict[str, Any] = {"revision": asked.revision + 1, "payload": payload}
            await self.browser.call("PUT", f"{address}/draft", body)
            if self._happens(self.mishaps.killed):
                payload = await self._come_back(asked)
        await self._hand_in(address, payload, seconds)

    async def _come_back(self, asked: Asked) -> dict[str, Any]:
        """A new tab, which knows nothing, finds the task and what was typed."""
        found = await self.browser.call("GET", "/api/tasks", {})
        task = next((one for one in found["tasks"] if one["token"] == asked.token), None)
        if task is None or task["draft"] is None:
            raise EndpointError(f"the draft of task {asked.token[:8]} is not there any more")
        self.diary.resumed += 1
        return dict(task["draft"])

    async def _hand_in(self, address: str, payload: dict[str, Any], seconds: float) -> None:
        key = secrets.token_hex(16)
        milliseconds = round(seconds * 1000)
        body: dict[str, Any] = {
            "key": key, "payload": payload, "active_ms": milliseconds, "idle_ms": milliseconds // 10,
            "first_input_at": None,
        }  # fmt: skip
        if self._happens(self.mishaps.dropped):
            await self.browser.drop("POST", f"{address}/submit", body, after=self.rng.uniform(0.001, 0.05))
        receipt = await self.browser.call("POST", f"{address}/submit", body)
        self.diary.acknowledged[key] = receipt["response"]
        self.diary.replayed += bool(receipt["replayed"])
        if self._happens(self.mishaps.repeated):
            again = await self.browser.call("POST", f"{address}/submit", body)
            if again["response"] != receipt["response"] or not again["replayed"]:
                self.diary.errors.append(f"the answer {key[:8]} was taken twice")

    def _happens(self, share: float) -> bool:
        return share > 0 and self.rng.random() < share
