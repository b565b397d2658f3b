"""A warehouse by its address. An engine is imported when a warehouse of its kind is opened."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from tcdatalogger.clock import Clock
from tcdatalogger.errors import ConfigError
from tcdatalogger.services.warehouse.protocol import PATIENCE, EncryptionKey, Limits, Warehouse

_DUCKDB: Final = "duckdb:///"


def open_warehouse(
    url: str,
    clock: Clock | None = None,
    *,
    patience: float = PATIENCE,
    read_only: bool = False,
    key: EncryptionKey | None = None,
    unsafe: bool = False,
    limits: Limits | None = None,
) -> Warehouse:
    """The warehouse of an address; it is reached at its first use.

    Args:
        url: its address: duckdb:///FILE.
        clock: by which it is waited for; None for the machine's.
        patience: seconds to wait for it.
        read_only: for queries, beside others that read.
        key: with which it is encrypted, None for none.
        unsafe: whether queries may reach other files than the warehouse's.
        limits: of each query; None for none.

    Raises:
        ConfigError: no warehouse is of this kind.
    """
    if not url.startswith(_DUCKDB):
        raise _unknown(url)
    from tcdatalogger.services.duckdb.warehouse import DuckDBWarehouse  # noqa: PLC0415  # duckdb

    return DuckDBWarehouse(
        Path(url.removeprefix(_DUCKDB)),
        clock,
        patience=patience,
        read_only=read_only,
        key=key,
        unsafe=unsafe,
        limits=limits,
    )


def look_for_cipher(url: str) -> None:
    """Look whether this machine can encrypt a warehouse.

    Args:
        url: its address.

    Raises:
        ConfigError: it cannot, or no warehouse is of this kind.
    """
    if not url.startswith(_DUCKDB):
        raise _unknown(url)
    from tcdatalogger.services.duckdb import connection  # noqa: PLC0415  # duckdb

    connection.look_for_cipher()


def _unknown(url: str) -> ConfigError:
    return ConfigError(
        f"The warehouse {url} is of a kind that does not work yet.", remedy="Use duckdb:///FILE."
    )
