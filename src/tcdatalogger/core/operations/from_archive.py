"""Runs of the past, as the archive and the ledger have them."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from typing import Final

from tcdatalogger.services.warehouse.protocol import Warehouse

ORDERED: Final = ("merge", "history")
"""Storage modes by which what a run stores hangs on the runs before it."""


def newest_run(warehouse: Warehouse, endpoint: str) -> str | None:
    """The run whose rows an endpoint stored last, None before its first load."""
    newest = warehouse.loads(endpoint=endpoint, counting=True, most=1)
    return newest[0].run_id if newest else None


def run_of(file: str) -> str:
    """The run whose answers a file of the archive has."""
    return Path(file).stem


def load_id(run_id: str, endpoint: str, token: str) -> str:
    """Of a load that is made again: another than the run's own, which is in the ledger."""
    return sha256(f"{run_id}\n{endpoint}\n{token}".encode()).hexdigest()[:16]
