"""The labeler's live chat: a message, two answers by nobody knows whom, a choice, and on from the better one.

The page needs no script: each step is a form, so nothing typed is lost when a model is slow or fails, and every step
works from the keyboard. The choice goes through the queue like any other answer.
"""

from __future__ import annotations

import random
import secrets
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from heed.errors import DataError, HeedError
from heed.forms import LETTERS, STRENGTH, clean_text
from heed.records import Completion, Message, Prompt
from heed.roles import Decoding
from heed.web.pages.lead_common import whole
from heed.web.routes import Route

if TYPE_CHECKING:
    from starlette.responses import Response

    from heed.store.studio.campaigns import Campaign
    from heed.store.studio.conversations import Conversation
    from heed.store.studio.leases import Lease
    from heed.web.visit import Visit

MAX_MESSAGE: Final = 8000
MAX_TOKENS: Final = 256
TRIES: Final = 3
"""How often two models are asked for answers that differ."""


def chat(visit: Visit) -> Response:
    """The chat as it stands."""
    return _page(visit)


def begin(visit: Visit) -> Response:
    """A new chat in one of the campaigns that are open; the one before it ends.

    Raises:
        DataError: there is no such chat campaign, or nobody said which models answer.
    """
    campaign = next((one for one in _campaigns(visit) if one.name == visit.form.get("campaign")), None)
    if campaign is None:
        raise DataError("there is no such chat to begin")
    names = campaign.settings.policies
    if not names:
        raise DataError(f"nobody has said yet which models answer in {campaign.name!r}; ask the lead")
    first, second = random.sample(names, 2) if len(names) > 1 else (names[0], names[0])
    visit.studio.conversations.start(visit.me.id, campaign.name, (first, second))
    return visit.go("/chat")


def say(visit: Visit) -> Response:
    """The labeler's message; two answers to it."""
    conversations = visit.studio.conversations
    talk = conversations.current(visit.me.id)
    if talk is None:
        return visit.go("/chat")
    typed = visit.form.get("message", "")
    try:
        text = clean_text(typed, "the message", MAX_MESSAGE).strip()
        if not text:
            raise DataError("write something first")
        answers = _answers(visit, talk, text)
        item_id = conversations.add_turn(talk.id, text, answers)
    except HeedError as error:
        return _page(visit, typed=typed, error=str(error))
    visit.studio.queue.claim_item(visit.me.id, item_id, device=visit.device)
    return visit.go("/chat#choice")


def choose(visit: Visit) -> Response:
    """Which answer is better, and how clearly."""
    form = visit.form
    strength = whole(form, STRENGTH, -9, 9)
    note = form.get("note", "")
    milliseconds = whole(form, "active_ms", 0, 24 * 3600 * 1000, 0)
    visit.studio.queue.submit(
        visit.me.id,
        form.get("token", ""),
        form.get("key", ""),
        {"item": {STRENGTH: strength}, "note": note},
        active_ms=milliseconds,
        idle_ms=0,
    )
    return visit.go("/chat#message")


def leave(visit: Visit) -> Response:
    """The chat is over."""
    talk = visit.studio.conversations.current(visit.me.id)
    lease = _lease(visit, talk) if talk else None
    if lease is not None:
        visit.studio.queue.skip(visit.me.id, lease.token, "other", "left the chat")
    visit.studio.conversations.end(visit.me.id)
    return visit.go("/chat", "The chat is over. What you chose is kept.")


def _answers(visit: Visit, talk: Conversation, text: str) -> Sequence[Completion]:
    """One answer by each of the two models, different from each other."""
    if visit.studio.desk is None:
        raise DataError("this studio was started without models to talk to")
    prompt = Prompt(messages=(*talk.messages, Message(role="user", content=text)))
    for _ in range(TRIES):
        answers = [visit.studio.desk.sampler(name).sample([prompt], 1, _decoding())[0][0] for name in talk.policies]
        if answers[0].text.strip() != answers[1].text.strip():
            return answers
    raise DataError("both models gave the same answer; say it in other words")


def _decoding() -> Decoding:
    return Decoding(max_new_tokens=MAX_TOKENS, temperature=1.0, seed=secrets.randbelow(2**31))


def _campaigns(visit: Visit) -> list[Campaign]:
    return [one for one in visit.studio.campaigns.list() if one.form.task == "chat" and one.state == "active"]


def _lease(visit: Visit, talk: Conversation) -> Lease | None:
    """The turn that waits for a choice, held; one that ran out is taken up again."""
    pending = talk.pending
    if pending is None:
        return None
    held = next((one for one in visit.studio.queue.live(talk.labeler) if one.item_id == pending.item_id), None)
    return held or visit.studio.queue.claim_item(talk.labeler, pending.item_id, device=visit.device)


def _page(visit: Visit, typed: str = "", error: str = "") -> Response:
    talk = visit.studio.conversations.current(visit.me.id)
    lease = _lease(visit, talk) if talk else None
    question = next((one for one in lease.form.questions if one.kind == "strength"), None) if lease else None
    return visit.page(
        "work/chat.html",
        title="Chat",
        status=422 if error else 200,
        campaigns=_campaigns(visit),
        talk=talk,
        asked=talk.pending.asked if talk and talk.pending else "",
        lease=lease,
        question=question,
        answers=list(zip(LETTERS, lease.shown, strict=False)) if lease else [],
        key=secrets.token_hex(16),
        typed=typed,
        error=error,
    )


ROUTES = (
    Route(method="GET", path="/chat", endpoint=chat, who="labeler"),
    Route(method="POST", path="/chat", endpoint=say, who="labeler", body="form"),
    Route(method="POST", path="/chat/begin", endpoint=begin, who="labeler", body="form"),
    Route(method="POST", path="/chat/choose", endpoint=choose, who="labeler", body="form"),
    Route(method="POST", path="/chat/leave", endpoint=leave, who="labeler", body="form"),
)
