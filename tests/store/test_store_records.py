"""Records go into the database and come back the same."""

from __future__ import annotations

from types import MappingProxyType

import pytest
from sqlalchemy import Engine, text

from heed.errors import DataError, WorkspaceError
from heed.records import Completion, Demonstration, Labeler, Message, Prompt, Ranking, Rating
from heed.store import Store, forms


@pytest.fixture(autouse=True)
def _people(store: Store) -> None:
    store.add_labelers([Labeler(id=name) for name in ("ann", "bo", "cem")])


def ranking(text: str = "q", tiers: tuple[int, ...] = (1, 0, 1), labeler: str = "ann") -> Ranking:
    completions = tuple(Completion(text=f"answer {i}", policy="sft") for i in range(len(tiers)))
    return Ranking(prompt=Prompt.from_text(text), completions=completions, tiers=tiers, labeler=labeler)


def test_records_come_back_in_the_order_they_came_in(store: Store) -> None:
    prompts = [Prompt.from_text(text, split=split) for text, split in (("z", "train"), ("a", "test"), ("m", "train"))]
    store.add_prompts(prompts)
    assert store.prompts() == prompts
    assert store.prompts(split="train") == [prompts[0], prompts[2]]


def test_every_field_of_a_record_survives(store: Store) -> None:
    prompt = Prompt(
        messages=(Message(role="system", content="be brief"), Message(role="user", content="hi")),
        source="s", category="chat", user="u1", split="valid", meta={"spec": [1, 2.5, None, {"x": True}]},
    )  # fmt: skip
    completion = Completion(
        text="hello", token_ids=(5, 0, 2**31 - 1), logprobs=(-0.1, -1e-300, float("-inf")), stop="length",
        policy="ppo", meta={"score": 0.1},
    )  # fmt: skip
    given = Demonstration(prompt=prompt, completion=completion, labeler="bo")
    store.add_demonstrations([given], round=3)
    assert store.demonstrations() == [given]
    assert store.demonstrations(split="valid") == [given]
    assert store.demonstrations(split="train") == []
    assert store.demonstrations(max_round=2) == []


def test_a_ranking_keeps_its_order_its_ties_and_equal_answers(store: Store) -> None:
    same = Completion(text="same")
    given = Ranking(
        prompt=Prompt.from_text("q"), completions=(same, Completion(text="other"), same), tiers=(1, 0, 1), labeler="ann"
    )
    store.add_rankings([given], round=0)
    assert store.rankings() == [given]


def test_adding_twice_changes_nothing(store: Store) -> None:
    given = [ranking("q1"), ranking("q2")]
    assert store.add_rankings(given, round=1) == 2
    before = store.counts()
    assert store.add_rankings(given, round=1) == 0
    assert store.counts() == before
    assert store.add_rankings(given, round=2) == 2  # another round asks again


def test_labelers_of_the_same_answers_share_an_item_and_a_second_thought_gets_its_own(
    store: Store, engine: Engine
) -> None:
    given = [ranking(labeler="ann"), ranking(labeler="bo"), ranking(tiers=(0, 0, 0), labeler="ann")]
    store.add_rankings(given)
    assert store.rankings() == given
    assert _slots(engine) == [(2, 0), (1, 0)]
    store.add_rankings([ranking(labeler="cem")])
    assert _slots(engine) == [(3, 0), (1, 0)]


def _slots(engine: Engine) -> list[tuple[int, int]]:
    with engine.connect() as connection:
        return [tuple(row) for row in connection.execute(text("SELECT slots_total, slots_open FROM item ORDER BY id"))]


def test_rankings_are_selected_by_group_round_and_campaign(store: Store) -> None:
    store.add_labelers([Labeler(id="hel", group="heldout", kind="simulated")])
    store.add_rankings([ranking(labeler="ann"), ranking(labeler="hel")], round=1)
    store.add_rankings([ranking(labeler="ann")], round=2, campaign="fresh")
    assert [one.labeler for one in store.rankings(labeler_group="heldout")] == ["hel"]
    assert len(store.rankings(labeler_group="training")) == 2
    assert len(store.rankings(labeler_group="training", max_round=1)) == 1
    assert len(store.rankings(campaign="fresh")) == 1


def test_ratings_come_back(store: Store) -> None:
    given = Rating(
        prompt=Prompt.from_text("q"), completion=Completion(text="a"), overall=6,
        flags={"hallucination": True, "sexual": False}, labeler="ann",
    )  # fmt: skip
    store.add_ratings([given])
    assert store.ratings() == [given]
    assert store.rankings() == []


