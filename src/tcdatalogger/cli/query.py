"""`tcdatalogger query`: the warehouse in SQL."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tcdatalogger.cli import Options
from tcdatalogger.cli.output import json_option, number, print_json, print_table
from tcdatalogger.errors import UsageError

if TYPE_CHECKING:
    import pyarrow as pa

MOST_ROWS = 200


@click.command(
    epilog="\b\nExample:\n"
    '  tcdatalogger query "select status, count(*) from faction_crimes group by 1"\n'
    '  tcdatalogger query "from faction_members" --csv > members.csv\n'
    '  tcdatalogger query "from torn_items" --parquet items.parquet',
)
@click.argument("sql")
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV.")
@click.option(
    "--parquet",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write a Parquet file.",
)
@json_option
@click.pass_obj
def command(
    options: Options,
    sql: str,
    as_csv: bool,  # noqa: FBT001 - click's way
    parquet: Path | None,
    as_json: bool,  # noqa: FBT001
) -> None:
    """Read the warehouse with a query. `show tables` lists what there is; nothing can be changed.

    Times are in UTC. A terminal shows the first 200 rows; --json, --csv and --parquet give all.
    """
    if sum((as_csv, as_json, parquet is not None)) > 1:
        raise UsageError("Choose one of --json, --csv and --parquet.")
    settings = options.load()
    from tcdatalogger.core.main import Application  # noqa: PLC0415 - pyarrow, duckdb

    application = Application(settings)
    with application, application.warehouse(read_only=True) as warehouse:
        table = warehouse.query(sql)
    if as_json:
        print_json(table.to_pylist())
    elif as_csv:
        _write_csv(table)
    elif parquet is not None:
        _write_parquet(table, parquet)
    else:
        _print(table)


def _print(table: pa.Table) -> None:
    rows = table.slice(0, MOST_ROWS).to_pylist()
    print_table(table.column_names, [_cells(row) for row in rows])
    if table.num_rows > MOST_ROWS:
        click.echo(f"… and {number(table.num_rows - MOST_ROWS)} rows more")


def _cells(row: dict[str, Any]) -> list[Any]:
    return list(row.values())


def _write_csv(table: pa.Table) -> None:
    import pyarrow.csv as pa_csv  # noqa: PLC0415

    sys.stdout.flush()
    pa_csv.write_csv(table, sys.stdout.buffer)


def _write_parquet(table: pa.Table, file: Path) -> None:
    import pyarrow.parquet as pq  # noqa: PLC0415

    try:
        pq.write_table(table, file, compression="zstd")
    except OSError as error:
        raise UsageError(f"{file} cannot be written: {error.strerror or error}.") from None
    click.echo(f"{file}: {number(table.num_rows)} rows")
