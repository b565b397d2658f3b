"""Pages to look at: what was logged, and the process that shows it."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from crawling import Found, crawl
from logged_city import Logged, logged_city

from shared import PROGRAM
from tcdatalogger.clock import ManualClock
from tcdatalogger.core.config import configuration
from tcdatalogger.core.main import Application
from tcdatalogger.sandbox.world import people

KEY = "TORN_API_KEY"
FOREIGN = {
    0: "<script data-foreign>ran = 1</script>",
    1: "=cmd|' /C calc'!A0",
    2: "\"'><img data-foreign src=x onerror=ran=1>&amp;",
}
"""Names of three members, by their seats: no page and no spreadsheet may obey them."""


@contextmanager
def foreign_names() -> Iterator[None]:
    """A sandbox in which members of our faction have such names until the end of the block."""
    home, true = people.FACTIONS[0], people.name
    planted = {people._seat_code(home, seat, 0): name for seat, name in FOREIGN.items()}
    people.name = lambda seed, code: planted.get(code) or true(seed, code)
    try:
        yield
    finally:
        people.name = true


def make(folder: Path, hours: int = 48) -> None:
    """Log a city into a folder, and let some of it go wrong in the end."""
    with foreign_names(), logged_city(folder, hours=hours) as logged:
        _trouble(logged)


def _trouble(logged: Logged) -> None:
    """A run that fails, a field that Torn's document lacks, and records that are set aside."""
    city = logged.city.city
    truth = city.answer

    def answer(request: Any) -> Any:
        reply = truth(dataclasses.replace(request, gzip=False))
        if request.path != "/faction/members":
            return reply
        body = json.loads(reply.body)
        body["members"][3]["mood"] = "<b data-foreign>glad</b>"
        body["members"][4]["level"] = "<i data-foreign>high</i>"
        return dataclasses.replace(reply, body=json.dumps(body).encode())

    environ = {KEY: logged.city.keys["full"]}
    settings = configuration.load(logged.toml, environ)
    city.answer = answer
    with Application(
        settings, environ=environ, clock=ManualClock(logged.city.now())
    ) as application:
        (members,), (items,) = (
            application.chosen([name]) for name in ("faction_members", "torn_items")
        )
        application.run(members)
        logged.city.fault("error", code=2, path="/torn/items")
        application.run(items)


@contextmanager
def shown(folder: Path, program: Sequence[str] = PROGRAM) -> Iterator[str]:
    """The address of `tcdatalogger ui` in a process of its own, until the end of the block."""
    words = [*program, "ui", "--listen", "127.0.0.1:0"]
    environ = {**os.environ, KEY: "a" * 16, "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(words, cwd=folder, env=environ, stdout=subprocess.PIPE, text=True) as ui:
        said = ui.stdout.readline()
        assert said.startswith("The pages: "), said
        try:
            yield said.removeprefix("The pages: ").strip().rstrip("/")
        finally:
            ui.send_signal(signal.SIGINT)
            ui.stdout.read()
            assert ui.wait(timeout=60) == 130


def exported(folder: Path, site: Path) -> None:
    """Write the pages of a folder as files."""
    words = [*PROGRAM, "ui", "--export", str(site), "--days", "7"]
    subprocess.run(words, cwd=folder, env={**os.environ, KEY: "a" * 16}, check=True)


def read_all(url: str) -> Found:
    """All pages, each after the program has read what it wants."""
    found = crawl(url)
    assert found.unread == []
    return found
