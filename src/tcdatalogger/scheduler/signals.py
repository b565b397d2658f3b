"""Signals as something to wait for, so that nothing is polled and nothing is broken into."""

from __future__ import annotations

import os
import signal
import threading
from contextlib import suppress
from types import TracebackType
from typing import Any, Final, Self

LAST: Final = 9.0
"""Seconds after the signal to end at which we end, whatever does not come back until then."""

_END: Final = (signal.SIGTERM, signal.SIGINT)


class Signals:
    """Takes SIGTERM, SIGINT and SIGHUP of the process for as long as it is open.

    Attributes:
        last: the signal that asked for the end; None while none did.
        fd: for `multiprocessing.connection.wait`: readable when a signal came.
    """

    def __init__(self) -> None:
        self.last: int | None = None
        self._hangup = False
        self._before: dict[int, Any] = {}
        self.fd, self._writer = os.pipe()
        self._heard, self._raw = os.pipe()
        self._woken = -1
        self._over = threading.Event()

    def __enter__(self) -> Self:
        os.set_blocking(self.fd, False)
        os.set_blocking(self._writer, False)
        hangup = getattr(signal, "SIGHUP", None)  # Windows has none
        for number in (*_END, *([hangup] if hangup is not None else [])):
            with suppress(ValueError):  # not in the main thread: whoever owns that minds them
                self._before[number] = signal.signal(number, self._note)
        os.set_blocking(self._raw, False)
        try:
            self._woken = signal.set_wakeup_fd(self._raw, warn_on_full_buffer=False)
        except ValueError:  # as above
            os.close(self._heard)
        else:
            threading.Thread(target=self._watch, name="signals", daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._over.set()
        for number, handler in self._before.items():
            signal.signal(number, handler)
        if self._before:
            signal.set_wakeup_fd(self._woken)
        for end in (self.fd, self._writer, self._raw):  # the last one ends the thread
            os.close(end)

    def take_hangup(self) -> bool:
        """Whether SIGHUP came since this was asked last; what was waited for is taken."""
        with suppress(BlockingIOError):
            while os.read(self.fd, 64):
                pass
        hangup, self._hangup = self._hangup, False
        return hangup

    def _note(self, number: int, _frame: object) -> None:
        if number in _END:
            self.last = self.last or number
        else:
            self._hangup = True
        with suppress(BlockingIOError):  # it is full: whoever waits is woken anyway
            os.write(self._writer, b"!")

    def _watch(self) -> None:
        """End in time also where the loop is held up: by a state that is locked, or hangs.

        Python calls handlers in the main thread alone, and not before what waits there comes back.
        The runs end with us, what was not committed is rolled back, and leases run out.
        """
        while heard := os.read(self._heard, 1):
            if heard[0] in _END:
                if not self._over.wait(LAST):
                    os._exit(128 + heard[0])
                break
        os.close(self._heard)
