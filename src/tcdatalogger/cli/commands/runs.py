"""`tcdatalogger runs`: what ran, what runs, and what became of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import click

from tcdatalogger.cli import Options
from tcdatalogger.cli.exit_codes import INTERRUPTED
from tcdatalogger.cli.lookup import find_run, known_endpoint, near
from tcdatalogger.cli.output import (
    UNKNOWN,
    counted,
    json_option,
    moment,
    number,
    print_json,
    print_table,
    say,
)
from tcdatalogger.clock import SystemClock, instant, span
from tcdatalogger.core.config import sizes
from tcdatalogger.core.views.runs import MOST, STATUSES, RunView, changes, newest, recent, view
from tcdatalogger.core.views.state import existing_state
from tcdatalogger.errors import DataRefused, UsageError

if TYPE_CHECKING:
    from tcdatalogger.core.config.settings import Settings
    from tcdatalogger.core.state.store import RunRecord

_NO_RUNS: Final = "No run is known yet."
_NO_SUCH: Final = "No run matches."


class _Listing(click.Group):
    """A group that runs `list` where no command is named: `runs` is `runs list`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        helps = ctx.help_option_names
        if not args or (args[0].startswith("-") and args[0] not in helps):
            args = ["list", *args]
        return super().parse_args(ctx, args)


@click.group(
    cls=_Listing,
    epilog="\b\nExample:\n"
    "  tcdatalogger runs --endpoint faction_crimes --status failed --since P1D\n"
    "  tcdatalogger runs show last\n"
    "  tcdatalogger runs tail -f",
)
def command() -> None:
    """List runs and what became of them; `runs` alone is `runs list`."""


@command.command("list", epilog="\b\nExample:\n  tcdatalogger runs list --status failed --json")
@click.option("--endpoint", metavar="NAME", help="Only runs of this endpoint.")
@click.option(
    "--status",
    metavar="STATUS",
    help=f"Only runs of this status: {', '.join(STATUSES)}.",
)
@click.option(
    "--since", metavar="DATE", help="Only runs since then: 2026-01-31, or PT6H for 6 h ago."
)
@click.option(
    "--limit",
    default=20,
    show_default=True,
    type=click.IntRange(min=1),
    metavar="N",
    help="At most N, the newest ones.",
)
@json_option
@click.pass_obj
def listed(
    options: Options,
    endpoint: str | None,
    status: str | None,
    since: str | None,
    limit: int,
    as_json: bool,
) -> None:
    """List the newest runs."""
    settings = options.look()
    known_endpoint(settings, endpoint)
    _known_status(status)
    begin = _moment(since)
    with existing_state(settings) as state:
        found = newest(state, endpoint=endpoint, status=status, since=begin, most=limit)
    if as_json:
        print_json([facts(run.record) for run in found])
        return
    if not found:
        picky = endpoint or status or since
        say(_NO_SUCH if picky else _NO_RUNS)
        return
    print_table(
        ("run", "endpoint", "began", "result", "rows", "set aside", "calls", "time"),
        [
            (
                run.record.run_id,
                run.record.endpoint,
                moment(run.began),
                run.result,
                run.rows,
                run.record.quarantined,
                UNKNOWN if run.calls is None else run.calls,
                UNKNOWN if run.seconds is None else span(run.seconds),
            )
            for run in found
        ],
    )


@command.command(
    "show",
    epilog="\b\nExample:\n"
    "  tcdatalogger runs show 20261123T081500Z-5f3a9c1e\n"
    "  tcdatalogger runs show faction_crimes --json",
)
@click.argument("run_id", metavar="RUN")
@json_option
@click.pass_obj
def show(options: Options, run_id: str, as_json: bool) -> None:
    """Show one run: its steps, calls, rows, and why it failed.

    RUN is its id or the beginning of it, the name of an endpoint for its newest run, or `last`.
    """
    settings = options.look()
    with existing_state(settings) as state:
        run = find_run(state, settings, run_id)
    if as_json:
        print_json(facts(run))
        return
    run = replace(run, archive_file=_held(settings, run.archive_file))
    print_table(("", ""), [fact for fact in _facts(view(run)) if fact[1] not in ("", 0, None)])


