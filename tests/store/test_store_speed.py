"""Bulk work takes seconds."""

from __future__ import annotations

import time
from pathlib import Path

from heed.records import Completion, Labeler, Prompt, Ranking
from heed.store import Store

N = 2_500


def test_a_round_of_labels_is_stored_and_read_in_seconds(tmp_path: Path) -> None:
    prompts = [Prompt.from_text(f"say {i} in a friendly way", meta={"kind": "say", "n": i}) for i in range(N)]
    answers = [
        [
            Completion(
                text=f"{i} and {k}, my friend", token_ids=tuple(range(k, k + 20)), logprobs=(-0.5,) * 20, policy="sft"
            )
            for k in range(4)
        ]
        for i in range(N)
    ]
    rankings = [
        Ranking(prompt=prompt, completions=tuple(group), tiers=(0, 1, 1, 2), labeler=f"labeler-{i % 10}")
        for i, (prompt, group) in enumerate(zip(prompts, answers, strict=True))
    ]
    began = time.process_time()
    with Store.open(tmp_path / "heed.db") as store:
        store.add_labelers([Labeler(id=f"labeler-{i}") for i in range(10)])
        store.add_prompts(prompts)
        store.add_generations(prompts, answers)
        store.add_rankings(rankings, round=1)
        written = time.process_time() - began
        assert store.rankings() == rankings
        read = time.process_time() - began - written
    assert written < 2.5, f"writing took {written:.1f} s of processor time"  # a third of it on an idle machine
    assert read < 1.25, f"reading took {read:.1f} s of processor time"  # a quarter
