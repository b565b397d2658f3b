"""The ledger tables in BigQuery: read as they are, with what the transaction writes laid over."""

from __future__ import annotations

import json
import uuid
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import pyarrow as pa
from google.cloud.bigquery import SchemaField

from tcdatalogger.clock import utc
from tcdatalogger.models.rows.normalize import ARROW
from tcdatalogger.models.schema import Type
from tcdatalogger.services.google.client import Client
from tcdatalogger.services.google.sql import TYPES, literal, names, one_of, quoted, text
from tcdatalogger.services.google.turns import LOST
from tcdatalogger.services.warehouse.ledger_tables import (
    CHECKS,
    LOADS,
    OWNERS,
    PRESENT,
    SCHEMAS,
    SEQ,
    TABLES,
    LedgerColumn,
    LedgerTable,
    Where,
)
from tcdatalogger.services.warehouse.load import Load

CLUSTERS: Final[Mapping[str, tuple[str, ...]]] = {
    "_tcd_loads": ("endpoint", "load_id"),
    "_tcd_schemas": ("table_name",),
    "_tcd_drift": ("endpoint",),
    "_tcd_quarantine": ("endpoint",),
    "_tcd_checks": ("endpoint",),
    "_tcd_owners": (),
}
"""By which columns a table of the ledger is clustered: those that it is asked by."""

GROWN: Final = (LOADS,)
"""The tables that have got columns since there are ledgers in BigQuery."""

Line = dict[str, Any]
Lacks = Mapping[str, Sequence[LedgerColumn]]
"""Columns by table."""


_NEW: Final = 1 << 52
"""New lines are numbered from here on until the commit, which gives them the next numbers."""

_LONG: Final = 1_000_000
"""Characters of new lines of a table that go with the script; a request takes ten million bytes."""

_MOST: Final = 1_000
"""The newest loads of an endpoint that are read together; older ones are read when asked for."""


@dataclass(frozen=True, slots=True)
class Slice:
    """Lines of one table that are read together.

    Attributes:
        table: its name.
        columns: that are read.
        where: which lines.
        newest: how many at most, 0 for all.
        distinct: whether lines that are alike are read once.
    """

    table: LedgerTable
    columns: tuple[str, ...]
    where: tuple[tuple[str, object], ...]
    newest: int = 0
    distinct: bool = False

    @classmethod
    def of(
        cls,
        table: LedgerTable,
        columns: Sequence[str],
        where: Where,
        newest: int = 0,
        *,
        distinct: bool = False,
    ) -> Slice:
        """The lines that are asked for."""
        names = tuple(dict.fromkeys(columns if distinct else [*columns, *where, SEQ]))
        return cls(table, names, tuple(where.items()), newest, distinct)

    @property
    def wider(self) -> Slice | None:
        """More lines, which will be asked for soon; None where nobody can tell."""
        where = dict(self.where)
        kinds = {column.name: column for column in self.table.columns}
        light = tuple(name for name in kinds if name != "shape" or name in self.columns)
        name = where.get("table_name")
        endpoint = where.get("endpoint")
        if self.table is OWNERS:
            return Slice(self.table, light, ())
        if self.table is SCHEMAS and name is not None:
            return Slice(self.table, light, (("table_name", name),))
        if self.table is CHECKS and endpoint is not None:
            return Slice(self.table, light, (("endpoint", endpoint),))
        if self.table is LOADS and isinstance(endpoint, str):
            return Slice(self.table, light, (("endpoint", endpoint),), _MOST)
        return None

    def sql(self, lacks: Collection[LedgerColumn] = ()) -> str:
        """The query that reads them; the columns that the table lacks are null."""
        kinds = {column.name: column.type for column in self.table.columns}
        missing = {
            column.name: f"cast(null as {_kind(column)}) as {column.name}" for column in lacks
        }
        listed = ", ".join(
            missing.get(name)
            or (f"unix_micros({name}) as {name}" if kinds[name] is Type.TIME else quoted(name))
            for name in self.columns
        )
        tests = " and ".join(_tests(dict(self.where))) or "true"
        limit = f" order by {SEQ} desc limit {self.newest}" if self.newest else ""
        how = "select distinct" if self.distinct else "select"
        return f"{how} {listed} from {self.table.name} where {tests}{limit}"

    def line(self, found: Line) -> Line:
        """A line as it was read, with its times."""
        kinds = {column.name: column.type for column in self.table.columns}
        line = dict(found)
        for name, value in found.items():
            if value is not None and kinds[name] is Type.TIME:
                line[name] = utc(0) + timedelta(microseconds=int(value))
            elif value is not None and kinds[name] is Type.INT:
                line[name] = int(value)  # a long one is a text in JSON
        return line

    def answer(self, lines: Sequence[Line], asked: Slice) -> list[Line] | None:
        """The lines that are asked for, out of those of this slice; None where it cannot tell."""
        if self == asked:
            return list(lines)
        where = dict(asked.where)
        lacks = {*asked.columns, *where} - set(self.columns)
        if self.distinct or self.table is not asked.table or lacks:
            return None
        found = [line for line in lines if _fits(line, where)]
        seqs = where.get(SEQ)
        if seqs is not None and len(found) == len(_numbers(seqs)):
            return found
        if not all(_implies(where, name, value) for name, value in self.where):
            return None
        whole = not self.newest or len(lines) < self.newest
        if whole or (asked.newest and len(found) >= asked.newest):
            return found[: asked.newest] if asked.newest else found
        return None


