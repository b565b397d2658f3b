"""What stands in the tables that a script has left: python sums.py KIND DATABASE

Prints, as JSON, the rows of each table, and of each column its values and a sum of their hashes.
"""

from __future__ import annotations

import json
import sys

import duckdb
from shapes import BOOL, INT, KINDS, REAL, TEXT, TIME, columns, kind_at

TYPES = {INT: "BIGINT", TEXT: "VARCHAR", REAL: "DOUBLE", BOOL: "BOOLEAN", TIME: "TIMESTAMPTZ"}


def sums(connection, table: str, names: dict[str, str]) -> dict[str, list[int]]:
    asked = ", ".join(
        f'count("{name}"), sum(hash("{name}"::{TYPES[kind]})::HUGEINT)::VARCHAR'
        for name, kind in names.items()
    )
    [found] = connection.execute(f"SELECT count(*), {asked} FROM {table}").fetchall()
    pairs = zip(found[1::2], found[2::2], strict=True)
    return {"": [found[0]], **dict(zip(names, map(list, pairs), strict=True))}


def main(kind: str, database: str) -> None:
    records = KINDS[kind]
    table, text = records.root
    tables = {table: {name: kind_at(records.shape, way) for name, way in columns(text)}}
    for name, (way, above, below) in records.lists.items():
        [element] = kind_at(records.shape, way.split("."))
        tables[name] = {
            **{column: kind_at(records.shape, at) for column, at in columns(above)},
            **{column: kind_at(element, at) for column, at in columns(below)},
        }
    with duckdb.connect(database, read_only=True, config={"threads": 1}) as connection:
        print(json.dumps({name: sums(connection, name, kinds) for name, kinds in tables.items()}))


if __name__ == "__main__":
    main(*sys.argv[1:])
