"""`tcdatalogger status`: each endpoint's last run, and how much of the call budget is used."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from tcdatalogger.cli import Options
from tcdatalogger.cli.lookup import books
from tcdatalogger.cli.output import (
    about,
    ago,
    counted,
    instant,
    json_option,
    moment,
    once,
    print_json,
    print_table,
    result,
    say,
)
from tcdatalogger.errors import ConfigError

if TYPE_CHECKING:
    from datetime import datetime

    from tcdatalogger.core.config.settings import EndpointSettings, Settings
    from tcdatalogger.core.run.key_selection import KnownHealth
    from tcdatalogger.core.state.store import RunRecord, State

OWNER_CALLS = 100
WINDOW = 60.0


@click.command(epilog="\b\nExample:\n  tcdatalogger status\n  tcdatalogger status --json")
@json_option
@click.pass_obj
def command(options: Options, as_json: bool) -> None:
    """Show what each endpoint did last, and the calls that were made in the last minute.

    `set aside` and `new` are those of the last run; a line below tells of all runs, where they
    found more.
    """
    settings = options.look()
    now = time.time()
    with books(settings) as state:
        found = status(settings, state, now)
    if as_json:
        print_json(found)
        return
    _print(found, now, _marks(settings) if found["owners"] else {})


def status(settings: Settings, state: State | None, now: float) -> dict[str, Any]:
    """What the books say, as JSON for programs."""
    from tcdatalogger.core.state import run_stats  # not for the help

    scheduler, due = _scheduler(settings, state, now)
    sums = run_stats.sums(state) if state else {}
    endpoints = [
        _endpoint(endpoint, state, now, sums) | {"next_due": instant(due.get(endpoint.name))}
        for endpoint in settings.endpoints
    ]
    calls = state.traffic.calls_since(now - WINDOW) if state else {}
    limit = max(1, int(OWNER_CALLS * settings.limits.share))
    owners = [
        {"owner": owner, "calls_used": used, "calls_left": max(0, limit - used)}
        for owner, used in sorted(calls.items())
    ]
    return {
        "endpoints": endpoints,
        "owners": owners,
        "keys": _keys(settings, state, now) if state else [],
        "held": _held(state, now) if state else [],
        "scheduler": scheduler,
        "backup": _backup(settings, state, due),
    }


def _backup(settings: Settings, state: State | None, due: dict[str, float]) -> dict[str, Any]:
    """The backups that are made when it is time."""
    from tcdatalogger.core.state.leases import BACKUP

    runs = state.runs(endpoint=BACKUP, most=1) if state else []
    often = settings.backup.frequency
    return {
        "frequency": None if often is None else str(often),
        "last_run": _run(runs[0]) if runs else None,
        "next_due": instant(due.get(BACKUP)),
    }


def _scheduler(
    settings: Settings, state: State | None, now: float
) -> tuple[dict[str, Any], dict[str, float]]:
    """Whether a scheduler is alive, and when each endpoint is due next; also where none is."""
    from tcdatalogger.core.state import run_stats
    from tcdatalogger.core.state.due import Agenda, first_entry
    from tcdatalogger.core.state.heartbeats import Heartbeats
    from tcdatalogger.scheduler.plans import plans

    found = {"alive": False, "workers": 0, "running": 0, "backlog": 0, "daemons": []}
    planned = plans(settings)
    if state is None:
        return found, dict.fromkeys(planned, now)
    ran = run_stats.lasts(state)
    first = {name: first_entry(plan, ran.get(name), now).due_at for name, plan in planned.items()}
    entries = Agenda(state).entries()
    alive = Heartbeats(state).alive(now)
    held = {claim.endpoint for claim in state.leases.held()}
    due = {name: entries[name].due_at if name in entries else first[name] for name in planned}
    found["alive"] = bool(alive)
    found["workers"] = sum(beat.workers for beat in alive)
    found["running"] = sum(beat.running for beat in alive)
    if entries:  # else no scheduler has been here yet
        found["backlog"] = sum(moment <= now and name not in held for name, moment in due.items())
    found["daemons"] = [
        asdict(beat) | {"started_at": instant(beat.started_at), "beat_at": instant(beat.beat_at)}
        for beat in alive
    ]
    return found, due


def _keys(settings: Settings, state: State, now: float) -> list[dict[str, Any]]:
    """The health of the configured keys; one that cannot be had now has none to show."""
    from tcdatalogger.core.config import secrets  # not for the help
    from tcdatalogger.core.run import key_selection  # not for the help

    found = []
    for name, reference in settings.keys.items():
        try:
            key = secrets.resolve(name, reference, os.environ)
        except ConfigError as error:
            found.append({"key": name, "health": "missing", "problem": error.message})
            continue
        health = key_selection.health(state, key, now)
        found.append({"key": name, **health_facts(health)})
    return found


def health_facts(health: KnownHealth) -> dict[str, Any]:
    """How a key is, as JSON for programs."""
    return health.facts() | {"since": instant(health.since), "until": instant(health.until)}


def _held(state: State, now: float) -> list[dict[str, Any]]:
    """What stops calls now: holds, and Torn being down."""
    from tcdatalogger.services.torncity.client import error_codes

    held = [
        {
            "who": hold.name,
            "until": instant(hold.until),
            "why": error_codes.named(hold.code).meaning,
        }
        for hold in state.traffic.holds(now)
    ]
    circuit = state.standing.circuit()
    if circuit.open:
        until = max(circuit.until, circuit.probe_until)
        held.append({"who": "torn", "until": instant(until), "why": error_codes.DOWN.meaning})
    return held


def _endpoint(
    endpoint: EndpointSettings,
    state: State | None,
    now: float,
    sums: Mapping[str, Mapping[tuple[str, str], float]],
) -> dict[str, Any]:
    """An endpoint's last run, and what all of its runs set aside and found to be new."""
    runs = state.runs(endpoint=endpoint.name, regular=True, most=20) if state else []
    last = runs[0] if runs else None
    good = next((run for run in runs if run.status == "done"), None)
    whole = next((run for run in runs if run.status == "done" and not run.absent), None)
    fresh = None if whole is None or whole.finished_at is None else now - whole.finished_at
    return {
        "endpoint": endpoint.name,
        "path": endpoint.path,
        "enabled": endpoint.enabled,
        "storage_mode": endpoint.storage_mode,
        "frequency": None if endpoint.frequency is None else str(endpoint.frequency),
        "last_run": None if last is None else _run(last),
        "fresh_seconds": None if fresh is None else round(fresh, 1),
        "rows": dict(good.rows) if good else {},
        "schema_version": good.schema_version if good else None,
        "quarantined": int(sums.get("quarantined", {}).get((endpoint.name, ""), 0)),
        "drift": int(sums.get("drift", {}).get((endpoint.name, ""), 0)),
        "owed": _owed(endpoint, state) if state else 0,
    }


