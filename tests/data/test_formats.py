"""Each public format: a fixture read by hand, what is written reads back, and mistakes with their line."""

import json
from pathlib import Path
from typing import ClassVar

import pytest

from format_fakes import lines, said, turns
from heed.data.formats import natural_instructions
from heed.data.readers import READERS, read
from heed.data.writers import WRITERS, write
from heed.errors import DataError
from heed.records import Completion, Labeler, Message, Prompt, Ranking


def test_every_format_is_read_and_written():
    assert list(READERS) == list(WRITERS)


class TestHH:
    CHOSEN = "\n\nHuman: Hi\n\nAssistant: Hello.\n\nHuman: What is 2+2?\n\nAssistant: 4."
    REJECTED = "\n\nHuman: Hi\n\nAssistant: Hello.\n\nHuman: What is 2+2?\n\nAssistant: Go away."

    def test_a_pair_is_two_answers_to_what_both_begin_with(self, tmp_path):
        (ranking,) = read("hh-rlhf", lines(tmp_path, {"chosen": self.CHOSEN, "rejected": self.REJECTED}))
        assert ranking.prompt.messages == turns("Hi", "Hello.", "What is 2+2?")
        assert [c.text for c in ranking.completions] == ["4.", "Go away."]
        assert (ranking.tiers, ranking.labeler) == ((0, 1), "hh-rlhf")

    def test_dialogues_that_part_earlier_keep_what_follows_in_the_answer(self, tmp_path):
        longer = "\n\nHuman: Hi\n\nAssistant: Yes?\n\nHuman: Bye\n\nAssistant: Bye."
        (ranking,) = read("hh-rlhf", lines(tmp_path, {"chosen": self.CHOSEN, "rejected": longer}))
        assert ranking.prompt.messages == turns("Hi")
        assert ranking.completions[1].text == "Yes?\n\nHuman: Bye\n\nAssistant: Bye."

    def test_a_prompt_never_ends_with_the_assistant(self, tmp_path):
        twice = "\n\nHuman: Hi\n\nAssistant: A\n\nAssistant: {}"
        (ranking,) = read("hh-rlhf", lines(tmp_path, {"chosen": twice.format("B"), "rejected": twice.format("C")}))
        assert ranking.prompt.messages == turns("Hi")
        assert ranking.completions[0].text == "A\n\nAssistant: B"

    def test_equal_answers_are_a_tie(self, tmp_path):
        (ranking,) = read("hh-rlhf", lines(tmp_path, {"chosen": self.CHOSEN, "rejected": self.CHOSEN}))
        assert ranking.tiers == (0, 0)

    def test_written_and_read_again(self, tmp_path):
        rows = [
            {"chosen": self.CHOSEN, "rejected": self.REJECTED},
            {"chosen": self.CHOSEN, "rejected": "\n\nHuman: Hi\n\nAssistant: A\n\nHuman: B\n\nAssistant: C"},
        ]
        path = lines(tmp_path, *rows)
        records = list(read("hh-rlhf", path))
        assert write("hh-rlhf", tmp_path / "again.jsonl.gz", records) == 2
        assert list(read("hh-rlhf", tmp_path / "again.jsonl.gz")) == records

    @pytest.mark.parametrize(
        ("row", "message"),
        [
            ({"chosen": CHOSEN}, "field 'rejected' is missing; there are 'chosen'."),
            ({"chosen": "Hi", "rejected": CHOSEN}, "field 'chosen' starts with 'Hi', expected '\\n\\nHuman:'"),
            (
                {"chosen": CHOSEN, "rejected": "\n\nHuman: Hi"},
                "field 'rejected' ends with a turn of Human, expected one of Assistant",
            ),
            (
                {"chosen": CHOSEN, "rejected": "\n\nHuman: Ho\n\nAssistant: A"},
                "'chosen' and 'rejected' do not begin with the same human turn, so they answer no one prompt",
            ),
            (
                {"chosen": "\n\nHuman: \n\nAssistant: a", "rejected": "\n\nHuman:\n\nAssistant: b"},
                "empty prompt: a prompt needs at least one message with text in it",
            ),
        ],
    )
    def test_mistakes(self, tmp_path, row, message):
        assert said("hh-rlhf", lines(tmp_path, row)) == f"data.jsonl, line 1: {message}"

    def test_the_datasets_format_knows_such_dialogues(self, tmp_path):
        (ranking,) = read("datasets", lines(tmp_path, {"chosen": self.CHOSEN, "rejected": self.REJECTED}))
        assert len(ranking.prompt.messages) == 3


