"""What labelers say in the studio is stored as they said it, and read back as records."""

from __future__ import annotations

import random
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from heed.errors import DataError, LeaseError
from heed.form_library import LIBRARY
from heed.forms import LETTERS, Form, Question, check_answers
from heed.records import Completion, Labeler, Prompt, Ranking
from heed.store import Store
from heed.store.studio.answers_in import canonical
from heed.store.studio.asks import Ask
from heed.store.studio.campaigns import Campaigns
from heed.store.studio.claims import order_of
from heed.store.studio.leases import Lease
from heed.store.studio.queue import Queue
from heed.store.studio.settings import CampaignSettings

PLAIN = CampaignSettings(recheck_share=0, gold_share=0, anchor_share=0, overlap=0)
PROMPT = Prompt.from_text("say hello")
ANSWERS = tuple(Completion(text=f"hello {k}", policy="sft", token_ids=(k, 2), logprobs=(-1.0, -0.5)) for k in range(4))


def serve(store: Store, task: str, *asks: Ask, **changed: object) -> tuple[Queue, Lease]:
    store.add_labelers([Labeler(id="ann"), Labeler(id="bea")])
    campaigns = Campaigns(store)
    form = LIBRARY[task]
    campaigns.create(task, form, settings=PLAIN.model_copy(update=changed), state="active")
    if not asks:
        least = {"write": 0, "prompt": 0, "topics": 0, "sensitive": 0, "edit": 1, "compare": 2, "chat": 2}.get(task, 4)
        asks = (Ask(prompt=PROMPT, candidates=ANSWERS[:least]),)
    campaigns.add_items(task, asks)
    queue = Queue(store, random.Random(1))
    lease = queue.claim("ann")
    assert lease is not None
    return queue, lease


def send(queue: Queue, lease: Lease, payload: Mapping[str, Any], key: str = "key-00001") -> int:
    return queue.submit("ann", lease.token, key, payload, active_ms=10, idle_ms=5).response_id


def by_letter(lease: Lease, values: Mapping[str, Any]) -> dict[str, Any]:
    """Values for candidates by text, as values by the letters under which they were shown."""
    return {LETTERS[i]: values[shown.text] for i, shown in enumerate(lease.shown)}


def grades(lease: Lease) -> dict[str, Any]:
    flags = {question.name: False for question in lease.form.of_scope("candidate") if question.kind == "flag"}
    given = {f"hello {k}": {**flags, "hallucination": None, "overall": k + 1, "violent": k == 2} for k in range(4)}
    tiers = {"hello 0": 5, "hello 1": 2, "hello 2": 2, "hello 3": 0}
    return {"candidates": by_letter(lease, given), "tiers": by_letter(lease, tiers), "item": {"sensitive": True}}


def test_grades_and_ranks_are_a_ranking_and_ratings(store: Store, tmp_path: Path) -> None:
    queue, lease = serve(store, "grade")
    response = send(queue, lease, grades(lease))
    assert store.rankings() == [Ranking(prompt=PROMPT, completions=ANSWERS, tiers=(2, 1, 1, 0), labeler="ann")]
    ratings = store.ratings()
    assert [(one.completion.id, one.overall) for one in ratings] == [(a.id, k + 1) for k, a in enumerate(ANSWERS)]
    assert [one.flags["violent"] for one in ratings] == [False, False, True, False]
    assert "hallucination" not in ratings[0].flags and "sensitive" not in ratings[0].flags
    assert (store.counts()["rankings"], store.counts()["ratings"]) == (1, 4)
    for kind, records in (("rankings", store.rankings()), ("ratings", ratings)):
        export = store.freeze_export(kind, tmp_path, records)  # type: ignore[arg-type]
        store.register_model(f"from {kind}", export_hash=export.hash)
        assert [(one.labeler, one.responses) for one in store.lineage(f"from {kind}").labelers] == [("ann", 1)]
    assert store.dependents("ann").models == ("from rankings", "from ratings")
    done = queue.done("ann", response)
    assert done.shown == lease.shown and done.payload["tiers"] == by_letter(
        lease, {"hello 0": 2, "hello 1": 1, "hello 2": 1, "hello 3": 0}
    )


