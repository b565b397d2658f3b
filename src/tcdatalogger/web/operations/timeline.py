"""The runs of a day as lanes to draw: one for each endpoint, from left to right in time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from tcdatalogger.core.views.runs import RunView
from tcdatalogger.web.operations import common as ops

SPAN: Final = 86_400.0
"""Seconds of a timeline."""
WIDTH: Final = 480
"""Columns of a lane: three minutes each."""
HEIGHT: Final = 10
NARROWEST: Final = 8
"""Columns of a failed run at least, so that nobody overlooks it on a phone."""
LINKS: Final = 60
"""Failed runs of a lane that are links at most, the newest ones."""

_KINDS: Final = ("good", "warn", "run", "none", "bad")


@dataclass(frozen=True, slots=True)
class FailedRun:
    """A failed run.

    Attributes:
        x, width: where it stands, in columns.
        href: its page.
        says: what became of it and when.
    """

    x: int
    width: int
    href: str
    says: str


@dataclass(frozen=True, slots=True)
class Lane:
    """The runs of an endpoint.

    Attributes:
        endpoint: its name.
        href: its page.
        worst: the list of its failed runs.
        paths: the outline of the runs of a kind: `good`, `warn`, `run`, `none`, `bad`.
        bad: the failed runs that are links, which stand before the others.
        runs, failed: how many.
    """

    endpoint: str
    href: str
    worst: str
    paths: tuple[tuple[str, str], ...]
    bad: tuple[FailedRun, ...]
    runs: int
    failed: int


def lanes(runs: Sequence[RunView], now: float, links: int = LINKS) -> tuple[Lane, ...]:
    """The lanes of the runs of the last day, those with failed runs first, then by name.

    Args:
        runs: in any order.
        now: the right end, seconds since 1970.
        links: how many failed runs of a lane are links.
    """
    by_endpoint: dict[str, list[RunView]] = {}
    for run in runs:
        by_endpoint.setdefault(run.record.endpoint, []).append(run)
    found = [_lane(name, of, now, links) for name, of in by_endpoint.items()]
    return tuple(sorted(found, key=lambda lane: (not lane.failed, lane.endpoint)))


def hours(now: float) -> tuple[str, ...]:
    """What stands below the lanes, from left to right."""
    return tuple(f"{ops.moment(now - SPAN * part / 4)[11:16]}" for part in range(4, -1, -1))


def _lane(name: str, runs: list[RunView], now: float, links: int) -> Lane:
    cells: dict[str, set[int]] = {kind: set() for kind in _KINDS}
    bad: list[FailedRun] = []
    ends: list[str] = []
    for run in sorted(runs, key=lambda each: each.began, reverse=True):
        first, last = _columns(run, now)
        kind = _kind(run)
        if kind == "bad":
            ends.append(run.record.status)
        if kind == "bad" and len(bad) < links:
            width = max(NARROWEST, last - first)
            says = f"{name} {run.result}, {ops.moment(run.began)}"
            bad.append(
                FailedRun(
                    min(first, WIDTH - width), width, ops.run_address(run.record.run_id), says
                )
            )
        else:
            cells[kind].update(range(first, last))
    return Lane(
        name,
        ops.endpoint_address(name),
        ops.address("/ops/runs", endpoint=name, status=ends[0] if len(set(ends)) == 1 else None),
        tuple((kind, _outline(at)) for kind, at in cells.items() if at),
        tuple(reversed(bad)),
        len(runs),
        len(ends),
    )


def _kind(run: RunView) -> str:
    if run.record.status == "running":
        return "run"
    return ops.tone(run) or "none"


def _columns(run: RunView, now: float) -> tuple[int, int]:
    """The first column of a run, and the one after its last."""
    ended = now if run.ended is None and run.record.status == "running" else run.latest.timestamp()
    first = int((run.began.timestamp() - (now - SPAN)) / SPAN * WIDTH)
    last = int((ended - (now - SPAN)) / SPAN * WIDTH) + 1
    first = min(max(first, 0), WIDTH - 1)
    return first, min(max(last, first + 1), WIDTH)


def _outline(columns: set[int]) -> str:
    """The outline of columns as a path of SVG; neighbours are one rectangle."""
    parts, ordered = [], sorted(columns)
    begin = before = ordered[0]
    for column in [*ordered[1:], WIDTH + 2]:
        if column != before + 1:
            parts.append(f"M{begin} 0h{before + 1 - begin}v{HEIGHT}H{begin}z")
            begin = column
        before = column
    return "".join(parts)
