"""What each endpoint did last, how much of the call budget is used, and what stops calls."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from tcdatalogger.clock import instant, utc
from tcdatalogger.core.config import secrets
from tcdatalogger.core.config.durations import Duration
from tcdatalogger.core.config.settings import Settings
from tcdatalogger.core.run import known_health
from tcdatalogger.core.run.known_health import KnownHealth
from tcdatalogger.core.state import run_stats
from tcdatalogger.core.state.due import DueQueue, first_entry
from tcdatalogger.core.state.heartbeats import Heartbeats
from tcdatalogger.core.state.leases import BACKUP, DIGEST
from tcdatalogger.core.state.plans import plans
from tcdatalogger.core.state.store import PENDING, RunRecord, State
from tcdatalogger.core.views.deliveries import ChannelStatus, channels
from tcdatalogger.core.views.exports import ExportStatus, exports
from tcdatalogger.core.views.runs import RunView, view
from tcdatalogger.errors import ConfigError
from tcdatalogger.services.torncity.client import budget, error_codes
from tcdatalogger.services.torncity.client.key_health import fingerprint

MISSING = "missing"
"""The health of a key that is not where the configuration says."""

TORN = "torn"
"""Who is held while Torn is down."""

_LAST = 20
"""Runs of an endpoint that are looked through for the last good one."""


@dataclass(frozen=True, slots=True)
class EndpointStatus:
    """What an endpoint did last, and what all of its runs came to.

    Attributes:
        endpoint, path, enabled, storage_mode: as it is configured.
        frequency: as it is written in the configuration; None where it runs only by hand.
        last_run: the newest that is no part of a backfill; None before the first.
        fresh_seconds: since the end of the last run that read and stored all that was asked for;
            None before the first.
        rows: that the last good run stored, by table; it may lack data.
        schema_version: of its tables after that run; None before the first.
        quarantined, drift: records set aside and new fields, of all runs.
        pending: how many runs have their answers in the archive and their rows nowhere yet.
        next_due: when it is to run next, in UTC; None where it runs only by hand.
    """

    endpoint: str
    path: str
    enabled: bool
    storage_mode: str
    frequency: str | None
    last_run: RunView | None
    fresh_seconds: float | None
    rows: Mapping[str, int]
    schema_version: int | None
    quarantined: int
    drift: int
    pending: int
    next_due: datetime | None


@dataclass(frozen=True, slots=True)
class OwnerCalls:
    """The calls that the keys of one player made within the last minute.

    Attributes:
        owner: `player:ID`, or the fingerprint of a key whose player nobody knows yet.
        calls_used: within the last minute.
        calls_left: within our share of Torn's limit.
    """

    owner: str
    calls_used: int
    calls_left: int


@dataclass(frozen=True, slots=True)
class KeyStatus:
    """How a key is.

    Attributes:
        key: its name in the configuration.
        health: `missing`, `untried`, `ok`, `parked` or `dead`.
        why: Torn's reason for a key that is parked or dead, else None.
        since: since when it is so, in UTC; None where nothing is wrong with it.
        until: when it is asked again, in UTC; None for never, or where nothing stops it.
        refused: the paths that it may not read.
        problem: why it is missing, "" for the others.
    """

    key: str
    health: str
    why: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    refused: tuple[str, ...] = ()
    problem: str = ""


@dataclass(frozen=True, slots=True)
class PauseStatus:
    """A time in which no call is made.

    Attributes:
        who: whose calls: `player:ID`, or all of them: `address`, or `torn` where Torn is down.
        until: the end of it, in UTC; None where nobody knows it.
        why: the reason, in words.
    """

    who: str
    until: datetime | None
    why: str


@dataclass(frozen=True, slots=True)
class DaemonStatus:
    """A scheduler that is alive; times are in UTC.

    Attributes:
        owner: under which name it claims endpoints.
        host, pid: of its process.
        started_at: when it began.
        beat_at: when it last gave a sign of life.
        workers: how many runs it takes at once.
        running: how many it has now.
    """

    owner: str
    host: str
    pid: int
    started_at: datetime
    beat_at: datetime
    workers: int
    running: int


@dataclass(frozen=True, slots=True)
class SchedulerStatus:
    """Whether a scheduler is alive.

    Attributes:
        alive: whether any is.
        workers, running: of all of them together.
        backlog: endpoints that are due and that nobody runs; 0 before the first scheduler.
        daemons: those that are alive.
    """

    alive: bool = False
    workers: int = 0
    running: int = 0
    backlog: int = 0
    daemons: tuple[DaemonStatus, ...] = ()


@dataclass(frozen=True, slots=True)
class WorkStatus:
    """What the scheduler does besides endpoints: the backup, or the digest.

    Attributes:
        frequency: as it is written in the configuration; None where it is not done by itself.
        last_run: None before the first.
        next_due: in UTC; None where it is not due by itself.
    """

    frequency: str | None
    last_run: RunView | None
    next_due: datetime | None


@dataclass(frozen=True, slots=True)
class Status:
    """All of it.

    Attributes:
        endpoints: every one that is configured, in the order of the configuration.
        owners: those that made a call within the last minute.
        keys: every one that is configured; none before the first run.
        held: the pauses that hold now.
        channels: every one that is configured.
        exports: likewise.
    """

    endpoints: tuple[EndpointStatus, ...]
    owners: tuple[OwnerCalls, ...]
    keys: tuple[KeyStatus, ...]
    held: tuple[PauseStatus, ...]
    scheduler: SchedulerStatus
    backup: WorkStatus
    digest: WorkStatus
    channels: tuple[ChannelStatus, ...]
    exports: tuple[ExportStatus, ...]


def status(
    settings: Settings, state: State | None, now: float, environ: Mapping[str, str]
) -> Status:
    """What the state says of the configured endpoints.

    Args:
        settings: the configuration.
        state: None before the first run.
        now: seconds since 1970.
        environ: where `env:` keys are.

    Raises:
        StateUnavailable: the state cannot be read.
    """
    due = due_times(settings, state, now)
    return Status(
        endpoints=_endpoints(settings, state, now, due),
        owners=_owners(settings, state, now),
        keys=_keys(settings, state, now, environ),
        held=_paused(state, now),
        scheduler=_scheduler(state, now, due),
        backup=_work(BACKUP, settings.backup.frequency, state, due),
        digest=_work(
            DIGEST, settings.digest.frequency if settings.digest.questions else None, state, due
        ),
        channels=channels(settings, state),
        exports=exports(settings, state, now),
    )


def due_times(settings: Settings, state: State | None, now: float) -> dict[str, float]:
    """When each endpoint with a frequency, the backup and the digest are due next, by name.

    Args:
        settings: the configuration.
        state: None before the first run.
        now: seconds since 1970.

    Returns:
        Seconds since 1970: what a scheduler wrote down, or else when it is due for a new one.
    """
    planned = plans(settings)
    if state is None:
        return {name: first_entry(plan, None, now).due_at for name, plan in planned.items()}
    entries = DueQueue(state).entries()
    ran = run_stats.lasts(state)
    return {
        name: (entries.get(name) or first_entry(plan, ran.get(name), now)).due_at
        for name, plan in planned.items()
    }


def key_names(settings: Settings, environ: Mapping[str, str]) -> dict[str, str]:
    """The names of the configured keys by their fingerprints; keys that are missing are left out.

    Args:
        settings: the configuration.
        environ: where `env:` keys are.
    """
    found = {}
    for name, reference in settings.keys.items():
        with suppress(ConfigError):
            found[fingerprint(secrets.resolve(name, reference, environ))] = name
    return found


def key_status(name: str, health: KnownHealth) -> KeyStatus:
    """What is known of a key, as people are told of it.

    Args:
        name: of the key in the configuration.
        health: what is known of it.
    """
    return KeyStatus(
        key=name,
        health=health.state,
        why=error_codes.named(health.code).meaning if health.code else None,
        since=instant(health.since),
        until=instant(health.until),
        refused=health.refused,
    )


def _endpoints(
    settings: Settings, state: State | None, now: float, due: Mapping[str, float]
) -> tuple[EndpointStatus, ...]:
    sums = {} if state is None else run_stats.sums(state)
    pending = Counter(
        run.endpoint
        for run in ([] if state is None else state.unsettled())
        if run.status == PENDING or run.archive_file
    )
    found = []
    for endpoint in settings.endpoints:
        name = endpoint.name
        runs = [] if state is None else _last_runs(state, name)
        good = next((run for run in runs if run.status == "done"), None)
        whole = next((run for run in runs if run.status == "done" and not run.absent), None)
        fresh = None if whole is None or whole.finished_at is None else now - whole.finished_at
        found.append(
            EndpointStatus(
                endpoint=name,
                path=endpoint.path,
                enabled=endpoint.enabled,
                storage_mode=endpoint.storage_mode,
                frequency=None if endpoint.frequency is None else str(endpoint.frequency),
                last_run=view(runs[0]) if runs else None,
                fresh_seconds=None if fresh is None else round(fresh, 1),
                rows=dict(good.rows) if good else {},
                schema_version=good.schema_version if good else None,
                quarantined=int(sums.get("quarantined", {}).get((name, ""), 0)),
                drift=int(sums.get("drift", {}).get((name, ""), 0)),
                pending=pending[name],
                next_due=instant(due.get(name)),
            )
        )
    return tuple(found)


def _last_runs(state: State, endpoint: str) -> list[RunRecord]:
    """The newest runs of an endpoint, the first alone where it was good and read all."""
    newest = state.runs(endpoint=endpoint, regular=True, most=1)
    if all(run.status == "done" and not run.absent for run in newest):
        return newest
    return state.runs(endpoint=endpoint, regular=True, most=_LAST)


def _owners(settings: Settings, state: State | None, now: float) -> tuple[OwnerCalls, ...]:
    if state is None:
        return ()
    limit = budget.part(budget.OWNER_CALLS, settings.limits.share)
    calls = state.call_slots.calls_since(now - budget.WINDOW)
    return tuple(
        OwnerCalls(owner, used, max(0, limit - used)) for owner, used in sorted(calls.items())
    )


def _keys(
    settings: Settings, state: State | None, now: float, environ: Mapping[str, str]
) -> tuple[KeyStatus, ...]:
    if state is None:
        return ()
    found = []
    for name, reference in settings.keys.items():
        try:
            key = secrets.resolve(name, reference, environ)
        except ConfigError as error:
            found.append(KeyStatus(name, MISSING, problem=error.message))
            continue
        found.append(key_status(name, known_health.health(state, key, now)))
    return tuple(found)


def _paused(state: State | None, now: float) -> tuple[PauseStatus, ...]:
    """What stops calls now: pauses of a player or of this address, and Torn being down."""
    if state is None:
        return ()
    held = [
        PauseStatus(pause.name, instant(pause.until), error_codes.named(pause.code).meaning)
        for pause in state.call_slots.pauses(now)
    ]
    circuit = state.key_health.circuit()
    if circuit.open:
        until = max(circuit.until, circuit.probe_until)
        held.append(PauseStatus(TORN, instant(until), error_codes.DOWN.meaning))
    return tuple(held)


def _scheduler(state: State | None, now: float, due: Mapping[str, float]) -> SchedulerStatus:
    """Whether a scheduler is alive, and how many endpoints wait for one."""
    if state is None:
        return SchedulerStatus()
    alive = Heartbeats(state).alive(now)
    held = {claim.endpoint for claim in state.leases.held()}
    begun = bool(DueQueue(state).entries())  # before the first scheduler nothing waits for one
    return SchedulerStatus(
        alive=bool(alive),
        workers=sum(beat.workers for beat in alive),
        running=sum(beat.running for beat in alive),
        backlog=sum(begun and at <= now and name not in held for name, at in due.items()),
        daemons=tuple(
            DaemonStatus(
                beat.owner,
                beat.host,
                beat.pid,
                utc(beat.started_at),
                utc(beat.beat_at),
                beat.workers,
                beat.running,
            )
            for beat in alive
        ),
    )


def _work(
    name: str, often: Duration | None, state: State | None, due: Mapping[str, float]
) -> WorkStatus:
    runs = [] if state is None else state.runs(endpoint=name, most=1)
    return WorkStatus(
        frequency=None if often is None else str(often),
        last_run=view(runs[0]) if runs else None,
        next_due=instant(due.get(name)),
    )
