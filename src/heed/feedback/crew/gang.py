"""A whole crew at once: how they come in by invitation, and what they did."""

from __future__ import annotations

import asyncio
import random
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from time import monotonic

import httpx

from heed.errors import EndpointError
from heed.feedback.crew.browser import PATIENCE, Browser, Refused
from heed.feedback.crew.entrance import come_in
from heed.feedback.crew.hiring import Recruit
from heed.feedback.crew.work import NO_MISHAPS, USUAL, Diary, Mishaps, Worker


@dataclass(frozen=True, slots=True, kw_only=True)
class Shift:
    """How a crew works."""

    url: str
    seconds: float | None = None
    """The end of work; None: until nothing is left."""
    speed: float = 60.0
    """How many times faster than people they are."""
    mishaps: Mishaps = USUAL
    seed: int = 0
    campaign: str | None = None
    most: int | None = None
    """Answers of one labeler at most."""
    drafts: bool = True
    spread: float = 0.0
    """Seconds over which they begin to work; people do not all come in the same moment."""
    polite: bool = False
    """Whether everyone does the screening honestly, as those do who mean harm."""
    patience: float = PATIENCE
    """Seconds for which a request is tried again, while the server is away."""
    transport: httpx.AsyncBaseTransport | None = field(default=None, repr=False)
    """In place of the network, in tests."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a crew did."""

    diaries: tuple[Diary, ...]
    seconds: float
    """From the first task to the last answer."""
    server_ms: tuple[tuple[str, float], ...]
    """What the server said each request took, by address, in milliseconds."""
    retries: int

    @property
    def answers(self) -> int:
        """Answers that the server acknowledged."""
        return sum(len(diary.acknowledged) for diary in self.diaries)

    @property
    def errors(self) -> list[str]:
        """What went wrong beyond what may."""
        return [f"{diary.name}: {error}" for diary in self.diaries for error in diary.errors]

    def milliseconds(self, address: str) -> list[float]:
        """Server times of one address, ascending."""
        return sorted(ms for path, ms in self.server_ms if path == address)


async def run_shift(
    recruits: Sequence[Recruit], shift: Shift, *, joined: Callable[[Mapping[str, str]], None] | None = None
) -> Outcome:
    """Let everyone come in by their invitation, go through the screening, and work.

    Args:
        joined: told the account ids by name once all are through the screening; a lead has to accept them by then.
    """
    browsers = [Browser.at(shift.url, shift.patience, shift.transport) for _ in recruits]
    diaries = [Diary(name=one.name) for one in recruits]
    try:
        gate = asyncio.Semaphore(8)  # a password's hash is slow on purpose

        async def enter(index: int) -> None:
            async with gate:
                await _enter(recruits[index], browsers[index], diaries[index], shift)

        await asyncio.gather(*(enter(index) for index in range(len(recruits))))
        inside = [
            (one, browser, diary)
            for one, browser, diary in zip(recruits, browsers, diaries, strict=True)
            if diary.account
        ]
        await _be_screened([entry for entry in inside if entry[2].new], shift)
        if joined is not None:
            joined({diary.name: diary.account for diary in diaries if diary.account})
        for browser in browsers:
            browser.server_ms.clear()
        start = monotonic()
        await asyncio.gather(*(_work(one, browser, diary, shift, start) for one, browser, diary in inside))
        seconds = monotonic() - start
    finally:
        await asyncio.gather(*(browser.close() for browser in browsers))
    return Outcome(
        diaries=tuple(diaries),
        seconds=seconds,
        server_ms=tuple(entry for browser in browsers for entry in browser.server_ms),
        retries=sum(browser.retries for browser in browsers),
    )


async def _enter(recruit: Recruit, browser: Browser, diary: Diary, shift: Shift) -> None:
    try:
        password = secrets.token_urlsafe(12)
        diary.account, diary.new = await come_in(browser, recruit.invitation, recruit.name, password)
    except (EndpointError, Refused) as error:
        diary.errors.append(f"could not come in: {error}")


async def _be_screened(newcomers: Sequence[tuple[Recruit, Browser, Diary]], shift: Shift) -> None:
    """Do the screening's tasks, on one's best behaviour if that is the plan."""
    calm = replace(shift, mishaps=NO_MISHAPS, spread=0.0, seconds=None, most=None, campaign=None)
    done = [Diary(name=diary.name) for _, _, diary in newcomers]
    shown = [
        replace(one, character=replace(one.character, name="honest")) if shift.polite else one
        for one, _, _ in newcomers
    ]
    await asyncio.gather(
        *(_work(one, browser, diary, calm, monotonic())
          for one, (_, browser, _), diary in zip(shown, newcomers, done, strict=True))
    )  # fmt: skip
    for (_, _, diary), screened in zip(newcomers, done, strict=True):
        diary.screened, diary.errors = len(screened.acknowledged), diary.errors + screened.errors


async def _work(recruit: Recruit, browser: Browser, diary: Diary, shift: Shift, start: float) -> None:
    worker = Worker(
        character=recruit.character,
        browser=browser,
        diary=diary,
        rng=random.Random(f"work/{shift.seed}/{recruit.name}"),
        speed=shift.speed,
        mishaps=shift.mishaps,
        drafts=shift.drafts,
        campaign=shift.campaign,
    )

    def enough() -> bool:
        late = shift.seconds is not None and monotonic() - start >= shift.seconds
        return late or (shift.most is not None and len(diary.acknowledged) >= shift.most)

    await asyncio.sleep(worker.rng.uniform(0.0, shift.spread))
    await worker.work(enough)