def _owed(endpoint: EndpointSettings, state: State) -> int:
    """How many runs have their answers in the archive and their rows nowhere yet."""
    runs = state.unsettled(endpoint.name)
    return sum(run.status == "pending" or bool(run.archive_file) for run in runs)


def _run(run: RunRecord) -> dict[str, Any]:
    return {
        "run_id": run.run_id,
        "status": run.status,
        "result": result(run),
        "step": run.step,
        "started_at": instant(run.started_at),
        "finished_at": instant(run.finished_at),
        "absent": run.absent,
        "quarantined": run.quarantined,
        "drift": run.drift,
        "failed_checks": list(run.failed_checks),
        "error": run.error or None,
        "exit_code": run.exit_code,
    }


def _marks(settings: Settings) -> dict[str, str]:
    """The names of the configured keys by the marks that the books have in their place."""
    from tcdatalogger.core.config import secrets  # not for the help
    from tcdatalogger.services.torncity.client.client import fingerprint

    found = {}
    for name, reference in settings.keys.items():
        with suppress(ConfigError):
            found[fingerprint(secrets.resolve(name, reference, os.environ))] = f"key {name}"
    return found


def _print(found: dict[str, Any], now: float, marks: Mapping[str, str]) -> None:
    if not found["endpoints"]:
        say("No endpoint is configured: add one to the configuration.")
    print_table(
        ("endpoint", "last run", "next", "result", "rows", "set aside", "new"),
        [
            (
                one["endpoint"],
                _began(one["last_run"], now),
                _next(one["next_due"], now),
                one["last_run"]["result"] if one["last_run"] else "",
                sum(one["rows"].values()),
                one["last_run"]["quarantined"] if one["last_run"] else 0,
                one["last_run"]["drift"] if one["last_run"] else 0,
            )
            for one in found["endpoints"]
        ],
    )
    wrong = [(e["endpoint"], line) for e in found["endpoints"] for line in _wrong(e["last_run"])]
    for names, line in once(wrong):
        say(about(names, line))
    for one in found["endpoints"]:
        if told := _in_all(one):
            say(f"{one['endpoint']}: in all of its runs {told}")
        if one["owed"]:
            what = "1 run is" if one["owed"] == 1 else f"{one['owed']} runs are"
            say(f"{one['endpoint']}: {what} not stored yet: its next run stores them")
    _print_backup(found["backup"], now)
    _print_scheduler(found["scheduler"])
    for owner in found["owners"]:
        say(
            f"{marks.get(owner['owner'], owner['owner'])}: {counted(owner['calls_used'], 'call')} "
            f"in the last minute, {owner['calls_left']} left"
        )
    for key in found["keys"]:
        for line in key_lines(key):
            say(line)
    for hold in found["held"]:
        who = {"torn": "Torn", "address": "this address"}.get(hold["who"], hold["who"])
        say(f"No call of {who} before {moment(hold['until'])}: {hold['why']}")


