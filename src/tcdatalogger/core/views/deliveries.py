"""How each channel does, for people and programs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import partial

from tcdatalogger.clock import instant
from tcdatalogger.core.config.settings import Settings
from tcdatalogger.core.state.alerts import Alerts, wants
from tcdatalogger.core.state.deliveries import ChannelState, Deliveries
from tcdatalogger.core.state.store import State


@dataclass(frozen=True, slots=True)
class ChannelStatus:
    """How a channel does.

    Attributes:
        channel, kind, gets: as it is configured.
        sent, failed: how many messages it took, and how many it did not take.
        sent_at: when it took the last one, in UTC; None before the first.
        waiting: alerts of which it has to be told.
        failing_since: since when it takes none, in UTC; None where it took the last one.
        why: why it did not take the last one, None where it did.
    """

    channel: str
    kind: str
    gets: tuple[str, ...]
    sent: int
    failed: int
    sent_at: datetime | None
    waiting: int
    failing_since: datetime | None
    why: str | None


def channels(settings: Settings, state: State | None) -> tuple[ChannelStatus, ...]:
    """How each channel of the configuration does.

    Args:
        settings: the configuration.
        state: None before the first run.

    Raises:
        StateUnavailable: the state cannot be read.
    """
    known = {} if state is None else Deliveries(state).channels()
    made = []
    for each in settings.all_channels:
        found = known.get(each.name, ChannelState(each.name))
        waiting = 0 if state is None else len(Alerts(state).due(each.name, partial(wants, each)))
        made.append(
            ChannelStatus(
                channel=each.name,
                kind=each.kind,
                gets=each.gets,
                sent=found.sent,
                failed=found.failed,
                sent_at=instant(found.sent_at),
                waiting=waiting,
                failing_since=instant(found.failing_since),
                why=found.why or None,
            )
        )
    return tuple(made)
