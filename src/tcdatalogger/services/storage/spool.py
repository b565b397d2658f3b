"""A bucket behind a folder of this machine, in which files wait until the bucket has them.

A write goes to the folder and needs no network. So answers are not lost if the bucket cannot be
reached, or if the process is killed during the upload. `deliver` uploads the files. No rows are
stored in a warehouse before their file is in the bucket.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from tcdatalogger.errors import ConfigError, DiskFull, Failure, WarehouseUnavailable
from tcdatalogger.observability.log import get_logger
from tcdatalogger.services.storage.folder import Folder
from tcdatalogger.services.storage.protocol import Content, Storage, StoredFile

_log = get_logger("archive")


class Spooled:
    """A bucket and its spool. A file in the spool counts as a file of the bucket.

    Args:
        bucket: where the files go.
        spool: where they wait.
    """

    def __init__(self, bucket: Storage, spool: Folder) -> None:
        self._bucket = bucket
        self._spool = spool

    @property
    def place(self) -> str:
        """The bucket."""
        return self._bucket.place

    @property
    def halves_folder(self) -> Path:
        """The folder of the spool for what is not whole yet."""
        return self._spool.halves_folder

    def write(self, name: str, content: Content) -> None:
        """Write a file into the spool, or into the bucket where the spool takes none.

        Raises:
            ConfigError, DiskFull, WarehouseUnavailable: neither takes it.
        """
        try:
            self._spool.write(name, content)
        except (ConfigError, DiskFull) as failure:
            _log.warning("spool_not_written", message=failure.message)
            self._bucket.write(name, content)

    def read(self, name: str, last: int | None = None) -> bytes:
        """The bytes of a file (`Storage.read`)."""
        with suppress(FileNotFoundError):
            return self._spool.read(name, last)
        return self._bucket.read(name, last)

    def read_part(self, name: str, start: int, size: int) -> bytes:
        """Some bytes of a file (`Storage.read_part`)."""
        with suppress(FileNotFoundError):
            return self._spool.read_part(name, start, size)
        return self._bucket.read_part(name, start, size)

    def exists(self, name: str) -> bool:
        """Whether there is such a file, in the spool or in the bucket."""
        return self._spool.exists(name) or self._bucket.exists(name)

    def files(self, prefix: str = "", after: str = "") -> Iterator[StoredFile]:
        """The files of both, each name once (`Storage.files`)."""
        before = ""
        both = (self._spool.files(prefix, after), self._bucket.files(prefix, after))
        for one in heapq.merge(*both, key=lambda file: file.name):
            if one.name != before:
                yield one
            before = one.name

    def delete(self, names: Iterable[str]) -> None:
        """Delete files from both."""
        names = list(names)
        self._spool.delete(names)
        self._bucket.delete(names)

    def waiting(self) -> list[StoredFile]:
        """What waits in the spool."""
        return list(self._spool.files())

    def deliver(self, name: str = "") -> None:
        """Bring what waits in the spool to the bucket (`Storage.deliver`)."""
        for one in self.waiting():
            if name in {"", one.name}:
                self._deliver(one)

    def _deliver(self, one: StoredFile) -> None:
        try:
            content = self._spool.read(one.name)
        except FileNotFoundError:  # another process has delivered it
            return
        try:
            self._bucket.write(one.name, content)
        except (WarehouseUnavailable, ConfigError) as failure:
            raise self._waits(failure) from None
        if one in self._spool.files(f"{Path(one.name).parent.as_posix()}/"):  # not written anew
            self._spool.delete([one.name])
        _log.info("archive_file_delivered", file=one.name, bytes=one.bytes)

    def _waits(self, failure: Failure) -> Failure:
        """The failure with what it means for what waits."""
        waits = f"What was fetched waits in {self._spool.root} and is not lost."
        return type(failure)(failure.message, remedy=f"{waits} {failure.remedy}".strip())

    def halves(self) -> list[Path]:
        """The files that a write into the spool began and has not ended."""
        return self._spool.halves()

    def local(self, name: str) -> Path | None:
        """The file in the spool, None where it is in the bucket."""
        return self._spool.local(name)
