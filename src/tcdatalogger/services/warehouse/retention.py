"""Rows that are older than they are kept are deleted, and the ledger counts them no longer.

All of it happens inside of one transaction; nothing here begins or ends one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from tcdatalogger.models.rows.expiry import ENDED, Expiry
from tcdatalogger.services.warehouse.schema_changes import MERGED
from tcdatalogger.services.warehouse.transaction import Transaction


def expire(
    transaction: Transaction, endpoint: str, expiry: Expiry, *, dry: bool = False
) -> Mapping[str, int]:
    """Delete the expired rows of an endpoint, also from what is kept for a rollback.

    Args:
        transaction: with the tables.
        endpoint: whose rows.
        expiry: which rows.
        dry: whether they are only counted.

    Returns:
        How many rows, by table; tables without expired rows are left out.

    Raises:
        Unbalanced: other rows went than those that were counted.
    """
    names = _tables(transaction, endpoint, expiry)
    known = expiry.within(transaction.stored(names))
    gone: dict[str, dict[str, int]] = {}
    for name in names:
        columns = known.where(name)
        by_run = transaction.expired(name, columns, expiry.before) if columns else {}
        if by_run:
            gone[name] = by_run
    if not dry:
        for name in gone:
            transaction.expire(name, known.where(name), expiry.before)
        for name in transaction.there([f"{MERGED}{endpoint}__{name}" for name in names]):
            columns = known.where(name.removeprefix(f"{MERGED}{endpoint}__"))
            if columns and transaction.expired(name, columns, expiry.before):
                transaction.expire(name, columns, expiry.before)
        transaction.ledger.take_off(endpoint, gone)
        transaction.ledger.forget_set_aside(endpoint, expiry.before)
    return {name: sum(by_run.values()) for name, by_run in gone.items()}


def _tables(transaction: Transaction, endpoint: str, expiry: Expiry) -> Sequence[str]:
    """The tables of an endpoint that are there, also those that its family no longer has."""
    ledger = transaction.ledger
    return transaction.there(list(dict.fromkeys((*expiry.columns, *ledger.tables_of(endpoint)))))


def of_stored(expiry: Expiry, tables: Sequence[str], mode: str) -> Expiry:
    """The same with tables that no family tells of."""
    columns = (ENDED,) if mode == "history" else expiry.where("")
    others = {name: columns for name in tables if name not in expiry.columns}
    return replace(expiry, columns={**expiry.columns, **others})
