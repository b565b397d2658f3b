"""The manifest of a backup: when and of what it was made, and the checksums of its files.

A folder is a backup where it has the name of a backup and a readable manifest. It gets both at the
end, in one step.
"""

from __future__ import annotations

import json
import re
import stat
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path, PurePosixPath
from typing import Final

import msgspec

from tcdatalogger import private
from tcdatalogger.clock import utc
from tcdatalogger.errors import DataRefused
from tcdatalogger.files import FileSum
from tcdatalogger.services.warehouse.protocol import Backup, TableSum

FILE: Final = "manifest.json"
INDEX: Final = "archive.jsonl"
ARCHIVE: Final = "archive"
STATE: Final = "state"
WAREHOUSE: Final = "warehouse"
FORMAT: Final = 1
LARGEST: Final = 64_000_000
"""The most bytes of a manifest; it names tables and a few files."""

_FOLDER: Final = re.compile(r"\d{8}T\d{6}Z(-\d+)?")


@dataclass(frozen=True, slots=True)
class StateCopy:
    """The state in a backup.

    Attributes:
        kind: the start of its address, as `sqlite`.
        file: the file in the folder `STATE`, None where the state is not copied.
        tables: the sums of its tables.
        note: why it is not copied, "" where it is.
    """

    kind: str
    file: str | None = None
    tables: Mapping[str, TableSum] = field(default_factory=dict)
    note: str = ""


@dataclass(frozen=True, slots=True)
class ArchiveCopy:
    """The archive in a backup; the index lists its files.

    Attributes:
        files: the number of files.
        bytes: their size in all.
        copied: whether the files themselves are in the backup.
    """

    files: int
    bytes: int
    copied: bool


@dataclass(frozen=True, slots=True)
class Manifest:
    """The manifest of a backup.

    Attributes:
        backup_of: the name of this program.
        format: the version of the format of this file.
        version: the version of this program.
        made: the time of the backup, for people.
        made_at: the same in seconds since 1970.
        origin: the addresses of warehouse, state and archive.
        warehouse, state, archive: what the backup has of each.
        files: the checksums of all files, except this file and the files of the archive (the index
            has those).
    """

    backup_of: str
    format: int
    version: str
    made: str
    made_at: float
    origin: Mapping[str, str]
    warehouse: Backup
    state: StateCopy
    archive: ArchiveCopy
    files: Mapping[str, FileSum]


@dataclass(frozen=True, slots=True)
class Indexed:
    """A file of the archive.

    Attributes:
        file: the name of the file in the archive.
        bytes, sha256: its size and checksum; the checksum is "" for a file in a bucket that was
            not copied, as it was not read.
        changed: the time of its last change, in nanoseconds since 1970.
    """

    file: str
    bytes: int
    sha256: str
    changed: int


@dataclass(frozen=True, slots=True)
class KeptBackup:
    """A backup in the folder of backups."""

    folder: Path
    manifest: Manifest


def read(folder: Path) -> Manifest:
    """The manifest of a backup.

    Raises:
        DataRefused: the manifest is missing or damaged.
    """
    path = plain(folder, FILE)
    try:
        with path.open("rb") as file:
            held = file.read(LARGEST)
        found = msgspec.json.decode(held, type=Manifest)
    except FileNotFoundError:
        raise DataRefused(
            f"{folder} is no backup: it has no {FILE}.",
            remedy="Name a folder that `tcdatalogger backup` made, as 20261123T081500Z.",
        ) from None
    except OSError as error:
        raise DataRefused(f"The file {path} cannot be read: {error.strerror}.") from None
    except (msgspec.MsgspecError, ValueError, RecursionError):
        raise DataRefused(
            f"The file {FILE} of the backup {folder} is damaged.", remedy="Take another backup."
        ) from None
    if found.backup_of != "tcdatalogger" or found.format != FORMAT:
        raise DataRefused(f"{folder} is a backup of another kind than this version can read.")
    names = [*found.files, found.warehouse.file, *([found.state.file] if found.state.file else [])]
    for name in names:
        within(name)
    return found


def write(folder: Path, manifest: Manifest) -> None:
    """Write a manifest into the folder of a backup."""
    text = json.dumps(asdict(manifest), indent=1, ensure_ascii=False)
    with open(folder / FILE, "w", encoding="utf-8", opener=private.opener) as file:
        file.write(f"{text}\n")


def within(name: str) -> str:
    """Check the name of a file in a backup, and return it.

    Raises:
        DataRefused: the name leads out of the backup.
    """
    path = PurePosixPath(name)
    odd = not name or any(letter in name for letter in "\\:\0")
    if odd or path.is_absolute() or ".." in path.parts:
        raise DataRefused(f"The backup names a file that is not within it: {name!r}.")
    return name


def plain(folder: Path, name: str) -> Path:
    """Check that a file of a backup is a plain file and not behind a link; returns its path.

    Otherwise a backup of another person could make this program read other files, or read for ever.

    Args:
        folder: the folder of the backup, without a link in its path.
        name: the name of the file inside.

    Raises:
        DataRefused: the file is no plain file, or behind a link.
    """
    path = folder / within(name)
    steps = [path, *list(path.parents)[: len(PurePosixPath(name).parts) - 1]]
    try:
        kinds = [step.lstat().st_mode for step in steps]
    except OSError:
        return path  # it is missing; reading it raises an error
    if not stat.S_ISREG(kinds[0]) or not all(map(stat.S_ISDIR, kinds[1:])):
        raise DataRefused(
            f"The backup has a link or something else in place of its file {name}.",
            remedy="Take another backup; `tcdatalogger backup` never makes such a thing.",
        )
    return path


def read_index(folder: Path) -> Iterator[Indexed]:
    """The files of the archive, by the index of a backup.

    Raises:
        DataRefused: the index is damaged.
    """
    decoder = msgspec.json.Decoder(Indexed)
    try:
        with plain(folder, INDEX).open("rb") as lines:
            for line in lines:
                one = decoder.decode(line)
                within(one.file)
                yield one
    except (OSError, msgspec.MsgspecError, ValueError, RecursionError):
        raise DataRefused(
            f"The file {INDEX} of the backup {folder} is damaged.", remedy="Take another backup."
        ) from None


def kept(place: Path, warehouse: str) -> list[KeptBackup]:
    """The backups of a warehouse in a folder, the newest first.

    Args:
        place: the folder of the backups.
        warehouse: the address of the warehouse; backups of other warehouses are left out.
    """
    found = []
    for folder in place.iterdir() if place.is_dir() else ():
        if not folder.is_dir() or folder.is_symlink() or not _FOLDER.fullmatch(folder.name):
            continue
        try:
            manifest = read(folder)
        except DataRefused:
            continue  # a folder without a manifest is not touched
        if manifest.origin.get(WAREHOUSE) == warehouse:
            found.append(KeptBackup(folder, manifest))
    return sorted(found, key=lambda one: (one.manifest.made_at, one.folder.name), reverse=True)


def folder_name(now: float) -> str:
    """The name of a backup of this moment, as `20261123T081500Z`."""
    return f"{utc(now):%Y%m%dT%H%M%SZ}"
