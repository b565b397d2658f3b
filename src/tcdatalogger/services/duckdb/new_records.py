"""Which records of a load are new: those that are not stored yet, or have changed since.

A record is a row of the root with all of its children. It is compared with its newest state that
was seen no later than itself, so that rows which are made again from the archive, in whatever
order, come out the same; and with the next one that was seen later, as a run may be stored after
one that was made after it. Everything counts but the time at which it was seen and by which run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from tcdatalogger.models.kept import Rows
from tcdatalogger.models.records import RUN, SEEN, SUBJECT, own
from tcdatalogger.models.schema import INDEX, Column, TableFamily, TableSchema
from tcdatalogger.services.duckdb import staging, tables
from tcdatalogger.services.duckdb.conservation import agree
from tcdatalogger.services.duckdb.engine import quoted
from tcdatalogger.services.duckdb.session import Session
from tcdatalogger.services.duckdb.staging import staged
from tcdatalogger.services.warehouse.load import Load
from tcdatalogger.services.warehouse.transaction import Moved

_JUDGED: Final = "_tcd_judged"
"""The temporary table with the records of a load, and whether each is stored already."""
_NEAREST: Final = "_tcd_nearest"


def append(session: Session, load: Load) -> Moved:
    """Add those records of a load that are new (`Transaction.append_new`)."""
    found = _find(session, load.family, load.tables)
    rows: dict[str, int] = {}
    left = dict(found.left) if found else {}
    for table in load.family.tables:
        source = found.rows.get(table.name) if found else None
        if found and source is None and not any(rows.values()):
            left[table.name] = load.tables[table.name].num_rows  # is no news of its own
        elif source is None:
            rows[table.name] = tables.insert(session, table.name, load.tables[table.name])
        else:
            rows[table.name] = tables.copy(session, table.name, source)
    _forget(session, load.family)
    return Moved(left_out=found.left_out if found else 0, left=left, chosen=any(rows.values()))


@dataclass(frozen=True, slots=True)
class _NewRecords:
    """What is to be stored of a load.

    Attributes:
        rows: relations to insert, by table; each has the columns of the table.
        left_out: how many records were stored already.
        left: how many rows these have, by table.
    """

    rows: Mapping[str, str]
    left_out: int
    left: Mapping[str, int]


def _find(session: Session, family: TableFamily, given: Mapping[str, Rows]) -> _NewRecords | None:
    """The records of a load that are new; None where all are: none is stored, or none has a key.

    The tables must be there with all the columns that the load has. Call `_forget` afterwards.

    Args:
        session: in the transaction of the load.
        family: of the load.
        given: its rows.

    Raises:
        Unbalanced: not all of a state was read, of the load or of the tables.
    """
    root = family.tables[0]
    records = [table for table in family.tables if not table.beside]
    key = [column for name in root.key if (column := root.column(name)) is not None]
    if not key or INDEX in root.key or any(own(table, key) is None for table in records):
        return None
    if given[root.name].num_rows and not session.any(f"from {quoted(root.name)}"):
        return None
    for table in records:
        staging.stage(session, table.name, given[table.name])
    names = ", ".join(f"k{number}" for number in range(len(key)))
    states = {which: _states(records, key, which) for which in ("new", "old")}
    same = " and ".join(f"n.k{n} is not distinct from o.k{n}" for n in range(len(key)))
    session.execute(
        f"""create temp table {_NEAREST} as
            select {_key(root, key, "o")}, o.{RUN} as run, o.{SEEN} > n.{SEEN} as later
            from {quoted(root.name)} o join {staged(root.name)} n on {_matches(root, key)}
            qualify row_number() over (
                partition by {_columns(root, key, "o")}, later
                order by greatest(o.{SEEN} - n.{SEEN}, n.{SEEN} - o.{SEEN}), o.rowid desc
            ) = 1"""
    )
    session.execute(
        f"""create temp table {_JUDGED} as
            with new as ({states["new"]}), old as ({states["old"]})
            select n.s, {", ".join(f"n.k{n}" for n in range(len(key)))}, n.rows as fresh,
                coalesce(sum(o.rows), 0) as stale, count(o.rows) > 0 as known,
                coalesce(bool_or(o.state = n.state), false) as same
            from new n left join old o on n.s is not distinct from o.s and {same}
            group by all"""
    )
    _must_be_judged(session, records, key, given)
    [(left_out,)] = session.execute(f"select count(*) from {_JUDGED} where same").fetchall()
    rows = {t.name: f"(select t.* from {_chosen(t, key, names, 'not same')})" for t in records}
    left = {t.name: _count(session, f"from {_chosen(t, key, names, 'same')}") for t in records}
    return _NewRecords(rows, int(left_out), left)


def _must_be_judged(
    session: Session,
    records: Sequence[TableSchema],
    key: Sequence[Column],
    given: Mapping[str, Rows],
) -> None:
    """Refuse a choice for which a state was not wholly read, of the load or of the tables."""
    root = records[0]
    whole = sum(given[table.name].num_rows for table in records)
    fresh = _count(session, f"from {_JUDGED}", "sum(fresh)")
    agree(root.name, "those of the records that were compared", whole, fresh)
    stored = sum(_count(session, f"from {_nearest(t, key)}") for t in records)
    stale = _count(session, f"from {_JUDGED}", "sum(stale)")
    agree(root.name, "those that they were compared with", stored, stale)
    there = _count(
        session,
        f"from (select distinct {_key(root, key, 'n')} from {staged(root.name)} n "
        f"semi join {quoted(root.name)} o on {_matches(root, key)})",
    )
    known = _count(session, f"from {_JUDGED} where known")
    agree(root.name, "the records that are known", there, known)


def _count(session: Session, what: str, how: str = "count(*)") -> int:
    [(count,)] = session.execute(f"select coalesce({how}, 0) {what}").fetchall()
    return int(count)


def _forget(session: Session, family: TableFamily) -> None:
    """Drop what `_find` has set beside."""
    session.execute(f"drop table if exists temp.{_JUDGED}")
    session.execute(f"drop table if exists temp.{_NEAREST}")
    for table in family.tables:
        session.execute(f"drop table if exists {staged(table.name)}")


def _states(records: Sequence[TableSchema], key: Sequence[Column], which: str) -> str:
    """A query for the state of each record: a text that is the same for records that are."""
    names = ", ".join(f"k{number}" for number in range(len(key)))
    parts = []
    later = "l.later" if which == "old" else "false"
    for number, table in enumerate(records):
        source = f"{staged(table.name)} t"
        if which == "old":
            source = _nearest(table, key)
        parts.append(
            f"select {_key(table, key, 't')}, {later} as later, "
            f"{staging.row_digests(table, number, 't')} from {source}"
        )
    return (
        f"select s, {names}, {staging.STATE} as state, count(*) as rows "
        f"from ({' union all '.join(parts)}) group by s, {names}, later"
    )


def _nearest(table: TableSchema, key: Sequence[Column]) -> str:
    """The stored rows of the states that records are compared with."""
    mine = own(table, key) or ()
    on = " and ".join(f"t.{quoted(c.name)} is not distinct from l.k{n}" for n, c in enumerate(mine))
    return (
        f"{quoted(table.name)} t join {_NEAREST} l on t.{RUN} is not distinct from l.run "
        f"and t.{SUBJECT} is not distinct from l.s and {on}"
    )


def _columns(table: TableSchema, key: Sequence[Column], alias: str) -> str:
    mine = own(table, key) or ()
    return ", ".join([f"{alias}.{SUBJECT}", *(f"{alias}.{quoted(c.name)}" for c in mine)])


def _key(table: TableSchema, key: Sequence[Column], alias: str) -> str:
    mine = own(table, key) or ()
    named = [f"{alias}.{quoted(column.name)} as k{n}" for n, column in enumerate(mine)]
    return ", ".join([f"{alias}.{SUBJECT} as s", *named])


def _matches(table: TableSchema, key: Sequence[Column]) -> str:
    names = [SUBJECT, *(quoted(column.name) for column in own(table, key) or ())]
    return " and ".join(f"o.{name} is not distinct from n.{name}" for name in names)


def _chosen(table: TableSchema, key: Sequence[Column], names: str, where: str) -> str:
    """The rows of a load that are of some of its records."""
    mine = own(table, key) or ()
    on = " and ".join(f"t.{quoted(c.name)} is not distinct from f.k{n}" for n, c in enumerate(mine))
    return (
        f"{staged(table.name)} t join (select s, {names} from {_JUDGED} where {where}) f "
        f"on t.{SUBJECT} is not distinct from f.s and {on}"
    )
