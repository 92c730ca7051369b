"""All kinds of task, after the use cases of InstructGPT (Ouyang et al. 2022, Table 1)."""

from __future__ import annotations

from collections.abc import Mapping

from heed.sandbox.kind import Kind
from heed.sandbox.kinds_passage import ANSWERABLE, CLASSIFY, CLOSED_QA, EXTRACT, REWRITE, SUMMARISE, UNANSWERABLE
from heed.sandbox.kinds_recall import FACTS, OPEN_QA, TALE, TWO_PART
from heed.sandbox.kinds_writing import BRAINSTORM, CHAT, LETTER, STORY

KINDS: Mapping[str, Kind] = {
    kind.name: kind
    for kind in (
        STORY,
        LETTER,
        BRAINSTORM,
        OPEN_QA,
        TWO_PART,
        FACTS,
        REWRITE,
        CHAT,
        SUMMARISE,
        EXTRACT,
        CLOSED_QA,
        ANSWERABLE,
        UNANSWERABLE,
        TALE,
        CLASSIFY,
    )
}
"""Kind by name. Their shares sum to 1."""

MIRRORED = tuple(name for name, kind in KINDS.items() if kind.twin is not None)
"""Kinds in which most demonstrators make the typical mistake; the others are controls."""