def _implies(where: Where, name: str, value: object) -> bool:
    """Whether a filter holds only for lines that have a value."""
    if name not in where:
        return False
    wanted = where[name]
    some = wanted if isinstance(wanted, tuple) else (wanted,)
    return set(some) <= set(value if isinstance(value, tuple) else (value,))


@dataclass(frozen=True, slots=True)
class _Change:
    """What a transaction does to lines that are there.

    Attributes:
        where: which ones.
        values: that they get; None where they are deleted.
        by: the column that tells which value a line gets, "" where all get the same; else each of
            `values` is a mapping.
    """

    where: Where
    values: Mapping[str, object] | None
    by: str = ""

    def of(self, line: Line) -> Line:
        """The values that a line gets."""
        if not self.by:
            return dict(self.values or {})
        return {
            name: each[line[self.by]]
            for name, each in (self.values or {}).items()
            if isinstance(each, Mapping)
        }


def schema(table: LedgerTable) -> list[SchemaField]:
    """The columns of a table. JSON is a text: BigQuery's JSON forgets the order of fields."""
    return [
        SchemaField(c.name, _kind(c), mode="REQUIRED" if c.required else "NULLABLE")
        for c in table.columns
    ]


def lacking(client: Client) -> Lacks:
    """The columns that tables of an older version lack, by table."""
    found = {}
    for table in GROWN:
        there = client.table(table.name)
        names = {field.name for field in there.schema} if there is not None else None
        lacks = [c for c in table.columns if names is not None and c.name not in names]
        if lacks:
            found[table.name] = lacks
    return found


def _kind(column: LedgerColumn) -> str:
    return TYPES[Type.TEXT if column.type is Type.JSON else column.type]


