"""The lead's reads on small stores whose figures are known, and how long they take on a large one."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, insert, text

from heed.errors import DataError
from heed.records import Completion, Labeler, Prompt, Ranking, Rating
from heed.store import Store
from heed.store import schema as t
from heed.store.studio import tables as s
from heed.store.studio.items import ItemFilter
from heed.store.studio.review import Review
from heed.store.studio.sources import Draw

PEOPLE = [Labeler(id="a"), Labeler(id="b"), Labeler(id="h", group="heldout"), Labeler(id="ai", kind="model")]


def answers(*texts: str, policy: str = "sft") -> tuple[Completion, ...]:
    return tuple(Completion(text=one, policy=policy) for one in texts)


def ranking(who: str, tiers: tuple[int, ...], prompt: str = "p", category: str = "qa") -> Ranking:
    about = Prompt.from_text(prompt, category=category)
    return Ranking(prompt=about, completions=answers("x", "y", "z")[: len(tiers)], tiers=tiers, labeler=who)


@pytest.fixture
def review(store: Store) -> Review:
    store.add_labelers(PEOPLE)
    return Review(store)


def add_account(engine: Engine, labeler: str, role: str = "lead") -> None:
    with engine.begin() as connection:
        values = {"id": labeler, "labeler_id": labeler, "name": f"Name {labeler}", "name_key": labeler, "role": role}
        connection.execute(
            insert(s.account).values(**values, status="active", settings={}, created_at=datetime(2026, 1, 1))
        )


def test_the_same_answers_are_one_unit_wherever_they_were_shown(store: Store, review: Review) -> None:
    """People in one campaign, a model in another, which listed the answers the other way round."""
    store.add_rankings([ranking("a", (0, 1, 2)), ranking("b", (0, 1, 1))], campaign="people")
    about = Prompt.from_text("p", category="qa")
    turned = Ranking(prompt=about, completions=answers("z", "y", "x"), tiers=(2, 1, 0), labeler="ai")
    store.add_rankings([turned, ranking("ai", (0, 1, 2), "alone")], campaign="machine")
    found = review.judgements()
    assert [(one.labeler, one.kind, one.tiers) for one in found.judged[:3]] == [
        ("a", "human", (0, 1, 2)), ("b", "human", (0, 1, 1)), ("ai", "model", (0, 1, 2)),
    ]  # fmt: skip
    assert len({one.unit for one in found.judged[:3]}) == 1 and found.judged[0].category == "qa"
    assert len(found.answers[found.judged[0].unit]) == 3
    assert len(review.judgements(shared_only=True).judged) == 3
    assert [one.labeler for one in review.judgements("machine").judged] == ["ai", "ai"]
    assert review.judgements("machine", shared_only=True).judged == ()
    assert review.judgements(group="heldout").judged == ()


def test_what_was_kept_is_read_anew_when_something_was_said(store: Store, review: Review) -> None:
    store.add_rankings([ranking("a", (0, 1))])
    first = review.judgements()
    assert review.judgements() is first
    store.add_rankings([ranking("b", (1, 0))])
    assert len(review.judgements().judged) == 2
    store.withdraw_labeler("b")
    assert [one.labeler for one in review.judgements().judged] == ["a"]


def test_grades_of_several_labelers(store: Store, review: Review) -> None:
    about, one = Prompt.from_text("p"), answers("x")[0]
    store.add_ratings(
        [
            Rating(prompt=about, completion=one, overall=7, flags={"sexual": False}, labeler="a"),
            Rating(prompt=about, completion=one, overall=5, flags={"sexual": False}, labeler="b"),
            Rating(prompt=Prompt.from_text("q"), completion=one, overall=5, labeler="b"),
        ]
    )
    graded = review.graded()
    assert [g.counts for g in graded["overall"]] == [((5.0, 1), (7.0, 1))]
    assert [g.counts for g in graded["sexual"]] == [((0.0, 2),)]
    assert review.graded(group="heldout") == {}


def test_a_leads_decision_is_no_second_opinion(store: Store, review: Review, engine: Engine) -> None:
    add_account(engine, "b")
    about, one = Prompt.from_text("p"), answers("x")[0]
    store.add_ratings([Rating(prompt=about, completion=one, overall=n, labeler=who) for who, n in (("a", 7), ("b", 5))])
    assert len(review.graded()["overall"]) == 1
    with store.reader() as connection:
        item, response = connection.execute(text("SELECT item_id, max(id) FROM response GROUP BY item_id")).one()
    review.decide(item, "b", "other", "", response)
    assert review.graded()["overall"] == []


def test_an_item_with_what_everyone_said(store: Store, review: Review, engine: Engine) -> None:
    add_account(engine, "a")
    store.add_rankings([ranking("a", (0, 1)), ranking("h", (0, 0))], campaign="c")
    [row] = review.items(ItemFilter(campaign="c")).rows
    assert (row.answered, row.candidates, row.text, row.category) == (2, 2, "p", "qa")
    view = review.item(row.id)
    assert view is not None and view.form is None
    assert [(v.name, v.tiers, v.group) for v in view.voices] == [
        ("Name a", (0, 1), "training"), ("h", (0, 0), "heldout"),
    ]  # fmt: skip
    assert [c.completion.text for c in view.candidates] == ["x", "y"]
    assert review.item(10**6) is None
    number = review.decide(row.id, "a", "equal", "no difference", view.voices[0].response_id)
    [decision] = review.item(row.id).decisions  # type: ignore[union-attr]
    assert (decision.id, decision.name, decision.cause) == (number, "Name a", "equal")
    assert [one.decides for one in review.judgements("c").judged] == [True, False]
    assert [r.id for r in review.items(ItemFilter(cause="equal")).rows] == [row.id]
    assert review.items(ItemFilter(cause="model_error")).rows == ()
    assert review.people()["a"].name == "Name a"
    assert review.answered_by_leads("c") == [(row.id, view.voices[0].response_id, "a")]
    assert review.answered_by_leads("other") == []


def test_a_decision_says_what_is_wrong(store: Store, review: Review, engine: Engine) -> None:
    add_account(engine, "a")
    store.add_rankings([ranking("a", (0, 1)), ranking("a", (0, 1), "other")])
    first, second = review.judgements().judged
    with pytest.raises(DataError, match="cause is 'mood'"):
        review.decide(first.item_id, "a", "mood", "")
    with pytest.raises(DataError, match="item 999 is not there"):
        review.decide(999, "a", "other", "")
    with pytest.raises(DataError, match="is not about item"):
        review.decide(first.item_id, "a", "other", "", second.response_id)


def test_a_lead_gets_a_place_of_their_own(store: Store, review: Review, engine: Engine, rows: Connection) -> None:
    add_account(engine, "b")
    store.add_rankings([ranking("a", (0, 1))])
    item = review.judgements().judged[0].item_id
    long_ago = store.now() - timedelta(days=9)
    review.open_place(item, "b", "token", long_ago)
    with pytest.raises(DataError, match="already yours"):
        review.open_place(item, "b", "other", long_ago)
    with pytest.raises(DataError, match="not there"):
        review.open_place(999, "b", "more", long_ago)
    held = rows.execute(text("SELECT slots_total, slots_open FROM item")).one()
    assert tuple(held) == (2, 0)
    [one] = review.progress()
    assert (one.open, one.live, one.done, one.total, one.labelers) == (0, 1, 1, 2, 1)


def test_items_are_paged_by_key_and_filters_are_checked(store: Store, review: Review) -> None:
    store.add_rankings([ranking("a", (0, 1), f"p{n}", "qa" if n % 2 else "chat") for n in range(7)])
    seen: list[int] = []
    after: int | None = None
    while True:
        page = review.items(ItemFilter(), after, limit=3)
        seen += [row.id for row in page.rows]
        after = page.after
        if after is None:
            break
    assert seen == sorted(seen, reverse=True) and len(seen) == 7
    assert [r.id for r in review.items(ItemFilter(order="oldest"), limit=9).rows] == sorted(seen)
    assert len(review.items(ItemFilter(category="qa", state="full")).rows) == 3
    assert review.items(ItemFilter(state="open")).rows == ()
    with pytest.raises(DataError, match=r"order is 'newst'.*Did you mean 'newest'"):
        ItemFilter(order="newst")
    with pytest.raises(DataError, match="purpose is"):
        ItemFilter(purpose="1 OR 1=1")


def test_days_and_hours(store: Store, engine: Engine) -> None:
    clock = [datetime(2026, 5, 1, 22, 30)]
    timed = Store(engine, lambda: clock[0])
    timed.add_labelers(PEOPLE)
    review = Review(timed)
    timed.add_rankings([ranking("a", (0, 1)), ranking("b", (0, 1))], campaign="c")
    clock[0] = datetime(2026, 5, 2, 9, 0)
    timed.add_rankings([ranking("h", (0, 1))], campaign="c")
    for _ in range(2):  # the second time, what is over comes from memory
        [one] = review.progress()
        assert one.days[-2:] == ((datetime(2026, 5, 1).date(), 2), (datetime(2026, 5, 2).date(), 1))
        assert one.today == 1 and one.hours[-1] == 1 and one.hours[-12] == 2 and sum(one.hours) == 3
    clock[0] += timedelta(days=1)
    [one] = review.progress()
    assert [n for _, n in one.days[-3:]] == [2, 1, 0] and sum(one.hours) == 0


def test_drawing_items(store: Store, review: Review) -> None:
    prompts = [Prompt.from_text(f"p{n}", source="s", category="qa" if n < 5 else "chat") for n in range(10)]
    store.add_generations(prompts, [answers("x", "y", policy="sft") for _ in prompts])
    store.add_generations(prompts[:6], [answers("y", "z", policy="ppo") for _ in range(6)])
    store.add_prompts([Prompt.from_text("brief", split="brief")])
    assert [(c.category, c.prompts) for c in review.prompt_counts()][:2] == [("chat", 5), ("qa", 5)]
    assert [(c.policy, c.answers, c.prompts) for c in review.policy_counts()] == [("ppo", 12, 6), ("sft", 20, 10)]
    draw = Draw(policies=("sft", "ppo"), answers=3, count=20, seed=1)
    drawn = review.draw(draw)
    assert len(drawn) == 6 and drawn == review.draw(draw)
    for one in drawn:
        assert len({c.text for c in one.candidates}) == 3 and {c.policy for c in one.candidates} == {"sft", "ppo"}
    assert {d.prompt.category for d in review.draw(Draw(category="chat"))} == {"chat"}
    assert all(d.candidates == () and d.prompt.text != "brief" for d in review.draw(Draw(count=100)))
    assert len(review.draw(Draw(count=4))) == 4
    store.add_rankings([ranking("a", (0, 1), "p0")], campaign="c")
    assert len(review.draw(Draw(count=100, not_in="c"))) == 9
    with pytest.raises(DataError, match="no policy"):
        Draw(answers=2)
    with pytest.raises(DataError, match="answers is 10"):
        Draw(answers=10, policies=("sft",))


def test_items_can_be_asked_again(store: Store, review: Review) -> None:
    one = ranking("a", (0, 1, 2))
    store.add_rankings([one])
    item = review.judgements().judged[0].item_id
    again = review.contents([item])[item]
    assert again.prompt == one.prompt and again.candidates == one.completions


def test_use_of_guidelines(store: Store, review: Review) -> None:
    store.add_guideline("first")
    store.add_rankings([ranking("a", (0, 1)), ranking("b", (0, 1))])
    store.add_guideline("second")
    assert [(u.version, u.items, u.answered) for u in review.guideline_use()] == [(1, 1, 2), (2, 0, 0)]
    assert review.judgements().judged[0].guideline == 1


def _fill(engine: Engine, items: int) -> None:
    """Many items, one in seven with three labels of four answers, in bulk."""
    now = datetime(2026, 5, 1, 12)
    plain: dict[str, Any] = {"created_at": now}
    with engine.begin() as c:
        form = {"id": 99, "name": "ranking", "version": 1, "definition": {"questions": []}}
        c.execute(insert(t.form), [{**form, **plain}])
        c.execute(
            insert(t.labeler),
            [{"id": f"l{n}", "kind": "human", "labeler_group": "training", **plain} for n in range(30)],
        )
        c.execute(
            insert(t.prompt),
            [
                {"id": n, "record_id": f"r{n}", "messages": [["user", f"prompt {n}"]], "source": "s", "author": "",
                 "category": f"c{n % 9}", "split": "train", "meta": {}, **plain}
                for n in range(1, items + 1)
            ],
        )  # fmt: skip
        generation = {"token_ids": (), "logprobs": (), "stop": "eos", "meta": {}, **plain}
        c.execute(
            insert(t.generation),
            [
                {"id": 4 * n + k, "prompt_id": n, "record_id": f"g{k}", "text": f"{k}", "policy": f"m{k}", **generation}
                for n in range(1, items + 1)
                for k in range(4)
            ],
        )
        pool = [n for n in range(1, items + 1) if n % 7 == 0]
        c.execute(
            insert(t.item),
            [
                {"id": n, "campaign": "big", "round": 0, "prompt_id": n, "form_id": 99, "slots_open": 0,
                 "slots_total": 3 if n % 7 == 0 else 1, "purpose": "ordinary", **plain}
                for n in range(1, items + 1)
            ],
        )  # fmt: skip
        c.execute(
            insert(t.item_candidate),
            [{"item_id": n, "ordinal": k, "generation_id": 4 * n + k} for n in range(1, items + 1) for k in range(4)],
        )
        said = [(n, w) for n in range(1, items + 1) for w in range(1)] + [(n, w) for n in pool for w in (1, 2)]
        c.execute(
            insert(t.assignment),
            [
                {"id": i, "item_id": n, "labeler_id": f"l{(n + w) % 30}", "attempt": 1, "state": "submitted",
                 "served_at": now, "submitted_at": now, "active_ms": 1000 * w + n % 900}
                for i, (n, w) in enumerate(said, 1)
            ],
        )  # fmt: skip
        c.execute(
            insert(t.response),
            [
                {"id": i, "assignment_id": i, "item_id": n, "idempotency_key": f"k{i}", "said_key": f"s{i}", **plain}
                for i, (n, _) in enumerate(said, 1)
            ],
        )
        c.execute(
            insert(t.rank_tier),
            [
                {"response_id": i, "item_id": n, "ordinal": (k + w) % 4, "tier": k}
                for i, (n, w) in enumerate(said, 1)
                for k in range(4)
            ],
        )


def test_a_hundred_thousand_items(store: Store, engine: Engine) -> None:
    """Limits are several times what an idle machine takes; a query for each row would take minutes."""
    if engine.dialect.name != "sqlite":
        pytest.skip("measured on SQLite")
    items = 20_000
    _fill(engine, items)
    clocked = Store(engine, lambda: datetime(2026, 5, 1, 12, 30))
    review = Review(clocked)

    def seconds(work: Callable[[], object]) -> float:
        started = time.perf_counter()
        work()
        return time.perf_counter() - started

    took = {
        "progress": seconds(review.progress),
        "progress again": seconds(review.progress),
        "items": seconds(lambda: review.items(ItemFilter(category="c3"), items // 2)),
        "shared": seconds(lambda: review.judgements("big", shared_only=True)),
        "shared again": seconds(lambda: review.judgements("big", shared_only=True)),
        "all": seconds(lambda: review.judgements("big")),
        "draw": seconds(lambda: review.draw(Draw(policies=("m0", "m1", "m2", "m3"), answers=4, count=1000))),
    }
    [one] = review.progress()
    assert one.total == one.done == items + 2 * (items // 7) and one.pool == one.pool_full == items // 7
    slow = {name: round(value, 2) for name, value in took.items() if value > 3.0}
    assert not slow, took
    assert took["shared again"] < 0.2 and took["items"] < 0.5, took


def test_a_decision_is_final_until_its_lead_withdraws(store: Store, review: Review, engine: Engine) -> None:
    add_account(engine, "b")
    store.add_rankings([ranking("a", (0, 1)), ranking("b", (1, 0)), ranking("a", (0, 1), "other")])
    by_b = next(one for one in review.judgements().judged if one.labeler == "b")
    assert len(store.rankings(final=True)) == 3
    review.decide(by_b.item_id, "b", "other", "mine", by_b.response_id)
    assert [(one.labeler, one.prompt.text) for one in store.rankings(final=True)] == [("b", "p"), ("a", "other")]
    assert len(store.rankings()) == 3
    store.withdraw_labeler("b")
    assert [one.labeler for one in store.rankings(final=True)] == ["a", "a"]
