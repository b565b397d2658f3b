"""Moves a whole installation into another folder: all of it, or nothing.

Everything is copied beside the new place under another name, synced, and compared: files by
SHA-256, the tables of the state by their rows. Then it gets its name, with a mark that it arrives;
then the old configuration is marked as moved; then the first mark goes. So a process that is killed
at any step leaves the old place in use, or two places that refuse to run until the move is called
again and ends. Nothing of the old place is deleted.
"""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from tcdatalogger import disk, files, private
from tcdatalogger.clock import utc
from tcdatalogger.core.backup import manifest, sqlite_copy
from tcdatalogger.core.config import moved
from tcdatalogger.core.config.configuration import written
from tcdatalogger.core.config.moved import ARRIVING, MoveMark
from tcdatalogger.core.config.settings import Settings
from tcdatalogger.core.config.toml_lines import with_text
from tcdatalogger.core.main import Application
from tcdatalogger.core.state.heartbeats import Heartbeats
from tcdatalogger.core.state.leases import BACKFILL, BACKUP, DIGEST, PRUNE, Claim
from tcdatalogger.core.state.run_id import new_run_id
from tcdatalogger.core.state.store import State
from tcdatalogger.errors import Busy, ConfigError, DataRefused, DiskFull, UsageError
from tcdatalogger.files import Progress, silent
from tcdatalogger.observability.log import get_logger

MOVE: Final = "/move"
"""The name under which a move is claimed."""

_PART: Final = ".part"
_SHARE: Final = 1.05
"""How much more space a move asks for than its files take."""
_MORE: Final = 16 * 2**20

_LEFT_OUT: Final = (".half", ".lock", ".upgrade")
"""What is in a folder and is of no use elsewhere."""

_SCHEMES: Final = ("duckdb:///", "sqlite:///", "file:")

_MAY_STAY: Final = ("backup.path",)
"""What stays where it is where the configuration names it absolutely: another disk is better."""

_log = get_logger("move")


@dataclass(frozen=True, slots=True)
class Part:
    """A part of an installation that is moved.

    Attributes:
        name: the setting that names it, as `archive.path`.
        source, target: where it is, and where it will be; a file or a folder.
    """

    name: str
    source: Path
    target: Path


@dataclass(frozen=True, slots=True)
class Plan:
    """What a move does.

    Attributes:
        file, target: the configuration, and where it will be.
        text: the new configuration.
        parts: what is copied.
        bytes: how many, all of them together.
        stays: settings whose files stay where they are, as the configuration names them absolutely.
    """

    file: Path
    target: Path
    text: str
    parts: tuple[Part, ...]
    bytes: int
    stays: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Moved:
    """An installation that was moved.

    Attributes:
        to: the new configuration.
        files, bytes: how many were copied and compared.
        rows: of the warehouse, by table.
        runs: of the state.
        stays: as of `Plan`.
    """

    to: Path
    files: int = 0
    bytes: int = 0
    rows: Mapping[str, int] = field(default_factory=dict)
    runs: int = 0
    stays: tuple[str, ...] = ()


def plan(file: Path, settings: Settings, to: Path) -> Plan:
    """What a move would do; nothing is changed.

    Args:
        file: the configuration.
        settings: its settings with those of the environment.
        to: the new folder.

    Raises:
        UsageError: the place is not empty or lies within what is moved, or the environment says
            where a part is.
    """
    file, to = file.resolve(), to.resolve()
    folder = file.parent
    text = file.read_text(encoding="utf-8")
    _refuse_environment(written(text, file).resolved(folder), settings)
    text = _inside(text, file, settings)
    new = written(text, file)
    there, new_there = new.resolved(folder), new.resolved(to)
    new_data = _data(new_there)
    pairs = [(name, path, new_data[name]) for name, path in _data(settings).items()]
    pairs += [
        (name, source, target)
        for name, source, target in _differing(there.model_dump(), new_there.model_dump())
        if name not in new_data
    ]
    parts = {}
    for name, source, target in pairs:
        if source is None or target is None or (name in _MAY_STAY and source == target):
            continue
        if not target.is_relative_to(to):
            raise UsageError(
                f"{name} is {source}, which the configuration names from outside of its folder.",
                remedy="Write its whole path into the configuration; it stays there then.",
            )
        if source.exists():
            parts[source] = Part(name, source, target)
    if log := there.log.file:
        for older in log.parent.glob(f"{log.name}.*"):
            with suppress(ValueError):  # it is not in the folder, and stays
                parts[older] = Part("log.file", older, to / older.relative_to(folder))
    found = tuple(parts.values())
    _refuse_place(folder, to, found)
    stays = tuple(sorted(set(_outside(new_there.model_dump(), to))))
    size = sum(each.stat().st_size for part in found for each, _ in _files(part, found))
    return Plan(file, to / file.name, text, found, size, stays)