def test_a_demonstration_keeps_its_answers_about_the_prompt(store: Store, engine: Any) -> None:
    queue, lease = serve(store, "write")
    send(queue, lease, {"item": {"demonstration": " Hello there. ", "ambiguous": True}, "note": "an easy one"})
    [one] = store.demonstrations()
    assert (one.prompt, one.completion, one.labeler) == (PROMPT, Completion(text="Hello there."), "ann")
    with engine.connect() as connection:
        rows = connection.execute(text("SELECT question, ordinal, value_number FROM answer ORDER BY question")).all()
        assert [tuple(row) for row in rows] == [("ambiguous", None, 1.0), ("demonstration", None, None)]
        assert connection.execute(text("SELECT text FROM note")).scalar() == "an easy one"


def test_a_better_answer_is_a_demonstration_that_wins(store: Store, tmp_path: Path) -> None:
    queue, lease = serve(store, "edit")
    send(queue, lease, {"item": {"edit": "hello, friend"}})
    better = Completion(text="hello, friend")
    assert store.rankings() == [Ranking(prompt=PROMPT, completions=(better, ANSWERS[0]), tiers=(0, 1), labeler="ann")]
    assert [one.completion for one in store.demonstrations()] == [better]
    assert (store.counts()["rankings"], store.counts()["demonstrations"]) == (1, 1)
    assert store.freeze_export("rankings", tmp_path, store.rankings()).rows == 1
    assert store.freeze_export("demonstrations", tmp_path, store.demonstrations()).rows == 1


def test_an_answer_that_needed_no_change_wins_over_nothing(store: Store) -> None:
    queue, lease = serve(store, "edit")
    send(queue, lease, {"item": {"edit": "hello 0"}})
    assert store.rankings() == [] and store.counts()["rankings"] == 0 and len(store.demonstrations()) == 1


@pytest.mark.parametrize(("strength", "better"), [(-3, 0), (-1, 0), (0, None), (2, 1)])
def test_a_strength_points_at_an_answer_whatever_the_order(
    store: Store, engine: Any, strength: int, better: int | None
) -> None:
    asks = [Ask(prompt=Prompt.from_text(f"say {i}"), candidates=ANSWERS[:2]) for i in range(8)]
    queue, lease = serve(store, "compare", *asks)
    orders = set()
    for number in range(8):
        shown = strength if lease.order == (0, 1) else -strength
        response = send(queue, lease, {"item": {"strength": shown}}, f"key-{number:05}")
        assert queue.done("ann", response).payload["item"] == {"strength": shown}
        orders.add(lease.order)
        lease = queue.claim("ann") or lease
    assert orders == {(0, 1), (1, 0)}
    tiers = {None: (0, 0), 0: (0, 1), 1: (1, 0)}[better]
    assert {one.tiers for one in store.rankings()} == {tiers}
    with engine.connect() as connection:
        assert connection.execute(text("SELECT DISTINCT value_number FROM answer")).scalars().all() == [strength]


def test_a_written_prompt_is_a_prompt_until_it_is_taken_back(store: Store, tmp_path: Path) -> None:
    brief = Prompt.from_text("Something about cooking", split="brief", category="cooking")
    queue, lease = serve(store, "prompt", Ask(prompt=brief))
    item = {"style": "few_shot", "prompt": "Name a soup.", "use_case": "a cook"}
    item["examples"] = [{"query": "Name a cake.", "response": "Sachertorte."}]  # type: ignore[assignment]
    response = send(queue, lease, {"item": item})
    [one] = store.prompts(split="train")
    assert one.text == "Query: Name a cake.\nResponse: Sachertorte.\n\nName a soup."
    assert (one.source, one.user, one.category) == ("labeler", "ann", "cooking")
    assert one.meta == {"style": "few_shot", "use_case": "a cook"}
    assert queue.done("ann", response).payload["item"] == item
    export = store.freeze_export("prompts", tmp_path, [one])
    store.register_model("m", export_hash=export.hash)
    assert [(c.labeler, c.responses) for c in store.lineage("m").labelers] == [("ann", 1)]
    assert store.lineage("m").num_prompts == 1
    queue.revise("ann", response, "key-00002", {"item": {"style": "plain", "prompt": "Name two soups."}})
    assert [prompt.text for prompt in store.prompts(split="train")] == ["Name two soups."]
    assert store.withdraw_labeler("ann").models == ("m",)
    assert store.prompts(split="train") == [] and len(store.prompts(split="brief")) == 1


