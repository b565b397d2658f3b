"""An endpoint claimed for what changes its tables without a run: no run interleaves with it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tcdatalogger.core.main import Application
from tcdatalogger.core.run.load import Guard


@contextmanager
def exclusive(
    application: Application, endpoint: str, by: str, *, dry: bool = False
) -> Iterator[Guard]:
    """Have an endpoint alone until the end of the block; the guard of what is stored in it.

    Claim before the warehouse is opened, as a run does: else each would wait for the other.

    Args:
        application: with the state.
        endpoint: its name.
        by: an id of the run's kind, under which it is claimed.
        dry: whether nothing will be changed; then nothing is claimed.

    Raises:
        Busy: a run has it, or another of these; the message says who.
        StateUnavailable: the state cannot be reached.
    """
    if dry:
        yield Guard()
        return
    with application.claimed(endpoint, by) as claim:
        yield application.guard(claim, endpoint)
