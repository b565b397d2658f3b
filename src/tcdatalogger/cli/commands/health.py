"""`tcdatalogger health`: whether the scheduler is well, for a container or another watcher."""

from __future__ import annotations

from dataclasses import asdict

import click

from tcdatalogger.cli import Options
from tcdatalogger.cli.output import json_option, print_json, say
from tcdatalogger.clock import span
from tcdatalogger.errors import SchedulerUnavailable


@click.command(
    epilog="\b\nExample:\n"
    "  tcdatalogger health\n"
    "  tcdatalogger health --json\n"
    "  tcdatalogger health || echo 'the scheduler is not well'"
)
@json_option
@click.pass_obj
def command(options: Options, as_json: bool) -> None:
    """Say whether the scheduler of this configuration is well: exit code 0, else 69.

    It is asked at [metrics] listen; where that is empty, its last sign of life in the state is
    read. The scheduler of another installation at that address does not count. Nothing else is
    looked at: what the runs did is in `tcdatalogger status`.
    """
    settings = options.settings()
    options.start_logs(level="error")
    if not settings.state.begun:
        raise SchedulerUnavailable(
            "No scheduler has ever run with this configuration.",
            remedy="`tcdatalogger schedule` starts one.",
        )
    from tcdatalogger.core.state.store import State
    from tcdatalogger.scheduler.monitoring.health import look

    with State(settings.state.url or "") as state:
        found = look(settings, state)
    if as_json:
        print_json({"healthy": True, **asdict(found)})
        return
    say(f"The scheduler is well: it went round {span(found.beat_seconds)} ago.")