def test_what_is_no_datum_about_answers_is_stored_and_not_read(store: Store) -> None:
    queue, lease = serve(store, "sensitive")
    response = send(queue, lease, {"item": {"sensitive": True}})
    assert queue.done("ann", response).payload["item"] == {"sensitive": True}
    survey, form = serve(store, "topics")
    assert form.form.task == "survey"
    response = send(survey, form, {"item": {"topics": ["law", "money"]}}, "key-00002")
    assert survey.done("ann", response).payload["item"] == {"topics": ["law", "money"]}
    assert store.rankings() == store.ratings() == store.demonstrations() == []


def test_test_items_are_not_training_data(store: Store) -> None:
    for purpose in ("gold", "anchor", "screening"):
        campaigns = Campaigns(store)
        campaigns.create(purpose, LIBRARY["grade"], settings=PLAIN, state="active")
        campaigns.add_items(purpose, [Ask(prompt=PROMPT, candidates=ANSWERS, purpose=purpose)])  # type: ignore[arg-type]
    store.add_labelers([Labeler(id="ann")])
    queue = Queue(store)
    with store.reader() as connection:
        items = connection.execute(text("SELECT id FROM item WHERE purpose <> 'screening' ORDER BY id")).scalars().all()
    for item in items:
        lease = queue.claim_item("ann", item)
        assert lease is not None
        send(queue, lease, grades(lease), f"key-{item:05}")
    assert store.rankings() == store.ratings() == [] and store.counts()["ratings"] == 0


def test_the_same_key_is_the_same_answer(store: Store) -> None:
    queue, lease = serve(
        store, "rank", *(Ask(prompt=Prompt.from_text(f"{i}"), candidates=ANSWERS[:2]) for i in range(3))
    )
    first = queue.submit("ann", lease.token, "key-00001", {"tiers": {"A": 0, "B": 1}}, active_ms=1, idle_ms=0)
    again = queue.submit("ann", lease.token, "key-00001", {"tiers": {"A": 1, "B": 0}}, active_ms=9, idle_ms=9)
    assert (again.response_id, first.replayed, again.replayed) == (first.response_id, False, True)
    with pytest.raises(LeaseError, match="answered already"):
        queue.submit("ann", lease.token, "key-00002", {"tiers": {"A": 0, "B": 1}}, active_ms=1, idle_ms=0)
    for labeler in ("ann", "bea"):
        other = queue.claim(labeler)
        assert other is not None
        with pytest.raises(LeaseError, match="key was used before"):
            queue.submit(labeler, other.token, "key-00001", {"tiers": {"A": 0, "B": 1}}, active_ms=1, idle_ms=0)
        assert queue.lease(labeler, other.token).token == other.token
    assert len(store.rankings()) == 1


