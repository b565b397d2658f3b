"""The state in a SQLite file, for the processes and threads of one machine."""

from __future__ import annotations

import os
import re
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import RLock
from typing import Any, Final

from tcdatalogger import disk, private
from tcdatalogger.clock import Clock
from tcdatalogger.core.state.database import PATIENCE
from tcdatalogger.errors import Busy, ConfigError, Failure, StateGone, StateUnavailable

MOUNTS: Final = Path("/proc/self/mountinfo")

SHARES: Final = frozenset(
    "nfs nfs4 cifs smb smb2 smb3 smbfs ncpfs afs ceph glusterfs lustre gpfs beegfs davfs "
    "fuse.sshfs fuse.s3fs fuse.gcsfuse fuse.glusterfs fuse.ceph fuse.rclone fuse.davfs2".split()
)
"""File systems that several machines share. Not 9p and virtiofs: by these a virtual machine or a
sandbox sees a disk of its own host."""

_PASSING: Final = frozenset({sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN})
_DAMAGED: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_ANY: Final = "select count(*) from sqlite_master"
"""A query that fails where the file is no database."""

_SPACE: Final = "Make space; it goes on by itself when there is some."
IN_MEMORY: Final = Path(":memory:")
"""A database in memory, which is gone with its connection."""

_BUSY: Final = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})


