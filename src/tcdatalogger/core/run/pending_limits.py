"""For how long and how often it is tried to store a pending run; the scheduler asks that too."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from tcdatalogger.core.state.store import RunRecord

TRIES: Final = 5
"""After so many tries without an end a run is left to `tcdatalogger replay`: answers that kill
whoever reads them, or take for ever, would else keep their endpoint from running for ever."""


def longest(timeout: float | None, pending: Iterable[RunRecord]) -> float | None:
    """Seconds that a run may take to store pending runs, beside its own time; None for no limit.

    As many as it may take itself, and with each try in vain as many again.
    """
    if timeout is None:
        return None
    return max((timeout * (1 + min(one.tries, TRIES - 1)) for one in pending), default=0.0)
