"""The formats of ``datasets`` and TRL: preference, prompt-completion and conversations."""

import pytest

from format_fakes import assistant, lines, said, turns, user
from heed.data.formats import trl
from heed.data.readers import read
from heed.data.writers import write
from heed.records import Completion, Demonstration, Prompt, Ranking


class TestDatasets:
    SKY = Prompt(messages=turns("What color is the sky?"), source="datasets")

    @pytest.mark.parametrize(
        "row",
        [
            {"prompt": "What color is the sky?", "chosen": "Blue.", "rejected": "Green."},
            {
                "prompt": [user("What color is the sky?")],
                "chosen": [assistant("Blue.")],
                "rejected": [assistant("Green.")],
            },
            {
                "chosen": [user("What color is the sky?"), assistant("Blue.")],
                "rejected": [user("What color is the sky?"), assistant("Green.")],
            },
            {
                "prompt": "What color is the sky?",
                "chosen": [user("What color is the sky?"), assistant("Blue.")],
                "rejected": [user("What color is the sky?"), assistant("Green.")],
            },
            {
                "conversations": [{"from": "human", "value": "What color is the sky?"}],
                "chosen": {"from": "gpt", "value": "Blue."},
                "rejected": {"from": "gpt", "value": "Green."},
            },
        ],
        ids=["standard", "conversational", "implicit", "repeated", "from-value"],
    )
    def test_a_preference_in_all_its_ways(self, tmp_path, row):
        (ranking,) = read("datasets", lines(tmp_path, row))
        assert ranking.prompt == self.SKY
        assert [c.text for c in ranking.completions] == ["Blue.", "Green."]
        assert ranking.tiers == (0, 1)

    @pytest.mark.parametrize(
        ("chosen", "rejected", "prompt"),
        [
            ("The sky is blue.", "The sky is green.", "The sky is"),
            ("The sky is blue.", "The sky is black.", "The sky is"),
            ("One two", "One", ""),
        ],
    )
    def test_an_implicit_prompt_of_texts_ends_with_a_word(self, tmp_path, chosen, rejected, prompt):
        path = lines(tmp_path, {"chosen": chosen, "rejected": rejected})
        if not prompt:
            assert "empty prompt" in said("datasets", path)
            return
        (ranking,) = read("datasets", path)
        assert ranking.prompt.text == prompt
        assert [prompt + c.text for c in ranking.completions] == [chosen, rejected]

    @pytest.mark.parametrize(
        "row",
        [
            {"prompt": "What color is the sky?", "completion": "Blue."},
            {"prompt": [user("What color is the sky?")], "completion": [assistant("Blue.")]},
            {"messages": [user("What color is the sky?"), assistant("Blue.")]},
        ],
    )
    def test_a_demonstration_in_all_its_ways(self, tmp_path, row):
        assert list(read("datasets", lines(tmp_path, row))) == [
            Demonstration(prompt=self.SKY, completion=Completion(text="Blue."))
        ]

    def test_every_turn_of_the_assistant_is_a_demonstration(self, tmp_path):
        row = {"messages": [user("a"), assistant("b"), user("c"), assistant("d")]}
        first, second = read("datasets", lines(tmp_path, row))
        assert (first.prompt.messages, first.completion.text) == (turns("a"), "b")
        assert (second.prompt.messages, second.completion.text) == (turns("a", "b", "c"), "d")

    def test_prompts_and_texts(self, tmp_path):
        prompt, alone, text = read(
            "datasets", lines(tmp_path, {"prompt": "p"}, {"messages": [user("q")]}, {"text": "t"})
        )
        assert (prompt.text, alone.text, text) == ("p", "q", "t")

    @pytest.mark.parametrize("name", ["again.jsonl", "again.parquet"])
    @pytest.mark.parametrize("conversational", [True, False])
    def test_written_and_read_again(self, tmp_path, conversational, name):
        if name.endswith("parquet"):
            pytest.importorskip("pyarrow")
        pair = Ranking(
            prompt=self.SKY,
            completions=(Completion(text="Blue."), Completion(text="Red.")),
            tiers=(0, 1),
            labeler="datasets",
        )
        for records in (
            [pair, pair],
            [Demonstration(prompt=self.SKY, completion=Completion(text="Blue."))],
            [self.SKY],
        ):
            trl.write(tmp_path / name, records, conversational=conversational)
            assert list(read("datasets", tmp_path / name)) == records

    def test_a_ranking_of_k_answers_gives_its_comparisons(self, tmp_path):
        answers = tuple(Completion(text=text) for text in "abc")
        ranking = Ranking(prompt=self.SKY, completions=answers, tiers=(0, 1, 1))
        assert write("datasets", tmp_path / "x.jsonl", [ranking]) == 2

    @pytest.mark.parametrize(
        ("row", "message"),
        [
            ({"prompt": "a", "completion": "b", "label": True}, "an unpaired preference (field 'label') is neither"),
            ({"prompt": "a", "chosen": "b"}, "field 'rejected' is missing; there are 'prompt', 'chosen'."),
            ({"x": 1}, "the fields 'x' are of no known row type, expected prompt, chosen, completion, ..."),
            ({"messages": []}, "field 'messages' is an empty list, expected messages"),
            ({"prompt": " "}, "empty prompt: a prompt needs at least one message with text in it"),
            ({"prompt": [{"role": "bot", "content": "x"}]}, "prompt[0]: field 'role' is 'bot', expected one of system"),
            (
                {"prompt": "a", "completion": [assistant("b"), user("c")]},
                "field 'completion' goes on with user after the prompt, expected one turn of the assistant",
            ),
            (
                {"prompt": "a", "chosen": [assistant("b"), user("c")], "rejected": "d"},
                "field 'chosen' goes on with assistant, user after the prompt, expected one turn of the assistant",
            ),
        ],
    )
    def test_mistakes(self, tmp_path, row, message):
        found = said("datasets", lines(tmp_path, row))
        assert found.startswith("data.jsonl, line 1")
        assert message in found
