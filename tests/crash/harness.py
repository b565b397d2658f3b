"""Kills the logger with SIGKILL at every numbered step, starts it again, and compares what is left.

A step is each thing that touches the outside: a statement of DuckDB's or SQLite's, a file that is
synced, renamed or deleted, an answer of Torn's. A `Lab` has a city that stands still, and a process
that has everything imported and forks a child for each run, so that a round costs little. In the
child alone each step is counted, and the child kills itself at the one that it was told.

Whatever was killed, what is left in the end is compared with a control that never was and that saw
the same moments of the city.
"""

from __future__ import annotations

import dataclasses
import importlib
import json
import mmap
import os
import random
import select
import shutil
import signal
import sqlite3
import struct
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Self

PRELOADED = (
    "duckdb",
    "httpx2",
    "httpcore2",
    "pyarrow.parquet",
    "pyarrow.dataset",
    "pandas",  # which pyarrow imports where it is there
    "tcdatalogger.cli.commands.run",
    "tcdatalogger.cli.output",
    "tcdatalogger.core.main",
    "tcdatalogger.core.config.configuration",
    "tcdatalogger.services.torncity.client.transport",
    "tcdatalogger.services.torncity.endpoints.generic",
    "tcdatalogger.services.torncity.endpoints.crimes",
    "tcdatalogger.services.torncity.endpoints.items",
)
VARIABLE = "TORN_API_KEY"
HOUR = 3_600


# --- what is logged ------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Scene:
    """An endpoint, and the moments of the city that its runs see.

    Attributes:
        name: of the endpoint.
        words: its settings.
        moments: seconds after the start of the world, one run each.
        scripted: whether the city's answer is cut to a few records that change, vanish and come.
        snapshot: whether each run adds all there is, so that one more run is one more snapshot.
    """

    name: str
    words: str
    moments: tuple[int, ...] = (0, HOUR, 2 * HOUR)
    scripted: bool = False
    snapshot: bool = False

    @property
    def name_of_begun(self) -> str:
        """The folder in which all moments but the last were logged."""
        return f"begun-{hash(self.toml)}"

    @property
    def toml(self) -> str:
        return f'[[endpoints]]\nname = "{self.name}"\n{self.words}\n'


def _items(mode: str) -> Scene:
    words = f'path = "/torn/items"\nstorage_mode = "{mode}"\nkey = ["id"]'
    return Scene("items", words, scripted=True, snapshot=mode == "append")


LISTS = (0, 5 * HOUR, 9 * HOUR)
SCENES = {
    "append": _items("append"),
    "incremental": Scene("attacks", 'path = "/faction/attacks"\nsince = "PT8H"', LISTS),
    "crimes": Scene("crimes", 'path = "/faction/crimes"\nsince = "PT8H"', LISTS),
    "replace": _items("replace"),
    "merge": _items("merge"),
    "history": _items("history"),
}


