"""vLLM in this process, with the log-probability of each token drawn, as a trainer asks for them."""

from __future__ import annotations

import os

from benchmarks.speed.turns import Turns, read_job


def main() -> None:
    """Do the job that the command line names, turn by turn."""
    turns, job = Turns(), read_job()
    os.environ |= {
        "VLLM_ENABLE_V1_MULTIPROCESSING": "0",  # its CPU seconds are then those of this process
        "VLLM_CPU_KVCACHE_SPACE": "1",
        "VLLM_CPU_OMP_THREADS_BIND": "nobind",
        "VLLM_LOGGING_LEVEL": "WARNING",
        "VLLM_NO_USAGE_STATS": "1",
    }
    from vllm import LLM, SamplingParams

    settings, prompts = job["settings"], job["data"]["prompts"]
    model = LLM(
        model=job["models"]["policy"],
        dtype="float32",
        max_model_len=512,
        max_num_seqs=128,
        max_num_batched_tokens=8192,
        enable_prefix_caching=True,
        enforce_eager=job["settings"].get("eager", False),
        seed=0,
    )
    requests = [{"prompt_token_ids": prompt} for prompt in prompts]
    for turn in range(job["turns"]):
        model.reset_prefix_cache()  # the same prompts were there a turn ago
        drawing = SamplingParams(
            n=settings["n"],
            temperature=1.0,
            max_tokens=settings["new"],
            logprobs=0,
            detokenize=False,
            seed=None,
        )
        found = model.generate(requests, drawing, use_tqdm=False)
        answers = [answer for request in found for answer in request.outputs]
        tokens = sum(len(answer.token_ids) for answer in answers)
        assert tokens == sum(len(answer.logprobs) for answer in answers)
        turns.done(tokens, {"tokens": tokens, "answers": len(answers), "turn": turn})


if __name__ == "__main__":
    main()
