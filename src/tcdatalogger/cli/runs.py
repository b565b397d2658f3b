"""`tcdatalogger runs`: what ran, and what became of it."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from tcdatalogger.cli import Options
from tcdatalogger.cli.output import json_option, moment, print_json, print_table, size, span
from tcdatalogger.errors import UsageError

if TYPE_CHECKING:
    from tcdatalogger.core.state import RunRecord


@click.group(
    invoke_without_command=True,
    epilog="\b\nExample:\n"
    "  tcdatalogger runs\n"
    "  tcdatalogger runs --endpoint faction_crimes --most 5\n"
    "  tcdatalogger runs show RUN",
)
@click.option("--endpoint", metavar="NAME", help="Only runs of this endpoint.")
@click.option("--most", default=20, show_default=True, type=click.IntRange(min=1), metavar="N")
@json_option
@click.pass_context
def command(
    context: click.Context,
    endpoint: str | None,
    most: int,
    as_json: bool,
) -> None:
    """List the newest runs."""
    if context.invoked_subcommand is not None:
        return
    found = _read(context.obj, endpoint=endpoint, most=most)
    if as_json:
        print_json([asdict(run) for run in found])
        return
    print_table(
        ("run", "endpoint", "began", "result", "rows", "set aside", "calls", "time"),
        [
            (
                run.run_id,
                run.endpoint,
                moment(run.started_at),
                run.status if run.status != "failed" else f"failed: {run.error_class}",
                sum(run.rows.values()),
                run.quarantined,
                run.calls,
                span(sum(run.seconds.values())),
            )
            for run in found
        ],
    )


@command.command("show", epilog="\b\nExample:\n  tcdatalogger runs show 20261123T081500Z-5f3a9c1e")
@click.argument("run_id", metavar="RUN")
@json_option
@click.pass_obj
def show(options: Options, run_id: str, as_json: bool) -> None:
    """Show one run: its steps, calls, rows, and why it failed."""
    found = _read(options, run_id=run_id)
    if not found:
        raise UsageError(f"There is no run {run_id}.", remedy="`tcdatalogger runs` lists them.")
    run = found[0]
    if as_json:
        print_json(asdict(run))
        return
    steps = "  ".join(f"{step} {span(seconds)}" for step, seconds in run.seconds.items())
    rows = "  ".join(f"{table} {count:,}" for table, count in run.rows.items())
    facts = [
        ("run", run.run_id),
        ("endpoint", run.endpoint),
        ("result", run.status),
        ("began", moment(run.started_at)),
        ("ended", moment(run.finished_at) if run.finished_at else ""),
        ("server's time", moment(run.server_time) if run.server_time else ""),
        ("steps", steps),
        ("calls", f"{run.calls}, {size(run.bytes)}"),
        ("rows", rows),
        ("set aside", run.quarantined),
        ("unknown to the catalogue", run.drift),
        ("came twice", run.repeated),
        ("tables changed", "  ".join(run.steps)),
        ("load", run.load_id),
        ("archive", run.archive_file),
        ("warnings", "  ".join(run.warnings)),
        ("error", " ".join(filter(None, (run.error_class, run.error, run.remedy)))),
    ]
    print_table(("", ""), [fact for fact in facts if fact[1] not in ("", 0)])


def _read(
    options: Options, *, endpoint: str | None = None, run_id: str | None = None, most: int = 20
) -> list[RunRecord]:
    settings = options.load()
    from tcdatalogger.core.state import State  # not for the help

    if endpoint is not None and settings.endpoint(endpoint) is None:
        raise UsageError(f"There is no endpoint {endpoint!r}.")
    file = settings.state.file
    if file is None or not file.exists():
        return []
    with State(file) as state:
        state.mark_lost()
        return state.runs(endpoint=endpoint, run_id=run_id, most=most)
