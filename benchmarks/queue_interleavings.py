"""Random interleavings of everything that labelers do to the queue, checked against a model of it in plain Python.

    python benchmarks/queue_interleavings.py --operations 1000000 [--url postgresql+psycopg://...]

Many small worlds one after the other: some items, a few labelers with two tabs each, and a clock that jumps. After each
operation its outcome must be what the model says; every now and then, and at the end, every item's slots and every
assignment in the database must be the model's, and at the end every acknowledged answer must be in the export.
"""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, create_engine, text
from sqlalchemy.engine import make_url

from heed.errors import DataError, LeaseError
from heed.form_library import LIBRARY
from heed.records import Completion, Labeler, Prompt
from heed.store import Store, dialect
from heed.store.studio.asks import Ask
from heed.store.studio.campaigns import Campaigns
from heed.store.studio.queue import Queue
from heed.store.studio.settings import CampaignSettings

CAMPAIGN = "all"
LABELERS = {"ann": "training", "bea": "training", "cyd": "training", "hal": "heldout"}
LEASE_SECONDS = 100
OVER = ("submitted", "skipped")
SETTINGS = CampaignSettings(
    lease_seconds=LEASE_SECONDS, recheck_share=0.1, gold_share=0.1, anchor_share=0.05, overlap=0.3, held_at_once=1000
)


class Clock:
    """A clock that goes when it is told to."""

    def __init__(self) -> None:
        self.at = datetime(2026, 1, 1)

    def __call__(self) -> datetime:
        """The time."""
        return self.at


@dataclass
class Item:
    """An item as the model knows it."""

    priority: float
    audience: str
    purpose: str
    slots: int
    open: int
    reserved_for: str = ""


@dataclass
class Held:
    """An assignment as the model knows it."""

    token: str
    item: int
    labeler: str
    until: datetime
    served: int
    shown: tuple[Completion, ...]
    state: str = "leased"
    revision: int = 0
    keys: list[str] = field(default_factory=list)
    responses: list[int] = field(default_factory=list)
    said: dict[str, int] = field(default_factory=dict)
    """Candidate to tier, in the newest answer."""


class Violation(AssertionError):
    """The queue did what the model does not allow."""


def expect(holds: bool, what: str) -> None:
    """Stop unless it holds."""
    if not holds:
        raise Violation(what)


