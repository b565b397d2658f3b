"""A second warehouse: tables of Arrow in memory, rules by Python. No engine and no SQL is under it.

It is unlike DuckDB on purpose. New tables and columns come before the transaction and stay when it
fails, as where an engine takes no such change in a transaction; loads that are stored together are
all taken before the first is stored; what is kept for a rollback is a copy.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from threading import RLock

import pyarrow as pa

from tcdatalogger.clock import utc
from tcdatalogger.errors import DataRefused, UsageError, WarehouseUnavailable
from tcdatalogger.models.evolution import Change
from tcdatalogger.models.records import RUN, SEEN, SUBJECT, VERSION, facts, own
from tcdatalogger.models.rows.normalize import ARROW
from tcdatalogger.models.schema import INDEX, SYSTEM, Type
from tcdatalogger.models.versions import ROLLBACK, UNDONE
from tcdatalogger.services.warehouse.copying import Copying, unfinished
from tcdatalogger.services.warehouse.dialect import Dialect
from tcdatalogger.services.warehouse.ledger import Ledger
from tcdatalogger.services.warehouse.ledger_tables import PRESENT, SCHEMAS, SEQ, TABLES
from tcdatalogger.services.warehouse.protocol import TableSum, Warehouse
from tcdatalogger.services.warehouse.schema_changes import BEFORE, FORMER, TOUCHES
from tcdatalogger.services.warehouse.transaction import Moved

FROM, TO, CLOSED_BY = VERSION
JOURNAL = "_tcd_merged_"
ENGINE = "Arrow in memory"
MOMENT = timedelta(microseconds=1)


@dataclass
class Memory:
    """What is in the warehouse; it outlives every opening of it.

    Attributes:
        tables: the rows of each table.
        types: the types of its columns.
        ledger: the lines of each table of the ledger, the oldest first.
        copying: the copy that is not finished, of which this is the target.
        brought: the tables of the ledger that it has brought.
        lock: held by whoever changes something.
    """

    tables: dict[str, pa.Table] = field(default_factory=dict)
    types: dict[str, dict[str, Type]] = field(default_factory=dict)
    ledger: dict[str, list[dict]] = field(default_factory=lambda: {t.name: [] for t in TABLES})
    copying: Copying | None = None
    brought: dict[str, list[dict]] = field(default_factory=dict)
    lock: RLock = field(default_factory=RLock)

    def copy(self):
        """The same, to go back to: tables of Arrow and lines never change."""
        lines = {name: list(lines) for name, lines in self.ledger.items()}
        return Memory(dict(self.tables), {n: dict(t) for n, t in self.types.items()}, lines)


class MemoryWarehouse(Warehouse):
    """A warehouse in memory."""

    def __init__(self, memory):
        self._memory = memory

    engine = ENGINE
    dialect = Dialect(quote="`", json_text="to_json_string({})")

    def close(self):
        pass

    def exists(self):
        return any(self._memory.ledger.values())

    @contextmanager
    def _reading(self):
        yield MemoryTransaction(self._memory) if self.exists() else None

    @contextmanager
    def _transaction(self):
        memory = self._memory
        with memory.lock:
            if memory.copying is not None:
                raise unfinished()
            before = memory.copy()
            try:
                yield MemoryTransaction(memory)
            except BaseException:
                made, types = memory.tables, memory.types
                memory.tables, memory.types = before.tables, before.types
                memory.ledger = before.ledger
                self._leave(made, types)
                raise

    def _leave(self, made, types):
        """Tables and columns that a transaction which failed has made stay, and are empty."""
        for name in set(made) - set(self._memory.tables):
            if not name.startswith("_tcd_"):
                self._memory.tables[name] = made[name].slice(0, 0)
                self._memory.types[name] = types[name]
        for name, table in self._memory.tables.items():
            for column in set(made.get(name, table).column_names) - set(table.column_names):
                kind = types[name][column]
                nulls = pa.nulls(table.num_rows, ARROW[kind])
                table = table.append_column(column, nulls)  # noqa: PLW2901
                self._memory.types[name][column] = kind
            self._memory.tables[name] = table

    def commit_all(self, wanted, clear=None):
        return super().commit_all(list(wanted), clear)

    def layout(self, table):
        return f"{self._memory.tables[table].num_rows} rows in memory", True

    def query(self, sql, most=None):  # noqa: ARG002
        raise UsageError(f"The query is refused: there is no SQL here: {sql}")

    def rows(self, table, columns, *, since=None, where=None):
        lines = self._memory.ledger.get(table)
        if lines is not None:
            found = lines
        elif table in self._memory.tables:
            found = self._memory.tables[table].to_pylist()
        else:
            found = []
        if since is not None:
            column, begin = since[0], utc(since[1])
            found = [row for row in found if row.get(column) and row[column] >= begin]
        for name, value in (where or {}).items():
            found = [row for row in found if row.get(name) == value]
        if lines is None and table in self._memory.tables:
            types = {n: ARROW[kind] for n, kind in self._memory.types[table].items()}
            return pa.table({
                name: pa.array([row.get(name) for row in found], types.get(name, pa.null()))
                for name in columns
            })  # fmt: skip
        return pa.table({name: pa.array([row.get(name) for row in found]) for name in columns})

    def sums(self):
        if not self.exists():
            raise WarehouseUnavailable("There is no warehouse in memory yet.")
        found = {}
        for name, table in self._memory.tables.items():
            rows = sorted(repr(sorted(row.items())) for row in table.to_pylist())
            found[name] = TableSum(len(rows), sha256("\n".join(rows).encode()).hexdigest())
        return found

    def batches(self, table):
        memory = self._memory
        if table.name in memory.ledger:
            lines = (memory.brought if memory.copying else memory.ledger).get(table.name, [])
            rows = pa.Table.from_pylist(lines, table.schema)
        elif table.name in memory.tables:
            rows = memory.tables[table.name].select(list(table.columns)).cast(table.schema)
        else:
            return
        yield from rows.to_batches(3)

    def copying(self):
        return self._memory.copying

    def begin_copy(self, wanted):
        memory = self._memory
        for name in memory.copying.whole if memory.copying else ():
            memory.tables.pop(name, None)
        memory.copying, memory.brought = wanted, {}

    def take_in(self, table, rows):
        memory = self._memory
        taken = pa.Table.from_batches(rows, table.schema)
        if table.name in memory.ledger:
            memory.brought[table.name] = sorted(taken.to_pylist(), key=lambda line: line[SEQ])
        else:
            memory.tables[table.name], memory.types[table.name] = taken, dict(table.columns)
        whole = memory.copying.whole | {table.name}
        memory.copying = replace(memory.copying, whole=whole)

    def end_copy(self):
        memory = self._memory
        memory.ledger = memory.ledger | memory.brought
        memory.copying, memory.brought = None, {}


class MemoryLedgerTables:
    """The ledger as lists of lines."""

    def __init__(self, memory):
        self._memory = memory

    def _lines(self, table, where):
        return [line for line in self._memory.ledger[table.name] if _fits(line, where)]

    def read(self, table, columns, where, *, newest=0):
        found = self._lines(table, where)[::-1]
        return [tuple(line[c] for c in columns) for line in (found[:newest] if newest else found)]

    def distinct(self, table, columns, where):
        return list({tuple(line[c] for c in columns) for line in self._lines(table, where)})

    def add(self, table, lines):
        own_lines = self._memory.ledger[table.name]
        for line in lines:
            last = own_lines[-1][SEQ] if own_lines else 0
            values = {column.name: line.get(column.name) for column in table.columns}
            for column in table.columns[:-1]:
                assert values[column.name] is not None or not column.required, column
            key = [tuple(old[name] for name in table.key) for old in own_lines if table.key]
            assert tuple(values[name] for name in table.key) not in key, values
            own_lines.append({**values, SEQ: last + 1})

    def change(self, table, values, where):
        self._memory.ledger[table.name] = [
            {**line, **values} if _fits(line, where) else line
            for line in self._memory.ledger[table.name]
        ]

    def change_each(self, table, column, by, values, where):
        for key, value in values.items():
            self.change(table, {column: value}, {**where, by: key})

    def remove(self, table, where):
        self._memory.ledger[table.name] = [
            line for line in self._memory.ledger[table.name] if not _fits(line, where)
        ]


def _fits(line, where):
    return all(
        line[column] is not None if value is PRESENT
        else line[column] in value if isinstance(value, tuple)
        else line[column] == value
        for column, value in where.items()
    )  # fmt: skip


class MemoryTransaction:
    """What is done with the tables in memory."""

    engine = ENGINE

    def __init__(self, memory):
        self._memory = memory
        self.ledger = Ledger(MemoryLedgerTables(memory))

    # --- to ask

    def stored(self, names):
        found = {}
        for name in names:
            types = self._memory.types.get(name)
            if types is not None and not name.startswith("_tcd_"):
                types = self._known(name, types)
            if types:
                found[name] = dict(types)
        return found

    def _known(self, name, types):
        """The columns of a table that the ledger knows: others are of a load that failed."""
        known = set()
        for line in self._memory.ledger[SCHEMAS.name]:
            if line["table_name"] == name:
                if line["cause"].startswith((ROLLBACK, UNDONE)):
                    known = set()
                known |= {column["name"] for column in json.loads(line["columns"])}
        return {column: kind for column, kind in types.items() if column in known}

    def there(self, names):
        return list(self.stored(names))

    def counts(self, names):
        return {
            name: self._table(name).num_rows if name in self._memory.tables else 0 for name in names
        }

    def rows_of(self, names, runs):
        return {
            name: sum(run in runs for run in self._column(name, RUN))
            if name in self._memory.tables
            else 0
            for name in names
        }

    def rows_of_each(self, names, runs):
        return {run: self.rows_of(names, [run]) for run in runs}

    def holds(self, table, *, versions):
        if FROM not in self._memory.types[table]:
            return not versions and self._table(table).num_rows > 0
        return any((since is not None) is versions for since in self._column(table, FROM))

    def current(self, table):
        return sum(end is None for end in self._column(table, TO))

    def closed_by(self, names, runs):
        return {
            name: sum(run in runs for run in self._column(name, CLOSED_BY))
            if CLOSED_BY in self._memory.types[name]
            else 0
            for name in names
        }

    def has_value(self, table, column, without):
        rows = zip(self._column(table, column), self._column(table, RUN), strict=True)
        return any(value is not None and run != without for value, run in rows)

    def subject(self, table, runs):
        found = dict(zip(self._column(table, RUN), self._column(table, SUBJECT), strict=True))
        return next((found[run] for run in runs if found.get(run) is not None), None)

    def why_not(self, table, column, to):
        was = self._memory.types[table][column]
        there = [value for value in self._column(table, column) if value is not None]
        lost = [value for value in there if _back(_cast(value, was, to), to, was) != value]
        if not lost:
            return ""
        return f"from {was} to {to}: {len(lost)} of its values would change by it, as {lost[0]}"

    def _table(self, name):
        return self._memory.tables[name]

    def _column(self, name, column):
        return self._table(name).column(column).to_pylist()

    def expired(self, table, columns, before):
        return dict(Counter(row[RUN] for row in self._table(table).to_pylist()
                            if _is_before(row, columns, before)))  # fmt: skip

    def values(self, table, column, *, having=(), where=None):
        rows = self._table(table).to_pylist()
        found = {row[column] for row in rows if where is None or row[where[0]] == where[1]}
        return [value for value in found - {None}
                if not having or any(each in value.lower() for each in having)]  # fmt: skip

    def counted(self, table, column, values):
        return sum(self.rows_with(table, column, values).values())

    def rows_with(self, table, column, values):
        return dict(Counter(row.get(RUN) for row in self._table(table).to_pylist()
                            if row[column] in values))  # fmt: skip

    # --- to change tables

    def create(self, table):
        for column in table.columns:
            self._add(table.name, column.name, column.type)

    def _add(self, name, column, kind):
        """A column that is not there yet; it may be, of a load that failed."""
        if name not in self._memory.tables:
            self._memory.tables[name], self._memory.types[name] = pa.table({}), {}
        rows = self._table(name)
        if column not in rows.column_names:
            nulls = pa.nulls(rows.num_rows, ARROW[kind])
            self._memory.tables[name] = rows.append_column(column, nulls)
        self._memory.types[name][column] = kind

    def change(self, table, key, steps):
        touched = [step.column for step in steps if step.change in TOUCHES]
        now = {step.column: step.was for step in steps if step.change is Change.RENAMED}
        if touched:
            names = dict.fromkeys(now.get(c, c) for c in (*key, *SYSTEM, *touched))
            kept = [name for name in names if name in self._memory.types[table]]
            self._memory.tables[f"{BEFORE}{table}"] = self._table(table).select(kept)
            types = self._memory.types[table]
            self._memory.types[f"{BEFORE}{table}"] = {name: types[name] for name in kept}
        for step in steps:
            if step.change is Change.DROPPED:
                self.drop(table, step.column)
        self._rename(table, {old: new for new, old in now.items()})
        for step in steps:
            if step.change is Change.COLUMN:
                self._add(table, step.column, Type(step.type))
            if step.change in {Change.WIDER, Change.RETYPED}:
                self._retype(table, step.column, Type(step.type))

    def _rename(self, table, names):
        rows, types = self._table(table), self._memory.types[table]
        self._memory.tables[table] = rows.rename_columns(
            [names.get(n, n) for n in rows.column_names]
        )
        self._memory.types[table] = {names.get(n, n): kind for n, kind in types.items()}

    def _retype(self, table, column, to):
        was = self._memory.types[table][column]
        values = [None if v is None else _cast(v, was, to) for v in self._column(table, column)]
        self._set(table, column, values, to)

    def _set(self, table, column, values, kind=None):
        kind = kind or self._memory.types[table][column]
        rows = self._table(table)
        array = pa.array(values, ARROW[kind])
        self._memory.tables[table] = rows.set_column(rows.column_names.index(column), column, array)
        self._memory.types[table][column] = kind

    def drop(self, table, column=""):
        if not column:
            del self._memory.tables[table], self._memory.types[table]
            return
        self._memory.tables[table] = self._table(table).drop_columns([column])
        del self._memory.types[table][column]

    # --- to store

    def append(self, load):
        for table in load.family.tables:
            self._insert(table.name, load.tables[table.name])
        return Moved()

    def _aligned(self, load):
        """The rows of a load with the columns and types of its tables."""
        return {t.name: self._fitting(t.name, load.tables[t.name]) for t in load.family.tables}

    def _fitting(self, name, rows):
        there = self._table(name)
        columns = []
        for column in there.schema:
            if column.name not in rows.column_names:
                columns.append(pa.nulls(rows.num_rows, column.type))
                continue
            try:  # that no integer changes as a float was looked at before
                columns.append(rows.column(column.name).cast(column.type, safe=False))
            except pa.ArrowInvalid as error:
                raise DataRefused(f"The warehouse refuses the rows of {name}: {error}.") from None
        return pa.table(columns, names=there.column_names)

    def _insert(self, name, rows):
        new = self._fitting(name, rows)
        self._memory.tables[name] = pa.concat_tables([self._table(name), new])

    def append_new(self, load):
        root = load.family.tables[0]
        records = [table for table in load.family.tables if not table.beside]
        key = [column for name in root.key if (column := root.column(name)) is not None]
        if not key or INDEX in root.key or any(own(table, key) is None for table in records):
            return self.append(load)
        keys = {t.name: (SUBJECT, *(c.name for c in own(t, key))) for t in records}
        given = self._aligned(load)
        new = _states(records, given, keys)
        old = defaultdict(dict)
        for row in self._table(root.name).to_pylist():
            old[_key(row, keys[root.name])].setdefault(row[RUN], (row[SEEN], []))
        for table in records:
            for row in self._table(table.name).to_pylist():
                runs = old.get(_key(row, keys[table.name]), {})
                if row[RUN] in runs:
                    runs[row[RUN]][1].append((table.name, _facts(table, row)))
        seen = _seen(given[root.name], keys[root.name])
        known = {key for key in new if _stored_already(new[key], old.get(key, {}), seen[key])}
        left = {}
        for table in load.family.tables:
            rows = load.tables[table.name]
            if table.beside:
                fresh = len(known) < len(new)
                left[table.name] = 0 if fresh else rows.num_rows
                rows = rows if fresh else rows.slice(0, 0)
            else:
                kept = [_key(r, keys[table.name]) not in known for r in rows.to_pylist()]
                left[table.name] = kept.count(False)
                rows = rows.filter(pa.array(kept, pa.bool_()))
            self._insert(table.name, rows)
        return Moved(left_out=len(known), left=left, chosen=len(known) < len(new))

    def replace(self, load, steps, emptied, *, keep):
        for table in load.family.tables:
            if any(step.change is Change.TABLE and step.table == table.name for step in steps):
                self.create(table)
        names = [table.name for table in load.family.tables]
        for name in (*names, *emptied):
            if keep:
                self._memory.tables[f"{FORMER}{name}"] = self._table(name)
                self._memory.types[f"{FORMER}{name}"] = dict(self._memory.types[name])
            self._memory.tables[name] = self._table(name).slice(0, 0)
        for table in load.family.tables:
            for step in steps:
                if step.table == table.name and step.change is Change.COLUMN:
                    self._add(table.name, step.column, Type(step.type))
                if step.table == table.name and step.change is Change.WIDER:
                    self._retype(table.name, step.column, Type(step.type))
        return self.append(load)

    def merge(self, load, groups, *, first):
        taken, left, left_out, chosen = defaultdict(int), {}, 0, False
        for number, group in enumerate(groups):
            new = _seen(load.tables[group.root], group.keys[group.root])
            old = _seen(self._table(group.root), group.keys[group.root])
            late = {k for k, at in new.items() if k in old and at and old[k] and old[k] > at}
            left_out += len(late) if number == 0 else 0
            left |= self._left(load, group, late)
            if not set(new) - late:
                continue
            if first and not chosen:
                self.forget(endpoint=load.endpoint)
            chosen = True
            for name, columns in group.keys.items():
                rows = self._table(name).to_pylist()
                gone = [_key(row, columns) in new.keys() - late for row in rows]
                mine = [
                    out and row[RUN] == load.run_id for out, row in zip(gone, rows, strict=True)
                ]
                taken[name] += sum(mine)
                others = [out and not own_ for out, own_ in zip(gone, mine, strict=True)]
                self._journal(load.endpoint, name, self._filtered(name, others))
                self._memory.tables[name] = self._filtered(name, [not out for out in gone])
            self._insert_chosen(load, group, late)
        return Moved(taken, left_out, left, chosen=chosen)

    def _left(self, load, group, keys):
        return {
            table.name: sum(
                _key(row, group.keys[table.name]) in keys
                for row in load.tables[table.name].to_pylist()
            )
            for table in group.tables
        }

    def _insert_chosen(self, load, group, left, begun=None):
        for table in group.tables:
            rows = load.tables[table.name]
            keys = [_key(row, group.keys[table.name]) for row in rows.to_pylist()]
            rows = rows.filter(pa.array([key not in left for key in keys], pa.bool_()))
            if begun is not None:
                at = [begun[key] for key in keys if key not in left]
                rows = rows.append_column(FROM, pa.array(at, ARROW[Type.TIME]))
            self._insert(table.name, rows)

    def _filtered(self, name, kept):
        return self._table(name).filter(pa.array(kept, pa.bool_()))

    def _journal(self, endpoint, name, rows):
        journal = f"{JOURNAL}{endpoint}__{name}"
        if not rows.num_rows:
            return
        before = self._memory.tables.get(journal, rows.slice(0, 0))
        self._memory.tables[journal] = pa.concat_tables([before, rows], promote_options="default")
        self._memory.types[journal] = dict(self._memory.types[name])

    def version(self, load, groups):
        left, left_out, closed = {}, 0, 0
        for number, group in enumerate(groups):
            begun, same = self._judge(load, group)
            left_out += len(same) if number == 0 else 0
            left |= self._left(load, group, same)
            ended = dict(begun)
            if number == 0 and load.listed:
                gone = self._vanished(load, group)
                closed += len(gone)
                ended |= gone
            for name, columns in group.keys.items():
                self._close(load.run_id, name, columns, ended)
            self._insert_chosen(load, group, same, begun)
        return Moved(left_out=left_out, left=left, closed=closed)

    def _judge(self, load, group):
        """When the versions of the chosen records begin, and the records that are left out."""
        new = _states(group.tables, self._aligned(load), group.keys)
        columns = group.keys[group.root]
        seen = _seen(load.tables[group.root], columns)
        current = {name: self._table(name) for name in group.keys}
        open_ = {
            name: self._filtered(name, [end is None for end in self._column(name, TO)])
            for name, table in current.items()
            if TO in table.column_names
        }
        stale = _states(group.tables, open_, group.keys)
        latest = {}
        for row in self._table(group.root).to_pylist():
            key = _key(row, columns)
            if key not in latest or (row[FROM], row[SEEN]) > (latest[key][FROM], latest[key][SEEN]):
                latest[key] = row
        begun, same = {}, set()
        for key in seen:
            at = seen[key] or utc(load.committed_at)
            old = latest.get(key)
            if old is None:
                begun[key] = at
            elif old[TO] is None and new[key] != stale.get(key) and at >= (old[SEEN] or at):
                begun[key] = max(at, old[FROM] + MOMENT)
            elif old[TO] is not None and at >= old[TO].replace(
                microsecond=old[TO].microsecond // 1000 * 1000
            ):
                begun[key] = max(at, old[TO])
            else:
                same.add(key)
        return begun, same

    def _vanished(self, load, group):
        columns = group.keys[group.root]
        listed = set(_seen(load.tables[group.root], columns))
        gone = {}
        for row in self._table(group.root).to_pylist():
            key = _key(row, columns)
            at = load.listed.get(row[SUBJECT])
            open_ = row[TO] is None and at is not None and key not in listed
            if open_ and (row[SEEN] is None or row[SEEN] <= utc(at)):
                gone[key] = max(utc(at), row[FROM] + MOMENT)
        return gone

    def _close(self, run_id, name, columns, ended):
        if TO not in self._memory.types[name]:
            return
        rows = self._table(name).to_pylist()
        for row in rows:
            key = _key(row, columns)
            if row[TO] is None and key in ended:
                row[TO], row[CLOSED_BY] = ended[key], run_id
        self._set(name, TO, [row[TO] for row in rows])
        self._set(name, CLOSED_BY, [row[CLOSED_BY] for row in rows])

    # --- to take back

    def take_out(self, names, runs, *, kept=False):
        for name in names:
            copies = [f"{FORMER}{name}", *self._journals_on(name)] if kept else []
            for table in (*(c for c in copies if c in self._memory.tables), name):
                stays = [run not in runs for run in self._column(table, RUN)]
                self._memory.tables[table] = self._filtered(table, stays)

    def exchange(self, table, column, new):
        rows = self._table(table).to_pylist()
        for row in rows:
            row.update(new.get(row[column], {}))
        for name in dict.fromkeys(name for changed in new.values() for name in changed):
            self._set(table, name, [row[name] for row in rows])

    def delete(self, table, column, values):
        stays = [value not in values for value in self._column(table, column)]
        self._memory.tables[table] = self._filtered(table, stays)

    def expire(self, table, columns, before):
        stays = [not _is_before(row, columns, before) for row in self._table(table).to_pylist()]
        self._memory.tables[table] = self._filtered(table, stays)

    def _journals_on(self, name):
        return [journal for journal in self._memory.tables
                if journal.startswith(JOURNAL) and journal.partition("__")[2] == name]  # fmt: skip

    def reopen(self, names, runs):
        for name in names:
            if CLOSED_BY in self._memory.types[name]:
                rows = self._table(name).to_pylist()
                theirs = [row[CLOSED_BY] in runs for row in rows]
                for column in (TO, CLOSED_BY):
                    values = [
                        None if own_ else row[column]
                        for own_, row in zip(theirs, rows, strict=True)
                    ]
                    self._set(name, column, values)

    def kept_by_replace(self, names):
        former = {name: self._memory.tables.get(f"{FORMER}{name}") for name in names}
        return {name: table.num_rows for name, table in former.items() if table is not None}

    def swap_back(self, names):
        for name in names:
            self._memory.tables[name] = self._memory.tables.pop(f"{FORMER}{name}")
            self._memory.types[name] = self._memory.types.pop(f"{FORMER}{name}")

    def kept_by_merge(self, endpoint, keys, without=()):
        found = self._journals(endpoint)
        if not found:
            return None
        return {
            name: rows.num_rows for name, rows in self._restorable(found, keys, without).items()
        }

    def _journals(self, endpoint):
        prefix = f"{JOURNAL}{endpoint}__"
        return {name.removeprefix(prefix): rows for name, rows in self._memory.tables.items()
                if name.startswith(prefix)}  # fmt: skip

    def _restorable(self, found, keys, without):
        rows, root = {}, next(iter(keys), "")
        for table in keys:
            if table in found:
                whose = keys[table]
                other = root if len(whose) == len(keys[root]) and len(whose) > 1 else table
                there = {_key(row, keys[other]) for row in self._table(other).to_pylist()
                         if row[RUN] not in without}  # fmt: skip
                kept = [_key(row, whose) not in there for row in found[table].to_pylist()]
                rows[table] = found[table].filter(pa.array(kept, pa.bool_()))
        return rows

    def put_back(self, endpoint, keys):
        for name, rows in self._restorable(self._journals(endpoint), keys, ()).items():
            self._insert(name, rows)
        self.forget(endpoint=endpoint)

    def keep(self, endpoint, root):
        journal = f"{JOURNAL}{endpoint}__{root}"
        if journal not in self._memory.tables:
            self._memory.tables[journal] = self._table(root).slice(0, 0)
            self._memory.types[journal] = dict(self._memory.types[root])

    def forget(self, *, endpoint="", replaced=(), tables=()):
        names = {f"{FORMER}{name}" for name in (*replaced, *tables)}
        endpoints = {j.removeprefix(JOURNAL).partition("__")[0]
                     for name in tables for j in self._journals_on(name)}  # fmt: skip
        for each in endpoints | ({endpoint} if endpoint else set()):
            names |= {f"{JOURNAL}{each}__{name}" for name in self._journals(each)}
        for name in names & set(self._memory.tables):
            del self._memory.tables[name], self._memory.types[name]


# --- records ---------------------------------------------------------------------------------


def _key(row, columns):
    return tuple(row[column] for column in columns)


def _seen(rows, columns):
    """When each record was seen last."""
    found = {}
    for row in rows.select([*columns, SEEN]).to_pylist():
        key = _key(row, columns)
        found[key] = max(filter(None, (found.get(key), row[SEEN])), default=None)
    return found


def _facts(table, row):
    """What a row says, as far as it is compared."""
    return repr([row.get(name) for name in facts(table)])


def _states(tables, rows, keys):
    """The state of each record: what its rows say, in every table."""
    found = defaultdict(list)
    for table in tables:
        for row in rows[table.name].to_pylist() if table.name in rows else ():
            found[_key(row, keys[table.name])].append((table.name, _facts(table, row)))
    return {key: sorted(state) for key, state in found.items()}


def _stored_already(state, runs, seen):
    """Whether a record is stored as it was seen just before, or as it was seen just after.

    Args:
        state: of the record in the load.
        runs: when each run saw it that has stored it, and its state then.
        seen: when the load saw it.
    """
    sides = (
        [run for run, (at, _) in runs.items() if at <= seen],
        [run for run, (at, _) in runs.items() if at > seen],
    )
    nearest = [
        min(reversed(side), key=lambda run: abs(runs[run][0] - seen)) for side in sides if side
    ]
    return any(sorted(runs[run][1]) == state for run in nearest)


# --- types -----------------------------------------------------------------------------------


def _as_text(value):
    return str(value).lower() if isinstance(value, bool) else str(value)


def _unquoted(text):
    value = json.loads(text)
    return value if isinstance(value, str) else text


_CASTS = {
    (Type.INT, Type.TIME): lambda value: datetime.fromtimestamp(value, UTC),
    (Type.TIME, Type.INT): lambda value: int(value.timestamp()),
    (Type.TEXT, Type.JSON): json.dumps,
    (Type.JSON, Type.TEXT): _unquoted,
    (Type.TEXT, Type.BOOL): {"true": True, "false": False}.get,
    (Type.TEXT, Type.TIME): datetime.fromisoformat,
}
_TO = {Type.TEXT: _as_text, Type.INT: int, Type.FLOAT: float, Type.BOOL: bool}


def _cast(value, was, to):
    """A value of one type as one of another; None where it cannot be."""
    try:
        return _CASTS.get((was, to), _TO.get(to, lambda _value: None))(value)
    except (ValueError, OverflowError):
        return None


def _back(value, was, to):
    return None if value is None else _cast(value, was, to)


def _is_before(row, columns, before):
    age = next((row[name] for name in columns if row[name] is not None), None)
    return age is not None and age < utc(before)
