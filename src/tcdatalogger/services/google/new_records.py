"""Which records of a load are new: those that are not stored yet, or have changed since.

A record is a row of the root with all of its children. It is compared with its newest state that
was seen no later than itself, so that rows which are made again from the archive, in whatever
order, come out the same; and with the next one that was seen later, as a run may be stored after
one that was made after it. Everything counts but the time at which it was seen and by which run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tcdatalogger.models.records import RUN, SEEN, SUBJECT, Group, own
from tcdatalogger.models.schema import INDEX
from tcdatalogger.services.google import sql, staging
from tcdatalogger.services.google.acts import ENGINE, Count
from tcdatalogger.services.google.records import Records, of_runs
from tcdatalogger.services.google.session import Session
from tcdatalogger.services.warehouse.conservation import agree
from tcdatalogger.services.warehouse.load import Load
from tcdatalogger.services.warehouse.transaction import Moved


def append_new(session: Session, load: Load) -> Moved:
    """Add those records of a load that are new (`Transaction.append_new`)."""
    group = _records(load)
    if group is None:
        append(session, load, [table.name for table in load.family.tables])
        return Moved(chosen=any(rows.num_rows for rows in load.tables.values()))
    records = Records(session, load, group)
    prepare = _compare(records)
    row = _ask(records, prepare)
    names = [table.name for table in group.tables]
    fresh = {name: int(row[f"fresh{number}"]) for number, name in enumerate(names)}
    left = {name: int(row[f"left{number}"]) for number, name in enumerate(names)}
    if any(fresh.values()):
        _insert(records, prepare, fresh)
    beside = [table.name for table in load.family.tables if table.beside]
    if any(fresh.values()):
        append(session, load, beside, after=fresh)
    else:
        left |= {name: load.tables[name].num_rows for name in beside}  # no news of their own
    return Moved(left_out=int(row["left_out"]), left=left, chosen=any(fresh.values()))


def _insert(records: Records, prepare: Sequence[str], fresh: Mapping[str, int]) -> None:
    session = records.session
    had = session.numbers([records.rows_of_run(name) for name in fresh])
    for statement in prepare:
        session.acts.add(statement)
    for name, rows in fresh.items():
        if rows:
            records.insert(name)
    after = [before + rows for before, rows in zip(had, fresh.values(), strict=True)]
    counts = zip(fresh, after, strict=True)
    session.acts.must_be(
        *(Count(name, "those of the run", rows, records.rows_of_run(name)) for name, rows in counts)
    )
    for name, rows in zip(fresh, after, strict=True):
        session.expect(records.rows_of_run(name), rows)


def append(
    session: Session, load: Load, tables: Sequence[str], after: Mapping[str, int] | None = None
) -> None:
    """Add all rows of a load to some of its tables.

    Args:
        session: of the transaction.
        load: with the rows.
        tables: their names.
        after: tables that the load was given to before, whose rows are known.
    """
    told = {name: of_runs(session, name, load.runs) for name in (*tables, *(after or {}))}
    rows = dict(zip(told, session.numbers(list(told.values())), strict=True))
    for name in tables:
        count = load.tables[name].num_rows
        if count:
            columns = staging.columns(session, load, name)
            source = staging.rows(session, load, name)
            session.insert(name, columns, f"select {sql.names(columns)} from {source}")
            rows[name] += count
    if tables:
        session.acts.must_be(
            *(Count(name, "those of the run", rows[name], told[name]) for name in tables)
        )
    for name, count in rows.items():
        session.expect(told[name], count)


def _records(load: Load) -> Group | None:
    """The tables of the records, None where the load has no key to tell records by."""
    root = load.family.tables[0]
    tables = tuple(table for table in load.family.tables if not table.beside)
    key = [column for name in root.key if (column := root.column(name)) is not None]
    mine = {table.name: own(table, key) for table in tables}
    if not key or INDEX in root.key or None in mine.values():
        return None
    keys = {name: (SUBJECT, *(c.name for c in columns or ())) for name, columns in mine.items()}
    return Group(tables, keys)


def _compare(records: Records) -> list[str]:
    """Whether each record of a load is stored already."""
    group, root = records.group, records.group.root
    given = {table.name: records.given(table.name) for table in group.tables}
    parts = " union all ".join(
        f"select '{number}' as part, near.k, near.later, {sql.digest(table, 'o')} as told "
        f"from (select *, {records.key(table.name, 'o')} as k from {records.stored(table.name)} o) "
        f"o join {sql.quoted(_nearest(records))} near on o.k = near.k and o.{RUN} = near.run"
        for number, table in enumerate(group.tables)
    )
    return [
        records.temporary(
            _nearest(records),
            f"""with given as (
                select {records.key(root, "t")} as k, max(t.{SEEN}) as seen
                from {records.given(root)} t group by k)
            select k, run, later from (
                select given.k, o.run, o.seen > given.seen as later, row_number() over (
                    partition by given.k, o.seen > given.seen
                    order by abs(unix_micros(o.seen) - unix_micros(given.seen)), o.run desc)
                    as place
                from (select {records.key(root, "o")} as k, o.{RUN} as run, o.{SEEN} as seen
                    from {records.stored(root)} o) o
                join given on o.k = given.k)
            where place = 1""",
        ),
        records.temporary(
            records.judged,
            f"""with given as ({records.states(given, alias="t")}),
            old as (
                select k, string_agg(concat(part, told), '' order by part, told) as state,
                    count(*) as n
                from ({parts}) group by k, later)
            select given.k, any_value(given.n) as fresh, coalesce(sum(old.n), 0) as stale,
                count(old.n) > 0 as known,
                coalesce(logical_or(old.state = given.state), false) as same
            from given left join old on given.k = old.k group by given.k""",
        ),
        records.temporary(
            records.chosen, f"select k from {sql.quoted(records.judged)} where not same"
        ),
        records.temporary(records.left, f"select k from {sql.quoted(records.judged)} where same"),
    ]


def _nearest(records: Records) -> str:
    return f"{records.judged}_near"


def _ask(records: Records, prepare: Sequence[str]) -> Mapping[str, Any]:
    """Which records are chosen, and whether all of their states were read.

    Raises:
        Unbalanced: a state was not wholly read, of the load or of the tables.
    """
    group, root = records.group, records.group.root
    judged = sql.quoted(records.judged)
    near = sql.quoted(_nearest(records))
    stored = " + ".join(
        f"(select count(*) from {records.stored(table.name)} o join {near} near "
        f"on {records.key(table.name, 'o')} = near.k and o.{RUN} = near.run)"
        for table in group.tables
    )
    queries = {
        "left_out": f"select countif(same) from {judged}",
        "known": f"select countif(known) from {judged}",
        "judged": f"select sum(fresh) from {judged}",
        "stale": f"select sum(stale) from {judged}",
        "stored": f"select {stored}",
        "there": f"select count(distinct {records.key(root, 'o')}) from {records.stored(root)} o "
        f"where {records.key(root, 'o')} in "
        f"(select {records.key(root, 't')} from {records.given(root)} t)",
    }
    for number, table in enumerate(group.tables):
        queries[f"fresh{number}"] = records.fresh(table.name, records.chosen)
        queries[f"left{number}"] = records.fresh(table.name, records.left)
    row = records.session.answers(queries, prepare)
    whole = sum(records.load.tables[table.name].num_rows for table in group.tables)
    agree(ENGINE, root, "those of the records that were compared", whole, int(row["judged"] or 0))
    stale = int(row["stale"] or 0)
    agree(ENGINE, root, "those that they were compared with", int(row["stored"]), stale)
    agree(ENGINE, root, "the records that are known", int(row["there"]), int(row["known"]))
    return row
