from __future__ import annotations

import ast
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from heed.config import PPOConfig, RunConfig, Settings, config_hash, flatten, override, parse
from heed.errors import ConfigError, nearest
from heed.roles import Decoding

SOURCE = Path(__file__).parent.parent / "src" / "heed"


def sections(kind: type[Settings]) -> list[type[Settings]]:
    inner = [field.annotation for field in kind.model_fields.values()]
    return [kind, *(c for a in inner if isinstance(a, type) and issubclass(a, Settings) for c in sections(a))]


def test_a_setting_is_changed_and_nothing_else() -> None:
    config = RunConfig()
    changed = override(config, ["ppo.kl_coef=0.05", "seed=3", "base=models/mine", "ppo.ptx_coef=auto"])
    assert (changed.ppo.kl_coef, changed.seed, changed.base, changed.ppo.ptx_coef) == (0.05, 3, "models/mine", "auto")
    before, after = dict(flatten(config)), dict(flatten(changed))
    assert {name for name in before if before[name] != after[name]} == {"ppo.kl_coef", "seed", "base", "ppo.ptx_coef"}
    assert config == RunConfig()


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("ppo.kl_cof=1", "--set ppo.kl_cof=1: there is no setting 'ppo.kl_cof'. Did you mean 'ppo.kl_coef'?"),
        ("kl_coef=1", "--set kl_coef=1: there is no setting 'kl_coef'. Did you mean 'ppo.kl_coef'?"),
        ("seed", "--set seed: expected NAME=VALUE, such as ppo.kl_coef=0.05"),
        ("ppo=1", "--set ppo=1: there is no setting 'ppo'."),
        ("seed=-1", "--set: seed is -1: input should be greater than or equal to 0"),
        ("seed=soon", "--set: seed is 'soon': input should be a valid integer, unable to parse string as an integer"),
        (
            "sft.epochs=1.5",
            "--set: sft.epochs is 1.5: input should be a valid integer, got a number with a fractional part",
        ),
        ("ppo.gae_lambda=2", "--set: ppo.gae_lambda is 2: input should be less than or equal to 1"),
        ("reward.learning_rate=0", "--set: reward.learning_rate is 0: input should be greater than 0"),
        ("sft.learning_rate=NaN", "--set: sft.learning_rate is nan: input should be a finite number"),
    ],
)
def test_a_mistake_is_named_with_its_value(assignment: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        override(RunConfig(), [assignment])
    assert str(caught.value).startswith(message)


def test_an_unknown_name_in_a_file_is_refused_with_the_nearest_one() -> None:
    with pytest.raises(ConfigError) as caught:
        parse(RunConfig, {"ppo": {"clip_rang": 0.3}}, where="config.json")
    assert str(caught.value) == "config.json: there is no setting 'ppo.clip_rang'. Did you mean 'ppo.clip_range'?"


def test_settings_cannot_be_changed_in_place() -> None:
    with pytest.raises(ValidationError):
        RunConfig().seed = 1  # type: ignore[misc]


def test_equal_settings_have_equal_hashes_and_others_do_not() -> None:
    assert config_hash(RunConfig()) == config_hash(override(RunConfig(), ["seed=0"]))
    assert config_hash(RunConfig()) != config_hash(override(RunConfig(), ["seed=1"]))


@given(
    st.floats(0, 10, allow_nan=False), st.integers(0, 10**9), st.one_of(st.none(), st.floats(0.1, 50, allow_nan=False))
)
def test_saved_settings_read_back_equal(kl_coef: float, seed: int, target: float | None) -> None:
    config = RunConfig(seed=seed, ppo=PPOConfig(kl_coef=kl_coef, kl_target=target))
    assert parse(RunConfig, config.model_dump(mode="json"), where="test") == config
    assert config_hash(parse(RunConfig, config.model_dump(mode="json"), where="test")) == config_hash(config)


def test_there_are_few_settings() -> None:
    assert len(list(flatten(RunConfig()))) <= 55


def test_every_setting_is_used() -> None:
    """A knob that turns nothing is worse than none."""
    read = {
        node.attr
        for path in SOURCE.rglob("*.py")
        if path.name != "config.py"
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute)
    }
    unused = [name for name, _ in flatten(RunConfig()) if name.rsplit(".", 1)[-1] not in read]
    assert not unused, f"settings that nothing reads: {', '.join(unused)}"


def test_every_section_says_what_it_is() -> None:
    assert all(kind.__doc__ for kind in sections(RunConfig))


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"max_new_tokens": 0}, "max_new_tokens is 0, expected at least 1"),
        ({"temperature": -0.1}, "temperature is -0.1, expected 0 (greedy) or more"),
        ({"top_p": 0.0}, "top_p is 0.0, expected more than 0 and at most 1"),
        ({"top_k": -1}, "top_k is -1 and min_new_tokens is 0, expected top_k >= 0 and 0 <= min_new_tokens"),
        ({"min_new_tokens": 9}, "top_k is 0 and min_new_tokens is 9, expected top_k >= 0 and 0 <= min_new_tokens"),
    ],
)
def test_impossible_decoding_is_refused(fields: dict[str, float], complaint: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Decoding(**{"max_new_tokens": 8, **fields})  # type: ignore[arg-type]
    assert str(caught.value).startswith(complaint)


def test_no_suggestion_is_better_than_a_far_one() -> None:
    assert nearest("zebra", ["kl_coef", "seed"]) == ""
