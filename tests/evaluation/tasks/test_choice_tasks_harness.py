"""The common harness (lm-eval) has some of these tasks too: its layouts and its figures are the same."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from choice_fakes import reply, write_jsonl
from heed.evaluation.tasks.benchmarks import load_hellaswag
from heed.evaluation.tasks.crows_pairs import load_crows_pairs
from heed.evaluation.tasks.mmlu import load_mmlu
from heed.evaluation.tasks.truthfulqa import load_truthfulqa

lm_eval = pytest.importorskip("lm_eval", reason="lm-eval is not installed: pip install 'heed[lm-eval]'")
yaml = pytest.importorskip("yaml")
from lm_eval.tasks.crows_pairs.utils import process_results as crows_pairs_results  # noqa: E402
from lm_eval.tasks.hellaswag.utils import preprocess  # noqa: E402
from lm_eval.tasks.truthfulqa.utils import process_results_mc2  # noqa: E402
from lm_eval.utils import apply_template  # noqa: E402

TASKS = Path(lm_eval.__file__).parent / "tasks"


def test_truthfulqa(tmp_path: Path) -> None:
    targets = {"No.": 1, "Never.": 1, "Yes.": 0, "At night.": 0}
    row = {"question": "Do stones float?", "mc1_targets": {"No.": 1, "Yes.": 0}, "mc2_targets": targets}
    (tmp_path / "mc_task.json").write_text(json.dumps([row]))
    task = load_truthfulqa(tmp_path)
    theirs = yaml.safe_load((TASKS / "truthfulqa" / "truthfulqa_mc1.yaml").read_text())
    assert task.questions[0].layout() == apply_template(theirs["doc_to_text"], row)
    logprobs = np.random.default_rng(0).normal(-9.0, 2.0, 4)
    ours = dict(zip(task.questions[0].choices, logprobs, strict=True))
    found = process_results_mc2(
        {"mc2_targets": {"labels": list(targets.values())}}, [(ours[f" {answer}"], False) for answer in targets]
    )
    (mark,) = task.mark(task.questions, [reply(*logprobs)])
    assert mark.metrics["mc2"] == pytest.approx(found["acc"])


def test_mmlu(tmp_path: Path) -> None:
    row = {"subject": "abstract_algebra", "question": "What?", "choices": ["a", "b", "c", "d"], "answer": "C"}
    write_jsonl(tmp_path / "dev.jsonl", row)
    write_jsonl(tmp_path / "test.jsonl", row)
    layout = yaml.safe_load((TASKS / "mmlu" / "default" / "_default_template_yaml").read_text())
    subject = (TASKS / "mmlu" / "default" / "mmlu_abstract_algebra.yaml").read_text()
    asked = apply_template(layout["doc_to_text"], row)
    assert load_mmlu(tmp_path, shots=1).questions[0].layout() == (
        f"{yaml.safe_load(subject)['description']}{asked} C\n\n{asked}"
    )


def test_hellaswag(tmp_path: Path) -> None:
    row = {
        "activity_label": "Roof",
        "ctx_a": "A man [header] sits on it.",
        "ctx_b": "he [title] then",
        "ctx": "A man [header] sits on it. he [title] then",
        "endings": ["waits. [step] Then he eats.", "sleeps."],
        "label": 0,
    }
    (question,) = load_hellaswag(write_jsonl(tmp_path / "val.jsonl", row)).questions
    assert question.context == preprocess("Roof: A man [header] sits on it. He [title] then")
    assert question.choices == tuple(f" {preprocess(ending)}" for ending in row["endings"])


def test_crows_pairs(tmp_path: Path) -> None:
    header = "id,sent_more,sent_less,stereo_antistereo,bias_type\n"
    (tmp_path / "crows_pairs_anonymized.csv").write_text(header + "0,A b.,A c.,stereo,age\n1,D e.,D f.,stereo,age\n")
    task = load_crows_pairs(tmp_path)
    pairs = [(-4.0, -5.0), (-5.0, -4.0)]
    marks = task.mark(task.questions, [reply(*pair) for pair in pairs])
    theirs = [crows_pairs_results({}, [(one, False) for one in pair]) for pair in pairs]
    assert [one.metrics["stereotype"] for one in marks] == [one["pct_stereotype"] for one in theirs]
