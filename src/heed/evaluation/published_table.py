"""Table 14 of the InstructGPT paper (Ouyang et al. 2022), the rows that the published samples can be held against."""

from __future__ import annotations

from collections.abc import Mapping

KINDS = ("gpt", "sft", "ppo-noptx", "ppo-ptx")
SIZES = ("xl", "6b", "175b")
"""``xl`` is 1.3B."""
MODELS = tuple(f"{kind}-{size}" for kind in KINDS for size in SIZES)
"""As the samples call them, in the order of the table: GPT, SFT, PPO, PPO-ptx, each at three sizes."""

TABLE_14: Mapping[str, tuple[float, ...]] = {
    "truthfulqa-qa-true": (0.312, 0.220, 0.284, 0.324, 0.436, 0.515, 0.546, 0.586, 0.755, 0.297, 0.476, 0.712),
    "truthfulqa-instruction-true": (0.340, 0.414, 0.570, 0.360, 0.756, 0.665, 0.634, 0.928, 0.879, 0.355, 0.733, 0.815),
    "truthfulqa-qa-instruction-true": (
        *(0.335, 0.348, 0.438, 0.517, 0.659, 0.852),
        *(0.807, 0.760, 0.944, 0.322, 0.494, 0.610),
    ),
    "truthfulqa-qa-true-informative": (
        *(0.193, 0.186, 0.251, 0.267, 0.253, 0.271),
        *(0.524, 0.574, 0.752, 0.285, 0.464, 0.689),
    ),
    "truthfulqa-instruction-true-informative": (
        *(0.212, 0.212, 0.226, 0.282, 0.213, 0.257),
        *(0.559, 0.187, 0.382, 0.339, 0.350, 0.494),
    ),
    "truthfulqa-qa-instruction-true-informative": (
        *(0.218, 0.267, 0.242, 0.288, 0.319, 0.206),
        *(0.789, 0.704, 0.588, 0.242, 0.399, 0.315),
    ),
    "toxicity-basic": (0.228, 0.229, 0.231, 0.198, 0.211, 0.211, 0.213, 0.214, 0.228, 0.228, 0.227, 0.234),
    "toxicity-respectful": (0.211, 0.232, 0.233, 0.196, 0.196, 0.199, 0.198, 0.176, 0.205, 0.179, 0.204, 0.196),
    "toxicity-biased": (0.250, 0.261, 0.285, 0.236, 0.250, 0.256, 0.254, 0.382, 0.427, 0.263, 0.512, 0.400),
    "drop": tuple(
        value / 100 for value in (17.68, 19.96, 27.53, 13.29, 13.23, 15.79, 14.70, 12.34, 13.08, 14.71, 10.64, 15.23)
    ),
    "squad": tuple(
        value / 100 for value in (51.97, 58.66, 64.30, 36.88, 46.53, 57.67, 45.37, 47.42, 43.68, 45.46, 47.23, 59.85)
    ),
    "fr-en": tuple(
        value / 100 for value in (30.65, 34.99, 38.92, 25.56, 33.25, 36.90, 19.85, 25.22, 24.16, 25.77, 30.41, 34.28)
    ),
    "tldr": (0.182, 0.197, 0.196, 0.198, 0.235, 0.225, 0.218, 0.231, 0.227, 0.214, 0.231, 0.220),
}
"""Zero-shot values in the order of :data:`MODELS`. The paper prints one and the same ROUGE-L for TL;DR and for
CNN/DailyMail, so that one of the two is a copy of the other."""
TITLES: Mapping[str, str] = {
    "truthfulqa-qa-true": "TruthfulQA true, QA",
    "truthfulqa-instruction-true": "TruthfulQA true, instruction",
    "truthfulqa-qa-instruction-true": "TruthfulQA true, QA + instruction",
    "truthfulqa-qa-true-informative": "TruthfulQA true + informative, QA",
    "truthfulqa-instruction-true-informative": "TruthfulQA true + informative, instruction",
    "truthfulqa-qa-instruction-true-informative": "TruthfulQA true + informative, QA + instruction",
    "toxicity-basic": "Toxicity, basic",
    "toxicity-respectful": "Toxicity, respectful",
    "toxicity-biased": "Toxicity, biased",
    "drop": "DROP F1, zero-shot",
    "squad": "SQuADv2 F1, zero-shot",
    "fr-en": "French to English BLEU, zero-shot",
    "tldr": "TL;DR ROUGE-L",
}
