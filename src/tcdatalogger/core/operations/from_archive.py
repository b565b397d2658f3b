"""Past runs, by the archive and the ledger."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from typing import Final

from tcdatalogger.services.warehouse.protocol import Warehouse

ORDERED: Final = ("merge", "history")
"""The storage modes with which the rows of a run depend on the runs before it."""


def newest_run(warehouse: Warehouse, endpoint: str) -> str | None:
    """The run of the newest load of an endpoint, None before its first load."""
    newest = warehouse.loads(endpoint=endpoint, counting=True, most=1)
    return newest[0].run_id if newest else None


def run_of(file: str) -> str:
    """The id of the run of an archive file."""
    return Path(file).stem


def load_id(run_id: str, endpoint: str, token: str) -> str:
    """The id of a load that is made again; it differs from the id of the run's first load."""
    return sha256(f"{run_id}\n{endpoint}\n{token}".encode()).hexdigest()[:16]
