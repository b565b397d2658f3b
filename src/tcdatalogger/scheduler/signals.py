"""Signals as something to wait for: nothing is polled, and no work is interrupted."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from typing import Any, Self

from tcdatalogger.ending import ENDS


class Signals:
    """Receives SIGTERM, SIGINT and SIGHUP of this process for as long as it is open.

    Attributes:
        last: the number of the first signal that asked for the end; None before one came.
        fd: a file descriptor for `multiprocessing.connection.wait`: readable when a signal came.
    """

    def __init__(self) -> None:
        self.last: int | None = None
        self._hangup = False
        self._before: dict[int, Any] = {}
        self.fd, self._writer = os.pipe()

    def __enter__(self) -> Self:
        os.set_blocking(self.fd, False)
        os.set_blocking(self._writer, False)
        hangup = getattr(signal, "SIGHUP", None)  # Windows has none
        for number in (*ENDS, *([hangup] if hangup is not None else [])):
            with suppress(ValueError):  # not in the main thread: its owner answers signals
                self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        for end in (self.fd, self._writer):
            os.close(end)

    def take_hangup(self) -> bool:
        """Whether SIGHUP came since the last call; `fd` is not readable afterwards."""
        with suppress(BlockingIOError):
            while os.read(self.fd, 64):
                pass
        hangup, self._hangup = self._hangup, False
        return hangup

    def _note(self, number: int, _frame: object) -> None:
        if number in ENDS:
            self.last = self.last or number
        else:
            self._hangup = True
        with suppress(BlockingIOError):  # the pipe is full: who waits wakes up anyway
            os.write(self._writer, b"!")
