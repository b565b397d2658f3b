"""Measures what a run of an endpoint costs, step by step, without changing anything that lasts.

Each run has a process of its own, as a run of the scheduler has, and a folder that is deleted after
it: with a warehouse (a DuckDB file), a state and an archive. It stores the newest archived answers
of its endpoint, or asks Torn for new ones; those calls count in the budget that all processes
share, and are all that anybody else notices.
"""

from __future__ import annotations

import signal
import tempfile
import threading
import time
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tcdatalogger import memory, without_pandas
from tcdatalogger.core.config.settings import QUERY, EndpointSettings, Settings
from tcdatalogger.core.main import Application
from tcdatalogger.core.operations.from_archive import run_of
from tcdatalogger.core.run.fetched import FetchHeader, fetched_from
from tcdatalogger.core.run.run import WAITS, Run, RunResult
from tcdatalogger.core.run.steps import STEPS
from tcdatalogger.errors import DataRefused, Failure, UsageError
from tcdatalogger.observability import log, usage
from tcdatalogger.services.storage.folder import Folder

if TYPE_CHECKING:
    from multiprocessing.context import SpawnProcess

    from tcdatalogger.core.state.store import RunRecord

START: Final = "start"
"""The step from the start of a process until it has loaded what a run needs."""

READ: Final = "read"
"""The step that reads answers from the archive; it stands in the place of `fetch`."""

OPEN: Final = "open"
"""The step that opens the warehouse."""

ORDER: Final = (START, READ, STEPS[0], OPEN, *STEPS[1:])
"""The steps as they are shown."""

EVERY: Final = 0.02
"""Seconds between two looks at the memory."""

_NEWEST: Final = 50
"""Files of an endpoint that are looked through for one whose fetch came to its end."""


@dataclass(frozen=True, slots=True)
class StepCost:
    """What a step took.

    Attributes:
        step: its name.
        seconds: by the clock.
        cpu: seconds of processor.
        memory: the most bytes that the process had during it.
    """

    step: str
    seconds: float
    cpu: float
    memory: int


@dataclass(frozen=True, slots=True)
class Sample:
    """A process at a moment.

    Attributes:
        at: seconds since 1970.
        step: the step that it was at.
        cpu: seconds of processor that it had used by then.
        memory: bytes that it had.
    """

    at: float
    step: str
    cpu: float
    memory: int


@dataclass(frozen=True, slots=True)
class Work:
    """One run to measure.

    Attributes:
        endpoint: its name.
        file: the archive file with its answers, "" to ask Torn.
    """

    endpoint: str
    file: str = ""


@dataclass(frozen=True, slots=True)
class Measured:
    """A run that was measured.

    Attributes:
        work: what it was to do.
        pages, bytes: of its answers.
        calls: that went to Torn.
        rows: that it stored, by table.
        steps: what each step took, in their order.
        memory: the most bytes that its process had.
        samples: its process over time.
        error, exit_code: why it failed; "" and 0 where it did not.
    """

    work: Work
    pages: int = 0
    bytes: int = 0
    calls: int = 0
    rows: Mapping[str, int] = field(default_factory=dict)
    steps: tuple[StepCost, ...] = ()
    memory: int = 0
    samples: tuple[Sample, ...] = ()
    error: str = ""
    exit_code: int = 0

    @property
    def seconds(self) -> float:
        """By the clock, of all steps."""
        return sum(step.seconds for step in self.steps)

    @property
    def cpu(self) -> float:
        """Seconds of processor, of all steps."""
        return sum(step.cpu for step in self.steps)


# --- what is measured ---------------------------------------------------------------------------


def works(
    settings: Settings, endpoints: Sequence[EndpointSettings], *, calls: bool = False
) -> tuple[list[Work], list[str]]:
    """What there is to measure, and the names of the endpoints that have no archived answers.

    Args:
        settings: the configuration.
        endpoints: those that are meant.
        calls: whether Torn is asked.

    Raises:
        UsageError: an endpoint takes its ids from the warehouse, and Torn is to be asked.
    """
    found, without = [], []
    with Application(settings) as application:
        for endpoint in endpoints:
            file = "" if calls else _newest(application, endpoint.name)
            if calls and any(str(one).startswith(QUERY) for one in endpoint.ids):
                raise UsageError(
                    f"{endpoint.name} takes its ids from the warehouse, and a throw-away one has "
                    "none.",
                    remedy=f"`tcdatalogger bench {endpoint.name}` measures its archived answers.",
                )
            if calls or file:
                found.append(Work(endpoint.name, file))
            else:
                without.append(endpoint.name)
    return found, without


def _newest(application: Application, endpoint: str) -> str:
    """The newest archive file with whole answers of a run that stored them, "" for none."""
    for file in sorted(application.archive.files(endpoint), key=run_of)[: -_NEWEST - 1 : -1]:
        with suppress(DataRefused):
            header = FetchHeader.read(application.archive, file)
            if header.whole and header.stores:
                return file
    return ""


# --- several processes --------------------------------------------------------------------------


