"""A year of a city, logged by a program that is killed again and again, against its own books.

Backfill first, then runs while the world goes on. Rows of attacks and news are edited within a day
of being written, crimes change for days, and some seconds hold more rows than a page.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
from contextlib import contextmanager

import pytest

from tcdatalogger.clock import ManualClock
from tcdatalogger.core import archive
from tcdatalogger.core.operations.backfill import backfill
from tcdatalogger.sandbox.api.city import Rules
from tcdatalogger.sandbox.api.server import Sandbox
from tcdatalogger.sandbox.world.bursts import Bursts, Corrections
from tcdatalogger.services.duckdb import new_records, tables, warehouse
from tcdatalogger.services.torncity.client.client import Client
from tcdatalogger.services.torncity.endpoints.registry import processor
from tcdatalogger.services.torncity.processing.base import Fetched
from tcdatalogger.services.warehouse.ledger import Ledger

YEAR = 365 * 86_400
HOUR = 3_600
A_YEAR = Rules(
    history=YEAR,
    cache=0,
    per_user=10**6,
    per_address=10**6,
    cloud_rows=10**9,
    bursts=Bursts(every=45, rows=130, news=60, categories=("armoryAction",)),
    corrections=Corrections(share=0.05, within=24 * HOUR),
)
NAMES = ("attacks", "news", "crimes")
ENDPOINTS = """
[[endpoints]]
name = "attacks"
path = "/faction/attacks"
overlap = "PT26H"

[[endpoints]]
name = "news"
path = "/faction/news"
params = { cat = "armoryAction" }
overlap = "PT26H"

[[endpoints]]
name = "crimes"
path = "/faction/crimes"
"""
BOOKS = {"attacks": "attacks", "news": "news:armoryAction", "crimes": "crimes"}
CHILDREN = {"crimes_slots": "crime_id", "crimes_rewards_items": "crime_id",
            "attacks_finishing_hit_effects": "attack_id"}  # fmt: skip

POINTS = [
    (Client, "get", False),
    (archive.Archive, "write", False),
    (archive.Archive, "write", True),
    (new_records, "_find", True),
    (tables, "copy", True),
    (Ledger, "write_loads", False),
    (Ledger, "write_loads", True),
    (warehouse.DuckDBWarehouse, "commit", True),
]
CHILD = """
import os, signal, sys
from test_long_history import POINTS, dying
point, left, now, words = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), sys.argv[4:]
from tcdatalogger.cli import main
from tcdatalogger.clock import ManualClock
from tcdatalogger.core import main as core_main
core_main.SystemClock = lambda: ManualClock(now)
owner, name, after = POINTS[point]
setattr(owner, name, dying(getattr(owner, name), left, after, lambda: os.kill(os.getpid(), 9)))
sys.exit(main(words))
"""


class Stopped(BaseException):
    """What a process that ends in the middle sees."""


def dying(whole, left, after, end):
    """The function, but the `left`th call of it is the last thing that happens."""
    count = [left]

    def call(*args, **options):
        count[0] -= 1
        if count[0] == 0 and not after:
            end()
        found = whole(*args, **options)
        if count[0] == 0:
            end()
        return found

    return call


@contextmanager
def mined(dice, most):
    """Something stops at a random point."""
    owner, name, after = dice.choice(POINTS)
    whole = getattr(owner, name)

    def end():
        raise Stopped

    setattr(owner, name, dying(whole, dice.randint(1, most), after, end))
    try:
        yield
    except Stopped:
        pass
    finally:
        setattr(owner, name, whole)


@pytest.fixture
def place(workplace):
    with Sandbox(seed=11, rules=A_YEAR) as city:
        workplace.city = city
        workplace.key = city.keys["limited"]
        workplace.write(ENDPOINTS)
        yield workplace


def goes_on(place, seconds):
    """The world goes on, and the machine's clock with it."""
    behind = place.clock.now() - place.city.now()
    place.city.advance(max(0.0, behind) + seconds)
    place.clock = ManualClock(place.city.now())


def whole_history(place, name):
    with place.application() as application:
        application.mark_crashed()
        return list(backfill(application, name, pages=8))


