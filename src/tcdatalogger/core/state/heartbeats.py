"""Which daemons are alive: each writes a heartbeat every few seconds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from tcdatalogger.core.state.database import Tables
from tcdatalogger.core.state.leases import ClaimOwner

BEAT: Final = 5.0
"""Seconds between two heartbeats."""

SILENT: Final = 4 * BEAT
"""Seconds without a heartbeat after which a daemon does not count as alive."""

_FORGOTTEN: Final = 86_400.0


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """The last heartbeat of a daemon; times are seconds since 1970.

    Attributes:
        owner: the daemon, as the owner of its claims.
        host, pid: the machine and the number of its process.
        started_at: when it began.
        beat_at: when it wrote this heartbeat.
        workers: how many runs it has at once at most.
        running: how many runs it has now.
    """

    owner: str
    host: str
    pid: int
    started_at: float
    beat_at: float
    workers: int
    running: int


class Heartbeats:
    """The table of daemons.

    Args:
        state: the state database.
    """

    def __init__(self, state: Tables) -> None:
        self._state = state

    def write(self, beat: Heartbeat) -> None:
        """Write a heartbeat, and delete those that are older than a day."""
        with self._state.writing() as db:
            db.execute(
                """insert into daemons (owner, host, pid, started_at, beat_at, workers, running)
                values (?, ?, ?, ?, ?, ?, ?)
                on conflict (owner) do update set beat_at = excluded.beat_at,
                workers = excluded.workers, running = excluded.running""",
                (beat.owner, beat.host, beat.pid, beat.started_at, beat.beat_at, beat.workers,
                 beat.running),
            )  # fmt: skip
            db.execute("delete from daemons where beat_at < ?", (beat.beat_at - _FORGOTTEN,))

    def gone(self, owner: str) -> None:
        """Delete the heartbeat of a daemon that has ended."""
        with self._state.writing() as db:
            db.execute("delete from daemons where owner = ?", (owner,))

    def alive(self, now: float, *, but: str = "") -> list[Heartbeat]:
        """The daemons with a recent heartbeat; those of this machine only if the process lives.

        A process of another container cannot be looked up, so its heartbeat is believed.

        Args:
            now: seconds since 1970.
            but: the owner of a daemon that is left out; "" for none.
        """
        rows = self._state.reading(
            "select owner, host, pid, started_at, beat_at, workers, running from daemons "
            "where beat_at > ? order by started_at, owner",
            (now - SILENT,),
        )
        found = [Heartbeat(*row) for row in rows]
        return [
            beat for beat in found if beat.owner != but and not ClaimOwner.read(beat.owner).gone
        ]
