"""Rankings and grades as the lead's pages compare them, in a handful of queries whatever the number."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import Connection, Select, Text, cast, distinct, func, literal, select

from heed.records import LabelerGroup
from heed.store import schema as t
from heed.store.rows import chunks
from heed.store.studio import tables as s
from heed.store.studio.judged import Graded, Judged, Judgements

FIRST_LOOKS = ("ordinary",)
"""Purposes of items whose judgements tell of agreement: not gold or anchors, which are chosen, nor second looks."""


def read_judgements(
    connection: Connection,
    *,
    campaign: str | None = None,
    group: LabelerGroup | None = None,
    shared_only: bool = False,
    purposes: Iterable[str] = FIRST_LOOKS,
) -> Judgements:
    """Rankings that still count: the newest word of each labeler who has not withdrawn.

    Args:
        shared_only: only of prompts that two labelers or more answered; what is alone has nothing to agree with.
    """
    statement = _heads(campaign, list(purposes))
    if group is not None:
        statement = statement.where(t.labeler.c.labeler_group == group)
    if shared_only:
        statement = statement.where(t.item.c.prompt_id.in_(_shared_prompts(campaign)))
    return _judgements(connection, statement)


def read_item_judgements(connection: Connection, item_id: int) -> Judgements:
    """Everyone's ranking of one item."""
    return _judgements(connection, _heads(None, None).where(t.item.c.id == item_id))


def read_second_looks(connection: Connection, campaign: str | None = None) -> list[tuple[Judged, Judged]]:
    """First and second judgement of those labelers who got an item of their own again."""
    again = _judgements(connection, _heads(campaign, ["recheck"])).judged
    origins = dict(
        connection.execute(
            select(t.item.c.id, t.item.c.origin_id).where(
                t.item.c.purpose == "recheck", t.item.c.origin_id.is_not(None)
            )
        ).all()
    )
    firsts: dict[tuple[int, str], Judged] = {}
    for chunk in chunks({origin for origin in origins.values() if origin is not None}):
        for one in _judgements(connection, _heads(None, None).where(t.item.c.id.in_(chunk))).judged:
            firsts[one.item_id, one.labeler] = one
    pairs = ((firsts.get((origins.get(one.item_id) or 0, one.labeler)), one) for one in again)
    return [(first, one) for first, one in pairs if first is not None and len(first.tiers) == len(one.tiers)]


def read_scores(connection: Connection, answers: Mapping[int, tuple[int, ...]]) -> dict[int, tuple[float, ...]]:
    """By unit, the mean score that reward models gave to each of its answers; units without a score are left out."""
    if connection.execute(select(s.score.c.generation_id).limit(1)).first() is None:
        return {}
    scores: dict[int, float] = {}
    for chunk in chunks({one for group in answers.values() for one in group}):
        statement = select(s.score.c.generation_id, func.avg(s.score.c.value)).where(s.score.c.generation_id.in_(chunk))
        scores.update(connection.execute(statement.group_by(s.score.c.generation_id)).all())
    return {
        unit: tuple(scores[one] for one in group)
        for unit, group in answers.items()
        if all(one in scores for one in group)
    }


def read_graded(
    connection: Connection, *, campaign: str | None = None, group: LabelerGroup | None = None
) -> dict[str, list[Graded]]:
    """By question, what was graded by two labelers or more, and how often with which value.

    Without the answers by which leads decided: they had seen the others'.
    """
    newer = t.response.alias("newer")
    thing = func.coalesce(t.item_candidate.c.generation_id, -t.item.c.prompt_id)
    statement = (
        select(
            t.answer.c.question,
            thing.label("thing"),
            t.item.c.prompt_id,
            t.answer.c.value_number,
            func.count(distinct(t.assignment.c.labeler_id)).label("n"),
        )
        .select_from(t.answer)
        .join(t.response, t.response.c.id == t.answer.c.response_id)
        .join(t.item, t.item.c.id == t.answer.c.item_id)
        .join(t.assignment, t.assignment.c.id == t.response.c.assignment_id)
        .join(t.labeler, t.labeler.c.id == t.assignment.c.labeler_id)
        .outerjoin(
            t.item_candidate,
            (t.item_candidate.c.item_id == t.answer.c.item_id) & (t.item_candidate.c.ordinal == t.answer.c.ordinal),
        )
        .where(
            t.answer.c.value_number.is_not(None),
            t.item.c.purpose.in_(FIRST_LOOKS),
            t.labeler.c.withdrawn_at.is_(None),
            t.item.c.prompt_id.in_(_shared_prompts(campaign)),
            t.response.c.id.not_in(
                select(s.adjudication.c.response_id).where(s.adjudication.c.response_id.is_not(None))
            ),
            ~select(newer.c.id).where(newer.c.supersedes == t.response.c.id).exists(),
        )
        .group_by(t.answer.c.question, thing, t.item.c.prompt_id, t.answer.c.value_number)
    )
    if campaign is not None:
        statement = statement.where(t.item.c.campaign == campaign)
    if group is not None:
        statement = statement.where(t.labeler.c.labeler_group == group)
    counts: dict[str, dict[tuple[int, int], list[tuple[float, int]]]] = defaultdict(lambda: defaultdict(list))
    for row in connection.execute(statement):
        counts[row.question][row.thing, row.prompt_id].append((float(row.value_number), int(row.n)))
    return {
        question: [
            Graded(unit=thing, cluster=prompt, counts=tuple(values))
            for (thing, prompt), values in sorted(things.items())
            if sum(n for _, n in values) > 1
        ]
        for question, things in sorted(counts.items())
    }