class World:
    """A campaign of a few items, those who work on it, and the model of what they have done."""

    def __init__(self, store: Store, clock: Clock, seed: int, num_items: int = 120) -> None:
        self.draw = random.Random(seed)
        self.store, self.clock = store, clock
        self.done: Counter[str] = Counter()
        store.add_labelers(Labeler(id=name, group=group) for name, group in LABELERS.items())  # type: ignore[arg-type]
        campaigns = Campaigns(store)
        campaigns.create(CAMPAIGN, LIBRARY["rank"], settings=SETTINGS, state="active")
        campaigns.add_items(CAMPAIGN, [self._ask(i) for i in range(num_items)], seed=seed)
        self.queue = Queue(store, random.Random(seed))
        self.engine: Engine = store._engine
        with store.reader() as connection:
            rows = connection.execute(text("SELECT * FROM item")).all()
        self.items = {
            row.id: Item(row.priority, row.audience, row.purpose, row.slots_total, row.slots_open) for row in rows
        }
        self.held: list[Held] = []
        self.by: dict[tuple[int, str], list[Held]] = {}
        self.operations: list[tuple[Callable[[], None], int]] = [
            (self.claim, 30), (self.submit, 20), (self.submit_again, 3), (self.replay, 5), (self.stolen, 4),
            (self.jump, 4), (self.expire, 2), (self.skip, 4), (self.give_back, 5), (self.beat, 6), (self.draft, 8),
            (self.revise, 4), (self.two_tabs, 3), (self.bad_answer, 2), (self.stolen_key, 2),
        ]  # fmt: skip

    def _ask(self, i: int) -> Ask:
        purpose = "gold" if i % 12 == 0 else "anchor" if i % 12 == 1 else "ordinary"
        return Ask(
            prompt=Prompt.from_text(f"say {i}"),
            candidates=tuple(Completion(text=f"{i} {k}") for k in range(2 + i % 2)),
            purpose=purpose,  # type: ignore[arg-type]
            audience="heldout" if i % 6 == 5 else None,
            slots=None if purpose == "ordinary" else 4,
        )

    def step(self) -> None:
        """One operation, drawn at random."""
        operations, weights = zip(*self.operations, strict=True)
        operation = self.draw.choices(operations, weights)[0]
        operation()
        self.done[operation.__name__] += 1

    # What labelers do.

    def claim(self) -> None:
        """The next item: free, for them, the first of its kind, and never one they are done with."""
        labeler = self.draw.choice(list(LABELERS))
        self._expire_due()
        lease = self.queue.claim(labeler)
        if lease is None:
            left = self._for(labeler, "ordinary")
            expect(not left, f"{labeler} got nothing although {left} are free")
            self.done["(nothing left)"] += 1
            return
        if lease.item_id not in self.items:
            self._new_recheck(lease.item_id, labeler)
        item = self.items[lease.item_id]
        allowed = self._for(labeler, item.purpose)
        expect(bool(allowed) and lease.item_id == allowed[0], f"{labeler} got {lease.item_id}, expected {allowed[:1]}")
        self._add(lease, labeler)

    def two_tabs(self) -> None:
        """Two claims of one labeler in a row give two items."""
        self.claim()
        self.claim()

    def submit(self) -> None:
        """An answer; late ones count if the slot is still free."""
        held = self._any(lambda one: one.state not in OVER)
        if held is None:
            return
        key = uuid.UUID(int=self.draw.getrandbits(128)).hex
        tiers = self._tiers(held)
        if not self._holds(held):
            with refused(LeaseError):
                self._send(held, key, tiers)
            return
        receipt = self._send(held, key, tiers)
        expect(not receipt.replayed, "a new answer was taken for an old one")
        self._hold(held)
        held.state = "submitted"
        self._answered(held, key, receipt.response_id, tiers)

    def submit_again(self) -> None:
        """The other tab hands in what is handed in already, or skipped."""
        held = self._any(lambda one: one.state in OVER)
        if held is not None:
            with refused(LeaseError):
                self._send(held, uuid.UUID(int=self.draw.getrandbits(128)).hex, self._tiers(held))

    def replay(self) -> None:
        """The same key once more: the same receipt, whatever else is in the message."""
        held = self._any(lambda one: bool(one.keys))
        if held is not None:
            place = self.draw.randrange(len(held.keys))
            receipt = self._send(held, held.keys[place], self._tiers(held))
            expect(receipt.replayed and receipt.response_id == held.responses[place], "a replay got another receipt")

    def stolen(self) -> None:
        """Somebody else's token opens nothing, and what is said does not tell whether it exists."""
        held = self._any(lambda one: True)
        if held is None:
            return
        thief = self.draw.choice([name for name in LABELERS if name != held.labeler])
        messages = set()
        for token in (held.token, "no such token"):
            with refused(LeaseError) as refusal:
                self.draw.choice(
                    [
                        lambda token=token: self.queue.submit(
                            thief,
                            token,
                            uuid.uuid4().hex,
                            self._payload(held, self._tiers(held)),
                            active_ms=1,
                            idle_ms=0,
                        ),
                        lambda token=token: self.queue.skip(thief, token, "other"),
                        lambda token=token: self.queue.give_back(thief, token),
                        lambda token=token: self.queue.beat(thief, token),
                        lambda token=token: self.queue.lease(thief, token),
                        lambda token=token: self.queue.save_draft(thief, token, 10**6, {}),
                    ]
                )()
            messages.add(refusal.message)
        expect(len(messages) == 1, f"a stolen token and none are told apart: {messages}")

    def stolen_key(self) -> None:
        """A key that was used for another task is refused."""
        held = self._any(lambda one: one.state == "leased")
        used = self._any(lambda one: bool(one.keys))
        if held is not None and used is not None:
            with refused(LeaseError):
                self._send(held, used.keys[0], self._tiers(held))

    def jump(self) -> None:
        """Time passes, sometimes enough for all leases to run out."""
        self.clock.at += timedelta(seconds=self.draw.choice([1, 30, 60, 2 * LEASE_SECONDS]))

    def expire(self) -> None:
        """All that has run out is given back, once."""
        expect(self.queue.expire() == self._expire_due(), "other leases ran out than should have")

    def skip(self) -> None:
        """Left to others for good."""
        held = self._any(lambda one: True)
        if held is None:
            return
        if held.state in OVER:
            with refused(LeaseError):
                self.queue.skip(held.labeler, held.token, "unclear")
            return
        self.queue.skip(held.labeler, held.token, "unclear", "no idea")
        self._release(held, "skipped")

    def give_back(self) -> None:
        """Left to others for now."""
        held = self._any(lambda one: True)
        if held is None:
            return
        if held.state in OVER:
            with refused(LeaseError):
                self.queue.give_back(held.labeler, held.token)
            return
        self.queue.give_back(held.labeler, held.token)
        self._release(held, "returned")

    def beat(self) -> None:
        """A sign of life; late ones count if the slot is still free."""
        held = self._any(lambda one: True)
        if held is None:
            return
        if not self._holds(held):
            with refused(LeaseError):
                self.queue.beat(held.labeler, held.token)
            return
        until = self.queue.beat(held.labeler, held.token)
        self._hold(held)
        held.until = until
        expect(until == self.clock.at + timedelta(seconds=LEASE_SECONDS), "a beat moved the lease elsewhere")

    def draft(self) -> None:
        """Only a higher revision replaces a draft."""
        held = self._any(lambda one: one.state not in OVER)
        if held is not None:
            revision = self.draw.randint(1, 9)
            kept = self.queue.save_draft(held.labeler, held.token, revision, {"note": str(revision)})
            held.revision = max(held.revision, revision)
            expect(kept == held.revision, f"draft {kept} is kept, expected {held.revision}")

    def revise(self) -> None:
        """A change of mind supersedes; only the newest answer can be changed."""
        held = self._any(lambda one: bool(one.responses))
        if held is None:
            return
        place = self.draw.randrange(len(held.responses))
        key = uuid.UUID(int=self.draw.getrandbits(128)).hex
        tiers = self._tiers(held)
        if place < len(held.responses) - 1:
            with refused(LeaseError):
                self.queue.revise(held.labeler, held.responses[place], key, self._payload(held, tiers))
            return
        receipt = self.queue.revise(held.labeler, held.responses[place], key, self._payload(held, tiers))
        self._answered(held, key, receipt.response_id, tiers)

    def bad_answer(self) -> None:
        """An answer that the form does not take leaves everything as it was."""
        held = self._any(lambda one: one.state == "leased")
        if held is not None:
            with refused(DataError):
                self._send(held, uuid.uuid4().hex, {"A": 0})

    # What the model says about it.

    def _for(self, labeler: str, purpose: str) -> list[int]:
        """Free items of a purpose that a labeler may have, in the order in which they are given out."""
        fresh, again = [], []
        for number, item in self.items.items():
            audience = purpose != "ordinary" or item.audience == LABELERS[labeler]
            if item.open == 0 or item.purpose != purpose or not audience or item.reserved_for not in ("", labeler):
                continue
            states = [one.state for one in self.by.get((number, labeler), ())]
            if any(state in ("leased", *OVER) for state in states):
                continue
            place = (item.audience == "heldout", item.priority, number)
            (again if states else fresh).append((place, number))
        if purpose == "recheck":
            return sorted(number for _, number in fresh + again)
        by_audience = sorted(fresh), sorted(again)
        if purpose == "ordinary":
            return [number for places in by_audience for _, number in places]
        return [
            number for held_out in (False, True) for places in by_audience for p, number in places if p[0] == held_out
        ]

    def _new_recheck(self, number: int, labeler: str) -> None:
        with self.store.reader() as connection:
            row = connection.execute(text("SELECT * FROM item WHERE id = :id"), {"id": number}).one()
        expect(row.purpose == "recheck" and row.reserved_for == labeler, f"item {number} came from nowhere")
        states = [one.state for one in self.by.get((row.origin_id, labeler), ())]
        expect("submitted" in states, f"item {row.origin_id} comes back to {labeler}, who has not answered it")
        origin = self.items[row.origin_id]
        expect(origin.purpose == "ordinary", "only ordinary items come back")
        self.items[number] = Item(row.priority, row.audience, "recheck", 1, 1, labeler)

    def _add(self, lease: Any, labeler: str) -> None:
        before = self.by.setdefault((lease.item_id, labeler), [])
        held = Held(
            lease.token, lease.item_id, labeler, lease.lease_until, len(self.held), lease.shown, revision=lease.revision
        )
        if before:
            expect(lease.shown == before[-1].shown, "the order changed although the item had been seen")
            expect(lease.revision == before[-1].revision, "the draft was not there again")
        else:
            expect(lease.draft is None and lease.revision == 0, "somebody else's draft")
        self.items[lease.item_id].open -= 1
        self.held.append(held)
        before.append(held)

    def _any(self, which: Callable[[Held], bool]) -> Held | None:
        """A recent assignment of that sort, or, now and then, an old one."""
        for _ in range(6):
            if not self.held:
                return None
            low = max(0, len(self.held) - 12) if self.draw.random() < 0.8 else 0
            held = self.held[self.draw.randrange(low, len(self.held))]
            if which(held):
                return held
        return None

    def _holds(self, held: Held) -> bool:
        """Whether an assignment is live, or could be again."""
        if held.state == "leased":
            return True
        if held.state in OVER or self.items[held.item].open == 0:
            return False
        others = [one for one in self.by[held.item, held.labeler] if one is not held]
        return not any(one.state in ("leased", *OVER) for one in others)

    def _hold(self, held: Held) -> None:
        if held.state != "leased":
            self.items[held.item].open -= 1
            held.state = "leased"

    def _release(self, held: Held, state: str) -> None:
        if held.state == "leased":
            self.items[held.item].open += 1
            held.state = state
        elif state == "skipped":
            held.state = state

    def _expire_due(self) -> int:
        due = [one for one in self.held if one.state == "leased" and one.until < self.clock.at]
        for one in due:
            self._release(one, "expired")
        return len(due)

    def _tiers(self, held: Held) -> dict[str, int]:
        return {letter: self.draw.randrange(3) for letter in "ABC"[: len(held.shown)]}

    def _payload(self, held: Held, tiers: dict[str, int]) -> dict[str, Any]:
        return {"tiers": tiers}

    def _send(self, held: Held, key: str, tiers: dict[str, int]) -> Any:
        return self.queue.submit(held.labeler, held.token, key, {"tiers": tiers}, active_ms=5, idle_ms=0)

    def _answered(self, held: Held, key: str, response_id: int, tiers: dict[str, int]) -> None:
        order = sorted(set(tiers.values()))
        dense = [order.index(tier) for tier in tiers.values()]
        held.keys.append(key)
        held.responses.append(response_id)
        held.said = {completion.id: tier for completion, tier in zip(held.shown, dense, strict=True)}
        held.revision = 0

    # What the database says about it.

    def check(self) -> None:
        """The slots of every item and the state of every assignment are the model's."""
        with self.store.reader() as connection:
            items = connection.execute(text(_SLOTS)).all()
            states = dict(connection.execute(text("SELECT lease_token, state FROM assignment")).all())
        for row in items:
            expect(
                row.slots_open + row.live + row.done == row.slots_total,
                f"item {row.id}: {row.slots_open} open + {row.live} live + {row.done} done = {row.slots_total}",
            )
            expect(row.slots_open == self.items[row.id].open, f"item {row.id} has {row.slots_open} free slots")
        expect(states == {one.token: one.state for one in self.held}, "an assignment is in another state")
        for (item, labeler), own in self.by.items():
            live = [one for one in own if one.state in ("leased", "submitted")]
            expect(len(live) <= 1, f"{labeler} holds item {item} {len(live)} times")

    def check_answers(self) -> None:
        """Every answer that was acknowledged is read, and nothing else is."""
        said = Counter(
            (one.labeler, frozenset(one.said.items()))
            for one in self.held
            if one.state == "submitted" and self.items[one.item].purpose == "ordinary"
        )
        read = Counter(
            (one.labeler, frozenset((c.id, tier) for c, tier in zip(one.completions, one.tiers, strict=True)))
            for one in self.store.rankings()
        )
        expect(said == read, f"acknowledged and not read: {said - read}; read and not said: {read - said}")


