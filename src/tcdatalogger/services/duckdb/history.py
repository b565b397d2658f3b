"""`history`: a new version of a record when its content changed, the former one closed.

A version is a row of the root with all of its children, from `valid_from` until `valid_to`, which
the current one has not. Both are times of Torn's answers. What a full listing no longer has is
closed too. Which run closed a version stands beside it, so that a rollback can open it again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from tcdatalogger.clock import utc
from tcdatalogger.models.records import SEEN, SUBJECT, VERSION, Group
from tcdatalogger.services.duckdb import staging
from tcdatalogger.services.duckdb.conservation import agree
from tcdatalogger.services.duckdb.engine import quoted
from tcdatalogger.services.duckdb.session import Session
from tcdatalogger.services.duckdb.staging import CHOSEN, LEFT, matches, named, names, same, staged
from tcdatalogger.services.warehouse.load import Load
from tcdatalogger.services.warehouse.transaction import Moved

_FROM, _TO, CLOSED_BY = VERSION
_LISTED: Final = "_tcd_listed"
_JUDGED: Final = "_tcd_judged"
"""The temporary table with what is known of each record of a load, and whether it is chosen."""
_NOBODY: Final = -1
_NEXT: Final = "interval 1 microsecond"
"""Two versions of one second are told apart by it: together with the key it is the key."""


def history(session: Session, load: Load, groups: Sequence[Group]) -> Moved:
    """Store the records that changed as new versions, and close those that are no longer listed.

    Raises:
        DataRefused: a key repeats.
    """
    left: dict[str, int] = {}
    left_out = closed = 0
    for number, group in enumerate(groups):
        staging.stage_all(session, group, load)
        known = _choose(session, load, group)
        left_out += known if number == 0 else 0
        left |= staging.left_rows(session, group)
        closed += _vanished(session, load, group) if number == 0 else 0
        for name in group.keys:
            _close(session, load, group, name)
        rows = {}
        for table in group.tables:
            extra = f"replace (c.begun as {_FROM})"
            rows[table.name] = staging.insert(session, group, table.name, extra)
        for name in group.keys:
            if _TO in session.stored([name])[name]:
                current = f"o.{_TO} is null"
                staging.must_hold(session, group, name, rows.get(name, 0), current)
        _must_be_current(session, load if number == 0 else None, group)
        session.execute(f"drop table temp.{CHOSEN}")
        session.execute(f"drop table temp.{_JUDGED}")
    staging.forget(session, load.family)
    return Moved(left_out=left_out, left=left, closed=closed)


def _choose(session: Session, load: Load, group: Group) -> int:
    """Choose the records that are new or have changed; how many are left out."""
    root = group.root
    session.execute(
        f"""create or replace temp table {_JUDGED} as
            with new as (
                select {named(group, root, "t")}, coalesce(max(t.{SEEN}), $at) as seen
                from {staged(root)} t group by all),
            latest as (
                select {named(group, root, "o")}, o.{SEEN} as seen, o.{_FROM} as begun,
                    o.{_TO} as ended
                from {quoted(root)} o semi join new n on {matches(group, root, "o", "n")}
                qualify row_number() over (
                    partition by {names(group)} order by o.{_FROM} desc, o.{SEEN} desc) = 1),
            fresh as ({_states(group, stored=False)}),
            stale as ({_states(group, stored=True)})
            select n.*, l.begun, l.ended, f.rows as fresh, s.rows as stale, coalesce(
                l.begun is null
                or (l.ended is null and f.state is distinct from s.state
                    and (l.seen is null or n.seen >= l.seen))
                or n.seen >= date_trunc('millisecond', l.ended), false) as chosen
            from new n left join fresh f on {same(group, "n", "f")}
            left join latest l on {same(group, "n", "l")}
            left join stale s on {same(group, "n", "s")}""",
        {"at": utc(load.committed_at)},
    )
    _must_be_judged(session, load, group)
    session.execute(
        f"""create or replace temp table {CHOSEN} as
            select {names(group)}, seen, case when begun is null then seen
                else greatest(seen, coalesce(ended, begun + {_NEXT})) end as begun
            from temp.{_JUDGED} where chosen"""
    )
    session.execute(f"create or replace temp table {LEFT} as from temp.{_JUDGED} where not chosen")
    [(left_out,)] = session.execute(f"select count(*) from temp.{LEFT}").fetchall()
    return int(left_out)


def _must_be_judged(session: Session, load: Load, group: Group) -> None:
    """Refuse a choice for which a state was not wholly read, of the load or of the tables.

    Raises:
        Unbalanced: so it is.
    """
    root = group.root
    handed = f"(select distinct {named(group, root, 't')} from {staged(root)} t) n"
    [(known, fresh, stale)] = session.execute(
        f"select count(begun), coalesce(sum(fresh), 0), coalesce(sum(stale), 0) from temp.{_JUDGED}"
    ).fetchall()
    [(stored,)] = session.execute(
        f"select count(*) from {handed} "
        f"semi join {quoted(root)} o on {matches(group, root, 'o', 'n')}"
    ).fetchall()
    current = 0
    for table in group.tables:
        [(rows,)] = session.execute(
            f"select count(*) from {quoted(table.name)} t "
            f"semi join {handed} on {matches(group, table.name, 't', 'n')} where t.{_TO} is null"
        ).fetchall()
        current += int(rows)
    given = sum(load.tables[table.name].num_rows for table in group.tables)
    agree(root, "those of the records that were compared", given, int(fresh))
    agree(root, "those that they were compared with", current, int(stale))
    agree(root, "the records that are known", int(stored), int(known))


def _must_be_current(session: Session, load: Load | None, group: Group) -> None:
    """Refuse a table in which a record of the load is not current, or one that it does not list.

    Raises:
        Unbalanced: so it is.
    """
    root = group.root
    handed = f"(select {names(group)} from temp.{_JUDGED}) n"
    [(wanted,)] = session.execute(
        f"select count(*) from temp.{_JUDGED} where chosen or ended is null"
    ).fetchall()
    [(found,)] = session.execute(
        f"select count(*) from {handed} semi join (from {quoted(root)} where {_TO} is null) o "
        f"on {matches(group, root, 'o', 'n')}"
    ).fetchall()
    agree(root, "the records that are current", int(wanted), int(found))
    if load is None or not load.listed:
        return
    # Without a join with what is listed: that is what may have lost something.
    listed = {
        (subject if subject is not None else _NOBODY): at for subject, at in load.listed.items()
    }
    old = (
        f"from {quoted(root)} o where o.{_TO} is null and (o.{SEEN} is null "
        f"or o.{SEEN} <= $times[list_position($subjects, "
        f"coalesce(o.{SUBJECT}, {_NOBODY}))]) "
        f"and list_contains($subjects, coalesce(o.{SUBJECT}, {_NOBODY}))"
    )
    values = {"subjects": list(listed), "times": [utc(at) for at in listed.values()]}
    [(there,)] = session.execute(f"select count(*) {old}", values).fetchall()
    [(of_list,)] = session.execute(
        f"select count(*) from (select o.* {old}) o "
        f"semi join {handed} on {matches(group, root, 'o', 'n')}",
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
                f"{quoted(table.name)} t semi join new n on {matches(group, table.name, 't', 'n')} "
                f"where t.{_TO} is null"
            )
        parts.append(
            f"select {named(group, table.name, 't')}, "
            f"{staging.row_digests(table, number, 't')} from {source}"
        )
    return (
        f"select {names(group)}, {staging.STATE} as state, count(*) as rows "
        f"from ({' union all '.join(parts)}) group by all"
    )


def _vanished(session: Session, load: Load, group: Group) -> int:
    """Close the records that a whole list no longer has; how many.

    They are put beside the chosen ones, of which no row is there to be stored.
    """
    if not load.listed:
        return 0
    root = group.root
    listed = [(subject, utc(at)) for subject, at in load.listed.items()]
    session.execute(
        f"create or replace temp table {_LISTED} (subject bigint, listed_at timestamptz)"
    )
    session.executemany(f"insert into temp.{_LISTED} values (?, ?)", listed)
    before = _count(session)
    session.execute(
        f"""insert into temp.{CHOSEN}
            select {named(group, root, "o")}, l.listed_at,
                greatest(l.listed_at, o.{_FROM} + {_NEXT})
            from {quoted(root)} o join temp.{_LISTED} l
                on o.{SUBJECT} is not distinct from l.subject
            anti join (select {named(group, root, "t")} from {staged(root)} t) n
                on {matches(group, root, "o", "n")}
            where o.{_TO} is null and (o.{SEEN} is null or o.{SEEN} <= l.listed_at)"""
    )
    session.execute(f"drop table temp.{_LISTED}")
    return _count(session) - before


def _count(session: Session) -> int:
    [(count,)] = session.execute(f"select count(*) from temp.{CHOSEN}").fetchall()
    return int(count)


def _close(session: Session, load: Load, group: Group, table: str) -> None:
    """End the current versions of the chosen records."""
    if _TO not in session.stored([table])[table]:
        return  # a child of the time before the endpoint kept versions
    session.execute(
        f"update {quoted(table)} as o set {_TO} = c.begun, {CLOSED_BY} = $run "
        f"from temp.{CHOSEN} c where o.{_TO} is null and {matches(group, table, 'o', 'c')}",
        {"run": load.run_id},
    )


def closed_by(session: Session, table: str, runs: Sequence[str]) -> int:
    """How many versions of a table runs have ended; none where it has no versions."""
    if CLOSED_BY not in session.stored([table]).get(table, {}):
        return 0
    [(found,)] = session.execute(
        f"select count(*) from {quoted(table)} where list_contains(?, {CLOSED_BY})", [list(runs)]
    ).fetchall()
    return int(found)


def current(session: Session, table: str) -> int:
    """How many rows of a table with versions are current."""
    [(found,)] = session.execute(
        f"select count(*) from {quoted(table)} where {_TO} is null"
    ).fetchall()
    return int(found)


def reopen(session: Session, table: str, runs: Sequence[str]) -> None:
    """Make those versions current again that runs closed.

    Raises:
        Unbalanced: some of them are not, or others are.
    """
    if CLOSED_BY not in session.stored([table]).get(table, {}):
        return
    wanted = closed_by(session, table, runs)
    before = current(session, table)
    session.execute(
        f"update {quoted(table)} set {_TO} = null, {CLOSED_BY} = null "
        f"where list_contains(?, {CLOSED_BY})",
        [list(runs)],
    )
    again = current(session, table) - before
    agree(table, "those that are current again", wanted, again)
