"""`tcdatalogger bench`: what the runs of your own endpoints cost, step by step."""

from __future__ import annotations

import os
import platform
import statistics
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from tcdatalogger import __version__
from tcdatalogger.cli import Options
from tcdatalogger.cli.output import about, json_option, number, once, print_json, print_table, say
from tcdatalogger.cli.progress import note
from tcdatalogger.clock import span
from tcdatalogger.errors import UsageError

if TYPE_CHECKING:
    from tcdatalogger.core.operations.bench import Measured


@click.command(
    epilog="\b\nExample:\n"
    "  tcdatalogger bench\n"
    "  tcdatalogger bench faction_crimes --rounds 5\n"
    "  tcdatalogger bench --parallel 4 --json\n"
    "  tcdatalogger bench faction_members --calls",
)
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--rounds", type=click.IntRange(1), default=3, show_default=True,
              help="How often each endpoint is measured; the middle is shown.")  # fmt: skip
@click.option("--parallel", type=click.IntRange(1), default=1, show_default=True, metavar="N",
              help="How many run at once.")  # fmt: skip
@click.option(
    "--calls",
    is_flag=True,
    help="Ask Torn, within the budget that all runs share, and do not read the archive.",
)
@json_option
@click.pass_obj
def command(
    options: Options,
    names: tuple[str, ...],
    rounds: int,
    parallel: int,
    calls: bool,
    as_json: bool,
) -> None:
    """Measure what a run of each endpoint costs: time and memory of every step.

    Each run has a process of its own. It takes the newest answers in the archive and stores them in
    a warehouse that is thrown away, so neither your warehouse nor your state changes, and Torn is
    not asked. Without names all endpoints are measured that are enabled.
    """
    settings = options.load(names=names or None, processors=True)
    from tcdatalogger.core.config.requests import chosen
    from tcdatalogger.core.operations import bench  # pyarrow

    meant = chosen(settings, names, everything=not names, tag=None)
    works, without = bench.works(settings, meant, calls=calls)
    if not works:
        raise UsageError(
            "The archive has no whole answers of these endpoints.",
            remedy=f"`tcdatalogger run {' '.join(names) or '--all'}` fetches some, and "
            "--calls measures with new ones.",
        )
    if without:
        note(about(without, "nothing in the archive to measure with."))
    told = 0
    quiet = as_json and not sys.stderr.isatty()

    def tell(one: Measured) -> None:
        nonlocal told
        told += 1
        if not quiet:
            how = one.error or f"{span(one.seconds)}, {_mb(one.memory)} MB"
            note(f"{told} of {rounds * len(works)}: {one.work.endpoint}, {how}")

    measured = bench.measure(settings, works * rounds, parallel, tell)
    if as_json:
        print_json(
            {
                "version": __version__,
                "python": platform.python_version(),
                "processors": os.cpu_count(),
                "rounds": rounds,
                "parallel": parallel,
                "calls": calls,
                "runs": [bench.facts(one) for one in measured],
                "over_time": [
                    {
                        "after": round(one.after, 3),
                        "processes": one.processes,
                        "cpu": round(one.cpu, 3),
                        "memory": one.memory,
                    }
                    for one in bench.over_time(measured)
                ],
            }
        )
    else:
        _show(measured, [work.endpoint for work in works])
    raise SystemExit(next((one.exit_code for one in measured if one.exit_code), 0))


def _show(measured: Sequence[Measured], names: Sequence[str]) -> None:
    from tcdatalogger.core.operations.bench import over_time

    good = {
        name: [m for m in measured if m.work.endpoint == name and not m.error] for name in names
    }
    shown = {name: found for name, found in good.items() if found}
    if shown:
        print_table(
            ("endpoint", "pages", "MB", "rows", "time", "CPU s", "memory MB", "spread"),
            [_line(name, found) for name, found in shown.items()],
        )
        say()
        print_table(
            ("endpoint", "step", "time", "CPU s", "memory MB"),
            [line for name, found in shown.items() for line in _steps(name, found)],
        )
        say()
        print_table(
            ("after", "processes", "CPUs busy", "memory MB"),
            [
                (span(one.after), one.processes, f"{one.cpu:.2f}", _mb(one.memory))
                for one in over_time(measured)
            ],
            (False, True, True, True),
        )
        say("Nothing was stored but in folders that are gone.")
    errors = [(m.work.endpoint, m.error) for m in measured if m.error]
    for failed, error in once(dict.fromkeys(errors)):
        say(about(failed, error), err=True)


def _line(name: str, found: Sequence[Measured]) -> tuple[Any, ...]:
    seconds = [one.seconds for one in found]
    middle = statistics.median(seconds)
    off = max(abs(each - middle) for each in seconds) / middle if middle else 0.0
    return (
        name,
        found[0].pages,
        f"{found[0].bytes / 1e6:.2f}",
        number(sum(found[0].rows.values())),
        span(middle),
        f"{statistics.median(one.cpu for one in found):.2f}",
        _mb(max(one.memory for one in found)),
        f"{off:.0%}",
    )


def _steps(name: str, found: Sequence[Measured]) -> list[tuple[Any, ...]]:
    lines = []
    for step in found[0].steps:
        all_of_it = [each for one in found for each in one.steps if each.step == step.step]
        lines.append(
            (
                name,
                step.step,
                span(statistics.median(each.seconds for each in all_of_it)),
                f"{statistics.median(each.cpu for each in all_of_it):.3f}",
                _mb(max(each.memory for each in all_of_it)),
            )
        )
    return lines


def _mb(count: int) -> str:
    return f"{count / 1e6:.0f}"
