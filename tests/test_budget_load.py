"""The benchmark of the call budget in short: four processes that never rest."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

BENCHMARK = Path(__file__).parents[1] / "benchmarks" / "budget.py"


@pytest.mark.slow
def test_four_processes_use_up_the_limit_of_two_owners_and_never_go_over():
    spec = importlib.util.spec_from_file_location("budget_benchmark", BENCHMARK)
    benchmark = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(benchmark)

    found = benchmark.measure(window=8.0, windows=2, processes=4)

    assert found["violations"] == 0
    assert len(found["owners"]) == 2
    for one in found["owners"].values():
        assert one["most"] <= 100
        assert one["utilisation"] >= 0.97
        normal = [n for (key, path), n in one["paths"].items()
                  if (key, path, "normal") in benchmark.CALLERS]  # fmt: skip
        assert min(normal) > 0.6 * max(normal)  # each endpoint has its turn
        low = [n for (key, path), n in one["paths"].items()
               if (key, path, "low") in benchmark.CALLERS]  # fmt: skip
        assert all(0 < n < min(normal) / 2 for n in low)  # and old history comes after them
