"""The bias meter: traits by hand, planted sways recovered, none invented."""

from __future__ import annotations

import random
from math import exp

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import expit, log_expit, logit

from heed.feedback.bias import PRIOR, TRAITS, Shown, Style, _fit, bias_meter, bias_of, style_of


def shown(draw: random.Random, item: int, labeler: str, sways: dict[str, float], size: int = 3) -> Shown:
    """Answers with random style, ranked by their sways plus Gumbel noise: exactly a Bradley-Terry choice for pairs."""
    order = list(range(size))
    draw.shuffle(order)
    styles = tuple(
        Style(words=draw.choice([20, 40, 80, 160]), lists=draw.random() < 0.4, code=False, headings=draw.random() < 0.3)
        for _ in range(size)
    )
    policies = tuple(draw.choice(["weak", "strong"]) for _ in range(size))
    scores = []
    for ordinal, style in enumerate(styles):
        score = sways.get("length", 0) * np.log2(style.words) + sways.get("lists", 0) * style.lists
        score += sways.get("headings", 0) * style.headings + sways.get("strong", 0) * (policies[ordinal] == "strong")
        score += sways.get("first", 0) * (order[0] == ordinal)
        scores.append(score - np.log(-np.log(draw.random())))
    ranked = sorted(range(size), key=lambda k: -scores[k])
    tiers = tuple(ranked.index(k) for k in range(size))
    return Shown(item_id=item, labeler=labeler, order=tuple(order), tiers=tiers, styles=styles, policies=policies)


def test_what_an_answer_looks_like() -> None:
    assert style_of("One two three") == Style(words=3, lists=False, code=False, headings=False)
    assert style_of("").words == 1
    assert style_of("- a\n- b").lists and style_of("1. a\n2) b").lists and not style_of("- a").lists
    assert style_of("```\nx\n```").code and style_of("# T\nx").headings and style_of("a **b** c").headings


def test_one_trait_by_hand() -> None:
    """40 pairs, the longer one wins 30: the log-odds of a trait alone are log 3, all but the weak prior."""
    long, short = (Style(words=words, lists=False, code=False, headings=False) for words in (40, 20))
    rows = [
        Shown(item_id=n, labeler="a", order=(0, 1) if n % 2 else (1, 0), tiers=(0, 1) if n < 30 else (1, 0),
              styles=(long, short), policies=("", ""))
        for n in range(40)
    ]  # fmt: skip
    found = bias_of("a", rows)
    length = found.sways[0].share
    assert length is not None and length.value == pytest.approx(0.75, abs=0.005) and length.n == 40
    error = (logit(length.high) - logit(length.low)) / 2 / 1.96
    assert error == pytest.approx(1 / np.sqrt(40 * 0.75 * 0.25), rel=0.1)
    assert {sway.trait: sway.undefined for sway in found.sways if sway.share is None} == {
        "lists": "only 0 pairs of answers differ in it",
        "code": "only 0 pairs of answers differ in it",
        "headings": "only 0 pairs of answers differ in it",
        "first": "with two answers it is the same as standing earlier",
    }


def test_too_few_is_said() -> None:
    few = bias_of("a", [shown(random.Random(0), 1, "a", {})])
    assert all(
        sway.share is None and sway.undefined == "3 pairs of answers were judged, 20 are needed" for sway in few.sways
    )
    assert bias_of("", []).pairs == 0


def test_planted_sways_come_back_whoever_wrote_the_answers() -> None:
    draw = random.Random(7)
    rows = [shown(draw, n, "a", {"length": 0.7, "strong": 1.5}) for n in range(500)]
    rows += [shown(draw, 1000 + n, "b", {"first": 1.0, "strong": 1.5}) for n in range(500)]
    project, [first, second] = bias_meter(rows)
    assert project.pairs == 3000 and [one.labeler for one in (first, second)] == ["a", "b"]
    a = {sway.trait: sway for sway in first.sways}
    b = {sway.trait: sway for sway in second.sways}
    assert a["length"].share is not None and a["length"].share.low < expit(0.7) < a["length"].share.high
    assert a["length"].clear and not a["lists"].clear and not a["first"].clear
    assert b["first"].share is not None and b["first"].share.low < expit(1.0) < b["first"].share.high
    assert not b["length"].clear and a["code"].share is None


def test_intervals_cover_and_seldom_invent() -> None:
    """No sway at all, 60 teams: the intervals of length leave one half out in about one of twenty."""
    clear = 0
    for seed in range(60):
        draw = random.Random(seed)
        found = bias_of("", [shown(draw, n, "a", {"strong": 1.0}) for n in range(80)])
        clear += found.sways[0].clear
    assert clear <= 8


def test_the_fit_is_the_minimum() -> None:
    draw = np.random.default_rng(8)
    rows, prior = draw.normal(size=(80, 3)), np.array([0.05, 0.05, PRIOR])
    outcomes = draw.choice([0.0, 0.5, 1.0], size=80)

    def loss(weights: np.ndarray) -> float:
        z = rows @ weights
        return float(-(outcomes * log_expit(z) + (1 - outcomes) * log_expit(-z)).sum() + (prior * weights**2).sum() / 2)

    slow = minimize(loss, np.zeros(3), method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-12, "maxiter": 5000})
    weights, errors = _fit(rows, outcomes, np.arange(80.0), prior)
    assert weights == pytest.approx(slow.x, abs=1e-5) and (errors > 0).all()


def test_turning_the_list_of_answers_round_changes_nothing() -> None:
    draw = random.Random(9)
    rows = [shown(draw, n, "a", {"length": 0.5}) for n in range(60)]
    turned = [
        Shown(item_id=one.item_id, labeler="a", order=tuple(2 - k for k in one.order), tiers=one.tiers[::-1],
              styles=one.styles[::-1], policies=one.policies[::-1])
        for one in rows
    ]  # fmt: skip
    for left, right in zip(bias_of("", rows).sways, bias_of("", turned).sways, strict=True):
        assert left.undefined == right.undefined
        if left.share is not None and right.share is not None:
            assert right.share.as_json() == pytest.approx(left.share.as_json(), abs=1e-8)
    assert set(TRAITS) == {"length", "lists", "code", "headings", "earlier", "first"} and exp(0) == 1
