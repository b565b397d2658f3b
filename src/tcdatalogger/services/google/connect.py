"""Makes the client of an address. Google's library is imported here first, when it is wanted."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from tcdatalogger.clock import Clock
from tcdatalogger.errors import ConfigError
from tcdatalogger.services.google.address import parse

if TYPE_CHECKING:
    from tcdatalogger.services.google.access import Revealed
    from tcdatalogger.services.google.client import Client
    from tcdatalogger.services.google.sheets import Sheets
    from tcdatalogger.services.google.tables import Unit
    from tcdatalogger.services.warehouse.protocol import Warehouse

PACKAGE: Final = "google-cloud-bigquery>=3.47,<4"
"""What pip installs for it: the extra `bigquery`."""


def connect(
    url: str,
    environ: Mapping[str, str],
    *,
    credentials: Revealed | None = None,
    clock: Clock | None = None,
    kms_key: str = "",
) -> Client:
    """The client of a dataset; nothing is asked yet.

    Args:
        url: bigquery://PROJECT/DATASET?location=EU.
        environ: the environment, for the address of an emulator.
        credentials: the text of a file with credentials, None for what Google's library finds.
        clock: to wait by, None for the machine's.
        kms_key: the full name of the key of Cloud KMS for new tables, "" for Google's own.

    Raises:
        ConfigError: the address names no dataset, there are no credentials, or the library is not
            installed.
    """
    address = parse(url)
    try:
        from tcdatalogger.services.google import access, client  # noqa: PLC0415  # with the extra
    except ImportError:
        raise ConfigError(
            "A warehouse on BigQuery needs the package google-cloud-bigquery, which is not "
            "installed.",
            remedy=f"`{sys.executable} -m pip install '{PACKAGE}'` installs it.",
        ) from None
    return client.Client(address, access.find(environ, credentials), clock, kms_key=kms_key)


def connect_sheets(environ: Mapping[str, str], credentials: Revealed, clock: Clock) -> Sheets:
    """The spreadsheets that a service account may write; nothing is asked yet.

    Args:
        environ: the environment, for the address of something else that answers like Google.
        credentials: the JSON of the key of a service account.
        clock: to sign by, and to wait by.

    Raises:
        ConfigError: the credentials are none, or the library that signs is not installed.
    """
    try:
        from tcdatalogger.services.google import sheets  # noqa: PLC0415  # with the extra
    except ImportError:
        raise ConfigError(
            "An export to a sheet needs the package google-auth, which is not installed.",
            remedy=f"`{sys.executable} -m pip install google-auth` installs it.",
        ) from None
    return sheets.Sheets(credentials.reveal(), clock, environ.get(sheets.EMULATOR, sheets.SHEETS))


def open_dataset(
    client: Client,
    clock: Clock | None = None,
    *,
    partition: Unit = "month",
    require_partition_filter: bool = False,
    most_billed: int | None = None,
) -> Warehouse:
    """The warehouse in a dataset; it is reached at its first use.

    Args:
        client: of the dataset, as `connect` makes one; it is closed with the warehouse.
        clock: to wait by, None for the machine's.
        partition: the unit of the partitions of new tables, by `server_timestamp`.
        require_partition_filter: whether a query of a new table has to say of which time.
        most_billed: bytes that Google may bill for one `query`; None for any.
    """
    from tcdatalogger.services.google import tables, warehouse  # noqa: PLC0415  # with the extra

    layout = tables.Layout(partition, require_partition_filter)
    return warehouse.BigQueryWarehouse(client, clock, layout, most_billed)
