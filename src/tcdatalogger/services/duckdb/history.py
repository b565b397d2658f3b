"""`history`: a new version of a record when its content changed, the former one closed.

A version is a row of the root with all of its children, from `valid_from` until `valid_to`, which
the current one has not. Both are times of Torn's answers. What a full listing no longer has is
closed too. Which run closed a version stands beside it, so that a rollback can open it again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import duckdb

from tcdatalogger.clock import utc
from tcdatalogger.models.evolution import Step
from tcdatalogger.models.records import VERSION
from tcdatalogger.services.duckdb import evolve, records, tables
from tcdatalogger.services.duckdb.file import quoted
from tcdatalogger.services.duckdb.records import CHOSEN, SEEN, Group, staged
from tcdatalogger.services.duckdb.stored import Stored, is_news, refuse_drop
from tcdatalogger.services.warehouse import Load

_FROM, _TO, CLOSED_BY = VERSION
_LISTED: Final = "_tcd_listed"
_NEXT: Final = "interval 1 microsecond"
"""Two versions of one second are told apart by it: together with the key it is the key."""


def history(connection: duckdb.DuckDBPyConnection, load: Load, steps: Sequence[Step]) -> Stored:
    """Store the records that changed as new versions, and close those that are no longer listed.

    Raises:
        DataRefused: the records have no key, one repeats, or too many would be closed.
    """
    evolve.apply(connection, load.family, steps)
    rows = {table.name: 0 for table in load.family.tables}
    left_out = closed = 0
    for number, group in enumerate(records.groups(connection, load)):
        records.stage_all(connection, group, load)
        known = _choose(connection, load, group)
        left_out += known if number == 0 else 0
        gone = _vanished(connection, load, group) if number == 0 else 0
        closed += gone
        for name in group.keys:
            _close(connection, load, group, name)
        for table in group.tables:
            extra = f"replace (c.begun as {_FROM})"
            rows[table.name] = records.insert(connection, group, table.name, extra)
        connection.execute(f"drop table temp.{CHOSEN}")
    records.forget(connection, load.family)
    news = is_news(connection, load, steps, any(rows.values()) or closed)
    return Stored(rows, left_out, news=news)


def _choose(connection: duckdb.DuckDBPyConnection, load: Load, group: Group) -> int:
    """Choose the records that are new or have changed; how many are left out."""
    root = group.root
    connection.execute(
        f"""create or replace temp table {CHOSEN} as
            with new as (
                select {group.named(root, "t")}, coalesce(max(t.{SEEN}), $at) as seen
                from {staged(root)} t group by all),
            latest as (
                select {group.named(root, "o")}, o.{SEEN} as seen, o.{_FROM} as begun,
                    o.{_TO} as ended
                from {quoted(root)} o semi join new n on {group.matches(root, "o", "n")}
                qualify row_number() over (
                    partition by {group.names()} order by o.{_FROM} desc, o.{SEEN} desc) = 1),
            fresh as ({_states(group, stored=False)}),
            stale as ({_states(group, stored=True)})
            select n.*, case when l.begun is null then n.seen
                else greatest(n.seen, coalesce(l.ended, l.begun + {_NEXT})) end as begun
            from new n join fresh f on {group.same("n", "f")}
            left join latest l on {group.same("n", "l")}
            left join stale s on {group.same("n", "s")}
            where l.begun is null
                or (l.ended is null and f.state is distinct from s.state
                    and (l.seen is null or n.seen >= l.seen))
                or n.seen >= date_trunc('millisecond', l.ended)""",
        {"at": utc(load.committed_at)},
    )
    [(whole, chosen)] = connection.execute(
        f"select (select count(*) from (select distinct {group.named(root, 't')} "
        f"from {staged(root)} t)), (select count(*) from temp.{CHOSEN})"
    ).fetchall()
    return int(whole) - int(chosen)


def _states(group: Group, *, stored: bool) -> str:
    """A query for the state of each record: of the load, or the current one that is stored."""
    parts = []
    for number, table in enumerate(group.tables):
        source = f"{staged(table.name)} t"
        if stored:
            source = (
                f"{quoted(table.name)} t semi join new n on {group.matches(table.name, 't', 'n')} "
                f"where t.{_TO} is null"
            )
        parts.append(
            f"select {number} as part, {group.named(table.name, 't')}, "
            f"{records.told(table, 't')} as told from {source}"
        )
    return (
        f"select {group.names()}, string_agg(part || told, '' order by part, told) as state "
        f"from ({' union all '.join(parts)}) group by all"
    )


def _vanished(connection: duckdb.DuckDBPyConnection, load: Load, group: Group) -> int:
    """Close the records that a whole list no longer has; how many.

    They are put beside the chosen ones, of which no row is there to be stored.

    Raises:
        DataRefused: they are more than may vanish at once.
    """
    if not load.listed:
        return 0
    root = group.root
    listed = [(subject, utc(at)) for subject, at in load.listed.items()]
    connection.execute(
        f"create or replace temp table {_LISTED} (subject bigint, listed_at timestamptz)"
    )
    connection.executemany(f"insert into temp.{_LISTED} values (?, ?)", listed)
    [(there,)] = connection.execute(
        f"select count(*) from {quoted(root)} where {_TO} is null"
    ).fetchall()
    before = _count(connection)
    connection.execute(
        f"""insert into temp.{CHOSEN}
            select {group.named(root, "o")}, l.listed_at, greatest(l.listed_at, o.{_FROM} + {_NEXT})
            from {quoted(root)} o join temp.{_LISTED} l
                on o.{records.SUBJECT} is not distinct from l.subject
            anti join (select {group.named(root, "t")} from {staged(root)} t) n
                on {group.matches(root, "o", "n")}
            where o.{_TO} is null and (o.{SEEN} is null or o.{SEEN} <= l.listed_at)"""
    )
    connection.execute(f"drop table temp.{_LISTED}")
    gone = _count(connection) - before
    refuse_drop(load, root, gone, int(there))
    return gone


def _count(connection: duckdb.DuckDBPyConnection) -> int:
    [(count,)] = connection.execute(f"select count(*) from temp.{CHOSEN}").fetchall()
    return int(count)


def _close(connection: duckdb.DuckDBPyConnection, load: Load, group: Group, table: str) -> None:
    """End the current versions of the chosen records."""
    if _TO not in tables.stored(connection, [table])[table]:
        return  # a child of the time before the endpoint kept versions
    connection.execute(
        f"update {quoted(table)} as o set {_TO} = c.begun, {CLOSED_BY} = $run "
        f"from temp.{CHOSEN} c where o.{_TO} is null and {group.matches(table, 'o', 'c')}",
        {"run": load.run_id},
    )


def reopen(connection: duckdb.DuckDBPyConnection, table: str, runs: Sequence[str]) -> int:
    """Make those versions current again that runs closed; how many rows."""
    if CLOSED_BY not in tables.stored(connection, [table]).get(table, {}):
        return 0
    row = connection.execute(
        f"update {quoted(table)} set {_TO} = null, {CLOSED_BY} = null "
        f"where list_contains(?, {CLOSED_BY})",
        [list(runs)],
    ).fetchall()
    return int(row[0][0]) if row else 0
