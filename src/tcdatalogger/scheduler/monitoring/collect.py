"""Takes every metric at the moment it is asked for: from the state, the disks and the processes.

The warehouse is never opened for it, as its file has one owner at a time: what it holds is known
from the books of the runs.
"""

from __future__ import annotations

import os
import platform
import socket
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from tcdatalogger import __version__
from tcdatalogger.core.config.settings import Settings
from tcdatalogger.core.run.steps import STEPS
from tcdatalogger.core.state import run_stats
from tcdatalogger.core.state.alerts import KINDS, REFUSED, Alerts
from tcdatalogger.core.state.due import DueQueue
from tcdatalogger.core.state.store import PENDING, RUNNING, State
from tcdatalogger.errors import Unbalanced
from tcdatalogger.observability.metrics import MetricValues
from tcdatalogger.scheduler.monitoring.disk_usage import Sizes, disks
from tcdatalogger.scheduler.monitoring.freshness import paces
from tcdatalogger.services.torncity.client import budget, key_health

if TYPE_CHECKING:
    import psutil

_SUMS: Final = {
    "seconds": "run_duration_seconds_total",
    "cpu": "run_cpu_seconds_total",
    "quarantined": "records_quarantined_total",
    "repeated": "records_repeated_total",
    "drift": "drift_fields_total",
    "calls": "api_calls_total",
    "bytes": "api_response_bytes_total",
    "absent": "api_answers_without_data_total",
}
"""Sums of the books with no other label than the endpoint, and their metrics."""

_ZERO: Final = dict.fromkeys(
    [*map(str, run_stats.BUCKETS), run_stats.BOUNDLESS, run_stats.SUM], 0.0
)


def here(settings: Settings, sizes: Sizes, running: Mapping[int, str]) -> MetricValues:
    """What this machine knows without the state: the version, disks and processes.

    Args:
        settings: the configuration in force.
        sizes: what was counted before.
        running: the endpoint of each process that runs one.
    """
    reading = MetricValues()
    reading.add("build_info", 1, version=__version__, python=platform.python_version())
    for disk in disks(settings):
        reading.add("disk_free_bytes", disk.free, part=disk.part)
        reading.add("disk_size_bytes", disk.size, part=disk.part)
    for part, count in sizes.read(settings).items():
        reading.add("size_bytes", count, part=part)
    _processes(reading, running)
    return reading


def books(reading: MetricValues, settings: Settings, state: State, now: float) -> None:
    """Add what the state knows.

    Raises:
        Failure: it cannot be read.
    """
    _runs(reading, settings, state)
    _endpoints(reading, settings, state, now)
    _torn(reading, settings, state, now)
    _queue(reading, settings, state, now)
    for kind in KINDS:
        reading.add("alerts_open", 0, kind=kind)
    for alert in Alerts(state).all():
        if not alert.over:
            reading.add("alerts_open", 1, kind=alert.event.kind)


def running(state: State) -> dict[int, str]:
    """The endpoint of each process on this machine that runs one now."""
    found = state.runs(status="running", most=1_000)
    return {run.pid: run.endpoint for run in found if run.host == socket.gethostname()}


def _runs(reading: MetricValues, settings: Settings, state: State) -> None:
    found = run_stats.sums(state)
    # A series that is there before it grows can be seen to grow: the first time is no less news.
    for name in {endpoint.name for endpoint in settings.endpoints}:
        for kind in (*REFUSED, Unbalanced.__name__):
            reading.add("run_errors_total", 0, **{"endpoint": name, "class": kind})
        for metric in _SUMS.values():
            reading.add(metric, 0, endpoint=name)
    for (name, status), value in found.get("runs", {}).items():
        reading.add("runs_total", value, endpoint=name, status=status)
    for (name, kind), value in found.get("errors", {}).items():
        reading.add("run_errors_total", value, **{"endpoint": name, "class": kind})
    for (name, table), value in found.get("rows", {}).items():
        reading.add("rows_stored_total", value, endpoint=name, table=table)
    for what, metric in _SUMS.items():
        for (name, _), value in found.get(what, {}).items():
            reading.add(metric, value, endpoint=name)
    steps = run_stats.histograms(found.get("step", {}))
    for step in STEPS:
        reading.spread("run_step_duration_seconds", _ZERO | steps.get(step, {}), step=step)
    calls = run_stats.histograms(found.get("call", {}))
    reading.spread("api_call_duration_seconds", _ZERO | calls.get("call", {}))


