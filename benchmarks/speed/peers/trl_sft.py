"""TRL's SFTTrainer with its best layout for documents of different lengths: packing by best fit."""

from __future__ import annotations

import tempfile

import torch
from datasets import Dataset
from transformers import AutoModelForCausalLM, AutoTokenizer
from trl import SFTConfig, SFTTrainer

from benchmarks.speed.peers.steps import Steps
from benchmarks.speed.turns import Turns, read_job


def main() -> None:
    """Do the job that the command line names, turn by turn."""
    turns, job = Turns(), read_job()
    torch.set_num_threads(job["threads"])
    settings, documents = job["settings"], job["data"]["documents"]
    tokens = sum(map(len, documents))
    real: list[int] = []
    targets: list[int] = []

    def finished(loss: float) -> None:
        found = {"targets": sum(targets), "steps": len(real), "loss": loss}
        assert sum(real) == tokens, f"{sum(real)} tokens went through the model, expected {tokens}"
        real.clear()
        targets.clear()
        turns.done(tokens, found)

    with tempfile.TemporaryDirectory() as directory:
        config = SFTConfig(
            output_dir=directory,
            per_device_train_batch_size=settings["rows_per_step"],
            num_train_epochs=job["turns"],
            max_length=settings["row"],
            packing=True,
            packing_strategy="bfd",
            use_cpu=True,
            bf16=False,
            gradient_checkpointing=False,
            learning_rate=settings["learning_rate"],
            report_to=[],
            disable_tqdm=True,
            save_strategy="no",
            logging_steps=1,
        )
        trainer = SFTTrainer(
            model=AutoModelForCausalLM.from_pretrained(job["models"]["policy"], dtype=torch.float32),
            args=config,
            train_dataset=Dataset.from_dict({"input_ids": documents}),
            processing_class=AutoTokenizer.from_pretrained(job["models"]["tokenizer"]),
            callbacks=[Steps(settings["steps"], finished)],
        )
        collate = trainer.data_collator

        def counted(examples: list[dict[str, list[int]]]) -> dict[str, torch.Tensor]:
            batch: dict[str, torch.Tensor] = collate(examples)
            real.append(sum(len(example["input_ids"]) for example in examples))
            targets.append(int((batch["labels"] != -100).sum()))
            return batch

        trainer.data_collator = counted
        trainer.train()


if __name__ == "__main__":
    main()
