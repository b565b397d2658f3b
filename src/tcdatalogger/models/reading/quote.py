"""Quotes values that are stored as JSON before the fast reader sees them: `{"a":1}` becomes a text.

Only the objects and lists on the way to such a value are parsed. All other parts of the body are
copied, so numbers keep their digits.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import msgspec

from tcdatalogger.models.reading.lossless_json import has_half, may_be_deep, parse
from tcdatalogger.models.shape import Json, List, Object, Shape

_OBJECT: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
_LIST: Final = msgspec.json.Decoder(list[msgspec.Raw])
_encode: Final = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class Quoting:
    """The places of JSON values inside of a value.

    Attributes:
        fields: for an object, its members that have JSON values; None for a JSON value itself.
        element: for a list, the places inside of its elements.
    """

    fields: Mapping[str, Quoting] | None = None
    element: Quoting | None = None


def quoting(shape: Shape) -> Quoting | None:
    """The places of JSON values in `shape`, None where there are none."""
    match shape:
        case Json():
            return Quoting()
        case List(element=element):
            inner = quoting(element)
            return None if inner is None else Quoting(element=inner)
        case Object(fields=fields):
            found = {
                field.name: inner for field in fields if (inner := quoting(field.shape)) is not None
            }
            return Quoting(fields=found) if found else None
        case _:
            return None


def quote(body: bytes, plan: Quoting) -> bytes:
    """`body` with its JSON values as texts.

    Raises:
        ValueError: an object on the way has a repeated key or a key with escapes, or the body is
            nested too deeply.
        msgspec.MsgspecError: the body is no JSON.
    """
    if may_be_deep(body):
        parse(body)  # refuses a body that is nested too deeply
    return _quote(msgspec.json.format(body, indent=-1), plan)


def _quote(raw: bytes, plan: Quoting) -> bytes:
    if raw == b"null":
        return raw
    if plan.element is not None:
        if raw[:1] != b"[":
            return raw  # no list: the fast reader refuses it
        element = plan.element
        return b"[" + b",".join(_quote(bytes(v), element) for v in _LIST.decode(raw)) + b"]"
    if plan.fields is None:
        text = raw.decode()
        if has_half(text):
            raise ValueError("it has half of a surrogate pair, which cannot be stored")
        return _encode(text)
    if raw[:1] != b"{":
        return raw
    return _quote_object(raw, plan.fields)


def _quote_object(raw: bytes, plans: Mapping[str, Quoting]) -> bytes:
    parts = []
    size = 2
    for name, value in _OBJECT.decode(raw).items():
        key = _encode(name)
        inner = bytes(value)
        size += len(key) + len(inner) + 2
        plan = plans.get(name)
        parts.append(key + b":" + (inner if plan is None else _quote(inner, plan)))
    if parts and size - 1 != len(raw):
        raise ValueError("a key is repeated in an object, or is written with escapes")
    return b"{" + b",".join(parts) + b"}"
