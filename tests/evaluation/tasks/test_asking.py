"""Questions put to real small models: likelihoods against a plain forward pass, layouts, what fits, and the cache."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from fakes import tiny_codec, tiny_lm
from heed.data.chat import Codec
from heed.data.tokenizer import train_tokenizer
from heed.errors import ConfigError, DataError, ModelError
from heed.evaluation.tasks.cache import Cache, CachedScorer, reply_from_json, reply_json, reply_key
from heed.evaluation.tasks.items import Failure, Likelihood, Marked, Metric, Question, Reply, Shot, Task, mark_each
from heed.evaluation.tasks.model import LocalModel, fingerprint_of, layout_of
from heed.evaluation.tasks.run import figure, run_task, save_result

CHOICES = (" at the park", " blue", " I do not know")


def model(context: int = 64, layout: str = "plain", **settings: object) -> LocalModel:
    codec = tiny_codec(context)
    return LocalModel(tiny_lm(context=context), codec, "tiny", "weights", layout=layout, **settings)  # type: ignore[arg-type]


def choice(context: str = "Where is the cup? The cup is", **fields: object) -> Question:
    return Question(id=str(fields.pop("id", "q")), context=context, kind="choice", choices=CHOICES, **fields)  # type: ignore[arg-type]


@torch.no_grad()
def by_hand(one: LocalModel, before: list[int], ids: list[int]) -> float:
    logits = one.model(torch.tensor([[*before, *ids]])).logits[0].log_softmax(-1)
    return float(sum(logits[len(before) - 1 + place, token] for place, token in enumerate(ids)))


def test_a_question_is_laid_out_as_instruction_shots_and_context() -> None:
    shots = (Shot(context="Q: 1?\nA:", answer=" one"), Shot(context="Q: 2?\nA:", answer=" two"))
    question = Question(id="q", kind="generate", context="Q: 3?\nA:", instruction="Count.", shots=shots)
    assert question.layout() == "Count.\n\nQ: 1?\nA: one\n\nQ: 2?\nA: two\n\nQ: 3?\nA:"
    assert question.layout(1) == "Count.\n\nQ: 2?\nA: two\n\nQ: 3?\nA:"
    assert question.layout(0) == "Count.\n\nQ: 3?\nA:"
    assert replace(question, context="", instruction="", shots=()).layout() == ""


def test_likelihoods_are_those_of_a_plain_forward_pass() -> None:
    one = model(with_greedy=True)
    (reply,) = one.likelihoods([choice()])
    before = one.codec.encode_text("Where is the cup? The cup is")
    for text, found in zip(CHOICES, reply.likelihoods, strict=True):
        ids = one.codec.encode_text("Where is the cup? The cup is" + text)[len(before) :]
        assert found.logprob == pytest.approx(by_hand(one, before, ids), abs=1e-4)
        assert (found.tokens, found.characters) == (len(ids), len(text))
        assert found.per_token == found.logprob / found.tokens
    assert not any(found.greedy for found in reply.likelihoods)


def test_the_greedy_continuation_is_known_as_such() -> None:
    """Of all words of one token after a context, just one is what greedy decoding gives."""
    one = model(with_greedy=True)
    tokens = [one.codec.tokenizer.decode([index]) for index in range(2, one.codec.vocab_size)]
    words = [
        text for text in tokens if len(one.codec.encode_text("The" + text)) == len(one.codec.encode_text("The")) + 1
    ]
    (reply,) = one.likelihoods([Question(id="g", context="The", kind="choice", choices=tuple(words))])
    with torch.no_grad():
        logits = one.model(torch.tensor([one.codec.encode_text("The")])).logits[0, -1]
    ids = [one.codec.encode_text("The" + word)[-1] for word in words]
    assert [like.greedy for like in reply.likelihoods] == [index == int(logits.argmax()) for index in ids]
    assert len(words) > 100


def test_an_empty_context_starts_a_text() -> None:
    one = model()
    question = Question(id="s", context="", kind="choice", choices=("Name two animals.", "A cat and a dog."))
    (reply,) = one.likelihoods([question])
    ids = one.codec.encode_text("Name two animals.")
    assert reply.likelihoods[0].logprob == pytest.approx(by_hand(one, [one.codec.eos_id], ids), abs=1e-4)


def test_the_chat_layout_is_one_turn_of_the_template() -> None:
    one = model(layout="chat")
    (reply,) = one.likelihoods([choice()])
    before = one.codec.encode_text("Where is the cup? The cup is\n")
    ids = one.codec.encode_text("at the park")
    assert reply.likelihoods[0].logprob == pytest.approx(by_hand(one, before, ids), abs=1e-4)


def test_many_questions_at_once_are_as_one_by_one() -> None:
    one = model()
    questions = [choice(id=str(i), context=f"Name {i} animals." + " A cat." * (i % 5)) for i in range(30)]
    together = one.likelihoods(questions)
    for question, reply in zip(questions[::7], together[::7], strict=True):
        alone = one.likelihoods([question])[0]
        assert [a.logprob for a in reply.likelihoods] == pytest.approx([b.logprob for b in alone.likelihoods], abs=1e-4)


def test_shots_that_do_not_fit_are_left_out_from_the_front() -> None:
    shots = tuple(Shot(context=f"What colour is sky {i}?", answer=" blue") for i in range(12))
    one = model(context=48)
    (reply,) = one.likelihoods([choice(shots=shots)])
    assert 0 < reply.shots_left_out < 12 and not reply.cut
    kept = choice(shots=shots[reply.shots_left_out :])
    assert one.likelihoods([kept])[0].likelihoods == reply.likelihoods
    more = one.codec.encode_text(choice(shots=shots[reply.shots_left_out - 1 :]).layout())
    assert len(more) + max(like.tokens for like in reply.likelihoods) > 48


@pytest.mark.parametrize("layout", ["plain", "chat"])
def test_a_question_longer_than_the_context_loses_its_beginning_and_says_so(layout: str) -> None:
    one = model(context=32, layout=layout)
    (short, long) = one.likelihoods([choice("The cup is"), choice("Tom put the cup. " * 30 + "The cup is")])
    assert not short.cut and long.cut
    assert len(long.likelihoods) == 3 and all(like.logprob < 0 for like in long.likelihoods)
    (written,) = one.write([Question(id="w", context="A dog. " * 50, kind="generate", max_new_tokens=40, stop=())])
    assert written.cut and written.text


def test_a_choice_without_tokens_or_without_room_is_that_questions_error() -> None:
    one = model(context=16)
    questions = [
        Question(id="a", context="The", kind="choice", choices=(" cup", "")),
        Question(id="b", context="The", kind="choice", choices=(" cup" * 40,)),
        Question(id="c", context="The", kind="choice", choices=(" cup",)),
    ]
    first, second, third = one.likelihoods(questions)
    assert first.error and second.error and not third.error and third.likelihoods


def test_answers_end_at_their_stop_strings() -> None:
    one = model()
    free = Question(id="f", context="Where is the cup?", kind="generate", max_new_tokens=16, stop=())
    (whole,) = one.write([free])
    stop = whole.text[4]
    (again, ended) = one.write([free, replace(free, id="s", stop=(stop,))])
    assert again.text == whole.text and ended.text == whole.text[: whole.text.index(stop)].strip()


def test_the_layout_is_chat_where_there_is_a_template() -> None:
    codec = tiny_codec()
    assert layout_of(codec, "auto", "m") == "chat" and layout_of(codec, "plain", "m") == "plain"
    bare = train_tokenizer(["Tom put the cup at the park."] * 4, 290)
    without = Codec(bare, 32)
    bare.chat_template = None
    assert layout_of(without, "auto", "m") == "plain"
    with pytest.raises(ConfigError, match="m: its tokenizer has no chat template"):
        layout_of(without, "chat", "m")
    with pytest.raises(ConfigError, match="'chatty', expected auto, plain or chat"):
        layout_of(codec, "chatty", "m")


def test_a_fingerprint_changes_with_the_weights(tmp_path: Path) -> None:
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        tiny_lm(seed=seed).save_pretrained(tmp_path / name)
    a, b, c = (fingerprint_of(tmp_path / name) for name in "abc")
    assert a == b != c
    with pytest.raises(ModelError, match="no weights"):
        fingerprint_of(tmp_path)
    plain, chat = model(), model(layout="chat")
    assert plain.fingerprint != chat.fingerprint


# --- the cache


class Counting:
    """A model that counts what it is asked, and may fail."""

    name, fingerprint = "counting", "counting"

    def __init__(self, broken: Sequence[str] = ()) -> None:
        self.asked: list[str] = []
        self.broken = set(broken)

    def likelihoods(self, questions: Sequence[Question]) -> list[Reply]:
        """The first choice is always the likeliest."""
        self.asked += [question.id for question in questions]
        likes = [
            tuple(Likelihood(logprob=-float(place + 1), tokens=1, characters=2) for place in range(len(q.choices)))
            for q in questions
        ]
        return [
            Reply(error="HTTP status 500") if q.id in self.broken else Reply(likelihoods=one)
            for q, one in zip(questions, likes, strict=True)
        ]

    def write(self, questions: Sequence[Question]) -> list[Reply]:
        """Echoes."""
        self.asked += [question.id for question in questions]
        return [Reply(text=question.context) for question in questions]


def task(count: int = 6) -> Task:
    questions = tuple(
        Question(
            id=str(i), context=f"c{i}", kind="choice", choices=(" a", " b"), right=(i % 2,), cluster=f"k{i // 2}",
            category="even" if i % 2 == 0 else "odd",
        )
        for i in range(count)
    )  # fmt: skip

    def right(question: Question, reply: Reply) -> dict[str, float]:
        best = max(range(2), key=lambda index: reply.likelihoods[index].logprob)
        return {"accuracy": float(best in question.right)}

    return Task(
        name="toy",
        title="Toy",
        questions=questions,
        mark=lambda questions, replies: mark_each(questions, replies, right),
        metrics=(Metric(name="accuracy", title="Accuracy"),),
    )


def test_what_was_asked_once_is_not_asked_again(tmp_path: Path) -> None:
    first, second = Counting(), Counting()
    before = run_task(task(4), first, Cache(tmp_path / "replies.jsonl"))
    after = run_task(task(6), second, Cache(tmp_path / "replies.jsonl"))
    assert first.asked == ["0", "1", "2", "3"] and second.asked == ["4", "5"]
    assert (before.cached, after.cached) == (0, 4)
    assert after.figures["accuracy"].value == 0.5 and after.figures["accuracy"].n == 6
    assert (after.categories["even"].value, after.categories["odd"].value) == (1.0, 0.0)


def test_a_failed_question_is_reported_and_asked_again(tmp_path: Path) -> None:
    cache = tmp_path / "replies.jsonl"
    broken = run_task(task(), Counting(broken=["1", "2"]), Cache(cache))
    assert broken.failed == 2 and broken.figures["accuracy"].n == 4
    assert broken.as_json()["errors"] == ["HTTP status 500"]
    mended = Counting()
    assert run_task(task(), mended, Cache(cache)).failed == 0
    assert mended.asked == ["1", "2"]


def test_a_line_that_a_crash_cut_off_is_dropped(tmp_path: Path) -> None:
    path = tmp_path / "cache.jsonl"
    Cache(path).put({"a": 1, "b": [2]})
    path.write_bytes(path.read_bytes()[:-3])
    opened = Cache(path)
    assert opened.get("a") == 1 and opened.get("b") is None
    opened.put({"c": "three"})
    again = Cache(path)
    assert (again.get("a"), again.get("b"), again.get("c")) == (1, None, "three")


def test_replies_come_back_from_json_as_they_were() -> None:
    replies = [
        Reply(likelihoods=(Likelihood(logprob=-1.25, tokens=2, characters=5, greedy=True),), shots_left_out=3),
        Reply(text="", cut=True),
        Reply(text="ab\u2028c"),
    ]
    assert [reply_from_json(json.loads(json.dumps(reply_json(one)))) for one in replies] == replies


def test_the_key_is_of_all_that_a_reply_depends_on() -> None:
    base = choice()
    other = [
        replace(base, context="x"),
        replace(base, choices=(" b", " a")),
        replace(base, instruction="Be kind."),
        replace(base, kind="generate"),
        replace(base, shots=(Shot(context="a", answer=" b"),)),
    ]
    written = replace(base, kind="generate")
    more = [replace(written, stop=("x",)), replace(written, max_new_tokens=3)]
    keys = [reply_key(one) for one in (base, *other, *more)]
    assert len(set(keys)) == len(keys)
    assert reply_key(replace(base, right=(1,), category="z", id="other", max_new_tokens=1)) == keys[0]


def test_scores_are_asked_for_once_and_failures_again(tmp_path: Path) -> None:
    class Lengths:
        name = "lengths"
        asked: list[str] = []  # noqa: RUF012

        def describe(self) -> str:
            return "Length."

        def score_texts(self, texts: Sequence[str]) -> list[float | Failure]:
            self.asked.extend(texts)
            return [Failure("too long") if len(text) > 3 else len(text) / 10 for text in texts]

    scorer = Lengths()
    first = CachedScorer(scorer, Cache(tmp_path / "s.jsonl"))
    assert first.score_texts(["a", "bb", "long", "a"]) == [0.1, 0.2, Failure("too long"), 0.1]
    again = CachedScorer(scorer, Cache(tmp_path / "s.jsonl"))
    assert again.score_texts(["bb", "long"]) == [0.2, Failure("too long")]
    assert scorer.asked == ["a", "bb", "long", "long"]


def test_results_are_written_whole(tmp_path: Path) -> None:
    result = run_task(task(), Counting(), Cache(tmp_path / "c.jsonl"))
    save_result(result, tmp_path / "out")
    document = json.loads((tmp_path / "out" / "toy.json").read_text())
    rows = [json.loads(line) for line in (tmp_path / "out" / "toy.marks.jsonl").read_text().splitlines()]
    assert document["figures"]["accuracy"]["value"] == 0.5 and len(rows) == 6
    assert rows[1] == {
        "id": "1", "cluster": "k0", "category": "odd", "metrics": {"accuracy": 0.0}, "output": "", "detail": {},
        "error": "",
    }  # fmt: skip


def test_a_task_without_questions_or_with_one_id_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no questions"):
        run_task(replace(task(), questions=()), Counting(), Cache(tmp_path / "c"))
    twice = replace(task(), questions=(task().questions[0], task().questions[0]))
    with pytest.raises(DataError, match="two questions have the id '0'"):
        run_task(twice, Counting(), Cache(tmp_path / "c"))


def test_a_figure_that_resampling_only_raises_lies_in_its_own_interval() -> None:
    """The size of a mean near 0: a resample is further from 0 than the sample, as calibration errors are."""
    values = [1.0, -1.0] * 60

    def size(marks: Sequence[Marked]) -> float:
        return abs(sum(one.metrics["x"] for one in marks) / len(marks))

    marks = [Marked(id=str(i), cluster=str(i), metrics={"x": value}) for i, value in enumerate(values)]
    found = figure(Metric(name="x", title="X", statistic=size), marks)
    assert found.value == 0.0 and found.low <= 0.0 <= found.high and found.n == 120
    assert 0.05 < found.high < 0.25  # one standard error of the mean is 0.09
