"""Which daemons are alive: each writes its row down every few seconds."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from typing import Final

from tcdatalogger.core.state.store import State

BEAT: Final = 5.0
"""Seconds between two signs of life."""

SILENT: Final = 4 * BEAT
"""Seconds after which a daemon without one is not counted any more."""

_FORGOTTEN: Final = 86_400.0


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """A daemon's last sign of life; times are seconds since 1970.

    Attributes:
        owner: as it owns leases.
        workers: how many runs it takes at once.
        running: how many it has now.
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

    def __init__(self, state: State) -> None:
        self._state = state

    def write(self, beat: Heartbeat) -> None:
        """Write a sign of life down, and let go of who was silent for a day."""
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
        """A daemon has ended as it should."""
        with self._state.writing() as db:
            db.execute("delete from daemons where owner = ?", (owner,))

    def alive(self, now: float, *, but: str = "") -> list[Heartbeat]:
        """Who gave a sign of life of late; on this machine, only whose process is there.

        Args:
            now: seconds since 1970.
            but: the owner who asks, who is left out.
        """
        rows = self._state.reading(
            "select owner, host, pid, started_at, beat_at, workers, running from daemons "
            "where beat_at > ? order by started_at, owner",
            (now - SILENT,),
        )
        found = [Heartbeat(*row) for row in rows]
        here = socket.gethostname()
        return [
            beat for beat in found if beat.owner != but and (beat.host != here or _there(beat.pid))
        ]


def _there(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
