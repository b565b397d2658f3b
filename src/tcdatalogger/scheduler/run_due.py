"""Runs of what is due by hand, by cron or by another orchestrator: same queue, same leases."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from tcdatalogger.core.config.settings import EndpointSettings
from tcdatalogger.core.main import Application
from tcdatalogger.core.run.run import RunResult
from tcdatalogger.core.state import leases
from tcdatalogger.core.state.due import Due, DueQueue, Plan
from tcdatalogger.core.state.plans import plan
from tcdatalogger.core.state.run_id import new_run_id
from tcdatalogger.errors import TryAgain
from tcdatalogger.scheduler import finish


def run_due(application: Application, endpoints: Sequence[EndpointSettings]) -> list[RunResult]:
    """Run those of the endpoints that are due, one after the other; what became of them.

    One without a frequency is never due, nor is one that somebody else is running.
    """
    queue = DueQueue(application.state)
    planned = [(endpoint, plan(endpoint)) for endpoint in endpoints]
    queue.sync([its for _, its in planned if its], application.state.clock.now(), alone=False)
    return [
        outcome
        for endpoint, its in planned
        if its is not None and (outcome := _run(application, queue, endpoint, its)) is not None
    ]


def _run(
    application: Application, queue: DueQueue, endpoint: EndpointSettings, plan: Plan
) -> RunResult | None:
    state, now = application.state, application.state.clock.now()
    entry = queue.entries()[endpoint.name]
    if entry.due_at > now:
        return None
    due = Due(endpoint.name, entry.due_at, entry.wake_at, entry.attempt)
    run_id = new_run_id(application.clock)
    until = now + leases.SECONDS
    claim = queue.take(
        due, until=until, later=until, claim=lambda db: state.leases.take(db, plan.endpoint, run_id)
    )
    if claim is None:
        return None
    try:
        outcome = application.run(endpoint, run_id=run_id, claim=claim)
        ended = state.clock.now()
        if outcome.record.exit_code:
            again = finish.may_pass(outcome.record.exit_code, outcome.record.status)
            queue.failed(plan, now, ended, attempt=due.attempt + 1, again=again)
        else:
            queue.served(plan, now, ended)
    finally:
        with suppress(TryAgain):  # then it runs out by itself
            state.leases.release(claim)
    return outcome
