"""The queue: who works on what, until when, and what they said.

A claim gives an item to a labeler for a while: a lease, with a token that only they know. A lease ends once, by a
submission, a skip, by being given back, or by its time running out; only then is its slot free again. An answer that
was acknowledged is in the database and stays there.
"""

from __future__ import annotations

import random
import secrets
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final, Literal, get_args

from sqlalchemy import Connection, insert

from heed.errors import DataError, LeaseError
from heed.forms import check_answers
from heed.records import Json
from heed.store import schema as t
from heed.store.columns import encode_json
from heed.store.database import Store
from heed.store.dialect import again_after_deadlock, first_free, upsert
from heed.store.reading import prompt_of
from heed.store.studio import claims, holding, leases
from heed.store.studio import tables as s
from heed.store.studio.answers_in import Occasion, canonical, put_response
from heed.store.studio.claims import Claimant
from heed.store.studio.history import read_done, read_history, revisable
from heed.store.studio.leases import Done, Lease, Receipt
from heed.store.studio.settings import CampaignSettings, parse_settings

SkipReason = Literal["unclear", "too_hard", "upsetting", "language", "personal_data", "broken", "other"]
MAX_DRAFT: Final = 200_000
"""Bytes of a draft."""


class Queue:
    """Gives out items and takes answers. Every method is one transaction."""

    def __init__(self, store: Store, draw: random.Random | None = None) -> None:
        self._store = store
        self._draw = draw or random.Random()
        self._forms = leases.Forms()

    @again_after_deadlock
    def claim(self, labeler: str, *, campaign: str | None = None, device: str = "") -> Lease | None:
        """The next item for a labeler, from one campaign or from any that is active; nothing if none is left.

        Raises:
            AccessError: they may not work now.
            DataError: there is no such campaign.
            LeaseError: they hold as many items as they may.
        """
        with self._store.writer() as connection:
            now = self._store.now()
            person = self._person(connection, labeler, now)
            for row in holding.campaigns_of(connection, campaign):
                settings = parse_settings(row.settings)
                if person.held >= settings.held_at_once:
                    raise LeaseError(f"you hold {person.held} tasks; hand some in, or give them back, before the next")
                who = _claimant(person, row.name, device, now)
                key = self._next(connection, who, person, row, settings)
                if key is not None:
                    return self._lease(connection, key)
        return None

    @again_after_deadlock
    def claim_item(self, labeler: str, item_id: int, *, device: str = "") -> Lease | None:
        """One certain item, such as the next turn of a chat; nothing if it is taken or not for this labeler.

        Raises:
            AccessError: they may not work now.
        """
        with self._store.writer() as connection:
            now = self._store.now()
            person = self._person(connection, labeler, now)
            row = connection.execute(holding.ITEM, {"item": item_id}).one_or_none()
            if row is None or row.reserved_for not in (None, labeler):
                return None
            screening = person.status == "screening"
            shared = row.purpose != "ordinary" or row.audience == person.labeler_group or row.reserved_for == labeler
            if screening != (row.purpose == "screening") or not shared:
                return None
            if first_free(connection, t.item, t.item.c.slots_open > 0, [item_id]) is None:
                return None
            who = _claimant(person, row.campaign, device, now)
            key = self._assign(connection, who, item_id, parse_settings(row.settings))
            return None if key is None else self._lease(connection, key)

    def lease(self, labeler: str, token: str) -> Lease:
        """What a labeler holds under a token.

        Raises:
            LeaseError: nothing.
        """
        with self._store.reader() as connection:
            row = connection.execute(leases.BY_TOKEN, {"token": token, "labeler": labeler}).one_or_none()
            if row is None:
                raise LeaseError(holding.UNKNOWN)
            if row.state != "leased":
                raise LeaseError(holding.ENDED[row.state])
            return leases.lease_of(connection, row, self._forms)

    def live(self, labeler: str) -> list[Lease]:
        """All that a labeler holds, oldest first: whoever lost a tab comes back to it."""
        with self._store.reader() as connection:
            rows = connection.execute(leases.BY_LABELER, {"labeler": labeler}).all()
            return [leases.lease_of(connection, row, self._forms) for row in rows]

    @again_after_deadlock
    def save_draft(self, labeler: str, token: str, revision: int, payload: Mapping[str, Json]) -> int:
        """Keep an unfinished answer, unless a newer one is kept already; the revision that is kept now.

        Raises:
            LeaseError: there is no such task of theirs, or it is over.
            DataError: the draft is no JSON object, too large, or its revision is not a positive number.
        """
        if not isinstance(payload, Mapping) or len(encode_json(payload).encode()) > MAX_DRAFT:
            raise DataError(f"the draft is not a JSON object of at most {MAX_DRAFT:,} bytes")
        if isinstance(revision, bool) or not isinstance(revision, int) or not 1 <= revision < 2**31:
            raise DataError(f"the draft's revision is {revision!r}, expected a whole number from 1 on")
        with self._store.writer() as connection:
            row = holding.held(connection, labeler, token)
            if row.state in ("submitted", "skipped"):
                raise LeaseError(holding.ENDED[row.state])
            values = {
                "assignment_id": row.assignment_id,
                "revision": revision,
                "payload": payload,
                "saved_at": self._store.now(),
            }
            upsert(connection, s.draft, values, newer="revision")
            return int(connection.execute(holding.REVISION, {"key": row.assignment_id}).scalar_one())

    @again_after_deadlock
    def beat(self, labeler: str, token: str) -> datetime:
        """A sign of life: the lease runs from now on anew. Until when.

        Raises:
            LeaseError: it is over, and somebody else has the item.
        """
        with self._store.writer() as connection:
            row = holding.held(connection, labeler, token)
            now = self._store.now()
            settings = parse_settings(row.settings)
            until = now + timedelta(seconds=settings.lease_seconds)
            holding.renew(connection, row)
            connection.execute(holding.BEAT, {"key": row.assignment_id, "until": until})
            return until

    @again_after_deadlock
    def submit(
        self,
        labeler: str,
        token: str,
        key: str,
        payload: Mapping[str, Json],
        *,
        active_ms: int,
        idle_ms: int,
        first_input_at: datetime | None = None,
    ) -> Receipt:
        """Hand in an answer. The same key again is the same answer, and gets the same receipt.

        Args:
            key: drawn by the page, once for each answer it sends.
            active_ms: milliseconds of work; never counted for more than has passed since the item was served.
            idle_ms: milliseconds without a sign of it.

        Raises:
            LeaseError: the task is not theirs, or it is over and somebody else has it. A draft of it is kept.
            DataError: the answer is not one that the form takes.
        """
        holding.check_key(key)
        times = holding.check_times(active_ms, idle_ms)
        with holding.one_key(), self._store.writer() as connection:
            row = holding.held(connection, labeler, token, whole=True)
            replay = None if row.state == "leased" else self._replay(connection, key, row)
            if replay is not None:
                return replay
            now = self._store.now()
            holding.renew(connection, row)
            response_id = self._put(connection, row, key, payload)
            lasted = max(0, int((now - row.served_at).total_seconds() * 1000))
            values = {
                "key": row.assignment_id,
                "at": now,
                "first": holding.within(first_input_at, row.served_at, now),
                "active": min(times[0], lasted),
                "idle": min(times[1], lasted),
            }
            connection.execute(holding.SUBMIT, values)
            if row.revision is not None:
                connection.execute(holding.FORGET_DRAFT, {"key": row.assignment_id})
            return self._receipt(connection, row, response_id)

    @again_after_deadlock
    def revise(self, labeler: str, response_id: int, key: str, payload: Mapping[str, Json]) -> Receipt:
        """Change one's mind: a new response that supersedes the old one, which is kept.

        Raises:
            LeaseError: it is not theirs, was changed already, or it is too late.
            DataError: the answer is not one that the form takes.
        """
        holding.check_key(key)
        with holding.one_key(), self._store.writer() as connection:
            found = connection.execute(holding.RESPONSE, {"response": response_id, "labeler": labeler}).one_or_none()
            if found is None:
                raise LeaseError(holding.UNKNOWN_RESPONSE)
            row = holding.held(connection, labeler, found.lease_token, whole=True)
            replay = self._replay(connection, key, row)
            if replay is not None:
                return replay
            if connection.execute(holding.NEWER, {"response": response_id}).first() is not None:
                raise LeaseError("you have changed this answer already; change the newest version of it")
            if not revisable(row, parse_settings(row.settings), self._store.now()):
                raise LeaseError(
                    "this answer can no longer be changed: its time is over, or you have seen the solution"
                )
            return self._receipt(connection, row, self._put(connection, row, key, payload, supersedes=response_id))

    @again_after_deadlock
    def skip(self, labeler: str, token: str, reason: SkipReason, note: str = "") -> None:
        """Leave an item to others, for good.

        Raises:
            LeaseError: there is no such task of theirs, or it is over.
            DataError: no such reason.
        """
        if reason not in get_args(SkipReason):
            raise DataError(f"reason {reason!r}, expected one of {', '.join(get_args(SkipReason))}")
        with self._store.writer() as connection:
            row = holding.held(connection, labeler, token)
            if row.state in ("expired", "returned"):  # its slot is free already: only remember it
                connection.execute(holding.SKIP_LATE, {"key": row.assignment_id})
            elif not claims.end(connection, row.assignment_id, row.item_id, "skipped"):
                raise LeaseError(holding.ENDED[row.state])
            values = {"assignment_id": row.assignment_id, "reason": reason, "note": note[:2000]}
            connection.execute(insert(s.skip).values(**values, created_at=self._store.now()))
            connection.execute(holding.FORGET_DRAFT, {"key": row.assignment_id})

    @again_after_deadlock
    def give_back(self, labeler: str, token: str) -> None:
        """Let go of an item that one may get again later; its draft is kept for then.

        Raises:
            LeaseError: there is no such task of theirs, or it is answered or skipped.
        """
        with self._store.writer() as connection:
            row = holding.held(connection, labeler, token)
            if row.state in ("submitted", "skipped"):
                raise LeaseError(holding.ENDED[row.state])
            claims.end(connection, row.assignment_id, row.item_id, "returned")

    @again_after_deadlock
    def expire(self) -> int:
        """Give back the slots of all leases that have run out; how many. Claims do so too, a few at a time."""
        ended = 0
        while True:
            with self._store.writer() as connection:
                some = claims.expire_due(connection, self._store.now())
            ended += some
            if some == 0:
                return ended

    def history(self, labeler: str, limit: int = 50, before: int | None = None) -> list[Done]:
        """What a labeler has answered, latest first, each with its earlier versions after it.

        Args:
            limit: items, whatever the number of versions.
            before: only items that were given out before that of this response.
        """
        with self._store.reader() as connection:
            return read_history(connection, labeler, limit, before, self._store.now(), self._forms)

    def done(self, labeler: str, response_id: int) -> Done:
        """One answer of a labeler.

        Raises:
            LeaseError: there is no such answer of theirs.
        """
        with self._store.reader() as connection:
            return read_done(connection, labeler, response_id, self._store.now(), self._forms)

    def _person(self, connection: Connection, labeler: str, now: datetime) -> Any:
        """Who asks, after leases that have run out were ended."""
        person = holding.person_of(connection, labeler, now)
        if person.due:
            claims.expire_due(connection, now)
            person = holding.person_of(connection, labeler, now)
        return person

    def _next(
        self, connection: Connection, who: Claimant, person: Any, row: Any, settings: CampaignSettings
    ) -> int | None:
        """Give out the next item of a campaign: the assignment."""
        if person.status == "screening":
            return self._give(connection, who, "screening", settings)
        key = self._give_reserved(connection, who, "ordinary", settings) if person.reserved else None
        if key is not None:
            return key
        drawn = self._draw.random()
        if drawn < settings.recheck_share:
            key = self._give_reserved(connection, who, "recheck", settings) if person.reserved else None
            if key is None and self._forms.of(connection, row.form_id).task in claims.RECHECKED_TASKS:
                made = claims.make_recheck(connection, who, self._draw)
                key = None if made is None else self._assign(connection, who, made[0], settings, made[1])
        elif drawn < settings.recheck_share + settings.gold_share:
            key = self._give(connection, who, "gold", settings)
        elif drawn < settings.recheck_share + settings.gold_share + settings.anchor_share:
            key = self._give(connection, who, "anchor", settings)
        return key if key is not None else self._give(connection, who, "ordinary", settings)

    def _give(self, connection: Connection, who: Claimant, purpose: str, settings: CampaignSettings) -> int | None:
        while (item_id := claims.next_item(connection, who, purpose)) is not None:
            key = self._assign(connection, who, item_id, settings)
            if key is not None:  # else another tab of theirs was quicker, and the next look knows
                return key
        return None

    def _give_reserved(
        self, connection: Connection, who: Claimant, purpose: str, settings: CampaignSettings
    ) -> int | None:
        item_id = claims.reserved_item(connection, who, purpose)
        return None if item_id is None else self._assign(connection, who, item_id, settings)

    def _assign(
        self, connection: Connection, who: Claimant, item_id: int, settings: CampaignSettings, seed: int | None = None
    ) -> int | None:
        return claims.assign(
            connection,
            who,
            item_id,
            token=secrets.token_urlsafe(24),
            lease_until=who.now + timedelta(seconds=settings.lease_seconds),
            order_seed=claims.new_seed(self._draw) if seed is None else seed,
        )

    def _lease(self, connection: Connection, assignment_id: int) -> Lease:
        row = connection.execute(leases.BY_ASSIGNMENT, {"key": assignment_id}).one()
        return leases.lease_of(connection, row, self._forms)

    def _put(
        self,
        connection: Connection,
        row: Any,
        key: str,
        payload: Mapping[str, Json],
        supersedes: int | None = None,
    ) -> int:
        form = self._forms.of(connection, row.form_id)
        candidates = leases.candidates_of(connection, row.item_id)
        order = claims.order_of(row.order_seed, len(candidates))
        answers = canonical(form, check_answers(form, payload, len(candidates)), order)
        occasion = Occasion(
            assignment_id=row.assignment_id,
            item_id=row.item_id,
            labeler=row.labeler_id,
            form=form,
            prompt=prompt_of(row),
            prompt_row=row.prompt_id,
            candidates=candidates,
            now=self._store.now(),
        )
        return put_response(connection, occasion, answers, key, supersedes)

    def _replay(self, connection: Connection, key: str, row: Any) -> Receipt | None:
        """The receipt that was given for this key."""
        found = connection.execute(holding.BY_KEY, {"key": key}).one_or_none()
        if found is None:
            return None
        if found.assignment_id != row.assignment_id:
            raise LeaseError(holding.TAKEN_KEY)
        return self._receipt(connection, row, found.id, replayed=True)

    def _receipt(self, connection: Connection, row: Any, response_id: int, replayed: bool = False) -> Receipt:
        gold = None
        if row.gold is not None and holding.shows_gold(row, parse_settings(row.settings)):
            num = len(leases.candidates_of(connection, row.item_id))
            gold = leases.shown_gold(row.gold, claims.order_of(row.order_seed, num))
        return Receipt(response_id=response_id, replayed=replayed, gold=gold)


def _claimant(person: Any, campaign: str, device: str, now: datetime) -> Claimant:
    return Claimant(
        labeler=person.id,
        audience=person.labeler_group,
        campaign=campaign,
        device=device,
        now=now,
        has_place=person.has_place,
    )
