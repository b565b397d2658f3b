"""What paging has to know of a body: its links, and its rows as far as their time and id.

Only as much is read as is asked for; a body of megabytes takes milliseconds.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec


@dataclass(frozen=True, slots=True)
class Links:
    """What a page says about its neighbours.

    Attributes:
        next, prev: addresses, None at an end.
        total: rows in the whole list, None where Torn does not say.
        nanostamp: of the log: where in a second the page ends, None elsewhere.
    """

    next: str | None = None
    prev: str | None = None
    total: int | None = None
    nanostamp: str | None = None


@dataclass(frozen=True, slots=True)
class Mark:
    """Time and id of a row, each None where the row does not have it as a number."""

    at: int | None
    id: int | None


class _Envelope(msgspec.Struct):
    """Just `_metadata`: all other members are skipped without being read."""

    metadata: msgspec.Raw = msgspec.field(name="_metadata", default_factory=msgspec.Raw)


_ENVELOPE = msgspec.json.Decoder(_Envelope)
_MEMBERS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_ELEMENTS = msgspec.json.Decoder(list[msgspec.Raw])
_BROKEN = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


def read_links(body: bytes) -> Links | None:
    """The links of a page; empty where it has none, None where they cannot be read."""
    if body[:64].lstrip()[:1] == b"[":
        return Links()  # a bare list, as version 1 sends: it has no room for links
    try:
        raw = _ENVELOPE.decode(body).metadata
        metadata = msgspec.json.decode(raw) if memoryview(raw).nbytes else None
    except _BROKEN:
        return None
    if metadata in (None, [], {}):
        return Links()
    links = metadata.get("links") if isinstance(metadata, dict) else metadata
    if links in (None, []):
        links = {}
    if not isinstance(metadata, dict) or not isinstance(links, dict):
        return None
    onward, back = links.get("next") or None, links.get("prev") or None
    if not all(link is None or isinstance(link, str) for link in (onward, back)):
        return None
    total, stamp = metadata.get("total"), metadata.get("nanostamp")
    nanostamp = str(stamp) if isinstance(stamp, str | int) and str(stamp).isdecimal() else None
    return Links(onward, back, total if type(total) is int else None, nanostamp)


def rows(body: bytes) -> list[msgspec.Raw]:
    """The rows of a page, unread: its longest list, at most two levels deep."""
    try:
        members = _MEMBERS.decode(body)
        members.pop("_metadata", None)
        inner = [_MEMBERS.decode(raw) for raw in members.values() if _opens(raw) == b"{"]
        values = [*members.values(), *(raw for object_ in inner for raw in object_.values())]
        found = [_ELEMENTS.decode(raw) for raw in values if _opens(raw) == b"["]
    except _BROKEN:
        return []
    return max(found, key=len, default=[])


def count_rows(body: bytes) -> int:
    """How many rows a page has."""
    return len(rows(body))


def mark(row: msgspec.Raw, way: Sequence[str]) -> Mark:
    """Time and id of a row.

    Args:
        row: as `rows` gives it.
        way: from the row to its clock.
    """
    try:
        value = msgspec.json.decode(row)
    except _BROKEN:
        return Mark(None, None)
    return Mark(_number(value, way) if way else None, _number(value, ("id",)))


def ends(found: Sequence[msgspec.Raw], way: Sequence[str]) -> tuple[int | None, int | None]:
    """The times of the first and the last row; None where there is none that could be read."""
    if not found or not way:
        return None, None
    return mark(found[0], way).at, mark(found[-1], way).at


def digest(body: bytes) -> bytes:
    """Sixteen bytes that tell bodies apart, without `_metadata`: links change while data do not."""
    told = hashlib.blake2b(digest_size=16)
    try:
        members = _MEMBERS.decode(body)
    except _BROKEN:
        told.update(body)
        return told.digest()
    for name, raw in members.items():
        if name != "_metadata":
            text = name.encode()
            told.update(b"%d:%s%d:" % (len(text), text, memoryview(raw).nbytes))
            told.update(raw)
    return told.digest()


def _number(value: Any, way: Sequence[str]) -> int | None:
    for name in way:
        value = value.get(name) if isinstance(value, dict) else None
    return value if type(value) is int else None


def _opens(raw: msgspec.Raw) -> bytes:
    """The first byte of a value, which tells its kind."""
    return bytes(memoryview(raw)[:1])
