"""A table changed: what is touched is kept beside, and values and rows are compared.

All of it happens inside of a transaction; nothing here begins or ends one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from tcdatalogger.models.evolution import Change, Step
from tcdatalogger.models.schema import SYSTEM, Type
from tcdatalogger.services.duckdb import retype, tables
from tcdatalogger.services.duckdb.conservation import agree
from tcdatalogger.services.duckdb.engine import quoted
from tcdatalogger.services.duckdb.session import Session
from tcdatalogger.services.warehouse.schema_changes import BEFORE, TOUCHES

_PASSING: Final = "_tcd_renaming_"


def change(session: Session, name: str, key: Sequence[str], steps: Sequence[Step]) -> None:
    """Change one table: drop first, then rename, add, and change types.

    Args:
        session: in a transaction.
        name: of the table.
        key: of it, by its names after the change.
        steps: all of them are taken.

    Raises:
        DataRefused: a value would change.
    """
    before = tables.count(session, name)
    _back_up(session, name, key, steps)
    for step in steps:
        if step.change is Change.DROPPED:
            session.execute(f"alter table {quoted(name)} drop column {quoted(step.column)}")
    _rename(session, name, [step for step in steps if step.change is Change.RENAMED])
    tables.alter(session, name, [step for step in steps if step.change is Change.COLUMN])
    for step in steps:
        if step.change in {Change.WIDER, Change.RETYPED}:
            retype.column(session, name, step.column, Type(step.type))
    agree(name, "those after its columns changed", before, tables.count(session, name))


def _rename(session: Session, name: str, steps: Sequence[Step]) -> None:
    """By way of names in passing, as two columns may change places."""
    before = {step.column: retype.checksum(session, name, step.was) for step in steps}
    passing = {step.column: f"{_PASSING}{number}" for number, step in enumerate(steps)}
    ways = [(step.was, passing[step.column]) for step in steps]
    ways += [(passing[step.column], step.column) for step in steps]
    for old, new in ways:
        session.execute(f"alter table {quoted(name)} rename column {quoted(old)} to {quoted(new)}")
    after = {step.column: retype.checksum(session, name, step.column) for step in steps}
    _must_agree(name, before, after)


def _must_agree(name: str, before: Mapping[str, object], after: Mapping[str, object]) -> None:
    for column, sum_ in before.items():
        if sum_ != after[column]:
            raise retype.unlike(name, column)


def _back_up(session: Session, name: str, key: Sequence[str], steps: Sequence[Step]) -> None:
    """Keep the columns that will be touched, each row with its key: the newest copy of a table."""
    touched = [step.column for step in steps if step.change in TOUCHES]
    if not touched:
        return
    now = {step.column: step.was for step in steps if step.change is Change.RENAMED}
    there = session.stored([name])[name]
    wanted = dict.fromkeys(now.get(column, column) for column in (*key, *SYSTEM, *touched))
    columns = ", ".join(quoted(column) for column in wanted if column in there)
    target = quoted(f"{BEFORE}{name}")
    session.execute(f"create or replace table {target} as select {columns} from {quoted(name)}")
    whole = tables.count(session, name)
    agree(name, "those of its copy", whole, tables.count(session, f"{BEFORE}{name}"))
