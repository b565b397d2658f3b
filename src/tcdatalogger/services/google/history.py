"""`history`: a new version of a record when its content changed, the former one closed.

A version is a row of the root with all of its children, from `valid_from` until `valid_to`, which
the current one has not. Both are times of Torn's answers. What a full listing no longer has is
closed too. Which run closed a version stands beside it, so that a rollback can open it again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from tcdatalogger.models.records import SEEN, SUBJECT, VERSION, Group
from tcdatalogger.services.google import sql
from tcdatalogger.services.google.acts import ENGINE, Count
from tcdatalogger.services.google.records import Records
from tcdatalogger.services.google.session import Session
from tcdatalogger.services.warehouse.conservation import agree
from tcdatalogger.services.warehouse.load import Load
from tcdatalogger.services.warehouse.transaction import Moved

_FROM, _TO, CLOSED_BY = VERSION
_NOBODY: Final = -1
_NEXT: Final = "interval 1 microsecond"
"""Two versions of one second are told apart by it: together with the key it is the key."""


def history(session: Session, load: Load, groups: Sequence[Group]) -> Moved:
    """Store the records that changed as new versions, and close those that are no longer listed."""
    left: dict[str, int] = {}
    left_out = closed = 0
    for number, group in enumerate(groups):
        records = Records(session, load, group)
        listed = load.listed if number == 0 and load.listed else None
        versioned = [n for n in group.keys if _TO in session.stored([n])[n]]
        prepare = [*_compare(records), *_choose(records, listed)]
        row = _ask(records, prepare, versioned)
        had = session.numbers([records.rows_of_run(name) for name in group.keys])
        left_out += int(row["left_out"]) if number == 0 else 0
        closed += int(row["vanished"])
        left |= {t.name: int(row[f"left{n}"]) for n, t in enumerate(group.tables)}
        if not int(row["chosen"]):
            continue
        for statement in prepare:
            session.acts.add(statement)
        for name in versioned:
            _close(records, name)
        fresh = {t.name: int(row[f"fresh{n}"]) for n, t in enumerate(group.tables)}
        for name, rows in fresh.items():
            if rows:
                records.insert(name, {_FROM: "c.begun"})
        counts = []
        for place, name in enumerate(versioned):
            whole = int(row[f"whole{place}"]) + fresh.get(name, 0)
            ends = int(row[f"ended{place}"]) + int(row[f"open{place}"])
            counts += [
                records.must_hold(name, fresh.get(name, 0), f"o.{_TO} is null"),
                Count(name, "those after the new versions", whole, session.count(name)),
                Count(name, "those that the run has closed", ends, _closed(records, name)),
            ]
        after = {
            name: before + fresh.get(name, 0) for name, before in zip(group.keys, had, strict=True)
        }
        counts += [
            Count(name, "those of the run", rows, records.rows_of_run(name))
            for name, rows in after.items()
        ]
        counts += _must_be_current(records, row, listed)
        session.acts.must_be(*counts)
        for name, rows in after.items():
            session.expect(records.rows_of_run(name), rows)
    return Moved(left_out=left_out, left=left, closed=closed)


def _compare(records: Records) -> list[str]:
    """What is known of each record of a load, and whether a version of it is to be stored."""
    group, root = records.group, records.group.root
    at = sql.time(records.load.committed_at)
    stored = {table.name: records.stored(table.name) for table in group.tables}
    given = {table.name: records.given(table.name) for table in group.tables}
    mine = f"{records.key(root, 'o')} in (select k from given)"
    return [
        records.temporary(
            records.judged,
            f"""with given as (
                select {records.key(root, "t")} as k, coalesce(max(t.{SEEN}), {at}) as seen
                from {records.given(root)} t group by k),
            latest as (
                select k, seen, begun, ended from (
                    select {records.key(root, "o")} as k, o.{SEEN} as seen, o.{_FROM} as begun,
                        o.{_TO} as ended, row_number() over (
                            partition by {records.key(root, "o")}
                            order by o.{_FROM} desc, o.{SEEN} desc) as place
                    from {records.stored(root)} o where {mine})
                where place = 1),
            fresh as ({records.states(given, alias="t")}),
            stale as (select * from ({records.states(stored, alias="o", test=f"o.{_TO} is null")})
                where k in (select k from given))
            select given.k, given.seen, latest.begun, latest.ended, fresh.n as fresh_rows,
                stale.n as stale_rows,
                coalesce(latest.begun is null
                    or (latest.ended is null and fresh.state is distinct from stale.state
                        and (latest.seen is null or given.seen >= latest.seen))
                    or given.seen >= timestamp_trunc(latest.ended, millisecond), false) as chosen
            from given left join fresh on given.k = fresh.k left join latest on given.k = latest.k
            left join stale on given.k = stale.k""",
        )
    ]


def _choose(records: Records, listed: Mapping[int | None, float] | None) -> list[str]:
    """Choose those, and the records that a whole list no longer has.

    The latter stand beside the chosen ones; no row is there of them to be stored.
    """
    root, judged = records.group.root, sql.quoted(records.judged)
    vanished = ""
    if listed:
        vanished = f""" union all
            select {records.key(root, "o")}, {_listed_at(listed)},
                greatest({_listed_at(listed)}, timestamp_add(o.{_FROM}, {_NEXT})), true
            from {records.stored(root)} o
            where o.{_TO} is null and {_is_listed(listed)}
                and {records.key(root, "o")} not in (select k from {judged})"""
    return [
        records.temporary(
            records.chosen,
            f"""select k, seen, case when begun is null then seen
                else greatest(seen, coalesce(ended, timestamp_add(begun, {_NEXT}))) end as begun,
                false as vanished
            from {judged} where chosen{vanished}""",
        ),
        records.temporary(records.left, f"select k from {judged} where not chosen"),
    ]


def _listed_at(listed: Mapping[int | None, float]) -> str:
    """When the list of a stored row's subject was given."""
    cases = " ".join(
        f"when {subject if subject is not None else _NOBODY} then {sql.time(at)}"
        for subject, at in listed.items()
    )
    return f"case coalesce(o.{SUBJECT}, {_NOBODY}) {cases} end"


