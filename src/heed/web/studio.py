"""The studio: everything that a page may need, built once when the app starts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from heed.store.studio.audit import Audit
from heed.store.studio.campaigns import Campaigns
from heed.store.studio.conversations import Conversations
from heed.store.studio.jobs import Jobs
from heed.store.studio.people import People
from heed.store.studio.privacy import Privacy
from heed.store.studio.queue import Queue
from heed.store.studio.review import Review
from heed.store.studio.samples import Samples
from heed.store.studio.screening import Screening
from heed.store.studio.standing import Standing

if TYPE_CHECKING:
    from heed.generation.desk import ModelDesk
    from heed.store import Store, Workspace


@dataclass(frozen=True, slots=True, kw_only=True)
class StudioSettings:
    """How the app is reached."""

    base_urls: tuple[str, ...] = ()
    """Addresses under which browsers know it, such as ``https://label.example.org``; empty for whatever they say."""
    prefix: str = ""
    """Path under which a proxy shows it, such as ``/label``."""
    secure: bool = False
    """Whether browsers reach it over TLS, so that cookies are for TLS only."""
    trusted_proxies: tuple[str, ...] = ()
    """Addresses whose ``X-Forwarded-*`` headers are believed."""
    max_body: int = 2**20
    """Bytes in a request."""
    max_upload: int = 64 * 2**20
    """Bytes in a file that a lead sends."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Studio:
    """The workspace's services, and how the app is reached."""

    workspace: Workspace
    store: Store
    people: People
    audit: Audit
    campaigns: Campaigns
    queue: Queue
    review: Review
    standing: Standing
    screening: Screening
    privacy: Privacy
    jobs: Jobs
    samples: Samples
    conversations: Conversations
    desk: ModelDesk | None = None
    """Answers for chats, from models in a process of their own."""
    settings: StudioSettings = field(default_factory=StudioSettings)
    clock: Callable[[], datetime]

    @classmethod
    def of(
        cls, workspace: Workspace, store: Store, settings: StudioSettings | None = None, desk: ModelDesk | None = None
    ) -> Studio:
        """All services of a workspace on its open store."""
        return cls(
            workspace=workspace,
            store=store,
            people=People(store),
            audit=Audit(store),
            campaigns=Campaigns(store),
            queue=Queue(store),
            review=Review(store),
            standing=Standing(store),
            screening=Screening(store),
            privacy=Privacy(store),
            jobs=Jobs(store),
            samples=Samples(store),
            conversations=Conversations(store),
            desk=desk,
            settings=settings or StudioSettings(),
            clock=store.now,
        )
