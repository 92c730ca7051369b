"""After a person is removed no byte of what they wrote is left, the counts are what they were, and others' work is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from sqlalchemy import Connection, func, insert, select, update

from heed.errors import DataError, WorkspaceError
from heed.form_library import LIBRARY
from heed.records import Completion, Demonstration, Labeler, Prompt, Ranking
from heed.store import Store
from heed.store import schema as t
from heed.store.redacted import MARK
from heed.store.rows import insert_rows
from heed.store.studio import tables as s
from heed.store.studio.privacy import Privacy

SECRET = "xylophone"
"""In every text of the person who is removed."""


def account(store: Store, name: str, role: str = "labeler") -> str:
    labeler = f"{name}0123456789abcdef"[:16]
    private = SECRET if name == "Ann" else "quiet"
    store.add_labelers([Labeler(id=labeler)])
    with store.writer() as c:
        c.execute(insert(s.account).values(
            id=labeler, labeler_id=labeler, name=name, name_key=name.casefold(), role=role, status="active",
            password_hash=f"hash of {private}", settings={"city": private}, created_at=store.now(),
        ))  # fmt: skip
    return labeler


def store_with_work(store: Store) -> tuple[str, str]:
    """Ann wrote; Bob judged what she wrote, and other things."""
    ann, bob = account(store, "Ann"), account(store, "Bob", "owner")
    asked = Prompt.from_text("What is a bell?")
    hers = Prompt.from_text(f"Tell me of the {SECRET}", user=ann)
    answer = Completion(text=f"A {SECRET}, perhaps.")
    store.add_demonstrations([Demonstration(prompt=asked, completion=answer, labeler=ann)])
    shared = Completion(text="A round thing that rings.")
    store.add_demonstrations(
        [Demonstration(prompt=Prompt.from_text("Bells?"), completion=shared, labeler=who) for who in (ann, bob)]
    )
    model = Completion(text="It rings.", policy="sft")
    store.add_rankings([
        Ranking(prompt=asked, completions=(answer, model), tiers=(0, 1), labeler=bob),
        Ranking(prompt=hers, completions=(model, shared), tiers=(0, 1), labeler=bob),
        Ranking(prompt=Prompt.from_text("Why?"), completions=(model, shared), tiers=(1, 0), labeler=bob),
        Ranking(prompt=Prompt.from_text("Why not?"), completions=(model, shared), tiers=(1, 0), labeler=ann),
    ])  # fmt: skip
    with store.writer() as c:
        _surroundings(c, store, ann, bob)
    return ann, bob


def _surroundings(c: Connection, store: Store, ann: str, bob: str) -> None:
    """Notes, a draft, a skip, a screening result, words from a lead, an answer in free text, an open item."""
    now = store.now()
    first = c.execute(select(t.response.c.id, t.response.c.assignment_id).order_by(t.response.c.id)).first()
    assert first is not None
    c.execute(insert(t.note).values(response_id=first.id, text=f"note {SECRET}"))
    c.execute(insert(s.screening_result).values(
        labeler_id=ann, part="topics", score=1.0, detail={"topics": [SECRET]}, created_at=now))  # fmt: skip
    c.execute(insert(s.feedback).values(labeler_id=ann, account_id=bob, text=f"about {SECRET}", created_at=now))
    appeal = {"response_id": first.id, "labeler_id": ann, "text": f"but {SECRET}", "state": "open", "answer": ""}
    c.execute(insert(s.appeal).values(appeal | {"created_at": now}))
    form = insert_rows(c, t.form, [{"name": "prompt", "version": 1, "created_at": now,
                                    "definition": LIBRARY["prompt"].model_dump(mode="json")}])[0]  # fmt: skip
    prompt_id = c.execute(select(t.prompt.c.id).where(t.prompt.c.author == ann)).scalar_one()
    brief, about = insert_rows(c, t.item, [
        {"campaign": "c", "round": 0, "prompt_id": one, "form_id": form, "slots_total": 3, "slots_open": opened,
         "created_at": now} for one, opened in ((1, 1), (prompt_id, 3))
    ])  # fmt: skip
    done, held = insert_rows(c, t.assignment, [
        {"item_id": brief, "labeler_id": ann, "attempt": 1, "state": "submitted", "served_at": now,
         "submitted_at": now, "lease_until": None, "device": f"phone {SECRET}"},
        {"item_id": about, "labeler_id": ann, "attempt": 1, "state": "leased", "served_at": now,
         "submitted_at": None, "lease_until": now, "device": None},
    ])  # fmt: skip
    c.execute(update(t.item).where(t.item.c.id == about).values(slots_open=2))
    c.execute(insert(s.draft).values(assignment_id=held, revision=1, payload={"item": SECRET}, saved_at=now))
    response = insert_rows(c, t.response, [
        {"assignment_id": done, "item_id": brief, "idempotency_key": "k", "said_key": "k", "created_at": now}
    ])[0]  # fmt: skip
    c.execute(insert(t.answer), [
        {"response_id": response, "item_id": brief, "question": "style", "value_text": "plain"},
        {"response_id": response, "item_id": brief, "question": "prompt", "value_text": f"words {SECRET}"},
        {"response_id": response, "item_id": brief, "question": "examples", "value_text": f'[["{SECRET}", "b"]]'},
    ])  # fmt: skip
    c.execute(insert(s.written_prompt).values(response_id=response, prompt_id=prompt_id))


def table_sizes(store: Store) -> dict[str, int]:
    with store.reader() as c:
        return {
            one.name: c.execute(select(func.count()).select_from(one)).scalar_one()
            for one in (t.prompt, t.generation, t.labeler, t.item, t.assignment, t.response, t.rank_tier, t.answer)
        }


def every_value(store: Store) -> str:
    with store.reader() as c:
        return json.dumps([
            [str(value) for value in row] for one in t.metadata.sorted_tables for row in c.execute(select(one))
        ])  # fmt: skip


def test_nothing_of_a_person_is_left_and_the_counts_are_as_before(store: Store, tmp_path: Path) -> None:
    ann, _ = store_with_work(store)
    before = table_sizes(store)
    export = store.freeze_export("rankings", tmp_path / "exports", store.rankings())
    demos = store.freeze_export("demonstrations", tmp_path / "exports", store.demonstrations())
    store.register_model("rm", export_hash=export.hash)
    store.register_model("ppo", uses=["rm"])
    privacy = Privacy(store)
    seen = privacy.footprint("ann")
    assert (seen.labeler, seen.name, seen.responses, seen.texts, seen.notes) == (ann, "Ann", 4, 2, 4)
    assert {card.hash for card in seen.exports} == {export.hash, demos.hash} and set(seen.models) == {"rm", "ppo"}
    done = privacy.forget("Ann", reason="asked", exports=tmp_path / "exports")
    assert table_sizes(store) == before
    assert SECRET not in every_value(store) and '"Ann"' not in every_value(store)
    assert len(done.rewritten) == 2
    for path in done.rewritten:
        assert SECRET not in path.read_text(encoding="utf-8")
        assert json.loads(path.with_name("manifest.json").read_text())["redacted_rows"] >= 1
    assert [one["subject"] for one in privacy.redactions()] == [ann]
    assert privacy.redactions()[0]["affected"]["models"] == ["rm", "ppo"]
    with pytest.raises(WorkspaceError, match="no person"):
        privacy.footprint("Ann")


def test_the_database_file_holds_no_byte_of_it(tmp_path: Path) -> None:
    with Store.open(tmp_path / "heed.db") as store:
        store_with_work(store)
        Privacy(store).forget("Ann")
        left = [path.name for path in tmp_path.iterdir() if SECRET.encode() in path.read_bytes()]
    assert left == []


def test_what_others_wrote_and_said_stays(store: Store) -> None:
    ann, bob = store_with_work(store)
    Privacy(store).forget(ann)
    assert [(one.labeler, one.completion.text) for one in store.demonstrations()] == [
        (bob, "A round thing that rings.")
    ], "the same words by Bob are Bob's"
    assert [one.prompt.text for one in store.rankings()] == ["Why?"], "no one trains on a text that is gone"
    assert MARK not in {prompt.text for prompt in store.prompts()}
    with store.reader() as c:
        rows = c.execute(select(t.item.c.slots_open, t.item.c.slots_total).where(t.item.c.campaign == "c")).all()
        held = c.execute(select(func.count()).where(t.assignment.c.state == "leased")).scalar_one()
        passwords = c.execute(select(s.account.c.password_hash).order_by(s.account.c.id)).scalars().all()
    assert rows == [(1, 3), (0, 0)] and held == 0, "her lease is given back, and nobody is asked about her prompt"
    assert passwords == [None, "hash of quiet"]
    store.add_rankings([])  # and the database takes work as before


def test_an_append_only_table_is_so_again_afterwards(store: Store) -> None:
    store_with_work(store)
    Privacy(store).forget("Ann")
    for table in (t.answer, s.screening_result, s.adjudication):
        if table is s.adjudication:
            continue
        with pytest.raises(Exception, match="append-only"), store.writer() as c:
            c.execute(update(table).values(id=table.c.id))


def test_an_imported_labeler_loses_the_name_that_is_its_id(store: Store, tmp_path: Path) -> None:
    store.add_labelers([Labeler(id="maria@example.org"), Labeler(id="b")])
    record = Demonstration(
        prompt=Prompt.from_text("x"), completion=Completion(text=SECRET), labeler="maria@example.org"
    )
    store.add_demonstrations([record])
    export = store.freeze_export("demonstrations", tmp_path, store.demonstrations())
    done = Privacy(store).forget("maria@example.org", exports=tmp_path)
    assert done.subject.startswith("forgotten-") and "maria" not in every_value(store)
    assert "maria" not in export.path.read_text() and SECRET not in export.path.read_text()
    store.add_labelers([Labeler(id="maria@example.org")])
    assert store.add_demonstrations([record]) == 0, "the same file imported again does not bring the work back"


def test_the_only_owner_cannot_be_removed(store: Store) -> None:
    store_with_work(store)
    with pytest.raises(DataError, match="only owner"):
        Privacy(store).forget("Bob")
    with pytest.raises(WorkspaceError, match="no person"):
        Privacy(store).forget("")
