"""Looks into a body before its records are read: its data, its links, its rows.

It reads only the needed parts; a body of megabytes takes milliseconds.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, Self

import msgspec

from tcdatalogger.models.reading import lossless_json
from tcdatalogger.models.reading.lossless_json import Number
from tcdatalogger.models.reading.members import (
    BROKEN,
    Raw,
    elements,
    inside,
    members,
    opens,
    parsed,
)
from tcdatalogger.models.schema import METADATA
from tcdatalogger.models.shape import List, Object, Shape

_ROW: Final = msgspec.json.Decoder(float_hook=Number)
_BEGINS: Final = re.compile(rb'\s*\{\s*"([a-z_]+)"\s*:\s*[\[{]')
"""The start of a body whose first member is a list or an object."""


@dataclass(frozen=True, slots=True)
class Payload:
    """The members of a body that hold its data, by the catalogue.

    Attributes:
        names: the members that an answer must have.
        lists: those of the members that must be lists or objects.
        nullable: those of the members that may be null.
        some: whether one of the members is enough, because Torn's document requires none.
        records: the member with the list of records, "" where there is no such list.
    """

    names: tuple[str, ...]
    lists: frozenset[str] = frozenset()
    nullable: frozenset[str] = frozenset()
    some: bool = False
    records: str = ""

    @classmethod
    def of(cls, shape: Shape, records: str = "") -> Self | None:
        """The payload of answers with this shape; None where nothing is known of them.

        Args:
            shape: the shape of the whole body.
            records: the member with the list of records, "" for none.
        """
        fields = shape.fields if isinstance(shape, Object) else ()
        data = [field for field in fields if field.name != METADATA]
        if not data:
            return None
        firm = [f for f in data if f.required and isinstance(f.shape, List | Object)]
        wanted = firm or data
        return cls(
            tuple(field.name for field in wanted),
            frozenset(f.name for f in wanted if isinstance(f.shape, List | Object)),
            frozenset(f.name for f in wanted if f.shape.nullable),
            some=not firm,
            records=records,
        )

    def missing(self, body: bytes) -> tuple[str, ...]:
        """The members that a body lacks; empty for a good answer, also for one with an empty list.

        Raises:
            ValueError: the body cannot be read.
        """
        found = members(body)
        lacking = tuple(name for name in self.names if not self._holds(name, found.get(name)))
        return () if self.some and len(lacking) < len(self.names) else lacking

    def lacks(self, body: bytes) -> bool:
        """Whether a readable body lacks its data; False for a body that cannot be read.

        A body that begins with its data does not, whatever follows: most are not read any further.
        """
        begins = _BEGINS.match(body) if self.some or len(self.names) == 1 else None
        if begins is not None and begins[1].decode() in self.names:
            return False
        try:
            return bool(self.missing(body))
        except ValueError:
            return False

    def _holds(self, name: str, raw: Raw | None) -> bool:
        if raw is None:
            return False
        first = opens(raw)
        if first == b"n":
            return name in self.nullable
        return name not in self.lists or first in b"{["


@dataclass(frozen=True, slots=True)
class Links:
    """The links of a page.

    Attributes:
        next, prev: the addresses of the neighbour pages, None for none.
        total: the rows of the whole list, None where Torn does not send it.
        nanostamp: for the log, the nanosecond at which the page ends; None for other lists.
    """

    next: str | None = None
    prev: str | None = None
    total: int | None = None
    nanostamp: str | None = None


@dataclass(frozen=True, slots=True)
class RowMark:
    """The time and the id of a row; each is None where the row has no such number."""

    at: int | None
    id: int | None


def read_links(body: bytes) -> Links | None:
    """The links of a page; empty where it has no links, None where they cannot be read."""
    if body[:64].lstrip()[:1] == b"[":
        return Links()  # a bare list, as version 1 of the API sends: it cannot have links
    try:
        raw = members(body).get(METADATA)
        metadata = None if raw is None else lossless_json.parse(bytes(raw))
    except ValueError:
        return None
    if metadata in (None, [], {}):
        return Links()
    links = metadata.get("links") if isinstance(metadata, dict) else metadata
    if links in (None, []):
        links = {}
    if not isinstance(metadata, dict) or not isinstance(links, dict):
        return None
    onward, back = links.get("next") or None, links.get("prev") or None
    if not all(link is None or _is_text(link) for link in (onward, back)):
        return None
    stamp = metadata.get("nanostamp")
    nanostamp = str(stamp) if isinstance(stamp, str) and stamp.isdecimal() else None
    return Links(onward, back, _whole(metadata.get("total")), nanostamp)


@lru_cache(maxsize=1)
def rows(body: bytes, payload: Payload | None = None) -> Sequence[Raw]:
    """The rows of a page as JSON texts: its longest list, at most two levels deep.

    The rows of the last page are asked for several times, and read once.

    Args:
        body: the body of the page.
        payload: the members with the data; a map in place of the list of records has rows too.
    """
    try:
        top = dict(members(body))
    except ValueError:
        return []
    top.pop(METADATA, None)
    records = top.get(payload.records) if payload is not None else None
    if records is not None and opens(records) == b"{":
        return list(inside(records).values())
    inner = [inside(raw) for raw in top.values() if opens(raw) == b"{"]
    values = [*top.values(), *(raw for object_ in inner for raw in object_.values())]
    return max((elements(raw) for raw in values if opens(raw) == b"["), key=len, default=[])


def count_rows(body: bytes, payload: Payload | None = None) -> int:
    """How many rows a page has."""
    return len(rows(body, payload))


def mark(row: Raw, way: Sequence[str]) -> RowMark:
    """The time and the id of a row.

    Args:
        row: a row of `rows`.
        way: the path from the row to its time field.
    """
    try:
        value = _ROW.decode(row)
    except BROKEN:
        value = parsed(row)
    return RowMark(_number(value, way) if way else None, _number(value, ("id",)))


def ends(found: Sequence[Raw], way: Sequence[str]) -> tuple[int | None, int | None]:
    """The times of the first and the last row, each None where it is missing or unreadable."""
    if not found or not way:
        return None, None
    return mark(found[0], way).at, mark(found[-1], way).at


def digest(body: bytes) -> bytes:
    """A digest of 16 bytes of a body without `_metadata`, because links change without new data."""
    hasher = hashlib.blake2b(digest_size=16)
    try:
        found = members(body)
    except ValueError:
        hasher.update(body)
        return hasher.digest()
    for name, raw in found.items():
        if name != METADATA:
            text = name.encode(errors="surrogatepass")
            hasher.update(b"%d:%s%d:" % (len(text), text, memoryview(raw).nbytes))
            hasher.update(raw)
    return hasher.digest()


def _number(value: Any, way: Sequence[str]) -> int | None:
    for name in way:
        value = value.get(name) if isinstance(value, dict) else None
    return _whole(value)


def _whole(value: Any) -> int | None:
    """An integer of 64 bits, None for other values."""
    if type(value) is int:
        return value if lossless_json.INT_MIN <= value <= lossless_json.INT_MAX else None
    return (
        int(value)
        if isinstance(value, Number) and value.whole and lossless_json.fits(value)
        else None
    )


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and not isinstance(value, Number)
