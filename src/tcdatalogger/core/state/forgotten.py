"""The players who are forgotten, as the state remembers them: hashes, and a secret.

Whoever has the secret can try all ids of Torn's and find them: an alias hides a player from those
who read the tables, and not from who has the state.
"""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tcdatalogger.core.state.database import Database, Statements
from tcdatalogger.core.state.sqlite import reader
from tcdatalogger.errors import DataRefused
from tcdatalogger.models.people.pseudonyms import Alias, Pseudonyms, hash_of_id, hash_of_name

_NAME: Final = "forgotten"
"""The name of the secret in the state."""

_TOLD: Final = ("warnings", "failed_checks", "error", "remedy", "note")
"""Facts of a run that are sentences, and may quote what Torn sent."""

_PLAYER: Final = """insert into forgotten (hash, kind, player, removed, since)
    values (?, 'player', ?, ?, ?) on conflict (hash) do update
    set removed = case when excluded.removed = 1 then 1 else forgotten.removed end"""
_PLAYERS_NAME: Final = """insert into forgotten (hash, kind, player, removed, since)
    values (?, 'name', ?, 0, ?) on conflict (hash) do nothing"""


@dataclass(frozen=True, slots=True)
class ForgottenPlayer:
    """A player who is forgotten, as far as anybody can tell.

    Attributes:
        alias: what stands in place of the player.
        since: when that was first asked for, seconds since 1970.
        names: how many names are known by which texts can tell of the player.
    """

    alias: Alias
    since: float
    names: int


class ForgottenPlayers:
    """The players who are forgotten.

    Args:
        database: of the state.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def pseudonyms(self) -> Pseudonyms:
        """All of them, to find them in what comes."""
        rows = self._database.reading("select hash, kind, player, removed from forgotten")
        if not rows:
            return Pseudonyms()
        return Pseudonyms(
            self._secret(),
            {str(own): bool(removed) for own, kind, _, removed in rows if kind == "player"},
            {str(own): str(player) for own, kind, player, _ in rows if kind == "name"},
        )

    def players(self) -> list[ForgottenPlayer]:
        """All of them, those of the longest ago first."""
        rows = self._database.reading(
            """select hash, removed, since,
               (select count(*) from forgotten n where n.kind = 'name' and n.player = f.hash)
               from forgotten f where kind = 'player' order by since, hash"""
        )
        return [
            ForgottenPlayer(Alias(str(own), bool(removed)), float(since), int(names))
            for own, removed, since, names in rows
        ]

    def remember(self, player: int, now: float, *, removed: bool = False) -> Alias:
        """Remember a player; one who was to have an alias can be removed later, not the reverse.

        Args:
            player: the id.
            now: seconds since 1970.
            removed: whether nothing is to stand in place of the player.
        """
        with self._database.writing() as db:
            secret = self._made_secret(db)
            own = hash_of_id(secret, str(player))
            db.execute(_PLAYER, (own, own, int(removed), now))
            query = "select removed from forgotten where hash = ?"
            (gone,) = db.execute(query, (own,)).fetchone()
        return Alias(own, bool(gone))

    def would_be(self, player: int, *, removed: bool) -> Pseudonyms:
        """What `remember` would lead to; nothing is written."""
        known = self.pseudonyms()
        secret = known.secret or secrets.token_bytes(32)
        own = hash_of_id(secret, str(player))
        removed = removed or known.players.get(own, False)
        return Pseudonyms(secret, {**known.players, own: removed}, known.names)

    def remember_names(self, names: Mapping[str, str], now: float) -> bool:
        """Remember names of players who are forgotten; whether one of them is new.

        Args:
            names: each with the hash of the player.
            now: seconds since 1970.
        """
        known = self.pseudonyms()
        new = {
            own: player
            for name, player in names.items()
            if (own := hash_of_name(known.secret, name)) not in known.names
            and player in known.players
        }
        if not new:
            return False
        with self._database.writing() as db:
            for own, player in new.items():
                db.execute(_PLAYERS_NAME, (own, player, now))
        return True

    def take_over(self, others: Pseudonyms, now: float) -> None:
        """Remember those of another state, with its secret, beside those that are known here.

        Args:
            others: the players of the other state.
            now: seconds since 1970.

        Raises:
            DataRefused: some are known here under another secret; nothing was changed.
        """
        known = self.pseudonyms()
        if known and known.secret != others.secret:
            raise DataRefused(
                "This state remembers players who are forgotten under a secret of its own, and "
                "would lose them."
            )
        with self._database.writing() as db:
            db.execute(
                """insert into secrets (name, value) values (?, ?)
                   on conflict (name) do update set value = excluded.value""",
                (_NAME, others.secret.hex()),
            )
            for own, gone in others.players.items():
                db.execute(_PLAYER, (own, own, int(gone), now))
            for own, player in others.names.items():
                db.execute(_PLAYERS_NAME, (own, player, now))

    # --- a forgetting that is not finished -----------------------------------------------------

    def begin(self, now: float) -> None:
        """Note that a forgetting has begun: until its end no endpoint runs."""
        with self._database.writing() as db:
            db.execute(
                """insert into forgetting (id, begun_at) values (1, ?)
                   on conflict (id) do update set begun_at = excluded.begun_at""",
                (now,),
            )

    def end(self) -> None:
        """Note that it is finished."""
        with self._database.writing() as db:
            db.execute("delete from forgetting")

    def unfinished(self) -> bool:
        """Whether one has begun and is not finished."""
        return bool(self._database.reading("select 1 from forgetting"))

    def _secret(self) -> bytes:
        rows = self._database.reading("select value from secrets where name = ?", (_NAME,))
        return bytes.fromhex(rows[0][0]) if rows else b""

    def _made_secret(self, db: Statements) -> bytes:
        query = "select value from secrets where name = ?"
        row = db.execute(query, (_NAME,)).fetchone()
        if row is None:
            value = secrets.token_hex(32)
            db.execute("insert into secrets (name, value) values (?, ?)", (_NAME, value))
            return bytes.fromhex(value)
        return bytes.fromhex(row[0])


def secret_in(file: Path) -> bytes:
    """The secret under which a file of a state remembers players; b"" where it remembers nobody.

    Args:
        file: of any version; it is not changed.

    Raises:
        DataRefused: it is damaged.
    """
    try:
        with closing(reader(file)) as db:
            there = {name for (name,) in db.execute("select name from sqlite_schema")}
            if not {"forgotten", "secrets"} <= there:
                return b""
            row = db.execute(
                "select value from secrets where name = ? and exists (select 1 from forgotten)",
                (_NAME,),
            ).fetchone()
    except sqlite3.Error as error:
        raise DataRefused(f"The state {file} is damaged: {error}.") from None
    return bytes.fromhex(row[0]) if row else b""


def in_facts(facts: dict[str, Any], pseudonyms: Pseudonyms) -> dict[str, Any]:
    """The facts of a run with aliases.

    A cursor stays: its numbers are times, and places that no table has.
    """
    from tcdatalogger.models.people import texts  # noqa: PLC0415 - as `pseudonyms._hashed`

    made = dict(facts)
    alias = pseudonyms.of_id(made.get("key_owner"))
    if alias is not None:
        made["key_owner"] = alias.id
    for name in _TOLD:
        told = made.get(name)
        if isinstance(told, str):
            made[name] = texts.rewritten(told, pseudonyms, names=True)
        elif isinstance(told, Sequence):
            made[name] = [texts.rewritten(str(each), pseudonyms, names=True) for each in told]
    return made
