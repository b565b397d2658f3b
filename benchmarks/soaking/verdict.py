"""What a soak came to: its counts, and what is wrong."""

from __future__ import annotations

import json
import statistics
from bisect import bisect_left
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import duckdb

from tcdatalogger.clock import ManualClock
from tcdatalogger.core.config import configuration
from tcdatalogger.core.main import Application
from tcdatalogger.core.state.plans import plan as planned
from tcdatalogger.core.state.store import RunRecord, State
from tcdatalogger.services.torncity.endpoints.registry import processor
from tcdatalogger.services.torncity.processing.base import Fetched

SYSTEM = {"server_timestamp", "_subject_id", "_run_id"}
BOOKS = {"attacks": "attacks", "crimes": "crimes", "armory": "news:armoryAction",
         "main": "news:main", "deposits": "news:depositFunds", "wars": "news:attack"}  # fmt: skip


@dataclass
class Verdict:
    """What a soak came to.

    Attributes:
        facts: counts.
        wrong: what may never be, a sentence each.
        late: the same of what was not in time, which depends on the machine too.
    """

    facts: dict[str, Any] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)
    late: list[str] = field(default_factory=list)

    def must_be_none(self, what: str, found: list[Any], *, late: bool = False) -> None:
        self.facts[what] = len(found)
        where = self.late if late else self.wrong
        where += [f"{what}: {one}" for one in found[:20]]


@dataclass(frozen=True, slots=True)
class Line:
    """One of the witness's; `at` is real."""

    what: str
    at: float
    pid: int
    parent: int
    endpoint: str
    run_id: str
    more: tuple[str, ...] = ()


def judge(soak, ended: float) -> Verdict:
    """Compare what was left with what should be.

    Args:
        soak: that has come to its end.
        ended: the real time at which its daemons were told to end.
    """
    verdict = Verdict()
    settings = configuration.load(soak.file, {})
    lines = [_line(text) for text in (soak.folder / "witness").read_text().splitlines()]
    with State(settings.state.url or "", ManualClock(soak.fast(ended))) as state:
        records = state.runs(most=10**7)
        # A daemon that cannot reach the state at its end leaves that to the next one, as here.
        state.leases.give_back(state.leases.orphaned())
        owned = state.reading("select endpoint, owner from leases where owner <> ''")
    verdict.facts |= {
        "runs begun": sum(line.what == "begin" for line in lines),
        "how they ended": dict(Counter(run.status for run in records)),
        "why": dict(Counter(run.error_class for run in records if run.error_class)),
        "what went wrong": dict(soak.counts),
    }
    verdict.must_be_none("running for ever", [r.run_id for r in records if r.status == "running"])
    verdict.must_be_none("claims that nobody can give back", owned)
    _overlaps(verdict, soak, lines, records)
    with duckdb.connect(str(soak.folder / "torn.duckdb"), read_only=True) as db:
        db.execute("set TimeZone = 'UTC'")
        _books(verdict, soak, settings, db)
        _ledger(verdict, settings, db, records)
    _punctual(verdict, soak, settings, lines, ended)
    _successes(verdict, soak, settings, lines, records)
    stats = soak.stats
    verdict.facts["calls"] = stats["calls"]
    verdict.facts["answers of the city"] = {
        "faults": stats["faults"], "outages": stats["outages"], "errors": stats["errors"],
        "most in a window": {o: facts["most_in_a_window"] for o, facts in stats["owners"].items()},
    }  # fmt: skip
    violations = stats["violations"] + stats["cloud_violations"]
    verdict.must_be_none("violations of the budget", ["a call too many"] * violations)
    return verdict


def _line(text: str) -> Line:
    what, at, pid, parent, endpoint, run_id, *more = text.split()
    return Line(what, float(at), int(pid), int(parent), endpoint, run_id, tuple(more))


# --- overlaps --------------------------------------------------------------------------------


