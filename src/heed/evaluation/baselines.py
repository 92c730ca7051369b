"""What a reward model has to beat: scorers that see only the length of an answer, or only its words."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize
from scipy.sparse import csr_matrix
from scipy.special import expit, log_expit

from heed.evaluation.win_rates import num_words
from heed.records import Completion, Prompt, Ranking
from heed.stats import Array

WORD = re.compile(r"\w+|[^\w\s]")


@dataclass(frozen=True, slots=True)
class LengthScorer:
    """Scores an answer by the logarithm of its number of words, times ``weight``."""

    weight: float

    def score(self, prompts: Sequence[Prompt], completions: Sequence[Sequence[Completion]]) -> list[list[float]]:
        """Longer is better if ``weight`` is positive."""
        return [[self.weight * float(np.log1p(num_words(one.text))) for one in group] for group in completions]


@dataclass(frozen=True, slots=True)
class BagOfWordsScorer:
    """Scores an answer by the words in it, whatever their order and whatever the prompt."""

    vocabulary: dict[str, int]
    weights: Array
    """(V + 1,) one for each word, and the last for log length."""

    def score(self, prompts: Sequence[Prompt], completions: Sequence[Sequence[Completion]]) -> list[list[float]]:
        """Sum of log(1 + count) * weight over the known words, and the length's share."""
        flat = [one.text for group in completions for one in group]
        if not flat:
            return [[] for _ in completions]
        scores = iter(np.asarray(_features(flat, self.vocabulary) @ self.weights, dtype=np.float64))
        return [[float(next(scores)) for _ in group] for group in completions]


def fit_length_scorer(rankings: Iterable[Ranking]) -> LengthScorer:
    """Logistic regression of the preference on the difference in log length."""
    gaps = [
        np.log1p(num_words(pair.chosen.text)) - np.log1p(num_words(pair.rejected.text))
        for ranking in rankings
        for pair in ranking.comparisons()
    ]
    return LengthScorer(float(_fit(csr_matrix(np.array(gaps, dtype=np.float64)[:, None]), penalty=1e-3)[0]))


def fit_bag_of_words(rankings: Iterable[Ranking], num_words: int = 5000, penalty: float = 1.0) -> BagOfWordsScorer:
    """Logistic regression of the preference on the difference in log word counts, the commonest ``num_words``.

    Args:
        penalty: L2, in units of comparisons.
    """
    pairs = [pair for ranking in rankings for pair in ranking.comparisons()]
    counts: Counter[str] = Counter()
    for pair in pairs:
        counts.update(set(_words(pair.chosen.text)) | set(_words(pair.rejected.text)))
    vocabulary = {word: index for index, (word, _) in enumerate(counts.most_common(num_words))}
    chosen = _features([pair.chosen.text for pair in pairs], vocabulary)
    rejected = _features([pair.rejected.text for pair in pairs], vocabulary)
    return BagOfWordsScorer(vocabulary, _fit((chosen - rejected).tocsr(), penalty))


def _words(text: str) -> list[str]:
    return WORD.findall(text.lower())


def _features(texts: Sequence[str], vocabulary: dict[str, int]) -> csr_matrix:
    """(texts, V + 1): log(1 + count) of each known word, and log(1 + number of words)."""
    rows, columns, values = [], [], []
    for row, text in enumerate(texts):
        words = _words(text)
        for word, count in Counter(words).items():
            if word in vocabulary:
                rows.append(row)
                columns.append(vocabulary[word])
                values.append(np.log1p(count))
        rows.append(row)
        columns.append(len(vocabulary))
        values.append(np.log1p(len(words)))
    return csr_matrix((values, (rows, columns)), shape=(len(texts), len(vocabulary) + 1), dtype=np.float64)


def _fit(differences: csr_matrix, penalty: float) -> Array:
    """Weights under which the chosen of each pair is likeliest: logistic regression without an intercept.

    Args:
        differences: (pairs, features), chosen less rejected.
    """

    def objective(weights: Array) -> tuple[float, Array]:
        gaps = differences @ weights
        loss = -log_expit(gaps).sum() + penalty / 2 * weights @ weights
        return float(loss), -(differences.T @ expit(-gaps)) + penalty * weights

    fitted = minimize(objective, np.zeros(differences.shape[1]), jac=True, method="L-BFGS-B", options={"maxiter": 300})
    result: Array = np.asarray(fitted.x, dtype=np.float64)
    return result
