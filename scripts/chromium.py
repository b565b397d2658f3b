"""Debian's Chromium, which `make browser` fetches, driven by Playwright."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Browser

FETCHED = Path(__file__).parents[1] / ".tools" / "browser" / "chromium"


def program() -> str | None:
    """Where the browser is: as `make browser` has fetched it, or this machine's own."""
    return str(FETCHED) if FETCHED.exists() else shutil.which("chromium")


@contextmanager
def started() -> Iterator[Browser]:
    """A browser without a window, until the end of the block.

    Until then this thread has an event loop that runs: `asyncio.run` refuses to work in it.
    """
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 - for who only asks where it is

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program())
        try:
            yield browser
        finally:
            browser.close()
