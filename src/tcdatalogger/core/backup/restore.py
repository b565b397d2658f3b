"""Restores a backup: checks its files, copies them to a new place, and compares the tables.

The tables may go into another warehouse than a file in that place: they are copied there then.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tcdatalogger import disk, files, private
from tcdatalogger.clock import Clock
from tcdatalogger.core.backup import manifest, sqlite_copy
from tcdatalogger.core.backup.manifest import Manifest
from tcdatalogger.core.config.secrets import Secret
from tcdatalogger.core.operations.copy import transfer
from tcdatalogger.errors import ConfigError, DataRefused, UsageError
from tcdatalogger.files import FileSum, Progress, silent
from tcdatalogger.services.warehouse.open import open_warehouse
from tcdatalogger.services.warehouse.protocol import TableSum, Warehouse

_PART: Final = ".part"


@dataclass(frozen=True, slots=True)
class Target:
    """Another warehouse that gets the tables of a backup.

    Attributes:
        url: its address.
        open: opens it.
    """

    url: str
    open: Callable[[], Warehouse]


@dataclass(frozen=True, slots=True)
class Restored:
    """The result of a restore, done or planned.

    Attributes:
        manifest: the manifest of the backup.
        tables: the sums of the tables; they are equal in backup and copy.
        bytes: the size of all files.
        files: the number of files.
        url: the address of the warehouse that has the tables now.
        state, archive: the new place of each; None for what the backup does not have.
    """

    manifest: Manifest
    tables: Mapping[str, TableSum]
    bytes: int
    files: int
    url: str
    state: Path | None
    archive: Path | None

    def settings(self, encryption_key: str | None = None, credentials: str | None = None) -> str:
        """The lines of a configuration for the new place.

        Args:
            encryption_key: the reference to the key of an encrypted file.
            credentials: the reference to the credentials for BigQuery.
        """
        lines = ["[warehouse]", f'url = "{self.url}"']
        if credentials is not None:
            lines.append(f'credentials = "{credentials}"')
        if self.manifest.warehouse.encrypted and self.url.startswith(self.manifest.warehouse.kind):
            lines.append(f'encryption_key = "{encryption_key or "env:TCD_WAREHOUSE_KEY"}"')
        if self.state is not None:
            lines += ["", "[state]", f'url = "sqlite:///{self.state}"']
        if self.archive is not None:
            lines += ["", "[archive]", f'path = "{self.archive}"']
        return "\n".join(lines)


def restore(
    folder: Path,
    place: Path,
    *,
    clock: Clock,
    key: Callable[[], Secret] | None = None,
    into: Target | None = None,
    dry: bool = False,
    progress: Progress = silent,
) -> Restored:
    """Restore a backup to a new place, completely or not at all.

    Args:
        folder: the folder of the backup; it is not changed.
        place: a folder that does not exist or is empty.
        clock: the clock for waiting where another program has the backup open.
        key: returns the key of an encrypted warehouse.
        into: the warehouse that gets the tables, None for a file in the place. It is empty. Where
            this ends before its end, it is the target of a copy that is not finished, and the next
            restore of the backup goes on with it.
        dry: whether the backup is only checked.
        progress: called after each piece of work.

    Raises:
        DataRefused: the backup is damaged; the message names the file.
        UsageError: the place is not empty, or `into` has tables already.
        WarehouseUnavailable: `into` cannot be reached now.
        ConfigError: the warehouse is encrypted and its key is missing or wrong, or the place cannot
            be written to.
    """
    folder, place = folder.resolve(), place.resolve()
    _refuse_taken(place)
    found = manifest.read(folder)
    wanted = dict(_files(folder, found))
    for name, known in wanted.items():
        files.expect(manifest.plain(folder, name), known, name, progress)
    secret = _key(found, folder, key)
    tables = _tables(folder, found, clock, secret)
    copied = dict(wanted)
    url = _url(place / manifest.WAREHOUSE / found.warehouse.file, found)
    if into is not None:
        copied = {n: f for n, f in wanted.items() if not n.startswith(f"{manifest.WAREHOUSE}/")}
        url = into.url
    if not dry:
        if into is not None:
            _fill(into, folder, found, clock, secret, progress)
        try:
            _copy(
                folder,
                place,
                copied,
                lambda at: _compare(at, found, None if into else tables, clock, secret),
            )
        except OSError as error:
            raise disk.failure(
                error,
                str(place),
                ConfigError(
                    f"The backup cannot be brought to {place}: {error.strerror or error}.",
                    remedy="Nothing was left there. Name a folder that this user may write to.",
                ),
                remedy="Nothing was left there. Make space, or name another place with --to.",
            ) from None
    state = found.state.file
    return Restored(
        manifest=found,
        tables=tables,
        bytes=sum(known.bytes for known in wanted.values()),
        files=len(wanted),
        url=url,
        state=place / manifest.STATE / state if state else None,
        archive=place / manifest.ARCHIVE if found.archive.copied else None,
    )


def _fill(
    into: Target,
    folder: Path,
    found: Manifest,
    clock: Clock,
    key: Secret | None,
    progress: Progress,
) -> None:
    """Copy the tables of a backup into a warehouse, and compare every column."""
    path = folder / manifest.WAREHOUSE / found.warehouse.file
    with _opened(path, found, clock, key) as source, into.open() as target:
        transfer(source, target, _url(path, found), progress=progress)


def _url(file: Path, found: Manifest) -> str:
    """The address of a copied warehouse file."""
    return f"{found.warehouse.kind}:///{file}"


def _opened(file: Path, found: Manifest, clock: Clock, key: Secret | None) -> Warehouse:
    """A copied warehouse, opened for reading only."""
    return open_warehouse(_url(file, found), clock, read_only=True, key=key)


def _refuse_taken(place: Path) -> None:
    if place.exists() and (not place.is_dir() or any(place.iterdir())):
        raise UsageError(
            f"{place} is not empty, and nothing that is there is written over.",
            remedy="Name a folder that does not exist yet, with --to.",
        )


def _files(folder: Path, found: Manifest) -> Iterator[tuple[str, FileSum]]:
    """All files of a backup with their checksums."""
    yield from found.files.items()
    if found.archive.copied:
        for one in manifest.read_index(folder):
            yield f"{manifest.ARCHIVE}/{one.file}", FileSum(one.bytes, one.sha256)


def _key(found: Manifest, folder: Path, key: Callable[[], Secret] | None) -> Secret | None:
    if not found.warehouse.encrypted:
        return None
    if key is None:
        raise ConfigError(
            f"The warehouse in {folder} is encrypted.",
            remedy="Say where its key is: --encryption-key env:TCD_WAREHOUSE_KEY, or "
            "warehouse.encryption_key in the configuration.",
        )
    return key()


def _tables(
    folder: Path, found: Manifest, clock: Clock, key: Secret | None
) -> Mapping[str, TableSum]:
    """The sums of the tables of the backup, after a comparison with the manifest."""
    path = folder / manifest.WAREHOUSE / found.warehouse.file
    with _opened(path, found, clock, key) as warehouse:
        tables = warehouse.sums()
        engine = warehouse.engine.rpartition(" ")[2]
    known = found.warehouse.tables
    if found.warehouse.engine != engine:  # another version may compute other sums
        wrong = {name: each.rows for name, each in tables.items()} != {
            name: each.rows for name, each in known.items()
        }
    else:
        wrong = tables != known
    if wrong:
        raise _not_the_same(path, known, tables)
    return tables


def _copy(
    folder: Path, place: Path, wanted: Mapping[str, FileSum], compare: Callable[[Path], None]
) -> None:
    """Copy the files under another name, compare them, and give them the name in one step."""
    beside = place.parent / f".{place.name}{_PART}"
    shutil.rmtree(beside, ignore_errors=True)
    try:
        private.folder(beside)
        for name, known in wanted.items():
            with (folder / name).open("rb") as source:
                files.copy(source, beside / name)
            files.expect(beside / name, known, name)
        compare(beside)
        (beside / manifest.INDEX).unlink(missing_ok=True)
        files.sync_folders(beside)
        if place.exists():
            place.rmdir()
        beside.rename(place)
        files.sync_folder(place.parent)
    except BaseException:  # also at Ctrl-C and an alarm: delete the incomplete copy
        shutil.rmtree(beside, ignore_errors=True)
        raise


def _compare(
    place: Path,
    found: Manifest,
    tables: Mapping[str, TableSum] | None,
    clock: Clock,
    key: Secret | None,
) -> None:
    """Refuse a copy whose tables differ from those of the backup; None where it has no tables."""
    path = place / manifest.WAREHOUSE / found.warehouse.file
    if tables is not None:
        with _opened(path, found, clock, key) as warehouse:
            copied = warehouse.sums()
        if copied != tables:
            raise _not_the_same(path, tables, copied)
    if found.state.file:
        path = place / manifest.STATE / found.state.file
        state = sqlite_copy.sums(path)
        if state != found.state.tables:
            raise _not_the_same(path, found.state.tables, state)


def _not_the_same(
    path: Path, wanted: Mapping[str, TableSum], found: Mapping[str, TableSum]
) -> DataRefused:
    names = [name for name in {**wanted, **found} if wanted.get(name) != found.get(name)]
    return DataRefused(
        f"The tables in {path} are not those that were backed up: {', '.join(names)}.",
        remedy="Take another backup.",
    )
