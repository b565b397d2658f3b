"""Measures whole processes: seconds, seconds of processor, and the most memory of any of them.

Imports nothing large: Linux counts the memory of a parent for the child that it has just forked.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

PROGRAM = [sys.executable, "-m", "tcdatalogger"]
_LIFTED = """\
import sys
from tcdatalogger.services.torncity.client.budget import Budget
Budget.__init__.__kwdefaults__.update(owner_calls=10**9, address_calls=10**9)
from tcdatalogger.cli import main
sys.exit(main(sys.argv[1:]))
"""
UNLIMITED = [sys.executable, "-c", _LIFTED]
"""The program without Torn's limit of calls, which would have it wait for minutes."""
HIDING = """\
import sys
class Without:
    @staticmethod
    def find_spec(name, *_):
        if name in ("pandas", "numpy"):
            raise ModuleNotFoundError(name=name)
sys.meta_path.insert(0, Without)
"""
"""pyarrow imports both wherever they are installed, and the program needs neither."""


@dataclass(frozen=True)
class Cost:
    """What a process took.

    Attributes:
        wall: seconds.
        cpu: seconds of processor, of all its threads.
        peak: MB of memory that it had at most.
    """

    wall: float
    cpu: float
    peak: float


class FailedError(Exception):
    """A process that is measured ended with an error; the text has its last words."""


def measured(words: Sequence[str], folder: Path, environ: dict[str, str] | None = None) -> Cost:
    """Run a process to its end; raises FailedError where it fails."""
    with tempfile.TemporaryFile() as said:
        began = time.perf_counter()
        child = subprocess.Popen(
            words, cwd=folder, env=environ, stdin=subprocess.DEVNULL, stdout=said, stderr=said
        )
        _, status, used = os.wait4(child.pid, 0)
        wall = time.perf_counter() - began
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode:
            said.seek(0)
            text = said.read().decode(errors="replace")[-1_000:]
            raise FailedError(f"{' '.join(map(str, words))} ended with {child.returncode}: {text}")
    return Cost(wall, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)


def plain(folder: Path) -> dict[str, str]:
    """The environment of a process that shall not find pandas and numpy; a file in the folder."""
    return beginning(folder, HIDING)


@cache
def compiled() -> None:
    """Compile what is measured, as an installation is: else each process would do it anew."""
    [package] = find_spec("tcdatalogger").submodule_search_locations
    for folder in (package, str(Path(__file__).parent)):
        subprocess.run([sys.executable, "-m", "compileall", "-q", folder], check=True)


def beginning(folder: Path, code: str) -> dict[str, str]:
    """The environment of a process whose Python begins with some code; a file in the folder."""
    compiled()
    begins = folder / "begins"
    begins.mkdir(exist_ok=True)
    (begins / "sitecustomize.py").write_text(code, encoding="utf-8")
    return {**os.environ, "PYTHONPATH": str(begins)}


def middle(costs: Sequence[Cost]) -> Cost:
    """The median of each."""
    return Cost(
        *(statistics.median(getattr(c, name) for c in costs) for name in ("wall", "cpu", "peak"))
    )


def spread(values: Sequence[float]) -> float:
    """How far the values are from their median, at most: 0.1 is a tenth of it."""
    centre = statistics.median(values)
    return max(abs(value - centre) for value in values) / centre if centre else 0.0


def answer(words: Sequence[str], text: str = "") -> str:
    """What a process prints; for work that is not measured and that this process shall not do."""
    done = subprocess.run(words, input=text, capture_output=True, text=True, check=False)
    if done.returncode:
        raise FailedError(f"{' '.join(words)}: {done.stderr[-1_000:]}")
    return done.stdout