def _endpoints(reading: MetricValues, settings: Settings, state: State, now: float) -> None:
    for pace in paces(settings, run_stats.lasts(state), now):
        name, last = pace.endpoint.name, pace.last
        reading.add("endpoint_enabled", int(pace.endpoint.enabled), endpoint=name)
        reading.add("endpoint_consecutive_failures", last.failures, endpoint=name)
        if last.memory:
            reading.add("run_peak_memory_bytes", last.memory, endpoint=name)
        if last.success_at is not None and pace.age is not None:
            at = "endpoint_last_success_timestamp_seconds"
            reading.add(at, last.success_at, endpoint=name)
            reading.add("endpoint_freshness_seconds", pace.age, endpoint=name)
        if pace.period is not None:
            reading.add("endpoint_frequency_seconds", pace.period, endpoint=name)
            reading.add("endpoint_lateness_seconds", pace.overdue, endpoint=name)


def _torn(reading: MetricValues, settings: Settings, state: State, now: float) -> None:
    most = budget.part(budget.OWNER_CALLS, settings.limits.share)
    owners = {f"player:{owner}": 0 for owner in state.key_owners()}
    paused = {pause.name for pause in state.call_slots.pauses(now)}
    for owner, used in (owners | state.call_slots.calls_since(now - budget.WINDOW)).items():
        reading.add("api_window_calls", used, owner=owner)
        left = 0 if owner in paused else max(0, most - used)
        reading.add("api_window_calls_left", left, owner=owner)
    for who in paused:
        reading.add("api_paused", 1, who=who)
    for name, rows in state.key_health.day_rows(now).items():
        owner, _, category = name.partition("/")
        reading.add("api_day_rows", rows, owner=owner, category=category)
    reading.add("api_day_rows_limit", int(key_health.DAY_ROWS * settings.limits.share))
    reading.add("torn_up", int(not state.key_health.circuit().open))
    marks = state.key_health.of_keys()
    for name, health in {mark.name: mark.health for mark in marks}.items():
        reading.add("key_health", 1, key=name, health=health)


def _queue(reading: MetricValues, settings: Settings, state: State, now: float) -> None:
    names = {endpoint.name for endpoint in settings.endpoints}
    waiting = {name for name, entry in DueQueue(state).entries().items() if entry.wake_at <= now}
    counts = {
        "due": len(names & waiting),
        "running": state.busy(RUNNING),
        "pending": state.busy(PENDING),
    }
    for what, count in counts.items():
        reading.add("queue_endpoints", count, state=what)


# --- processes -------------------------------------------------------------------------------


def _processes(reading: MetricValues, runs: Mapping[int, str]) -> None:
    """The daemon, its runs, and what else it started (`helper`: the forkserver).

    Bytes read and written are those of all calls of the system, so sockets are among them; what of
    them went over the network no system tells of a process without special rights.
    """
    import psutil  # noqa: PLC0415  # when asked

    me = psutil.Process()
    for process, what, endpoint in _family(me, runs):
        labels = {"process": what, "endpoint": endpoint}
        with suppress(psutil.Error), process.oneshot():
            times = process.cpu_times()
            reading.add("process_memory_bytes", process.memory_info().rss, **labels)
            reading.add("process_cpu_seconds_total", times.user + times.system, **labels)
            reading.add("processes", 1, process=what)
            if hasattr(process, "io_counters"):  # not on macOS
                done = process.io_counters()
                read = getattr(done, "read_chars", done.read_bytes)
                written = getattr(done, "write_chars", done.write_bytes)
                reading.add("process_read_bytes_total", read, **labels)
                reading.add("process_write_bytes_total", written, **labels)
    with suppress(psutil.Error, OSError):
        network = psutil.net_io_counters()
        reading.add("host_network_bytes_total", network.bytes_recv, direction="receive")
        reading.add("host_network_bytes_total", network.bytes_sent, direction="transmit")


def _family(
    me: psutil.Process, runs: Mapping[int, str]
) -> Iterator[tuple[psutil.Process, str, str]]:
    yield me, "daemon", ""
    for child in me.children(recursive=True):
        if child.pid in runs:
            yield child, "run", runs[child.pid]
        elif child.pid != os.getpid():
            yield child, "helper", ""
