"""Told to end: what a signal or a limit of time does, wherever the process is just then.

Python calls handlers in the main thread alone, and what they raise is lost where an engine at work
makes an error of its own of it. So the cause is kept, a thread breaks into the engines that are at
work, and whoever meets an error of theirs asks here first. What comes back from nowhere ends with
the process, as by SIGKILL: a run that had fetched is pending then.
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
"""Seconds after the signal to end at which we end, whatever does not come back until then."""

PATIENCE: Final = 5.0
"""Seconds that what is better finished (`held`) gets, before it is broken into too."""

AGAIN: Final = 0.25
"""Seconds until an engine is broken into again: it may have been between two pieces of work."""

_FIRST: Final = 1.0
"""Seconds that Python's own handler gets to say why, before an engine is broken into."""

ENDS: Final = (signal.SIGTERM, signal.SIGINT)
_ALARM: Final = getattr(signal, "SIGALRM", None)  # Windows has none


class Engine(Protocol):
    """What works for long without Python, as a connection to a database."""

    def interrupt(self) -> None:
        """Break its work off; called in another thread."""
        ...


class _Now:
    """How it stands in this process, which has one set of signals."""

    def __init__(self) -> None:
        self.cause: BaseException | None = None
        self.holds = 0
        self.engines: WeakKeyDictionary[Engine, type[Exception]] = WeakKeyDictionary()
        self.lock = threading.Lock()


_now = _Now()


def watch_over(engine: Engine, closed: type[Exception]) -> None:
    """Break into an engine when it is to end, for as long as it is there.

    Args:
        engine: that works.
        closed: what `interrupt` raises where the engine has ended.
    """
    with _now.lock:
        _now.engines[engine] = closed


def because(cause: BaseException) -> None:
    """Say why what goes on is to end; the first cause stays."""
    _now.cause = _now.cause or cause


def no_longer(cause: BaseException) -> None:
    """What was to end for this cause has ended; what comes next is not broken into."""
    with _now.lock:
        if _now.cause is cause:
            _now.cause = None


def stands(cause: BaseException) -> bool:
    """Whether what goes on is still to end for this cause."""
    return _now.cause is cause


def check() -> None:
    """Raise why it is to end, where it is: asked when an engine's work fails."""
    if _now.cause is not None:
        raise _now.cause from None


@contextmanager
def held() -> Iterator[None]:
    """Let no signal and no limit of time cut in; what came does at the end what it would have done.

    For short work that is better finished. Where it does not come back in time its engine is broken
    into. In another thread than the first nothing cuts in anyway.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []
    numbers = [*ENDS, *([] if _ALARM is None else [_ALARM])]
    former: dict[int, Any] = {
        number: signal.signal(number, lambda its, _frame: came.append(its)) for number in numbers
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
    """Answer SIGTERM by `Stopped` and SIGINT by `KeyboardInterrupt` until the end of the block.

    Args:
        numbers: of the signals, both where none is named.
        kills: whether the process ends `LAST` seconds after the signal, even if an engine has not
            returned. False for a process that holds more than this work, as a notebook.

    In another thread than the first nothing is done: whoever owns that minds the signals.
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
    """End in time whatever the main thread is held up by, until the end of the block."""
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
    for each in ENDS:  # whoever asks twice waits: a second one would break into the tidying up
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
    """See to it that the process ends.

    The runs of a scheduler end with it, what was not committed is rolled back, leases run out.
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
    """Break into every engine, where there is a cause, and nothing that is better finished."""
    with _now.lock:
        if anyway or (_now.cause is not None and not _now.holds):
            for engine, closed in list(_now.engines.items()):
                with suppress(closed):
                    engine.interrupt()
