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
from tcdatalogger.cli.output import json_option, number, print_json, print_table, say
from tcdatalogger.errors import UsageError
from tcdatalogger.text import for_spreadsheet, harmless

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
@json_option
@click.pass_obj
def command(
    options: Options,
    sql: str,
    as_csv: bool,
    raw: bool,
    parquet: Path | None,
    unsafe: bool,
    as_json: bool,
) -> None:
    """Read the warehouse with a query; nothing can be changed.

    `select table_name from INFORMATION_SCHEMA.TABLES` lists what there is; on DuckDB `show tables`
    does too, and `describe TABLE` lists columns.

    SQL may be `-`: then it is read from the standard input. Times are in UTC. A terminal shows the
    first 200 rows, one below the other where they are too wide; --json, --csv and --parquet give
    all.
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

    application = Application(settings)
    with application, application.warehouse(read_only=True, unsafe=unsafe) as warehouse:
        table = _plain_spans(warehouse.query(sql))
    if as_json:
        names = _distinct(table.column_names)
        rows = ([_sayable(value) for value in row] for row in _rows(table))
        print_json([dict(zip(names, row, strict=True)) for row in rows])
    elif as_csv:
        _write_csv(table, raw=raw)
    elif parquet is not None:
        _write_parquet(table, parquet)
    else:
        _print(table)


def _print(table: pa.Table) -> None:
    most = MOST_ROWS if sys.stdout.isatty() else table.num_rows
    rows = [[_as_sql(value) for value in row] for row in _rows(table.slice(0, most))]
    print_table(table.column_names, rows, upright=True)
    if table.num_rows > most:
        say(f"… and {number(table.num_rows - most)} rows more", err=True)


def _as_sql(value: Any) -> Any:
    """True and false as SQL writes them, also in lists: people copy them into their next query."""
    if isinstance(value, bool):
        return str(value).lower()
    return [_as_sql(item) for item in value] if isinstance(value, list) else value


def _sayable(value: Any) -> Any:
    """A number that JSON cannot write, as `nan` or `inf`, as a text."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value


def _plain_spans(table: pa.Table) -> pa.Table:
    """Intervals as texts: neither CSV nor Parquet has a type for months and days."""
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
    """The rows, taken column by column: a query may give two columns the same name.

    DuckDB's sums of integers are decimals without a fraction; they become integers again.
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


def _write_csv(table: pa.Table, *, raw: bool) -> None:
    """CSV for a spreadsheet: times as it reads them, and no text that it would take for a formula.

    Args:
        table: the rows.
        raw: leave texts as they are and write times in ISO 8601.
    """
    import pyarrow as pa
    import pyarrow.csv as pa_csv

    for at, field in enumerate(table.schema):
        column = table.column(at)
        if pa.types.is_nested(field.type):  # CSV has no type for it
            texts = [None if v is None else _json(v) for v in column.to_pylist()]
            column = pa.chunked_array([pa.array(texts, pa.string())])
        elif pa.types.is_timestamp(field.type):
            column = _times(column, raw=raw)
        if not raw:
            column = _harmless_cells(column)
        table = table.set_column(at, field.name if raw else _cell(field.name), column)
    sys.stdout.flush()
    pa_csv.write_csv(table, sys.stdout.buffer)


def _times(column: pa.ChunkedArray, *, raw: bool) -> pa.ChunkedArray:
    """Times in UTC as texts: `2026-11-28 22:55:21`, or `2026-11-28T22:55:21Z` for programs.

    They have a fraction of a second only where one of the column has.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    whole = pc.floor_temporal(column, unit="second")
    if pc.all(pc.equal(whole, column)).as_py() is not False:
        column = column.cast(pa.timestamp("s", column.type.tz))
    return pc.strftime(column, "%Y-%m-%dT%H:%M:%SZ" if raw else "%Y-%m-%d %H:%M:%S")


def _harmless_cells(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """A column of texts, none of which a terminal obeys or a spreadsheet computes."""
    import pyarrow as pa

    if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
        return column
    texts = column.to_pylist()
    return pa.chunked_array([pa.array([None if t is None else _cell(t) for t in texts])])


def _cell(text: str) -> str:
    return for_spreadsheet(harmless(text))


def _json(value: Any) -> str:
    return json.dumps(value, default=str, ensure_ascii=False)


def _write_parquet(table: pa.Table, file: Path) -> None:
    import pyarrow.parquet as pq

    try:
        with open(file, "wb", opener=private.opener) as written:
            pq.write_table(table, written, compression="zstd")
    except OSError as error:
        raise disk.failure(
            error,
            str(file),
            UsageError(
                f"{file} cannot be written: {error.strerror or error}.",
                remedy="Name a file in a folder that is there, and that this user may write to.",
            ),
        ) from None
    say(f"{file}: {number(table.num_rows)} rows")