class SQLite:
    """An open file (`database.Database`).

    Args:
        path: the file; it is created where it does not exist.
        mounts: the kernel's list of mounts.
        read_only: whether no file is created or changed, not even beside the database.

    Raises:
        ConfigError: the file cannot be opened, is damaged, or is on a network share.
        DiskFull: the file could not be opened because the disk is full.
    """

    def __init__(self, path: Path, mounts: Path = MOUNTS, *, read_only: bool = False) -> None:
        self.path = path
        self.place = str(path)
        self._what = f"the state database {path}"
        self._alone = RLock()  # the threads of a process share one connection
        refuse_share(path, mounts)
        try:
            self._db = reader(path) if read_only else _made(path)
            self._file = _identity(path)
        except (OSError, sqlite3.Error) as error:
            if getattr(error, "sqlite_errorcode", 0) & 0xFF in _DAMAGED:
                raise self._failure(error) from None
            if disk.is_full(path.parent):
                raise disk.full(self._what, remedy=_SPACE) from None
            why = getattr(error, "strerror", None) or error
            raise ConfigError(
                f"The state database {path} cannot be used: {why}.",
                remedy="This user must be able to write there. It lies beside the warehouse unless "
                '`state.url` names another place, as "sqlite:///FILE".',
            ) from None

    def close(self) -> None:
        """Close the file; a second time does nothing."""
        self._db.close()

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """One transaction without other writers; see `Tables.writing`."""
        try:
            with self._alone:
                self._look()
                self._db.execute("begin immediate")
                try:
                    yield self._db
                except BaseException:  # also at Ctrl-C and an alarm: undo what is half-written
                    self._undo()
                    raise
                try:
                    self._db.execute("commit")
                except sqlite3.Error:
                    self._undo()
                    raise
        except sqlite3.DatabaseError as error:
            raise self._failure(error) from None

    def reading(self, query: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """The rows of a query; within `writing` those of its transaction."""
        # All rows at once: a statement that is half read keeps the connection at an old snapshot,
        # from which no thread can write.
        try:
            with self._alone:
                self._look()
                return self._db.execute(query, values).fetchall()
        except sqlite3.DatabaseError as error:
            raise self._failure(error) from None

    def has(self, table: str) -> bool:
        """Whether there is a table of that name."""
        return bool(self.reading("select 1 from sqlite_master where name = ?", (table,)))

    def compact(self) -> None:
        """Write the file anew, so that nothing is left of lines that were changed or deleted."""
        try:
            with self._alone:
                self._look()
                self._db.execute("vacuum")
                self._db.execute("pragma wal_checkpoint(truncate)").fetchall()
        except sqlite3.DatabaseError as error:
            raise self._failure(error) from None

    def shared_clock(self, clock: Clock) -> Clock:
        """The given clock: all processes that share the file are on this machine."""
        return clock

    def _look(self) -> None:
        """Refuse a file that was moved or deleted: other processes do not see claims in it.

        Raises:
            StateGone: the file was moved or deleted; another file may be in its place.
        """
        if _identity(self.path) != self._file:
            raise StateGone(
                f"The state database {self.path} was moved away or deleted while it was open.",
                remedy="Begin again: a new one is made, or the one that is there now is taken.",
            )

    def _undo(self) -> None:
        if self._db.in_transaction:  # SQLite itself undoes it when the disk is full
            self._db.execute("rollback")

    def _failure(self, error: Exception) -> Failure:
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
        if code in _BUSY:
            return Busy(
                f"The state database {self.path} is being written by another process.",
                remedy="Try again.",
            )
        if code == sqlite3.SQLITE_FULL or (code in _PASSING and disk.is_full(self.path.parent)):
            return disk.full(self._what, remedy=_SPACE)
        if code in _PASSING:
            return StateUnavailable(
                f"The state database {self.path} cannot be written: {error}.",
                remedy="Look at its disk; it goes on by itself when that is well.",
            )
        if code in _DAMAGED:
            # The file is not moved away: only it knows the calls of the last minute and what is
            # pending, and another process may have it open.
            return ConfigError(
                f"The state database {self.path} is damaged: {error}.",
                remedy=f"Stop what runs and move it away (mv {self.path} {self.path}.damaged): a "
                "new one is begun. What was stored and where each endpoint goes on is in the "
                "warehouse; what was not stored yet comes by `tcdatalogger rebuild NAME`.",
            )
        return ConfigError(
            f"The state database {self.path} cannot be written: {error}.",
            remedy="Look whether this user may write there.",
        )


def _made(path: Path) -> sqlite3.Connection:
    if path == IN_MEMORY:
        return _connected(str(path))
    private.folder(path.parent)
    # What SQLite puts beside a file gets the rights of that file.
    db = _connected(str(private.file(path)))
    return _ready(db, "pragma journal_mode = wal", "pragma synchronous = normal", _ANY)


def reader(path: Path) -> sqlite3.Connection:
    """A connection that writes nothing.

    Without the files of a writer beside the database SQLite would create them; so it is told that
    the file does not change.
    """
    address = f"{path.resolve().as_uri()}?mode=ro"
    try:
        return _ready(_connected(address), _ANY)
    except sqlite3.OperationalError:
        return _ready(_connected(f"{address}&immutable=1"), _ANY)


def _ready(db: sqlite3.Connection, *statements: str) -> sqlite3.Connection:
    """The connection after these statements; it is closed where one of them fails."""
    try:
        for statement in statements:
            db.execute(statement).fetchall()
    except BaseException:  # also at Ctrl-C: no other code can close it
        db.close()
        raise
    return db


def _connected(place: str) -> sqlite3.Connection:
    return sqlite3.connect(
        place,
        timeout=PATIENCE,
        isolation_level=None,
        check_same_thread=False,
        uri=place.startswith("file:"),
    )


def _identity(path: Path) -> tuple[int, int] | None:
    """The identity of a file, to notice another file of the same name; None where there is none."""
    try:
        found = os.stat(path)  # noqa: PTH116  # thousands of times in a run
    except OSError:
        return None
    return found.st_dev, found.st_ino


def refuse_share(path: Path, mounts: Path = MOUNTS) -> None:
    """Refuse a file that other machines could write: locks of SQLite do not work there.

    Raises:
        ConfigError: the file is on a network share.
    """
    kind = mounted_as(path, mounts)
    if kind in SHARES:
        raise ConfigError(
            f"The state database {path} is on a network share ({kind}), where SQLite's locks do "
            "not hold.",
            remedy="Give it a place on a local disk in `state.url`; several machines share a "
            "Postgres: postgresql://USER@HOST/DATABASE.",
        )


def mounted_as(path: Path, mounts: Path = MOUNTS) -> str:
    """The file system of a path, "" where the kernel does not say it."""
    try:
        lines = mounts.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    target = path.resolve()
    found = (0, "")
    for line in lines:
        before, _, after = line.partition(" - ")
        fields, kinds = before.split(), after.split()
        if len(fields) < 5 or not kinds:  # noqa: PLR2004 - the fifth is the place
            continue
        place = Path(_unescaped(fields[4]))
        # Of several mounts at one place the last one counts.
        if target.is_relative_to(place) and len(place.parts) >= found[0]:
            found = (len(place.parts), kinds[0])
    return found[1]


def _unescaped(text: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), text)
