"""Pictures of every page of the studio, light and dark, on a phone and on a desk, to be looked at.

PYTHONPATH=src:tests python tests/browser/screenshots.py DIRECTORY [PART OF AN ADDRESS ...]
"""

from __future__ import annotations

import os
import re
import shutil
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

from browser.bench import Bench, open_page
from browser.sample import Sample
from heed.web.app import ROUTES

SIZES = {"phone": (390, 844), "desk": (1440, 900)}
THEMES = ("light", "dark")


def shoot(page: Page, path: Path) -> None:
    page.wait_for_timeout(350)
    wide = page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth + 1")
    if wide:
        print(f"wider than the screen: {path.name}")
    page.screenshot(path=path, full_page=True)


def all_pages(browser: Browser, bench: Bench, sample: Sample, directory: Path, wanted: list[str]) -> None:
    labeler, owner = sample.people[0], bench.owner
    done = bench.queue.history(labeler, limit=1)[0].response_id
    lists = [
        ("visitor", "", ["/login", "/nowhere"]),
        ("labeler", labeler, ["/me", "/work/history", f"/work/history/{done}", "/guideline", "/settings"]),
        ("labeler", labeler, [f"/work?campaign={name}" for name in sample.campaigns.values()]),
        ("owner", owner, sample.addresses(ROUTES)),
    ]
    for size, (width, height) in SIZES.items():
        for theme in THEMES:
            for who, account, addresses in lists:
                context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=theme)
                page = open_page(context, bench, account, "/healthz") if account else context.new_page()
                for address in addresses:
                    if wanted and not any(part in address for part in wanted):
                        continue
                    answer = page.goto(bench.served.url + address)
                    if answer and answer.status >= 500:
                        print(f"{answer.status}: {address}")
                    name = re.sub(r"[^a-z0-9]+", "-", f"{who}{address}".lower()).strip("-")
                    shoot(page, directory / f"{name}.{size}-{theme}.png")
                for error in getattr(page, "errors", []):
                    print(f"script error: {error}")
                context.close()


def main(directory: Path, wanted: list[str]) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    chromium = os.environ.get("HEED_CHROMIUM") or shutil.which("chromium")
    with tempfile.TemporaryDirectory() as root, sync_playwright() as playwright, Bench(Path(root)) as bench:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-dev-shm-usage"])
        all_pages(browser, bench, Sample(bench), directory, wanted)
        browser.close()
    print(f"{len(list(directory.glob('*.png')))} pictures in {directory}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
