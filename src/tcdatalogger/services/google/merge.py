"""`merge`: a record is stored in the place of the one with its key, its children with it.

A state that was seen later is never overwritten by an older one. What the newest load of an
endpoint replaced is kept for one rollback.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from tcdatalogger.models.records import RUN, SEEN, Group
from tcdatalogger.services.google import sql
from tcdatalogger.services.google.acts import ENGINE, Count
from tcdatalogger.services.google.records import Records, between
from tcdatalogger.services.google.session import Session
from tcdatalogger.services.warehouse.conservation import agree
from tcdatalogger.services.warehouse.load import Load
from tcdatalogger.services.warehouse.schema_changes import FORMER, MERGED
from tcdatalogger.services.warehouse.transaction import Moved


@dataclass(frozen=True, slots=True)
class _Found:
    """What is stored in a table of the records that are replaced.

    Attributes:
        rows: how many.
        own: how many of them are of the run of the load.
        whole: how many the table has in all.
        between: the test for the times of their answers.
    """

    rows: int
    own: int
    whole: int
    between: str


def merge(session: Session, load: Load, groups: Sequence[Group], *, first: bool) -> Moved:
    """Insert what is new and put the rest in the place of what is stored (`Transaction.merge`)."""
    taken: dict[str, int] = {}
    left: dict[str, int] = {}
    left_out = 0
    any_chosen = False
    for number, group in enumerate(groups):
        records = Records(session, load, group)
        prepare = _choose(records)
        chosen, late, found, fresh, left_rows = _ask(records, prepare)
        left_out += late if number == 0 else 0
        left |= left_rows
        if not chosen:
            continue
        if first and not any_chosen:
            forget_journal(session, load.endpoint)
        any_chosen = True
        had = session.numbers([records.rows_of_run(name) for name in group.keys])
        for statement in prepare:
            session.acts.add(statement)
        counts = []
        for name in group.keys:
            taken[name] = found[name].own
            counts += _replace(records, name, found[name])
        for table in group.tables:
            if fresh[table.name]:
                records.insert(table.name)
        after = {}
        for name, before in zip(group.keys, had, strict=True):
            new = fresh.get(name, 0)
            whole = found[name].whole - found[name].rows + new
            after[name] = before - found[name].own + new
            counts += [
                records.must_hold(name, new),
                Count(name, "those after the records were replaced", whole, session.count(name)),
                Count(name, "those of the run", after[name], records.rows_of_run(name)),
            ]
        session.acts.must_be(*counts)
        for name, rows in after.items():
            session.expect(records.rows_of_run(name), rows)
    return Moved(taken, left_out, left, chosen=any_chosen)


def _choose(records: Records) -> list[str]:
    """Choose the records of which no later state is stored; the others are found stored."""
    root = records.group.root
    new = (
        f"select {records.key(root, 't')} as k, max(t.{SEEN}) as seen "
        f"from {records.given(root)} t group by k"
    )
    return [
        records.temporary(
            records.chosen,
            f"""with given as ({new}),
            old as (
                select {records.key(root, "o")} as k, max(o.{SEEN}) as seen, count(*) as stored
                from {records.stored(root)} o
                where {records.key(root, "o")} in (select k from given) group by k)
            select given.k, given.seen, coalesce(old.stored, 0) as stored
            from given left join old on given.k = old.k
            where old.seen is null or given.seen is null or old.seen <= given.seen""",
        ),
        records.temporary(
            records.left,
            f"""with given as ({new})
            select distinct given.k from given
            join (select {records.key(root, "o")} as k, o.{SEEN} as seen
                from {records.stored(root)} o) old on old.k = given.k
            where old.seen > given.seen""",
        ),
    ]


def _ask(
    records: Records, prepare: Sequence[str]
) -> tuple[int, int, Mapping[str, _Found], Mapping[str, int], Mapping[str, int]]:
    """How many records are chosen and how many are not, what is stored of them, and their rows."""
    session, group, root = records.session, records.group, records.group.root
    keys, tables = list(group.keys), [table.name for table in group.tables]
    own = f"o.{RUN} = {sql.text(records.load.run_id)}"
    queries = {
        "chosen": f"select count(*) from {sql.quoted(records.chosen)}",
        "whole": f"select count(distinct {records.key(root, 't')}) from {records.given(root)} t",
        "known": f"select sum(stored) from {sql.quoted(records.chosen)}",
    }
    for number, name in enumerate(keys):
        theirs = f"from {records.stored(name)} o where {records.of(name, 'o', records.chosen)}"
        queries |= {
            f"rows{number}": f"select count(*) {theirs}",
            f"own{number}": f"select countif({own}) {theirs}",
            f"timeless{number}": f"select countif(o.{SEEN} is null) {theirs}",
            f"lowest{number}": f"select unix_micros(min(o.{SEEN})) {theirs}",
            f"highest{number}": f"select unix_micros(max(o.{SEEN})) {theirs}",
            f"whole{number}": session.count(name),
        }
    for number, name in enumerate(tables):
        queries[f"fresh{number}"] = records.fresh(name, records.chosen)
        queries[f"left{number}"] = records.fresh(name, records.left)
    row = session.answers(queries, prepare)
    found = {}
    for number, name in enumerate(keys):
        times = (row[f"lowest{number}"], row[f"highest{number}"])
        found[name] = _Found(
            int(row[f"rows{number}"]),
            int(row[f"own{number}"] or 0),
            int(row[f"whole{number}"]),
            "true" if row[f"timeless{number}"] or None in times else between(*map(int, times)),
        )
    agree(ENGINE, root, "those to be replaced", int(row["known"] or 0), found[root].rows)
    return (
        int(row["chosen"]),
        int(row["whole"]) - int(row["chosen"]),
        found,
        {name: int(row[f"fresh{number}"]) for number, name in enumerate(tables)},
        {name: int(row[f"left{number}"]) for number, name in enumerate(tables)},
    )


def _replace(records: Records, table: str, found: _Found) -> list[Count]:
    """Take the stored rows of the chosen records out, and keep those of others for a rollback."""
    session = records.session
    if not found.rows:
        return []
    theirs = f"{found.between} and {records.of(table, 'o', records.chosen)}"
    counts = []
    if found.rows > found.own:
        place, columns, before = _journal(session, records.load.endpoint, table)
        others = f"o.{RUN} is distinct from {sql.text(records.load.run_id)}"
        session.insert(
            place,
            columns,
            f"select {sql.names(columns, 'o')} from {records.stored(table)} o "
            f"where {theirs} and {others}",
        )
        counts.append(
            Count(
                table,
                "those kept for a rollback",
                before + found.rows - found.own,
                f"select count(*) from {sql.quoted(place)}",
            )
        )
    session.acts.add(
        f"delete from {sql.quoted(session.at(table))} o where {session.where(table, theirs)}"
    )
    return counts


def _journal(session: Session, endpoint: str, table: str) -> tuple[str, list[str], int]:
    """The table that keeps what is replaced: its name, its columns, and how many rows it has."""
    name = journal_of(endpoint, table)
    there = {column: kind for column, kind in session.stored([table])[table].items() if kind}
    if name not in session.kept:
        place = session.new_place(name)
        session.tables.like(place, there)
        session.keep(name, place, there)
        return place, list(there), 0
    session.private(name)
    kept = session.kept[name]
    missing = {column: kind for column, kind in there.items() if column not in kept.columns}
    if missing:
        session.add(kept.place, missing)
        session.kept[name] = type(kept)(kept.place, {**kept.columns, **missing})
    [rows] = session.numbers([f"select count(*) from {sql.quoted(kept.place)}"])
    return kept.place, list(there), rows


def begin_journal(session: Session, endpoint: str, root: str) -> None:
    """Make the journal of a load that replaced nothing: without one a load is not rolled back."""
    if not journals(session, endpoint).get(root):
        _journal(session, endpoint, root)


def journal_of(endpoint: str, table: str) -> str:
    """The name of what the newest load of an endpoint replaced in a table."""
    return f"{MERGED}{endpoint}__{table}"


def forget_journal(session: Session, endpoint: str) -> None:
    """Forget what is kept of the newest load of an endpoint."""
    session.forget(journals(session, endpoint).values())


def journals(session: Session, endpoint: str) -> dict[str, str]:
    """The tables of which the newest load of an endpoint replaced rows, and what keeps these."""
    prefix = journal_of(endpoint, "")
    return {n.removeprefix(prefix): n for n in sorted(session.kept) if n.startswith(prefix)}


def journals_on(session: Session, table: str) -> list[str]:
    """What the newest loads of any endpoints replaced in a table."""
    found = sorted(name for name in session.kept if name.startswith(MERGED))
    return [name for name in found if name.removeprefix(MERGED).partition("__")[2] == table]


def forget_kept(session: Session, table: str) -> None:
    """Forget all that is kept of a table for a rollback: it no longer fits."""
    for journal in journals_on(session, table):
        forget_journal(session, journal.removeprefix(MERGED).partition("__")[0])
    session.forget([f"{FORMER}{table}"])


def restorable(
    session: Session, endpoint: str, keys: Mapping[str, Sequence[str]], without: Sequence[str] = ()
) -> dict[str, int] | None:
    """How many rows of a journal can be put back, by table (`Transaction.kept_by_merge`)."""
    found = journals(session, endpoint)
    if not found:
        return None
    parts = list(_kept(session, found, keys, without))
    rows = session.numbers([f"select count(*) {source}" for _, source in parts])
    return {table: count for (table, _), count in zip(parts, rows, strict=True)}


def restore(session: Session, endpoint: str, keys: Mapping[str, Sequence[str]]) -> None:
    """Put back what the newest load replaced, but for records that somebody else stored since.

    Args:
        session: of the transaction.
        endpoint: whose load it was; its own rows are taken out already.
        keys: the columns of each table that tell whose record a row is of; the first is the root.
    """
    found = journals(session, endpoint)
    for table, source in _kept(session, found, keys, ()):
        there = session.stored([table])[table]
        columns = [column for column in session.kept[found[table]].columns if column in there]
        again, before = session.numbers([f"select count(*) {source}", session.count(table)])
        session.insert(table, columns, f"select {sql.names(columns, 'j')} {source}")
        session.acts.must_be(
            Count(table, "those that are there again", before + again, session.count(table))
        )
    forget_journal(session, endpoint)


def _kept(
    session: Session,
    found: Mapping[str, str],
    keys: Mapping[str, Sequence[str]],
    without: Sequence[str],
) -> Iterator[tuple[str, str]]:
    """Each table of a journal, children first, and its rows of records that nobody stored since."""
    root = next(iter(keys), "")
    for table in reversed([name for name in keys if name in found]):
        mine = keys[table]
        other = root if len(mine) == len(keys[root]) and len(mine) > 1 else table
        theirs = f"not {sql.one_of(RUN, without)}" if without else "true"
        since = (
            f"select {sql.key(keys[other], 'r')} from {session.relation(other)} r where {theirs}"
        )
        kept = sql.quoted(session.place(found[table]))
        yield table, f"from {kept} j where {sql.key(mine, 'j')} not in ({since})"
