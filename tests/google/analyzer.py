"""Google's own parser and analyser of GoogleSQL, for every text that this program sends.

`Analyzer` knows tables by their schemas, and analyses a statement or a whole script: names, types,
signatures. It is ZetaSQL, which BigQuery is made of, in WebAssembly. It knows no quota, no
permission and no data. What BigQuery does not document is off: no text may pass that it refuses.

To compile it takes half a minute of a processor, so the code is kept in `.tools`.
"""

from __future__ import annotations

import fcntl
import re
from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any, Final

import wasmtime
import zetasql.types as z
from alike import alike
from google.cloud.bigquery import SchemaField
from zetasql.api import Analyzer as Statements
from zetasql.api import Parser, TypeFactory
from zetasql.core import wasm_client
from zetasql.core.exceptions import ZetaSQLError

KEPT: Final = Path(__file__).parents[2] / ".tools/zetasql"
"""Where the compiled code is kept."""

FEATURES: Final = """
ADDITIONAL_STRING_FUNCTIONS ALLOW_DASHES_IN_TABLE_NAME ALTER_COLUMN_SET_DATA_TYPE
ALTER_TABLE_RENAME_COLUMN ANALYTIC_FUNCTIONS BIGNUMERIC_TYPE CASE_STMT CIVIL_TIME CLONE_DATA
COLUMN_DEFAULT_VALUE CREATE_MATERIALIZED_VIEW_CLUSTER_BY CREATE_MATERIALIZED_VIEW_PARTITION_BY
CREATE_SNAPSHOT_TABLE CREATE_TABLE_AS_SELECT_COLUMN_LIST CREATE_TABLE_CLONE CREATE_TABLE_CLUSTER_BY
CREATE_TABLE_COPY CREATE_TABLE_FIELD_ANNOTATIONS CREATE_TABLE_FUNCTION CREATE_TABLE_LIKE
CREATE_TABLE_NOT_NULL CREATE_TABLE_PARTITION_BY CREATE_VIEWS_WITH_COLUMN_OPTIONS
CREATE_VIEW_WITH_COLUMN_LIST DATE_ARITHMETICS DATE_TIME_CONSTRUCTORS DECIMAL_ALIAS DISABLE_FLOAT32
DISALLOW_GROUP_BY_FLOAT DML_UPDATE_WITH_JOIN FOREIGN_KEYS FORMAT_IN_CAST FOR_IN
FOR_SYSTEM_TIME_AS_OF FUNCTION_ARGUMENTS_WITH_DEFAULTS GROUP_BY_ROLLUP GROUP_BY_STRUCT GROUPING_SETS
GROUPING_BUILTIN HAVING_IN_AGGREGATE INTERVAL_TYPE IS_DISTINCT JSON_ARRAY_FUNCTIONS
JSON_ARRAY_VALUE_EXTRACTION_FUNCTIONS JSON_CONSTRUCTOR_FUNCTIONS JSON_KEYS_FUNCTION
JSON_LAX_VALUE_EXTRACTION_FUNCTIONS JSON_MUTATOR_FUNCTIONS JSON_STRICT_NUMBER_PARSING JSON_TYPE
JSON_VALUE_EXTRACTION_FUNCTIONS LIKE_ANY_SOME_ALL LIMIT_IN_AGGREGATE NAMED_ARGUMENTS
NULLS_FIRST_LAST_IN_ORDER_BY NULL_HANDLING_MODIFIER_IN_AGGREGATE NULL_HANDLING_MODIFIER_IN_ANALYTIC
NUMERIC_TYPE OMIT_INSERT_COLUMN_LIST ORDER_BY_IN_AGGREGATE PARAMETERIZED_TYPES
PARAMETERS_IN_GRANTEE_LIST PIVOT QUALIFY REPEAT SAFE_FUNCTION_CALL SCRIPT_LABEL
SELECT_STAR_EXCEPT_REPLACE TABLESAMPLE TABLE_VALUED_FUNCTIONS TEMPLATE_FUNCTIONS
UNENFORCED_PRIMARY_KEYS UNPIVOT WEEK_WITH_WEEKDAY WITH_ON_SUBQUERY WITH_RECURSIVE
""".split()
"""What BigQuery documents. `EXTENDED_DATE_TIME_SIGNATURES` is not among it: with it DATE_DIFF takes
a TIMESTAMP, which BigQuery refuses."""

