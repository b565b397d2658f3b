"""`tcdatalogger query`: the warehouse in SQL."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tcdatalogger import disk, private
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
    as_csv: bool,
    parquet: Path | None,
    as_json: bool,
) -> None:
    """Read the warehouse with a query. `show tables` lists what there is; nothing can be changed.

    SQL may be `-`: then it is read from the standard input. Times are in UTC. A terminal shows the
    first 200 rows, one below the other where they are too wide; --json, --csv and --parquet give
    all.
    """
    if sum((as_csv, as_json, parquet is not None)) > 1:
        raise UsageError("Choose one of --json, --csv and --parquet.")
    sql = sys.stdin.read() if sql == "-" else sql
    if not sql.strip():
        raise UsageError("The query is empty.", remedy="As: tcdatalogger query 'show tables'")
    settings = options.look()
    from tcdatalogger.core.main import Application  # pyarrow, duckdb

    application = Application(settings)
    with application, application.warehouse(read_only=True) as warehouse:
        table = _plain_spans(warehouse.query(sql))
    if as_json:
        names = _distinct(table.column_names)
        rows = ([_sayable(value) for value in row] for row in _rows(table))
        print_json([dict(zip(names, row, strict=True)) for row in rows])
    elif as_csv:
        _write_csv(table)
    elif parquet is not None:
        _write_parquet(table, parquet)
    else:
        _print(table)


def _print(table: pa.Table) -> None:
    most = MOST_ROWS if sys.stdout.isatty() else table.num_rows
    rows = [[_as_sql(value) for value in row] for row in _rows(table.slice(0, most))]
    print_table(table.column_names, rows, upright=True)
    if table.num_rows > most:
        click.echo(f"… and {number(table.num_rows - most)} rows more", err=True)


def _as_sql(value: Any) -> Any:
    """Truth as SQL writes it, also inside of lists: who reads it writes the next query by it."""
    if isinstance(value, bool):
        return str(value).lower()
    return [_as_sql(item) for item in value] if isinstance(value, list) else value


def _sayable(value: Any) -> Any:
    """JSON has no word for what is no number, or endless: a text then."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value


def _plain_spans(table: pa.Table) -> pa.Table:
    """Differences of times as texts: neither CSV nor Parquet has a word for months and days."""
    import pyarrow as pa

    for at, field in enumerate(table.schema):
        if field.type == pa.month_day_nano_interval():
            texts = [None if v is None else _span(v) for v in table.column(at).to_pylist()]
            table = table.set_column(at, field.name, pa.array(texts, pa.string()))
    return table


def _span(value: Any) -> str:
    """As `2 months 3 days 04:05:06`, without the parts that are zero."""
    seconds, rest = divmod(abs(value.nanoseconds) // 1_000, 1_000_000)
    sign = "-" if value.nanoseconds < 0 else ""
    hours, minutes = divmod(seconds // 60, 60)
    clock = f"{sign}{hours:02}:{minutes:02}:{seconds % 60:02}" + (f".{rest:06}" if rest else "")
    parts = [f"{value.months} months"] * bool(value.months)
    parts += [f"{value.days} days"] * bool(value.days)
    return " ".join([*parts, clock])


def _rows(table: pa.Table) -> Iterator[tuple[Any, ...]]:
    """Column by column, as a query may give two columns one name. DuckDB's sums of integers are
    decimals without a fraction: integers again.
    """
    columns = [column.to_pylist() for column in table.columns]
    for row in zip(*columns, strict=True):
        yield tuple(
            int(v) if isinstance(v, Decimal) and v == v.to_integral_value() else v for v in row
        )


def _distinct(names: Sequence[str]) -> list[str]:
    """The names with a number on those that came before: an object has each once."""
    found: list[str] = []
    for name in names:
        new, number = name, 2
        while new in found:
            new, number = f"{name}_{number}", number + 1
        found.append(new)
    return found


def _write_csv(table: pa.Table) -> None:
    import pyarrow as pa
    import pyarrow.csv as pa_csv

    for at, field in enumerate(table.schema):
        if pa.types.is_nested(field.type):  # CSV has no word for it
            values = table.column(at).to_pylist()
            texts = [None if v is None else _json(v) for v in values]
            table = table.set_column(at, field.name, pa.array(texts, pa.string()))
    sys.stdout.flush()
    pa_csv.write_csv(table, sys.stdout.buffer)


def _json(value: Any) -> str:
    return json.dumps(value, default=str, ensure_ascii=False)


def _write_parquet(table: pa.Table, file: Path) -> None:
    import pyarrow.parquet as pq

    try:
        with open(file, "wb", opener=private.opener) as written:
            pq.write_table(table, written, compression="zstd")
    except OSError as error:
        raise disk.told(
            error,
            str(file),
            UsageError(
                f"{file} cannot be written: {error.strerror or error}.",
                remedy="Name a file in a folder that is there, and that this user may write to.",
            ),
        ) from None
    click.echo(f"{file}: {number(table.num_rows)} rows")
