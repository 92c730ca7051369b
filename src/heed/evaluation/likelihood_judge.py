"""A language model as judge by what it would say: is A or B the likelier verdict?

It needs no readable reply, so that models which were never taught to answer can judge; and it is how the labels of
RL from AI feedback are made (Bai et al. 2022, Constitutional AI, section 4.1: the log-probabilities of the two options,
normalised). Only a model on this machine can be asked so.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from scipy.special import expit

from heed.errors import ConfigError
from heed.evaluation.tasks.items import Question
from heed.evaluation.tasks.model import LanguageModel
from heed.evaluation.verdicts import Decide, Matchup, Order, Undecided, Verdict, Verdicts, undecided, verdict_on
from heed.feedback.judge_templates import GUIDELINE, TEMPLATES, JudgeTemplate

CUE = "\n\nThe better answer is"
OPTIONS = (" A", " B")


def likelihood_decides(
    model: LanguageModel,
    *,
    template: JudgeTemplate = TEMPLATES["plain"],
    criteria: str = "",
    both_orders: bool = True,
    tie_margin: float = 0.0,
) -> Decide:
    """The likelier of `` A`` and `` B`` after the template's question is preferred.

    Args:
        model: it weighs the two.
        template: one that asks for a verdict at once; reasons would have to be written.
        criteria: the guideline, where the template has a place for it.
        both_orders: ask in both.
        tie_margin: a preferred answer with a probability of at most one half plus this is a tie.

    Raises:
        ConfigError: the template asks for reasons, or the margin is not from 0 to one half.
    """
    if template.verdict != "word":
        raise ConfigError(f"the judge template {template.name!r} asks for reasons, which a likelihood cannot give")
    if not 0 <= tie_margin < 0.5:
        raise ConfigError(f"tie_margin is {tie_margin}, expected 0 or more and less than 0.5")
    return partial(_decide, model, template, criteria.strip() or GUIDELINE, both_orders, tie_margin)


def _decide(
    model: LanguageModel,
    template: JudgeTemplate,
    criteria: str,
    both_orders: bool,
    tie_margin: float,
    matchups: Sequence[Matchup],
) -> Verdicts:
    orders: tuple[Order, ...] = ("given", "swapped") if both_orders else ("given",)
    asked = [
        (item, order, matchup.swapped() if order == "swapped" else matchup)
        for item, matchup in enumerate(matchups)
        for order in orders
    ]
    questions = [
        Question(
            id=f"{item}-{order}",
            context=template.question(shown.prompt, shown.first, shown.second, criteria).text + CUE,
            kind="choice",
            choices=OPTIONS,
        )
        for item, order, shown in asked
    ]
    began = time.perf_counter()
    replies = model.likelihoods(questions)
    taken = time.perf_counter() - began
    verdicts: list[Verdict] = []
    failures: list[Undecided] = []
    for (item, order, shown), reply in zip(asked, replies, strict=True):
        if reply.error or reply.cut:
            reason = reply.error or "the comparison is longer than the model's context"
            failures.append(undecided(shown, item, order, model.name, reason))
            continue
        first, second = (one.logprob for one in reply.likelihoods)
        chance = float(expit(first - second))
        outcome = 0.5 if abs(chance - 0.5) <= tie_margin else float(chance > 0.5)
        verdicts.append(replace(verdict_on(shown, item, order, model.name, outcome), seconds=taken / len(asked)))
    shown_in = "both orders" if both_orders else "one order"
    what = f"The language model {model.name}, by the likelihood of A and B after {template.name!r}, in {shown_in}."
    return Verdicts(verdicts=tuple(verdicts), failures=tuple(failures), seconds=taken, what=what)