def killed(place, dice, *words):
    """The command in a process of its own, killed by SIGKILL at a random point."""
    point, left = dice.randrange(len(POINTS)), dice.randint(1, 3)
    here = os.pathsep.join([os.path.dirname(__file__), os.environ["PYTHONPATH"]])  # noqa: PTH120
    script = CHILD
    child = subprocess.run(
        [sys.executable, "-c", script, str(point), str(left), str(place.clock.now()), *words],
        cwd=place.folder, env={**place.outside(), "PYTHONPATH": here}, check=False,
        capture_output=True, timeout=300,
    )  # fmt: skip
    assert child.returncode in {0, -signal.SIGKILL}, child.stderr.decode()
    return child.returncode != 0


def expected(place, name):
    """The rows that the world's books would make, by table."""
    rows = place.city.expected(BOOKS[name], key="limited")
    with place.application() as application:
        [endpoint] = application.chosen([name])
        task = application.task(endpoint)
    worker = processor(task.endpoint.path)(task)
    payload = worker.family().root[0]
    made = worker.transform_data(Fetched.of(json.dumps({payload: rows}).encode()))
    assert made.rejected == ()
    return {table: plain(rows.to_pylist()) for table, rows in made.tables.items()}


def plain(rows):
    system = {"server_timestamp", "_subject_id", "_run_id"}
    return sorted(repr({k: v for k, v in sorted(row.items()) if k not in system}) for row in rows)


def newest(place, name, table):
    """The rows of the newest state of each record, in a table of its family."""
    column = "id" if table == name else CHILDREN[table]
    return place.sql(
        f"""with latest as (from {name} select id, _run_id qualify row_number() over (
                partition by id order by server_timestamp desc, rowid desc) = 1)
            select t.* from {table} t join latest l
            on t.{column} = l.id and t._run_id = l._run_id"""
    )


def verify(place, name):
    """No row is missing, none is there twice, and the last state of each is the true one."""
    wanted = expected(place, name)
    for table, rows in wanted.items():
        found = plain(newest(place, name, table))
        assert len(found) == len(rows), table
        assert found == rows, table
    twice = f"from {name} select id, _run_id group by all having count(*) > 1"
    assert place.sql(twice) == []
    if name == "crimes":
        assert same_state_twice(place) == []
    else:
        same = (
            f"from {name} select * exclude (server_timestamp, _run_id), count(*) as n group by all"
        )
        assert place.sql(f"from ({same}) where n > 1") == []
    books = place.sql(f"from _tcd_loads where superseded_by is null and endpoint = '{name}'")
    for table in wanted:
        of_runs = place.sql(f"from {table} select _run_id, count(*) as n group by all")
        told = {load["run_id"]: json.loads(load["rows"])[table] for load in books}
        assert {row["_run_id"]: row["n"] for row in of_runs} == {k: n for k, n in told.items() if n}


def same_state_twice(place):
    """Crimes of which two states that follow each other are the same, slots and rewards too."""
    inner = " || ".join(
        f"""coalesce((select string_agg(md5(s::varchar), '' order by s._index) from (
            from {child} select * exclude (server_timestamp, _subject_id, _run_id)
            where crime_id = c.id and _run_id = c._run_id) s), '')"""
        for child in ("crimes_slots", "crimes_rewards_items")
    )
    return place.sql(
        f"""with states as (
            select c.id, c.server_timestamp, c._run_id, {inner} ||
                md5((select r::varchar from
                    (select c.* exclude (server_timestamp, _run_id)) r)) as state
            from crimes c)
        from states select id qualify state = lag(state) over (
            partition by id order by server_timestamp)"""
    )


@pytest.mark.slow
def test_a_year_and_more_is_logged_whole_however_often_it_is_killed(place):
    dice = random.Random(4)
    for name in NAMES:
        kills = sum(killed(place, dice, "backfill", name, "--pages", "8") for _ in range(2))
        assert kills
        for _ in range(2):
            goes_on(place, dice.choice((0, 60, HOUR)))
            with mined(dice, 9):
                whole_history(place, name)
        whole_history(place, name)
        assert whole_history(place, name) == []  # all of it was read

    for _ in range(5):
        goes_on(place, dice.randint(600, 20 * HOUR))
        for name in dice.sample(NAMES, 3):
            with mined(dice, 4):
                place.log(name)
        if dice.random() < 0.15:
            killed(place, dice, "run", "--all")
    goes_on(place, 60)
    for name in NAMES:
        assert place.log(name).error is None
        verify(place, name)
