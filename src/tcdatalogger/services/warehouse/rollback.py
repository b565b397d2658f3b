"""Taking back what a run stored: its rows, its lines in the ledger, the tables it brought.

A rollback is counted before anything is done, and what is done is held to these numbers. To look at
one is to count alone. All of it happens inside of one transaction; nothing here begins or ends one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from tcdatalogger.errors import DataRefused, UsageError
from tcdatalogger.models.schema import SYSTEM
from tcdatalogger.models.versions import UNDONE
from tcdatalogger.services.warehouse.conservation import agree
from tcdatalogger.services.warehouse.groups import row_keys
from tcdatalogger.services.warehouse.ledger import ROLLED_BACK, LedgerLine, SchemaLine
from tcdatalogger.services.warehouse.load import Clear, Load, Undo
from tcdatalogger.services.warehouse.transaction import Transaction


@dataclass(frozen=True, slots=True)
class _Dropped:
    """What a run brought to a table and what goes with it.

    Attributes:
        table: its name.
        columns: that go, with their types; none where the whole table goes.
        told: in words.
        last: the newest version of the table that the run made.
        before: the endpoint's newest version that the run did not make, None for none.
    """

    table: str
    columns: tuple[str, ...]
    told: tuple[str, ...]
    last: SchemaLine
    before: SchemaLine | None


def rollback(
    transaction: Transaction, endpoint: str, run_id: str, *, at: float, by: str, dry: bool = False
) -> Undo:
    """Take back what a run stored, or tell what would go.

    Args:
        transaction: with the tables.
        endpoint: whose run.
        run_id: of the run.
        at: when, seconds since 1970.
        by: for the ledger: who rolls it back.
        dry: count alone.

    Raises:
        UsageError: it stored nothing, or was taken back before.
        DataRefused: a later run of the endpoint stands on it.
        Unbalanced: other rows were taken out or put back than those that were counted.
    """
    ledger = transaction.ledger
    mode = _mode(transaction, endpoint, run_id)
    _refuse_older(transaction, endpoint, run_id, mode)
    family = ledger.tables_of_run(endpoint, run_id)
    names = transaction.there(family)
    removed, back, reopened = _counts(transaction, endpoint, run_id, mode, names)
    before = transaction.counts(names)
    after = {n: before[n] - removed.get(n, 0) + back.get(n, 0) for n in names}
    restored = {n: back.get(n, 0) + reopened.get(n, 0) for n in names}
    dropped = list(_dropped(transaction, endpoint, run_id, after, swapped=mode == "replace"))
    steps = tuple(step for each in dropped for step in each.told)
    if not dry:
        _take_back(transaction, endpoint, run_id, mode, names)
        left = transaction.counts(names)
        for name in names:
            what = "those that are left and those that are there again"
            agree(transaction.engine, name, what, after[name], left[name])
        ledger.supersede(endpoint, [run_id], f"{ROLLED_BACK}{by}")
        ledger.forget_drift(endpoint, run_id)
        for each in dropped:
            _drop(transaction, each, at)
    return Undo(
        endpoint,
        run_id,
        mode,
        {name: count for name, count in removed.items() if count},
        {name: count for name, count in restored.items() if count},
        steps,
        ledger.cursor(endpoint, without=run_id),
    )


def take_out(transaction: Transaction, loads: Sequence[Load]) -> list[Load]:
    """Remove what the runs of loads stored before, so that they can be made again.

    Args:
        transaction: with the tables.
        loads: of one endpoint and mode; each is of another run.

    Returns:
        The loads, each with the cursor and the stretch of those that it replaces.
    """
    ledger, first = transaction.ledger, loads[0]
    last = ledger.newest(first.endpoint, counting=False) if first.mode == "merge" else None
    lines = ledger.loads_of_runs(first.endpoint, [load.run_id for load in loads])
    made = [_inherited(load, lines) for load in loads]
    if not lines:
        return made
    ids = {load.run_id: load.id for load in loads}
    ledger.supersede_each(first.endpoint, ids)
    if first.mode == "replace":
        return made  # the swap takes it out
    there = transaction.there(list(dict.fromkeys(name for line in lines for name in line.rows)))
    transaction.take_out(there, list(ids))
    transaction.reopen(there, list(ids))
    if last is not None and last.run_id == first.run_id:
        transaction.put_back(first.endpoint, row_keys(transaction, there))
    return made


def _inherited(load: Load, lines: Sequence[LedgerLine]) -> Load:
    """A load that is made again, with the cursor and the stretch of those that it replaces."""
    mine = [line for line in lines if line.run_id == load.run_id]
    cursors = (line.cursor for line in mine if line.cursor is not None)
    stretches = (line.stretch for line in mine if line.stretch is not None)
    return replace(load, cursor=next(cursors, None), stretch=next(stretches, None))


def clear(transaction: Transaction, wanted: Clear) -> bool:
    """Take out what runs stored; those of `out` no longer count.

    Returns whether what the next loads replace is a state that the tables were in: it is none
    where runs are left out of it, or nothing counted that should have been there.
    """
    ledger = transaction.ledger
    fits = not wanted.out and ledger.newest(wanted.endpoint) is not None
    tables = ledger.tables_of(wanted.endpoint)
    if wanted.out:
        transaction.forget(replaced=tables)
    there = transaction.there(tables)
    transaction.take_out(there, wanted.runs, kept=True)
    transaction.reopen(there, wanted.runs)
    transaction.forget(endpoint=wanted.endpoint)
    ledger.supersede(wanted.endpoint, wanted.out, wanted.by)
    return fits


# --- what can be taken back ------------------------------------------------------------------


def _mode(transaction: Transaction, endpoint: str, run_id: str) -> str:
    """In which mode a run stored: a record of it that was tried again may have been added since.

    Raises:
        UsageError: it did not, or no longer counts.
    """
    lines = transaction.ledger.loads(endpoint=endpoint, run_id=run_id)
    counting = [line.mode for line in reversed(lines) if line.counts]
    if counting:
        return next((mode for mode in counting if mode != "append"), "append")
    if not lines:
        raise UsageError(
            f"The run {run_id} of {endpoint} has stored nothing.",
            remedy="`tcdatalogger runs` lists them.",
        )
    was = "rolled back" if lines[0].rolled_back else "left out"
    raise UsageError(
        f"The run {run_id} of {endpoint} was {was} already.",
        remedy=f"`tcdatalogger replay {run_id}` brings its rows back.",
    )


def _refuse_older(transaction: Transaction, endpoint: str, run_id: str, mode: str) -> None:
    """Refuse what later runs stand on.

    Raises:
        DataRefused: so it is.
    """
    if mode == "append":
        return
    ledger = transaction.ledger
    remedy = f"`tcdatalogger rebuild {endpoint} --without {run_id}` makes its rows without it."
    newest = ledger.newest(endpoint)
    if newest is None or newest.run_id != run_id:
        raise DataRefused(
            f"The run {newest and newest.run_id} of {endpoint} has stored since {run_id}: by "
            f"{mode} only the newest can be rolled back.",
            remedy=remedy,
        )
    last = ledger.newest(endpoint, counting=False)
    kept = last is not None and last.run_id == run_id
    if mode == "replace":
        tables = list(newest.rows)
        kept = kept and set(tables) <= set(transaction.kept_by_replace(tables))
    if mode == "merge":
        kept = kept and transaction.kept_by_merge(endpoint, {}) is not None
    if mode != "history" and not kept:
        raise DataRefused(
            f"What the run {run_id} of {endpoint} replaced is no longer kept.", remedy=remedy
        )


# --- its rows --------------------------------------------------------------------------------


def _counts(
    transaction: Transaction, endpoint: str, run_id: str, mode: str, names: Sequence[str]
) -> tuple[Mapping[str, int], Mapping[str, int], Mapping[str, int]]:
    """How many rows of each table would go, be there again, and be current again."""
    if mode == "replace":
        back = transaction.kept_by_replace(names)
        return transaction.counts(list(back)), back, {}
    removed = transaction.rows_of(names, [run_id])
    reopened = transaction.closed_by(names, [run_id])
    if mode != "merge":
        return removed, {}, reopened
    keys = row_keys(transaction, names)
    return removed, transaction.kept_by_merge(endpoint, keys, [run_id]) or {}, reopened


def _take_back(
    transaction: Transaction, endpoint: str, run_id: str, mode: str, names: Sequence[str]
) -> None:
    if mode == "replace":
        transaction.swap_back(list(transaction.kept_by_replace(names)))
        return
    transaction.take_out(names, [run_id], kept=True)
    transaction.reopen(names, [run_id])
    if mode == "merge":
        transaction.put_back(endpoint, row_keys(transaction, names))


# --- the evolution that came with a load -----------------------------------------------------


def _dropped(
    transaction: Transaction,
    endpoint: str,
    run_id: str,
    rows: Mapping[str, int],
    *,
    swapped: bool,
) -> Iterator[_Dropped]:
    """What came with the tables of a run, and is in nobody's way any more."""
    lines = transaction.ledger.versions_of(endpoint)
    own = [line for line in lines if line.endpoint == endpoint and line.run_id == run_id]
    if not own or any(line.run_id != run_id for line in lines[lines.index(own[0]) :]):
        return  # somebody has built on it
    before = [line for line in lines if line.endpoint == endpoint and line.run_id != run_id]
    for name in dict.fromkeys(line.table for line in own):
        changes = [change for line in own if line.table == name for change in line.changes]
        last = next(line for line in reversed(own) if line.table == name)
        there = transaction.stored([name]).get(name)
        columns: tuple[str, ...] = ()
        told: tuple[str, ...] = ()
        if there is not None and f"+ table {name}" in changes:
            told = (f"- table {name}",) if rows.get(name) == 0 else ()
        elif there is not None:
            added = [c.removeprefix(f"+ {name}.") for c in changes if c.startswith(f"+ {name}.")]
            gone = [
                column
                for column in (text.rpartition(" ")[0] for text in added)
                if swapped
                or column not in there
                or not transaction.has_value(name, column, without=run_id)
            ]
            told = tuple(f"- {name}.{c}" for c in added if c.rpartition(" ")[0] in gone)
            columns = () if swapped else tuple(column for column in gone if column in there)
        if told or swapped:
            yield _Dropped(name, columns, told, last, before[-1] if before else None)


def _drop(transaction: Transaction, dropped: _Dropped, at: float) -> None:
    """Drop what came with a run, and write the version of the table that it makes."""
    name, last, ledger = dropped.table, dropped.last, transaction.ledger
    if dropped.told == (f"- table {name}",):
        transaction.drop(name)
    for column in dropped.columns:
        transaction.drop(name, column)
    there = transaction.stored([name]).get(name, {})
    past = ledger.history(name)
    known = {column.name: column for version in past for column in version.columns}
    columns = [column for n, column in known.items() if n in there and n not in SYSTEM]
    columns += [known[n] for n in SYSTEM if n in there and n in known]
    before = dropped.before or last
    ledger.add_version(
        SchemaLine(
            last.endpoint,
            last.run_id,
            name,
            past[-1].number + 1,
            tuple(columns),
            last.key,
            dropped.told,
            UNDONE,
            before.catalog_version,
            before.shape,
            at,
        )
    )
