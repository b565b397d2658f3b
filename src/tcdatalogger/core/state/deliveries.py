"""What each channel was told, and how it does: one row for a channel, and one for what it was told.

A channel is claimed by one daemon at a time, which delivers all that is new for it in one message.
If that daemon dies before it has noted how the delivery ended, another one claims the channel. So
nothing is told twice, with one exception: a daemon dies between the answer of the receiver and its
note here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from tcdatalogger.core.state.database import Statements, Tables

TAKING: Final = 90.0
"""Seconds after which another daemon may claim a channel of which it is not known how its delivery
ended."""

_COLUMNS: Final = "name, taken_until, tries, failing_since, why, sent, failed, sent_at"


@dataclass(frozen=True, slots=True)
class ChannelState:
    """How a channel does. Times are seconds since 1970.

    Attributes:
        name: of the channel.
        taken_until: no daemon claims it before.
        tries: how many deliveries failed since the last one that was accepted.
        failing_since: when the first of these failed; None where the last one was accepted.
        why: why the last one failed, "" where it was accepted.
        sent, failed: how many deliveries were accepted, and how many failed.
        sent_at: when the last one was accepted; None before the first.
    """

    name: str
    taken_until: float = 0.0
    tries: int = 0
    failing_since: float | None = None
    why: str = ""
    sent: int = 0
    failed: int = 0
    sent_at: float | None = None


class Deliveries:
    """The tables of channels and of what they were told.

    Args:
        database: the state database.
    """

    def __init__(self, database: Tables) -> None:
        self._database = database

    def channels(self) -> dict[str, ChannelState]:
        """How each channel does that something was delivered to, by name."""
        rows = self._database.reading(f"select {_COLUMNS} from channel_states order by name")
        return {row[0]: ChannelState(*row) for row in rows}

    def times(self, event: str) -> dict[str, float]:
        """When each channel was told of an event, in seconds since 1970."""
        rows = self._database.reading(
            "select channel, told_at from deliveries where event = ? and told_at is not null "
            "order by channel",
            (event,),
        )
        return {str(channel): float(at) for channel, at in rows}

    def accepted(self, channel: str, event: str, now: float) -> None:
        """Note that a delivery was accepted that no daemon had claimed: of answers, or a test.

        Args:
            channel: the name of the channel.
            event: what it was told of, "" for nothing that is to be known later.
            now: seconds since 1970.
        """
        with self._database.writing() as db:
            succeeded(db, channel, now, release=False)
            if event:
                tell(db, channel, event, now)

    def refused(self, channel: str, why: str, now: float) -> None:
        """Note that such a delivery failed; what is claimed later does not wait for it.

        Args:
            channel: the name of the channel.
            why: why it failed.
            now: seconds since 1970.
        """
        with self._database.writing() as db:
            failed(db, channel, why, now, until=None)


def put_right(db: Statements, now: float) -> None:
    """Move times that lie in the future to now, after a clock that was ahead.

    Args:
        db: an open transaction.
        now: seconds since 1970.
    """
    for name in ("failing_since", "sent_at"):
        db.execute(f"update channel_states set {name} = ? where {name} > ?", (now, now))
    db.execute(
        "update channel_states set taken_until = ? where taken_until > ?",
        (now + TAKING, now + _LONGEST),
    )
    db.execute("update deliveries set told_at = ? where told_at > ?", (now, now))


_LONGEST: Final = 4_000.0
"""Seconds: no receiver is waited for as long as this."""


# --- within a transaction of the table of alerts ------------------------------------------------


def known(rows: Iterable[tuple[str, float | None]]) -> dict[str, float | None]:
    """What `OF_CHANNEL` gave: when each event was told, None where that is not known to be done."""
    return {str(event): None if at is None else float(at) for event, at in rows}


OF_CHANNEL: Final = "select event, told_at from deliveries where channel = ? order by event"
EVENTS: Final = "select distinct event from deliveries order by event"
"""The events of which some channel was told the start, and not the end."""
FREE_AT: Final = "select taken_until from channel_states where name = ?"


def take(db: Statements, channel: str, events: Iterable[str], now: float) -> None:
    """Claim a channel, and note of which events it is being told now."""
    db.execute(
        """insert into channel_states
           (name, taken_until, tries, failing_since, why, sent, failed, sent_at)
           values (?, ?, 0, null, '', 0, 0, null)
           on conflict (name) do update set taken_until = excluded.taken_until""",
        (channel, now + TAKING),
    )
    for event in events:
        db.execute(
            """insert into deliveries (channel, event, told_at) values (?, ?, null)
               on conflict (channel, event) do nothing""",
            (channel, event),
        )


def tell(db: Statements, channel: str, event: str, now: float) -> None:
    """Note that a channel was told of an event."""
    db.execute(
        """insert into deliveries (channel, event, told_at) values (?, ?, ?)
           on conflict (channel, event) do update set told_at = excluded.told_at""",
        (channel, event, now),
    )


def untell(db: Statements, channel: str, event: str) -> None:
    """Forget that a channel was told of an event, or was being told."""
    db.execute("delete from deliveries where channel = ? and event = ?", (channel, event))


def forget(db: Statements, event: str) -> None:
    """Forget that any channel was told of an event."""
    db.execute("delete from deliveries where event = ?", (event,))


def succeeded(db: Statements, channel: str, now: float, *, release: bool = True) -> None:
    """Note that a delivery was accepted.

    Args:
        db: an open transaction.
        channel: the name of the channel.
        now: seconds since 1970.
        release: whether the claim of the channel ends by it.
    """
    db.execute(
        """insert into channel_states
           (name, taken_until, tries, failing_since, why, sent, failed, sent_at)
           values (?, 0, 0, null, '', 1, 0, ?)
           on conflict (name) do update set tries = 0, failing_since = null, why = '',
           sent = channel_states.sent + 1, sent_at = excluded.sent_at""",
        (channel, now),
    )
    if release:
        db.execute("update channel_states set taken_until = 0 where name = ?", (channel,))


def failed(db: Statements, channel: str, why: str, now: float, *, until: float | None) -> None:
    """Note that a delivery failed.

    Args:
        db: an open transaction.
        channel: the name of the channel.
        why: why it failed.
        now: seconds since 1970.
        until: no daemon claims the channel before; None where the delivery was not claimed.
    """
    db.execute(
        """insert into channel_states
           (name, taken_until, tries, failing_since, why, sent, failed, sent_at)
           values (?, 0, 1, ?, ?, 0, 1, null)
           on conflict (name) do update set tries = channel_states.tries + 1,
           failing_since = coalesce(channel_states.failing_since, excluded.failing_since),
           why = excluded.why, failed = channel_states.failed + 1""",
        (channel, now, why),
    )
    if until is not None:
        db.execute("update channel_states set taken_until = ? where name = ?", (until, channel))


def told_of(db: Statements, channel: str) -> Mapping[str, float | None]:
    """When a channel was told of each event, None where that is not known to be done."""
    return known(db.execute(OF_CHANNEL, (channel,)).fetchall())
