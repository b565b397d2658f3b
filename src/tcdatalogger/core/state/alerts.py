"""What somebody is to be told of: each event once when it begins, and once when it is over.

The books are shared: of all daemons that see an event one takes it on, and if it dies before it has
told of it another one does. So nobody is told twice, but for one case that cannot be helped: the
taker dies between the answer of the webhook and the note of it here.
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
"""Kinds of events, as the names of events begin."""

REFUSED: Final = (DataRefused.__name__, CheckFailed.__name__)
"""Classes of errors that say that the rows of a run were refused."""

TAKING: Final = 60.0
"""Seconds after which an event is taken on by others, if nobody said that it was told."""


@dataclass(frozen=True, slots=True)
class AlertEvent:
    """Something that is wrong now.

    Attributes:
        name: the same for as long as it lasts: `late:faction_crimes`.
        text: what is wrong and since when, a sentence or two.
        remedy: what to do about it.
        host: the machine that it is wrong on; "" where every machine sees it.
        since: when it began; seconds since 1970.
    """

    name: str
    text: str
    remedy: str = ""
    host: str = ""
    since: float = 0.0

    @property
    def kind(self) -> str:
        """What is wrong, one of `KINDS`."""
        return self.name.partition(":")[0]


@dataclass(frozen=True, slots=True)
class Alert:
    """An event in the books.

    Attributes:
        told_at: when somebody was told that it began, None before.
        over_at: when it was over, None while it lasts.
        tries: how often telling failed since it last worked.
    """

    event: AlertEvent
    told_at: float | None
    over_at: float | None
    tries: int

    @property
    def over(self) -> bool:
        return self.over_at is not None


_COLUMNS: Final = "event, host, facts, since, told_at, over_at, tries"
_TO_TELL: Final = "(told_at is null) = (over_at is null)"


def put_right(db: Statements, now: float) -> None:
    """Let what lies in the future be of now: who was to be told is told."""
    db.execute("update alerts set taken_until = 0 where taken_until > ?", (now + TAKING,))
    for name in ("since", "told_at", "over_at"):
        db.execute(f"update alerts set {name} = ? where {name} > ?", (now, now))


class Alerts:
    """The table of events.

    Args:
        database: the state.
    """

    def __init__(self, database: Tables) -> None:
        self._database = database

    def observe(self, events: Iterable[AlertEvent], host: str, now: float) -> None:
        """Write down what is wrong now; what is wrong no more is over.

        An event that nobody was told of yet is forgotten when it is over. One that returns before
        its end was told goes on as if it had never stopped.

        Args:
            events: everything that this machine sees.
            host: this machine; the events of others are left to them.
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
        """Every event in the books, the oldest first."""
        rows = self._database.reading(f"select {_COLUMNS} from alerts order by since, event")
        return [_alert(*row) for row in rows]

    def claim(self, now: float) -> list[Alert]:
        """What is to be told now, for whoever asks first; nothing while a failed telling waits."""
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
        """Somebody was told of these."""
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
        """Telling of these failed: nothing is told before `at`."""
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
    # Its end is being told just now: then it is another event, at the next look.
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
    """Whether an event's words are to be written anew: until somebody was told of it."""
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
