"""Collects the values of all metrics when somebody asks: from state, disks and processes.

The warehouse is never opened for it, as one process at a time can have its file. What the warehouse
holds is known from the records of the runs.
"""

from __future__ import annotations

import os
import platform
import socket
from collections.abc import Iterator, Mapping
from contextlib import suppress
from itertools import repeat
from typing import TYPE_CHECKING, Final

from tcdatalogger import __version__
from tcdatalogger.core.config.settings import Settings
from tcdatalogger.core.run.steps import STEPS
from tcdatalogger.core.state import run_stats
from tcdatalogger.core.state.alerts import KINDS, REFUSED, Alerts
from tcdatalogger.core.state.deliveries import ChannelState, Deliveries
from tcdatalogger.core.state.due import DueQueue
from tcdatalogger.core.state.leases import EXPORT
from tcdatalogger.core.state.store import PENDING, RUNNING, State
from tcdatalogger.errors import Unbalanced
from tcdatalogger.observability.metrics import MetricValues
from tcdatalogger.scheduler.monitoring.disk_usage import Sizes, disks
from tcdatalogger.scheduler.monitoring.freshness import freshness
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
"""Sums in the state that have the endpoint as their only label, and their metrics."""

_SUMS_OF_TWO: Final = {
    "runs": "runs_total",
    "errors": "run_errors_total",
    "rows": "rows_stored_total",
}
"""Sums in the state that have the endpoint and a label as the labels of their metrics."""

_ZERO: Final = dict.fromkeys(
    [*map(str, run_stats.BUCKETS), run_stats.BOUNDLESS, run_stats.SUM], 0.0
)


def machine_values(settings: Settings, sizes: Sizes, running: Mapping[int, str]) -> MetricValues:
    """The values that this machine knows without the state: version, disks, processes.

    Args:
        settings: the configuration in force.
        sizes: counts what is stored; it keeps former counts.
        running: the endpoint that each process runs, by the number of the process.
    """
    measured = MetricValues()
    measured.add("build_info", 1, version=__version__, python=platform.python_version())
    for disk in disks(settings):
        measured.add("disk_free_bytes", disk.free, part=disk.part)
        measured.add("disk_size_bytes", disk.size, part=disk.part)
    for part, count in sizes.read(settings).items():
        measured.add("size_bytes", count, part=part)
    _processes(measured, running)
    return measured


def add_state_values(measured: MetricValues, settings: Settings, state: State, now: float) -> None:
    """Add the values that the state knows.

    Args:
        measured: gets the values.
        settings: the configuration in force.
        state: the state database.
        now: seconds since 1970.

    Raises:
        StateUnavailable: the state cannot be read now.
    """
    _runs(measured, settings, state)
    _endpoints(measured, settings, state, now)
    _torn(measured, settings, state, now)
    _queue(measured, settings, state, now)
    _channels(measured, settings, state)
    lasts = run_stats.lasts(state) if settings.exports else {}
    for export in settings.exports:
        last = lasts.get(EXPORT + export.name)
        failures = 0 if last is None else last.failures
        measured.add("export_consecutive_failures", failures, export=export.name)
    for kind in KINDS:
        measured.add("alerts_open", 0, kind=kind)
    for alert in Alerts(state).all():
        if not alert.over:
            measured.add("alerts_open", 1, kind=alert.event.kind)


def running(state: State) -> dict[int, str]:
    """The endpoint that each process of this machine runs now, by the number of the process.

    Raises:
        StateUnavailable: the state cannot be read now.
    """
    found = state.runs(status="running", most=1_000)
    return {run.pid: run.endpoint for run in found if run.host == socket.gethostname()}


def _runs(measured: MetricValues, settings: Settings, state: State) -> None:
    found = run_stats.sums(state)
    # A series has to be there before it grows, so that Prometheus sees the first time too.
    names = [(endpoint.name,) for endpoint in settings.endpoints]
    kinds = (*REFUSED, Unbalanced.__name__)
    measured.fill("run_errors_total", (((name, kind), 0) for (name,) in names for kind in kinds))
    for what, metric in _SUMS.items():
        measured.fill(metric, zip(names, repeat(0)))
        values = found.get(what, {}).items()
        measured.fill(metric, (((name,), value) for (name, _), value in values))
    for what, metric in _SUMS_OF_TWO.items():
        if what in found:
            measured.fill(metric, found[what].items())
    steps = run_stats.histograms(found.get("step", {}))
    for step in STEPS:
        measured.spread("run_step_duration_seconds", _ZERO | steps.get(step, {}), step=step)
    calls = run_stats.histograms(found.get("call", {}))
    measured.spread("api_call_duration_seconds", _ZERO | calls.get("call", {}))


