"""Whatever labelers do in whatever order, every slot is open, held or done, and no acknowledged answer is lost.

The model is in ``benchmarks/queue_interleavings.py``, which plays a million operations; here are some ten thousand, a
search for the shortest sequence that goes wrong, and labelers who really are at work at the same time.
"""

from __future__ import annotations

import multiprocessing
import random
import shutil
import tempfile
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from sqlalchemy import text

from benchmarks.queue_interleavings import Clock, World, play
from heed.errors import HeedError, LeaseError
from heed.form_library import LIBRARY
from heed.records import Completion, Labeler, Prompt
from heed.store import Store, dialect
from heed.store.studio.asks import Ask
from heed.store.studio.campaigns import Campaigns
from heed.store.studio.queue import Queue
from heed.store.studio.settings import CampaignSettings

OPERATIONS = 10_000


def test_ten_thousand_interleavings_are_as_the_model_says(empty_database: Path, tmp_path: Path) -> None:
    done: Counter[str] = Counter()
    for seed in range(OPERATIONS // 1000):
        path = tmp_path / f"{seed}.db"
        shutil.copy(empty_database, path)
        clock = Clock()
        with Store(dialect.connect(path), clock) as store:
            done += play(store, clock, seed, 1000).done
    assert done.total() >= OPERATIONS
    assert len(done) == 16 and min(done.values()) > 40


def test_interleavings_are_as_the_model_says_on_a_server(address: str) -> None:
    if "://" not in address:
        pytest.skip("the test above is about SQLite")
    clock = Clock()
    with Store.open(address, clock) as store:
        play(store, clock, 7, 1500)


@settings(max_examples=15, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck))
class Interleaving(RuleBasedStateMachine):
    """The same operations, chosen by Hypothesis, which finds the shortest way to what goes wrong."""

    template: Path

    @initialize(seed=st.integers(0, 10**6))
    def begin(self, seed: int) -> None:
        self.directory = tempfile.TemporaryDirectory()
        path = Path(self.directory.name) / "heed.db"
        shutil.copy(self.template, path)
        self.clock = Clock()
        self.store = Store(dialect.connect(path), self.clock)
        self.world = World(self.store, self.clock, seed, num_items=6)

    @rule(operation=st.integers(0, 14), seed=st.integers(0, 10**6))
    def operate(self, operation: int, seed: int) -> None:
        self.world.draw = random.Random(seed)
        self.world.operations[operation][0]()

    @rule(seed=st.integers(0, 10**6))
    def claim(self, seed: int) -> None:
        self.world.draw = random.Random(seed)
        self.world.claim()

    @invariant()
    def every_slot_is_somewhere(self) -> None:
        if hasattr(self, "world"):
            self.world.check()

    def teardown(self) -> None:
        if hasattr(self, "world"):
            self.world.check_answers()
            self.store.close()
            self.directory.cleanup()


def test_hypothesis_finds_no_sequence_that_goes_wrong(empty_database: Path) -> None:
    class Here(Interleaving):
        template = empty_database

    run_state_machine_as_test(Here, settings=Interleaving.TestCase.settings)


def prepare(store: Store, labelers: int, items: int) -> None:
    store.add_labelers(Labeler(id=f"labeler-{i}") for i in range(labelers))
    campaigns = Campaigns(store)
    shared = CampaignSettings(overlap=0.2, recheck_share=0.1, lease_seconds=3600, gold_share=0.05)
    campaigns.create("race", LIBRARY["rank"], settings=shared, state="active")
    answers = tuple(Completion(text=f"hello {k}") for k in range(3))
    asks = [Ask(prompt=Prompt.from_text(f"say {i}"), candidates=answers) for i in range(items)]
    campaigns.add_items("race", [*asks, Ask(prompt=Prompt.from_text("gold"), candidates=answers, purpose="gold")])


