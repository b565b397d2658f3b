"""The state: runs, claims, calls, answers about keys and the health of keys.

It is a SQLite file that all processes of a machine share, or a Postgres for several machines. The
data stay right without it: cursors and loads are in the ledger of the warehouse.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

from tcdatalogger.clock import Clock, SystemClock
from tcdatalogger.core.state import alerts, call_slots, deliveries, key_health, leases, run_stats
from tcdatalogger.core.state.call_slots import CallSlots
from tcdatalogger.core.state.connect import open_database
from tcdatalogger.core.state.database import Statements
from tcdatalogger.core.state.forgotten import ForgottenPlayers, in_facts
from tcdatalogger.core.state.key_health import KeyHealthStore
from tcdatalogger.core.state.leases import ClaimOwner, Leases
from tcdatalogger.core.state.migrations import migrate
from tcdatalogger.errors import Stopped
from tcdatalogger.models.people.pseudonyms import Pseudonyms

if TYPE_CHECKING:
    from tcdatalogger.services.torncity.keys import KeyInfo

_RUNNING: Final = "select facts from runs where status = 'running'"

_DAY: Final = 86_400.0

AHEAD: Final = 60.0
"""Seconds that a time may be in the future: clocks differ a little."""

_LOOKS_BACK: Final = 1_000
"""How many runs of an endpoint are searched for times in the future."""

INTERRUPTED: Final = 130
"""The exit code of a process that was ended by Ctrl-C."""

RUNNING: Final = "running"
PAUSED: Final = "paused"
STOPPED: Final = "stopped"
PENDING: Final = "pending"
CRASHED: Final = "crashed"


@dataclass(frozen=True, slots=True)
class RunRecord:
    """One run as the state has it. Times are seconds since 1970.

    Attributes:
        status: `running`, `done`, `failed`, `stopped` (by SIGTERM or Ctrl-C), `paused` (after the
            step that was asked for), `pending` (its answers are in the archive and the next run
            stores them), `superseded` (a pending one that cannot be stored any more) or `crashed`
            (its process is gone).
        step: the last step that was begun.
        seconds: how long each step took.
        calls, bytes: calls of Torn's API, and bytes of their answers.
        records: the records of its pages; a record that is on two pages counts twice.
        absent: answers without data, also after another try; their lists are not complete.
        waited: seconds that its calls waited for the budget or for another try.
        rows: how many rows were stored, by table.
        quarantined, drift, repeated: counts.
        failed_checks: the failed checks as sentences, also those that do not refuse the rows.
        unchanged: whether Torn had nothing new, so nothing was stored.
        load_id, schema_version, archive_file: the load, the schema and the answers of the run.
        artifact: the folder of its tables, where it stopped after a step; "" for none.
        cursor: the cursor that the run left in the ledger, "" for none.
        steps: the changes of tables, in words.
        error, error_class, remedy, exit_code: why it failed.
        pid, host: the process of the run.
        token, owner: the claim of the run (`leases.Claim`); None and "" for none.
        call_seconds: how long its calls took (`run_stats.histogram`).
        cpu_seconds: seconds of CPU time.
        memory: the most bytes of memory of its process, 0 where unknown.
        resumed: whether it went on after it had ended; its calls are counted already.
        backfill: whether it read a stretch of history; such a run does not make tables fresher.
        settled: whether nothing is left to store of a run that was `pending` or `crashed`.
        tries: how often storing failed without an end while it was pending.
        note: what happened with it later.
        key_owner: the player whose key got its first answer with data; None where unknown.
    """

    run_id: str
    endpoint: str
    started_at: float
    status: str = RUNNING
    step: str = "fetch"
    finished_at: float | None = None
    seconds: Mapping[str, float] = field(default_factory=dict)
    calls: int = 0
    pages: int = 0
    bytes: int = 0
    records: int = 0
    absent: int = 0
    waited: float = 0.0
    rows: Mapping[str, int] = field(default_factory=dict)
    quarantined: int = 0
    drift: int = 0
    repeated: int = 0
    unchanged: bool = False
    warnings: tuple[str, ...] = ()
    failed_checks: tuple[str, ...] = ()
    server_time: float | None = None
    load_id: str = ""
    schema_version: int = 0
    steps: tuple[str, ...] = ()
    archive_file: str = ""
    artifact: str = ""
    cursor: str = ""
    error: str = ""
    error_class: str = ""
    remedy: str = ""
    exit_code: int = 0
    pid: int = 0
    host: str = ""
    token: int | None = None
    owner: str = ""
    log_file: str = ""
    call_seconds: Mapping[str, float] = field(default_factory=dict)
    cpu_seconds: float = 0.0
    memory: int = 0
    resumed: bool = False
    backfill: bool = False
    settled: bool = False
    tries: int = 0
    note: str = ""
    key_owner: int | None = None


class State:
    """The state database.

    Args:
        place: an address (`sqlite:///FILE`, `postgresql://user@host/database`), or a SQLite file.
        clock: the clock of this machine; with Postgres it is corrected to the database's time.
        read_only: for a file on a full disk; its tables are not changed, and every write fails.

    Raises:
        ConfigError: the database cannot be opened or written, or is of a newer release.
        StateUnavailable: the database cannot be reached now.
    """

    def __init__(
        self, place: str | Path, clock: Clock | None = None, *, read_only: bool = False
    ) -> None:
        self.database = open_database(place, read_only=read_only)
        self.writing = self.database.writing
        self.reading = self.database.reading
        if not read_only:
            try:
                migrate(self.database)
            except BaseException:  # no other code can close the open database
                self.database.close()
                raise
        self.clock = self.database.shared_clock(clock or SystemClock())
        """The clock by which claims run out."""
        self.leases = Leases(self, self.clock)
        """The claims."""
        self.call_slots = CallSlots(self)
        """Slots and pauses of the call budget."""
        self.forgotten = ForgottenPlayers(self.database)
        """The players who are forgotten."""
        self.key_health = KeyHealthStore(self)
        """Health of keys, whether Torn is down, rows of the day."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def place(self) -> str:
        """Where the database is, for people; never with a password."""
        return self.database.place

    def close(self) -> None:
        """Close the database; a second time does nothing."""
        self.database.close()

    def installation(self) -> str:
        """The name of the installation: random, made once, the same for all processes on the state.

        It says nothing about the machine, so the scheduler may tell it to everybody who asks.
        """
        query = "select name from installation"
        if not (rows := self.reading(query)):
            with self.writing() as db:
                db.execute(
                    "insert into installation (id, name) values (1, ?) on conflict (id) do nothing",
                    (secrets.token_hex(8),),
                )
            rows = self.reading(query)
        return str(rows[0][0])

    # --- runs ------------------------------------------------------------------------------

    def write_run(self, run: RunRecord) -> None:
        """Store the record of a run, in place of its earlier record."""
        with self.writing() as db:
            _write(db, run)

    def runs(  # noqa: PLR0913  # runs are chosen in many ways
        self,
        *,
        endpoint: str | None = None,
        run_id: str | None = None,
        begins: str | None = None,
        status: str | None = None,
        since: float | None = None,
        before: str | None = None,
        regular: bool = False,
        most: int = 20,
    ) -> list[RunRecord]:
        """Runs, the newest first.

        Args:
            endpoint: only runs of this endpoint.
            run_id: only the run with this id.
            begins: only runs whose id begins with this text.
            status: only runs with this status.
            since: only runs that began at this time or later; seconds since 1970.
            before: only runs that stand after the one of this id; none where nobody knows it.
            regular: whether runs of backfills are left out.
            most: the most runs to return.
        """
        wanted: dict[str, object] = {
            "endpoint = ?": endpoint,
            "run_id = ?": run_id,
            "run_id like ?": None if begins is None else f"{begins}%",
            "status = ?": status,
            "started_at >= ?": since,
            "(started_at, place) < (select started_at, place from runs where run_id = ?)": before,
            "facts not like ?": '%"backfill": true%' if regular else None,
        }
        given = {clause: value for clause, value in wanted.items() if value is not None}
        where = f"where {' and '.join(given)}" if given else ""
        rows = self.reading(
            f"select facts from runs {where} order by started_at desc, place desc limit ?",
            (*given.values(), most),
        )
        found = [_run(json.loads(facts)) for (facts,) in rows]
        return [run for run in found if begins is None or run.run_id.startswith(begins)]

    def perhaps_stored(self) -> list[RunRecord]:
        """Runs that reached the step `store`, and whose end is not in the state."""
        rows = self.reading("select facts from runs where status in (?, ?)", (PENDING, CRASHED))
        found = [_run(json.loads(facts)) for (facts,) in rows]
        return [run for run in found if not run.settled and (run.step == "store" or run.tries)]

    def unsettled(self, endpoint: str | None = None) -> list[RunRecord]:
        """Runs of an endpoint, or of all, that may be pending, in no order."""
        rows = self.reading(
            "select facts from runs where status in (?, ?) and endpoint = coalesce(?, endpoint)",
            (PENDING, CRASHED, endpoint),
        )
        return [run for (facts,) in rows if not (run := _run(json.loads(facts))).settled]

    def put_right(self) -> None:
        """Move all times in the future to now, after a clock that was ahead.

        Otherwise pauses, claims and alerts would wait until the wrong time.
        """
        now = self.clock.now()
        begun = self.reading("select 1 from runs where started_at > ? limit 1", (now + AHEAD,))
        wrong = run_stats.ahead(self, now + AHEAD)
        if not begun and not wrong:
            return
        with self.writing() as db:
            for name in {*wrong, *self._begun_after(db, now)}:
                rows = db.execute(
                    """select run_id, facts from runs where endpoint = ?
                       order by started_at desc, place desc limit ?""",
                    (name, _LOOKS_BACK),
                ).fetchall()
                for run_id, text in rows:
                    facts = json.loads(text)
                    right = run_stats.not_after(facts, ("started_at", "finished_at"), now)
                    if right != facts:
                        db.execute(
                            "update runs set started_at = ?, facts = ? where run_id = ?",
                            (right["started_at"], json.dumps(right), run_id),
                        )
            # Runs with the same time keep their order by `place`.
            db.execute("update runs set started_at = ? where started_at > ?", (now, now))
            db.execute("update keys set checked_at = ? where checked_at > ?", (now, now))
            run_stats.put_right(db, now)
            key_health.put_right(db, now)
            call_slots.put_right(db, now)
            alerts.put_right(db, now)
            deliveries.put_right(db, now)

    def _begun_after(self, db: Statements, now: float) -> set[str]:
        rows = db.execute("select distinct endpoint from runs where started_at > ?", (now,))
        return {str(name) for (name,) in rows}

    def mark_crashed(self) -> list[RunRecord]:
        """Mark running runs whose claim or process is gone as `crashed`; returns these runs.

        A process of this machine is noticed at once, one of another machine when its claim runs
        out. A process that only slept cannot store its rows any more.
        """
        self.put_right()
        now = self.clock.now()
        rows, holders = self.reading(_RUNNING), self.leases.holders()
        if not any(_why_crashed(_run(json.loads(facts)), holders, now) for (facts,) in rows):
            return []
        found = []
        with self.writing() as db:
            holders = self.leases.holders(db)
            for (facts,) in db.execute(_RUNNING).fetchall():
                run = _run(json.loads(facts))
                if why := _why_crashed(run, holders, now):
                    run = replace(run, status=CRASHED, error=why)
                    _write(db, run)
                    for name in _claimed(run):
                        self.leases.let_go(db, name, run.token)
                    found.append(run)
        return found

    def busy(self, status: str) -> int:
        """How many endpoints have a run with this status."""
        query = "select count(distinct endpoint) from runs where status = ?"
        ((found,),) = self.reading(query, (status,))
        return int(found)

    def forget(self, before: float) -> int:
        """Delete runs that began before a moment, at most once a day; returns how many.

        Runs that may be pending stay until they are settled.
        """
        now = self.clock.now()
        rows = self.reading("select at from chores where name = 'forget'")
        if rows and abs(now - rows[0][0]) < _DAY:
            return 0
        with self.writing() as db:
            db.execute(
                """insert into chores (name, at) values ('forget', ?)
                   on conflict (name) do update set at = excluded.at""",
                (now,),
            )
            old = (
                "from runs where started_at < ? and status <> 'running' "
                "and (status not in (?, ?) or facts like ?)"
            )
            values = (before, PENDING, CRASHED, '%"settled": true%')
            (count,) = db.execute(f"select count(*) {old}", values).fetchone()
            db.execute(f"delete {old}", values)
        return int(count)

    def rewrite(self, pseudonyms: Pseudonyms, *, dry: bool = False) -> int:
        """Give players who are forgotten their aliases: owners of keys, and sentences of runs.

        What counts for a limit of Torn's stays until it counts no longer.

        Args:
            pseudonyms: the players.
            dry: whether the lines are only counted.

        Returns:
            How many lines were changed or deleted.
        """
        now = self.clock.now()

        def change(facts: dict[str, Any]) -> dict[str, Any]:
            return in_facts(facts, pseudonyms)

        owners = call_slots.owners(self.database) | {
            f"player:{owner}" for owner in self.key_owners()
        }
        gone = {o for o in owners if pseudonyms.of_id(o.removeprefix("player:")) is not None}
        found = 0
        with suppress(_Counted), self.writing() as db:
            for owner in self.key_owners():
                if pseudonyms.of_id(owner) is not None:
                    found += 1
                    db.execute("delete from keys where owner_id = ?", (owner,))
            for run_id, text in db.execute("select run_id, facts from runs").fetchall():
                facts = json.loads(text)
                made = change(facts)
                if made != facts:
                    found += 1
                    query = "update runs set facts = ? where run_id = ?"
                    db.execute(query, (json.dumps(made), run_id))
            found += run_stats.rewrite(db, change)
            found += call_slots.leave_out(db, gone, now)
            found += key_health.leave_out(db, gone, now)
            if dry:
                raise _Counted
        if found and not dry:
            self.database.compact()
        return found

    # --- keys ------------------------------------------------------------------------------

    def write_key(
        self, fingerprint: str, info: KeyInfo, checked_at: float, ahead: float = 0.0
    ) -> None:
        """Store Torn's answer about a key.

        Args:
            fingerprint: of the key.
            info: the answer.
            checked_at: its time by this machine's clock, seconds since 1970.
            ahead: seconds by which Torn's clock was ahead of it.
        """
        with self.writing() as db:
            db.execute(
                """insert into torn_clock (id, ahead) values (1, ?)
                   on conflict (id) do update set ahead = excluded.ahead""",
                (ahead,),
            )
            db.execute(
                """insert into keys (fingerprint, owner_id, checked_at, info) values (?, ?, ?, ?)
                   on conflict (fingerprint) do update set owner_id = excluded.owner_id,
                   checked_at = excluded.checked_at, info = excluded.info""",
                (fingerprint, info.owner_id, checked_at, json.dumps(asdict(info))),
            )

    def ahead(self) -> float | None:
        """Seconds by which Torn's clock is ahead of this machine's, by the last answer about a key.

        None where there is no such answer.
        """
        rows = self.reading("select ahead from torn_clock")
        return float(rows[0][0]) if rows else None

    def key_owners(self) -> set[int]:
        """The ids of players for whose keys there is an answer of Torn's."""
        return {int(owner) for (owner,) in self.reading("select owner_id from keys")}

    def key(self, fingerprint: str) -> tuple[KeyInfo, float] | None:
        """Torn's answer about a key, and its time; None where there is none."""
        rows = self.reading(
            "select info, checked_at from keys where fingerprint = ?", (fingerprint,)
        )
        if not rows:
            return None
        from tcdatalogger.services.torncity.keys import KeyInfo  # noqa: PLC0415  # with the client

        row = rows[0]
        facts = json.loads(row[0])
        facts["selections"] = {k: tuple(v) for k, v in facts["selections"].items()}
        return KeyInfo(**facts), float(row[1])