class BigQueryLedgerTables:
    """The ledger tables of one dataset, within a transaction or to read.

    What is written is kept here until the commit; what is read has it already.

    Args:
        client: of the dataset.
        lacks: the columns that tables of an older version lack, by table (`lacking`).

    Attributes:
        seq: the greatest number of a new line so far; those that are there have lower ones.
        staged: tables that hold lines until the commit.
    """

    def __init__(self, client: Client, lacks: Lacks | None = None) -> None:
        self._client = client
        self._lacks = lacks or {}
        self.seq = _NEW
        self.staged: list[str] = []
        self._read: dict[Slice, list[Line]] = {}
        self._acts: dict[str, list[_Change | Line]] = {table.name: [] for table in TABLES}

    def read(
        self, table: LedgerTable, columns: Sequence[str], where: Where, *, newest: int = 0
    ) -> list[tuple[Any, ...]]:
        """Read lines, the newest first."""
        lines = self._lines(table, columns, where, newest)
        found = [line for line in lines if _fits(line, where)]
        found = found[:newest] if newest else found
        return [tuple(line[column] for column in columns) for line in found]

    def distinct(
        self, table: LedgerTable, columns: Sequence[str], where: Where
    ) -> list[tuple[Any, ...]]:
        """Read the different values that some columns have together."""
        if self._acts[table.name]:
            return list(dict.fromkeys(self.read(table, columns, where)))
        lines = self._asked(Slice.of(table, columns, where, 0, distinct=True))
        return list(dict.fromkeys(tuple(line[column] for column in columns) for line in lines))

    def add(self, table: LedgerTable, lines: Sequence[Mapping[str, object]]) -> None:
        """Write lines, numbered in this order."""
        for line in lines:
            self.seq += 1
            values = {column.name: line.get(column.name) for column in table.columns}
            self._acts[table.name].append({**values, SEQ: self.seq})

    def change(self, table: LedgerTable, values: Mapping[str, object], where: Where) -> None:
        """Give columns of some lines other values."""
        self._acts[table.name].append(_Change(where, values))

    def change_each(
        self, table: LedgerTable, column: str, by: str, values: Mapping[str, str], where: Where
    ) -> None:
        """Give a column of some lines other values, each by the value of another column."""
        change = _Change({**where, by: tuple(values)}, {column: dict(values)}, by)
        self._acts[table.name].append(change)

    def remove(self, table: LedgerTable, where: Where) -> None:
        """Delete some lines."""
        self._acts[table.name].append(_Change(where, None))

    # --- to read ---------------------------------------------------------------------------------

    def _lines(
        self, table: LedgerTable, columns: Sequence[str], where: Where, newest: int
    ) -> list[Line]:
        """Lines with at least those that are wanted, the newest first, as the transaction has them.

        A line that a change touches may be wanted after it and not before: lines are asked for
        without what a change may touch, and all of them.
        """
        acts = self._acts[table.name]
        changes = [act for act in acts if isinstance(act, _Change)]
        touched = {name for change in changes for name in change.values or {}}
        asked = {name: value for name, value in where.items() if name not in touched}
        wanted = [*columns, *where, *(name for each in changes for name in each.where)]
        wanted = list(dict.fromkeys([*wanted, *(n for each in changes for n in each.values or {})]))
        lines = self._asked(Slice.of(table, wanted, asked, 0 if changes else newest))[::-1]
        for act in acts:
            lines = _done(lines, act)
        return lines[::-1]

    def _asked(self, asked: Slice) -> list[Line]:
        """Lines as they were at the start of the transaction; nothing is read twice."""
        for fetched in (None, asked.wider, asked):
            if fetched is not None:
                self.read_ahead([fetched])
            for slice_, lines in self._read.items():
                found = slice_.answer(lines, asked)
                if found is not None:
                    return found
        raise AssertionError(asked)

    def read_ahead(self, wanted: Sequence[Slice], also: str = "") -> list[dict[str, str]]:
        """Read lines that will be asked for, all of them at once.

        Args:
            wanted: the lines.
            also: another query to ask at the same moment; its values are texts.

        Returns:
            The rows of `also`.
        """
        new = [slice_ for slice_ in dict.fromkeys(wanted) if slice_ not in self._read]
        queries = [slice_.sql(self._lacks.get(slice_.table.name, ())) for slice_ in new]
        queries += [also] if also else []
        parts = " union all ".join(
            f"select {number} as part, to_json_string(t) as line from ({query}) t"
            for number, query in enumerate(queries)
        )
        found: list[list[Line]] = [[] for _ in queries]
        for row in self._client.ask(parts).to_pylist() if queries else ():
            found[row["part"]].append(json.loads(row["line"]))
        for slice_, lines in zip(new, found, strict=False):
            self._read[slice_] = sorted(map(slice_.line, lines), key=lambda line: -line.get(SEQ, 0))
        return found[-1] if also else []

    def writes(self, table: LedgerTable) -> bool:
        """Whether the transaction writes to a table."""
        return bool(self._acts[table.name])

    # --- to write --------------------------------------------------------------------------------

    def statements(self, expires: float) -> tuple[list[str], dict[str, str]]:
        """The statements that write all of it, and the values in them.

        What is done to lines that were there comes first, then each table gets its new lines.

        Args:
            expires: when BigQuery deletes what a crash has left of it, seconds since 1970.
        """
        statements, values = [], {}
        for table in TABLES:
            new: list[Line] = []
            seqs: set[int] = set()
            for act in self._acts[table.name]:
                new = _done(new, act)
                if isinstance(act, _Change):
                    if act.values is None and set(act.where) == {SEQ}:
                        seqs |= _numbers(act.where[SEQ])
                    else:
                        statements.append(_statement(table, act))
            seqs = {seq for seq in seqs if seq <= _NEW}
            if seqs:
                statements.append(f"delete from {table.name} where {one_of(SEQ, sorted(seqs))}")
            if not new:
                continue
            statements += [_must_be_new(line) for line in new if table is LOADS]
            sent = json.dumps([_sent(line) for line in new], ensure_ascii=False)
            if len(sent) > _LONG:
                statements.append(_insert(table, self._stage(table, new, expires)))
                continue
            name = f"lines_of{table.name}"
            values[name] = sent
            found = ", ".join(f"{_value(c)} as {quoted(c.name)}" for c in table.columns)
            source = f"(select {found} from unnest(json_query_array(@{name})) as line)"
            statements.append(_insert(table, source))
        return statements, values

    def _stage(self, table: LedgerTable, lines: Sequence[Line], expires: float) -> str:
        """Put lines that are too long for a statement into a table of their own; its name."""
        place = f"_tcd_stage_lines_{uuid.uuid4().hex}"
        columns = {
            column.name: pa.array([line[column.name] for line in lines], ARROW[column.type])
            for column in table.columns
        }
        self._client.load(
            place,
            pa.table(columns),
            schema(table),
            name=self._client.job_name("load", place),
            labels={},
            expires=expires,
        )
        self.staged.append(place)
        return place


