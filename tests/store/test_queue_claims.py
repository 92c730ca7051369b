"""Who gets which item, and what becomes of its slots."""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from heed.errors import AccessError, DataError, LeaseError
from heed.form_library import LIBRARY
from heed.records import Completion, Labeler, Prompt
from heed.store import Store, dialect
from heed.store.studio.asks import Ask
from heed.store.studio.campaigns import Campaigns, Totals
from heed.store.studio.claims import order_of, other_order
from heed.store.studio.queue import Queue
from heed.store.studio.settings import CampaignSettings

PLAIN = CampaignSettings(recheck_share=0, gold_share=0, anchor_share=0, overlap=0, lease_seconds=100)


class Clock:
    def __init__(self) -> None:
        self.at = datetime(2026, 1, 1)

    def __call__(self) -> datetime:
        return self.at

    def pass_(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(address: str, empty_database: Path, clock: Clock) -> Iterator[Store]:
    if "://" not in address:
        shutil.copy(empty_database, address)
    with Store.open(address, clock) as opened:
        opened.add_labelers(Labeler(id=one) for one in ("ann", "bea", "cyd"))
        opened.add_labelers([Labeler(id="hal", group="heldout")])
        yield opened


def ask(i: int, **fields: object) -> Ask:
    answers = tuple(Completion(text=f"{i} {k}") for k in range(3))
    return Ask(prompt=Prompt.from_text(f"say {i}"), candidates=answers, **fields)  # type: ignore[arg-type]


def fill(store: Store, *asks: Ask, settings: CampaignSettings = PLAIN) -> Queue:
    campaigns = Campaigns(store)
    campaigns.create("c", LIBRARY["rank"], settings=settings, state="active")
    campaigns.add_items("c", asks)
    return Queue(store, random.Random(0))


def submit(queue: Queue, labeler: str, token: str, key: str = "") -> int:
    payload = {"tiers": {"A": 0, "B": 1, "C": 1}}
    return queue.submit(labeler, token, key or f"key-{token}", payload, active_ms=1, idle_ms=0).response_id


def take(queue: Queue, labeler: str) -> str:
    """The text of the next prompt, or nothing; it is kept."""
    lease = queue.claim(labeler)
    return "" if lease is None else lease.prompt.text


def account(store: Store, labeler: str, status: str) -> None:
    statement = (
        "INSERT INTO account (id, labeler_id, name, name_key, role, status, settings, created_at) "
        "VALUES (:id, :id, :id, :id, 'labeler', :status, '{}', :at) ON CONFLICT (id) DO UPDATE SET status = :status"
    )
    with store.writer() as connection:
        connection.execute(text(statement), {"id": labeler, "status": status, "at": store.now()})


def test_the_lowest_number_comes_first_and_each_slot_once(store: Store) -> None:
    queue = fill(store, *(ask(i, priority=float(-i)) for i in range(3)))
    assert [take(queue, one) for one in ("ann", "bea", "ann", "bea")] == ["say 2", "say 1", "say 0", ""]
    assert Campaigns(store).totals("c") == Totals(open=0, live=3, done=0, total=3)


def test_the_shared_pool_is_answered_by_different_people(store: Store) -> None:
    queue = fill(store, ask(0, slots=2))
    assert [take(queue, one) for one in ("ann", "ann", "bea", "cyd")] == ["say 0", "", "say 0", ""]


def test_heldout_labelers_and_training_labelers_share_no_item(store: Store) -> None:
    queue = fill(store, ask(0, audience="heldout"), ask(1, audience="training"))
    assert [take(queue, one) for one in ("hal", "hal", "ann", "ann")] == ["say 0", "", "say 1", ""]


def test_gold_items_are_for_everyone_and_mixed_in(store: Store) -> None:
    settings = PLAIN.model_copy(update={"gold_share": 0.5})
    golden = [ask(100 + i, purpose="gold", gold={"tiers": [0, 1, 2]}) for i in range(5)]
    queue = fill(store, *(ask(i) for i in range(60)), *golden, settings=settings)
    got = [queue.claim("ann") for _ in range(30)]
    assert sum(one is not None and one.purpose == "gold" for one in got) == 5
    assert [queue.claim("hal") for _ in range(3)].count(None) < 3  # no item is for hal but the gold ones
    assert take(queue, "ann").startswith("say ")  # gold has run dry: ordinary ones remain


def test_a_campaign_with_nothing_but_gold_left_is_finished(store: Store) -> None:
    queue = fill(store, ask(0, purpose="gold"), settings=PLAIN.model_copy(update={"gold_share": 0.0}))
    assert queue.claim("ann") is None


def test_what_was_skipped_never_comes_back_and_what_was_returned_comes_last(store: Store) -> None:
    queue = fill(store, ask(0, priority=0.0), ask(1, priority=1.0), ask(2, priority=2.0))
    first, second = queue.claim("ann"), queue.claim("ann")
    assert first is not None and second is not None
    queue.skip("ann", first.token, "unclear", "what?")
    queue.save_draft("ann", second.token, 4, {"note": "half"})
    queue.give_back("ann", second.token)
    assert take(queue, "ann") == "say 2"
    again = queue.claim("ann")
    assert again is not None and again.prompt.text == "say 1"
    assert (again.order, again.draft, again.revision) == (second.order, {"note": "half"}, 4)
    assert queue.claim("ann") is None
    assert take(queue, "bea") == "say 0"


def test_time_that_runs_out_gives_the_slot_back_once(store: Store, clock: Clock) -> None:
    queue = fill(store, ask(0))
    lease = queue.claim("ann")
    assert lease is not None and lease.lease_until == clock.at + timedelta(seconds=100)
    clock.pass_(60)
    assert queue.beat("ann", lease.token) == clock.at + timedelta(seconds=100)
    clock.pass_(99)
    assert queue.claim("bea") is None and queue.expire() == 0
    clock.pass_(2)
    assert Campaigns(store).totals("c").live == 1  # nobody has noticed yet
    assert queue.expire() == 1 and queue.expire() == 0
    assert Campaigns(store).totals("c") == Totals(open=1, live=0, done=0, total=1)


def test_a_claim_notices_that_others_ran_out_of_time(store: Store, clock: Clock) -> None:
    queue = fill(store, ask(0))
    lost = queue.claim("ann")
    assert lost is not None
    clock.pass_(101)
    assert take(queue, "bea") == "say 0"
    for late in (lambda: submit(queue, "ann", lost.token), lambda: queue.beat("ann", lost.token)):
        with pytest.raises(LeaseError, match="ran out, and somebody else has it now"):
            late()
    queue.save_draft("ann", lost.token, 1, {"note": "mine"})  # nothing that was typed is thrown away


@pytest.mark.parametrize("how", ["unnoticed", "noticed", "returned"])
def test_a_late_answer_counts_while_its_slot_is_free(store: Store, clock: Clock, how: str) -> None:
    queue = fill(store, ask(0))
    lease = queue.claim("ann")
    assert lease is not None
    if how == "returned":
        queue.give_back("ann", lease.token)
    clock.pass_(1000)
    if how == "noticed":
        queue.expire()
    submit(queue, "ann", lease.token)
    assert Campaigns(store).totals("c") == Totals(open=0, live=0, done=1, total=1)
    assert queue.expire() == 0


def test_an_old_tab_cannot_answer_what_is_open_in_a_new_one(store: Store, clock: Clock) -> None:
    queue = fill(store, ask(0, slots=2))
    old = queue.claim("ann")
    clock.pass_(101)
    new = queue.claim("ann")
    assert old is not None and new is not None and old.token != new.token
    with pytest.raises(LeaseError, match="opened this task again"):
        submit(queue, "ann", old.token)
    submit(queue, "ann", new.token)


def test_a_foreign_token_and_none_are_the_same_thing(store: Store) -> None:
    queue = fill(store, ask(0), ask(1))
    lease = queue.claim("ann")
    assert lease is not None
    said = set()
    for token in (lease.token, "none"):
        for attempt in (
            lambda t=token: queue.lease("bea", t), lambda t=token: queue.beat("bea", t),
            lambda t=token: submit(queue, "bea", t),
            lambda t=token: queue.skip("bea", t, "other"), lambda t=token: queue.give_back("bea", t),
            lambda t=token: queue.save_draft("bea", t, 1, {}),
        ):  # fmt: skip
            with pytest.raises(LeaseError) as refusal:
                attempt()
            said.add(str(refusal.value))
    assert len(said) == 1
    assert queue.lease("ann", lease.token).token == lease.token and len(queue.live("ann")) == 1


def test_own_items_come_back_in_another_order_each_once(store: Store, clock: Clock) -> None:
    queue = fill(store, *(ask(i) for i in range(40)), settings=PLAIN.model_copy(update={"recheck_share": 0.0}))
    orders: dict[str, tuple[int, ...]] = {}
    for _ in range(40):
        lease = queue.claim("ann")
        assert lease is not None
        orders[lease.prompt.id] = lease.order
        submit(queue, "ann", lease.token)
    Campaigns(store).update_settings("c", PLAIN.model_copy(update={"recheck_share": 1.0}))
    seen = set()
    for round in range(20):
        lease = queue.claim("ann")
        assert lease is not None and lease.purpose == "recheck", round
        assert lease.order != orders[lease.prompt.id] and lease.prompt.id not in seen
        assert {c.id for c in lease.shown} == {f.id for f in ask(int(lease.prompt.text[4:])).candidates}
        seen.add(lease.prompt.id)
        submit(queue, "ann", lease.token)
    clock.pass_(3601)  # what was answered just before them is old enough now as well
    assert sum(queue.claim("ann") is not None for _ in range(30)) == 20
    assert queue.claim("bea") is None
    assert len(store.rankings()) == 40  # a second opinion of the same person is no datum


def test_nobody_writes_the_same_thing_twice(store: Store, clock: Clock) -> None:
    campaigns = Campaigns(store)
    settings = PLAIN.model_copy(update={"recheck_share": 1.0})
    campaigns.create("w", LIBRARY["write"], settings=settings, state="active")
    campaigns.add_items("w", [Ask(prompt=Prompt.from_text("hello"))])
    queue = Queue(store)
    lease = queue.claim("ann")
    assert lease is not None
    queue.submit("ann", lease.token, "key-12345", {"item": {"demonstration": "hi"}}, active_ms=0, idle_ms=0)
    clock.pass_(7200)
    assert queue.claim("ann") is None


@pytest.mark.parametrize("seed", range(20))
def test_another_order_is_another_order(seed: int) -> None:
    draw = random.Random(seed)
    for k in range(2, 10):
        assert order_of(other_order(draw, seed, k), k) != order_of(seed, k)
        assert sorted(order_of(seed, k)) == list(range(k))
    assert other_order(draw, seed, 1) != seed


@pytest.mark.parametrize("status", ["onboarding", "paused", "closed"])
def test_who_may_not_work_gets_nothing(store: Store, status: str) -> None:
    queue = fill(store, ask(0))
    account(store, "ann", status)
    with pytest.raises(AccessError):
        queue.claim("ann")
    account(store, "ann", "active")
    assert take(queue, "ann") == "say 0"


def test_strangers_and_withdrawn_labelers_get_nothing_and_give_nothing(store: Store) -> None:
    queue = fill(store, ask(0), ask(1))
    lease = queue.claim("ann")
    assert lease is not None
    store.withdraw_labeler("ann")
    for refused in (lambda: queue.claim("ann"), lambda: submit(queue, "ann", lease.token), lambda: queue.claim("zed")):
        with pytest.raises(AccessError):
            refused()


def test_screening_serves_screening_items_alone(store: Store) -> None:
    queue = fill(store, ask(0), ask(1, purpose="screening"), settings=PLAIN.model_copy(update={"gold_share": 1.0}))
    account(store, "ann", "screening")
    assert [take(queue, "ann"), take(queue, "ann"), take(queue, "bea"), take(queue, "bea")] == [
        "say 1",
        "",
        "say 0",
        "",
    ]


def test_campaigns_that_are_not_active_give_nothing_out(store: Store) -> None:
    queue = fill(store, ask(0), ask(1))
    lease = queue.claim("ann")
    assert lease is not None
    Campaigns(store).set_state("c", "paused")
    assert queue.claim("ann") is None and queue.claim("ann", campaign="c") is None
    submit(queue, "ann", lease.token)  # what is held may still be handed in
    with pytest.raises(DataError, match="no campaign 'd'"):
        queue.claim("ann", campaign="d")


def test_nobody_empties_the_queue_by_asking(store: Store) -> None:
    queue = fill(store, *(ask(i) for i in range(5)), settings=PLAIN.model_copy(update={"held_at_once": 2}))
    leases = [queue.claim("ann"), queue.claim("ann")]
    with pytest.raises(LeaseError, match="you hold 2 tasks"):
        queue.claim("ann")
    assert leases[0] is not None
    queue.give_back("ann", leases[0].token)
    assert queue.claim("ann") is not None


def test_a_certain_item_can_be_claimed_by_those_it_is_for(store: Store) -> None:
    queue = fill(store, ask(0), ask(1, audience="heldout"), ask(2))
    with store.writer() as connection:
        connection.execute(text("UPDATE item SET reserved_for = 'bea' WHERE id = 3"))
    assert (
        queue.claim_item("ann", 2) is None and queue.claim_item("ann", 3) is None and queue.claim_item("ann", 9) is None
    )
    turn = queue.claim_item("bea", 3)
    assert turn is not None and turn.prompt.text == "say 2" and queue.claim_item("bea", 3) is None
    queue.give_back("bea", turn.token)
    assert take(queue, "bea") == "say 2"  # what is kept for them comes first
    assert [take(queue, "ann"), take(queue, "ann")] == ["say 0", ""]


def test_a_long_way_through_the_pool_is_remembered_and_nothing_is_missed(store: Store, clock: Clock) -> None:
    queue = fill(store, *(ask(i, slots=2, priority=i / 1000) for i in range(200)))
    with store.writer() as connection:  # ann has answered all but the last, and number 50, in her own time
        connection.execute(
            text(
                "INSERT INTO assignment (item_id, labeler_id, attempt, state, served_at, submitted_at) "
                "SELECT id, 'ann', 1, 'submitted', created_at, created_at FROM item WHERE id NOT IN (50, 200)"
            )
        )
        connection.execute(text("UPDATE item SET slots_open = 1 WHERE id NOT IN (50, 200)"))
        connection.execute(text("UPDATE item SET slots_open = 0, slots_total = 1 WHERE id = 50"))
    assert take(queue, "ann") == "say 199"
    with store.reader() as connection:
        assert connection.execute(text("SELECT item_id FROM place")).scalars().all() == [199]
    with store.writer() as connection:  # a slot comes back behind her
        connection.execute(text("UPDATE item SET slots_open = 1 WHERE id = 50"))
    assert take(queue, "ann") == "say 49"  # nothing else was left
    assert take(queue, "ann") == ""
    Campaigns(store).add_items("c", [ask(500, priority=-1.0)])
    assert take(queue, "ann") == "say 500"


def test_two_workers_see_one_queue(store: Store, address: str, clock: Clock) -> None:
    fill(store, *(ask(i) for i in range(4)))
    with Store(dialect.connect(address), clock) as other:
        first, second = Queue(store), Queue(other)
        got = [take(first, "ann"), take(second, "ann"), take(first, "bea"), take(second, "cyd"), take(second, "ann")]
    assert sorted(got[:4]) == [f"say {i}" for i in range(4)] and got[4] == ""
