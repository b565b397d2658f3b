"""The page /ops: how fresh every endpoint is, what waits, and what is wrong."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from tcdatalogger.clock import ago
from tcdatalogger.core.config import sizes
from tcdatalogger.core.state import run_stats
from tcdatalogger.core.state.alerts import AlertEvent, Alerts
from tcdatalogger.core.state.leases import BACKFILL, BACKUP, DIGEST, EXPORT
from tcdatalogger.core.state.run_stats import LastRuns
from tcdatalogger.core.state.store import State
from tcdatalogger.core.views.runs import RunView, newest
from tcdatalogger.core.views.status import EndpointStatus, SchedulerStatus, Status, status
from tcdatalogger.observability.redact import redact
from tcdatalogger.scheduler.monitoring import notify
from tcdatalogger.scheduler.monitoring.disk_usage import disks
from tcdatalogger.scheduler.monitoring.freshness import Freshness, freshness
from tcdatalogger.web.context import Context, context
from tcdatalogger.web.drawing import Cell, Table, Tile
from tcdatalogger.web.operations import common as ops

_DAY: Final = 86_400.0
_WORST: Final = ("bad", "warn", "", "good")
_PLACES: Final = {
    "key": "/ops/budget",
    "backup": "/ops/runs?endpoint=%2Fbackup",
    "digest": "/ops/runs?endpoint=%2Fdigest",
    "channel": "",
    "disk": "",
    "drift": "/ops/drift",
    "set_aside": "/ops/quarantine",
}
"""Where an alert leads, by its kind; the others lead to their endpoint."""
_MOST: Final = 1_000


@dataclass(frozen=True, slots=True)
class OpenAlert:
    """Something that is wrong now.

    Attributes:
        kind: of the alert, in words.
        text, remedy: what is wrong, and what to do.
        since: how long it has been so.
        href: where it leads, "" for nowhere.
        run: the page of the run that it is about, "" for none.
        told: whether a channel was told of it.
    """

    kind: str
    text: str
    remedy: str
    since: str
    href: str
    run: str
    told: bool


def overview(request: Request) -> Response:
    """The page."""
    here = context(request)
    state, now = ops.state_now(here), here.clock.now()
    found = status(here.settings, state, now, here.application.environ)
    lasts = {} if state is None else run_stats.lasts(state)
    fresh = {each.endpoint.name: each for each in freshness(here.settings, lasts, now)}
    alerts = open_alerts(here, state, now)
    return ops.ops(
        request,
        "ops_overview.html",
        title="Operations",
        begun=state is not None,
        scheduler=found.scheduler,
        tiles=_tiles(found, fresh, alerts, now),
        alerts=alerts,
        endpoints=endpoints(found, fresh, now),
        backfills=_backfills(state, now),
        backup=_backup(found, now),
        held=[(each.who, ops.moment(each.until), each.why) for each in found.held],
        disks=_disks(here),
        daemons=_daemons(found.scheduler, now),
    )


def open_alerts(here: Context, state: State | None, now: float) -> list[OpenAlert]:
    """Everything that is wrong now, what has lasted longest first."""
    if state is None:
        return []
    lasts = run_stats.lasts(state)
    told = {alert.event.name for alert in Alerts(state).all() if alert.told_at is not None}
    found = sorted(notify.events(here.settings, state, now), key=lambda each: each.since or now)
    return [
        OpenAlert(
            each.kind.replace("_", " "),
            redact(each.text),
            redact(each.remedy),
            ago(min(each.since or now, now), now),
            _place(each),
            _run(each, lasts),
            each.name in told,
        )
        for each in found
    ]


def _place(event: AlertEvent) -> str:
    _, _, about = event.name.partition(":")
    found = _PLACES.get(event.kind)
    if event.kind == "export":
        return ops.endpoint_address(EXPORT + about)
    if found is None:
        return ops.endpoint_address(about)
    return ops.address(found, endpoint=about) if event.kind in {"drift", "set_aside"} else found


def _run(event: AlertEvent, lasts: Mapping[str, LastRuns]) -> str:
    """The page of the run that an alert is about."""
    about = event.name.partition(":")[2]
    names = {"backup": BACKUP, "digest": DIGEST, "export": EXPORT + about}
    last = lasts.get(names.get(event.kind, about))
    if last is None:
        return ""
    _, _, run_id = last.news.get(event.kind, (0.0, 0, last.run_id))
    return ops.run_address(run_id) if run_id else ""


def condition(one: EndpointStatus, fresh: Freshness | None) -> tuple[str, str]:
    """How an endpoint stands, in a word, and its tone."""
    last = one.last_run
    if not one.enabled:
        return "off", ""
    if fresh is not None and fresh.late:
        return "late", "bad"
    if fresh is not None and fresh.last.failures:
        times = fresh.last.failures
        return ("failing" if times == 1 else f"failing, {times} times"), "bad"
    if one.pending:
        return "not stored yet", "warn"
    if last is None:
        return "never ran", "warn" if one.frequency else ""
    if last.record.status == "running":
        return "runs now", ""
    tone = ops.tone(last)
    if last.record.status != "done":
        return last.result, tone
    if tone == "warn":
        aside = last.record.quarantined
        return (f"{aside:,} set aside" if aside else "lacks data"), tone
    return ("fresh" if one.frequency else last.result), tone


def endpoints(found: Status, fresh: Mapping[str, Freshness], now: float) -> Table:
    """Every endpoint, the worst first."""
    rows = []
    for one in found.endpoints:
        word, tone = condition(one, fresh.get(one.endpoint))
        last = one.last_run
        row = (
            Cell(one.endpoint, one.path, ops.endpoint_address(one.endpoint)),
            Cell(word, last.record.error if last else "", "", tone),
            ops.when(None if one.fresh_seconds is None else now - one.fresh_seconds, now),
            due(one, now),
            ops.every(one.frequency),
            Cell("-") if last is None else _result(last),
            ops.count(sum(one.rows.values())),
            ops.count(
                one.quarantined, ops.address("/ops/quarantine", endpoint=one.endpoint), "warn"
            ),
            ops.count(one.drift, ops.address("/ops/drift", endpoint=one.endpoint)),
            ops.count(one.pending, "", "warn"),
        )
        rows.append((_WORST.index(tone), row))
    rows.sort(key=lambda each: each[0])
    columns = (
        "endpoint",
        "condition",
        "last good",
        "next",
        ops.optional("every"),
        ops.optional("last run"),
        ops.number("rows", optional=True),
        ops.number("set aside", optional=True),
        ops.number("new fields", optional=True),
        ops.number("waiting", optional=True),
    )
    return ops.table(columns, [row for _, row in rows])


def _result(last: RunView) -> Cell:
    """What became of a run; where it ended well, its endpoint is the way to it."""
    found = ops.result(last)
    return replace(found, href="") if found.tone == "good" else found


def due(one: EndpointStatus, now: float) -> Cell:
    """When an endpoint is to run next."""
    if one.next_due is None:
        return Cell("by hand")
    at = one.next_due.timestamp()
    return Cell("due", ops.moment(at), tone="warn") if at <= now else ops.when(at, now)


def _tiles(
    found: Status,
    fresh: Mapping[str, Freshness],
    alerts: list[OpenAlert],
    now: float,
) -> list[Tile]:
    wanted = [one for one in found.endpoints if one.enabled and one.frequency]
    good = sum(condition(one, fresh.get(one.endpoint))[1] in {"good", ""} for one in wanted)
    next_due = min((one.next_due for one in wanted if one.next_due), default=None)
    calls = sum(each.calls_used for each in found.owners)
    return [
        Tile("Endpoints as they should be", Cell(f"{good} of {len(wanted)}")),
        Tile("Open alerts", Cell(str(len(alerts)), tone="bad" if alerts else "")),
        Tile("Next due", Cell("-" if next_due is None else _due_in(next_due.timestamp(), now))),
        Tile("Calls in the last minute", Cell(f"{calls:,}"), href="/ops/budget"),
    ]


def _due_in(at: float, now: float) -> str:
    return "now" if at <= now else ago(at, now)


def _backfills(state: State | None, now: float) -> Table | None:
    """The backfills that run, and those that ran within a day."""
    if state is None:
        return None
    running = {
        claim.endpoint.removesuffix(BACKFILL)
        for claim in state.leases.held()
        if claim.endpoint.endswith(BACKFILL)
    }
    seen: dict[str, RunView] = {}
    for run in newest(state, since=now - _DAY, most=_MOST):
        if run.record.backfill:
            seen.setdefault(run.record.endpoint, run)
    rows = [
        (
            Cell(name, href=ops.endpoint_address(name)),
            Cell("reads history now") if name in running else ops.result(seen[name]),
            Cell("") if name not in seen else ops.when(seen[name].latest, now),
            Cell("") if name not in seen else ops.count(seen[name].rows),
        )
        for name in sorted(running | seen.keys())
    ]
    columns = ("endpoint", "backfill", "last piece", ops.number("rows"))
    return ops.table(columns, rows) if rows else None


def _backup(found: Status, now: float) -> Table | None:
    last, often = found.backup.last_run, found.backup.frequency
    if last is None and often is None:
        return None
    due = found.backup.next_due
    row = (
        Cell("none yet") if last is None else ops.result(last),
        Cell("never") if last is None else ops.when(last.latest, now),
        ops.every(often),
        Cell("by hand") if due is None else Cell(_due_in(due.timestamp(), now)),
    )
    return ops.table(("backup", "when", "every", "next"), [row])


def _disks(here: Context) -> Table:
    files = {"warehouse": here.settings.warehouse.file, "state": here.settings.state.file}
    least = sizes.parse(here.settings.alerts.min_free)

    def rows() -> Iterator[tuple[Cell, ...]]:
        for disk in disks(here.settings):
            file = files.get(disk.part)
            used = file.stat().st_size if file is not None and file.is_file() else None
            yield (
                Cell(disk.part),
                Cell("-" if used is None else sizes.shown(used)),
                Cell(sizes.shown(disk.free), tone="bad" if disk.free < least else ""),
                Cell(sizes.shown(disk.size)),
            )

    columns = ("stored", ops.number("file"), ops.number("free"), ops.number("disk"))
    return ops.table(columns, list(rows()))


def _daemons(scheduler: SchedulerStatus, now: float) -> Table | None:
    rows = [
        (
            Cell(f"process {each.pid} on {each.host}"),
            ops.when(each.started_at, now),
            ops.when(each.beat_at, now),
            Cell(f"{each.running} of {each.workers}"),
        )
        for each in scheduler.daemons
    ]
    columns = ("scheduler", "began", "last heard of", "workers busy")
    return ops.table(columns, rows) if rows else None
