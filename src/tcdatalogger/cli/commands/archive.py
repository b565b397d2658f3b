"""`tcdatalogger archive`: how the raw answers are filed."""

from __future__ import annotations

from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING

import click

from tcdatalogger.cli import Options
from tcdatalogger.cli.output import counted, json_option, number, print_json, print_table, say
from tcdatalogger.errors import Busy

if TYPE_CHECKING:
    from collections.abc import Callable

    from tcdatalogger.core.joining import Joined
    from tcdatalogger.core.main import Application


@click.group(
    epilog="\b\nExample:\n"
    "  tcdatalogger archive join --dry-run\n"
    "  tcdatalogger archive join faction_crimes\n"
    "  tcdatalogger archive split"
)
def command() -> None:
    """Join the files of past days, one file for a day, or take them apart again."""


@command.command(
    "join",
    epilog="\b\nExample:\n  tcdatalogger archive join\n  tcdatalogger archive join --json",
)
@click.argument("names", nargs=-1, metavar="[NAME…]")
@click.option("--dry-run", "dry", is_flag=True, help="Count the files, and change nothing.")
@json_option
@click.pass_obj
def join_command(options: Options, names: tuple[str, ...], dry: bool, as_json: bool) -> None:
    """Join the archive files of each past day into one, of all endpoints or of those named.

    The first run of an endpoint on a day does so by itself, for a week of days at most. A joined
    file is read back and compared before the former files go. Today's files stay.
    """
    from tcdatalogger.core.joining import join  # pyarrow
    from tcdatalogger.core.main import Application

    with Application(options.load()) as application:

        def one(name: str) -> Joined:
            pending = {run.run_id for run in application.state.unsettled(name)}
            return join(application.archive, name, application.clock.now(), pending, dry=dry)

        _each(application, names, one, dry=dry, as_json=as_json)


@command.command("split", epilog="\b\nExample:\n  tcdatalogger archive split --json")
@click.argument("names", nargs=-1, metavar="[NAME…]")
@json_option
@click.pass_obj
def split_command(options: Options, names: tuple[str, ...], as_json: bool) -> None:
    """Give each run a file of its own again: before an older version of TCdatalogger runs."""
    from tcdatalogger.core.joining import split  # pyarrow
    from tcdatalogger.core.main import Application

    with Application(options.load()) as application:
        _each(application, names, partial(split, application.archive), as_json=as_json)


def _each(
    application: Application,
    names: tuple[str, ...],
    do: Callable[[str], Joined],
    *,
    dry: bool = False,
    as_json: bool,
) -> None:
    """Do it for each endpoint under its claim, and tell what it came to.

    Raises:
        Busy: an endpoint was left out, as it runs; the others are done.
    """
    from tcdatalogger.core.operations.exclusive import exclusive
    from tcdatalogger.core.state.run_id import new_run_id

    found: dict[str, Joined] = {}
    busy: list[Busy] = []
    for endpoint in application.chosen(names, everything=not names):
        try:
            with exclusive(application, endpoint.name, new_run_id(application.clock), dry=dry):
                found[endpoint.name] = do(endpoint.name)
        except Busy as failure:
            busy.append(failure)
    if as_json:
        print_json({name: asdict(one) for name, one in found.items()})
    else:
        _tell(found, dry=dry)
    if busy:
        raise busy[0]


def _tell(found: dict[str, Joined], *, dry: bool) -> None:
    print_table(
        ("endpoint", "days", "runs", "files before", "files after"),
        [(name, one.days, one.runs, one.before, one.after) for name, one in found.items()],
    )
    for one in found.values():
        for file in one.left:
            say(f"Left as it is: {file}")
    before, after = (sum(getattr(one, at) for one in found.values()) for at in ("before", "after"))
    would = "would become" if dry else "became"
    say(f"{counted(before, 'file')} {would} {number(after)}.")
