"""`run --if-due`: runs what is due in this process, by the same queue and claims as a daemon."""

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
    """Run those of the endpoints that are due, one after the other.

    An endpoint without a frequency is never due, nor is one that another process runs now.

    Returns the results of the runs.

    Raises:
        StateUnavailable: the state cannot be read or written now.
    """
    queue = DueQueue(application.state)
    planned = [(endpoint, made) for endpoint in endpoints if (made := plan(endpoint)) is not None]
    queue.sync([made for _, made in planned], application.state.clock.now(), alone=False)
    return [
        outcome
        for endpoint, made in planned
        if (outcome := _run(application, queue, endpoint, made)) is not None
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
        with suppress(TryAgain):  # then the claim runs out by itself
            state.leases.release(claim)
    return outcome