def move(application: Application, file: Path, to: Path, *, progress: Progress = silent) -> Moved:
    """Move an installation into a folder, or end a move that was cut off.

    Args:
        application: of the installation.
        file: its configuration.
        to: the new folder.
        progress: called after each piece of work.

    Raises:
        UsageError: as `plan`, or it was moved elsewhere already.
        Busy: a scheduler or a run goes on.
        DiskFull: the new disk has too little space; nothing was left there.
        DataRefused: a copy is not what was read; nothing was left there.
        ConfigError: the new place cannot be written to.
    """
    file, to = file.resolve(), to.resolve()
    target = to / file.name
    if ended := _ended(file, target):
        return ended
    with all_claimed(application) as claims:
        if ended := _ended(file, target):  # by another process, just now
            return ended
        arriving = moved.read(target, ARRIVING) if target.exists() else None
        if arriving is not None and Path(arriving.place) == file:
            shutil.rmtree(to)  # it was cut off before the old place was marked: it is a copy
        planned = plan(file, application.settings, to)
        _refuse_full(to, planned.bytes)
        try:
            return _moved(application, planned, claims, progress)
        except OSError as error:
            raise disk.failure(
                error,
                str(to),
                ConfigError(
                    f"The installation cannot be moved to {to}: {error.strerror or error}.",
                    remedy="Nothing was changed here. Name a folder that this user may write to.",
                ),
                remedy="Nothing was changed here. Make space there, or name another place.",
            ) from None


def _ended(file: Path, target: Path) -> Moved | None:
    """What a move came to that has marked the old place; None where none has.

    Raises:
        UsageError: it was moved elsewhere.
    """
    mark = moved.read(file)
    if mark is None:
        return None
    if Path(mark.to) != target:
        raise UsageError(
            f"This installation was moved to {mark.to} already.",
            remedy="Move it from there, or bring it back first: tcdatalogger move --undo",
        )
    moved.remove(target, ARRIVING)
    return Moved(target)


def undo(file: Path) -> Path:
    """Use an installation at its old place again, where nothing was stored in the new one.

    Args:
        file: the configuration at the old place.

    Returns:
        The place that is given up.

    Raises:
        UsageError: it was not moved, or something was stored in the new place.
        ConfigError: the new place is not there.
    """
    file = file.resolve()
    mark = moved.read(file)
    if mark is None:
        raise UsageError("This installation was not moved.", remedy="So there is nothing to undo.")
    target = Path(mark.to)
    if not target.exists():
        raise ConfigError(
            f"{target} is not there, so nobody can say what was stored in it since.",
            remedy="Bring it back to that place. If it is lost, this place has all until "
            f"{mark.at}: delete the mark: rm {shlex.quote(str(moved.beside(file)))}",
        )
    new = written(target.read_text(encoding="utf-8"), target).resolved(target.parent)
    if _sums(new) != mark.sums:
        raise UsageError(
            f"Something was stored at {target.parent} since it was moved.",
            remedy="Move that installation to a new folder, and use it there.",
        )
    if moved.read(target) is None:
        moved.write(target, MoveMark(str(target), str(file), mark.at))
    moved.remove(target, ARRIVING)
    moved.remove(file)
    _log.info("move_undone", place=str(file.parent), left=str(target.parent))
    return target.parent


