"""How much is stored on disks, and how much room is left there."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tcdatalogger.core.config.settings import Settings

_SHARE: Final = 100.0
"""A count of the archive's files is used for so many times as long as the counting took."""
_OFTEN: Final = 30.0
"""Seconds between two counts of the archive at least."""


@dataclass(frozen=True, slots=True)
class Disk:
    """The disk that something is stored on.

    Attributes:
        part: what is stored there: `archive`, `warehouse` or `state`.
        place: a folder on the disk.
        mount: a number of the disk: two parts on one disk have the same.
        free, size: bytes.
    """

    part: str
    place: Path
    mount: int
    free: int
    size: int


def parts(settings: Settings) -> dict[str, Path]:
    """The parts that are stored on disks of this machine, with their paths."""
    found = {
        "warehouse": settings.warehouse.file,
        "state": settings.state.file,
        "archive": settings.archive.folder,
    }
    return {part: path for part, path in found.items() if path is not None}


def disks(settings: Settings) -> Iterator[Disk]:
    """The disk of each part; a disk that cannot be asked is left out."""
    for part, path in parts(settings).items():
        place = next((each for each in (path, *path.parents) if each.is_dir()), None)
        if place is None:
            continue
        with suppress(OSError):
            usage = shutil.disk_usage(place)
            yield Disk(part, place, place.stat().st_dev, usage.free, usage.total)


class Sizes:
    """Counts the bytes of what is stored; a slow count is used for a while."""

    def __init__(self) -> None:
        self._known: dict[Path, tuple[int, float]] = {}

    def read(self, settings: Settings) -> dict[str, int]:
        """The bytes of each part of this machine; 0 for a part that is not there yet."""
        return {part: self._size(path) for part, path in parts(settings).items()}

    def _size(self, path: Path) -> int:
        if not path.is_dir():
            # A database has a second file with what was written last.
            return sum(map(_bytes, (path, *path.parent.glob(f"{path.name}?wal"))))
        size, until = self._known.get(path, (0, 0.0))
        began = time.monotonic()
        if began >= until:
            size = sum(_bytes(file) for file in _files(path))
            now = time.monotonic()
            self._known[path] = size, now + max(_OFTEN, (now - began) * _SHARE)
        return size


def _files(folder: Path) -> Iterator[Path]:
    for place, _, names in os.walk(folder):
        yield from (Path(place, name) for name in names)


def _bytes(file: Path) -> int:
    try:
        return file.stat().st_size
    except OSError:
        return 0
