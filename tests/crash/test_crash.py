"""Killed at any step and started again: what is left is as if nothing had happened."""

from __future__ import annotations

import random

import pytest
from harness import SCENES, Kill

pytestmark = pytest.mark.slow

POINTS = {"replace": 10}
"""For each mode, 4 where it is not named: between two swaps the window is small.
`benchmarks/crash.py --every` takes all there are."""


@pytest.mark.parametrize("mode", SCENES)
def test_a_run_that_is_killed_at_a_step_leaves_what_one_that_is_not_leaves(lab, mode):
    _, steps = lab.control(SCENES[mode])
    dice = random.Random(mode)
    points = POINTS.get(mode, 4)
    # One in the first third, before there is an answer, and the others evenly over the rest.
    first = steps[-1] // 3
    chosen = [dice.randint(1, first), *range(first, steps[-1] + 1, steps[-1] * 2 // 3 // points)]
    for at in chosen:
        assert lab.point(mode, Kill(at, after=dice.random() < 0.5)) == []


@pytest.mark.parametrize("mode", SCENES)
def test_runs_that_are_killed_while_they_store_what_is_pending_add_up(lab, mode):
    dice = random.Random(f"{mode} again")
    assert lab.chance(mode, dice) == []


def test_the_lab_would_find_what_is_lost_and_what_is_doubled(lab, monkeypatch):
    import harness  # noqa: PLC0415

    control, _ = lab.control(SCENES["replace"])
    for change, said in ((-1, "1 rows are lost"), (1, "1 are too many")):
        found = harness.Facts(
            {name: rows.copy() for name, rows in control.tables.items()},
            control.runs, control.books, 0, [],
        )  # fmt: skip
        row = next(iter(found.tables["items"]))
        found.tables["items"][row] += change
        (problem,) = harness.compare(control, found, SCENES["replace"])
        assert said in problem
