import copy
import json
from pathlib import Path

import pytest
import torch
from safetensors import SafetensorError
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer

from fakes import ARCHITECTURES, PAD_ID, random_groups, tiny_lm, tiny_reward_model, tiny_tokenizer
from heed.data.batches import make_group_batch
from heed.errors import DataError, ModelError, WorkspaceError
from heed.models import checkpoints
from heed.models.checkpoints import (
    load_policy,
    load_reward_model,
    load_value_model,
    model_kind,
    read_card,
    save_model,
)
from heed.models.forward import response_logprobs
from heed.models.loading import load_causal_lm
from heed.models.reward_model import RewardModel
from heed.models.value_model import ValueModel

CARD = {"parent": "base", "config": "0123", "metrics": {"loss": 1.5}}


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_transformers_opens_a_saved_reward_model_and_gives_equal_scores(architecture: str, tmp_path: Path) -> None:
    reward_model, groups = tiny_reward_model(architecture), random_groups()
    reward_model.zero_point, reward_model.temperature = 0.25, 1.7
    save_model(tmp_path / "rm", reward_model, tiny_tokenizer(), CARD)
    opened = AutoModelForSequenceClassification.from_pretrained(tmp_path / "rm", num_labels=1)
    rows = [[*group.prompt_ids, *ids] for group in groups for ids in group.completion_ids]
    longest = max(map(len, rows))
    ids = torch.tensor([row + [PAD_ID] * (longest - len(row)) for row in rows])
    mask = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in rows])
    with torch.no_grad():
        theirs = opened(input_ids=ids, attention_mask=mask).logits[:, 0]
        ours = reward_model(make_group_batch(groups, PAD_ID))
    assert ours.std() > 0.1
    torch.testing.assert_close(theirs, ours, rtol=0, atol=1e-5)
    assert AutoTokenizer.from_pretrained(tmp_path / "rm").pad_token_id == PAD_ID


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_round_trips(architecture: str, tmp_path: Path) -> None:
    batch = make_group_batch(random_groups(), PAD_ID)
    lm = tiny_lm(architecture)
    reward_model = RewardModel.from_causal_lm(lm, seed=0)
    reward_model.zero_point, reward_model.temperature = -0.5, 2.5
    value_model = ValueModel.from_reward_model(reward_model)
    with torch.no_grad():
        value_model.classifier.score.weight.mul_(3)
        value_model.zero_point = 0.75
        for name, model in (("lm", lm), ("rm", reward_model), ("vm", value_model)):
            save_model(tmp_path / name, model, None, CARD)
        policy = load_policy(tmp_path / "lm")
        rewards, values = load_reward_model(tmp_path / "rm"), load_value_model(tmp_path / "vm")
        expected = response_logprobs(lm, batch)
        torch.testing.assert_close(response_logprobs(policy, batch), expected, rtol=0, atol=1e-6)
        torch.testing.assert_close(rewards(batch), reward_model(batch), rtol=0, atol=1e-6)
        torch.testing.assert_close(values(batch), value_model(batch), rtol=0, atol=1e-6)
    assert (rewards.zero_point, rewards.temperature, values.zero_point) == (-0.5, 2.5, 0.75)
    assert [model_kind(tmp_path / name) for name in ("lm", "rm", "vm")] == ["policy", "reward", "value"]
    assert read_card(tmp_path / "rm") == CARD
    assert policy.get_input_embeddings().weight is policy.get_output_embeddings().weight
    assert isinstance(AutoModelForCausalLM.from_pretrained(tmp_path / "lm"), type(lm))


def test_only_safetensors_and_json_are_written(tmp_path: Path) -> None:
    save_model(tmp_path / "lm", tiny_lm(), tiny_tokenizer(), {})
    assert {file.suffix for file in (tmp_path / "lm").iterdir()} <= {".safetensors", ".json", ".jinja"}
    assert [entry.name for entry in tmp_path.iterdir()] == ["lm"]


def test_low_precision_keeps_its_type(tmp_path: Path) -> None:
    tiny_lm().save_pretrained(tmp_path / "lm")
    lm = load_causal_lm(tmp_path / "lm", dtype=torch.bfloat16)  # .to(bfloat16) would round the rotary frequencies too
    reward_model = RewardModel.from_causal_lm(lm, seed=0)
    save_model(tmp_path / "rm", reward_model, None, {})
    batch = make_group_batch(random_groups(), PAD_ID)
    loaded = load_reward_model(tmp_path / "rm", dtype=torch.bfloat16)
    torch.testing.assert_close(loaded(batch), reward_model(batch), rtol=0, atol=0)
    assert loaded(batch).dtype == torch.float32
    assert load_reward_model(tmp_path / "rm").classifier.dtype == torch.float32


