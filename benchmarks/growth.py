"""How the costs grow: with rows, endpoints, runs in the state, archive files, runs to rebuild.

    python benchmarks/growth.py [rows endpoints tables runs archive rebuild] [--large] [--json]

Each part is measured at several sizes, the smallest first; a flat line is what is wanted.
`--large` takes sizes as large as anybody's will become: that takes an hour and 30 GB.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from measured import PROGRAM, UNLIMITED, answer, measured, plain

HERE = Path(__file__).resolve().parent
SIZES = {
    "rows": (0, 250_000, 1_000_000),
    "endpoints": (100, 1_000, 10_000),
    "tables": (1, 60),
    "runs": (1_000, 100_000),
    "archive": (100, 10_000),
    "rebuild": (50, 500),
}
LARGE = {
    "rows": (0, 1_000_000, 10_000_000, 50_000_000),
    "endpoints": (100, 1_000, 10_000),
    "tables": (1, 60, 240),
    "runs": (1_000, 100_000, 1_000_000),
    "archive": (100, 10_000, 100_000),
    "rebuild": (100, 1_000, 10_000),
}
LOADS = 7


@dataclass(frozen=True)
class Point:
    """A cost at a size.

    Attributes:
        what: what costs it.
        size: of what grows.
        value: in the unit.
        unit: `ms`, `s` or `MB`.
    """

    what: str
    size: int
    value: float
    unit: str


# --- rows in a table ----------------------------------------------------------------------------

LOADING = """\
import json, sys, time
from pathlib import Path
from bodies import pages
from tcdatalogger.models.reading.decode import decode
from tcdatalogger.models.rows.normalize import Provenance, normalize
from tcdatalogger.models.schema import family
from tcdatalogger.services.duckdb.warehouse import DuckDBWarehouse
from tcdatalogger.services.torncity.catalog import catalog
from tcdatalogger.services.warehouse.load import Load
import duckdb
file, mode, rows, loads = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
endpoint, _ = catalog.load().find("/faction/members")
tables = family(endpoint.shape, endpoint.name)
bodies = pages("members", loads + 1)
def load(number, at):
    decoded = decode([bodies[number]], tables)
    made = normalize(decoded.batches, tables, [Provenance(at, 40832, f"r{at}")])
    return Load(f"l{at}", f"r{at}", "members", mode, tables, made.tables, "1", at)
with DuckDBWarehouse(file) as warehouse:
    warehouse.commit(load(0, 1))
if rows:
    with duckdb.connect(str(file)) as connection:
        connection.execute("SET preserve_insertion_order = false")
        connection.execute(
            "INSERT INTO faction_members SELECT m.* REPLACE (1000000 + n AS id) FROM range(?) t(n) "
            "JOIN (SELECT * FROM faction_members LIMIT 1) m ON true", [rows])
        connection.execute("CHECKPOINT")
took = []
with DuckDBWarehouse(file) as warehouse:
    for number in range(loads):
        one = load(1 + number, 2 + number)
        began = time.process_time()
        warehouse.commit(one)
        took.append(time.process_time() - began)
