"""`tcdatalogger schedule`: run every endpoint when it is due, each in a process of its own."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

import click

from tcdatalogger.cli import Options
from tcdatalogger.cli.output import json_option, moment, number, print_json, span
from tcdatalogger.cli.progress import Progress, say
from tcdatalogger.errors import ConfigError, Failure, UsageError

if TYPE_CHECKING:
    from tcdatalogger.core.settings import Settings
    from tcdatalogger.core.state import State
    from tcdatalogger.scheduler.daemon import Mode, Told
    from tcdatalogger.scheduler.health import Health


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
    and Ctrl-C end it within ten seconds; SIGHUP makes it read its configuration again.
    """
    if once and until_idle:
        raise UsageError("Say either --once or --until-idle.")
    settings = options.load()
    from tcdatalogger.clock import SystemClock
    from tcdatalogger.core.state import State
    from tcdatalogger.scheduler.daemon import Daemon
    from tcdatalogger.scheduler.forkserver import ForkServer
    from tcdatalogger.scheduler.health import Health
    from tcdatalogger.scheduler.plans import plans

    if not plans(settings):
        raise ConfigError(
            "No endpoint is to be run by itself.",
            remedy='Give one a frequency, as frequency = "PT15M".',
        )
    mode: Mode = "once" if once else "until idle" if until_idle else "for ever"
    health = Health(settings, SystemClock(), serves=mode == "for ever")
    with State(settings.state.url or "", SystemClock()) as state, health, _shown(state, as_json):
        daemon = Daemon(
            settings,
            state,
            ForkServer(),
            workers=workers,
            logs=options.logs(settings.log),
            reload=lambda: _read_again(options, health),
            on_event=_tell_json if as_json else _tell if sys.stderr.isatty() else _tell_nobody,
            on_round=health.beat,
        )
        return daemon.run(mode)


def _shown(state: State, as_json: bool) -> Progress:
    """A line for each run that is under way, on a terminal: elsewhere each end is told."""
    quiet = as_json or not sys.stderr.isatty()
    return Progress(running=lambda: state.runs(status="running", most=100), quiet=quiet)


def _read_again(options: Options, health: Health) -> Settings:
    """The configuration as it is now; a broken one is told where health is."""
    from tcdatalogger.core import config  # loaded already

    try:
        settings = config.load(options.config, os.environ)
    except Failure as failure:
        health.refuse(str(failure))
        raise
    health.take(settings)
    return settings


def _tell_nobody(_told: Told) -> None:
    """What matters is in the log."""


def _tell_json(told: Told) -> None:
    """A line for each run that ended."""
    if told.report is None:
        return
    report = told.report
    error = None
    if report.error:
        error = {
            "class": report.error_class,
            "message": report.error,
            "remedy": report.remedy,
            "exit_code": report.exit_code,
        }
    facts: dict[str, Any] = {
        "run_id": told.run_id,
        "endpoint": told.endpoint,
        "status": report.status,
        "seconds": report.seconds,
        "calls": report.calls,
        "rows": report.rows,
        "error": error,
    }
    print_json(facts)


def _tell(told: Told) -> None:
    begins = f"{moment(told.at)}  {told.endpoint}"
    report = told.report
    if report is None:
        say(f"{begins}  begins")
    elif report.error:
        say(f"{begins}  {report.status}: {report.error} {report.remedy}".rstrip())
    else:
        rows = number(sum(report.rows.values()))
        say(f"{begins}  {report.status}, {rows} rows in {span(report.seconds)}")
