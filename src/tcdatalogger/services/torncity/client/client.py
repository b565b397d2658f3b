"""The client of Torn's API: one request becomes one answer, within the limits, with retries."""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Self

from tcdatalogger.clock import Clock, utc
from tcdatalogger.errors import KeyRefused, TimedOut
from tcdatalogger.services.torncity.client import error_codes, key_health
from tcdatalogger.services.torncity.client.budget import Budget, Priority
from tcdatalogger.services.torncity.client.envelope import count_rows
from tcdatalogger.services.torncity.client.error_codes import Scope, TornDown, TornFault
from tcdatalogger.services.torncity.client.key_health import (
    CircuitBreaker,
    KeyHealth,
    KeyState,
    RowQuota,
    fingerprint,
)
from tcdatalogger.services.torncity.client.messages import Answer, ApiKey, Request
from tcdatalogger.services.torncity.client.rate_limiter import ADDRESS, CallSlot
from tcdatalogger.services.torncity.client.retries import LONGEST_WAIT, RETRIES, Retries, asked_of
from tcdatalogger.services.torncity.client.transport import Transport, http_date

_PRINTABLE = re.compile(r"[!-~]+")
_PAGE_ROWS = 100
"""The rows that a call without a `limit` may return."""


@dataclass(frozen=True, slots=True)
class _Caller:
    """The caller: the fingerprint, the owner and the configured name of the key."""

    identity: str
    owner: str
    name: str


