"""Claims: one process at a time may run an endpoint, also over several daemons and commands.

A claim lasts for some seconds and is renewed while its run lasts. A claim that ran out, or whose
process is gone, goes to the next process that asks. The token of a name grows with each claim. So a
process that slept too long may not store its rows: the fence asks here, and the ledger of the
warehouse compares the tokens.
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
"""How long a claim lasts without a renewal."""

BACKFILL: Final = "/backfill"
"""After the name of an endpoint: the claim of its backfill."""

BACKUP: Final = "/backup"
"""The name of the claim of backups and of their runs; no endpoint has this name."""

EXPORT: Final = "/export/"
"""Before the name of an export: as `BACKUP`, for that export."""

DIGEST: Final = "/digest"
"""As `BACKUP`, for the digest."""

CATALOG: Final = "/catalog"
"""As `BACKUP`, for the look whether Torn's document has changed."""

PRUNE: Final = "/prune"
"""As `BACKUP`, for the deletion of what is older than it is kept."""

Holders = Mapping[tuple[str, int | None], tuple[str, float]]
"""The owner of each claim that was not given back, and its end, by name and token."""

_HOLDERS: Final = "select endpoint, token, owner, until from leases where owner <> ''"
_LEASE: Final = "select run_id, token, owner, since, until from leases where endpoint = ?"


