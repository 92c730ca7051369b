"""Records into rows, many at a time. Whatever is there already is left as it is, so a stage may be run again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import count
from typing import Any

from sqlalchemy import Connection, bindparam, func, insert, select, update

from heed.errors import DataError
from heed.records import Completion, Json, Labeler, Prompt
from heed.store import schema as t
from heed.store.dialect import insert_new
from heed.store.forms import DEMONSTRATION, FORMS
from heed.store.judgements import Judgement, item_key, response_key, said_key
from heed.store.rows import chunks, insert_rows, rows_by_key


def put_prompts(connection: Connection, prompts: Iterable[Prompt], now: datetime) -> dict[str, int]:
    """Row ids by record id; prompts that are new are inserted in their order.

    Raises:
        DataError: a prompt has the id of another one with other messages.
    """
    unique = {prompt.id: prompt for prompt in prompts}
    known = rows_by_key(connection, t.prompt.c.record_id, [t.prompt.c.id], unique)
    rows = [_prompt_row(prompt, now) for prompt in unique.values() if prompt.id not in known]
    insert_new(connection, t.prompt, rows)
    stored = rows_by_key(connection, t.prompt.c.record_id, [t.prompt.c.id, t.prompt.c.messages], unique)
    for record_id, row in stored.items():
        if row.messages != _messages(unique[record_id]):
            raise DataError(
                f"prompt {record_id!r} is in the store with other messages; give one of the two another id, or none"
            )
    return {record_id: row.id for record_id, row in stored.items()}


def put_generations(
    connection: Connection, pairs: Iterable[tuple[int, Completion]], now: datetime
) -> dict[tuple[int, str], int]:
    """Row ids by (prompt row, record id); answers that are new are inserted in their order."""
    unique = {(prompt_id, completion.id): completion for prompt_id, completion in pairs}
    ids = _generation_ids(connection, unique)
    new = {key: completion for key, completion in unique.items() if key not in ids}
    insert_new(connection, t.generation, [_generation_row(key[0], completion, now) for key, completion in new.items()])
    return ids | _generation_ids(connection, new)


def put_labelers(connection: Connection, labelers: Iterable[Labeler], now: datetime) -> None:
    """Insert those that are new.

    Raises:
        DataError: a labeler is known as another kind, or in another group; what a held-out labeler said must not
            slip into training by a second registration.
    """
    unique = {labeler.id: labeler for labeler in labelers}
    insert_new(
        connection,
        t.labeler,
        [{"id": one.id, "kind": one.kind, "labeler_group": one.group, "created_at": now} for one in unique.values()],
    )
    for row in rows_by_key(connection, t.labeler.c.id, [t.labeler], unique).values():
        given = unique[row.id]
        if (row.kind, row.labeler_group) != (given.kind, given.group):
            raise DataError(
                f"labeler {row.id!r} is known as {row.kind}, group {row.labeler_group}; now given as {given.kind}, "
                f"group {given.group}. Add labelers before their work, and use another id for someone else"
            )


def put_judgements(
    connection: Connection, judgements: Sequence[Judgement], *, round: int, campaign: str, now: datetime
) -> int:
    """Store judgements with the items and assignments they belong to; returns how many were new.

    Judgements of the same candidates in one round and campaign share an item. A labeler who judges them again,
    differently, gets an item of their own, since nobody holds two live assignments of one item.
    """
    said = [said_key(one) for one in judgements]
    keyed = {response_key(key, round, campaign): (key, one) for key, one in zip(said, judgements, strict=True)}
    known = rows_by_key(connection, t.response.c.idempotency_key, [t.response.c.id], keyed)
    new = {key: one for key, one in keyed.items() if key not in known}
    if not new:
        return 0
    fresh = [one for _, one in new.values()]
    _check_labelers(connection, {one.labeler for one in fresh}, now)
    prompts = put_prompts(connection, (one.prompt for one in fresh), now)
    generations = put_generations(connection, _completions(fresh, prompts), now)
    keys = _item_keys(connection, fresh, round, campaign)
    common = {"round": round, "campaign": campaign, "created_at": now}
    items = _put_items(connection, list(zip(keys, fresh, strict=True)), prompts, generations, common)
    item_ids = [items[key] for key in keys]
    assignments = _put_assignments(connection, list(zip(item_ids, fresh, strict=True)), now)
    rows = [
        {
            "assignment_id": assignment_id,
            "item_id": item_id,
            "idempotency_key": key,
            "said_key": said,
            "created_at": now,
        }
        for assignment_id, item_id, (key, (said, _)) in zip(assignments, item_ids, new.items(), strict=True)
    ]
    responses = insert_rows(connection, t.response, rows)
    _put_answers(connection, list(zip(responses, item_ids, fresh, strict=True)), prompts, generations)
    return len(new)


def put_form(connection: Connection, name: str, definition: Mapping[str, Json], now: datetime) -> int:
    """Row id of the newest version of a form; a definition that has changed becomes a new version."""
    newest = connection.execute(
        select(t.form).where(t.form.c.name == name).order_by(t.form.c.version.desc()).limit(1)
    ).one_or_none()
    if newest is not None and newest.definition == definition:
        return int(newest.id)
    version = 1 if newest is None else newest.version + 1
    values = {"name": name, "version": version, "definition": definition, "created_at": now}
    return insert_rows(connection, t.form, [values])[0]


def _generation_ids(connection: Connection, keys: Iterable[tuple[int, str]]) -> dict[tuple[int, str], int]:
    columns = (t.generation.c.prompt_id, t.generation.c.record_id, t.generation.c.id)
    ids: dict[tuple[int, str], int] = {}
    for chunk in chunks({prompt_id for prompt_id, _ in keys}):
        for row in connection.execute(select(*columns).where(t.generation.c.prompt_id.in_(chunk))):
            ids[row.prompt_id, row.record_id] = row.id
    return ids


def _completions(judgements: Iterable[Judgement], prompts: Mapping[str, int]) -> Iterator[tuple[int, Completion]]:
    for one in judgements:
        for completion in one.shown:
            yield prompts[one.prompt.id], completion
        if one.written is not None:
            yield prompts[one.prompt.id], one.written


def put_guideline(connection: Connection, markdown: str, now: datetime) -> int:
    """The version of these instructions; other words than the newest version's become a new one."""
    statement = select(t.guideline).order_by(t.guideline.c.version.desc()).limit(1)
    newest = connection.execute(statement).one_or_none()
    if newest is not None and newest.markdown == markdown:
        return int(newest.version)
    version = 1 if newest is None else newest.version + 1
    insert_rows(connection, t.guideline, [{"version": version, "markdown": markdown, "created_at": now}])
    return version


