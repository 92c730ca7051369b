"""Models on disk: Hugging Face format, safetensors, whole or not there, and checked.

Beside the Hugging Face files lies ``heed.json``: what kind of model it is, what it was made from (the card), and a
probe: a few token sequences with the numbers the model gives for them. A save is only accepted if the model, read back,
gives the same numbers; a load checks them again, so a damaged copy is not mistaken for a model.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, TypeAlias

import torch
from torch import Tensor
from transformers import AutoModelForSequenceClassification, PreTrainedModel, PreTrainedTokenizerBase

import heed
from heed.data.batches import EncodedGroup, make_group_batch
from heed.errors import ModelError
from heed.files import atomic_directory, read_json, write_json
from heed.models.adapters import ADAPTER_DIR, merge_adapter, save_adapter
from heed.models.forward import response_logprobs
from heed.models.loading import load_causal_lm, load_pretrained, quiet_transformers, ready
from heed.models.reward_model import RewardModel
from heed.models.value_model import ValueModel
from heed.records import Json

Kind = Literal["policy", "reward", "value"]
Model: TypeAlias = PreTrainedModel | RewardModel | ValueModel

CARD_FILE = "heed.json"
_SAVE_TOLERANCE, _LOAD_TOLERANCE, _LOW_PRECISION_TOLERANCE = 1e-5, 1e-3, 0.1
"""Of numbers of the size of 1, relative above. A load may be on another machine; 16 bits round differently anywhere."""


def save_model(
    path: Path,
    model: Model,
    tokenizer: PreTrainedTokenizerBase | None,
    card: Mapping[str, Json],
    *,
    probe: Sequence[Sequence[int]] | None = None,
) -> None:
    """Write a model directory that is whole, and that was read back and gave the same numbers.

    An adapter is merged into the model first; a policy's is also kept by itself, see :mod:`heed.models.adapters`.

    Args:
        path: the directory; what was there is replaced.
        model: a causal language model, a reward model or a value model.
        tokenizer: saved beside it, if given.
        card: what the model was made from; :func:`read_card` gives it back.
        probe: token sequences of at least two tokens to check the model on; a few are made up if left out.

    Raises:
        ModelError: the model read back gives other numbers, or numbers that are not finite. Nothing is written then.
        WorkspaceError: the disk is full. Nothing is written then.
    """
    adapter = merge_adapter(_network(model))
    rows = [list(row) for row in probe] if probe is not None else _default_probe(_network(model))
    outputs = _probe_outputs(model, rows)
    if not all(torch.isfinite(torch.tensor(row)).all() for row in outputs):
        raise ModelError(f"{path}: not saved, because the model's outputs on the probe are not finite")
    kind = _kind(model)
    with atomic_directory(path) as temporary:
        _store_calibration(model)
        with quiet_transformers(), _system_errors():
            _network(model).save_pretrained(temporary)
            if tokenizer is not None:
                tokenizer.save_pretrained(temporary)
            if adapter is not None and kind == "policy":
                save_adapter(temporary / ADAPTER_DIR, adapter, base=card.get("parent"))
        content: Json = {
            "kind": kind,
            "heed_version": heed.__version__,
            "card": dict(card),
            "probe": {"input_ids": rows, "outputs": outputs, "dtype": str(_network(model).dtype)},
        }
        write_json(temporary / CARD_FILE, content)
        network = _network(model)
        copy = _load(kind, temporary, dtype=network.dtype, device=network.device)
        tolerance = _SAVE_TOLERANCE if network.dtype == torch.float32 else _LOW_PRECISION_TOLERANCE
        _compare(_probe_outputs(copy, rows), outputs, tolerance, f"{path}: not saved, because the model read back")


def load_policy(
    path: Path, *, dtype: torch.dtype = torch.float32, device: torch.device | str = "cpu"
) -> PreTrainedModel:
    """Load a causal language model saved by :func:`save_model`, and check it on its probe.

    Raises:
        ModelError: the directory is no such model, incomplete or damaged.
    """
    model = _load_checked("policy", path, dtype=dtype, device=device)
    assert isinstance(model, PreTrainedModel)
    return model


def load_reward_model(
    path: Path, *, dtype: torch.dtype = torch.float32, device: torch.device | str = "cpu"
) -> RewardModel:
    """Load a reward model saved by :func:`save_model`, with zero point and temperature; checked like a policy."""
    model = _load_checked("reward", path, dtype=dtype, device=device)
    assert isinstance(model, RewardModel)
    return model


def load_value_model(
    path: Path, *, dtype: torch.dtype = torch.float32, device: torch.device | str = "cpu"
) -> ValueModel:
    """Load a value model saved by :func:`save_model`; checked like a policy."""
    model = _load_checked("value", path, dtype=dtype, device=device)
    assert isinstance(model, ValueModel)
    return model


def read_card(path: Path) -> Mapping[str, Json]:
    """The card a model was saved with.

    Raises:
        ModelError: the directory is not a model saved by Heed.
    """
    card = _read_card_file(path)["card"]
    assert isinstance(card, Mapping)
    return card


def model_kind(path: Path) -> Kind:
    """Whether the directory holds a policy, a reward model or a value model."""
    kind = _read_card_file(path)["kind"]
    if kind not in ("policy", "reward", "value"):
        raise ModelError(f"{path / CARD_FILE}: kind is {kind!r}, expected 'policy', 'reward' or 'value'")
    return kind  # type: ignore[return-value]


def _load_checked(kind: Kind, path: Path, *, dtype: torch.dtype, device: torch.device | str) -> Model:
    found = model_kind(path)
    if found != kind:
        raise ModelError(f"{path}: holds a {found} model, expected a {kind} model")
    model = _load(kind, path, dtype=dtype, device=device)
    probe = _read_card_file(path)["probe"]
    if isinstance(probe, Mapping) and probe["dtype"] == str(dtype):
        tolerance = _LOAD_TOLERANCE if dtype == torch.float32 else _LOW_PRECISION_TOLERANCE
        outputs = _probe_outputs(model, probe["input_ids"])  # type: ignore[arg-type]
        _compare(outputs, probe["outputs"], tolerance, f"{path}: the model is damaged: it")  # type: ignore[arg-type]
    return model


def _load(kind: Kind, path: Path, *, dtype: torch.dtype, device: torch.device | str) -> Model:
    if kind == "policy":
        return load_causal_lm(path, dtype=dtype, device=device)
    classifier = ready(load_pretrained(AutoModelForSequenceClassification, path, dtype=dtype), device)
    calibration = getattr(classifier.config, "heed", None)
    if not isinstance(calibration, Mapping) or "zero_point" not in calibration:
        raise ModelError(f"{path / 'config.json'}: no entry heed.zero_point, so the scores' zero point is unknown")
    if kind == "value":
        return ValueModel(classifier, zero_point=float(calibration["zero_point"]))
    return RewardModel(
        classifier, zero_point=float(calibration["zero_point"]), temperature=float(calibration["temperature"])
    )


@contextmanager
def _system_errors() -> Iterator[None]:
    """What the Rust libraries underneath say about the disk ("... (os error 28)"), as the OSError that it is."""
    try:
        yield
    except Exception as error:
        found = re.search(r"\(os error (\d+)\)", str(error))
        if isinstance(error, OSError) or not found:
            raise
        raise OSError(int(found.group(1)), str(error)) from error


def _store_calibration(model: Model) -> None:
    if isinstance(model, RewardModel):
        model.config.heed = {"zero_point": model.zero_point, "temperature": model.temperature}
    elif isinstance(model, ValueModel):
        model.config.heed = {"zero_point": model.zero_point}


def _kind(model: Model) -> Kind:
    if isinstance(model, RewardModel):
        return "reward"
    return "value" if isinstance(model, ValueModel) else "policy"


def _network(model: Model) -> PreTrainedModel:
    return model.classifier if isinstance(model, RewardModel | ValueModel) else model


def _default_probe(network: PreTrainedModel) -> list[list[int]]:
    """Four sequences of 3 to 12 tokens, spread over the vocabulary, without the padding token."""
    size = network.config.vocab_size
    rows = [[(7 + 13 * row + 31 * column * column) % size for column in range(3 + 3 * row)] for row in range(4)]
    pad_id = network.config.pad_token_id
    return [[(token + 1) % size if token == pad_id else token for token in row] for row in rows]


@torch.no_grad()
def _probe_outputs(model: Model, rows: Sequence[Sequence[int]]) -> list[list[float]]:
    """A list of numbers for each probe row: log-probabilities, the score, or values."""
    if any(len(row) < 2 for row in rows):
        raise ModelError("a probe needs rows of at least two tokens")
    groups = [EncodedGroup(prompt_ids=[row[0]], completion_ids=[list(row[1:])]) for row in rows]
    network = _network(model)
    batch = make_group_batch(groups, pad_id=network.config.pad_token_id or 0).to(network.device)
    if isinstance(model, RewardModel):
        return [[score] for score in model(batch).tolist()]
    values: Tensor = model(batch) if isinstance(model, ValueModel) else response_logprobs(model, batch)
    return [value[mask].tolist() for value, mask in zip(values, batch.response_mask, strict=True)]


def _compare(
    outputs: Sequence[Sequence[float]], expected: Sequence[Sequence[float]], tolerance: float, sentence: str
) -> None:
    gaps = [
        abs(a - b) / max(1.0, abs(b))
        for row, expected_row in zip(outputs, expected, strict=True)
        for a, b in zip(row, expected_row, strict=True)
    ]
    if not all(gap <= tolerance for gap in gaps):  # not "any(gap > tolerance)": a NaN gap has to fail
        raise ModelError(f"{sentence} gives other numbers than the stored probe (largest gap {max(gaps):.3g})")


def _read_card_file(path: Path) -> Mapping[str, Json]:
    if not path.is_dir():
        raise ModelError(f"{path}: there is no such directory")
    if not (path / CARD_FILE).is_file():
        raise ModelError(f"{path}: no {CARD_FILE} in it, so it is not a model saved by Heed")
    content = read_json(path / CARD_FILE)
    missing = {"kind", "card", "probe"} - set(content if isinstance(content, Mapping) else ())
    if not isinstance(content, Mapping) or missing:
        raise ModelError(f"{path / CARD_FILE}: lacks {', '.join(sorted(missing))}, so it is not a model saved by Heed")
    return content
