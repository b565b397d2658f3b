"""A place for the archive by its address. The library for buckets is imported at the first use."""

from __future__ import annotations

from pathlib import Path

from tcdatalogger.services.storage.address import BucketAddress
from tcdatalogger.services.storage.bucket import PATIENCE, Bucket, Credentials
from tcdatalogger.services.storage.folder import Folder
from tcdatalogger.services.storage.protocol import Storage
from tcdatalogger.services.storage.spool import Spooled


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
    """The bucket of an address, without a spool; the arguments are those of `open_storage`."""
    return Bucket(BucketAddress.parse(path), patience=patience, credentials=credentials)
