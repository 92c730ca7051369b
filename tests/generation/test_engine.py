"""The engine against transformers' ``generate``, against the training forward, and against itself in other batches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor
from transformers import Gemma3TextConfig, MambaConfig, MistralConfig, PreTrainedModel
from transformers.models.auto.modeling_auto import AutoModelForCausalLM

from fakes import ARCHITECTURES, CONTEXT, EOS_ID, PAD_ID, VOCAB_SIZE, tiny_lm
from heed.errors import ConfigError, DataError, ModelError, NonFiniteError
from heed.generation.engine import Engine, Generated
from heed.roles import Decoding

SMALL: dict[str, Any] = {
    "vocab_size": VOCAB_SIZE,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 64,
    "sliding_window": 6,
}
LENGTHS = (7, 1, 3, 12, 3, 5, 20, 17)


def prompts(lengths: Sequence[int] = LENGTHS, seed: int = 1) -> list[list[int]]:
    random = np.random.default_rng(seed)
    return [random.integers(2, VOCAB_SIZE, length).tolist() for length in lengths]


def training_logits(model: PreTrainedModel, prompt: Sequence[int], answer: Sequence[int]) -> Tensor:
    """(len(answer), V): the training forward at each place that predicts a token of the answer."""
    with torch.no_grad():
        logits: Tensor = model(torch.tensor([[*prompt, *answer]])).logits[0]
    return logits[len(prompt) - 1 : -1]


def greedy_by_transformers(model: PreTrainedModel, prompt: Sequence[int], max_new_tokens: int) -> list[int]:
    ids = torch.tensor([prompt])
    output = model.generate(  # type: ignore[operator]
        ids,
        attention_mask=torch.ones_like(ids),
        do_sample=False,
        max_new_tokens=max_new_tokens,
        eos_token_id=EOS_ID,
        pad_token_id=PAD_ID,
    )
    answer: list[int] = output[0, len(prompt) :].tolist()
    return answer


def flat(answers: Sequence[Sequence[Generated]]) -> list[Generated]:
    return [answer for row in answers for answer in row]


def assert_same(found: Sequence[Sequence[Generated]], expected: Sequence[Sequence[Generated]]) -> None:
    assert [len(row) for row in found] == [len(row) for row in expected]
    for one, other in zip(flat(found), flat(expected), strict=True):
        assert (one.token_ids, one.stop) == (other.token_ids, other.stop)
        np.testing.assert_allclose(one.logprobs, other.logprobs, atol=1e-5)


def with_eos_likely(model: PreTrainedModel, bias: float = 4.0) -> PreTrainedModel:
    """Adds ``bias`` to the logit of EOS, so that answers end at many lengths."""

    def raise_eos(module: Any, args: Any, logits: Tensor) -> Tensor:
        return logits + bias * (torch.arange(logits.shape[-1]) == EOS_ID)

    model.get_output_embeddings().register_forward_hook(raise_eos)  # type: ignore[no-untyped-call]
    return model


class Forwards:
    """Counts what goes through a model."""

    def __init__(self, model: PreTrainedModel) -> None:
        self.prefilled: list[tuple[int, ...]] = []
        self.steps: list[int] = []
        model.get_input_embeddings().register_forward_pre_hook(self._count)  # type: ignore[no-untyped-call]

    def _count(self, module: Any, args: Any) -> None:
        (ids,) = args
        if ids.dim() == 2 and ids.shape[1] > 1:
            self.prefilled.append(tuple(ids.shape))
        else:
            self.steps.append(len(ids))


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_greedy_equals_transformers_token_for_token(architecture: str) -> None:
    model = tiny_lm(architecture)
    asked = prompts()
    answers = Engine(model, eos_id=EOS_ID, max_slots=3).generate(asked, 1, Decoding(max_new_tokens=24, temperature=0))
    assert [a.token_ids for [a] in answers] == [greedy_by_transformers(model, prompt, 24) for prompt in asked]


@pytest.mark.parametrize("architecture", ["llama", "gpt2"])
def test_greedy_equals_transformers_with_answers_that_end(architecture: str) -> None:
    model = with_eos_likely(tiny_lm(architecture), 2.5)
    asked = prompts(range(1, 33))
    answers = Engine(model, eos_id=EOS_ID, max_slots=5).generate(asked, 1, Decoding(max_new_tokens=30, temperature=0))
    assert [a.token_ids for [a] in answers] == [greedy_by_transformers(model, prompt, 30) for prompt in asked]
    assert len({len(a.token_ids) for [a] in answers}) > 3  # the test is of retirement, too


@pytest.mark.parametrize(
    "config",
    [
        MistralConfig(**SMALL),
        Gemma3TextConfig(**SMALL, head_dim=8, layer_types=["sliding_attention", "full_attention"]),
    ],
    ids=["every layer", "one layer of two"],
)
def test_greedy_equals_transformers_with_sliding_windows(config: Any) -> None:
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(config)  # type: ignore[no-untyped-call]
    for parameter in model.parameters():
        if parameter.dim() > 1:
            torch.nn.init.normal_(parameter, std=0.3)
    asked = prompts((3, 9, 14))
    answers = Engine(model, eos_id=EOS_ID).generate(asked, 1, Decoding(max_new_tokens=24, temperature=0))
    model.eval()
    assert [a.token_ids for [a] in answers] == [greedy_by_transformers(model, prompt, 24) for prompt in asked]


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("temperature", [1.0, 0.0])
def test_logprobs_equal_the_training_forward(architecture: str, temperature: float) -> None:
    model = tiny_lm(architecture)
    asked = prompts()
    decoding = Decoding(max_new_tokens=24, temperature=temperature, seed=5)
    for prompt, answers in zip(asked, Engine(model, eos_id=EOS_ID).generate(asked, 3, decoding), strict=True):
        for answer in answers:
            expected = training_logits(model, prompt, answer.token_ids).log_softmax(-1)
            chosen = expected.gather(1, torch.tensor(answer.token_ids)[:, None])[:, 0]
            torch.testing.assert_close(torch.tensor(answer.logprobs), chosen, atol=1e-4, rtol=0)


def logprob_by_hand(logits: Sequence[float], token: int, decoding: Decoding) -> float:
    """Log-probability of ``token`` when tokens are drawn as ``decoding`` says, worked out one token at a time."""
    tempered = np.array(logits, dtype=np.float64) / decoding.temperature
    order = sorted(range(len(tempered)), key=lambda i: -tempered[i])[: decoding.top_k or None]
    weights = {i: float(np.exp(tempered[i] - tempered[order[0]])) for i in order}
    total, kept, mass = sum(weights.values()), [], 0.0
    for i in order:
        if mass >= decoding.top_p:
            break
        kept.append(i)
        mass += weights[i] / total
    assert token in kept
    return float(np.log(weights[token] / sum(weights[i] for i in kept)))


@pytest.mark.parametrize(
    ("temperature", "top_k", "top_p"), [(0.7, 0, 1.0), (1.5, 6, 1.0), (1.0, 0, 0.8), (0.8, 9, 0.6)]
)
def test_logprobs_are_those_of_the_distribution_really_sampled(temperature: float, top_k: int, top_p: float) -> None:
    model = tiny_lm()
    asked = prompts((4, 9, 2))
    decoding = Decoding(max_new_tokens=20, temperature=temperature, top_k=top_k, top_p=top_p, seed=2)
    for prompt, answers in zip(asked, Engine(model, eos_id=EOS_ID).generate(asked, 2, decoding), strict=True):
        for answer in answers:
            logits = training_logits(model, prompt, answer.token_ids).tolist()
            expected = [logprob_by_hand(*pair, decoding) for pair in zip(logits, answer.token_ids, strict=True)]
            np.testing.assert_allclose(answer.logprobs, expected, atol=1e-4)


def test_samples_follow_the_distribution() -> None:
    """4000 first tokens of one prompt against the softmax of its logits, by chi-square."""
    model = tiny_lm()
    [prompt] = prompts((6,))
    [answers] = Engine(model, eos_id=EOS_ID, max_slots=512).generate([prompt], 4000, Decoding(max_new_tokens=1, seed=7))
    probs = training_logits(model, prompt, [2])[0].double().softmax(-1).numpy()
    counts = np.bincount([answer.token_ids[0] for answer in answers], minlength=VOCAB_SIZE)
    frequent = probs * len(answers) >= 5
    observed = np.append(counts[frequent], counts[~frequent].sum())
    expected = np.append(probs[frequent], probs[~frequent].sum()) * len(answers)
    assert stats.chisquare(observed, expected).pvalue > 0.01


def test_answers_depend_on_nothing_but_prompt_and_seed() -> None:
    model = with_eos_likely(tiny_lm())
    asked = prompts(range(1, 25, 2))
    decoding = Decoding(max_new_tokens=16, seed=3)
    expected = Engine(model, eos_id=EOS_ID, max_slots=64).generate(asked, 3, decoding)
    for max_slots in (1, 3, 16):
        assert_same(Engine(model, eos_id=EOS_ID, max_slots=max_slots).generate(asked, 3, decoding), expected)
    order = np.random.default_rng(0).permutation(len(asked)).tolist()
    shuffled = Engine(model, eos_id=EOS_ID, max_slots=10).generate([asked[i] for i in order], 3, decoding)
    assert_same(shuffled, [expected[i] for i in order])
    fewer = Engine(model, eos_id=EOS_ID).generate(asked[:5], 2, decoding)
    assert_same(fewer, [answers[:2] for answers in expected[:5]])
    other_seed = Engine(model, eos_id=EOS_ID).generate(asked, 3, replace(decoding, seed=4))
    assert other_seed != expected


def test_a_prompt_given_twice_gets_other_answers_and_keys_decide() -> None:
    engine = Engine(tiny_lm(), eos_id=EOS_ID)
    [prompt] = prompts((5,))
    decoding = Decoding(max_new_tokens=12)
    first, second = engine.generate([prompt, prompt], 1, decoding)
    assert first != second
    assert_same(engine.generate([prompt], 1, decoding), [first])
    same, other, again = engine.generate([prompt] * 3, 1, decoding, keys=[8, 9, 8])
    assert same == again
    assert same != other


def test_ended_answers_leave_and_others_take_their_slots() -> None:
    model = with_eos_likely(tiny_lm())
    forwards = Forwards(model)
    asked = prompts(range(2, 62))
    asked = [ids[:20] for ids in asked]
    answers = Engine(model, eos_id=EOS_ID, max_slots=16).generate(asked, 4, Decoding(max_new_tokens=40, seed=1))
    tokens = sum(len(answer.token_ids) for row in answers for answer in row)
    waves = 60 * 4 // 16 * 40  # steps if every wave of 16 waited for its longest answer
    assert len(forwards.steps) < waves / 3
    assert max(forwards.steps) == 16
    assert tokens <= sum(forwards.steps) < tokens * 1.3  # row-steps computed: few more than tokens wanted
    assert {answer.stop for row in answers for answer in row} == {"eos", "length"}


def test_a_prompt_is_computed_once_for_all_its_answers() -> None:
    model = tiny_lm()
    forwards = Forwards(model)
    Engine(model, eos_id=EOS_ID, max_slots=12).generate(prompts((17, 33)), 6, Decoding(max_new_tokens=2))
    assert forwards.prefilled == [(2, 32)]


def test_stop_reasons() -> None:
    model = with_eos_likely(tiny_lm(), 3.0)
    asked = prompts(range(1, 21))
    decoding = Decoding(max_new_tokens=16, seed=1)
    answers = flat(Engine(model, eos_id=EOS_ID).generate(asked, 4, decoding))
    for answer in answers:
        assert len(answer.logprobs) == len(answer.token_ids)
        assert EOS_ID not in answer.token_ids[:-1]
        assert (answer.stop == "eos") == (answer.token_ids[-1] == EOS_ID)
        assert answer.stop == "eos" or (answer.stop == "length" and len(answer.token_ids) == 16)
    assert {answer.stop for answer in answers} == {"eos", "length"}
    stop_ids = [answers[0].token_ids[0], answers[1].token_ids[0]]
    stopped = flat(Engine(model, eos_id=EOS_ID, stop_ids=stop_ids).generate(asked, 4, decoding))
    for answer, whole in zip(stopped, answers, strict=True):
        assert answer.token_ids == whole.token_ids[: len(answer.token_ids)]  # the same random numbers
        assert (answer.stop == "stop") == (answer.token_ids[-1] in stop_ids)
        assert not set(stop_ids) & set(answer.token_ids[:-1])


def test_a_caller_can_end_answers() -> None:
    def ends(ids: Sequence[int]) -> bool:
        return sum(ids) % 13 == 0

    model = tiny_lm()
    decoding = Decoding(max_new_tokens=20, seed=1)
    free = Engine(model, eos_id=EOS_ID).generate(prompts(), 2, decoding)
    ended = Engine(model, eos_id=EOS_ID, max_slots=3).generate(prompts(), 2, decoding, ends=ends)
    for whole, answer in zip(flat(free), flat(ended), strict=True):
        ids = whole.token_ids
        at = next((i for i in range(1, len(ids) + 1) if ids[i - 1] != EOS_ID and ends(ids[:i])), None)
        assert answer == (whole if at is None else Generated(ids[:at], whole.logprobs[:at], "stop"))
    assert {answer.stop for answer in flat(ended)} > {"stop"}


def test_no_end_before_min_new_tokens() -> None:
    model = with_eos_likely(tiny_lm(), 8.0)
    asked = prompts()
    decoding = Decoding(max_new_tokens=12, min_new_tokens=5, seed=1)
    for prompt, answers in zip(asked, Engine(model, eos_id=EOS_ID).generate(asked, 3, decoding), strict=True):
        for answer in answers:
            assert len(answer.token_ids) >= 6  # five tokens and EOS, or more
            logits = training_logits(model, prompt, answer.token_ids)
            logits[:5, EOS_ID] = -torch.inf
            chosen = logits.log_softmax(-1).gather(1, torch.tensor(answer.token_ids)[:, None])[:, 0]
            torch.testing.assert_close(torch.tensor(answer.logprobs), chosen, atol=1e-4, rtol=0)


@pytest.mark.parametrize("architecture", ["llama", "gpt2"])
def test_answers_end_where_the_context_does(architecture: str) -> None:
    model = tiny_lm(architecture)
    asked = prompts((CONTEXT - 1, CONTEXT - 5, 3))
    answers = Engine(model, eos_id=EOS_ID).generate(asked, 2, Decoding(max_new_tokens=30, seed=1))
    assert [{len(a.token_ids) for a in row if a.stop == "length"} for row in answers] == [{1}, {5}, {30}]
    shorter = Engine(model, eos_id=EOS_ID, context=10).generate(asked[2:], 1, Decoding(max_new_tokens=30, seed=1))
    assert shorter[0][0].token_ids == answers[2][0].token_ids[:7]


def test_prompts_without_room_or_tokens_are_refused() -> None:
    engine = Engine(tiny_lm(), eos_id=EOS_ID)
    decoding = Decoding(max_new_tokens=4)
    with pytest.raises(DataError, match=f"prompt 1 has {CONTEXT} tokens.*context of {CONTEXT}"):
        engine.generate(prompts((3, CONTEXT)), 1, decoding)
    with pytest.raises(DataError, match="prompt 0 has no tokens"):
        engine.generate([[]], 1, decoding)
    with pytest.raises(ConfigError, match="tokens, not text"):
        engine.generate(prompts(), 1, replace(decoding, stop=("end",)))
    assert engine.generate([], 3, decoding) == []
    assert engine.generate(prompts((3, 4)), 0, decoding) == [[], []]


@pytest.mark.parametrize("temperature", [0.0, 1.0])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_damaged_weights_are_an_error(temperature: float, value: float) -> None:
    model = tiny_lm()
    model.get_output_embeddings().weight.data[7] = value  # type: ignore[no-untyped-call]
    with pytest.raises(NonFiniteError, match="NaN or infinite"):
        Engine(model, eos_id=EOS_ID).generate(prompts(), 2, Decoding(max_new_tokens=4, temperature=temperature))


def test_the_model_is_left_in_its_mode_and_sampled_without_dropout() -> None:
    model = tiny_lm("gpt2")
    expected = Engine(model, eos_id=EOS_ID).generate(prompts(), 1, Decoding(max_new_tokens=8))
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.9
    model.train()
    assert_same(Engine(model, eos_id=EOS_ID).generate(prompts(), 1, Decoding(max_new_tokens=8)), expected)
    assert model.training
    model(torch.tensor([[2, 3]])).logits.sum().backward()  # nothing of inference mode is left in the model


def test_models_that_cannot_share_a_batch_are_refused() -> None:
    mamba = AutoModelForCausalLM.from_config(  # type: ignore[no-untyped-call]
        MambaConfig(vocab_size=20, hidden_size=8, num_hidden_layers=1, state_size=2)
    )
    with pytest.raises(ModelError, match=r"MambaForCausalLM.*OpenAI-compatible server"):
        Engine(mamba, eos_id=0)
    flash = tiny_lm()
    flash.config._attn_implementation = "flash_attention_2"
    with pytest.raises(ModelError, match=r"expected attn_implementation='sdpa'"):
        Engine(flash, eos_id=0)
    with pytest.raises(ConfigError, match="max_slots is 0"):
        Engine(tiny_lm(), eos_id=0, max_slots=0)
