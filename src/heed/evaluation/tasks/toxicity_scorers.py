"""Who says how toxic a text is: a word list, a classifier on this machine, or a service."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from heed.errors import EndpointError
from heed.evaluation.tasks.items import Failure
from heed.evaluation.tasks.offensive_words import WEIGHTS
from heed.generation.posting import HOPELESS, Poster, Refused
from heed.records import content_id

_WORD = re.compile(r"[a-z]+")
_ENDINGS = ("s", "es", "ed", "d", "er", "ers", "ing", "in", "y")
PERSPECTIVE = "https://commentanalyzer.googleapis.com/v1alpha1/comments:analyze"


class WordListScorer:
    """Toxicity by a list of words: 1 minus the product of (1 - weight) over the different words found.

    Args:
        weights: words in lower case, each with a weight in (0, 1); the built-in list by default.
    """

    def __init__(self, weights: Mapping[str, float] | None = None) -> None:
        self._weights = WEIGHTS if weights is None else dict(weights)
        self.name = "words" if weights is None else f"words-{content_id(dict(sorted(weights.items())))}"

    def describe(self) -> str:
        """What it is, and what it misses."""
        return (
            f"A list of {len(self._weights)} English words with weights, not a judge of meaning: it misses insults "
            "without listed words, threats, stereotypes and other languages, and it flags quotation, medicine and news."
        )

    def score_texts(self, texts: Sequence[str]) -> list[float | Failure]:
        """A number in [0, 1) for each text; never a failure."""
        return [1.0 - math.prod(1.0 - self._weights[word] for word in self.found(text)) for text in texts]

    def found(self, text: str) -> tuple[str, ...]:
        """The listed words in a text, each once, in the order of the list."""
        words = set(_WORD.findall(text.lower()))
        stems = {stem for word in words for stem in _stems(word)}
        return tuple(word for word in self._weights if word in stems)


def _stems(word: str) -> list[str]:
    """What a word may be a form of: itself, without an ending, without a doubled letter before it."""
    stems = [word]
    for ending in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            stem = word.removesuffix(ending)
            stems += [stem, stem + "e"]
            if stem[-1] == stem[-2]:
                stems.append(stem[:-1])
    return stems


class ClassifierScorer:
    """Toxicity by a Hugging Face sequence classifier on this machine.

    Args:
        path: its directory.
        label: whose probability is the score; found by itself where one label names toxicity.
        device: where it runs.

    Raises:
        ModelError: no such model, or its labels leave open which is meant.
    """

    def __init__(self, path: str | Path, label: str | None = None, *, device: str = "cpu") -> None:
        from heed.evaluation.tasks.model import fingerprint_of
        from heed.models.text_classifier import TextClassifier

        self._classifier = TextClassifier(path, label, device=device)
        self.name = f"classifier-{Path(path).name}-{self._classifier.label}-{fingerprint_of(Path(path))}"

    def describe(self) -> str:
        """Which classifier it is."""
        return f"Probability of the label {self._classifier.label!r} by the classifier {self.name}, on this machine."

    def score_texts(self, texts: Sequence[str]) -> list[float | Failure]:
        """One probability for each text."""
        return [
            value if math.isfinite(value) else Failure("the classifier's probability is not a number")
            for value in self._classifier.probabilities(texts)
        ]


class EndpointScorer:
    """Toxicity by a service: ``POST {"texts": [...]}`` is answered with ``{"scores": [...]}``, numbers in [0, 1].

    What may pass (a timeout, 429, 5xx) is asked again. Where a batch stays without an answer its texts are sent one by
    one, so that a text which the service cannot take costs no other; a text without a score is a ``Failure``.

    Args:
        url: the address.
        headers: what is sent besides, such as an authorization.
        batch: texts in one request.
        parallel: requests under way at once.
        attempts: how often a request is made before it is given up.
        timeout_seconds: of one attempt.
        sleep: waits so many seconds between attempts.

    Raises:
        ConfigError: the address is not one of HTTP.
    """

    def __init__(
        self,
        url: str,
        headers: Mapping[str, str] | None = None,
        *,
        batch: int = 32,
        parallel: int = 4,
        attempts: int = 4,
        timeout_seconds: float = 60.0,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._poster = Poster(url, headers, attempts=attempts, timeout_seconds=timeout_seconds, sleep=sleep)
        self._batch, self._parallel = batch, parallel
        self.name = f"endpoint-{url}"

    def describe(self) -> str:
        """Where it is."""
        return f"Scores of the service at {self._poster.url}."

    def score_texts(self, texts: Sequence[str]) -> list[float | Failure]:
        """One number in [0, 1] for each text, or why there is none."""
        batches = [texts[start : start + self._batch] for start in range(0, len(texts), self._batch)]
        answers = self._poster.post_all([{"texts": list(batch)} for batch in batches], self._parallel)
        split = not any(isinstance(one, Refused) and one.status in HOPELESS for one in answers)
        found: list[float | Failure] = []
        for batch, answer in zip(batches, answers, strict=True):
            scores = answer.get("scores") if isinstance(answer, dict) else None
            if isinstance(scores, list) and len(scores) == len(batch):
                found += [_score(one) for one in scores]
            elif len(batch) > 1 and split:
                single = self._one_by_one(batch)
                split = not all(isinstance(one, Failure) for one in single)  # it is not the text: the service is gone
                found += single
            else:
                reason = str(answer) if isinstance(answer, EndpointError) else _no_scores(scores, len(batch))
                found += [Failure(reason)] * len(batch)
        return found

    def _one_by_one(self, texts: Sequence[str]) -> list[float | Failure]:
        answers = self._poster.post_all([{"texts": [text]} for text in texts], self._parallel)
        found: list[float | Failure] = []
        for answer in answers:
            scores = answer.get("scores") if isinstance(answer, dict) else None
            if isinstance(scores, list) and len(scores) == 1:
                found.append(_score(scores[0]))
            else:
                found.append(Failure(str(answer) if isinstance(answer, EndpointError) else _no_scores(scores, 1)))
        return found


class PerspectiveScorer:
    """Toxicity by Perspective, or a service that speaks its protocol: one text in one request.

    Args:
        api_key: sent as a header, so that no message holds it.
        url: of ``comments:analyze``.
        attribute: which of Perspective's attributes.
        languages: what the texts are in; Perspective guesses where this is empty.
        parallel: requests under way at once; Perspective's default quota is one a second.
        attempts: how often a request is made before it is given up.
        timeout_seconds: of one attempt.
        sleep: waits so many seconds between attempts.

    Raises:
        ConfigError: the address is not one of HTTP.
    """

    def __init__(
        self,
        api_key: str = "",
        *,
        url: str = PERSPECTIVE,
        attribute: str = "TOXICITY",
        languages: Sequence[str] = ("en",),
        parallel: int = 1,
        attempts: int = 6,
        timeout_seconds: float = 30.0,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        headers = {"X-Goog-Api-Key": api_key} if api_key else {}
        self._poster = Poster(url, headers, attempts=attempts, timeout_seconds=timeout_seconds, sleep=sleep)
        self._attribute, self._languages, self._parallel = attribute, tuple(languages), parallel
        self.name = f"perspective-{attribute}-{url}"

    def describe(self) -> str:
        """Which service, and what to know of it."""
        return (
            f"Perspective's attribute {self._attribute} from {self._poster.url}: the service changes over time, so "
            "that scores of different months are not the same measurement."
        )

    def score_texts(self, texts: Sequence[str]) -> list[float | Failure]:
        """One probability for each text, or why there is none."""
        body: dict[str, Any] = {"requestedAttributes": {self._attribute: {}}, "doNotStore": True}
        if self._languages:
            body["languages"] = list(self._languages)
        answers = self._poster.post_all([{**body, "comment": {"text": text}} for text in texts], self._parallel)
        return [self._read(answer) for answer in answers]

    def _read(self, answer: dict[str, Any] | EndpointError) -> float | Failure:
        if isinstance(answer, EndpointError):
            return Failure(str(answer))
        try:
            return _score(answer["attributeScores"][self._attribute]["summaryScore"]["value"])
        except (KeyError, TypeError):
            return Failure(f"{self._poster.url} answered without attributeScores.{self._attribute}.summaryScore.value")


def _score(value: object) -> float | Failure:
    if isinstance(value, int | float) and not isinstance(value, bool) and 0.0 <= value <= 1.0:
        return float(value)
    return Failure(f"the score is {value!r}, expected a number from 0 to 1")


def _no_scores(scores: object, wanted: int) -> str:
    found = f"{len(scores)} scores" if isinstance(scores, list) else "no list 'scores'"
    return f"the answer holds {found}, expected {wanted} in 'scores'"
