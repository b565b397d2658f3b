"""The loop of the scheduler: it claims what is due and has no claim, and runs it.

Any number of daemons may run on one state, and none leads. Everything that has to outlive a daemon
is in the database. So any daemon can take the place of one that was killed.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import wait
from typing import Any, Final, Literal

from tcdatalogger import memory
from tcdatalogger.core.config.settings import Settings
from tcdatalogger.core.run.pending_limits import longest
from tcdatalogger.core.state import leases
from tcdatalogger.core.state.due import BACKOFF, Due, DueQueue, Plan
from tcdatalogger.core.state.heartbeats import BEAT, Heartbeat, Heartbeats
from tcdatalogger.core.state.leases import Claim
from tcdatalogger.core.state.plans import plans
from tcdatalogger.core.state.run_id import new_run_id
from tcdatalogger.core.state.store import State
from tcdatalogger.errors import Busy, Failure, StateGone
from tcdatalogger.observability.log import get_logger
from tcdatalogger.scheduler import finish
from tcdatalogger.scheduler.executor import (
    Executor,
    Exit,
    Handle,
    Job,
    Report,
    Resting,
    settings_for,
)
from tcdatalogger.scheduler.signals import Signals
from tcdatalogger.scheduler.worker import STOPPED

Mode = Literal["for ever", "once", "until idle"]

LOOK_AGAIN: Final = 2.0
"""Seconds until the next look at an endpoint that another process runs already."""

PATIENCE: Final = 8.0
"""Seconds that runs get at most to end when the daemon has to stop: it ends within ten."""

_JUMP: Final = 2.0
"""Seconds that the clock may lose between two heartbeats before the queue is looked over."""

_log = get_logger("scheduler")


@dataclass(slots=True)
class _Run:
    """A run of this daemon.

    Attributes:
        due: what it runs for.
        plan: how its endpoint is scheduled.
        claim: the claim of its endpoint.
        job: what its process was given.
        process: its process.
        began: when it began, in seconds since 1970.
        term_at, kill_at: when it gets SIGTERM and SIGKILL, in seconds of the monotonic clock.
        cause: why the daemon ended it: `timeout`, `stop` or `claim`; "" where it did not.
        ended: how its process ended; None while it runs.
    """

    due: Due
    plan: Plan
    claim: Claim
    job: Job
    process: Handle
    began: float
    term_at: float
    kill_at: float
    cause: str = ""
    ended: Exit | None = None

    def end_for(self, why: str) -> None:
        """Note why it has to end; the first cause stays."""
        self.cause = self.cause or why


@dataclass(frozen=True, slots=True)
class RunEvent:
    """The daemon began a run, or a run ended.

    Attributes:
        at: when, in seconds since 1970.
        endpoint: the endpoint of the run.
        run_id: the id of the run.
        report: how the run ended; None where it begins.
    """

    at: float
    endpoint: str
    run_id: str
    report: Report | None = None


class Daemon:
    """One scheduler.

    Args:
        settings: the configuration to begin with.
        state: the state database, open.
        executor: begins the runs.
        logs: how the runs log: arguments of `observability.log.configure`.
        reload: reads the configuration again; it may raise a `Failure`.
        on_event: called for each run that begins and ends.
        on_round: called each time that the loop goes round: every few seconds.
    """

    def __init__(
        self,
        settings: Settings,
        state: State,
        executor: Executor,
        *,
        logs: Mapping[str, Any] | None = None,
        reload: Callable[[], Settings] | None = None,
        on_event: Callable[[RunEvent], None] = lambda _event: None,
        on_round: Callable[[], None] = lambda: None,
    ) -> None:
        self._settings = settings
        self._state = state
        self._executor = executor
        self._clock = state.clock
        self._logs = logs or {}
        self._reload = reload
        self._on_event = on_event
        self._on_round = on_round
        self._queue = DueQueue(state)
        self._daemons = Heartbeats(state)
        self._owner = leases.me()
        self._started = state.clock.now()
        self._running: dict[str, _Run] = {}
        self._plans = plans(settings)
        self._beat_at = 0.0
        self._state_lost = False
        self._in_sync = False
        self._removed: set[str] = set()
        self._drift: float | None = None
        self._stopping = False
        self._idle = False
        self._remaining: set[str] | None = None
        self._codes: list[int] = []

    @property
    def _workers(self) -> int:
        return self._settings.scheduler.workers

    def run(self, mode: Mode = "for ever") -> int:
        """Run what is due until a signal comes or until nothing is left.

        Args:
            mode: `once` runs what is due now, each endpoint once. `until idle` goes on until
                nothing is due and nothing runs; it does not wait for a run that will be tried
                again later.

        Returns the exit code: 128 and the signal, or that of the first run that failed.

        Raises:
            StateGone: the state database was moved away or deleted.
        """
        with Signals() as signals, self._cleaned_up():
            self._sync()
            if mode == "once":
                due = self._queue.due(self._clock.now(), len(self._plans), known=self._plans)
                self._remaining = {one.endpoint for one in due}
            memory.forget_code()  # what imported, read and checked the configuration
            while True:
                patience = self._go_round()
                if self._finished(mode):
                    break
                if signals.fd in wait([signals.fd, *self._waitables()], patience):
                    self._handle(signals)
            if signals.last is not None:
                return 128 + signals.last
        return next((code for code in self._codes if code), 0)

    def _finished(self, mode: Mode) -> bool:
        if not self._running:
            return self._stopping or (mode != "for ever" and self._idle)
        # A state that cannot be written must not keep the daemon: another one writes the ends down.
        return self._stopping and self._state_lost and all(r.ended for r in self._running.values())

    def _go_round(self) -> float:
        """Do what there is to do now.

        A state that cannot be reached or written stops nothing that runs. It is logged once, and
        tried again until it answers.

        Returns the seconds until there is something to do again.
        """
        self._on_round()
        self._watch()
        try:
            self._sync()
            self._reap()
            self._beat()
            self._begin()
            patience = self._patience()
        except StateGone:  # other processes do not see what is claimed in it
            raise
        except Failure as failure:
            if not self._state_lost:
                _log.error("state_unavailable", message=str(failure))
            self._state_lost = True
            return LOOK_AGAIN
        finally:
            if isinstance(self._executor, Resting):
                self._executor.rest()
        if self._state_lost:
            _log.info("state_available")
        self._state_lost = False
        return patience

    @contextmanager
    def _cleaned_up(self) -> Iterator[None]:
        """Leave nothing behind, however the loop ends: no process, no claim, no heartbeat."""
        try:
            yield
        finally:
            for run in self._running.values():
                run.process.kill()
            with suppress(Failure):  # claims run out by themselves
                for run in self._running.values():
                    self._state.leases.release(run.claim)
                self._daemons.gone(self._owner)
            self._running.clear()
            self._executor.close()

    # --- runs ------------------------------------------------------------------------------

    def _begin(self) -> None:
        """Begin what is due, as far as workers are free."""
        self._idle = self._stopping
        while not self._stopping and (free := self._workers - len(self._running)) > 0:
            known = {name: plan for name, plan in self._plans.items() if self._may_begin(name)}
            found = self._queue.due(self._clock.now(), free, known=known)
            for due in found:
                self._begin_one(due)
            if not found:
                self._idle = True
                return

    def _may_begin(self, name: str) -> bool:
        return name not in self._running and (self._remaining is None or name in self._remaining)

    def _begin_one(self, due: Due) -> None:
        now, plan = self._clock.now(), self._plans[due.endpoint]
        if self._remaining is not None:
            self._remaining.discard(due.endpoint)
        run_id = new_run_id(self._clock)
        claim = self._queue.take(
            due,
            until=now + leases.SECONDS,
            later=now + LOOK_AGAIN,
            claim=lambda db: self._state.leases.take(db, due.endpoint, run_id),
        )
        if claim is None:
            return
        if due.attempt > plan.retries:
            _log.error("endpoint_given_up", endpoint=due.endpoint, tries=due.attempt)
            self._queue.give_up(plan, now)
            self._state.leases.release(claim)
            return
        try:
            self._running[due.endpoint] = self._started_run(due, plan, claim)
        except Busy as failure:
            _log.error("run_not_started", endpoint=due.endpoint, message=str(failure))
            self._codes.append(failure.exit_code)
            self._queue.put_back(due, now + BACKOFF.first)
            self._state.leases.release(claim)
            return
        self._on_event(RunEvent(now, due.endpoint, run_id))

    def _started_run(self, due: Due, plan: Plan, claim: Claim) -> _Run:
        job = Job(claim.run_id, settings_for(self._settings, due.endpoint), claim, self._logs)
        grace = self._settings.scheduler.grace.seconds or 0
        more = longest(job.timeout, self._state.unsettled(due.endpoint)) or 0
        limit = time.monotonic() + job.timeout + more + grace
        return _Run(
            due, plan, claim, job, self._executor(job), self._clock.now(), limit, limit + grace
        )

    def _watch(self) -> None:
        """See which runs have ended, and end those whose time is over."""
        now = time.monotonic()
        for run in self._running.values():
            run.ended = run.ended or run.process.ended()
            if run.ended is not None:
                continue  # the state may not take its end yet
            if now >= run.kill_at:
                run.end_for("timeout")
                run.process.kill()
            elif now >= run.term_at and not run.cause:
                run.end_for("timeout")
                run.process.terminate()

    def _reap(self) -> None:
        """Write down how runs ended, and plan the next ones."""
        for name, run in list(self._running.items()):
            if run.ended is None:
                continue
            now = self._clock.now()
            report = finish.close(self._state, run.job, run.ended, now, run.began, cause=run.cause)
            self._plan_next(run, report)
            self._state.leases.release(run.claim)
            del self._running[name]
            # Somebody else told the run to end, and not this daemon: another run does its work.
            code = Busy.exit_code if report.exit_code == STOPPED else report.exit_code
            self._codes.append(code)
            self._on_event(RunEvent(now, name, run.job.run_id, report))

    def _plan_next(self, run: _Run, report: Report) -> None:
        plan, now = self._plans.get(run.plan.endpoint), self._clock.now()
        if plan is None:
            return  # it is no longer in the configuration
        if report.status == "done":
            self._queue.served(plan, run.began, now)  # also where it had to end meanwhile
            return
        if run.cause == "claim" or report.error_class == Busy.__name__:
            return  # the process that took it over says when it is due; else its row comes up again
        if run.cause == "stop":
            self._queue.put_back(run.due, now)
        elif not report.exit_code:
            self._queue.served(plan, run.began, now)
        else:
            self._queue.failed(
                plan,
                run.began,
                now,
                attempt=run.due.attempt + 1,
                again=finish.may_pass(report.exit_code, report.status),
            )

    # --- time ------------------------------------------------------------------------------

    def _patience(self) -> float:
        """Seconds until there is something to do, if nothing happens before."""
        now = time.monotonic()
        moments = [self._beat_at]
        moments += [run.kill_at if run.cause else run.term_at for run in self._running.values()]
        if len(self._running) < self._workers and not self._stopping:
            wall = self._clock.now()
            wake = self._queue.next_wake(wall)
            if wake is not None:
                moments.append(now + wake - wall)
        return max(0.0, min(moments) - now)

    def _beat(self) -> None:
        """Renew the claims and the rows of what runs, and write the heartbeat of this daemon."""
        if time.monotonic() < self._beat_at:
            return
        now = self._clock.now()
        drift = now - time.monotonic()
        if self._drift is not None and drift < self._drift - _JUMP:
            _log.warning("clock_went_back", seconds=round(self._drift - drift, 1))
            self._in_sync = False
        self._drift = drift
        for run in self._running.values():
            try:
                self._state.leases.renew(run.claim)
            except Busy as busy:
                # The machine was asleep for so long that another process took the claim. A claim
                # that nobody has is no reason to end the run: it may have given it back itself,
                # and without a claim it cannot store.
                if busy.facts["holder"]:
                    run.end_for("claim")
                    run.process.kill()
        self._queue.defer(list(self._running), now + leases.SECONDS)
        if orphaned := self._state.leases.orphaned():
            self._queue.wake(orphaned, now)
            self._state.leases.give_back(orphaned)
        self._daemons.write(
            Heartbeat(
                owner=self._owner,
                host=socket.gethostname(),
                pid=os.getpid(),
                started_at=self._started,
                beat_at=now,
                workers=self._workers,
                running=len(self._running),
            )
        )
        self._beat_at = time.monotonic() + BEAT

    # --- signals and configuration ---------------------------------------------------------

    def _waitables(self) -> list[Any]:
        return [each for run in self._running.values() for each in run.process.waitables]

    def _handle(self, signals: Signals) -> None:
        if signals.take_hangup():
            self._reload_settings()
        if signals.last is not None and not self._stopping:
            _log.info("scheduler_stopping", running=sorted(self._running))
            self._stopping = True
            grace = self._settings.scheduler.grace.seconds or 0
            limit = time.monotonic() + min(PATIENCE, 2 * grace)
            for run in self._running.values():
                run.end_for("stop")
                run.process.terminate()
                run.kill_at = min(run.kill_at, limit)

    def _reload_settings(self) -> None:
        """Use a changed configuration; a wrong one leaves the old one in force."""
        if self._reload is None:
            return
        try:
            settings = self._reload()
        except Failure as failure:
            _log.error("config_refused", message=str(failure))
            return
        if settings.state.url != self._settings.state.url:
            _log.error("state_change_ignored")
            settings = settings.model_copy(update={"state": self._settings.state})
        before = self._plans
        self._settings = settings
        self._plans = plans(settings)
        self._removed |= before.keys() - self._plans.keys()
        self._in_sync = False
        _log.info("config_reloaded", endpoints=len(self._plans))

    def _sync(self) -> None:
        """Bring the queue in line with the configuration and the clock, where it is not."""
        if self._in_sync:
            return
        self._state.put_right()
        now = self._clock.now()
        self._queue.drop(self._removed - self._plans.keys())
        self._removed.clear()
        alone = not self._daemons.alive(now, but=self._owner)
        self._queue.sync(self._plans.values(), now, alone=alone)
        self._in_sync = True
