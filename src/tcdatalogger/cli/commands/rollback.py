"""`tcdatalogger rollback`: take back what a run stored."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from tcdatalogger.cli import Options
from tcdatalogger.cli.lookup import stored_run
from tcdatalogger.cli.output import (
    counted,
    json_option,
    number,
    print_json,
    print_table,
    say,
)

if TYPE_CHECKING:
    from tcdatalogger.services.warehouse.ledger import LedgerLine


@click.command(epilog="\b\nExample:\n  tcdatalogger rollback 20261123T081500Z-5f3a9c1e --dry-run")
@click.argument("run_id", metavar="RUN")
@click.option("--dry-run", "dry", is_flag=True, help="Show what would go, and change nothing.")
@json_option
@click.pass_obj
def command(options: Options, run_id: str, dry: bool, as_json: bool) -> None:
    """Take back what one run stored, and the columns and tables that came with it, in one step.

    For an endpoint that appends it may be any run, for others only the newest. The answers stay in
    the archive: `tcdatalogger replay RUN` brings the rows back.

    RUN is its id or the beginning of it, the name of an endpoint for its newest run that stored
    something, or `last` for the newest of all such runs.
    """
    settings = options.load()
    from dataclasses import asdict
    from functools import partial

    from tcdatalogger.core.main import Application  # pyarrow, duckdb
    from tcdatalogger.core.operations.rollback import roll_back

    with Application(settings) as application:
        run_id = stored_run(application, run_id)
        undo = roll_back(application, run_id, dry=dry, tell=partial(_takes, dry=dry))
    if as_json:
        print_json({**asdict(undo), "dry_run": dry})
        return
    names = sorted({*undo.removed, *undo.restored})
    rows = [(name, undo.removed.get(name, 0), undo.restored.get(name, 0)) for name in names]
    print_table(("table", "removed", "restored"), rows)
    for step in undo.steps:
        say(step)
    count = number(sum(undo.removed.values()))
    what = "would be removed; nothing was changed" if dry else "removed"
    whole = f"Of the run {undo.run_id}" if dry else f"The run {undo.run_id} is rolled back"
    say(f"{whole}: {count} rows of {undo.endpoint} {what}.")


def _takes(line: LedgerLine, *, dry: bool) -> None:
    """Say which run it is before anything changes: a person may mean another one by `last`."""
    what = "Looking at" if dry else "Rolling back"
    stored = counted(sum(line.rows.values()), "row")
    say(
        f"{what} the run {line.run_id} of {line.endpoint}, which stored {stored} by {line.mode}.",
        err=True,
    )
