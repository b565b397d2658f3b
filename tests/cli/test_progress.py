"""What runs now: a line each on a terminal, plain lines elsewhere, nothing for what is quick."""

from __future__ import annotations

import io
import json
import os
import pty
import re
import subprocess
import sys
from dataclasses import replace

import pytest

from tcdatalogger.cli.progress import QUIET, ProgressLines
from tcdatalogger.core.run.run import WAITS
from tcdatalogger.core.state.store import RunRecord
from tcdatalogger.errors import Busy
from tcdatalogger.observability import log

RUN = RunRecord("20260101T000000Z-00000001", "faction_crimes", 1000.0)
OTHER = RunRecord("20260101T000000Z-00000002", "torn_items", 1000.0)


class Terminal(io.StringIO):
    def isatty(self):
        return True


class Hands:
    """A clock that is moved by hand."""

    def __init__(self):
        self.at = 50.0

    def __call__(self):
        return self.at


@pytest.fixture
def hands():
    return Hands()


def progress(hands, stream, **options):
    wall = lambda: 1000.0 + hands.at - 50.0  # noqa: E731 - two views of one clock
    return ProgressLines(stream=stream, now=hands, wall=wall, beats=False, **options)


def plain(text):
    """What a terminal got, without the codes that move its cursor."""
    return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", text).replace("\r", "")


def test_elsewhere_a_quick_run_says_nothing(hands):
    out = io.StringIO()
    with progress(hands, out) as shown:
        shown.tell(RUN)
        hands.at += QUIET - 0.1
        shown.tick()
        shown.tell(replace(RUN, status="done"))

    assert out.getvalue() == ""


def test_elsewhere_a_slow_run_says_once_that_it_runs_and_how_it_ended(hands):
    out = io.StringIO()
    with progress(hands, out) as shown:
        shown.tell(RUN)
        shown.tell(replace(RUN, pages=12, records=1200, waited=61.0))
        for _ in range(4):
            hands.at += QUIET
            shown.tick()
        shown.tell(replace(RUN, status="failed", step="store", pages=12))

    waited = "12 pages, 1,200 rows, waited 1 min 1 s for the budget"
    assert out.getvalue().splitlines() == [
        f"faction_crimes: fetch, {waited}, 2.0 s, still running",
        "faction_crimes: store, 12 pages, 8.0 s, failed",
    ]


def test_elsewhere_a_long_wait_is_told_again_each_minute(hands):
    out = io.StringIO()
    with progress(hands, out) as shown:
        shown.tell(replace(RUN, step=WAITS))
        for _ in range(70):
            hands.at += QUIET
            shown.tick()

    assert out.getvalue().splitlines() == [
        f"faction_crimes: {WAITS}, {after}, still running"
        for after in ("2.0 s", "1 min 2 s", "2 min 2 s")
    ]


def test_a_terminal_has_a_line_for_each_run_that_changes_and_goes(hands, monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    out = Terminal()
    with progress(hands, out) as shown:
        shown.tell(RUN)
        shown.tell(OTHER)
        hands.at += QUIET
        shown.tick()
        both = plain(out.getvalue())
        shown.tell(replace(RUN, step="store", rows={"a": 3, "b": 4}))
        shown.say("faction_crimes", "37% of it")
        shown.tick()
        second = plain(out.getvalue())
        shown.tell(replace(OTHER, status="done"))
        shown.tick()

    assert "faction_crimes: fetch, 2.0 s" in both
    assert "torn_items: fetch, 2.0 s" in both
    assert "faction_crimes: store, 7 rows, 2.0 s, 37% of it" in second
    assert "\x1b[1;36m" in out.getvalue()
    assert out.getvalue().endswith("\x1b[2K")  # nothing is left of it


def test_no_color_is_honoured(hands, monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    out = Terminal()
    with progress(hands, out) as shown:
        shown.tell(RUN)
        hands.at += QUIET
        shown.tick()

    assert "faction_crimes" in out.getvalue()
    assert not re.search(r"\x1b\[[0-9;]*3[0-9]m", out.getvalue())


def test_runs_of_other_processes_are_read_from_the_books(hands):
    out, running = io.StringIO(), [replace(RUN, pages=3)]
    with progress(hands, out, running=lambda: running) as shown:
        hands.at += 10
        shown.tick()
        running.clear()
        shown.tick()
        shown.tick()

    assert out.getvalue().splitlines() == [
        "faction_crimes: fetch, 3 pages, 10.0 s, still running",
        "faction_crimes: fetch, 3 pages, 10.0 s, ended",
    ]


def test_where_the_log_is_json_it_is_a_line_of_the_log(hands, capsys):
    log.configure("info", "json")
    with progress(hands, None) as shown:
        shown.tell(RUN)
        shown.tell(replace(RUN, step="store", pages=3))
        hands.at += QUIET
        shown.tick()
        shown.tell(replace(RUN, status="done", step="store"))
    log.stop()

    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [line["event"] for line in lines] == ["run_progress", "run_progress"]
    assert [line["status"] for line in lines] == ["still running", "done"]
    assert (lines[0]["endpoint"], lines[0]["step"], lines[0]["pages"]) == (
        "faction_crimes", "store", 3,
    )  # fmt: skip


def test_a_run_that_waits_for_the_warehouse_says_so_and_its_books_do_not(workplace):
    told = []
    with workplace.application(tell=told.append) as application:
        application.run(*application.chosen(["faction_members"]))
        (record,) = application.state.runs()

    steps = list(dict.fromkeys(run.step for run in told))
    assert steps == ["fetch", WAITS, "transform", "validate", "store"]
    assert record.step == "store"


def test_books_that_cannot_be_read_now_end_nothing(hands):
    asked = []

    def busy():
        asked.append(True)
        raise Busy("Somebody writes.")

    with progress(hands, io.StringIO(), running=busy) as shown:
        shown.tick()
    assert asked


def test_a_stream_that_nobody_reads_ends_nothing(hands):
    lines = []

    class Gone(io.StringIO):
        def write(self, text):
            lines.append(text)
            raise BrokenPipeError

    with progress(hands, Gone()) as shown:
        shown.tell(RUN)
        hands.at += QUIET
        shown.tick()
    assert lines


def test_rich_is_not_loaded_where_nobody_looks():
    code = (
        "import sys, io\n"
        "from tcdatalogger.cli.progress import ProgressLines\n"
        "from tcdatalogger.core.state.store import RunRecord\n"
        "with ProgressLines(stream=io.StringIO(), now=iter(range(0, 90, 9)).__next__) as shown:\n"
        "    shown.tell(RunRecord('a', 'b', 0.0)); shown.tick()\n"
        "assert not [name for name in sys.modules if name.startswith('rich')]\n"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, timeout=120)


@pytest.mark.slow
def test_a_slow_run_is_seen_on_a_terminal_and_json_stays_alone_on_the_output(workplace, city):
    city.fault("delay", seconds=2, path="/faction/basic")
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-W", "error", "-m", "tcdatalogger", "run", "faction_basic", "--json"],
        stdout=subprocess.PIPE, stderr=theirs, cwd=workplace.folder,
        env={**workplace.outside(), "TERM": "xterm"},
    )  # fmt: skip
    out, _ = process.communicate(timeout=120)
    os.close(theirs)
    seen = os.read(ours, 100_000).decode()
    os.close(ours)

    assert process.returncode == 0
    assert out.decode().startswith("[{")
    assert len(out.splitlines()) == 1
    assert "faction_basic: fetch" in plain(seen)
