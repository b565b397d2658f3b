"""A first look at the pages of a run: which of them lack their data, and which came again."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from tcdatalogger.services.torncity.processing.task import Page

_END: Final = 128
"""Bytes at both ends of a body that are looked at first."""


@dataclass(frozen=True, slots=True)
class Looked:
    """What the pages of a run are.

    Attributes:
        numbers: the pages that are read: they have data, and do not come again later.
        same: for those of them whose very bytes came before for the same subject: all pages with
            these bytes, in their order.
        lacking: the subjects of pages without data.
    """

    numbers: Sequence[int]
    same: Mapping[int, Sequence[int]]
    lacking: frozenset[int | None]


def look_at(pages: Sequence[Page], lacks: Callable[[Page, bytes], bool], *, again: bool) -> Looked:
    """Look at each page once, in their order.

    Of pages with the same bytes the last one is read: its records are those that count.

    Args:
        pages: of a run.
        lacks: whether a page with a body lacks its data.
        again: whether pages that come again are looked for; so where records that come again
            count once.
    """
    numbers: dict[int, None] = {}
    same: dict[int, list[int]] = {}
    lacking = set()
    newest: dict[tuple[object, ...], int] = {}
    for number, page in enumerate(pages):
        body = page.body
        if lacks(page, body):
            lacking.add(page.subject_id)
            continue
        numbers[number] = None
        if not again:
            continue
        mark = (page.subject_id, len(body), body[:_END], body[-_END:])
        before = newest.get(mark)
        newest[mark] = number
        if before is not None and pages[before].body == body:
            del numbers[before]
            same[number] = [*same.pop(before, [before]), number]
    return Looked(tuple(numbers), same, frozenset(lacking))