@contextmanager
def all_claimed(application: Application) -> Iterator[list[Claim]]:
    """Have the whole installation alone until the end of the block; yields the claims.

    Raises:
        Busy: a scheduler lives, or something runs.
    """
    state, now = application.state, application.clock.now()
    for beat in Heartbeats(state).alive(now):
        raise Busy(
            f"The scheduler runs: process {beat.pid} on {beat.host}.",
            remedy="Stop it first; begin it again in the new place.",
        )
    names = [endpoint.name for endpoint in application.settings.endpoints]
    names += [f"{name}{BACKFILL}" for name in names]
    by = new_run_id(application.clock)
    with ExitStack() as stack:
        yield [
            stack.enter_context(application.claimed(name, by))
            for name in (MOVE, BACKUP, DIGEST, PRUNE, *names)
        ]


# --- what is moved -------------------------------------------------------------------------------


def _refuse_environment(said: Settings, used: Settings) -> None:
    """Refuse an installation of which the file does not say where it is.

    Raises:
        UsageError: a variable or `--set` says where a part is.
    """
    for name, one, other in (
        ("warehouse.url", said.warehouse.url, used.warehouse.url),
        ("state.url", said.state.url, used.state.url),
        ("archive.path", said.archive.path, used.archive.path),
        ("backup.path", said.backup.path, used.backup.path),
    ):
        if one != other:
            raise UsageError(
                f"A variable of the environment or --set says where {name} is.",
                remedy="Write it into the configuration: what is moved is what stands there.",
            )


def _inside(text: str, file: Path, settings: Settings) -> str:
    """The configuration with data by relative paths: what lies outside comes into `data`.

    Raises:
        UsageError: the text cannot be changed.
    """
    folder, raw = file.parent, written(text, file)
    data = (
        ("warehouse", "url", raw.warehouse.url, settings.warehouse.file, "duckdb:///"),
        ("state", "url", raw.state.url, settings.state.file, "sqlite:///"),
        ("archive", "path", raw.archive.path, settings.archive.folder, ""),
        ("archive", "spool", raw.archive.spool, settings.spool, ""),
        ("backup", "path", raw.backup.path, settings.backup.path, ""),
    )
    for section, key, said, path, scheme in data:
        within = path is not None and path.is_relative_to(folder)
        if said is None or path is None or (section == "backup" and not within):
            continue
        if within and not Path(str(said).removeprefix(scheme)).expanduser().is_absolute():
            continue
        near = path.relative_to(folder) if within else Path("data", path.name)
        text = with_setting(text, file, section, key, f"{scheme}{near.as_posix()}")
    return text


def with_setting(text: str, file: Path, section: str, key: str, value: str) -> str:
    """The text of a configuration in which a setting has another value.

    Args:
        text: the configuration.
        file: that it is from, for the message.
        section: of the setting.
        key: of the setting.
        value: the new one.

    Raises:
        UsageError: the text has the setting in a form that cannot be changed.
    """
    try:
        return with_text(text, section, key, value)
    except ValueError as error:
        raise UsageError(
            f"{file} cannot be changed: {error}.",
            remedy=f"Write {key} on a line of its own under [{section}].",
        ) from None


def _data(settings: Settings) -> dict[str, Path | None]:
    """The files and folders of what was logged, by the settings that name them; None for none."""
    bucket = settings.archive.folder is None
    return {
        "warehouse.url": settings.warehouse.file,
        "state.url": settings.state.file,
        "archive.path": settings.archive.folder,
        "archive.spool": settings.spool if bucket else None,
        "backup.path": settings.backup.path,
        "artifacts": settings.artifacts,
    }


def _differing(one: Any, other: Any, name: str = "") -> Iterator[tuple[str, Path, Path]]:
    """The paths that differ in two dumps of one configuration, which is in two folders."""
    for below, mine, its in _leaves(one, other, name):
        if mine != its:
            yield below, _path_in(mine), _path_in(its)


