"""Tables made to fit: planned, refused where a value could be lost, changed, taken back.

All of it happens inside of one transaction; nothing here begins or ends one. Where it is only to be
looked at, nothing is changed: a plan is made, and values are counted that would change by it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

import pyarrow as pa

from tcdatalogger.errors import DataRefused, UsageError
from tcdatalogger.models import versions as model
from tcdatalogger.models.evolution import (
    Change,
    Origin,
    Step,
    StoredTypes,
    adopt,
    plan,
    taken_back,
    too_long,
)
from tcdatalogger.models.records import VERSION
from tcdatalogger.models.schema import TableFamily, TableSchema, Type
from tcdatalogger.models.versions import ROLLBACK, StoredColumn, kept
from tcdatalogger.services.warehouse import owners
from tcdatalogger.services.warehouse.ledger import Ledger, SchemaLine
from tcdatalogger.services.warehouse.load import Load
from tcdatalogger.services.warehouse.transaction import Transaction

ACCEPTED: Final = "accepted"
"""The cause of a version that somebody asked for."""

BEFORE: Final = "_tcd_before_"
"""Prefix of the tables that hold the columns which a change touched, as they were before it."""

FORMER: Final = "_tcd_former_"
"""Prefix of the tables that hold what a `replace` replaced, for one rollback."""

MERGED: Final = "_tcd_merged_"
"""Prefix of the tables that hold what the newest `merge` of an endpoint replaced: then the
endpoint's name, which never has two underscores together, two of them, and the table's name."""

TOUCHES: Final = frozenset({Change.WIDER, Change.RETYPED, Change.DROPPED})
"""The changes by which a value could be lost: what they touch is kept."""

_RETYPES: Final = frozenset({Change.WIDER, Change.RETYPED})
_REMEDY: Final = "Nothing was changed. Give the endpoint another `table`: it keeps both."


# --- for a load ------------------------------------------------------------------------------


def steps_to(transaction: Transaction, family: TableFamily) -> tuple[Step, ...]:
    """How the tables must change for a family, whether they may or not."""
    return plan(_stored(transaction, family), family, transaction.ledger.names(family))


def _stored(transaction: Transaction, family: TableFamily) -> StoredTypes:
    return transaction.stored([table.name for table in family.tables])


def plan_of(transaction: Transaction, load: Load) -> tuple[Step, ...]:
    """How the tables must change for a load.

    Raises:
        DataRefused: a change needs somebody's consent, or a column cannot hold what the load has.
    """
    stored = _stored(transaction, load.family)
    steps = plan(stored, load.family, transaction.ledger.names(load.family))
    if not all(step.free for step in steps):
        diff = "\n  ".join(map(str, steps))
        raise DataRefused(
            f"The tables of {load.endpoint} cannot take these rows:\n  {diff}\n",
            remedy=f"`tcdatalogger schema apply {load.endpoint} --accept` changes them, if no "
            "value is lost by it; or give the endpoint another `table`.",
        )
    _compare_whole(stored, load)
    return steps


def _compare_whole(stored: StoredTypes, load: Load) -> None:
    """Refuse integers that a column of floats would change.

    Raises:
        DataRefused: there is one.
    """
    for table in load.family.tables:
        for column in table.columns:
            is_float = stored.get(table.name, {}).get(column.name) is Type.FLOAT
            if is_float and column.type is Type.INT:
                _refuse_long(table.name, column.name, load.tables[table.name].column(column.name))


def _refuse_long(table: str, column: str, values: pa.ChunkedArray) -> None:
    changed = too_long(values)
    if changed:
        raise DataRefused(
            f"{table}.{column} is float, which would change {len(changed)} of the values, "
            f"as {changed[0]}.",
            remedy=_REMEDY,
        )


def take(transaction: Transaction, family: TableFamily, steps: Sequence[Step]) -> None:
    """Make the tables and columns that are missing, and change those that do not fit.

    Raises:
        DataRefused: a value would change.
    """
    for table in family.tables:
        own = [step for step in steps if step.table == table.name]
        if any(step.change is Change.TABLE for step in own):
            transaction.create(table)
        elif own:
            refuse_retyping(transaction, own)
            transaction.change(table.name, table.key, own)


def write_versions(ledger: Ledger, load: Load, steps: Sequence[Step], cause: str = "") -> int:
    """A new version of each table that changes; the newest version of the family's tables.

    The cause is found out where none is given.
    """
    there = ledger.newest_versions([table.name for table in load.family.tables])
    newest = {name: version for name, (version, _) in there.items()}
    for table in load.family.tables:
        version, key = there.get(table.name, (0, None))
        of_table = [step for step in steps if step.table == table.name]
        changes = [str(step) for step in of_table]
        if key is not None and key != tuple(table.key):
            changes.append(f"key: {', '.join(key)} -> {', '.join(table.key)}")
        learned = _learned(load, table, {step.column for step in of_table})
        if not changes and not learned:
            continue
        newest[table.name] = version + 1
        ledger.add_version(
            SchemaLine(
                load.endpoint,
                load.run_id,
                table.name,
                version + 1,
                kept(load.family, table),
                tuple(table.key),
                tuple(changes),
                cause or _cause(ledger, load, table, {s.column for s in of_table}, learned=learned),
                load.catalog_version,
                load.family.shape,
                load.committed_at,
                backup(load.mode, table.name, of_table),
            )
        )
    return max(newest.values(), default=0)


def backup(mode: str, table: str, steps: Sequence[Step]) -> str:
    """The table that holds what these steps touch as it was; "" where they touch nothing.

    A `replace` leaves the whole of the former table untouched.
    """
    if not any(step.table == table and step.change in TOUCHES for step in steps):
        return ""
    return f"{FORMER if mode == 'replace' else BEFORE}{table}"


def _learned(load: Load, table: TableSchema, added: set[str]) -> bool:
    """Whether a load brings columns of a table that the catalogue lacks and that are new.

    They are added, or were there already, of a field that the catalogue lost.
    """
    told = {found.column for found in load.drift if found.table == table.name}
    return any(column.learned for column in table.columns if column.name in told | added)


def _cause(
    ledger: Ledger, load: Load, table: TableSchema, changed: set[str], *, learned: bool
) -> str:
    """Why a table changes.

    Args:
        ledger: with the load before; that of this one is not in it yet.
        load: the load that changes the table.
        table: the table as the load has it.
        changed: the changed columns, "" for the whole table.
        learned: whether the load brings a column that the catalogue lacks.
    """
    if learned:
        return "drift"
    before = ledger.newest(load.endpoint, counting=False)
    if before is None:
        return "first load"
    added = {column.name for column in table.added} - set(VERSION)
    if changed and changed <= added:
        return "processor"
    if before.catalog_version != load.catalog_version:
        return "catalogue change"
    frames = not load.family.shape.fields
    of_frame = {"", *(column.name for column in table.data_columns)} - set(VERSION)
    return "processor" if frames and changed and changed <= of_frame else "configuration"


# --- on purpose ------------------------------------------------------------------------------


def apply(
    transaction: Transaction, load: Load, *, accept: bool, dry: bool = False
) -> tuple[Step, ...]:
    """Make the tables fit the family of a load that brings no rows; the steps that were taken.

    Args:
        transaction: with the tables.
        load: its family is what counts.
        accept: whether steps are taken that no load takes by itself.
        dry: change nothing, and count the values that would change.

    Raises:
        DataRefused: a step needs consent, or would change a value.
    """
    if dry:
        owners.refuse_others(transaction, load)
    else:
        owners.take(transaction, load)
    steps = steps_to(transaction, load.family)
    refused = [str(step) for step in steps if step.change is Change.REFUSED]
    if refused:
        raise DataRefused(
            f"The tables of {load.endpoint} cannot change so:\n  " + "\n  ".join(refused) + "\n",
            remedy="Choose other names in `columns`.",
        )
    if not accept and not all(step.free for step in steps):
        raise DataRefused(
            f"The tables of {load.endpoint} change only with your consent.",
            remedy=f"`tcdatalogger schema apply {load.endpoint} --accept` gives it.",
        )
    if dry:
        refuse_retyping(transaction, steps)
    elif steps:
        write_versions(transaction.ledger, load, steps, ACCEPTED)
        take(transaction, load.family, steps)
        _forget_kept(transaction, steps)
    return steps


def refuse_retyping(transaction: Transaction, steps: Iterable[Step]) -> None:
    """Refuse to give a column another type where a value would change by it.

    Raises:
        DataRefused: so it is; the message names the column and the first such value.
    """
    steps = list(steps)
    now = {(s.table, s.column): s.was for s in steps if s.change is Change.RENAMED}
    for step in steps:
        if step.change not in _RETYPES:
            continue
        column = now.get((step.table, step.column), step.column)
        why = transaction.why_not(step.table, column, Type(step.type))
        if why:
            raise refused(step.table, step.column, why)


def refused(table: str, column: str, why: str) -> DataRefused:
    """The error of a column that cannot get another type."""
    return DataRefused(
        f"{table}.{column} cannot change {why}.",
        remedy="Nothing was changed. Give the endpoint another `table`, and both stay.",
    )


def _forget_kept(transaction: Transaction, steps: Iterable[Step]) -> None:
    """What is kept for a rollback has the names and types of before: it would be mistaken."""
    tables = sorted({step.table for step in steps if not step.free})
    if tables:
        transaction.forget(tables=tables)


def back(
    transaction: Transaction, table: str, version: int, at: float, *, dry: bool = False
) -> tuple[Step, ...]:
    """Give a table the columns of an older version, as a new version; the steps that were taken.

    Columns that came since are dropped, those that are gone are there again without their values,
    the others have the names and the types that they had. What was learned since is forgotten, so
    that it is told again when it comes again.

    Args:
        transaction: with the table.
        table: its name.
        version: to go back to.
        at: when, seconds since 1970.
        dry: change nothing, and count the values that would change.

    Raises:
        UsageError: the table has no such version.
        DataRefused: a value does not fit the older type.
    """
    ledger = transaction.ledger
    lines = ledger.versions(table)
    chosen = next((line for line in lines if line.number == version), None)
    if chosen is None:
        raise UsageError(
            f"{table} has no version {version}.",
            remedy=f"`tcdatalogger schema history {table}` lists them.",
        )
    newest = lines[-1]
    past = ledger.history(table)
    now = model.current_columns(past)
    then = model.current_columns(each for each in past if each.number <= version)
    stored = transaction.stored([table]).get(table)
    if stored is None:
        raise UsageError(f"The table {table} is not there any more.")
    steps = tuple(_back(table, now, then, stored))
    refuse_retyping(transaction, steps)
    if not steps or dry:
        return steps
    transaction.change(table, chosen.key, steps)
    _forget_kept(transaction, steps)
    touched = {step.column for step in steps if step.change is not Change.RENAMED}
    places = {
        column.place
        for columns in (now, then)
        for column in columns.values()
        if column.name in touched and column.learned and column.place
    }
    again = any(step.change is Change.COLUMN for step in steps)
    number = newest.number
    for endpoint, shape in ledger.shapes(table, first=newest.endpoint).items():
        known = adopt(shape, chosen.shape) if again else shape
        left = taken_back(known, places, chosen.shape)
        if endpoint != newest.endpoint and left == shape:
            continue
        number += 1
        first = number == newest.number + 1
        ledger.add_version(
            SchemaLine(
                endpoint,
                "",
                table,
                number,
                tuple(then.values()),
                chosen.key,
                tuple(str(step) for step in steps) if first else (),
                f"{ROLLBACK}{version}",
                newest.catalog_version,
                left,
                at,
                backup("", table, steps),
            )
        )
    ledger.tell_again(table, touched, version, at)
    return steps


def _back(
    table: str,
    now: Mapping[Origin, StoredColumn],
    then: Mapping[Origin, StoredColumn],
    stored: Mapping[str, Type | None],
) -> Iterator[Step]:
    for source, column in now.items():
        if column.name not in stored:
            continue
        before, kind = then.get(source), stored[column.name]
        if before is None:
            yield Step(Change.DROPPED, table, column.name, was=kind or "another type")
            continue
        if before.name != column.name:
            yield Step(Change.RENAMED, table, before.name, before.type, column.name)
        if before.type is not kind:
            was = kind or "another type"
            yield Step(Change.RETYPED, table, before.name, before.type, was)
    for source, before in then.items():
        if source not in now or now[source].name not in stored:
            yield Step(Change.COLUMN, table, before.name, before.type)
