"""Predictions: time and memory on a machine given by hand, the order of stages, what to change, and the command."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from heed.cli.app import main
from heed.config import RunConfig, config_hash, override
from heed.errors import ConfigError
from heed.planning.calibration import _read, affordable, measured_machine, no_slower
from heed.planning.costs import Work
from heed.planning.loads import Held, Load
from heed.planning.machines import GPUS, Machine, Speed, find_gpu, from_data_sheet
from heed.planning.planner import Place, plan
from heed.planning.prediction import StagePrediction, predict_stage, schedule
from heed.planning.shapes import shape_of
from heed.recipes import find

EVEN = Speed(flops=100.0, attention_flops=50.0, head_flops=10.0, launch_seconds=0.5, table_seconds=0.25)

SMALL = (
    "model.hidden_size=16",
    "model.num_layers=1",
    "model.num_heads=2",
    "pretrain.tokens=30000",
    "labeling.num_demonstrations=60",
    "labeling.num_ranked_prompts=40",
    "ppo.iterations=2",
    "ppo.prompts_per_round=16",
    "ppo.minibatch=8",
    "evaluation.num_prompts=24",
)


def tiny(*more: str) -> RunConfig:
    return override(find("sandbox").config(), [*SMALL, *more])


def machine(**changes: object) -> Machine:
    made = Machine(
        name="by hand",
        measured=True,
        dtype="float32",
        threads=1,
        memory=2.0**34,
        bandwidth=1000.0,
        peak_flops=200.0,
        train=EVEN,
        forward=EVEN,
        decode=EVEN,
        update=EVEN,
        process_bytes=0.0,
        chunk_numbers=2**18,
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def stage(name: str, seconds: float, *after: str, alone: bool = False, size: float = 1.0) -> StagePrediction:
    return StagePrediction(
        name=name,
        title=name,
        after=after,
        alone=alone,
        perhaps=False,
        tokens=0,
        flops=0,
        seconds=seconds,
        peak_bytes=size,
        parts=(),
        held={},
    )


def test_a_work_takes_its_operations_or_its_bytes_and_its_kernels() -> None:
    work = Work(kind="train", linear_flops=200, attention_flops=100, head_flops=10, attended=4, launches=2)
    assert machine().seconds(work) == 2 + 2 + 1 + 1 + 1  # the last two: tables of attention, kernels
    assert machine().seconds(Work(kind="update", bytes=5000, launches=2)) == 5 + 1
    assert machine().seconds(Work(kind="decode", linear_flops=200, bytes=5000)) == 5


def test_what_is_held_in_turn_counts_once() -> None:
    """Weights stay; then the larger of an update (4 + 5), sampling (6 + 2) and a checkpoint (7)."""
    sizes = {"weights": 1, "gradients": 4, "activations": 5, "checkpoint": 7}
    sizes |= {"cache of answers": 6, "weights packed for sampling": 2}
    load = Load(
        name="ppo",
        title="PPO",
        after=(),
        alone=False,
        perhaps=False,
        in_float32=False,
        tokens=0,
        parts=(),
        held=tuple(Held(name=name, bytes=size, on_host=name.startswith("weights p")) for name, size in sizes.items()),
    )
    assert predict_stage(load, machine()).peak_bytes == machine().process_bytes + 1 + 9
    sampling = replace(load, held=tuple(one for one in load.held if one.name != "activations"))
    assert predict_stage(sampling, machine()).peak_bytes == machine().process_bytes + 1 + 8
    assert predict_stage(sampling, from_data_sheet("H200")).peak_bytes == 1 + 7  # nothing is packed on a GPU


def test_stages_start_as_soon_as_there_is_room_and_those_before_are_done() -> None:
    listed = [
        stage("a", 4, alone=True, size=3),
        stage("b", 5, "a", size=2),
        stage("c", 2, "a", size=2),
        stage("d", 1, "c", size=7),
        stage("e", 1, "b", "d", alone=True),
    ]
    assert schedule(listed, 1) == (13, 7)
    assert schedule(listed, 2) == (10, 9)  # d runs beside b, at the most 7 + 2


def test_gpus_are_found_whatever_the_hyphens() -> None:
    assert find_gpu("nvidia h200")[0] == "H200" and find_gpu("rtx4090")[0] == "RTX-4090"
    assert find_gpu("A100-80GB")[0] == "A100-80"
    with pytest.raises(ConfigError, match=r"no data sheet of a GPU 'H20'; known are .* Did you mean 'H200'\?"):
        find_gpu("H20")
    with pytest.raises(ConfigError, match="T4 has no bfloat16; plan for it with --dtype float32"):
        from_data_sheet("T4")
    for name, sheet in GPUS.items():
        assert sheet.half_tflops > sheet.float32_tflops and sheet.memory_gb >= 16, name


def test_a_gpu_from_its_data_sheet_is_arithmetic() -> None:
    gpu = from_data_sheet("H200")
    work = Work(kind="train", linear_flops=0.35 * 989e12)
    assert gpu.seconds(work) == pytest.approx(1.0) and not gpu.measured
    assert gpu.seconds(Work(kind="decode", bytes=0.6 * 4800e9)) == pytest.approx(1.0)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    return Place(cores=1, side_by_side=1, memory=2.0**34, cache=tmp_path_factory.mktemp("cache"))


def test_a_plan_names_every_stage_of_the_run(place: Place) -> None:
    config = tiny()
    found = plan(config, place)
    names = [one.name for one in found.stages]
    assert names[:5] == ["text", "collect", "base-start", "base", "sft"] and names[-1] == "evaluate"
    assert found.fits and not found.remedy and found.config_hash == config_hash(config)
    assert all(one.seconds > 0 and one.peak_bytes > 2**20 for one in found.stages)
    assert found.seconds == pytest.approx(sum(one.seconds for one in found.stages))
    assert found.seconds_at_least == pytest.approx(found.seconds - found.stages[3].seconds)
    pretraining = found.stages[2]
    assert pretraining.tokens == 30_000 // 1024 * 1024, "29 steps of eight rows of 128 tokens"


def test_twice_the_iterations_take_twice_the_rounds(place: Place) -> None:
    once, twice = (plan(tiny(f"ppo.iterations={count}"), place) for count in (10, 20))
    for before, after in zip(once.stages, twice.stages, strict=True):
        parts, more = ({part.name: part.seconds for part in one.parts} for one in (before, after))
        if before.name == "ppo-ptx":
            for name in ("rollout", "score", "ask", "update", "value", "ptx", "optimizer"):
                assert more[name] == pytest.approx(2 * parts[name]), name
            assert set(parts) >= {"rollout", "score", "ask", "check", "update", "value", "ptx", "optimizer", "watch"}
        if before.name == "ppo":
            assert "ptx" not in parts, "that control has no pretraining mix"


def test_checkpointing_and_adapters_take_less_memory(place: Place) -> None:
    wide = ("model.hidden_size=512", "model.num_layers=12", "model.num_heads=8")
    gpu = replace(place, gpu="A10")
    usual, again, adapters = (
        {one.name: one for one in plan(tiny(*wide, *more), gpu).stages}
        for more in ((), ("activation_checkpointing=true",), ("lora.rank=8",))
    )
    for name in ("sft", "reward", "ppo-ptx"):
        assert again[name].peak_bytes < usual[name].peak_bytes and again[name].seconds > usual[name].seconds
        assert adapters[name].peak_bytes < 0.75 * usual[name].peak_bytes
        assert adapters[name].held["gradients"] < 0.05 * usual[name].held["gradients"]
    assert "reference" in usual["ppo-ptx"].held and "reference" not in adapters["ppo-ptx"].held
    assert adapters["base-start"].peak_bytes == usual["base-start"].peak_bytes, "pretraining has no adapter"


def test_what_does_not_fit_comes_with_the_first_change_that_does(place: Place) -> None:
    size = ("model.hidden_size=1024", "model.num_layers=24", "model.num_heads=16", "model.context=512")
    config = tiny(*size, "pretrain.minibatch=64")
    small = replace(place, gpu="A10")
    found = plan(config, small)
    assert not found.fits and found.needed_bytes > found.machine.memory
    assert found.remedy.startswith("with --set microbatch="), found.remedy
    advised = [word for word in found.remedy.split() if "=" in word]
    assert len(advised) == 1, "one change is enough"
    assert plan(override(config, advised), small).fits
    larger = [f"microbatch={2 * int(advised[0].partition('=')[2])}"]
    assert not plan(override(config, larger), small).fits, "and it is the first one that is"
    assert plan(config, replace(place, gpu="H200")).fits


def test_what_fits_nowhere_says_why_and_where_it_would(place: Place) -> None:
    config = tiny("model.hidden_size=2048", "model.num_layers=24", "model.num_heads=16")
    found = plan(config, replace(place, gpu="T4"))
    assert not found.fits
    assert "the stage 'Evaluation' then still takes" in found.remedy and "H200" in found.remedy


def test_what_was_measured_is_remembered_and_measured_again_only_when_asked(tmp_path: Path) -> None:
    shape = shape_of(tiny().model)
    settings = {"dtype": "float32", "threads": 1, "cache": tmp_path}
    first = measured_machine(shape, memory=1.0, **settings)  # type: ignore[arg-type]
    again = measured_machine(replace(shape, layers=7), memory=2.0, **settings)  # type: ignore[arg-type]
    assert again == replace(first, memory=2.0), "rates do not depend on the number of layers"
    assert len(list(tmp_path.iterdir())) == 1
    [path] = tmp_path.iterdir()
    path.write_text('{"name": 3}')
    assert _read(path) is None, "a file of another form is measured again"
    assert all(value > 0 for value in (first.bandwidth, first.peak_flops, first.train.flops, first.decode.flops))


def test_more_threads_are_never_taken_for_slower_than_one() -> None:
    hindered = machine(threads=2, train=replace(EVEN, flops=1.0, launch_seconds=9.0), peak_flops=500.0)
    found = no_slower(hindered, machine())
    assert (found.threads, found.train, found.peak_flops) == (2, EVEN, 500.0)


def test_large_models_are_measured_in_part() -> None:
    shape = replace(shape_of(tiny().model), hidden=4096, layers=32, heads=32, head_size=128, mlp=11_008, vocab=32_000)
    config, tokens = affordable(shape, peak=1e11)
    assert (config.hidden_size, config.num_layers, tokens) == (4096, 1, 128) and config.vocab_size == 8192
    config, tokens = affordable(shape_of(tiny().model), peak=1e11)
    assert (config.num_layers, tokens) == (1, 1024)


def test_the_command_prints_what_a_script_can_read(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    settings = [argument for one in SMALL for argument in ("--set", one)]
    with pytest.raises(SystemExit) as ended:
        main(["plan", "sandbox", *settings, "--gpu", "H200", "--dtype", "bfloat16", "--json"])
    assert not ended.value.code
    document = json.loads(capsys.readouterr().out)
    assert document["machine"]["measured"] is False and document["fits"] is True
    assert {"name", "tokens", "gflop", "seconds", "peak_mib", "parts", "memory_mib"} <= document["stages"][4].keys()
    assert not (tmp_path / "heed").exists(), "arithmetic leaves nothing behind"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["sandbox", "--gpu", "H1000"], "there is no data sheet of a GPU 'H1000'"),
        (["sandbox", "--dtype", "float64"], "dtype is 'float64', expected one of"),
        (["sandbx"], "there is no recipe 'sandbx'"),
        (["labels", "--set", "base=x"], "heed plan knows the recipes sandbox and real, not labels"),
        (["real"], "heed run real reads a directory of data sets"),
        (["sandbox", "--set", "base=/nowhere"], "cannot"),
    ],
)
def test_mistakes_are_said_in_one_sentence(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["plan", *arguments])
    assert ended.value.code == 2
    assert message in capsys.readouterr().err
