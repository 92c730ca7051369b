"""``generate`` of transformers: static batches, padded on the left, until the longest answer has ended."""

from __future__ import annotations

import torch
import transformers
from transformers import AutoModelForCausalLM

from benchmarks.speed.turns import Turns, read_job


def main() -> None:
    """Do the job that the command line names, turn by turn."""
    turns, job = Turns(), read_job()
    torch.set_num_threads(job["threads"])
    transformers.utils.logging.set_verbosity_error()
    settings = job["settings"]
    model = AutoModelForCausalLM.from_pretrained(
        job["models"]["policy"], dtype=torch.float32, attn_implementation="sdpa"
    ).eval()
    eos_id, pad_id = model.config.eos_token_id, model.config.pad_token_id
    prompts = [prompt for prompt in job["data"]["prompts"] for _ in range(settings["n"])]
    for turn in range(job["turns"]):
        torch.manual_seed(turn)
        tokens = 0
        for start in range(0, len(prompts), settings["batch"]):
            batch = prompts[start : start + settings["batch"]]
            longest = max(map(len, batch))
            ids = torch.full((len(batch), longest), pad_id)
            mask = torch.zeros(ids.shape, dtype=torch.long)
            for row, prompt in enumerate(batch):
                ids[row, longest - len(prompt) :] = torch.tensor(prompt)
                mask[row, longest - len(prompt) :] = 1
            with torch.inference_mode():
                out = model.generate(
                    input_ids=ids,
                    attention_mask=mask,
                    do_sample=True,
                    temperature=1.0,
                    top_k=0,
                    top_p=1.0,
                    max_new_tokens=settings["new"],
                    eos_token_id=eos_id,
                    pad_token_id=pad_id,
                )
            ended = out[:, longest:] == eos_id
            tokens += int(torch.where(ended.any(1), ended.int().argmax(1) + 1, ended.shape[1]).sum())
        turns.done(tokens, {"tokens": tokens, "answers": len(prompts)})


if __name__ == "__main__":
    main()
