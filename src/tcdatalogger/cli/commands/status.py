"""`tcdatalogger status`: each endpoint's last run, and how much of the call budget is used."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from tcdatalogger.cli import Options
from tcdatalogger.cli.commands.channels import failing
from tcdatalogger.cli.output import (
    about,
    counted,
    json_option,
    moment,
    once,
    print_json,
    print_table,
    say,
)
from tcdatalogger.clock import ago
from tcdatalogger.core.views.state import existing_state

if TYPE_CHECKING:
    from datetime import datetime

    from tcdatalogger.core.views.runs import RunView
    from tcdatalogger.core.views.status import (
        EndpointStatus,
        KeyStatus,
        SchedulerStatus,
        Status,
        WorkStatus,
    )


@click.command(epilog="\b\nExample:\n  tcdatalogger status\n  tcdatalogger status --json")
@json_option
@click.pass_obj
def command(options: Options, as_json: bool) -> None:
    """Show what each endpoint did last, and the calls that were made in the last minute.

    `set aside` and `new` count the last run, and stand in the table where that of some endpoint is
    not 0; a line below the table counts all runs, where that is more.
    """
    settings = options.look()
    from tcdatalogger.core.views.status import key_names, status  # not for the help

    now = time.time()
    with existing_state(settings) as state:
        found = status(settings, state, now, os.environ)
    if as_json:
        print_json(_facts(found))
    else:
        _print(found, now, key_names(settings, os.environ) if found.owners else {})


def _facts(found: Status) -> dict[str, Any]:
    """The status as JSON for programs."""
    return {
        **asdict(found),
        "endpoints": [
            {**asdict(one), "last_run": run_facts(one.last_run)} for one in found.endpoints
        ],
        "keys": [key_facts(key) for key in found.keys],
        "backup": {**asdict(found.backup), "last_run": run_facts(found.backup.last_run)},
        "digest": {**asdict(found.digest), "last_run": run_facts(found.digest.last_run)},
        "exports": [{**asdict(e), "last_run": run_facts(e.last_run)} for e in found.exports],
    }


def key_facts(key: KeyStatus) -> dict[str, Any]:
    """How a key is, as JSON for programs; of one that is missing there is only the reason."""
    facts = asdict(key)
    if not key.problem:
        del facts["problem"]
        return facts
    return {name: facts[name] for name in ("key", "health", "problem")}


def run_facts(found: RunView | None) -> dict[str, Any] | None:
    """What `status` tells of a run, as JSON for programs."""
    if found is None:
        return None
    run = found.record
    return {
        "run_id": run.run_id,
        "status": run.status,
        "result": found.result,
        "step": run.step,
        "started_at": found.began,
        "finished_at": found.ended,
        "absent": run.absent,
        "quarantined": run.quarantined,
        "drift": run.drift,
        "failed_checks": run.failed_checks,
        "error": run.error or None,
        "exit_code": run.exit_code,
    }


def _print(found: Status, now: float, names: Mapping[str, str]) -> None:
    """Print the status for people.

    Args:
        found: the status.
        now: seconds since 1970.
        names: of the keys, by their fingerprints.
    """
    if not found.endpoints:
        say("No endpoint is configured: add one to the configuration.")
    last = [
        (one.last_run.record.quarantined, one.last_run.record.drift) if one.last_run else (0, 0)
        for one in found.endpoints
    ]
    odd = any(map(any, last))  # else two columns of zeros would make lines too long for many
    print_table(
        ("endpoint", "last run", "next", "result", "rows", *(("set aside", "new") if odd else ())),
        [
            (
                one.endpoint,
                _began(one.last_run, now),
                _next(one.next_due, now),
                one.last_run.result if one.last_run else "",
                sum(one.rows.values()),
                *(count if odd else ()),
            )
            for one, count in zip(found.endpoints, last, strict=True)
        ],
    )
    wrong = [(one.endpoint, line) for one in found.endpoints for line in _wrong(one.last_run)]
    for endpoints, line in once(wrong):
        say(about(endpoints, line))
    for one in found.endpoints:
        if counts := _in_all(one):
            say(f"{one.endpoint}: in all of its runs {counts}")
        if one.pending:
            what = "1 run is" if one.pending == 1 else f"{one.pending} runs are"
            say(f"{one.endpoint}: {what} not stored yet: its next run stores them")
    _print_besides(found, now)
    _print_scheduler(found.scheduler)
    for calls in found.owners:
        who = f"key {names[calls.owner]}" if calls.owner in names else calls.owner
        say(
            f"{who}: {counted(calls.calls_used, 'call')} in the last minute, "
            f"{calls.calls_left} left"
        )
    for key in found.keys:
        for line in _key_lines(key):
            say(line)
    for hold in found.held:
        who = {"torn": "Torn", "address": "this address"}.get(hold.who, hold.who)
        say(f"No call of {who} before {moment(hold.until)}: {hold.why}")


def _in_all(one: EndpointStatus) -> str:
    """What all runs of an endpoint set aside and found, where it is more than in the last one."""
    quarantined = one.last_run.record.quarantined if one.last_run else 0
    drift = one.last_run.record.drift if one.last_run else 0
    counts = []
    if one.quarantined > quarantined:
        counts.append(f"{counted(one.quarantined, 'record')} set aside")
    if one.drift > drift:
        counts.append(f"{counted(one.drift, 'new field')}")
    return ", ".join(counts)


def _wrong(found: RunView | None) -> list[str]:
    """What is wrong with a run: its error, or what it lacks and which checks it failed."""
    if found is None:
        return []
    run = found.record
    if run.error:
        return [run.error]
    lines = [f"failed check: {says}" for says in run.failed_checks]
    if run.absent:
        what = f"{counted(run.absent, 'answer')} of Torn had no data"
        lines.insert(0, f"not fresh: {what}, so a part of what was asked for is missing")
    return lines


_MINUTES = 60.0
"""Seconds from which a time in the table has no seconds: nobody needs both."""


def coarse(then: float | None, now: float) -> str:
    """As `ago`, without seconds from a minute on: `14 min ago`, `in 2 h 5 min`."""
    if then is None or abs(now - then) < _MINUTES:
        return ago(then, now)
    whole = 60 * round((now - then) / 60)
    return ago(now - whole, now)


def _began(run: RunView | None, now: float) -> str:
    """How long ago a run began; never in the future, though a clock may have been ahead."""
    return coarse(None if run is None else min(run.record.started_at, now), now)


def _next(due: datetime | None, now: float) -> str:
    if due is None:
        return "by hand"
    return "due" if due.timestamp() <= now else coarse(due.timestamp(), now)


def _print_besides(found: Status, now: float) -> None:
    """Print what is wrong with all that is no endpoint, and when it was done last."""
    _print_work("backup", found.backup, now)
    _print_work("digest", found.digest, now)
    for line in filter(None, map(failing, found.channels)):
        say(line)
    for export in found.exports:
        if error := _wrong(export.last_run):
            say(f"export {export.export}: {error[0]}")


def _print_work(what: str, work: WorkStatus, now: float) -> None:
    last = work.last_run
    if last is None:
        return
    begins = f"{what}: {last.record.status} {_began(last, now)}"
    if error := _wrong(last):
        say(f"{begins}: {error[0]}")
    elif work.frequency:
        say(begins)


def _print_scheduler(scheduler: SchedulerStatus) -> None:
    if scheduler.alive:
        where = ", ".join(f"process {one.pid} on {one.host}" for one in scheduler.daemons)
        say(
            f"The scheduler is alive ({where}): {scheduler.running} of {scheduler.workers} "
            f"workers busy, {_waiting(scheduler.backlog)}."
        )
    elif scheduler.backlog:
        say(
            f"No scheduler is alive, and {_waiting(scheduler.backlog)}: "
            "`tcdatalogger schedule` runs what is due."
        )


def _waiting(backlog: int) -> str:
    return f"{counted(backlog, 'endpoint')} {'waits' if backlog == 1 else 'wait'}"


def _key_lines(key: KeyStatus) -> list[str]:
    """What is wrong with a key, in lines; none where nothing is."""
    lines = []
    if key.problem:
        lines.append(f"key {key.key}: {key.problem}")
    elif key.health in {"dead", "parked"}:
        when = f", asked again {moment(key.until)}" if key.until else ", never called again"
        lines.append(f"key {key.key}: {key.health} ({key.why}){when}")
    lines += [f"key {key.key}: may not read {path}" for path in key.refused]
    return lines
