"""Makes rows again from the archive: replays a run, or rebuilds an endpoint.

Torn is not asked. The present catalogue and all learned fields count, so a record that was set
aside may fit now.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from tcdatalogger.core.config.settings import EndpointSettings
from tcdatalogger.core.main import Application
from tcdatalogger.core.operations import prune
from tcdatalogger.core.operations.exclusive import exclusive
from tcdatalogger.core.operations.from_archive import (
    ORDERED,
    load_id,
    newest_run,
    run_of,
)
from tcdatalogger.core.operations.reading_ahead import read_ahead
from tcdatalogger.core.run.fetched import fetched_at, fetched_from
from tcdatalogger.core.run.load import Guard
from tcdatalogger.core.run.run import Run, note_checks, store_pending
from tcdatalogger.core.state.run_id import new_run_id
from tcdatalogger.core.state.store import PAUSED, RunRecord
from tcdatalogger.errors import DataRefused, Failure, TryAgain, UsageError
from tcdatalogger.models.checks.promised import CheckFailed, CheckResult
from tcdatalogger.models.schema import Type
from tcdatalogger.services.torncity.endpoints.registry import processor
from tcdatalogger.services.torncity.processing.base import is_long
from tcdatalogger.services.torncity.processing.task import Fetched, Known, Transformed
from tcdatalogger.services.warehouse.load import Clear, Load, Receipt
from tcdatalogger.services.warehouse.protocol import Warehouse

ROLLED_BACK: Final = "rolled back"
"""The status in the state of a run whose rows were taken back."""


@dataclass(frozen=True, slots=True)
class Replayed:
    """The result for one archived run.

    Attributes:
        run_id: the id of the run.
        rows: how many new rows it has, by table; empty where it has none.
        quarantined: how many of its records were set aside.
        receipt: the receipt of the commit, None where nothing was stored.
        why: why the run was left out, "" where it was not.
        failed: the failed checks that refuse its rows.
    """

    run_id: str
    rows: Mapping[str, int] = field(default_factory=dict)
    quarantined: int = 0
    receipt: Receipt | None = None
    why: str = ""
    failed: tuple[CheckResult, ...] = ()


def replay(
    application: Application, run_id: str, *, taken: Sequence[str] = (), dry: bool = False
) -> Replayed:
    """Make the rows of one run again, in place of the rows that it stored before.

    With `merge` and `history` later runs depend on the run, so they are made again too, in order.

    Args:
        application: the application.
        run_id: the id of the run.
        taken: runs whose rows are stored although they were refused.
        dry: whether the rows are made and not stored.

    Raises:
        UsageError: the archive has no file of this run, or its endpoint is unknown.
        Busy: another process has the endpoint.
        DataRefused: its answers make no rows, its rows were refused, the warehouse refuses them,
            or the storage mode is replace and the tables have a later run.
    """
    endpoint, file = _find(application, run_id)
    _refuse_unknown(application, endpoint, taken)
    with exclusive(application, endpoint.name, new_run_id(application.clock), dry=dry) as guard:
        return _replay(application, endpoint, file, guard, taken=taken, dry=dry)


def _replay(
    application: Application,
    endpoint: EndpointSettings,
    file: str,
    guard: Guard,
    *,
    taken: Sequence[str],
    dry: bool,
) -> Replayed:
    run_id = run_of(file)
    with application.warehouse() as warehouse:
        newest = newest_run(warehouse, endpoint.name)
        stored = warehouse.loads(endpoint=endpoint.name, run_id=run_id, counting=True, most=1)
        why = "" if stored or run_id in taken else _refusal(application, file)
        if why:
            raise DataRefused(
                f"The rows of the run {run_id} were refused: {why}",
                remedy=f"`tcdatalogger replay {run_id} --with {run_id}` stores them all the same.",
            )
        later = newest is not None and _stands_before(application, endpoint, file, newest)
        if later and endpoint.storage_mode == "replace":
            raise DataRefused(
                f"The tables of {endpoint.name} hold the later run {newest}.",
                remedy="Its storage mode is replace, so an older run has no place in them.",
            )
        alone_made = not later or endpoint.storage_mode == "append"
        if alone_made and (others := set(taken) - {run_id}):
            raise UsageError(
                f"A replay of {run_id} makes no other run again, and so not {min(others)}.",
                remedy=f"`tcdatalogger replay {min(others)} --with {min(others)}` stores it.",
            )
        if alone_made:
            token = new_run_id(application.clock)
            remaking = _Remaking(application, endpoint, warehouse, guard, token)
            one, load = remaking.one(run_id, fetched_from(application.archive, file))
            if load is not None and not dry:
                load = replace(load, cause="replay")
                one = replace(one, receipt=warehouse.commit(load))
            if not dry:
                _note(application, endpoint, one, token, warehouse)
    if not alone_made:
        taken = (*taken, run_id)
        made = _rebuild(application, endpoint, guard, taken=taken, dry=dry, cause="replay")
        one = next(each for each in made if each.run_id == run_id)
    if one.why:
        raise DataRefused(f"The run {run_id} has no rows: {one.why}")
    if one.receipt is not None:
        _mark_done(application, file, one.receipt)
    return one


def rebuild(
    application: Application,
    name: str,
    *,
    without: Sequence[str] = (),
    taken: Sequence[str] = (),
    dry: bool = False,
) -> list[Replayed]:
    """Make all rows of an endpoint again from the archive, in one step.

    Three kinds of runs are left out: runs that had to store nothing (`--dry-run`, `--step`), runs
    that were rolled back, and runs whose rows were refused. Pending runs are stored first, as the
    next run would do it, so they are checked here too.

    Args:
        application: the application.
        name: the name of the endpoint.
        without: runs whose rows are left out.
        taken: runs whose rows are stored although they would be left out.
        dry: whether the rows are made and not stored.

    Raises:
        UsageError: there is no such endpoint or run, or the archive has no run of it.
        Busy: another process has the endpoint.
        DataRefused, WarehouseUnavailable: as for a commit; the tables are unchanged then.
    """
    [endpoint] = application.chosen([name])
    _refuse_unknown(application, endpoint, (*without, *taken))
    if both := set(without) & set(taken):
        raise UsageError(
            f"The run {min(both)} cannot be left out and taken in.",
            remedy="Give it to --with or to --without.",
        )
    with exclusive(application, name, new_run_id(application.clock), dry=dry) as guard:
        made = _rebuild(
            application, endpoint, guard, without=without, taken=taken, dry=dry, cause="rebuild"
        )
    files = {run_of(file): file for file in application.archive.files(name)}
    for one in made:
        if one.receipt is not None:
            _mark_done(application, files[one.run_id], one.receipt)
    return made


def _rebuild(
    application: Application,
    endpoint: EndpointSettings,
    guard: Guard,
    *,
    without: Sequence[str] = (),
    taken: Collection[str] = (),
    dry: bool,
    cause: str,
) -> list[Replayed]:
    token = new_run_id(application.clock)
    found: list[Replayed] = []
    with application.warehouse() as warehouse:
        if not dry:
            store_pending(application, endpoint, guard, warehouse)
        passed = _passed_over(application, endpoint, warehouse, without, taken)
        files = _files(application, endpoint, passed)
        _refuse_older(endpoint, files, taken)
        _refuse_pruned(application, warehouse, endpoint)
        lines = warehouse.loads(endpoint=endpoint.name, counting=True)
        counting = {line.run_id for line in lines}

        remaking = _Remaking(application, endpoint, warehouse, guard, token)

        def loads() -> Iterator[Load]:
            for one, load in remaking.all(files, passed):
                found.append(one)
                needed = one.run_id in taken
                needed |= endpoint.storage_mode in ORDERED and one.run_id in counting
                if load is not None:
                    yield replace(load, cause=cause)
                elif needed and one.run_id not in passed:
                    raise DataRefused(
                        f"The run {one.run_id} of {endpoint.name} cannot be made again: {one.why}",
                        remedy="Nothing was changed. `tcdatalogger rebuild "
                        f"{endpoint.name} --without {one.run_id}` makes the rest without it.",
                    )

        if dry:
            deque(loads(), 0)
            return found
        runs = tuple(without)
        if endpoint.storage_mode in ORDERED:
            runs = tuple(map(run_of, files))
        clear = Clear(endpoint.name, runs, tuple(without), token)
        try:
            receipts = {one.load_id: one for one in warehouse.commit_all(loads(), clear)}
        finally:  # failed checks are stored in any case: they say why
            for one in found:
                _note(application, endpoint, one, token, warehouse)
        prune.expire(application, endpoint, warehouse, guard.fence)  # versions that are over
    return [
        replace(one, receipt=receipts.get(load_id(one.run_id, endpoint.name, token)))
        for one in found
    ]


def _long_columns(load: Load) -> frozenset[tuple[str, str]]:
    """The columns of learned integers of which a load has values that no float holds."""
    return frozenset(
        (table.name, column.name)
        for table in load.family.tables
        for column in table.data_columns
        if column.learned and column.type is Type.INT
        if is_long(load.tables[table.name].column(column.name))
    )


def _refuse_older(endpoint: EndpointSettings, files: Sequence[str], taken: Collection[str]) -> None:
    """Refuse to store the rows of a run of `replace` where a later run exists.

    Raises:
        DataRefused: the storage mode is replace, and there is a later run.
    """
    older = sorted(set(taken) - set(map(run_of, files)))
    if older:
        raise DataRefused(
            f"The run {run_of(files[-1])} of {endpoint.name} is later than {older[0]}.",
            remedy="Its storage mode is replace, so an older run has no place in its tables.",
        )


def _refuse_pruned(
    application: Application, warehouse: Warehouse, endpoint: EndpointSettings
) -> None:
    """Refuse to delete appended rows whose answers are gone.

    Raises:
        DataRefused: the endpoint appended rows before, and the archive lacks some of those runs.
    """
    if endpoint.storage_mode not in {"merge", "replace"}:
        return
    modes: dict[str, set[str]] = {}
    for line in warehouse.loads(endpoint=endpoint.name, counting=True):
        modes.setdefault(line.run_id, set()).add(line.mode)
    kept = set(map(run_of, application.archive.files(endpoint.name)))
    gone = sorted({run for run, its in modes.items() if its == {"append"}} - kept)
    if gone:
        raise DataRefused(
            f"{endpoint.name} appended the rows of {len(gone)} runs whose answers the archive has "
            f"no more, as {gone[0]}; by {endpoint.storage_mode} they would be lost.",
            remedy="Give it another `table`.",
        )


def _refuse_unknown(
    application: Application, endpoint: EndpointSettings, runs: Sequence[str]
) -> None:
    """Refuse runs without answers in the archive.

    Raises:
        UsageError: the archive lacks one of the runs, or has no run at all.
    """
    known = set(map(run_of, application.archive.files(endpoint.name)))
    for run_id in runs:
        if run_id not in known:
            raise UsageError(
                f"The archive has no run {run_id} of {endpoint.name}.",
                remedy=f"`tcdatalogger runs list --endpoint {endpoint.name}` lists them.",
            )
    if not known:
        raise UsageError(
            f"The archive has no answers of {endpoint.name}.",
            remedy=f"`tcdatalogger run {endpoint.name}` asks Torn for some.",
        )


def _passed_over(
    application: Application,
    endpoint: EndpointSettings,
    warehouse: Warehouse,
    without: Sequence[str],
    taken: Collection[str],
) -> dict[str, str]:
    """The archived runs that are left out, each with the reason.

    The ledger says which runs are stored and which were rolled back. The state is asked about runs
    that the ledger does not know, for example of a new warehouse.
    """
    lines = warehouse.loads(endpoint=endpoint.name)
    newest = {line.run_id: line for line in reversed(lines)}
    counting = {line.run_id for line in lines if line.counts}
    passed = {}
    for file in sorted(application.archive.files(endpoint.name)):
        run_id = run_of(file)
        if run_id in without:
            passed[run_id] = "left out"
        elif run_id in taken or run_id in counting:
            continue
        elif run_id in newest:
            if newest[run_id].rolled_back:
                passed[run_id] = "it was rolled back"
        elif _status(application, run_id) == ROLLED_BACK:
            passed[run_id] = "it was rolled back"
        elif _status(application, run_id) == PAUSED:
            passed[run_id] = "stopped by --step or --dry-run"
        elif why := _refusal(application, file):
            passed[run_id] = f"its rows were refused: {why}"
    return passed


def _refusal(application: Application, file: str) -> str:
    """Why the rows of a run were refused, "" where they were not.

    A mark beside its answers says it; the state says it where the mark could not be written.
    """
    if why := application.archive.refusal(file):
        return why
    for run in application.state.runs(run_id=run_of(file), most=1):
        if run.status == "failed" and _is_refusal(run):
            return run.error
    return ""


def _is_refusal(run: RunRecord) -> bool:
    validated = run.error_class == DataRefused.__name__ and run.step == "validate"
    return validated or run.error_class == CheckFailed.__name__


def _files(
    application: Application, endpoint: EndpointSettings, passed: Mapping[str, str]
) -> list[str]:
    """The archive files that a rebuild reads, the oldest first.

    For `replace` these are the runs to leave out, and the newest of the others.
    """
    files = sorted(application.archive.files(endpoint.name), key=lambda f: _when(application, f))
    if endpoint.storage_mode != "replace":
        return files
    others = [file for file in files if run_of(file) not in passed]
    left_out = [file for file in files if passed.get(run_of(file)) == "left out"]
    return left_out + _newest(application, endpoint, others)


def _when(application: Application, file: str) -> tuple[float, str]:
    """The time of a run by the server's clock (this machine's may be wrong), and its id."""
    return fetched_at(application.archive, file), run_of(file)


def _stands_before(
    application: Application, endpoint: EndpointSettings, file: str, newest: str
) -> bool:
    """Whether a run is older than the run whose rows were stored last."""
    others = [one for one in application.archive.files(endpoint.name) if run_of(one) == newest]
    mine = _when(application, file)
    its = _when(application, others[0]) if others else (0.0, newest)
    if mine[0] and its[0]:
        return mine < its
    return run_of(file) < newest  # a failed fetch has no time of the server


def _status(application: Application, run_id: str) -> str:
    """The status of a run in the state, "" where the state does not know it."""
    runs = application.state.runs(run_id=run_id, most=1)
    return runs[0].status if runs else ""


def _mark_done(application: Application, file: str, receipt: Receipt) -> None:
    """Mark a run as done that was pending, refused or rolled back, and is stored now."""
    application.archive.accept(file)
    for run in application.state.runs(run_id=run_of(file), most=1):
        if run.status != "done":
            clean = replace(run, error="", error_class="", remedy="", exit_code=0)
            rows = dict(receipt.rows)
            application.state.write_run(
                replace(clean, status="done", rows=rows, settled=True, note="It was replayed.")
            )


def _newest(application: Application, endpoint: EndpointSettings, files: list[str]) -> list[str]:
    """For `replace`, the newest run with complete answers: only its rows are stored."""
    for file in reversed(files):
        fetched = fetched_from(application.archive, file)
        if fetched is not None and fetched.whole:
            return [file]
    raise UsageError(f"No run of {endpoint.name} in the archive has whole answers.")


@dataclass(frozen=True, slots=True)
class _Remaking:
    """Makes the loads of archived runs again.

    Attributes:
        application: the application.
        endpoint: of the runs.
        warehouse: with what is known of its tables.
        guard: the claim under which the loads are stored.
        token: tells these loads from others of the same runs.
    """

    application: Application
    endpoint: EndpointSettings
    warehouse: Warehouse
    guard: Guard
    token: str

    def all(
        self, files: Sequence[str], passed: Mapping[str, str]
    ) -> Iterator[tuple[Replayed, Load | None]]:
        """What becomes of each run, in their order, and its load; None where it has none.

        A load knows the fields that loads before it learned. The warehouse is not asked, as it may
        not have stored these yet.

        Args:
            files: of the runs.
            passed: runs that are left out, with the reason.
        """
        known = Known.of(self.warehouse, self.application.task(self.endpoint))
        made: Mapping[str, Transformed] = {}
        for run_id, fetched, group in read_ahead(self.application.archive, files, passed):
            if run_id in passed:
                yield Replayed(run_id, why=passed[run_id]), None
                continue
            if group:
                made = self._together(group, known)
            one, load = self.one(run_id, fetched, known, made.get(run_id))
            if load is not None:
                long = known.long | _long_columns(load)
                known = replace(known, shape=load.family.shape, long=long)
            yield one, load

    def _together(self, group: Mapping[str, Fetched], known: Known) -> Mapping[str, Transformed]:
        """The rows of runs that can be made together, by run; none where one cannot."""
        task = self.application.task(self.endpoint)
        maker = processor(task.endpoint.path, self.endpoint.processor)(task, known=known)
        made = maker.transform_runs(group) if len(group) > 1 else None
        return {} if made is None else dict(zip(group, made, strict=True))

    def one(
        self,
        run_id: str,
        fetched: Fetched | None,
        known: Known | None = None,
        transformed: Transformed | None = None,
    ) -> tuple[Replayed, Load | None]:
        """What becomes of a run, and its load; None where it has none.

        Args:
            run_id: of the run.
            fetched: its answers, None where its fetch failed.
            known: what is known of the tables, None to ask the warehouse.
            transformed: its rows where they were made before, together with those of others.
        """
        if fetched is None:
            return Replayed(run_id, why="its fetch failed"), None
        application, endpoint = self.application, self.endpoint
        fetched = replace(fetched, stretch=None)  # the ledger has it from the run itself
        run = Run(
            application,
            endpoint,
            application.task(endpoint, run_id),
            RunRecord(run_id, endpoint.name, application.clock.now(), status=""),
            self.guard,
            until="validate",
            marks=False,
            known=known,
            transformed=transformed,
        )
        try:
            run.store(fetched, self.warehouse)
        except TryAgain:
            raise  # it says nothing of the run's answers, so the run is not left out
        except Failure as failure:
            results = failure.results if isinstance(failure, CheckFailed) else ()
            failed = tuple(result for result in results if not result.passed)
            return Replayed(run_id, why=failure.message, failed=failed), None
        name = load_id(run_id, endpoint.name, self.token)
        load = replace(run.load(fetched, self.warehouse), id=name, again=True, max_drop=1.0)
        rows = run.made.rows if run.made else {}
        return Replayed(run_id, rows, run.record.quarantined), load


def _note(
    application: Application,
    endpoint: EndpointSettings,
    one: Replayed,
    token: str,
    warehouse: Warehouse,
) -> None:
    """Store in the ledger which checks refused the rows of a run, as a run does."""
    task, name = application.task(endpoint, one.run_id), load_id(one.run_id, endpoint.name, token)
    note_checks(task, one.failed, warehouse, application.clock.now(), name)


def _find(application: Application, run_id: str) -> tuple[EndpointSettings, str]:
    for endpoint in application.settings.endpoints:
        for file in application.archive.files(endpoint.name):
            if run_of(file) == run_id:
                return endpoint, file
    raise UsageError(
        f"The archive has no run {run_id} of an endpoint that is configured.",
        remedy="`tcdatalogger runs` lists them.",
    )
