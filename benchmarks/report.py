"""Runs the benchmarks of `docs/performance.md` and writes it: `make bench`.

    python benchmarks/report.py [PART ...] [--large] [--results FILE] [--page FILE] [--only-write]

Takes less than ten minutes on two quiet cores. What a part found is kept in the file of results
(`.tools/bench.json`), so that one part can be measured anew and the page be written of all. The
page ends with sections that are kept by hand, below a line that says so; they stay as they are.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from growth import City
from measured import PROGRAM, answer, measured, middle, plain, spread

HERE = Path(__file__).resolve().parent
PAGE = HERE.parent / "docs" / "performance.md"
RESULTS = HERE.parent / ".tools" / "bench.json"
BY_HAND = "<!-- What stands below is kept by hand; `make bench` leaves it as it is. -->"
REPEATS = (500, 3)
"""Pages, and how often each of them is there."""


def script(name: str, *words: str) -> list | dict:
    """What a benchmark prints as JSON; its lines of progress are shown."""
    done = subprocess.run(
        [sys.executable, str(HERE / name), *words, "--json"], stdout=subprocess.PIPE, text=True,
        check=False,
    )  # fmt: skip
    if done.returncode:
        raise SystemExit(f"{name} ended with {done.returncode}")
    return json.loads(done.stdout)


# --- the parts ----------------------------------------------------------------------------------


def peers(large: bool) -> list:
    """Beside dlt and hand-written scripts."""
    return script("peers.py", "--rounds", "5" if large else "2", "--members", "200")


def http(large: bool) -> list:
    """Runs of some pages over HTTP."""
    more = ["1500", "10000"] if large else ["1500"]
    return script("http_runs.py", "--pages", "1", "100", "500", *more, "--rounds", "1")


def repeats(_large: bool) -> dict:
    """A rebuild of a run whose records come again and again, and its steps."""
    pages, times = REPEATS
    with tempfile.TemporaryDirectory() as folder:
        words = ["crimes", str(pages), folder, "--times", str(times)]
        answer([sys.executable, str(HERE / "bodies.py"), *words])
        home = Path(folder) / "project"
        told = subprocess.run(
            [*PROGRAM, "bench", "--rounds", "1", "--json"], cwd=home, capture_output=True,
            text=True, check=True,
        )  # fmt: skip
        cost = measured([*PROGRAM, "rebuild", "faction_crimes"], home, plain(Path(folder)))
    [run] = json.loads(told.stdout)["runs"]
    return {"rebuild": vars(cost), "steps": run["steps"], "memory": run["memory"] / 1e6}


def fresh(_large: bool) -> dict:
    """Processes of one command each, of a small project."""
    with City() as (url, key), tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        (home / "tcdatalogger.toml").write_text(
            f'[warehouse]\nurl = "duckdb:///torn.duckdb"\n[torn]\nurl = "{url}"\n'
            '[archive]\npath = "archive"\n[keys]\ndefault = "env:TORN_API_KEY"\n'
            '[[endpoints]]\nname = "faction_members"\npath = "/faction/members"\n',
            encoding="utf-8",
        )
        environ = {**os.environ, "TORN_API_KEY": key}
        run = ["run", "--all"]
        measured([*PROGRAM, *run], home, environ)
        found = {}
        for words in (run, ["status"], ["schema", "history"]):
            costs = [measured([*PROGRAM, *words], home, environ) for _ in range(7)]
            best = min(cost.wall for cost in costs)
            found[" ".join(words)] = {
                **vars(middle(costs)), "best": best, "spread": spread([c.cpu for c in costs]),
            }  # fmt: skip
        return found


def daemon(_large: bool) -> dict:
    """The memory of a scheduler at rest, and what it carries."""
    words = [sys.executable, str(HERE / "scheduler.py"), "--pss"]
    return {"pss": float(answer(words)), "carry": script("carry.py")}


def history(_large: bool) -> dict:
    """What a history costs beside an append, where its rows are stored again."""
    text = answer([sys.executable, str(HERE / "throughput.py"), "--pages", "100", "--rounds", "3"])
    found = {}
    for line in text.splitlines()[1:]:
        found[line[:22].strip()] = float(line[22:].split()[0])
    return found


def growth(large: bool) -> list:
    """How costs grow."""
    return script("growth.py", *(["--large"] if large else []))


PARTS: dict[str, Callable[[bool], list | dict]] = {
    "peers": peers,
    "http": http,
    "repeats": repeats,
    "fresh": fresh,
    "daemon": daemon,
    "history": history,
    "growth": growth,
}


# --- the table ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Line:
    """A line of the table.

    Attributes:
        what: what is measured.
        before: what it was when part 5 began, on the machine of then.
        target: what was wanted.
        found: reads what it is now, and whether that meets the target; raises KeyError or
            StopIteration where the part was not measured.
    """

    what: str
    before: str
    target: str
    found: Callable[[dict], tuple[str, bool]]


def peer(results: dict, pages: str, way: str) -> dict:
    return next(one for one in results["peers"] if (one["pages"], one["way"]) == (pages, way))


def point(results: dict, what: str, part: str, largest: bool = True) -> dict:
    found = [one for one in results["growth"] if (one["part"], one["what"]) == (part, what)]
    return found[-1 if largest else 0]


def of_pages(results: dict, pages: int) -> dict:
    return next(one for one in results["http"] if one["pages"] == pages)


def whole(results: dict) -> tuple[str, bool]:
    ours, script_ = (
        peer(results, "crimes", "tcdatalogger"),
        peer(results, "crimes", "DuckDB script"),
    )
    ratio = ours["cpu"] / script_["cpu"]
    text = f"{ours['cpu']:.1f} CPU s, {ours['peak_mb']} MB: **{ratio:.1f} ×** the script's "
    text += f"{script_['cpu']:.1f} CPU s, {script_['peak_mb']} MB"
    return text, ratio <= 0.9 and ours["peak_mb"] <= 200


def beside_dlt(results: dict) -> tuple[str, bool]:
    ratio = peer(results, "crimes", "dlt")["cpu"] / peer(results, "crimes", "tcdatalogger")["cpu"]
    return f"{ratio:.1f} × less", ratio >= 9


def same_ratio(pages: str) -> Callable[[dict], tuple[str, bool]]:
    def found(results: dict) -> tuple[str, bool]:
        ratio, crimes = (
            peer(results, kind, "DuckDB script")["our_cpu_of_its"] for kind in (pages, "crimes")
        )
        return f"{ratio:.1f} × the script, {ratio / crimes:.1f} of that", ratio <= 1.3 * crimes

    return found


def over_http(results: dict) -> tuple[str, bool]:
    one = of_pages(results, 500)
    return f"{one['cpu']:.1f} CPU s, {one['peak']:.0f} MB", one["cpu"] <= 3 and one["peak"] <= 200


def flat(results: dict) -> tuple[str, bool]:
    many = [one for one in results["http"] if one["pages"] >= 100]
    text = ", ".join(f"{one['pages']:,}: {one['peak']:.0f} MB" for one in many)
    return text, max(one["peak"] for one in many) <= 200


def transform(results: dict) -> tuple[str, bool]:
    seconds = results["repeats"]["steps"]["transform"]["cpu_seconds"]
    return f"{seconds:.1f} CPU s", seconds <= 2


def warm(results: dict) -> tuple[str, bool]:
    one = results["daemon"]["carry"][0]
    text = f"{one['cpu_ms_a_run'] / 1000:.2f} CPU s, {one['ms_a_run']:.0f} ms among 4 at once"
    return text, one["cpu_ms_a_run"] <= 50


def first(results: dict) -> tuple[str, bool]:
    one = results["fresh"]["run --all"]
    text = f"{one['cpu']:.2f} CPU s; {one['wall']:.2f} s, at best {one['best']:.2f} s"
    return text, one["best"] <= 0.45


def one_more(results: dict) -> tuple[str, bool]:
    few, many = of_pages(results, 1), of_pages(results, 100)
    each = 1000 * (many["cpu"] - few["cpu"]) / 99
    return f"{each:.1f} ms CPU, its 100 records too", each <= 3


def repeated(results: dict) -> tuple[str, bool]:
    one = results["repeats"]["rebuild"]
    return f"{one['cpu']:.1f} CPU s, {one['peak']:.0f} MB", one["cpu"] <= 6 and one["peak"] <= 200


def many_runs(results: dict) -> tuple[str, bool]:
    each = point(results, "rebuild, each run", "rebuild")
    sizes = [
        point(results, "rebuild, memory", "rebuild", largest)["value"] for largest in (False, True)
    ]
    text = f"{each['value']:.1f} ms a run, {sizes[0]:.0f} → {sizes[1]:.0f} MB"
    return text, each["value"] <= 5 and sizes[1] <= 1.1 * sizes[0]


def tables(results: dict) -> tuple[str, bool]:
    few, many = (point(results, "a run", "tables", largest) for largest in (False, True))
    text = f"{few['value']:.2f} → {many['value']:.2f} CPU s with {many['size']} endpoints"
    return text, many["value"] <= 1.1 * few["value"]


def looks(results: dict) -> tuple[str, bool]:
    costs = [results["fresh"][name]["cpu"] for name in ("status", "schema history")]
    return "{:.2f} CPU s, {:.2f} CPU s".format(*costs), max(costs) <= 0.25


def at_rest(results: dict) -> tuple[str, bool]:
    return f"{results['daemon']['pss']:.0f} MB", results["daemon"]["pss"] <= 90


def again(results: dict) -> tuple[str, bool]:
    found = results["history"]
    ratio = found["store, history, again"] / found["store, append, again"]
    return f"{ratio:.1f} × append", ratio <= 1.3


def carries(results: dict) -> tuple[str, bool]:
    one = results["daemon"]["carry"][-1]
    text = f"{one['runs_a_second']:.1f} a second; the last of {one['endpoints']} began "
    return f"{text}{one['late_most']:.1f} s late", one["runs_a_second"] >= 20


LINES = (
    Line("`rebuild` of 500 archived pages into three DuckDB tables, with ledger",
         "4.1 CPU s, 676 MB: 2.2 × the hand-written script", "≤ 0.9 ×, ≤ 200 MB", whole),
    Line("the same beside dlt", "", "≥ 9 × less CPU", beside_dlt),
    Line("`members`: its ratio to the script", "", "≤ 1.3 of crimes", same_ratio("members")),
    Line("`items`: its ratio to the script", "", "≤ 1.3 of crimes", same_ratio("items")),
    Line("500 pages by `run` over HTTP", "6.1 CPU s, 678 MB", "≤ 3 CPU s, ≤ 200 MB", over_http),
    Line("peak memory of one run, by its pages", "897 MB at 1,500 pages", "≤ 200 MB, flat", flat),
    Line("1,500 pages, two thirds of their records repeats: the step transform", "37 s", "≤ 2 s",
         transform),
    Line("`rebuild` of these", "17.7 CPU s, 1,240 MB", "≤ 6 CPU s, ≤ 200 MB", repeated),
    Line("a run of one page in the scheduler's warm child",
         "0.20 CPU s; 0.47 where pandas is installed", "≤ 0.05 CPU s, whatever is installed", warm),
    Line("one page, fresh process, `run` against a local server", "0.52–0.70 s", "≤ 0.45 s", first),
    Line("one more call within a run", "about 10 ms CPU", "≤ 3 ms", one_more),
    Line("`rebuild` of an endpoint with many runs", "35 ms a run, memory grows",
         "≤ 5 ms a run, flat", many_runs),
    Line("a one-page run as other tables come into the same file", "0.33 → 1.0 s at 240 endpoints",
         "within 10 %", tables),
    Line("`status`, `schema history`", "0.37 CPU s, 1.2 CPU s", "≤ 0.25 s", looks),
    Line("daemon with forkserver at rest, PSS", "127 MB", "≤ 90 MB", at_rest),
    Line("history stored again", "2 × append", "≤ 1.3 ×", again),
    Line("runs of one page a second, all modes, into one file", "6.1 a second", "≥ 20 a second",
         carries),
)  # fmt: skip


def told(line: Line, results: dict) -> tuple[str, bool | None]:
    try:
        return line.found(results)
    except (KeyError, StopIteration, IndexError):
        return "not measured", None


# --- the page -----------------------------------------------------------------------------------


def machine() -> str:
    model = ""
    for row in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if row.startswith("model name"):
            model = row.partition(":")[2].strip()
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 1e9
    names = ", ".join(f"{name} {version(name)}" for name in ("duckdb", "pyarrow"))
    return (
        f"{os.cpu_count()} processors ({model or platform.machine()}), {memory:.0f} GB, "
        f"{platform.system()} {platform.release()}, Python {platform.python_version()}, {names}"
    )


def pace(results: dict) -> str:
    """How fast the machine is now, beside the one of the column of before."""
    try:
        script_ = peer(results, "crimes", "DuckDB script")
    except (KeyError, StopIteration):
        return ""
    return (
        "The hand-written DuckDB script took 1.85 CPU s when the column *before* was measured, and "
        f"takes {script_['cpu']:.2f} CPU s now: all other seconds are to be read by that."
    )


def written(results: dict) -> str:
    """The page, down to what is kept by hand."""
    facts = results["machine"]
    lines = [
        "# Performance", "",
        "What TCdatalogger costs, beside what it cost before and what one would take instead. "
        "`make bench` measures all of it in less than ten minutes on two quiet cores and writes "
        "this page; `tcdatalogger bench` measures your own endpoints.", "",
        f"Measured on {facts['day']}: {facts['machine']}. The load of the machine was "
        f"{facts['load'][0]:.1f} when it began and {facts['load'][1]:.1f} when it ended, so "
        "seconds of processor say more than seconds of the clock where that is above 1. "
        f"{pace(results)}", "",
        "## The targets", "",
        "| what | before | target | now | |", "|---|---|---|---|---|",
    ]  # fmt: skip
    for line in LINES:
        text, met = told(line, results)
        mark = {True: "met", False: "**missed**", None: ""}[met]
        lines.append(f"| {line.what} | {line.before} | {line.target} | {text} | {mark} |")
    lines += ["", *beside(results), *grown(results), *carrying(results)]
    return "\n".join(lines)


def beside(results: dict) -> list[str]:
    lines = [
        "## Beside what one would take instead", "",
        "`benchmarks/peers.py`: the same bytes, the same tables, every column compared by its "
        "values. Ours is the whole product: `rebuild` of an archived run with ledger, checks of "
        "the load and the law of conservation. The scripts read files of JSON and know the shape "
        "by heart. Whole processes, in turn; the medians. *Our CPU* and *our time* are ours "
        "divided by theirs: below 1 we are faster.", "",
        "| pages | way | seconds | CPU s | peak MB | our CPU | our time | spread |",
        "|---|---|---|---|---|---|---|---|",
    ]  # fmt: skip
    for one in results.get("peers", ()):
        ours = one["way"] == "tcdatalogger"
        ratios = "" if ours else f"{one['our_cpu_of_its']:.2f} ×"
        times = "" if ours else f"{one['our_wall_of_its']:.2f} ×"
        lines.append(
            f"| {one['pages']} | {one['way']} | {one['wall']:.2f} | {one['cpu']:.2f} | "
            f"{one['peak_mb']} | {ratios} | {times} | {one['spread']:.0%} |"
        )
    if not any(one["way"] == "dlt" for one in results.get("peers", ())):
        lines += ["", "**dlt was left out**: `make rivals` installs it."]
    return [*lines, ""]


WANTED = {
    "store 100 rows, append": "42 ms at 50 million; ≤ 1.5 × empty",
    "store 100 rows, merge": "58 ms at 50 million; ≤ 1.5 × empty",
    "store 100 rows, history": "74 ms at 50 million; ≤ 1.5 × empty",
    "check --offline": "21 s at 10,000; 3 s",
    "status": "1.1 s at 10,000 endpoints, 0.34 s at 1,000,000 runs; 0.3 s",
    "/metrics": "1.6 s at 10,000; 0.3 s",
    "/metrics, its length": "7 MB at 10,000",
    "the first run": "2.9 s at 10,000; 1 s",
    "runs list": "0.39 s at 1,000,000; keep it",
    "a run": "1.4 s at 100,000 files; 0.5 s",
    "a run that prunes": "7.3 s at 100,000; 2 s",
    "a run, days joined": "as with 100",
    "a run that prunes, days joined": "as with 100; 2 s",
    "rebuild, each run": "35 ms at 2,000; 6 ms at 100,000",
    "rebuild, memory": "grew with each; flat",
}
"""What each cost of growth was, and what was wanted."""


def grown(results: dict) -> list[str]:
    """The growth, a line for each cost, with a bar for each size."""
    lines = [
        "## How it grows", "",
        "`benchmarks/growth.py`; a flat row of bars is what is wanted. Seconds and milliseconds "
        "are those of a processor. `--large` goes to 50 million rows, a million runs, 100,000 "
        "files and 10,000 runs to rebuild.", "",
    ]  # fmt: skip
    titles = {
        "rows": "Rows in the table", "endpoints": "Endpoints", "tables": "Endpoints in one file",
        "runs": "Runs in the state", "archive": "Files of the archive",
        "rebuild": "Runs to rebuild",
    }  # fmt: skip
    found = results.get("growth", ())
    for part, title in titles.items():
        points = [one for one in found if one["part"] == part]
        sizes = list(dict.fromkeys(one["size"] for one in points))
        if not points:
            continue
        heads = " | ".join(f"{size:,}" for size in sizes)
        lines += [
            f"| {title} | {heads} | curve | before; target |", "|---|" + "---|" * (len(sizes) + 2)
        ]  # fmt: skip
        for what in dict.fromkeys(one["what"] for one in points):
            values = {one["size"]: one for one in points if one["what"] == what}
            cells = [f"{values[size]['value']:.3g} {values[size]['unit']}" for size in sizes]
            bars = curve([values[size]["value"] for size in sizes])
            lines.append(f"| {what} | {' | '.join(cells)} | {bars} | {WANTED.get(what, '')} |")
        lines.append("")
    return lines


def curve(values: list[float]) -> str:
    """A bar for each value, from zero to the largest."""
    most = max(values) or 1.0
    return "".join("▁▂▃▄▅▆▇█"[min(7, int(8 * value / most))] for value in values)


def carrying(results: dict) -> list[str]:
    lines = [
        "## What one small machine carries", "",
        "`benchmarks/carry.py`: endpoints that are all due at once, a quarter of them in each "
        "storage mode, with four workers and one DuckDB file.", "",
        "| endpoints | runs a second | CPU of a run | a run | begins late: median | the last |",
        "|---|---|---|---|---|---|",
    ]  # fmt: skip
    found = results.get("daemon", {}).get("carry", ())
    rows = [
        f"| {one['endpoints']} | {one['runs_a_second']} | {one['cpu_ms_a_run']:.0f} ms | "
        f"{one['ms_a_run']:.0f} ms | {one['late_median']} s | {one['late_most']} s |"
        for one in found
    ]
    return [*lines, *rows, ""]


def kept_by_hand(page: Path) -> str:
    """What stands below the line, with the line."""
    text = page.read_text(encoding="utf-8") if page.exists() else ""
    return BY_HAND + (text.partition(BY_HAND)[2] or "\n\n## What was tried\n")


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("parts", nargs="*", help=f"some of: {', '.join(PARTS)}")
    arguments.add_argument("--large", action="store_true")
    arguments.add_argument("--results", type=Path, default=RESULTS)
    arguments.add_argument("--page", type=Path, default=PAGE)
    arguments.add_argument("--only-write", action="store_true", help="measure nothing")
    chosen = arguments.parse_args()
    if wrong := set(chosen.parts) - set(PARTS):
        arguments.error(f"there is no part {min(wrong)}")
    results = json.loads(chosen.results.read_text()) if chosen.results.exists() else {}
    if not chosen.only_write:
        began, load = time.monotonic(), os.getloadavg()[0]
        for part in chosen.parts or PARTS:
            print(f"# {part}, after {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
            results[part] = PARTS[part](chosen.large)
            results["machine"] = {
                "day": time.strftime("%Y-%m-%d"), "machine": machine(),
                "load": [load, os.getloadavg()[0]],
            }  # fmt: skip
            chosen.results.parent.mkdir(exist_ok=True)
            chosen.results.write_text(json.dumps(results, indent=1))
        print(f"# all after {time.monotonic() - began:.0f} s", file=sys.stderr)
    by_hand = kept_by_hand(chosen.page)
    chosen.page.write_text(f"{written(results)}\n{by_hand}", encoding="utf-8")
    for line in LINES:
        text, met = told(line, results)
        state = {True: "met", False: "MISSED", None: "-"}[met]
        print(f"{state:7} {line.what}: {text} (before: {line.before or '-'}; {line.target})")
        if met is False and line.what not in by_hand:
            print("        no reason is given for it in docs/performance.md")


if __name__ == "__main__":
    main()
