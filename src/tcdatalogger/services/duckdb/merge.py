"""`merge`: a record is stored in the place of the one with its key, its children with it.

A state that was seen later is never overwritten by an older one. What the newest load of an
endpoint replaced is kept for one rollback.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from tcdatalogger.models.records import RUN, SEEN, Group
from tcdatalogger.services.duckdb import staging, tables
from tcdatalogger.services.duckdb.conservation import agree
from tcdatalogger.services.duckdb.engine import quoted
from tcdatalogger.services.duckdb.session import Session
from tcdatalogger.services.duckdb.staging import CHOSEN, LEFT, matches, named, same, staged
from tcdatalogger.services.warehouse.load import Load
from tcdatalogger.services.warehouse.schema_changes import FORMER, MERGED
from tcdatalogger.services.warehouse.transaction import Moved


def merge(session: Session, load: Load, groups: Sequence[Group], *, first: bool) -> Moved:
    """Insert what is new and put the rest in the place of what is stored (`Transaction.merge`).

    Raises:
        DataRefused: a key repeats.
    """
    taken: dict[str, int] = {}
    left: dict[str, int] = {}
    left_out = 0
    chosen = False
    for number, group in enumerate(groups):
        staging.stage_all(session, group, load)
        late = _choose(session, group)
        left_out += late if number == 0 else 0
        left |= staging.left_rows(session, group)
        if not _any(session):
            continue
        if first and not chosen:
            forget_journal(session, load.endpoint)
        chosen = True
        rows = {}
        for name in group.keys:
            taken[name] = _replace(session, load, group, name)
        for table in group.tables:
            rows[table.name] = staging.insert(session, group, table.name)
        for name in group.keys:
            staging.must_hold(session, group, name, rows.get(name, 0))
        session.execute(f"drop table temp.{CHOSEN}")
    staging.forget(session, load.family)
    return Moved(taken, left_out, left, chosen=chosen)


def _choose(session: Session, group: Group) -> int:
    """Choose the records of which no later state is stored; how many are left out."""
    root = group.root
    session.execute(
        f"""create or replace temp table {CHOSEN} as
            with new as (
                select {named(group, root, "t")}, max(t.{SEEN}) as seen from {staged(root)} t
                group by all),
            old as (
                select {named(group, root, "o")}, max(o.{SEEN}) as seen, count(*) as stored
                from {quoted(root)} o
                semi join new n on {matches(group, root, "o", "n")} group by all)
            select n.*, coalesce(o.stored, 0) as stored
            from new n left join old o on {same(group, "n", "o")}
            where o.seen is null or n.seen is null or o.seen <= n.seen"""
    )
    session.execute(
        f"""create or replace temp table {LEFT} as
            with new as (
                select {named(group, root, "t")}, max(t.{SEEN}) as seen from {staged(root)} t
                group by all)
            select distinct n.* from new n join {quoted(root)} o on {matches(group, root, "o", "n")}
            where o.{SEEN} > n.seen"""
    )
    [(whole, chosen)] = session.execute(
        f"select (select count(*) from (select distinct {named(group, root, 't')} "
        f"from {staged(root)} t)), (select count(*) from temp.{CHOSEN})"
    ).fetchall()
    return int(whole) - int(chosen)


def _any(session: Session) -> bool:
    return bool(session.execute(f"select 1 from temp.{CHOSEN} limit 1").fetchall())


def _replace(session: Session, load: Load, group: Group, table: str) -> int:
    """Take the stored rows of the chosen records out, and keep them for a rollback.

    Returns how many of them were of the run itself, which are not kept.

    Raises:
        Unbalanced: some are still there, others are not, or some are not kept.
    """
    ours = matches(group, table, "o", "c")
    own = load.run_id.replace("'", "''")
    [(count, others)] = session.execute(
        f"select count(*), count(*) filter (o.{RUN} is distinct from '{own}') "
        f"from {quoted(table)} o semi join temp.{CHOSEN} c on {ours}"
    ).fetchall()
    if table == group.root:
        [(known,)] = session.execute(f"select sum(stored) from temp.{CHOSEN}").fetchall()
        agree(table, "those to be replaced", int(known), int(count))
    if not count:
        return 0
    journal = journal_of(load.endpoint, table)
    before = tables.counts(session, [table, journal])
    kept = (
        f"select o.* from {quoted(table)} o semi join temp.{CHOSEN} c on {ours} "
        f"where o.{RUN} is distinct from '{own}'"
    )
    if session.exists(journal):
        beside = f"{tables.BESIDE}{journal}"
        session.execute(
            f"create table {quoted(beside)} as from {quoted(journal)} union all by name ({kept})"
        )
        session.execute(f"drop table {quoted(journal)}")
        session.execute(f"alter table {quoted(beside)} rename to {quoted(journal)}")
    else:
        session.execute(f"create table {quoted(journal)} as {kept}")
    session.execute(f"delete from {quoted(table)} o using temp.{CHOSEN} c where {ours}")
    after = tables.counts(session, [table, journal])
    agree(table, "those that were replaced", int(count), before[table] - after[table])
    agree(table, "those kept for a rollback", int(others), after[journal] - before[journal])
    return int(count) - int(others)


def begin_journal(session: Session, endpoint: str, root: str) -> None:
    """Make the journal of a load that replaced nothing: without one a load is not rolled back."""
    journal = quoted(journal_of(endpoint, root))
    session.execute(f"create table if not exists {journal} as from {quoted(root)} limit 0")


def journal_of(endpoint: str, table: str) -> str:
    """The name of the table that holds what the newest load of an endpoint replaced."""
    return f"{MERGED}{endpoint}__{table}"


def forget_journal(session: Session, endpoint: str) -> None:
    """Drop what is kept of the newest load of an endpoint."""
    for journal in journals(session, endpoint).values():
        session.execute(f"drop table {quoted(journal)}")


def journals(session: Session, endpoint: str) -> dict[str, str]:
    """The tables of which the newest load of an endpoint replaced rows, and where these are."""
    prefix = journal_of(endpoint, "")
    found = sorted(name for name in session.names() if name.startswith(prefix))
    return {name.removeprefix(prefix): name for name in found}


def journals_on(session: Session, table: str) -> list[str]:
    """The tables that hold what the newest loads of any endpoints replaced in a table."""
    found = sorted(name for name in session.names() if name.startswith(MERGED))
    return [name for name in found if name.removeprefix(MERGED).partition("__")[2] == table]


def forget_kept(session: Session, table: str) -> None:
    """Forget all that is kept of a table for a rollback: it no longer fits."""
    for journal in journals_on(session, table):
        endpoint = journal.removeprefix(MERGED).partition("__")[0]
        forget_journal(session, endpoint)
    session.execute(f"drop table if exists {quoted(f'{FORMER}{table}')}")


def restorable(
    session: Session,
    endpoint: str,
    keys: Mapping[str, Sequence[str]],
    without: Sequence[str] = (),
) -> dict[str, int] | None:
    """How many rows of a journal can be put back, by table (`Transaction.kept_by_merge`)."""
    found = journals(session, endpoint)
    if not found:
        return None
    rows = {}
    for table, kept, since in _kept(found, keys, without):
        [(whole, again)] = session.execute(
            f"select (select count(*) {kept}), (select count(*) {kept} semi join {since})"
        ).fetchall()
        rows[table] = int(whole) - int(again)
    return rows


def restore(session: Session, endpoint: str, keys: Mapping[str, Sequence[str]]) -> None:
    """Put back what the newest load replaced, but for records that somebody else stored since.

    Args:
        session: in a transaction.
        endpoint: whose load it was; its own rows are taken out already.
        keys: the columns of each table that tell whose record a row is of; the first is the root.

    Raises:
        Unbalanced: other rows are there again than those that were counted.
    """
    found = journals(session, endpoint)
    wanted = restorable(session, endpoint, keys) or {}
    for table, kept, since in _kept(found, keys, ()):
        before = tables.count(session, table)
        tables.copy(session, table, f"(select j.* {kept} anti join {since})")
        again = tables.count(session, table) - before
        agree(table, "those that are there again", wanted[table], again)
    forget_journal(session, endpoint)


def _kept(
    found: Mapping[str, str], keys: Mapping[str, Sequence[str]], without: Sequence[str]
) -> Iterator[tuple[str, str, str]]:
    """Each table of a journal, children first: its rows, and the records stored since."""
    root = next(iter(keys), "")
    for table in reversed([name for name in keys if name in found]):
        known = keys[table]
        other = root if len(known) == len(keys[root]) and len(known) > 1 else table
        on = " and ".join(
            f"j.{quoted(mine)} is not distinct from r.{quoted(its)}"
            for mine, its in zip(known, keys[other], strict=True)
        )
        runs = ", ".join("'" + run.replace("'", "''") + "'" for run in without)
        others = f"(from {quoted(other)} where {RUN} not in ({runs}))" if runs else quoted(other)
        yield table, f"from {quoted(found[table])} j", f"{others} r on {on}"
