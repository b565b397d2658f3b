"""`make bench`: the page of what was measured."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

REPORT = Path(__file__).parent.parent / "benchmarks" / "report.py"
MACHINE = {"day": "2026-11-27", "machine": "2 processors", "load": [0.5, 2.0]}


def written(folder, **results):
    """Write the page of some results; what it prints."""
    (folder / "results.json").write_text(json.dumps({"machine": MACHINE, **results}))
    words = ["--only-write", "--results", "results.json", "--page", "page.md"]
    done = subprocess.run(
        [sys.executable, REPORT, *words], cwd=folder, capture_output=True, text=True, check=True
    )
    return done.stdout


def test_a_page_says_what_is_met_what_is_missed_and_what_was_not_measured(tmp_path):
    daemon = {"pss": 80.0, "carry": [
        {"endpoints": 60, "runs_a_second": 7.5, "cpu_ms_a_run": 40, "ms_a_run": 90,
         "late_median": 1.0, "late_most": 4.0},
    ]}  # fmt: skip

    said = written(tmp_path, daemon=daemon)

    page = (tmp_path / "page.md").read_text()
    assert "PSS | 127 MB | ≤ 90 MB | 80 MB | met |" in page
    assert "7.5 a second; the last of 60 began 4.0 s late | **missed** |" in page
    assert "not measured" in page
    assert "**dlt was left out**" in page
    assert "no reason is given" in said


def test_what_is_kept_by_hand_stays_and_a_reason_in_it_is_enough(tmp_path):
    carry = {"endpoints": 60, "runs_a_second": 7.5, "cpu_ms_a_run": 40, "ms_a_run": 90,
             "late_median": 1.0, "late_most": 4.0}  # fmt: skip
    written(tmp_path)
    page = tmp_path / "page.md"
    reason = "\n- runs of one page a second, all modes, into one file: one lock.\n"
    page.write_text(page.read_text() + reason)

    said = written(tmp_path, daemon={"pss": 80.0, "carry": [carry]})

    assert page.read_text().endswith(reason)
    assert page.read_text().count("## What was tried") == 1
    assert "no reason is given" not in said


def test_growth_is_drawn_from_zero_to_the_largest(tmp_path):
    points = [
        {"part": "runs", "what": "status", "size": size, "value": value, "unit": "s"}
        for size, value in ((1_000, 0.1), (100_000, 0.4), (1_000_000, 0.8))
    ]

    written(tmp_path, growth=points)

    page = (tmp_path / "page.md").read_text()
    assert "| Runs in the state | 1,000 | 100,000 | 1,000,000 | curve | before; target |" in page
    assert "| status | 0.1 s | 0.4 s | 0.8 s | ▂▅█ | 1.1 s at 10,000 " in page
