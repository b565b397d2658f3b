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
from tcdatalogger.services.duckdb.connection import quoted
from tcdatalogger.services.duckdb.conservation import agree
from tcdatalogger.services.duckdb.mode_result import ModeResult, is_news, refuse_drop
from tcdatalogger.services.duckdb.records import CHOSEN, LEFT, SEEN, Group, staged
from tcdatalogger.services.warehouse.protocol import Load

_FROM, _TO, CLOSED_BY = VERSION
_LISTED: Final = "_tcd_listed"
_JUDGED: Final = "_tcd_judged"
"""The temporary table with what is known of each record of a load, and whether it is chosen."""
_NOBODY: Final = -1
_NEXT: Final = "interval 1 microsecond"
"""Two versions of one second are told apart by it: together with the key it is the key."""


def history(connection: duckdb.DuckDBPyConnection, load: Load, steps: Sequence[Step]) -> ModeResult:
    """Store the records that changed as new versions, and close those that are no longer listed.

    Raises:
        DataRefused: the records have no key, one repeats, or too many would be closed.
    """
    evolve.apply(connection, load.family, steps)
    rows = {table.name: 0 for table in load.family.tables}
    left: dict[str, int] = {}
    left_out = closed = 0
    for number, group in enumerate(records.groups(connection, load)):
        records.stage_all(connection, group, load)
        known = _choose(connection, load, group)
        left_out += known if number == 0 else 0
        left |= records.left_rows(connection, group)
        gone = _vanished(connection, load, group) if number == 0 else 0
        closed += gone
        for name in group.keys:
            _close(connection, load, group, name)
        for table in group.tables:
            extra = f"replace (c.begun as {_FROM})"
            rows[table.name] = records.insert(connection, group, table.name, extra)
        for name in group.keys:
            if _TO in tables.stored(connection, [name])[name]:
                current = f"o.{_TO} is null"
                records.must_hold(connection, group, name, rows.get(name, 0), current)
        _must_be_current(connection, load if number == 0 else None, group)
        connection.execute(f"drop table temp.{CHOSEN}")
        connection.execute(f"drop table temp.{_JUDGED}")
    records.forget(connection, load.family)
    news = is_news(connection, load, steps, any(rows.values()) or closed)
    return ModeResult(rows, left_out=left_out, left=left, news=news)


def _choose(connection: duckdb.DuckDBPyConnection, load: Load, group: Group) -> int:
    """Choose the records that are new or have changed; how many are left out."""
    root = group.root
    connection.execute(
        f"""create or replace temp table {_JUDGED} as
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
            select n.*, l.begun, l.ended, f.rows as fresh, s.rows as stale, coalesce(
                l.begun is null
                or (l.ended is null and f.state is distinct from s.state
                    and (l.seen is null or n.seen >= l.seen))
                or n.seen >= date_trunc('millisecond', l.ended), false) as chosen
            from new n left join fresh f on {group.same("n", "f")}
            left join latest l on {group.same("n", "l")}
            left join stale s on {group.same("n", "s")}""",
        {"at": utc(load.committed_at)},
    )
    _must_be_judged(connection, load, group)
    connection.execute(
        f"""create or replace temp table {CHOSEN} as
            select {group.names()}, seen, case when begun is null then seen
                else greatest(seen, coalesce(ended, begun + {_NEXT})) end as begun
            from temp.{_JUDGED} where chosen"""
    )
    connection.execute(
        f"create or replace temp table {LEFT} as from temp.{_JUDGED} where not chosen"
    )
    [(left_out,)] = connection.execute(f"select count(*) from temp.{LEFT}").fetchall()
    return int(left_out)


def _must_be_judged(connection: duckdb.DuckDBPyConnection, load: Load, group: Group) -> None:
    """Refuse a choice for which a state was not wholly read, of the load or of the tables.

    Raises:
        Unbalanced: so it is.
    """
    root = group.root
    handed = f"(select distinct {group.named(root, 't')} from {staged(root)} t) n"
    [(known, fresh, stale)] = connection.execute(
        f"select count(begun), coalesce(sum(fresh), 0), coalesce(sum(stale), 0) from temp.{_JUDGED}"
    ).fetchall()
    [(stored,)] = connection.execute(
        f"select count(*) from {handed} "
        f"semi join {quoted(root)} o on {group.matches(root, 'o', 'n')}"
    ).fetchall()
    current = 0
    for table in group.tables:
        [(rows,)] = connection.execute(
            f"select count(*) from {quoted(table.name)} t "
            f"semi join {handed} on {group.matches(table.name, 't', 'n')} where t.{_TO} is null"
        ).fetchall()
        current += int(rows)
    given = sum(load.tables[table.name].num_rows for table in group.tables)
    agree(root, "those of the records that were compared", given, int(fresh))
    agree(root, "those that they were compared with", current, int(stale))
    agree(root, "the records that are known", int(stored), int(known))


def _must_be_current(
    connection: duckdb.DuckDBPyConnection, load: Load | None, group: Group
) -> None:
    """Refuse a table in which a record of the load is not current, or one that it does not list.

    Raises:
        Unbalanced: so it is.
    """
    root = group.root
    handed = f"(select {group.names()} from temp.{_JUDGED}) n"
    [(wanted,)] = connection.execute(
        f"select count(*) from temp.{_JUDGED} where chosen or ended is null"
    ).fetchall()
    [(found,)] = connection.execute(
        f"select count(*) from {handed} semi join (from {quoted(root)} where {_TO} is null) o "
        f"on {group.matches(root, 'o', 'n')}"
    ).fetchall()
    agree(root, "the records that are current", int(wanted), int(found))
    if load is None or not load.listed:
        return
    # Without a join with what is listed: that is what may have lost something.
    listed = {
        (subject if subject is not None else _NOBODY): at for subject, at in load.listed.items()
    }
    old = (
        f"from {quoted(root)} o where o.{_TO} is null and (o.{records.SEEN} is null "
        f"or o.{records.SEEN} <= $times[list_position($subjects, "
        f"coalesce(o.{records.SUBJECT}, {_NOBODY}))]) "
        f"and list_contains($subjects, coalesce(o.{records.SUBJECT}, {_NOBODY}))"
    )
    values = {"subjects": list(listed), "times": [utc(at) for at in listed.values()]}
    [(there,)] = connection.execute(f"select count(*) {old}", values).fetchall()
    [(of_list,)] = connection.execute(
        f"select count(*) from (select o.* {old}) o "
        f"semi join {handed} on {group.matches(root, 'o', 'n')}",
        values,
    ).fetchall()
    agree(root, "the current records that are listed", int(there), int(of_list))


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
        f"select {group.names()}, string_agg(part || told, '' order by part, told) as state, "
        "count(*) as rows "
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
    """Make those versions current again that runs closed; how many rows.

    Raises:
        Unbalanced: some of them are not, or others are.
    """
    if CLOSED_BY not in tables.stored(connection, [table]).get(table, {}):
        return 0
    current = f"select count(*) from {quoted(table)} where {_TO} is null"
    theirs = f"list_contains(?, {CLOSED_BY})"
    [(before,)] = connection.execute(current).fetchall()
    [(wanted,)] = connection.execute(
        f"select count(*) from {quoted(table)} where {theirs}", [list(runs)]
    ).fetchall()
    connection.execute(
        f"update {quoted(table)} set {_TO} = null, {CLOSED_BY} = null where {theirs}", [list(runs)]
    )
    [(after,)] = connection.execute(current).fetchall()
    agree(table, "those that are current again", int(wanted), int(after) - int(before))
    return int(wanted)
