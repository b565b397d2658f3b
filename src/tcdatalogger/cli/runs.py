"""`tcdatalogger runs`: what ran, what runs, and what became of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

import click

from tcdatalogger.cli import Options
from tcdatalogger.cli.output import (
    json_option,
    moment,
    number,
    print_json,
    print_table,
    size,
    span,
)
from tcdatalogger.clock import Clock, SystemClock
from tcdatalogger.errors import UsageError

if TYPE_CHECKING:
    from tcdatalogger.core.settings import Settings
    from tcdatalogger.core.state import RunRecord, State

NEWEST: Final = "last"
"""In place of a run's id: the newest of all."""

PAUSE: Final = 0.5
"""Seconds between two looks at the books."""

MARGIN: Final = 300.0
"""Seconds that a run may be written down late, or by a machine whose clock is behind."""

MOST: Final = 1_000
"""Runs that are read at one look: more than begin within the margin."""

INTERRUPTED: Final = 130

_RUNNING: Final = "running"


class _Listing(click.Group):
    """A group whose first command is meant where none is named: `runs` is `runs list`."""

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
    help="Only those that are: running, done, failed, stopped, later, lost …",
)
@click.option("--since", metavar="DATE", help="Only those since 2026-01-31, or PT6H for 6 h ago.")
@click.option("--most", default=20, show_default=True, type=click.IntRange(min=1), metavar="N")
@json_option
@click.pass_obj
def listed(
    options: Options,
    endpoint: str | None,
    status: str | None,
    since: str | None,
    most: int,
    as_json: bool,
) -> None:
    """List the newest runs."""
    settings = options.load()
    _known(settings, endpoint)
    begin = _moment(since)
    with _books(settings) as state:
        found = (
            state.runs(endpoint=endpoint, status=status, since=begin, most=most) if state else []
        )
    if as_json:
        print_json([asdict(run) for run in found])
        return
    print_table(
        ("run", "endpoint", "began", "result", "rows", "set aside", "calls", "time"),
        [
            (
                run.run_id,
                run.endpoint,
                moment(run.started_at),
                result(run),
                sum(run.rows.values()),
                run.quarantined,
                run.calls,
                span(sum(run.seconds.values())),
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

    RUN is its id or how that begins, the name of an endpoint for its newest, or `last`.
    """
    settings = options.load()
    with _books(settings) as state:
        run = find(state, settings, run_id)
    if as_json:
        print_json(asdict(run))
        return
    print_table(("", ""), [fact for fact in _facts(run) if fact[1] not in ("", 0, None)])


@command.command("tail", epilog="\b\nExample:\n  tcdatalogger runs tail -f --endpoint torn_items")
@click.option("--endpoint", metavar="NAME", help="Only runs of this endpoint.")
@click.option("-f", "--follow", "follow", is_flag=True, help="Go on until Ctrl-C.")
@click.option("--most", default=10, show_default=True, type=click.IntRange(min=0), metavar="N")
@click.option("--json", "as_json", is_flag=True, help="Print a line of JSON for each.")
@click.pass_obj
def tail(options: Options, endpoint: str | None, follow: bool, most: int, as_json: bool) -> None:
    """Show the newest runs, and with -f each run as it begins and ends."""
    settings = options.load()
    _known(settings, endpoint)
    tell = _tell_json if as_json else _tell
    clock = SystemClock()
    try:
        with _books(settings) as state:
            known = state.runs(endpoint=endpoint, most=max(most, MOST)) if state else []
        for run in reversed(known[:most]):
            tell(run)
        if follow:
            for run in changes(_looking(settings, endpoint), clock, known):
                tell(run)
    except KeyboardInterrupt:
        raise SystemExit(INTERRUPTED) from None


def changes(
    look: Callable[[float, Sequence[str]], Sequence[RunRecord]],
    clock: Clock,
    known: Sequence[RunRecord] = (),
) -> Iterator[RunRecord]:
    """Each run as it begins and as it ends, for ever.

    A run that began and ended between two looks comes once, and one that goes on after it had
    ended comes again.

    Args:
        look: at the books: the runs that began at a moment or later, those that are under way, and
            those with these ids.
        clock: slept on between two looks.
        known: what need not be told.
    """
    seen = {run.run_id: run for run in known}
    while True:
        low = clock.now() - MARGIN
        under_way = [run.run_id for run in seen.values() if run.status == _RUNNING]
        for run in sorted(look(low, under_way), key=_latest):
            before = seen.get(run.run_id)
            seen[run.run_id] = run
            if before is None or _sign(before) != _sign(run):
                yield run
        seen = {
            run_id: run
            for run_id, run in seen.items()
            if run.started_at >= low or run.status == _RUNNING
        }
        clock.sleep(PAUSE)


def _sign(run: RunRecord) -> tuple[str, float | None]:
    return run.status, run.finished_at


def _latest(run: RunRecord) -> float:
    return run.finished_at or run.started_at


def _looking(
    settings: Settings, endpoint: str | None
) -> Callable[[float, Sequence[str]], list[RunRecord]]:
    """Looks at the books afresh each time: they may not be there yet."""

    def look(since: float, ids: Sequence[str]) -> list[RunRecord]:
        with _books(settings) as state:
            if state is None:
                return []
            found = state.runs(endpoint=endpoint, since=since, most=MOST)
            # One that goes on after days began before the margin.
            found += state.runs(endpoint=endpoint, status=_RUNNING, most=MOST)
            there = {run.run_id: run for run in found}
            for run_id in ids:
                if run_id not in there:
                    there |= {run.run_id: run for run in state.runs(run_id=run_id)}
            return list(there.values())

    return look


def find(state: State | None, settings: Settings, words: str) -> RunRecord:
    """The run that is meant: by its id, how that begins, its endpoint, or `last`.

    Raises:
        UsageError: there is none, or several begin so.
    """
    found: list[RunRecord] = []
    if state is not None:
        if words == NEWEST:
            found = state.runs(most=1)
        elif settings.endpoint(words) is not None:
            found = state.runs(endpoint=words, most=1)
        else:
            found = state.runs(run_id=words, most=1) or state.runs(begins=words, most=2)
    if len(found) > 1:
        raise UsageError(
            f"Several runs begin with {words!r}: {found[0].run_id} and {found[1].run_id}.",
            remedy="Give more of the id.",
        )
    if not found:
        raise UsageError(f"There is no run {words}.", remedy="`tcdatalogger runs` lists them.")
    return found[0]


def result(run: RunRecord) -> str:
    """What became of a run, in a word or two."""
    if run.status == "failed":
        return f"failed: {run.error_class}"
    if run.status == "stopped":
        return f"stopped after {run.step}"
    if run.status == "later":
        return "stored later"
    return "unchanged" if run.unchanged and run.status == "done" else run.status


def _facts(run: RunRecord) -> list[tuple[str, Any]]:
    steps = "  ".join(f"{step} {span(seconds)}" for step, seconds in run.seconds.items())
    rows = "  ".join(f"{table} {number(count)}" for table, count in run.rows.items())
    return [
        ("run", run.run_id),
        ("endpoint", run.endpoint),
        ("result", result(run)),
        ("note", run.note),
        ("began", moment(run.started_at)),
        ("ended", moment(run.finished_at)),
        ("server's time", moment(run.server_time)),
        ("steps", steps),
        ("step", run.step if run.status in {_RUNNING, "lost"} else ""),
        ("calls", f"{run.calls}, {size(run.bytes)}"),
        ("waited", span(run.waited) if run.waited else ""),
        ("rows", rows),
        ("set aside", run.quarantined),
        ("unknown to the catalogue", run.drift),
        ("came twice", run.repeated),
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


def _tell(run: RunRecord) -> None:
    if run.status == _RUNNING:
        click.echo(f"{moment(run.started_at)}  {run.endpoint}  begins  {run.run_id}")
        return
    words = [
        moment(_latest(run)),
        run.endpoint,
        result(run),
        f"{number(sum(run.rows.values()))} rows",
        f"{number(run.calls)} calls",
        span(sum(run.seconds.values())),
        run.run_id,
        run.error,
    ]
    click.echo("  ".join(filter(None, words)))


def _tell_json(run: RunRecord) -> None:
    import json  # only for programs

    # One line each, also on a terminal: whoever follows reads line by line.
    click.echo(json.dumps(asdict(run), ensure_ascii=False))


@contextmanager
def _books(settings: Settings) -> Iterator[State | None]:
    """The state, None before the first run: to look at it must not make it."""
    from tcdatalogger.core.state import State  # not for the help

    if not settings.state.begun:
        yield None
        return
    with State(settings.state.url or "") as state:
        state.mark_lost()
        yield state


def _known(settings: Settings, endpoint: str | None) -> None:
    if endpoint is not None and settings.endpoint(endpoint) is None:
        raise UsageError(f"There is no endpoint {endpoint!r}.")


def _moment(text: str | None) -> float | None:
    from tcdatalogger.core.moments import moment as read  # whenever

    if text is None:
        return None
    try:
        return read(text, time.time())
    except ValueError as error:
        raise UsageError(f"--since is {error}.") from None
