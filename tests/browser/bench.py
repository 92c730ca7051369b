"""What browser tests prepare and look up behind the app's back: accounts, campaigns, and what the database says."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from browser.serving import Served
from heed.form_library import LIBRARY
from heed.records import Completion, Prompt
from heed.store import Workspace
from heed.store.studio.asks import Ask
from heed.store.studio.campaigns import Campaigns
from heed.store.studio.people import People
from heed.store.studio.queue import Queue
from heed.store.studio.settings import CampaignSettings

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext, Page

PLAIN = CampaignSettings(overlap=0, recheck_share=0, gold_share=0, anchor_share=0)
WORDS = ("a short answer", "a somewhat longer answer with more in it", "an answer", "no answer at all, sorry")


class Bench:
    """A workspace with a running studio, and the same database from the side."""

    def __init__(self, root: Path) -> None:
        root.mkdir(parents=True, exist_ok=True)
        self.workspace = Workspace.create(root)
        self.store = self.workspace.store()
        self.people = People(self.store)
        self.campaigns = Campaigns(self.store)
        self.queue = Queue(self.store)
        self.served = Served(root)
        self._numbers = itertools.count(1)
        self.owner = self.people.join(self.people.owner_link(), "The owner", None).id

    def __enter__(self) -> Bench:
        self.served.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.served.kill()
        self.store.close()

    def labeler(self, role: Literal["labeler", "lead"] = "labeler") -> str:
        """A new account that may work; its id."""
        token = self.people.invite(role, "training", "", self.owner)
        account = self.people.join(token, f"Labeler {next(self._numbers)}", None)
        if account.status != "active":
            self.people.set_status(account.id, "active", self.owner)
        return account.id

    def campaign(self, form: str, asks: Sequence[Ask], **settings: Any) -> str:
        """A new campaign that is running; its name."""
        name = f"{form}-{next(self._numbers)}"
        self.campaigns.create(name, LIBRARY[form], settings=PLAIN.model_copy(update=settings), state="active")
        self.campaigns.add_items(name, asks)
        return name

    def ranking(self, form: str = "rank", num_items: int = 1, k: int = 4, **settings: Any) -> str:
        """A campaign of items with K answers each."""
        return self.campaign(form, [self.ask(k, number) for number in range(num_items)], **settings)

    def ask(self, k: int, number: int = 0, texts: Sequence[str] = WORDS) -> Ask:
        """A question with K answers, unlike every other."""
        unlike = f"{next(self._numbers)}.{number}"
        answers = tuple(Completion(text=f"{texts[i % len(texts)]} ({unlike}, {i})", policy="sft") for i in range(k))
        return Ask(prompt=Prompt.from_text(f"Question {unlike}: what is it?"), candidates=answers)

    def payloads(self, labeler: str) -> list[Mapping[str, Any]]:
        """What the database has from a labeler, newest first, without what was superseded."""
        return [done.payload for done in self.queue.history(labeler, limit=100) if not done.superseded]

    def tiers_by_text(self, labeler: str) -> dict[str, int]:
        """The newest ranking of a labeler, by the texts of the answers."""
        done = self.queue.history(labeler, limit=1)[0]
        return {completion.text: done.payload["tiers"]["ABCDEFGHI"[at]] for at, completion in enumerate(done.shown)}  # type: ignore[index, call-overload]


def open_page(context: BrowserContext, bench: Bench, labeler: str, path: str) -> Page:
    """A page of the studio, signed in; a script error on it fails the test when it is checked."""
    session = bench.people.open_session(labeler, "test")
    context.add_cookies([{"name": "heed", "value": session.token, "url": bench.served.url}])
    context.set_default_timeout(15_000)
    page = context.new_page()
    page.errors = []  # type: ignore[attr-defined]
    page.on("pageerror", lambda error: page.errors.append(str(error)))  # type: ignore[attr-defined]
    page.goto(bench.served.url + path)
    return page


def ready(page: Page, after: str = "") -> str:
    """Wait until a task (other than ``after``) is in front and every answer on the screen has been seen; its token."""
    page.wait_for_selector(f'#work:not([data-token=""]):not([data-token="{after}"]) .task')
    page.wait_for_timeout(300)
    assert page.errors == []  # type: ignore[attr-defined]
    return str(page.locator("#work").get_attribute("data-token"))


def wait_for(check: Callable[[], Any], seconds: float = 15.0) -> Any:
    """What ``check`` gives as soon as it is true."""
    import time

    until = time.monotonic() + seconds
    while time.monotonic() < until:
        found = check()
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError(f"it did not come about within {seconds} s: {check()!r}")


def press(page: Page, *keys: str) -> None:
    """Keys, one after the other; ``text:...`` is typed."""
    for key in keys:
        if key.startswith("text:"):
            page.keyboard.type(key[5:])
        else:
            page.keyboard.press(key)
