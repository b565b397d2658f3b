"""What a backup says of itself: when and of what it was made, and what its files are known by.

A folder is a backup where it has our name for one and a manifest that can be read. It gets both at
the very end, in one step.
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
"""Bytes of a manifest; it names tables and a few files. What is longer is none."""

_FOLDER: Final = re.compile(r"\d{8}T\d{6}Z(-\d+)?")


@dataclass(frozen=True, slots=True)
class StateCopy:
    """What a backup has of the state.

    Attributes:
        kind: as its address begins.
        file: in the folder `STATE`, None where it is not copied.
        tables: that are in it.
        note: why it is not copied, "" where it is.
    """

    kind: str
    file: str | None = None
    tables: Mapping[str, TableSum] = field(default_factory=dict)
    note: str = ""


@dataclass(frozen=True, slots=True)
class ArchiveCopy:
    """What a backup has of the archive; each file stands in its index.

    Attributes:
        files: how many there are.
        bytes: of all of them.
        copied: whether the files themselves are in the backup.
    """

    files: int
    bytes: int
    copied: bool


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a backup says of itself.

    Attributes:
        backup_of: the name of this program.
        format: of this file.
        version: of this program.
        made: when, for readers.
        made_at: the same in seconds since 1970.
        origin: where warehouse, state and archive were.
        warehouse, state, archive: what there is of each.
        files: every file of the backup but this one and the copied ones of the archive, which
            stand in the index.
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
        file: relative to the archive.
        bytes, sha256: what it is known by.
        changed: when it was, in nanoseconds since 1970.
    """

    file: str
    bytes: int
    sha256: str
    changed: int


@dataclass(frozen=True, slots=True)
class KeptBackup:
    """A backup that is there."""

    folder: Path
    manifest: Manifest


def read(folder: Path) -> Manifest:
    """The manifest of a backup.

    Raises:
        DataRefused: there is none, or it is damaged.
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
    """Put a manifest into a folder."""
    text = json.dumps(asdict(manifest), indent=1, ensure_ascii=False)
    with open(folder / FILE, "w", encoding="utf-8", opener=private.opener) as file:
        file.write(f"{text}\n")


def within(name: str) -> str:
    """A file's name in a backup, refused where it leads out of it.

    Raises:
        DataRefused: it does.
    """
    path = PurePosixPath(name)
    odd = not name or any(letter in name for letter in "\\:\0")
    if odd or path.is_absolute() or ".." in path.parts:
        raise DataRefused(f"The backup names a file that is not within it: {name!r}.")
    return name


def plain(folder: Path, name: str) -> Path:
    """A file of a backup, refused where it is a link, lies behind one, or is no plain file.

    A backup of somebody else could else have us read, and put beside the tables, what is not in it;
    or read for ever.

    Args:
        folder: of the backup, without a link in its own name.
        name: of the file within.

    Raises:
        DataRefused: it is none.
    """
    path = folder / within(name)
    steps = [path, *list(path.parents)[: len(PurePosixPath(name).parts) - 1]]
    try:
        kinds = [step.lstat().st_mode for step in steps]
    except OSError:
        return path  # it is missing, and whoever reads it says so
    if not stat.S_ISREG(kinds[0]) or not all(map(stat.S_ISDIR, kinds[1:])):
        raise DataRefused(
            f"The backup has a link or something else in place of its file {name}.",
            remedy="Take another backup; `tcdatalogger backup` never makes such a thing.",
        )
    return path


def read_index(folder: Path) -> Iterator[Indexed]:
    """The files of the archive as a backup knows them.

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
        place: where backups are.
        warehouse: its address: backups of others may lie beside.
    """
    found = []
    for folder in place.iterdir() if place.is_dir() else ():
        if not folder.is_dir() or folder.is_symlink() or not _FOLDER.fullmatch(folder.name):
            continue
        try:
            manifest = read(folder)
        except DataRefused:
            continue  # not ours to judge, and not ours to delete
        if manifest.origin.get(WAREHOUSE) == warehouse:
            found.append(KeptBackup(folder, manifest))
    return sorted(found, key=lambda one: (one.manifest.made_at, one.folder.name), reverse=True)


def folder_name(now: float) -> str:
    """How a backup of that moment is called: `20261123T081500Z`."""
    return f"{utc(now):%Y%m%dT%H%M%SZ}"
