"""How a process ends by a signal or by a timeout, also while an engine works.

Python calls signal handlers in the main thread only. An exception of a handler is lost where an
engine (a database) turns it into an error of its own. So this module keeps the cause, and a thread
interrupts the engines that are at work. Code that gets an error of an engine calls `check` first.
Where an engine does not return in time, the process ends as by SIGKILL; a run that has fetched is
pending then.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any, Final, Protocol
from weakref import WeakKeyDictionary

from tcdatalogger.errors import Stopped

LAST: Final = 9.0
"""Seconds from the signal until the process ends, even if an engine has not returned."""

PATIENCE: Final = 5.0
"""Seconds that a block under `held` gets before its engine is interrupted too."""

AGAIN: Final = 0.25
"""Seconds until an engine is interrupted again: it may have been between two pieces of work."""

_FIRST: Final = 1.0
"""Seconds that Python's own handler gets to set the cause before an engine is interrupted."""

ENDS: Final = (signal.SIGTERM, signal.SIGINT)
_ALARM: Final = getattr(signal, "SIGALRM", None)  # Windows has none


class Engine(Protocol):
    """Something that works for a long time outside of Python, such as a database connection."""

    def interrupt(self) -> None:
        """Stop the present work; called from another thread."""
        ...


class _Now:
    """The state of ending in this process; a process has one set of signals."""

    def __init__(self) -> None:
        self.cause: BaseException | None = None
        self.holds = 0
        self.engines: WeakKeyDictionary[Engine, type[Exception]] = WeakKeyDictionary()
        self.lock = threading.Lock()


_now = _Now()


def watch_over(engine: Engine, closed: type[Exception]) -> None:
    """Interrupt an engine when the process has to end, for as long as the engine exists.

    Args:
        engine: the engine; only a weak reference is kept.
        closed: the error that `interrupt` raises where the engine is closed already.
    """
    with _now.lock:
        _now.engines[engine] = closed


def because(cause: BaseException) -> None:
    """Set the cause why the present work has to end; the first cause stays."""
    _now.cause = _now.cause or cause


def no_longer(cause: BaseException) -> None:
    """Clear a cause: the work that had to end has ended, and later work is not interrupted."""
    with _now.lock:
        if _now.cause is cause:
            _now.cause = None


def stands(cause: BaseException) -> bool:
    """Whether the present work still has to end for this cause."""
    return _now.cause is cause


def check() -> None:
    """Raise the cause of ending, if there is one. To call when the work of an engine fails."""
    if _now.cause is not None:
        raise _now.cause from None


@contextmanager
def held() -> Iterator[None]:
    """Hold signals and timeouts back until the end of the block; then they take effect.

    For short work that should be finished. Where the work takes longer than `PATIENCE`, its engine
    is interrupted. In other threads than the main thread this does nothing: they get no signals.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []
    numbers = [*ENDS, *([] if _ALARM is None else [_ALARM])]
    former: dict[int, Any] = {
        number: signal.signal(number, lambda which, _frame: came.append(which))
        for number in numbers
    }
    _now.holds += 1
    try:
        yield
    finally:
        _now.holds -= 1
        for number, handler in former.items():
            signal.signal(number, handler)
        for number in dict.fromkeys(came):
            signal.raise_signal(number)


@contextmanager
def answered(*numbers: int, kills: bool = True) -> Iterator[None]:
    """Raise `Stopped` at SIGTERM and `KeyboardInterrupt` at SIGINT until the end of the block.

    Args:
        numbers: the signals; both where none is given.
        kills: whether the process ends `LAST` seconds after the signal, even if an engine has not
            returned. False for a process that holds more than this work, as a notebook.

    In other threads than the main thread this does nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    former: dict[int, Any] = {each: signal.getsignal(each) for each in ENDS}
    try:
        for each in numbers or ENDS:
            signal.signal(each, _answer)
        with watched(kills=kills):
            yield
    finally:
        _now.cause = None
        for number, handler in former.items():
            if handler is not None:  # None for a handler that Python has not set
                signal.signal(number, handler)


@contextmanager
def watched(*, kills: bool = True) -> Iterator[None]:
    """Interrupt the engines at a signal or a timeout, until the end of the block.

    Args:
        kills: whether the process ends `LAST` seconds after the signal, even if an engine has not
            returned.
    """
    heard, raw = os.pipe()
    os.set_blocking(raw, False)
    over = threading.Event()
    try:
        before = signal.set_wakeup_fd(raw, warn_on_full_buffer=False)
    except ValueError:  # not in the main thread
        os.close(heard)
        os.close(raw)
        yield
        return
    threading.Thread(target=_watch, args=(heard, over, kills), name="signals", daemon=True).start()
    try:
        yield
    finally:
        over.set()
        signal.set_wakeup_fd(before)
        os.close(raw)  # ends the thread


def _answer(number: int, _frame: FrameType | None) -> None:
    for each in ENDS:  # a second signal is ignored: it would interrupt the tidying up
        signal.signal(each, signal.SIG_IGN)
    error = KeyboardInterrupt() if number == signal.SIGINT else Stopped()
    because(error)
    raise error


def _watch(heard: int, over: threading.Event, kills: bool) -> None:  # noqa: FBT001
    while came := os.read(heard, 1):
        if came[0] == _ALARM:
            _wait_for_the_cause()
            _break_in()
        elif came[0] in ENDS:
            _end(came[0], over, kills=kills)
            break
    os.close(heard)


def _end(number: int, over: threading.Event, *, kills: bool) -> None:
    """Make the work end, and where `kills` is true the process within `LAST` seconds.

    The runs of a scheduler end with it, open transactions are rolled back, and leases run out.
    """
    began = time.monotonic()
    if not _now.holds:
        _wait_for_the_cause()
    while not over.is_set():
        waited = time.monotonic() - began
        if kills and waited >= LAST:
            os._exit(128 + number)
        _break_in(anyway=waited >= (PATIENCE if _now.holds else _FIRST))
        over.wait(min(AGAIN, LAST))


def _wait_for_the_cause() -> None:
    end = time.monotonic() + min(_FIRST, LAST)
    while _now.cause is None and time.monotonic() < end:
        time.sleep(0.01)


def _break_in(*, anyway: bool = False) -> None:
    """Interrupt every engine where there is a cause and no `held` block, or anyway."""
    with _now.lock:
        if anyway or (_now.cause is not None and not _now.holds):
            for engine, closed in list(_now.engines.items()):
                with suppress(closed):
                    engine.interrupt()
