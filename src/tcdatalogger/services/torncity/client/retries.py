"""Whether and when a failed call is made again: by the class of its error, with two limits."""

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
"""The most seconds that a call waits before it is tried again; for a longer pause the run ends."""
LEAST_WAIT = 1.0
"""The least seconds of a `Retry-After`: with zero the client would call without a pause."""
LONGEST_PAUSE = 365 * DAY
"""The most seconds of a `Retry-After`: a much longer one is no valid date."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Retries:
    """Which errors are worth another call, and how often.

    Attributes:
        on: the classes of errors that another call may solve.
        tries: the most calls in all; the error's own `tries` is a limit, too.
        total: seconds after the first call within which the last call may begin.
        jitter: returns a number from 0 to 1; it spreads the waits of several processes.
    """

    on: tuple[type[Failure], ...]
    tries: int = 3
    total: float = 300.0
    jitter: Callable[[], float] = random.random

    def wait(self, fault: TornFault, tried: int, asked: float | None = None) -> float:
        """Seconds to wait before the next call.

        Args:
            fault: the error; its `pause` is set to what the server asks for.
            tried: how many calls were made.
            asked: seconds that the server asks for, None for none.
        """
        if asked is not None:
            fault.pause = min(LONGEST_PAUSE, max(LEAST_WAIT, asked))
            return fault.pause + self.jitter()
        if fault.pause > LONGEST_WAIT:
            return fault.pause
        backoff = Backoff(fault.pause, LONGEST_WAIT, jitter=0.5)
        return min(LONGEST_WAIT, backoff.pause(tried, self.jitter()))

    def again(self, fault: TornFault, tried: int, wait: float, since_first: float) -> bool:
        """Whether the call is made again after `wait` seconds.

        Args:
            fault: the error.
            tried: how many calls were made.
            wait: seconds that the next call would wait.
            since_first: seconds since the first call.
        """
        return (
            isinstance(fault, self.on)
            and tried < min(self.tries, fault.tries)
            and wait <= LONGEST_WAIT
            and since_first + wait <= self.total
        )


RETRIES: Final = Retries(on=(TryAgain,))
"""The retries of a client: only for errors of the class `TryAgain`."""


def asked_of(answer: Answer | None, date: Callable[[str], float | None]) -> float | None:
    """Seconds that the header `Retry-After` (a number or a date) asks for, None for none.

    Args:
        answer: the answer, None where no answer came.
        date: reads a date of HTTP as seconds since 1970.
    """
    text = "" if answer is None else answer.header("retry-after").strip()
    if text.isdecimal():
        return float(text)
    at = date(text)
    return None if at is None or answer is None else at - answer.server_time
