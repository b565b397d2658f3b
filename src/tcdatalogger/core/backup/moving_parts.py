"""Moves the warehouse or the state of an installation to another address; all else stays.

The copy is compared with what it was made of. Then the old file is marked as moved, and the
configuration names the new address; the former text stays beside it until the move is undone. A
process that is killed on the way is called again: it compares what is there, and goes on.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tcdatalogger import files, private
from tcdatalogger.clock import Clock, utc
from tcdatalogger.core.backup.moving import all_claimed, with_setting
from tcdatalogger.core.config import moved
from tcdatalogger.core.config.configuration import written
from tcdatalogger.core.config.moved import MoveMark
from tcdatalogger.core.config.paths import without_password
from tcdatalogger.core.config.settings import Settings
from tcdatalogger.core.main import Application
from tcdatalogger.core.operations.copy import address_of, state_of, transfer
from tcdatalogger.core.state.connect import open_database
from tcdatalogger.core.state.database import Database, Statements
from tcdatalogger.core.state.leases import Claim, Leases
from tcdatalogger.core.state.migrations import migrate
from tcdatalogger.core.state.sqlite import IN_MEMORY
from tcdatalogger.core.state.store import State
from tcdatalogger.errors import Busy, ConfigError, DataRefused, UsageError
from tcdatalogger.files import Progress, silent
from tcdatalogger.observability.log import get_logger

BEFORE: Final = ".before"
"""The ending of the file with the configuration as it was before its warehouse or state moved."""

_log = get_logger("move")


@dataclass(frozen=True, slots=True)
class PartMoved:
    """A warehouse or a state that was moved.

    Attributes:
        part: `warehouse` or `state`.
        to: its new address, without a password.
        rows: by table; every one was compared.
    """

    part: str
    to: str
    rows: dict[str, int]


def move_warehouse(
    application: Application, to: Application, file: Path, *, progress: Progress = silent
) -> PartMoved:
    """Move the warehouse to that of another application, and let the configuration name it.

    Args:
        application: of the installation.
        to: the same with the other warehouse.
        file: the configuration.
        progress: called with how many rows of a table are copied or compared.

    Raises:
        UsageError: nothing is stored yet, or the target is not empty and no copy of this warehouse.
        DataRefused: a table is not the same in both; the configuration stays as it is.
        Busy: a scheduler or a run goes on.
        WarehouseUnavailable: one of the two cannot be reached now.
    """
    if address_of(application) == address_of(to):
        raise UsageError("A warehouse cannot be moved to where it is.")
    old, url = application.settings, to.settings.warehouse.url
    text = _text(file, {("warehouse", "url"): _as_said(url, file, "duckdb:///")})
    text = _with_former(text, file, old)
    with ExitStack() as stack:
        stack.enter_context(all_claimed(application))
        source = stack.enter_context(application.warehouse(read_only=True))
        if not source.exists():
            source.must_have_place()
            raise UsageError(
                "Nothing has been stored yet.", remedy="Change `warehouse.url`; there is no more."
            )
        target = stack.enter_context(to.warehouse())
        found = transfer(source, target, address_of(application), progress=progress)
        sums = {"ledger": state_of(source)}
    # The warehouse is closed by now, and so it can be marked; whoever begins in between is refused
    # by the claims of the next line, or stores before them: then the sums differ.
    with all_claimed(application), application.warehouse(read_only=True) as source:
        if state_of(source) != sums["ledger"]:
            raise Busy(
                "Something was stored while the warehouse moved.",
                remedy="Nothing was changed. Move it again: only what is new is copied.",
            )
        _change(application, file, text, "warehouse", old.warehouse.file, address_of(to), sums)
    rows = {name: table.rows for name, table in found.items()}
    return PartMoved("warehouse", address_of(to), rows)


def move_state(application: Application, url: str, file: Path) -> PartMoved:
    """Move the state to another database, and let the configuration name it.

    Args:
        application: of the installation.
        url: the address of the new one, whole.
        file: the configuration.

    Raises:
        UsageError: there is a state in the new one already.
        DataRefused: a table is not the same in both; the configuration stays as it is.
        Busy: a scheduler or a run goes on.
        StateUnavailable: one of the two cannot be reached now.
    """
    old = application.settings
    if url == old.state.url:
        raise UsageError("A state cannot be moved to where it is.")
    text = _text(file, {("state", "url"): _as_said(url, file, "sqlite:///")})
    text = _with_former(text, file, old)
    shown = without_password(url) or ""
    with all_claimed(application) as claims, closing(open_database(url)) as target:
        migrate(target)
        source = application.state.database
        rows = _carried(source, target, claims, application.clock)
        sums = {"runs": _sum(source, "runs")[1]}
        _change(application, file, text, "state", old.state.file, shown, sums)
    return PartMoved("state", shown, rows)


def undo_part(application: Application, file: Path) -> str:
    """Use the warehouse or the state of before again, where nothing was stored in the new one.

    Args:
        application: of the installation as it is now.
        file: the configuration.

    Returns:
        The address that is used again.

    Raises:
        UsageError: neither was moved, or something was stored in the new one.
        Busy: a scheduler or a run goes on.
    """
    file = file.resolve()
    path = moved.beside(file, BEFORE)
    if not path.exists():
        raise UsageError("This installation was not moved.", remedy="So there is nothing to undo.")
    text = path.read_text(encoding="utf-8")
    old, now = written(text, file).resolved(file.parent), application.settings
    with all_claimed(application):
        if old.warehouse.url != now.warehouse.url:
            part, place, former = "warehouse", old.warehouse.file, old.warehouse.url
            mark = None if place is None else moved.read(place)
            with application.warehouse(read_only=True) as warehouse:
                if mark is not None and state_of(warehouse) != mark.sums.get("ledger"):
                    raise _stored(part)
        else:
            part, place, former = "state", old.state.file, old.state.url or ""
            mark = None if place is None else moved.read(place)
            runs = _sum(application.state.database, "runs")[1]
            if mark is not None and runs != mark.sums.get("runs"):
                raise _stored(part)
        if place is None:
            raise ConfigError(
                f"The former {part} is no file, and so it is not known whether it is as it was.",
                remedy=f"Name it in `{part}.url` yourself; {path} has the text of before.",
            )
        moved.remove(place)
        _replace(file, text)
        path.unlink()
    _log.info("move_undone", place=without_password(former), left=part)
    return without_password(former) or ""


def _stored(part: str) -> UsageError:
    return UsageError(
        f"Something was stored in the new {part} since it was moved.",
        remedy="Move it to a new place instead: what is old would lack it.",
    )


# --- the configuration ---------------------------------------------------------------------------


def _as_said(url: str, file: Path, scheme: str) -> str:
    """An address as the configuration has it: a file within its folder by its relative path."""
    if not url.startswith(scheme):
        return url
    path, folder = Path(url.removeprefix(scheme)), file.resolve().parent
    return f"{scheme}{path.relative_to(folder)}" if path.is_relative_to(folder) else url


def _text(file: Path, changes: dict[tuple[str, str], str], text: str | None = None) -> str:
    text = file.read_text(encoding="utf-8") if text is None else text
    for (section, key), value in changes.items():
        text = with_setting(text, file, section, key, value)
    return text


def _with_former(text: str, file: Path, old: Settings) -> str:
    """The new configuration, with all that lay beside the old place by default where it is now."""
    file = file.resolve()
    said = written(text, file)
    new = said.resolved(file.parent)
    changes = {}
    if said.state.url is None and new.state.url != old.state.url and old.state.url:
        changes["state", "url"] = _as_said(old.state.url, file, "sqlite:///")
    if new.backup.path != old.backup.path and old.backup.path is not None:
        changes["backup", "path"] = str(old.backup.path)
    return _text(file, changes, text)


def _change(
    application: Application,
    file: Path,
    text: str,
    part: str,
    former: Path | None,
    to: str,
    sums: dict[str, str],
) -> None:
    """Mark the old file as moved, and let the configuration name the new place."""
    file = file.resolve()
    now = f"{utc(application.clock.now()):%Y-%m-%dT%H:%M:%SZ}"
    _replace(moved.beside(file, BEFORE), file.read_text(encoding="utf-8"), like=file)
    if former is not None:
        moved.write(former, MoveMark(str(former), to, now, sums))
    _replace(file, text)
    _log.info("part_moved", part=part, to=to)


def _replace(file: Path, text: str, *, like: Path | None = None) -> None:
    """Write a file in place of another one, in one step, with the rights of that, or of `like`."""
    half = file.with_name(f".{file.name}.part")
    half.unlink(missing_ok=True)
    with open(half, "xb", opener=private.opener) as opened:
        opened.write(text.encode())
        opened.flush()
        os.fsync(opened.fileno())
    half.chmod((like or file).stat().st_mode & 0o777)
    half.replace(file)
    files.sync_folder(file.parent)


# --- the tables of the state ---------------------------------------------------------------------


def _carried(
    source: Database, target: Database, claims: Sequence[Claim], clock: Clock
) -> dict[str, int]:
    """Copy all tables of a state into another one, and compare them; rows by table.

    Raises:
        UsageError: the target knows other runs.
        DataRefused: a table is not the same.
    """
    tables, found = _tables(), {}
    wanted = {name: _sum(source, name) for name in tables}
    (count, there) = _sum(target, "runs")
    if count and there != wanted["runs"][1]:
        raise UsageError(
            "There is a state with other runs in the new place already.",
            remedy="Name an empty one: of Postgres, a schema of its own does: "
            "?options=-csearch_path%3Dtorn",
        )
    with target.writing() as db:
        for name in tables:
            found[name] = _filled(source, db, name)
    for name in tables:
        if _sum(target, name) != wanted[name]:
            raise DataRefused(
                f"The table {name} of the new state is not that of the old one.",
                remedy="The configuration stays as it is. Move it again.",
            )
    for claim in claims:  # they were copied with the others
        Leases(target, clock).release(claim)
    return found


def _tables() -> list[str]:
    """The tables of a state of this version, but the one with the version."""
    with State(IN_MEMORY) as state:
        rows = state.reading(
            "select name from sqlite_master where type = 'table' and name not like 'sqlite%' "
            "and name <> 'state_version' order by name"
        )
    return [str(name) for (name,) in rows]


def _columns(name: str) -> list[str]:
    with State(IN_MEMORY) as state:
        return [str(row[1]) for row in state.reading(f"pragma table_info({name})")]


def _filled(source: Database, db: Statements, name: str) -> int:
    columns = _columns(name)
    listed, marks = ", ".join(columns), ", ".join("?" * len(columns))
    db.execute(f"delete from {name}")
    rows = source.reading(f"select {listed} from {name}")
    for row in rows:
        db.execute(f"insert into {name} ({listed}) values ({marks})", row)
    return len(rows)


def _sum(database: Database, name: str) -> tuple[int, str]:
    """What a table of a state is known by, whatever the order of its rows."""
    rows = database.reading(f"select {', '.join(_columns(name))} from {name}")
    total = sum(int.from_bytes(hashlib.sha256(_shown(row)).digest()[:8], "big") for row in rows)
    return len(rows), str(total)


def _shown(row: Sequence[Any]) -> bytes:
    """A row in one form for both databases: 1 and 1.0 are the same time."""
    return repr([float(each) if isinstance(each, int | float) else each for each in row]).encode()
