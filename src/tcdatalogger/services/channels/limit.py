"""A limit on the whole time of a delivery, whatever the other side does.

The timeout of a socket is for each read alone: a server that sends one byte every few seconds keeps
its client for ever. Here a timer shuts the connection when the time is over.
"""

from __future__ import annotations

import socket
import time
from contextlib import suppress
from threading import Timer
from types import TracebackType
from typing import Final, Self

CONNECTING: Final = 10.0
"""Seconds that a connection to one address may take."""


class TimeLimit:
    """Connections that are cut when the time is over; for a `with` block.

    Args:
        seconds: how long all of it may take.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.over = False
        """Whether the time was over before the end of the block."""
        self._ends = time.monotonic() + seconds
        self._held: list[socket.socket] = []
        self._timer = Timer(seconds, self._cut)
        self._timer.daemon = True

    def __enter__(self) -> Self:
        self._timer.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._timer.cancel()
        for each in self._held:
            each.close()

    def connect(
        self,
        address: tuple[str, int],
        timeout: object = None,
        source_address: object = None,
        **_options: object,
    ) -> socket.socket:
        """Connect, within the time that is left; in the place of `socket.create_connection`.

        Args:
            address: host and port.
            timeout: not used, as source_address; libraries give them.
            source_address: not used.

        Raises:
            OSError: it cannot be reached, or the time is over.
        """
        del timeout, source_address
        left = self._ends - time.monotonic()
        if left <= 0:
            raise TimeoutError
        found = socket.create_connection(address, timeout=min(left, CONNECTING))
        found.settimeout(left)
        # A second handle: TLS takes the first one over, and both end the same connection.
        self._held.append(found.dup())
        if self.over:  # a name may have many addresses, and each may take its time
            found.close()
            raise TimeoutError
        return found

    def _cut(self) -> None:
        self.over = True
        for each in self._held:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
