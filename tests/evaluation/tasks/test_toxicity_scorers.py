"""Scorers of texts: the word list, a real small classifier, and services that time out, refuse and talk nonsense."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import BertConfig, BertForSequenceClassification, PreTrainedTokenizerFast

from heed.errors import ConfigError, ModelError
from heed.evaluation.tasks.cache import Cache, CachedScorer
from heed.evaluation.tasks.items import Failure
from heed.evaluation.tasks.toxicity_scorers import (
    ClassifierScorer,
    EndpointScorer,
    PerspectiveScorer,
    WordListScorer,
)
from heed.models.text_classifier import TextClassifier

# --- the word list


def test_a_list_of_words_by_hand() -> None:
    scorer = WordListScorer({"bad": 0.5, "awful": 0.8, "hate": 0.4})
    assert scorer.score_texts(["Good.", "BAD!", "bad bad", "a bad, awful day", ""]) == [
        *(0.0, 0.5, 0.5),
        pytest.approx(1 - 0.5 * 0.2),
        0.0,
    ]
    assert scorer.found("He hated the hater, hating") == ("hate",)
    assert scorer.found("badminton, baddish") == ()
    assert scorer.name != WordListScorer({"bad": 0.6}).name != WordListScorer().name


def test_the_built_in_list_says_what_it_is_and_knows_forms() -> None:
    scorer = WordListScorer()
    assert "misses" in scorer.describe() and "not a judge of meaning" in scorer.describe()
    quiet, loud, ing, plural = scorer.score_texts(
        ["The classic assistant passed Essex.", "you idiot", "stop bitching", "assholes"]
    )
    assert quiet == 0.0
    assert all(isinstance(score, float) and score >= 0.5 for score in (loud, ing, plural))


# --- a classifier on this machine


def classifier(path: Path, labels: dict[int, str], problem: str | None = None) -> Path:
    """A BERT of two words: its logits are what its classifier's weights make of the first token."""
    words = {"[PAD]": 0, "[UNK]": 1, "[CLS]": 2, "[SEP]": 3, "good": 4, "bad": 5}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]", model_max_length=16
    ).save_pretrained(str(path))
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(words),
        hidden_size=8,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        max_position_embeddings=16,
        id2label=labels,
        label2id={name: index for index, name in labels.items()},
        problem_type=problem,
    )
    BertForSequenceClassification(config).save_pretrained(str(path))
    return path


def by_hand(path: Path, text: str) -> torch.Tensor:
    model = BertForSequenceClassification.from_pretrained(str(path)).eval()
    words = {"good": 4, "bad": 5}
    with torch.no_grad():
        return model(input_ids=torch.tensor([[words.get(word, 1) for word in text.split()]])).logits[0]


def test_a_classifier_gives_the_probability_of_its_label(tmp_path: Path) -> None:
    path = classifier(tmp_path, {0: "neutral", 1: "toxic"})
    texts = ["bad bad bad good", "good", "bad other"]
    scorer = ClassifierScorer(path)
    assert scorer.score_texts(texts) == [
        pytest.approx(float(by_hand(path, text).softmax(-1)[1]), abs=1e-6) for text in texts
    ]
    assert "toxic" in scorer.describe() and path.name in scorer.name
    assert TextClassifier(path, batch=1).probabilities(texts) == pytest.approx(scorer.score_texts(texts))
    other = ClassifierScorer(path, "neutral").score_texts(texts)
    assert [a + b for a, b in zip(scorer.score_texts(texts), other, strict=True)] == pytest.approx([1.0] * 3)


def test_a_classifier_with_several_labels_at_once_takes_the_one_asked_for(tmp_path: Path) -> None:
    path = classifier(tmp_path, {0: "toxic", 1: "severe_toxic", 2: "threat"}, "multi_label_classification")
    assert TextClassifier(path).label == "toxic"
    assert TextClassifier(path, "threat").probabilities(["bad"]) == [
        pytest.approx(float(by_hand(path, "bad").sigmoid()[2]), abs=1e-6)
    ]
    long = TextClassifier(path).probabilities(["bad " * 40])  # more than the model has positions for
    assert 0.0 < long[0] < 1.0


def test_a_classifier_whose_label_is_unclear_is_refused(tmp_path: Path) -> None:
    path = classifier(tmp_path, {0: "LABEL_0", 1: "LABEL_1"})
    with pytest.raises(ModelError, match=r"which of its labels is meant\? They are LABEL_0, LABEL_1"):
        ClassifierScorer(path)
    with pytest.raises(ModelError, match="has no label 'rude'; its labels are LABEL_0, LABEL_1"):
        ClassifierScorer(path, "rude")
    assert ClassifierScorer(path, "LABEL_1").score_texts([]) == []
    with pytest.raises(ModelError, match=r"no config\.json"):
        ClassifierScorer(tmp_path / "..")


# --- services

Answer = tuple[int, dict[str, str], bytes]


class Service:
    """Answers with ``reply(body)``, and remembers what it was asked."""

    def __init__(self) -> None:
        self.reply: Callable[[dict[str, Any]], Answer] = lengths
        self.asked: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        service = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                service.asked.append(body)
                service.headers.append(dict(self.headers))
                status, headers, content = service.reply(body)
                try:
                    self.send_response(status)
                    for name, value in {**headers, "Content-Length": str(len(content))}.items():
                        self.send_header(name, value)
                    self.end_headers()
                    self.wfile.write(content)
                except BrokenPipeError:
                    return  # the client has given up waiting

            def log_message(self, format: str, *args: Any) -> None: ...

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}/score"