def test_a_model_that_reads_back_differently_is_not_saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_model(tmp_path / "rm", tiny_reward_model(seed=0), None, {"version": 1})
    wrong = tiny_reward_model(seed=1)
    monkeypatch.setattr(checkpoints, "_load", lambda *_, **__: copy.deepcopy(wrong))
    with pytest.raises(ModelError, match="not saved, because the model read back gives other numbers"):
        save_model(tmp_path / "rm", tiny_reward_model(seed=2), None, {"version": 2})
    assert read_card(tmp_path / "rm") == {"version": 1}
    assert [entry.name for entry in tmp_path.iterdir()] == ["rm"]


def test_a_model_with_nan_is_not_saved(tmp_path: Path) -> None:
    model = tiny_lm()
    with torch.no_grad():
        next(model.parameters())[:] = torch.nan
    with pytest.raises(ModelError, match="not finite"):
        save_model(tmp_path / "lm", model, None, {})
    assert not (tmp_path / "lm").exists()


def test_a_crash_while_saving_leaves_the_old_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_model(tmp_path / "lm", tiny_lm(), None, {"version": 1})

    def crash(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(checkpoints, "write_json", crash)
    with pytest.raises(KeyboardInterrupt):
        save_model(tmp_path / "lm", tiny_lm(seed=1), None, {"version": 2})
    assert read_card(tmp_path / "lm") == {"version": 1}
    load_policy(tmp_path / "lm")


@pytest.mark.parametrize("writer", ["model", "tokenizer"])
def test_a_full_disk_is_named_and_leaves_the_old_model(
    writer: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, tokenizer = tiny_lm(), copy.deepcopy(tiny_tokenizer())
    save_model(tmp_path / "lm", model, tokenizer, {"version": 1})

    def full(*_: object, **__: object) -> None:
        raise SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")

    monkeypatch.setattr(model if writer == "model" else tokenizer, "save_pretrained", full)
    with pytest.raises(WorkspaceError, match="no space left on the disk"):
        save_model(tmp_path / "lm", model, tokenizer, {"version": 2})
    assert read_card(tmp_path / "lm") == {"version": 1}
    assert [entry.name for entry in tmp_path.iterdir()] == ["lm"]


def test_a_flipped_bit_is_noticed_by_the_probe(tmp_path: Path) -> None:
    save_model(tmp_path / "lm", tiny_lm(), None, {})
    weights = tmp_path / "lm" / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 0x40  # the exponent of the last weight, a norm's
    weights.write_bytes(content)
    with pytest.raises(ModelError, match="the model is damaged: it gives other numbers than the stored probe"):
        load_policy(tmp_path / "lm")


def test_wrong_directories_are_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no such directory"):
        load_policy(tmp_path / "absent")
    tiny_lm().save_pretrained(tmp_path / "foreign")
    with pytest.raises(ModelError, match=r"no heed\.json in it"):
        load_policy(tmp_path / "foreign")
    save_model(tmp_path / "lm", tiny_lm(), None, {})
    save_model(tmp_path / "rm", tiny_reward_model(), None, {})
    with pytest.raises(ModelError, match="holds a policy model, expected a reward model"):
        load_reward_model(tmp_path / "lm")
    with pytest.raises(ModelError, match="holds a reward model, expected a value model"):
        load_value_model(tmp_path / "rm")
    (tmp_path / "rm" / "config.json").unlink()
    with pytest.raises(ModelError, match=r"no config\.json"):
        load_reward_model(tmp_path / "rm")


def test_damaged_cards_are_named(tmp_path: Path) -> None:
    path = tmp_path / "rm"
    save_model(path, tiny_reward_model(), None, {})
    card = json.loads((path / "heed.json").read_text())
    (path / "heed.json").write_text("{")
    with pytest.raises(DataError, match=r"heed\.json, line 1"):
        load_reward_model(path)
    (path / "heed.json").write_text('{"kind": "reward"}')
    with pytest.raises(ModelError, match="lacks card, probe"):
        load_reward_model(path)
    (path / "heed.json").write_text(json.dumps(card | {"kind": "judge"}))
    with pytest.raises(ModelError, match="kind is 'judge'"):
        load_reward_model(path)
    (path / "heed.json").write_text(json.dumps(card))
    config = json.loads((path / "config.json").read_text())
    del config["heed"]
    (path / "config.json").write_text(json.dumps(config))
    with pytest.raises(ModelError, match=r"no entry heed\.zero_point"):
        load_reward_model(path)


def test_a_truncated_checkpoint_is_named(tmp_path: Path) -> None:
    save_model(tmp_path / "rm", tiny_reward_model(), None, {})
    weights = tmp_path / "rm" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(ModelError, match="damaged or cut short"):
        load_reward_model(tmp_path / "rm")


def test_a_probe_of_ones_own(tmp_path: Path) -> None:
    save_model(tmp_path / "lm", tiny_lm(), None, {}, probe=[[5, 6, 7]])
    stored = json.loads((tmp_path / "lm" / "heed.json").read_text())["probe"]
    assert stored["input_ids"] == [[5, 6, 7]] and len(stored["outputs"][0]) == 2
    with pytest.raises(ModelError, match="at least two tokens"):
        save_model(tmp_path / "lm", tiny_lm(), None, {}, probe=[[5]])
