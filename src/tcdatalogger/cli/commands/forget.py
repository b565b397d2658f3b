"""`tcdatalogger forget`: take a player out of all that was logged."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from tcdatalogger.cli import Options
from tcdatalogger.cli.output import (
    counted,
    json_option,
    moment,
    number,
    print_json,
    print_table,
    say,
)
from tcdatalogger.errors import DataRefused

if TYPE_CHECKING:
    from tcdatalogger.core.backup.manifest import KeptBackup
    from tcdatalogger.core.main import Application
    from tcdatalogger.core.operations.forget import Done


@click.group(
    epilog="\b\nExample:\n  tcdatalogger forget player 2531687 --dry-run\n"
    "  tcdatalogger forget player 2531687"
)
def command() -> None:
    """Take a player out of all that was logged, and out of all that will be."""


_backups = click.option(
    "--backups",
    type=click.Choice(["list", "rewrite", "delete"]),
    default="list",
    show_default=True,
    help="What becomes of the backups, which have the player too.",
)
_dry = click.option(
    "--dry-run", "dry", is_flag=True, help="Count what would be changed, and change nothing."
)


@command.command(
    "player",
    epilog="\b\nExample:\n"
    "  tcdatalogger forget player 2531687 --dry-run\n"
    "  tcdatalogger forget player 2531687 --backups rewrite\n"
    "  tcdatalogger forget player 2531687 --remove",
)
@click.argument("player", metavar="ID", type=int)
@click.option(
    "--remove",
    is_flag=True,
    help="Leave nothing in the player's place: ids and names become null, and records that are the "
    "player's own go.",
)
@_backups
@_dry
@json_option
@click.pass_obj
def player(
    options: Options, player: int, remove: bool, backups: str, dry: bool, as_json: bool
) -> None:
    """Forget the player with this id: tables, archive, quarantine, state and log.

    The id becomes an alias, always the same one, and the name becomes its name: sums and counts by
    player stay right, and nobody can tell who it was. What Torn sends later gets the alias too,
    before anything of it is kept. `forget again` goes on with what was cut short.
    """
    settings = options.load()
    from tcdatalogger.cli.commands.backup import BackupLines
    from tcdatalogger.core.main import Application  # pyarrow, duckdb
    from tcdatalogger.core.operations.forget import forget

    with Application(settings) as application:
        done = forget(application, player, remove=remove, dry=dry, progress=BackupLines())
        kept = _of_backups(application, backups, dry=dry)
    _tell(done, kept, backups, dry=dry, as_json=as_json)


@command.command(
    "again",
    epilog="\b\nExample:\n  tcdatalogger forget again\n"
    "  tcdatalogger forget again --backups rewrite",
)
@_backups
@_dry
@json_option
@click.pass_obj
def again(options: Options, backups: str, dry: bool, as_json: bool) -> None:
    """Look for all players who are forgotten once more, and finish what was cut short.

    So after data came in by another way than Torn's answers: a backup, a copy of a warehouse.
    """
    settings = options.load()
    from tcdatalogger.cli.commands.backup import BackupLines
    from tcdatalogger.core.main import Application
    from tcdatalogger.core.operations.forget import again

    with Application(settings) as application:
        if not application.state.forgotten.players():
            application.state.forgotten.end()
            _nobody(as_json=as_json)
            return
        done = again(application, dry=dry, progress=BackupLines())
        kept = _of_backups(application, backups, dry=dry)
    _tell(done, kept, backups, dry=dry, as_json=as_json)


@command.command("list", epilog="\b\nExample:\n  tcdatalogger forget list --json")
@json_option
@click.pass_obj
def listed(options: Options, as_json: bool) -> None:
    """List the players who are forgotten, by their aliases: nobody has their ids."""
    settings = options.load()
    from tcdatalogger.core.main import Application

    if not settings.state.begun:
        _nobody(as_json=as_json)
        return
    with Application(settings) as application:
        found = application.state.forgotten.players()
        unfinished = application.state.forgotten.unfinished()
    if as_json:
        lines = [
            {
                "alias": one.alias.number,
                "name": one.alias.word,
                "removed": one.alias.removed,
                "since": moment(one.since),
                "names": one.names,
            }
            for one in found
        ]
        print_json({"forgotten": lines, "unfinished": unfinished})
        return
    if not found:
        _nobody(as_json=False)
        return
    rows = [
        (
            one.alias.number,
            one.alias.word,
            "removed" if one.alias.removed else "has an alias",
            moment(one.since),
        )
        for one in found
    ]
    print_table(("alias", "name", "how", "since"), rows, (False, False, False, False))
    if unfinished:
        say("The last time was cut short: `tcdatalogger forget again` finishes it.", err=True)


def _nobody(*, as_json: bool) -> None:
    if as_json:
        print_json({"forgotten": [], "unfinished": False})
        return
    say("Nobody is forgotten yet: `tcdatalogger forget player ID` forgets somebody.")


def _of_backups(
    application: Application, backups: str, *, dry: bool
) -> list[tuple[KeptBackup, Done | None]]:
    """The backups with what was done in each; None where nothing was."""
    from tcdatalogger.core.backup import forgotten

    found = forgotten.holding(application.settings)
    if backups == "rewrite" and not dry:
        return [(one, done) for one, done in forgotten.rewrite(application, found)]
    if backups == "delete" and not dry:
        forgotten.delete(found)
    return [(one, None) for one in found]


def _tell(
    done: Done,
    kept: list[tuple[KeptBackup, Done | None]],
    backups: str,
    *,
    dry: bool,
    as_json: bool,
) -> None:
    if as_json:
        print_json(_facts(done, kept, backups, dry=dry))
    else:
        _print(done, kept, backups, dry=dry)
    raise SystemExit(DataRefused.exit_code if done.left else 0)


def _facts(
    done: Done, kept: list[tuple[KeptBackup, Done | None]], backups: str, *, dry: bool
) -> dict[str, Any]:
    alias = done.alias
    return {
        "alias": alias and alias.number,
        "name": alias and alias.word,
        "removed": alias and alias.removed,
        "rows": dict(done.rows),
        "deleted": dict(done.deleted),
        "runs": dict(done.runs),
        "state": done.state,
        "log": done.logs,
        "steps": done.steps,
        "exports": list(done.exports),
        "written": done.written,
        "left": done.left,
        "backups": [
            {
                "folder": one.folder.name,
                "made_at": one.manifest.made,
                "became": "kept" if dry or backups == "list" else _BECAME[backups],
            }
            for one, _ in kept
        ],
        "dry_run": dry,
    }


_BECAME = {"rewrite": "rewritten", "delete": "deleted"}


def _print(
    done: Done, kept: list[tuple[KeptBackup, Done | None]], backups: str, *, dry: bool
) -> None:
    tables = sorted({*done.rows, *done.deleted})
    if tables:
        print_table(
            ("table", "changed", "deleted"),
            [(name, done.rows[name], done.deleted[name]) for name in tables],
        )
    if done.runs:
        print_table(("archive of", "runs"), sorted(done.runs.items()))
    would = "would be" if dry else "were"
    for count, what in ((done.state, "line of the state"), (done.logs, "line of the log")):
        if count:
            say(f"{counted(count, what)} {would} changed.")
    if done.steps:
        say(f"The tables of {counted(done.steps, 'run')} after a step {would} deleted.")
    for says in done.left:
        say(says, err=True)
    if done.exports:
        say(f"Exports that were written before: {', '.join(done.exports)}.")
        say("`tcdatalogger exports run --all` writes them anew, without the player.")
    if kept:
        became = (
            "would stay" if dry else {"list": "stay"}.get(backups, f"are {_BECAME.get(backups)}")
        )
        say(
            f"{counted(len(kept), 'backup')} {became}: {', '.join(o.folder.name for o, _ in kept)}."
        )
        if backups == "list":
            say("They have the player still; --backups rewrite or delete changes that.")
    say(_end(done, dry=dry))


def _end(done: Done, *, dry: bool) -> str:
    if done.nothing:
        return "Nothing was found." + ("" if dry else " What Torn sends later is looked through.")
    rows = number(sum(done.rows.values()) + sum(done.deleted.values()))
    if dry:
        return f"{rows} rows would be changed or deleted; nothing was changed."
    alias = done.alias
    if alias is None:
        return f"All players who are forgotten were looked for: {rows} rows were changed."
    if alias.removed:
        return f"The player is removed: {rows} rows were changed or deleted."
    return f"The player is {alias.word} now, with the id {alias.number}: {rows} rows were changed."
