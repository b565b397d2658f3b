"""What tests of every room share: a Torn City that stands still, and a place to log it from."""

from __future__ import annotations

import dataclasses
import functools
import gc
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

import hypothesis
import pytest

from shared import PROGRAM, reading
from tcdatalogger.cli import main
from tcdatalogger.clock import ManualClock
from tcdatalogger.core import main as core_main
from tcdatalogger.core.config import configuration
from tcdatalogger.core.main import Application
from tcdatalogger.core.run.run import RunResult
from tcdatalogger.core.state.store import RunRecord
from tcdatalogger.sandbox.api import city as city_module
from tcdatalogger.sandbox.api.city import Rules
from tcdatalogger.sandbox.api.server import START, Sandbox

pytest_plugins = ["postgres", "buckets", "bigquery", "browsing"]

# Where byte code is not kept, each process that a test starts compiles the whole program anew, and
# each process of xdist all tests.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False


LONG = ("test_long_history.py", "test_all_paths.py", "test_budget_load.py", "test_crash.py")
"""Modules that take longest; they begin first, so that no process works alone in the end."""

FREE = Rules(cache=0, per_user=10**6, per_address=10**6)
VARIABLE = "TORN_API_KEY"

FIVE = """
[[endpoints]]
name = "faction_crimes"
path = "/faction/crimes"
frequency = "PT15M"
tags = ["often"]

[[endpoints]]
name = "faction_members"
path = "/faction/members"
frequency = "PT1H"
tags = ["often"]

[[endpoints]]
name = "faction_balance"
path = "/faction/balance"

[[endpoints]]
name = "faction_basic"
path = "/faction/basic"

[[endpoints]]
name = "torn_items"
path = "/torn/items"
storage_mode = "replace"
"""
"""The endpoints of the demo."""


# A deadline would measure how busy the machine is.
hypothesis.settings.register_profile("quick", max_examples=15, deadline=None)
hypothesis.settings.register_profile("many", max_examples=150, deadline=None, print_blob=True)
hypothesis.settings.load_profile("many" if os.environ.get("CI") else "quick")

FEW = 2
"""Cases of a test that are all quick."""
END = float(os.environ.get("TCD_SLOW_TESTS_END", "inf"))
"""From this time on no slow test begins; seconds since 1970. `.ci/run` has a limit of time."""
LEFT_OUT = pytest.StashKey[int]()
"""How many tests marked slow are left out."""


def leave_two_of_three(items: list[pytest.Item]) -> None:
    """Mark two of three cases of tests that store in a file slow, where there are so many.

    Which ones hangs on the name of the test: so each storage mode is among the others' quick ones.
    """
    cases: dict[str, list[pytest.Item]] = {}
    for item in items:
        stores = {"workplace", "make_store"} & set(getattr(item, "fixturenames", ()))
        if stores and "[memory" not in item.name and not item.get_closest_marker("slow"):
            cases.setdefault(item.nodeid.partition("[")[0], []).append(item)
    for name, mine in cases.items():
        for number, item in enumerate(mine):
            if len(mine) > FEW and (number + len(name)) % 3:
                item.add_marker(pytest.mark.slow)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, Any, Any]:
    """Spare the garbage collector what is collected here: thousands of tests that all stay."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        # A job of the emulator takes a second, and so does the start of a browser.
        if {"bigquery", "browser"} & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.slow)
    leave_two_of_three(items)
    items.sort(key=lambda item: LONG.index(item.path.name) if item.path.name in LONG else len(LONG))


def pytest_runtest_setup(item: pytest.Item) -> None:
    if time.time() > END and item.get_closest_marker("slow"):
        pytest.skip("the time that slow tests may take is over (TCD_SLOW_TESTS_END)")


def pytest_deselected(items: list[pytest.Item]) -> None:
    slow = [item for item in items if item.get_closest_marker("slow")]
    slow = [item for item in slow if not item.get_closest_marker("bigquery_live")]
    if slow:
        slow[0].config.stash[LEFT_OUT] = len(slow)


def pytest_sessionfinish(session: pytest.Session) -> None:
    if hasattr(session.config, "workeroutput"):  # a process of xdist
        session.config.workeroutput["left out"] = session.config.stash.get(LEFT_OUT, 0)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Every process of xdist collects the same."""
    node.config.stash[LEFT_OUT] = getattr(node, "workeroutput", {}).get("left out", 0)


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    if left := config.stash.get(LEFT_OUT, 0):
        terminalreporter.write_line(
            f"{left} tests marked slow are left out; `make test-all` runs them too."
        )


@pytest.fixture(scope="session", autouse=True)
def _bare() -> None:
    """Processes that tests start have no pandas: `tests/bare` says why.

    This one has it before a command that a test runs in it hides it from Arrow.
    """
    with suppress(ImportError):
        import_module("pandas")
    os.environ["PYTHONPATH"] = os.pathsep.join(
        [str(Path(__file__).parent / "bare"), *filter(None, [os.environ.get("PYTHONPATH")])]
    )


