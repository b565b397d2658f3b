"""`tcdatalogger move`: a whole installation to another folder, warehouse or state."""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tcdatalogger.cli import Options
from tcdatalogger.cli.commands.backup import BackupLines
from tcdatalogger.cli.output import counted, json_option, print_json, print_table, say
from tcdatalogger.core.config import sizes
from tcdatalogger.errors import UsageError

if TYPE_CHECKING:
    from tcdatalogger.core.backup.moving import Moved, Plan
    from tcdatalogger.core.backup.moving_parts import PartMoved
    from tcdatalogger.core.config.settings import Settings

_WAREHOUSES = ("duckdb://", "bigquery://")
_STATES = ("sqlite://", "postgresql://")


@click.command(
    epilog="\b\nExample:\n"
    "  tcdatalogger move /srv/torn --dry-run\n"
    "  tcdatalogger move /srv/torn\n"
    "  tcdatalogger move 'bigquery://my-project/torn?location=EU'\n"
    "  tcdatalogger move 'postgresql://torn@db.example/torn'\n"
    "  tcdatalogger move --undo"
)
@click.argument("to", required=False, metavar="[TO]")
@click.option("--undo", is_flag=True, help="Use the old place again; nothing was stored since.")
@click.option("--dry-run", "dry", is_flag=True, help="Show what a folder would get, move nothing.")
@json_option
@click.pass_obj
def command(options: Options, to: str | None, undo: bool, dry: bool, as_json: bool) -> None:
    """Bring the installation to another folder, or its warehouse or state to another address.

    TO is a folder that does not exist yet: it gets the configuration, the state, the archive, the
    warehouse, the backups, and the files that the configuration names by relative paths, keys
    among them. All is compared with what it was copied from. Then the old place refuses to run
    and says where it went. Nothing of it is deleted.

    TO may be the address of a warehouse (duckdb:///FILE, bigquery://PROJECT/DATASET) or of a state
    (sqlite:///FILE, postgresql://USER@HOST/DATABASE): then that part alone is moved, and the
    configuration changed. What ends before its end is called again.
    """
    if undo == (to is not None) or (undo and dry):
        raise UsageError(
            "Say where to move to, or --undo alone.", remedy="As: `tcdatalogger move /srv/torn`"
        )
    settings = options.load(moves=True)
    if undo or to is None:
        _undo(options, settings, as_json=as_json)
    elif to.startswith((*_WAREHOUSES, *_STATES)):
        if dry:
            raise UsageError("--dry-run goes with a folder.")
        _tell_part(_part(options, settings, to), as_json=as_json)
    elif "://" in to:
        raise UsageError(
            f"{to} is neither a folder nor the address of a warehouse or a state.",
            remedy=f"Addresses begin with {', '.join((*_WAREHOUSES, *_STATES))}.",
        )
    else:
        _folder(options, settings, Path(to), dry=dry, as_json=as_json)


def _folder(options: Options, settings: Settings, to: Path, *, dry: bool, as_json: bool) -> None:
    from tcdatalogger.core.backup.moving import move, plan
    from tcdatalogger.core.main import Application

    if dry:
        _tell_plan(plan(options.file, settings, to), as_json=as_json)
        return
    with Application(settings) as application:
        done = move(application, options.file, to, progress=BackupLines())
    _tell(done, options.file, as_json=as_json)


def _part(options: Options, settings: Settings, url: str) -> PartMoved:
    from tcdatalogger.core.backup.moving_parts import move_state, move_warehouse
    from tcdatalogger.core.main import Application

    section = "warehouse" if url.startswith(_WAREHOUSES) else "state"
    changed = (*options.overrides, f"{section}.url={url}")
    other = replace(options, overrides=changed).settings()
    with Application(settings) as application:
        if section == "state":
            return move_state(application, other.state.url or "", options.file)
        with Application(other) as new:
            return move_warehouse(application, new, options.file, progress=BackupLines())


def _undo(options: Options, settings: Settings, *, as_json: bool) -> None:
    from tcdatalogger.core.backup.moving import undo
    from tcdatalogger.core.backup.moving_parts import undo_part
    from tcdatalogger.core.config import moved
    from tcdatalogger.core.main import Application

    if moved.read(options.file) is not None:
        left = str(undo(options.file))
        if as_json:
            print_json({"undone": True, "left": left})
        else:
            say(f"This place is used again; {left} refuses to run now, and can be deleted.")
        return
    with Application(settings) as application:
        former = undo_part(application, options.file)
    if as_json:
        print_json({"undone": True, "used": former})
    else:
        say(f"{former} is used again, as the configuration says.")


def _tell_plan(found: Plan, *, as_json: bool) -> None:
    parts = [(part.name, str(part.source), str(part.target)) for part in found.parts]
    if as_json:
        told = [{"setting": name, "from": one, "to": other} for name, one, other in parts]
        print_json({"to": str(found.target), "bytes": found.bytes, "parts": told,
                    "stays": list(found.stays)})  # fmt: skip
        return
    print_table(("setting", "to"), [(name, other) for name, _, other in parts])
    say(f"{sizes.shown(found.bytes)} would be copied; nothing was changed.")
    _tell_of_what_stays(found.stays)


def _tell(done: Moved, old: Path, *, as_json: bool) -> None:
    if as_json:
        print_json(
            {"to": str(done.to), "files": done.files, "bytes": done.bytes,
             "rows": dict(done.rows), "runs": done.runs, "stays": list(done.stays)}
        )  # fmt: skip
        return
    if done.files:
        say(
            f"{counted(done.files, 'file')}, {sizes.shown(done.bytes)}, with "
            f"{counted(sum(done.rows.values()), 'row')} and {counted(done.runs, 'run')}: all of it "
            "is the same in both places."
        )
        _tell_of_what_stays(done.stays)
    say(f"It is used from there now:\n\n  tcdatalogger --config {shlex.quote(str(done.to))} status")
    say(
        f"\n{old.resolve().parent} refuses to run now; nothing there was deleted. A service is set "
        "up anew\nfrom the new place: `tcdatalogger service install`."
    )


def _tell_of_what_stays(names: tuple[str, ...]) -> None:
    if names:
        say("Named by a whole path, these stay where they are:")
        for name in names:
            say(f"  {name}")


def _tell_part(done: PartMoved, *, as_json: bool) -> None:
    if as_json:
        print_json({"part": done.part, "to": done.to, "rows": done.rows})
        return
    rows = counted(sum(done.rows.values()), "row")
    say(f"{counted(len(done.rows), 'table')} with {rows} moved; all of it is the same in both.")
    say(f"The {done.part} is {done.to} now, as the configuration says. To come back:")
    say("\n  tcdatalogger move --undo")
