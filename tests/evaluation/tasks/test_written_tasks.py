"""Tasks with written answers: their layouts, their marks, and what they say of a bad file."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from heed.errors import ConfigError, DataError
from heed.evaluation.tasks.bbh import answer_in, load_bbh
from heed.evaluation.tasks.bleu import bleu, bleu_counts
from heed.evaluation.tasks.gsm8k import load_gsm8k
from heed.evaluation.tasks.items import Marked, Reply, Task
from heed.evaluation.tasks.reading_comprehension import load_reading_comprehension
from heed.evaluation.tasks.run import figure
from heed.evaluation.tasks.summaries import load_summaries
from heed.evaluation.tasks.super_natural import load_super_natural
from heed.evaluation.tasks.translation import load_translation


def rows(path: Path, *values: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(value) + "\n" for value in values), encoding="utf-8")
    return path


def marks(task: Task, *texts: str) -> list[Marked]:
    return task.mark(task.questions, [Reply(text=text) for text in texts])


def values(task: Task, metric: str, *texts: str) -> list[float]:
    return [mark.metrics[metric] for mark in marks(task, *texts)]


# --- GSM8K


def gsm8k(path: Path) -> Path:
    rows(
        path / "test.jsonl",
        {"question": "A cup costs $3. Two cups?", "answer": "2*3 = <<2*3=6>>6.\n#### 6"},
        {"question": "Ten thousand and one?", "answer": "#### 10,001"},
    )
    rows(path / "train.jsonl", {"question": "1+1?", "answer": "1+1 = <<1+1=2>>2\n#### 2"})
    return path


def test_gsm8k_marks_the_number_a_solution_ends_on(tmp_path: Path) -> None:
    task = load_gsm8k(gsm8k(tmp_path))
    assert task.questions[0].layout() == ("Question: A cup costs $3. Two cups?\nAnswer: Let's think step by step.")
    assert values(task, "right", "2 cups are $6.00.", "The answer is 10001, of 3") == [1.0, 1.0]
    assert values(task, "right", "6 cups, so 12", "no idea") == [0.0, 0.0]
    assert values(task, "numbered", "6 cups, so 12", "no idea") == [1.0, 0.0]


def test_gsm8k_shows_training_solutions_without_calculator_marks(tmp_path: Path) -> None:
    chain = load_gsm8k(gsm8k(tmp_path), shots=1).questions[0]
    assert chain.layout() == (
        "Question: 1+1?\nAnswer: 1+1 = 2\nThe answer is 2.\n\nQuestion: A cup costs $3. Two cups?\nAnswer:"
    )
    direct = load_gsm8k(gsm8k(tmp_path), shots=1, mode="direct").questions[0]
    assert direct.layout().startswith("Question: 1+1?\nAnswer: 2\n\n") and direct.stop == ("\n",)
    with pytest.raises(ConfigError, match="shots is 2, expected 0 to 1"):
        load_gsm8k(tmp_path, shots=2)
    with pytest.raises(ConfigError, match="mode is 'chian', expected 'chain' or 'direct'"):
        load_gsm8k(tmp_path, mode="chian")


def test_gsm8k_refuses_an_answer_without_a_number(tmp_path: Path) -> None:
    path = rows(tmp_path / "test.jsonl", {"question": "a", "answer": "#### 1"}, {"question": "b", "answer": "so, 6"})
    with pytest.raises(DataError, match=r"test.jsonl, line 2: field 'answer' does not end on '#### NUMBER'"):
        load_gsm8k(path)


# --- BIG-Bench Hard

PROMPT = """canary
-----
Say whether it is true.

Q: 1 is 1
A: Let's think step by step.
Both are 1. So the answer is True.