_SLOTS = """
    SELECT item.id, slots_open, slots_total,
           COALESCE(SUM(CASE WHEN state = 'leased' THEN 1 ELSE 0 END), 0) AS live,
           COALESCE(SUM(CASE WHEN state = 'submitted' THEN 1 ELSE 0 END), 0) AS done
    FROM item LEFT JOIN assignment ON assignment.item_id = item.id
    GROUP BY item.id, slots_open, slots_total
"""


class refused:
    """What is done inside must be refused in this way."""

    def __init__(self, kind: type[Exception]) -> None:
        self.kind, self.message = kind, ""

    def __enter__(self) -> refused:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> bool:
        expect(kind is not None, f"{self.kind.__name__} was expected, and nothing was refused")
        self.message = str(error)
        return isinstance(error, self.kind)


def play(store: Store, clock: Clock, seed: int, steps: int, check_every: int = 200) -> World:
    """One world from its beginning to its end."""
    world = World(store, clock, seed)
    for number in range(1, steps + 1):
        world.step()
        if number % check_every == 0:
            world.check()
    world.check()
    world.check_answers()
    return world


def new_store(url: str, directory: Path, template: Path, clock: Clock) -> Store:
    """An empty database: a copy of the template, or the server's with its rows removed."""
    if not url:
        path = directory / "world.db"
        for old in directory.glob("world.db*"):
            old.unlink()
        shutil.copy(template, path)
        return Store(dialect.connect(path), clock)
    server = create_engine(url, isolation_level="AUTOCOMMIT")
    with server.connect() as connection:
        connection.execute(text("DROP SCHEMA IF EXISTS heed_interleavings CASCADE"))
        connection.execute(text("CREATE SCHEMA heed_interleavings"))
    server.dispose()
    inside = make_url(url).update_query_dict({"options": "-csearch_path=heed_interleavings"})
    return Store.open(inside.render_as_string(hide_password=False), clock)


