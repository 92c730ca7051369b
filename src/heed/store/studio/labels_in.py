"""Lines of labels (:mod:`heed.store.studio.labels_out`) back into rows. What is there already is left as it is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, insert, select, update

from heed.errors import DataError
from heed.records import Completion, Labeler, Prompt
from heed.store import schema as t
from heed.store.database import Store
from heed.store.rows import insert_rows
from heed.store.studio import tables as s
from heed.store.writing import put_generations, put_labelers, put_prompts

KINDS = ("form", "guideline", "labeler", "campaign", "label")


def add_labels(
    store: Store,
    lines: Iterable[tuple[str, Mapping[str, Any]]],
    *,
    prompt: Callable[[Mapping[str, Any], str], Prompt],
    completion: Callable[[Mapping[str, Any], str], Completion],
) -> Counter[str]:
    """Add all lines in one transaction; how many were new, by kind.

    Args:
        lines: where each line stands, for messages, and what it says.
        prompt: reads a prompt, and says where it is wrong.
        completion: reads an answer.

    Raises:
        DataError: a line is not what it should be; nothing is added then.
    """
    with store.writer() as connection:
        intake = _Intake(connection, store.now(), prompt, completion)
        for where, line in lines:
            try:
                intake.take(line, where)
            except (KeyError, TypeError, ValueError, AttributeError) as error:
                if isinstance(error, DataError):
                    raise
                missing = f"field {error} is missing" if isinstance(error, KeyError) else str(error)
                raise DataError(f"{where}: not a line of labels: {missing}") from error
        return intake.added


class _Intake:
    """What was seen on the way through a file."""

    def __init__(self, connection: Connection, now: datetime, prompt: Any, completion: Any) -> None:
        self._connection, self._now = connection, now
        self._prompt, self._completion = prompt, completion
        self._forms: dict[tuple[str, int], int] = {}
        self._guidelines: dict[int, int] = {}
        self._items: dict[str, int] = {}
        self.added: Counter[str] = Counter()

    def take(self, line: Mapping[str, Any], where: str) -> None:
        kind = line.get("record")
        match kind:
            case "form":
                self._form(line, where)
            case "guideline":
                self._guideline(line, where)
            case "labeler":
                labeler = Labeler(id=line["id"], kind=line["kind"], group=line["group"])
                put_labelers(self._connection, [labeler], self._now)
            case "campaign":
                self._campaign(line, where)
            case "label":
                self._label(line, where)
            case _:
                raise DataError(f"{where}: there is no record {kind!r} among labels; expected {', '.join(KINDS)}")

    def _form(self, line: Mapping[str, Any], where: str) -> None:
        values = {"name": line["name"], "version": line["version"], "definition": line["definition"]}
        same = (t.form.c.name == line["name"]) & (t.form.c.version == line["version"])
        known = self._connection.execute(select(t.form).where(same)).one_or_none()
        if known is not None and known.definition != line["definition"]:
            raise DataError(
                f"{where}: form {line['name']!r} version {line['version']} is another one here; import into a new "
                "workspace"
            )
        if known is None:
            values["created_at"] = _moment(line["created_at"])
            self.added["forms"] += 1
        key = known.id if known is not None else insert_rows(self._connection, t.form, [values])[0]
        self._forms[line["name"], line["version"]] = key

    def _guideline(self, line: Mapping[str, Any], where: str) -> None:
        known = self._connection.execute(
            select(t.guideline).where(t.guideline.c.version == line["version"])
        ).one_or_none()
        if known is not None and known.markdown != line["markdown"]:
            raise DataError(f"{where}: guideline version {line['version']} is another one here; use a new workspace")
        values = {
            "version": line["version"],
            "markdown": line["markdown"],
            "created_at": _moment(line["created_at"]),
        }
        if known is None:
            self.added["guidelines"] += 1
        key = known.id if known is not None else insert_rows(self._connection, t.guideline, [values])[0]
        self._guidelines[line["version"]] = key

    def _campaign(self, line: Mapping[str, Any], where: str) -> None:
        name = line["name"]
        if self._connection.execute(select(s.campaign.c.name).where(s.campaign.c.name == name)).first():
            return
        values = {
            "name": name,
            "form_id": self._known_form(line["form"], where),
            "guideline_id": None if line["guideline"] is None else self._guidelines[line["guideline"]],
            "state": line["state"],
            "settings": line["settings"],
            "created_at": _moment(line["created_at"]),
        }
        self._connection.execute(insert(s.campaign).values(values))
        self.added["campaigns"] += 1

    def _label(self, line: Mapping[str, Any], where: str) -> None:
        connection = self._connection
        known = select(t.response.c.id).where(t.response.c.idempotency_key == line["key"])
        if connection.execute(known).first() is not None:
            return
        prompt = self._prompt(line["prompt"], where)
        candidates = [self._completion(one, where) for one in line["candidates"]]
        prompt_id = put_prompts(connection, [prompt], self._now)[prompt.id]
        item_id = self._item(line, where, prompt_id, candidates)
        older = None
        if line["supersedes"] is not None:
            old = select(t.response.c.id, t.response.c.assignment_id)
            row = connection.execute(old.where(t.response.c.idempotency_key == line["supersedes"])).one_or_none()
            if row is None:
                raise DataError(f"{where}: it supersedes label {line['supersedes']!r}, which does not come before it")
            older, assignment_id = row.id, row.assignment_id
        else:
            assignment_id = self._assignment(line, item_id)
        values = {
            "assignment_id": assignment_id,
            "item_id": item_id,
            "idempotency_key": line["key"],
            "said_key": line["said"][0],
            "supersedes": older,
            "created_at": _moment(line["said_at"]),
        }
        response_id = insert_rows(connection, t.response, [values])[0]
        self._said(line, where, response_id, item_id, prompt_id)
        self.added["labels"] += 1

    def _item(self, line: Mapping[str, Any], where: str, prompt_id: int, candidates: Sequence[Completion]) -> int:
        key = line["item"]
        item_id = self._items.get(key)
        if item_id is None and key is not None:
            item_id = self._connection.execute(select(t.item.c.id).where(t.item.c.content_key == key)).scalar()
        if item_id is not None:
            self._items[key] = item_id
            return item_id
        origin = None
        if line["origin"] is not None:
            origin = (
                self._items.get(line["origin"])
                or self._connection.execute(select(t.item.c.id).where(t.item.c.content_key == line["origin"])).scalar()
            )
        values = {
            "content_key": key,
            "campaign": line["campaign"],
            "round": line["round"],
            "prompt_id": prompt_id,
            "form_id": self._known_form(line["form"], where),
            "guideline_id": None if line["guideline"] is None else self._guidelines[line["guideline"]],
            "priority": line["priority"],
            "slots_total": 0,
            "slots_open": 0,
            "created_at": _moment(line["asked_at"]),
            "purpose": line["purpose"],
            "audience": line["audience"],
            "arm": line["arm"],
            "origin_id": origin,
            **({"gold": line["gold"]} if line["gold"] is not None else {}),
        }
        item_id = insert_rows(self._connection, t.item, [values])[0]
        generations = put_generations(self._connection, [(prompt_id, one) for one in candidates], self._now)
        rows = [
            {"item_id": item_id, "ordinal": ordinal, "generation_id": generations[prompt_id, one.id]}
            for ordinal, one in enumerate(candidates)
        ]
        if rows:
            self._connection.execute(insert(t.item_candidate), rows)
        if key is not None:
            self._items[key] = item_id
        return item_id

    def _assignment(self, line: Mapping[str, Any], item_id: int) -> int:
        """A slot that is taken: an open one of an item that is there, or one more."""
        slots = select(t.item.c.slots_open).where(t.item.c.id == item_id)
        free = self._connection.execute(slots).scalar_one() > 0
        change = {"slots_open": t.item.c.slots_open - 1} if free else {"slots_total": t.item.c.slots_total + 1}
        self._connection.execute(update(t.item).where(t.item.c.id == item_id).values(change))
        values = {
            "item_id": item_id,
            "labeler_id": line["labeler"],
            "attempt": line["attempt"],
            "state": "submitted",
            "order_seed": line["order_seed"],
            "served_at": _moment(line["served_at"]),
            "submitted_at": _moment(line["submitted_at"]),
            "active_ms": line["active_ms"],
            "idle_ms": line["idle_ms"],
            "first_input_at": None if line["first_input_at"] is None else _moment(line["first_input_at"]),
        }
        return insert_rows(self._connection, t.assignment, [values])[0]

    def _said(self, line: Mapping[str, Any], where: str, response_id: int, item_id: int, prompt_id: int) -> None:
        connection = self._connection
        ids = {"response_id": response_id, "item_id": item_id}
        tiers = sorted((tier, ordinal) for ordinal, tier in enumerate(line["tiers"]))
        if tiers:
            connection.execute(insert(t.rank_tier), [{**ids, "ordinal": one, "tier": tier} for tier, one in tiers])
        for answer in line["answers"]:
            generation = None
            if "written" in answer:
                written = self._completion(answer["written"], where)
                generation = put_generations(connection, [(prompt_id, written)], self._now)[prompt_id, written.id]
            values = {
                **ids,
                "question": answer["question"],
                "ordinal": answer.get("candidate"),
                "value_number": answer.get("number"),
                "value_text": answer.get("text"),
                "generation_id": generation,
            }
            connection.execute(insert(t.answer).values(values))
        if line["note"]:
            connection.execute(insert(t.note).values(response_id=response_id, text=line["note"]))
        for part in line["said"][1:]:
            connection.execute(insert(s.response_part).values(response_id=response_id, said_key=part))
        if line["written_prompt"] is not None:
            prompt = self._prompt(line["written_prompt"], where)
            key = put_prompts(connection, [prompt], self._now)[prompt.id]
            connection.execute(insert(s.written_prompt).values(response_id=response_id, prompt_id=key))

    def _known_form(self, form: Sequence[Any], where: str) -> int:
        key = (form[0], form[1])
        if key not in self._forms:
            raise DataError(f"{where}: form {form[0]!r} version {form[1]} does not come before what answers it")
        return self._forms[key]


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)
