"""Many labelers at once in the real studio: how fast it answers, and that nothing acknowledged is ever lost.

    python benchmarks/label_load.py --labelers 200 --minutes 10 --items 100000 --kill
    python benchmarks/label_load.py --url postgresql+psycopg://postgres@localhost/heed --workers 2 --items 1000000

Starts ``heed label``, fills a campaign, lets simulated labelers come in by invitation and work, kills the server in
the middle if asked to, and compares afterwards what the server acknowledged with what is in the export.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from sqlalchemy import create_engine, text

from heed.feedback.crew.characters import SECONDS
from heed.feedback.crew.gang import Outcome, Shift, run_shift
from heed.feedback.crew.hiring import Hiring, hire
from heed.feedback.crew.work import USUAL, Mishaps
from heed.form_library import LIBRARY
from heed.records import Completion, Prompt
from heed.store import Workspace
from heed.store.studio.asks import Ask
from heed.store.studio.campaigns import Campaigns, CampaignSettings
from heed.store.studio.simulated import accept_crew, invite_crew, mark_simulated

try:
    from benchmarks.serving import Server
except ModuleNotFoundError:  # started as a script
    from serving import Server  # type: ignore[import-not-found,no-redef]

BATCH = 20_000
CAMPAIGN = "load"


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What is put on the server."""

    labelers: int = 200
    seconds: float = 600.0
    items: int = 100_000
    think: float = 10.0
    """Median seconds that a labeler thinks about one comparison."""
    workers: int = 1
    kill: bool = False
    url: str | None = None
    mishaps: Mishaps = USUAL


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What came out."""

    answers: int
    seconds: float
    answers_per_second: float
    seeding_seconds: float
    next_ms: tuple[float, float, float]
    """Median, 95 % and 99 % of the server's time for the next task."""
    submit_ms: tuple[float, float, float]
    draft_ms: tuple[float, float, float]
    retries: int
    replayed: int
    resumed: int
    errors: tuple[str, ...]
    lost: int
    """Acknowledged answers that are not in the database under their key."""
    not_exported: int
    """Those of ordinary items that are not in the export."""
    exported: int
    double_leases: int
    wrong_slots: int
    """Items whose slots do not add up."""


def asks(number: int) -> Iterator[list[Ask]]:
    """Comparisons of two answers, many different prompts."""
    for start in range(0, number, BATCH):
        yield [
            Ask(
                prompt=Prompt.from_text(f"Question {index}: what is the best way to spend a rainy afternoon?"),
                candidates=tuple(
                    Completion(text=f"Answer {index}.{side}: read a book of {index % 97 + 100} pages.", policy="load")
                    for side in range(2)
                ),
            )
            for index in range(start, min(start + BATCH, number))
        ]


def fill(load: Load, workspace: Workspace) -> float:
    """Put the items into the campaign, where they are not there yet; how many seconds it took."""
    start = time.monotonic()
    with workspace.store() as store:
        campaigns = Campaigns(store)
        if CAMPAIGN not in [one.name for one in campaigns.list()]:
            campaigns.create(CAMPAIGN, LIBRARY["compare"], settings=CampaignSettings(), state="active")
        for batch in asks(load.items if campaigns.totals(CAMPAIGN).total == 0 else 0):
            campaigns.add_items(CAMPAIGN, batch)
    return time.monotonic() - start


def run(load: Load, root: Path) -> Result:
    """Put the load on a server of its own for a fresh workspace at ``root``."""
    workspace = Workspace.create(root, load.url)
    seeding = fill(load, workspace)
    with workspace.store() as store:
        recruits = hire(Hiring(honest=load.labelers), {})
        tokens = invite_crew(store, [one.group for one in recruits])
        invited = [replace(one, invitation=token) for one, token in zip(recruits, tokens, strict=True)]
    server = Server(root, load.url, load.workers)
    server.start()
    try:
        outcome = asyncio.run(_shift(load, workspace, server, invited))
    finally:
        server.kill()
    return _result(load, workspace, outcome, seeding)


async def _shift(load: Load, workspace: Workspace, server: Server, recruits: Any) -> Outcome:
    killer: list[asyncio.Task[None]] = []

    def joined(accounts: Mapping[str, str]) -> None:
        with workspace.store() as store:
            mark_simulated(store, list(accounts.values()))
            accept_crew(store, list(accounts.values()))
        if load.kill:
            killer.append(asyncio.get_running_loop().create_task(_kill(server, load.seconds / 2)))

    speed = SECONDS["compare"] / load.think
    shift = Shift(url=server.url, seconds=load.seconds, speed=speed, mishaps=load.mishaps, spread=load.think)
    outcome = await run_shift(recruits, shift, joined=joined)
    for task in killer:
        await task
    return outcome


