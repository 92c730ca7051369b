"""What people have said so far, frozen for training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from heed.errors import DataError
from heed.store.studio.campaigns import Campaigns

if TYPE_CHECKING:
    from heed.config import RunConfig
    from heed.records import LabelerGroup, Ranking
    from heed.store import Store
    from heed.store.workspace import Workspace


def freeze_labels(
    config: RunConfig, place: Workspace, kind: str, campaigns: Sequence[str] = (), curve: bool = False
) -> RunConfig:
    """The settings with the hashes of what there is now, for training ``sft`` or ``reward``; others stay.

    Raises:
        DataError: nobody has said anything of that kind yet, or not in these campaigns.
    """
    changes: dict[str, object] = {"learning_curve": curve}
    chosen: Sequence[str | None] = list(campaigns) or [None]
    with place.store() as store:
        if kind == "sft":
            demonstrations = [one for name in chosen for one in store.demonstrations(split="train", campaign=name)]
            if not demonstrations:
                raise DataError(f"there are no demonstrations to learn from yet{_where(campaigns)}")
            changes["demonstrations"] = store.freeze_export("demonstrations", place.exports_dir, demonstrations).hash
        else:
            groups: tuple[tuple[str, LabelerGroup], ...] = (("rankings", "training"), ("heldout", "heldout"))
            for field, group in groups:
                rankings = [
                    one for name in chosen for one in store.rankings(labeler_group=group, campaign=name, final=True)
                ]
                if rankings:
                    changes[field] = store.freeze_export("rankings", place.exports_dir, rankings).hash
                elif field == "rankings":
                    raise DataError(f"there are no rankings to learn from yet{_where(campaigns)}")
                else:
                    changes[field] = None
            changes |= _freeze_arms(store, place, chosen) if curve else {"random_arm": None, "ensemble_arm": None}
    return config.model_copy(update={"labels": config.labels.model_copy(update=changes)})


def _freeze_arms(store: Store, place: Workspace, campaigns: Sequence[str | None]) -> dict[str, str | None]:
    """The rankings of each arm, from the campaigns in which reward models have chosen items."""
    said: dict[str, list[Ranking]] = {"random": [], "ensemble": []}
    names = [one for one in campaigns if one is not None] or [one.name for one in Campaigns(store).list()]
    for name in names:
        arms = {arm: store.rankings(labeler_group="training", campaign=name, arm=arm, final=True) for arm in said}
        if all(arms.values()):
            for arm, rankings in arms.items():
                said[arm] += rankings
    return {
        f"{arm}_arm": store.freeze_export("rankings", place.exports_dir, rankings).hash if rankings else None
        for arm, rankings in said.items()
    }


def _where(campaigns: Sequence[str]) -> str:
    return f" in {', '.join(campaigns)}" if campaigns else ""
