"""Brings what an older version has written to this version, after a backup of it.

The state says by its release whether that is to be done. The backup comes first, and the tables of
the state are changed in one transaction after it. So a process that is killed on the way leaves
either all as it was, with one more backup, or all done. The ledger of the warehouse gets the
columns that it lacks with the next load, in the transaction of that load.
"""

from __future__ import annotations

import fcntl
import shutil
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tcdatalogger import files, private
from tcdatalogger.clock import SystemClock, utc
from tcdatalogger.core.backup import snapshots, sqlite_copy
from tcdatalogger.core.backup.make import back_up, place_of
from tcdatalogger.core.config.durations import parse
from tcdatalogger.core.config.settings import Settings
from tcdatalogger.core.main import Application
from tcdatalogger.core.state.connect import open_database
from tcdatalogger.core.state.database import Database
from tcdatalogger.core.state.heartbeats import Heartbeats
from tcdatalogger.core.state.migrations import RELEASES, behind, migrate, version
from tcdatalogger.errors import Busy, ConfigError
from tcdatalogger.files import Progress, silent
from tcdatalogger.observability.log import get_logger
from tcdatalogger.services.google.address import SCHEME

_KEEP: Final = "P30D"
"""How long BigQuery keeps the tables as they were before the upgrade."""

_HALF: Final = ".state.part"
"""The folder of a copy of the state until it is whole; `backup` clears other names."""

_log = get_logger("upgrade")


@dataclass(frozen=True, slots=True)
class Upgraded:
    """What an upgrade did.

    Attributes:
        before, after: the releases of the state.
        backup: where all is as it was before: a folder, or the name of snapshots at Google.
    """

    before: int
    after: int
    backup: str


def upgrade(settings: Settings, *, progress: Progress = silent) -> Upgraded | None:
    """Upgrade the state of an installation after a backup; None where it is of this version.

    Args:
        settings: of the installation.
        progress: called after each piece of the backup.

    Raises:
        Busy: another process upgrades it, or a scheduler of the former version runs.
        ConfigError: the state is of a later version; nothing was changed.
        DiskFull: there is no space for the backup; nothing was changed.
        Failure: as `back_up`; nothing was changed.
    """
    with closing(open_database(settings.state.url or "")) as database:
        before = version(database)
        if before > len(RELEASES):
            migrate(database)  # which refuses it
        if not behind(database):
            return None
        with _locked(settings):
            before = version(database)
            if before == len(RELEASES):
                return None  # another process has just done it
            _refuse_running(database)
            backup = _kept(settings, before, progress)
            migrate(database)
    done = Upgraded(before, len(RELEASES), backup)
    _log.info("state_upgraded", before=before, after=done.after, backup=backup)
    return done


@contextmanager
def _locked(settings: Settings) -> Iterator[None]:
    """Lock the upgrade of an installation until the end of the block, on this machine.

    Raises:
        Busy: another process upgrades it.
        ConfigError: the folder of the backups cannot be written to.
    """
    place = place_of(settings)
    try:
        private.folder(place)
        lock = open(place / ".upgrade", "ab", opener=private.opener)  # noqa: SIM115  # closed below
    except OSError as error:
        raise ConfigError(
            f"An older version wrote this installation, and the backup before the upgrade cannot "
            f"be made in {place}: {error.strerror or error}.",
            remedy="Nothing was changed. Give backups a folder that this user may write to, in "
            "backup.path.",
        ) from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Busy(
                "Another process upgrades this installation.", remedy="Wait for its end."
            ) from None
        yield


def _refuse_running(database: Database) -> None:
    """Refuse an upgrade under a scheduler that lives: it is of the former version.

    Raises:
        Busy: there is one.
    """
    if not database.has("daemons"):
        return
    for beat in Heartbeats(database).alive(SystemClock().now()):
        raise Busy(
            "The scheduler of an older version of TCdatalogger runs: process "
            f"{beat.pid} on {beat.host}.",
            remedy="Stop it first. Nothing was changed.",
        )


def _kept(settings: Settings, before: int, progress: Progress) -> str:
    """Make a backup of the installation; where it is."""
    place = place_of(settings)
    with Application(settings) as application:
        application.clock = SystemClock()  # that of the state would open it, and so upgrade it
        file = settings.warehouse.file
        if file is not None and file.exists():
            return str(back_up(application, progress=progress).folder)
        kept = ""
        if settings.warehouse.url.startswith(SCHEME):
            kept = snapshots.take(application, parse(_KEEP)).name
    if settings.state.file is not None:
        name = f"state-{utc(SystemClock().now()):%Y%m%dT%H%M%SZ}-release-{before}"
        folder = _free(place / name)
        _copy(settings.state.file, folder)
        kept = f"{folder} and the snapshots {kept}" if kept else str(folder)
    return kept


def _copy(state: Path, folder: Path) -> None:
    """Copy the state into a new folder, which has its name only when it is whole."""
    half = folder.with_name(_HALF)
    shutil.rmtree(half, ignore_errors=True)  # of a process that was killed; the lock is ours
    try:
        sqlite_copy.copy(state, half / state.name)
        half.rename(folder)
        files.sync_folder(folder.parent)
    except BaseException:  # also at Ctrl-C
        shutil.rmtree(half, ignore_errors=True)
        raise


def _free(folder: Path) -> Path:
    number, found = 2, folder
    while found.exists():
        found, number = folder.with_name(f"{folder.name}-{number}"), number + 1
    return found
