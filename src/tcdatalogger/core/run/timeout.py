"""The timeout of a run, by the alarm of the operating system."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from types import FrameType
from typing import Final

from tcdatalogger import ending
from tcdatalogger.errors import Failure, TimedOut

_REMEDY: Final = "Nothing was stored; give it more `timeout`, or fewer pages."


@contextmanager
def deadline(
    seconds: float | None, what: str, remedy: str = _REMEDY
) -> Iterator[Callable[[], None]]:
    """Raise `TimedOut` inside of the block when it has run for `seconds`, None for no limit.

    It yields a function that the caller calls when a commit begins. From then to the end of the
    block neither the timeout nor a signal interrupts, so it is known whether the commit was done.
    A signal takes effect at the end of the block. A commit that takes too long is interrupted and
    rolled back (`ending.held`).

    Inside of another timeout it has a time of its own; the time of the outer one does not run on.

    In other threads than the main thread, and on a system without alarms, there is no timeout; the
    calls have timeouts of their own.
    """
    can = hasattr(signal, "setitimer") and threading.current_thread() is threading.main_thread()
    if not can:
        yield lambda: None
        return

    rang: list[TimedOut] = []
    over: list[bool] = []

    def ring(_number: int, _frame: FrameType | None) -> None:
        if rang or over:  # it rings again for engines that were not interrupted at first
            if rang and not over and not ending.stands(rang[0]):
                signal.setitimer(signal.ITIMER_REAL, 0)  # the work was interrupted
            return
        rang.append(
            TimedOut(f"{what} took longer than its timeout of {seconds:g} s.", remedy=remedy)
        )
        ending.because(rang[0])
        raise rang[0]

    outer = signal.signal(signal.SIGALRM, ring)
    with ExitStack() as stack:

        def commits() -> None:
            signal.setitimer(signal.ITIMER_REAL, 0)
            stack.enter_context(ending.held())

        stood = signal.setitimer(signal.ITIMER_REAL, seconds or 0, ending.AGAIN)
        stack.callback(signal.setitimer, signal.ITIMER_REAL, *stood)
        stack.callback(signal.signal, signal.SIGALRM, outer)
        try:
            yield commits
        except Failure:
            raise
        except Exception:  # an engine's own, where the bell broke into it; raised on
            if rang and ending.stands(rang[0]):
                raise rang[0] from None
            raise
        finally:
            try:
                over.append(True)  # a last ring comes before it or after it, and in no other place
            finally:
                signal.setitimer(signal.ITIMER_REAL, 0)
                for cause in rang:
                    ending.no_longer(cause)
