"""`tcdatalogger exports`: questions and tables as files and sheets, written on a schedule."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import Any

import click

from tcdatalogger.cli import Options
from tcdatalogger.cli.commands.status import run_facts
from tcdatalogger.cli.output import counted, json_option, moment, print_json, print_table, say
from tcdatalogger.clock import ago
from tcdatalogger.core.views.state import existing_state
from tcdatalogger.errors import Failure, UsageError


@click.group(
    epilog="\b\nExample:\n  tcdatalogger exports list\n  tcdatalogger exports run crimes_sheet"
)
def command() -> None:
    """List the exports of the configuration, and write them."""


@command.command(
    "list", epilog="\b\nExample:\n  tcdatalogger exports list\n  tcdatalogger exports list --json"
)
@json_option
@click.pass_obj
def listed(options: Options, as_json: bool) -> None:
    """Show each export, where it is written, and how its last run ended."""
    settings = options.look()
    from tcdatalogger.core.views.exports import exports  # not for the help

    now = time.time()
    with existing_state(settings) as state:
        found = exports(settings, state, now)
    if as_json:
        print_json([{**asdict(each), "last_run": run_facts(each.last_run)} for each in found])
        return
    if not found:
        say("No export is configured: write one under [[exports]]. docs/exports.md has examples.")
        return
    print_table(
        ("export", "of", "place", "every", "last run", "result", "next"),
        [
            (
                each.export,
                each.of,
                each.place,
                each.frequency or "by hand",
                "" if each.last_run is None else ago(each.last_run.record.started_at, now),
                "" if each.last_run is None else each.last_run.result,
                moment(each.next_due),
            )
            for each in found
        ],
    )
    for each in found:
        if each.last_run is not None and each.last_run.record.error:
            say(f"export {each.export}: {each.last_run.record.error}")


@command.command(
    "run",
    epilog="\b\nExample:\n"
    "  tcdatalogger exports run crimes_sheet\n"
    "  tcdatalogger exports run --all --json",
)
@click.argument("names", nargs=-1, metavar="[NAME]…")
@click.option("--all", "everything", is_flag=True, help="Every export of the configuration.")
@json_option
@click.pass_obj
def run(options: Options, names: tuple[str, ...], everything: bool, as_json: bool) -> int:
    """Write exports now, whatever their schedule says.

    One that fails keeps no other from being written; the exit code is that of the first.
    """
    if bool(names) == everything:
        raise UsageError("Name exports, or write --all.", remedy="`tcdatalogger exports list`")
    settings = options.load()
    from tcdatalogger.core.main import Application  # pyarrow, duckdb
    from tcdatalogger.questions import exports

    told: list[dict[str, Any]] = []
    failures: list[Failure] = []
    with Application(settings) as application:
        if everything:
            wanted = list(settings.exports)
        else:
            wanted = [exports.named(application, name) for name in names]
        for each in wanted:
            try:
                done = exports.export(application, each, timeout=each.timeout.seconds)
            except Failure as failure:
                failures.append(failure)
                told.append({"name": each.name, "place": each.place, "error": str(failure)})
                if not as_json:
                    say(f"{each.name}: {failure}", err=True)
            else:
                told.append(asdict(done))
                if not as_json:
                    say(f"{each.name}: {counted(done.rows, 'row')}, {done.place}")
    if as_json:
        print_json(told)
    elif not wanted:
        say("No export is configured.")
    return failures[0].exit_code if failures else 0
