"""What Python code works with: a notebook, a script, another program.

`DataLogger` is a frozen value over `core.main.Application`. Each call makes the parts that it needs
and closes them again, so that nothing is open between two calls: no warehouse file, no claim.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self, get_args

import pyarrow as pa

from tcdatalogger import ending, private
from tcdatalogger.core.backup.upgrade import upgrade
from tcdatalogger.core.config import moved
from tcdatalogger.core.config.configuration import from_mapping, load, locate
from tcdatalogger.core.config.settings import Settings
from tcdatalogger.core.main import Application
from tcdatalogger.core.operations.resume import resume
from tcdatalogger.core.run.already_stored import run_id as checked_run_id
from tcdatalogger.core.run.run import RunResult
from tcdatalogger.core.state.connect import older
from tcdatalogger.core.state.store import State
from tcdatalogger.core.views.runs import STATUSES, RunView, newest
from tcdatalogger.core.views.status import Status, status
from tcdatalogger.errors import UsageError
from tcdatalogger.services.torncity.endpoints import registry
from tcdatalogger.services.torncity.processing.base import EndpointProcessor
from tcdatalogger.text import did_you_mean

Step = Literal["fetch", "transform", "validate", "store"]
"""The steps of a run, in their order."""


def open(  # noqa: A001  # as gzip.open
    configuration: str | os.PathLike[str] | Mapping[str, Any] | None = None,
    /,
    *,
    environ: Mapping[str, str] | None = None,
) -> DataLogger:
    """Open a configuration.

    Args:
        configuration: the path of a TOML file, or its settings as a mapping of the same form. A
            relative path in a mapping is taken from the current folder. None for the file that the
            command line takes: TCDATALOGGER_CONFIG, or `tcdatalogger.toml` in the current folder.
        environ: the variables that `env:` references and overrides (`TCDATALOGGER_…`) are read
            from; None for those of this process.

    Raises:
        ConfigError: the configuration is missing or wrong; `problems` has every mistake. Or the
            installation was moved away, or is of a later version.
        Busy, DiskFull: an older version wrote it, and it cannot be upgraded now.
    """
    variables = os.environ if environ is None else environ
    if isinstance(configuration, Mapping):
        settings = from_mapping(configuration, variables, Path())
    else:
        file = None if configuration is None else Path(configuration)
        settings = load(file, variables)
        moved.refuse(locate(file, variables), settings)
    if settings.state.begun and older(settings.state.url or ""):
        upgrade(settings)
    return DataLogger(settings, environ)


@dataclass(frozen=True, slots=True, repr=False)
class DataLogger:
    """A configuration, and what can be done with it. `tcdatalogger.open` makes it.

    Nothing is open between two calls, so it may be kept for as long as a notebook lives, and used
    in several threads; it can stand in a `with` as well, which does nothing at its end. Ctrl-C ends
    a call at the next safe place: nothing is half stored, and nobody else is kept waiting.

    Every method raises `ConfigError` where the configuration cannot be followed, such as a key that
    is not where it says, and `StateUnavailable` or `WarehouseUnavailable` where these cannot be
    reached.

    Attributes:
        settings: the settings in force.
        environ: where references to keys are looked up; None for the environment of this process.
    """

    settings: Settings
    environ: Mapping[str, str] | None = None

    def __repr__(self) -> str:
        return f"<DataLogger {self.settings.warehouse.url}: {', '.join(self.endpoints)}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    @property
    def endpoints(self) -> tuple[str, ...]:
        """The names of the endpoints that are configured."""
        return tuple(endpoint.name for endpoint in self.settings.endpoints)

    # --- runs ------------------------------------------------------------------------------

    def run(
        self,
        endpoint: str,
        *,
        step: Step = "store",
        dry_run: bool = False,
        run_id: str = "",
        accept_subject: bool = False,
    ) -> RunResult:
        """Run an endpoint now, whatever its frequency says.

        A run that fails raises nothing: the result has its status and its error, and
        `raise_for_error` raises it. An endpoint that runs elsewhere just now is `busy`, with the
        error `Busy`.

        Args:
            endpoint: its name.
            step: the last step to take. Only `store` changes the warehouse; after `transform` and
                `validate` the rows are in `tables` of the result, after `fetch` the answers are in
                `fetched`.
            dry_run: take all steps but the last; `plan` of the result says how tables would change.
            run_id: an id for the run; a run of that id that is stored already does nothing.
            accept_subject: take rows of another faction, player or company than the last run's.

        Raises:
            UsageError: there is no such endpoint or step, or the id is none.
            Exception: whatever the code of a processor of your own raises.
        """
        _checked("step", step, get_args(Step))
        with self._application() as application:
            (chosen,) = application.chosen([endpoint])
            application.look()
            return application.run(
                chosen,
                run_id=run_id and checked_run_id(run_id),
                until=step,
                dry=dry_run,
                accept_subject=accept_subject,
            )

    def resume(self, run_id: str, *, step: Step | None = None, dry_run: bool = False) -> RunResult:
        """Go on with a run from its answers in the archive, without a call to Torn.

        Args:
            run_id: the id of a run that was paused after a step, was stopped, or failed.
            step: the one step to take; None for all that are left.
            dry_run: as for `run`.

        Raises:
            UsageError: there is no such run or step, or nothing is left of it to go on from.
            DataRefused: its answers are damaged.
        """
        _checked("step", step, get_args(Step))
        with self._application() as application:
            found = application.state.runs(run_id=run_id, most=1)
            if not found:
                raise UsageError(f"There is no run {run_id!r}.", remedy="`runs()` lists them.")
            (endpoint,) = application.chosen([found[0].endpoint])
            return resume(application, endpoint, run_id, step=step, dry=dry_run)

    def runs(
        self, endpoint: str | None = None, *, status: str | None = None, limit: int = 20
    ) -> tuple[RunView, ...]:
        """The runs, newest first; none before the first one.

        Args:
            endpoint: only the runs of this endpoint.
            status: only the runs that have this status now, as `docs/words.md` lists them.
            limit: how many at most.

        Raises:
            UsageError: there is no such endpoint or status.
        """
        _checked("status", status, STATUSES)
        with self._application() as application:
            if endpoint is not None:
                application.chosen([endpoint])
            state = _looked_at(application)
            return newest(state, endpoint=endpoint, status=status, most=limit)

    def status(self) -> Status:
        """What each endpoint did last and when it is due, the keys, and what stops calls."""
        with self._application() as application:
            environ = os.environ if self.environ is None else self.environ
            state, now = _looked_at(application), application.clock.now()
            return status(self.settings, state, now, environ)

    # --- tables ----------------------------------------------------------------------------

    def tables(self) -> list[str]:
        """The names of the tables that were logged, in alphabetical order."""
        file = self.settings.warehouse.file
        if file is not None and not file.exists():
            return []
        with self._application() as application, application.warehouse(read_only=True) as warehouse:
            return sorted(owner.table for owner in warehouse.owners())

    def table(self, name: str) -> pa.Table:
        """All rows of a table, as Arrow: `.to_pandas()`, or `polars.from_arrow(…)`.

        Raises:
            UsageError: there is no such table.
            WarehouseUnavailable: nothing was logged yet, or another program has the file open.
        """
        with self._application() as application, application.warehouse(read_only=True) as warehouse:
            columns = warehouse.stored([name]).get(name)
            if columns:  # without SQL: a dataset may want every query to say which times it means
                return warehouse.rows(name, list(columns))
            return warehouse.query(f"select * from {warehouse.dialect.name(name)}")

    def query(self, sql: str) -> pa.Table:
        """The rows of a query, as Arrow. Times are in UTC; nothing can be changed.

        Raises:
            UsageError: the query is refused; the message says why.
            WarehouseUnavailable: nothing was logged yet, or another program has the file open.
        """
        with self._application() as application, application.warehouse(read_only=True) as warehouse:
            return warehouse.query(sql)

    # --- processors ------------------------------------------------------------------------

    def processor(self, endpoint: str) -> EndpointProcessor:
        """The processor of an endpoint, to call its steps by hand; it calls nobody.

        Raises:
            UsageError: there is no such endpoint.
        """
        with self._application() as application:
            (chosen,) = application.chosen([endpoint])
            task = application.task(chosen)
            return registry.processor(task.endpoint.path, chosen.processor)(task)

    @contextmanager
    def _application(self) -> Iterator[Application]:
        with (
            private.umask(),
            ending.answered(signal.SIGINT, kills=False),
            Application(self.settings, environ=self.environ) as application,
        ):
            yield application


def _looked_at(application: Application) -> State | None:
    """The state, with what became of runs whose process ended; None before the first run."""
    if not application.settings.state.begun:
        return None
    application.look()
    return application.state


def _checked(what: str, word: str | None, known: Sequence[str]) -> None:
    """Refuse a word that means nothing; None is none.

    Raises:
        UsageError: the remedy has the near one.
    """
    if word is not None and word not in known:
        there = f"There are: {', '.join(known)}."
        raise UsageError(f"There is no {what} {word!r}.", remedy=did_you_mean(word, known, there))
