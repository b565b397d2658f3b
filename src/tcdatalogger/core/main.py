"""Wires the parts together from the settings: the one place that knows all of them."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from tcdatalogger import ending
from tcdatalogger.clock import AheadClock, Clock, SystemClock
from tcdatalogger.core.archive import Archive, remove
from tcdatalogger.core.config import sizes
from tcdatalogger.core.config.requests import chosen
from tcdatalogger.core.config.secrets import ENCRYPTION_KEY, Secret, resolve
from tcdatalogger.core.config.settings import QUERY, EndpointSettings, Settings
from tcdatalogger.core.joining import day_of, join
from tcdatalogger.core.run.already_stored import already, busy_outcome
from tcdatalogger.core.run.checkpoints import StepTables
from tcdatalogger.core.run.key_selection import KeySelector, subject
from tcdatalogger.core.run.load import Guard
from tcdatalogger.core.run.pending import acknowledge
from tcdatalogger.core.run.run import Run, RunResult
from tcdatalogger.core.run.task import queried, task
from tcdatalogger.core.state import leases
from tcdatalogger.core.state.leases import Claim
from tcdatalogger.core.state.run_id import new_run_id
from tcdatalogger.core.state.sqlite import IN_MEMORY
from tcdatalogger.core.state.store import RUNNING, RunRecord, State
from tcdatalogger.errors import Busy, ConfigError, DataRefused, TryAgain
from tcdatalogger.observability.log import get_logger
from tcdatalogger.services.google.address import SCHEME
from tcdatalogger.services.google.connect import connect, open_dataset
from tcdatalogger.services.storage.open import open_bucket, open_storage
from tcdatalogger.services.storage.protocol import PATIENCE as PATIENCE_OF_BUCKET
from tcdatalogger.services.torncity.catalog import catalog
from tcdatalogger.services.torncity.client.budget import Budget, Priority
from tcdatalogger.services.torncity.client.client import Client
from tcdatalogger.services.torncity.client.key_health import fingerprint
from tcdatalogger.services.torncity.client.messages import ApiKey
from tcdatalogger.services.torncity.client.transport import Identity, Timeouts, Transport
from tcdatalogger.services.torncity.keys import KeyInfo, key_info
from tcdatalogger.services.torncity.processing.base import Fetched, Source, Task
from tcdatalogger.services.warehouse.open import look_for_cipher, open_warehouse
from tcdatalogger.services.warehouse.protocol import PATIENCE, Limits, Warehouse

if TYPE_CHECKING:
    from tcdatalogger.services.google.client import Client as BigQuery
    from tcdatalogger.services.storage.bucket import Bucket

GOOGLE_CREDENTIALS: Final = "warehouse.credentials"
"""Under which name messages speak of the credentials for BigQuery."""

KEY_INFO_SECONDS: Final = 60.0
"""How long an answer about a key is believed: a player may change faction, and whom rows are about
goes by it. Long enough that several endpoints of one call to `run` share it."""

BUCKET_CREDENTIALS: Final = "archive.credentials"
"""Under which name messages speak of the credentials of a bucket."""

_DAYS: Final = 7
"""How many days of archive files a run joins at most: after a pause the next days do the rest."""

_ALL: Final = 100_000
"""Runs at once: more than there can be."""

_log = get_logger("archive")


def _bytes(text: str | None) -> int | None:
    return None if text is None else sizes.parse(text)


class Application:
    """The program with its settings. Parts are made when they are first needed.

    Args:
        settings: as `config.load` made them.
        clock: the one source of time; None for this machine's, or that of a state on Postgres.
        environ: where `env:` keys are.
        patience: seconds to wait for a warehouse that another program has open.
        lease: seconds for which a run claims its endpoint before it has to say that it goes on.
        tell: told of each run as it begins, at each step and page, and when it has ended.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        clock: Clock | None = None,
        environ: Mapping[str, str] | None = None,
        patience: float = PATIENCE,
        lease: float = leases.SECONDS,
        tell: Callable[[RunRecord], None] = lambda _run: None,
    ) -> None:
        self.settings = settings
        self._clock = clock or SystemClock()
        self._environ = os.environ if environ is None else environ
        self._patience = patience
        self._lease = lease
        self._tell = tell
        self._calls_told = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close what was opened."""
        for name in ("client", "state"):
            if name in self.__dict__:
                self.__dict__[name].close()

    def serves(self, settings: Settings) -> bool:
        """Whether another configuration differs from this one in its endpoints alone."""
        bare = {"endpoints": ()}
        return self.settings.model_copy(update=bare) == settings.model_copy(update=bare)

    def following(self, settings: Settings) -> Application:
        """The same for other endpoints, with what is open here; only the last one is closed.

        Args:
            settings: which this one `serves`.
        """
        other = Application(
            settings,
            clock=self._clock,
            environ=self._environ,
            patience=self._patience,
            lease=self._lease,
            tell=self._tell,
        )
        for name in ("state", "budget", "client"):
            if name in self.__dict__:
                other.__dict__[name] = self.__dict__[name]
        other._calls_told = self._calls_told  # of the same class
        return other

    def aside(self) -> Application:
        """The same with a state in memory: to look at what is configured must not make one."""
        return self.beside(State(IN_MEMORY, self._clock))

    def beside(self, state: State) -> Application:
        """The same with a state that somebody else opened, and closes."""
        other = Application(
            self.settings, clock=self._clock, environ=self._environ, patience=self._patience
        )
        other.state = state
        return other

    @cached_property
    def catalog(self) -> catalog.Catalog:
        """The catalogue of the configuration, or the one that is shipped."""
        file = self.settings.torn.catalog
        return catalog.load(file if file.exists() else None)

    @cached_property
    def state(self) -> State:
        """The state of the configuration: runs, claims and calls."""
        return State(self.settings.state.url or "", self._clock)

    @cached_property
    def clock(self) -> Clock:
        """The one source of time: that of all who share the state."""
        return self._clock if self.settings.state.file is not None else self.state.clock

    @cached_property
    def archive(self) -> Archive:
        """The raw answers.

        Raises:
            ConfigError: the credentials of its bucket are not where the configuration says.
        """
        return Archive(
            open_storage(
                self.settings.archive.path,
                self.settings.spool,
                patience=self._bucket_patience,
                credentials=self._bucket_credentials(),
            )
        )

    @cached_property
    def artifacts(self) -> StepTables:
        """Where the tables of single steps are, to look at."""
        return StepTables(self.settings.artifacts, self.clock)

    @property
    def bucket(self) -> Bucket:
        """The bucket of the archive without the spool, to check whether it can be used.

        Raises:
            ConfigError: its credentials are not where the configuration says.
        """
        return open_bucket(
            self.settings.archive.path,
            patience=self._bucket_patience,
            credentials=self._bucket_credentials(),
        )

    @property
    def _bucket_patience(self) -> float:
        """The limit of a request to a bucket, in seconds: no longer than the shortest timeout."""
        limits = [endpoint.timeout.seconds for endpoint in self.settings.endpoints]
        return min([PATIENCE_OF_BUCKET, *filter(None, limits)])

    def _bucket_credentials(self) -> Secret | Path | None:
        reference = self.settings.archive.credentials
        if reference is None or self.settings.archive.folder is not None:
            return None
        if self.settings.archive.path.startswith("gs://"):
            return Path(reference.removeprefix("file:"))  # obstore reads it
        return resolve(BUCKET_CREDENTIALS, reference, self._environ)

    @cached_property
    def budget(self) -> Budget:
        """The calls that all processes share."""
        return Budget(self.state.call_slots, self.clock, share=self.settings.limits.share)

    @cached_property
    def client(self) -> Client:
        """Torn's API, with the budget and the health of keys."""
        torn = self.settings.torn
        connect, read = torn.connect_timeout.seconds, torn.read_timeout.seconds
        transport = Transport(
            torn.url,
            self.clock,
            identity=Identity(torn.comment, torn.user_agent or ""),
            timeouts=Timeouts(connect=connect or 10.0, read=read or 30.0),
            largest_body=sizes.parse(torn.max_body),
        )
        return Client(
            transport,
            self.budget,
            self.clock,
            key_health=self.state.key_health,
            owner_of=self.owner,
        )

    @property
    def calls(self) -> list[float]:
        """The seconds of the calls that went over the wire and that no run has counted yet."""
        made = self.client.calls if "client" in self.__dict__ else []
        return made[self._calls_told :]

    def warehouse(
        self,
        patience: float | None = None,
        *,
        read_only: bool = False,
        unsafe: bool = False,
        limits: Limits | None = None,
    ) -> Warehouse:
        """The warehouse; opened at its first use.

        Args:
            patience: seconds to wait for it, None for the usual time.
            read_only: for queries.
            unsafe: whether those may reach other files than the warehouse's.
            limits: of each of them; None for none.

        Raises:
            ConfigError: it is of a kind that does not work yet, or its key is not where the
                configuration says.
        """
        wanted = self.settings.warehouse
        if wanted.url.startswith(SCHEME):
            return open_dataset(
                self.bigquery(),
                self.clock,
                partition=wanted.partition,
                require_partition_filter=wanted.require_partition_filter,
                most_billed=None if limits is None else _bytes(wanted.maximum_bytes_billed),
            )
        longest = self._patience if patience is None else min(patience, self._patience)
        return open_warehouse(
            wanted.url,
            self.clock,
            patience=longest,
            read_only=read_only,
            key=self._encryption_key(),
            unsafe=unsafe,
            limits=limits,
        )

    def file(self, path: Path) -> Warehouse:
        """A DuckDB file beside the warehouse; a new one is encrypted where there is a key for it.

        Raises:
            ConfigError: the key is not where the configuration says.
        """
        return open_warehouse(f"duckdb:///{path}", self.clock, key=self._encryption_key())

    def bigquery(self) -> BigQuery:
        """The way to the dataset of the warehouse, to check what may be done there.

        Raises:
            ConfigError: there are no credentials, or Google's library is not installed.
        """
        reference = self.settings.warehouse.credentials
        credentials = None
        if reference is not None:
            credentials = resolve(GOOGLE_CREDENTIALS, reference, self._environ, document=True)
        return connect(
            self.settings.warehouse.url,
            self._environ,
            credentials=credentials,
            clock=self.clock,
            kms_key=self.settings.warehouse.kms_key or "",
        )

    def look_for_cipher(self) -> None:
        """Whether this machine can encrypt the warehouse, as a run will have to.

        Raises:
            ConfigError: it cannot, or the key is not where the configuration says.
        """
        self._encryption_key()
        look_for_cipher(self.settings.warehouse.url)

    def _encryption_key(self) -> Secret | None:
        reference = self.settings.warehouse.encryption_key
        return None if reference is None else resolve(ENCRYPTION_KEY, reference, self._environ)

    # --- keys ------------------------------------------------------------------------------

    def keys(self, endpoint: EndpointSettings) -> tuple[Secret, ...]:
        """The keys of an endpoint, those that can be had; more than one where it names several.

        Raises:
            ConfigError: none of them is where the configuration says.
        """
        found, missing = [], []
        for name in endpoint.api_key:
            try:
                found.append(self.key(name))
            except ConfigError as error:
                missing.append(error)
        if not found:
            raise missing[0]
        return tuple(found)

    @property
    def environ(self) -> Mapping[str, str]:
        """Where `env:` keys are."""
        return self._environ

    def secret(self, name: str, reference: str, *, document: bool = False) -> Secret:
        """A secret of the configuration, under the name that messages may show.

        Args:
            name: where it stands in the configuration.
            reference: where it is.
            document: whether it is a whole text of several lines, and no key.

        Raises:
            ConfigError: it is not where the configuration says.
        """
        return resolve(name, reference, self._environ, document=document)

    def key(self, name: str) -> Secret:
        """A key by its name in the configuration.

        Raises:
            ConfigError: it is not where the configuration says.
        """
        reference = self.settings.keys.get(name)
        if reference is None:
            raise ConfigError(f"An endpoint uses the key {name!r}, which [keys] does not have.")
        return self.secret(name, reference)

    def info(self, key: ApiKey) -> KeyInfo:
        """What Torn says of a key: one call, if it was not asked within the last minute.

        Raises:
            Failure: Torn refuses the key, or cannot be asked.
        """
        identity = fingerprint(key)
        known = self.state.key(identity)
        # A time ahead of now is no news: the clock was set back, and Torn's must be asked anew.
        fresh = known is not None and 0 <= self.clock.now() - known[1] < KEY_INFO_SECONDS
        if known is not None and fresh and self.state.ahead() is not None:
            return known[0]
        info, server_time = key_info(self.client, key)
        now = self.clock.now()
        self.state.write_key(identity, info, now, server_time - now)
        self.state.call_slots.count_under(identity, self.owner(key))
        if known is not None and known[0] != info:
            self.state.key_health.forget_permissions(identity)
        return info

    def owner(self, key: ApiKey) -> str:
        """Under which name a key's calls are counted: its player's, as soon as we know it."""
        identity = fingerprint(key)
        known = self.state.key(identity)
        return identity if known is None else f"player:{known[0].owner_id}"

    @property
    def torn_clock(self) -> Clock:
        """Torn's clock: moments of the past that a run asks for go by it.

        It is known from the last answer about a key, which comes before the calls of every run;
        before the first one it is the clock of this machine.
        """
        return AheadClock(self.clock, self.state.ahead() or 0.0)

    @property
    def today(self) -> float:
        """The time from which ages count, seconds since 1970.

        It is the earlier one of this machine's and Torn's: what is deleted because a clock was
        ahead does not come back.
        """
        now = self.clock.now()
        return min(now, now + (self.state.ahead() or 0.0))

    # --- runs ------------------------------------------------------------------------------

    def chosen(
        self, names: Sequence[str] = (), *, everything: bool = False, tag: str | None = None
    ) -> list[EndpointSettings]:
        """The endpoints that are meant (`targets.chosen`)."""
        return chosen(self.settings, names, everything=everything, tag=tag)

    def task(self, endpoint: EndpointSettings, run_id: str = "") -> Task:
        """What one run of an endpoint is to do."""
        run_id = run_id or new_run_id(self.clock)
        return task(endpoint, self.catalog, run_id, self.clock.now(), self._roots)

    @cached_property
    def _roots(self) -> tuple[str, ...]:
        """The root tables of all endpoints; for a check of all of them, they are looked up once."""
        return tuple(endpoint.root_table for endpoint in self.settings.endpoints)

    def torn_now(self, endpoint: EndpointSettings) -> float:
        """The time by Torn's clock, seconds since 1970: one call where its keys are not known yet.

        Raises:
            Failure: no key of the endpoint can be used, or Torn cannot be asked.
        """
        self._keys_of(endpoint, self.task(endpoint)).choose()
        return self.torn_clock.now()

    @contextmanager
    def claimed(
        self, name: str, run_id: str, claim: Claim | None = None, *, forgets: bool = False
    ) -> Iterator[Claim]:
        """Have an endpoint alone until the end of the block, whatever else is started meanwhile.

        Args:
            name: of the endpoint, or of what else only one may do at a time.
            run_id: of the run.
            claim: one that was made already, and is kept here. Whoever made it releases it: only
                they know when all is done that it stands for.
            forgets: whether it is claimed to forget a player.

        Raises:
            Busy: somebody else has it, or a player was to be forgotten and that was cut short.
            StateUnavailable: the state cannot be reached.
        """
        taken = claim is None
        if not forgets and self.state.forgotten.unfinished():
            raise Busy(
                "A player is to be forgotten, and that is not finished: nothing is stored "
                "meanwhile.",
                remedy="`tcdatalogger forget again` finishes what was cut short.",
            )
        with ExitStack() as stack:
            with ending.held():  # no signal comes between the claim and what gives it back
                if claim is None:
                    claim = self.state.leases.claim(name, run_id, seconds=self._lease)
                else:  # whoever made it may have been held up until another had it
                    claim = self.state.leases.renew(claim, self._lease)
                stack.enter_context(self.state.leases.kept(claim, self._lease, release=taken))
            self.mark_crashed()
            yield claim

    def run(
        self,
        endpoint: EndpointSettings,
        *,
        run_id: str = "",
        claim: Claim | None = None,
        until: str = "store",
        dry: bool = False,
        accept_subject: bool = False,
    ) -> RunResult:
        """Run an endpoint now. One that somebody else runs is `busy`, which is not written down.

        Args:
            endpoint: what to run.
            run_id: of the run, where it is known; one that is stored already does nothing.
            claim: where the endpoint was claimed for it already.
            until: the last step to take.
            dry: stop before anything is stored and say what would be.
            accept_subject: whether it may be about another one than the last run.

        Raises:
            StateUnavailable: the state cannot be reached.
        """
        task = replace(self.task(endpoint, run_id), accept_subject=accept_subject)
        try:
            with self.claimed(endpoint.name, task.run_id, claim) as held:
                if run_id and claim is None and until == "store" and not dry:
                    stored = already(self, endpoint, task)
                    if stored is not None:
                        return stored
                seconds = endpoint.timeout.seconds
                outcome = self.run_task(
                    endpoint, task, claim=held, until=until, dry=dry, timeout=seconds
                )
                self._tidy(outcome.record)
                return outcome
        except Busy as busy:
            return busy_outcome(self.record(task), busy)

    def _tidy(self, record: RunRecord) -> None:
        """Let go of what is no longer to be kept, after a run and still under its claim."""
        now = self.clock.now()
        with suppress(TryAgain):  # what became of the run is told all the same
            self.state.forget(self.settings.state.keep.before(now))
        endpoint = self.settings.endpoint(record.endpoint)
        if endpoint is not None and record.status == "done":
            try:
                self.prune_archive(endpoint, at=record.server_time)
            except (TryAgain, ConfigError) as failure:  # of a bucket; the next run tries again
                _log.warning("archive_not_pruned", message=failure.message)
        self._join(record)

    def _join(self, record: RunRecord) -> None:
        """Join the archive files of the days before, at the first run of an endpoint on a day."""
        now = self.clock.now()  # by which the files have their days
        try:
            last = [
                run
                for run in self.state.runs(endpoint=record.endpoint, most=2)
                if run.run_id != record.run_id
            ]
            if not last or day_of(last[0].started_at) >= day_of(now):
                return
            pending = {run.run_id for run in self.state.unsettled(record.endpoint)}
            join(self.archive, record.endpoint, now, pending, most=_DAYS)
        except (TryAgain, ConfigError, DataRefused) as failure:  # tomorrow's first run tries again
            _log.warning("archive_not_joined", message=failure.message)

    def prune_archive(
        self, endpoint: EndpointSettings, *, at: float | None = None, dry: bool = False
    ) -> int:
        """Delete the answers of an endpoint that are older than the archive keeps; how many files.

        Args:
            endpoint: whose answers; it is claimed.
            at: the time by Torn's clock, where a run has just told it; seconds since 1970.
            dry: whether they are only counted.

        Raises:
            WarehouseUnavailable, ConfigError: the bucket of the archive cannot be reached now.
        """
        keep = self.settings.archive.keep
        if keep is None:
            return 0
        # By Torn's clock where ours is ahead: answers that are deleted do not come back.
        today = min(self.clock.now(), at) if at else self.today
        pending = {run.run_id for run in self.state.unsettled(endpoint.name)}
        return self.archive.prune(endpoint.name, keep.before(today), pending, dry=dry)

    def record(self, task: Task, claim: Claim | None = None) -> RunRecord:
        """Of a run, as it begins."""
        return RunRecord(
            run_id=task.run_id,
            endpoint=task.name,
            started_at=self.clock.now(),
            pid=os.getpid(),
            host=socket.gethostname(),
            token=claim.token if claim else None,
            owner=claim.owner if claim else "",
            log_file=str(self.settings.log.file or ""),
            backfill=task.stretch is not None,
        )

    def run_task(
        self,
        endpoint: EndpointSettings,
        task: Task,
        *,
        claim: Claim,
        until: str = "store",
        dry: bool = False,
        timeout: float | None = None,
        priority: Priority | None = None,
    ) -> RunResult:
        """Run one task of an endpoint under a claim; the arguments are those of `run.Run`."""
        record, guard = self.record(task, claim), self.guard(claim, task.name)
        run = Run(self, endpoint, task, record, guard, until=until, dry=dry)
        return self.execute(run, timeout=timeout, priority=priority)

    def execute(
        self,
        run: Run,
        *,
        timeout: float | None = None,
        priority: Priority | None = None,
        fetched: Fetched | None = None,
    ) -> RunResult:
        """Take the steps of a run; the arguments are those of `Run.execute`."""
        try:
            return run.execute(timeout=timeout, priority=priority, fetched=fetched)
        finally:
            self._calls_told += len(self.calls)

    def guard(self, claim: Claim, endpoint: str) -> Guard:
        """What keeps a load out where its claim was lost."""
        return Guard.of(self.state.leases, claim, endpoint, self._lease)

    def tell(self, record: RunRecord) -> None:
        """Tell of a run to whoever looks on."""
        self._tell(record)

    def look(self) -> None:
        """See what became of runs whose process ended: whoever asks for runs calls this first."""
        self.mark_crashed()
        acknowledge(self.state, lambda: self.warehouse(0.0, read_only=True), self.clock.now())

    def mark_crashed(self) -> None:
        """Write down which runs ended with their process, and clear away what any left half."""
        self.state.mark_crashed()
        halves = (*self.archive.halves(), *self.artifacts.halves())
        if halves:
            living = {run.run_id for run in self.state.runs(status=RUNNING, most=_ALL)}
            remove([half for half in halves if half.stem not in living])

    def source(
        self, endpoint: EndpointSettings, task: Task, priority: Priority | None = None
    ) -> Source:
        """How to call Torn for an endpoint; refused here what the key may not do.

        Raises:
            KeyRefused: the key's level or its owner's position does not suffice.
        """
        keys = self._keys_of(endpoint, task, priority)
        info = keys.choose()

        found: tuple[str, ...] = ()
        if task.ids[:1] and task.ids[0].startswith(QUERY):
            with self.warehouse(read_only=True) as warehouse:
                found = queried(warehouse, task.ids[0])
        return Source(
            get=keys.get,
            host=self.client.host,
            subject=partial(subject, info=info),
            ids=found,
            clock=self.torn_clock,
        )

    def _keys_of(
        self, endpoint: EndpointSettings, task: Task, priority: Priority | None = None
    ) -> KeySelector:
        return KeySelector(
            task.endpoint,
            self.keys(endpoint),
            self,
            priority=priority or endpoint.priority,
            meant=endpoint.subject,
        )