def _check_labelers(connection: Connection, ids: set[str], now: datetime) -> None:
    """Everyone must be known before their work is; only the nameless, whose id is empty, need no introduction."""
    if "" in ids:
        put_labelers(connection, [Labeler(id="")], now)
    missing = sorted(ids - rows_by_key(connection, t.labeler.c.id, [t.labeler.c.id], ids).keys())
    if missing:
        raise DataError(
            f"labeler {missing[0]!r} is not known ({len(missing)} such). Add labelers with add_labelers before their "
            "work, so that what the held-out group says never counts as training"
        )


def _item_keys(connection: Connection, judgements: Sequence[Judgement], round: int, campaign: str) -> list[str]:
    """For each judgement the key of the first item of its content that its labeler has not answered yet."""
    keys = [""] * len(judgements)
    taken: set[tuple[str, str]] = set()
    pending = list(range(len(judgements)))
    for occurrence in count():
        for index in pending:
            keys[index] = item_key(judgements[index], round, campaign, occurrence)
        taken |= _answered(connection, {keys[index] for index in pending})
        again = []
        for index in pending:
            pair = (keys[index], judgements[index].labeler)
            if pair in taken:
                again.append(index)
            taken.add(pair)
        if not again:
            break
        pending = again
    return keys


def _answered(connection: Connection, item_keys: set[str]) -> set[tuple[str, str]]:
    found = set()
    for chunk in chunks(item_keys):
        statement = (
            select(t.item.c.content_key, t.assignment.c.labeler_id)
            .join(t.assignment, t.assignment.c.item_id == t.item.c.id)
            .where(t.item.c.content_key.in_(chunk))
        )
        found |= {(row.content_key, row.labeler_id) for row in connection.execute(statement)}
    return found


