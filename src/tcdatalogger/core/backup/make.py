"""Makes backups: checked copies of warehouse, state and archive index, while the logger runs.

The state is copied first and the archive is listed last. So the copied state knows no rows that the
copied warehouse lacks, and the index has every file that the ledger names. A backup is written
under another name, synced and checked; then it gets its name.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import msgspec

from tcdatalogger import __version__, disk, files, private
from tcdatalogger.clock import utc
from tcdatalogger.core.backup import manifest, sqlite_copy
from tcdatalogger.core.backup.export import export
from tcdatalogger.core.backup.manifest import ArchiveCopy, Indexed, KeptBackup, Manifest, StateCopy
from tcdatalogger.core.config.paths import without_password
from tcdatalogger.core.config.settings import Settings
from tcdatalogger.core.main import Application
from tcdatalogger.errors import Busy, ConfigError, DataRefused, Failure
from tcdatalogger.files import FileSum, Progress, silent
from tcdatalogger.observability.log import get_logger
from tcdatalogger.services.storage.protocol import Storage, StoredFile

_PART: Final = ".part"

_log = get_logger("backup")


@dataclass(frozen=True, slots=True)
class Made:
    """A new backup.

    Attributes:
        folder: the folder of the backup.
        manifest: its manifest.
        deleted: the older backups that were deleted.
    """

    folder: Path
    manifest: Manifest
    deleted: tuple[Path, ...] = ()


def place_of(settings: Settings) -> Path:
    """The folder of the backups.

    Raises:
        ConfigError: no folder is configured, and the warehouse is no file.
    """
    if settings.backup.path is None:
        raise ConfigError("There is no place for backups.", remedy="Set backup.path.")
    return settings.backup.path


def due(settings: Settings, now: float, place: Path | None = None) -> bool:
    """Whether a backup is due; False where no frequency is configured.

    Args:
        settings: the settings.
        now: seconds since 1970.
        place: the folder of the backups, None for that of the settings.
    """
    frequency = settings.backup.frequency
    if frequency is None:
        return False
    found = manifest.kept(place or place_of(settings), settings.warehouse.url)
    if not found:
        return True
    made = found[0].manifest.made_at
    # A backup of the future comes from a wrong clock; it must not delay other backups.
    return not made <= now < frequency.after(made)


def wanted(settings: Settings, now: float) -> bool:
    """Whether the scheduler has to make a backup at a moment of its schedule.

    A backup that is younger than half of the period counts for this moment. Where nothing is stored
    yet, no backup is needed.

    Args:
        settings: the settings.
        now: seconds since 1970.
    """
    frequency, file = settings.backup.frequency, settings.warehouse.file
    if frequency is None or (file is not None and not file.exists()):
        return False
    return due(settings, now + (frequency.after(now) - now) / 2)


def back_up(
    application: Application,
    place: Path | None = None,
    *,
    archive: bool | None = None,
    progress: Progress = silent,
) -> Made:
    """Make a backup and check it; then delete the oldest backups that are not kept.

    Args:
        application: the application.
        place: the folder of the backups, None for that of the settings.
        archive: whether the files of the archive are copied too, None for the settings.
        progress: called after each piece of work.

    Raises:
        Busy: another backup is being made in this folder, or a warehouse that is no file is changed
            all the time.
        DataRefused: something is damaged, or the copy differs from what was read.
        WarehouseUnavailable: the warehouse cannot be reached now.
        DiskFull: no backup was made.
        ConfigError: the folder cannot be written to.
    """
    settings = application.settings
    place = place or place_of(settings)
    whole = settings.backup.archive if archive is None else archive
    try:
        private.folder(place)
        with _exclusive(place):
            _clear(place)
            made = _made(application, place, whole=whole, progress=progress)
            deleted = _retire(place, settings, keep=made.folder)
    except OSError as error:
        raise _refused(place, error) from None
    _log.info("backup_made", folder=str(made.folder), deleted=len(deleted))
    return Made(made.folder, made.manifest, deleted)


def _made(application: Application, place: Path, *, whole: bool, progress: Progress) -> Made:
    now = application.clock.now()
    folder = _free(place, manifest.folder_name(now))
    beside = place / f".{folder.name}{_PART}"
    try:
        private.folder(beside)
        found = _fill(application, beside, place, now, whole=whole, progress=progress)
        manifest.write(beside, found)
        _sync(beside / manifest.FILE)
        files.sync_folders(beside)
        _check(beside, found)
        beside.rename(folder)
        files.sync_folder(place)
    except BaseException:  # also at Ctrl-C and an alarm: delete the incomplete backup
        shutil.rmtree(beside, ignore_errors=True)
        raise
    return Made(folder, found)


def _fill(
    application: Application,
    folder: Path,
    place: Path,
    now: float,
    *,
    whole: bool,
    progress: Progress,
) -> Manifest:
    settings = application.settings
    state = _state(settings, folder)
    private.folder(folder / manifest.WAREHOUSE)
    with application.warehouse(read_only=True) as warehouse:
        place_of_it = folder / manifest.WAREHOUSE
        copied = warehouse.back_up(place_of_it, progress)
        if copied is None:
            copied = export(application, warehouse, place_of_it, progress)
    indexed = _archive(application, folder, place, whole=whole, progress=progress)
    known = {f"{manifest.WAREHOUSE}/{name}": found for name, found in copied.files.items()}
    others = [folder / manifest.INDEX]
    if state.file is not None:
        others.append(folder / manifest.STATE / state.file)
    for path in others:
        _sync(path)
        known[path.relative_to(folder).as_posix()] = files.digest(path)
    return Manifest(
        backup_of="tcdatalogger",
        format=manifest.FORMAT,
        version=__version__,
        made=f"{utc(now):%Y-%m-%dT%H:%M:%SZ}",
        made_at=now,
        origin={
            manifest.WAREHOUSE: settings.warehouse.url,
            manifest.STATE: without_password(settings.state.url) or "",
            manifest.ARCHIVE: settings.archive.path,
        },
        warehouse=copied,
        state=state,
        archive=ArchiveCopy(len(indexed), sum(one.bytes for one in indexed), copied=whole),
        files=known,
    )


def _state(settings: Settings, folder: Path) -> StateCopy:
    url, file = settings.state.url or "", settings.state.file
    if file is None:
        kind = urlsplit(url).scheme
        return StateCopy(kind, note=f"A state in {kind} is backed up by its own tools.")
    if not file.exists():
        return StateCopy("sqlite", note="There was no state yet.")
    return StateCopy(
        "sqlite", file.name, sqlite_copy.copy(file, folder / manifest.STATE / file.name)
    )


def _archive(
    application: Application, folder: Path, place: Path, *, whole: bool, progress: Progress
) -> list[Indexed]:
    """Write the index of the archive, and copy its files where this is asked for."""
    settings = application.settings
    before = _last_index(place, settings)
    storage = application.archive.storage
    found: dict[str, Indexed] = {}
    gone = True
    while gone:  # files were deleted meanwhile: too old, or joined into one that has to be listed
        gone = False
        there = application.archive.everything()
        for number, one in enumerate(there, 1):
            progress("reading the archive", number, len(there))
            if one.name not in found:
                try:
                    target = folder if whole else None
                    found[one.name] = _index(storage, one, before.get(one.name), target)
                except FileNotFoundError:
                    gone = True
    with open(folder / manifest.INDEX, "wb", opener=private.opener) as lines:
        lines.writelines(msgspec.json.encode(one) + b"\n" for one in found.values())
    return list(found.values())


def _index(
    storage: Storage, one: StoredFile, known: Indexed | None, folder: Path | None
) -> Indexed:
    """A file of the archive as the index has it, copied where there is a folder for it."""
    same = known is not None and (known.bytes, known.changed) == (one.bytes, one.changed)
    target = None if folder is None else folder / manifest.ARCHIVE / one.name
    path = storage.local(one.name)
    if target is not None:
        seen = _copied(storage, one, path, target)
        files.expect(target, seen, one.name)
    elif known is not None and same:
        return known  # an archived file never changes: to read years of them again is of no use
    elif path is None:
        return Indexed(one.name, one.bytes, "", one.changed)  # to read a bucket costs money
    else:
        seen = files.digest(path)
    if known and known.changed == one.changed and known.sha256 not in {"", seen.sha256}:
        _log.warning("archive_file_changed", file=f"{storage.place}/{one.name}")
    return Indexed(one.name, seen.bytes, seen.sha256, one.changed)


def _copied(storage: Storage, one: StoredFile, path: Path | None, target: Path) -> FileSum:
    """Copy a file of the archive, with the time at which it was written."""
    if path is not None:
        with path.open("rb") as source:
            return files.copy(source, target)
    content = storage.read(one.name)
    private.folder(target.parent)
    with open(target, "xb", opener=private.opener) as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    os.utime(target, ns=(one.changed, one.changed))
    return FileSum(len(content), hashlib.sha256(content).hexdigest())


def _last_index(place: Path, settings: Settings) -> dict[str, Indexed]:
    found = manifest.kept(place, settings.warehouse.url)
    if not found or found[0].manifest.origin.get(manifest.ARCHIVE) != settings.archive.path:
        return {}
    try:
        return {one.file: one for one in manifest.read_index(found[0].folder)}
    except DataRefused:
        return {}  # then all files are read again


def _check(folder: Path, found: Manifest) -> None:
    """Check that every file of the manifest is there and unchanged, as a restore does."""
    if manifest.read(folder) != found:
        raise DataRefused(f"The file {manifest.FILE} of the backup is not what was written.")
    for name, wanted in found.files.items():
        if not name.startswith(f"{manifest.WAREHOUSE}/"):  # those were checked when copied
            files.expect(folder / name, wanted, name)
    if found.archive.files != sum(1 for _ in manifest.read_index(folder)):
        raise DataRefused("The index of the archive is not what was written.")


def _retire(place: Path, settings: Settings, *, keep: Path) -> tuple[Path, ...]:
    """Delete the oldest backups, but never the new one; returns the deleted folders."""
    others: Sequence[KeptBackup] = [
        one for one in manifest.kept(place, settings.warehouse.url) if one.folder != keep
    ]
    gone = []
    for one in others[settings.backup.keep - 1 :]:
        # It loses its name first: a half deleted folder must not look like a backup.
        doomed = place / f".{one.folder.name}{_PART}"
        try:
            one.folder.rename(doomed)
        except OSError as error:  # the new backup is good in any case
            _log.warning("old_backup_kept", folder=str(one.folder), message=error.strerror)
            continue
        shutil.rmtree(doomed, ignore_errors=True)
        gone.append(one.folder)
    return tuple(gone)


def _clear(place: Path) -> None:
    """Delete incomplete backups of killed processes; no other process works here now."""
    for folder in place.glob(f".*Z*{_PART}"):
        shutil.rmtree(folder, ignore_errors=True)


def _free(place: Path, name: str) -> Path:
    """A free folder with this name, and a number after it where the name is taken."""
    folder, number = place / name, 2
    while folder.exists():
        folder, number = place / f"{name}-{number}", number + 1
    return folder


@contextmanager
def _exclusive(place: Path) -> Iterator[None]:
    """Lock a folder of backups until the end of the block; the system frees it with its process.

    The claim in the state is not enough: several configurations may share a folder, and a backup
    by hand takes no claim, because the state may be broken.

    Raises:
        Busy: another backup is being made in this folder.
        OSError: the folder cannot be written to.
    """
    with open(place / ".lock", "ab", opener=private.opener) as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            what = f"Another backup is being made in {place}."
            raise Busy(what, remedy="Wait for its end.") from None
        yield


def _sync(path: Path) -> None:
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def _refused(place: Path, error: OSError) -> Failure:
    return disk.failure(
        error,
        f"the backups {place}",
        ConfigError(f"The backup in {place} failed: {error.strerror or error}.", remedy=_PLACE),
        remedy="No backup was made. Make space, or lower backup.keep.",
    )


_PLACE: Final = "Give backups a folder that this user may write to, in backup.path."
