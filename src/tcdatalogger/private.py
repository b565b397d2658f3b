"""Files and folders for their owner alone, whatever the umask. This module imports nothing of ours.

What is logged is a faction's own business, and a state or a log may tell who does what and when.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

FILE: Final = 0o600
FOLDER: Final = 0o700
_OTHERS: Final = 0o077


def folder(path: Path) -> Path:
    """Make a folder, and those above it that are missing; one that is there stays as it is.

    Raises:
        OSError: it cannot be made.
    """
    if not path.is_dir():
        if path.parent != path:
            folder(path.parent)
        path.mkdir(mode=FOLDER, exist_ok=True)
    return path


def opener(path: str | os.PathLike[str], flags: int) -> int:
    """For `open(…, opener=opener)`: a file that is made by it is its owner's alone."""
    return os.open(path, flags, FILE)


def file(path: Path) -> Path:
    """Make an empty file, for an engine that opens its files by itself; one there is stays.

    One that is there is not even opened: closing it would take the locks away that the engine has
    on it in this process, and others would write beside it.

    Raises:
        OSError: it cannot be made.
    """
    with suppress(FileExistsError):
        os.close(opener(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
    return path


def narrow(path: Path) -> None:
    """Take a file that an engine has just made from everybody but its owner."""
    with suppress(OSError):
        path.chmod(stat.S_IMODE(path.stat().st_mode) & ~_OTHERS)


@contextmanager
def umask() -> Iterator[None]:
    """Whatever else this process makes inside is its owner's too: what an engine puts beside its
    file. For the edge of a process, as the mask is one for all of its threads.
    """
    before = os.umask(_OTHERS)
    try:
        yield
    finally:
        os.umask(before)


def wider(path: Path) -> str:
    """Who else may read or write a file or a folder, as `others may read it`; "" for nobody."""
    mode = stat.S_IMODE(path.stat().st_mode)
    does = {"read": 0o044, "write": 0o022}
    words = " and ".join(word for word, bits in does.items() if mode & bits)
    who = "everybody" if mode & 0o007 else "its group"
    return f"{who} may {words} it (its mode is {mode:04o})" if words else ""
