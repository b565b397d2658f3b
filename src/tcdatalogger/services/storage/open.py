"""A place for the archive by its address. The library for buckets is imported with the first."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tcdatalogger.errors import ConfigError
from tcdatalogger.services.storage.address import BucketAddress
from tcdatalogger.services.storage.folder import Folder
from tcdatalogger.services.storage.protocol import PATIENCE, Storage
from tcdatalogger.services.storage.spool import Spooled

if TYPE_CHECKING:
    from tcdatalogger.services.storage.bucket import Bucket, Credentials

PACKAGE: Final = "obstore>=0.12.1,<0.13"
"""What pip installs for a bucket: the extra `bucket`."""


def open_storage(
    path: str,
    spool: Path,
    *,
    patience: float = PATIENCE,
    credentials: Credentials | Path | None = None,
) -> Storage:
    """The place of an address; it is reached at its first use.

    Args:
        path: a folder, or the address of a bucket.
        spool: the folder with a folder for each bucket, in which files wait for it.
        patience: seconds after which a call of a bucket ends at the latest.
        credentials: of a bucket (`Bucket`).

    Raises:
        ValueError: the address is none.
        ConfigError: the library for buckets is not installed.
    """
    if "://" not in path:
        return Folder(Path(path))
    bucket = open_bucket(path, patience=patience, credentials=credentials)
    return Spooled(bucket, open_spool(path, spool))


def open_spool(path: str, spool: Path) -> Folder:
    """The folder in which files wait for the bucket of an address; other buckets have their own.

    Raises:
        ValueError: the address is none.
    """
    return Folder(spool / BucketAddress.parse(path).folder)


def open_bucket(
    path: str, *, patience: float = PATIENCE, credentials: Credentials | Path | None = None
) -> Bucket:
    """The bucket of an address, without a spool; the arguments are those of `open_storage`.

    Raises:
        ValueError: the address is none.
        ConfigError: the library is not installed.
    """
    address = BucketAddress.parse(path)
    try:
        from tcdatalogger.services.storage.bucket import Bucket  # noqa: PLC0415  # with the extra
    except ImportError:
        raise ConfigError(
            "An archive in a bucket needs the package obstore, which is not installed.",
            remedy=f"`{sys.executable} -m pip install '{PACKAGE}'` installs it.",
        ) from None
    return Bucket(address, patience=patience, credentials=credentials)
