"""TRL's RewardTrainer: every pair of a ranking is an example, and both of its answers go through the model."""

from __future__ import annotations

import tempfile

import torch
from datasets import Dataset
from transformers import AutoModelForSequenceClassification, AutoTokenizer
from trl import RewardConfig, RewardTrainer

from benchmarks.speed.peers.steps import Steps
from benchmarks.speed.turns import Turns, read_job


def main() -> None:
    """Do the job that the command line names, turn by turn."""
    turns, job = Turns(), read_job()
    torch.set_num_threads(job["threads"])
    settings = job["settings"]
    pairs = [
        (group["prompt"] + better, group["prompt"] + worse)
        for group in job["data"]["groups"]
        for place, better in enumerate(group["answers"])
        for worse in group["answers"][place + 1 :]
    ]
    steps, rest = divmod(len(pairs), settings["pairs_per_step"])
    assert not rest
    accumulated, rest = divmod(settings["pairs_per_step"], settings["micro"])
    assert not rest

    def finished(loss: float) -> None:
        turns.done(len(pairs), {"pairs": len(pairs), "steps": steps, "loss": loss})

    with tempfile.TemporaryDirectory() as directory:
        config = RewardConfig(
            output_dir=directory,
            per_device_train_batch_size=settings["micro"],
            gradient_accumulation_steps=accumulated,
            num_train_epochs=job["turns"],
            max_length=512,
            use_cpu=True,
            bf16=False,
            gradient_checkpointing=False,
            learning_rate=settings["learning_rate"],
            report_to=[],
            disable_tqdm=True,
            save_strategy="no",
            logging_steps=1,
        )
        RewardTrainer(
            model=AutoModelForSequenceClassification.from_pretrained(job["models"]["classifier"], dtype=torch.float32),
            args=config,
            train_dataset=Dataset.from_dict(
                {"chosen_ids": [better for better, _ in pairs], "rejected_ids": [worse for _, worse in pairs]}
            ),
            processing_class=AutoTokenizer.from_pretrained(job["models"]["tokenizer"]),
            callbacks=[Steps(steps, finished)],
        ).train()


if __name__ == "__main__":
    main()
