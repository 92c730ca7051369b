"""The step, the schedules and what a checkpoint is made of, by hand."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from torch import nn

from heed.errors import NonFiniteError
from heed.training.schedule import KLController, cosine, warm_up
from heed.training.state import BestWeights, Checkpointer, Memory, WeightAverage, checksum
from heed.training.step import Tally, Update, gradient_norm, make_optimizer, take_step
from heed.training.weights import Weights
from training_fakes import make_run


def test_cosine_ends_at_a_tenth() -> None:
    assert cosine(0, 11, 2.0) == 2.0
    assert cosine(5, 11, 2.0) == pytest.approx(2.0 * 0.55)
    assert cosine(10, 11, 2.0) == pytest.approx(0.2)
    assert cosine(0, 1, 2.0) == 2.0
    assert [cosine(step, 100, 3.0, warmup_steps=2) for step in range(3)] == pytest.approx([1.0, 2.0, 3.0])


def test_warm_up_is_linear_from_a_tenth_over_ten_iterations() -> None:
    rates = [warm_up(iteration, 1.0) for iteration in (0, 1, 5, 10, 11, 500)]
    assert rates == pytest.approx([0.1, 0.19, 0.55, 1.0, 1.0, 1.0])


def test_the_kl_coefficient_is_fixed_or_follows_its_target() -> None:
    fixed = KLController(0.2, None)
    fixed.update(100.0, 512)
    assert fixed.coef == 0.2
    adaptive = KLController(0.2, 6.0)
    adaptive.update(6.6, 500)  # error .1
    assert adaptive.coef == pytest.approx(0.2 * 1.005)
    adaptive.update(0.0, 500)  # error clipped at -.2
    assert adaptive.coef == pytest.approx(0.2 * 1.005 * 0.99)
    other = KLController(0.5, 6.0)
    other.load_state_dict(adaptive.state_dict())
    assert other.coef == adaptive.coef


def quadratic(model: nn.Linear) -> torch.Tensor:
    return 0.5 * (model.weight**2).sum()


def make_linear(value: float) -> nn.Linear:
    model = nn.Linear(1, 1, bias=False)
    nn.init.constant_(model.weight, value)
    return model


def update_of(model: nn.Linear, *losses: torch.Tensor, name: str = "model") -> Update:
    return Update(name=name, optimizer=make_optimizer(Weights(model, torch.float32)), losses=losses, learning_rate=0.1)


def test_a_step_by_hand() -> None:
    """The first step of Adam is the learning rate, against the gradient; the norm is that before clipping."""
    model = make_linear(3.0)
    [report] = take_step("a test", update_of(model, quadratic(model)))
    assert report.loss == 4.5 and report.grad_norm == 3.0
    assert float(model.weight.detach()) == pytest.approx(2.9)
    assert model.weight.grad is None


def test_pieces_of_a_loss_add_up() -> None:
    whole, pieces = make_linear(0.5), make_linear(0.5)
    [one] = take_step("a test", update_of(whole, quadratic(whole)))
    [three] = take_step("a test", update_of(pieces, *(quadratic(pieces) / 3 for _ in range(3))))
    assert three.loss == pytest.approx(one.loss) and three.grad_norm == pytest.approx(one.grad_norm)
    assert torch.allclose(whole.weight, pieces.weight)


@pytest.mark.parametrize("broken", [math.nan, math.inf])
def test_a_number_that_is_not_finite_stops_all_models_before_any_moves(broken: float) -> None:
    policy, value_model = make_linear(2.0), make_linear(2.0)
    good = update_of(policy, quadratic(policy), name="policy")
    bad = update_of(value_model, quadratic(value_model) * broken, name="value model")
    with pytest.raises(NonFiniteError, match=r"PPO iteration 7: the value model loss is (nan|inf).*not changed"):
        take_step("PPO iteration 7", good, bad)
    assert float(policy.weight.detach()) == 2.0 and float(value_model.weight.detach()) == 2.0
    assert policy.weight.grad is None and value_model.weight.grad is None


def test_a_gradient_that_is_not_finite_stops_although_the_loss_is() -> None:
    model = make_linear(0.0)
    with pytest.raises(NonFiniteError, match="the model loss is 0 and its gradient norm"):
        take_step("a test", update_of(model, model.weight.abs().sqrt().sum()))
    assert float(model.weight.detach()) == 0.0


def test_the_norm_of_a_gradient_leaves_nothing_behind() -> None:
    model = make_linear(3.0)
    optimizer = make_optimizer(Weights(model, torch.float32))
    assert gradient_norm(optimizer, [quadratic(model), quadratic(model)]) == 6.0
    assert model.weight.grad is None and float(model.weight.detach()) == 3.0


def test_a_tally_adds_and_keeps_extremes() -> None:
    tally = Tally()
    for value in (2.0, -1.0, 5.0):
        tally.add("sum", value)
        tally.least("least", value)
        tally.most("most", torch.tensor(value))
    assert tally.figures == {"sum": 6.0, "least": -1.0, "most": 5.0}
    assert tally["never"] == 0.0


def test_the_weight_average_is_the_corrected_exponential_one() -> None:
    model = make_linear(100.0)
    average = WeightAverage(model, decay=0.5)
    values = [1.0, 2.0, 4.0]
    for value in values:
        nn.init.constant_(model.weight, value)
        average.update()
    expected = (0.125 * 1 + 0.25 * 2 + 0.5 * 4) / (1 - 0.5**3)  # the initial 100 has no part in it
    assert float(average.average["weight"]) == pytest.approx(expected)


def test_the_best_weights_come_back() -> None:
    model, best = make_linear(0.0), BestWeights()
    best.put_into(model)
    for at, (value, score) in enumerate([(1.0, 0.1), (2.0, 0.7), (3.0, 0.7)]):
        nn.init.constant_(model.weight, value)
        best.consider(score, at, model)
    best.put_into(model)
    assert float(model.weight.detach()) == 2.0 and best.at == 1 and best.score == 0.7


def test_a_checkpoint_is_due_after_so_many_steps(tmp_path: Path) -> None:
    run = make_run(tmp_path, checkpoint_every=5)
    memory = Memory(value=0)
    checkpoint = Checkpointer(run, {"memory": memory}, "a")
    assert checkpoint.restore() == 0
    for done in range(1, 9):
        memory["value"] = done
        run.metrics.log(done, {"value": done})
        checkpoint.after(done, steps_each=2)
    other = Memory()
    assert Checkpointer(run, {"memory": other}, "a").restore() == 6
    assert other == {"value": 6}
    assert run.metrics.path.read_text().count("\n") == 6, "lines after the checkpoint will be written again"


def test_checkpoints_that_take_long_are_further_apart(tmp_path: Path) -> None:
    now = 0.0

    class Slow(Memory):
        def state_dict(self) -> dict[str, object]:
            nonlocal now
            now += 3.0  # seconds to save
            return dict(self)

    saved = []
    checkpoint = Checkpointer(make_run(tmp_path, checkpoint_every=1), {"memory": Slow()}, "a", clock=lambda: now)
    for done in range(1, 12):
        now += 10.0
        before = now
        checkpoint.after(done, last=done == 11)
        saved += [done] if now > before else []
    assert saved == [1, 7, 11], "sixty seconds between them, and one at the end"


def test_a_run_without_a_checkpoint_forgets_its_log(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    run.metrics.log(0, {"value": 1})
    assert Checkpointer(run, {}, "a").restore() == 0
    assert run.metrics.path.read_text() == ""


def test_checksums_see_every_bit() -> None:
    tensor = torch.arange(6.0).view(2, 3)
    assert checksum(tensor) == checksum(tensor.clone())
    assert checksum(tensor) != checksum(tensor.nextafter(torch.tensor(math.inf)))
    assert checksum(torch.tensor(1.0)) != checksum(torch.tensor(2.0))
    assert checksum(torch.empty(0)) == 0
