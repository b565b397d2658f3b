"""A run by hand that is told to end: soon, by its exit code, and with nothing half-done."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time

import pytest

pytestmark = pytest.mark.slow

# The child says that it is at a point, and then waits there: in a system call, as a slow one would.
CHILD = """
import sys, time
from tcdatalogger.cli import main
from tcdatalogger.core import archive
from tcdatalogger.services.warehouse.ledger import Ledger

owner, name = {"archive": (archive.Archive, "write"), "store": (Ledger, "write_loads")}.get(
    sys.argv[1], (None, "")
)
if owner is not None:
    whole = getattr(owner, name)

    def slow(*args, **options):
        print("there", file=sys.stderr, flush=True)
        time.sleep(0.5)
        return whole(*args, **options)

    setattr(owner, name, slow)
sys.exit(main(["run", "faction_members", "--json"]))
"""


def stop(place, city, point, number):
    """Run it in a process of its own, tell it to end at a point; its exit code."""

    def asked():
        return sum("members" in str(call) for call in city.calls())

    before = asked()  # the city answers other tests too
    with subprocess.Popen(
        [sys.executable, "-c", CHILD, point],
        cwd=place.folder, env=place.outside(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        text=True,
    ) as process:  # fmt: skip
        if point == "fetch":
            end = time.monotonic() + 120
            while asked() == before:
                assert time.monotonic() < end
                time.sleep(0.02)
            time.sleep(0.2)
        else:
            assert any("there" in line for line in process.stderr)
        process.send_signal(number)
        return process.wait(120)


@pytest.mark.parametrize(
    ("point", "number", "status", "stored"),
    [
        ("fetch", signal.SIGTERM, "stopped", 0),
        ("fetch", signal.SIGINT, "stopped", 0),
        ("archive", signal.SIGTERM, "pending", 1),
        ("store", signal.SIGTERM, "done", 1),
    ],
)
def test_it_ends_at_once_and_commits_all_or_nothing(workplace, city, point, number, status, stored):
    if point == "fetch":
        city.fault("delay", path="/faction/members", seconds=3_600)  # no end but the signal's

    code = stop(workplace, city, point, number)

    assert code == 128 + number
    with workplace.application() as application:
        assert application.state.reading("select distinct owner from leases") == [("",)]
        assert application.state.mark_crashed() == []
        [run] = application.state.runs()
    assert run.status == status
    ends = ("", 0) if status == "done" else ("Stopped", code)
    assert (run.error_class, run.exit_code) == ends
    assert status in workplace.process("status").out
    assert workplace.warehouse.exists() == (status == "done")
    assert list((workplace.folder / "archive").rglob("*.part")) == []
    city.clear_faults()
    again = workplace.process("run", "faction_members", "--json")
    assert json.loads(again.out)[0]["status"] == "done"
    assert workplace.value("select count(distinct _run_id) from faction_members") == 1 + stored
