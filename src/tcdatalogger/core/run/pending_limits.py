"""How long and how often a pending run is tried; the scheduler uses these limits, too."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from tcdatalogger.core.state.store import RunRecord

TRIES: Final = 5
"""After this many tries without an end a run is left to `tcdatalogger replay`: otherwise answers
that kill their process, or take for ever, would block their endpoint."""


def longest(timeout: float | None, pending: Iterable[RunRecord]) -> float | None:
    """Seconds that a run may take to store pending runs, in addition to its own timeout.

    It is the timeout once, and once more for each failed try of a pending run.

    Args:
        timeout: the timeout of a run in seconds, None for no limit.
        pending: the pending runs.
    """
    if timeout is None:
        return None
    return max((timeout * (1 + min(one.tries, TRIES - 1)) for one in pending), default=0.0)
