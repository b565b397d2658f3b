"""Values of columns are exchanged, and rows deleted by them, in a DuckDB file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from tcdatalogger.models.records import RUN
from tcdatalogger.models.schema import Type
from tcdatalogger.services.duckdb import tables
from tcdatalogger.services.duckdb.conservation import agree
from tcdatalogger.services.duckdb.engine import quoted
from tcdatalogger.services.duckdb.session import TYPES, Session

_MANY: Final = 500
"""Values in one statement."""


def values(
    session: Session,
    table: str,
    column: str,
    *,
    having: Sequence[str] = (),
    where: tuple[str, object] | None = None,
) -> list[object]:
    """The different values of a column (`Transaction.values`)."""
    told = _as_text(session, table, column)
    tests = [f"{quoted(column)} is not null"]
    given: list[object] = []
    if having:
        tests.append(f"({' or '.join(f'contains(lower({told}), ?)' for _ in having)})")
        given += having
    if where is not None:
        tests.append(f"{_as_text(session, table, where[0])} = ?")
        given.append(where[1])
    sql = f"select distinct {told} from {quoted(table)} where {' and '.join(tests)}"
    return [value for (value,) in session.execute(sql, given).fetchall()]


def counted(session: Session, table: str, column: str, wanted: Sequence[object]) -> int:
    """How many rows have one of some values in a column (`Transaction.counted`)."""
    return sum(rows_with(session, table, column, wanted).values())


def rows_with(
    session: Session, table: str, column: str, wanted: Sequence[object]
) -> dict[str, int]:
    """How many rows have one of some values in a column, by run (`Transaction.rows_with`)."""
    found: dict[str, int] = {}
    run = RUN if RUN in session.stored([table])[table] else "null"
    for some in _pieces(wanted):
        rows = session.execute(
            f"select coalesce({run}, ''), count(*) from {quoted(table)} "
            f"where {_as_text(session, table, column)} in ({_marks(some)}) group by all",
            list(some),
        ).fetchall()
        for name, count in rows:
            found[str(name)] = found.get(str(name), 0) + int(count)
    return found


def exchange(
    session: Session, table: str, column: str, new: Mapping[object, Mapping[str, object]]
) -> None:
    """Give columns of rows other values (`Transaction.exchange`).

    Raises:
        Unbalanced: some rows still have an old value.
    """
    before = tables.count(session, table)
    told = _as_text(session, table, column)
    types = session.stored([table])[table]
    for some in _pieces(list(new)):
        sets, given = [], list[object]()
        for changed in new[some[0]]:
            kind = types[changed]
            cases = " ".join("when ? then ?" for _ in some)
            cast = "JSON" if kind is Type.JSON else TYPES[kind or Type.TEXT]
            sets.append(f"{quoted(changed)} = cast(case {told} {cases} end as {cast})")
            for value in some:
                given += [value, new[value][changed]]
        session.execute(
            f"update {quoted(table)} set {', '.join(sets)} where {told} in ({_marks(some)})",
            [*given, *some],
        )
    left = counted(session, table, column, list(new))
    agree(table, "those that still have another value", 0, left)
    agree(table, "those after values were exchanged", before, tables.count(session, table))


def delete(session: Session, table: str, column: str, wanted: Sequence[object]) -> None:
    """Delete the rows that have one of some values in a column (`Transaction.delete`).

    Raises:
        Unbalanced: other rows went.
    """
    before, rows = tables.count(session, table), counted(session, table, column, wanted)
    told = _as_text(session, table, column)
    for some in _pieces(wanted):
        session.execute(f"delete from {quoted(table)} where {told} in ({_marks(some)})", list(some))
    agree(table, "those that were deleted", rows, before - tables.count(session, table))


def _as_text(session: Session, table: str, column: str) -> str:
    """A column as it is compared: JSON as a text."""
    kind = session.stored([table])[table].get(column)
    return f"cast({quoted(column)} as varchar)" if kind is Type.JSON else quoted(column)


def _marks(some: Sequence[object]) -> str:
    return ", ".join("?" * len(some))


def _pieces(wanted: Iterable[object]) -> Iterator[Sequence[object]]:
    found = list(wanted)
    for at in range(0, len(found), _MANY):
        yield found[at : at + _MANY]
