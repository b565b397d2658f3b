"""Tables of a DuckDB file: what is there, and the statements that make, change and fill them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from tcdatalogger.clock import utc
from tcdatalogger.models.evolution import Change, Step
from tcdatalogger.models.kept import Rows
from tcdatalogger.models.schema import TableSchema, Type
from tcdatalogger.services.duckdb.conservation import agree
from tcdatalogger.services.duckdb.engine import quoted
from tcdatalogger.services.duckdb.session import TYPES, Session
from tcdatalogger.services.warehouse.schema_changes import FORMER

BESIDE: Final = "_tcd_new_"


def create(name: str, table: TableSchema) -> str:
    """The statement that makes a table."""
    columns = ", ".join(f"{quoted(c.name)} {TYPES[c.type]}" for c in table.columns)
    return f"create table {quoted(name)} ({columns})"


def alter(session: Session, name: str, steps: Sequence[Step]) -> None:
    """Add columns and widen others; other steps are not for this."""
    for step in steps:
        column = quoted(step.column)
        if step.change is Change.COLUMN:
            kind = TYPES[Type(step.type)]
            session.execute(f"alter table {quoted(name)} add column {column} {kind}")
        elif step.change is Change.WIDER:
            kind = TYPES[Type(step.type)]
            session.execute(f"alter table {quoted(name)} alter {column} type {kind}")


def insert(session: Session, target: str, rows: Rows) -> int:
    """Add rows to a table; how many."""
    session.insert(quoted(target), rows)
    return int(rows.num_rows)


def copy(session: Session, target: str, source: str) -> int:
    """Insert a relation that DuckDB has already."""
    found = session.execute(f"insert into {quoted(target)} by name from {source}").fetchone()
    return int(found[0]) if found else 0


def swap(session: Session, name: str, beside: str) -> None:
    """The new table takes the name; the old one stays under another for one rollback."""
    former = f"{FORMER}{name}"
    session.execute(f"drop table if exists {quoted(former)}")
    session.execute(f"alter table {quoted(name)} rename to {quoted(former)}")
    session.execute(f"alter table {quoted(beside)} rename to {quoted(name)}")


def swap_in_place(session: Session, name: str, beside: str) -> None:
    """The new table takes the name, and what is kept for a rollback stays as it is."""
    session.execute(f"drop table {quoted(name)}")
    session.execute(f"alter table {quoted(beside)} rename to {quoted(name)}")


def swap_back(session: Session, name: str) -> None:
    """The former table takes its name again."""
    session.execute(f"drop table {quoted(name)}")
    session.execute(f"alter table {quoted(f'{FORMER}{name}')} rename to {quoted(name)}")


def count(session: Session, name: str) -> int:
    """How many rows a table has."""
    [(rows,)] = session.execute(f"select count(*) from {quoted(name)}").fetchall()
    return int(rows)


def counts(session: Session, names: Iterable[str]) -> dict[str, int]:
    """How many rows tables have; none where they are not there."""
    return {n: count(session, n) if session.exists(n) else 0 for n in names}


def of_runs(session: Session, names: Iterable[str], runs: Sequence[str]) -> dict[str, int]:
    """How many rows of runs can be read in tables; none where they are not there.

    DuckDB answers a `count(*)` alone from what it keeps about a table, also where the rows
    cannot be read.
    """
    found = {}
    for name in names:
        found[name] = 0
        if runs and session.exists(name):
            test = "_run_id = ?" if len(runs) == 1 else "list_contains(?, _run_id)"
            [(found[name],)] = session.execute(
                f"select count(*) from {quoted(name)} where {test}",
                [runs[0] if len(runs) == 1 else list(runs)],
            ).fetchall()
    return found


def of_each_run(
    session: Session, names: Iterable[str], runs: Sequence[str]
) -> dict[str, dict[str, int]]:
    """As `of_runs` for each run: by run, and then by table."""
    found: dict[str, dict[str, int]] = {run: {} for run in runs}
    for name in names:
        counted: dict[str, int] = {}
        if session.exists(name):
            # By the lowest and the highest DuckDB leaves out the parts of a table without them.
            counted = dict(
                session.execute(
                    f"select _run_id, count(*) from {quoted(name)} "
                    "where _run_id between ? and ? and list_contains(?, _run_id) group by all",
                    [min(runs), max(runs), list(runs)],
                ).fetchall()
            )
        for run in runs:
            found[run][name] = int(counted.get(run, 0))
    return found


def take_out(session: Session, name: str, runs: Sequence[str]) -> int:
    """Delete the rows of runs; how many.

    Raises:
        Unbalanced: some of them are still there, or others are not.
    """
    before = count(session, name)
    ours = f"from {quoted(name)} where list_contains(?, _run_id)"
    [(wanted,)] = session.execute(f"select count(*) {ours}", [list(runs)]).fetchall()
    session.execute(f"delete {ours}", [list(runs)])
    gone = before - count(session, name)
    agree(name, "those that were taken out", int(wanted), gone)
    return gone


def expired(session: Session, name: str, columns: Sequence[str], before: float) -> dict[str, int]:
    """How many rows are of a time before a moment, by run (`Transaction.expired`)."""
    rows = session.execute(
        f"select coalesce(_run_id, ''), count(*) from {quoted(name)} where {_age(columns)} < ? "
        "group by all",
        [utc(before)],
    ).fetchall()
    return {str(run): int(count) for run, count in rows}


def expire(session: Session, name: str, columns: Sequence[str], before: float) -> None:
    """Delete the rows that `expired` counts.

    Raises:
        Unbalanced: other rows went.
    """
    wanted, rows = sum(expired(session, name, columns, before).values()), count(session, name)
    session.execute(f"delete from {quoted(name)} where {_age(columns)} < ?", [utc(before)])
    agree(name, "those that have expired", wanted, rows - count(session, name))


def _age(columns: Sequence[str]) -> str:
    return f"coalesce({', '.join(map(quoted, columns))}, null)"
