"""`tcdatalogger backfill`: the history of an endpoint, read back in time."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from tcdatalogger.cli import Options
from tcdatalogger.cli.output import counted, json_option, moment, print_json, say
from tcdatalogger.cli.progress import ProgressLines, note, notice
from tcdatalogger.clock import span
from tcdatalogger.errors import UsageError

if TYPE_CHECKING:
    from tcdatalogger.core.config.settings import Settings
    from tcdatalogger.core.operations.backfill import BackfillProgress

MOMENT = "DATE"


@click.command(
    epilog="\b\nExample:\n"
    "  tcdatalogger backfill faction_attacks\n"
    "  tcdatalogger backfill faction_news --since 2024-01-01\n"
    "  tcdatalogger backfill user_log --since P1Y --json",
)
@click.argument("name")
@click.option("--since", metavar=MOMENT, help="How far back: 2024-01-31, or P1Y for a year ago.")
@click.option("--until", metavar=MOMENT, help="Where to begin.  [where the regular runs began]")
@click.option("--pages", type=click.IntRange(1), default=20, hidden=True)
@json_option
@click.pass_obj
def command(
    options: Options,
    name: str,
    since: str | None,
    until: str | None,
    pages: int,
    as_json: bool,
) -> None:
    """Log the whole history of a list, from where the regular runs began back in time.

    You may stop it at any moment: what was stored is kept, and the next start goes on from there.
    It uses only a part of the calls that are allowed, so that regular runs have room.
    """
    settings = options.load(names=(name,))
    from tcdatalogger.core.main import Application
    from tcdatalogger.core.operations.backfill import backfill  # pyarrow, duckdb, httpx2

    drawn = sys.stderr.isatty() and not as_json
    progress = ProgressLines(quiet=not drawn)
    with Application(settings, tell=progress.tell) as application:
        application.mark_crashed()
        now = application.clock.now()
        if {_moment("--since", since, now), _moment("--until", until, now)} != {None}:
            [endpoint] = application.chosen([name])
            now = application.torn_now(endpoint)
        low, high = _moment("--since", since, now), _moment("--until", until, now)
        if low is not None and high is not None and low >= high:
            raise UsageError("--since must lie before --until.")
        steps = backfill(application, name, since=low, until=high, pages=pages)
        with progress:
            kind = _kind(settings, name)
            last = _show(steps, name, kind, progress if drawn else None, quiet=as_json)
    facts = _facts(name, last)
    if as_json:
        print_json(facts)
    else:
        say(
            f"{name}: {counted(facts['rows'], 'row')} in {counted(facts['calls'], 'call')}, "
            f"back to {moment(facts['back_to']) or 'the beginning'}."
            if last
            else f"{name}: all of it was read before."
        )


def _moment(option: str, text: str | None, now: float) -> float | None:
    from tcdatalogger.core.config.moments import moment  # whenever

    if text is None:
        return None
    try:
        return moment(text, now)
    except ValueError as error:
        raise UsageError(f"{option} is {error}.") from None


def _show(
    steps: Iterable[BackfillProgress],
    name: str,
    kind: str,
    lines: ProgressLines | None,
    *,
    quiet: bool,
) -> BackfillProgress | None:
    """Show each step when it is done: on `lines`, or as a line of its own.

    Returns:
        The last step; None where there was nothing to read.
    """
    last = None
    began = time.monotonic()
    for last in steps:
        words = _words(last, kind, _left(last, time.monotonic() - began))
        if lines is not None:
            part = "" if last.part is None else f"{last.part:.0%} of it, "
            lines.say(name, part + words)
        elif not quiet:
            notice(
                words,
                "backfill_progressed",
                place=last.place,
                back_to=moment(last.back_to),
                rows=last.rows,
                calls=last.calls,
            )
        if lines is not None:
            for warning in last.warnings:
                note(f"warning: {warning}")
    return last


def _kind(settings: Settings, name: str) -> str:
    """The section of the path of an endpoint: `faction`, `user`."""
    endpoint = settings.endpoint(name)
    return endpoint.path.split("/")[1] if endpoint is not None and "/" in endpoint.path else ""


def _words(step: BackfillProgress, kind: str, left: float | None) -> str:
    words = [
        f"{kind} {step.place}".strip() if step.place.isdecimal() else step.place,
        f"back to {moment(step.back_to) or 'the beginning'}",
        counted(step.rows, "row"),
        counted(step.calls, "call"),
    ]
    if left is not None and left >= 1:
        words.append(f"{span(left)} left")
    return ", ".join(words)


def _left(step: BackfillProgress, seconds: float) -> float | None:
    """Seconds that the rest may take, by what was done so far; None where that is not known."""
    return seconds / step.part * (1 - step.part) if step.part else None


def _facts(name: str, last: BackfillProgress | None) -> dict[str, Any]:
    back = last.back_to if last else None
    return {
        "endpoint": name,
        "rows": last.rows if last else 0,
        "left_out": last.left_out if last else 0,
        "calls": last.calls if last else 0,
        "back_to": None if back is None else datetime.fromtimestamp(back, UTC),
    }