def measure(
    settings: Settings, works: Sequence[Work], parallel: int, tell: Callable[[Measured], None]
) -> list[Measured]:
    """Measure runs, each in a process of its own.

    Args:
        settings: the configuration.
        works: the runs.
        parallel: how many of them at once.
        tell: told of each run that has ended.

    Returns:
        The runs in the order in which they ended.
    """
    left, ended = list(reversed(works)), []
    running: dict[Connection, tuple[SpawnProcess, Work]] = {}
    with tempfile.TemporaryDirectory(prefix="tcdatalogger-bench-") as folder:
        try:
            while left or running:
                while left and len(running) < parallel:
                    work = left.pop()
                    receiver, process = _begun(settings, work, Path(folder))
                    running[receiver] = process, work
                for ready in wait(list(running)):
                    if isinstance(ready, Connection):
                        process, work = running.pop(ready)
                        ended.append(_result(ready, process, work))
                        tell(ended[-1])
        finally:
            for process, _ in running.values():
                process.kill()
                process.join()
    return ended


def _begun(settings: Settings, work: Work, folder: Path) -> tuple[Connection, SpawnProcess]:
    context = get_context("spawn")  # with nothing of this process, so that its memory is its own
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_main, args=(settings, work, folder, sender, time.time()))
    process.start()
    sender.close()
    return receiver, process


def _result(receiver: Connection, process: SpawnProcess, work: Work) -> Measured:
    try:
        measured: Measured = receiver.recv()
    except EOFError:
        process.join()
        ended = process.exitcode or 0
        how = f"by the signal {-ended}" if ended < 0 else f"with {ended}"
        return Measured(work, error=f"Its process ended {how}.", exit_code=1)
    finally:
        receiver.close()
    process.join()
    return measured


# --- in the process of a run --------------------------------------------------------------------


class _Watch:
    """Counts the costs of steps: `step` begins one, which ends the one before.

    Args:
        began: when the process began, in seconds since 1970.
    """

    def __init__(self, began: float) -> None:
        import psutil  # noqa: PLC0415  # only where something is measured

        self._process = psutil.Process()
        self._costs: dict[str, StepCost] = {}
        self._step, self._since, self._cpu = START, began, 0.0
        self._samples: list[Sample] = []
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, name="watch", daemon=True)
        self._thread.start()

    def tell(self, run: RunRecord) -> None:
        """Take the step of a run."""
        step = OPEN if run.step == WAITS else run.step
        goes_on = step == self._step or (step, self._step) == (STEPS[0], READ)
        if step in ORDER and not goes_on:
            self.step(step)

    def step(self, name: str) -> None:
        """Begin a step."""
        with self._lock:
            self._sample()
            now, cpu = time.time(), usage.cpu()
            cost = self._costs.get(self._step, StepCost(self._step, 0.0, 0.0, 0))
            self._costs[self._step] = replace(
                cost, seconds=cost.seconds + now - self._since, cpu=cost.cpu + cpu - self._cpu
            )
            self._step, self._since, self._cpu = name, now, cpu

    def ended(self) -> tuple[tuple[StepCost, ...], tuple[Sample, ...]]:
        """End the last step; the costs of all, and the process over time."""
        self._over.set()
        self._thread.join()
        self.step("")
        peaks: dict[str, int] = {}
        for sample in self._samples:
            peaks[sample.step] = max(peaks.get(sample.step, 0), sample.memory)
        costs = [replace(cost, memory=peaks.get(name, 0)) for name, cost in self._costs.items()]
        return tuple(sorted(costs, key=lambda cost: ORDER.index(cost.step))), tuple(self._samples)

    def _look(self) -> None:
        while not self._over.wait(EVERY):
            with self._lock:
                self._sample()

    def _sample(self) -> None:
        memory = int(self._process.memory_info().rss)
        self._samples.append(Sample(time.time(), self._step, usage.cpu(), memory))


