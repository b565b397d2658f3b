"""`tcdatalogger query`: the warehouse in SQL."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tcdatalogger import memory
from tcdatalogger.cli import Options
from tcdatalogger.cli.output import json_option, number, print_json, print_table, say
from tcdatalogger.cli.writing import print_bytes, write_parquet
from tcdatalogger.errors import UsageError

if TYPE_CHECKING:
    import pyarrow as pa

MOST_ROWS = 200


@click.command(
    epilog="\b\nExample:\n"
    '  tcdatalogger query "select status, count(*) from faction_crimes group by 1"\n'
    '  tcdatalogger query "select * from faction_members" --csv > members.csv\n'
    '  tcdatalogger query "select * from torn_items" --parquet items.parquet',
)
@click.argument("sql")
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV.")
@click.option(
    "--raw",
    is_flag=True,
    help="With --csv: texts as Torn sent them, times in ISO 8601. For programs: a spreadsheet may "
    "take a player's name for a formula.",
)
@click.option(
    "--parquet",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write a Parquet file.",
)
@click.option(
    "--unsafe",
    is_flag=True,
    help="Let the query read other files, change settings and load extensions of DuckDB. For SQL "
    "of your own alone: it can read your keys.",
)
@click.option(
    "--unlimited",
    is_flag=True,
    help="Let the query take any time, memory and, on BigQuery, money; runs wait for it meanwhile.",
)
@json_option
@click.pass_obj
def command(
    options: Options,
    sql: str,
    as_csv: bool,
    raw: bool,
    parquet: Path | None,
    unsafe: bool,
    unlimited: bool,
    as_json: bool,
) -> None:
    """Read the warehouse with a query; nothing can be changed.

    `select table_name from INFORMATION_SCHEMA.TABLES` lists what there is; on DuckDB `show tables`
    does too, and `describe TABLE` lists columns.

    SQL may be `-`: then it is read from the standard input. Times are in UTC. A terminal shows the
    first 200 rows, one below the other where they are too wide; --json, --csv and --parquet give
    all. A query may take 5 seconds and 512 MB, as runs wait for it; --unlimited lifts that.
    """
    if sum((as_csv, as_json, parquet is not None)) > 1:
        raise UsageError("Choose one of --json, --csv and --parquet.")
    if raw and not as_csv:
        raise UsageError("--raw goes with --csv.")
    sql = sys.stdin.read() if sql == "-" else sql
    if not sql.strip():
        tables = "select table_name from INFORMATION_SCHEMA.TABLES"
        raise UsageError("The query is empty.", remedy=f"As: `tcdatalogger query '{tables}'`")
    settings = options.look()
    from tcdatalogger.core.main import Application  # pyarrow, duckdb
    from tcdatalogger.models import tabular
    from tcdatalogger.services.warehouse.protocol import PROCESS, READING

    limits = None if unlimited else READING
    lift = memory.limit(PROCESS if limits and settings.warehouse.file else None)
    try:
        with (
            Application(settings) as application,
            application.warehouse(read_only=True, unsafe=unsafe, limits=limits) as warehouse,
        ):
            found = warehouse.query(sql)
    finally:
        lift()
    table = tabular.plain_spans(found)
    if as_json:
        print_json(tabular.records(table))
    elif as_csv:
        print_bytes(tabular.csv(table, raw=raw))
    elif parquet is not None:
        write_parquet(table, parquet)
    else:
        _print(table)


def _print(table: pa.Table) -> None:
    from tcdatalogger.models import tabular

    most = MOST_ROWS if sys.stdout.isatty() else table.num_rows
    rows = [[_as_sql(value) for value in row] for row in tabular.rows(table.slice(0, most))]
    print_table(table.column_names, rows, upright=True)
    if table.num_rows > most:
        say(f"… and {number(table.num_rows - most)} rows more", err=True)


def _as_sql(value: Any) -> Any:
    """True and false as SQL writes them, also in lists: people copy them into their next query."""
    if isinstance(value, bool):
        return str(value).lower()
    return [_as_sql(item) for item in value] if isinstance(value, list) else value
