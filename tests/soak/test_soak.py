"""The benchmark `soak.py` in short: real daemons on a fast clock, while things go wrong."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "soak.py"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="stops and finds processes as Linux does"),
]


@pytest.fixture
def benchmark(monkeypatch):
    monkeypatch.setattr(sys, "path", list(sys.path))
    spec = importlib.util.spec_from_file_location("soak_benchmark", BENCHMARK)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "soak_benchmark", module)  # dataclasses look themselves up
    spec.loader.exec_module(module)
    return module


def short(benchmark, **facts):
    return benchmark.Plan(
        endpoints=8, minutes=0.08, rate=0.6, periods=("PT2M", "PT3M"),
        list_periods=("PT1M",), jitter="PT1M", **facts,
    )  # fmt: skip


def assert_it_was_put_to_the_test(verdict):
    """How much a daemon does in that time is a matter of the machine's speed; not whether."""
    assert verdict.facts["good runs"]
    assert sum(verdict.facts["what went wrong"].values())


def test_nothing_is_lost_doubled_or_left_behind_by_a_daemon_on_sqlite(benchmark, tmp_path):
    verdict = benchmark.soak(short(benchmark, daemons=1, state="sqlite", seed=3), tmp_path)

    assert verdict.wrong == []
    assert_it_was_put_to_the_test(verdict)


def test_nothing_is_lost_doubled_or_left_behind_by_two_daemons_on_postgres(
    benchmark, tmp_path, postgres, postgres_url
):
    plan = short(benchmark, daemons=2, state="postgres", seed=4)
    verdict = benchmark.soak(plan, tmp_path, postgres, postgres_url)

    assert verdict.wrong == []
    assert_it_was_put_to_the_test(verdict)
