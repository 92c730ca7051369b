"""Who is in a crew."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from heed.feedback.crew.characters import HABITS, Character
from heed.feedback.crew.minds import Mind
from heed.records import LabelerGroup, Prompt
from heed.sandbox.labelers import crew as sandbox_crew
from heed.sandbox.world import World


@dataclass(frozen=True, slots=True, kw_only=True)
class Hiring:
    """How many of each sort."""

    honest: int = 8
    noisy: int = 0
    lazy: int = 0
    hostile: int = 0
    heldout: int = 0
    """Honest ones of the held-out group."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recruit:
    """Someone before they come in."""

    name: str
    """What they call themselves, such as ``hostile 01``."""
    character: Character
    group: LabelerGroup
    invitation: str = ""
    """The token of the link they were sent."""


def hire(hiring: Hiring, prompts: Mapping[str, Prompt], *, world_seed: int = 0, seed: int = 0) -> list[Recruit]:
    """A crew with tastes of their own. ``prompts`` are those of the sandbox, by text."""
    world = World(world_seed)
    staff = hiring.honest + hiring.noisy + hiring.lazy + hiring.hostile
    judges = iter(sandbox_crew(world, seed, num_training=staff, num_heldout=hiring.heldout))
    minds = (Mind(labeler=one, known=prompts) for one in judges)
    return list(_recruits(hiring, minds))


def _recruits(hiring: Hiring, minds: Iterator[Mind]) -> Iterator[Recruit]:
    for index in range(hiring.honest):
        yield _recruit(f"honest {index:02d}", Character(name="honest", mind=next(minds)))
    for index in range(hiring.noisy):
        yield _recruit(f"noisy {index:02d}", Character(name="noisy", mind=next(minds)))
    for index in range(hiring.lazy):
        habit = HABITS[index % len(HABITS)]
        yield _recruit(f"lazy {index:02d}", Character(name="lazy", mind=next(minds), habit=habit))
    for index in range(hiring.hostile):
        yield _recruit(f"hostile {index:02d}", Character(name="hostile", mind=next(minds)))
    for index in range(hiring.heldout):
        yield _recruit(f"heldout {index:02d}", Character(name="honest", mind=next(minds)), "heldout")


def _recruit(name: str, character: Character, group: LabelerGroup = "training") -> Recruit:
    return Recruit(name=name, character=character, group=group)