@dataclass(frozen=True, slots=True)
class Claim:
    """The right of one process to run an endpoint.

    Attributes:
        endpoint: the claimed name; `NAME/backfill` for a backfill.
        run_id: the run for which it was claimed.
        token: a number that grows with each claim of a name, also when the state is lost.
        owner: the process that has the claim, as `ClaimOwner.text`.
        until: when the claim runs out without a renewal; seconds since 1970.
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
        host: the name of the machine.
        space: identifies the machine, its boot and its container; a process can be looked up only
            inside the same space.
        pid: the number of the process.
        begun: when the process began, by a count of the machine; another process may get the same
            number later.
        mark: a random text.
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
        """The owner of a text that `text` returned."""
        host, space, pid, begun, mark = text.rsplit("/", 4)
        return cls(host, space, int(pid), begun, mark)

    @property
    def text(self) -> str:
        """The owner as the state has it."""
        return f"{self.host}/{self.space}/{self.pid}/{self.begun}/{self.mark}"

    @property
    def gone(self) -> bool:
        """Whether the process has surely ended; False for a process of another space."""
        return self.space == _space() and _begun(self.pid) != self.begun


class Leases:
    """The claims of all processes that share a state.

    Args:
        database: the database of the state.
        clock: the clock by which claims run out.
    """

    def __init__(self, database: Tables, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def claim(
        self, endpoint: str, run_id: str, *, owner: str | None = None, seconds: float = SECONDS
    ) -> Claim:
        """Claim an endpoint for a run.

        Args:
            endpoint: the name to claim.
            run_id: the run for which it is claimed.
            owner: `ClaimOwner.text` of the process that will run it; None for this process.
            seconds: how long the claim lasts without a renewal.

        Raises:
            Busy: another process has the claim; the message names it.
            StateUnavailable: the state cannot be reached.
        """
        with self._database.writing() as db:
            try:
                return self.take(db, endpoint, run_id, owner=owner, seconds=seconds)
            except Busy as busy:  # the transaction stays valid
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
        """As `claim`, within an open transaction of the same state.

        Raises:
            Busy: another process has the claim. The transaction stays valid.
        """
        now = self._clock.now()
        token = int(now * 1e6)
        row = db.execute(_LEASE, (endpoint,)).fetchone()
        if row is not None:
            held_for, last, holder, since, until = row
            if holder and until > now and not ClaimOwner.read(holder).gone:
                if until > now + max(seconds, SECONDS):
                    # Set while the clock was ahead: a living process renews it, others run out.
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
        """Make a claim last longer, also one that ran out and was not taken by another process.

        Raises:
            Busy: another process took it.
        """
        with self._database.writing() as db:
            self._still(db, claim)
            until = self._clock.now() + seconds
            db.execute("update leases set until = ? where endpoint = ?", (until, claim.endpoint))
        return replace(claim, until=until)

    def check(self, claim: Claim, seconds: float = SECONDS) -> None:
        """The fence: return if this process has the claim, and make it last for `seconds`.

        Raises:
            Busy: another process has the claim.
            StateUnavailable: the state cannot be asked, so nothing may be stored.
        """
        self.renew(claim, seconds)

    def release(self, claim: Claim) -> None:
        """Give a claim back; does nothing where another process has it."""
        with self._database.writing() as db:
            self.let_go(db, claim.endpoint, claim.token)

    def let_go(self, db: Statements, endpoint: str, token: int | None) -> None:
        """As `release`, within an open transaction of the same state."""
        db.execute(
            "update leases set owner = '', until = 0 where endpoint = ? and token = ?",
            (endpoint, token),
        )

    def holders(self, db: Statements | None = None) -> Holders:
        """The owners of all claims that were not given back, also owners that are gone.

        Args:
            db: an open transaction of the same state, None for none.
        """
        rows = self._database.reading(_HOLDERS) if db is None else db.execute(_HOLDERS).fetchall()
        return {(name, token): (owner, until) for name, token, owner, until in rows}

    def held(self) -> list[Claim]:
        """The claims that have not run out, ordered by name."""
        now = self._clock.now()
        rows = self._database.reading(
            """select endpoint, run_id, token, owner, until from leases
               where owner <> '' and until > ? order by endpoint""",
            (now,),
        )
        found = [Claim(*row) for row in rows]
        return [claim for claim in found if not ClaimOwner.read(claim.owner).gone]

    def orphaned(self) -> list[str]:
        """The names of claims that ran out or whose process is gone, and were not given back."""
        now, holders = self._clock.now(), self.holders()
        return [name for (name, _), holder in holders.items() if _is_over(*holder, now)]

    def give_back(self, names: Iterable[str]) -> None:
        """Give back claims that ran out or whose process is gone."""
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
        """Renew a claim until the end of the block, and then release it.

        A renewal that fails is tried again later; the fence decides before anything is stored.
        """
        over = Event()
        keeper = Thread(target=self._keep, args=(claim, seconds, over), daemon=True)
        try:
            keeper.start()
            yield claim
        finally:
            # Without a signal in between: a notebook would go on to renew the claim for ever.
            with ending.held():
                over.set()
                if keeper.is_alive():
                    keeper.join()
                if release:
                    with suppress(TryAgain):  # then it runs out; the end of the run is stored
                        self.release(claim)

    def _keep(self, claim: Claim, seconds: float, over: Event) -> None:
        # By real time, also where `clock` is a clock of tests: the run needs real time, too.
        while not over.wait(seconds / 3):
            try:
                self.renew(claim, seconds)
            except TryAgain as trouble:
                if "holder" in trouble.facts:  # another process has it now
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
    """Whether a claim ran out, or its process is gone."""
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
    """A text that identifies this machine, its boot and its container."""
    try:
        parts = [Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()]
        # Containers of a machine may share its name, but cannot see each other's processes.
        parts.append(str(Path("/proc/self/ns/pid").readlink()))
    except OSError:
        import psutil  # noqa: PLC0415  # only where there is no /proc

        parts = [socket.gethostname(), str(round(psutil.boot_time()))]
    return sha256(" ".join(parts).encode()).hexdigest()[:12]


def _begun(pid: int) -> str | None:
    """When a process began, by a count of the machine; None where there is no such process."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        if Path("/proc/self/stat").exists():
            return None
        return _begun_elsewhere(pid)
    except OSError:
        return None
    # The name in brackets may have any character. A zombie has ended, but its number is not free.
    state, *rest = text.rpartition(")")[2].split()
    return None if state in {"Z", "X"} else rest[18]


def _begun_elsewhere(pid: int) -> str | None:
    import psutil  # noqa: PLC0415  # only where there is no /proc

    try:
        return str(round(psutil.Process(pid).create_time()))
    except psutil.Error:
        return None
