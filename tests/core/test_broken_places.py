"""Disks that are full, places that cannot be written, files that are damaged, clocks that jump.

Each is told in one clear line, and when the place is mended nothing is lost and nothing doubled.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections import Counter

import pytest

from shared import rest_slow
from tcdatalogger.clock import ManualClock
from tcdatalogger.sandbox.api.server import START

MEMBERS = '[[endpoints]]\nname = "members"\npath = "/faction/members"\n'
ATTACKS = '[[endpoints]]\nname = "attacks"\npath = "/faction/attacks"\nsince = "PT8H"\n'
STATE = '[state]\nurl = "sqlite:///books/state.db"\n'
NOBODY = 65534
HOUR, DAY, YEAR = 3_600, 86_400, 365 * 86_400

FULL = """
import resource, sys
sys.dont_write_bytecode = True  # Python would keep half of a module's code
import duckdb
from tcdatalogger.cli import main
from tcdatalogger.core import archive

which, most = sys.argv[1], int(sys.argv[2])
now = resource.getrlimit(resource.RLIMIT_FSIZE)

def full(do, *args, **options):
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, now[1]))
    try:
        return do(*args, **options)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, now)

class Connection:
    def __init__(self, real):
        self.real = real
    def __getattr__(self, name):
        return getattr(self.real, name)
    def execute(self, sql, *args):
        return (full if sql == "commit" else lambda do, *a: do(*a))(self.real.execute, sql, *args)

if which == "archive":
    write = archive.Archive.write
    archive.Archive.write = lambda *args, **options: full(write, *args, **options)
elif which == "warehouse":
    connect = duckdb.connect
    duckdb.connect = lambda *args, **options: Connection(connect(*args, **options))
else:
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, now[1]))
sys.exit(main(sys.argv[3:] or ["run", "members"]))
"""

POWERLESS = """
import ctypes, sys
class Header(ctypes.Structure):
    _fields_ = [("version", ctypes.c_uint32), ("pid", ctypes.c_int)]
# Root without its capabilities is bound to the rights of files as everybody is.
if ctypes.CDLL(None).capset(ctypes.byref(Header(0x20080522, 0)), (ctypes.c_uint32 * 6)()):
    sys.exit(99)