@pytest.fixture(scope="session", autouse=True)
def _control_c() -> None:
    """A shell that runs the tests in the background has them and their children ignore it."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def _standing() -> Iterator[Sandbox]:
    with Sandbox(seed=7, rules=FREE) as sandbox:
        yield sandbox


@pytest.fixture
def city(_standing: Sandbox) -> Iterator[Sandbox]:
    """A city that stands still at START, with all its keys well and nothing going wrong."""
    before = {key.name: key for key in _standing.city.keyring}
    yield _standing
    assert _standing.now() == START, "a test that moves the city takes `living_city`"
    _standing.clear_faults()
    for key in before.values():
        _standing.city.keyring.add(key)


@pytest.fixture
def living_city() -> Iterator[Sandbox]:
    """A city of a test's own, whose world `advance` moves."""
    with Sandbox(seed=7, rules=FREE) as sandbox:
        yield sandbox


@dataclass
class Done:
    """What a command left."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@dataclass
class Workplace:
    """A folder with a configuration, and ways to run commands in it.

    Attributes:
        key: the text of the key that the environment holds, None for none.
    """

    folder: Path
    city: Sandbox
    capture: pytest.CaptureFixture[str]
    patch: pytest.MonkeyPatch
    key: str | None = None
    clock: ManualClock = field(default_factory=lambda: ManualClock(START))

    @property
    def file(self) -> Path:
        return self.folder / "tcdatalogger.toml"

    @property
    def warehouse(self) -> Path:
        return self.folder / "torn.duckdb"

    def write(self, endpoints: str = FIVE, *, extra: str = "", url: str | None = None) -> Path:
        """Write the configuration."""
        self.file.write_text(
            f'[warehouse]\nurl = "duckdb:///torn.duckdb"\n\n[archive]\npath = "archive"\n\n'
            f'[torn]\nurl = "{url or self.city.url}"\n\n[keys]\ndefault = "env:{VARIABLE}"\n\n'
            f"{extra}\n{endpoints}",
            encoding="utf-8",
        )
        return self.file

    @property
    def environ(self) -> dict[str, str]:
        return {} if self.key is None else {VARIABLE: self.key}

    def run(self, *words: str) -> Done:
        """Run a command in this process; its clock is moved by hand, so nothing is waited for."""
        self.patch.setattr(core_main, "SystemClock", lambda: self.clock)
        self.patch.delenv(VARIABLE, raising=False)
        for name, value in self.environ.items():
            self.patch.setenv(name, value)
        self.patch.chdir(self.folder)
        self.capture.readouterr()
        code = main(list(words))
        found = self.capture.readouterr()
        return Done(code, found.out, found.err)

    def process(self, *words: str, **options: Any) -> Done:
        """Run a command in a process of its own."""
        done = subprocess.run(
            [*PROGRAM, *words], capture_output=True, text=True, check=False, timeout=300,
            cwd=self.folder, env=self.outside(), **options,
        )  # fmt: skip
        return Done(done.returncode, done.stdout, done.stderr)

    def outside(self) -> dict[str, str]:
        """The environment of a process of its own."""
        return {**{k: v for k, v in os.environ.items() if k != VARIABLE}, **self.environ}

    @contextmanager
    def application(self, *overrides: str, **options: Any) -> Iterator[Application]:
        settings = configuration.load(self.file, {}, overrides)
        options.setdefault("clock", self.clock)
        with Application(settings, environ=self.environ, **options) as application:
            yield application

    def log(self, name: str, *overrides: str, **options: Any) -> RunResult:
        """Run one endpoint."""
        with self.application(*overrides) as application:
            (endpoint,) = application.chosen([name])
            return application.run(endpoint, **options)

    def sql(self, query: str) -> list[dict[str, Any]]:
        """The rows of a query of the warehouse."""
        with reading(self.warehouse) as connection:
            return connection.sql(query).to_arrow_table().to_pylist()

    def value(self, query: str) -> Any:
        """The one value of a query of the warehouse."""
        (row,) = self.sql(query)
        (value,) = row.values()
        return value

    def ids(self, table: str) -> Counter[Any]:
        """The ids of a table's rows."""
        return Counter(row["id"] for row in self.sql(f"select id from {table}"))

    def expected(self, what: str, low: float | None = None, high: float | None = None) -> set[Any]:
        """The ids that the city's own lists have, between two seconds."""
        return {row["id"] for row in self.city.expected(what, low, high, key="limited")}

    def tables(self, *names: str) -> dict[str, tuple[list[str], Counter[str]]]:
        """The columns and the rows of tables in no order, of all that no name of ours begins."""
        found = {}
        with reading(self.warehouse) as connection:
            there = connection.sql("show tables").fetchall()
            for name in names or [name for (name,) in there if not name.startswith("_tcd_")]:
                table = connection.sql(f'from "{name}"').to_arrow_table()
                columns = sorted(table.column_names)
                rows = zip(*(table[column].to_pylist() for column in columns), strict=True)
                found[name] = columns, Counter(map(repr, rows))
        return found

    def spans(self, name: str) -> list[int] | None:
        """The seconds from which and to which a list was read, None before its first run."""
        with self.application() as application, application.warehouse() as warehouse:
            text = warehouse.cursor(name)
        return json.loads(text)["spans"]["40832"] if text else None

    def record(self, run_id: str) -> RunRecord:
        """What the state tells of a run."""
        with self.application() as application:
            (found,) = application.state.runs(run_id=run_id)
        return found

    def again(self, what: Any, *words: Any, overrides: Sequence[str] = (), **options: Any) -> Any:
        """What an operation of the core gives, a minute later."""
        self.clock.sleep(60)
        with self.application(*overrides) as application:
            return what(application, *words, **options)

    def later(self, seconds: float) -> None:
        """Move a city of this test's own, and this machine's clock."""
        self.city.advance(seconds)
        self.clock = ManualClock(self.city.now())

    def holding(self, text: str) -> list[Path]:
        """The files in the folder that hold a text anywhere, also inside compressed ones."""
        needle = text.encode()
        return [f for f in self.folder.rglob("*") if f.is_file() and needle in unpacked(f)]


