"""Google's reference evaluator of GoogleSQL: what a query really gives, by the book.

It is the part of ZetaSQL that runs what `analyzer.py` reads. The emulator translates a query to
another engine's SQL; the evaluator shares nothing with any other engine, so it finds where two of
them take one text in two ways. It is slow: some thousand rows are enough.

It runs one query. Of a script that only reads, each temporary table is made of its query's rows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pyarrow as pa
import zetasql.types as z
from analyzer import Analyzer, Columns, language, names_of, statements, text_of
from google.cloud.bigquery import SchemaField
from google.protobuf.timestamp_pb2 import Timestamp
from zetasql.api import PreparedQuery
from zetasql.core.local_service import ZetaSqlLocalService, local_service_pb2

ARROW = {
    "INT64": pa.int64(), "DOUBLE": pa.float64(), "BOOL": pa.bool_(), "STRING": pa.string(),
    "TIMESTAMP": pa.timestamp("us", "UTC"), "DATE": pa.date32(),
}  # fmt: skip
"""The types that a query may give; a further one is a line here and in `_plain`."""
_KINDS = {kind: "FLOAT64" if name == "DOUBLE" else name for name, kind in ARROW.items()}


def answer(
    analyzer: Analyzer, sql: str, rows: Callable[[str], pa.Table], most: int = 1_000
) -> pa.Table | None:
    """The rows of the last query of a script that only reads, None of one that does more.

    Args:
        analyzer: knows the tables.
        sql: the script.
        rows: of a table, in the order of its columns.
        most: rows; None is given where a table has more.
    """
    known, content, found = analyzer.copy(), dict[str, pa.Table](), None
    for node in statements(sql):
        match type(node).__name__:
            case "ASTVariableDeclaration":
                continue
            case "ASTCreateTableStatement" if node.query is not None:
                query = node.query
            case "ASTQueryStatement":
                query = node
            case _:
                return None
        text = text_of(query, sql)
        for name in known.names():
            if name in text and name not in content:
                content[name] = rows(name)
        if any(table.num_rows > most for table in content.values()):
            return None
        found = evaluate(known, text, {n: table for n, table in content.items() if n in text})
        if query is not node:
            (name,) = names_of(node)
            known.put(name, [SchemaField(field.name, _KINDS[field.type]) for field in found.schema])
            content[name] = found
    return found


def evaluate(analyzer: Analyzer, sql: str, rows: Mapping[str, pa.Table]) -> pa.Table:
    """The rows of a query.

    Args:
        analyzer: knows the tables.
        sql: the query.
        rows: of each table that it names, in the order of the table's columns.
    """
    content = {
        name: z.TableContent(
            table_data=z.TableData(
                row=[_row(row, analyzer.columns(name)) for row in _values(table)]
            )
        )
        for name, table in rows.items()
    }
    options = z.AnalyzerOptions(language_options=language(), default_timezone="UTC")
    made = (
        PreparedQuery.builder()
        .set_sql(sql)
        .set_analyzer_options(options)
        .set_catalog(analyzer.catalog(sql, {}))
        .set_table_content(content)
    )
    with made.prepare() as query:
        # The library's own `execute` loses the times of a result.
        answer = ZetaSqlLocalService.get_instance().wasm_client.call_grpc_func(
            "ZetaSqlLocalService_EvaluateQuery",
            z.EvaluateQueryRequest(prepared_query_id=query.prepared_query_id).to_proto(),
            local_service_pb2.EvaluateQueryResponse,
        )
        schema = pa.schema([
            (column.name, ARROW[z.TypeKind(column.type.type_kind).name.removeprefix("TYPE_")])
            for column in query.columns
        ])  # fmt: skip
    found = [[_plain(cell) for cell in row.cell] for row in answer.content.table_data.row]
    columns = list(zip(*found, strict=True)) or [()] * len(schema)
    return pa.table([pa.array(*pair) for pair in zip(columns, schema.types, strict=True)], schema)


def _values(table: pa.Table) -> Any:
    return zip(*(column.to_pylist() for column in table.columns), strict=True)


def _row(values: Any, columns: Columns) -> z.TableData.Row:
    pairs = zip(values, columns, strict=True)
    return z.TableData.Row(cell=[_cell(value, kind) for value, (_, kind) in pairs])


def _cell(value: Any, kind: str) -> z.Value:
    match value:
        case None:
            return z.Value()
        case str() if kind == "JSON":
            return z.Value(json_value=value)
        case bool():
            return z.Value(bool_value=value)
        case int():
            return z.Value(int64_value=value)
        case float():
            return z.Value(double_value=value)
        case str():
            return z.Value(string_value=value)
        case datetime():
            made = Timestamp()
            made.FromDatetime(value)
            return z.Value(timestamp_value=made)
    raise TypeError(f"no cell for {value!r}")


def _plain(cell: Any) -> Any:
    kind = cell.WhichOneof("value")
    if kind is None:
        return None
    value = getattr(cell, kind)
    if kind == "date_value":
        return date(1970, 1, 1) + timedelta(days=value)
    return value.ToDatetime(UTC) if kind == "timestamp_value" else value
