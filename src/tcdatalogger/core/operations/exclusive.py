"""Claims an endpoint for an operation that changes its tables, so no run goes on meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tcdatalogger.core.main import Application
from tcdatalogger.core.run.load import Guard


@contextmanager
def exclusive(
    application: Application, endpoint: str, by: str, *, dry: bool = False
) -> Iterator[Guard]:
    """Claim an endpoint until the end of the block; yields the guard for commits.

    The claim comes before the warehouse is opened, as in a run: otherwise both could wait for each
    other.

    Args:
        application: the application.
        endpoint: the name of the endpoint.
        by: the id of the operation, in the form of a run id.
        dry: whether nothing will be changed; then nothing is claimed.

    Raises:
        Busy: a run or another operation has the endpoint; the message names it.
        StateUnavailable: the state cannot be reached.
    """
    if dry:
        yield Guard()
        return
    with application.claimed(endpoint, by) as claim:
        yield application.guard(claim, endpoint)
