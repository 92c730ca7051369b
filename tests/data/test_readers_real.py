"""The readers on the published files, where they are at hand: HEED_DATA, or ../shared/data beside the repository."""

import os
from collections import Counter
from pathlib import Path

import pytest

from heed.data.readers import read
from heed.data.writers import write
from heed.records import Ranking

DATA = Path(os.environ.get("HEED_DATA") or Path(__file__).resolve().parents[3] / "shared" / "data")

EXPECTED = [
    ("hh-rlhf", "hh-rlhf-harmless/train.jsonl.gz", {"Ranking": 1489}),
    ("hh-rlhf", "hh-rlhf-harmless/dev.jsonl.gz", {"Ranking": 207}),
    ("open-assistant", "oasst-ranked-trees/trees.jsonl.gz", {"Ranking": 152, "Demonstration": 193, "Prompt": 179}),
    ("open-assistant", "oasst-ranked-trees/prompts.jsonl", {"Prompt": 207}),
    ("self-instruct", "self-instruct/seed_tasks.jsonl", {"Demonstration": 175}),
    ("self-instruct", "self-instruct/user_oriented_instructions.jsonl", {"Demonstration": 201}),
    ("self-instruct", "self-instruct/predictions.jsonl.gz", {"Demonstration": 1608}),
    ("alpaca", "alpaca-sample/train.jsonl.gz", {"Demonstration": 772}),
    ("natural-instructions", "super-natural-instructions/tasks", {"Demonstration": 14500}),
    ("pandalm", "pandalm-human-pairs/pairs.jsonl", {"Ranking": 3 * 771}),
    ("datasets", "dpo-kto-demo/dpo_en.jsonl.gz", {"Ranking": 249}),
    ("text", "wikipedia-sample/articles.jsonl.gz", {"str": 26}),
]


@pytest.mark.parametrize(("format", "name", "counts"), EXPECTED, ids=[name for _, name, _ in EXPECTED])
def test_a_published_file_is_read_whole_and_goes_through_heeds_own_format(tmp_path, format, name, counts):
    path = DATA / name
    if not path.exists():
        pytest.skip(f"{name} is not here: set HEED_DATA to the directory of the public data")
    records = list(read(format, path))
    assert Counter(type(record).__name__ for record in records) == counts
    write("heed", tmp_path / "one.jsonl", records[:2000])
    write("heed", tmp_path / "two.jsonl", read("heed", tmp_path / "one.jsonl"))
    assert (tmp_path / "one.jsonl").read_bytes() == (tmp_path / "two.jsonl").read_bytes()


def test_open_assistant_rankings_have_two_to_nine_answers():
    path = DATA / "oasst-ranked-trees/trees.jsonl.gz"
    if not path.exists():
        pytest.skip("oasst-ranked-trees is not here: set HEED_DATA to the directory of the public data")
    sizes = Counter(len(r.completions) for r in read("open-assistant", path) if isinstance(r, Ranking))
    assert sizes == {2: 36, 3: 84, 4: 24, 5: 2, 6: 5, 8: 1}
