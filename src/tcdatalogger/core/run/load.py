"""Makes the load of a run from its rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from tcdatalogger.core.state.leases import SECONDS, Claim, Leases
from tcdatalogger.services.torncity.lists.cursor import WalkSummary
from tcdatalogger.services.torncity.processing import time_ranges
from tcdatalogger.services.torncity.processing.task import Fetched, Task, Transformed
from tcdatalogger.services.warehouse.load import Fence, Load


@dataclass(frozen=True, slots=True)
class Guard:
    """The claim under which rows are stored; a commit is refused where the claim is lost.

    Attributes:
        token, fence: as those of a load; None where nothing is claimed.
    """

    token: int | None = None
    fence: Fence = None

    @classmethod
    def of(cls, leases: Leases, claim: Claim, endpoint: str, seconds: float = SECONDS) -> Guard:
        """The guard of a claim.

        Tokens are compared for claims of one name only: a backfill runs beside regular runs.

        Args:
            leases: the claims of the state.
            claim: the claim.
            endpoint: the name of the endpoint.
            seconds: how long the claim lasts without a renewal.
        """
        token = claim.token if claim.endpoint == endpoint else None
        return cls(token, partial(leases.check, claim, seconds))


def load_of(
    task: Task,
    fetched: Fetched,
    made: Transformed,
    guard: Guard,
    *,
    cursor: str | None,
    digest: str | None = None,
    at: float,
) -> Load:
    """The load of a run.

    Args:
        task: the task of the run.
        fetched: the answers from which the rows were made.
        made: the validated rows.
        guard: the claim of the run.
        cursor: the cursor of the endpoint in the ledger, None for none.
        digest: the digest of the answers, where it may be compared with that of the next run.
        at: the time of the commit, seconds since 1970.
    """
    readings = made.readings(fetched)
    stretch = fetched.stretch
    return Load(
        id=task.load_id,
        run_id=task.run_id,
        endpoint=task.name,
        mode=task.mode,
        family=made.family,
        tables=made.tables,
        catalog_version=task.catalog_version,
        committed_at=at,
        archive=fetched.archive,
        drift=made.drift,
        rejected=made.rejected,
        once=task.once,
        cursor=time_ranges.cursor(task, cursor, readings, stretch),
        stretch=stretch.text(task.asked) if stretch else None,
        digest=digest,
        token=guard.token,
        fence=guard.fence,
        checks=made.checks,
        whole=made.whole_of(fetched),
        listed=None if task.once else _listed(made, readings),
        max_drop=task.max_drop,
        path=task.endpoint.path,
        key_owner=fetched.key_owner,
    )


def _listed(made: Transformed, readings: Sequence[WalkSummary]) -> Mapping[int | None, float]:
    """The subjects whose whole list was read, each with the time of the answer.

    A subject with a record that was set aside is left out: the record has not vanished.
    """
    found: dict[int | None, float] = {}
    parts = set(made.rejected_subjects)
    alone = len({reading.place for reading in readings}) < 2  # noqa: PLR2004 - ids that are no numbers
    for reading in readings:
        subject = int(reading.place) if reading.place.isdecimal() else None
        if reading.complete and reading.at and (alone or subject is not None):
            found[subject] = float(reading.at)
        else:
            parts.add(subject)
    return {subject: at for subject, at in found.items() if subject not in parts}
