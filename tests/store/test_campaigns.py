"""Campaigns, their forms and guidelines, and what is put into their queues."""

from __future__ import annotations

import time
from typing import Any

import pytest
from sqlalchemy import event, text

from heed.errors import DataError
from heed.form_library import LIBRARY
from heed.forms import Form
from heed.records import Completion, Labeler, Prompt
from heed.store import Store
from heed.store.studio.asks import Ask
from heed.store.studio.campaigns import Campaigns, Totals
from heed.store.studio.queue import Queue
from heed.store.studio.settings import CampaignSettings, parse_settings


def asks(n: int, **fields: Any) -> list[Ask]:
    answers = tuple(Completion(text=f"hello {k}") for k in range(3))
    return [Ask(prompt=Prompt.from_text(f"say {i}"), candidates=answers, **fields) for i in range(n)]


def rows(store: Store, statement: str) -> list[Any]:
    with store.reader() as connection:
        return list(connection.execute(text(statement)).all())


def test_a_campaign_comes_back_as_it_was_made(store: Store) -> None:
    campaigns = Campaigns(store)
    version = store.add_guideline("be kind")
    settings = CampaignSettings(overlap=0.2, feedback=True)
    made = campaigns.create("Küche 1", LIBRARY["grade"], guideline=version, settings=settings)
    assert (made.form, made.form_version, made.guideline_version, made.state) == (LIBRARY["grade"], 1, 1, "draft")
    assert campaigns.get("Küche 1") == made and campaigns.list() == [made] and made.settings == settings
    campaigns.set_state("Küche 1", "active")
    campaigns.update_settings("Küche 1", CampaignSettings())
    campaigns.set_guideline("Küche 1", store.add_guideline("be brief"))
    assert campaigns.set_form("Küche 1", LIBRARY["rank"]) == 1
    changed = campaigns.get("Küche 1")
    assert (changed.state, changed.settings, changed.guideline_version) == ("active", CampaignSettings(), 2)
    assert changed.form == LIBRARY["rank"]
    assert [(one.version, one.markdown) for one in campaigns.guidelines()] == [(2, "be brief"), (1, "be kind")]


@pytest.mark.parametrize("name", ["", " x", "x ", "a/b", "<b>", "a\n", "../up", "-x", "x" * 61, "."])
def test_names_that_cannot_be_shown_are_refused(store: Store, name: str) -> None:
    with pytest.raises(DataError, match="campaign"):
        Campaigns(store).create(name, LIBRARY["rank"])


def test_what_is_not_there_is_said(store: Store) -> None:
    campaigns = Campaigns(store)
    campaigns.create("first", LIBRARY["rank"])
    for wrong, words in (
        (lambda: campaigns.create("first", LIBRARY["rank"]), "already"),
        (lambda: campaigns.get("frist"), "no campaign 'frist'. Did you mean 'first'"),
        (lambda: campaigns.set_state("other", "done"), "no campaign"),
        (lambda: campaigns.set_state("first", "over"), "state 'over'"),  # type: ignore[arg-type]
        (lambda: campaigns.create("x", LIBRARY["rank"], guideline=7), "no guideline of version 7"),
        (lambda: campaigns.add_items("first", asks(1), round=-1), "round is -1"),
        (lambda: parse_settings({"overlapp": 1}), "overlapp.*Did you mean 'overlap'"),
        (lambda: parse_settings({"gold_share": 2}), "gold_share"),
    ):
        with pytest.raises(DataError, match=words):
            wrong()


def test_a_changed_form_is_a_new_version_and_old_items_keep_theirs(store: Store) -> None:
    campaigns = Campaigns(store)
    form = LIBRARY["rank"]
    changed = form.model_copy(update={"title": "Best first"})
    assert [campaigns.add_form(one) for one in (form, form, changed, changed, form)] == [1, 1, 2, 2, 3]
    assert [(one.version, one.form.title) for one in campaigns.forms()] == [
        (3, form.title),
        (2, "Best first"),
        (1, form.title),
    ]
    campaigns.create("c", changed, state="active")
    campaigns.add_items("c", asks(1, priority=0.0))
    campaigns.set_form("c", form)
    campaigns.add_items("c", asks(2, priority=1.0))
    store.add_labelers([Labeler(id="ann")])
    leases = [Queue(store).claim("ann") for _ in range(2)]
    assert [one.form.title for one in leases if one] == ["Best first", form.title]
    taken = Form.model_validate({**form.model_dump(), "name": "ranking"})
    with pytest.raises(DataError, match="kept for records"):
        campaigns.add_form(taken)


def test_the_same_ask_is_one_item(store: Store) -> None:
    campaigns = Campaigns(store)
    campaigns.create("c", LIBRARY["rank"])
    assert [campaigns.add_items("c", asks(n)) for n in (3, 5, 5)] == [3, 2, 0]
    assert campaigns.add_items("c", [*asks(1), *asks(1)], round=1) == 1
    assert campaigns.add_items("c", asks(1, purpose="gold")) == 1
    assert campaigns.totals("c").total >= 6 and campaigns.totals("c", "gold").total == 1000


