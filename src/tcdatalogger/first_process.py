"""What the first process of a container does for the others: it passes signals on, reaps orphans.

The kernel gives a process whose parent has ended to process 1, and it stays a zombie until that one
has waited for it. So where this program is process 1, it does its work in a child and waits in the
parent. This module imports no other module of the package.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Final

FIRST: Final = 1
"""The number of the first process of a container, and of a machine."""

_SIGNALLED: Final = 128
"""Added to the number of the signal that ended a process, as shells do it."""


def needed() -> bool:
    """Whether this is the first process."""
    return os.getpid() == FIRST


def run(work: Callable[[], int]) -> int:
    """Do the work in a child process; returns its exit code, or 128 and the signal that ended it.

    Call it before threads begin, as it forks. A child on a terminal is its foreground, so Ctrl-C
    reaches it once.

    Args:
        work: does the work, and returns the exit code of its process.
    """
    passed_on = signal.valid_signals() - _never_passed_on()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, passed_on)
    child = os.fork()
    if child == 0:
        with suppress(OSError):  # no terminal
            os.setpgid(0, 0)
            signal.signal(signal.SIGTTOU, signal.SIG_IGN)
            os.tcsetpgrp(sys.__stdin__.fileno() if sys.__stdin__ else 0, os.getpgrp())
        signal.signal(signal.SIGTTOU, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        return work()
    while True:
        came = signal.sigwait(passed_on)
        if came != signal.SIGCHLD:
            with suppress(ProcessLookupError):
                os.kill(child, came)
        elif (ended := _reaped(child)) is not None:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
            return ended


def _never_passed_on() -> set[signal.Signals | int]:
    """Signals of faults in this process itself, and of terminals."""
    names = "SIGFPE SIGILL SIGSEGV SIGBUS SIGABRT SIGTRAP SIGSYS SIGTTIN SIGTTOU SIGKILL SIGSTOP"
    return {getattr(signal, name) for name in names.split() if hasattr(signal, name)}


def _reaped(child: int) -> int | None:
    """Wait for all children that have ended; the exit code of `child`, if it is among them."""
    code = None
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return code
        if pid == 0:
            return code
        if pid == child:
            code = os.waitstatus_to_exitcode(status)
            code = _SIGNALLED - code if code < 0 else code
