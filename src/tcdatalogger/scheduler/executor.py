"""The seam: who takes a claimed run and brings back how it ended.

By forkserver here (`forkserver.py`), by Celery in `examples/celery`: `Executor` and `Handle`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final, Protocol, Self

from tcdatalogger.core.config.settings import EndpointSettings, Settings
from tcdatalogger.core.state.leases import BACKUP, Claim

MOST: Final = 64 * 1024
"""Bytes of a report that are read; more than that is none."""

LONGEST: Final = 2_000
"""Characters of a text that a report takes along: of any kind they fit in `MOST`."""


@dataclass(frozen=True, slots=True)
class Job:
    """A claimed run, whole: whoever runs it reads no configuration.

    It holds references to keys, never a key.

    Attributes:
        settings: with this endpoint as their only one; a backup has none.
        claim: of the endpoint's lease, or of the backup's; what is stored is fenced by it.
        logs: arguments of `observability.log.configure`.
    """

    run_id: str
    settings: Settings
    claim: Claim
    logs: Mapping[str, Any] = field(default_factory=dict)

    @property
    def endpoint(self) -> EndpointSettings:
        return self.settings.endpoints[0]

    @property
    def name(self) -> str:
        """The endpoint's, or `BACKUP`."""
        return self.claim.endpoint

    @property
    def timeout(self) -> float:
        """Seconds after which it is to be ended."""
        it = self.settings.backup if self.name == BACKUP else self.endpoint
        return it.timeout.seconds or 0.0

    @property
    def memory(self) -> str | None:
        """How much it may take; None for a backup, which has no endpoint's data to grow with."""
        return None if self.name == BACKUP else self.endpoint.memory


@dataclass(frozen=True, slots=True)
class Report:
    """How a run ended, as its process said it.

    Attributes:
        status: as in its record.
        rows: stored, by table.
        seconds: that it took.
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
        facts = asdict(self)
        facts |= {name: facts[name][:LONGEST] for name in ("error", "remedy")}
        return json.dumps(facts).encode()

    @classmethod
    def unpacked(cls, data: bytes) -> Self | None:
        """The report of these bytes; None where they are no whole one."""
        try:
            facts: Any = json.loads(data)
            return cls(**facts)
        except (ValueError, TypeError):
            return None


@dataclass(frozen=True, slots=True)
class Exit:
    """The end of a run's process.

    Attributes:
        report: what it said last; None where it was cut off before.
        exit_code: of the process, as `subprocess` has it: -9 for SIGKILL.
    """

    report: Report | None
    exit_code: int


class Handle(Protocol):
    """A run that has begun."""

    @property
    def waitables(self) -> list[Any]:
        """What `multiprocessing.connection.wait` wakes up for when there is news of it."""
        ...

    @property
    def pid(self) -> int: ...

    def ended(self) -> Exit | None:
        """How it ended, None while it runs; nothing of it is alive after the end."""
        ...

    def terminate(self) -> None:
        """Ask it to end at the next safe place."""
        ...

    def kill(self) -> None:
        """End it now, with all that it started."""
        ...


class Executor(Protocol):
    """Begins runs, each in isolation from the others."""

    def __call__(self, job: Job) -> Handle:
        """Begin a run.

        Raises:
            Busy: there is no room for it now.
        """
        ...

    def close(self) -> None:
        """Let go of what was kept ready for runs to come."""
        ...
