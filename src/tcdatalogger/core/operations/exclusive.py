"""Claims an endpoint, or all of them, for an operation that changes tables: no run goes on then."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager

from tcdatalogger.core.main import Application
from tcdatalogger.core.run.load import Guard
from tcdatalogger.core.state.leases import BACKFILL, Claim
from tcdatalogger.core.state.run_id import new_run_id
from tcdatalogger.errors import Busy


@contextmanager
def exclusive(
    application: Application, endpoint: str, by: str, *, dry: bool = False, patience: float = 0.0
) -> Iterator[Guard]:
    """Claim an endpoint until the end of the block; yields the guard for commits.

    The claim comes before the warehouse is opened, as in a run: otherwise both could wait for each
    other.

    Args:
        application: the application.
        endpoint: the name of the endpoint.
        by: the id of the operation, in the form of a run id.
        dry: whether nothing will be changed; then nothing is claimed.
        patience: seconds to wait for it.

    Raises:
        Busy: a run or another operation has the endpoint; the message names it.
        StateUnavailable: the state cannot be reached.
    """
    if dry:
        yield Guard()
        return
    with ExitStack() as stack:
        claim = _waited(application, stack, endpoint, by, patience, forgets=False)
        yield application.guard(claim, endpoint)


@contextmanager
def everything(
    application: Application,
    known: Iterable[str],
    *,
    others: tuple[str, ...] = (),
    patience: float = 0.0,
    forgets: bool = False,
) -> Iterator[Callable[[], None]]:
    """Claim all endpoints and their backfills; yields what asks whether they are still claimed.

    Args:
        application: with the endpoints that are configured.
        known: endpoints that the warehouse knows besides.
        others: other names that are claimed, as that of backups.
        patience: seconds to wait for each of them.
        forgets: as for `Application.claimed`.

    Raises:
        Busy: somebody else has one of them; the message names it.
    """
    configured = [endpoint.name for endpoint in application.settings.endpoints]
    by = new_run_id(application.clock)
    with ExitStack() as stack:
        fences = []
        names = [each for name in sorted({*known, *configured}) for each in (name, name + BACKFILL)]
        for name in (*names, *others):
            claim = _waited(application, stack, name, by, patience, forgets=forgets)
            fences.append(application.guard(claim, name).fence)

        def ask() -> None:
            for fence in fences:
                if fence is not None:
                    fence()

        yield ask


def _waited(
    application: Application,
    stack: ExitStack,
    name: str,
    by: str,
    patience: float,
    *,
    forgets: bool,
) -> Claim:
    """Claim a name, after a wait where somebody has it.

    Raises:
        Busy: somebody has it for longer.
    """
    clock = application.clock
    until = clock.now() + patience
    while True:
        try:
            return stack.enter_context(application.claimed(name, by, forgets=forgets))
        except Busy:
            if clock.now() >= until:
                raise
            clock.sleep(0.5)