def work(store: Store, labeler: str, seed: int, steps: int, acknowledged: list[tuple[str, int]]) -> None:
    """A labeler in a hurry: claims, submits (sometimes twice, from two tabs), skips, gives back."""
    draw = random.Random(seed)
    queue = Queue(store, random.Random(seed))
    for step in range(steps):
        lease = queue.claim(labeler)
        if lease is None:
            return
        action = draw.random()
        if action < 0.1:
            queue.skip(labeler, lease.token, "other")
        elif action < 0.2:
            queue.give_back(labeler, lease.token)
        else:
            payload = {"tiers": {letter: draw.randrange(3) for letter in "ABC"}}
            key = f"{labeler}-{seed}-{step}"
            receipt = queue.submit(labeler, lease.token, key, payload, active_ms=1, idle_ms=0)
            acknowledged.append((labeler, receipt.response_id))
            if action > 0.9:
                again = queue.submit(labeler, lease.token, key, payload, active_ms=1, idle_ms=0)
                assert again.replayed and again.response_id == receipt.response_id


def verify(store: Store, acknowledged: list[tuple[str, int]]) -> None:
    slots = text(
        "SELECT item.id, slots_open, slots_total, "
        "(SELECT COUNT(*) FROM assignment WHERE item_id = item.id AND state IN ('leased', 'submitted')) AS taken "
        "FROM item"
    )
    doubles = text(
        "SELECT item_id, labeler_id FROM assignment WHERE state IN ('leased', 'submitted') "
        "GROUP BY item_id, labeler_id HAVING COUNT(*) > 1"
    )
    given = text("SELECT labeler_id, response.id FROM response JOIN assignment ON assignment.id = assignment_id")
    with store.reader() as connection:
        wrong = [row for row in connection.execute(slots) if row.slots_open + row.taken != row.slots_total]
        assert not wrong and not connection.execute(doubles).all()
        assert {tuple(row) for row in connection.execute(given)} == set(acknowledged)
        again = text("SELECT origin_id, reserved_for FROM item WHERE purpose = 'recheck'")
        rechecks = [tuple(row) for row in connection.execute(again)]
    assert len(set(rechecks)) == len(rechecks)


def test_labelers_at_work_at_the_same_time_never_get_the_same_slot(store: Store, address: str) -> None:
    prepare(store, labelers=6, items=60)
    acknowledged: list[tuple[str, int]] = []
    failures: list[BaseException] = []

    def one(labeler: str, seed: int) -> None:
        try:
            work(store, labeler, seed, 25, acknowledged)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=one, args=(f"labeler-{i % 6}", i)) for i in range(12)]  # two tabs each
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    verify(store, acknowledged)
    assert len(acknowledged) > 60


def run_worker(address: str, labeler: str, seed: int, answers: Any) -> None:
    acknowledged: list[tuple[str, int]] = []
    with Store(dialect.connect(address)) as store:
        try:
            work(store, labeler, seed, 25, acknowledged)
        except HeedError as error:
            answers.put(error)
    answers.put(acknowledged)


def test_several_workers_share_one_queue(store: Store, address: str) -> None:
    prepare(store, labelers=4, items=60)
    context = multiprocessing.get_context("spawn")
    answers = context.Queue()
    workers = [context.Process(target=run_worker, args=(address, f"labeler-{i}", i, answers)) for i in range(4)]
    for worker in workers:
        worker.start()
    said = [answers.get(timeout=120) for _ in workers]
    for worker in workers:
        worker.join()
    assert all(isinstance(one, list) for one in said), said
    verify(store, [pair for one in said for pair in one])


def test_two_tabs_that_send_one_answer_at_one_moment_get_one_receipt(store: Store) -> None:
    prepare(store, labelers=1, items=20)
    queue = Queue(store)
    for round in range(10):
        lease = queue.claim("labeler-0")
        assert lease is not None
        receipts: list[Any] = []
        barrier = threading.Barrier(4)

        def send(key: str, token: str = lease.token, receipts: list[Any] = receipts, barrier: Any = barrier) -> None:
            barrier.wait()
            try:
                payload = {"tiers": {"A": 0, "B": 1, "C": 2}}
                receipts.append(queue.submit("labeler-0", token, key, payload, active_ms=1, idle_ms=0))
            except LeaseError as error:
                receipts.append(error)

        keys = [f"one-key-{round}"] * 2 + [f"other-key-{round}"] * 2
        threads = [threading.Thread(target=send, args=(key,)) for key in keys]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        stored = [one for one in receipts if not isinstance(one, LeaseError)]
        assert len(stored) == 2 and len({one.response_id for one in stored}) == 1
        assert sorted(one.replayed for one in stored) == [False, True]
    assert len(store.rankings()) <= 10  # some were gold
