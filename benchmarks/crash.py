"""How a logger fares that is killed with SIGKILL at every step and at random times.

    python benchmarks/crash.py [--rounds 300] [--seed 1] [--mode append] [--every] [--rows 0]

A round logs three moments of a city into a new folder; at each of them runs are killed, none to
two of them, and then one is not. With `--every` the last moment is killed once before each of its
numbered steps too. Each time warehouse, ledger, quarantine, archive and state are compared with
those of a control that was never killed. It ends with 1 if anything differs. With `--rows` each
load of `append`, `replace`, `merge` and `history` has at least so many rows of children.
"""

import argparse
import random
import sys
import time
from contextlib import suppress
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "crash"))

from harness import SCENES, Kill, Lab


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rounds", type=int, default=300)
    arguments.add_argument("--seed", type=int, default=1)
    arguments.add_argument("--mode", choices=[*SCENES, "all"], default="all")
    arguments.add_argument("--every", action="store_true")
    arguments.add_argument("--rows", type=int, default=0)
    given = arguments.parse_args()
    modes = list(SCENES) if given.mode == "all" else [given.mode]
    if given.rows:
        modes = [mode for mode in modes if SCENES[mode].scripted]
    dice = random.Random(given.seed)
    began = time.monotonic()
    with Lab(rows=given.rows) as lab:
        for mode in modes:
            _, steps = lab.control(SCENES[mode])
            print(f"{mode}: {' + '.join(map(str, steps))} steps in {len(steps)} runs", flush=True)
            if given.every:
                for step in range(1, steps[-1] + 1):
                    show(lab.point(mode, Kill(step)))
                show(lab.point(mode, Kill(steps[-1], after=True)))
        with suppress(KeyboardInterrupt):  # Ctrl-C: what was counted until then
            for number in range(given.rounds):
                show(lab.chance(modes[number % len(modes)], dice))
        counts = lab.counts
    print(f"rounds         {counts.rounds:,} in {time.monotonic() - began:.0f} s")
    print(f"runs           {counts.runs:,}, of which {counts.kills:,} were killed")
    print(f"kill points    {len(counts.points):,} different steps")
    print(f"stored later   {counts.pending:,} runs")
    print(f"rows lost      {counts.lost:,}")
    print(f"rows doubled   {counts.doubled:,}")
    print(f"problems       {len(counts.problems):,}")
    return bool(counts.problems)


def show(problems):
    for problem in problems:
        print(f"  {problem}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