class _Counted(Exception):
    """Raised to undo a transaction whose changes were only to be counted."""


def cut_off(run: RunRecord, error: BaseException) -> RunRecord:
    """The record of a run that ended by SIGTERM, by Ctrl-C or by a bug.

    The text of a bug may quote data of Torn's, so the state keeps only its class.
    """
    status, says, kind, code = "failed", f"It ended by {type(error).__name__}.", type(error), 1
    if isinstance(error, Stopped | KeyboardInterrupt):
        status, says, kind = STOPPED, "It was told to end.", Stopped
        code = error.exit_code if isinstance(error, Stopped) else INTERRUPTED
    return replace(run, status=status, error=says, error_class=kind.__name__, exit_code=code)


def gone_on(before: RunRecord, now: RunRecord) -> RunRecord:
    """The record of a run that goes on after it had ended.

    It keeps the start and the work so far, and not the former end.

    Args:
        before: the record at the former end.
        now: the record of a run that begins now.
    """
    kept = (
        *(
            "started_at",
            "step",
            "seconds",
            "calls",
            "pages",
            "bytes",
            "records",
            "absent",
            "waited",
        ),
        *("call_seconds", "server_time", "archive_file", "warnings", "key_owner"),
    )
    return replace(now, resumed=True, **{name: getattr(before, name) for name in kept})


