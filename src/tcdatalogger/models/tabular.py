"""Rows for others: as CSV that a spreadsheet opens, and as values that JSON can write."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv

from tcdatalogger.text import for_spreadsheet, harmless

PART = 1_000
"""Rows of a part that is written at once."""


def records(table: pa.Table) -> list[dict[str, Any]]:
    """The rows by the names of their columns, with values that JSON can write.

    A column whose name came before has a number after it: an object has each name once.
    """
    names = _distinct(table.column_names)
    return [dict(zip(names, map(_sayable, row), strict=True)) for row in rows(plain_spans(table))]


def json_text(table: pa.Table) -> str:
    """The rows as a list of objects in JSON; times are ISO 8601 in UTC, decimals are texts."""
    return json.dumps(records(table), default=_text, ensure_ascii=False, allow_nan=False)


def _text(value: Any) -> str | float:
    """A value of a type that JSON does not have."""
    match value:
        case datetime():
            whole = value if value.tzinfo else value.replace(tzinfo=UTC)
            return whole.astimezone(UTC).isoformat().replace("+00:00", "Z")
        case date() | time():
            return value.isoformat()
        case timedelta():
            return value.total_seconds()
        case bytes():
            return value.hex()
        case _:
            return str(value)


def _sayable(value: Any) -> Any:
    """A number that JSON cannot write, as `nan` or `inf`, as a text; also within lists."""
    match value:
        case float() if not math.isfinite(value):
            return str(value)
        case list():
            return [_sayable(each) for each in value]
        case dict():
            return {name: _sayable(each) for name, each in value.items()}
        case _:
            return value


def plain_spans(table: pa.Table) -> pa.Table:
    """Intervals as texts: neither CSV nor Parquet has a type for months and days."""
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


def rows(table: pa.Table) -> Iterator[tuple[Any, ...]]:
    """The rows, taken column by column: a query may give two columns the same name.

    DuckDB's sums of integers are decimals without a fraction; they become integers again.
    """
    columns = [values(column) for column in table.columns]
    for row in zip(*columns, strict=True):
        yield tuple(
            int(v) if isinstance(v, Decimal) and v == v.to_integral_value() else v for v in row
        )


def values(column: pa.ChunkedArray) -> list[Any]:
    """The values of a column; one that Python has no word for, as the year 32103, is a text."""
    try:
        return list(column.to_pylist())
    except (ValueError, OverflowError):
        return list(map(_value, column))


def _value(each: pa.Scalar) -> Any:
    if not each.is_valid:
        return None
    if isinstance(each, pa.ListScalar):  # a map is one too
        return list(map(_value, each.values))
    if isinstance(each, pa.StructScalar):
        return {name: _value(each[name]) for name in each.type.names}
    try:
        return each.as_py()
    except (ValueError, OverflowError):
        return each.cast(pa.string()).as_py()


def _distinct(names: Sequence[str]) -> list[str]:
    """The names with a number on those that came before: an object has each once."""
    found: list[str] = []
    for name in names:
        new, number = name, 2
        while new in found:
            new, number = f"{name}_{number}", number + 1
        found.append(new)
    return found


def csv(table: pa.Table, *, raw: bool = False) -> bytes:
    """CSV for a spreadsheet: times as it reads them, and no text that it would take for a formula.

    Args:
        table: the rows.
        raw: leave texts as they are and write times in ISO 8601.
    """
    return b"".join(csv_parts(table, raw=raw))


def csv_parts(table: pa.Table, *, raw: bool = False) -> Iterator[bytes]:
    """The same in parts of some rows, so that nobody has to hold all of it.

    Args:
        table: the rows.
        raw: as of `csv`.
    """
    names = [name if raw else _cell(name) for name in table.column_names]
    whole = [_has_whole_seconds(column) for column in table.columns]
    for at, part in enumerate(slices(table)):
        columns = [
            _cells(column, raw=raw, whole_seconds=each)
            for column, each in zip(part.columns, whole, strict=True)
        ]
        written = io.BytesIO()
        options = pa_csv.WriteOptions(include_header=at == 0)
        pa_csv.write_csv(pa.table(columns, names), written, options)
        yield written.getvalue()


def slices(table: pa.Table) -> Iterator[pa.Table]:
    """The rows in parts; one part of none where there are none."""
    for start in range(0, max(table.num_rows, 1), PART):
        yield table.slice(start, PART)


def _cells(column: pa.ChunkedArray, *, raw: bool, whole_seconds: bool) -> pa.ChunkedArray:
    if pa.types.is_nested(column.type):  # CSV has no type for it
        texts = [None if v is None else _json(v) for v in values(column)]
        column = pa.chunked_array([pa.array(texts, pa.string())])
    elif pa.types.is_dictionary(column.type) or pa.types.is_binary(column.type):
        column = column.cast(pa.string())  # an enum, and what may be a text all the same
    elif pa.types.is_timestamp(column.type):
        if whole_seconds:
            column = column.cast(pa.timestamp("s", column.type.tz))
        column = pc.strftime(column, "%Y-%m-%dT%H:%M:%SZ" if raw else "%Y-%m-%d %H:%M:%S")
    return column if raw else _harmless_cells(column)


def _has_whole_seconds(column: pa.ChunkedArray) -> bool:
    """Whether no time of a column has a fraction of a second: then none is written."""
    if not pa.types.is_timestamp(column.type):
        return False
    whole = pc.floor_temporal(column, unit="second")
    return pc.all(pc.equal(whole, column)).as_py() is not False


def _harmless_cells(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """A column of texts, none of which a terminal obeys or a spreadsheet computes."""
    if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
        return column
    texts = column.to_pylist()
    return pa.chunked_array([pa.array([None if t is None else _cell(t) for t in texts])])


def _cell(text: str) -> str:
    return for_spreadsheet(harmless(text))


def _json(value: Any) -> str:
    return json.dumps(value, default=str, ensure_ascii=False)
