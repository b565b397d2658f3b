"""Whether and when a call that failed is made again: by the class of its error, with two caps."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from tcdatalogger.backoff import Backoff
from tcdatalogger.errors import Failure, TryAgain
from tcdatalogger.services.torncity.client.error_codes import DAY, TornFault
from tcdatalogger.services.torncity.client.messages import Answer

LONGEST_WAIT = 90.0
"""Seconds that a call waits at most before it is tried again; a longer pause is the caller's."""
LEAST_WAIT = 1.0
"""A `Retry-After` of zero would have us knock without end."""
LONGEST_PAUSE = 365 * DAY
"""A `Retry-After` of ten thousand years is no time that could be told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Retries:
    """Which errors are worth another call, and how often.

    Attributes:
        on: the classes of errors that may pass.
        tries: how many calls may be made at most in all; the error's own number is a cap too.
        total: seconds from the first call within which the last may begin.
        jitter: a number from 0 to 1 that spreads the waiting of several processes.
    """

    on: tuple[type[Failure], ...]
    tries: int = 3
    total: float = 300.0
    jitter: Callable[[], float] = random.random

    def wait(self, fault: TornFault, tried: int, asked: float | None = None) -> float:
        """Seconds that such a call should wait.

        Args:
            fault: the error; a pause that the server asks for is written into it.
            tried: how many calls were made.
            asked: seconds that the server asks for, None where it does not.
        """
        if asked is not None:
            fault.pause = min(LONGEST_PAUSE, max(LEAST_WAIT, asked))
            return fault.pause + self.jitter()
        if fault.pause > LONGEST_WAIT:
            return fault.pause
        backoff = Backoff(fault.pause, LONGEST_WAIT, jitter=0.5)
        return min(LONGEST_WAIT, backoff.pause(tried, self.jitter()))

    def again(self, fault: TornFault, tried: int, wait: float, since_first: float) -> bool:
        """Whether the call is made again after `wait` seconds."""
        return (
            isinstance(fault, self.on)
            and tried < min(self.tries, fault.tries)
            and wait <= LONGEST_WAIT
            and since_first + wait <= self.total
        )


RETRIES: Final = Retries(on=(TryAgain,))
"""Those of a client: what may pass by itself, and nothing else."""


def asked_of(answer: Answer | None, date: Callable[[str], float | None]) -> float | None:
    """Seconds that an answer's `Retry-After` asks us to wait, in either form; None without it."""
    text = "" if answer is None else answer.header("retry-after").strip()
    if text.isdecimal():
        return float(text)
    at = date(text)
    return None if at is None or answer is None else at - answer.server_time
