"""Operations, bytes and parameters: by hand, and against what PyTorch counts on real models."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from heed.config import ModelConfig
from heed.data.batches import EncodedGroup, Example, make_group_batch, make_row_batch, make_sequence_batch
from heed.errors import ConfigError
from heed.models.forward import last_states, lm_loss_sum, response_logprobs, token_states
from heed.models.loading import build_causal_lm
from heed.planning import memory
from heed.planning.batches import example_passes, group_passes, rows_passes, sampling
from heed.planning.costs import (
    Pass,
    attention_flops,
    cache_bytes,
    decode_work,
    forward_work,
    head_flops,
    linear_flops,
    train_work,
    update_work,
)
from heed.planning.shapes import ModelShape, read_shape, shape_of

SMALL = ModelConfig(hidden_size=32, num_layers=3, num_heads=4, vocab_size=300, context=64)


def model_of(config: ModelConfig) -> torch.nn.Module:
    return build_causal_lm(config, eos_id=0, pad_id=1, vocab_size=config.vocab_size, seed=0)


def hand_made() -> ModelShape:
    """One layer of two heads of 4, one of keys; an MLP of 10; seven tokens."""
    return ModelShape(
        family="llama",
        hidden=8,
        layers=1,
        heads=2,
        kv_heads=1,
        head_size=4,
        mlp=10,
        gated=True,
        vocab=7,
        positions=0,
        context=16,
        tied=False,
    )


@pytest.mark.parametrize("architecture", ["llama", "qwen3", "gpt2", "gpt_neox"])
def test_parameters_are_counted_without_building_the_model(architecture: str, tmp_path: Path) -> None:
    config = SMALL.model_copy(update={"architecture": architecture})
    model = model_of(config)
    real = sum(parameter.numel() for parameter in model.parameters())
    assert shape_of(config).parameters == real
    model.save_pretrained(tmp_path)  # type: ignore[operator]
    assert read_shape(str(tmp_path)).parameters == real


def test_a_large_model_has_the_parameters_that_its_card_says(tmp_path: Path) -> None:
    """Qwen3-0.6B: 596,049,920 with tied embeddings; Llama 3.2 1B: 1,235,814,400."""
    settings = {"num_hidden_layers": 28, "hidden_size": 1024, "num_attention_heads": 16, "num_key_value_heads": 8}
    settings |= {"head_dim": 128, "intermediate_size": 3072, "vocab_size": 151_936, "max_position_embeddings": 40_960}
    (tmp_path / "config.json").write_text(json.dumps(settings | {"model_type": "qwen3", "tie_word_embeddings": True}))
    assert read_shape(str(tmp_path)).parameters == 596_049_920
    settings = {"num_hidden_layers": 16, "hidden_size": 2048, "num_attention_heads": 32, "num_key_value_heads": 8}
    settings |= {"head_dim": 64, "intermediate_size": 8192, "vocab_size": 128_256, "max_position_embeddings": 131_072}
    (tmp_path / "config.json").write_text(json.dumps(settings | {"model_type": "llama", "tie_word_embeddings": True}))
    assert read_shape(str(tmp_path)).parameters == 1_235_814_400


def test_a_directory_without_sizes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"there is no .*config\.json; heed plan reads the sizes"):
        read_shape(str(tmp_path))
    (tmp_path / "config.json").write_text('{"model_type": "llama", "hidden_size": 8}')
    with pytest.raises(ConfigError, match="says no num_attention_heads or n_head"):
        read_shape(str(tmp_path))


def test_operations_by_hand() -> None:
    shape = hand_made()
    assert shape.layer_matrices == 8 * 8 + 2 * 8 * 4 + 8 * 8 + 3 * 8 * 10  # queries, keys and values, output, MLP
    assert shape.before_attention == 8 * 8 + 2 * 8 * 4
    assert linear_flops(shape, tokens=5, needed=5) == 2 * 5 * 432
    assert linear_flops(shape, tokens=5, needed=2) == 2 * (5 * 128 + 2 * 304)
    assert attention_flops(shape, pairs=15) == 15 * 2 * (2 * 4 + 2 * 4)
    assert head_flops(shape, 3) == 2 * 3 * 7 * 8
    assert cache_bytes(shape) == 2 * 4 * 4
    assert shape.parameters == 432 + 2 * 8 + 8 + 2 * 7 * 8
    one = Pass(tokens=64, pairs=64 * 65 // 2, targets=63, segments=1, answers=1)
    forward, train = forward_work(shape, one, "logprobs"), train_work(shape, one, "logprobs")
    assert train.linear_flops == 3 * forward.linear_flops and train.head_flops == 3 * forward.head_flops
    assert train.attention_flops == 3.5 * forward.attention_flops
    again = train_work(shape, one, "logprobs", checkpointing=True)
    assert again.linear_flops == 4 * forward.linear_flops and again.launches > train.launches
    assert train_work(shape, one, "scores").head_flops == 0
    assert update_work(shape, 100).bytes == 4000
    assert decode_work(shape, rows=3, width=16).bytes == 3 * 16 * 32 + 4 * (432 + 56)


@pytest.mark.parametrize("architecture", ["llama", "gpt2"])
def test_the_trunk_takes_the_operations_that_pytorch_counts(architecture: str) -> None:
    """All matrices and, in PyTorch's plain attention, all of its table."""
    config = SMALL.model_copy(update={"architecture": architecture})
    model, shape = model_of(config), shape_of(config)
    batch = make_row_batch(np.full((2, 32), 5))
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter, torch.no_grad():
        token_states(model, batch)  # type: ignore[arg-type]
    whole = linear_flops(shape, 64, 64) + attention_flops(shape, 2 * 32 * 32)
    assert counter.get_total_flops() == pytest.approx(whole, rel=0.02)


