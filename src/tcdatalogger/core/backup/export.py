"""The backup of a warehouse that is no file: its tables and its ledger, in a DuckDB file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from tcdatalogger import files
from tcdatalogger.core.config.paths import without_password
from tcdatalogger.core.main import Application
from tcdatalogger.core.operations.copy import transfer
from tcdatalogger.errors import Busy, WarehouseUnavailable
from tcdatalogger.files import Progress
from tcdatalogger.services.warehouse import copying
from tcdatalogger.services.warehouse.protocol import Backup, Warehouse

FILE: Final = "torn.duckdb"
TRIES: Final = 3
"""How often a warehouse is copied that is changed meanwhile."""


def export(application: Application, source: Warehouse, folder: Path, progress: Progress) -> Backup:
    """Copy the warehouse of an application into a DuckDB file, and compare every column.

    Args:
        application: its encryption key encrypts the file.
        source: its warehouse; runs may store there meanwhile.
        folder: that gets the file.
        progress: called after each piece of work.

    Raises:
        WarehouseUnavailable: it cannot be reached now, or nothing is stored yet.
        ConfigError: what it lies in is not there.
        Busy: it is changed all the time, or it is the target of a copy that is not finished.
        DataRefused: a table of the file is not that of the warehouse.
        DiskFull: there is no space for the file.
    """
    address = without_password(application.settings.warehouse.url) or ""
    if not source.exists():
        source.must_have_place()
        raise WarehouseUnavailable(
            f"Nothing has been stored in {address} yet.",
            remedy="`tcdatalogger run --all` stores some.",
        )
    if source.copying() is not None:
        raise copying.unfinished()
    file = folder / FILE
    with application.file(file) as target:
        for left in reversed(range(TRIES)):
            try:
                transfer(source, target, address, progress=progress)
                break
            except Busy:
                if not left:
                    raise Busy(
                        f"{address} was changed each of the {TRIES} times that it was copied.",
                        remedy="No backup was made. Try again when fewer runs are due.",
                    ) from None
        tables, engine = target.sums(), target.engine
    with file.open("rb+") as written:
        os.fsync(written.fileno())
    return Backup(
        kind="duckdb",
        engine=engine.rpartition(" ")[2],
        file=FILE,
        encrypted=application.settings.warehouse.encryption_key is not None,
        files={FILE: files.digest(file)},
        tables=tables,
    )