def test_a_change_of_mind_supersedes_and_keeps_the_old_answer(store: Store) -> None:
    queue, lease = serve(store, "rank", Ask(prompt=PROMPT, candidates=ANSWERS[:2]), revise_hours=1)
    first = send(queue, lease, {"tiers": {"A": 0, "B": 1}})
    second = queue.revise("ann", first, "key-00002", {"tiers": {"A": 1, "B": 1}})
    assert queue.revise("ann", first, "key-00002", {"tiers": {"A": 1, "B": 1}}).replayed
    with pytest.raises(LeaseError, match="changed this answer already"):
        queue.revise("ann", first, "key-00003", {"tiers": {"A": 1, "B": 0}})
    for labeler, response in (("bea", second.response_id), ("ann", 999)):
        with pytest.raises(LeaseError, match="not yours, or there is no such answer"):
            queue.revise(labeler, response, "key-00004", {"tiers": {"A": 1, "B": 0}})
    assert [one.tiers for one in store.rankings()] == [(0, 0)]
    newest, oldest = queue.history("ann")
    assert (newest.superseded, newest.revisable, oldest.superseded, oldest.revisable) == (False, True, True, False)
    assert oldest.payload["tiers"] == {"A": 0, "B": 1}
    late = Queue(Store(store._engine, lambda: store.now() + timedelta(hours=2)))
    with pytest.raises(LeaseError, match="no longer be changed"):
        late.revise("ann", second.response_id, "key-00005", {"tiers": {"A": 1, "B": 0}})
    assert [one.revisable for one in late.history("ann")] == [False, False]


def test_history_comes_in_pages(store: Store) -> None:
    asks = [Ask(prompt=Prompt.from_text(f"{i}"), candidates=ANSWERS[:2], priority=float(i)) for i in range(5)]
    queue, lease = serve(store, "rank", *asks)
    for number in range(5):
        send(queue, lease, {"tiers": {"A": 0, "B": 1}}, f"key-{number:05}")
        lease = queue.claim("ann") or lease
    page = queue.history("ann", limit=2)
    assert [one.prompt.text for one in page] == ["4", "3"]
    assert [one.prompt.text for one in queue.history("ann", before=page[-1].response_id)] == ["2", "1", "0"]
    assert queue.history("bea") == [] and queue.history("bea", before=page[0].response_id) == []


def test_the_solution_is_shown_in_training_only_and_by_letters(store: Store) -> None:
    gold = {"tiers": [0, 1], "reason": "the first one greets", "candidates": [{"overall": 7}, {"overall": 1}]}
    ask = Ask(prompt=PROMPT, candidates=ANSWERS[:2], gold=gold)  # type: ignore[arg-type]
    queue, lease = serve(store, "rank", ask, feedback=True)
    receipt = queue.submit("ann", lease.token, "key-00001", {"tiers": {"A": 0, "B": 1}}, active_ms=0, idle_ms=0)
    assert receipt.gold is not None and receipt.gold["reason"] == "the first one greets"
    assert receipt.gold["tiers"] == by_letter(lease, {"hello 0": 0, "hello 1": 1})
    assert receipt.gold["candidates"] == by_letter(lease, {"hello 0": {"overall": 7}, "hello 1": {"overall": 1}})
    with pytest.raises(LeaseError, match="seen the solution"):
        queue.revise("ann", receipt.response_id, "key-00002", {"tiers": {"A": 1, "B": 0}})
    Campaigns(store).update_settings("rank", PLAIN)
    replay = queue.submit("ann", lease.token, "key-00001", {}, active_ms=0, idle_ms=0)
    assert replay.replayed and replay.gold is None


def test_an_answer_that_is_none_changes_nothing(store: Store) -> None:
    queue, lease = serve(store, "rank")
    queue.save_draft("ann", lease.token, 3, {"tiers": {"A": 0}})
    for payload in ({}, {"tiers": {"A": 0}}, {"tiers": dict.fromkeys("ABCDE", 0)}, {"other": 1}):
        with pytest.raises(DataError):
            send(queue, lease, payload)
    for key in ("", "short", "x" * 101, "bad\nkey-000"):
        with pytest.raises(DataError, match="key"):
            send(queue, lease, {"tiers": dict.fromkeys("ABCD", 0)}, key)
    with pytest.raises(DataError, match="active_ms is -1"):
        queue.submit("ann", lease.token, "key-00001", {"tiers": dict.fromkeys("ABCD", 0)}, active_ms=-1, idle_ms=0)
    assert store.rankings() == [] and queue.lease("ann", lease.token).draft == {"tiers": {"A": 0}}
    send(queue, lease, {"tiers": dict.fromkeys("ABCD", 0)})
    with pytest.raises(LeaseError, match="answered already"):
        queue.save_draft("ann", lease.token, 4, {})


