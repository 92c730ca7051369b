"""What people said is read with how it came about; feedback, appeals, screening and leaving, on real queues."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from heed.errors import DataError
from heed.feedback.quality import quality_table
from heed.feedback.screening import screen
from heed.feedback.starter import starter
from heed.form_library import LIBRARY
from heed.forms import LETTERS
from heed.records import Completion, Prompt, Ranking
from heed.store import Store
from heed.store.studio.asks import Ask
from heed.store.studio.audit import Audit
from heed.store.studio.campaigns import Campaigns, CampaignSettings
from heed.store.studio.people import Account, People
from heed.store.studio.queue import Lease, Queue
from heed.store.studio.said import Gold
from heed.store.studio.screening import Screening, part_of
from heed.store.studio.standing import Standing
from heed.store.studio.works import Which

Answer = Callable[[Lease], dict[str, Any]]


def join(store: Store, name: str, role: str = "labeler", status: str = "active", group: str = "training") -> Account:
    people = People(store)
    account = people.join(people.invite(role, group, "", None), name, None)  # type: ignore[arg-type]
    if role == "labeler":
        people.set_status(account.id, status, "system")  # type: ignore[arg-type]
    return people.by_name(name)  # type: ignore[return-value]


def answers(prompt: str, *texts: str) -> tuple[Prompt, tuple[Completion, ...]]:
    return Prompt.from_text(prompt), tuple(Completion(text=text, stop="eos", policy="m") for text in texts)


def ranking(*canonical: int) -> Answer:
    """A payload that gives these tiers, in whichever order the answers are shown."""
    return lambda lease: {"tiers": {LETTERS[i]: canonical[ordinal] for i, ordinal in enumerate(lease.order)}}


def work(queue: Queue, who: Account, answer: Answer, campaign: str | None = None, times: int = 1) -> list[int]:
    done = []
    for _ in range(times):
        lease = queue.claim(who.id, campaign=campaign)
        assert lease is not None
        key = f"key-{lease.token[:30]}"
        done.append(queue.submit(who.id, lease.token, key, answer(lease), active_ms=5000, idle_ms=0).response_id)
    return done


@pytest.fixture
def queue(store: Store) -> Queue:
    return Queue(store, random.Random(0))


def ranked_campaign(store: Store, asks: list[Ask], name: str = "c", **settings: Any) -> None:
    plain = {"recheck_share": 0, "gold_share": 0, "anchor_share": 0, "overlap": 0, **settings}
    Campaigns(store).create(name, LIBRARY["rank"], settings=CampaignSettings(**plain), state="active")
    Campaigns(store).add_items(name, asks)


def gold_campaign(store: Store) -> None:
    prompt, candidates = answers("q", "good", "bad")
    gold = {"tiers": [0, 1], "reason": "good is better"}
    ranked_campaign(store, [Ask(prompt=prompt, candidates=candidates, purpose="gold", gold=gold)], gold_share=1)


def test_what_was_said_comes_with_its_order_and_time(store: Store, queue: Queue) -> None:
    ann, bob = join(store, "Ann"), join(store, "Bob", group="training")
    prompt, candidates = answers("q", "x", "y", "z")
    ranked_campaign(store, [Ask(prompt=prompt, candidates=candidates, slots=2)])
    for who, tiers in ((ann, (2, 0, 1)), (bob, (0, 1, 1))):
        work(queue, who, ranking(*tiers))
    said = Standing(store).said()
    assert [(one.labeler, one.tiers) for one in said] == [(ann.id, (2, 0, 1)), (bob.id, (0, 1, 1))]
    assert said[0].unit == said[1].unit and said[0].active_ms is not None and said[0].task == "rank"
    shown = queue.history(ann.id)[0].shown
    assert [candidates[ordinal].id for ordinal in said[0].order] == [one.id for one in shown]
    assert [one.said.labeler for one in Standing(store).looked(said[:1])] == [ann.id]
    assert [one.text for one in Standing(store).looked(said[:1])[0].shown] == [one.text for one in shown]
    assert Standing(store).said(Which(labeler=bob.id))[0].labeler == bob.id
    assert len(Standing(store).said(Which(newest=1))) == 1


def test_imported_rankings_have_no_order(store: Store) -> None:
    prompt, candidates = answers("q", "x", "y")
    store.add_rankings([Ranking(prompt=prompt, completions=candidates, tiers=(0, 1))])
    [said] = Standing(store).said()
    assert said.order == () and said.tiers == (0, 1) and said.shown_tiers == ()
    assert quality_table([said])[""].position.estimate is None


def test_a_gold_miss_an_appeal_and_the_corrected_gold(store: Store, queue: Queue) -> None:
    ann, lead = join(store, "Ann"), join(store, "Lea", role="lead")
    gold_campaign(store)
    [response] = work(queue, ann, ranking(1, 0))
    standing = Standing(store)
    row = quality_table(standing.said(Which(labeler=ann.id)))[ann.id]
    assert row.gold.estimate is not None and row.gold.estimate.value == 0
    assert [miss.response_id for miss in row.misses] == [response]

    number = standing.appeal(ann.id, response, "bad is better, see the rule on length")
    [appeal] = standing.appeals(state="open")
    assert (appeal.id, appeal.name, appeal.labeler) == (number, "Ann", ann.id)
    with pytest.raises(DataError, match="already"):
        standing.appeal(ann.id, response, "again")
    right = Gold(tiers=(1, 0), reason="the rule says so")
    decided = standing.decide_appeal(number, accept=True, answer="you are right", by=lead.id, gold=right)
    assert decided.state == "accepted" and decided.decided_by == "Lea"
    [said] = standing.said(Which(labeler=ann.id))
    assert said.gold == right
    event = Audit(store).events()[0]
    assert (event.verb, event.actor) == ("appeal.accepted", lead.id)
    assert event.detail["gold_before"]["tiers"] == [0, 1] and event.detail["gold_after"]["tiers"] == [1, 0]
    assert Audit(store).verify() is None
    with pytest.raises(DataError, match="not open"):
        standing.decide_appeal(number, accept=False, answer="no", by=lead.id)


def test_appeals_are_one_s_own_and_about_something_known(store: Store, queue: Queue) -> None:
    ann, bob, lead = join(store, "Ann"), join(store, "Bob"), join(store, "Lea", role="lead")
    gold_campaign(store)
    [response] = work(queue, ann, ranking(1, 0))
    standing = Standing(store)
    with pytest.raises(DataError, match="no answer of yours"):
        standing.appeal(bob.id, response, "mine?")
    with pytest.raises(DataError, match="is empty"):
        standing.appeal(ann.id, response, "   ")
    number = standing.appeal(ann.id, response, "no")
    with pytest.raises(DataError, match="3 places"):
        standing.decide_appeal(number, accept=True, answer="yes", by=lead.id, gold=Gold(tiers=(0, 1, 2)))
    standing.decide_appeal(number, accept=False, answer="the rule is clear", by=lead.id)
    assert standing.gold(standing.appeals()[0].item_id) == Gold(tiers=(0, 1), reason="good is better")


def test_feedback_is_read_once(store: Store, queue: Queue) -> None:
    ann, lead = join(store, "Ann"), join(store, "Lea", role="lead")
    standing = Standing(store)
    standing.tell(ann.id, "Well done", lead.id)
    assert [(one.by, one.text, one.read_at) for one in standing.feedback(ann.id)] == [("Lea", "Well done", None)]
    assert (standing.mark_read(ann.id), standing.mark_read(ann.id)) == (1, 0)
    with pytest.raises(DataError, match="not this labeler's"):
        standing.tell(ann.id, "about what?", lead.id, response_id=99)


def test_days_and_counts(store: Store, queue: Queue) -> None:
    ann = join(store, "Ann")
    asks = [Ask(prompt=answers(f"q{n}", "x", "y")[0], candidates=answers("q", "x", "y")[1]) for n in range(3)]
    ranked_campaign(store, asks)
    work(queue, ann, ranking(0, 1), times=2)
    lease = queue.claim(ann.id)
    assert lease is not None
    queue.skip(ann.id, lease.token, "unclear", "")
    standing = Standing(store)
    counts = standing.counts()[ann.id]
    assert (counts.responses, counts.skips, counts.group) == (2, 1, "training") and counts.last_at is not None
    days = standing.days(ann.id, 3)
    assert [day.responses for day in days] == [0, 0, 2] and days[-1].active_ms == counts.active_ms


def test_what_is_kept_is_made_anew_when_something_was_said(store: Store, queue: Queue) -> None:
    ann = join(store, "Ann")
    standing = Standing(store)
    assert standing.keep("n", lambda: len(standing.said())) == 0
    gold_campaign(store)
    assert standing.keep("n", lambda: 99) == 0
    work(queue, ann, ranking(0, 1))
    later = store.now() + timedelta(seconds=20)
    store._clock = lambda: later
    assert standing.keep("n", lambda: len(standing.said())) == 1
    assert standing.keep("slow", lambda: time.sleep(0.05) or "old") == "old"
    store.add_rankings([Ranking(prompt=Prompt.from_text("x"), completions=answers("x", "a", "b")[1], tiers=(0, 1))])
    assert standing.keep("slow", lambda: "new") == "old"  # for a second, however much is said
    store.withdraw_labeler(ann.id)
    assert standing.keep("slow", lambda: "new") == "new"


def test_who_leaves_is_left_out_and_named_in_the_log(store: Store, queue: Queue) -> None:
    ann, lead = join(store, "Ann"), join(store, "Lea", role="lead")
    gold_campaign(store)
    work(queue, ann, ranking(0, 1))
    session = People(store).open_session(ann.id)
    standing = Standing(store)
    dependents = standing.withdraw(ann.id, lead.id, "asked to")
    assert dependents.exports == () and standing.said() == [] and len(standing.said(Which(labeler=ann.id))) == 1
    account = People(store).account(ann.id)
    assert account is not None and account.status == "closed" and People(store).session(session.token) is None
    assert Audit(store).events()[0].verb == "labeler.withdraw"


def test_the_starter_set_screens_from_the_first_day(store: Store, queue: Queue) -> None:
    ann, lead = join(store, "Ann", status="screening"), join(store, "Lea", role="lead")
    campaigns, screening = Campaigns(store), Screening(store)
    assert [part.total for part in screening.parts(ann.id)] == [0, 0, 0, 0]
    for one in starter():
        campaigns.create(one.name, one.form, settings=CampaignSettings(note=False), state="active")
        campaigns.add_items(one.name, one.asks)
    assert {part.part: part.total for part in screening.parts(ann.id)} == {
        "training": 6, "sensitive": 8, "ranking": 6, "demonstration": 4,
    }  # fmt: skip

    def by_the_book(lease: Lease) -> dict[str, Any]:
        if lease.form.task == "demonstration":
            return {"item": {"demonstration": "I would stay with her and call for help."}}
        assert lease.gold is not None
        if lease.form.task == "sensitive":
            return {"item": {"sensitive": bool(lease.gold["item"]["sensitive"])}}
        return ranking(*lease.gold["tiers"])(lease)

    first = queue.claim(ann.id)
    assert first is not None and first.gold is not None and first.gold["part"] == "training"
    receipt = queue.submit(ann.id, first.token, "key-first-00000000", by_the_book(first), active_ms=1, idle_ms=0)
    assert receipt.gold is not None and "worse for it" in str(receipt.gold["reason"])
    responses = work(queue, ann, by_the_book, times=23)
    assert queue.claim(ann.id) is None
    assert all(part.done == part.total for part in screening.parts(ann.id))

    written = screening.written(ann.id)
    assert [one.looked.said.response_id for one in written] == responses[-4:] and written[0].looked.written
    for one in written:
        screening.rate(ann.id, one.looked.said.response_id, 4, lead.id)
        screening.rate(ann.id, one.looked.said.response_id, 6, lead.id)
    with pytest.raises(DataError, match="from 1 to 7"):
        screening.rate(ann.id, responses[-1], 8, lead.id)
    screening.declare(ann.id, ["law", "law", " age "])
    assert screening.topics() == {ann.id: ("law", "age")}

    ratings = {one.looked.said.response_id: [score for _, score in one.ratings] for one in screening.written(ann.id)}
    found = screen(screening.said(ann.id), ratings, screening.topics()[ann.id])
    assert found.advice == "accept" and [part.figure.num_units for part in found.parts] == [8, 6, 4]
    [candidate] = screening.candidates()
    assert (candidate.name, candidate.answered, candidate.decided) == ("Ann", 24, False)
    screening.decide(ann.id, accept=True, note="fine", by=lead.id, figures={"advice": found.advice})
    [decision] = screening.decisions(ann.id)
    assert decision.accepted and decision.by == "Lea" and decision.figures == {"advice": "accept"}
    account = People(store).account(ann.id)
    assert account is not None and account.status == "active"
    assert store.demonstrations() == [] and store.rankings() == []  # nothing of it is ever trained on


def test_leads_answers_become_known_ones(store: Store, queue: Queue) -> None:
    lea, lou, ann = join(store, "Lea", "lead"), join(store, "Lou", "lead"), join(store, "Ann")
    asks = [Ask(prompt=Prompt.from_text(f"q{n}"), candidates=answers("q", "x", "y")[1], slots=3) for n in range(2)]
    ranked_campaign(store, asks)
    for who, both in ((lea, ((0, 1), (1, 0))), (lou, ((0, 1), (0, 1))), (ann, ((1, 0), (1, 0)))):
        for tiers in both:
            work(queue, who, ranking(*tiers))
    [known] = Screening(store).asks_from_leads("c", "gold")
    assert known.purpose == "gold" and known.gold is not None and known.gold["tiers"] == [0, 1]
    Campaigns(store).add_items("c", [known])
    assert Screening(store).asks_from_leads("c", "gold") == [known]


def test_parts_follow_from_tasks() -> None:
    assert part_of("sensitive", None) == "sensitive" and part_of("grade", {}) == "ranking"
    assert part_of("rank", {"part": "training"}) == "training" and part_of("survey", None) is None