async def _kill(server: Server, after: float) -> None:
    await asyncio.sleep(after)
    server.kill()
    await asyncio.sleep(1.0)
    await asyncio.to_thread(server.start)


def _result(load: Load, workspace: Workspace, outcome: Outcome, seeding: float) -> Result:
    acknowledged = {key: int(one) for diary in outcome.diaries for key, one in diary.acknowledged.items()}
    with workspace.store() as store:
        export = store.freeze_export("rankings", workspace.exports_dir, store.rankings(campaign=CAMPAIGN))
    url = load.url or f"sqlite:///{workspace.db}"
    engine = create_engine(url)
    with engine.connect() as connection:
        rows = connection.execute(text("SELECT idempotency_key, id FROM response"))
        stored: dict[str, int] = {row[0]: row[1] for row in rows}
        exported = set(connection.execute(text("SELECT response_id FROM export_response")).scalars())
        ordinary = set(
            connection.execute(
                text("SELECT r.id FROM response r JOIN item i ON i.id = r.item_id WHERE i.purpose = 'ordinary'")
            ).scalars()
        )
        doubles = connection.execute(text(_DOUBLE)).scalar_one()
        slots = connection.execute(text(_SLOTS)).scalar_one()
    engine.dispose()
    return Result(
        answers=outcome.answers,
        seconds=round(outcome.seconds, 1),
        answers_per_second=round(outcome.answers / outcome.seconds, 1),
        seeding_seconds=round(seeding, 1),
        next_ms=_percentiles(outcome, "/api/next"),
        submit_ms=_percentiles(outcome, "/submit"),
        draft_ms=_percentiles(outcome, "/draft"),
        retries=outcome.retries,
        replayed=sum(diary.replayed for diary in outcome.diaries),
        resumed=sum(diary.resumed for diary in outcome.diaries),
        errors=tuple(outcome.errors),
        lost=sum(stored.get(key) != one for key, one in acknowledged.items()),
        not_exported=len((set(acknowledged.values()) & ordinary) - exported),
        exported=export.rows,
        double_leases=doubles,
        wrong_slots=slots,
    )


_DOUBLE = """
SELECT count(*) FROM (SELECT item_id, labeler_id FROM assignment WHERE state IN ('leased', 'submitted')
GROUP BY item_id, labeler_id HAVING count(*) > 1) AS twice"""
_SLOTS = """
SELECT count(*) FROM (SELECT i.id FROM item i LEFT JOIN assignment a
ON a.item_id = i.id AND a.state IN ('leased', 'submitted')
GROUP BY i.id, i.slots_open, i.slots_total HAVING i.slots_open + count(a.id) <> i.slots_total) AS wrong"""


def _percentiles(outcome: Outcome, ending: str) -> tuple[float, float, float]:
    values = sorted(ms for path, ms in outcome.server_ms if path.endswith(ending))
    if not values:
        return (0.0, 0.0, 0.0)
    at = [values[min(int(share * len(values)), len(values) - 1)] for share in (0.5, 0.95, 0.99)]
    return (at[0], at[1], at[2])


def main() -> None:
    """From the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--labelers", type=int, default=200)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--items", type=int, default=100_000)
    parser.add_argument("--think", type=float, default=10.0, help="median seconds for one comparison")
    parser.add_argument("--url", help="a database server instead of SQLite; empty, or filled before")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--kill", action="store_true", help="kill -9 the server in the middle")
    parser.add_argument("--fill-only", action="store_true", help="put the items in, and leave; the next call uses them")
    given = parser.parse_args()
    load = Load(
        labelers=given.labelers,
        seconds=60 * given.minutes,
        items=given.items,
        think=given.think,
        workers=given.workers,
        kill=given.kill,
        url=given.url,
    )
    with tempfile.TemporaryDirectory(prefix="heed-load-") as directory:
        if given.fill_only:
            print(f"{fill(load, Workspace.create(Path(directory) / 'workspace', load.url)):.0f} s")
            return
        result = run(load, Path(directory) / "workspace")
    print(json.dumps({"load": asdict(load), "result": asdict(result)}, indent=2))
    sys.exit(bool(result.errors or result.lost or result.not_exported or result.double_leases or result.wrong_slots))


if __name__ == "__main__":
    main()
