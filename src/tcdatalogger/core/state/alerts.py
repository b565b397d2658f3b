"""The table of alerts: each channel is told once when one begins and once when it is over.

All daemons share it. What a channel was told stands in `deliveries.py`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from tcdatalogger.core.config.channels import ChannelSettings
from tcdatalogger.core.state import deliveries
from tcdatalogger.core.state.database import Statements, Tables
from tcdatalogger.errors import DataRefused
from tcdatalogger.models.checks.promised import CheckFailed
from tcdatalogger.observability.redact import redact
from tcdatalogger.services.channels.message import RANKS

SEVERITIES: Final[Mapping[str, Literal["info", "warning", "critical"]]] = {
    "late": "warning",
    "failing": "warning",
    "refused": "warning",
    "unbalanced": "critical",
    "set_aside": "warning",
    "drift": "info",
    "no_data": "warning",
    "backup": "warning",
    "digest": "warning",
    "channel": "warning",
    "export": "warning",
    "document": "info",
    "key": "critical",
    "disk": "critical",
}
"""How bad each kind of alert is, as the rules for Prometheus have it."""

KINDS: Final = tuple(SEVERITIES)
"""The kinds of alerts: the name of an alert begins with its kind."""

REFUSED: Final = (DataRefused.__name__, CheckFailed.__name__)
"""The classes of errors by which the rows of a run are refused."""

_FORGOTTEN: Final = 7 * 86_400.0
"""Seconds after which an alert that is over is deleted, whoever was not told."""


@dataclass(frozen=True, slots=True)
class AlertEvent:
    """Something that is wrong now.

    Attributes:
        name: the name, as `late:faction_crimes`; it is the same for as long as the event lasts.
        text: what is wrong, in a sentence or two.
        remedy: what to do about it.
        host: the machine that has the problem; "" where every machine sees it.
        since: when it began, in seconds since 1970; 0 for now.
    """

    name: str
    text: str
    remedy: str = ""
    host: str = ""
    since: float = 0.0

    @property
    def kind(self) -> str:
        """The kind of the event, one of `KINDS`."""
        return self.name.partition(":")[0]

    @property
    def severity(self) -> Literal["info", "warning", "critical"]:
        """How bad it is."""
        return SEVERITIES.get(self.kind, "warning")


def wants(channel: ChannelSettings, event: AlertEvent) -> bool:
    """Whether a channel is to be told of an event.

    It is not told that it fails itself: the message would tell the end of that alone.
    """
    if "alerts" not in channel.gets or event.name == f"channel:{channel.name}":
        return False
    return RANKS[event.severity] >= RANKS[channel.severity]


@dataclass(frozen=True, slots=True)
class Alert:
    """An event in the table.

    Attributes:
        event: what is wrong.
        told_at: when the first channel was told that it began, in seconds since 1970; None before.
        over_at: when it was over, in seconds since 1970; None while it lasts.
    """

    event: AlertEvent
    told_at: float | None = None
    over_at: float | None = None

    @property
    def over(self) -> bool:
        """Whether the event is over."""
        return self.over_at is not None


_COLUMNS: Final = "event, host, facts, since, told_at, over_at"
_ALL: Final = f"select {_COLUMNS} from alerts order by since, event"


def put_right(db: Statements, now: float) -> None:
    """Move times that lie in the future to now, after a clock that was ahead.

    Args:
        db: an open transaction.
        now: seconds since 1970.
    """
    for name in ("since", "told_at", "over_at"):
        db.execute(f"update alerts set {name} = ? where {name} > ?", (now, now))


class Alerts:
    """The table of alerts.

    Args:
        database: the state database.
    """

    def __init__(self, database: Tables) -> None:
        self._database = database

    def observe(self, events: Iterable[AlertEvent], host: str, now: float) -> None:
        """Write down what is wrong now. What was wrong before and is not any more is over.

        An event of which no channel was told is deleted when it is over. An event that comes back
        before a channel was told of its end goes on there as if it had never stopped.

        Args:
            events: everything that is wrong by the sight of this machine.
            host: this machine; events of other machines stay as they are.
            now: seconds since 1970.
        """
        wanted = {event.name: event for event in events}
        known = {alert.event.name: alert for alert in self.all()}
        mine = {name for name, alert in known.items() if alert.event.host in {"", host}}
        same = wanted.keys() == {name for name in mine if not known[name].over}
        done = [name for name in mine - wanted.keys() if known[name].over]
        if done:  # all channels may know of it meanwhile
            told = {str(name) for (name,) in self._database.reading(deliveries.EVENTS)}
            done = [name for name in done if name not in told or _is_old(known[name], now)]
        if same and not done and not any(_changed(known[n], e) for n, e in wanted.items()):
            return
        with self._database.writing() as db:
            for event in wanted.values():
                _begin(db, event, now)
            told = {str(name) for (name,) in db.execute(deliveries.EVENTS).fetchall()}
            for name in mine - wanted.keys():
                if name not in told or _is_old(known[name], now):
                    _delete(db, name)
                else:
                    _end(db, name, now)

    def all(self) -> list[Alert]:
        """Every alert, the oldest first."""
        return [_alert(*row) for row in self._database.reading(_ALL)]

    def due(self, channel: str, wants: Callable[[AlertEvent], bool]) -> list[Alert]:
        """What a channel has to be told.

        Args:
            channel: the name of the channel.
            wants: whether it is to be told of an event.
        """
        told = deliveries.known(self._database.reading(deliveries.OF_CHANNEL, (channel,)))
        return [alert for alert in self.all() if _is_due(alert, told, wants)]

    def claim(self, channel: str, wants: Callable[[AlertEvent], bool], now: float) -> list[Alert]:
        """Claim a channel, and get what it has to be told now.

        Only the first caller gets something. After a failure nobody gets something before its time.

        Args:
            channel: the name of the channel.
            wants: whether it is to be told of an event.
            now: seconds since 1970.
        """
        if not self.due(channel, wants):
            return []
        with self._database.writing() as db:
            found = db.execute(deliveries.FREE_AT, (channel,)).fetchone()
            if found is not None and found[0] > now:
                return []
            told = deliveries.told_of(db, channel)
            alerts = [_alert(*row) for row in db.execute(_ALL).fetchall()]
            for alert in alerts:
                name = alert.event.name
                if alert.over and name in told and told[name] is None:
                    # Whoever told its start has died, and it is over: nothing is told of it.
                    deliveries.untell(db, channel, name)
            due = [alert for alert in alerts if _is_due(alert, told, wants)]
            if due:
                begins = (alert.event.name for alert in due if not alert.over)
                deliveries.take(db, channel, begins, now)
        return due

    def acknowledge(self, channel: str, alerts: Iterable[Alert], now: float) -> None:
        """Note that a channel was told of these alerts.

        Args:
            channel: the name of the channel.
            alerts: what `claim` gave.
            now: seconds since 1970.
        """
        with self._database.writing() as db:
            for alert in alerts:
                name = alert.event.name
                if alert.over:
                    deliveries.untell(db, channel, name)
                    continue
                deliveries.tell(db, channel, name, now)
                db.execute(
                    "update alerts set told_at = coalesce(told_at, ?) where event = ?", (now, name)
                )
            deliveries.succeeded(db, channel, now)

    def postpone(
        self, channel: str, alerts: Iterable[Alert], why: str, now: float, wait: float
    ) -> None:
        """Note that telling a channel of these alerts failed.

        Args:
            channel: the name of the channel.
            alerts: what `claim` gave.
            why: why it failed.
            now: seconds since 1970.
            wait: seconds for which nobody claims the channel.
        """
        with self._database.writing() as db:
            for alert in alerts:
                if not alert.over:
                    deliveries.untell(db, channel, alert.event.name)
            deliveries.failed(db, channel, why, now, until=now + wait)


def _is_due(
    alert: Alert, told: Mapping[str, float | None], wants: Callable[[AlertEvent], bool]
) -> bool:
    """Whether a channel has to be told of an alert: its start, or its end after its start."""
    at = told.get(alert.event.name)
    return at is not None if alert.over else at is None and wants(alert.event)


def _is_old(alert: Alert, now: float) -> bool:
    return alert.over_at is not None and alert.over_at < now - _FORGOTTEN


def _begin(db: Statements, event: AlertEvent, now: float) -> None:
    since = event.since or now
    facts = json.dumps({"text": redact(event.text), "remedy": redact(event.remedy)})
    # The last two columns are of a time when there was one channel.
    db.execute(
        """insert into alerts (event, host, facts, since, told_at, over_at, taken_until, tries)
           values (?, ?, ?, ?, null, null, 0, 0) on conflict (event) do update set
           facts = excluded.facts, over_at = null""",
        (event.name, event.host, facts, since),
    )


def _end(db: Statements, name: str, now: float) -> None:
    db.execute("update alerts set over_at = ? where event = ? and over_at is null", (now, name))


def _delete(db: Statements, name: str) -> None:
    db.execute("delete from alerts where event = ?", (name,))
    deliveries.forget(db, name)


def _changed(alert: Alert, event: AlertEvent) -> bool:
    """Whether the words of an event have to be written again; they stay once it was told."""
    before = (alert.event.text, alert.event.remedy)
    after = (redact(event.text), redact(event.remedy))
    return alert.over or (alert.told_at is None and before != after)


def _alert(
    name: str,
    host: str,
    facts: str,
    since: float,
    told_at: float | None,
    over_at: float | None,
) -> Alert:
    words: dict[str, Any] = json.loads(facts)
    event = AlertEvent(name, words["text"], words["remedy"], host, float(since))
    return Alert(event, told_at, over_at)
