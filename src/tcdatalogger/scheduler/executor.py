"""The seam between the scheduler and whatever runs a claimed run.

An `Executor` begins a run and gives a `Handle` to it. `forkserver.py` has ours; `examples/celery`
has one for Celery.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final, Protocol, Self, runtime_checkable

from tcdatalogger.core.config.exports import ExportSettings
from tcdatalogger.core.config.settings import EndpointSettings, Settings
from tcdatalogger.core.state import leases
from tcdatalogger.core.state.leases import Claim

MOST: Final = 64 * 1024
"""Bytes of a report at most; a longer one is not read."""

CATALOG_TIMEOUT: Final = 180.0
"""Seconds that a look at Torn's document may take."""

LONGEST: Final = 2_000
"""Characters of a text in a report at most; so a report fits into `MOST` bytes."""


@dataclass(frozen=True, slots=True)
class Job:
    """A claimed run with all that it needs: who runs it reads no configuration.

    It holds references to keys, never a key.

    Attributes:
        run_id: the id of the run.
        settings: the configuration of this work alone (`settings_for`).
        claim: the claim of the work; a run can store only while it holds.
        logs: arguments of `observability.log.configure`.
    """

    run_id: str
    settings: Settings
    claim: Claim
    logs: Mapping[str, Any] = field(default_factory=dict)

    @property
    def endpoint(self) -> EndpointSettings:
        """The endpoint to run.

        Raises:
            IndexError: this is a backup, which has no endpoint.
        """
        return self.settings.endpoints[0]

    @property
    def export(self) -> ExportSettings:
        """The export to write, for a job of that name.

        Raises:
            StopIteration: it is not configured.
        """
        wanted = self.name.removeprefix(leases.EXPORT)
        return next(each for each in self.settings.exports if each.name == wanted)

    @property
    def name(self) -> str:
        """The name of the endpoint, or the name of other work, as `BACKUP`."""
        return self.claim.endpoint

    @property
    def timeout(self) -> float:
        """Seconds that the run may take."""
        match self.name:
            case leases.BACKUP | leases.PRUNE:  # both read what there is
                timeout = self.settings.backup.timeout
            case leases.CATALOG:
                return CATALOG_TIMEOUT
            case leases.DIGEST:
                timeout = self.settings.digest.timeout
            case name if name.startswith(leases.EXPORT):
                timeout = self.export.timeout
            case _:
                timeout = self.endpoint.timeout
        return timeout.seconds or 0.0

    @property
    def shares(self) -> bool:
        """Whether a process may run it that has run another, and then run another.

        Not where it is a user's own processor, which may leave anything behind, and not what is no
        run of an endpoint, whose name begins with a slash.
        """
        return not self.name.startswith("/") and not self.endpoint.processor

    @property
    def memory(self) -> str | None:
        """The memory that the run may take, as `500MB`; None for a backup and the like."""
        if self.name.startswith(leases.EXPORT):
            return self.export.memory
        return None if self.name.startswith("/") else self.endpoint.memory


def settings_for(settings: Settings, name: str) -> Settings:
    """The configuration for one piece of work.

    Args:
        settings: the whole configuration.
        name: of the work: an endpoint, which is then the only one; `BACKUP`, which has none; or
            `CATALOG`, `PRUNE`, `DIGEST` and exports, which may need all of them.
    """
    alone = name in {leases.CATALOG, leases.DIGEST, leases.PRUNE}
    if alone or name.startswith(leases.EXPORT):
        return settings
    only = tuple(each for each in settings.endpoints if each.name == name)
    return settings.model_copy(update={"endpoints": only})


@dataclass(frozen=True, slots=True)
class Report:
    """How a run ended, as its process reported it.

    Attributes:
        status: the status of the run, as in its record.
        exit_code: the exit code that a command would have.
        error, error_class, remedy: what went wrong and what to do, "" where nothing did.
        rows: how many rows were stored in each table.
        seconds: how long the steps took.
        calls: how many calls went to Torn.
    """

    status: str
    exit_code: int = 0
    error: str = ""
    error_class: str = ""
    remedy: str = ""
    rows: Mapping[str, int] = field(default_factory=dict)
    seconds: float = 0.0
    calls: int = 0

    def packed(self) -> bytes:
        """The report as bytes of JSON; long texts are cut to `LONGEST`."""
        facts = asdict(self)
        facts |= {name: facts[name][:LONGEST] for name in ("error", "remedy")}
        return json.dumps(facts).encode()

    @classmethod
    def unpacked(cls, data: bytes) -> Self | None:
        """The report in these bytes; None where they hold no whole report."""
        try:
            facts: Any = json.loads(data)
            return cls(**facts)
        except (ValueError, TypeError):
            return None


@dataclass(frozen=True, slots=True)
class Exit:
    """The end of the process of a run.

    Attributes:
        report: its report; None where the process ended before it could send one.
        exit_code: the exit code of the process, as `subprocess` has it: -9 for SIGKILL.
    """

    report: Report | None
    exit_code: int


class Handle(Protocol):
    """A run that has begun, for the scheduler."""

    @property
    def waitables(self) -> list[Any]:
        """Objects for `multiprocessing.connection.wait`: one is ready when there is news."""
        ...

    @property
    def pid(self) -> int:
        """The number of the process; 0 where there is none on this machine."""
        ...

    def ended(self) -> Exit | None:
        """How the run ended; None while it runs. After the end no process of the run is alive."""
        ...

    def terminate(self) -> None:
        """Ask the run to end at the next safe place."""
        ...

    def kill(self) -> None:
        """End the run now, with every process that it started."""
        ...


class Executor(Protocol):
    """Begins runs, each isolated from the others."""

    def __call__(self, job: Job) -> Handle:
        """Begin a run.

        Raises:
            Busy: no process can be had for it now.
        """
        ...

    def close(self) -> None:
        """Release what was kept ready for later runs."""
        ...


@runtime_checkable
class Resting(Protocol):
    """An `Executor` whose processes wait for another run when they have ended one."""

    def rest(self) -> None:
        """Release what waits: nothing more can be begun now."""
        ...
