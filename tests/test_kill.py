"""Killed at any instant and started again: the same rows as if nothing had happened."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress

import pyarrow.parquet as pq
import pytest

from tcdatalogger.clock import SystemClock

KEYS = {
    "faction_crimes": "id",
    "faction_crimes_slots": "crime_id, _index",
    "faction_crimes_rewards_items": "crime_id, _index",
    "faction_members": "id",
    "faction_balance_members": "member_id",
    "torn_items": "id",
    "torn_items_value_shops": "item_id, _index",
}

# The child kills itself at one exact point, the nth time that it comes there. Every other point is
# in tests/crash.
CHILD = """
import os, signal, sys
from tcdatalogger.cli import main
from tcdatalogger.services.storage import folder
from tcdatalogger.services.warehouse.ledger import Ledger

owner, name, after = {
    "archive": (folder.os, "fsync", False), "commit": (Ledger, "write_loads", True),
}[sys.argv[1]]
left, whole = [int(sys.argv[2])], getattr(owner, name)

def dying(*args, **options):
    left[0] -= 1
    if left[0] == 0 and not after:
        os.kill(os.getpid(), signal.SIGKILL)
    found = whole(*args, **options)
    if left[0] == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return found

setattr(owner, name, dying)
sys.exit(main(["run", "--all"]))
"""


class Impatient(SystemClock):
    """The machine's clock, which the other processes have too; what is waited for is skipped."""

    skipped = 0.0

    def now(self):
        return super().now() + self.skipped

    def sleep(self, seconds):
        self.skipped += max(seconds, 0.0)


@pytest.fixture(autouse=True)
def _clock(workplace):
    workplace.clock = Impatient()


def verify(workplace):
    """Ledger, tables and archive agree, and every key is there once in a run."""
    loads = workplace.sql("from _tcd_loads order by rowid")
    newest = {load["endpoint"]: load for load in loads if load["mode"] == "replace"}
    for load in loads:
        if load["mode"] == "replace" and load is not newest[load["endpoint"]]:
            continue
        for table, count in json.loads(load["rows"]).items():
            run = f"select count(*) from {table} where _run_id = '{load['run_id']}'"
            assert workplace.value(run) == count, (table, load["run_id"])
    in_books = {load["run_id"] for load in loads}
    for table, key in KEYS.items():
        if workplace.value(f"select count(*) from duckdb_tables() where table_name = '{table}'"):
            twice = f"from {table} select _run_id, {key} group by all having count(*) > 1"
            assert workplace.sql(twice) == [], table
            runs = workplace.sql(f"select distinct _run_id as run from {table}")
            assert {row["run"] for row in runs} <= in_books, table
    for load in loads:
        file = workplace.folder / "archive" / load["archive_file"]
        assert set(pq.read_table(file)["run_id"].to_pylist()) == {load["run_id"]}
    assert len({load["load_id"] for load in loads}) == len(loads)


def test_status_shows_the_lost_run_until_the_next_one(workplace):
    child = [sys.executable, "-c", CHILD, "commit", "2"]
    subprocess.run(
        child, cwd=workplace.folder, env=workplace.outside(), check=False, capture_output=True
    )

    shown = {
        one["endpoint"]: one["last_run"] and one["last_run"]["status"]
        for one in workplace.run("status", "--json").json["endpoints"]
    }
    assert shown == {
        "faction_crimes": "done",
        "faction_members": "crashed",
        "faction_balance": None,
        "faction_basic": None,
        "torn_items": None,
    }
    assert "faction_members: 1 run is not stored yet" in workplace.run("status").out
    workplace.run("run", "faction_members")
    assert workplace.run("status", "--json").json["endpoints"][1]["last_run"]["status"] == "done"
    assert workplace.value("select count(distinct _run_id) from faction_members") == 2  # both


def test_a_half_written_archive_is_taken_for_none(workplace):
    child = [sys.executable, "-c", CHILD, "archive", "1"]
    subprocess.run(
        child, cwd=workplace.folder, env=workplace.outside(), check=False, capture_output=True
    )

    archive = workplace.folder / "archive"
    assert [f.suffix for f in archive.rglob("*") if f.is_file()] == [".part"]
    assert not workplace.warehouse.exists()
    with workplace.application() as application:
        assert len(application.state.mark_crashed()) == 1  # by somebody who only looked
    steps = workplace.folder / "artifacts"
    (steps / "20260101T000000Z-00000000.part").mkdir(parents=True)
    assert workplace.run("run", "faction_members").code == 0  # anybody clears it away
    assert list(workplace.folder.rglob("*.part")) == []
    assert workplace.sql("from _tcd_loads where endpoint = 'faction_crimes'") == []
    assert [f.parts[-3] for f in archive.rglob("*.parquet")] == ["faction_members"]


def test_what_a_run_that_lives_is_writing_stays(workplace):
    half = workplace.folder / "archive" / ".half" / "20260101T000000Z-00000000.part"
    half.parent.mkdir(parents=True)
    with workplace.application() as application:
        (endpoint,) = application.chosen(["faction_basic"])
        with application.claimed("faction_basic", half.stem) as claim:
            task = application.task(endpoint, half.stem)
            application.state.write_run(application.record(task, claim))
            half.touch()

            assert workplace.run("run", "faction_members").code == 0
            assert half.exists()
    assert workplace.run("run", "faction_members").code == 0
    assert not half.exists()


LOOP = """
from tcdatalogger.cli import main
while True:
    main(["run", "--all"])
"""


@pytest.mark.slow
def test_runs_that_are_killed_at_odd_moments_add_up(workplace):
    workplace.run("run", "--all")
    for moment in (0.5, 0.8, 0.95, 1.1):
        child = subprocess.Popen(
            [sys.executable, "-c", LOOP], cwd=workplace.folder, env=workplace.outside(),
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        time.sleep(moment)  # the moment is what is tested; nothing is waited for
        os.killpg(child.pid, signal.SIGKILL)
        child.wait()
        verify(workplace)

    assert workplace.run("run", "--all").code == 0
    verify(workplace)


@pytest.mark.slow
@pytest.mark.parametrize("moment", ["archive", "store", "late"])
def test_a_demo_that_is_killed_goes_on_when_it_is_started_again(workplace, moment):
    workplace.file.unlink()
    demo = workplace.folder / "demo"
    begun = {
        "archive": lambda: any(demo.glob("archive/*/*/*.parquet")),
        "store": lambda: any(demo.glob("torn.duckdb.wal")),
        "late": lambda: len(list(demo.glob("archive/faction_crimes/*/*.parquet"))) > 1,
    }[moment]
    child = subprocess.Popen(
        [sys.executable, "-m", "tcdatalogger", "demo", "--polls", "3"], cwd=workplace.folder,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    deadline = time.monotonic() + 120
    while not begun() and child.poll() is None and time.monotonic() < deadline:
        time.sleep(0.002)
    with suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    assert child.wait() == -signal.SIGKILL

    again = workplace.run("demo", "--polls", "1", "--json")

    assert again.code == 0, again.err
    workplace.folder = demo
    verify(workplace)
    runs = workplace.run("runs", "--limit", "100", "--json").json
    assert [run["status"] for run in runs].count("crashed") <= 1
    assert {run["status"] for run in runs} <= {"done", "crashed"}
