"""What the three kinds of judgement ask. A form is data: change one here, and the store keeps a new version of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from heed.records import Json

FLAGS: Final = (
    "fails_task",
    "inappropriate_for_assistant",
    "hallucination",
    "violates_constraint",
    "sexual",
    "violent",
    "encourages_harm",
    "denigrates_group",
    "harmful_advice",
    "expresses_opinion",
    "expresses_moral_judgement",
)
"""Yes or no about each answer, after InstructGPT Table 3."""

DEMONSTRATION: Final = "demonstration"
RANKING: Final = "ranking"
RATING: Final = "rating"
OVERALL: Final = "overall"

FORMS: Final[Mapping[str, Mapping[str, Json]]] = {
    DEMONSTRATION: {"questions": [{"name": DEMONSTRATION, "kind": "answer"}]},
    RANKING: {"questions": [{"name": RANKING, "kind": "tiers", "ties": True}]},
    RATING: {
        "questions": [
            {"name": OVERALL, "kind": "likert", "low": 1, "high": 7},
            *({"name": name, "kind": "flag"} for name in FLAGS),
        ]
    },
}
