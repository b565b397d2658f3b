"""The ledger of a warehouse, read and written as values: loads, versions, drift, owners.

It is the same for every warehouse: a warehouse only keeps the lines (`ledger_tables.py`). Nothing
here begins or ends a transaction.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from tcdatalogger.clock import utc
from tcdatalogger.errors import Busy
from tcdatalogger.models import notation, versions
from tcdatalogger.models.checks.promised import Checked, CheckResult
from tcdatalogger.models.evolution import Names, Origin, adopt, origin
from tcdatalogger.models.owners import TableOwner
from tcdatalogger.models.schema import PARAMETER, TableFamily
from tcdatalogger.models.shape import Object
from tcdatalogger.models.versions import ROLLBACK, StoredColumn, Version
from tcdatalogger.services.warehouse.ledger_tables import (
    CHECKS,
    DRIFT,
    LOADS,
    OWNERS,
    PRESENT,
    QUARANTINE,
    SCHEMAS,
    SEQ,
    TABLES,
    LedgerTable,
    LedgerTables,
    Where,
)
from tcdatalogger.services.warehouse.load import Load

ROLLED_BACK: Final = "rollback "
"""How the ledger begins to say of a load that it was rolled back; then, by whom."""

KEPT_FAILURES: Final = 100
"""Failures of one check that stay in the ledger."""

RECENT: Final = 1_000
"""Loads that are looked through for rows: a table of years is not read for its last ones."""

_LINE: Final = (
    "load_id", "run_id", "endpoint", "mode", "rows", "schema_version", "archive_file",
    "superseded_by", "root_table", "cursor", "stretch", "digest", "catalog_version", SEQ,
)  # fmt: skip

_SCHEMA: Final = (
    "endpoint", "table_name", "version", "columns", "key", "diff", "cause", "run_id",
    "catalog_version", "shape", "created_at", "backup",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class LedgerLine:
    """A load as the ledger has it.

    Attributes:
        load_id, run_id, endpoint, mode: of the load.
        rows: that it stored, by table.
        schema_version: of the family after it.
        archive: the file of its answers, "" where there is none.
        superseded_by: what it gave way to, None where it counts.
        root: the root table of its family.
        cursor, stretch, digest: as those of a load.
        catalog_version: of the catalogue that its family was made from.
        seq: grows from load to load.
    """

    load_id: str
    run_id: str
    endpoint: str
    mode: str
    rows: Mapping[str, int]
    schema_version: int
    archive: str
    superseded_by: str | None
    root: str
    cursor: str | None
    stretch: str | None
    digest: str | None
    catalog_version: str
    seq: int

    @property
    def counts(self) -> bool:
        """Whether its rows are in the tables."""
        return self.superseded_by is None

    @property
    def rolled_back(self) -> bool:
        """Whether somebody took it back."""
        return str(self.superseded_by).startswith(ROLLED_BACK)


@dataclass(frozen=True, slots=True)
class SchemaLine:
    """A version of a table as the ledger has it.

    Attributes:
        endpoint, run_id: for whom and by which run; no run where somebody asked for it.
        table: its name.
        number: of the version.
        columns, key: of the table.
        changes: against the version before, in words.
        cause: why.
        catalog_version, shape: what the tables were made from.
        at: seconds since 1970.
        backup: the table that holds what the change touched as it was, "" where it touched nothing.
    """

    endpoint: str
    run_id: str
    table: str
    number: int
    columns: tuple[StoredColumn, ...]
    key: tuple[str, ...]
    changes: tuple[str, ...]
    cause: str
    catalog_version: str
    shape: Object
    at: float
    backup: str = ""


class Ledger:
    """The ledger of one warehouse.

    Args:
        tables: that hold its lines.
    """

    def __init__(self, tables: LedgerTables) -> None:
        self._tables = tables
        self._newest: tuple[tuple[str, ...], dict[str, tuple[int, int, str]]] | None = None

    # --- loads -----------------------------------------------------------------------------------

    def loads(
        self,
        *,
        endpoint: str = "",
        run_id: str = "",
        root: str = "",
        counting: bool = False,
        most: int = 0,
    ) -> list[LedgerLine]:
        """The loads, the newest first.

        Args:
            endpoint: whose, "" for all.
            run_id: of which run, "" for all.
            root: of the family with this root table, "" for all.
            counting: leave out those that gave way to another, or were rolled back.
            most: how many, 0 for all.
        """
        where = {"endpoint": endpoint, "run_id": run_id, "root_table": root}
        given: dict[str, object] = {name: value for name, value in where.items() if value}
        if counting:
            given["superseded_by"] = None
        return self._lines(given, most)

    def lines_of(self, loads: Sequence[Load]) -> dict[str, LedgerLine]:
        """The lines of those loads that the ledger has, by the id of the load."""
        found = self._lines({"load_id": _one_or_more([load.id for load in loads])})
        return {line.load_id: line for line in found}

    def loads_of_runs(self, endpoint: str, runs: Sequence[str]) -> list[LedgerLine]:
        """The loads of some runs that count, the newest first."""
        runs_ = _one_or_more(runs)
        return self._lines({"endpoint": endpoint, "run_id": runs_, "superseded_by": None})

    def newest(self, endpoint: str, *, counting: bool = True) -> LedgerLine | None:
        """The newest load of an endpoint; None before its first."""
        return next(iter(self.loads(endpoint=endpoint, counting=counting, most=1)), None)

    def newest_before(self, endpoint: str, load_id: str) -> LedgerLine | None:
        """The newest load of an endpoint that counts, or counted until another took its place.

        Args:
            endpoint: whose.
            load_id: of the load that took the place.
        """
        gone = self._lines({"endpoint": endpoint, "superseded_by": load_id}, 1)
        found = [*gone, *self.loads(endpoint=endpoint, counting=True, most=1)]
        return max(found, key=lambda line: line.seq, default=None)

    def cursor(self, endpoint: str, *, without: str = "") -> str | None:
        """Where an endpoint goes on, by its newest load that says it; None where none does.

        Args:
            endpoint: whose.
            without: a run whose loads do not count.
        """
        where = {"endpoint": endpoint, "superseded_by": None, "cursor": PRESENT}
        for most in (RECENT, 0) if without else (1,):
            rows = self._tables.read(LOADS, ["run_id", "cursor"], where, newest=most)
            for run, cursor in rows:
                if run != without:
                    return str(cursor)
            if len(rows) < most:
                break
        return None

    def stretches(self, endpoint: str) -> list[str]:
        """The pieces of history that the backfills of an endpoint have read, in no order."""
        where = {"endpoint": endpoint, "superseded_by": None, "stretch": PRESENT}
        return [str(text) for (text,) in self._tables.read(LOADS, ["stretch"], where)]

    def mode(self, endpoint: str, root: str) -> str | None:
        """The storage mode of an endpoint's newest load of a family that counts; None before one.

        A record of the quarantine that is stored later is appended to a `replace`, and does not
        tell.
        """
        where = {"endpoint": endpoint, "root_table": root, "superseded_by": None}
        for most in (RECENT, 0):
            lines = self._tables.read(LOADS, ["run_id", "mode"], where, newest=most)
            replaced = {run for run, mode in lines if mode == "replace"}
            for run, mode in lines:
                if mode != "append" or run not in replaced:
                    return str(mode)
            if len(lines) < most:
                break
        return None

    def filled_by_others(self, endpoint: str, root: str) -> list[tuple[str, str]]:
        """The other endpoints that have stored in a root table, and by which mode each."""
        where = {"root_table": root, "superseded_by": None}
        found = self._tables.distinct(LOADS, ["endpoint", "mode"], where)
        return sorted((str(name), str(mode)) for name, mode in found if name != endpoint)

    def runs(self, endpoint: str, mode: str, root: str) -> list[str]:
        """The runs of an endpoint that have stored in a root table by a mode, and count."""
        where = {"endpoint": endpoint, "mode": mode, "root_table": root, "superseded_by": None}
        return [str(run) for (run,) in self._tables.distinct(LOADS, ["run_id"], where)]

    def recent_runs(self, endpoint: str, most: int = RECENT) -> list[str]:
        """The runs of the newest loads of an endpoint, the newest first.

        Args:
            endpoint: its name.
            most: how many loads are looked at.
        """
        rows = self._tables.read(LOADS, ["run_id"], {"endpoint": endpoint}, newest=most)
        return list(dict.fromkeys(str(run) for (run,) in rows))

    def family(self, root: str) -> list[str]:
        """The tables that belong to the family of a root table."""
        rows = self._tables.read(OWNERS, ["table_name"], {"family": root})
        return sorted({str(name) for (name,) in rows})

    def tables_of(self, endpoint: str) -> list[str]:
        """The tables of all families that an endpoint has ever stored."""
        roots = self._tables.distinct(LOADS, ["root_table"], {"endpoint": endpoint})
        return [name for (root,) in sorted(roots) for name in self.family(root)]

    def tables_of_run(self, endpoint: str, run_id: str) -> list[str]:
        """The tables of the families that a run has stored and that count."""
        lines = self.loads(endpoint=endpoint, run_id=run_id, counting=True)
        roots = dict.fromkeys(line.root for line in reversed(lines))
        return [name for root in roots for name in self.family(root)]

    def refuse_overtaken(self, load: Load) -> None:
        """Keep a run from storing that was thought dead, and whose endpoint another has run since.

        Raises:
            Busy: the ledger has a load of a later claim.
        """
        if load.token is None:
            return
        where = {"endpoint": load.endpoint, "token": PRESENT}
        # Who has a lower one is refused, so the newest line has the greatest.
        if any(
            token > load.token for (token,) in self._tables.read(LOADS, ["token"], where, newest=1)
        ):
            raise Busy(
                f"The run {load.run_id} of {load.endpoint} lost its claim, and a later one has "
                "stored.",
                remedy="Nothing of it was stored; its answers are in the archive.",
            )

    def supersede(self, endpoint: str, runs: Collection[str], by: str) -> None:
        """Let the loads of runs count no longer, and forget what they set aside."""
        if not runs:
            return
        theirs = {"endpoint": endpoint, "run_id": tuple(runs)}
        self._tables.change(LOADS, {"superseded_by": by}, {**theirs, "superseded_by": None})
        self._tables.remove(QUARANTINE, theirs)

    def supersede_each(self, endpoint: str, by: Mapping[str, str]) -> None:
        """As `supersede`, where each run gives way to a load of its own.

        Args:
            endpoint: whose.
            by: the id of the load, by the run.
        """
        if len(by) == 1:
            [(run, load)] = by.items()
            self.supersede(endpoint, [run], load)
            return
        counting = {"endpoint": endpoint, "superseded_by": None}
        self._tables.change_each(LOADS, "superseded_by", "run_id", by, counting)
        self._tables.remove(QUARANTINE, {"endpoint": endpoint, "run_id": tuple(by)})

    def write_loads(self, stored: Sequence[tuple[Load, Mapping[str, int], int]]) -> None:
        """Write the lines of loads, what they learned, what they set aside and what they checked.

        Args:
            stored: loads of one endpoint; each with the rows that it stored, by table, and the
                version of its tables.
        """
        [endpoint] = {load.endpoint for load, _, _ in stored}
        loads = [load for load, _, _ in stored]
        self._tables.add(LOADS, [_line(*each) for each in stored])
        self._write_drift(endpoint, loads)
        self._tables.add(QUARANTINE, [line for load in loads for line in _set_aside(load)])
        self.note_checks(
            *(Checked(endpoint, one.run_id, one.id, one.committed_at, one.checks) for one in loads)
        )

    def _write_drift(self, endpoint: str, loads: Sequence[Load]) -> None:
        """Write what loads learned that was not known before."""
        learning = [load for load in loads if load.drift]
        known = self._known_drift(endpoint) if learning else set()
        lines = []
        for load in learning:
            new = [f for f in load.drift if (f.table, f.column, f.type) not in known]
            known |= {(found.table, found.column, found.type) for found in new}
            lines += [
                {
                    "endpoint": endpoint,
                    "table_name": found.table,
                    "column_name": found.column,
                    "type": found.type,
                    "example": found.example,
                    "cause": found.cause,
                    "run_id": load.run_id,
                    "seen_at": utc(load.committed_at),
                }
                for found in new
            ]
        self._tables.add(DRIFT, lines)

    def take_off(self, endpoint: str, gone: Mapping[str, Mapping[str, int]]) -> None:
        """Count rows no longer that were deleted because they are too old.

        Args:
            endpoint: whose loads stored them.
            gone: how many rows of each run, by table.
        """
        left: dict[str, dict[str, int]] = {}
        for table, by_run in gone.items():
            for run, number in by_run.items():
                left.setdefault(run, {})[table] = number
        changed: dict[str, list[str]] = {}
        runs = sorted(left)
        for at in range(0, len(runs), RECENT):
            some = tuple(runs[at : at + RECENT])
            for line in self._lines({"endpoint": endpoint, "run_id": some}):
                theirs = left[line.run_id]
                rows = dict(line.rows)
                for table, count in rows.items():
                    less = min(count, theirs.get(table, 0)) if line.counts else 0
                    if less:
                        rows[table] = count - less
                        theirs[table] -= less
                if rows != line.rows:
                    changed.setdefault(json.dumps(rows), []).append(line.load_id)
        for text, loads in changed.items():
            for at in range(0, len(loads), RECENT):
                where = {"load_id": tuple(loads[at : at + RECENT])}
                self._tables.change(LOADS, {"rows": text}, where)

    def correct(self, table: str, seqs: Sequence[int], values: Mapping[str, object]) -> None:
        """Give lines of one of its tables other values.

        Args:
            table: the name of the table.
            seqs: of the lines.
            values: by the names of the columns.
        """
        [known] = [each for each in TABLES if each.name == table]
        for at in range(0, len(seqs), RECENT):
            self._tables.change(known, values, {SEQ: tuple(seqs[at : at + RECENT])})

    def forget_set_aside(self, endpoint: str, before: float) -> None:
        """Forget records of the quarantine that were set aside before a moment.

        Args:
            endpoint: whose.
            before: seconds since 1970.
        """
        names = ("quarantine_id", "quarantined_at")
        lines = self._tables.read(QUARANTINE, names, {"endpoint": endpoint})
        old = [str(name) for name, at in lines if at.timestamp() < before]
        self.settle(old)

    def _lines(self, where: Mapping[str, object], most: int = 0) -> list[LedgerLine]:
        return [
            LedgerLine(
                load, run, name, mode, json.loads(rows), int(version), file or "", gone, root or "",
                *facts,
            )
            for load, run, name, mode, rows, version, file, gone, root, *facts in self._tables.read(
                LOADS, _LINE, where, newest=most
            )
        ]  # fmt: skip

    def endpoints(self) -> list[str]:
        """The endpoints that have ever stored something or own a table, in order."""
        found = {name for (name,) in self._tables.distinct(LOADS, ["endpoint"], {})}
        return sorted(map(str, found | {owner.endpoint for owner in self.owners()}))

    def tables(self) -> list[str]:
        """The tables that were ever stored, in order; some may be gone."""
        stored = {table for table, _ in self.first_versions()}
        return sorted(stored | {owner.table for owner in self.owners()})

    def lines(
        self, table: LedgerTable, columns: Sequence[str], where: Where, most: int = 0
    ) -> list[dict[str, Any]]:
        """Lines of one of its tables, the newest first, each by the names of its columns.

        Args:
            table: that has them.
            columns: their names.
            where: which lines.
            most: how many, 0 for all.
        """
        found = self._tables.read(table, columns, where, newest=most)
        return [dict(zip(columns, line, strict=True)) for line in found]

    # --- drift, quarantine, checks ---------------------------------------------------------------

    def _known_drift(self, endpoint: str) -> set[tuple[str, str, str]]:
        """The columns whose newest line says that they were learned, and their types."""
        names = ("table_name", "column_name", "type", "cause")
        newest: dict[tuple[str, str, str], str] = {}
        for *column, cause in self._tables.read(DRIFT, names, {"endpoint": endpoint}):
            newest.setdefault((column[0], column[1], column[2]), str(cause))
        return {name for name, cause in newest.items() if not cause.startswith(ROLLBACK)}

    def forget_drift(self, endpoint: str, run_id: str) -> None:
        """Forget what a run learned."""
        self._tables.remove(DRIFT, {"endpoint": endpoint, "run_id": run_id})

    def tell_again(self, table: str, columns: Collection[str], version: int, at: float) -> None:
        """A line for each learned column of a table: what comes after it is news.

        Args:
            table: that was taken back.
            columns: that it had.
            version: to which it was taken back.
            at: when, seconds since 1970.
        """
        if not columns:
            return
        names = ("endpoint", "table_name", "column_name", "type")
        where = {"table_name": table, "column_name": tuple(sorted(columns))}
        lines = sorted(self._tables.distinct(DRIFT, names, where))
        facts = {"cause": f"{ROLLBACK}{version}", "run_id": "", "seen_at": utc(at)}
        self._tables.add(
            DRIFT, [{**dict(zip(names, line, strict=True)), **facts} for line in lines]
        )

    def set_aside(self, endpoint: str) -> set[str]:
        """The records of an endpoint that are in the quarantine, as JSON."""
        rows = self._tables.read(QUARANTINE, ["record"], {"endpoint": endpoint})
        return {str(record) for (record,) in rows}

    def settle(self, quarantine_ids: Sequence[str]) -> None:
        """Take records out of the quarantine that are stored now."""
        if quarantine_ids:
            self._tables.remove(QUARANTINE, {"quarantine_id": tuple(quarantine_ids)})

    def note_checks(self, *checked: Checked) -> None:
        """Write what came of the checks of loads of one endpoint, in their order.

        A check that passes has one line, which every run that passes it renews: an endpoint that
        runs each minute for years would fill the ledger with good news. A failure has a line of its
        own, and the newest `KEPT_FAILURES` of each check stay.
        """
        checked = tuple(each for each in checked if each.results)
        if not checked:
            return
        names = ("table_name", "check_text", "passed", "times", SEQ)
        theirs = {"endpoint": checked[0].endpoint}
        old: dict[tuple[str, str, bool], list[tuple[int, int]]] = {}
        for table, check, passed, times, seq in self._tables.read(CHECKS, names, theirs):
            old.setdefault((table, check, passed), []).append((int(times), int(seq)))
        new: dict[tuple[str, str, bool], list[tuple[int, int, dict[str, object]]]] = {}
        gone: list[int] = []
        results = [(each, result) for each in checked for result in each.results]
        for number, (each, result) in enumerate(results):
            key = (result.table, result.check, result.passed)
            before, since = old.get(key, []), new.get(key, [])
            count = 1
            if result.passed:
                count += max((*(n for n, _ in before), *(n for _, n, _ in since)), default=0)
            left = 0 if result.passed else KEPT_FAILURES - 1
            since = since[max(len(since) - left, 0) :]
            left -= len(since)
            gone += [seq for _, seq in before[left:]]
            old[key] = before[:left]
            new[key] = [*since, (number, count, _check_line(each, result, count))]
        if gone:
            self._tables.remove(CHECKS, {SEQ: tuple(gone)})
        added = sorted(line for lines in new.values() for line in lines)
        self._tables.add(CHECKS, [line for _, _, line in added])

    # --- owners ----------------------------------------------------------------------------------

    def owners(self, tables: Sequence[str] | None = None) -> tuple[TableOwner, ...]:
        """Whose each table is; also of tables that are no longer there.

        Args:
            tables: of these alone; None for all.
        """
        names = ("table_name", "family", "plain", "path", "endpoint")
        where: dict[str, object] = {} if tables is None else {"table_name": tuple(tables)}
        rows = self._tables.read(OWNERS, names, where)
        return tuple(TableOwner(*map(str, row)) for row in reversed(rows))

    def write_owners(self, owners: Sequence[TableOwner], at: float) -> None:
        """Write whose tables are, in the place of what was known of them."""
        if not owners:
            return
        self._tables.remove(OWNERS, {"table_name": tuple(owner.table for owner in owners)})
        lines = [
            {
                "table_name": owner.table,
                "family": owner.family,
                "plain": owner.plain,
                "path": owner.path,
                "endpoint": owner.endpoint,
                "owned_at": utc(at),
            }
            for owner in owners
        ]
        self._tables.add(OWNERS, lines)

    # --- versions --------------------------------------------------------------------------------

    def known_shape(self, endpoint: str) -> Object | None:
        """The newest shape of an endpoint, with what others learned that fill the same tables."""
        where: list[dict[str, object]] = [{"endpoint": endpoint}]
        if tables := tuple(self.tables_of(endpoint)):
            where.append({"table_name": tables})
        newest: dict[str, int] = {}
        for each in where:
            for name, seq in self._tables.read(SCHEMAS, ["endpoint", SEQ], each):
                newest[name] = max(int(seq), newest.get(name, 0))
        known: Object | None = None
        for shape in self._shapes(newest, first=endpoint).values():
            known = shape if known is None else adopt(known, shape)
        return known

    def shapes(self, table: str, first: str) -> dict[str, Object]:
        """What every endpoint knows that has a version of a table: its newest shape.

        Args:
            table: its name.
            first: the endpoint that comes first.
        """
        names = self._tables.distinct(SCHEMAS, ["endpoint"], {"table_name": table})
        endpoints = tuple(str(name) for (name,) in names)
        newest: dict[str, int] = {}
        for name, seq in self._tables.read(SCHEMAS, ["endpoint", SEQ], {"endpoint": endpoints}):
            newest[name] = max(int(seq), newest.get(name, 0))
        return self._shapes(newest, first=first)

    def _shapes(self, lines: Mapping[str, int], first: str) -> dict[str, Object]:
        """The shapes that lines have, by endpoint."""
        found = {}
        for name in sorted(lines, key=lambda name: (name != first, name)):
            ((text,),) = self._tables.read(SCHEMAS, ["shape"], {SEQ: lines[name]})
            if (shape := _shape(text)) is not None:
                found[name] = shape
        return found

    def versions(self, table: str) -> list[SchemaLine]:
        """The versions of a table, the oldest first."""
        return sorted(self._schema_lines({"table_name": table}), key=lambda line: line.number)

    def versions_of(self, endpoint: str) -> list[SchemaLine]:
        """The versions of all tables of which an endpoint made one, in the order of the ledger."""
        tables = self._tables.distinct(SCHEMAS, ["table_name"], {"endpoint": endpoint})
        names = tuple(str(name) for (name,) in tables)
        return list(self._schema_lines({"table_name": names}))[::-1] if names else []

    def first_versions(self) -> list[tuple[str, str]]:
        """Each table that was ever stored and the endpoint that made it, the oldest first."""
        rows = self._tables.read(SCHEMAS, ("table_name", "endpoint"), {})
        found: dict[str, str] = {}
        for table, name in reversed(rows):
            found.setdefault(str(table), str(name))
        return list(found.items())

    def history(self, table: str) -> list[Version]:
        """The versions of a table as its columns have it, the oldest first."""
        names = ("version", "cause", "columns")
        rows = self._tables.read(SCHEMAS, names, {"table_name": table})
        return [Version(number, cause, _columns(text)) for number, cause, text in sorted(rows)]

    def newest_versions(self, tables: Sequence[str]) -> dict[str, tuple[int, tuple[str, ...]]]:
        """The number of the newest version of each table, and its key."""
        return {
            name: (version, tuple(map(str, json.loads(key))))
            for name, (version, _, key) in self._newest_of(tables).items()
        }

    def _newest_of(self, tables: Sequence[str]) -> dict[str, tuple[int, int, str]]:
        """The number of the newest version of each table, its place in the ledger, and its key."""
        if self._newest is None or self._newest[0] != tuple(tables):
            names = ("table_name", "version", SEQ, "key")
            rows = self._tables.read(SCHEMAS, names, {"table_name": tuple(tables)})
            found = {str(name): (int(v), int(seq), key) for name, v, seq, key in sorted(rows)}
            self._newest = (tuple(tables), found)
        return self._newest[1]

    def telling(self, table: str) -> frozenset[str]:
        """The parameters of the query that are in the key of a stored table."""
        found = self._tables.read(SCHEMAS, ("columns", "key"), {"table_name": table}, newest=1)
        return frozenset(
            column.origin[1][1]
            for columns, key in found
            for column in versions.read(json.loads(columns))
            if column.origin[2] and column.origin[1][0] == PARAMETER
            if column.name in json.loads(key)
        )

    def names(self, family: TableFamily) -> Names:
        """What the columns of a family's tables are called, by where they come from.

        Tables whose newest version calls all of them as the family does are left out: no load of a
        table that stays as it is reads its whole history.
        """
        newest = self._newest_of([table.name for table in family.tables])
        called: dict[str, dict[Origin, str]] = {}
        if newest:
            lines = {SEQ: tuple(seq for _, seq, _ in newest.values())}
            for name, text in self._tables.read(SCHEMAS, ("table_name", "columns"), lines):
                called[str(name)] = _called([Version(0, "", _columns(text))])
        return {
            table.name: _called(self.history(table.name))
            for table in family.tables
            if table.name in called
            and any(called[table.name].get(origin(c)) != c.name for c in table.data_columns)
        }

    def add_version(self, line: SchemaLine) -> None:
        """Write a new version of a table."""
        shape = msgspec.json.encode(notation.write_whole(line.shape, {})).decode()
        values = {
            "endpoint": line.endpoint,
            "table_name": line.table,
            "version": line.number,
            "columns": json.dumps(versions.write(line.columns)),
            "key": json.dumps(list(line.key)),
            "diff": json.dumps(list(line.changes)),
            "cause": line.cause,
            "run_id": line.run_id,
            "catalog_version": line.catalog_version,
            "shape": shape,
            "created_at": utc(line.at),
            "backup": line.backup or None,
        }
        self._tables.add(SCHEMAS, [values])
        self._newest = None

    def _schema_lines(self, where: Mapping[str, object]) -> Iterator[SchemaLine]:
        for row in self._tables.read(SCHEMAS, _SCHEMA, where):
            values: dict[str, Any] = dict(zip(_SCHEMA, row, strict=True))
            yield SchemaLine(
                values["endpoint"],
                values["run_id"],
                values["table_name"],
                int(values["version"]),
                _columns(values["columns"]),
                tuple(json.loads(values["key"])),
                tuple(json.loads(values["diff"])),
                values["cause"],
                values["catalog_version"],
                _shape(values["shape"]) or Object(()),
                values["created_at"].timestamp(),
                values["backup"] or "",
            )


def _one_or_more(values: Sequence[str]) -> str | tuple[str, ...]:
    """Values for a filter of lines."""
    return values[0] if len(values) == 1 else tuple(values)


def _line(load: Load, rows: Mapping[str, int], version: int) -> dict[str, object]:
    """The line of a load."""
    return {
        "load_id": load.id,
        "run_id": load.run_id,
        "endpoint": load.endpoint,
        "mode": load.mode,
        "rows": json.dumps(dict(rows)),
        "cursor": load.cursor,
        "schema_version": version,
        "archive_file": load.archive or None,
        "quarantined": len(load.rejected),
        "drift": len(load.drift),
        "catalog_version": load.catalog_version,
        "committed_at": utc(load.committed_at),
        "stretch": load.stretch,
        "digest": load.digest,
        "token": load.token,
        "root_table": load.family.tables[0].name,
        "key_owner": load.key_owner,
    }


def _set_aside(load: Load) -> list[dict[str, object]]:
    """The lines of the records that a load set aside."""
    return [
        {
            "quarantine_id": f"{load.id}-{number}",
            "endpoint": load.endpoint,
            "run_id": load.run_id,
            "page": record.page,
            "path": record.path,
            "reason": record.reason,
            "record": record.record,
            "again": record.again,
            "archive_file": load.archive or None,
            "quarantined_at": utc(load.committed_at),
        }
        for number, record in enumerate(load.rejected)
    ]


def _check_line(checked: Checked, result: CheckResult, times: int) -> dict[str, object]:
    """The line of the result of a check."""
    return {
        "endpoint": checked.endpoint,
        "table_name": result.table,
        "check_text": result.check,
        "passed": result.passed,
        "failed_rows": result.failed,
        "example": result.example or None,
        "on_failure": result.on_failure,
        "run_id": checked.run_id,
        "load_id": checked.load_id,
        "times": times,
        "checked_at": utc(checked.at),
    }


def _called(past: Iterable[Version]) -> dict[Origin, str]:
    return {source: column.name for source, column in versions.current_columns(past).items()}


def _columns(text: str) -> tuple[StoredColumn, ...]:
    return versions.read(msgspec.json.decode(text))


def _shape(text: str) -> Object | None:
    found = notation.read(msgspec.json.decode(text), {}, {})
    return found if isinstance(found, Object) else None
