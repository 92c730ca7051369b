"""What the three kinds of judgement that come from files ask. The studio's forms are in ``heed.form_library``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from heed.form_library import OUTPUT_FLAGS
from heed.forms import DEMONSTRATION, EDIT, OVERALL, RANKING
from heed.records import Json

__all__ = ["DEMONSTRATION", "EDIT", "FLAGS", "FORMS", "OVERALL", "RANKING", "RATING"]

FLAGS: Final = tuple(question.name for question in OUTPUT_FLAGS)
"""Yes or no about each answer, after InstructGPT Table 3."""
RATING: Final = "rating"

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
