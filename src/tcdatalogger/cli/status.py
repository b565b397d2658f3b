"""`tcdatalogger status`: each endpoint's last run, and how much of the call budget is used."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any

import click

from tcdatalogger.cli import Options
from tcdatalogger.cli.output import ago, json_option, moment, print_json, print_table
from tcdatalogger.errors import ConfigError

if TYPE_CHECKING:
    from tcdatalogger.core.settings import Endpoint, Settings
    from tcdatalogger.core.state import RunRecord, State

OWNER_CALLS = 100
WINDOW = 60.0


@click.command(epilog="\b\nExample:\n  tcdatalogger status\n  tcdatalogger status --json")
@json_option
@click.pass_obj
def command(options: Options, as_json: bool) -> None:
    """Show what each endpoint did last, and the calls of the last minute."""
    settings = options.load()
    from tcdatalogger.core.state import State  # not for the help

    now = time.time()
    file = settings.state.file
    if file is None or not file.exists():
        found = status(settings, None, now)
    else:
        with State(file) as state:
            state.mark_lost()
            found = status(settings, state, now)
    if as_json:
        print_json(found)
        return
    _print(found, now)


def status(settings: Settings, state: State | None, now: float) -> dict[str, Any]:
    """What the books say, as JSON for programs."""
    endpoints = [_endpoint(endpoint, state, now) for endpoint in settings.endpoints]
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
    }


def _keys(settings: Settings, state: State, now: float) -> list[dict[str, Any]]:
    """The health of the configured keys; one that cannot be had now has none to show."""
    from tcdatalogger.core import keychoice, secrets  # not for the help

    found = []
    for name, reference in settings.keys.items():
        try:
            key = secrets.resolve(name, reference, os.environ)
        except ConfigError as error:
            found.append({"key": name, "health": "missing", "problem": error.message})
            continue
        health = keychoice.health(state, key, now)
        found.append({"key": name, **health.facts()})
    return found


def _held(state: State, now: float) -> list[dict[str, Any]]:
    """What stops calls now: holds, and Torn being down."""
    from tcdatalogger.services.torncity import codes

    held = [
        {"who": hold.name, "until": hold.until, "why": codes.named(hold.code).meaning}
        for hold in state.traffic.holds(now)
    ]
    circuit = state.standing.circuit()
    if circuit.open:
        until = max(circuit.until, circuit.probe_until)
        held.append({"who": "torn", "until": until, "why": codes.DOWN.meaning})
    return held


def _endpoint(endpoint: Endpoint, state: State | None, now: float) -> dict[str, Any]:
    runs = state.runs(endpoint=endpoint.name, most=20) if state else []
    last = runs[0] if runs else None
    good = next((run for run in runs if run.status == "done"), None)
    fresh = None if good is None or good.finished_at is None else now - good.finished_at
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
        "quarantined": sum(run.quarantined for run in runs),
        "drift": sum(run.drift for run in runs),
    }


def _run(run: RunRecord) -> dict[str, Any]:
    return {
        "run_id": run.run_id,
        "status": run.status,
        "started_at": run.started_at,
        "finished_at": run.finished_at,
        "error": run.error or None,
        "exit_code": run.exit_code,
    }


def _print(found: dict[str, Any], now: float) -> None:
    if not found["endpoints"]:
        click.echo("No endpoint is configured: add one to the configuration.")
    print_table(
        ("endpoint", "path", "last run", "result", "rows", "set aside", "new"),
        [
            (
                one["endpoint"],
                one["path"],
                ago(one["last_run"]["started_at"] if one["last_run"] else None, now),
                one["last_run"]["status"] if one["last_run"] else "",
                sum(one["rows"].values()),
                one["quarantined"],
                one["drift"],
            )
            for one in found["endpoints"]
        ],
    )
    for one in found["endpoints"]:
        if one["last_run"] and one["last_run"]["error"]:
            click.echo(f"{one['endpoint']}: {one['last_run']['error']}")
    for owner in found["owners"]:
        click.echo(
            f"{owner['owner']}: {owner['calls_used']} calls in the last minute, "
            f"{owner['calls_left']} left"
        )
    for key in found["keys"]:
        for line in key_lines(key):
            click.echo(line)
    for hold in found["held"]:
        who = {"torn": "Torn", "address": "this address"}.get(hold["who"], hold["who"])
        click.echo(f"No call of {who} before {moment(hold['until'])}: {hold['why']}")


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