Q: 1 is 2
A: Let's think step by step. They differ. So the answer is False.
"""


def bbh(path: Path) -> Path:
    (path / "cot-prompts").mkdir()
    (path / "tasks").mkdir()
    for name, examples in {
        "truth": [{"input": "2 is 2", "target": "True"}],
        "letters": [{"input": "a b", "target": "(A)"}, {"input": "b a", "target": "b."}, {"input": "c", "target": "C"}],
    }.items():
        (path / "cot-prompts" / f"{name}.txt").write_text(PROMPT)
        (path / "tasks" / f"{name}.json").write_text(json.dumps({"canary": "x", "examples": examples}))
    return path


def test_bbh_direct_and_by_a_chain_of_thought(tmp_path: Path) -> None:
    direct = load_bbh(bbh(tmp_path), tasks=["truth"], shots=2)
    assert direct.questions[0].layout() == (
        "Say whether it is true.\n\nQ: 1 is 1\nA: True\n\nQ: 1 is 2\nA: False\n\nQ: 2 is 2\nA:"
    )
    chain = load_bbh(tmp_path, tasks=["truth"], shots=1, mode="chain")
    assert chain.questions[0].layout() == (
        "Say whether it is true.\n\nQ: 1 is 1\nA: Let's think step by step.\nBoth are 1. So the answer is True."
        "\n\nQ: 2 is 2\nA: Let's think step by step."
    )
    for text, right, answered in (
        ("Hm. So the answer is True.", 1.0, 1.0),
        ("The answer is false. No, so the answer is true", 1.0, 1.0),
        ("True", 0.0, 0.0),
        ("So the answer is False.", 0.0, 1.0),
    ):
        [mark] = marks(chain, text)
        assert (mark.metrics["exact_match"], mark.metrics["answered"]) == (right, answered), text


def test_bbh_counts_every_task_the_same(tmp_path: Path) -> None:
    task = load_bbh(bbh(tmp_path))
    answers = {"2 is 2": "true", "a b": "A", "b a": "B", "c": "c."}
    found = marks(task, *(answers[q.context[3:-3]] for q in task.questions))
    assert {m.id.split("-")[0]: m.category for m in found} == {"truth": "truth", "letters": "letters"}
    assert figure(task.metrics[0], found).value == 0.5  # true and c
    assert figure(task.metrics[1], found).value == pytest.approx((1 + 1 / 3) / 2)


def test_an_answer_may_hold_full_stops() -> None:
    assert answer_in("So the answer is 3.5.") == "3.5"
    assert answer_in("So the answer is a b c.\nmore") == "a b c"
    assert answer_in("I do not know.") is None


def test_bbh_says_what_is_wrong_with_a_file(tmp_path: Path) -> None:
    bbh(tmp_path)
    with pytest.raises(ConfigError, match=r"no task 'truht' in .*Did you mean 'truth'"):
        load_bbh(tmp_path, tasks=["truht"])
    (tmp_path / "cot-prompts" / "truth.txt").write_text("Do.\n\nQ: a\nA: b\n")
    with pytest.raises(DataError, match=r"truth.txt, example 1: not of the form"):
        load_bbh(tmp_path)
    (tmp_path / "cot-prompts" / "truth.txt").unlink()
    with pytest.raises(DataError, match=r"truth.txt: cannot be read"):
        load_bbh(tmp_path)


# --- Super-NaturalInstructions


def natural(path: Path, **fields: Any) -> Path:
    task = {
        "Definition": ["Name the colour"],
        "Categories": ["Naming"],
        "Positive Examples": [{"input": "sky", "output": "blue"}, {"input": "grass?", "output": "green"}],
        "Instances": [{"id": "1", "input": "snow", "output": ["pure white", "white"]}],
        **fields,
    }
    (path / "task1_colour.json").write_text(json.dumps(task))
    (path / "official_test_tasks.txt").write_text("task1_colour\ntask9_other\n")
    return path


def test_super_natural_is_laid_out_as_tk_instruct(tmp_path: Path) -> None:
    task = load_super_natural(natural(tmp_path))
    assert task.questions[0].layout() == (
        "Definition: Name the colour.\n\n"
        " Positive Example 1 -\nInput: sky.\n Output: blue.\n\n"
        " Positive Example 2 -\nInput: grass?\n Output: green.\n\n"
        "Now complete the following example -\nInput: snow.\nOutput:"
    )
    [mark] = marks(task, "Pure, pure white!")
    assert mark.metrics == {"rouge_l": pytest.approx(0.8), "exact_match": 0.0}
    assert values(task, "exact_match", "White.") == [1.0]


def test_super_natural_says_what_is_wrong_with_a_file(tmp_path: Path) -> None:
    for fields, message in (
        ({"Definition": []}, "field 'Definition' is"),
        ({"Instances": None}, "field 'Instances' is None, expected a list"),
        ({"Instances": [{"input": "a", "output": [3]}]}, r"'Instances', item 1: output is \[3\]"),
        ({"Positive Examples": [{"input": "a"}]}, "'Positive Examples', item 1 is"),
    ):
        with pytest.raises(DataError, match=message):
            load_super_natural(natural(tmp_path, **fields))
    natural(tmp_path)
    (tmp_path / "official_test_tasks.txt").write_text("task9_other\n")
    with pytest.raises(DataError, match="none of the 1 tasks there is among the 1"):
        load_super_natural(tmp_path)


# --- passages, summaries, translations


def test_questions_on_a_passage(tmp_path: Path) -> None:
    row = {"title": "Tom", "passage": "Tom has a red cup.", "question": "Which cup?", "answers": ["a red cup", "red"]}
    path = rows(tmp_path / "a.jsonl", row, {**row, "question": "Which plate?", "answers": []})
    task = load_reading_comprehension(path)
    assert task.questions[0].context == "Title: Tom\n\nBackground: Tom has a red cup.\n\nQ: Which cup?\n\nA:"
    assert len({question.cluster for question in task.questions}) == 1
    assert values(task, "f1", "the red one", "Not in background.") == [pytest.approx(2 / 3), 1.0]
    assert values(task, "f1", "Not in background.", "blue") == [0.0, 0.0]
    assert values(task, "no_answer", "red", "Not in background.") == [0.0, 1.0]


def test_drop_takes_spans_and_shots_from_elsewhere(tmp_path: Path) -> None:
    path = rows(tmp_path / "a.jsonl", {"passage": "P.", "question": "Who?", "answers": [["Ann", "Bob"], "both"]})
    more = rows(
        tmp_path / "b.jsonl",
        {"passage": "P.", "question": "Who?", "answers": "Ann"},  # the question itself is no example
        {"passage": "O.", "question": "How many?", "answers": "2"},
    )
    task = load_reading_comprehension(path, mode="drop", shots=1, examples=more)
    assert task.questions[0].layout() == (
        "Passage: O.\nQuestion: How many?\nAnswer: 2\n\nPassage: P.\nQuestion: Who?\nAnswer:"
    )
    assert values(task, "f1", "Ann") == [0.5]
    with pytest.raises(ConfigError, match="no file of examples"):
        load_reading_comprehension(path, mode="drop", shots=1)
    with pytest.raises(DataError, match=r"a.jsonl, line 1: field 'answers' holds a list inside a list"):
        load_reading_comprehension(path)
    empty = rows(tmp_path / "c.jsonl", {"passage": "P.", "question": "Who?", "answers": []})
    with pytest.raises(DataError, match="is empty, expected at least one"):
        load_reading_comprehension(empty, mode="drop")


def test_summaries_by_rouge_l(tmp_path: Path) -> None:
    path = rows(tmp_path / "a.jsonl", {"text": "A long story.", "summary": ["a story", "a tale told"]})
    more = rows(tmp_path / "b.jsonl", {"text": "Another.", "summary": "other"})
    task = load_summaries(path, shots=1, examples=more)
    assert task.questions[0].layout() == "Another.\n\nTL;DR: other\n\n\nA long story.\n\nTL;DR:"
    [mark] = marks(task, "A tale was told.")
    assert mark.metrics == {"rouge_l": pytest.approx(2 * 3 / 7), "words": 4.0}


def test_translations_by_bleu_of_all_together(tmp_path: Path) -> None:
    pairs = [("un chat noir dort ici", "a black cat sleeps here"), ("le chien court vite", "the dog runs fast now")]
    path = rows(tmp_path / "a.jsonl", *({"source": a, "target": b} for a, b in pairs))
    task = load_translation(path)
    assert task.questions[0].context == "French: un chat noir dort ici\nEnglish:"
    texts = ["a black cat sleeps there", "the dog runs fast now"]
    found = marks(task, *texts)
    expected = bleu([bleu_counts(text, [gold]) for text, (_, gold) in zip(texts, pairs, strict=True)])
    estimate = figure(task.metrics[0], found)
    assert estimate.value == pytest.approx(expected)
    assert estimate.low < estimate.value < estimate.high


def test_pairs_need_both_fields(tmp_path: Path) -> None:
    path = rows(tmp_path / "a.jsonl", {"text": "a", "summary": "b"}, {"text": "a", "sumary": "b"})
    with pytest.raises(DataError, match=r"a.jsonl, line 2: field 'summary' is missing.*Did you mean 'sumary'"):
        load_summaries(path)


def test_a_reply_with_an_error_gets_no_marks(tmp_path: Path) -> None:
    path = rows(tmp_path / "a.jsonl", {"text": "a", "summary": "b"})
    task = load_summaries(path)
    [mark] = task.mark(task.questions, [Reply(error="the server is gone")])
    assert (mark.metrics, mark.error) == ({}, "the server is gone")


# --- the published files


@pytest.mark.parametrize("mode", ["direct", "chain"])
def test_published_bbh_answers_are_right(public_data: Callable[[str], Path], mode: str) -> None:
    task = load_bbh(public_data("bbh"), mode=mode, limit=540)
    start = "So the answer is " if mode == "chain" else ""
    found = marks(task, *(f"{start}{question.references[0]}." for question in task.questions))
    assert len({mark.category for mark in found}) == 27
    assert figure(task.metrics[1], found).value == 1.0


def test_published_gsm8k_solutions_are_marked_as_published(public_data: Callable[[str], Path]) -> None:
    """The labels of the paper's own solutions: right where the number after #### is right."""
    from heed.evaluation.tasks.reading import read_rows

    task = load_gsm8k(public_data("gsm8k"))
    by_question = {str(question.meta["question"]): question for question in task.questions}
    asked, replies, labels = [], [], []
    for _, row in read_rows(public_data("gsm8k") / "model_solutions.jsonl.gz", {"question": str}):
        for name in ("6b_finetuning", "175b_verification"):
            if row["question"] in by_question:
                asked.append(by_question[row["question"]])
                replies.append(Reply(text=row[name]["solution"]))
                labels.append(float(row[name]["is_correct"]))
    agree = [m.metrics["right"] == label for m, label in zip(task.mark(asked, replies), labels, strict=True)]
    assert len(agree) > 1900
    assert sum(agree) / len(agree) > 0.995


def test_published_natural_instructions_answer_themselves(public_data: Callable[[str], Path]) -> None:
    task = load_super_natural(public_data("super-natural-instructions"), limit=320)
    found = marks(task, *(question.references[0] for question in task.questions))
    assert len({mark.category for mark in found}) == 16
    assert min(mark.metrics["exact_match"] for mark in found) == 1.0