def unpacked(file: Path) -> bytes:
    """The bytes of a file; of a Parquet file also all its values."""
    raw = file.read_bytes()
    if file.suffix != ".parquet":
        return raw
    import pyarrow.parquet as pq  # noqa: PLC0415

    return raw + repr(pq.read_table(file).to_pylist()).encode()


@pytest.fixture
def workplace(
    tmp_path: Path,
    city: Sandbox,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Workplace:
    """A folder with a configuration of the five endpoints and a key of the level Limited."""
    place = Workplace(tmp_path, city, capsys, monkeypatch, city.keys["limited"])
    place.write()
    return place


WORLDS = functools.cache(city_module.World)
FILLED: dict[str, tuple[Path, float, Any]] = {}
"""By what fills them: copies of folders, the time, and what the tests are given."""


@pytest.fixture
def once(workplace: Workplace, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Any]:
    """Fill the workplace by a function that is called once in a process: the others get a copy.

    The function is given the workplace; what it gives is given to every test.
    """

    def once(fill: Callable[[Workplace], Any]) -> Any:
        name = f"{fill.__module__}.{fill.__qualname__}"
        if name in FILLED:
            folder, now, given = FILLED[name]
            shutil.copytree(folder, workplace.folder, dirs_exist_ok=True)
            workplace.clock = ManualClock(now)
            return given
        given = fill(workplace)
        folder = tmp_path_factory.mktemp("filled") / "place"
        shutil.copytree(workplace.folder, folder)
        FILLED[name] = folder, workplace.clock.now(), given
        return given

    return once


@pytest.fixture
def settle(
    workplace: Workplace, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., Workplace]]:
    """Let the workplace log a city of its own, which `later` moves, by rules that limit nothing.

    Cities of one seed and one history share a world: what is asked of it never changes it.
    """
    monkeypatch.setattr(city_module, "World", WORLDS)
    with ExitStack() as cities:

        def settle(endpoints: str = "", *, seed: int = 5, **rules: Any) -> Workplace:
            city = Sandbox(seed=seed, rules=dataclasses.replace(FREE, cloud_rows=10**9, **rules))
            workplace.city = cities.enter_context(city)
            workplace.key = city.keys["limited"]
            workplace.write(endpoints)
            return workplace

        yield settle


@pytest.fixture
def lie(workplace: Workplace, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Make the workplace's city answer what a function makes of its bodies.

    `about(path, params, body)` gives bytes or what becomes JSON, and None for the truth. Without
    one the city tells the truth again.
    """
    cities: dict[int, Any] = {}

    def lie(about: Callable[..., Any] | None = None) -> None:
        city = workplace.city.city
        truth = cities.setdefault(id(city), city.answer)

        def answer(request: Any) -> Any:
            reply = truth(dataclasses.replace(request, gzip=False))
            told = about and about(request.path, request.params, reply.body)
            if told is None:
                return reply
            body = told if isinstance(told, bytes) else json.dumps(told).encode()
            return dataclasses.replace(reply, body=body)

        monkeypatch.setattr(city, "answer", answer)

    return lie


@pytest.fixture
def says(lie: Callable[..., None]) -> Callable[..., None]:
    """Make the city answer a path with bodies of ours, the last of them for ever."""
    bodies: dict[str, list[Any]] = {}

    def told(path: str, _params: Any, _body: bytes) -> Any:
        queue = bodies.get(path)
        if not queue:
            return None
        return queue.pop(0) if len(queue) > 1 else queue[0]

    def says(path: str, *given: Any) -> None:
        bodies[path] = [b if isinstance(b, bytes) else json.dumps(b).encode() for b in given]
        lie(told)

    return says
