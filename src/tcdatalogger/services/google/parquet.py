"""Rows as the file of a load job, and which rows may be sent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq
from google.cloud.bigquery import SchemaField

from tcdatalogger.errors import DataRefused

ARROW: Final[Mapping[str, tuple[pa.DataType, ...]]] = {
    "INT64": (pa.int64(),),
    "INTEGER": (pa.int64(),),
    "FLOAT64": (pa.float64(),),
    "FLOAT": (pa.float64(),),
    "BOOL": (pa.bool_(),),
    "BOOLEAN": (pa.bool_(),),
    "STRING": (pa.string(), pa.large_string()),
    "TIMESTAMP": (pa.timestamp("us", tz="UTC"),),
}
"""The Arrow types that a column may be loaded from.

BigQuery refuses JSON columns in Parquet ("Unsupported field type: JSON", python-bigquery#1966). The
text of JSON is loaded into a STRING column, and a statement moves it on by `PARSE_JSON`.
"""


def written(rows: pa.Table) -> bytes:
    """Rows as a Parquet file."""
    sink = pa.BufferOutputStream()
    pq.write_table(rows, sink, compression="zstd")
    made: bytes = sink.getvalue().to_pybytes()
    return made


def check(rows: pa.Table, schema: Sequence[SchemaField]) -> None:
    """Refuse rows that are not exactly of the table's columns and types: BigQuery converts some.

    Raises:
        DataRefused: a column is missing, in another place, or of another type.
    """
    names = [field.name for field in schema]
    if rows.column_names != names:
        raise DataRefused(
            f"The rows have the columns {', '.join(rows.column_names)}, and the table has "
            f"{', '.join(names)}.",
            reason="invalid",
        )
    for field in schema:
        kind = rows.schema.field(field.name).type
        if kind not in ARROW.get(field.field_type, ()):
            raise DataRefused(
                f"The column {field.name} is of the type {kind}, which cannot be loaded as "
                f"{field.field_type}.",
                reason="invalid",
            )
