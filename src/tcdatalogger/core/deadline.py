"""A limit of time for a whole run in this process, by the alarm of the operating system."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, Final

from tcdatalogger.errors import TimedOut

_ENDS: Final = (signal.SIGTERM, signal.SIGINT)


@contextmanager
def deadline(seconds: float | None, what: str) -> Iterator[Callable[[], None]]:
    """Raise `TimedOut` inside of the block when it has run for `seconds`, None for no limit.

    Yields a function that is called when a commit begins: from then to the end of the block
    neither the limit nor a signal to end cuts in, or nobody would know whether the commit was
    done. A signal that came meanwhile does at the end of the block what it would have done.

    In another thread than the first, or on a system without alarms nothing is limited here: there
    the calls' own limits hold.
    """
    can = hasattr(signal, "setitimer") and threading.current_thread() is threading.main_thread()
    if not can:
        yield lambda: None
        return

    rang: list[TimedOut] = []

    def ring(_number: int, _frame: FrameType | None) -> None:
        rang.append(
            TimedOut(
                f"{what} took longer than its timeout of {seconds:g} s.",
                remedy="Nothing was stored; give it more `timeout`, or fewer pages.",
            )
        )
        raise rang[0]

    former: dict[int, Any] = {signal.SIGALRM: signal.signal(signal.SIGALRM, ring)}
    came: list[int] = []

    def commits() -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number in _ENDS:
            before = signal.signal(number, lambda its, _frame: came.append(its))
            former.setdefault(number, before)

    signal.setitimer(signal.ITIMER_REAL, seconds or 0)
    try:
        yield commits
    except RuntimeError:  # DuckDB's own, where it was within a query
        if rang:
            raise rang[0] from None
        raise
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in former.items():
            signal.signal(number, handler)
        if came:
            signal.raise_signal(came[0])