def _main(settings: Settings, work: Work, place: Path, pipe: Connection, began: float) -> None:
    """Measure a run in this process, and send what came of it through the pipe."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C is for the process that waits for us
    log.configure("error")
    memory.keep_little()  # as every process of ours
    without_pandas.begin(settings.endpoints)
    watch = _Watch(began)
    measures = _archived if work.file else _with_calls
    with tempfile.TemporaryDirectory(dir=place) as folder:
        aside = _aside(settings, work.endpoint, Path(folder))
        try:
            measured = measures(settings, aside, work, watch)
        except Failure as failure:
            measured = Measured(work, error=str(failure), exit_code=failure.exit_code)
    steps, samples = watch.ended()
    pipe.send(replace(measured, steps=steps, samples=samples, memory=usage.peak_memory()))
    pipe.close()


def _aside(settings: Settings, name: str, folder: Path) -> Settings:
    """The configuration with one endpoint, whose warehouse, state and archive are in a folder.

    A warehouse with a key stays one, since what lies in the folder is no less secret.
    """
    only = tuple(each for each in settings.endpoints if each.name == name)
    keep = {"credentials": None, "spool": None, "keep": None}
    return settings.model_copy(
        update={
            "endpoints": only,
            "warehouse": settings.warehouse.model_copy(
                update={"url": f"duckdb:///{folder / 'bench.duckdb'}", "credentials": None}
            ),
            "state": settings.state.model_copy(
                update={"url": f"sqlite:///{folder / 'bench.sqlite'}"}
            ),
            "archive": settings.archive.model_copy(
                update={"path": str(folder / "archive"), **keep}
            ),
            "log": settings.log.model_copy(update={"file": None}),
        }
    )


def _archived(settings: Settings, aside: Settings, work: Work, watch: _Watch) -> Measured:
    watch.step(READ)
    with Application(settings) as real:
        real.archive.bring(work.file, Folder(Path(aside.archive.path)))
    with Application(aside, tell=watch.tell) as application:
        fetched = fetched_from(application.archive, work.file)
        if fetched is None:
            raise DataRefused(f"The archive file {work.file} has no answers.")
        pages, length = len(fetched.pages), sum(len(page.body) for page in fetched.pages)
        fetched = replace(fetched, stretch=None)  # the piece of a backfill is not stored again
        [endpoint] = aside.endpoints
        task = application.task(endpoint, run_of(work.file))
        with application.claimed(endpoint.name, task.run_id) as claim:
            record, guard = application.record(task, claim), application.guard(claim, task.name)
            run = Run(application, endpoint, task, record, guard, waits=False, marks=False)
            outcome = application.execute(run, fetched=fetched)
    return replace(_made(work, outcome), pages=pages, bytes=length)


def _with_calls(settings: Settings, aside: Settings, work: Work, watch: _Watch) -> Measured:
    with Application(settings) as real, Application(aside, tell=watch.tell) as application:
        application.client = real.client  # its calls count where everybody's do
        [endpoint] = aside.endpoints
        task = application.task(endpoint)
        with application.claimed(endpoint.name, task.run_id) as claim:
            outcome = application.run_task(
                endpoint, task, claim=claim, timeout=endpoint.timeout.seconds
            )
    return _made(work, outcome)


def _made(work: Work, outcome: RunResult) -> Measured:
    record = outcome.record
    return Measured(
        work,
        pages=record.pages,
        bytes=record.bytes,
        calls=record.calls,
        rows=dict(record.rows),
        error="" if outcome.error is None else str(outcome.error),
        exit_code=record.exit_code,
    )


# --- over time ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Moment:
    """All processes together, in a part of the time.

    Attributes:
        after: seconds from the start of the first until the start of the part.
        processes: the most at once.
        cpu: how many processors they kept busy.
        memory: the most bytes that they had together.
    """

    after: float
    processes: int
    cpu: float
    memory: int


def over_time(measured: Sequence[Measured], parts: int = 10) -> Iterator[Moment]:
    """The resources that all runs used together, in equal parts of the time.

    Args:
        measured: the runs.
        parts: how many parts.
    """
    every = [one.samples for one in measured if one.samples]
    if not every:
        return
    begin = min(samples[0].at for samples in every)
    length = (max(samples[-1].at for samples in every) - begin) / parts
    for part in range(parts):
        low, high = begin + part * length, begin + (part + 1) * length
        busy = sum(_used(samples, high) - _used(samples, low) for samples in every)
        there = [_at(every, at) for at in _moments(every, low, high)]
        yield Moment(
            after=part * length,
            processes=max((count for count, _ in there), default=0),
            cpu=busy / length if length else 0.0,
            memory=max((memory for _, memory in there), default=0),
        )


def _moments(every: Sequence[Sequence[Sample]], low: float, high: float) -> list[float]:
    return [one.at for samples in every for one in samples if low <= one.at <= high]


def _at(every: Sequence[Sequence[Sample]], at: float) -> tuple[int, int]:
    """How many processes there are at a moment, and the bytes that they have together."""
    there = [samples for samples in every if samples[0].at <= at <= samples[-1].at]
    return len(there), sum(_last(samples, at).memory for samples in there)


def _last(samples: Sequence[Sample], at: float) -> Sample:

    return samples[max(0, bisect_right(samples, at, key=lambda one: one.at) - 1)]


def _used(samples: Sequence[Sample], at: float) -> float:
    return 0.0 if at < samples[0].at else _last(samples, at).cpu


def facts(one: Measured) -> dict[str, Any]:
    """A run as JSON for programs."""
    return {
        "endpoint": one.work.endpoint,
        "archive_file": one.work.file or None,
        "pages": one.pages,
        "bytes": one.bytes,
        "calls": one.calls,
        "rows": dict(one.rows),
        "seconds": round(one.seconds, 4),
        "cpu_seconds": round(one.cpu, 4),
        "memory": one.memory,
        "steps": {
            step.step: {
                "seconds": round(step.seconds, 4),
                "cpu_seconds": round(step.cpu, 4),
                "memory": step.memory,
            }
            for step in one.steps
        },
        "error": one.error or None,
        "samples": [[round(s.at, 3), s.step, round(s.cpu, 3), s.memory] for s in one.samples],
    }