def _is_listed(listed: Mapping[int | None, float]) -> str:
    """The test for stored rows of whose subject a whole list was given since they were seen."""
    subjects = [subject if subject is not None else _NOBODY for subject in listed]
    mine = sql.one_of(f"coalesce(o.{SUBJECT}, {_NOBODY})", subjects)
    return f"{mine} and (o.{SEEN} is null or o.{SEEN} <= {_listed_at(listed)})"


def _ask(records: Records, prepare: Sequence[str], versioned: Sequence[str]) -> Mapping[str, Any]:
    """What is chosen, what is stored of it, and whether all of it was read.

    Raises:
        Unbalanced: a state was not wholly read, of the load or of the tables.
    """
    session, group, root = records.session, records.group, records.group.root
    judged, chosen = sql.quoted(records.judged), sql.quoted(records.chosen)
    current = " + ".join(
        f"({records.count(table.name, records.judged, f'o.{_TO} is null')})"
        for table in group.tables
    )
    mine = sql.key(group.keys[root], "o")
    queries = {
        "chosen": f"select count(*) from {chosen}",
        "vanished": f"select countif(vanished) from {chosen}",
        "left_out": f"select countif(not chosen) from {judged}",
        "known": f"select count(begun) from {judged}",
        "fresh": f"select sum(fresh_rows) from {judged}",
        "stale": f"select sum(stale_rows) from {judged}",
        "current": f"select {current}",
        "stays": f"select countif(chosen or ended is null) from {judged}",
        "stored": f"select count(distinct {mine}) from {records.stored(root)} o "
        f"where {records.of(root, 'o', records.judged)}",
    }
    for place, name in enumerate(versioned):
        queries |= {
            f"whole{place}": session.count(name),
            f"open{place}": records.count(name, records.chosen, f"o.{_TO} is null"),
            f"ended{place}": _closed(records, name),
        }
    for place, table in enumerate(group.tables):
        queries[f"fresh{place}"] = records.fresh(table.name, records.chosen)
        queries[f"left{place}"] = records.fresh(table.name, records.left)
    row = session.answers(queries, prepare)
    given = sum(records.load.tables[table.name].num_rows for table in group.tables)
    agree(ENGINE, root, "those of the records that were compared", given, int(row["fresh"] or 0))
    stale = int(row["stale"] or 0)
    agree(ENGINE, root, "those that they were compared with", int(row["current"]), stale)
    agree(ENGINE, root, "the records that are known", int(row["stored"]), int(row["known"]))
    return row


def _must_be_current(
    records: Records, row: Mapping[str, Any], listed: Mapping[int | None, float] | None
) -> list[Count]:
    """That every record of the load is current, and none that its list does not have."""
    root = records.group.root
    mine = f"{records.key(root, 'o')} in (select k from {sql.quoted(records.judged)})"
    found = (
        f"select count(distinct {records.key(root, 'o')}) from {records.stored(root)} o "
        f"where o.{_TO} is null and {mine}"
    )
    counts = [Count(root, "the records that are current", int(row["stays"]), found)]
    if listed:
        # Without what was chosen: that is what may have lost something.
        other = (
            f"select count(*) from {records.stored(root)} o "
            f"where o.{_TO} is null and {_is_listed(listed)} and not {mine}"
        )
        counts.append(Count(root, "the current records that are not listed", 0, other))
    return counts


def _closed(records: Records, table: str) -> str:
    """How many versions of a table the run of the load has ended."""
    return closed_by(records.session, table, [records.load.run_id])


def _close(records: Records, table: str) -> None:
    """End the current versions of the chosen records."""
    session = records.session
    test = f"o.{_TO} is null and {records.key(table, 'o')} = c.k"
    session.acts.add(
        f"update {sql.quoted(session.at(table))} o set {_TO} = c.begun, "
        f"{CLOSED_BY} = {sql.text(records.load.run_id)} "
        f"from {sql.quoted(records.chosen)} c where {session.where(table, test)}"
    )


def closed_by(session: Session, table: str, runs: Sequence[str]) -> str:
    """A query for the number of versions of a table that runs have ended."""
    return session.count(table, sql.one_of(CLOSED_BY, runs))


def has_versions(session: Session, table: str) -> bool:
    """Whether a table has the columns of versions."""
    return CLOSED_BY in session.stored([table]).get(table, {})


def current(session: Session, table: str) -> str:
    """A query for the number of rows of a table that are current."""
    return session.count(table, f"{_TO} is null")


def reopen(session: Session, table: str, runs: Sequence[str]) -> None:
    """Make those versions current again that runs closed."""
    if not has_versions(session, table):
        return
    ended, before = session.numbers([closed_by(session, table, runs), current(session, table)])
    if not ended:
        return
    test = session.where(table, sql.one_of(CLOSED_BY, runs))
    session.acts.add(
        f"update {sql.quoted(session.at(table))} o "
        f"set {_TO} = null, {CLOSED_BY} = null where {test}"
    )
    again = Count(table, "those that are current again", before + ended, current(session, table))
    session.acts.must_be(again)