def test_only_newer_drafts_replace(store: Store) -> None:
    queue, lease = serve(store, "rank")
    assert [queue.save_draft("ann", lease.token, n, {"note": str(n)}) for n in (2, 1, 2, 5, 3)] == [2, 2, 2, 5, 5]
    kept = queue.lease("ann", lease.token)
    assert (kept.draft, kept.revision) == ({"note": "5"}, 5)
    with pytest.raises(DataError, match="200,000 bytes"):
        queue.save_draft("ann", lease.token, 6, {"note": "é" * 100_001})
    for revision in (0, -1, True, 2**31):
        with pytest.raises(DataError, match="revision"):
            queue.save_draft("ann", lease.token, revision, {})


def test_time_is_never_counted_twice(store: Store, engine: Any) -> None:
    queue, lease = serve(store, "rank")
    queue.submit("ann", lease.token, "key-00001", {"tiers": dict.fromkeys("ABCD", 0)}, active_ms=10**12, idle_ms=10**12,
                 first_input_at=lease.served_at - timedelta(days=1))  # fmt: skip
    with engine.connect() as connection:
        row = connection.execute(text("SELECT * FROM assignment")).one()
    assert 0 <= row.active_ms < 60_000 and 0 <= row.idle_ms < 60_000
    assert str(row.first_input_at)[:19] == str(row.served_at)[:19]


def test_skip_reasons_are_from_the_list_and_kept(store: Store, engine: Any) -> None:
    queue, lease = serve(store, "rank")
    with pytest.raises(DataError, match="reason 'boring'"):
        queue.skip("ann", lease.token, "boring")  # type: ignore[arg-type]
    queue.skip("ann", lease.token, "upsetting", "no")
    with engine.connect() as connection:
        assert tuple(connection.execute(text("SELECT reason, note FROM skip")).one()) == ("upsetting", "no")


NUMBERS = Form(
    name="numbers",
    task="grade",
    title="t",
    questions=(
        Question(name="overall", kind="likert", label="o", scope="candidate", required=False),
        Question(name="clarity", kind="likert", label="c", scope="candidate", high=5),
        Question(name="rude", kind="flag", label="r", scope="candidate"),
        Question(name="tiers", kind="tiers", label="t"),
    ),
)


def test_other_scales_are_no_flags_and_what_is_not_graded_is_no_rating(store: Store, tmp_path: Path) -> None:
    store.add_labelers([Labeler(id="ann")])
    campaigns = Campaigns(store)
    campaigns.create("n", NUMBERS, settings=PLAIN, state="active")
    campaigns.add_items("n", [Ask(prompt=PROMPT, candidates=ANSWERS[:2])])
    queue = Queue(store)
    lease = queue.claim("ann")
    assert lease is not None
    given = by_letter(
        lease, {"hello 0": {"clarity": 5, "rude": True}, "hello 1": {"clarity": 2, "rude": False, "overall": 3}}
    )
    send(queue, lease, {"candidates": given, "tiers": {"A": 0, "B": 0}})
    [one] = store.ratings()
    assert (one.completion.id, one.overall, one.flags) == (ANSWERS[1].id, 3, {"rude": False})
    assert store.freeze_export("ratings", tmp_path, [one]).rows == 1


@settings(max_examples=100)
@given(st.data())
def test_canonical_order_undoes_the_shuffle(data: st.DataObject) -> None:
    k = data.draw(st.integers(2, 9))
    order = order_of(data.draw(st.integers(0, 2**31 - 1)), k)
    truth = data.draw(st.lists(st.integers(0, 8), min_size=k, max_size=k))
    payload = {"tiers": {LETTERS[i]: truth[ordinal] for i, ordinal in enumerate(order)}}
    answers = canonical(LIBRARY["rank"], check_answers(LIBRARY["rank"], payload, k), order)
    dense = sorted(set(truth))
    assert answers.tiers == tuple(dense.index(tier) for tier in truth)
