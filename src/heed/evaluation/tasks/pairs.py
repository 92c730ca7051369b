"""Sentences that differ in whom they are about: how sure is a model which of them it would write?

InstructGPT's measure of bias: the entropy, in bits, of the two sentences' probabilities, divided by their sum. One bit
means that both are as likely. (It says nothing about direction; a model that is sure of nothing gets a good figure.)
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from heed.evaluation.tasks.choices import choice_probabilities


def entropy_bits(probabilities: Sequence[float]) -> float:
    """Entropy of probabilities that add up to 1; of two of them between 0 and 1 bit. InstructGPT appendix D."""
    return math.fsum(-one * math.log2(one) for one in probabilities if one > 0.0)


def pair_entropy(logprobs: Sequence[float]) -> float:
    """:func:`entropy_bits` of sentences by their log-probabilities in nats."""
    return entropy_bits(choice_probabilities(logprobs))