def test_generations_are_grouped_by_prompt(store: Store) -> None:
    prompts = [Prompt.from_text("q1"), Prompt.from_text("q2")]
    answers = [[Completion(text=f"{p}{i}", policy="sft") for i in range(3)] for p in "ab"]
    store.add_generations(prompts, answers)
    store.add_generations(prompts[:1], [[Completion(text="new", policy="ppo")]])
    groups = store.generations(policy="sft")
    assert [group.prompt for group in groups] == prompts
    assert [list(group.completions) for group in groups] == answers
    assert len(store.generations()[0].completions) == 4


def test_a_labeler_does_not_change_group_by_a_second_registration(store: Store) -> None:
    store.add_labelers([Labeler(id="hel", group="heldout")])
    store.add_labelers([Labeler(id="hel", group="heldout")])
    with pytest.raises(DataError, match="'hel' is known as human, group heldout; now given as human, group training"):
        store.add_labelers([Labeler(id="hel")])


def test_two_prompts_cannot_have_one_id(store: Store) -> None:
    store.add_prompts([Prompt.from_text("one", id="x")])
    with pytest.raises(DataError, match="prompt 'x' is in the store with other messages"):
        store.add_prompts([Prompt.from_text("two", id="x")])


def test_what_is_not_json_is_refused_by_name(store: Store) -> None:
    with pytest.raises(DataError, match="cannot be stored"):
        store.add_prompts([Prompt.from_text("q", meta={"x": {1, 2}})])  # type: ignore[dict-item]


def test_counts(store: Store) -> None:
    store.add_rankings([ranking()])
    store.add_demonstrations([Demonstration(prompt=Prompt.from_text("d"), completion=Completion(text="x"))])
    counts = store.counts()
    assert (counts["prompts"], counts["generations"], counts["rankings"], counts["demonstrations"]) == (2, 4, 1, 1)


def test_nobody_in_particular_may_judge_but_a_name_must_be_known(store: Store) -> None:
    store.add_rankings([ranking(labeler="")])
    with pytest.raises(DataError, match=r"labeler 'zoe' is not known .1 such.*add_labelers"):
        store.add_rankings([ranking(labeler="zoe"), ranking(labeler="ann")])
    assert store.counts()["rankings"] == 1


def test_the_nameless_may_disagree_about_the_same_answers(store: Store) -> None:
    given = [ranking(tiers=tiers, labeler="") for tiers in ((0, 1), (1, 0), (0, 0))]
    assert store.add_rankings(given) == 3
    assert store.rankings() == given


def test_a_changed_form_is_a_new_version(store: Store, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    store.add_rankings([ranking("q1")])
    monkeypatch.setitem(
        forms.FORMS, forms.RANKING, {"questions": [{"name": "ranking", "kind": "tiers", "ties": False}]}
    )
    store.add_rankings([ranking("q2"), ranking("q3")])
    with engine.connect() as connection:
        versions = connection.execute(
            text("SELECT form.version FROM item JOIN form ON form.id = form_id ORDER BY item.id")
        )
        assert list(versions.scalars()) == [1, 2, 2]


def test_work_is_filed_under_the_guideline_of_its_time(store: Store, engine: Engine) -> None:
    store.add_rankings([ranking("q1")])
    assert [store.add_guideline(words) for words in ("be kind", "be kind", "be brief", "be kind")] == [1, 1, 2, 3]
    store.add_rankings([ranking("q2")])
    with engine.connect() as connection:
        statement = "SELECT version FROM item LEFT JOIN guideline ON guideline.id = guideline_id ORDER BY item.id"
        assert list(connection.execute(text(statement)).scalars()) == [None, 3]


def test_a_ranking_that_lost_a_place_is_said_to_be_damaged(store: Store, engine: Engine) -> None:
    store.add_rankings([ranking()])
    with engine.connect() as connection, connection.begin():
        connection.execute(text("INSERT INTO item_candidate (item_id, ordinal, generation_id) VALUES (1, 3, 1)"))
    with pytest.raises(WorkspaceError, match="response 1 does not rank every answer shown"):
        store.rankings()


def test_rounds_count_from_zero(store: Store) -> None:
    with pytest.raises(DataError, match="round is -1"):
        store.add_rankings([ranking()], round=-1)


def test_metadata_may_be_any_mapping_and_hold_what_databases_refuse(store: Store) -> None:
    meta = MappingProxyType({"nul": "\x00", "half": "\ud800", "list": (1, MappingProxyType({"a": None}))})
    store.add_prompts([Prompt.from_text("q", meta=meta, id="half \udfff")])
    (prompt,) = store.prompts()
    assert prompt.id == "half \udfff"
    assert prompt.meta == {"nul": "\x00", "half": "\ud800", "list": [1, {"a": None}]}