def operations(done: Counter[str]) -> int:
    """How many were done; that a claim found nothing is told beside it."""
    return done.total() - done["(nothing left)"]


def main() -> None:
    """Play until so many operations are done, and say what was done."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--operations", type=int, default=1_000_000)
    parser.add_argument("--world", type=int, default=0, help="operations in one world (1200; 5000 on a server)")
    parser.add_argument("--url", default="", help="a server; SQLite in memory (/dev/shm) without it")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    steps = options.world or (5000 if options.url else 1200)
    memory = Path("/dev/shm")
    done: Counter[str] = Counter()
    began, worked = time.perf_counter(), time.process_time()
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as name:
        template = Path(name) / "template.db"
        Store.open(template).close()
        seed = options.seed
        while operations(done) < options.operations:
            clock = Clock()
            with new_store(options.url, Path(name), template, clock) as store:
                try:
                    done += play(store, clock, seed, min(steps, options.operations - operations(done))).done
                except Violation as error:
                    sys.exit(f"VIOLATION in world {seed}: {error}")
            seed += 1
            if (seed - options.seed) % 50 == 0:
                print(
                    f"{operations(done):,} operations, {time.perf_counter() - began:.0f} s", file=sys.stderr, flush=True
                )
    for kind, number in done.most_common():
        print(f"{kind:14} {number:>9,}")
    seconds = time.perf_counter() - began
    print(
        f"{operations(done):,} operations in {seed - options.seed:,} worlds, {seconds:.0f} s "
        f"({time.process_time() - worked:.0f} s of processor time): 0 violations"
    )


if __name__ == "__main__":
    main()
