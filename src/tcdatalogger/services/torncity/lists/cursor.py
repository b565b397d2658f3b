"""The cursor of an incremental endpoint and the history that backfills read, as JSON in the ledger.

Both are kept for each place: the id of the subject, or the path where there is no subject. Times
are whole seconds since 1970; both bounds are included.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Self

Span = tuple[int | None, int]
"""The first and the last second; None for the beginning of all history."""


@dataclass(frozen=True, slots=True)
class WalkSummary:
    """How far one walk of a run went.

    Attributes:
        place: the place of the list.
        since: the first second that was asked for, None for no bound.
        complete: whether the walk read the list to its end.
        at: the time of the server at the start of the walk.
        newest: the newest second up to which the walk read all rows, None where it saw no row.
    """

    place: str
    since: int | None = None
    complete: bool = True
    at: int = 0
    newest: int | None = None


@dataclass(frozen=True, slots=True)
class Cursor:
    """How far each place was read.

    Attributes:
        asked: identifies the list (`Task.asked`).
        spans: for each place the second at which the first run began, and the second at which the
            next run goes on.
    """

    asked: str
    spans: Mapping[str, tuple[int, int]] = field(default_factory=dict)

    @classmethod
    def read(cls, text: str | None, asked: str) -> Self:
        """The cursor in a text of the ledger; empty for None and for the text of another list."""
        found = json.loads(text) if text else {}
        if found.get("asked") != asked:
            return cls(asked)
        return cls(asked, {place: (low, high) for place, (low, high) in found["spans"].items()})

    @property
    def text(self) -> str:
        """The cursor as JSON for the ledger."""
        return json.dumps({"asked": self.asked, "spans": self.spans}, sort_keys=True)

    def moved(self, readings: Iterable[WalkSummary]) -> Self:
        """The cursor after a run.

        The cursor moves only over seconds that were read completely. It stays where a walk was
        stopped, and where a walk began after the cursor. After a first walk that was stopped it is
        at the start of that walk. Rows with a time in the future and a wrong clock of this machine
        do not move it into the future.
        """
        spans = dict(self.spans)
        of: dict[str, list[WalkSummary]] = {}
        for reading in readings:
            of.setdefault(reading.place, []).append(reading)
        for place, walks in of.items():
            began = [walk.since for walk in walks if walk.since is not None]
            begun = min(began, default=None)
            known = place in spans
            if not known and (begun is None or begun > max(walk.at for walk in walks)):
                continue
            low, high = spans.get(place, (begun or 0, begun or 0))
            if known and max(began, default=high) > high:
                continue  # the time between was not read
            seen = [walk.newest for walk in walks if walk.newest is not None]
            if seen and all(walk.complete for walk in walks):
                high = max(high, min([max(seen), *(walk.at for walk in walks)]))
            spans[place] = (low, high)
        return replace(self, spans=spans)


@dataclass(frozen=True, slots=True)
class TimeRange:
    """A stretch of history that a backfill reads into one load.

    Attributes:
        place: the place of the list.
        high: the newest second; the backfill begins there and goes back.
        low: after reading, the oldest second whose rows are all read, None for the beginning of all
            history; before reading, the oldest second that is wanted.
        newest: whether it begins at the present: then an endpoint without a cursor gets one.
    """

    place: str
    high: int
    low: int | None = None
    newest: bool = False

    def text(self, asked: str) -> str:
        """The stretch as JSON for the ledger; `asked` identifies the list (`Task.asked`)."""
        facts = {"asked": asked, "place": self.place, "low": self.low, "high": self.high}
        return json.dumps(facts, sort_keys=True)


@dataclass(frozen=True, slots=True)
class Coverage:
    """The history of one place that backfills have read.

    Attributes:
        spans: spans that do not touch, the newest first.
    """

    spans: tuple[Span, ...] = ()

    @classmethod
    def read(cls, texts: Iterable[str], asked: str, place: str) -> Self:
        """The history that the stretches of the ledger cover for one place.

        Args:
            texts: the stretches as the ledger has them.
            asked: identifies the list (`Task.asked`).
            place: the place.
        """
        merged: list[Span] = []
        spans = [
            (stretch["low"], stretch["high"])
            for stretch in map(json.loads, texts)
            if stretch["asked"] == asked and stretch["place"] == place
        ]
        for low, high in sorted(spans, key=_by_low):
            if low is not None and low > high:
                continue
            last = merged[-1] if merged else None
            if last is not None and (low is None or low <= last[1] + 1):
                merged[-1] = (last[0], max(last[1], high))
            else:
                merged.append((low, high))
        return cls(tuple(reversed(merged)))

    def below(self, high: int) -> int | None:
        """The newest second at or before `high` that is not read yet; None where all are read."""
        for low, top in self.spans:
            if high <= top and (low is None or high >= low):
                if low is None:
                    return None
                high = low - 1
        return high

    def next_read(self, high: int) -> int | None:
        """The newest second before `high` that is read already; None for none."""
        return next((top for _, top in self.spans if top < high), None)


def _by_low(span: Span) -> tuple[bool, int]:
    return (span[0] is not None, span[0] or 0)
