"""Pages become tables by SQL alone: python duckdb_script.py KIND PAGES DATABASE"""

from __future__ import annotations

import sys

import duckdb
from shapes import BOOL, INT, KINDS, REAL, TEXT, TIME, columns, kind_at

TYPES = {INT: "BIGINT", TEXT: "VARCHAR", REAL: "DOUBLE", BOOL: "BOOLEAN", TIME: "BIGINT"}


def sql_type(shape) -> str:
    if isinstance(shape, dict):
        return "STRUCT({})".format(
            ", ".join(f'"{name}" {sql_type(s)}' for name, s in shape.items())
        )
    if isinstance(shape, list):
        return f"{sql_type(shape[0])}[]"
    return TYPES[shape]


def selected(root: str, shape, text: str) -> str:
    parts = []
    for name, way in columns(text):
        value = ".".join([root, *(f'"{step}"' for step in way)])
        if kind_at(shape, way) == TIME:
            value = f"to_timestamp({value})"
        parts.append(f'{value} AS "{name}"')
    return ", ".join(parts)


def main(kind: str, pages: str, database: str) -> None:
    records = KINDS[kind]
    # A field of a page that is not named makes DuckDB 2.0 three times slower.
    page = {kind: [records.shape], **records.beside}
    given = ", ".join(f"\"{name}\": '{sql_type(shape)}'" for name, shape in page.items())
    with duckdb.connect(database, config={"threads": 2}) as connection:
        connection.execute(
            f"CREATE TEMP TABLE raw AS SELECT unnest({kind}) AS r FROM read_json("
            f"'{pages}/page_*.json', format='unstructured', columns={{{given}}})"
        )
        table, text = records.root
        connection.execute(
            f"CREATE TABLE {table} AS SELECT {selected('r', records.shape, text)} FROM raw"
        )
        for name, (way, above, below) in records.lists.items():
            [element] = kind_at(records.shape, way.split("."))
            picked = f"{selected('r', records.shape, above)}, {selected('e', element, below)}"
            connection.execute(
                f"CREATE TABLE {name} AS SELECT {picked} "
                f"FROM (SELECT r, unnest(r.{way}) AS e FROM raw)"
            )


if __name__ == "__main__":
    main(*sys.argv[1:])
