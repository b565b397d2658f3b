"""`tcdatalogger schedule`: run every endpoint when it is due, each in a process of its own."""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from tcdatalogger.cli import Options
from tcdatalogger.cli.output import counted, json_option, moment, print_json, say
from tcdatalogger.cli.progress import ProgressLines, note, notice
from tcdatalogger.clock import ago, span
from tcdatalogger.errors import ConfigError, Failure, UsageError

if TYPE_CHECKING:
    from tcdatalogger.core.config.settings import Settings
    from tcdatalogger.core.state.store import State
    from tcdatalogger.scheduler.daemon import Mode, RunEvent
    from tcdatalogger.scheduler.executor import Report
    from tcdatalogger.scheduler.monitoring.http import MonitoringServer


@click.command(
    epilog="\b\nExample:\n"
    "  tcdatalogger schedule\n"
    "  tcdatalogger schedule --once --json\n"
    "  kill -HUP PID    # read the configuration again",
)
@click.option("--once", is_flag=True, help="Run what is due now, each endpoint once, and end.")
@click.option("--until-idle", is_flag=True, help="Go on until nothing is due and nothing runs.")
@click.option(
    "--workers", type=click.IntRange(min=1), metavar="N", help="Runs at once. [scheduler.workers]"
)
@json_option
@click.pass_obj
def command(
    options: Options, once: bool, until_idle: bool, workers: int | None, as_json: bool
) -> int:
    """Run every endpoint with a frequency when it is due, until it is stopped.

    Any number of these may run on one state database; an endpoint never runs twice at once. SIGTERM
    and Ctrl-C end it within ten seconds; SIGHUP makes it read its configuration again. With --json
    each run that ends is a line; --once and --until-idle print one list of them at the end.
    """
    if once and until_idle:
        raise UsageError("Say either --once or --until-idle.")
    if workers is not None:  # also when the configuration is read again
        said = (*options.overrides, f"scheduler.workers={workers}")
        options = replace(options, overrides=said)
    settings = options.load()
    from tcdatalogger.clock import SystemClock
    from tcdatalogger.core.state.plans import plans
    from tcdatalogger.core.state.store import State
    from tcdatalogger.scheduler.daemon import Daemon
    from tcdatalogger.scheduler.forkserver import ForkServer
    from tcdatalogger.scheduler.monitoring.http import MonitoringServer

    if not plans(settings):
        raise ConfigError(
            "No endpoint has a frequency, so there is nothing to schedule.",
            remedy='Give one a frequency, as frequency = "PT15M".',
        )
    mode: Mode = "once" if once else "until idle" if until_idle else "for ever"
    tally = _Tally(as_json=as_json, keeps=mode != "for ever")
    with (
        State(settings.state.url or "", SystemClock()) as state,
        MonitoringServer(
            settings,
            SystemClock(),
            serves=mode == "for ever",
            installation=state.installation(),
        ) as health,
        _shown(state, as_json),
    ):
        _tell_first(settings, state, serves=not tally.keeps)
        daemon = Daemon(
            settings,
            state,
            ForkServer(),
            logs=options.logs(settings.log),
            reload=lambda: _read_again(options, health),
            on_event=tally.take,
            on_round=health.beat,
        )
        code = daemon.run(mode)
    tally.close()
    return code


def _shown(state: State, as_json: bool) -> ProgressLines:
    """A line for each run that is under way, on a terminal; elsewhere each end gets a line."""
    quiet = as_json or not sys.stderr.isatty()
    return ProgressLines(running=lambda: state.runs(status="running", most=100), quiet=quiet)


def _read_again(options: Options, health: MonitoringServer) -> Settings:
    """The configuration as it is now; `/readyz` tells of a broken one."""
    try:
        settings = options.settings()
    except Failure as failure:
        health.refuse(str(failure))
        raise
    health.take(settings)
    return settings


def _tell_first(settings: Settings, state: State, *, serves: bool) -> None:
    """Say what this scheduler is about to do."""
    from tcdatalogger.core.state.heartbeats import Heartbeats  # loaded already
    from tcdatalogger.core.views.status import due_times

    now = time.time()
    for beat in Heartbeats(state).alive(now):
        notice(
            "Another scheduler of this installation lives, and both share the work: process "
            f"{beat.pid} on {beat.host}, since {moment(beat.started_at)}.",
            "scheduler_not_alone",
            pid=beat.pid,
            host=beat.host,
            since=moment(beat.started_at),
        )
    due = due_times(settings, state, now)
    first = min(due, key=lambda name: due[name])
    when = "now" if due[first] <= now else f"{ago(due[first], now)}, at {moment(due[first])}"
    listen, workers = settings.metrics.listen if serves else "", settings.scheduler.workers
    where = f"; metrics are at http://{listen}/metrics" if listen else ""
    notice(
        f"{counted(len(due), 'endpoint')}, {counted(workers, 'worker')}; {first} comes next: "
        f"{when}{where}.",
        "scheduler_started",
        endpoints=len(due),
        workers=workers,
        next=first,
        due=moment(max(now, due[first])),
        metrics=listen,
    )


class _Tally:
    """Prints each run as it begins and ends, and at the end how many there were.

    Args:
        as_json: for programs.
        keeps: whether JSON is one list at the end; else each run is a line of its own.
    """

    def __init__(self, *, as_json: bool, keeps: bool) -> None:
        self.as_json, self.keeps = as_json, keeps
        self._began = time.monotonic()
        self._facts: list[dict[str, Any]] = []
        self._ended = self._failed = 0

    def take(self, told: RunEvent) -> None:
        """Take a run that begins or has ended."""
        if told.report is not None:
            self._ended += 1
            self._failed += bool(told.report.exit_code)
        if not self.as_json:
            if sys.stderr.isatty():  # elsewhere what matters is in the log
                _tell(told)
        elif told.report is not None and self.keeps:
            self._facts.append(_facts(told, told.report))
        elif told.report is not None:
            print_json(_facts(told, told.report), line=True)

    def close(self) -> None:
        """Print what is left to print when the scheduler has ended."""
        if self.as_json and self.keeps:
            print_json(self._facts)
        elif self.keeps and not self._ended and not self.as_json:
            say("Nothing is due.")
        seconds = time.monotonic() - self._began
        failed = f", {self._failed} failed" if self._failed else ""
        notice(
            f"Ended after {span(seconds)}: {counted(self._ended, 'run')}{failed}.",
            "scheduler_finished",
            runs=self._ended,
            failed=self._failed,
            seconds=round(seconds, 1),
        )


def _facts(told: RunEvent, report: Report) -> dict[str, Any]:
    """A run that ended, for programs."""
    error = None
    if report.error:
        error = {
            "class": report.error_class,
            "message": report.error,
            "remedy": report.remedy,
            "exit_code": report.exit_code,
        }
    return {
        "run_id": told.run_id,
        "endpoint": told.endpoint,
        "status": report.status,
        "seconds": report.seconds,
        "calls": report.calls,
        "rows": report.rows,
        "error": error,
    }


def _tell(told: RunEvent) -> None:
    begins = f"{moment(told.at)}  {told.endpoint}"
    report = told.report
    if report is None:
        note(f"{begins}  begins")
    elif report.error:
        note(f"{begins}  {report.status}: {report.error} {report.remedy}".rstrip())
    else:
        rows = counted(sum(report.rows.values()), "row")
        note(f"{begins}  {report.status}, {rows} in {span(report.seconds)}")