def test_training_takes_the_operations_that_pytorch_counts() -> None:
    model, shape = model_of(SMALL), shape_of(SMALL)
    batch = make_row_batch(np.full((2, 32), 5))
    [one] = rows_passes(2, 32, 8)
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        lm_loss_sum(model, batch).nll.backward()  # type: ignore[arg-type, no-untyped-call]
    work = train_work(shape, Pass(tokens=64, pairs=2 * 32 * 32, targets=62, segments=2, answers=2), "logprobs")
    in_place = head_flops(shape, 62)  # the counter does not see products that are added in place
    plain_attention = work.attention_flops * 3 / 3.5  # and PyTorch's plain attention keeps its table
    assert counter.get_total_flops() == pytest.approx(
        work.linear_flops + plain_attention + work.head_flops - in_place, rel=0.02
    )
    assert one.targets == 62 and one.pairs == 2 * 32 * 33 // 2


def test_what_only_answers_need_is_counted_for_answers_only() -> None:
    model, shape = model_of(SMALL), shape_of(SMALL)
    group = EncodedGroup(prompt_ids=[5] * 57, completion_ids=[[6] * 7])  # 64 tokens in one row
    batch = make_group_batch([group], pad_id=1)
    [one] = group_passes([(57, [7])], 64)
    for run, head in ((last_states, "scores"), (response_logprobs, "logprobs")):
        with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter, torch.no_grad():
            run(model, batch)  # type: ignore[operator]
        work = forward_work(shape, one, head)  # type: ignore[arg-type]
        table = attention_flops(shape, 64 * 64)
        assert counter.get_total_flops() == pytest.approx(work.linear_flops + work.head_flops + table, rel=0.02)


def test_batches_from_lengths_are_those_that_are_trained_on() -> None:
    groups = [(5, [3, 4, 6]), (9, [2, 2, 2]), (4, [8, 1, 5])]
    found = group_passes(groups, microbatch=6)
    assert [one.answers for one in found] == [6, 3]
    assert sum(one.tokens for one in found) == 5 + 13 + 9 + 6 + 4 + 14
    assert sum(one.targets for one in found) == 13 + 6 + 14
    assert all(one.keys >= one.queries >= one.tokens and one.buckets for one in found)
    [packed] = example_passes([(3, 4), (6, 2), (5, 5)], context=64, microbatch=8)
    assert (packed.tokens, packed.targets) == (25, 11)


def test_the_engine_s_steps_from_lengths() -> None:
    """Three slots: answers of 2, 4 and 1 tokens, then one of 3 in the first free slot once a quarter is free."""
    plan = sampling([5, 5, 6, 6], [2, 4, 1, 3], n=1, max_slots=3, max_new=4)
    assert len(plan.steps) == 4  # 3 rows; the third ends, the fourth begins; 3 rows; then as long as the longest
    assert plan.prefilled == ((3, 16), (1, 16)) and plan.slots == 8 and plan.capacity == 16
    shared = sampling([5], [1] * 6, n=6, max_slots=8, max_new=4)
    assert shared.prefilled == ((1, 16),), "a prompt is computed once for all its answers"


def saved_bytes(run: object, model: torch.nn.Module) -> float:
    """What autograd keeps, weights not counted."""
    weights = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}
    found: dict[int, int] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            found[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        kept = run()  # type: ignore[operator]
    del kept
    return float(sum(found.values()))


@pytest.mark.parametrize("width", [32, 96])
def test_activations_are_what_autograd_keeps(width: int) -> None:
    config = SMALL.model_copy(update={"hidden_size": width})
    model, shape = model_of(config), shape_of(config)
    batch = make_row_batch(np.full((4, 48), 5))
    [one] = rows_passes(4, 48, 8)
    real = saved_bytes(lambda: token_states(model, batch), model)  # type: ignore[arg-type]
    assert shape.layers * memory.layer_bytes(shape, one, 4) == pytest.approx(real, rel=0.12)
    lengths = (30, 33, 60, 64, 20, 40)
    examples = [Example(ids=[5] * length, loss_mask=[True] * length) for length in lengths]
    packed = make_sequence_batch(examples, [[0, 1], [2], [3], [4, 5]], 1)
    [one] = example_passes([(0, length) for length in lengths], context=64, microbatch=8)
    real = saved_bytes(lambda: token_states(model, packed), model)  # type: ignore[arg-type]
    assert shape.layers * memory.layer_bytes(shape, one, 4) == pytest.approx(real, rel=0.15)


def test_weights_gradients_and_moments_are_what_adam_holds() -> None:
    model, shape = model_of(SMALL), shape_of(SMALL)
    optimizer = torch.optim.Adam(model.parameters())
    lm_loss_sum(model, make_row_batch(np.full((2, 32), 5))).nll.backward()  # type: ignore[arg-type, no-untyped-call]
    optimizer.step()
    weights = sum(one.nbytes for one in model.parameters())
    gradients = sum(one.grad.nbytes for one in model.parameters() if one.grad is not None)
    moments = sum(value.nbytes for state in optimizer.state.values() for value in state.values() if value.dim())
    trained = memory.Trained(parameters=shape.parameters, moving=shape.parameters)
    assert memory.trained_bytes(trained, memory.Precision(narrow=False)) == weights + moments
    assert memory.gradient_bytes(trained) == gradients
    assert memory.trained_bytes(trained, memory.Precision(narrow=True)) == weights + moments + weights / 2
    adapters = memory.Trained(parameters=1100, moving=100)
    assert memory.trained_bytes(adapters, memory.Precision(narrow=True)) == 100 * (4 + 2 + 8) + 1000 * 2
