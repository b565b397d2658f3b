"""A limit of time for a whole run in this process, by the alarm of the operating system."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from tcdatalogger.errors import TimedOut


@contextmanager
def deadline(seconds: float | None, what: str) -> Iterator[Callable[[], None]]:
    """Raise `TimedOut` inside of the block when it has run for `seconds`.

    Yields a function that ends the limit early: a commit that has begun is not cut off, or nobody
    would know whether it was done.

    Without a limit, in another thread than the first, or on a system without alarms nothing is
    limited here: there the calls' own limits hold.
    """
    can = hasattr(signal, "setitimer") and threading.current_thread() is threading.main_thread()
    if seconds is None or not can:
        yield lambda: None
        return

    def ring(_number: int, _frame: FrameType | None) -> None:
        raise TimedOut(
            f"{what} took longer than its timeout of {seconds:g} s.",
            remedy="Nothing was stored; give it more `timeout`, or fewer pages.",
        )

    former = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)

    def stop() -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)

    try:
        yield stop
    finally:
        stop()
        signal.signal(signal.SIGALRM, former)
