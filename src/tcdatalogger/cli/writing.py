"""Writes answers: bytes to the standard output, and files."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tcdatalogger import disk, private
from tcdatalogger.cli.output import number, say
from tcdatalogger.errors import UsageError

if TYPE_CHECKING:
    import pyarrow as pa


def print_bytes(written: bytes) -> None:
    """Write bytes to the standard output, after what was said before."""
    sys.stdout.flush()
    sys.stdout.buffer.write(written)
    sys.stdout.buffer.flush()


def write_bytes(written: bytes, file: Path) -> None:
    """Write a file that only this user reads.

    Raises:
        UsageError: it cannot be written.
    """
    try:
        with open(file, "wb", opener=private.opener) as stream:
            stream.write(written)
    except OSError as error:
        raise _unwritable(error, file) from None


def write_parquet(table: pa.Table, file: Path) -> None:
    """Write a Parquet file that only this user reads, and say how many rows it has.

    Raises:
        UsageError: it cannot be written.
    """
    import pyarrow.parquet as pq

    try:
        with open(file, "wb", opener=private.opener) as written:
            pq.write_table(table, written, compression="zstd")
    except OSError as error:
        raise _unwritable(error, file) from None
    say(f"{file}: {number(table.num_rows)} rows")


def _unwritable(error: OSError, file: Path) -> Exception:
    return disk.failure(
        error,
        str(file),
        UsageError(
            f"{file} cannot be written: {error.strerror or error}.",
            remedy="Name a file in a folder that is there, and that this user may write to.",
        ),
    )
