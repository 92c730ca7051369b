"""The button that trains: from labels in the store to figures on the page, with a real process behind it."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

import pytest

from heed.errors import DataError
from heed.records import Completion, Demonstration, Labeler, Prompt, Ranking
from heed.web.launch import log_tail, look_after
from heed.web.studio import Studio


def fill(studio: Studio) -> None:
    studio.store.add_labelers([Labeler(id="ann"), Labeler(id="eve", group="heldout")])
    prompts = [Prompt.from_text(f"Say {n}.") for n in range(8)]
    studio.store.add_demonstrations(
        [Demonstration(prompt=one, completion=Completion(text="It is said."), labeler="ann") for one in prompts],
        campaign="write",
    )
    pair = (Completion(text="one"), Completion(text="two"))
    for labeler in ("ann", "eve"):
        studio.store.add_rankings(
            [Ranking(prompt=one, completions=pair, tiers=(0, 1), labeler=labeler) for one in prompts], campaign="rank"
        )


def test_the_page_counts_what_can_be_learned_from(studio: Studio, client_as: Callable[..., Any]) -> None:
    fill(studio)
    found = {one.campaign: one for one in studio.jobs.trainable()}
    assert (found["write"].demonstrations, found["write"].rankings) == (8, 0)
    assert (found["rank"].rankings, found["rank"].heldout, found["rank"].labelers) == (8, 8, 2)
    page = client_as("lead").get("/lead/train")
    assert page.status_code == 200
    assert "does not know yet which model to start from" in page.text
    studio.store.withdraw_labeler("ann")
    assert {one.campaign: one.rankings for one in studio.jobs.trainable()} == {"rank": 0}


def test_a_training_that_cannot_start_says_why(studio: Studio, client_as: Callable[..., Any]) -> None:
    fill(studio)
    lead = client_as("lead")
    assert lead.post("/lead/train", {"kind": "poetry"}).status_code == 422
    done = lead.post("/lead/train", {"kind": "reward"})
    assert done.status_code == 303
    job = studio.jobs.list()[0]
    deadline = time.monotonic() + 60
    while studio.jobs.get(job.id).state == "running" and time.monotonic() < deadline:
        time.sleep(0.1)
    ended = studio.jobs.get(job.id)
    assert ended.state == "failed"
    assert "nothing has been run here yet" in ended.message
    page = lead.get(f"/lead/train/{job.id}/fragment")
    assert "nothing has been run here yet" in page.text
    assert "data-settled" in page.text


def test_one_of_a_kind_runs_at_a_time(studio: Studio, client_as: Callable[..., Any]) -> None:
    lead = client_as("lead")
    studio.jobs.start("sft", [sys.executable], str(studio.workspace.runs_dir), lead.account.id)
    with pytest.raises(DataError, match="running already"):
        studio.jobs.start("sft", [sys.executable], str(studio.workspace.runs_dir), lead.account.id)
    studio.jobs.start("reward", [sys.executable], str(studio.workspace.runs_dir), lead.account.id)


def test_a_training_whose_process_is_gone_has_ended(studio: Studio, client_as: Callable[..., Any]) -> None:
    """As after a reboot: nobody was there to take note."""
    lead = client_as("lead")
    job = studio.jobs.start("sft", ["heed"], str(studio.workspace.runs_dir), lead.account.id)
    studio.jobs.set_process(job.id, 2**22 - 1)
    ended = look_after(studio.jobs, studio.workspace, studio.jobs.get(job.id))
    assert ended.state == "failed"
    assert "without a word" in ended.message
    assert log_tail(ended) == ""
    assert lead.get("/lead/train/none").status_code == 404
