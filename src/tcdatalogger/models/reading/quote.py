"""Values that are kept as JSON are quoted before the fast reader sees them: `{"a":1}` -> a text.

Only the way down to them is taken apart, by slices of the body, so that each keeps its digits and
everything beside it stays as it was sent.
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
    """Where JSON values stand inside of a value.

    Attributes:
        fields: for an object, the members on the way; None for the JSON value itself.
        element: for a list, its elements.
    """

    fields: Mapping[str, Quoting] | None = None
    element: Quoting | None = None


def quoting(shape: Shape) -> Quoting | None:
    """Where JSON values stand in `shape`, None where there are none."""
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
        ValueError: an object on the way has a key twice or written with escapes, or it is nested
            too deeply.
        msgspec.MsgspecError: it is no JSON.
    """
    if may_be_deep(body):
        parse(body)  # which refuses what is too deep: here as in what the catalogue does not know
    return _quote(msgspec.json.format(body, indent=-1), plan)


def _quote(raw: bytes, plan: Quoting) -> bytes:
    if raw == b"null":
        return raw
    if plan.element is not None:
        if raw[:1] != b"[":
            return raw  # another kind than promised: for the reader to refuse
        element = plan.element
        return b"[" + b",".join(_quote(bytes(v), element) for v in _LIST.decode(raw)) + b"]"
    if plan.fields is None:
        text = raw.decode()
        if has_half(text):
            raise ValueError("half of a surrogate pair stands in it, which cannot be stored")
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
        raise ValueError("a key stands twice in an object, or is written with escapes")
    return b"{" + b",".join(parts) + b"}"