def _in_all(one: dict[str, Any]) -> str:
    """What its runs set aside and found before the last one, together with that."""
    last = one["last_run"] or {"quarantined": 0, "drift": 0}
    told = []
    if one["quarantined"] > last["quarantined"]:
        told.append(f"{counted(one['quarantined'], 'record')} set aside")
    if one["drift"] > last["drift"]:
        told.append(f"{counted(one['drift'], 'new field')}")
    return ", ".join(told)


def _wrong(run: dict[str, Any] | None) -> list[str]:
    """What the last run has to tell: its error, or what it lacks and which checks it failed."""
    if run is None:
        return []
    if run["error"]:
        return [str(run["error"])]
    lines = [f"failed check: {says}" for says in run["failed_checks"]]
    if run["absent"]:
        what = f"{counted(run['absent'], 'answer')} of Torn had no data"
        lines.insert(0, f"not fresh: {what}, and what was asked for was not read whole")
    return lines


def _began(run: dict[str, Any] | None, now: float) -> str:
    """How long ago a run began; one of a clock that was ahead began now."""
    return ago(None if run is None else min(run["started_at"].timestamp(), now), now)


def _next(due: datetime | None, now: float) -> str:
    if due is None:
        return "by hand"
    return "due" if due.timestamp() <= now else ago(due.timestamp(), now)


def _print_backup(backup: dict[str, Any], now: float) -> None:
    last = backup["last_run"]
    if last is not None and (error := _wrong(last)):
        say(f"backup: {last['status']} {_began(last, now)}: {error[0]}")
    elif last is not None and backup["frequency"]:
        say(f"backup: {last['status']} {_began(last, now)}")


def _print_scheduler(scheduler: dict[str, Any]) -> None:
    if scheduler["alive"]:
        where = ", ".join(f"process {one['pid']} on {one['host']}" for one in scheduler["daemons"])
        say(
            f"The scheduler is alive ({where}): {scheduler['running']} of {scheduler['workers']} "
            f"workers busy, {_waiting(scheduler['backlog'])}."
        )
    elif scheduler["backlog"]:
        say(
            f"No scheduler is alive, and {_waiting(scheduler['backlog'])}: "
            "`tcdatalogger schedule` runs what is due."
        )


def _waiting(backlog: int) -> str:
    return f"{counted(backlog, 'endpoint')} {'waits' if backlog == 1 else 'wait'}"


def key_lines(key: dict[str, Any]) -> list[str]:
    """What is wrong with a key, in lines; none where it is well."""
    lines = []
    if key["health"] == "missing":
        lines.append(f"key {key['key']}: {key['problem']}")
    elif key["health"] in {"dead", "parked"}:
        when = f", asked again {moment(key['until'])}" if key["until"] else ", never called again"
        lines.append(f"key {key['key']}: {key['health']} ({key['why']}){when}")
    lines += [f"key {key['key']}: may not read {path}" for path in key.get("refused", ())]
    return lines