def scripted(body: bytes, moment: int, rows: int = 0) -> bytes:
    """Some items of the city's: which, and what is in them, is another thing at each moment.

    They have at least so many shops together: more than 122,880 rows are two row groups of DuckDB.
    """
    items = json.loads(body)["items"][:14]
    dice = random.Random(moment)
    for item in items:
        shops = item["value"]["shops"]
        if dice.random() < 0.4:
            item["circulation"] += moment + 1
        if dice.random() < 0.3:
            shops[:] = [] if shops else [{"country": "UAE", "name": "Docks", "price": moment}]
        if moment and item["id"] % 5 == 0:
            item["odd"] = f"seen {moment}"  # the catalogue does not know it
    gone = {item["id"] for item in items if dice.random() < 0.25}
    kept = [item for item in items if item["id"] not in gone]
    kept[0]["circulation"] = "many"  # set aside
    for item in kept[1:]:
        item["value"]["shops"] += [
            {"country": "UAE", "name": f"Stall {number}", "price": number}
            for number in range(rows // (len(kept) - 1))
        ]
    return json.dumps({"items": kept}).encode()


# --- the child -----------------------------------------------------------------------------------


class Steps:
    """Counts what the child does, and kills it.

    Args:
        count: shared memory that holds the number of the last step.
        kill: at which step.
        after: whether it is done yet then.
    """

    def __init__(self, count: mmap.mmap, kill: int, *, after: bool, trace: Path | None) -> None:
        self._count, self._kill, self._after, self._trace = count, kill, after, trace
        self._number = 0

    def take(self, what: str, do: Callable[..., Any], *args: Any, **options: Any) -> Any:
        self._number += 1
        number = self._number
        self._count[:8] = struct.pack("q", number)
        if self._trace is not None:
            with self._trace.open("a", encoding="utf-8") as file:
                file.write(f"{number} {what}\n")
        if number == self._kill and not self._after:
            os.kill(os.getpid(), signal.SIGKILL)
        try:
            return do(*args, **options)
        finally:
            if number == self._kill:
                os.kill(os.getpid(), signal.SIGKILL)

    def wrap(self, owner: object, name: str, what: str) -> None:
        whole = getattr(owner, name)

        def step(*args: Any, **options: Any) -> Any:
            return self.take(f"{what} {args[0] if args else ''}", whole, *args, **options)

        setattr(owner, name, step)


class _Proxy:
    """A connection of DuckDB's of which each statement is a step."""

    def __init__(self, real: Any, steps: Steps) -> None:
        self.__dict__.update(real=real, steps=steps)

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.real, name)
        if name not in {"execute", "executemany", "sql", "close"}:
            return found
        return lambda *args, **options: self.steps.take(
            f"duckdb {name} {' '.join(str(args[0]).split())[:60] if args else ''}",
            found,
            *args,
            **options,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()


def watch(steps: Steps) -> None:
    """Make steps of all that touches the outside, in this process."""
    import duckdb  # noqa: PLC0415

    from tcdatalogger.services.torncity.client.transport import Transport  # noqa: PLC0415

    connect, opened = duckdb.connect, sqlite3.connect

    class Counted(sqlite3.Connection):
        def execute(self, sql: str, *args: Any) -> sqlite3.Cursor:
            what = f"sqlite {' '.join(sql.split())[:60]}"
            return steps.take(what, super().execute, sql, *args)

        def executescript(self, sql: str) -> sqlite3.Cursor:
            return steps.take("sqlite script", super().executescript, sql)

    duckdb.connect = lambda *a, **o: _Proxy(steps.take("duckdb open", connect, *a, **o), steps)
    sqlite3.connect = lambda *a, **o: opened(*a, **o, factory=Counted)
    for name in ("fsync", "replace", "rename", "unlink", "mkdir", "rmdir"):
        steps.wrap(os, name, name)
    steps.wrap(Transport, "call", "answer")


def live(order: Mapping[str, Any], count: mmap.mmap) -> int:
    """The life of a child: one command of the command line."""
    from tcdatalogger.cli import main  # noqa: PLC0415
    from tcdatalogger.clock import ManualClock  # noqa: PLC0415
    from tcdatalogger.core import main as core_main  # noqa: PLC0415

    os.chdir(order["folder"])
    os.environ[VARIABLE] = order["key"]
    said = os.open("said.txt", os.O_CREAT | os.O_WRONLY | os.O_TRUNC)
    os.dup2(said, 1)
    os.dup2(said, 2)
    clock = ManualClock(order["now"])
    core_main.SystemClock = lambda: clock
    trace = Path(order["folder"], order["trace"]) if order.get("trace") else None
    watch(Steps(count, order["kill"], after=order["after"], trace=trace))
    return main(order["words"])


def zygote() -> None:
    """A process with everything imported: for each line that it reads it forks a child."""
    for name in PRELOADED:
        with suppress(ImportError):
            importlib.import_module(name)
    from tcdatalogger.services.torncity.catalog import catalog  # noqa: PLC0415

    catalog.load(None)
    count = mmap.mmap(-1, 8)
    for line in sys.stdin:
        order = json.loads(line)
        count[:8] = struct.pack("q", 0)
        ready, done = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(ready)
            code = 1
            try:
                code = live(order, count)
            except SystemExit as end:
                code = int(end.code or 0)
            finally:
                sys.stdout.flush()
                os._exit(code)
        os.close(done)
        if order["within"] is not None:
            select.select([ready], [], [], order["within"])
            os.kill(child, signal.SIGKILL)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        os.close(ready)
        steps = struct.unpack("q", count[:8])[0]
        sys.stdout.write(json.dumps({"code": status, "steps": steps}) + "\n")
        sys.stdout.flush()


# --- the lab -------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Kill:
    """When a run is killed.

    Attributes:
        at: the number of the step; 0 for none.
        after: whether the step is done yet.
        within: seconds after its start, for a moment that nobody chose.
    """

    at: int = 0
    after: bool = False
    within: float | None = None


@dataclasses.dataclass
class Counts:
    """What rounds add up to."""

    rounds: int = 0
    runs: int = 0
    kills: int = 0
    points: set[tuple[str, int, int]] = dataclasses.field(default_factory=set)
    pending: int = 0
    lost: int = 0
    doubled: int = 0
    problems: list[str] = dataclasses.field(default_factory=list)


class Lab:
    """A city, a process that forks, and folders to log in."""

    def __init__(self, *, seed: int = 11, source: Path | None = None, rows: int = 0) -> None:
        from tcdatalogger.sandbox.api.city import Rules  # noqa: PLC0415
        from tcdatalogger.sandbox.api.server import START, Sandbox  # noqa: PLC0415

        self.start = START
        rules = Rules(cache=0, per_user=10**6, per_address=10**6, history=3 * 86_400)
        self.city = Sandbox(seed=seed, rules=rules)
        self.counts = Counts()
        self._source = source
        self._rows = rows
        self._controls: dict[str, tuple[Facts, list[int]]] = {}
        self._states: dict[str, list[Tables]] = {}
        self._moment = 0
        self._scripted = False

    def __enter__(self) -> Self:
        self._home = Path(tempfile.mkdtemp(prefix="crash-"))
        self.city.start()
        answer = self.city.city.answer

        def ours(request: Any) -> Any:
            reply = answer(dataclasses.replace(request, gzip=False))
            if not self._scripted or request.path != "/torn/items":
                return reply
            return dataclasses.replace(reply, body=scripted(reply.body, self._moment, self._rows))

        self.city.city.answer = ours
        self._zygote = subprocess.Popen(
            [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        return self

    def __exit__(self, *_error: object) -> None:
        self._zygote.stdin.close()
        self._zygote.wait()
        self._zygote.stdout.close()
        self.city.stop()
        shutil.rmtree(self._home)

    @contextmanager
    def folder(self, scene: Scene) -> Iterator[Path]:
        """A new place to log a scene in."""
        place = Path(tempfile.mkdtemp(dir=self._home))
        (place / "tcdatalogger.toml").write_text(
            '[warehouse]\nurl = "duckdb:///torn.duckdb"\n\n[archive]\npath = "archive"\n\n'
            f'[state]\nurl = "sqlite:///state.db"\n\n[torn]\nurl = "{self.city.url}"\n\n'
            f'[keys]\ndefault = "env:{VARIABLE}"\n\n{scene.toml}',
            encoding="utf-8",
        )
        try:
            yield place
        finally:
            shutil.rmtree(place)

    def at(self, scene: Scene, moment: int) -> None:
        """Put the city at a moment of a scene."""
        self._moment, self._scripted = moment, scene.scripted
        self.city.city.clock._base = self.start + scene.moments[moment]

    def run(
        self, scene: Scene, place: Path, kill: Kill | None = None, *, trace: str = ""
    ) -> tuple[int, int]:
        """One run; its exit code (negative: the signal that killed it) and its last step."""
        kill = kill or Kill()
        order = {
            "folder": str(place),
            "key": self.city.keys["limited"],
            "now": self.city.now(),
            "words": ["run", scene.name],
            "kill": kill.at,
            "after": kill.after,
            "within": kill.within,
            "trace": trace,
        }
        self._zygote.stdin.write(json.dumps(order) + "\n")
        self._zygote.stdin.flush()
        done = json.loads(self._zygote.stdout.readline())
        self.counts.runs += 1
        self.counts.kills += done["code"] == -signal.SIGKILL
        return done["code"], done["steps"]

    def control(self, scene: Scene) -> tuple[Facts, list[int]]:
        """What is left of a scene that is never killed, and the steps of its runs."""
        if scene.toml not in self._controls:
            steps = []
            with self.folder(scene) as place:
                for moment in range(len(scene.moments)):
                    self.at(scene, moment)
                    code, number = self.run(scene, place)
                    assert code == 0, (place / "said.txt").read_text()
                    steps.append(number)
                    self._states.setdefault(scene.toml, [{}]).append(held(place))
                    if moment == len(scene.moments) - 2:
                        shutil.copytree(place, self._home / scene.name_of_begun)
                self._controls[scene.toml] = facts(place, scene), steps
        return self._controls[scene.toml]

    def round(self, mode: str, kills: Mapping[int, Sequence[Kill]]) -> list[str]:
        """A scene with the kills of each moment, each time until a run is done; what is wrong."""
        scene = SCENES[mode]
        control, _ = self.control(scene)
        told = f"{mode}, killed {dict(kills)}"
        with self.folder(scene) as place:
            for moment in range(len(scene.moments)):
                self.at(scene, moment)
                for kill in (*kills.get(moment, ()), None):
                    code, steps = self.run(scene, place, kill)
                    if code == -signal.SIGKILL:
                        self.counts.points.add((mode, moment, steps))
                        if torn := self._torn(place, scene, moment):
                            return self._wrong(f"{told}: {torn}")
                    elif code:
                        said = (place / "said.txt").read_text()
                        return self._wrong(f"{told}: it ended with {code}: {said}")
            found = facts(place, scene)
        return self._judge(told, control, found, scene)

    def point(self, mode: str, *kills: Kill) -> list[str]:
        """The last moment of a scene with kills, after the others without; what is wrong."""
        scene = SCENES[mode]
        control, _ = self.control(scene)
        told = f"{mode}, killed {kills}"
        last = len(scene.moments) - 1
        with self.folder(scene) as place:
            shutil.copytree(self._home / scene.name_of_begun, place, dirs_exist_ok=True)
            self.at(scene, last)
            for kill in (*kills, None):
                code, steps = self.run(scene, place, kill)
                if code == -signal.SIGKILL:
                    self.counts.points.add((mode, last, steps))
                    if torn := self._torn(place, scene, last):
                        return self._wrong(f"{told}: {torn}")
                elif code:
                    said = (place / "said.txt").read_text()
                    return self._wrong(f"{told}: it ended with {code}: {said}")
            found = facts(place, scene)
        return self._judge(told, control, found, scene)

    def _judge(self, told: str, control: Facts, found: Facts, scene: Scene) -> list[str]:
        self.counts.rounds += 1
        self.counts.pending += found.later
        lost, doubled = difference(control, found, scene)
        self.counts.lost += lost
        self.counts.doubled += doubled
        problems = [*found.problems, *compare(control, found, scene)]
        return self._wrong(*(f"{told}: {problem}" for problem in problems))

    def _wrong(self, *problems: str) -> list[str]:
        self.counts.problems += problems
        return list(problems)

    def _torn(self, place: Path, scene: Scene, moment: int) -> str:
        """What is wrong right after a kill: a reader sees all of a load or nothing of it.

        What is torn of a snapshot stays so, and is found at the end.
        """
        now = {name: rows for name, rows in held(place).items() if rows}
        states = self._states[scene.toml][moment : moment + 2]
        if scene.snapshot or now in [{n: r for n, r in one.items() if r} for one in states]:
            return ""
        return "a load is torn: the tables are neither as before nor as after it"

    def chance(self, mode: str, dice: random.Random) -> list[str]:
        """A round with kills at steps and moments that the dice choose."""
        _, steps = self.control(SCENES[mode])
        kills: dict[int, list[Kill]] = {}
        for moment, number in enumerate(steps):
            for _ in range(dice.choice((0, 1, 1, 2))):
                if dice.random() < 0.2:
                    kill = Kill(within=dice.uniform(0.0, 0.15))
                else:
                    kill = Kill(dice.randint(1, number + number // 4), after=dice.random() < 0.5)
                kills.setdefault(moment, []).append(kill)
        return self.round(mode, kills)


# --- what is left --------------------------------------------------------------------------------


@dataclasses.dataclass
class Facts:
    """What is in the warehouse, ledger, archive and state.

    Attributes:
        tables: the rows of each table without the run that brought them, and how often each.
        runs: the same of each run.
        books: quarantine, drift, cursor and schema, without runs and times.
        later: runs that were stored later.
        problems: what does not agree with itself.
    """

    tables: dict[str, Counter[str]]
    runs: dict[str, dict[str, Counter[str]]]
    books: dict[str, Any]
    later: int
    problems: list[str]


Tables = dict[str, Counter[str]]


def held(place: Path) -> Tables:
    """The rows of each table as a reader sees them now, without the run that brought them."""
    import duckdb  # noqa: PLC0415

    if not (place / "torn.duckdb").exists():
        return {}
    found: Tables = {}
    with duckdb.connect(str(place / "torn.duckdb"), read_only=True) as connection:
        connection.execute("set TimeZone = 'UTC'")
        names = connection.execute("select table_name from duckdb_tables()").fetchall()
        for (name,) in names:
            if not name.startswith("_tcd_"):
                found[name] = sum(counted(connection, name).values(), Counter())
    return found


def counted(connection: Any, name: str) -> dict[str, Counter[str]]:
    """The rows of a table for each run that brought them, without it, and how often each is there.

    DuckDB counts them: a load of some row groups takes seconds in Python.
    """
    columns = sorted(column for column, *_ in connection.sql(f'from "{name}"').description)
    values = {column: f'"{column}"' for column in columns if column != "_run_id"}
    if "_closed_by" in values:
        values["_closed_by"] = "if(_closed_by != '', 'a run', _closed_by)"
    row = ", ".join(f"'{column}': {value}" for column, value in values.items())
    found: dict[str, Counter[str]] = {}
    for run, text, times in connection.execute(
        f'select _run_id, to_json({{{row}}}), count(*) from "{name}" group by all'
    ).fetchall():
        found.setdefault(run, Counter())[text] = times
    return found


def facts(place: Path, scene: Scene) -> Facts:
    """Look at all that a scene left in a folder."""
    import duckdb  # noqa: PLC0415

    problems: list[str] = []
    with duckdb.connect(str(place / "torn.duckdb"), read_only=True) as connection:
        connection.execute("set TimeZone = 'UTC'")

        def rows(sql: str) -> list[dict[str, Any]]:
            return connection.sql(sql).to_arrow_table().to_pylist()

        names = [row["table_name"] for row in rows("select table_name from duckdb_tables()")]
        data = [name for name in names if not name.startswith("_tcd_")]
        tables, runs = {}, {}
        for name in data:
            own = counted(connection, name)
            tables[name] = sum(own.values(), Counter())
            for run, its in own.items():
                runs.setdefault(run, {})[name] = its
        loads = rows("from _tcd_loads order by rowid")
        live_loads = [load for load in loads if load["superseded_by"] is None]
        books = {
            "tables": sorted(name for name in names if not name.startswith("_tcd_former_")),
            "cursor": next((x["cursor"] for x in reversed(live_loads) if x["cursor"]), None),
            "drift": rows(
                "select table_name, column_name, type, example from _tcd_drift order by all"
            ),
            "quarantine": _distinct(rows("select page, path, reason, record from _tcd_quarantine")),
            "columns": rows(
                "select table_name, column_name, data_type from duckdb_columns() "
                "where table_name not like '\\_tcd%' escape '\\' order by all"
            ),
        }
    problems += _ledger(loads, live_loads, runs, scene)
    problems += _archive(place, loads, runs, scene)
    later, wrong = _state(place)
    return Facts(tables, runs, books, later, [*problems, *wrong])


def _distinct(rows: list[dict[str, Any]]) -> list[str]:
    return sorted({json.dumps(row, sort_keys=True) for row in rows})


def _ledger(
    loads: list[dict[str, Any]],
    live_loads: list[dict[str, Any]],
    runs: Mapping[str, Mapping[str, Counter[str]]],
    scene: Scene,
) -> list[str]:
    problems = []
    for what, number in (("load_id", len(loads)), ("run_id", len(live_loads))):
        if len({load[what] for load in (loads if what == "load_id" else live_loads)}) != number:
            problems.append(f"the ledger has a {what} twice")
    if stray := set(runs) - {load["run_id"] for load in live_loads}:
        problems.append(f"rows of runs that the ledger lacks: {sorted(stray)}")
    counted = live_loads if "append" in scene.words or "since" in scene.words else []
    if '"replace"' in scene.words:
        counted = live_loads[-1:]
    for load in counted:
        for name, number in json.loads(load["rows"]).items():
            found = runs.get(load["run_id"], {}).get(name, Counter()).total()
            if found != number:
                problems.append(f"the ledger says {number} rows of {name}, there are {found}")
    return problems


def _archive(
    place: Path, loads: list[dict[str, Any]], runs: Mapping[str, Any], scene: Scene
) -> list[str]:
    import pyarrow.parquet as pq  # noqa: PLC0415

    problems, files = [], {}
    for file in (place / "archive").rglob("*"):
        if file.is_dir():
            continue
        if file.suffix != ".parquet":
            problems.append(f"left in the archive: {file.name}")
            continue
        table = pq.read_table(file)
        files[file.stem] = str(file.relative_to(place / "archive"))
        if set(table["run_id"].to_pylist()) != {file.stem}:
            problems.append(f"the archive file {file.name} is of another run")
    problems += [
        f"the ledger names a file that is not there: {load['archive_file']}"
        for load in loads
        if files.get(load["run_id"]) != load["archive_file"]
    ]
    if scene.snapshot and set(files) != set(runs):
        problems.append(f"archived and not stored: {sorted(set(files) - set(runs))}")
    return problems


def _state(place: Path) -> tuple[int, list[str]]:
    """How many runs were stored later, and what is wrong with the books of the runs."""
    problems = []
    with sqlite3.connect(place / "state.db") as db:
        runs = [json.loads(text) for (text,) in db.execute("select facts from runs")]
    db.close()
    for run in runs:
        if run["status"] == "running":
            problems.append(f"the run {run['run_id']} still runs")
        if run["status"] in {"pending", "crashed"} and not run["settled"]:
            problems.append(f"the run {run['run_id']} is pending")
        if run["status"] == "failed":
            problems.append(f"the run {run['run_id']} failed: {run['error']}")
    return sum(run["note"].startswith("Stored later") for run in runs), problems


def difference(control: Facts, found: Facts, scene: Scene) -> tuple[int, int]:
    """How many rows are lost and how many doubled, against the control."""
    if not scene.snapshot:
        lost = sum((control.tables[n] - found.tables.get(n, Counter())).total()
                    for n in control.tables)  # fmt: skip
        more = sum(((rows - control.tables.get(n, Counter())).total()
                    for n, rows in found.tables.items()))  # fmt: skip
        return lost, more
    lost = more = 0
    true = {_moment(run): run for run in control.runs.values()}
    for run in found.runs.values():
        wanted = true.get(_moment(run), {})
        for name in {*wanted, *run}:
            one, other = wanted.get(name, Counter()), run.get(name, Counter())
            lost, more = lost + (one - other).total(), more + (other - one).total()
    return lost, more


def _moment(run: Mapping[str, Counter[str]]) -> str:
    """When a snapshot was taken, by its rows."""
    text = next(iter(run["items"]))
    return str(json.loads(text)["server_timestamp"])


def compare(control: Facts, found: Facts, scene: Scene) -> list[str]:
    """Where what is left is not as in the control."""
    problems = []
    lost, doubled = difference(control, found, scene)
    if lost or doubled:
        problems.append(f"{lost} rows are lost and {doubled} are too many")
    if scene.snapshot and len({_moment(r) for r in found.runs.values()}) != len(scene.moments):
        problems.append("a moment is not there")
    problems += [
        f"{name} is {found.books[name]} and not {wanted}"
        for name, wanted in control.books.items()
        if found.books[name] != wanted
    ]
    return problems


if __name__ == "__main__":
    zygote()
