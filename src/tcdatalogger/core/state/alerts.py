"""The table of alerts: each is sent once when it begins and once when it is over.

All daemons share it. Of those that see an alert one claims it. If that one dies before it has sent
the alert, another one claims it. So nothing is sent twice, with one exception: a daemon dies
between the answer of the webhook and its note here.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from tcdatalogger.core.state.database import Statements, Tables
from tcdatalogger.errors import DataRefused
from tcdatalogger.models.checks.promised import CheckFailed
from tcdatalogger.observability.redact import redact

KINDS: Final = (
    "late",
    "failing",
    "refused",
    "unbalanced",
    "set_aside",
    "drift",
    "no_data",
    "backup",
    "key",
    "disk",
)
"""The kinds of alerts: the name of an alert begins with its kind."""

REFUSED: Final = (DataRefused.__name__, CheckFailed.__name__)
"""The classes of errors by which the rows of a run are refused."""

TAKING: Final = 60.0
"""Seconds after which another daemon may claim an alert that was not acknowledged."""


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


@dataclass(frozen=True, slots=True)
class Alert:
    """An event in the table.

    Attributes:
        event: what is wrong.
        told_at: when it was sent that it began, in seconds since 1970; None before.
        over_at: when it was over, in seconds since 1970; None while it lasts.
        tries: how often sending failed since it last worked.
    """

    event: AlertEvent
    told_at: float | None
    over_at: float | None
    tries: int

    @property
    def over(self) -> bool:
        """Whether the event is over."""
        return self.over_at is not None


_COLUMNS: Final = "event, host, facts, since, told_at, over_at, tries"
_TO_TELL: Final = "(told_at is null) = (over_at is null)"


def put_right(db: Statements, now: float) -> None:
    """Move times that lie in the future to now, after a clock that was ahead.

    Args:
        db: an open transaction.
        now: seconds since 1970.
    """
    db.execute("update alerts set taken_until = 0 where taken_until > ?", (now + TAKING,))
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

        An event that was not sent yet is deleted when it is over. An event that comes back before
        its end was sent goes on as if it had never stopped.

        Args:
            events: everything that is wrong by the sight of this machine.
            host: this machine; events of other machines stay as they are.
            now: seconds since 1970.
        """
        wanted = {event.name: event for event in events}
        known = {alert.event.name: alert for alert in self.all()}
        mine = {name for name, alert in known.items() if alert.event.host in {"", host}}
        same = wanted.keys() == {name for name in mine if not known[name].over}
        untold = any(known[name].over and known[name].told_at is None for name in mine)
        if same and not untold and not any(_changed(known[n], e) for n, e in wanted.items()):
            return
        with self._database.writing() as db:
            for event in wanted.values():
                _begin(db, event, now)
            for name in mine - wanted.keys():
                _end(db, name, now)

    def all(self) -> list[Alert]:
        """Every alert, the oldest first."""
        rows = self._database.reading(f"select {_COLUMNS} from alerts order by since, event")
        return [_alert(*row) for row in rows]

    def claim(self, now: float) -> list[Alert]:
        """Claim the alerts that have to be sent now.

        Only the first caller gets an alert. After a failure nobody gets one before its time.

        Args:
            now: seconds since 1970.
        """
        waits = "select 1 from alerts where tries > 0 and taken_until > ?"
        todo = f"select {_COLUMNS} from alerts where {_TO_TELL} and taken_until <= ?"
        if not self._database.reading(todo, (now,)) or self._database.reading(waits, (now,)):
            return []
        with self._database.writing() as db:
            if db.execute(waits, (now,)).fetchall():
                return []
            rows = db.execute(f"{todo} order by since, event", (now,)).fetchall()
            for row in rows:
                db.execute(
                    "update alerts set taken_until = ? where event = ?", (now + TAKING, row[0])
                )
        return [_alert(*row) for row in rows]

    def acknowledge(self, alerts: Iterable[Alert], now: float) -> None:
        """Note that these alerts were sent.

        Args:
            alerts: what `claim` gave.
            now: seconds since 1970.
        """
        with self._database.writing() as db:
            for alert in alerts:
                if alert.over:
                    db.execute("delete from alerts where event = ?", (alert.event.name,))
                else:
                    db.execute(
                        "update alerts set told_at = ?, taken_until = 0, tries = 0 where event = ?",
                        (now, alert.event.name),
                    )

    def postpone(self, alerts: Iterable[Alert], at: float) -> None:
        """Note that sending these alerts failed: no alert is claimed before `at`.

        Args:
            alerts: what `claim` gave.
            at: seconds since 1970.
        """
        with self._database.writing() as db:
            for alert in alerts:
                db.execute(
                    "update alerts set taken_until = ?, tries = tries + 1 where event = ?",
                    (at, alert.event.name),
                )


def _begin(db: Statements, event: AlertEvent, now: float) -> None:
    since = event.since or now
    facts = json.dumps({"text": redact(event.text), "remedy": redact(event.remedy)})
    db.execute(
        """insert into alerts (event, host, facts, since, told_at, over_at, taken_until, tries)
           values (?, ?, ?, ?, null, null, 0, 0) on conflict (event) do update set
           facts = excluded.facts""",
        (event.name, event.host, facts, since),
    )
    # Where its end is being sent just now, it begins anew at the next look.
    db.execute(
        "update alerts set over_at = null where event = ? and (taken_until <= ? or tries > 0)",
        (event.name, now),
    )


def _end(db: Statements, name: str, now: float) -> None:
    db.execute(
        "delete from alerts where event = ? and told_at is null and taken_until <= ?", (name, now)
    )
    db.execute("update alerts set over_at = ? where event = ? and over_at is null", (now, name))


def _changed(alert: Alert, event: AlertEvent) -> bool:
    """Whether the words of an event have to be written again; they stay once it was sent."""
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
    tries: int,
) -> Alert:
    words = json.loads(facts)
    event = AlertEvent(name, words["text"], words["remedy"], host, float(since))
    return Alert(event, told_at, over_at, int(tries))
