"""Players who are forgotten get their aliases in backups, and in what is restored from one.

A backup is copied beside and changed there, and gets sums of its own; then it takes the place of
the former. So there is the one or the other, whole, at any moment.
"""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import msgspec

from tcdatalogger import files, private
from tcdatalogger.core.backup import manifest, sqlite_copy
from tcdatalogger.core.backup.make import place_of
from tcdatalogger.core.backup.manifest import Indexed, KeptBackup, Manifest
from tcdatalogger.core.config.settings import Settings
from tcdatalogger.core.main import Application
from tcdatalogger.core.operations import forget
from tcdatalogger.core.operations.forget import Done
from tcdatalogger.core.state.forgotten import secret_in
from tcdatalogger.core.state.sqlite import IN_MEMORY
from tcdatalogger.core.state.store import State
from tcdatalogger.errors import ConfigError, DataRefused
from tcdatalogger.files import FileSum, Progress, silent
from tcdatalogger.models.people.pseudonyms import Pseudonyms

_PART: Final = ".part"
_OLD: Final = ".old.part"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a copy of the program's data is.

    Attributes:
        warehouse: the address of its warehouse.
        state: the file of its state, None for none.
        archive: the folder of its archive, None for none.
    """

    warehouse: str
    state: Path | None
    archive: Path | None


def holding(settings: Settings) -> list[KeptBackup]:
    """The backups of the warehouse, the newest first: they have what there was before."""
    try:
        place = place_of(settings)
    except ConfigError:
        return []
    return manifest.kept(place, settings.warehouse.url)


def delete(backups: list[KeptBackup]) -> None:
    """Delete backups; each loses its name first, so that none is left half."""
    for one in backups:
        doomed = one.folder.with_name(f".{one.folder.name}{_OLD}")
        one.folder.rename(doomed)
        shutil.rmtree(doomed, ignore_errors=True)


def rewrite(
    application: Application, backups: list[KeptBackup], *, progress: Progress = silent
) -> Iterator[tuple[KeptBackup, Done]]:
    """Change backups, one after the other; yields each with what was done.

    Args:
        application: with the state that knows who is forgotten, and the key of the warehouse.
        backups: the backups.
        progress: told of each piece of work.

    Raises:
        DataRefused: a backup is damaged, or remembers players under another secret; it is as it
            was.
        ConfigError: the key of an encrypted one is missing.
        OSError: the copy cannot be written; the backup is as it was.
    """
    pseudonyms = application.state.forgotten.pseudonyms()
    for one in backups:
        if _others(one.folder, one.manifest, pseudonyms):
            raise DataRefused(
                f"The backup {one.folder} remembers players who are forgotten under another secret "
                "than the state here, so it is not changed.",
                remedy="Move it to where backups of other installations are, or delete it: "
                f"rm -r {shlex.quote(str(one.folder))}",
            )
        beside = one.folder.with_name(f".{one.folder.name}{_PART}")
        shutil.rmtree(beside, ignore_errors=True)
        try:
            _copy(one.folder, beside)
            done = _changed(application, beside, one, pseudonyms, progress)
            _seal(application, beside, one)
            old = one.folder.with_name(f".{one.folder.name}{_OLD}")
            shutil.rmtree(old, ignore_errors=True)
            one.folder.rename(old)
            beside.rename(one.folder)
            files.sync_folder(one.folder.parent)
            shutil.rmtree(old, ignore_errors=True)
        except BaseException:  # also at Ctrl-C: the backup is as it was
            if one.folder.exists():
                shutil.rmtree(beside, ignore_errors=True)
            raise
        yield one, done


def refuse_others(folder: Path, pseudonyms: Pseudonyms, place: Path) -> None:
    """Refuse to restore a backup that remembers other players than the state here.

    An alias is a hash made with a secret: two lists with two secrets cannot become one, and players
    of the one that is lost would be stored as they are again.

    Args:
        folder: the backup.
        pseudonyms: the players of the state here.
        place: where it would be restored to.

    Raises:
        DataRefused: it does, or is damaged.
    """
    folder, place = folder.resolve(), place.resolve()
    if not _others(folder, manifest.read(folder), pseudonyms):
        return
    words = ["tcdatalogger", "restore", str(folder), "--to", str(place)]
    raise DataRefused(
        f"The backup {folder} remembers players who are forgotten under another secret than the "
        "state here, and one of the two lists would be lost.",
        remedy="Restore it where no configuration is found, and forget the players of this one "
        f"there again: `cd / && env -u TCDATALOGGER_CONFIG {shlex.join(words)}`",
    )


def _others(folder: Path, found: Manifest, pseudonyms: Pseudonyms) -> bool:
    """Whether a backup remembers players under another secret than those."""
    if not pseudonyms or found.state.file is None:
        return False
    secret = secret_in(folder / manifest.STATE / found.state.file)
    return secret not in {b"", pseudonyms.secret}


def renew(
    application: Application, place: Place, pseudonyms: Pseudonyms, progress: Progress = silent
) -> Done:
    """Keep the promise in data that came from a backup: its state remembers the players too.

    Args:
        application: whose settings count for all but the places.
        place: where the data is.
        pseudonyms: the players.
        progress: told of each piece of work.

    Raises:
        DataRefused: its state remembers players under another secret.
    """
    settings = application.settings
    archive = str(place.archive or _nowhere(place))
    changed = settings.model_copy(
        update={
            "warehouse": settings.warehouse.model_copy(update={"url": place.warehouse}),
            "archive": settings.archive.model_copy(update={"path": archive}),
            "log": settings.log.model_copy(update={"file": None}),
        }
    )
    with ExitStack() as stack:
        state = State(place.state or IN_MEMORY, application.clock)
        stack.callback(state.close)
        state.forgotten.take_over(pseudonyms, application.clock.now())
        other = Application(changed, clock=application.clock, environ=application.environ)
        return forget.in_place(other.beside(state), pseudonyms, progress=progress)


def _nowhere(place: Place) -> Path:
    """The folder of an archive that is not there; looking for files in it finds none."""
    return Path(place.warehouse.partition(":///")[2]).parent / "no-archive"


def _copy(folder: Path, beside: Path) -> None:
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_file():
            with manifest.plain(folder, name).open("rb") as source:
                files.copy(source, beside / name)


def _changed(
    application: Application,
    beside: Path,
    one: KeptBackup,
    pseudonyms: Pseudonyms,
    progress: Progress,
) -> Done:
    found = one.manifest
    kind = found.warehouse.kind
    file = beside / manifest.WAREHOUSE / found.warehouse.file
    state = found.state.file
    archive = beside / manifest.ARCHIVE
    place = Place(
        f"{kind}:///{file}",
        beside / manifest.STATE / state if state else None,
        archive if found.archive.copied else None,
    )
    return renew(application, place, pseudonyms, progress)


def _seal(application: Application, beside: Path, one: KeptBackup) -> None:
    """Write the manifest anew: the sums of what is there now."""
    found = one.manifest
    state = found.state
    if state.file is not None:
        path = beside / manifest.STATE / state.file
        sqlite_copy.make_one_file(path)
        state = replace(state, tables=sqlite_copy.sums(path))
    file = beside / manifest.WAREHOUSE / found.warehouse.file
    settings = application.settings
    changed = settings.warehouse.model_copy(update={"url": f"{found.warehouse.kind}:///{file}"})
    other = Application(
        settings.model_copy(update={"warehouse": changed}),
        clock=application.clock,
        environ=application.environ,
    )
    with other.warehouse(read_only=True) as warehouse:
        tables, engine = warehouse.sums(), warehouse.engine.rpartition(" ")[2]
    parts = {
        path.name: files.digest(path)
        for path in sorted((beside / manifest.WAREHOUSE).iterdir())
        if path.is_file()
    }
    kept = replace(found.warehouse, tables=tables, files=parts, engine=engine)
    archive = found.archive
    if archive.copied:
        indexed = list(_indexed(beside))
        with open(beside / manifest.INDEX, "wb", opener=private.opener) as lines:
            lines.writelines(msgspec.json.encode(each) + b"\n" for each in indexed)
        size = sum(each.bytes for each in indexed)
        archive = replace(archive, files=len(indexed), bytes=size)
    known: dict[str, FileSum] = {
        f"{manifest.WAREHOUSE}/{name}": sum_ for name, sum_ in parts.items()
    }
    others = [beside / manifest.INDEX]
    others += [beside / manifest.STATE / state.file] if state.file else []
    known |= {path.relative_to(beside).as_posix(): files.digest(path) for path in others}
    (beside / manifest.FILE).unlink()
    manifest.write(
        beside, replace(found, warehouse=kept, state=state, archive=archive, files=known)
    )
    files.sync_folders(beside)


def _indexed(beside: Path) -> Iterator[Indexed]:
    root = beside / manifest.ARCHIVE
    for path in sorted(root.rglob("*")):
        if path.is_file() and path.suffix in {".parquet", ".refused"}:
            told = files.digest(path)
            with suppress(OSError):
                yield Indexed(
                    path.relative_to(root).as_posix(),
                    told.bytes,
                    told.sha256,
                    path.stat().st_mtime_ns,
                )
    shutil.rmtree(root / ".half", ignore_errors=True)