def _outside(dump: Any, to: Path) -> Iterator[str]:
    """The settings that name files elsewhere."""
    for name, value, _ in _leaves(dump, dump, ""):
        if str(value).startswith((*_SCHEMES, "/")) and not name.endswith(".path"):
            path = _path_in(value)
            if path.is_absolute() and not path.is_relative_to(to):
                yield name
    backups = dump["backup"]["path"]
    if backups is not None and not Path(backups).is_relative_to(to):
        yield "backup.path"


def _leaves(one: Any, other: Any, name: str) -> Iterator[tuple[str, object, object]]:
    """The values of two dumps that have the same keys, each with its name."""
    if isinstance(one, dict):
        for key, value in one.items():
            yield from _leaves(value, other[key], f"{name}.{key}" if name else str(key))
    elif isinstance(one, list | tuple):
        for number, (mine, its) in enumerate(zip(one, other, strict=True)):
            yield from _leaves(mine, its, f"{name}.{number}")
    else:
        yield name, one, other


def _path_in(value: object) -> Path:
    """The path in a value of the configuration: an address, a reference, a processor, a path."""
    text = str(value)
    for scheme in _SCHEMES:
        if text.startswith(scheme):
            return Path(text.removeprefix(scheme))
    before, colon, _ = text.rpartition(":")
    return Path(before if colon and before.endswith(".py") else text)


def _refuse_place(folder: Path, to: Path, parts: Sequence[Part]) -> None:
    near = "As the folder beside: tcdatalogger move " + shlex.quote(f"{folder}-moved")
    if to == folder:
        raise UsageError("An installation cannot be moved to where it is.", remedy=near)
    if to.is_relative_to(folder):
        raise UsageError(f"{to} lies within {folder}, which is moved.", remedy=near)
    if folder.is_relative_to(to):
        raise UsageError(f"{to} holds {folder}, which is moved.", remedy=near)
    if to.exists() and (not to.is_dir() or any(to.iterdir())):
        raise UsageError(
            f"{to} is not empty, and nothing that is there is written over.",
            remedy="Name a folder that does not exist yet.",
        )
    for part in parts:
        if part.source.is_dir() and to.is_relative_to(part.source):
            raise UsageError(
                f"{to} lies within {part.source}, which is moved.", remedy="Name another folder."
            )


def _refuse_full(to: Path, size: int) -> None:
    """Refuse a place without space for all of it, before anything is written there.

    Raises:
        DiskFull: it has less.
    """
    there = next(each for each in (to, *to.parents) if each.is_dir())
    wanted, free = int(size * _SHARE) + _MORE, shutil.disk_usage(there).free
    if free < wanted:
        raise DiskFull(
            f"The move takes {wanted / 1e6:,.0f} MB, and {there} has {free / 1e6:,.0f} MB.",
            remedy="Nothing was changed. Make space there, or name another place.",
        )


def _files(part: Part, parts: Sequence[Part]) -> Iterator[tuple[Path, Path]]:
    """The files of a part, each with its new place; not those of another part in its folder."""
    if not part.source.is_dir():
        yield part.source, part.target
        return
    others = {each.source for each in parts if each is not part}
    for place, folders, names in os.walk(part.source):
        here = Path(place)
        folders[:] = [
            name for name in folders if name not in _LEFT_OUT and here / name not in others
        ]
        for name in names:
            path = here / name
            own = path not in others and not any(
                path.name.startswith(f"{other.name}-") or path.name == f"{other.name}.wal"
                for other in others
                if other.parent == here and other.is_file()
            )
            if own and name not in _LEFT_OUT and path.is_file():
                yield path, part.target / path.relative_to(part.source)


# --- the move ------------------------------------------------------------------------------------


