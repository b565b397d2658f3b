"""Wires the parts together from the settings: the one place that knows all of them."""

from __future__ import annotations

import difflib
import os
import secrets as random
import socket
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, partial
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from tcdatalogger.clock import Clock, SystemClock, utc
from tcdatalogger.core import pipeline
from tcdatalogger.core.archive import Archive
from tcdatalogger.core.keychoice import Keys, subject
from tcdatalogger.core.moments import moment
from tcdatalogger.core.pipeline import Outcome, Workplace
from tcdatalogger.core.secrets import Secret, resolve
from tcdatalogger.core.settings import QUERY, Endpoint, Settings
from tcdatalogger.core.state import RunRecord, State
from tcdatalogger.core.targets import is_incremental, path_values, query
from tcdatalogger.errors import ConfigError, DataRefused, UsageError
from tcdatalogger.services.duckdb.warehouse import PATIENCE, DuckDBWarehouse
from tcdatalogger.services.torncity import catalog
from tcdatalogger.services.torncity.base import Task, Tools
from tcdatalogger.services.torncity.budget import Budget, Priority
from tcdatalogger.services.torncity.client import Client, fingerprint
from tcdatalogger.services.torncity.keys import KeyInfo, key_info
from tcdatalogger.services.torncity.messages import Key
from tcdatalogger.services.torncity.registry import processor
from tcdatalogger.services.warehouse import Warehouse

KEY_INFO_SECONDS: Final = 60.0
"""How long an answer about a key is believed: a player may change faction, and whom rows are about
goes by it. Long enough that several endpoints of one call to `run` share it."""