print(json.dumps(took))
"""


def rows(sizes: tuple[int, ...], folder: Path) -> Iterator[Point]:
    """The store step of 100 rows into a table of so many; milliseconds of processor."""
    for mode in ("append", "merge", "history"):
        for size in sizes:
            file = folder / f"{mode}-{size}.duckdb"
            words = [sys.executable, "-c", LOADING, str(file), mode, str(size), str(LOADS)]
            environ = plain(folder)
            environ["PYTHONPATH"] += f"{os.pathsep}{HERE}"
            done = subprocess.run(
                words, cwd=folder, env=environ, capture_output=True, text=True, check=False,
            )  # fmt: skip
            if done.returncode:
                raise SystemExit(done.stderr)
            took = json.loads(done.stdout.splitlines()[-1])
            file.unlink()
            yield Point(f"store 100 rows, {mode}", size, 1000 * statistics.median(took[1:]), "ms")


# --- endpoints ----------------------------------------------------------------------------------


def configured(folder: Path, count: int, url: str = "http://127.0.0.1:9", extra: str = "") -> None:
    """A project with so many endpoints."""
    endpoints = "\n".join(
        f'[[endpoints]]\nname = "e{n}"\npath = "/faction/members"\ntable = "t{n}"\n'
        'frequency = "P1D"\nretries = 0\n'
        for n in range(count)
    )
    (folder / "tcdatalogger.toml").write_text(
        f'[warehouse]\nurl = "duckdb:///torn.duckdb"\n[torn]\nurl = "{url}"\n'
        f'[archive]\npath = "archive"\n{extra}[keys]\ndefault = "env:TORN_API_KEY"\n{endpoints}',
        encoding="utf-8",
    )


STATE = """\
import sys
from pathlib import Path
from tcdatalogger.core.state.store import RunRecord, State
count, file, now = int(sys.argv[1]), Path(sys.argv[2]), float(sys.argv[3])
def run(number, endpoint, at):
    return RunRecord(f"20260101T000000Z-{number:08x}", endpoint, at, status="done",
                     finished_at=at + 1, rows={"t": 100}, calls=1,
                     seconds={"fetch": 0.2, "store": 0.1})
with State(file) as state:
    if sys.argv[4] == "each":
        for number in range(count):
            state.write_run(run(number, f"e{number}", now - 3600))
    else:
        state.write_run(run(0, "e0", now - 3600))
        with state.writing() as db:
            db.execute(
                "with recursive n(i) as (select 1 union all select i + 1 from n where i < ?) "
                "insert into runs (run_id, endpoint, status, started_at, facts, token, place) "
                "select printf('20250101T000000Z-%08x', i), 'e' || (i % 100), 'done', "
                "? - i * 20, replace(replace(facts, run_id, printf('20250101T000000Z-%08x', i)), "
                "'\\"e0\\"', '\\"e' || (i % 100) || '\\"'), token, place from runs, n "
                "where run_id = '20260101T000000Z-00000000'", (count, now - 3600))
"""


def seeded(folder: Path, count: int, how: str) -> None:
    answer(
        [sys.executable, "-c", STATE, str(count), str(folder / "torn.state.sqlite"),
         str(time.time()), how]
    )  # fmt: skip


def least(words: list[str], folder: Path, times: int = 3, environ=None) -> float:
    """The median of the seconds of processor of some processes.

    Seconds of the clock say more of the neighbours than of the program, on a shared machine.
    """
    environ = environ or plain(folder)
    return statistics.median(measured(words, folder, environ).cpu for _ in range(times))


def endpoints(sizes: tuple[int, ...], folder: Path) -> Iterator[Point]:
    """What looks at all endpoints, or at one of many."""
    for size in sizes:
        home = folder / f"endpoints-{size}"
        home.mkdir()
        with socket.create_server(("127.0.0.1", 0)) as found:
            port = found.getsockname()[1]
        configured(home, size, extra=f'[metrics]\nlisten = "127.0.0.1:{port}"\n')
        environ = {**plain(home), "TORN_API_KEY": "A" * 16}
        check = [*PROGRAM, "check", "--offline"]
        yield Point("check --offline", size, least(check, home, 1, environ), "s")
        seeded(home, size, "each")
        yield Point("status", size, least([*PROGRAM, "status"], home, environ=environ), "s")
        yield from scraped(size, home, port, environ)
    yield from first_runs(sizes, folder)


def scraped(size: int, home: Path, port: int, environ: dict[str, str]) -> Iterator[Point]:
    """What /metrics of a scheduler costs."""
    daemon = subprocess.Popen(
        [*PROGRAM, "schedule"], cwd=home, env=environ,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        url = f"http://127.0.0.1:{port}/metrics"
        until = time.monotonic() + 120
        while True:
            try:
                with urllib.request.urlopen(url) as page:
                    page.read()
                break
            except OSError:
                if time.monotonic() > until:
                    raise
                time.sleep(0.2)
        time.sleep(2)
        took = []
        for _ in range(3):
            before = ticks(daemon.pid)
            with urllib.request.urlopen(url) as page:
                length = len(page.read())
            took.append(ticks(daemon.pid) - before)
        yield Point("/metrics", size, statistics.median(took), "s")
        yield Point("/metrics, its length", size, length / 1e6, "MB")
    finally:
        daemon.kill()
        daemon.wait()


def ticks(pid: int) -> float:
    """Seconds of processor that a process has used."""
    text = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(text[11]) + int(text[12])) / os.sysconf("SC_CLK_TCK")


CITY = """\
import sys
from tcdatalogger.sandbox.api.city import Rules
from tcdatalogger.sandbox.api.server import Sandbox
with Sandbox(seed=7, rules=Rules(cache=0, per_user=10**6, per_address=10**6)) as city:
    print(city.url, city.keys["limited"], flush=True)
    sys.stdin.read()
