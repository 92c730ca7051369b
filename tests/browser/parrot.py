"""A stand-in for the models' process: each model says its name, and what it was told, loudly."""

from __future__ import annotations

import json
import sys


def main() -> None:
    for line in sys.stdin:
        asked = json.loads(line)
        text = f"{asked['model']} heard: {asked['prompts'][0][-1][1].upper()}"
        one = {"text": text, "token_ids": [1], "logprobs": [-0.5], "stop": "eos"}
        print(json.dumps({"completions": [[one] * asked["n"] for _ in asked["prompts"]]}), flush=True)


if __name__ == "__main__":
    main()
