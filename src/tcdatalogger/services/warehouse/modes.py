"""How a load goes into its tables: once, refused where rows would be lost, by its storage mode.

All of it happens inside of one transaction; nothing here begins or ends one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from tcdatalogger.errors import DataRefused
from tcdatalogger.models.checks.promised import CheckFailed, CheckResult
from tcdatalogger.models.evolution import Step
from tcdatalogger.models.records import VERSION
from tcdatalogger.services.warehouse import conservation, owners, rollback, schema_changes
from tcdatalogger.services.warehouse.groups import gone, groups
from tcdatalogger.services.warehouse.load import Load, Receipt, as_stored, not_whole
from tcdatalogger.services.warehouse.together import joined
from tcdatalogger.services.warehouse.transaction import Moved, Transaction

_KEEP_MORE: Final[Mapping[str, frozenset[str]]] = {
    "merge": frozenset({"append"}),
    "replace": frozenset({"append", "merge", "history"}),
}
"""For a mode, those that keep rows which it would wipe."""


def store(transaction: Transaction, loads: Sequence[Load]) -> list[Receipt]:
    """Store the loads of a group (`together.py`), but for those that the ledger has.

    Raises:
        Busy: their run lost its claim.
        DataRefused: a column cannot become what they need, or their mode cannot take them.
        Unbalanced: rows of a load are neither in the tables nor stored already.
    """
    ledger = transaction.ledger
    lines = ledger.lines_of(loads)
    if len(loads) == 1:
        [load] = loads
        line = lines.get(load.id)
        if line is not None and line.run_id != load.run_id and line.rolled_back:
            # A stretch of history that is read once more: its id hangs on the stretch alone.
            loads = [replace(load, id=f"{load.id}-{load.run_id}")]
            lines = ledger.lines_of(loads)
    receipts = {
        name: Receipt(name, line.rows, repeated=True, schema_version=line.schema_version)
        for name, line in lines.items()
    }
    new = [load for load in loads if load.id not in lines]
    if new:
        ledger.refuse_overtaken(new[0])
        if new[0].again:
            new = rollback.take_out(transaction, new)
        ledger.settle(new[0].settles)
        receipts |= {receipt.load_id: receipt for receipt in _store(transaction, new)}
    return [receipts[load.id] for load in loads]


def _store(transaction: Transaction, loads: Sequence[Load]) -> list[Receipt]:
    """Change the tables where they must, put the rows in, and write the ledger's lines."""
    ledger = transaction.ledger
    loads = [
        replace(load, family=as_stored(load.family, load.mode, load.endpoint)) for load in loads
    ]
    whole = joined(loads)
    owners.take(transaction, whole)
    _refuse_mixed(transaction, whole)
    steps = schema_changes.plan_of(transaction, whole)
    versions = [
        schema_changes.write_versions(ledger, load, () if number else steps, load.cause)
        for number, load in enumerate(loads)
    ]
    if whole.once:
        before = ledger.set_aside(whole.endpoint)
        left = tuple(m for m in whole.rejected if m.record not in before)
        loads = [replace(load, rejected=left) for load in loads]
    own = [table.name for table in whole.family.tables]
    had = _rows(transaction, own, whole.runs)
    moved = _move(transaction, whole, steps)
    has = _rows(transaction, own, whole.runs)
    receipts = []
    for number, (load, version) in enumerate(zip(loads, versions, strict=True)):
        before_it, after_it = had[load.run_id], has[load.run_id]
        taken = before_it if load.mode == "replace" else moved.taken
        rows = conservation.check(transaction.engine, load, before_it, after_it, taken, moved.left)
        made = () if number else steps
        receipts.append(
            Receipt(load.id, rows, steps=made, schema_version=version, left_out=moved.left_out)
        )
    if len(loads) == 1:
        changed = any(receipts[0].rows.values()) or moved.closed > 0
        if not _is_news(transaction, loads[0], steps, changed):
            return [replace(receipts[0], unchanged=True)]
    if whole.mode != "merge":
        transaction.forget(endpoint=whole.endpoint)
    ledger.write_loads(
        [
            (load, receipt.rows, receipt.schema_version)
            for load, receipt in zip(loads, receipts, strict=True)
        ]
    )
    return receipts


def _rows(
    transaction: Transaction, names: Sequence[str], runs: Sequence[str]
) -> Mapping[str, Mapping[str, int]]:
    """How many rows of each run can be read in tables: by run, and then by table."""
    if len(runs) == 1:
        return {runs[0]: transaction.rows_of(names, runs)}
    return transaction.rows_of_each(names, runs)


def _is_news(transaction: Transaction, load: Load, steps: Sequence[Step], changed: object) -> bool:
    """Whether a load is worth a line in the ledger: it changed something, or was asked for."""
    if load.mode == "replace" or (load.mode == "append" and not load.once):
        return True
    told = changed or steps or load.rejected or load.drift
    asked = load.again or load.settles or load.stretch is not None
    return bool(told or asked or load.cursor != transaction.ledger.cursor(load.endpoint))


# --- by mode ---------------------------------------------------------------------------------


