"""What ran, what runs, and what became of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final

from tcdatalogger.clock import Clock, instant, utc

if TYPE_CHECKING:  # the help of a command needs the statuses, and no database
    from tcdatalogger.core.state.store import RunRecord, State

STATUSES: Final = (
    "running",
    "done",
    "failed",
    "stopped",
    "paused",
    "pending",
    "crashed",
    "superseded",
    "rolled back",
)
"""What may have become of a run."""

PAUSE: Final = 0.5
"""Seconds between two looks at the state."""

MARGIN: Final = 300.0
"""Seconds that a run may be written down late, or by a machine whose clock is behind."""

MOST: Final = 1_000
"""Runs that are read at one look: more than begin within the margin."""

_RUNNING: Final = "running"


@dataclass(frozen=True, slots=True)
class RunView:
    """A run as people are told of it.

    Attributes:
        record: all that the state has of it; its times are seconds since 1970.
        result: what became of it, in a word or two: `done`, `failed: Busy`, `paused after fetch`.
        began, ended: in UTC; `ended` is None while it runs, and where nobody wrote it down.
        rows: that it stored, in all tables.
        calls: of Torn's API; None where nobody knows.
        seconds: of all its steps together; None where nobody knows.
    """

    record: RunRecord
    result: str
    began: datetime
    ended: datetime | None
    rows: int
    calls: int | None
    seconds: float | None

    def __repr__(self) -> str:
        """One line: the record alone has fifty fields."""
        return (
            f"<RunView {self.record.endpoint} {self.result}, {self.rows:,} rows, "
            f"{self.began:%Y-%m-%d %H:%M:%S} UTC, {self.record.run_id}>"
        )

    @property
    def latest(self) -> datetime:
        """When it ended, or when it began where it has not ended."""
        return self.ended or self.began


def view(run: RunRecord) -> RunView:
    """A run of the state as people are told of it."""
    # What a run cost is written down at its end: of one that was killed before, nobody knows it.
    killed = run.status == "crashed" or run.settled
    unknown = killed and not run.calls and not run.seconds
    return RunView(
        record=run,
        result=result(run),
        began=utc(run.started_at),
        ended=instant(run.finished_at),
        rows=sum(run.rows.values()),
        calls=None if unknown else run.calls,
        seconds=None if unknown else sum(run.seconds.values()),
    )


def result(run: RunRecord) -> str:
    """What became of a run, in a word or two: the same wherever it is shown."""
    match run.status:
        case "failed":
            return f"failed: {run.error_class}"
        case "paused":
            return f"paused after {run.step}"
        case "done" if run.unchanged:
            return "unchanged"
        case status:
            return status


def newest(
    state: State | None,
    *,
    endpoint: str | None = None,
    status: str | None = None,
    since: float | None = None,
    before: str | None = None,
    most: int = 20,
) -> tuple[RunView, ...]:
    """The newest runs first.

    Args:
        state: None before the first run.
        endpoint: only its runs; None for all.
        status: only runs of this one of `STATUSES`; None for all.
        since: only runs that began then or later, seconds since 1970; None for all.
        before: only runs that began before the one of this id; None for all.
        most: how many.
    """
    if state is None:
        return ()
    found = state.runs(endpoint=endpoint, status=status, since=since, before=before, most=most)
    return tuple(view(run) for run in found)


def recent(state: State, endpoint: str | None, since: float, ids: Sequence[str]) -> list[RunRecord]:
    """The runs that may have changed, in no order: what `changes` looks at.

    Args:
        state: where the runs are.
        endpoint: only its runs; None for all.
        since: runs that began then or later, seconds since 1970.
        ids: of runs that are wanted besides. Those that are under way come in any case.
    """
    found = state.runs(endpoint=endpoint, since=since, most=MOST)
    # One that goes on after days began before the margin.
    found += state.runs(endpoint=endpoint, status=_RUNNING, most=MOST)
    there = {run.run_id: run for run in found}
    for run_id in ids:
        if run_id not in there:
            there |= {run.run_id: run for run in state.runs(run_id=run_id)}
    return list(there.values())


def changes(
    look: Callable[[float, Sequence[str]], Sequence[RunRecord]],
    clock: Clock,
    known: Sequence[RunRecord] = (),
) -> Iterator[RunRecord]:
    """Each run as it begins and as it ends, without an end.

    A run that began and ended between two looks comes once, and one that goes on after it had
    ended comes again.

    Args:
        look: reads the state: the runs that began at a moment or later, those that are under way,
            and those with these ids.
        clock: slept on between two looks.
        known: runs that need not be told.
    """
    seen = {run.run_id: run for run in known}
    while True:
        low = clock.now() - MARGIN
        under_way = [run.run_id for run in seen.values() if run.status == _RUNNING]
        for run in sorted(look(low, under_way), key=_latest):
            before = seen.get(run.run_id)
            seen[run.run_id] = run
            if before is None or _sign(before) != _sign(run):
                yield run
        seen = {
            run_id: run
            for run_id, run in seen.items()
            if run.started_at >= low or run.status == _RUNNING
        }
        clock.sleep(PAUSE)


def _sign(run: RunRecord) -> tuple[str, float | None]:
    return run.status, run.finished_at


def _latest(run: RunRecord) -> float:
    return run.finished_at or run.started_at
