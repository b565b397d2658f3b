"""`tcdatalogger copy`: the whole warehouse into another one, or the first tool's tables into it."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import TYPE_CHECKING

import click

from tcdatalogger.cli import Options
from tcdatalogger.cli.commands.backup import BackupLines
from tcdatalogger.cli.output import counted, json_option, print_json, print_table, say
from tcdatalogger.errors import UsageError

if TYPE_CHECKING:
    from tcdatalogger.core.config.settings import Settings


@click.command(
    epilog="\b\nExample:\n"
    "  tcdatalogger copy --to 'bigquery://my-project/torn?location=EU'\n"
    "  tcdatalogger copy --to duckdb:///data/copy.duckdb --json\n"
    "  tcdatalogger copy --to duckdb:///data/safe.duckdb --encryption-key env:TCD_WAREHOUSE_KEY\n"
    "  tcdatalogger copy --from-legacy bigquery://my-project/torn_data",
)
@click.option(
    "--to",
    "url",
    metavar="URL",
    help="The warehouse that is filled, written as `warehouse.url`. It is empty, or does not "
    "exist yet, or holds such a copy that is not finished.",
)
@click.option(
    "--from-legacy",
    "legacy",
    metavar="URL",
    help="The dataset of the first tool (github.com/shepner/TCdatalogger), whose tables are read "
    "into this warehouse as history.",
)
@click.option(
    "--table",
    "names",
    metavar="NAME",
    multiple=True,
    help="A table of that dataset; all that the first tool made, where none is named.",
)
@click.option(
    "--encryption-key",
    metavar="REFERENCE",
    help="Where the key of the new DuckDB file is. [warehouse.encryption_key]",
)
@click.option(
    "--credentials",
    metavar="REFERENCE",
    help="Where the credentials for BigQuery are: env: or file:. [warehouse.credentials]",
)
@json_option
@click.pass_obj
def command(
    options: Options,
    url: str | None,
    legacy: str | None,
    names: tuple[str, ...],
    encryption_key: str | None,
    credentials: str | None,
    as_json: bool,
) -> None:
    """Copy the whole warehouse with its ledger into another one, and compare every column.

    No endpoint runs meanwhile. What ends before its end is called again: it goes on with the tables
    that are not there yet. Until then no run stores in the target. The configuration stays as it
    is; the command prints the line to change. Tables that you made yourself are not copied.

    With --from-legacy it reads what the first tool logged: each of its tables becomes a table
    legacy_NAME here, once, as a run that can be rolled back.
    """
    if (url is None) == (legacy is None):
        raise UsageError(
            "Say where to copy to, or from where.",
            remedy="As --to duckdb:///copy.duckdb or --from-legacy bigquery://PROJECT/DATASET.",
        )
    if legacy is not None and encryption_key:
        raise UsageError("--encryption-key goes with --to.", remedy="The warehouse has its own.")
    if legacy is None and names:
        raise UsageError("--table goes with --from-legacy.", remedy="--to copies all tables.")
    settings = options.load()
    if legacy is not None:
        _read_legacy(options, settings, legacy, names, credentials, as_json=as_json)
        return
    given = {"url": url, "encryption_key": encryption_key, "credentials": credentials}
    changed = [f"warehouse.{name}={value}" for name, value in given.items() if value]
    other = replace(options, overrides=(*options.overrides, *changed)).settings()
    from tcdatalogger.core.main import Application  # pyarrow, duckdb
    from tcdatalogger.core.operations.copy import copy

    with Application(settings) as application, Application(other) as to:
        found = copy(application, to, progress=BackupLines())
    lines = _settings(settings, other)
    if as_json:
        tables = {
            name: {"rows": table.rows, "columns": len(table.columns), "before": table.before}
            for name, table in found.items()
        }
        print_json({"to": other.warehouse.url, "tables": tables, "settings": lines})
        return
    print_table(
        ("table", "rows", "columns"),
        [(name, table.rows, len(table.columns)) for name, table in found.items()],
    )
    rows = counted(sum(table.rows for table in found.values()), "row")
    say(f"{counted(len(found), 'table')} with {rows} copied; every column is the same in both.")
    say(f"To use the copy, change the configuration before the next run:\n\n{lines}")


def _settings(before: Settings, after: Settings) -> str:
    """The lines of a configuration that use the copy, and the same state as before."""
    new = after.warehouse
    lines = ["[warehouse]", f'url = "{new.url}"']
    lines += [
        f'{name} = "{value}"'
        for name, value in (
            ("encryption_key", new.encryption_key),
            ("credentials", new.credentials),
        )
        if value and value != getattr(before.warehouse, name)
    ]
    if after.state.url != before.state.url:  # by default it lies beside the warehouse
        lines += ["", "[state]", f'url = "{before.state.url}"']
    if after.backup.path != before.backup.path:
        lines += ["", "[backup]", f'path = "{before.backup.path}"']
    return "\n".join(lines)


def _read_legacy(
    options: Options,
    settings: Settings,
    legacy: str,
    names: tuple[str, ...],
    credentials: str | None,
    *,
    as_json: bool,
) -> None:
    if not legacy.startswith("bigquery://"):
        raise UsageError(
            "The first tool stored in BigQuery alone.",
            remedy="As --from-legacy bigquery://PROJECT/DATASET.",
        )
    changed = [f"warehouse.url={legacy}"]
    changed += [f"warehouse.credentials={credentials}"] if credentials else []
    other = replace(options, overrides=(*options.overrides, *changed)).settings()
    from tcdatalogger.core.main import Application  # pyarrow, duckdb
    from tcdatalogger.core.operations.first_tool import read_first_tool

    with Application(settings) as application, Application(other) as old:
        found, left = read_first_tool(application, old, names, progress=BackupLines())
    if as_json:
        print_json({"from": legacy, "tables": [asdict(table) for table in found], "left": left})
        return
    print_table(
        ("from", "to", "rows", "new", "run"),
        [(each.source, each.table, each.rows, each.new, each.run_id) for each in found],
    )
    for each in found:
        for column, was in each.converted.items():
            say(f"{each.table}.{column} was {was}")
    for name, why in left.items():
        say(f"left out: {name}: {why}")
    rows = counted(sum(each.rows for each in found), "row")
    say(f"{counted(len(found), 'table')} with {rows}, every column compared with its source.")
    if found:
        say("`tcdatalogger rollback RUN` takes a table out again.")
