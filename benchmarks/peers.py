"""The whole product beside what one would take instead, on the same bytes.

    python benchmarks/peers.py [--rounds 3] [--crimes 500] [--members 500] [--items 50] [--json]

Ours is `tcdatalogger rebuild` of one archived run with all pages, into a DuckDB file with ledger,
checks of a load and the law of conservation. Beside it: a script of SQL for DuckDB and one of
Arrow's kernels, as somebody writes them by hand who knows the shape (`rivals/`), and dlt. All of
them leave the same tables: each column is compared by its values.

Whole processes are measured, start and imports too. A round runs each of them once, in turn, so
that a slow moment of the machine falls on all; the medians are printed.

dlt needs an environment of its own: `make rivals` makes it. Without it dlt is left out.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from pathlib import Path

from measured import PROGRAM, Cost, FailedError, answer, measured, middle, plain, spread

HERE = Path(__file__).resolve().parent
RIVALS = HERE / "rivals"
DLT = HERE.parent / ".tools" / "rivals" / "bin" / "python"
OURS = "tcdatalogger"
KINDS = {"crimes": 500, "members": 500, "items": 50}
ENDPOINTS = {"crimes": "faction_crimes", "members": "faction_members", "items": "torn_items"}


def ways(kind: str, home: Path, work: Path, dlt: Path | None) -> dict[str, list[str]]:
    """The command of each, by its name."""
    own = [sys.executable]
    words = [kind, str(home / "pages"), str(work / "out.duckdb")]
    found = {
        OURS: [*PROGRAM, "rebuild", ENDPOINTS[kind], "--log-level", "error"],
        "DuckDB script": [*own, str(RIVALS / "duckdb_script.py"), *words],
        "pyarrow script": [*own, str(RIVALS / "pyarrow_script.py"), *words],
    }
    if dlt is not None:
        found["dlt"] = [str(dlt), str(RIVALS / "dlt_script.py"), *words]
    return found


def once(name: str, words: list[str], home: Path, work: Path, environ) -> Cost:
    """One process, in a fresh folder."""
    if name != OURS:
        return measured(words, work, environ)
    shutil.copytree(home / "project", work, dirs_exist_ok=True)
    return measured(words, work, environ)


def compare(kind: str, home: Path, rounds: int, dlt: Path | None) -> dict[str, list[Cost]]:
    """The costs of each; what has other values than the others ends the comparison."""
    costs: dict[str, list[Cost]] = {}
    standard: dict = {}
    environ = plain(home)
    for number in range(rounds):
        names = list(ways(kind, home, home, dlt))
        for name in names:
            with tempfile.TemporaryDirectory(dir=home) as folder:
                work = Path(folder)
                words = ways(kind, home, work, dlt)[name]
                costs.setdefault(name, []).append(once(name, words, home, work, environ))
                if number == 0:
                    file = work / ("torn.duckdb" if name == OURS else "out.duckdb")
                    text = answer([sys.executable, str(RIVALS / "sums.py"), kind, str(file)])
                    found = json.loads(text)
                    standard = standard or found
                    _refuse_other(kind, name, found, standard)
            cost = costs[name][-1]
            print(
                f"# {kind} round {number + 1}, {name}: {cost.wall:.2f} s, {cost.cpu:.2f} CPU s, "
                f"{cost.peak:.0f} MB", file=sys.stderr, flush=True,
            )  # fmt: skip
    return costs


def _refuse_other(kind: str, name: str, found: dict, standard: dict) -> None:
    for table, columns in standard.items():
        for column, values in columns.items():
            if found[table][column] != values:
                raise FailedError(
                    f"{kind}: {name} has {found[table][column]} in {table}.{column or 'rows'}, and "
                    f"{OURS} has {values}"
                )


def line(kind: str, name: str, costs: dict[str, list[Cost]]) -> dict[str, object]:
    """What is printed of one of them."""
    own, ours = middle(costs[name]), middle(costs[OURS])
    return {
        "pages": kind,
        "way": name,
        "wall": round(own.wall, 3),
        "cpu": round(own.cpu, 3),
        "peak_mb": round(own.peak),
        "our_cpu_of_its": round(ours.cpu / own.cpu, 2),
        "our_wall_of_its": round(ours.wall / own.wall, 2),
        "spread": round(spread([cost.cpu for cost in costs[name]]), 2),
    }


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rounds", type=int, default=3)
    for kind, pages in KINDS.items():
        arguments.add_argument(f"--{kind}", type=int, default=pages, help="pages; 0 leaves it out")
    arguments.add_argument("--dlt", type=Path, default=DLT, help="a Python that has dlt")
    arguments.add_argument("--json", action="store_true")
    chosen = arguments.parse_args()
    dlt = chosen.dlt if chosen.dlt.exists() else None
    if dlt is None:
        print(
            f"DLT IS LEFT OUT: there is no {chosen.dlt}. `make rivals` makes it; or "
            "`pip install 'dlt[duckdb,parquet]' orjson` elsewhere, and --dlt PYTHON.",
            file=sys.stderr,
        )
    lines = []
    for kind in KINDS:
        if pages := getattr(chosen, kind):
            with tempfile.TemporaryDirectory() as folder:
                home = Path(folder)
                bodies = [sys.executable, str(HERE / "bodies.py"), kind, str(pages), folder]
                answer(bodies)
                costs = compare(kind, home, chosen.rounds, dlt)
                lines += [line(kind, name, costs) for name in costs]
    if chosen.json:
        print(json.dumps(lines))
        return
    print(
        f"{'pages':8} {'way':15} {'wall s':>7} {'CPU s':>7} {'MB':>6} {'our CPU':>9} "
        f"{'our wall':>9} {'spread':>7}"
    )
    for one in lines:
        print(
            f"{one['pages']:8} {one['way']:15} {one['wall']:7.2f} {one['cpu']:7.2f} "
            f"{one['peak_mb']:6} {one['our_cpu_of_its']:7.2f} x {one['our_wall_of_its']:7.2f} x "
            f"{one['spread']:7.0%}"
        )


if __name__ == "__main__":
    main()
