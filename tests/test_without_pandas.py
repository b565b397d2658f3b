"""Where pandas is installed, a run does not import it, and a processor may still return a frame."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytest.importorskip("pandas")

COMMAND = """
import sys
from tcdatalogger.cli import main
code = main(["run", "faction_basic", "--json"])
sys.exit(code or 10 * bool({"pandas", "numpy"} & sys.modules.keys()))
"""
READS = """
import sys
from tcdatalogger.cli import main
code = main(["schema", "history", "--json"])
sys.exit(code or 10 * bool({"pandas", "numpy"} & sys.modules.keys()))
"""
CHILD = """
import sys
NAME = "faction_basic"
import tcdatalogger.scheduler.preload
assert "pandas" not in sys.modules, "before the fork"
from tcdatalogger.clock import SystemClock
from tcdatalogger.core.config.configuration import load
from tcdatalogger.core.state.store import State
from tcdatalogger.scheduler.executor import Job, settings_for
from tcdatalogger.scheduler.worker import run_job
settings = settings_for(load(None, {}), NAME)
with State(settings.state.url, SystemClock()) as state:
    claim = state.leases.claim(NAME, "20260101T000000Z-00000001", seconds=60)
    report = run_job(Job(claim.run_id, settings, claim))
assert report.status == "done", report
sys.exit(10 * ("pandas" in sys.modules))
"""
OWN = '''
from tcdatalogger.services.torncity.processing.base import EndpointProcessor


class Nulls(EndpointProcessor):
    """Returns a frame whose columns hold objects, and pandas' own nulls among them."""

    def transform_data(self, fetched):
        import pandas as pd
        moments = pd.Series([pd.NaT, pd.Timestamp("2026-01-01", tz="UTC")], dtype=object)
        levels = pd.Series([pd.NA, 7], dtype=object)
        return pd.DataFrame({"name": ["a", "b"], "level": levels, "at": moments})
'''


def outcome(workplace, program):
    environ = {name: v for name, v in workplace.outside().items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=workplace.folder, env=environ,
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode in {0, 10}, done.stderr + done.stdout
    return "imported" if done.returncode else "left alone"


@pytest.mark.parametrize("name", ["faction_basic", "faction_members"])
@pytest.mark.parametrize("program", [COMMAND, CHILD], ids=["command", "child"])
def test_a_run_leaves_pandas_alone(workplace, program, name):
    assert outcome(workplace, program.replace("faction_basic", name)) == "left alone"


def test_a_command_that_reads_moments_leaves_pandas_alone(workplace):
    workplace.run("run", "faction_basic")

    assert outcome(workplace, READS) == "left alone"


@pytest.mark.parametrize("program", [COMMAND, CHILD])
def test_a_frame_with_nulls_of_pandas_is_stored_as_ever(workplace, program):
    (workplace.folder / "own.py").write_text(OWN, encoding="utf-8")
    workplace.write(
        '[[endpoints]]\nname = "faction_basic"\npath = "/faction/basic"\n'
        'processor = "own.py:Nulls"\nkey = "name"\n'
    )

    assert outcome(workplace, program) == "imported"
    columns = 'name, level, cast("at" as varchar) as moment'
    rows = workplace.sql(f"select {columns} from faction_basic order by name")
    assert [(row["name"], row["level"], row["moment"]) for row in rows] == [
        ("a", None, None),
        ("b", 7, "2026-01-01 00:00:00+00"),
    ]