KINDS: Final = {
    "INT64": "INT64", "INTEGER": "INT64", "FLOAT64": "DOUBLE", "FLOAT": "DOUBLE", "BOOL": "BOOL",
    "BOOLEAN": "BOOL", "STRING": "STRING", "BYTES": "BYTES", "TIMESTAMP": "TIMESTAMP",
    "DATE": "DATE", "DATETIME": "DATETIME", "TIME": "TIME", "NUMERIC": "NUMERIC",
    "BIGNUMERIC": "BIGNUMERIC", "JSON": "JSON",
}  # fmt: skip
_OF_PYTHON: Final = {
    bool: "BOOL", int: "INT64", float: "FLOAT64", str: "STRING", datetime: "TIMESTAMP",
    type(None): "STRING",
}  # fmt: skip
_SYSTEM: Final = {
    "error.message": "STRING", "error.statement_text": "STRING", "row_count": "INT64",
    "error.formatted_stack_trace": "STRING", "script.job_id": "STRING",
}  # fmt: skip
"""The variables of BigQuery that a script may read, as `@@row_count`."""
_EMPTY: Final = {
    "INT64": {"int64_value": 1}, "DOUBLE": {"double_value": 1.0}, "BOOL": {"bool_value": True},
    "STRING": {"string_value": "x"},
}  # fmt: skip

Columns = list[tuple[str, str]]
"""Names and types, in BigQuery's words."""

_TRANSACTIONS: Final = {"ASTBeginStatement": True, "ASTCommitStatement": False,
                        "ASTRollbackStatement": False}  # fmt: skip
"""Whether a transaction is open after a statement."""
_MAKING: Final = ("ASTCreate", "ASTDrop", "ASTAlter")
TEMPORARY: Final = 3
_REMEMBERED: Final = frozenset({
    "ResolvedQueryStmt", "ResolvedCreateTableAsSelectStmt", "ResolvedAssertStmt",
    "ResolvedInsertStmt", "ResolvedUpdateStmt", "ResolvedDeleteStmt", "ResolvedMergeStmt",
})  # fmt: skip


@dataclass(frozen=True)
class Meaning:
    """What a statement was found to be.

    Attributes:
        kind: ZetaSQL's word for it.
        columns: that a query gives, or that a table gets by it.
    """

    kind: str
    columns: tuple[tuple[str, z.Type], ...] = ()


class _Kept(wasmtime.Config):
    """Compiles once for all processes."""

    def __init__(self) -> None:
        super().__init__()
        settings = KEPT / "cache.toml"
        settings.write_text(f'[cache]\ndirectory = "{KEPT / "code"}"\n', encoding="utf-8")
        self.cache = str(settings)