def lengths(body: dict[str, Any]) -> Answer:
    return 200, {}, json.dumps({"scores": [len(text) / 100 for text in body["texts"]]}).encode()


@pytest.fixture
def service() -> Iterator[Service]:
    made = Service()
    thread = threading.Thread(target=made.http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield made
    made.http.shutdown()
    thread.join()
    made.http.server_close()


def scorer(service: Service, **settings: Any) -> EndpointScorer:
    return EndpointScorer(
        service.url, **{"batch": 2, "parallel": 1, "attempts": 2, "sleep": lambda _: None, **settings}
    )


def test_texts_go_in_batches_and_scores_come_back_in_order(service: Service) -> None:
    found = scorer(service, headers={"Authorization": "Bearer k"}).score_texts(["a" * n for n in (3, 1, 2)])
    assert found == [0.03, 0.01, 0.02]
    assert [len(body["texts"]) for body in service.asked] == [2, 1]
    assert service.headers[0]["Authorization"] == "Bearer k"
    assert scorer(service).score_texts([]) == []


def test_what_may_pass_is_asked_again(service: Service) -> None:
    waits: list[float] = []

    def moody(body: dict[str, Any]) -> Answer:
        return (429, {"Retry-After": "7"}, b"slow down") if len(service.asked) == 1 else lengths(body)

    service.reply = moody
    assert scorer(service, sleep=waits.append).score_texts(["ab"]) == [0.02]
    assert waits == [7.0]


@pytest.mark.parametrize("trouble", ["500", "timeout", "garbage", "short", "not a number"])
def test_one_text_that_cannot_be_scored_costs_no_other(service: Service, trouble: str) -> None:
    def fails_on_poison(body: dict[str, Any]) -> Answer:
        if "poison" not in body["texts"]:
            return lengths(body)
        if trouble == "timeout":
            time.sleep(0.4)
        if trouble == "garbage":
            return 200, {}, b"<html>"
        if trouble == "short":
            return 200, {}, b'{"scores": []}'
        if trouble == "not a number":
            return (
                200,
                {},
                json.dumps({"scores": [t if t == "poison" else len(t) / 100 for t in body["texts"]]}).encode(),
            )
        return 500, {}, b'{"error": {"message": "no"}}'

    service.reply = fails_on_poison
    found = scorer(service, timeout_seconds=0.15).score_texts(["a", "poison", "bb", "ccc"])
    assert [found[0], found[2], found[3]] == [0.01, 0.02, 0.03]
    assert isinstance(found[1], Failure)
    reasons = {
        "500": "HTTP status 500: no",
        "timeout": "did not answer in 2 attempts",
        "garbage": "something else than JSON",
        "short": "holds 0 scores, expected 1",
        "not a number": "the score is 'poison', expected a number from 0 to 1",
    }
    assert reasons[trouble] in found[1].reason


def test_a_wrong_key_is_asked_once(service: Service) -> None:
    service.reply = lambda _: (401, {}, b"who are you")
    found = scorer(service).score_texts(list("abcdefgh"))
    assert all(isinstance(score, Failure) for score in found)
    assert len(service.asked) == 1


def test_a_service_that_is_gone_is_not_asked_about_every_text(service: Service) -> None:
    service.reply = lambda _: (503, {}, b"down")
    found = scorer(service, batch=4).score_texts(list("abcdefghijkl"))
    assert all(isinstance(score, Failure) and "503" in score.reason for score in found)
    assert len(service.asked) == 2 * (3 + 4)  # three batches and the texts of the first, two attempts each


def test_only_successes_are_kept(service: Service, tmp_path: Path) -> None:
    service.reply = lambda body: (500, {}, b"down") if "b" in body["texts"] else lengths(body)
    first = CachedScorer(scorer(service), Cache(tmp_path / "scores.jsonl")).score_texts(["a", "b"])
    assert first[0] == 0.01 and isinstance(first[1], Failure)
    service.reply, service.asked = lengths, []
    again = CachedScorer(scorer(service), Cache(tmp_path / "scores.jsonl")).score_texts(["a", "b"])
    assert again == [0.01, 0.01]
    assert [body["texts"] for body in service.asked] == [["b"]]


def test_an_address_that_is_none_is_refused() -> None:
    with pytest.raises(ConfigError, match="url is 'localhost:80', expected an address"):
        EndpointScorer("localhost:80")


def test_perspective(service: Service) -> None:
    def answer(body: dict[str, Any]) -> Answer:
        if body["comment"]["text"] == "odd":
            return 200, {}, b'{"attributeScores": {}}'
        value = {"TOXICITY": {"summaryScore": {"value": 0.25, "type": "PROBABILITY"}}}
        return 200, {}, json.dumps({"attributeScores": value}).encode()

    service.reply = answer
    perspective = PerspectiveScorer("secret", url=service.url, sleep=lambda _: None)
    found = perspective.score_texts(["a", "odd"])
    assert found == [0.25, Failure(f"{service.url} answered without attributeScores.TOXICITY.summaryScore.value")]
    assert service.headers[0]["X-Goog-Api-Key"] == "secret"
    assert service.asked[0] == {
        "comment": {"text": "a"},
        "languages": ["en"],
        "requestedAttributes": {"TOXICITY": {}},
        "doNotStore": True,
    }
    assert "secret" not in perspective.name + perspective.describe()
