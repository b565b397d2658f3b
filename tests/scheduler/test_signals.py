"""Signals as the loop sees them, in a real process."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
import time

import pytest

HELD_UP = """
import signal, sqlite3, sys
from tcdatalogger import ending
from tcdatalogger.scheduler import signals

ending.LAST = 0.3
with ending.watched(), signals.Signals():
    print("ready", flush=True)
    sqlite3.connect(sys.argv[1], timeout=30).execute("begin immediate")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGTERM")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_who_waits_for_a_locked_state_ends_in_time(tmp_path, number):
    file = tmp_path / "state.sqlite"
    locked = sqlite3.connect(file, isolation_level=None)
    locked.execute("begin immediate")
    process = subprocess.Popen([sys.executable, "-c", HELD_UP, file], stdout=subprocess.PIPE)
    try:
        assert process.stdout.readline() == b"ready\n"
        time.sleep(0.1)  # until it waits within SQLite, where no handler of Python's is called
        process.send_signal(number)
        assert process.wait(20) == 128 + number
    finally:
        process.kill()
        process.communicate()
        locked.close()