@cache
def _compiled() -> None:
    """Compile the code if nobody did before; one process does it, and the others wait."""
    KEPT.mkdir(parents=True, exist_ok=True)
    with (KEPT / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        wasm_client.Config = _Kept
        Parser.parse_statement_static("select 1")


_PLACE: Final = re.compile(r"\[at (\d+):(\d+)\]")
_SHOWN: Final = 160
"""Characters of a line that are shown before and after what is wrong in it."""


class Refused(Exception):
    """BigQuery would not understand a text; it says why, and shows the text or where it is wrong.

    Args:
        error: ZetaSQL's.
        sql: the text.
    """

    def __init__(self, error: object, sql: str) -> None:
        found = _PLACE.search(str(error))
        if found is not None and len(sql) > 4 * _SHOWN:
            line, column = sql.split("\n")[int(found[1]) - 1], int(found[2]) - 1
            sql = line[max(column - _SHOWN, 0) : column] + "»" + line[column : column + _SHOWN]
        super().__init__(f"{error}\n{sql}")


@cache
def language() -> z.LanguageOptions:
    """What BigQuery's SQL is: every kind of statement, and the features that it documents."""
    _compiled()
    # An empty list of kinds stands for every kind of statement.
    features = [z.LanguageFeature[f"FEATURE_{name}"] for name in FEATURES]
    return z.LanguageOptions(
        product_mode=z.ProductMode.PRODUCT_EXTERNAL, enabled_language_features=features
    )


def parse(sql: str) -> None:
    """Parse a statement or a script.

    Raises:
        Refused: it is none.
    """
    _script(sql)


def _script(sql: str) -> Any:
    try:
        return Parser.parse_script_static(sql, language())
    except ZetaSQLError as error:
        raise Refused(error, sql) from None


class Analyzer:
    """Analyses statements that name tables of a dataset.

    A statement that makes or drops a table changes what the next ones find.

    Args:
        tables: their schemas by name; a name with dots is one of several parts.
        dataset: PROJECT.DATASET, which may stand before the name of a table.
        remembered: what statements were found to be, by `alike`; shared, none is analysed twice.
    """

    def __init__(
        self,
        tables: Mapping[str, Sequence[SchemaField]],
        dataset: str = "project.dataset",
        remembered: MutableMapping[object, Meaning] | None = None,
    ) -> None:
        self._dataset = dataset
        self._tables: dict[str, list[z.SimpleColumn]] = {}
        self.remembered = {} if remembered is None else remembered
        for name, schema in tables.items():
            self.put(name, schema)

    def put(self, name: str, schema: Sequence[SchemaField]) -> None:
        """Know a table, in the place of one of its name; columns of unknown types are left out."""
        self._tables[name] = [
            _column(each.name, _type(each.field_type, repeated=each.mode == "REPEATED"))
            for each in schema
            if each.field_type in KINDS
        ]

    def forget(self, name: str) -> None:
        """Know a table no longer."""
        self._tables.pop(name, None)

    def names(self) -> list[str]:
        """All tables."""
        return list(self._tables)

    def copy(self) -> Analyzer:
        """One that knows the same, and learns for itself."""
        made = Analyzer({}, self._dataset, self.remembered)
        made._tables = dict(self._tables)
        return made

    def take(self, other: Analyzer, before: Analyzer) -> list[str]:
        """Take over what another one has learned since it was like `before`; of which tables."""
        names = {*other._tables, *before._tables}
        changed = [n for n in names if other._tables.get(n) is not before._tables.get(n)]
        for name in changed:
            self._tables.pop(name, None)
            if name in other._tables:
                self._tables[name] = other._tables[name]
        return changed

    def check(self, sql: str, parameters: Mapping[str, object] | None = None) -> Columns:
        """Analyse a statement, or each one of a script.

        Args:
            sql: the text, as it is sent.
            parameters: the values of `@name` in it.

        Returns:
            The columns of the last query, none where there is none.

        Raises:
            Refused: BigQuery would not understand it.
        """
        return _Script(self, sql, parameters or {}).check()

    def columns(self, table: str) -> Columns:
        """The columns of a table as the statements so far left it.

        Raises:
            KeyError: there is no such table.
        """
        return [(str(column.name), type_name(column.type)) for column in self._tables[table]]

    def alike(self, sql: str, new: Sequence[str] = ()) -> tuple[object, Mapping[str, str]]:
        """What is the same for statements that are understood alike, and what it calls tables."""
        text, called = alike(sql, [*self._tables, *new])
        tables = tuple(
            (
                name,
                tuple((called.get(c.name, c.name), type_name(c.type)) for c in self._tables[table]),
            )
            for table, name in called.items()
            if table in self._tables
        )
        return (text, tables), called

    def catalog(self, sql: str, variables: Mapping[str, z.Type]) -> z.SimpleCatalog:
        """The tables of a statement under every name that it may call them by, and variables.

        A path in one pair of backticks is one name here; BigQuery takes it apart.
        """
        said = sql.lower()
        root = z.SimpleCatalog(
            name="root",
            builtin_function_options=z.ZetaSQLBuiltinFunctionOptions(language_options=language()),
            constant=[
                z.SimpleConstant(name_path=[name], type=kind, value=_value(kind))
                for name, kind in variables.items()
            ],
        )
        project, _, dataset = self._dataset.rpartition(".")
        for name, columns in self._tables.items():
            if name.lower() not in said:
                continue  # it costs as much as a statement to tell of them
            paths = [name]
            if dataset.lower() in said:
                paths += [f"{dataset}.{name}", f"{project}.{dataset}.{name}"]
            for path in paths:
                parts = path.split(".")
                _place(root, parts).table.append(_table(parts[-1], columns))
                if len(parts) > 1:
                    root.table.append(_table(path, columns))
                if path.count(".") == 2:  # `project`.dataset.table, `project.dataset`.table
                    _place(root, [f"{project}.{dataset}", name]).table.append(_table(name, columns))
        return root

    def made(self, path: Sequence[str], columns: Sequence[tuple[str, z.Type]]) -> str:
        """A table was made of a query; its name."""
        name = self._plain(path)
        self._tables[name] = [_column(*column) for column in columns]
        return name

    def learn(self, statement: Any) -> None:
        """Take over what a statement does to tables."""
        kind = type(statement).__name__
        if kind == "ResolvedCreateTableStmt":
            self._tables[self._plain(statement.name_path)] = [
                _column(column.name, column.type) for column in statement.column_definition_list
            ] or self._source(statement)
        elif kind in ("ResolvedDropStmt", "ResolvedDropSnapshotTableStmt"):
            self._tables.pop(self._plain(statement.name_path), None)
        elif kind == "ResolvedAlterTableStmt":
            self._alter(self._plain(statement.name_path), statement.alter_action_list)

    def _plain(self, path: Sequence[str]) -> str:
        name = ".".join(path)
        dataset = self._dataset.rpartition(".")[2]
        return name.removeprefix(f"{self._dataset}.").removeprefix(f"{dataset}.")

    def _source(self, statement: Any) -> list[z.SimpleColumn]:
        """Of a table that is made like another one, or as its copy."""
        scan = statement.copy_from or statement.clone_from
        name = statement.like_table.name if scan is None else scan.table.name
        return list(self._tables[self._plain([name])])

    def _alter(self, table: str, actions: Sequence[Any]) -> None:
        for action in actions:
            columns = self._tables[table]
            match type(action).__name__:
                case "ResolvedAddColumnAction":
                    made = action.column_definition
                    if made.name.lower() not in [str(c.name).lower() for c in columns]:
                        self._tables[table] = [*columns, _column(made.name, made.type)]
                case "ResolvedDropColumnAction":
                    self._tables[table] = [c for c in columns if c.name != action.name]
                case "ResolvedRenameColumnAction":
                    self._tables[table] = [
                        _column(action.new_name, c.type) if c.name == action.name else c
                        for c in columns
                    ]
                case "ResolvedAlterColumnSetDataTypeAction":
                    self._tables[table] = [
                        _column(c.name, action.updated_type) if c.name == action.column else c
                        for c in columns
                    ]
                case "ResolvedRenameToAction":
                    self._tables[self._plain(action.new_path)] = self._tables.pop(table)


class _Script:
    """One text that is analysed statement by statement, with its variables."""

    def __init__(self, tables: Analyzer, sql: str, parameters: Mapping[str, object]) -> None:
        self._known, self._sql = tables, sql
        self._variables: dict[str, z.Type] = {}
        self._last: Columns = []
        self._temporary: set[str] = set()
        self._open = False
        self._parameters = [
            z.AnalyzerOptions.QueryParameter(name=name, type=_of_value(value))
            for name, value in parameters.items()
        ]

    def check(self) -> Columns:
        for statement in statements(self._sql):
            self._one(statement)
        for name in self._temporary:
            self._known.forget(name)
        return self._last

    def _one(self, node: Any) -> None:
        match type(node).__name__:
            case "ASTVariableDeclaration":
                self._declare(node)
            case "ASTSingleAssignment":
                self._assign(node.variable.id_string, node.expression)
            case "ASTIfStatement":
                self._choose(node)
            case "ASTWhileStatement":
                self._condition(node.condition)
                self._all(node.body)
            case "ASTBeginEndBlock":
                self._all(node.statement_list_node)
                for handler in getattr(node.handler_list, "exception_handler_list", None) or []:
                    self._all(handler.statement_list)
            case "ASTRaiseStatement":
                if node.message is not None:
                    self._meaning(f"select concat({self._text(node.message)}, '')")
            case _:
                self._run(node)

    def _run(self, node: Any) -> None:
        kind, text = type(node).__name__, self._text(node)
        if kind in _TRANSACTIONS:
            self._open = _TRANSACTIONS[kind]
            return
        path = names_of(node)
        stays = getattr(node, "scope", None) != TEMPORARY and not set(path) & self._temporary
        if self._open and kind.startswith(_MAKING) and stays:
            raise Refused("No table that stays is made or changed within a transaction", text)
        found = self._meaning(text, path)
        if found.kind == "ResolvedCreateTableAsSelectStmt":
            self._known.made(path, found.columns)
        if kind.startswith("ASTCreate") and not stays:
            self._temporary.update(path)
        if found.kind == "ResolvedQueryStmt":
            self._last = [(name, type_name(type_)) for name, type_ in found.columns]

    def _assign(self, name: str, expression: Any) -> None:
        variable = self._variables.get(name.lower())
        if variable is None:
            raise Refused(f"{name} is not declared", self._sql)
        self._meaning(f"select cast(({self._text(expression)}) as {type_name(variable)})")

    def _choose(self, node: Any) -> None:
        self._condition(node.condition)
        self._all(node.then_list)
        for clause in getattr(node.elseif_clauses, "elseif_clauses", None) or []:
            self._condition(clause.condition)
            self._all(clause.body)
        self._all(node.else_list)

    def _all(self, statements: Any) -> None:
        for statement in _statements(statements):
            self._one(statement)

    def _declare(self, node: Any) -> None:
        default = None
        if node.default_value is not None:
            text = self._text(node.default_value)
            if node.type is not None:
                text = f"cast({text} as {self._text(node.type)})"
            default = self._meaning(f"select {text}")
        else:
            default = self._meaning(f"select cast(null as {self._text(node.type)})")
        for name in node.variable_list.identifier_list:
            self._variables[name.id_string.lower()] = default.columns[0][1]

    def _condition(self, node: Any) -> None:
        self._meaning(f"select if({self._text(node)}, 1, 0)")

    def _text(self, node: Any) -> str:
        return text_of(node, self._sql)

    def _meaning(self, text: str, new: Sequence[str] = ()) -> Meaning:
        """What a statement is; it is analysed if none was that is alike."""
        like, called = self._known.alike(text, new)
        given = [(each.name, type_name(each.type)) for each in self._parameters]
        variables = [(name, type_name(kind)) for name, kind in self._variables.items()]
        key = (like, tuple(given), tuple(variables))
        found = self._known.remembered.get(key)
        if found is None:
            found = self._found(self._analyze(text))
            if found.kind in _REMEMBERED:
                columns = tuple((called.get(name, name), kind) for name, kind in found.columns)
                self._known.remembered[key] = Meaning(found.kind, columns)
            return found
        again = {other: name for name, other in called.items()}
        return Meaning(found.kind, tuple((again.get(n, n), kind) for n, kind in found.columns))

    def _found(self, statement: Any) -> Meaning:
        kind = type(statement).__name__
        if kind == "ResolvedQueryStmt":
            listed = statement.output_column_list
            return Meaning(kind, tuple((each.name, each.column.type) for each in listed))
        if kind == "ResolvedCreateTableAsSelectStmt":
            listed = statement.column_definition_list
            return Meaning(kind, tuple((each.name, each.type) for each in listed))
        self._known.learn(statement)
        return Meaning(kind)

    def _analyze(self, text: str) -> Any:
        options = z.AnalyzerOptions(
            language_options=language(),
            default_timezone="UTC",  # it is Los Angeles else
            query_parameters=self._parameters,
            system_variables=[
                z.AnalyzerOptions.SystemVariable(name_path=path.split("."), type=_type(kind))
                for path, kind in _SYSTEM.items()
            ],
        )
        catalog = self._known.catalog(text, self._variables)
        try:
            return Statements(options, catalog).analyze_statement(text)
        except ZetaSQLError as error:
            raise Refused(error, text) from None


def _statements(node: Any) -> Iterator[Any]:
    yield from getattr(node, "statement_list", None) or []


def statements(sql: str) -> Iterator[Any]:
    """The statements of a script, as the parser has them."""
    return _statements(_script(sql).statement_list_node)


def text_of(node: Any, sql: str) -> str:
    """The text of a part of a script."""
    place = node.parse_location_range
    return sql.encode()[place.start : place.end].decode()


def names_of(node: Any) -> list[str]:
    """The parts of the name of what a statement makes or drops, none where it has no name."""
    found = getattr(getattr(node, "name", None), "names", None) or ()
    return [part.id_string for part in found]


def _place(catalog: z.SimpleCatalog, path: Sequence[str]) -> z.SimpleCatalog:
    for part in path[:-1]:
        inner = next((each for each in catalog.catalog if each.name == part), None)
        if inner is None:
            inner = z.SimpleCatalog(name=part)
            catalog.catalog.append(inner)
        catalog = inner
    return catalog


def _column(name: str, kind: z.Type) -> z.SimpleColumn:
    return z.SimpleColumn(name=name, type=kind, is_writable_column=True)


def _table(name: str, columns: Sequence[z.SimpleColumn]) -> z.SimpleTable:
    return z.SimpleTable(name=name, column=list(columns), full_name=name)


def _type(field_type: str, *, repeated: bool = False) -> z.Type:
    made = TypeFactory.create_simple_type(z.TypeKind[f"TYPE_{KINDS[field_type]}"])
    return TypeFactory.create_array_type(made) if repeated else made


def _of_value(value: object) -> z.Type:
    if isinstance(value, (list, tuple)):
        return _type(_OF_PYTHON[type(value[0])] if value else "STRING", repeated=True)
    return _type(_OF_PYTHON[type(value)])


def type_name(kind: Any) -> str:
    """A type in BigQuery's words."""
    name = z.TypeKind(kind.type_kind).name.removeprefix("TYPE_")
    if name == "ARRAY":
        return f"ARRAY<{type_name(kind.array_type.element_type)}>"
    return "FLOAT64" if name == "DOUBLE" else name


def _value(kind: Any) -> z.Value:
    name = z.TypeKind(kind.type_kind).name.removeprefix("TYPE_")
    return z.Value(**_EMPTY.get(name, {}))
