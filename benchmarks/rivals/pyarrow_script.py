"""Pages become tables by Arrow's kernels: python pyarrow_script.py KIND PAGES DATABASE"""

from __future__ import annotations

import io
import sys

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import json as arrow_json
from shapes import BOOL, INT, KINDS, REAL, TEXT, TIME, columns, kind_at, page_files

TYPES = {
    INT: pa.int64(),
    TEXT: pa.string(),
    REAL: pa.float64(),
    BOOL: pa.bool_(),
    TIME: pa.int64(),
}
AT_ONCE = 50
"""Pages; all at once would hold every page and every array in memory."""


def arrow_type(shape) -> pa.DataType:
    if isinstance(shape, dict):
        return pa.struct([(name, arrow_type(inner)) for name, inner in shape.items()])
    if isinstance(shape, list):
        return pa.list_(arrow_type(shape[0]))
    return TYPES[shape]


def picked(array, shape, text) -> dict:
    found = {}
    for name, way in columns(text):
        value = pc.struct_field(array, way) if way else array
        if kind_at(shape, way) == TIME:
            value = value.cast(pa.timestamp("s", "UTC")).cast(pa.timestamp("us", "UTC"))
        found[name] = value
    return found


def tables(records, array):
    table, text = records.root
    yield table, pa.table(picked(array, records.shape, text))
    for name, (way, above, below) in records.lists.items():
        lists = pc.struct_field(array, way.split("."))
        [element] = kind_at(records.shape, way.split("."))
        parents = pa.table(picked(array, records.shape, above)).take(pc.list_parent_indices(lists))
        own = picked(pc.list_flatten(lists), element, below)
        both = dict(zip(parents.column_names, parents.columns, strict=True)) | own
        yield name, pa.table(both)


def main(kind: str, folder: str, database: str) -> None:
    records = KINDS[kind]
    schema = pa.schema([(kind, pa.list_(arrow_type(records.shape)))])
    parse = arrow_json.ParseOptions(explicit_schema=schema, unexpected_field_behavior="ignore")
    files = page_files(folder)
    with duckdb.connect(database, config={"threads": 2}) as connection:
        for begin in range(0, len(files), AT_ONCE):
            bodies = [file.read_bytes() for file in files[begin : begin + AT_ONCE]]
            read = arrow_json.ReadOptions(block_size=8 * max(map(len, bodies)))
            page = arrow_json.read_json(io.BytesIO(b"\n".join(bodies)), read, parse)
            array = page[kind].combine_chunks().flatten()
            for name, rows in tables(records, array):
                connection.register("rows", rows)
                connection.execute(
                    f"CREATE TABLE IF NOT EXISTS {name} AS SELECT * FROM rows LIMIT 0"
                )
                connection.execute(f"INSERT INTO {name} SELECT * FROM rows")
                connection.unregister("rows")


if __name__ == "__main__":
    main(*sys.argv[1:])
