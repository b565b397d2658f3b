"""`tcdatalogger prune`: delete what is older than the configuration keeps it."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from tcdatalogger.cli import Options
from tcdatalogger.cli.output import counted, json_option, number, print_json, print_table, say
from tcdatalogger.errors import Busy

if TYPE_CHECKING:
    from tcdatalogger.core.operations.prune import Pruned


@click.command(
    epilog="\b\nExample:\n"
    "  tcdatalogger prune --dry-run\n"
    "  tcdatalogger prune faction_news\n"
    "  tcdatalogger prune faction_news --set keep=P90D --dry-run",
)
@click.argument("names", metavar="[NAME]...", nargs=-1)
@click.option("--dry-run", "dry", is_flag=True, help="Count what would go, and delete nothing.")
@json_option
@click.pass_obj
def command(options: Options, names: tuple[str, ...], dry: bool, as_json: bool) -> None:
    """Delete rows that are older than the `keep` of their endpoint, and raw answers that are older
    than that of the archive.

    The scheduler does it once a day. What was deleted is in the backups until these go, and comes
    back by no rebuild. Endpoints that are run meanwhile are left out, and the exit code is 75.
    """
    settings = options.load(names=names or None)
    from tcdatalogger.core.main import Application  # pyarrow, duckdb
    from tcdatalogger.core.operations.prune import prune

    with Application(settings) as application:
        found = prune(application, names, dry=dry)
    if as_json:
        print_json({"pruned": [asdict(one) for one in found], "dry_run": dry})
    else:
        _print(found, dry=dry)
    raise SystemExit(Busy.exit_code if any(one.busy for one in found) else 0)


def _print(found: list[Pruned], *, dry: bool) -> None:
    if not found:
        say("Everything is kept for ever: no endpoint has `keep`, nor has [archive].")
        return
    lines = [(one.endpoint, table, rows) for one in found for table, rows in one.rows.items()]
    if lines:
        print_table(("endpoint", "table", "rows"), lines)
    for one in found:
        if one.busy:
            say(f"{one.endpoint} is left out: {one.busy}", err=True)
    rows = sum(rows for _, _, rows in lines)
    files = sum(one.files for one in found)
    done = "would be deleted; nothing was changed" if dry else "deleted"
    say(f"{number(rows)} rows and {counted(files, 'file')} of the archive {done}.")
