"""Whether the scheduler of an installation is well, asked from outside of its process."""

from __future__ import annotations

import http.client
import ipaddress
import json
import socket
from dataclasses import dataclass
from typing import Any, Final

from tcdatalogger.core.config.settings import Settings
from tcdatalogger.core.state.heartbeats import Heartbeats
from tcdatalogger.core.state.store import State
from tcdatalogger.errors import SchedulerUnavailable
from tcdatalogger.services.channels.limit import TimeLimit

PATIENCE: Final = 4.0
"""Seconds that the scheduler may take to answer."""
_MOST: Final = 10_000
"""Bytes of an answer that are read; `/healthz` has about a hundred."""
_BEGIN: Final = "`tcdatalogger schedule` starts one; its log says why an earlier one ended."


@dataclass(frozen=True, slots=True)
class Health:
    """A scheduler that is well.

    Attributes:
        asked: the address that was asked, "" where the state was read.
        beat_seconds: seconds since it last went round.
    """

    asked: str
    beat_seconds: float


def look(settings: Settings, state: State) -> Health:
    """Look whether the scheduler of a configuration is well.

    It is asked at `metrics.listen`; where that is "", its heartbeat in the state is read.

    Args:
        settings: the configuration.
        state: the state of the configuration, open.

    Raises:
        SchedulerUnavailable: there is none on this machine, it is stuck, or the address belongs to
            another installation or another program.
        StateUnavailable: the state cannot be read now.
    """
    if settings.metrics.listen:
        return _asked(_reachable(settings.metrics.listen), state.installation())
    return _read(state)


def _read(state: State) -> Health:
    now, here = state.clock.now(), socket.gethostname()
    alive = Heartbeats(state).alive(now)
    mine = [beat for beat in alive if beat.host == here]
    if not mine:
        others = sorted({beat.host for beat in alive})
        elsewhere = f" One runs on {' and '.join(others)}." if others else ""
        raise SchedulerUnavailable(
            f"No scheduler of this installation runs on this machine.{elsewhere}", remedy=_BEGIN
        )
    return Health("", max(0.0, now - max(beat.beat_at for beat in mine)))


def _asked(address: str, installation: str) -> Health:
    try:
        status, facts = _get(address)
    except (OSError, http.client.HTTPException) as error:
        why = getattr(error, "strerror", None) or error or type(error).__name__
        raise SchedulerUnavailable(
            f"No scheduler answers at {address}: {why}.", remedy=_BEGIN
        ) from None
    if facts.get("installation") != installation:
        raise SchedulerUnavailable(
            f"What answers at {address} is not the scheduler of this installation.",
            remedy="Name another address in [metrics] listen, and start the scheduler again.",
        )
    seconds = float(facts["beat_seconds"])
    if status != http.client.OK:
        raise SchedulerUnavailable(
            f"The scheduler at {address} has not gone round for {seconds:.0f} s.",
            remedy="Its log says why; start it again.",
        )
    return Health(address, seconds)


def _get(address: str) -> tuple[int, dict[str, Any]]:
    """The status and the facts of `/healthz`; no facts where no scheduler of ours answers."""
    host, _, port = address.rpartition(":")
    connection = http.client.HTTPConnection(host.strip("[]"), int(port))
    try:
        with TimeLimit(PATIENCE) as limit:
            connection._create_connection = limit.connect  # type: ignore[attr-defined]  # noqa: SLF001  # as in channels
            connection.request("GET", "/healthz", headers={"Host": address})
            answer = connection.getresponse()
            body = answer.read(_MOST)
    finally:
        connection.close()
    try:
        facts = json.loads(body)
    except (ValueError, RecursionError):
        return answer.status, {}
    known = isinstance(facts, dict) and isinstance(facts.get("beat_seconds"), int | float)
    return answer.status, facts if known else {}


def _reachable(listen: str) -> str:
    """The address at which this machine reaches what listens there: 0.0.0.0 is no destination."""
    host, _, port = listen.rpartition(":")
    try:
        where = ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return listen  # a name
    if not where.is_unspecified:
        return listen
    return f"127.0.0.1:{port}" if where.version == 4 else f"[::1]:{port}"  # noqa: PLR2004  # IPv4
