"""Lists that only grow: their rows lie in buckets of time, and each bucket is computed alone."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from dataclasses import dataclass
from heapq import merge
from itertools import islice
from typing import Any

from tcdatalogger.sandbox.world.cache import BoundedCache


@dataclass(frozen=True, slots=True)
class Row:
    """One row.

    Attributes:
        at: the time that orders the row, seconds since 1970.
        id: orders rows with the same time, and is the bound of `filters=idFilter`.
        since: when the row can first be seen; later than `at` for an event that is listed at its
            end.
        kind: the value that a filter compares.
        fact: the data from which the row is encoded.
    """

    at: int
    id: int
    since: int
    kind: str
    fact: Any


@dataclass(frozen=True, slots=True)
class StreamSpan:
    """The rows that are asked for.

    Attributes:
        low, high: bounds of the id (where `by_id`) or of the time, both included; None for none.
        limit: the most rows of a page.
        newest_first: whether the order is descending.
        by_id: whether the bounds are ids.
        kinds: the kinds that are kept, None for all.
    """

    low: int | None = None
    high: int | None = None
    limit: int = 100
    newest_first: bool = True
    by_id: bool = False
    kinds: Container[str] | None = None


_KEPT = 4_000
"""The most buckets of a list that are cached: ten years of days."""


class Stream:
    """One list that never ends.

    Args:
        bucket: the length of a bucket in seconds; a row lies in the bucket of its `at`.
        draw: computes all rows of a bucket from its number, in any order.
        since: no older row is shown; seconds since 1970.
        bucket_of: the bucket of an id, for lists that can be asked by id.
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
        self._kept: BoundedCache[int, Sequence[Row]] = BoundedCache(_KEPT)

    def rows(self, now: int, span: StreamSpan) -> Iterator[Row]:
        """The rows in `span` that can be seen at `now`; the limit of the span is not applied."""
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
        """All rows of a bucket in order, also those that cannot be seen yet."""
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
    """The first rows of several lists merged, up to the limit of `span`."""
    whole: Iterator[Row] = merge(
        *(stream.rows(now, span) for stream in streams), key=_order, reverse=span.newest_first
    )
    return list(islice(whole, span.limit))


def _order(row: Row) -> tuple[int, int]:
    return row.at, row.id