def _overlaps(verdict: Verdict, soak, lines: list[Line], records: list[RunRecord]) -> None:
    """Two processes of one endpoint at once.

    One that was stopped past its lease is there while another runs, as meant: it can store no more.
    So is for a moment one whose daemon was killed just then.
    """
    found: dict[str, list[Line]] = defaultdict(list)
    for line in (line for line in lines if line.what == "overlap"):
        holder, parent = int(line.more[0]), int(line.more[1])
        found[_excuse(soak, line.at, {holder, parent})].append(line)
    verdict.facts["taken over from one that was stopped"] = len(found["stopped"])
    verdict.facts["begun beside one that was just dying"] = len(found["dying"])
    verdict.must_be_none("overlaps", found[""])
    spans: dict[str, list[tuple[float, float, str]]] = defaultdict(list)
    for run in records:
        if run.status == "done" and run.finished_at is not None and not run.note:
            spans[run.endpoint].append((run.started_at, run.finished_at, run.run_id))
    twice = [
        (name, one, two)
        for name, its in spans.items()
        for (_, until, one), (since, _, two) in pairwise(sorted(its))
        if since < until
    ]
    verdict.must_be_none("overlaps of good runs in the history", twice)


def _excuse(soak, at: float, pids: set[int]) -> str:
    waking = 2 * 30.0 / soak.plan.speed + 2.0  # real seconds in which one that woke is noticed
    for stopped, since, until in soak.frozen:
        if pids & set(stopped) and since <= at <= until + waking:
            return "stopped"
    parents = {d for d in soak.killed if soak.killed[d] <= at <= soak.killed[d] + 1.0}
    return "dying" if parents else ""


# --- rows ------------------------------------------------------------------------------------


def _books(verdict: Verdict, soak, settings, db) -> None:
    """The lists against the city's own books."""
    lost, doubled, stale, rows = [], [], [], 0
    tables = {name for (name,) in db.sql("select table_name from duckdb_tables()").fetchall()}
    environ = {"TORN_API_KEY": soak.city.keys["limited"]}
    with Application(settings, environ=environ) as application:
        tasks = {e.name: application.task(e) for e in settings.endpoints if "list" in e.tags}
    for name, task in tasks.items():
        worker = processor(task.endpoint.path)(task)
        payload = worker.family().root[0]
        books = soak.city.expected(BOOKS[name.partition("_")[0]], key="limited")
        made = worker.transform_data(Fetched.of(json.dumps({payload: books}).encode()))
        wanted = {row["id"]: _plain(row) for row in made.tables[name].to_pylist()}
        rows += len(wanted)
        if name not in tables:  # it is made with the first row
            lost += [(name, key) for key in wanted]
            continue
        newest = db.sql(
            f"from {name} qualify row_number() over (partition by id "
            "order by server_timestamp desc, rowid desc) = 1"
        )
        found = {row["id"]: _plain(row) for row in newest.to_arrow_table().to_pylist()}
        lost += [(name, key) for key in wanted.keys() - found.keys()]
        stale += [(name, key) for key in wanted.keys() & found.keys() if wanted[key] != found[key]]
        doubled += [(name, key, "is not in the books") for key in found.keys() - wanted.keys()]
        by = "id, _run_id" if name.startswith("crimes") else "id"
        twice = f"select {by} from {name} group by all having count(*) > 1"
        doubled += [(name, *keys) for keys in db.sql(twice).fetchall()]
    verdict.facts["lists"] = len(tasks)
    verdict.facts["rows of the books"] = rows
    verdict.must_be_none("rows lost", lost)
    verdict.must_be_none("rows doubled", doubled)
    verdict.must_be_none("rows not as they are now", stale)


def _plain(row: dict[str, Any]) -> str:
    return repr({key: value for key, value in sorted(row.items()) if key not in SYSTEM})


def _ledger(verdict: Verdict, settings, db, records: list[RunRecord]) -> None:
    """The ledger against the tables and against the runs."""
    loads = db.sql(
        "select endpoint, run_id, load_id, rows from _tcd_loads where superseded_by is null"
    ).fetchall()
    counts = Counter((endpoint, run_id) for endpoint, run_id, *_ in loads)
    verdict.facts["loads"] = len(loads)
    verdict.must_be_none("runs stored twice", [key for key, n in counts.items() if n > 1])
    done = {(run.endpoint, run.run_id) for run in records if run.status == "done"}
    verdict.must_be_none("loads of no good run", sorted(counts.keys() - done))
    stored = {(run.endpoint, run.run_id) for run in records if run.status == "done" and run.load_id}
    verdict.must_be_none("good runs that are not stored", sorted(stored - counts.keys()))
    wrong = []
    for endpoint in settings.endpoints:
        if endpoint.storage_mode != "append":
            continue
        told: dict[str, dict[str, int]] = defaultdict(dict)
        for _, run_id, _, text in (load for load in loads if load[0] == endpoint.name):
            for table, n in json.loads(text).items():
                told[table][run_id] = n
        for table, its in told.items():
            found = dict(db.sql(f"select _run_id, count(*) from {table} group by all").fetchall())
            if found != {run_id: n for run_id, n in its.items() if n}:
                wrong.append(table)
    verdict.must_be_none("tables that differ from the ledger", wrong)
    pending = [r.run_id for r in records if r.status in {"pending", "crashed"} and not r.settled]
    verdict.facts["runs that are pending"] = len(pending)