def test_what_is_drawn_depends_on_seed_and_content_alone(store: Store) -> None:
    drawn = []
    for name, batches in (("a", (asks(400),)), ("b", (asks(400),))):
        campaigns = Campaigns(store)
        campaigns.create(name, LIBRARY["rank"], settings=CampaignSettings(overlap=0.25, heldout_share=0.5))
        for batch in batches:
            campaigns.add_items(name, batch, seed=3)
        drawn.append(
            rows(store, f"SELECT priority, audience, slots_total FROM item WHERE campaign = '{name}' ORDER BY id")
        )
    pool = sum(row.slots_total == 3 for row in drawn[0])
    heldout = sum(row.audience == "heldout" for row in drawn[0])
    assert 70 <= pool <= 130 and 160 <= heldout <= 240
    assert drawn[0] != drawn[1]  # two campaigns are no copies of each other
    assert all(0 <= row.priority < 1 for row in drawn[0])


def test_a_batch_that_was_cut_off_is_added_again_as_it_would_have_been(store: Store) -> None:
    campaigns = Campaigns(store)
    campaigns.create("c", LIBRARY["rank"])
    campaigns.add_items("c", asks(10), seed=1)
    first = rows(store, "SELECT content_key, priority, slots_total FROM item ORDER BY id")
    campaigns.add_items("c", list(reversed(asks(30))), seed=1)
    assert rows(store, "SELECT content_key, priority, slots_total FROM item ORDER BY id")[:10] == first


@pytest.mark.parametrize(
    ("form", "candidates"),
    [("rank", 1), ("rank", 10), ("compare", 3), ("chat", 1), ("edit", 0), ("edit", 2), ("write", 1), ("grade", 1)],
)
def test_an_ask_must_fit_its_form(store: Store, form: str, candidates: int) -> None:
    campaigns = Campaigns(store)
    campaigns.create("c", LIBRARY[form])
    answers = tuple(Completion(text=f"{k}") for k in range(candidates))
    with pytest.raises(DataError, match=f"has {candidates} candidates"):
        campaigns.add_items("c", [*asks(0), Ask(prompt=Prompt.from_text("x"), candidates=answers)])
    assert campaigns.totals("c") == Totals(open=0, live=0, done=0, total=0)


def test_other_wrong_asks_are_named(store: Store) -> None:
    campaigns = Campaigns(store)
    campaigns.create("c", LIBRARY["rank"])
    same = Completion(text="same")
    for wrong, words in (
        (Ask(prompt=Prompt.from_text("x"), candidates=(same, same)), "ask 2: .* twice"),
        (asks(1, slots=0)[0], "0 slots"),
        (asks(1, gold={"tiers": [0, 1]})[0], "one for each of 3"),
        (asks(1, gold={"ranks": [0, 1]})[0], "part 'ranks'"),
    ):
        with pytest.raises(DataError, match=words):
            campaigns.add_items("c", [asks(1)[0], wrong])
    assert campaigns.totals("c").total == 0


def test_bulk_work_takes_seconds(store: Store) -> None:
    campaigns = Campaigns(store)
    campaigns.create("c", LIBRARY["rank"])
    began = time.process_time()
    assert campaigns.add_items("c", asks(3000)) == 3000
    assert time.process_time() - began < 3, "a third of it on an idle machine"


def test_a_claim_uses_its_indexes(store: Store) -> None:
    """No statement of a claim reads a whole table, whatever has been learnt about its contents."""
    campaigns = Campaigns(store)
    settings = CampaignSettings(overlap=1, recheck_share=0.3, gold_share=0.2)
    campaigns.create("c", LIBRARY["rank"], settings=settings, state="active")
    campaigns.add_items("c", [*asks(300), *asks(5, purpose="gold")])
    store.add_labelers([Labeler(id="ann")])
    if store._engine.dialect.name != "sqlite":
        pytest.skip("a server decides by the size of its tables; the plan of SQLite shows that the indexes are there")
    statements: dict[str, Any] = {}

    @event.listens_for(store._engine, "before_cursor_execute")
    def note(_: Any, __: Any, statement: str, parameters: Any, *more: Any) -> None:
        statements[statement] = parameters

    queue = Queue(store)
    for number in range(120):
        lease = queue.claim("ann")
        assert lease is not None
        payload = {"tiers": {"A": 0, "B": 1, "C": 2}}
        queue.save_draft("ann", lease.token, 1, payload)
        queue.beat("ann", lease.token)
        queue.submit("ann", lease.token, f"key-{number:05}", payload, active_ms=1, idle_ms=0)
    queue.expire(), queue.live("ann"), queue.history("ann")
    event.remove(store._engine, "before_cursor_execute", note)
    scans = set()
    with store.reader() as connection:
        for statement, parameters in statements.items():
            if statement.startswith(("SELECT", "UPDATE", "DELETE")):
                for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters):
                    if row.detail.startswith("SCAN") and "USING" not in row.detail:
                        scans.add(row.detail)
    small = {"SCAN campaign", "SCAN free", "SCAN work", "SCAN CONSTANT ROW"}
    assert scans <= small, scans