def _moved(
    application: Application, planned: Plan, claims: Sequence[Claim], progress: Progress
) -> Moved:
    to = planned.target.parent
    beside = to.parent / f".{to.name}{_PART}"
    shutil.rmtree(beside, ignore_errors=True)  # of a move that was cut off
    try:
        private.folder(beside)
        done = _copied(application, planned, beside, progress)
        new = written(planned.text, planned.target)
        state = new.resolved(beside).state.file
        if state is not None and state.exists() and application.settings.state.file is not None:
            _let_go(state, claims)
        sums = _sums(new.resolved(beside))
        _readdress(application.settings, new, beside, to)
        now = f"{utc(application.clock.now()):%Y-%m-%dT%H:%M:%SZ}"
        arrives = MoveMark(str(planned.file), str(planned.target), now)
        moved.write(beside / planned.file.name, arrives, ARRIVING)
        files.sync_folders(beside)
        if to.exists():
            to.rmdir()
        beside.rename(to)
        files.sync_folder(to.parent)
    except BaseException:  # also at Ctrl-C: nothing half is left there
        shutil.rmtree(beside, ignore_errors=True)
        raise
    moved.write(planned.file, MoveMark(str(planned.file), str(planned.target), now, sums))
    moved.remove(planned.target, ARRIVING)
    _log.info("installation_moved", place=str(planned.file), to=str(to), files=done.files)
    return done


def _copied(application: Application, planned: Plan, beside: Path, progress: Progress) -> Moved:
    """Copy every part beside the new place, and compare it."""
    to, settings = planned.target.parent, application.settings
    done = Moved(planned.target, stays=planned.stays)
    count = size = 0
    for part in planned.parts:
        if part.source == settings.warehouse.file:
            place = beside / part.target.relative_to(to)
            private.folder(place.parent)
            with application.warehouse(read_only=True) as warehouse:
                copied = warehouse.back_up(place.parent, progress)
            if copied is None:
                raise DataRefused(f"The warehouse {part.source} is no file.")
            done = replace(done, rows={name: one.rows for name, one in copied.tables.items()})
            count += len(copied.files)
            size += sum(one.bytes for one in copied.files.values())
            continue
        if part.source == settings.state.file:
            tables = sqlite_copy.copy(part.source, beside / part.target.relative_to(to))
            done = replace(done, runs=tables["runs"].rows if "runs" in tables else 0)
            count, size = count + 1, size + part.source.stat().st_size
            continue
        for source, target in _files(part, planned.parts):
            place = beside / target.relative_to(to)
            progress(f"copying {part.name}", size, planned.bytes)
            with source.open("rb") as opened:
                seen = files.copy(opened, place)
            if files.digest(place) != seen:
                raise DataRefused(
                    f"The copy of {source} is not what was read.",
                    remedy="Nothing was changed here. Look at the disk of the new place.",
                )
            count, size = count + 1, size + seen.bytes
    config = beside / planned.file.name
    with open(config, "xb", opener=private.opener) as file:
        file.write(planned.text.encode())
        file.flush()
        os.fsync(file.fileno())
    config.chmod(planned.file.stat().st_mode & 0o777)
    return replace(done, files=count + 1, bytes=size)


def _let_go(file: Path, claims: Sequence[Claim]) -> None:
    """Give the claims of this move back in the copy of the state."""
    with State(file) as state:
        for claim in claims:
            state.leases.release(claim)


def _readdress(old: Settings, new: Settings, beside: Path, to: Path) -> None:
    """Let the backups that came along say that they are of the warehouse in the new place."""
    backups = new.resolved(beside).backup.path
    if backups is None or not backups.is_relative_to(beside):
        return
    for one in manifest.kept(backups, old.warehouse.url):
        origin = {**one.manifest.origin, manifest.WAREHOUSE: new.resolved(to).warehouse.url}
        half = one.folder.with_name(f".{one.folder.name}.manifest")
        private.folder(half)
        manifest.write(half, replace(one.manifest, origin=origin))
        (half / manifest.FILE).replace(one.folder / manifest.FILE)
        half.rmdir()


def _sums(settings: Settings) -> dict[str, str]:
    """What changes when something is stored in an installation: its runs, its warehouse."""
    found = {}
    state, warehouse = settings.state.file, settings.warehouse.file
    if state is not None and state.exists():
        runs = sqlite_copy.sums(state).get("runs")
        found["runs"] = f"{runs.rows} {runs.checksum}" if runs else ""
    if warehouse is not None and warehouse.exists():
        found["warehouse"] = files.digest(warehouse).sha256
    if settings.archive.folder is not None:
        found["archive"] = str(sum(1 for _ in settings.archive.folder.rglob("*.parquet")))
    return found
