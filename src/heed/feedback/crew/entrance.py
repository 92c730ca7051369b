"""Coming in: the invitation's page, then whatever the studio asks of newcomers before there is work."""

from __future__ import annotations

import html
import re

from heed.errors import EndpointError
from heed.feedback.crew.browser import Browser

_ACCOUNT = re.compile(r'<meta name="heed-account" content="([^"]*)"')


async def come_in(browser: Browser, invitation: str, name: str, password: str) -> tuple[str, bool]:
    """Use a link up, read the guideline, say what one knows; the id of the account, and whether it is to be screened.

    The screening's tasks are done on the task page, as all work is. Who comes back by a link goes straight to work.

    Raises:
        EndpointError: the link does not work, or the page that follows is none of someone who is signed in.
    """
    page = await browser.page(f"/join/{invitation}")
    fields = {"name": name, "password": password, "again": password}
    await browser.submit_form(page, "", fields)
    if await browser.sent_to() == "/onboarding":
        page = await browser.page("/onboarding")
        await browser.submit_form(page, "/onboarding/read", {"read": "yes"})
    new = await browser.sent_to() == "/screening"
    if new:
        page = await browser.page("/screening")
        await browser.submit_form(page, "/screening/topics", {"topic": "none of these"})
    page = await browser.page("/settings")
    found = _ACCOUNT.search(page.text)
    if found is None:
        raise EndpointError(f"{name} is not signed in after joining")
    return html.unescape(found[1]), new
