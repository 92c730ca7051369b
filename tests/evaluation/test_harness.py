"""The bridge to the common harness: the same numbers as the harness's own loader of models, to rounding."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from fakes import tiny_codec, tiny_lm, tiny_tokenizer
from heed.errors import ConfigError, DataError
from heed.evaluation.harness import run_harness, weigh, weigh_text, write
from heed.evaluation.tasks.items import Question, Reply
from heed.evaluation.tasks.model import LocalModel

TASK = """task: cups
dataset_path: json
dataset_kwargs:
  data_files: {{test: {rows}}}
test_split: test
output_type: multiple_choice
doc_to_text: "Question: {{{{question}}}}\\nAnswer:"
doc_to_choice: "{{{{choices}}}}"
doc_to_target: "{{{{answer}}}}"
metric_list:
  - {{metric: acc, aggregation: mean, higher_is_better: true}}
  - {{metric: acc_norm, aggregation: mean, higher_is_better: true}}
metadata: {{version: 1.0}}
"""


def model(context: int = 64) -> LocalModel:
    return LocalModel(tiny_lm(context=context), tiny_codec(context), "tiny", "x", with_greedy=True)


@pytest.fixture
def cups(tmp_path: Path) -> Path:
    """A task of the harness's own kind, all of it in local files."""
    rows = [
        {"question": f"Where is cup {i}?", "choices": ["at the park", "the sky is blue", "a dog"], "answer": i % 3}
        for i in range(12)
    ]
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (tmp_path / "cups.yaml").write_text(TASK.format(rows=tmp_path / "rows.jsonl"))
    return tmp_path


@pytest.mark.filterwarnings("ignore")  # the harness's own
def test_the_harness_says_the_same_of_a_model_through_the_bridge_and_by_itself(
    cups: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lm_eval = pytest.importorskip("lm_eval", reason="lm-eval is not installed: pip install 'heed[lm-eval]'")
    pytest.importorskip("accelerate", reason="the harness's own loader needs accelerate")
    from lm_eval.tasks import TaskManager

    monkeypatch.setenv("HF_DATASETS_CACHE", str(cups / "cache"))
    tiny_lm().save_pretrained(cups / "model")
    tiny_tokenizer().save_pretrained(cups / "model")
    ours = run_harness(model(), ["cups"], include=cups, samples=True)
    theirs = lm_eval.simple_evaluate(
        model="hf",
        model_args={"pretrained": str(cups / "model"), "device": "cpu", "dtype": "float32"},
        tasks=["cups"],
        task_manager=TaskManager(include_path=str(cups)),
        bootstrap_iters=10,
    )
    for metric in ("acc,none", "acc_norm,none"):
        assert ours["results"]["cups"][metric] == theirs["results"]["cups"][metric]
    for mine, other in zip(ours["samples"]["cups"], theirs["samples"]["cups"], strict=True):
        for (a,), (b,) in zip(mine["resps"], other["resps"], strict=True):
            assert a[0] == pytest.approx(b[0], abs=1e-4) and a[1] == b[1]


@pytest.mark.filterwarnings("ignore")
def test_a_task_that_the_harness_does_not_know_is_named(tmp_path: Path) -> None:
    pytest.importorskip("lm_eval", reason="lm-eval is not installed: pip install 'heed[lm-eval]'")
    with pytest.raises(ConfigError, match="no task 'cupz'"):
        run_harness(model(), ["cupz"], include=tmp_path)
    with pytest.raises(ConfigError, match="not a directory"):
        run_harness(model(), ["cupz"], include=tmp_path / "nowhere")


def test_neighbours_with_one_context_are_one_question() -> None:
    asked: list[Question] = []

    def answer(questions: object) -> list[Reply]:
        asked.extend(questions)  # type: ignore[arg-type]
        return model().likelihoods(questions)  # type: ignore[arg-type]

    pairs = [("The cup is", " blue"), ("The cup is", " at the park"), ("A dog", " and a cat"), ("The cup is", " red")]
    found = weigh(answer, pairs)
    assert [question.choices for question in asked] == [(" blue", " at the park"), (" and a cat",), (" red",)]
    assert [one[0] for one in found] == pytest.approx([_slow(model(), *pair) for pair in pairs], abs=1e-4)


def test_a_request_that_does_not_fit_is_an_error() -> None:
    with pytest.raises(DataError, match="context 'A dog'"):
        weigh(model(8).likelihoods, [("A dog", " and a cat" * 20)])


@pytest.mark.parametrize("context", [8, 9, 64])
def test_a_long_text_is_weighed_in_windows_and_every_token_counts_once(context: int) -> None:
    """Against a loop: each token, given as many before it as its window has room for."""
    text = "Tom put the cup at the park. Where is the cup? The cup is at the park."
    one = model(context)
    ids = one.codec.encode_text(text)
    first = context - 1
    expected = _sum(one, [one.codec.eos_id], ids[:first])
    for start in range(first, len(ids), context - 1):
        part = ids[start : start + context - 1]
        expected += _sum(one, ids[start - (context - len(part)) : start], part)
    assert weigh_text(one, text) == pytest.approx(expected, abs=1e-3)


def test_answers_end_at_the_stop_strings_of_the_task() -> None:
    (free,) = write(model(), [("Where is the cup?", {"until": [], "max_gen_toks": 12})])
    (again, short) = write(
        model(),
        [
            ("Where is the cup?", {"until": [], "max_gen_toks": 12}),
            ("Where is the cup?", {"until": free[3], "max_gen_toks": 12}),
        ],
    )
    assert again == free and short == free[: free.index(free[3])].strip()


def test_random_answers_are_refused() -> None:
    with pytest.raises(ConfigError, match="random answers"):
        write(model(), [("a", {"do_sample": True, "temperature": 0.7})])


def _slow(one: LocalModel, context: str, continuation: str) -> float:
    before = one.codec.encode_text(context)
    return _sum(one, before, one.codec.encode_text(context + continuation)[len(before) :])


@torch.no_grad()
def _sum(one: LocalModel, before: list[int], ids: list[int]) -> float:
    logits = one.model(torch.tensor([[*before, *ids]])).logits[0].log_softmax(-1)
    return float(sum(logits[len(before) - 1 + place, token] for place, token in enumerate(ids)))