class Application:
    """The program with its settings. Parts are made when they are first needed.

    Args:
        settings: as `config.load` made them.
        clock: the one source of time.
        environ: where `env:` keys are.
        patience: seconds to wait for a warehouse that another program has open.
        on_page: told of each page as it comes.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        clock: Clock | None = None,
        environ: Mapping[str, str] | None = None,
        patience: float = PATIENCE,
        on_page: Callable[[Task, int], None] = lambda _task, _page: None,
    ) -> None:
        self.settings = settings
        self.clock = clock or SystemClock()
        self._environ = os.environ if environ is None else environ
        self._patience = patience
        self._on_page = on_page

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for name in ("client", "state"):
            if name in self.__dict__:
                self.__dict__[name].close()

    @cached_property
    def catalog(self) -> catalog.Catalog:
        file = self.settings.torn.catalog
        return catalog.load(file if file.exists() else None)

    @cached_property
    def state(self) -> State:
        file = self.settings.state.file
        if file is None:
            raise ConfigError(
                f"The state {self.settings.state.url} is of a kind that does not work yet.",
                remedy="Use sqlite:///FILE.",
            )
        return State(file)

    @cached_property
    def archive(self) -> Archive:
        path = self.settings.archive.path
        if "://" in path:
            raise ConfigError(f"The archive {path} is of a kind that does not work yet.")
        return Archive(Path(path))

    @cached_property
    def budget(self) -> Budget:
        return Budget(self.state.traffic, self.clock, share=self.settings.limits.share)

    @cached_property
    def client(self) -> Client:
        torn = self.settings.torn
        return Client(
            torn.url,
            self.budget,
            self.clock,
            standing=self.state.standing,
            comment=torn.comment,
            contact=torn.user_agent or "",
            connect_timeout=torn.connect_timeout.seconds or 10.0,
            read_timeout=torn.read_timeout.seconds or 30.0,
            owner_of=self.owner,
        )

    def warehouse(self, *, read_only: bool = False) -> Warehouse:
        """The warehouse; opened at its first use.

        Raises:
            ConfigError: it is of a kind that does not work yet.
        """
        file = self.settings.warehouse.file
        if file is None:
            raise ConfigError(
                f"The warehouse {self.settings.warehouse.url} is of a kind that does not work yet.",
                remedy="Use duckdb:///FILE.",
            )
        return DuckDBWarehouse(file, self.clock, patience=self._patience, read_only=read_only)

    # --- keys ------------------------------------------------------------------------------

    def keys(self, endpoint: Endpoint) -> tuple[Secret, ...]:
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

    def key(self, name: str) -> Secret:
        """A key by its name in the configuration.

        Raises:
            ConfigError: it is not where the configuration says.
        """
        reference = self.settings.keys.get(name)
        if reference is None:
            raise ConfigError(f"An endpoint uses the key {name!r}, which [keys] does not have.")
        return resolve(name, reference, self._environ)

    def info(self, key: Key) -> KeyInfo:
        """What Torn says of a key: one call, if it was not asked within the last minute.

        Raises:
            Failure: Torn refuses the key, or cannot be asked.
        """
        mark = fingerprint(key)
        known = self.state.key(mark)
        if known is not None and self.clock.now() - known[1] < KEY_INFO_SECONDS:
            return known[0]
        info = key_info(self.client, key)
        self.state.write_key(mark, info, self.clock.now())
        self.state.traffic.count_under(mark, self.owner(key))
        if known is not None and known[0] != info:
            self.state.standing.forget_permissions(mark)
        return info

    def owner(self, key: Key) -> str:
        """Under which name a key's calls are counted: its player's, as soon as we know it."""
        mark = fingerprint(key)
        known = self.state.key(mark)
        return mark if known is None else f"player:{known[0].owner_id}"

    # --- runs ------------------------------------------------------------------------------

    def chosen(
        self, names: Sequence[str] = (), *, everything: bool = False, tag: str | None = None
    ) -> list[Endpoint]:
        """The endpoints that are meant: by name, all that are enabled, or those with a tag.

        Raises:
            UsageError: there is none of that name or tag, or none is named.
        """
        endpoints = self.settings.endpoints
        if everything:
            enabled = [endpoint for endpoint in endpoints if endpoint.enabled]
            if not enabled:
                raise ConfigError(
                    "No endpoint is configured.",
                    remedy="Add one under [[endpoints]]; `tcdatalogger catalog` lists them.",
                )
            return enabled
        if tag is not None:
            found = [e for e in endpoints if tag in e.tags and e.enabled]
            if not found:
                raise UsageError(f"No endpoint has the tag {tag!r}.")
            return found
        return [self._named(name) for name in dict.fromkeys(names)]

    def _named(self, name: str) -> Endpoint:
        found = self.settings.endpoint(name)
        if found is not None:
            return found
        known = [endpoint.name for endpoint in self.settings.endpoints]
        near = difflib.get_close_matches(name, known, n=1)
        raise UsageError(
            f"There is no endpoint {name!r}.",
            remedy=f"Did you mean {near[0]!r}?" if near else f"There are: {', '.join(known)}.",
        )

    def task(self, endpoint: Endpoint, run_id: str = "") -> Task:
        """What one run of an endpoint is to do."""
        found, given = self.catalog.find(endpoint.path)
        now, overlap = self.clock.now(), endpoint.overlap
        ids = tuple(v for values in path_values(endpoint, found, given) for v in values.values())
        return Task(
            name=endpoint.name,
            endpoint=found,
            catalog_version=self.catalog.version,
            run_id=run_id or new_run_id(self.clock),
            table=endpoint.root_table,
            mode=endpoint.storage_mode,
            ids=ids,
            params=query(endpoint, found),
            key=tuple(endpoint.key),
            contract=endpoint.contract,
            max_pages=endpoint.max_pages,
            incremental=is_incremental(endpoint, found),
            overlap=None if overlap is None else now - overlap.before(now),
            since=moment(endpoint.since, now),
        )

    def run(self, endpoint: Endpoint, *, until: str = "store", dry: bool = False) -> Outcome:
        """Run an endpoint now."""
        outcome = self.run_task(
            endpoint, self.task(endpoint), until=until, dry=dry, timeout=endpoint.timeout.seconds
        )
        keep = self.settings.archive.keep
        if keep is not None and outcome.record.status == "done":
            self.archive.prune(endpoint.name, keep.before(self.clock.now()))
        return outcome

    def run_task(
        self,
        endpoint: Endpoint,
        task: Task,
        *,
        until: str = "store",
        dry: bool = False,
        timeout: float | None = None,
        priority: Priority | None = None,
    ) -> Outcome:
        """Run one task of an endpoint; the arguments are those of `pipeline.run`."""
        record = RunRecord(
            run_id=task.run_id,
            endpoint=task.name,
            started_at=self.clock.now(),
            pid=os.getpid(),
            host=socket.gethostname(),
        )
        place = Workplace(
            clock=self.clock,
            state=self.state,
            archive=self.archive,
            warehouse=self.warehouse,
            prepare=lambda _task: self.tools(endpoint, task, priority),
            on_page=self._on_page,
        )
        return pipeline.run(
            task,
            lambda: processor(task.endpoint.path, endpoint.processor),
            place,
            until=until,
            dry=dry,
            timeout=timeout,
            record=record,
        )

    def mark_lost(self) -> None:
        """Write down which runs ended with their process, and clear away what they left half."""
        for run in self.state.mark_lost():
            self.archive.clear(run.endpoint, run.run_id)

    def tools(self, endpoint: Endpoint, task: Task, priority: Priority | None = None) -> Tools:
        """How to call Torn for an endpoint; refused here what the key may not do.

        Raises:
            KeyRefused: the key's level or its owner's position does not suffice.
        """
        keys = Keys(
            task.endpoint,
            self.keys(endpoint),
            client=self.client,
            budget=self.budget,
            state=self.state,
            ask=self.info,
            owner=self.owner,
            priority=priority or endpoint.priority,
        )
        info = keys.choose()

        found = self._queried(task.ids[0]) if task.ids[:1] and _is_query(task.ids[0]) else ()
        return Tools(
            get=keys.get,
            host=self.client.host,
            subject=partial(subject, info=info),
            ids=found,
            clock=self.clock,
        )

    def _queried(self, ids: str) -> tuple[str, ...]:
        """The values that a query of the warehouse gives, each once, in its order.

        Raises:
            DataRefused: it gives none, or no numbers and texts.
        """
        with self.warehouse(read_only=True) as warehouse:
            table = warehouse.query(ids.removeprefix(QUERY))
        column = table.column(0).to_pylist() if table.num_columns else []
        values = dict.fromkeys(str(value) for value in column if isinstance(value, int | str))
        if not values:
            raise DataRefused(
                f"The query for ids gives none: {ids.removeprefix(QUERY)}",
                remedy="Nothing was asked for; the tables stay as they are.",
            )
        return tuple(values)


def _is_query(value: str) -> bool:
    return value.startswith(QUERY)


def new_run_id(clock: Clock) -> str:
    """A name for a run that sorts by time: `20261123T081500Z-5f3a9c1e`."""
    return f"{utc(clock.now()):%Y%m%dT%H%M%SZ}-{random.token_hex(4)}"