from tcdatalogger.cli import main
sys.exit(main(["run", "members"]))
"""


@pytest.fixture
def place(workplace):
    workplace.write(STATE + MEMBERS)
    assert workplace.log("members").record.status == "done"
    return workplace


def child(place, script, *words):
    # A measurement of coverage could not write its own file there either, and would say so.
    env = {k: v for k, v in place.outside().items() if not k.startswith("COVERAGE_")}
    return subprocess.run(
        [sys.executable, "-c", script, *words], cwd=place.folder, env=env,
        capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip


def told(done):
    """The one line for people among what was said."""
    assert "Traceback" not in done.stderr, done.stderr
    lines = [line for line in done.stderr.splitlines() if not line.startswith("{")]
    return "\n".join(lines)


def runs_of(place):
    return Counter(row["_run_id"] for row in place.sql("select _run_id from members"))


def settled(place):
    """The place is mended: the next run stores what is pending, and every run is there once."""
    place.clock = ManualClock(START + HOUR)
    with place.application() as application:
        application.mark_crashed()
    outcome = place.log("members")
    assert outcome.record.status == "done"
    found = runs_of(place)
    assert set(found.values()) == {30}
    archived = {file.stem for file in (place.folder / "archive").rglob("*.parquet")}
    assert set(found) == archived
    return outcome


@pytest.mark.slow
@pytest.mark.parametrize(("which", "status"), [("archive", "failed"), ("warehouse", "pending")])
def test_a_full_disk_is_75_and_nothing_is_lost(place, which, status):
    done = child(place, FULL, which, "4096")

    assert done.returncode == 75, done.stderr
    assert f"The disk of the {which}" in told(done)
    assert "Make space" in told(done)
    shown = place.run("runs", "--json").json[0]
    assert (shown["status"], shown["error_class"]) == (status, "DiskFull")
    assert list(place.folder.rglob("*.part")) == []
    outcome = settled(place)
    assert len(outcome.settled) == (status == "pending")
    assert len(runs_of(place)) == 2 + len(outcome.settled)


@pytest.mark.slow
@pytest.mark.parametrize("begun", [False, True])
def test_a_full_disk_of_the_state_is_75_and_nothing_is_lost(place, begun):
    for file in (place.folder / "books").iterdir() if not begun else ():
        file.unlink()

    done = child(place, FULL, "state", "1000")

    assert done.returncode == 75, done.stderr
    assert "The disk of the state database" in told(done)
    assert "Make space" in told(done)
    settled(place)


@pytest.mark.slow
@pytest.mark.parametrize(
    "words",
    [
        ("backup",),
        ("rebuild", "members"),
        ("rollback", "last"),
        ("backfill", "attacks", "--since", "P2D"),
        ("schedule", "--once"),
        ("check", "--offline"),
        ("query", "from members", "--parquet", "members.parquet"),
        ("init", "elsewhere"),
        ("demo", "--folder", "elsewhere"),
    ],
)
def test_every_command_that_writes_says_that_the_disk_is_full(place, words):
    place.write(STATE + MEMBERS + 'frequency = "PT1H"\n' + ATTACKS)

    done = child(place, FULL, "all", "1000", *words)

    assert done.returncode == 75, (done.stdout, done.stderr)
    assert "The disk of" in done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    "words", [("status",), ("runs",), ("query", "select count(*) as n from members")]
)
def test_who_only_looks_can_do_so_on_a_full_disk(place, words):
    place.write(STATE + MEMBERS, extra='[log]\nfile = "logs/new.log"\n')

    done = child(place, FULL, "all", "1000", *words, "--json")

    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    shown = {
        "status": lambda: found["endpoints"][0]["last_run"]["status"] == "done",
        "runs": lambda: found[0]["status"] == "done",
        "query": lambda: found == [{"n": 30}],
    }
    assert shown[words[0]]()


@pytest.mark.parametrize(
    "words", [("status",), ("runs",), ("query", "select count(*) as n from members")]
)
def test_who_only_looks_can_do_so_with_a_mistake_in_another_endpoint(place, words):
    wrong = '[[endpoints]]\nname = "other"\npath = "/faction/crime"\nfrequency = "soon"\n'
    place.write(STATE + MEMBERS + wrong)

    done = place.run(*words, "--json")

    assert done.code == 0, done.err
    assert "30" in done.out
    assert "endpoints.other.path" in done.err
    assert "endpoints.other.frequency" in done.err
    assert place.run("run", "members").code == 78
    place.write('[state]\nurl = "x"\n' + MEMBERS)
    assert place.run(*words).code == 78


@pytest.mark.slow
@pytest.mark.parametrize(
    ("which", "code", "status", "remedy"),
    [
        ("archive", 78, "failed", "archive.path"),
        ("torn.duckdb", 78, "pending", "may write"),
        ("books", 78, None, "state.url"),
    ],
)
def test_a_place_that_this_user_may_not_write_is_78_and_nothing_is_lost(
    place, which, code, status, remedy
):
    target = place.folder / which
    files = (target, *target.rglob("*"))
    for file in files:
        file.chmod(0o555 if file.is_dir() else 0o444)
        if os.getuid() == 0:
            shutil.chown(file, NOBODY, NOBODY)

    done = child(place, POWERLESS)

    for file in files:
        if os.getuid() == 0:
            shutil.chown(file, 0, 0)
        file.chmod(0o755 if file.is_dir() else 0o644)
    if done.returncode == 99:
        pytest.skip("this system gives up no capabilities")
    assert done.returncode == code, done.stderr
    assert which in told(done)
    assert remedy in told(done)
    if status:
        assert place.run("runs", "--json").json[0]["status"] == status
    outcome = settled(place)
    assert len(outcome.settled) == (status == "pending")


@pytest.mark.parametrize(
    ("which", "status"), [("archive", "failed"), ("torn.duckdb", "pending"), ("books", None)]
)
def test_something_else_in_the_place_is_78_and_nothing_is_lost(place, which, status):
    target, away = place.folder / which, place.folder / "away"
    target.rename(away)
    if away.is_dir():
        target.write_text("something else")
    else:
        target.mkdir()
    place.clock = ManualClock(START + 60)

    done = place.run("run", "members")

    assert done.code == 78, done.err
    assert "Traceback" not in done.err
    assert which in done.err
    target.unlink() if target.is_file() else target.rmdir()
    away.rename(target)
    if status:
        assert place.run("runs", "--json").json[0]["status"] == status
    settled(place)


# Damaged files


def garbage(file):
    file.write_bytes(os.urandom(20_000))


def truncated(file):
    # Not so little that SQLite would take it for one that was just begun.
    file.write_bytes(file.read_bytes()[:4096])


@pytest.mark.parametrize("damage", [garbage, truncated])
def test_a_damaged_state_is_78_says_what_to_do_and_the_data_is_untouched(place, damage):
    books = place.folder / "books" / "state.db"
    before = place.sql("from _tcd_loads")
    for beside in books.parent.glob("*-*"):
        beside.unlink()
    damage(books)

    done = place.run("run", "members")

    assert done.code == 78, done.err
    assert f"{books.name} is damaged" in done.err
    assert f"mv {books.relative_to(place.folder)}" in done.err or "mv " in done.err
    assert "Traceback" not in done.err
    assert place.sql("from _tcd_loads") == before
    books.rename(books.with_suffix(".damaged"))  # as it says
    settled(place)
    assert len(runs_of(place)) == 2


def test_a_truncated_archive_file_stops_a_rebuild_and_a_replay_by_its_name(place):
    run = place.run("runs", "--json").json[0]
    file = place.folder / "archive" / run["archive_file"]
    file.write_bytes(file.read_bytes()[:200])
    before = place.sql("from members order by all")

    for words in (("replay", run["run_id"]), ("rebuild", "members")):
        done = place.run(*words)
        assert done.code == 65, (words, done.err)
        assert run["archive_file"] in done.err
        assert "backup" in done.err
        assert "Traceback" not in done.err
    assert place.sql("from members order by all") == before


# Clocks


@pytest.fixture
def living(settle):
    return settle(ATTACKS + MEMBERS, history=3 * DAY)


class Jumping(ManualClock):
    """A clock that goes back by an hour each time that somebody has looked at it often enough."""

    looks = 0

    def now(self):
        self.looks += 1
        if self.looks % 7 == 0:
            self._now -= HOUR
        return super().now()


@pytest.mark.parametrize("clock", rest_slow([Jumping, lambda now: ManualClock(now - YEAR)]))
def test_a_clock_that_jumps_back_loses_and_doubles_nothing(living, clock):
    living.log("attacks")
    living.log("members")
    for hours in (3, 4, 5):
        living.city.advance(hours * HOUR)
        living.clock = clock(living.city.now())
        assert living.log("attacks").error is None
        living.clock = clock(living.city.now())
        assert living.log("members").error is None

    books = living.city.expected("attacks", int(START) - 8 * HOUR, key="limited")
    found = Counter(row["id"] for row in living.sql("select id from attacks"))
    assert set(found) >= {row["id"] for row in books}
    assert set(found.values()) == {1}
    assert set(runs_of(living).values()) == {30}
    assert len(runs_of(living)) == 4


def test_a_replace_after_a_clock_jumped_back_holds_the_newest_answer(living):
    living.log("members", "storage_mode=replace")
    living.city.advance(DAY)
    living.clock = ManualClock(START - YEAR)

    second = living.log("members", "storage_mode=replace").record

    assert set(runs_of(living)) == {second.run_id}


def test_a_clock_that_is_far_ahead_does_not_draw_the_cursor_into_the_future(living):
    living.clock = ManualClock(START + YEAR)
    living.log("attacks")
    living.city.advance(6 * HOUR)
    living.clock = ManualClock(living.city.now())  # somebody has set it

    living.log("attacks")

    books = living.city.expected("attacks", int(living.city.now()) - 8 * HOUR, key="limited")
    found = Counter(row["id"] for row in living.sql("select id from attacks"))
    assert set(found) >= {row["id"] for row in books}
    assert set(found.values()) == {1}
