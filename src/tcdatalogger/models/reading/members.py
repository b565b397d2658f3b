"""Reads the top level of a body, for code that looks for links, rows or records.

It accepts the same bodies as the reader of records: a byte order mark is allowed, and half of a
surrogate pair in a text, but no repeated key. The values stay unread, so a body of megabytes takes
milliseconds. Only a body that the fast reader refuses goes to the careful reader.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Final

import msgspec

from tcdatalogger.models.reading import lossless_json
from tcdatalogger.models.reading.lossless_json import Value

Raw = msgspec.Raw | bytes
"""The JSON text of a value that is not read yet."""

BOM: Final = b"\xef\xbb\xbf"
BROKEN: Final = (msgspec.MsgspecError, ValueError, RecursionError)

_OBJECT: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
_LIST: Final = msgspec.json.Decoder(list[msgspec.Raw])
_GAP: Final = re.compile(rb"[ \t\r\n]*")
_encode: Final = msgspec.json.Encoder().encode


@lru_cache(maxsize=1)
def members(body: bytes) -> Mapping[str, Raw]:
    """The members of a body, by name; the last body is asked for several times, and read once.

    Raises:
        ValueError: the body is no JSON object with each key once. The reader of records refuses
            such a body as a whole, too.
    """
    text = body.removeprefix(BOM)
    try:
        if not text.isascii():
            text.decode()
        found = _OBJECT.decode(text)
    except BROKEN:
        found = None
    if found is not None and _are_all(found, text) and not lossless_json.may_be_deep(text):
        return found
    value = lossless_json.parse(body)
    if not isinstance(value, dict) or isinstance(value, lossless_json.Repeated):
        what = f"it is {lossless_json.kind(value)}, not an object with each key once"
        raise ValueError(what)  # noqa: TRY004 - for callers it is the same as no JSON
    return {name: lossless_json.dump(inner).encode() for name, inner in value.items()}


def inside(raw: Raw) -> Mapping[str, Raw]:
    """The members of an object inside of a body; of a repeated key the last one."""
    try:
        return _OBJECT.decode(raw)
    except BROKEN:
        value = parsed(raw)
    found = value if isinstance(value, dict) else {}
    return {name: lossless_json.dump(inner).encode() for name, inner in found.items()}


def elements(raw: Raw) -> list[Raw]:
    """The elements of a list inside of a body."""
    try:
        return list(_LIST.decode(raw))
    except BROKEN:
        value = parsed(raw)
    return [lossless_json.dump(each).encode() for each in value] if isinstance(value, list) else []


def parsed(raw: Raw) -> Value:
    """A value inside of a body, by the careful reader; None where it is nested too deeply."""
    try:
        return lossless_json.parse(bytes(raw))
    except ValueError:
        return None


def opens(raw: Raw) -> bytes:
    """The first byte of a value; it shows the kind of the value."""
    return bytes(memoryview(raw)[:1])


def _past_gap(text: bytes, at: int = 0) -> int:
    """The place after the white space that begins at `at`."""
    return _GAP.match(text, at).end()  # type: ignore[union-attr]  # it matches nothing, too


def _are_all(found: Mapping[str, msgspec.Raw], text: bytes) -> bool:
    """Whether a body has exactly these members: the fast reader drops repeated keys.

    It is also False where a name is written with escapes; then the careful reader decides.
    """
    at = _past_gap(text) + 1
    for name, raw in found.items():
        for part in (_encode(name), b":", bytes(raw)):
            at = _past_gap(text, at)
            if not text.startswith(part, at):
                return False
            at += len(part)
        at = _past_gap(text, at) + 1
    if not found:
        at = _past_gap(text, at) + 1
    return _GAP.fullmatch(text, at) is not None
