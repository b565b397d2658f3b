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
class WalkSummary:
    """One walk of a run.

    Attributes:
        place: whose list it was.
        since: the first second that was asked for, None for no bound.
        complete: whether the walk came to its end.
        at: the server's time when it began.
        newest: the newest second of which the walk knows all, None where it saw no row.
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

    def moved(self, readings: Iterable[WalkSummary]) -> Self:
        """The cursor after a run.

        It moves only over what was read whole: where a walk was stopped it stays, and after a
        first one it stands where that began. It stays too where a walk began behind it. Neither
        rows of the future nor a clock of ours that is ahead draw it there.
        """
        spans = dict(self.spans)
        of: dict[str, list[WalkSummary]] = {}
        for reading in readings:
            of.setdefault(reading.place, []).append(reading)
        for place, walks in of.items():
            began = [one.since for one in walks if one.since is not None]
            begun = min(began, default=None)
            known = place in spans
            if not known and (begun is None or begun > max(one.at for one in walks)):
                continue
            low, high = spans.get(place, (begun or 0, begun or 0))
            if known and max(began, default=high) > high:
                continue  # nobody has read what lies between
            seen = [one.newest for one in walks if one.newest is not None]
            if seen and all(one.complete for one in walks):
                high = max(high, min([max(seen), *(one.at for one in walks)]))
            spans[place] = (low, high)
        return replace(self, spans=spans)


@dataclass(frozen=True, slots=True)
class TimeRange:
    """A piece of history that a backfill read, or is to read: one load.

    Attributes:
        place: whose list it is.
        high: the second at which it begins.
        low: the first second of which all rows are there then; None for the beginning of all
            history. Of one that is to be read: the last second that is wanted.
        newest: whether it begins at the present, so that an endpoint without a cursor gets one.
    """

    place: str
    high: int
    low: int | None = None
    newest: bool = False

    def text(self, asked: str) -> str:
        """As it stands in the ledger; `asked` is what was asked for (`Task.asked`)."""
        facts = {"asked": asked, "place": self.place, "low": self.low, "high": self.high}
        return json.dumps(facts, sort_keys=True)


@dataclass(frozen=True, slots=True)
class Coverage:
    """The history of one place that backfills have read: spans, the newest first."""

    spans: tuple[Span, ...] = ()

    @classmethod
    def read(cls, texts: Iterable[str], asked: str, place: str) -> Self:
        """What the stretches in the ledger cover, of those that are of this place."""
        merged: list[Span] = []
        found = [json.loads(text) for text in texts]
        spans = [
            (one["low"], one["high"])
            for one in found
            if one["asked"] == asked and one["place"] == place
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
        """The first second at or before `high` that is not read yet; None where all is."""
        for low, top in self.spans:
            if high <= top and (low is None or high >= low):
                if low is None:
                    return None
                high = low - 1
        return high

    def next_read(self, high: int) -> int | None:
        """The newest second before `high` that is read already; None where there is none."""
        return next((top for _, top in self.spans if top < high), None)


def _by_low(span: Span) -> tuple[bool, int]:
    return (span[0] is not None, span[0] or 0)