class Client:
    """Calls Torn's API within the limits, and tries again where that may help.

    Args:
        transport: makes the calls; the client closes it.
        budget: decides when a call may go.
        clock: the clock to read and to sleep on.
        key_health: what all processes know of keys and of Torn.
        owner_of: the name under which the calls of a key are counted. Keys of one player share
            their limit, so callers that know the player pass a function that returns it.
        retries: which errors are worth another call.

    Attributes:
        host: host and port of the API, as links to further pages name them.
        calls: the seconds of every call that was sent, with or without success.
    """

    def __init__(
        self,
        transport: Transport,
        budget: Budget,
        clock: Clock,
        *,
        key_health: KeyHealth,
        owner_of: Callable[[ApiKey], str] = fingerprint,
        retries: Retries = RETRIES,
    ) -> None:
        self._transport = transport
        self.host = transport.host
        self.calls: list[float] = []
        self._budget = budget
        self._clock = clock
        self._key_health = key_health
        self._retries = retries
        self._owner_of = owner_of

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections."""
        self._transport.close()

    def get(self, request: Request, key: ApiKey, *, priority: Priority = "normal") -> Answer:
        """Call Torn, and try again where that may help.

        A key that Torn refused is not used again, or not before its pause is over: Torn bans
        addresses that call with dead keys. While Torn is down one caller asks and the others wait.

        Args:
            request: what to ask.
            key: the key to ask with.
            priority: which waiting calls go first.

        Raises:
            TornFault: one of its subclasses, by what to do about it; its `answer` has the answer.
            KeyRefused: the key cannot be sent, or was refused before.
        """
        secret = _sendable(key)
        began, tried = self._clock.now(), 0
        while True:
            outcome = self._once(request, key, secret, priority, tried)
            tried += 1
            if isinstance(outcome, Answer):
                return outcome
            fault, wait = outcome
            if not self._retries.again(fault, tried, wait, self._clock.now() - began):
                raise fault
            try:
                self._clock.sleep(wait)
            except TimedOut as late:
                late.reason = fault
                raise

    def _once(
        self, request: Request, key: ApiKey, secret: str, priority: Priority, tried: int
    ) -> Answer | tuple[TornFault, float]:
        """Make one call, if one may be made: its answer, or its error and the seconds to wait.

        Raises:
            TornFault: no call may be made, because of an earlier error.
        """
        identity = fingerprint(key)
        proven = self._admitted(identity, request.path, key.name)
        try:
            caller = _Caller(identity, self._owner_of(key), key.name)
            rows = self._reserve_rows(request, caller)
            slot = self._wait_turn(caller.owner, priority)
            began = time.monotonic()
            try:
                outcome = self._transport.call(request, key.name, secret)
            finally:
                self.calls.append(time.monotonic() - began)
                self._budget.done(slot)
            self._settle_rows(rows, outcome)
            if isinstance(outcome, Answer):
                self._worked()
                if not proven:
                    self._key_health.set_state(KeyState(identity, key_health.OK, name=key.name))
                return outcome
            asked = asked_of(outcome.answer, http_date)
            wait = self._retries.wait(outcome, tried + 1, asked)
            self._note_fault(outcome, request, caller, wait)
            return outcome, wait
        finally:
            if not proven:
                self._key_health.end_trial(identity)

    # --- the key ---------------------------------------------------------------------------

    def _admitted(self, identity: str, path: str, name: str) -> bool:
        """Whether the key has worked before; False where this caller is the first to try it.

        Only one caller tries a new key: otherwise all processes would call with the same dead key.

        Raises:
            TornFault: the key is refused for this path.
        """
        while True:
            now = self._clock.now()
            states = self._key_health.states(identity)
            for state in states:
                if state.refuses(path, now):
                    raise error_codes.again(state.code, state.until, now, f" with the key {name!r}")
            if any(state.health == key_health.OK for state in states):
                return True
            if self._key_health.trial(identity, now):
                # Another caller may have tried the key in the meantime.
                if self._key_health.states(identity) == states:
                    return False
                self._key_health.end_trial(identity)
            else:
                self._clock.sleep(key_health.PEEK / 10 * (1 + self._retries.jitter()))

    # --- rows of the day -------------------------------------------------------------------

    def _reserve_rows(self, request: Request, caller: _Caller) -> RowQuota | None:
        """Reserve the rows that the call may return, None where its path has no daily limit.

        Raises:
            Crowded: the rows of the day are used up, or Torn said so.
        """
        now = self._clock.now()
        category = key_health.category(request.path)
        name = f"{caller.owner}/{category or request.path}"
        pause = self._budget.paused(name)
        if pause is not None:
            raise error_codes.again(pause.code, pause.until, now, f" of {request.path}")
        if not category:
            return None
        limit = request.param("limit") or ""
        expected = int(limit) if limit.isdecimal() else _PAGE_ROWS
        rows = RowQuota(secrets.token_hex(8), now, expected)
        most = int(key_health.DAY_ROWS * self._budget.share)
        frees = self._key_health.reserve_rows(name, rows, most)
        if frees:
            kind = error_codes.BY_NUMBER[14]
            raise kind.fault(
                f"The {most} rows that {caller.owner} may read of {category} in 24 hours are "
                f"used up. Rows are free again at {utc(frees):%Y-%m-%d %H:%M} UTC.",
                kind=kind,
                pause=frees - now,
            )
        return rows

    def _settle_rows(self, rows: RowQuota | None, outcome: Answer | TornFault) -> None:
        """Correct the reserved rows to those that came. Without a whole answer Torn may have
        counted them, so they stay reserved.
        """
        if rows is None:
            return
        count = rows.count
        if isinstance(outcome, Answer):
            count = count_rows(outcome.body, outcome.request.payload)
        if isinstance(outcome, TornFault) and outcome.answer is not None:
            count = 0
        self._key_health.settle_rows(replace(rows, at=self._clock.now(), count=count))

    # --- whose turn it is ------------------------------------------------------------------

    def _wait_turn(self, owner: str, priority: Priority) -> CallSlot:
        """Wait until a call may go; returns its slot.

        Raises:
            TornFault: the wait would be longer than `LONGEST_WAIT`.
        """
        began = self._clock.now()
        while True:
            probes = self._pass_circuit(began)
            slot = self._budget.turn(owner, priority, patience=LONGEST_WAIT)
            if probes or not self._key_health.circuit().open:
                return slot
            self._budget.unused(slot)

    def _pass_circuit(self, began: float) -> bool:
        """Wait until Torn may be called; returns whether this call is the probe.

        Raises:
            TornFault: Torn is down for longer than `LONGEST_WAIT`.
        """
        while True:
            now = self._clock.now()
            circuit = self._key_health.circuit()
            if not circuit.open:
                return False
            wait = circuit.wait(now)
            if not wait:
                if self._key_health.change_circuit(partial(_as_probe, now=now)):
                    return True
                continue
            down = error_codes.again(error_codes.DOWN.name, now + wait, now)
            if now + wait - began > LONGEST_WAIT:
                raise down
            try:
                self._clock.sleep(wait * (1 + self._retries.jitter() / 10))
            except TimedOut as late:
                late.reason = down
                raise

    # --- what an outcome says about later calls --------------------------------------------

    def _worked(self) -> None:
        if self._key_health.circuit().faults:
            self._key_health.change_circuit(lambda _: CircuitBreaker())

    def _note_fault(self, fault: TornFault, request: Request, caller: _Caller, wait: float) -> None:
        now, kind = self._clock.now(), fault.kind
        if kind.health is not None:
            self._key_health.set_state(
                key_health.key_state(
                    kind, caller.identity, request.path, now, fault.pause, caller.name
                )
            )
        if kind.waits is not None:
            category = key_health.category(request.path) or request.path
            names = {
                Scope.OWNER: caller.owner,
                Scope.ADDRESS: ADDRESS,
                Scope.CATEGORY: f"{caller.owner}/{category}",
            }
            self._budget.pause(names[kind.waits], now + wait, kind.name)
        if kind.down:
            self._key_health.change_circuit(lambda known: key_health.failed(known, now, kind.down))
        elif kind.number is not None and not isinstance(fault, TornDown):
            self._worked()  # an error of Torn's own shows that Torn is up


def _as_probe(circuit: CircuitBreaker, now: float) -> CircuitBreaker | None:
    if not circuit.open or circuit.wait(now):
        return None
    return key_health.entered(circuit, now)


def _sendable(key: ApiKey) -> str:
    """The text of the key, if a header can hold it.

    Raises:
        KeyRefused: a header cannot hold it. The error of the HTTP library would quote the key.
    """
    secret = key.reveal()
    if _PRINTABLE.fullmatch(secret):
        return secret
    what = "is empty" if not secret else "holds a blank, a line break or another odd character"
    raise KeyRefused(
        f"The key {key.name!r} {what}.",
        remedy="A key of Torn's has 16 letters and digits; look at where it is kept.",
        key=key.name,
    )
