"""The queue of what is due: one row for each endpoint with a frequency, shared by all daemons.

A row says since when its endpoint is due and when to look at it again. A daemon that takes a row
sets that time later first, so one of many daemons gets it. The claim of the endpoint then decides
whether it may run. A row comes up again by itself, whatever dies in between.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from tcdatalogger.backoff import Backoff
from tcdatalogger.core.config.schedule import Grid, jitter
from tcdatalogger.core.state import run_stats
from tcdatalogger.core.state.database import Statements
from tcdatalogger.core.state.leases import Claim
from tcdatalogger.core.state.store import State
from tcdatalogger.errors import Busy

RANKS: Final = {"high": 0, "normal": 1, "low": 2}
BACKOFF: Final = Backoff(10.0, 900.0, jitter=0.25)
"""The pauses between the tries of a run that may succeed later."""
CLOCKS_DIFFER: Final = 2.0
"""Seconds by which the clocks of two processes may differ."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How one endpoint is scheduled.

    Attributes:
        endpoint: the name of the endpoint.
        grid: the times at which it is due.
        priority: the order among endpoints that are due: `high`, `normal` or `low`.
        retries: how often a failed run that may succeed later is tried again for the same time.
        waits: whether the first run waits for a time of the grid; else it is due at once.
    """

    endpoint: str
    grid: Grid
    priority: str = "normal"
    retries: int = 3
    waits: bool = False


@dataclass(frozen=True, slots=True)
class Due:
    """An endpoint that has to run now; times are seconds since 1970.

    Attributes:
        endpoint: the name of the endpoint.
        since: the time of its grid for which it is due.
        wake_at: the `wake_at` of its row; a daemon names it to take the row, so that only one can.
        attempt: how often a run was begun for this time before.
    """

    endpoint: str
    since: float
    wake_at: float
    attempt: int


@dataclass(frozen=True, slots=True)
class DueEntry:
    """A row of the queue; times are seconds since 1970.

    Attributes:
        endpoint: the name of the endpoint.
        due_at: when it is due next, or since when it is due.
        wake_at: when a daemon looks at it next: later than `due_at` while it runs or waits for
            another try.
        attempt: how often a run was begun for this time.
        served_at: when the last run that counts began; None before the first.
    """

    endpoint: str
    due_at: float
    wake_at: float
    attempt: int
    served_at: float | None


class DueQueue:
    """The queue of endpoints that are due, now or later: one row each.

    Args:
        state: the state database.
    """

    def __init__(self, state: State) -> None:
        self._state = state

    def sync(self, plans: Iterable[Plan], now: float, *, alone: bool) -> None:
        """Bring the rows in line with the configuration and with the clock.

        A new endpoint is due at once, unless it ran by hand since its last time. A changed
        frequency counts from the last run. A row that lies too far ahead, after a clock that was
        wrong, comes back to the next time of its grid. It does not come back to now, as then all
        endpoints would run at once.

        Args:
            plans: the plans of all endpoints that run by themselves.
            now: seconds since 1970.
            alone: whether rows of other endpoints are deleted: only where no other daemon may
                have them in its configuration.
        """
        wanted = {plan.endpoint: plan for plan in plans}
        known = {
            name: (schedule, rank, DueEntry(name, *rest))
            for name, schedule, rank, *rest in self._state.reading(
                "select endpoint, schedule, rank, due_at, wake_at, attempt, served_at from agenda"
            )
        }
        rows = []
        ran = run_stats.lasts(self._state) if wanted.keys() - known.keys() else {}
        for name, plan in wanted.items():
            schedule, rank = str(plan.grid), RANKS[plan.priority]
            first = first_entry(plan, ran.get(name), now)
            before, its_rank, entry = known.get(name, ("", None, first))
            fresh = _in_line(entry, plan, now, changed=before not in ("", schedule))
            if (schedule, rank, fresh) != (before, its_rank, entry):
                rows.append((name, schedule, rank, fresh))
        gone = [name for name in known if name not in wanted] if alone else []
        if not rows and not gone:
            return
        with self._state.writing() as db:
            for name in gone:
                db.execute("delete from agenda where endpoint = ?", (name,))
            for name, schedule, rank, entry in rows:
                db.execute(
                    """insert into agenda
                    (endpoint, schedule, rank, due_at, wake_at, attempt, served_at)
                    values (?, ?, ?, ?, ?, ?, ?)
                    on conflict (endpoint) do update set schedule = excluded.schedule,
                    rank = excluded.rank, due_at = excluded.due_at, wake_at = excluded.wake_at,
                    attempt = excluded.attempt, served_at = excluded.served_at""",
                    (name, schedule, rank, entry.due_at, entry.wake_at, entry.attempt,
                     entry.served_at),
                )  # fmt: skip

    def drop(self, names: Iterable[str]) -> None:
        """Delete the rows of endpoints that are not configured any more."""
        with self._state.writing() as db:
            for name in names:
                db.execute("delete from agenda where endpoint = ?", (name,))

    def due(self, now: float, most: int, *, known: Mapping[str, Plan]) -> list[Due]:
        """What has to run now: by priority, then the longest due first.

        Args:
            now: seconds since 1970.
            most: how many are wanted at most.
            known: the plans of the endpoints that this daemon can run; others are left out.
        """
        limit = most
        while most > 0:
            rows = self._state.reading(
                """select endpoint, due_at, wake_at, attempt from agenda where wake_at <= ?
                order by rank, due_at, endpoint limit ?""",
                (now, limit),
            )
            found = [Due(*row) for row in rows if row[0] in known]
            if len(found) >= most or len(rows) < limit:
                return found[:most]
            limit *= 4
        return []

    def next_wake(self, now: float) -> float | None:
        """The first `wake_at` after now; None where there is none."""
        ((wake,),) = self._state.reading(
            "select min(wake_at) from agenda where wake_at > ?", (now,)
        )
        return None if wake is None else float(wake)

    def take(
        self, due: Due, *, until: float, later: float, claim: Callable[[Statements], Claim]
    ) -> Claim | None:
        """Take a row and claim its endpoint, both or neither.

        Args:
            due: what `due` gave.
            until: when the row comes up again if nobody says how the run ended.
            later: when the row comes up again where another process runs the endpoint.
            claim: claims the endpoint within the same transaction.

        Returns the claim; None where another process has the row or the endpoint.
        """
        with self._state.writing() as db:
            done = db.execute(
                """update agenda set wake_at = ?, attempt = attempt + 1
                where endpoint = ? and wake_at = ? returning endpoint""",
                (until, due.endpoint, due.wake_at),
            )
            if not done.fetchall():
                return None  # another daemon was faster
            try:
                return claim(db)
            except Busy:
                self._put_back(db, due, later)
                return None

    def put_back(self, due: Due, until: float) -> None:
        """Undo that a row was taken, and look at it again at `until`."""
        with self._state.writing() as db:
            self._put_back(db, due, until)

    def _put_back(self, db: Statements, due: Due, until: float) -> None:
        db.execute(
            "update agenda set wake_at = ?, attempt = ? where endpoint = ?",
            (until, due.attempt, due.endpoint),
        )

    def defer(self, names: Sequence[str], until: float) -> None:
        """Set the rows of running endpoints later: their daemon is alive.

        Args:
            names: the endpoints.
            until: when their rows come up again; seconds since 1970.
        """
        with self._state.writing() as db:
            for name in names:
                db.execute("update agenda set wake_at = ? where endpoint = ?", (until, name))

    def wake(self, names: Sequence[str], now: float) -> None:
        """Make rows come up now that are due and whose runs are gone."""
        with self._state.writing() as db:
            for name in names:
                db.execute(
                    "update agenda set wake_at = ? where endpoint = ? and wake_at > ? "
                    "and due_at <= ?",
                    (now, name, now, now),
                )

    def served(self, plan: Plan, began: float, now: float) -> None:
        """Note that a run counts: the next one is due at the first time after its start.

        A time that passed while it ran is due at once; several are due once.

        Args:
            plan: the plan of the endpoint.
            began: when the run began, in seconds since 1970.
            now: seconds since 1970.
        """
        since = min(began, now)
        with self._state.writing() as db:
            due = _following(db, plan, since)
            db.execute(
                """update agenda set due_at = ?, wake_at = ?, attempt = 0, served_at = ?
                where endpoint = ?""",
                (due, due, since, plan.endpoint),
            )

    def failed(self, plan: Plan, began: float, now: float, *, attempt: int, again: bool) -> None:
        """Note that a run failed: it is tried again within the period, or at the next time.

        Args:
            plan: the plan of the endpoint.
            began: when the run began, in seconds since 1970.
            now: seconds since 1970.
            attempt: the number of the try for this time, from 1.
            again: whether another try may succeed.
        """
        with self._state.writing() as db:
            due = _following(db, plan, min(began, now))
        retry = now + pause(plan.endpoint, attempt)
        if not again or attempt > plan.retries or retry >= due:
            self._next(plan.endpoint, due)
            return
        with self._state.writing() as db:
            db.execute(
                "update agenda set wake_at = ?, attempt = ? where endpoint = ?",
                (retry, attempt, plan.endpoint),
            )

    def give_up(self, plan: Plan, now: float) -> None:
        """Wait for the next time: too many runs for this one ended without a word."""
        self._next(plan.endpoint, plan.grid.after(now))

    def _next(self, endpoint: str, due: float) -> None:
        with self._state.writing() as db:
            db.execute(
                "update agenda set due_at = ?, wake_at = ?, attempt = 0 where endpoint = ?",
                (due, due, endpoint),
            )

    def entries(self) -> dict[str, DueEntry]:
        """Every row by its endpoint."""
        rows = self._state.reading(
            "select endpoint, due_at, wake_at, attempt, served_at from agenda"
        )
        return {row[0]: DueEntry(*row) for row in rows}

    def awake(self, now: float) -> set[str]:
        """The endpoints that would begin now, if there were a worker for each."""
        rows = self._state.reading("select endpoint from agenda where wake_at <= ?", (now,))
        return {str(name) for (name,) in rows}


def _following(db: Statements, plan: Plan, began: float) -> float:
    """The first time of the grid after a run began, and after the time that it ran for.

    The clocks of two processes may differ a little: by its own clock a run may have begun just
    before the time for which it was taken.
    """
    row = db.execute("select due_at from agenda where endpoint = ?", (plan.endpoint,)).fetchone()
    point = began if row is None else float(row[0])
    return plan.grid.after(point if 0 < point - began < CLOCKS_DIFFER else began)


def first_entry(plan: Plan, last: run_stats.LastRuns | None, now: float) -> DueEntry:
    """The first row of an endpoint: it is due now, unless it ran by hand not long ago.

    Args:
        plan: the plan of the endpoint.
        last: the results of its last runs; None where it never ran.
        now: seconds since 1970.
    """
    ran = last.success_at if last else None
    if ran is None:
        due = plan.grid.after(now) if plan.waits else now
    else:
        due = min(plan.grid.after(min(ran, now)), plan.grid.after(now))
    return DueEntry(plan.endpoint, due, due, 0, None if ran is None else min(ran, now))


def pause(endpoint: str, attempt: int) -> float:
    """Seconds until a failed run is tried again: doubled each time, and different by endpoint.

    After an outage all endpoints have failed at once; so they do not come back at once.
    """
    return BACKOFF.pause(attempt, jitter(f"{endpoint}/{attempt}", 1_000) / 500 - 1)


def _in_line(entry: DueEntry, plan: Plan, now: float, *, changed: bool) -> DueEntry:
    """The row as it should be by the grid and the clock."""
    grid = plan.grid
    served = entry.served_at if entry.served_at is None else min(entry.served_at, now)
    latest = grid.after(now)
    if changed:
        due = (latest if plan.waits else now) if served is None else grid.after(served)
        return DueEntry(entry.endpoint, due, due, 0, served)
    if entry.due_at > latest:
        return DueEntry(entry.endpoint, latest, latest, 0, served)
    if entry.wake_at > max(latest, now + BACKOFF.longest):
        return DueEntry(entry.endpoint, entry.due_at, latest, entry.attempt, served)
    return DueEntry(entry.endpoint, entry.due_at, entry.wake_at, entry.attempt, served)
