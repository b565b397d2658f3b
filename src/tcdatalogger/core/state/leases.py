"""Who runs an endpoint: one claim at a time, by whatever daemon, command or cron line.

A claim holds for some seconds and is renewed while its run lasts. One whose holder is gone, or that
ran out, is taken over by whoever asks next. Its token grows from claim to claim, so that a holder
that was paused for too long and wakes finds that it may store no more: the fence asks here, and the
warehouse's ledger compares the tokens.
"""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import cache
from hashlib import sha256
from pathlib import Path
from threading import Event, Thread
from typing import Final, Self

from tcdatalogger import ending
from tcdatalogger.clock import Clock, utc
from tcdatalogger.core.state.database import Statements, Tables
from tcdatalogger.errors import Busy, TryAgain

SECONDS: Final = 30.0
"""For how long a claim holds without being renewed."""

BACKFILL: Final = "/backfill"
"""After the name of an endpoint: the claim of its backfill."""

BACKUP: Final = "/backup"
"""The claim of the backup, and the name under which it stands with the runs; no endpoint's."""

Holders = Mapping[tuple[str, int | None], tuple[str, float]]
"""The owner of each claim that was not given back, and until when it holds, by name and token."""

_HOLDERS: Final = "select endpoint, token, owner, until from leases where owner <> ''"
_LEASE: Final = "select run_id, token, owner, since, until from leases where endpoint = ?"


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to run an endpoint, until somebody else has it.

    Attributes:
        endpoint: the name that is claimed; `NAME/backfill` for its backfill.
        run_id: for which run.
        token: grows from claim to claim of a name, also over a state that was lost.
        owner: the process that has it, as `ClaimOwner.text`.
        until: when it runs out if it is not renewed; seconds since 1970.
    """

    endpoint: str
    run_id: str
    token: int
    owner: str
    until: float


@dataclass(frozen=True, slots=True)
class ClaimOwner:
    """A process that may hold claims.

    Attributes:
        host: the machine's name.
        space: tells machines, their boots and their containers apart: only within one can a process
            be looked up by its number.
        pid: the process's number.
        begun: when the process began, by its machine's own count: a number that was given to
            another process is no disguise.
        mark: random.
    """

    host: str
    space: str
    pid: int
    begun: str
    mark: str

    @classmethod
    def me(cls) -> Self:
        """This process."""
        pid = os.getpid()
        return cls(socket.gethostname(), _space(), pid, _begun(pid) or "", secrets.token_hex(4))

    @classmethod
    def read(cls, text: str) -> Self:
        """From `text`."""
        host, space, pid, begun, mark = text.rsplit("/", 4)
        return cls(host, space, int(pid), begun, mark)

    @property
    def text(self) -> str:
        """The claim as the state has it."""
        return f"{self.host}/{self.space}/{self.pid}/{self.begun}/{self.mark}"

    @property
    def gone(self) -> bool:
        """Whether it is known to have ended; False for a process that cannot be seen from here."""
        return self.space == _space() and _begun(self.pid) != self.begun


class Leases:
    """The claims of all processes that share a state.

    Args:
        database: where they stand.
        clock: by which they run out.
    """

    def __init__(self, database: Tables, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def claim(
        self, endpoint: str, run_id: str, *, owner: str | None = None, seconds: float = SECONDS
    ) -> Claim:
        """Claim an endpoint for a run.

        Args:
            endpoint: its name, or another name of which one holder at a time is wanted.
            run_id: of the run.
            owner: `ClaimOwner.text` of the process that will run it; None for this one.
            seconds: for how long, if it is not renewed.

        Raises:
            Busy: somebody else has it; the message says who.
            StateUnavailable: the state cannot be reached.
        """
        with self._database.writing() as db:
            try:
                return self.take(db, endpoint, run_id, owner=owner, seconds=seconds)
            except Busy as busy:  # no reason to undo what was written
                found = busy
        raise found

    def take(
        self,
        db: Statements,
        endpoint: str,
        run_id: str,
        *,
        owner: str | None = None,
        seconds: float = SECONDS,
    ) -> Claim:
        """As `claim`, within a transaction of the same state that is open already.

        Raises:
            Busy: somebody else has it. The transaction may go on.
        """
        now = self._clock.now()
        token = int(now * 1e6)
        row = db.execute(_LEASE, (endpoint,)).fetchone()
        if row is not None:
            held_for, last, holder, since, until = row
            if holder and until > now and not ClaimOwner.read(holder).gone:
                if until > now + max(seconds, SECONDS):
                    # Of a clock that was ahead. Who lives renews it; of the dead it is to run out.
                    soon = now + SECONDS
                    db.execute("update leases set until = ? where endpoint = ?", (soon, endpoint))
                raise _busy(endpoint, held_for, holder, since)
            token = max(token, last + 1)
        claim = Claim(endpoint, run_id, token, owner or me(), now + seconds)
        db.execute(
            """insert into leases (endpoint, run_id, token, owner, since, until)
               values (?, ?, ?, ?, ?, ?) on conflict (endpoint) do update set
               run_id = excluded.run_id, token = excluded.token, owner = excluded.owner,
               since = excluded.since, until = excluded.until""",
            (endpoint, run_id, token, claim.owner, now, claim.until),
        )
        return claim

    def renew(self, claim: Claim, seconds: float = SECONDS) -> Claim:
        """Hold a claim for longer; also one that ran out, if nobody took it meanwhile.

        Raises:
            Busy: somebody else took it.
        """
        with self._database.writing() as db:
            self._still(db, claim)
            until = self._clock.now() + seconds
            db.execute("update leases set until = ? where endpoint = ?", (until, claim.endpoint))
        return replace(claim, until=until)

    def check(self, claim: Claim, seconds: float = SECONDS) -> None:
        """The fence: return if the claim is ours, and will be for some seconds more.

        Raises:
            Busy: it is not.
            StateUnavailable: nobody can tell, so nothing may be stored.
        """
        self.renew(claim, seconds)

    def release(self, claim: Claim) -> None:
        """Let others have it; nothing is done where it is no longer ours."""
        with self._database.writing() as db:
            self.let_go(db, claim.endpoint, claim.token)

    def let_go(self, db: Statements, endpoint: str, token: int | None) -> None:
        """As `release`, within a transaction of the same state that is open already."""
        db.execute(
            "update leases set owner = '', until = 0 where endpoint = ? and token = ?",
            (endpoint, token),
        )

    def holders(self, db: Statements | None = None) -> Holders:
        """Who has which claim, also of those who are gone.

        Args:
            db: a transaction of the same state that is open already, where there is one.
        """
        rows = self._database.reading(_HOLDERS) if db is None else db.execute(_HOLDERS).fetchall()
        return {(name, token): (owner, until) for name, token, owner, until in rows}

    def held(self) -> list[Claim]:
        """The claims that hold now, by name."""
        now = self._clock.now()
        rows = self._database.reading(
            """select endpoint, run_id, token, owner, until from leases
               where owner <> '' and until > ? order by endpoint""",
            (now,),
        )
        found = [Claim(*row) for row in rows]
        return [claim for claim in found if not ClaimOwner.read(claim.owner).gone]

    def orphaned(self) -> list[str]:
        """Names whose holder ended, or was not heard of for too long, without giving them back."""
        now, holders = self._clock.now(), self.holders()
        return [name for (name, _), holder in holders.items() if _is_over(*holder, now)]

    def give_back(self, names: Iterable[str]) -> None:
        """Give back claims whose holder ended, or was not heard of for too long."""
        wanted = set(names)
        with self._database.writing() as db:
            now = self._clock.now()
            for (name, token), holder in self.holders(db).items():
                if name in wanted and _is_over(*holder, now):
                    self.let_go(db, name, token)

    @contextmanager
    def kept(
        self, claim: Claim, seconds: float = SECONDS, *, release: bool = True
    ) -> Iterator[Claim]:
        """Renew a claim until the end of the block, and then release it, the last thing of all.

        A renewal that fails is tried again at the next; what matters in the end is the fence.
        """
        over = Event()
        keeper = Thread(target=self._keep, args=(claim, seconds, over), daemon=True)
        try:
            keeper.start()
            yield claim
        finally:
            # No signal comes in between: a notebook lives on, and would renew the claim for ever.
            with ending.held():
                over.set()
                if keeper.is_alive():
                    keeper.join()
                if release:
                    with suppress(TryAgain):  # then it runs out by itself; the run's end counts
                        self.release(claim)

    def _keep(self, claim: Claim, seconds: float, over: Event) -> None:
        # By real time, whatever clock is in use: the run that it is kept for goes on in it.
        while not over.wait(seconds / 3):
            try:
                self.renew(claim, seconds)
            except TryAgain as trouble:
                if "holder" in trouble.facts:  # it is another's by now
                    return

    def _still(self, db: Statements, claim: Claim) -> None:
        row = db.execute(_LEASE, (claim.endpoint,)).fetchone()
        if row is None or row[1] != claim.token or not row[2]:
            taken = row is not None and row[2] and row[1] != claim.token
            by = f" Run {row[0]} has it, {_whose(row[2])}." if row is not None and taken else ""
            raise Busy(
                f"The run {claim.run_id} lost its claim on {claim.endpoint} and may store no more."
                f"{by}",
                remedy="It was paused or cut off for too long; nothing of it was stored.",
                holder=row[2] if row is not None else "",
            )


def _is_over(owner: str, until: float, now: float) -> bool:
    """Whether a claim ran out, or its holder is gone."""
    return until <= now or ClaimOwner.read(owner).gone


@cache
def _mine(pid: int) -> str:  # noqa: ARG001  # a child process is another owner than its parent
    return ClaimOwner.me().text


def me() -> str:
    """The owner that this process is."""
    return _mine(os.getpid())


def _busy(endpoint: str, run_id: str, holder: str, since: float) -> Busy:
    return Busy(
        f"{endpoint} is busy: the run {run_id} has it since {utc(since):%Y-%m-%d %H:%M:%S} UTC, "
        f"{_whose(holder)}.",
        remedy="Try again when it has ended; `tcdatalogger runs` shows it.",
        holder=holder,
        endpoint=endpoint,
    )


def _whose(holder: str) -> str:
    owner = ClaimOwner.read(holder)
    return f"process {owner.pid} on {owner.host}"


@cache
def _space() -> str:
    """What tells this machine, its boot and its container from others."""
    try:
        parts = [Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()]
        # Containers of one machine may share its name, but do not see each other's processes.
        parts.append(str(Path("/proc/self/ns/pid").readlink()))
    except OSError:
        import psutil  # noqa: PLC0415  # only where there is no /proc

        parts = [socket.gethostname(), str(round(psutil.boot_time()))]
    return sha256(" ".join(parts).encode()).hexdigest()[:12]


def _begun(pid: int) -> str | None:
    """When a process began, by the machine's own count; None where there is no such process."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        if Path("/proc/self/stat").exists():
            return None
        return _begun_elsewhere(pid)
    except OSError:
        return None
    # The name, in brackets, may hold anything; a zombie has ended, though its number is taken.
    state, *rest = text.rpartition(")")[2].split()
    return None if state in {"Z", "X"} else rest[18]


def _begun_elsewhere(pid: int) -> str | None:
    import psutil  # noqa: PLC0415  # only where there is no /proc

    try:
        return str(round(psutil.Process(pid).create_time()))
    except psutil.Error:
        return None