"""


class City:
    """A city of the sandbox in a process of its own; its address and a key."""

    def __enter__(self) -> tuple[str, str]:
        self._process = subprocess.Popen(
            [sys.executable, "-c", CITY], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        url, key = self._process.stdout.readline().split()
        return url, key

    def __exit__(self, *_: object) -> None:
        self._process.stdin.close()
        self._process.wait()


def homes(
    folder: Path, sizes: tuple[int, ...], endpoints: int | None = None
) -> Iterator[tuple[int, Path, dict[str, str]]]:
    """A project of each size that asks a city, and the environment of its processes.

    It has so many endpoints; where no number is given, as many as the size says.
    """
    with City() as (url, key):
        for size in sizes:
            home = folder / f"home-{size}"
            home.mkdir()
            configured(home, size if endpoints is None else endpoints, url)
            yield size, home, {**plain(home), "TORN_API_KEY": key}


def first_runs(sizes: tuple[int, ...], folder: Path) -> Iterator[Point]:
    """A run of one of many endpoints in a new project."""
    for size, home, environ in homes(folder, sizes):
        words = [*PROGRAM, "run", "e0"]
        yield Point("the first run", size, least(words, home, 1, environ), "s")


def tables(sizes: tuple[int, ...], folder: Path) -> Iterator[Point]:
    """A run of one page, by the endpoints that have their tables in the same file."""
    for size, home, environ in homes(folder, sizes):
        measured([*UNLIMITED, "run", "--all", "--log-level", "error"], home, environ)
        yield Point("a run", size, least([*PROGRAM, "run", "e0"], home, environ=environ), "s")
        history = [*PROGRAM, "schema", "history"]
        yield Point("schema history", size, least(history, home, environ=environ), "s")


# --- runs in the state --------------------------------------------------------------------------


def runs(sizes: tuple[int, ...], folder: Path) -> Iterator[Point]:
    """What reads the state, by the runs in it."""
    for size in sizes:
        home = folder / f"runs-{size}"
        home.mkdir()
        configured(home, 100)
        seeded(home, size, "all")
        for words in (["status"], ["runs", "list"]):
            yield Point(" ".join(words), size, least([*PROGRAM, *words], home), "s")


# --- files of the archive -----------------------------------------------------------------------


def archive(sizes: tuple[int, ...], folder: Path) -> Iterator[Point]:
    """A run, and one that deletes what is older than ten days, by the files of the endpoint."""
    for size, home, environ in homes(folder, sizes, endpoints=1):
        run = [*PROGRAM, "run", "e0"]
        measured(run, home, environ)
        [first] = (home / "archive" / "e0").rglob("*.parquet")
        # 96 a day, of days long ago, all the same file.
        for number in range(size):
            day = time.strftime("%Y-%m-%d", time.gmtime(1_600_000_000 + number // 96 * 86_400))
            into = first.parent.parent / day
            if number % 96 == 0:
                into.mkdir()
            if number % 9_600 == 0:  # a file system does not take any number of links to one file
                first = shutil.copy(first, into / f"{number}.copied")
            stamp = day.replace("-", "")
            os.link(first, into / f"{stamp}T{number % 96:06}Z-{number:08x}.parquet")
        yield Point("a run", size, least(run, home, environ=environ), "s")
        keep = [*run, "--set", "archive.keep=P10D"]
        yield Point("a run that prunes", size, least(keep, home, 1, environ), "s")
        yield from joined(size, home, run, environ)
        shutil.rmtree(home)


def joined(size: int, home: Path, run: list[str], environ: dict[str, str]) -> Iterator[Point]:
    """The same with one file for each day of 96 runs, as they are after a day."""
    answers = home / "archive" / "e0"
    today = max(answers.iterdir())
    [first, *_] = sorted(today.glob("*.parquet"))
    for other in answers.iterdir():  # what was not old enough to be deleted
        if other != today:
            shutil.rmtree(other)
    text = [*PROGRAM, "archive", "join"]
    day = answers / "2020-01-01"
    day.mkdir()
    write_as(first, [day / f"20200101T000000Z-{number:08x}.parquet" for number in range(96)])
    measured(text, home, environ)
    [whole] = day.iterdir()
    for number in range(1, size // 96):
        into = answers / time.strftime("%Y-%m-%d", time.gmtime(1_600_000_000 + number * 86_400))
        into.mkdir()
        os.link(whole, into / whole.name)
    yield Point("a run, days joined", size, least(run, home, environ=environ), "s")
    keep = [*run, "--set", "archive.keep=P10D"]
    yield Point("a run that prunes, days joined", size, least(keep, home, 1, environ), "s")


WRITING = """\
import sys
import pyarrow as pa, pyarrow.parquet as pq
table = pq.read_table(sys.argv[1])
for file in sys.argv[2:]:
    name = file.rsplit("/", 1)[1].removesuffix(".parquet")
    ids = pa.array([name] * len(table), pa.string())
    pq.write_table(table.set_column(0, "run_id", ids), file, compression="zstd")
