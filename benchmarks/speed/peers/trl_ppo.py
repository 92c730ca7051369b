"""TRL's PPOTrainer, of the last release that has one."""

from __future__ import annotations

import tempfile
from typing import Any

import torch
import trl.experimental.ppo.ppo_trainer as implementation
from datasets import Dataset
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer
from trl.experimental.ppo import PPOConfig, PPOTrainer

from benchmarks.speed.turns import Turns, read_job


def main() -> None:
    """Do the job that the command line names, turn by turn."""
    turns, job = Turns(), read_job()
    torch.set_num_threads(job["threads"])
    settings, prompts, models = job["settings"], job["data"]["prompts"], job["models"]
    policy, reference = (AutoModelForCausalLM.from_pretrained(models["policy"], dtype=torch.float32) for _ in range(2))
    reward_model, value_model = (
        AutoModelForSequenceClassification.from_pretrained(models["classifier"], dtype=torch.float32) for _ in range(2)
    )
    eos_id = policy.config.eos_token_id
    answers: list[torch.Tensor] = []
    generate = implementation.batch_generation

    def counted(model: Any, queries: torch.Tensor, *rest: Any, **named: Any) -> Any:
        found = generate(model, queries, *rest, **named)
        answers.append(found[0][:, queries.shape[1] :] == eos_id)
        return found

    implementation.batch_generation = counted
    with tempfile.TemporaryDirectory() as directory:
        config = PPOConfig(
            output_dir=directory,
            per_device_train_batch_size=settings["micro"],
            gradient_accumulation_steps=settings["episodes"] // settings["micro"],
            num_mini_batches=1,
            total_episodes=settings["episodes"] * job["turns"],
            num_ppo_epochs=settings["epochs"],
            response_length=settings["response"],
            stop_token="eos",
            temperature=1.0,
            kl_coef=settings["kl_coef"],
            local_rollout_forward_batch_size=settings["episodes"],
            num_sample_generations=0,
            missing_eos_penalty=None,
            use_cpu=True,
            bf16=False,
            gradient_checkpointing=False,
            learning_rate=settings["learning_rate"],
            report_to=[],
            disable_tqdm=True,
            save_strategy="no",
            logging_steps=1,
        )
        trainer = PPOTrainer(
            args=config,
            processing_class=AutoTokenizer.from_pretrained(models["tokenizer"], padding_side="left"),
            model=policy,
            ref_model=reference,
            reward_model=reward_model,
            value_model=value_model,
            train_dataset=Dataset.from_dict({"input_ids": prompts}),
            eval_dataset=Dataset.from_dict({"input_ids": prompts[:4]}),
        )
        # All prompts are one batch, so every batch is the data's last, and then it would step after every microbatch.
        trainer.accelerator.gradient_state.plugin_kwargs["sync_with_dataloader"] = False
        steps = 0
        optimizer = trainer.optimizer.optimizer  # inside of the one that waits until gradients have accumulated
        move = optimizer.step

        def step(*rest: Any, **named: Any) -> Any:
            nonlocal steps
            steps += 1
            return move(*rest, **named)

        def log(figures: dict[str, float], *rest: Any) -> None:
            nonlocal steps
            tokens = 0
            for ended in answers:
                tokens += int(torch.where(ended.any(1), ended.int().argmax(1) + 1, ended.shape[1]).sum())
            count = sum(len(ended) for ended in answers)
            facts = {"tokens": tokens, "answers": count, "episodes": count, "steps": steps}
            answers.clear()
            steps = 0
            turns.done(count, facts)

        optimizer.step = step
        trainer.log = log
        trainer.train()


if __name__ == "__main__":
    main()
