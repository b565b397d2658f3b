"""An endpoint claimed for what changes its tables without a run: no run interleaves with it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial

from tcdatalogger.core.main import Application
from tcdatalogger.services.torncity.task import Tools
from tcdatalogger.services.warehouse import Fence, Load


@dataclass(frozen=True, slots=True)
class Fenced:
    """Puts the claim on a load, so that it is refused where the claim was lost meanwhile.

    Attributes:
        token, fence: as those of a load; None where nothing is claimed.
    """

    token: int | None = None
    fence: Fence = None

    def __call__(self, load: Load) -> Load:
        return replace(load, token=self.token, fence=self.fence)

    def tools(self, tools: Tools) -> Tools:
        """The same for what a run works with."""
        return replace(tools, token=self.token, fence=self.fence)


@contextmanager
def alone(
    application: Application, endpoint: str, by: str, *, dry: bool = False
) -> Iterator[Fenced]:
    """Have an endpoint alone until the end of the block.

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
        yield Fenced()
        return
    with application.claimed(endpoint, by) as claim:
        yield Fenced(claim.token, partial(application.state.leases.check, claim))