"""


def write_as(file: Path, targets: list[Path]) -> None:
    """Write the answers of a run as those of other runs, whose ids are the names of the files."""
    subprocess.run([sys.executable, "-c", WRITING, str(file), *map(str, targets)], check=True)


# --- runs to rebuild ----------------------------------------------------------------------------


def rebuild(sizes: tuple[int, ...], folder: Path) -> Iterator[Point]:
    """A rebuild of an endpoint, by its runs of one page; memory too."""
    for size in sizes:
        home = folder / f"rebuild-{size}"
        answer(
            [sys.executable, str(HERE / "bodies.py"), "members", str(size), str(home),
             "--runs", str(size)]
        )  # fmt: skip
        project = home / "project"
        cost = measured([*PROGRAM, "rebuild", "faction_members"], project, plain(home))
        yield Point("rebuild, each run", size, 1000 * cost.cpu / size, "ms")
        yield Point("rebuild, memory", size, cost.peak, "MB")
        shutil.rmtree(home)


PARTS: dict[str, Callable[[tuple[int, ...], Path], Iterator[Point]]] = {
    "rows": rows,
    "endpoints": endpoints,
    "tables": tables,
    "runs": runs,
    "archive": archive,
    "rebuild": rebuild,
}


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("parts", nargs="*", choices=[*PARTS, []])
    arguments.add_argument("--large", action="store_true")
    arguments.add_argument("--json", action="store_true")
    chosen = arguments.parse_args()
    found: list[tuple[str, Point]] = []
    for part in chosen.parts or PARTS:
        with tempfile.TemporaryDirectory() as folder:
            for point in PARTS[part]((LARGE if chosen.large else SIZES)[part], Path(folder)):
                found.append((part, replace(point, value=round(point.value, 3))))
                print(
                    f"# {part}: {point.what} at {point.size:,}: {point.value:.3g} {point.unit}",
                    file=sys.stderr, flush=True,
                )  # fmt: skip
    if chosen.json:
        print(json.dumps([{"part": part, **vars(point)} for part, point in found]))
        return
    for part, point in found:
        print(f"{part:10} {point.what:24} {point.size:12,} {point.value:10.3g} {point.unit}")


if __name__ == "__main__":
    main()
