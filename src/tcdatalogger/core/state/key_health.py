"""What all processes know of keys and of Torn, in the state database (`KeyHealth`)."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import astuple
from typing import Final

from tcdatalogger.core.state.database import Statements, Tables
from tcdatalogger.services.torncity.client.error_codes import DAY
from tcdatalogger.services.torncity.client.key_health import (
    PROBE_SECONDS,
    TRIAL_SECONDS,
    CircuitBreaker,
    KeyState,
    RowQuota,
    frees_at,
)

_COLUMNS: Final = "fingerprint, health, path, code, until, since, name"
_CIRCUIT: Final = "select faults, pause, until, probe_until from circuit"


def put_right(db: Statements, now: float) -> None:
    """Move times in the future to now: states keep their length, pauses begin now."""
    db.execute(
        "update key_health set until = until - (since - ?), since = ? where since > ?",
        (now, now, now),
    )
    db.execute("delete from key_trials where until > ?", (now + TRIAL_SECONDS,))
    db.execute("update circuit set until = ? + pause where until > ? + pause", (now, now))
    db.execute("update circuit set probe_until = 0 where probe_until > ?", (now + PROBE_SECONDS,))
    db.execute("update day_rows set at = ? where at > ?", (now, now))


def leave_out(db: Statements, owners: Collection[str], now: float) -> int:
    """Delete rows of the day of owners that count no longer; how many lines."""
    found = 0
    for owner in owners:
        values = (owner, now - DAY)
        query = "select count(*) from day_rows where name = ? and at <= ?"
        found += int(db.execute(query, values).fetchone()[0])
        db.execute("delete from day_rows where name = ? and at <= ?", values)
    return found


class KeyHealthStore:
    """The health of keys and of Torn, and the rows of the day, in the state database."""

    def __init__(self, database: Tables) -> None:
        self._database = database

    def states(self, fingerprint: str) -> list[KeyState]:
        """What is known of a key: as a whole and for single paths, ordered by path."""
        rows = self._database.reading(
            f"select {_COLUMNS} from key_health where fingerprint = ? order by path", (fingerprint,)
        )
        return [KeyState(*row) for row in rows]

    def of_keys(self) -> list[KeyState]:
        """What is known of each key as a whole, the oldest first."""
        rows = self._database.reading(
            f"select {_COLUMNS} from key_health where path = '' order by since"
        )
        return [KeyState(*row) for row in rows]

    def set_state(self, state: KeyState) -> None:
        """Store a state, in place of the earlier one of the same key and path."""
        with self._database.writing() as db:
            db.execute(
                f"""insert into key_health ({_COLUMNS}) values (?, ?, ?, ?, ?, ?, ?)
                    on conflict (fingerprint, path) do update set health = excluded.health,
                    code = excluded.code, until = excluded.until, since = excluded.since,
                    name = excluded.name""",
                astuple(state),
            )

    def forget_permissions(self, fingerprint: str) -> None:
        """Delete what is known of a key for single paths: its permissions have changed."""
        with self._database.writing() as db:
            db.execute(
                "delete from key_health where fingerprint = ? and path <> ''", (fingerprint,)
            )

    def trial(self, fingerprint: str, now: float) -> bool:
        """Whether the caller may try a key that has never worked; one caller at a time may."""
        with self._database.writing() as db:
            row = db.execute(
                """insert into key_trials (fingerprint, until) values (?, ?)
                   on conflict (fingerprint) do update set until = excluded.until
                   where key_trials.until <= ? returning until""",
                (fingerprint, now + TRIAL_SECONDS, now),
            ).fetchone()
        return row is not None

    def end_trial(self, fingerprint: str) -> None:
        """Let the next caller try the key."""
        with self._database.writing() as db:
            db.execute("delete from key_trials where fingerprint = ?", (fingerprint,))

    def circuit(self) -> CircuitBreaker:
        """The circuit breaker as it is now."""
        rows = self._database.reading(_CIRCUIT)
        return CircuitBreaker(*rows[0]) if rows else CircuitBreaker()

    def change_circuit(
        self, change: Callable[[CircuitBreaker], CircuitBreaker | None]
    ) -> CircuitBreaker | None:
        """Replace the circuit breaker by what `change` makes of it.

        Returns what `change` returned; None changes nothing.
        """
        with self._database.writing() as db:
            row = db.execute(_CIRCUIT).fetchone()
            changed = change(CircuitBreaker() if row is None else CircuitBreaker(*row))
            if changed is not None:
                db.execute(
                    """insert into circuit (id, faults, pause, until, probe_until)
                       values (1, ?, ?, ?, ?) on conflict (id) do update set
                       faults = excluded.faults, pause = excluded.pause, until = excluded.until,
                       probe_until = excluded.probe_until""",
                    astuple(changed),
                )
        return changed

    def reserve_rows(self, name: str, rows: RowQuota, limit: int) -> float:
        """Reserve rows of a category, where they fit into the limit of 24 hours.

        Args:
            name: the owner and the category.
            rows: how many rows, and when.
            limit: how many rows there may be in 24 hours.

        Returns 0 where they are reserved, else when they would fit, in seconds since 1970.
        """
        with self._database.writing() as db:
            db.execute("delete from day_rows where at <= ?", (rows.at - DAY,))
            (total,) = db.execute(
                "select coalesce(sum(count), 0) from day_rows where name = ?", (name,)
            ).fetchone()
            if total + rows.count > limit:
                given = db.execute("select id, at, count from day_rows where name = ?", (name,))
                at = frees_at([RowQuota(*row) for row in given], rows.count, limit, rows.at)
                if at > rows.at:
                    return at
            db.execute(
                "insert into day_rows (id, name, at, count) values (?, ?, ?, ?)",
                (rows.id, name, rows.at, rows.count),
            )
        return 0.0

    def settle_rows(self, rows: RowQuota) -> None:
        """Correct a reservation to the rows that Torn gave, and when."""
        with self._database.writing() as db:
            if not rows.count:
                db.execute("delete from day_rows where id = ?", (rows.id,))
                return
            db.execute(
                "update day_rows set at = ?, count = ? where id = ?",
                (rows.at, rows.count, rows.id),
            )

    def day_rows(self, now: float) -> dict[str, int]:
        """The rows of the last 24 hours by owner and category."""
        rows = self._database.reading(
            "select name, sum(count) from day_rows where at > ? group by name", (now - DAY,)
        )
        return {str(name): int(count) for name, count in rows}
