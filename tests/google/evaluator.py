"""Google's reference evaluator of GoogleSQL: what a query really gives, by the book.

It is the part of ZetaSQL that runs what `analyzer.py` reads. The emulator translates a query to
another engine's SQL; the evaluator shares nothing with any other engine, so it finds where two of
them take one text in two ways. It is slow: some thousand rows are enough.

It runs queries. `run` gives it a script one statement after the other: what a statement does to
rows is asked as a query, and done here. So it knows no transaction but one that nobody disturbs.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

import pyarrow as pa
import zetasql.types as z
from analyzer import (
    TEMPORARY,
    Analyzer,
    Columns,
    language,
    names_of,
    statements,
    text_of,
    type_name,
)
from google.cloud.bigquery import SchemaField
from google.protobuf.timestamp_pb2 import Timestamp
from zetasql.api import PreparedQuery
from zetasql.core.exceptions import ZetaSQLError
from zetasql.core.local_service import ZetaSqlLocalService, local_service_pb2

ARROW: Final = {
    "INT64": pa.int64(), "FLOAT64": pa.float64(), "BOOL": pa.bool_(), "STRING": pa.string(),
    "TIMESTAMP": pa.timestamp("us", "UTC"), "DATE": pa.date32(), "JSON": pa.string(),
}  # fmt: skip
"""The types that a query may give; a further one is a line here and in `_plain`."""
_NUMBER: Final = "_number"
"""The place of a row in the table that a statement changes."""

Row = dict[str, Any]
"""Values by column."""


class NotEvaluated(Exception):
    """The evaluator does not run such a script."""


class Raised(Exception):
    """A script ends with an error of its own."""


@dataclass
class Ran:
    """What a script has done.

    Attributes:
        answer: the rows of its last query, None without one.
        changed: the rows of each table that stays and was changed, by name.
        raised: the error that has ended the script, "" if none did.
    """

    answer: pa.Table | None = None
    changed: Mapping[str, pa.Table] = field(default_factory=dict)
    raised: str = ""


def run(
    analyzer: Analyzer,
    sql: str,
    rows: Callable[[str], pa.Table],
    parameters: Mapping[str, object] | None = None,
    most: int = 1_000,
) -> Ran | None:
    """Run a script, None where the evaluator cannot: it makes tables, or one has too many rows.

    Args:
        analyzer: knows the tables.
        sql: the script.
        rows: of a table, before the script.
        parameters: the values of `@name`.
        most: rows of a table.
    """
    script = _Script(analyzer.copy(), sql, rows, parameters or {}, most)
    try:
        for node in statements(sql):
            script.do(node)
    except NotEvaluated:
        return None
    except (Raised, ZetaSQLError) as error:
        return Ran(raised=str(error) or type(error).__name__)
    changed = {} if script.open else {name: script.table(name) for name in script.changed}
    return Ran(script.found, changed)


class _Script:
    """A script while it runs: its tables and its variables."""

    def __init__(
        self,
        known: Analyzer,
        sql: str,
        rows: Callable[[str], pa.Table],
        parameters: Mapping[str, object],
        most: int,
    ) -> None:
        self._known, self._sql, self._rows, self._most = known, sql, rows, most
        self._content: dict[str, list[Row]] = {}
        self._values: dict[str, str] = {f"@{n}": _literal(v) for n, v in parameters.items()}
        self._types: dict[str, str] = {}
        self._temporary: set[str] = set()
        self.changed: set[str] = set()
        self.found: pa.Table | None = None
        self.open = False

    def table(self, name: str) -> pa.Table:
        """The rows of a table as they are now."""
        columns = self._known.columns(name)
        return _table(columns, [[row[c] for c, _ in columns] for row in self._of(name)])

    def do(self, node: Any) -> None:
        """Run a statement.

        Raises:
            NotEvaluated: the evaluator does not run such a statement.
            Raised: the statement raises it.
        """
        match type(node).__name__:
            case "ASTVariableDeclaration" if node.default_value is None:
                for name in node.variable_list.identifier_list:
                    self._types[name.id_string] = self._text(node.type)
                    self._set(name.id_string, None)
            case "ASTBeginStatement":
                self.open = True
            case "ASTCommitStatement":
                self.open = False
            case "ASTQueryStatement":
                self.found = _table(*self._ask(self._text(node)))
            case "ASTCreateTableStatement" if node.query is not None and node.scope == TEMPORARY:
                self._make(names_of(node), self._text(node.query))
            case "ASTInsertStatement" | "ASTDeleteStatement" | "ASTTruncateStatement":
                self._change_rows(node)
            case "ASTUpdateStatement":
                self._update(node)
            case _:
                self._judge(node)

    def _judge(self, node: Any) -> None:
        """Run a statement that changes no table."""
        match type(node).__name__:
            case "ASTAssertStatement":
                if not self._value(node.expr):
                    raise Raised(self._text(node))
            case "ASTSingleAssignment":
                self._set(node.variable.id_string, self._value(node.expression))
            case "ASTIfStatement" if node.elseif_clauses is None and node.else_list is None:
                for each in node.then_list.statement_list if self._value(node.condition) else ():
                    self.do(each)
            case "ASTRaiseStatement" if node.message is not None:
                raise Raised(self._value(node.message))
            case kind:
                raise NotEvaluated(kind)

    # --- to ask ----------------------------------------------------------------------------------

    def _ask(self, text: str, known: Analyzer | None = None) -> tuple[Columns, list[Any]]:
        """What a query gives, with the values of variables in it."""
        for name, value in self._values.items():
            text = re.sub(rf"(?<![\w@`.]){name}(?![\w`])", lambda _, v=value: v, text)
        named = {n: self._of(n) for n in self._known.names() if n in text}
        return _evaluate(known or self._known, text, named)

    def _text(self, node: Any) -> str:
        return text_of(node, self._sql)

    def _value(self, expression: Any) -> Any:
        [[value]] = self._ask(f"select ({self._text(expression)}) as v")[1]
        return value

    def _set(self, name: str, value: Any) -> None:
        self._values[name] = f"cast({_literal(value)} as {self._types[name]})"

    # --- to change -------------------------------------------------------------------------------

    def _of(self, name: str) -> list[Row]:
        """The rows of a table; they are looked at once."""
        if name not in self._content:
            found = self._rows(name)
            if found.num_rows > self._most:
                raise NotEvaluated(name)
            columns = [column for column, _ in self._known.columns(name)]
            self._content[name] = found.select(columns).to_pylist()
        return self._content[name]

    def _put(self, name: str, rows: list[Row], touched: int | None = None) -> None:
        self._values["@@row_count"] = str(len(self._of(name)) if touched is None else touched)
        self._content[name] = rows
        if name not in self._temporary:
            self.changed.add(name)

    def _target(self, node: Any) -> str:
        name = self._text(node.target_path).strip("`")
        if name not in self._known.names():
            raise NotEvaluated(name)
        return name

    def _make(self, path: Sequence[str], query: str) -> None:
        [name] = path
        columns, rows = self._ask(query)
        self._known.put(name, [SchemaField(*column) for column in columns])
        self._temporary.add(name)
        self._content[name] = _named(columns, rows)

    def _insert(self, node: Any) -> None:
        name = self._target(node)
        all_columns = [column for column, _ in self._known.columns(name)]
        listed = getattr(node.column_list, "identifiers", ())
        columns = [each.id_string for each in listed] or all_columns
        if node.query is not None:
            query = self._text(node.query)
        else:
            lists = [[self._text(v) for v in row.values] for row in node.rows.rows]
            query = " union all ".join(f"(select {', '.join(values)})" for values in lists)
        rows = self._ask(query)[1]
        empty = dict.fromkeys(all_columns)
        new = [empty | dict(zip(columns, row, strict=True)) for row in rows]
        self._put(name, [*self._of(name), *new], len(new))

    def _numbered(self, name: str, text: str) -> dict[int, list[Any]]:
        """What a query gives that begins with the number of a row of a table, by that number.

        Raises:
            Raised: it gives one twice: BigQuery does not know what to do with the row.
        """
        columns = [*self._known.columns(name), (_NUMBER, "INT64")]
        known = self._known.copy()
        known.put(name, [SchemaField(*column) for column in columns])
        there = self._of(name)
        self._content[name] = [{**row, _NUMBER: n} for n, row in enumerate(there)]
        try:
            found = self._ask(text, known)[1]
        finally:
            self._content[name] = there
        numbered = {number: values for number, *values in found}
        if len(numbered) < len(found):
            raise Raised(f"a row of {name} is changed twice")
        return numbered

    def _change_rows(self, node: Any) -> None:
        match type(node).__name__:
            case "ASTInsertStatement":
                self._insert(node)
            case "ASTDeleteStatement":
                self._delete(node)
            case _ if node.where is None:
                self._put(self._target(node), [])
            case kind:
                raise NotEvaluated(kind)

    def _delete(self, node: Any) -> None:
        name, place = self._target(node), node.target_path.parse_location_range.start
        rest = self._sql.encode()[place : node.parse_location_range.end].decode()
        gone = self._numbered(name, f"select {_NUMBER} from {rest}")
        left = [row for number, row in enumerate(self._of(name)) if number not in gone]
        self._put(name, left, len(gone))

    def _update(self, node: Any) -> None:
        name = self._target(node)
        items = [item.set_value for item in node.update_item_list.update_items]
        columns = [self._text(item.path).strip("`") for item in items]
        values = "".join(f", ({self._text(item.value)})" for item in items)
        source = self._text(node.target_path)
        if node.alias is not None:
            source += f" {node.alias.identifier.id_string}"
        if node.from_clause is not None:
            source += f", {self._text(node.from_clause.table_expression)}"
        test = self._text(node.where)
        found = self._numbered(name, f"select {_NUMBER}{values} from {source} where {test}")
        rows = [
            {**row, **dict(zip(columns, found[number], strict=True))} if number in found else row
            for number, row in enumerate(self._of(name))
        ]
        self._put(name, rows, len(found))


def evaluate(analyzer: Analyzer, sql: str, rows: Mapping[str, pa.Table]) -> pa.Table:
    """The rows of a query.

    Args:
        analyzer: knows the tables.
        sql: the query.
        rows: of each table that it names.
    """
    return _table(*_evaluate(analyzer, sql, {n: table.to_pylist() for n, table in rows.items()}))


def _evaluate(
    analyzer: Analyzer, sql: str, content: Mapping[str, Sequence[Row]]
) -> tuple[Columns, list[Any]]:
    """The columns of a query, and its rows.

    Raises:
        ZetaSQLError: a value is met that cannot be worked on.
    """
    tables = {
        name: z.TableContent(
            table_data=z.TableData(row=[_row(row, analyzer.columns(name)) for row in rows])
        )
        for name, rows in content.items()
    }
    options = z.AnalyzerOptions(language_options=language(), default_timezone="UTC")
    made = (
        PreparedQuery.builder()
        .set_sql(sql)
        .set_analyzer_options(options)
        .set_catalog(analyzer.catalog(sql, {}))
        .set_table_content(tables)
    )
    with made.prepare() as query:
        # The library's own `execute` loses the times of a result.
        answer = ZetaSqlLocalService.get_instance().wasm_client.call_grpc_func(
            "ZetaSqlLocalService_EvaluateQuery",
            z.EvaluateQueryRequest(prepared_query_id=query.prepared_query_id).to_proto(),
            local_service_pb2.EvaluateQueryResponse,
        )
        columns = [(str(column.name), type_name(column.type)) for column in query.columns]
    return columns, [[_plain(cell) for cell in row.cell] for row in answer.content.table_data.row]


def _table(columns: Columns, rows: Sequence[Sequence[Any]]) -> pa.Table:
    schema = pa.schema([(name, ARROW[kind]) for name, kind in columns])
    values = list(zip(*rows, strict=True)) or [()] * len(schema)
    return pa.table([pa.array(*pair) for pair in zip(values, schema.types, strict=True)], schema)


def _named(columns: Columns, rows: Sequence[Sequence[Any]]) -> list[Row]:
    names = [name for name, _ in columns]
    return [dict(zip(names, row, strict=True)) for row in rows]


def _literal(value: object) -> str:
    match value:
        case None:
            return "null"
        case bool() | int():
            return str(value).lower()
        case str():
            return json.dumps(value, ensure_ascii=False)
    raise NotEvaluated(type(value))


def _row(row: Row, columns: Columns) -> z.TableData.Row:
    return z.TableData.Row(cell=[_cell(row[name], kind) for name, kind in columns])


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
