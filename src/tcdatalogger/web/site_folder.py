"""A folder of files that a web server serves while it is made anew.

The files are written into a folder beside it. When all are there, the two change places in one
step, so nobody is ever served half of the old and half of the new.
"""

from __future__ import annotations

import ctypes
import glob
import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from tcdatalogger import disk, private
from tcdatalogger.errors import UsageError

MARKER: Final = "tcdatalogger-export.json"
"""Says that a folder is an export, and which files of it are ours."""
_LEFT: Final = 86_400.0
"""Seconds after which a folder beside is one that a broken export left."""
_FOLDER: Final = 0o777
_FILE: Final = 0o666
_HERE: Final = -100
_EXCHANGE: Final = 2
"""`AT_FDCWD` and `RENAME_EXCHANGE` of Linux."""


@contextmanager
def replaced(folder: Path) -> Iterator[Path]:
    """A new folder to write into; at the end of the block it takes the place of another.

    What others have put into an export, as `.htaccess`, stays. After an error all is as it was.

    Args:
        folder: that is to be replaced: an export, an empty folder, or one that is not there.

    Raises:
        UsageError: it is none of these, or cannot be written.
        DiskFull: the disk is full.
    """
    target = folder.resolve()
    _refuse(folder, target)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _tidy(target)
        # Not by the id of this process: in two containers that may be the same.
        new = Path(tempfile.mkdtemp(prefix=f".{target.name}.new-", dir=target.parent))
        try:
            _begin(new, target)
            yield new
            _mark(new, sorted(_names(new) - {MARKER}))
            _show(new)
            _keep(target, new)
            _move(new, target)
        finally:
            shutil.rmtree(new, ignore_errors=True)
    except OSError as error:
        raise disk.failure(
            error,
            str(folder),
            UsageError(
                f"{folder} cannot be written: {error.strerror or error}.",
                remedy="Name a folder inside of one that this user may write to.",
            ),
        ) from None


def _refuse(folder: Path, target: Path) -> None:
    if not target.exists() or _ours(target) is not None:
        return
    if not target.is_dir():
        raise UsageError(f"{folder} is no folder.", remedy="Name one, as: --export site")
    if any(target.iterdir()):
        raise UsageError(
            f"{folder} has files that no export has made, and an export replaces the whole folder.",
            remedy="Name a folder that is not there yet, as: --export site",
        )


def _ours(folder: Path) -> frozenset[str] | None:
    """The files of an export; None where a folder is none."""
    try:
        told: Any = json.loads((folder / MARKER).read_text(encoding="utf-8"))
        return frozenset(map(str, told["files"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _names(folder: Path) -> set[str]:
    """All that is in a folder but folders, by its path from there."""
    return {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_symlink() or not path.is_dir()
    }


def _tidy(target: Path) -> None:
    """Remove what exports left that were killed; what one of them had moved away comes back."""
    name = glob.escape(target.name)
    moved = sorted(target.parent.glob(f".{name}.old-*"))
    for left in (*moved, *target.parent.glob(f".{name}.new-*")):
        if _ours(left) is None:
            continue
        if left in moved and not target.exists():
            left.rename(target)
        elif time.time() - (left / MARKER).stat().st_mtime > _LEFT:
            shutil.rmtree(left, ignore_errors=True)


def _begin(new: Path, target: Path) -> None:
    """Make the new folder; whoever may read the old one may read it."""
    new.chmod(_FOLDER & ~private.mask())
    if target.exists():
        _like(new, target)
    _mark(new, [])


def _like(new: Path, old: Path) -> None:
    """Give a folder the owner and the rights of another one, as far as this user may."""
    facts = old.stat()
    for owner in (-1, facts.st_uid):
        with suppress(OSError):
            os.chown(new, owner, facts.st_gid)
    shutil.copymode(old, new)


def _show(new: Path) -> None:
    """Let others read what is in the new folder, as far as the mask of the process lets them: all
    else that this program writes is its user's alone.
    """
    mask = private.mask()
    for path in new.rglob("*"):
        path.chmod((_FOLDER if path.is_dir() else _FILE) & ~mask)


def _mark(folder: Path, files: Sequence[str]) -> None:
    told = {"says": "`tcdatalogger ui --export` makes this folder anew.", "files": files}
    (folder / MARKER).write_text(json.dumps(told, indent=1), encoding="utf-8")


def _keep(target: Path, new: Path) -> None:
    """Take over what others have put into the old folder, with its owners and rights."""
    if (ours := _ours(target)) is None:
        return
    theirs = sorted(_names(target) - ours - {MARKER})
    for name in theirs:
        if (new / name).exists():
            raise UsageError(
                f"A page is to be called {name}, and no export has made the file of this name.",
                remedy=f"Move {target / name} away.",
            )
    there = {
        path.relative_to(target)
        for path in target.rglob("*")
        if path.is_dir() and not path.is_symlink()
    }
    there -= {each for name in ours for each in Path(name).parents}  # an empty one of ours goes
    there |= {each for name in theirs for each in Path(name).parents}
    made = [each for each in sorted(there) if not (new / each).is_dir()]
    for each in made:
        (new / each).mkdir()
    for name in theirs:
        _take(target / name, new / name)
    for each in reversed(made):
        _like(new / each, target / each)


def _take(old: Path, new: Path) -> None:
    """Let a file be in another folder too: the same one, as others may write to it just now."""
    with suppress(FileNotFoundError):  # somebody has removed it meanwhile
        try:
            os.link(old, new, follow_symlinks=False)
        except (OSError, NotImplementedError):  # a system of files that cannot, a file of others
            shutil.copy2(old, new, follow_symlinks=False)


def _move(new: Path, target: Path) -> None:
    """Put the new folder into the place of the old one, which is then where the new one was."""
    if not target.exists() or not any(target.iterdir()):
        new.replace(target)
    elif not _exchanged(new, target):
        old = target.with_name(f".{target.name}.old-{os.getpid()}")
        target.rename(old)
        try:
            new.rename(target)
        except OSError:
            old.rename(target)
            raise
        old.rename(new)


def _exchanged(one: Path, other: Path) -> bool:
    """Whether two folders have changed places; the system must be able to do that in one step."""
    try:
        rename = ctypes.CDLL(None).renameat2
    except (AttributeError, OSError, TypeError):  # another system than Linux
        return False
    found = rename(_HERE, os.fsencode(one), _HERE, os.fsencode(other), _EXCHANGE)
    return bool(found == 0)
