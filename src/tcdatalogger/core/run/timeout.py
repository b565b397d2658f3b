"""A limit of time for a piece of work in this process, by the alarm of the operating system."""

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

    Yields a function that is called when a commit begins: from then to the end of the block
    neither the limit nor a signal to end cuts in, or nobody would know whether the commit was
    done. A signal that came meanwhile does at the end of the block what it would have done; a
    commit that takes too long for that is broken off and rolled back (`ending.held`).

    One limit within another has its own time: that of the outer one stands still meanwhile.

    In another thread than the first, or on a system without alarms nothing is limited here: there
    the calls' own limits hold.
    """
    can = hasattr(signal, "setitimer") and threading.current_thread() is threading.main_thread()
    if not can:
        yield lambda: None
        return

    rang: list[TimedOut] = []
    over: list[bool] = []

    def ring(_number: int, _frame: FrameType | None) -> None:
        if rang or over:  # it rings on for engines that did not hear the first one
            if rang and not over and not ending.stands(rang[0]):
                signal.setitimer(signal.ITIMER_REAL, 0)  # whoever had to has heard it
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
