"""Files in a folder of this machine."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from tcdatalogger import disk, files, private
from tcdatalogger.errors import ConfigError, Failure
from tcdatalogger.services.storage.protocol import Content, StoredFile

PART: Final = ".part"
"""How the name of what is not whole yet ends."""

_HALVES: Final = ".half"
"""The folder of what is not whole yet."""


class Folder:
    """A folder of files, which only their owner can read.

    A file is written under another name, synced and renamed, and the folder is synced.

    Args:
        root: the folder; made with the first file.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    @property
    def place(self) -> str:
        """The folder."""
        return str(self.root)

    @property
    def halves_folder(self) -> Path:
        """The folder for what is not whole yet."""
        return self.root / _HALVES

    def write(self, name: str, content: Content) -> None:
        """Write a file (`Storage.write`)."""
        path = self.root / name
        part = self.halves_folder / f"{path.stem}{PART}"
        try:
            private.folder(part.parent)
            private.folder(path.parent)
            with open(part, "wb", opener=private.opener) as file:
                if isinstance(content, bytes):
                    file.write(content)
                else:
                    content(file)
                file.flush()
                os.fsync(file.fileno())
            part.replace(path)
            files.sync_folder(path.parent)
        except OSError as error:
            raise _refused(self.root, error) from None
        finally:
            with suppress(OSError):  # where it has its name, there is none any more
                part.unlink(missing_ok=True)

    def read(self, name: str, last: int | None = None) -> bytes:
        """The bytes of a file (`Storage.read`)."""
        with (self.root / name).open("rb") as file:
            if last is not None:
                size = file.seek(0, os.SEEK_END)
                file.seek(max(0, size - last))
            return file.read()

    def read_part(self, name: str, start: int, size: int) -> bytes:
        """Some bytes of a file (`Storage.read_part`)."""
        with (self.root / name).open("rb") as file:
            file.seek(start)
            return file.read(size)

    def exists(self, name: str) -> bool:
        """Whether there is such a file."""
        return (self.root / name).is_file()

    def files(self, prefix: str = "", after: str = "") -> Iterator[StoredFile]:
        """The files below a prefix, in the order of their names (`Storage.files`)."""
        try:
            entries = sorted(os.scandir(self.root / prefix), key=_ordered)
        except (FileNotFoundError, NotADirectoryError):
            return
        for entry in entries:
            name = f"{prefix}{entry.name}"
            if entry.is_dir():
                below = f"{name}/"
                if entry.name != _HALVES and below >= after[: len(below)]:
                    yield from self.files(below, after)
            elif name > after:
                with suppress(FileNotFoundError):  # its time was over, and it went meanwhile
                    facts = entry.stat()
                    yield StoredFile(name, facts.st_size, facts.st_mtime_ns)

    def delete(self, names: Iterable[str]) -> None:
        """Delete files, and the folders that are empty then."""
        folders = set()
        for name in names:
            with suppress(FileNotFoundError):
                os.unlink(f"{self.root}/{name}")  # noqa: PTH108  # of years at once: twice as fast
            folders.add(name.rpartition("/")[0])
        for folder in folders:
            with suppress(OSError):  # it is not empty, or another process may still write into it
                (self.root / folder).rmdir()

    def deliver(self, name: str = "") -> None:
        """Do nothing: all is in its place."""

    def halves(self) -> list[Path]:
        """The files that a write began and has not ended (`Storage.halves`)."""
        return list(self.halves_folder.glob(f"*{PART}"))

    def local(self, name: str) -> Path | None:
        """The path of a file."""
        path = self.root / name
        return path if path.exists() else None


def _ordered(entry: os.DirEntry[str]) -> str:
    """The sort key of an entry: the key of a folder ends with a slash, as the names in it go on."""
    return f"{entry.name}/" if entry.is_dir() else entry.name


def _refused(root: Path, error: OSError) -> Failure:
    return disk.failure(
        error,
        f"the archive {root}",
        ConfigError(
            f"The archive {root} cannot be written to: {error.strerror or error}.",
            remedy="Give it a folder that this user may write to, in `archive.path`.",
        ),
        remedy="Nothing was stored. Make space, or shorten `archive.keep`, and run it again.",
    )