def _move(transaction: Transaction, load: Load, steps: Sequence[Step]) -> Moved:
    if load.mode == "replace":
        return _replace(transaction, load, steps)
    schema_changes.take(transaction, load.family, steps)
    match load.mode:
        case "append" if load.once:
            return transaction.append_new(load)
        case "append":
            return transaction.append(load)
        case "merge":
            return _merge(transaction, load, steps)
        case "history":
            return _history(transaction, load)
        case mode:
            raise ValueError(mode)


def _replace(transaction: Transaction, load: Load, steps: Sequence[Step]) -> Moved:
    """Put a whole list in the place of the one before.

    Raises:
        DataRefused: the list was not read whole, or too many rows would vanish.
    """
    if not load.whole:
        raise not_whole(load.endpoint)
    root = load.family.tables[0].name
    there = transaction.counts([root])[root]
    _refuse_drop(load, root, there - load.tables[root].num_rows, there)
    keep = True
    if load.again:  # a load that makes the very rows again that the tables hold
        newest = transaction.ledger.newest_before(load.endpoint, load.id)
        keep = newest is None or newest.run_id != load.run_id
    return transaction.replace(load, steps, gone(transaction, load), keep=keep)


def _merge(transaction: Transaction, load: Load, steps: Sequence[Step]) -> Moved:
    newest = transaction.ledger.newest(load.endpoint, counting=False)
    first = newest is None or newest.run_id != load.run_id
    moved = transaction.merge(load, groups(transaction, load), first=first)
    if _is_news(transaction, load, steps, moved.chosen):
        if first and not moved.chosen:
            transaction.forget(endpoint=load.endpoint)
        transaction.keep(load.endpoint, load.family.tables[0].name)
    return moved


def _history(transaction: Transaction, load: Load) -> Moved:
    """Store versions.

    Raises:
        DataRefused: the records have no key, one repeats, or too many would be closed.
    """
    root = load.family.tables[0].name
    there = transaction.current(root)
    moved = transaction.version(load, groups(transaction, load))
    _refuse_drop(load, root, moved.closed, there)
    return moved


# --- refusals --------------------------------------------------------------------------------


def _refuse_drop(load: Load, table: str, drop: int, there: int) -> None:
    """Refuse a load by which more records would vanish than its endpoint allows.

    Raises:
        CheckFailed: so it is.
    """
    if load.again or not there or drop <= load.max_drop * there + 1e-9:
        return
    promise = f"no more than {load.max_drop:.0%} of its records vanish"
    raise CheckFailed(
        f"{table} would lose {drop} of its {there} records, and max_drop of {load.endpoint} "
        f"is {load.max_drop:g}.",
        [*load.checks, CheckResult(table, promise, drop)],
        remedy="The old rows stay. If Torn is right: "
        f"`tcdatalogger run {load.endpoint} --set max_drop=1`.",
    )


def _refuse_mixed(transaction: Transaction, load: Load) -> None:
    """Refuse to mix versions with rows that are none.

    Raises:
        DataRefused: the tables hold rows of the other kind.
    """
    root = load.family.tables[0]
    there = transaction.stored([root.name]).get(root.name)
    if there is None:
        return
    _refuse_fewer(transaction, load, root.name)
    since = VERSION[0]
    if load.mode != "history" and (since not in there or root.column(since) is not None):
        return
    if transaction.holds(root.name, versions=load.mode != "history"):
        held = "rows without versions" if load.mode == "history" else "versions of a history"
        raise DataRefused(
            f"{root.name} holds {held}, and {load.endpoint} stores by {load.mode} now.",
            remedy=f"`tcdatalogger rebuild {load.endpoint}` makes its rows again from the archive, "
            "or give it another `table`.",
        )


def _refuse_fewer(transaction: Transaction, load: Load, root: str) -> None:
    """Refuse a mode that would keep less of the rows than the one by which they were stored.

    Raises:
        DataRefused: the first load after the change would wipe rows that no load can bring back.
    """
    more = _KEEP_MORE.get(load.mode, frozenset())
    for name, how in transaction.ledger.filled_by_others(load.endpoint, root) if more else ():
        runs = transaction.ledger.runs(name, how, root) if how in more else []
        if transaction.rows_of([root], runs)[root]:
            raise DataRefused(
                f"{root} holds rows that {name} stored by {how}, and {load.endpoint} stores by "
                f"{load.mode}, which would keep only a part of them.",
                remedy=f"Give {load.endpoint} a table of its own, or call it {name} again and look "
                f"what `tcdatalogger rebuild {name} --dry-run` would make of its rows.",
            )
    if load.cause == "rebuild":  # all of its own are made again
        return
    mode = transaction.ledger.mode(load.endpoint, root)
    if mode in more and transaction.counts([root])[root]:
        raise DataRefused(
            f"{root} holds rows that {load.endpoint} stored by {mode}, and it stores by "
            f"{load.mode} now, which would keep only a part of them.",
            remedy=f"`tcdatalogger rebuild {load.endpoint}` makes its rows again from the "
            "archive, or give it another `table`.",
        )