def _numbers(value: object) -> set[int]:
    return set(value) if isinstance(value, tuple) else {value}  # type: ignore[arg-type]  # numbers


def _done(lines: list[Line], act: _Change | Line) -> list[Line]:
    """Lines, the oldest first, after an act."""
    if not isinstance(act, _Change):
        return [*lines, act]
    if act.values is None:
        return [line for line in lines if not _fits(line, act.where)]
    return [{**line, **act.of(line)} if _fits(line, act.where) else line for line in lines]


def _fits(line: Line, where: Where) -> bool:
    return all(_is(line[name], value) for name, value in where.items())


def _is(found: object, wanted: object) -> bool:
    if wanted is PRESENT:
        return found is not None
    if isinstance(wanted, tuple):
        return found in wanted
    return found == wanted


def _tests(where: Where) -> Iterator[str]:
    for name, value in where.items():
        column = quoted(name)  # `rows` is a word of GoogleSQL
        if value is None:
            yield f"{column} is null"
        elif value is PRESENT:
            yield f"{column} is not null"
        elif isinstance(value, tuple):
            yield one_of(column, value)
        else:
            yield f"{column} = {literal(value)}"


def _statement(table: LedgerTable, change: _Change) -> str:
    tests = " and ".join(_tests(change.where)) or "true"
    if change.values is None:
        return f"delete from {table.name} where {tests}"
    new = ", ".join(
        f"{quoted(name)} = {_chosen(change.by, value)}" for name, value in change.values.items()
    )
    return f"update {table.name} set {new} where {tests}"


def _chosen(by: str, value: object) -> str:
    """A value in SQL, or the one of several that a column tells."""
    if not isinstance(value, Mapping):
        return "null" if value is None else literal(value)
    cases = " ".join(f"when {literal(key)} then {literal(each)}" for key, each in value.items())
    return f"case {quoted(by)} {cases} end"


def _must_be_new(line: Line) -> str:
    """That neither a load nor a later claim's token is in the ledger, at the moment of the commit.

    The turn says so already; the rows of a load are worth to be sure of it twice.
    """
    later = ""
    if line["token"] is not None:
        later = f" or (endpoint = {text(line['endpoint'])} and token > {line['token']})"
    return (
        f"assert not exists (select 1 from {LOADS.name} "
        f"where load_id = {text(line['load_id'])}{later}) as '{LOST}'"
    )


def _sent(line: Line) -> dict[str, object]:
    """A line as JSON has it; a time is in microseconds since 1970."""
    return {
        name: round((value - utc(0)).total_seconds() * 1e6)
        if isinstance(value, datetime)
        else value
        for name, value in line.items()
        if value is not None
    }


def _insert(table: LedgerTable, source: str) -> str:
    columns = names(column.name for column in table.columns if column.name != SEQ)
    last = f"(select coalesce(max({SEQ}), 0) from {table.name})"
    return (
        f"insert into {table.name} ({columns}, {SEQ}) "
        f"select {columns}, {SEQ} - {_NEW} + {last} from {source}"
    )


def _value(column: LedgerColumn) -> str:
    plain = f"json_value(line, '$.{column.name}')"
    match column.type:
        case Type.TEXT | Type.JSON:
            return plain
        case Type.TIME:
            return f"timestamp_micros(cast({plain} as int64))"
        case kind:
            return f"cast({plain} as {TYPES[kind]})"


def ahead(load: Load) -> list[Slice]:
    """The lines that are asked for when a load is stored."""
    names = tuple(table.name for table in load.family.tables)
    root = {"root_table": names[0], "superseded_by": None}
    line = [column.name for column in LOADS.columns]
    wider = [
        Slice.of(LOADS, line, {"endpoint": load.endpoint}).wider,
        Slice.of(OWNERS, ["table_name"], {}).wider,
        Slice.of(SCHEMAS, ["version"], {"table_name": names}).wider,
        Slice.of(CHECKS, ["times"], {"endpoint": load.endpoint}).wider if load.checks else None,
    ]
    return [
        Slice(LOADS, tuple(line), (("load_id", load.id),)),
        Slice.of(LOADS, ["endpoint", "mode"], root, distinct=True),
        Slice.of(SCHEMAS, ["table_name", "version", "cause"], {}),
        *(slice_ for slice_ in wider if slice_ is not None),
    ]