@command.command("tail", epilog="\b\nExample:\n  tcdatalogger runs tail -f --endpoint torn_items")
@click.option("--endpoint", metavar="NAME", help="Only runs of this endpoint.")
@click.option("-f", "--follow", "follow", is_flag=True, help="Go on until Ctrl-C.")
@click.option(
    "--limit",
    default=10,
    show_default=True,
    type=click.IntRange(min=0),
    metavar="N",
    help="At most N of the runs before, the newest ones.",
)
@click.option("--json", "as_json", is_flag=True, help="Print a line of JSON for each.")
@click.pass_obj
def tail(options: Options, endpoint: str | None, follow: bool, limit: int, as_json: bool) -> None:
    """Show the newest runs, and with -f each run as it begins and ends."""
    settings = options.look()
    known_endpoint(settings, endpoint)
    names = [one.name for one in settings.endpoints if endpoint in {None, one.name}]
    tell = _tell_json if as_json else partial(_tell, max(map(len, names), default=0))
    clock = SystemClock()
    try:
        with existing_state(settings) as state:
            known = state.runs(endpoint=endpoint, most=max(limit, MOST)) if state else []
        for run in reversed(known[:limit]):
            tell(run)
        if not (known or follow or as_json):
            say(_NO_RUNS if endpoint is None else _NO_SUCH)
        if follow:
            for run in changes(_looking(settings, endpoint), clock, known):
                tell(run)
    except KeyboardInterrupt:
        raise SystemExit(INTERRUPTED) from None


def _looking(
    settings: Settings, endpoint: str | None
) -> Callable[[float, Sequence[str]], list[RunRecord]]:
    """Open the state anew at each look: it may not exist yet."""

    def look(since: float, ids: Sequence[str]) -> list[RunRecord]:
        with existing_state(settings) as state:
            return [] if state is None else recent(state, endpoint, since, ids)

    return look


def facts(run: RunRecord) -> dict[str, Any]:
    """A run as JSON for programs."""
    times = ("started_at", "finished_at", "server_time")
    return asdict(run) | {name: instant(getattr(run, name)) for name in times}


def _held(settings: Settings, file: str) -> str:
    """The file of the archive that has the answers of a run now: it may be a joined one."""
    folder = settings.archive.folder
    if folder is None or not file or (folder / file).exists():
        return file
    from tcdatalogger.core.archive import Archive  # pyarrow
    from tcdatalogger.services.storage.folder import Folder

    held = None
    with suppress(DataRefused):
        held = Archive(Folder(folder)).holder(file)
    return held or f"{file} (gone)"


def _facts(found: RunView) -> list[tuple[str, Any]]:
    """What `runs show` prints of a run: labels and values."""
    run = found.record
    steps = "  ".join(f"{step} {span(seconds)}" for step, seconds in run.seconds.items())
    rows = "  ".join(f"{table} {number(count)}" for table, count in run.rows.items())
    return [
        ("run", run.run_id),
        ("endpoint", run.endpoint),
        ("result", found.result),
        ("note", run.note),
        ("began", moment(found.began)),
        ("ended", moment(found.ended)),
        ("server's time", moment(run.server_time)),
        ("steps", steps),
        ("step", run.step if run.status in {"running", "crashed"} else ""),
        ("calls", "" if found.calls is None else f"{run.calls}, {sizes.shown(run.bytes)}"),
        ("waited", span(run.waited) if run.waited else ""),
        ("rows", rows),
        ("set aside", run.quarantined),
        ("unknown to the catalogue", run.drift),
        ("came twice", run.repeated),
        ("answers without data", run.absent),
        ("tables changed", "  ".join(run.steps)),
        ("schema version", run.schema_version),
        ("load", run.load_id),
        ("cursor", run.cursor),
        ("archive", run.archive_file),
        ("left in", run.artifact),
        ("warnings", "  ".join(run.warnings)),
        ("error", " ".join(filter(None, (run.error_class, run.error, run.remedy)))),
        ("exit code", run.exit_code),
        ("log", run.log_file),
        ("process", f"{run.pid} on {run.host}" if run.pid else ""),
        ("claim", run.token),
    ]


def _tell(width: int, run: RunRecord) -> None:
    """Print a run in a line, in columns of one width: that of the names, and what most runs need.

    Args:
        width: of the longest name of an endpoint.
        run: the run as it is now.
    """
    found = view(run)
    begins = f"{moment(found.latest)}  {run.endpoint:{width}}  {run.run_id}"
    if run.status == "running":
        say(f"{begins}  begins")
        return
    words = [
        begins,
        f"{found.result:12}",
        f"{counted(found.rows, 'row'):>10}",
        f"{UNKNOWN if found.calls is None else counted(found.calls, 'call'):>8}",
        f"{UNKNOWN if found.seconds is None else span(found.seconds):>8}",
        run.error,
    ]
    say("  ".join(words).rstrip())


def _tell_json(run: RunRecord) -> None:
    # One line each, also on a terminal: whoever follows reads line by line.
    print_json(facts(run), line=True)


def _known_status(status: str | None) -> None:
    if status is not None and status not in STATUSES:
        raise UsageError(f"There is no status {status!r}.", remedy=near(status, list(STATUSES)))


def _moment(text: str | None) -> float | None:
    from tcdatalogger.core.config.moments import moment as read  # whenever

    if text is None:
        return None
    try:
        return read(text, time.time())
    except ValueError as error:
        raise UsageError(f"--since is {error}.") from None
