"""The calls of all processes in the state database: their slots and pauses (`Slots`)."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Final

from tcdatalogger.core.state.database import Statements, Tables
from tcdatalogger.services.torncity.client import error_codes
from tcdatalogger.services.torncity.client.rate_limiter import (
    ADDRESS,
    UNKNOWN_OWNER,
    CallSlot,
    Pause,
    Rank,
    SlotStore,
    Terms,
)

_COUNTS: Final = 120.0
"""Seconds after which no call counts for a limit any more."""

_SLOT: Final = "id, owner, rank, asked_at, at, taken"


def put_right(db: Statements, now: float) -> None:
    """Shorten pauses that were set while the clock was ahead; each call corrects the slots."""
    for name, until, code in db.execute("select name, until, code from holds").fetchall():
        latest = now + error_codes.named(code).pause
        if until > latest:
            db.execute("update holds set until = ? where name = ?", (latest, name))


def leave_out(db: Statements, owners: Collection[str], now: float) -> int:
    """Delete calls and pauses of owners that count no longer; how many lines.

    Args:
        db: within a transaction.
        owners: as `player:ID`.
        now: seconds since 1970.
    """
    found = 0
    for owner in owners:
        values = (owner, now - _COUNTS)
        query = "select count(*) from calls where owner = ? and at < ?"
        found += int(db.execute(query, values).fetchone()[0])
        db.execute("delete from calls where owner = ? and at < ?", values)
        query = "select count(*) from holds where name = ? and until < ?"
        found += int(db.execute(query, (owner, now)).fetchone()[0])
        db.execute("delete from holds where name = ? and until < ?", (owner, now))
    return found


def owners(database: Tables) -> set[str]:
    """All who have calls, rows or pauses here, as `player:ID` or the hash of a key."""
    rows = database.reading("select distinct owner from calls")
    return {str(owner) for (owner,) in rows}


class CallSlots:
    """The slots and pauses in the state; a process that opens them has them alone."""

    def __init__(self, database: Tables) -> None:
        self._database = database

    @contextmanager
    def open(self) -> Iterator[SlotStore]:
        """One transaction over the slots; other processes wait for its end."""
        with self._database.writing() as db:
            yield _Pages(db)

    def pause(self, pause: Pause) -> None:
        """Store a pause; a longer pause of the same name stays."""
        with self._database.writing() as db:
            db.execute(
                """insert into holds (name, until, code) values (?, ?, ?) on conflict (name)
                   do update set until = excluded.until, code = excluded.code
                   where excluded.until > holds.until""",
                (pause.name, pause.until, pause.code),
            )

    def paused(self, name: str) -> Pause | None:
        """The pause of an owner or of the address, also one that is over; None without one."""
        query = "select name, until, code from holds where name = ?"
        rows = self._database.reading(query, (name,))
        return Pause(*rows[0]) if rows else None

    def pauses(self, now: float) -> list[Pause]:
        """The pauses that are not over at `now`, ordered by name."""
        rows = self._database.reading(
            "select name, until, code from holds where until > ? order by name", (now,)
        )
        return [Pause(*row) for row in rows]

    def count(self, owner: str, since: float) -> int:
        """How many slots after `since` (seconds since 1970) count for an owner."""
        query = "select count(*) from calls where at > ? and (owner = ? or unknown = 1)"
        ((found,),) = self._database.reading(query, (since, owner))
        return int(found)

    def calls_since(self, since: float) -> dict[str, int]:
        """How many calls of each owner were made after `since`; waiting calls do not count."""
        rows = self._database.reading(
            "select owner, count(*) from calls where at > ? and taken = 1 group by owner", (since,)
        )
        return {str(owner): int(count) for owner, count in rows}

    def count_under(self, former: str, owner: str) -> None:
        """Count the calls of `former` for `owner`, when the owner of a key becomes known."""
        with self._database.writing() as db:
            db.execute(
                "update calls set owner = ?, unknown = ? where owner = ?",
                (owner, int(owner.startswith(UNKNOWN_OWNER)), former),
            )


class _Pages:
    """The slots within one transaction (`SlotStore`)."""

    def __init__(self, db: Statements) -> None:
        self._db = db

    def tidy(self, now: float, terms: Terms) -> None:
        self._db.execute("delete from calls where at < ?", (now - 2 * terms.window,))
        self._db.execute("update calls set at = ? where at > ? and taken = 1", (now, now))

    def times(self, owner: str | None, after: float) -> list[float]:
        if owner is None:
            everything = "select at from calls where at > ? order by at"
            return [at for (at,) in self._db.execute(everything, (after,))]
        rows = self._db.execute(
            """select at from calls where owner = ? and at > ?
               union all select at from calls where unknown = 1 and owner <> ? and at > ?
               order by at""",
            (owner, after, owner, after),
        )
        return [at for (at,) in rows]

    def newest(self, place: int) -> float:
        query = "select at from calls order by at desc limit 1 offset ?"
        row = self._db.execute(query, (place - 1,)).fetchone()
        return -math.inf if row is None else float(row[0])

    def owners(self) -> list[str]:
        return [str(owner) for (owner,) in self._db.execute("select distinct owner from calls")]

    def waiting(self, owner: str, rank: Rank, after: float, asked_after: float) -> list[CallSlot]:
        rows = self._db.execute(
            f"""select {_SLOT} from calls where owner = ? and at > ? and taken = 0 and rank < ?
                and asked_at > ? order by at""",
            (owner, after, rank, asked_after),
        )
        return [_slot(row) for row in rows]

    def find(self, id: str) -> CallSlot | None:  # noqa: A002
        row = self._db.execute(f"select {_SLOT} from calls where id = ?", (id,)).fetchone()
        return None if row is None else _slot(row)

    def write(self, slot: CallSlot) -> None:
        self._db.execute(
            f"""insert into calls ({_SLOT}, unknown) values (?, ?, ?, ?, ?, ?, ?)
                on conflict (id) do update set owner = excluded.owner, rank = excluded.rank,
                asked_at = excluded.asked_at, at = excluded.at, taken = excluded.taken,
                unknown = excluded.unknown""",
            (
                slot.id,
                slot.owner,
                int(slot.rank),
                slot.asked_at,
                slot.at,
                int(slot.taken),
                int(slot.owner.startswith(UNKNOWN_OWNER)),
            ),
        )

    def remove(self, id: str) -> None:  # noqa: A002
        self._db.execute("delete from calls where id = ?", (id,))

    def paused_until(self, owner: str) -> float:
        row = self._db.execute(
            "select max(until) from holds where name in (?, ?)", (owner, ADDRESS)
        ).fetchone()
        return float(row[0] or 0.0)


def _slot(row: tuple[str, str, int, float, float, int]) -> CallSlot:
    ident, owner, rank, asked_at, at, taken = row
    return CallSlot(ident, owner, Rank(rank), asked_at, at, bool(taken))
