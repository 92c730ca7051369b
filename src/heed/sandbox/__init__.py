"""A small English world whose true preferences are a known program: texts, prompts, grades and simulated labelers."""

from heed.sandbox.grading import IDEAL, Grade
from heed.sandbox.kinds import KINDS, MIRRORED
from heed.sandbox.labelers import SimulatedLabeler, crew
from heed.sandbox.prompting import copied, copy_probe, few_shot, strip_strays
from heed.sandbox.world import GoldScorer, Split, World, grade

__all__ = [
    "IDEAL",
    "KINDS",
    "MIRRORED",
    "GoldScorer",
    "Grade",
    "SimulatedLabeler",
    "Split",
    "World",
    "copied",
    "copy_probe",
    "crew",
    "few_shot",
    "grade",
    "strip_strays",
]
