"""Where an incremental endpoint goes on, and which history a backfill has read: JSON in the ledger.

Both speak of places: the subject's id, or the request's path where it has none. Times are whole
seconds since 1970, included on both sides.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Self

Span = tuple[int | None, int]
"""From the first to the last second; None for the beginning of all history."""


@dataclass(frozen=True, slots=True)
class Reading:
    """One walk of a run.

    Attributes:
        place: whose list it was.
        since: the first second that was asked for, None for no bound.
        complete: whether the walk came to its end.
        at: the server's time when it began.
        floor: of a backfill: the first second of which all rows are there now; None for the
            beginning of all history.
        stuck: of a backfill: whether it came no further than where it began.
    """

    place: str
    since: int | None = None
    complete: bool = True
    at: int = 0
    floor: int | None = None
    stuck: bool = False


@dataclass(frozen=True, slots=True)
class Cursor:
    """How far each place was read.

    Attributes:
        asked: what was asked for (`Task.asked`).
        spans: from where the first run began to where the next goes on.
    """

    asked: str
    spans: Mapping[str, tuple[int, int]] = field(default_factory=dict)

    @classmethod
    def read(cls, text: str | None, asked: str) -> Self:
        """The cursor in the ledger; an empty one where it is of something else or of none."""
        found = json.loads(text) if text else {}
        if found.get("asked") != asked:
            return cls(asked)
        return cls(asked, {place: (low, high) for place, (low, high) in found["spans"].items()})

    @property
    def text(self) -> str:
        return json.dumps({"asked": self.asked, "spans": self.spans}, sort_keys=True)

    def moved(self, readings: Iterable[Reading], newest: Mapping[str, int]) -> Self:
        """The cursor after a run.

        It moves only over what was read whole: where a walk was stopped it stays, and after a
        first one it stands where that began.

        Args:
            readings: the walks of the run.
            newest: the newest second of each place that the run knows all about.
        """
        spans = dict(self.spans)
        of: dict[str, list[Reading]] = {}
        for reading in readings:
            of.setdefault(reading.place, []).append(reading)
        for place, walks in of.items():
            begun = min((one.since for one in walks if one.since is not None), default=None)
            if place not in spans and begun is None:
                continue
            low, high = spans.get(place, (begun or 0, begun or 0))
            if all(one.complete for one in walks) and place in newest:
                high = max(high, min([newest[place], *(one.at for one in walks)]))
            spans[place] = (low, high)
        return replace(self, spans=spans)


@dataclass(frozen=True, slots=True)
class Coverage:
    """The history that a backfill has read.

    Attributes:
        asked: what was asked for (`Task.asked`).
        spans: of each place, apart from each other and the newest first.
    """

    asked: str
    spans: Mapping[str, tuple[Span, ...]] = field(default_factory=dict)

    @classmethod
    def read(cls, text: str | None, asked: str) -> Self:
        """The books in the ledger; empty ones where they are of something else or of none."""
        found = json.loads(text) if text else {}
        if found.get("asked") != asked:
            return cls(asked)
        spans = {p: tuple((low, high) for low, high in many) for p, many in found["spans"].items()}
        return cls(asked, spans)

    @property
    def text(self) -> str:
        return json.dumps({"asked": self.asked, "spans": self.spans}, sort_keys=True)

    def add(self, place: str, low: int | None, high: int) -> Self:
        """The same with one more span."""
        if low is not None and low > high:
            return self
        merged: list[Span] = []
        for span in sorted([*self.spans.get(place, ()), (low, high)], key=_by_low):
            last = merged[-1] if merged else None
            if last is not None and (span[0] is None or span[0] <= last[1] + 1):
                merged[-1] = (last[0], max(last[1], span[1]))
            else:
                merged.append(span)
        return replace(self, spans={**self.spans, place: tuple(reversed(merged))})

    def below(self, place: str, high: int) -> int | None:
        """The first second at or before `high` that is not read yet; None where all is."""
        for low, top in self.spans.get(place, ()):
            if high <= top and (low is None or high >= low):
                if low is None:
                    return None
                high = low - 1
        return high

    def next_read(self, place: str, high: int) -> int | None:
        """The newest second before `high` that is read already; None where there is none."""
        return next((top for _, top in self.spans.get(place, ()) if top < high), None)


def _by_low(span: Span) -> tuple[bool, int]:
    return (span[0] is not None, span[0] or 0)
