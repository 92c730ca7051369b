"""The lead's pages about people: the table with its figures, one person, invitations, pausing, leaving."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from heed.errors import DataError
from heed.feedback.concord import Figure
from heed.feedback.consensus import one_coin, votes_of
from heed.feedback.quality import Quality, quality_table
from heed.feedback.suspicion import RATE, Suspicion, suspicions
from heed.store.studio.people import Account
from heed.store.studio.standing import NEWEST
from heed.store.studio.works import Counts, Which
from heed.web.pages.drift import meter
from heed.web.pages.lead_common import row_number
from heed.web.routes import Route
from heed.web.visit import NotFound

if TYPE_CHECKING:
    from starlette.responses import Response

    from heed.web.visit import Visit

HOURS = {"24": "a day", "168": "a week", "720": "thirty days"}
"""How long an invitation may last, in hours."""
CONFIRMATION = "withdraw"
"""What a lead types to withdraw somebody's work."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Team:
    """The figures of everyone, as one look at the store gave them."""

    rows: Mapping[str, Quality]
    accuracy: Mapping[str, Figure]
    """From agreement alone."""
    suspected: tuple[Suspicion, ...]
    answers: int
    """How many were looked at."""


def team(visit: Visit) -> Team:
    """Everyone's figures, made anew when something was said since."""
    standing = visit.studio.standing

    def make() -> Team:
        said = standing.said(Which(newest=NEWEST, purposes=("ordinary", "gold", "anchor", "recheck")))
        return Team(
            rows=quality_table(said),
            accuracy=one_coin(votes_of(said)),
            suspected=tuple(suspicions(said)),
            answers=len(said),
        )

    return standing.keep("team", make)


def people(visit: Visit) -> Response:
    """Everyone with figures, whom to look at and why, and the invitations that are open."""
    found = team(visit)
    accounts = visit.studio.people.accounts()
    names = {account.id: account.name for account in accounts}
    counts = visit.studio.standing.counts()
    others = [labeler for labeler in counts if labeler not in names and (counts[labeler].responses or labeler)]
    return visit.page(
        "lead/people.html",
        title="People",
        accounts=accounts,
        others=[labeler for labeler in others if counts[labeler].responses],
        names=names,
        counts=counts,
        nobody=Counts(),
        team=found,
        rate=RATE,
        newest=NEWEST,
        invitations=[one for one in visit.studio.people.invitations() if one.account_id is None],
        hours=HOURS,
        open_appeals=len(visit.studio.standing.appeals(state="open")),
        screened=sum(1 for one in visit.studio.screening.candidates() if not one.decided),
    )


def invite(visit: Visit) -> Response:
    """A link that works once. It is shown here and nowhere else; only its hash is stored."""
    role, group, hours = (visit.form.get(name, "") for name in ("role", "group", "hours"))
    if role not in ("labeler", "lead"):
        raise DataError(f"the role is {role!r}, expected labeler or lead")
    if role == "lead" and visit.me.role != "owner":
        raise DataError("only the owner invites leads")
    if group not in ("training", "heldout"):
        raise DataError(f"the group is {group!r}, expected training or heldout")
    if hours not in HOURS:
        raise DataError(f"the link cannot last {hours!r} hours, expected {', '.join(HOURS)}")
    note = visit.form.get("note", "").strip()[:200]
    token = visit.studio.people.invite(role, group, note, visit.me.id, float(hours))  # type: ignore[arg-type]
    return visit.page(
        "lead/invited.html",
        title="Invitation",
        link=_address(visit, f"/join/{token}"),
        role=role,
        group=group,
        lasts=HOURS[hours],
        again=False,
    )


def revoke(visit: Visit) -> Response:
    """End an invitation before it is used."""
    visit.studio.people.revoke(visit.path["invitation"], visit.me.id)
    return visit.go("/lead/people", notice="The link does not work any more.")


def person(visit: Visit) -> Response:
    """One person with everything about them."""
    account = known(visit)
    standing = visit.studio.standing
    said = standing.said(Which(labeler=account.id))
    found = team(visit)
    row = quality_table(said).get(account.id)
    return visit.page(
        "lead/person.html",
        title=account.name,
        who=account,
        counts=standing.counts().get(account.id, Counts()),
        row=row,
        shared=found.rows.get(account.id),
        accuracy=found.accuracy.get(account.id),
        suspected=[one for one in found.suspected if one.labeler == account.id],
        rate=RATE,
        days=standing.days(account.id),
        told=standing.feedback(account.id, limit=20),
        appeals=standing.appeals(labeler=account.id),
        decisions=visit.studio.screening.decisions(account.id),
        topics=visit.studio.screening.topics().get(account.id),
        sways=next((one.sways for one in meter(visit)[1] if one.labeler == account.id), ()),
    )