def _put_items(
    connection: Connection,
    judged: Sequence[tuple[str, Judgement]],
    prompts: Mapping[str, int],
    generations: Mapping[tuple[int, str], int],
    common: Mapping[str, Any],
) -> dict[str, int]:
    """Row ids by item key. An item has as many slots as it has been judged; none is open."""
    slots = Counter(key for key, _ in judged)
    known = rows_by_key(connection, t.item.c.content_key, [t.item.c.id], slots)
    first = {key: one for key, one in reversed(judged) if key not in known}
    guideline = connection.execute(select(func.max(t.guideline.c.id))).scalar()
    names = {one.form for one in first.values()}
    forms = {name: put_form(connection, name, FORMS[name], common["created_at"]) for name in names}
    ordered = [key for key in slots if key in first]
    rows = [
        {
            **common,
            "content_key": key,
            "prompt_id": prompts[first[key].prompt.id],
            "form_id": forms[first[key].form],
            "guideline_id": guideline,
            "slots_total": slots[key],
            "slots_open": 0,
        }
        for key in ordered
    ]
    ids = {key: row.id for key, row in known.items()}
    if rows:
        ids.update(zip(ordered, insert_rows(connection, t.item, rows), strict=True))
    candidates = [
        {
            "item_id": ids[key],
            "ordinal": ordinal,
            "generation_id": generations[prompts[first[key].prompt.id], completion.id],
        }
        for key in ordered
        for ordinal, completion in enumerate(first[key].shown)
    ]
    if candidates:
        connection.execute(insert(t.item_candidate), candidates)
    more = [{"key": row.id, "slots": slots[key]} for key, row in known.items()]
    if more:
        grown = update(t.item).values(slots_total=t.item.c.slots_total + bindparam("slots"))
        connection.execute(grown.where(t.item.c.id == bindparam("key")), more)
    return ids


def _put_assignments(connection: Connection, judged: Sequence[tuple[int, Judgement]], now: datetime) -> list[int]:
    rows = [
        {
            "item_id": item_id,
            "labeler_id": judgement.labeler,
            "attempt": 1,
            "state": "submitted",
            "served_at": now,
            "submitted_at": now,
        }
        for item_id, judgement in judged
    ]
    return insert_rows(connection, t.assignment, rows)


def _put_answers(
    connection: Connection,
    answered: Sequence[tuple[int, int, Judgement]],
    prompts: Mapping[str, int],
    generations: Mapping[tuple[int, str], int],
) -> None:
    tiers = [
        {"response_id": response_id, "item_id": item_id, "ordinal": ordinal, "tier": tier}
        for response_id, item_id, judgement in answered
        for tier, ordinal in sorted((tier, ordinal) for ordinal, tier in enumerate(judgement.tiers))
    ]  # best tier first: the database refuses a tier whose better neighbour is not there
    if tiers:
        connection.execute(insert(t.rank_tier), tiers)
    written = [
        {
            "response_id": response_id,
            "item_id": item_id,
            "question": DEMONSTRATION,
            "generation_id": generations[prompts[judgement.prompt.id], judgement.written.id],
        }
        for response_id, item_id, judgement in answered
        if judgement.written is not None
    ]
    if written:
        connection.execute(insert(t.answer), written)
    values = [
        {"response_id": response_id, "item_id": item_id, "question": name, "ordinal": 0, "value_number": value}
        for response_id, item_id, judgement in answered
        for name, value in judgement.values.items()
    ]
    if values:
        connection.execute(insert(t.answer), values)


def _prompt_row(prompt: Prompt, now: datetime) -> dict[str, Any]:
    return {
        "record_id": prompt.id,
        "messages": _messages(prompt),
        "source": prompt.source,
        "category": prompt.category,
        "author": prompt.user,
        "split": prompt.split,
        "meta": prompt.meta,
        "created_at": now,
    }


def _messages(prompt: Prompt) -> list[list[str]]:
    return [[message.role, message.content] for message in prompt.messages]


def _generation_row(prompt_id: int, completion: Completion, now: datetime) -> dict[str, Any]:
    return {
        "prompt_id": prompt_id,
        "record_id": completion.id,
        "text": completion.text,
        "token_ids": completion.token_ids,
        "logprobs": completion.logprobs,
        "stop": completion.stop,
        "policy": completion.policy,
        "meta": completion.meta,
        "created_at": now,
    }
