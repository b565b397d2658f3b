"""Rows that only ever get added: kept in buckets of time, each of which is computed by itself."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from dataclasses import dataclass
from heapq import merge
from itertools import islice
from typing import Any

from tcdatalogger.sandbox.world.memo import Memo


@dataclass(frozen=True, slots=True)
class Row:
    """One row.

    Attributes:
        at: the time that orders it, seconds since 1970.
        id: which of the rows with the same time comes first, and what `filters=idFilter` asks for.
        since: when it can first be seen; later than `at` where a row is written at its end.
        kind: what a filter asks for.
        fact: what it is made of, for whoever encodes it.
    """

    at: int
    id: int
    since: int
    kind: str
    fact: Any


@dataclass(frozen=True, slots=True)
class StreamSpan:
    """Which rows are wanted.

    Attributes:
        low, high: bounds, both included; None for none. Of the id, if `by_id`, else of the time.
        kinds: the kinds that are kept, None for all.
    """

    low: int | None = None
    high: int | None = None
    limit: int = 100
    newest_first: bool = True
    by_id: bool = False
    kinds: Container[str] | None = None


_KEPT = 4_000
"""Buckets of one list: ten years of days."""


class Stream:
    """One list of rows without an end.

    Args:
        bucket: its seconds; a row lies in the bucket of its `at`.
        draw: all rows of a bucket by its number, in any order.
        since: nothing older is shown.
        bucket_of: the bucket of an id, where rows may be asked for by id.
    """

    def __init__(
        self,
        bucket: int,
        draw: Callable[[int], Iterable[Row]],
        since: int,
        bucket_of: Callable[[int], int] | None = None,
    ) -> None:
        self._bucket = bucket
        self._draw = draw
        self._since = since
        self._bucket_of = bucket_of
        self._kept: Memo[int, Sequence[Row]] = Memo(_KEPT)

    def rows(self, now: int, span: StreamSpan) -> Iterator[Row]:
        """The rows that can be seen at `now` and lie in `span`, its limit not applied."""
        first, last = self._since // self._bucket, now // self._bucket
        if span.by_id and self._bucket_of:
            first = first if span.low is None else max(first, self._bucket_of(span.low))
            last = last if span.high is None else min(last, self._bucket_of(span.high))
        elif not span.by_id:
            first = first if span.low is None else max(first, span.low // self._bucket)
            last = last if span.high is None else min(last, span.high // self._bucket)
        buckets = range(last, first - 1, -1) if span.newest_first else range(first, last + 1)
        for number in buckets:
            found = self.drawn(number)
            for row in reversed(found) if span.newest_first else found:
                if self._wanted(row, now, span):
                    yield row

    def drawn(self, number: int) -> Sequence[Row]:
        """All rows of a bucket in their order, whether they can be seen yet or not."""
        rows = self._kept.get(number)
        if rows is None:
            rows = sorted(self._draw(number), key=_order)
            self._kept[number] = rows
        return rows

    def _wanted(self, row: Row, now: int, span: StreamSpan) -> bool:
        if row.since > now or row.at < self._since:
            return False
        place = row.id if span.by_id else row.at
        return (
            (span.low is None or place >= span.low)
            and (span.high is None or place <= span.high)
            and (span.kinds is None or row.kind in span.kinds)
        )


def page(streams: Sequence[Stream], now: int, span: StreamSpan) -> list[Row]:
    """The first rows of several streams together, up to the limit of `span`."""
    whole: Iterator[Row] = merge(
        *(stream.rows(now, span) for stream in streams), key=_order, reverse=span.newest_first
    )
    return list(islice(whole, span.limit))


def _order(row: Row) -> tuple[int, int]:
    return row.at, row.id