def set_status(visit: Visit) -> Response:
    """Let somebody work, pause them, or close their account."""
    account, status = known(visit), visit.form.get("status", "")
    if status not in ("onboarding", "screening", "active", "paused", "closed"):
        raise DataError(f"the status is {status!r}, expected onboarding, screening, active, paused or closed")
    _may_touch(visit, account)
    if visit.studio.standing.counts()[account.id].withdrawn_at is not None and status != "closed":
        raise DataError(f"{account.name}'s work was withdrawn; that cannot be taken back. Invite them anew")
    visit.studio.people.set_status(account.id, status, visit.me.id)  # type: ignore[arg-type]
    return visit.go(f"/lead/people/{account.id}", notice=f"{account.name} is {status} now.")


def set_role(visit: Visit) -> Response:
    """Make somebody a lead, or a labeler again; for the owner."""
    account, role = known(visit), visit.form.get("role", "")
    if role not in ("labeler", "lead") or account.role == "owner":
        raise DataError(f"the role is {role!r}, expected labeler or lead, of somebody who is not the owner")
    visit.studio.people.set_role(account.id, role, visit.me.id)  # type: ignore[arg-type]
    return visit.go(f"/lead/people/{account.id}", notice=f"{account.name} is a {role} now.")


def tell(visit: Visit) -> Response:
    """A word to the labeler, which they find on their own page."""
    account = known(visit)
    response = visit.form.get("response", "")
    about = row_number(response) if response else None
    visit.studio.standing.tell(account.id, visit.form.get("text", ""), visit.me.id, about)
    visit.studio.audit.record(visit.me.id, "feedback.give", account.id, {"response": about})
    return visit.go(f"/lead/people/{account.id}", notice="Sent. It stands on their own page.")


def way_back(visit: Visit) -> Response:
    """A link for somebody who lost the way in; it works once, for a quarter of an hour."""
    account = known(visit)
    _may_touch(visit, account)
    token = visit.studio.people.login_link(account.id, visit.me.id)
    link = _address(visit, f"/join/{token}")
    return visit.page("lead/invited.html", title="A way back in", link=link, role=account.role, group=account.group,
                      lasts="a quarter of an hour", again=True)  # fmt: skip


def leaving(visit: Visit) -> Response:
    """What would have to be rebuilt without somebody's work, before it is withdrawn."""
    account = known(visit)
    return visit.page(
        "lead/withdraw.html",
        title=f"Withdraw {account.name}",
        who=account,
        counts=visit.studio.standing.counts().get(account.id, Counts()),
        dependents=visit.studio.store.dependents(account.id),
        confirmation=CONFIRMATION,
    )


def withdraw(visit: Visit) -> Response:
    """Leave somebody's work out of all that is read from now on. It cannot be taken back."""
    account = known(visit)
    _may_touch(visit, account)
    if visit.form.get("confirm", "").strip() != CONFIRMATION:
        raise DataError(f"type {CONFIRMATION!r} to withdraw {account.name}'s work; nothing was changed")
    found = visit.studio.standing.withdraw(account.id, visit.me.id, visit.form.get("reason", "").strip()[:500])
    what = f"{len(found.exports)} data sets and {len(found.models)} models are affected."
    return visit.go(f"/lead/people/{account.id}", notice=f"Withdrawn. {what}")


def known(visit: Visit) -> Account:
    """The account in the address.

    Raises:
        NotFound: there is none.
    """
    account = visit.studio.people.account(visit.path["account"])
    if account is None:
        raise NotFound
    return account


def _may_touch(visit: Visit, account: Account) -> None:
    """Leads manage labelers; other leads are the owner's to manage, and nobody manages themselves here."""
    if account.id == visit.me.id:
        raise DataError("this is your own account; another lead or the owner changes it")
    if account.leads and visit.me.role != "owner":
        raise DataError(f"{account.name} is a {account.role}; only the owner changes that account")


def _address(visit: Visit, path: str) -> str:
    """The whole address of a page, as it can be sent to somebody."""
    bases = visit.studio.settings.base_urls
    base = bases[0].rstrip("/") if bases else str(visit.request.base_url).rstrip("/")
    base = base.removesuffix(visit.studio.settings.prefix) if visit.studio.settings.prefix else base
    return base + visit.url(path)


_PERSON = "/lead/people/{account}"
ROUTES = (
    Route(method="GET", path="/lead/people", endpoint=people, who="lead"),
    Route(method="POST", path="/lead/people/invite", endpoint=invite, who="lead", body="form"),
    Route(method="POST", path="/lead/people/invitations/{invitation}/revoke", endpoint=revoke, who="lead", body="form"),
    Route(method="GET", path=_PERSON, endpoint=person, who="lead"),
    Route(method="POST", path=_PERSON + "/status", endpoint=set_status, who="lead", body="form"),
    Route(method="POST", path=_PERSON + "/role", endpoint=set_role, who="owner", body="form"),
    Route(method="POST", path=_PERSON + "/feedback", endpoint=tell, who="lead", body="form"),
    Route(method="POST", path=_PERSON + "/link", endpoint=way_back, who="lead", body="form"),
    Route(method="GET", path=_PERSON + "/withdraw", endpoint=leaving, who="lead"),
    Route(method="POST", path=_PERSON + "/withdraw", endpoint=withdraw, who="lead", body="form"),
)