def _shared_prompts(campaign: str | None) -> Select[Any]:
    """Prompts that two labelers or more have answered."""
    statement = (
        select(t.item.c.prompt_id)
        .join(t.assignment, t.assignment.c.item_id == t.item.c.id)
        .where(t.assignment.c.state == "submitted")
        .group_by(t.item.c.prompt_id)
        .having(func.count(distinct(t.assignment.c.labeler_id)) > 1)
    )
    return statement if campaign is None else statement.where(t.item.c.campaign == campaign)


def _heads(campaign: str | None, purposes: list[str] | None) -> Select[Any]:
    newer = t.response.alias("newer")
    place = cast(t.item_candidate.c.generation_id, Text) + literal(":") + cast(t.rank_tier.c.tier, Text)
    places = (
        select(func.aggregate_strings(place, ","))
        .select_from(t.rank_tier)
        .join(
            t.item_candidate,
            (t.item_candidate.c.item_id == t.rank_tier.c.item_id)
            & (t.item_candidate.c.ordinal == t.rank_tier.c.ordinal),
        )
        .where(t.rank_tier.c.response_id == t.response.c.id)
        .correlate(t.response)
        .scalar_subquery()
    )
    first = t.rank_tier.alias("first_place")
    statement = (
        select(
            t.response.c.id,
            t.response.c.item_id,
            t.response.c.assignment_id,
            t.assignment.c.labeler_id,
            t.assignment.c.active_ms,
            t.labeler.c.labeler_group,
            t.labeler.c.kind,
            t.prompt.c.category,
            t.guideline.c.version,
            places.label("places"),
        )
        .select_from(t.response)
        .join(first, (first.c.response_id == t.response.c.id) & (first.c.ordinal == 0))
        .join(t.assignment, t.assignment.c.id == t.response.c.assignment_id)
        .join(t.labeler, t.labeler.c.id == t.assignment.c.labeler_id)
        .join(t.item, t.item.c.id == t.response.c.item_id)
        .join(t.prompt, t.prompt.c.id == t.item.c.prompt_id)
        .outerjoin(t.guideline, t.guideline.c.id == t.item.c.guideline_id)
        .where(
            t.labeler.c.withdrawn_at.is_(None),
            ~select(newer.c.id).where(newer.c.supersedes == t.response.c.id).exists(),
        )
        .order_by(t.response.c.id)
    )
    if purposes is not None:
        statement = statement.where(t.item.c.purpose.in_(purposes))
    return statement if campaign is None else statement.where(t.item.c.campaign == campaign)


def _judgements(connection: Connection, statement: Select[Any]) -> Judgements:
    deciding = set(
        connection.execute(
            select(t.response.c.assignment_id).join(s.adjudication, s.adjudication.c.response_id == t.response.c.id)
        ).scalars()
    )
    units: dict[tuple[int, ...], int] = {}
    judged = []
    for row in connection.execute(statement):
        places = sorted(tuple(map(int, place.split(":"))) for place in row.places.split(","))
        answers = tuple(place[0] for place in places)
        judged.append(
            Judged(
                unit=units.setdefault(answers, row.item_id),
                item_id=row.item_id,
                response_id=row.id,
                labeler=row.labeler_id,
                group=row.labeler_group,
                kind=row.kind,
                category=row.category,
                guideline=row.version,
                active_ms=row.active_ms,
                tiers=tuple(place[1] for place in places),
                decides=row.assignment_id in deciding,
            )
        )
    return Judgements(judged=tuple(judged), answers={unit: answers for answers, unit in units.items()})