class TestOpenAssistant:
    TREE: ClassVar = {
        "message_tree_id": "t1",
        "tree_state": "ready_for_export",
        "prompt": {
            "message_id": "t1",
            "user_id": "u1",
            "role": "prompter",
            "lang": "en",
            "text": "Why?",
            "replies": [
                {"message_id": "m1", "role": "assistant", "text": "No idea.", "rank": 4, "replies": []},
                {
                    "message_id": "m2",
                    "role": "assistant",
                    "text": "Because.",
                    "rank": 0,
                    "model_name": "gpt",
                    "replies": [
                        {
                            "message_id": "m5",
                            "role": "prompter",
                            "text": "And then?",
                            "replies": [{"role": "assistant", "text": "Then.", "message_id": "m6", "rank": None}],
                        },
                        {"message_id": "m7", "role": "prompter", "text": "Oh.", "replies": []},
                    ],
                },
                {"message_id": "m3", "role": "assistant", "text": "Spam", "rank": 1, "deleted": True},
                {"message_id": "m4", "role": "assistant", "text": "Unranked."},
            ],
        },
    }

    def test_a_tree_by_hand(self, tmp_path):
        ranking, best, then, leaf = read("open-assistant", lines(tmp_path, self.TREE))
        assert ranking.prompt.messages == turns("Why?")
        assert (ranking.prompt.user, ranking.prompt.meta["lang"]) == ("u1", "en")
        assert [c.text for c in ranking.completions] == ["Because.", "No idea."]
        assert ranking.tiers == (0, 1), "the rank of a deleted reply leaves no gap"
        assert (best.completion.text, best.completion.policy) == ("Because.", "gpt")
        assert then.prompt.messages == turns("Why?", "Because.", "And then?")
        assert then.completion.text == "Then."
        assert leaf.messages == turns("Why?", "Because.", "Oh.")

    def test_a_bare_prompt(self, tmp_path):
        (prompt,) = read("open-assistant", lines(tmp_path, {"prompt": "Who are you?"}))
        assert prompt.text == "Who are you?"

    def test_equal_ranks_are_a_tie(self, tmp_path):
        replies = [{"role": "assistant", "text": text, "rank": 1} for text in "ab"]
        tree = {"prompt": {"role": "prompter", "text": "Why?", "replies": replies}}
        assert next(read("open-assistant", lines(tmp_path, tree))).tiers == (0, 0)

    def test_written_and_read_again(self, tmp_path):
        records = list(read("open-assistant", lines(tmp_path, self.TREE)))
        assert write("open-assistant", tmp_path / "again.jsonl", records) == 1
        again = list(read("open-assistant", tmp_path / "again.jsonl"))
        assert [type(record) for record in again] == [type(record) for record in records]
        assert [c.text for c in again[0].completions] == ["Because.", "No idea."]
        assert [c.id for c in again[0].completions] == [c.id for c in records[0].completions]
        assert again[3].messages == records[3].messages

    def test_mistakes(self, tmp_path):
        tree = {"prompt": {"role": "prompter", "text": "Why?", "replies": [{"role": "bot", "text": "x"}]}}
        assert said("open-assistant", lines(tmp_path, self.TREE, tree)) == (
            "data.jsonl, line 2, prompt, replies[0]: field 'role' is 'bot', expected one of prompter, assistant"
        )
        tree["prompt"]["replies"] = [{"role": "assistant", "text": "x", "rank": "best"}]
        assert "replies[0]: field 'rank' is \"best\", expected a whole number" in said(
            "open-assistant", lines(tmp_path, tree)
        )
        assert said("open-assistant", lines(tmp_path, {"prompt": "  "})).startswith("data.jsonl, line 1: empty prompt")
        system = Prompt(messages=(Message(role="system", content="x"), Message(role="user", content="y")))
        with pytest.raises(DataError, match="a conversation with turns of system, user is no OpenAssistant tree"):
            write("open-assistant", tmp_path / "x.jsonl", [system])