_KNOWN: Final = frozenset(each.name for each in fields(RunRecord))


def _run(facts: dict[str, Any]) -> RunRecord:
    """A run from its facts; unknown facts of an older or newer version are ignored."""
    found: dict[str, Any] = {name: value for name, value in facts.items() if name in _KNOWN}
    for name, value in found.items():
        if isinstance(value, list):
            found[name] = tuple(value)
    return RunRecord(**found)


def _facts(run: RunRecord) -> dict[str, Any]:
    """The fields of a record. `asdict` takes ten times as long, and each call writes the record."""
    values = ((each.name, getattr(run, each.name)) for each in fields(RunRecord))
    return {n: dict(value) if isinstance(value, Mapping) else value for n, value in values}


def _write(db: Statements, run: RunRecord) -> None:
    facts = _facts(run)
    known = db.execute("select status from runs where run_id = ?", (run.run_id,)).fetchone()
    run_stats.add(db, facts, known and known[0])
    db.execute(
        """insert into runs (run_id, endpoint, status, started_at, facts, token, place)
           values (?, ?, ?, ?, ?, ?, (select coalesce(max(place), 0) + 1 from runs))
           on conflict (run_id) do update set endpoint = excluded.endpoint,
           status = excluded.status, started_at = excluded.started_at, facts = excluded.facts,
           token = excluded.token""",
        (run.run_id, run.endpoint, run.status, run.started_at, json.dumps(facts), run.token),
    )


def _claimed(run: RunRecord) -> tuple[str, str]:
    """The names of the claims under which a run may run."""
    return run.endpoint, run.endpoint + leases.BACKFILL


def _why_crashed(run: RunRecord, holders: leases.Holders, now: float) -> str:
    """Why a run with the status `running` cannot run any more, "" where it can."""
    held = [holders[name, run.token] for name in _claimed(run) if (name, run.token) in holders]
    if not held:
        return "Its claim was given up or taken over."
    owner, until = held[0]
    if ClaimOwner.read(owner).gone:
        return "Its process is gone."
    return "" if until > now else "Its process was not heard of for too long."
