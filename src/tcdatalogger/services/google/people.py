"""Values of columns are exchanged, and rows deleted by them, in a dataset of BigQuery."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from tcdatalogger.models.records import RUN
from tcdatalogger.models.schema import Type
from tcdatalogger.services.google import sql
from tcdatalogger.services.google.acts import Count
from tcdatalogger.services.google.session import Session

_MANY: Final = 200
"""Values in one statement, which has a million letters at most."""


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
    tests = [f"{sql.quoted(column)} is not null"]
    if having:
        some = (f"strpos(lower({told}), {sql.text(each)}) > 0" for each in having)
        tests.append(f"({' or '.join(some)})")
    if where is not None:
        tests.append(f"{_as_text(session, table, where[0])} = {sql.literal(where[1])}")
    asked = session.client.ask(
        f"select distinct {told} as v from {session.relation(_place(session, table))} o "
        f"where {' and '.join(tests)}",
        labels=session.labels,
    )
    return [row["v"] for row in asked.to_pylist()]


def rows_with(
    session: Session, table: str, column: str, wanted: Sequence[object]
) -> dict[str, int]:
    """How many rows have one of some values in a column, by run (`Transaction.rows_with`)."""
    found: dict[str, int] = {}
    run = RUN if RUN in session.stored([table])[table] else "''"
    for some in _pieces(wanted):
        asked = session.client.ask(
            f"select coalesce({run}, '') as run, count(*) as n "
            f"from {session.relation(_place(session, table))} o "
            f"where {sql.one_of(_as_text(session, table, column), some)} group by run",
            labels=session.labels,
        )
        for row in asked.to_pylist():
            found[str(row["run"])] = found.get(str(row["run"]), 0) + int(row["n"])
    return found


def exchange(
    session: Session, table: str, column: str, new: Mapping[object, Mapping[str, object]]
) -> None:
    """Give columns of rows other values (`Transaction.exchange`)."""
    session.touch([table])
    place, told = _place(session, table), _as_text(session, table, column)
    types = session.stored([table])[table]
    counts = []
    for some in _pieces(list(new)):
        sets = []
        for changed in new[some[0]]:
            cases = " ".join(
                f"when {sql.literal(value)} then {_value(new[value][changed], types[changed])}"
                for value in some
            )
            sets.append(f"{sql.quoted(changed)} = case {told} {cases} end")
        test = sql.one_of(told, some)
        where = session.where(place, test)
        target = sql.quoted(session.at(place))
        session.acts.add(f"update {target} set {', '.join(sets)} where {where}")
        left = f"select count(*) from {session.relation(place)} o where {test}"
        counts.append(Count(table, "those that still have another value", 0, left))
    session.acts.must_be(*counts)


def delete(session: Session, table: str, column: str, wanted: Sequence[object]) -> None:
    """Delete the rows that have one of some values in a column (`Transaction.delete`)."""
    session.touch([table])
    place = _place(session, table)
    gone = sum(rows_with(session, table, column, wanted).values())
    [rows] = session.numbers([session.count(place)])
    for some in _pieces(wanted):
        where = session.where(place, sql.one_of(_as_text(session, table, column), some))
        session.acts.add(f"delete from {sql.quoted(session.at(place))} where {where}")
    session.acts.must_be(Count(table, "those that are left", rows - gone, session.count(place)))


def _place(session: Session, table: str) -> str:
    """Where a table is; of what is kept for a rollback nobody else has it before the commit."""
    return session.private(table) if table in session.kept else table


def _as_text(session: Session, table: str, column: str) -> str:
    """A column as it is compared: JSON as a text."""
    kind = session.stored([table])[table].get(column)
    name = sql.quoted(column)
    return f"to_json_string({name})" if kind is Type.JSON else name


def _value(value: object, kind: Type | None) -> str:
    """A new value of a column."""
    if value is None:
        return f"cast(null as {sql.TYPES[kind or Type.TEXT]})"
    text = sql.literal(value)
    return f"parse_json({text}, wide_number_mode => 'round')" if kind is Type.JSON else text


def _pieces(wanted: Iterable[object]) -> Iterator[Sequence[object]]:
    found = list(wanted)
    for at in range(0, len(found), _MANY):
        yield found[at : at + _MANY]
