"""Records in, records out: the local sampler and best-of-n."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from fakes import CONTEXT, EOS_ID, tiny_codec, tiny_lm
from heed.errors import ConfigError, DataError
from heed.generation.best_of import BestOfN
from heed.generation.sampler import LocalSampler
from heed.records import Completion, Prompt
from heed.roles import Decoding

PROMPTS = [Prompt.from_text(text) for text in ("Where is the cup?", "Name two animals.", "What colour is the sky?")]


def test_completions_carry_text_tokens_logprobs_and_stop_reason() -> None:
    codec = tiny_codec()
    decoding = Decoding(max_new_tokens=20, seed=1)
    answers = LocalSampler(tiny_lm(), codec, "tiny").sample(PROMPTS, 4, decoding)
    assert [len(row) for row in answers] == [4, 4, 4]
    for completion in (completion for row in answers for completion in row):
        assert completion.text == codec.decode(completion.token_ids)
        assert len(completion.logprobs) == len(completion.token_ids) <= 20
        assert completion.stop == ("eos" if completion.token_ids[-1] == EOS_ID else "length")
        assert completion.policy == "tiny"
    assert LocalSampler(tiny_lm(), codec, "tiny", max_slots=2).sample(PROMPTS[1:], 4, decoding) == answers[1:]


def test_a_stop_string_ends_a_completion_and_is_not_in_its_text() -> None:
    codec = tiny_codec()
    sampler = LocalSampler(tiny_lm(), codec, "tiny")
    free = sampler.sample(PROMPTS, 8, Decoding(max_new_tokens=30, seed=2))
    stops = ("e", "th")
    stopped = sampler.sample(PROMPTS, 8, Decoding(max_new_tokens=30, seed=2, stop=stops))
    seen = set()
    for whole, completion in ((w, c) for pair in zip(free, stopped, strict=True) for w, c in zip(*pair, strict=True)):
        text = codec.tokenizer.decode(whole.token_ids, skip_special_tokens=True)
        found = min((text.find(stop) for stop in stops if stop in text), default=None)
        seen.add(completion.stop)
        assert (completion.stop == "stop") == (found is not None)
        assert completion.text == text[:found].strip()
        assert completion.token_ids == whole.token_ids[: len(completion.token_ids)]
        if found is not None:
            spelled = codec.tokenizer.decode(completion.token_ids, skip_special_tokens=True)
            before = codec.tokenizer.decode(completion.token_ids[:-1], skip_special_tokens=True)
            assert any(stop in spelled for stop in stops)
            assert not any(stop in before for stop in stops)
    assert "stop" in seen


def test_a_prompt_longer_than_the_context_is_refused() -> None:
    sampler = LocalSampler(tiny_lm(), tiny_codec(), "tiny")
    with pytest.raises(DataError, match=f"expected at most {CONTEXT - 1}"):
        sampler.sample([Prompt.from_text("cup " * CONTEXT)], 1, Decoding(max_new_tokens=4))


class Counting:
    """A Sampler that says 1, 2, 3, ... to every prompt."""

    def sample(self, prompts: Sequence[Prompt], n: int, decoding: Decoding) -> list[list[Completion]]:
        return [[Completion(text=str(i + 1)) for i in range(n)] for _ in prompts]


class Near:
    """A Scorer that likes numbers near its target."""

    def __init__(self, target: int) -> None:
        self.target = target

    def score(self, prompts: Sequence[Prompt], completions: Sequence[Sequence[Completion]]) -> list[list[float]]:
        return [[-abs(int(c.text) - self.target) for c in row] for row in completions]


def test_best_of_n_keeps_the_one_with_the_highest_score() -> None:
    best = BestOfN(Counting(), Near(6), n=4)
    [first, second] = best.sample(PROMPTS[:2], 3, Decoding(max_new_tokens=1))
    assert [c.text for c in first] == ["4", "6", "9"]  # of 1-4, 5-8, 9-12
    assert [dict(c.meta) for c in second] == [{"best_of": 4, "score": score} for score in (-2.0, 0.0, -3.0)]
    tied = BestOfN(Counting(), Near(2), n=3).sample(PROMPTS[:1], 1, Decoding(max_new_tokens=1))
    assert tied[0][0].text == "2"
    assert BestOfN(Counting(), Near(0), n=1).sample(PROMPTS[:1], 2, Decoding(max_new_tokens=1))[0][1].text == "2"
    with pytest.raises(ConfigError, match="n is 0"):
        BestOfN(Counting(), Near(0), n=0)
