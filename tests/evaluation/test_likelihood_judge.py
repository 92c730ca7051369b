"""A judge by the likelihood of A and B: with a model whose mind is known, and with a real one."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest

from fakes import tiny_codec, tiny_lm
from heed.errors import ConfigError
from heed.evaluation.likelihood_judge import likelihood_decides
from heed.evaluation.preference import summarize
from heed.evaluation.tasks.items import Likelihood, Question, Reply
from heed.evaluation.tasks.model import LocalModel
from heed.evaluation.verdicts import Matchup
from heed.feedback.judge_templates import TEMPLATES
from heed.records import Completion, Prompt
from judge_fakes import SHOWN, quality


class Weigher:
    """Finds A as likely as its quality says, plus a liking for A."""

    name = fingerprint = "weigher"

    def __init__(self, liking: float = 0.0) -> None:
        self.liking = liking
        self.asked: list[Question] = []

    def likelihoods(self, questions: Sequence[Question]) -> list[Reply]:
        self.asked += questions
        return [self._one(question) for question in questions]

    def _one(self, question: Question) -> Reply:
        request, a, b = SHOWN.search(question.context).groups()  # type: ignore[union-attr]
        if request == "too long":
            return Reply(cut=True)
        gap = quality(a) - quality(b) + self.liking
        values = [-math.log1p(math.exp(-gap)), -math.log1p(math.exp(gap))]
        return Reply(likelihoods=tuple(Likelihood(logprob=one, tokens=1, characters=2) for one in values))

    def write(self, questions: Sequence[Question]) -> list[Reply]:
        raise AssertionError("nobody asked for a text")


def pairs(*qualities: tuple[int, int], prompt: str = "Request") -> list[Matchup]:
    return [
        Matchup(
            prompt=Prompt.from_text(f"{prompt} {number}" if prompt == "Request" else prompt),
            first=Completion(text=f"x q{first}"),
            second=Completion(text=f"y q{second}"),
            names=("new", "old"),
        )
        for number, (first, second) in enumerate(qualities)
    ]


def test_the_likelier_verdict_counts_in_both_orders() -> None:
    model = Weigher()
    found = likelihood_decides(model)(pairs((9, 1), (1, 2)))
    assert [(one.order, one.seen_from("new")) for one in found.verdicts] == [
        ("given", 1.0), ("swapped", 1.0), ("given", 0.0), ("swapped", 0.0),
    ]  # fmt: skip
    assert {one.choices for one in model.asked} == {(" A", " B")} and found.verdicts[0].judge == "weigher"


def test_a_liking_for_a_is_found_and_cancels() -> None:
    matchups = pairs(*[(5, 5 + number % 3 - 1) for number in range(60)])
    found = summarize(likelihood_decides(Weigher(liking=1.5))(matchups), "old")
    assert found.order_bias is not None and found.order_bias.biased and found.order_bias.first.value == 1.0
    assert found.standings["new"].win_rate.value == 0.5


def test_a_margin_makes_ties() -> None:
    even = likelihood_decides(Weigher(), tie_margin=0.25, both_orders=False)
    outcomes = [one.outcome for one in even(pairs((5, 4), (5, 3), (4, 4))).verdicts]
    assert outcomes == [0.5, 1.0, 0.5]  # sigmoid(1) = .731, sigmoid(2) = .881


def test_what_does_not_fit_is_a_failure() -> None:
    matchups = [*pairs((9, 1)), *pairs((9, 1), prompt="too long")]
    found = likelihood_decides(Weigher())(matchups)
    assert len(found.verdicts) == 2
    assert {one.reason for one in found.failures} == {"the comparison is longer than the model's context"}


def test_settings_that_make_no_sense() -> None:
    with pytest.raises(ConfigError, match="'reasons' asks for reasons"):
        likelihood_decides(Weigher(), template=TEMPLATES["reasons"])
    with pytest.raises(ConfigError, match=r"tie_margin is 0\.5"):
        likelihood_decides(Weigher(), tie_margin=0.5)


def test_a_real_model_gives_a_verdict_on_all_that_fits() -> None:
    model = LocalModel(tiny_lm(), tiny_codec(), "tiny", "f")
    found = likelihood_decides(model)(pairs((9, 1), (2, 3)))
    assert len(found.verdicts) + len(found.failures) == 4
    assert {one.reason for one in found.failures} <= {"the comparison is longer than the model's context"}
