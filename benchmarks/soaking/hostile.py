"""Processors that go wrong, each in its own way, every time."""

from __future__ import annotations

import os
import signal
import subprocess
import time

from tcdatalogger.services.torncity.processing.base import EndpointProcessor


class Hang(EndpointProcessor):
    """Waits for ever, and ends when it is told to."""

    def fetch_data(self):
        time.sleep(10**6)


class Stubborn(EndpointProcessor):
    """Waits for ever, with a process of its own, and does not listen."""

    def fetch_data(self):
        for name in ("SIGTERM", "SIGALRM", "SIGINT", "SIGHUP"):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
        subprocess.Popen(["sleep", "600"])
        while True:
            time.sleep(10)


class Leak(EndpointProcessor):
    """Takes memory until there is none."""

    def fetch_data(self):
        held = []
        while True:
            held.append(bytearray(8_000_000))


class Abort(EndpointProcessor):
    """Crashes as a library in C does."""

    def fetch_data(self):
        os.abort()