class TestInstructions:
    def test_alpaca(self, tmp_path):
        rows = [
            {"instruction": "Add.", "input": "1 2", "output": "3"},
            {"instruction": "Say hi.", "output": "hi", "input": ""},
            {"instruction": "Nothing is said to this.", "output": ""},
        ]
        path = tmp_path / "alpaca.json"
        path.write_text(json.dumps(rows, indent=1))
        add, hi, nothing = records = list(read("alpaca", path))
        assert (add.prompt.text, add.completion.text) == ("Add.\n\n1 2", "3")
        assert (hi.prompt.text, hi.completion.text) == ("Say hi.", "hi")
        assert isinstance(nothing, Prompt)
        write("alpaca", tmp_path / "again.jsonl", records)
        assert list(read("alpaca", tmp_path / "again.jsonl")) == records
        assert json.loads((tmp_path / "again.jsonl").read_text().splitlines()[0]) == rows[0]
        assert said("alpaca", lines(tmp_path, {"instruction": " ", "output": "x"})).startswith(
            "data.jsonl, line 1: empty"
        )

    def test_self_instruct_tasks(self, tmp_path):
        task = {
            "id": "seed_task_1",
            "instruction": "Is it positive?",
            "instances": [{"input": "Great!", "output": "yes"}, {"input": "Bad.", "output": "no"}],
            "is_classification": True,
        }
        app = {
            "id": "u0",
            "motivation_app": "Mail",
            "instruction": "Greet.",
            "instances": [{"input": "", "output": "Hi"}],
        }
        records = list(read("self-instruct", lines(tmp_path, task, app)))
        assert [r.prompt.text for r in records] == ["Is it positive?\n\nGreat!", "Is it positive?\n\nBad.", "Greet."]
        assert [r.prompt.category for r in records] == ["classification", "classification", ""]
        assert write("self-instruct", tmp_path / "again.jsonl", records) == 2
        assert list(read("self-instruct", tmp_path / "again.jsonl")) == records
        first = json.loads((tmp_path / "again.jsonl").read_text().splitlines()[0])
        assert first == task

    def test_self_instruct_predictions_name_their_model(self, tmp_path):
        row = {"model": "davinci", "prompt": "x", "instruction": "Greet.\n", "input": "", "response": " Hi"}
        empty = {**row, "model": "curie", "response": ""}
        records = list(read("self-instruct", lines(tmp_path, row, empty)))
        assert [(r.completion.policy, r.completion.text) for r in records] == [("davinci", "Hi"), ("curie", "")]
        write("self-instruct", tmp_path / "again.jsonl", records)
        assert list(read("self-instruct", tmp_path / "again.jsonl")) == records

    def test_a_missing_field_says_line_and_instance(self, tmp_path):
        task = {"instruction": "x", "instances": [{"input": "a", "output": "b"}, {"input": "a"}]}
        assert said("self-instruct", lines(tmp_path, task)) == (
            "data.jsonl, line 1, instances[1]: field 'output' is missing; there are 'input'."
        )

    def test_natural_instructions(self, tmp_path):
        task = {
            "Categories": ["Translation"],
            "Definition": ["Translate."],
            "Positive Examples": [{"input": "eins", "output": "one", "explanation": ""}],
            "Negative Examples": [],
            "Instances": [
                {"id": "t-1", "input": "zwei", "output": ["two"]},
                {"id": "t-2", "input": "drei", "output": ["three", "3"]},
            ],
        }
        (tmp_path / "tasks").mkdir()
        (tmp_path / "tasks" / "task001.json").write_text(json.dumps(task, indent=2))
        two, three = records = list(read("natural-instructions", tmp_path / "tasks"))
        assert (two.prompt.text, two.completion.text) == ("Translate.\n\nzwei", "two")
        assert (three.prompt.category, three.prompt.meta["references"]) == ("Translation", ["three", "3"])
        shots = list(natural_instructions.read(tmp_path / "tasks" / "task001.json", num_examples=1))
        assert shots[0].prompt.text == "Translate.\n\nInput: eins\nOutput: one\n\nzwei"
        assert write("natural-instructions", tmp_path / "again", records) == 2
        assert list(read("natural-instructions", tmp_path / "again")) == records
        del task["Instances"][1]["input"]
        (tmp_path / "tasks" / "task001.json").write_text(json.dumps(task))
        assert "task001.json, Instances[1]: field 'input' is missing" in said(
            "natural-instructions", tmp_path / "tasks"
        )
        assert "no task files in this directory" in said("natural-instructions", tmp_path)


