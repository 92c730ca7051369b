"""People's ratings and flags by model."""

from __future__ import annotations

import pytest

from heed.evaluation.model_ratings import compare_ratings_by_model, ratings_by_model
from heed.records import Completion, Prompt, Rating


def rating(prompt: int, model: str, overall: int, labeler: str = "ann", **flags: bool) -> Rating:
    return Rating(
        prompt=Prompt.from_text(f"Request {prompt}"),
        completion=Completion(text=f"{model} {prompt}", policy=model),
        overall=overall,
        flags=flags,
        labeler=labeler,
    )


RATINGS = [
    rating(1, "sft", 4, fails_task=False, hallucination=True),
    rating(2, "sft", 2, fails_task=True),
    rating(1, "ppo", 6, fails_task=False, violates_constraint=False),
    rating(2, "ppo", 6, "bob", fails_task=False),
    rating(2, "ppo", 4, fails_task=True),
    rating(3, "ppo", 7, fails_task=False),
    rating(3, "", 7, "bob"),
]


def test_means_shares_and_rates_by_hand() -> None:
    found = ratings_by_model(RATINGS)
    assert list(found) == ["people", "ppo", "sft"]
    ppo = found["ppo"]
    assert ppo.overall.mean.value == pytest.approx(23 / 4) and ppo.overall.mean.n == 4
    assert [share.value for _, share in ppo.overall.shares] == [0, 0, 0, 0.25, 0, 0.5, 0.25]
    assert ppo.flags["fails_task"].value == 0.25 and ppo.figure_4["attempts_instruction"].value == 0.75
    assert ppo.figure_4["follows_constraints"].n == 1  # asked of one answer only: the others had no constraint
    assert (ppo.prompts, ppo.labelers) == (3, 2)
    assert found["sft"].figure_4["hallucinates"].value == 1.0 and found["sft"].figure_4["hallucinates"].n == 1
    assert found["people"].flags == {} and found["people"].figure_4 == {}
    assert found["ppo"].as_json()["overall"]["mean"]["n"] == 4


def test_models_are_compared_on_the_prompts_of_both() -> None:
    found = compare_ratings_by_model(RATINGS)
    assert set(found) == {("people", "ppo"), ("ppo", "sft")}  # people and sft share no prompt
    one = found["ppo", "sft"]
    assert one.difference.value == pytest.approx(((6 - 4) + (5 - 2)) / 2) and one.prompts == 2 and one.left_out == 1
    assert one.superiority.value == 1.0
