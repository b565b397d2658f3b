"""Pages become tables by dlt, with Parquet between its steps, which is its fastest way from JSON:

    python dlt_script.py KIND PAGES DATABASE

Its tables of lists know their records by an id alone, and it knows no times in numbers; so a
last step in SQL makes the same tables as everybody's.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from shapes import BOOL, INT, KINDS, REAL, TEXT, TIME, columns, kind_at, page_files

TYPES = {INT: "BIGINT", TEXT: "VARCHAR", REAL: "DOUBLE", BOOL: "BOOLEAN", TIME: "BIGINT"}


def load(kind: str, folder: str, database: str) -> None:
    home = Path(database).with_suffix(".dlt")
    os.environ |= {
        "DLT_DATA_DIR": str(home),
        "RUNTIME__DLTHUB_TELEMETRY": "false",
        "RUNTIME__LOG_LEVEL": "ERROR",
        "NORMALIZE__WORKERS": "1",
    }
    import dlt  # noqa: PLC0415  # it reads the environment
    import orjson  # noqa: PLC0415

    @dlt.resource(name="raw", write_disposition="append")
    def raw():
        for file in page_files(folder):
            yield orjson.loads(file.read_bytes())[kind]

    pipeline = dlt.pipeline(
        "rival", destination=dlt.destinations.duckdb(database), dataset_name="main",
        pipelines_dir=str(home / "pipelines"),
    )  # fmt: skip
    pipeline.run(raw(), loader_file_format="parquet")


def selected(root: str, there: set[str], shape, text: str) -> str:
    """A value that is a whole number here and a fraction there has two columns; one that is always
    null has none."""
    parts = []
    for name, way in columns(text):
        kind, column = kind_at(shape, way), "__".join(way) or "value"
        known = [c for c in (column, f"{column}__v_double", f"{column}__v_bigint") if c in there]
        value = ", ".join(f'{root}."{c}"::{TYPES[kind]}' for c in known)
        value = f"coalesce({value})" if known else f"NULL::{TYPES[kind]}"
        value = f"to_timestamp({value})" if kind == TIME else value
        parts.append(f'{value} AS "{name}"')
    return ", ".join(parts)


def shaped(kind: str, database: str) -> None:
    import duckdb  # noqa: PLC0415

    records = KINDS[kind]
    with duckdb.connect(database, config={"threads": 2}) as connection:

        def there(table: str) -> set[str]:
            return {row[0] for row in connection.execute(f"DESCRIBE {table}").fetchall()}

        table, text = records.root
        own = selected("r", there("raw"), records.shape, text)
        connection.execute(f"CREATE TABLE {table} AS SELECT {own} FROM raw r")
        for name, (way, above, below) in records.lists.items():
            child = "__".join(["raw", *way.split(".")])
            [element] = kind_at(records.shape, way.split("."))
            parents = selected("r", there("raw"), records.shape, above)
            own = selected("e", there(child), element, below)
            connection.execute(
                f"CREATE TABLE {name} AS SELECT {parents}, {own} "
                f"FROM {child} e JOIN raw r ON r._dlt_id = e._dlt_parent_id"
            )


if __name__ == "__main__":
    load(*sys.argv[1:])
    shaped(sys.argv[1], sys.argv[3])
