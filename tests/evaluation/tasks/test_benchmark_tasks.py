"""Classification sets in both their forms, HellaSwag, WSC, BIG-Bench Hard and a user's own questions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from choice_fakes import changed, marks_of, write_jsonl
from heed.errors import ConfigError, DataError
from heed.evaluation.tasks.bbh_choices import load_bbh_choices
from heed.evaluation.tasks.benchmark_layouts import BENCHMARKS, hellaswag_text
from heed.evaluation.tasks.benchmarks import load_benchmark, load_choices, load_hellaswag
from heed.evaluation.tasks.items import Reply
from heed.evaluation.tasks.wsc import load_wsc, names_noun

ONE_TEXT = {
    "rte": ("sentence 1: It rained.\nsentence 2: It was wet.", "entailment"),
    "sst2": ("Text: a fine film ", "Good"),
    "boolq": ("question: is it wet\npassage: It rained.", "True"),
    "mnli": ("sentence 1: It rained.\nsentence 2: It was wet.", "neutral"),
    "cb": ("sentence 1: It rained.\nsentence 2: It was wet.", "contradiction"),
    "copa": (
        'Which sentence is the cause of "It was wet."? Choose one between A and B.\nA: I slept.\nB: The sky broke.',
        "B",
    ),
    "wic": ("word: bank\nThe bank paid.\nThe river bank.", "False"),
    "qqp": ("first sentence: Why?\nsecond sentence: How come?", "yes"),
}
COLUMNS: dict[str, dict[str, Any]] = {
    "rte": {"premise": "It rained.", "hypothesis": "It was wet.", "label": "entailment"},
    "sst2": {"sentence": "a fine film ", "label": "1"},
    "boolq": {"question": "is it wet", "passage": "It rained.", "label": True},
    "mnli": {"sentence1": "It rained.", "sentence2": "It was wet.", "gold_label": "neutral"},
    "cb": {"premise": "It rained.", "hypothesis": "It was wet.", "label": "contradiction"},
    "copa": {
        "premise": "It was wet.",
        "choice1": "I slept.",
        "choice2": "The sky broke.",
        "question": "cause",
        "label": 1,
    },
    "wic": {"word": "bank", "sentence1": "The bank paid.", "sentence2": "The river bank.", "label": False},
    "qqp": {"question1": "Why?", "question2": "How come?", "is_duplicate": "1"},
}
LAYOUTS = {
    "rte": (
        "Passage: It rained.\nQuestion: From this passage can one reasonably conclude that It was wet?\nAnswer:",
        " Yes",
    ),
    "sst2": (
        "For each snippet of text, label the sentiment of the text as positive or negative.\n\n"
        "Text: a fine film\nLabel:",
        " positive",
    ),
    "boolq": ("Passage: It rained.\nQuestion: is it wet?\nAnswer:", " Yes"),
    "mnli": ("Passage: It rained.\nQuestion: It was wet. True, false or neither?\nAnswer:", " Neither"),
    "cb": ("Passage: It rained.\nQuestion: It was wet. True, false or neither?\nAnswer:", " False"),
    "copa": ("It was wet because", " the sky broke."),
    "wic": (
        "The bank paid.\nThe river bank.\n"
        "Question: Is the word 'bank' used in the same sense in the two sentences above?\nAnswer:",
        " No",
    ),
    "qqp": ("First: Why?\nSecond: How come?\nQuestion: Do both ask the same?\nAnswer:", " Yes"),
}


def _one_text(name: str, **fields: Any) -> dict[str, Any]:
    text, label = ONE_TEXT[name]
    return changed({"task": name, "definition": "", "input": text, "output": label, "labels": []}, **fields)


@pytest.mark.parametrize("name", BENCHMARKS)
def test_both_forms_of_a_set_give_the_layout(tmp_path: Path, name: str) -> None:
    other = next(one for one in BENCHMARKS if one != name)
    sample = write_jsonl(tmp_path / "dev.jsonl", _one_text(other), _one_text(name))
    columns = write_jsonl(tmp_path / "own" / "val.jsonl", COLUMNS[name])
    for task in (load_benchmark(sample, name), load_benchmark(columns.parent, name)):
        (question,) = task.questions
        assert (question.layout(), question.choices[question.right[0]]) == LAYOUTS[name]
        assert task.name == f"{name}-0shot"


def test_tables_of_glue(tmp_path: Path) -> None:
    (tmp_path / "dev.tsv").write_text('sentence\tlabel\n"so fine\t1\nso bad\t0\n')
    questions = load_benchmark(tmp_path, "sst2").questions
    assert [(one.context, one.right) for one in questions] == [
        ('Text: "so fine\nLabel:', (0,)),
        ("Text: so bad\nLabel:", (1,)),
    ]


def test_rows_nobody_labelled_are_left_out_and_counted(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "dev.jsonl", _one_text("mnli"), _one_text("mnli", output="-"))
    task = load_benchmark(path, "mnli")
    assert len(task.questions) == 1 and task.note.startswith(
        "1 rows without a label are left out. Guessing gives 33.3%"
    )


def test_shots_come_from_the_same_file_but_not_the_same_passage_or_from_another(tmp_path: Path) -> None:
    rows = [_one_text("boolq", input=f"question: is it {n}\npassage: Text {n // 2}.") for n in range(8)]
    path = write_jsonl(tmp_path / "dev.jsonl", *rows)
    task = load_benchmark(path, "boolq", shots=6)
    assert task.name == "boolq-6shot" and task.title.endswith("6 shots")
    for question in task.questions:
        passage = question.context.partition("\n")[0]
        assert len(question.shots) == 6 and not any(passage in shot.context for shot in question.shots)
    with pytest.raises(DataError, match=r"only 6 examples besides question 1 .* expected 7; ask for fewer shots"):
        load_benchmark(path, "boolq", shots=7)
    train = write_jsonl(tmp_path / "train.jsonl", _one_text("boolq", output="False"), *rows)
    drawn = load_benchmark(path, "boolq", shots=6, train=train, limit=2)
    assert len(drawn.questions) == 2 and all(len(one.shots) == 6 for one in drawn.questions)
    assert load_benchmark(path, "boolq", shots=6, train=tmp_path, limit=2).questions == drawn.questions
    with pytest.raises(DataError, match=r"no train\.jsonl or train\.tsv"):
        load_benchmark(path, "boolq", shots=6, train=tmp_path.parent)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (_one_text("rte", output="maybe"), "dev.jsonl, line 1: the label is 'maybe', expected one of entailment"),
        (_one_text("rte", output=None), "line 1: field 'output' is missing; there are task, definition, input"),
        (_one_text("rte", input="hello"), "field 'input' is 'hello', expected a text with premise, hypothesis"),
        (_one_text("rte", input=5), "field 'input' is 5, expected a text with premise"),
        (_one_text("cb"), "no labelled rows of 'rte'; it has cb"),
        ({"premise": "a", "label": 1}, "field 'hypothesis' is missing; there are premise, label"),
        ({"sentence1": "a", "sentence2": 2, "label": 1}, "field 'sentence2' is 2, expected text"),
        ({"premise": "a", "hypothesis": "b", "label": [1]}, "field 'label' is [1], expected a label"),
    ],
)
def test_a_bad_row_is_named(tmp_path: Path, row: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError) as caught:
        load_benchmark(write_jsonl(tmp_path / "dev.jsonl", row), "rte")
    assert message in str(caught.value)


def test_an_unknown_set_and_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"benchmark is 'sst', expected one of rte, .* Did you mean 'sst2'"):
        load_benchmark(tmp_path, "sst")
    with pytest.raises(DataError, match=r"no rte\.jsonl or dev\.jsonl"):
        load_benchmark(tmp_path, "rte")


# --- HellaSwag and a user's own questions

SWAG = {
    "ind": 24,
    "activity_label": "Roof",
    "ctx": "A man [header] sits.",
    "endings": ["He eats.", "He [substeps] sleeps."],
    "label": 1,
    "source_id": "v~1",
}


def test_hellaswag(tmp_path: Path) -> None:
    task = load_hellaswag(write_jsonl(tmp_path / "hellaswag_val.jsonl", SWAG))
    (question,) = task.questions
    assert question.layout() == "Complete each independent paragraph using common-sense reasoning.\n\nRoof: A man sits."
    assert (question.id, question.choices, question.right) == ("24", (" He eats.", " He sleeps."), (1,))
    assert question.cluster == "v~1" and task.name == "hellaswag-0shot"
    assert hellaswag_text("How to sit [title] Find a chair. [step] Sit.") == "How to sit. Find a chair. Sit."
    path = write_jsonl(tmp_path / "bad.jsonl", changed(SWAG, label=2))
    with pytest.raises(DataError, match="line 1: field 'label' is '2', expected 0 to 1"):
        load_hellaswag(path)


def test_a_users_own_questions(tmp_path: Path) -> None:
    rows = [
        {"context": "One and one is", "choices": ["two", "three"], "answer": 0, "id": "sum", "category": "maths"},
        {"context": "Say:\n", "choices": ["two", " three", "four"], "answer": ["two", 2], "cluster": "c"},
    ]
    task = load_choices(write_jsonl(tmp_path / "own.jsonl", *rows), name="own", instruction="Answer.", rule="sum")
    first, second = task.questions
    assert (task.name, task.title) == ("own-0shot-sum", "own, no shots")
    assert first.layout() + first.choices[0] == "Answer.\n\nOne and one is two"
    assert (first.id, first.category, second.id, second.cluster) == ("sum", "maths", "2", "c")
    assert second.choices == ("two", " three", "four") and second.right == (0, 2)
    marks = marks_of(task, lambda question, choice: -float(len(choice)))
    assert [one.metrics["accuracy"] for one in marks] == [1.0, 1.0]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"answer": 2}, "line 1: field 'answer' is 2, expected 0 to 1, or the text of a choice"),
        ({"answer": "c"}, "field 'answer' is 'c', expected 0 to 1, or the text of a choice"),
        ({"answer": True}, "field 'answer' is True, expected a whole number or text or a list"),
        ({"answer": []}, "field 'answer' is empty"),
        ({"choices": ["a", "a"]}, "field 'choices' is ['a', 'a'], expected texts that differ"),
        ({"choices": ["a"]}, "field 'choices' holds 1, expected at least 2"),
        ({"context": None}, "field 'context' is missing; there are 'choices', 'answer'"),
    ],
)
def test_a_users_bad_row_is_named(tmp_path: Path, fields: dict[str, Any], message: str) -> None:
    row = changed({"context": "q", "choices": ["a", "b"], "answer": 0}, **fields)
    with pytest.raises(DataError) as caught:
        load_choices(write_jsonl(tmp_path / "own.jsonl", row), name="own")
    assert message in str(caught.value)


# --- WSC and BIG-Bench Hard

SCHEMA: dict[str, Any] = {
    "text": "Jane gave Joan candy because she was hungry.",
    "target": {"span1_text": "Joan", "span1_index": 2, "span2_text": "she", "span2_index": 5},
    "label": True,
}


def test_wsc_is_answered_in_words(tmp_path: Path) -> None:
    other = changed(SCHEMA, label=False, target={**SCHEMA["target"], "span1_text": "Jane"})
    third = changed(SCHEMA, text="The cat saw the dog and it ran.", target={**SCHEMA["target"], "span2_text": "and"})
    task = load_wsc(write_jsonl(tmp_path / "val.jsonl", SCHEMA, other, third), shots=0)
    assert task.questions[0].layout().partition("\n\n")[2] == (
        "Passage: Jane gave Joan candy because *she* was hungry.\n"
        'Question: In the passage above, what does the pronoun "*she*" refer to?\nAnswer:'
    )
    assert task.questions[0].cluster == task.questions[1].cluster
    marks = task.mark(task.questions[:2], [Reply(text=" Joan."), Reply(text=" Joan.")])
    assert [one.metrics["accuracy"] for one in marks] == [1.0, 1.0]
    marks = task.mark(task.questions[:2], [Reply(text=" nobody"), Reply(text=" Jane, of course")])
    assert [one.metrics["accuracy"] for one in marks] == [0.0, 0.0]
    with pytest.raises(DataError, match="only 1 examples besides question 1"):
        load_wsc(tmp_path, shots=2)  # the other row of its passage is none
    bad = write_jsonl(tmp_path / "bad.jsonl", changed(SCHEMA, target={**SCHEMA["target"], "span2_index": 3}))
    with pytest.raises(DataError, match=r"field 'span2_index' is 3, where the passage has 'candy', expected .*'she'"):
        load_wsc(bad)


@pytest.mark.parametrize(
    ("answer", "noun", "same"),
    [
        ("the city councilmen", "The city councilmen", True),
        ("councilmen", "the city councilmen", True),
        ("It was Ann", "Ann", True),
        ("Anna", "Ann", False),
        ("", "Ann", False),
    ],
)
def test_an_answer_names_a_noun_by_containing_it_or_being_in_it(answer: str, noun: str, same: bool) -> None:
    assert names_noun(answer, noun) is same


def test_bbh_tasks_with_given_answers(tmp_path: Path) -> None:
    steps = "A: Let's think step by step.\nSo the answer is"
    tasks = {
        "letters": [("Which?\nOptions:\n(A) x\n(B) y", "(B)"), ("Who?\nOptions:\n(A) x\n(B) y", "nobody")],
        "listed": [("Is it so?\nOptions:\n- Yes \n- No", "No")],
        "fixed": [("True and False is", "False"), ("not False is", "True")],
        "written": [(f"{number} + 0 =", str(number)) for number in range(5)],
    }
    for name, rows in tasks.items():
        for folder in ("tasks", "cot-prompts"):
            (tmp_path / folder).mkdir(exist_ok=True)
        examples = [{"input": asked, "target": answer} for asked, answer in rows]
        (tmp_path / "tasks" / f"{name}.json").write_text(json.dumps({"canary": "", "examples": examples}))
        (tmp_path / "cot-prompts" / f"{name}.txt").write_text(f"canary\n-----\nDo it.\n\nQ: Q1\n{steps} x.\n")
    task = load_bbh_choices(tmp_path, shots=1)
    assert [(one.choices, one.right) for one in task.questions] == [
        ((" False", " True"), (0,)),
        ((" False", " True"), (1,)),
        ((" (A)", " (B)"), (1,)),
        ((" Yes", " No"), (1,)),
    ]
    assert task.questions[0].layout() == "Do it.\n\nQ: Q1\nA: x\n\nQ: True and False is\nA:"
    assert task.note.startswith("3 of 4 tasks have given answers. 1 questions whose right answer is not among")
    with pytest.raises(DataError, match="none of the tasks lists its answers"):
        load_bbh_choices(tmp_path, shots=1, tasks=["written"])