# --- time ------------------------------------------------------------------------------------


def _punctual(verdict: Verdict, soak, settings, lines: list[Line], ended: float) -> None:
    """From each point of each grid to the first begin at or after it."""
    begins: dict[str, list[float]] = defaultdict(list)
    for line in lines:
        if line.what == "begin" and line.at < ended:
            begins[line.endpoint].append(soak.fast(line.at))
    never, late, seconds, delays = [], [], [], []
    for endpoint in settings.endpoints:
        plan, its = planned(endpoint), sorted(begins[endpoint.name])
        if not its:
            never.append(endpoint.name)
            continue
        point = plan.grid.after(its[0])
        while (following := plan.grid.after(point)) < soak.fast(ended):
            place = bisect_left(its, point - 0.01)
            begin = its[place] if place < len(its) else soak.fast(ended)
            period, delay = following - point, begin - point
            delays.append(delay / period)
            seconds.append(delay)
            if delay > period and not _away(soak, point, begin):
                late.append((endpoint.name, round(delay / period, 2)))
            point = following
    verdict.facts["due points"] = len(seconds)
    if seconds:
        verdict.facts["delay of their begins in fast seconds"] = _spread(seconds)
        verdict.facts["delay in periods"] = _spread(delays)
    verdict.must_be_none("never begun", never, late=True)
    verdict.must_be_none("late by more than a period", late, late=True)


def _spread(values: list[float]) -> dict[str, float]:
    ordered = sorted(values)
    at = {name: ordered[int(share * (len(ordered) - 1))]
          for name, share in (("90 %", 0.9), ("99 %", 0.99), ("worst", 1.0))}  # fmt: skip
    return {k: round(v, 3) for k, v in {"median": statistics.median(ordered), **at}.items()}


def _away(soak, since: float, until: float) -> bool:
    """Whether there was a time without any daemon, or without Postgres, between fast times."""
    return any(soak.fast(b) >= since and soak.fast(a) <= until for a, b in soak.away)


def _successes(verdict, soak, settings, lines: list[Line], records: list[RunRecord]) -> None:
    """Gaps between the good runs of an endpoint, but for those in which it could not have one."""
    trouble: dict[str, list[float]] = defaultdict(list)
    for line in lines:
        hit = line.pid in soak.killed or line.parent in soak.killed
        if hit or any({line.pid, line.parent} & set(pids) for pids, _, _ in soak.frozen):
            trouble[line.endpoint].append(soak.fast(line.at))
    gaps, late = [], []
    for endpoint in settings.endpoints:
        if "hostile" in endpoint.tags:
            continue
        good = sorted(r.started_at for r in records
                      if r.endpoint == endpoint.name and r.status == "done")  # fmt: skip
        grid = planned(endpoint).grid
        for one, two in pairwise(good):
            period = grid.after(grid.after(one)) - grid.after(one)
            gaps.append((two - one) / period)
            if two - one > 2 * period and not (
                _away(soak, one, two)
                or any(one <= at <= two for at in trouble[endpoint.name])
                or any(soak.fast(b) >= one and soak.fast(a) <= two for a, b in soak.outages)
            ):
                late.append((endpoint.name, round((two - one) / period, 2)))
    verdict.facts["good runs"] = sum(run.status == "done" for run in records)
    if gaps:
        verdict.facts["periods between good runs"] = _spread(gaps)
    verdict.must_be_none(
        "more than two periods between good runs without a reason", late, late=True
    )
