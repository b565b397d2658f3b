"""`tcdatalogger status`: each endpoint's last run, and how much of the call budget is used."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import click

from tcdatalogger.cli import Options
from tcdatalogger.cli.output import ago, json_option, print_json, print_table

if TYPE_CHECKING:
    from tcdatalogger.core.settings import Endpoint, Settings
    from tcdatalogger.core.state import RunRecord, State

OWNER_CALLS = 100
WINDOW = 60.0


@click.command(epilog="\b\nExample:\n  tcdatalogger status\n  tcdatalogger status --json")
@json_option
@click.pass_obj
def command(options: Options, as_json: bool) -> None:  # noqa: FBT001 - click's way
    """Show what each endpoint did last, and the calls of the last minute."""
    settings = options.load()
    from tcdatalogger.core.state import State  # noqa: PLC0415 - not for the help

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
    calls = state.calls_since(now - WINDOW) if state else {}
    limit = max(1, int(OWNER_CALLS * settings.limits.share))
    owners = [
        {"owner": owner, "calls_used": used, "calls_left": max(0, limit - used)}
        for owner, used in sorted(calls.items())
        if owner != "address"
    ]
    return {"endpoints": endpoints, "owners": owners}


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
