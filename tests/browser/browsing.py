"""A real browser for tests of pages; `make browser` fetches it.

Without one the tests are left out, and the summary says so.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import chromium
import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser

LEFT_OUT = "tests of the pages in a browser are left out"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium, for the tests of a module: a test of another one may want to run an event loop."""
    if chromium.program() is None:
        pytest.skip(f"{LEFT_OUT}: there is no Chromium")
    with chromium.started() as browser:
        yield browser


def pytest_terminal_summary(terminalreporter):
    skipped = terminalreporter.stats.get("skipped", [])
    if left_out := sum(LEFT_OUT in str(report.longrepr) for report in skipped):
        terminalreporter.section("NO PAGE WAS TESTED IN A BROWSER", sep="!", red=True, bold=True)
        terminalreporter.line(f"{left_out} {LEFT_OUT}: there is no Chromium.", red=True)
        terminalreporter.line("`make browser` fetches that of Debian, and installs nothing.")
