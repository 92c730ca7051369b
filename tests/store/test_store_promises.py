"""What the database itself refuses, whoever asks."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from sqlalchemy import Connection, Engine, Table, insert, text
from sqlalchemy.exc import DBAPIError, IntegrityError

from heed.records import Completion, Labeler, Prompt, Ranking
from heed.store import Store
from heed.store import schema as t

NOW = datetime(2026, 1, 1)


@pytest.fixture(autouse=True)
def _one_ranking(store: Store) -> None:
    """Response 1 to assignment 1 of item 1, by ann, over generations 1, 2 and 3 of prompt 1."""
    completions = tuple(Completion(text=letter) for letter in "abc")
    store.add_labelers([Labeler(id="ann"), Labeler(id="bo")])
    store.add_rankings([Ranking(prompt=Prompt.from_text("q"), completions=completions, tiers=(0, 1, 1), labeler="ann")])


def refused(
    engine: Engine, *statements: str, error: type[DBAPIError] = IntegrityError, match: str = "(?i)constraint"
) -> None:
    with engine.connect() as connection:
        for statement in statements[:-1]:
            connection.execute(text(statement))
        with pytest.raises(error, match=match):
            connection.execute(text(statements[-1]))


def put(connection: Connection, table: Table, **values: object) -> None:
    connection.execute(insert(table).values(**values))


@pytest.mark.parametrize(
    ("table", "column"),
    [
        ("response", "idempotency_key"),
        ("rank_tier", "tier"),
        ("item_candidate", "ordinal"),
        ("form", "name"),
    ],
)
def test_judgements_and_what_was_asked_are_append_only(engine: Engine, table: str, column: str) -> None:
    value = "'other'" if column in ("idempotency_key", "name") else "0"
    refused(engine, f"UPDATE {table} SET {column} = {value}", match=f"{table} is append-only")
    refused(engine, f"DELETE FROM {table}", match=f"{table} is append-only")


def test_append_only_has_no_back_door(engine: Engine) -> None:
    if engine.dialect.name == "sqlite":
        refused(
            engine,
            "INSERT OR REPLACE INTO rank_tier (response_id, ordinal, item_id, tier) VALUES (1, 0, 1, 1)",
            match="append-only",
        )
    else:
        refused(engine, "TRUNCATE rank_tier", match="append-only")


def test_nobody_has_two_live_assignments_of_one_item(engine: Engine) -> None:
    row = {"item_id": 1, "labeler_id": "ann", "attempt": 2, "served_at": NOW}
    lease = {"state": "leased", "lease_until": NOW + timedelta(minutes=5)}
    with engine.connect() as connection, connection.begin():
        put(connection, t.assignment, **row, state="expired")  # not a live one
        put(connection, t.assignment, **row | {"labeler_id": "bo"}, **lease)  # another person
    with engine.connect() as connection, connection.begin(), pytest.raises(IntegrityError):
        put(connection, t.assignment, **row | {"attempt": 3}, **lease)


def test_an_attempt_is_made_once(engine: Engine) -> None:
    row = {"item_id": 1, "labeler_id": "ann", "attempt": 1, "served_at": NOW, "state": "expired"}
    with engine.connect() as connection, connection.begin(), pytest.raises(IntegrityError):
        put(connection, t.assignment, **row)


@pytest.mark.parametrize(
    "change",
    [
        "state = 'lost'",
        "state = 'leased'",  # it has been submitted, and has no lease
        "submitted_at = NULL",
    ],
)
def test_an_assignment_is_in_one_of_its_states(engine: Engine, change: str) -> None:
    refused(engine, f"UPDATE assignment SET {change}")


def test_an_assignment_has_one_first_response_and_each_is_superseded_once(engine: Engine) -> None:
    row = {"assignment_id": 1, "item_id": 1, "said_key": "s", "created_at": NOW}
    with engine.connect() as connection, connection.begin(), pytest.raises(IntegrityError):
        put(connection, t.response, idempotency_key="a", **row)
    with engine.connect() as connection, connection.begin():
        put(connection, t.response, id=2, idempotency_key="b", supersedes=1, **row)
    with engine.connect() as connection, connection.begin(), pytest.raises(IntegrityError):
        put(connection, t.response, id=3, idempotency_key="c", supersedes=1, **row)
    with engine.connect() as connection, connection.begin(), pytest.raises(IntegrityError):
        put(connection, t.response, id=4, idempotency_key="b", supersedes=2, **row)  # the same key again


def test_a_superseded_ranking_no_longer_counts(store: Store, engine: Engine) -> None:
    row = {"assignment_id": 1, "item_id": 1, "said_key": "s", "created_at": NOW}
    with engine.connect() as connection, connection.begin():
        put(connection, t.response, id=2, idempotency_key="b", supersedes=1, **row)
        for tier, ordinal in enumerate((2, 1, 0)):
            put(connection, t.rank_tier, response_id=2, item_id=1, ordinal=ordinal, tier=tier)
    assert [one.tiers for one in store.rankings()] == [(2, 1, 0)]
    assert store.counts()["rankings"] == 1
    with engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM comparison WHERE response_id = 2")).scalar() == 3
        assert connection.execute(text("SELECT count(*) FROM comparison WHERE response_id = 1")).scalar() == 0


def test_the_comparison_view_expands_tiers_and_leaves_ties_out(rows: Connection) -> None:
    pairs = rows.execute(text("SELECT chosen_id, rejected_id FROM comparison ORDER BY 1, 2")).all()
    assert [tuple(pair) for pair in pairs] == [(1, 2), (1, 3)]


SECOND = (
    "INSERT INTO assignment (id, item_id, labeler_id, attempt, state, served_at, submitted_at) "
    "VALUES (100, 1, 'bo', 1, 'submitted', '2026-01-01', '2026-01-01')",
    "INSERT INTO response (id, assignment_id, item_id, idempotency_key, said_key, created_at) "
    "VALUES (200, 100, 1, 'k', 's', '2026-01-01')",
)


def tier(ordinal: int, tier: int, response: int = 200, item: int = 1) -> str:
    return f"INSERT INTO rank_tier (response_id, item_id, ordinal, tier) VALUES ({response}, {item}, {ordinal}, {tier})"


def test_tiers_have_no_gaps_and_start_at_zero(engine: Engine) -> None:
    refused(engine, *SECOND, tier(0, 1), match="gap")
    refused(engine, *SECOND, tier(0, 0), tier(1, 2), match="gap")
    refused(engine, *SECOND, tier(0, -1))


def test_an_answer_is_placed_once_and_only_if_it_was_shown(engine: Engine) -> None:
    refused(engine, *SECOND, tier(0, 0), tier(0, 1))
    refused(engine, *SECOND, tier(3, 0))  # there are only three answers
    refused(engine, tier(0, 0, response=999))
    refused(engine, *SECOND, tier(0, 0, item=2))  # the response is to item 1


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM prompt",
        "DELETE FROM generation",
        "DELETE FROM labeler",
        "DELETE FROM item",
        "DELETE FROM assignment",
        "UPDATE assignment SET labeler_id = 'nobody'",
        "UPDATE item SET form_id = 99",
        "UPDATE item SET guideline_id = 99",
        "UPDATE item SET slots_open = 2",
        "UPDATE item SET slots_open = -1",
        "UPDATE labeler SET kind = 'robot'",
        "UPDATE labeler SET labeler_group = 'both'",
        "UPDATE generation SET stop = 'tired'",
    ],
)
def test_references_and_ranges_hold(engine: Engine, statement: str) -> None:
    refused(engine, statement)


def test_a_persons_words_can_be_removed_without_losing_the_judgement(store: Store, engine: Engine) -> None:
    with engine.connect() as connection, connection.begin():
        connection.execute(text("UPDATE generation SET text = '[removed]' WHERE id = 1"))
    assert store.rankings()[0].completions[0].text == "[removed]"
    assert store.rankings()[0].tiers == (0, 1, 1)
