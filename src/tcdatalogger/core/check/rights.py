"""Files and folders of the program that other users of this machine may read or write."""

from __future__ import annotations

import os
import shlex
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from tcdatalogger import private
from tcdatalogger.core.check.finding import Finding
from tcdatalogger.core.config.secrets import ENCRYPTION_KEY
from tcdatalogger.core.config.settings import Settings


def findings(settings: Settings) -> Iterator[Finding]:
    """A finding for each place that others may read or write, or that has such a file in it."""
    for name, path in places(settings):
        found = wide(path)
        if not found:
            continue
        if found[0] == path:
            folder = "-R " if path.is_dir() else ""
            says = f"{path}: {private.wider(path)}. `chmod {folder}go= {shlex.quote(str(path))}`"
        else:
            number = "1 file" if len(found) == 1 else f"{len(found):,} files"
            first = found[0]
            says = (
                f"{number} in it, as {first}: {private.wider(first)}. `tcdatalogger check --mend`"
            )
        yield Finding(f"rights of {name}", says, warning=True)


def mend(settings: Settings) -> tuple[list[Path], list[Path]]:
    """Take the rights of others away from all that is the program's.

    Returns:
        What was changed, and what this user may not change.
    """
    changed: list[Path] = []
    refused: list[Path] = []
    for _, path in places(settings):
        for each in wide(path):
            private.narrow(each)
            with suppress(FileNotFoundError):
                (refused if private.wider(each) else changed).append(each)
    return changed, refused


def places(settings: Settings) -> Iterator[tuple[str, Path]]:
    """The files and folders that are the program's alone, with what each is called."""
    if os.name == "nt":
        return
    references = [*settings.keys.items(), (ENCRYPTION_KEY, settings.warehouse.encryption_key)]
    references += [
        (settings.place_of(channel, name), reference)
        for channel in settings.all_channels
        for name, reference in channel.references.items()
    ]
    state, warehouse, log = settings.state.file, settings.warehouse.file, settings.log.file
    found: list[tuple[str, Path | None]] = [
        ("state", state),
        *(("state", each) for each in _beside(state, "-wal", "-shm")),
        ("warehouse", warehouse),
        *(("warehouse", each) for each in _beside(warehouse, ".wal*", ".tmp", ".analyst")),
        ("archive", settings.archive.folder),
        ("spool", settings.spool if settings.archive.folder is None else None),
        ("artifacts", settings.artifacts),
        ("backup", settings.backup.path),
        ("log", log),
        *(("log", each) for each in _beside(log, ".[0-9]*")),
        *(
            (f"key {name}", Path(reference.removeprefix("file:")))
            for name, reference in references
            if reference is not None and reference.startswith("file:")
        ),
    ]
    seen = set()
    for name, each in found:
        path = None if each is None else each.resolve() if each.is_symlink() else each
        if path is not None and path not in seen and path.exists():
            seen.add(path)
            yield name, path


def wide(path: Path) -> list[Path]:
    """A file or a folder with all that is in it, as far as others may read or write it.

    A link is left out: the file that it names has rights of its own.
    """
    found = [] if path.is_symlink() and path.is_dir() else [path]
    if path.is_dir() and not path.is_symlink():
        for folder, folders, files in os.walk(path):
            found += [Path(folder, name) for name in (*folders, *files)]
    return [each for each in found if _is_wide(each)]


def _is_wide(path: Path) -> bool:
    try:
        mode = path.lstat().st_mode
    except OSError:  # it went meanwhile
        return False
    return not stat.S_ISLNK(mode) and bool(stat.S_IMODE(mode) & 0o066)


def _beside(file: Path | None, *endings: str) -> list[Path]:
    """What an engine, or the program, puts beside a file under the file's name and an ending."""
    if file is None:
        return []
    name = "".join(f"[{letter}]" if letter in "*?[" else letter for letter in file.name)
    return [path for ending in endings for path in sorted(file.parent.glob(f"{name}{ending}"))]
