"""Sums over all runs that ever ended, and facts about the last runs of each endpoint.

A run is added in the transaction that stores its end. So the sums are right over many processes and
restarts, and stay right when old runs are deleted. Readers read a few rows and not the history.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, Final

from tcdatalogger.core.state.database import Statements, Tables
from tcdatalogger.errors import Unbalanced

BUCKETS: Final = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
"""The upper bounds of the histograms in seconds; one more bucket has no bound."""
SUM: Final = "sum"
BOUNDLESS: Final = "+Inf"

GOOD: Final = "done"
BAD: Final = frozenset({"failed", "crashed"})
_TIMES: Final = ("success_at", "ended_at", "failing_since", "drift_at")
_UNDER_WAY: Final = frozenset({None, "running"})
_PASSING: Final = frozenset({"Busy", "Stopped"})
"""Errors that say nothing about the endpoint: another run had its claim, or a signal ended it."""


@dataclass(frozen=True, slots=True)
class LastRuns:
    """Facts about the last runs of an endpoint. Times are seconds since 1970.

    Attributes:
        known_since: when the endpoint was first seen.
        success_at: when the last good run ended, None for none.
        ended_at: when the last run ended.
        status: of the last run.
        failures: how many runs in a row failed, until now.
        failing_since: when the first of these runs ended.
        error, error_class, remedy, exit_code, run_id: the last failed run.
        news: for each kind of finding the time, the count and the run of the last one: `drift`
            (fields that the catalogue lacks), `set_aside` (records that did not fit), `no_data`
            (answers without their data).
        memory: the most bytes of memory of the last run, 0 where unknown.
    """

    known_since: float = 0.0
    success_at: float | None = None
    ended_at: float | None = None
    status: str = ""
    failures: int = 0
    failing_since: float | None = None
    error: str = ""
    error_class: str = ""
    remedy: str = ""
    exit_code: int = 0
    run_id: str = ""
    news: Mapping[str, tuple[float, int, str]] = field(default_factory=dict)
    memory: int = 0


_FACTS: Final = frozenset(each.name for each in fields(LastRuns))


def histogram(seconds: Iterable[float]) -> dict[str, float]:
    """A histogram of times: how many are in each bucket of `BUCKETS`, and their sum as `SUM`."""
    found: dict[str, float] = {}
    for each in seconds:
        bound = next((str(bound) for bound in BUCKETS if each <= bound), BOUNDLESS)
        found[bound] = found.get(bound, 0) + 1
        found[SUM] = round(found.get(SUM, 0.0) + each, 6)
    return found


def add(db: Statements, run: Mapping[str, Any], before: str | None) -> None:
    """Add a run to the sums, within the transaction that stores it.

    A run that is stored later counts as `pending` at its end and as `done` when it is stored; its
    calls count once.

    Args:
        db: the open transaction.
        run: the fields of the new record.
        before: the former status in the state, None where the run is new. With the same status
            nothing is added, because the run is counted already.
    """
    if run["status"] in {"running", before}:
        return
    items = [(*key, value) for key, value in _increments(run, before) if value]
    places = ", ".join(["(?, ?, ?, ?)"] * len(items))
    db.execute(
        f"""insert into run_totals (name, endpoint, label, value) values {places}
            on conflict (name, endpoint, label)
            do update set value = run_totals.value + excluded.value""",
        tuple(value for item in items for value in item),
    )
    row = db.execute(
        "select known_since, facts from run_marks where endpoint = ?", (run["endpoint"],)
    ).fetchone()
    last = LastRuns(known_since=run["started_at"]) if row is None else _last(*row)
    _write(db, run["endpoint"], _after(last, run))


def _increments(
    run: Mapping[str, Any], before: str | None
) -> Iterator[tuple[tuple[str, str, str], float]]:
    name = run["endpoint"]
    yield ("runs", name, run["status"]), 1
    if run["status"] != "stopped" and (run["error_class"] or run["status"] in BAD):
        yield ("errors", name, run["error_class"] or run["status"].capitalize()), 1
    if run["status"] == GOOD and not run["unchanged"]:
        for table, rows in run["rows"].items():
            yield ("rows", name, table), rows
        yield ("quarantined", name, ""), run["quarantined"]
        yield ("drift", name, ""), run["drift"]
        yield ("repeated", name, ""), run["repeated"]
    if before not in _UNDER_WAY or run.get("resumed"):
        return
    yield ("calls", name, ""), run["calls"]
    yield ("bytes", name, ""), run["bytes"]
    yield ("absent", name, ""), run.get("absent", 0)
    yield ("cpu", name, ""), run["cpu_seconds"]
    if run["finished_at"] is not None:
        yield ("seconds", name, ""), max(0.0, run["finished_at"] - run["started_at"])
    # Without the endpoint: a series for each endpoint, step and bound would be too many.
    for step, seconds in run["seconds"].items():
        for bound, value in histogram([seconds]).items():
            yield ("step", "", f"{step} {bound}"), value
    for bound, value in run["call_seconds"].items():
        yield ("call", "", f"call {bound}"), value


def _after(last: LastRuns, run: Mapping[str, Any]) -> LastRuns:
    ended = run["started_at"] if run["finished_at"] is None else run["finished_at"]
    found = {"no_data": run.get("absent", 0)}
    if run["status"] == GOOD:
        found |= {"drift": run["drift"], "set_aside": run["quarantined"]}
    news = {kind: (ended, count, run["run_id"]) for kind, count in found.items() if count}
    last = replace(last, news={**last.news, **news})
    if run.get("backfill"):
        return last  # rows of long ago do not make the tables fresher
    if last.ended_at is None or ended >= last.ended_at:  # what was pending may be of long ago
        last = replace(
            last, ended_at=ended, status=run["status"], memory=run["memory"] or last.memory
        )
    if run["status"] == GOOD and run.get("absent"):
        return last  # a part of what was asked for is no fresher than it was
    if run["status"] == GOOD:
        success_at = max(ended, last.success_at or ended)
        return replace(last, success_at=success_at, failures=0, failing_since=None)
    is_broken = run["error_class"] == Unbalanced.__name__  # it is pending, and no less a failure
    if not is_broken and (run["status"] not in BAD or run["error_class"] in _PASSING):
        return last
    return replace(
        last,
        failures=last.failures + 1,
        failing_since=ended if last.failing_since is None else last.failing_since,
        error=run["error"],
        error_class=run["error_class"],
        remedy=run["remedy"],
        exit_code=run["exit_code"],
        run_id=run["run_id"],
    )


def ahead(database: Tables, latest: float) -> set[str]:
    """The endpoints with a time after `latest`."""
    found = lasts(database).items()
    return {
        name
        for name, last in found
        if last.known_since > latest
        or any((getattr(last, time, None) or 0.0) > latest for time in _TIMES)
    }


def put_right(db: Statements, now: float) -> None:
    """Move times in the future to now."""
    rows = db.execute("select endpoint, known_since, facts from run_marks").fetchall()
    for name, since, text in rows:
        facts = json.loads(text)
        right = not_after(facts, _TIMES, now)
        if since > now or right != facts:
            db.execute(
                "update run_marks set known_since = ?, facts = ? where endpoint = ?",
                (min(since, now), json.dumps(right), name),
            )


def rewrite(db: Statements, change: Callable[[dict[str, Any]], dict[str, Any]]) -> int:
    """Change the facts of the last runs of endpoints; how many of them were changed."""
    found = 0
    for name, text in db.execute("select endpoint, facts from run_marks").fetchall():
        facts = json.loads(text)
        made = change(facts)
        if made != facts:
            found += 1
            query = "update run_marks set facts = ? where endpoint = ?"
            db.execute(query, (json.dumps(made), name))
    return found


def not_after(facts: Mapping[str, Any], names: Iterable[str], latest: float) -> dict[str, Any]:
    """The facts, with every time of these names moved to `latest` where it is later."""
    late = {name: latest for name in names if (facts.get(name) or 0.0) > latest}
    return {**facts, **late}


def know(database: Tables, endpoints: Iterable[str], now: float) -> None:
    """Store that endpoints exist: an endpoint that never ran counts as late from now on."""
    missing = sorted(set(endpoints) - set(lasts(database)))
    if not missing:
        return
    with database.writing() as db:
        for name in missing:
            db.execute(
                """insert into run_marks (endpoint, known_since, facts) values (?, ?, ?)
                   on conflict (endpoint) do nothing""",
                (name, now, "{}"),
            )


def lasts(database: Tables) -> dict[str, LastRuns]:
    """The facts about each endpoint, also of endpoints that are not configured any more."""
    rows = database.reading("select endpoint, known_since, facts from run_marks")
    return {str(name): _last(since, facts) for name, since, facts in rows}


def sums(database: Tables) -> dict[str, dict[tuple[str, str], float]]:
    """The sums by name, and inside by endpoint and label."""
    found: dict[str, dict[tuple[str, str], float]] = {}
    for name, endpoint, label, value in database.reading(
        "select name, endpoint, label, value from run_totals"
    ):
        found.setdefault(name, {})[endpoint, label] = float(value)
    return found


def histograms(found: Mapping[tuple[str, str], float]) -> dict[str, dict[str, float]]:
    """The sums of a histogram, by what is measured and then by bound."""
    made: dict[str, dict[str, float]] = {}
    for (_, label), value in found.items():
        what, _, bound = label.rpartition(" ")
        made.setdefault(what, {})[bound] = value
    return made


def _last(known_since: float, facts: str) -> LastRuns:
    given = {name: value for name, value in json.loads(facts).items() if name in _FACTS}
    return LastRuns(**{**given, "known_since": float(known_since)})


def _write(db: Statements, endpoint: str, last: LastRuns) -> None:
    db.execute(
        """insert into run_marks (endpoint, known_since, facts) values (?, ?, ?)
           on conflict (endpoint) do update set facts = excluded.facts""",
        (endpoint, last.known_since, json.dumps(asdict(last))),
    )
