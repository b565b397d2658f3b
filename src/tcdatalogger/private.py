"""Makes files and folders that only their owner can read, whatever the umask is.

The logged data belong to a faction, and the state and the logs say who does what and when. This
module imports no other module of the package.
"""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

FILE: Final = 0o600
FOLDER: Final = 0o700
_OTHERS: Final = 0o077
_alone = threading.RLock()
_masks: list[int] = []
"""The mask before each `umask` block that has not ended; the first is that of the process."""


def folder(path: Path) -> Path:
    """Make a folder and its missing parents; an existing folder stays as it is.

    Raises:
        OSError: the folder cannot be made.
    """
    if not path.is_dir():
        if path.parent != path:
            folder(path.parent)
        path.mkdir(mode=FOLDER, exist_ok=True)
    return path


def opener(path: str | os.PathLike[str], flags: int) -> int:
    """For `open(…, opener=opener)`: only the owner can read a file that is made so."""
    return os.open(path, flags, FILE)


def write(path: Path, text: str) -> None:
    """Write a file that only its owner can read, whole or not at all; its folder is made.

    Raises:
        OSError: it cannot be written.
    """
    folder(path.parent)
    part = path.with_name(f"{path.name}.part")
    part.unlink(missing_ok=True)
    with open(part, "x", encoding="utf-8", opener=opener) as stream:
        stream.write(text)
    part.replace(path)


def file(path: Path) -> Path:
    """Make an empty file for an engine that opens its files itself; an existing file stays.

    An existing file is not even opened: closing it would drop the locks that the engine holds on
    it in this process, and other processes could write at the same time.

    Raises:
        OSError: the file cannot be made.
    """
    with suppress(FileExistsError):
        os.close(opener(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
    return path


def narrow(path: Path) -> None:
    """Take the rights of others away from a file that an engine has just made."""
    with suppress(OSError):
        path.chmod(stat.S_IMODE(path.stat().st_mode) & ~_OTHERS)


@contextmanager
def umask() -> Iterator[None]:
    """Until the end of the block, only the owner can read new files, also those of an engine.

    All threads of a process share one mask. Where blocks of several threads overlap, the former
    mask comes back at the end of the last block.
    """
    with _alone:
        _masks.append(os.umask(_OTHERS))
    try:
        yield
    finally:
        with _alone:
            first = _masks[0]
            _masks.pop()
            if not _masks:
                os.umask(first)


def mask() -> int:
    """The mask of the process outside of all `umask` blocks: for files that are to be seen."""
    with _alone:
        if _masks:
            return _masks[0]
        found = os.umask(_OTHERS)
        os.umask(found)
        return found


def wider(path: Path) -> str:
    """Who else may read or write a file or a folder, as `others may read it`; "" for nobody."""
    mode = stat.S_IMODE(path.stat().st_mode)
    does = {"read": 0o044, "write": 0o022}
    words = " and ".join(word for word, bits in does.items() if mode & bits)
    who = "everybody" if mode & 0o007 else "its group"
    return f"{who} may {words} it (its mode is {mode:04o})" if words else ""