class TestPandaLM:
    ROW: ClassVar = {
        "idx": 0,
        "cmp_key": "bloom-7b_llama-7b",
        "instruction": "Shorten.",
        "input": "A long text.",
        "response1": "A text.",
        "response2": "Long.",
        "annotator1": 1,
        "annotator2": 2,
        "annotator3": 0,
    }

    def test_three_annotators_are_three_rankings(self, tmp_path):
        rankings = list(read("pandalm", lines(tmp_path, self.ROW)))
        assert [ranking.tiers for ranking in rankings] == [(0, 1), (1, 0), (0, 0)]
        assert [ranking.labeler for ranking in rankings] == [f"pandalm/annotator{n}" for n in (1, 2, 3)]
        assert [c.policy for c in rankings[0].completions] == ["bloom-7b", "llama-7b"]
        assert rankings[0].prompt.text == "Shorten.\n\nA long text."

    def test_written_and_read_again(self, tmp_path):
        rankings = list(read("pandalm", lines(tmp_path, self.ROW, {**self.ROW, "response2": "Short."})))
        assert write("pandalm", tmp_path / "again.jsonl", rankings) == 2
        assert list(read("pandalm", tmp_path / "again.jsonl")) == rankings
        assert json.loads((tmp_path / "again.jsonl").read_text().splitlines()[0]) == self.ROW

    def test_the_bare_word_true_is_a_response(self, tmp_path):
        ranking = next(read("pandalm", lines(tmp_path, {**self.ROW, "response1": True})))
        assert ranking.completions[0].text == "True"

    def test_mistakes(self, tmp_path):
        assert said("pandalm", lines(tmp_path, self.ROW, {**self.ROW, "annotator2": 3})) == (
            "data.jsonl, line 2: annotator2 names answer 3, but there are answers 1 and 2 only (0 is a tie)"
        )
        bare = {name: value for name, value in self.ROW.items() if not name.startswith("annotator")}
        assert "no annotator, expected the fields 'annotator1'" in said("pandalm", lines(tmp_path, bare))
        with pytest.raises(DataError, match="pandalm holds rankings of two answers, a ranking of 3 cannot be written"):
            answers = tuple(Completion(text=text) for text in "abc")
            write(
                "pandalm", tmp_path / "x", [Ranking(prompt=Prompt.from_text("x"), completions=answers, tiers=(0, 1, 2))]
            )