def _endpoints(measured: MetricValues, settings: Settings, state: State, now: float) -> None:
    found = [((f.endpoint.name,), f) for f in freshness(settings, run_stats.lasts(state), now)]
    planned = [(name, fresh) for name, fresh in found if fresh.period is not None]
    good = [(name, fresh) for name, fresh in found if fresh.age is not None]
    for metric, values in (
        ("endpoint_enabled", ((name, f.endpoint.enabled) for name, f in found)),
        ("endpoint_consecutive_failures", ((name, f.last.failures) for name, f in found)),
        ("run_peak_memory_bytes", ((name, f.last.memory) for name, f in found if f.last.memory)),
        (
            "endpoint_last_success_timestamp_seconds",
            ((name, f.last.success_at or 0.0) for name, f in good),
        ),
        ("endpoint_freshness_seconds", ((name, f.age or 0.0) for name, f in good)),
        ("endpoint_frequency_seconds", ((name, f.period or 0.0) for name, f in planned)),
        ("endpoint_lateness_seconds", ((name, f.overdue) for name, f in planned)),
    ):
        measured.fill(metric, values)


def _torn(measured: MetricValues, settings: Settings, state: State, now: float) -> None:
    most = budget.part(budget.OWNER_CALLS, settings.limits.share)
    owners = {f"player:{owner}": 0 for owner in state.key_owners()}
    paused = {pause.name for pause in state.call_slots.pauses(now)}
    for owner, used in (owners | state.call_slots.calls_since(now - budget.WINDOW)).items():
        measured.add("api_window_calls", used, owner=owner)
        left = 0 if owner in paused else max(0, most - used)
        measured.add("api_window_calls_left", left, owner=owner)
    for who in paused:
        measured.add("api_paused", 1, who=who)
    for name, rows in state.key_health.day_rows(now).items():
        owner, _, category = name.partition("/")
        measured.add("api_day_rows", rows, owner=owner, category=category)
    measured.add("api_day_rows_limit", int(key_health.DAY_ROWS * settings.limits.share))
    measured.add("torn_up", int(not state.key_health.circuit().open))
    states = state.key_health.of_keys()
    for name, health in {known.name: known.health for known in states}.items():
        measured.add("key_health", 1, key=name, health=health)


def _channels(measured: MetricValues, settings: Settings, state: State) -> None:
    known = Deliveries(state).channels()
    for channel in settings.all_channels:
        found = known.get(channel.name, ChannelState(channel.name))
        labels = {"channel": channel.name}
        measured.add("channel_deliveries_total", found.sent, result="accepted", **labels)
        measured.add("channel_deliveries_total", found.failed, result="failed", **labels)
        measured.add("channel_consecutive_failures", found.tries, **labels)


def _queue(measured: MetricValues, settings: Settings, state: State, now: float) -> None:
    names = {endpoint.name for endpoint in settings.endpoints}
    waiting = DueQueue(state).awake(now)
    counts = {
        "due": len(names & waiting),
        "running": state.busy(RUNNING),
        "pending": state.busy(PENDING),
    }
    for what, count in counts.items():
        measured.add("queue_endpoints", count, state=what)


# --- processes -------------------------------------------------------------------------------


def _processes(measured: MetricValues, runs: Mapping[int, str]) -> None:
    """Add the values of the daemon, of its runs, and of what else it started (`helper`).

    Bytes read and written are those of files and of sockets together: without special rights no
    system says which of them went over the network.
    """
    import psutil  # noqa: PLC0415  # when asked

    me = psutil.Process()
    for process, what, endpoint in _family(me, runs):
        labels = {"process": what, "endpoint": endpoint}
        with suppress(psutil.Error), process.oneshot():
            times = process.cpu_times()
            measured.add("process_memory_bytes", process.memory_info().rss, **labels)
            measured.add("process_cpu_seconds_total", times.user + times.system, **labels)
            measured.add("processes", 1, process=what)
            if hasattr(process, "io_counters"):  # not on macOS
                done = process.io_counters()
                read = getattr(done, "read_chars", done.read_bytes)
                written = getattr(done, "write_chars", done.write_bytes)
                measured.add("process_read_bytes_total", read, **labels)
                measured.add("process_write_bytes_total", written, **labels)
    with suppress(psutil.Error, OSError):
        network = psutil.net_io_counters()
        measured.add("host_network_bytes_total", network.bytes_recv, direction="receive")
        measured.add("host_network_bytes_total", network.bytes_sent, direction="transmit")


def _family(
    me: psutil.Process, runs: Mapping[int, str]
) -> Iterator[tuple[psutil.Process, str, str]]:
    yield me, "daemon", ""
    for child in me.children(recursive=True):
        if child.pid in runs:
            yield child, "run", runs[child.pid]
        elif child.pid != os.getpid():
            yield child, "helper", ""
