"""TCdatalogger decides when, Celery does the work: another engine behind the seam `Executor`.

    celery -A executor worker  # on any number of machines, with the state on Postgres
    python executor.py         # once: claims what is due and sends it to the workers

Each worker reads the configuration of its own machine, so no settings and no keys travel: a task
is a name and a claim, in JSON. Whoever lost the claim meanwhile stores nothing, be it a worker that
was cut off or one whose daemon died, so no broker has to deliver a task exactly once.
"""

from __future__ import annotations

import os
from dataclasses import asdict
from typing import Any

from celery import Celery

from tcdatalogger.clock import SystemClock
from tcdatalogger.core.config.configuration import load
from tcdatalogger.core.state.leases import Claim
from tcdatalogger.core.state.store import State
from tcdatalogger.scheduler import worker
from tcdatalogger.scheduler.daemon import Daemon
from tcdatalogger.scheduler.executor import Exit, Job, Report, settings_for

app = Celery(
    "tcdatalogger",
    broker=os.environ.get("CELERY_BROKER_URL"),
    backend=os.environ.get("CELERY_RESULT_BACKEND"),
)


@app.task(name="tcdatalogger.run")
def run(claim: dict[str, Any]) -> dict[str, Any]:
    """In a worker: run what was claimed, and say how it ended."""
    held, settings = Claim(**claim), load(None, os.environ)
    return asdict(worker.run_job(Job(held.run_id, settings_for(settings, held.endpoint), held)))


class CeleryRun:
    """A run that was sent. Its end is noticed within the five seconds between two beats."""

    pid = 0

    def __init__(self, job: Job) -> None:
        self._result = run.delay(asdict(job.claim))

    @property
    def waitables(self) -> list[Any]:
        return []

    def ended(self) -> Exit | None:
        if not self._result.ready():
            return None
        if not self._result.successful():  # its worker was lost, or it was revoked
            return Exit(None, 1)
        return Exit(Report(**self._result.result), 0)

    def terminate(self) -> None:
        self._result.revoke(terminate=True, signal="SIGTERM")

    def kill(self) -> None:
        self._result.revoke(terminate=True, signal="SIGKILL")


class CeleryExecutor:
    """Sends each job to Celery."""

    def __call__(self, job: Job) -> CeleryRun:
        return CeleryRun(job)

    def close(self) -> None:
        """Nothing is kept ready."""


if __name__ == "__main__":
    found = load(None, os.environ)
    with State(found.state.url or "", SystemClock()) as state:
        raise SystemExit(Daemon(found, state, CeleryExecutor()).run())