class TestSummarize:
    ROW: ClassVar = {
        "info": {"id": "t3_1", "post": "It was\n\nlong.", "title": "A day", "subreddit": "tifu"},
        "summaries": [
            {"text": " long day", "policy": "sup4", "note": "short"},
            {"text": " a day that was long", "policy": "ref", "note": None},
        ],
        "choice": 1,
        "worker": "w1",
        "batch": "batch9",
        "split": "valid1",
        "extra": {"confidence": 8},
    }

    def test_a_choice_by_hand(self, tmp_path):
        (ranking,) = read("summarize-from-feedback", lines(tmp_path, self.ROW))
        assert ranking.prompt.text == "SUBREDDIT: r/tifu\n\nTITLE: A day\n\nPOST: It was\n\nlong.\n\nTL;DR:"
        assert [c.text for c in ranking.completions] == ["long day", "a day that was long"]
        assert [c.policy for c in ranking.completions] == ["sup4", "ref"]
        assert (ranking.tiers, ranking.labeler) == ((1, 0), "summarize-from-feedback/w1")
        assert (ranking.prompt.split, ranking.prompt.category) == ("valid1", "summarization")

    def test_news_articles(self, tmp_path):
        row = {**self.ROW, "info": {"id": "a", "article": "News."}}
        assert next(read("summarize-from-feedback", lines(tmp_path, row))).prompt.text == "Article:\nNews.\n\nTL;DR:"

    def test_written_and_read_again(self, tmp_path):
        rows = [self.ROW, {**self.ROW, "choice": 0}, {**self.ROW, "info": {"id": "a", "article": "News."}}]
        records = list(read("summarize-from-feedback", lines(tmp_path, *rows)))
        assert write("summarize-from-feedback", tmp_path / "again.jsonl", records) == 3
        assert list(read("summarize-from-feedback", tmp_path / "again.jsonl")) == records
        first = json.loads((tmp_path / "again.jsonl").read_text().splitlines()[0])
        assert first == {**self.ROW, "batch": "", "extra": {}}

    def test_a_choice_of_an_unknown_summary_is_refused(self, tmp_path):
        assert said("summarize-from-feedback", lines(tmp_path, self.ROW, {**self.ROW, "choice": 2})) == (
            "data.jsonl, line 2: field 'choice' names summary 2, but there are summaries 0 to 1"
        )


class TestText:
    def test_one_file_is_one_document_unless_it_has_separators(self, tmp_path):
        path = tmp_path / "a.txt"
        path.write_text("One.\n\nTwo.\n")
        assert list(read("text", path)) == ["One.\n\nTwo."]
        path.write_text("One.\n<|endoftext|>\nTwo.\n<|endoftext|>\n")
        assert list(read("text", path)) == ["One.", "Two."]

    def test_books_and_directories(self, tmp_path):
        lines(tmp_path, {"title": "T", "text": "A book."}, {"title": "E", "text": " "}, name="books.jsonl")
        (tmp_path / "a.txt").write_text("First.")
        assert list(read("text", tmp_path)) == ["First.", "A book."]
        assert said("text", lines(tmp_path, {"title": "T"}, name="b.jsonl")).startswith(
            "b.jsonl, line 1: field 'text' is missing; there are 'title'."
        )
        (tmp_path / "none").mkdir()
        assert "no text files in this directory" in said("text", tmp_path / "none")

    @pytest.mark.parametrize("name", ["x.txt", "x.txt.gz", "x.jsonl.gz"])
    def test_written_and_read_again(self, tmp_path, name):
        documents = ["One.\n\nStill one.", "Two é."]
        assert write("text", tmp_path / name, documents) == 2
        assert list(read("text", tmp_path / name)) == documents


@pytest.mark.parametrize("format", [name for name in WRITERS if name != "heed"])
def test_what_a_format_cannot_hold_is_refused(tmp_path, format):
    with pytest.raises(DataError, match=r"labeler|Labeler"):
        write(format, tmp_path / "x.jsonl", [Labeler(id="x")])
    assert not (tmp_path / "x.jsonl").exists()
    with pytest.raises(DataError, match="there is no format 'nothing'"):
        write("nothing", tmp_path / "x.jsonl", [])


def test_every_format_is_documented():
    page = (Path(__file__).parents[2] / "docs" / "data.md").read_text(encoding="utf-8")
    assert [name for name in READERS if f"| `{name}` |" not in page] == []
