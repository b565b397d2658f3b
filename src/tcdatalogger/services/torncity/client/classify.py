"""Classifies an answer: data, or which fault it is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tcdatalogger.models.reading.members import Raw, inside, members, opens, parsed
from tcdatalogger.services.torncity.client.envelope import Payload
from tcdatalogger.services.torncity.client.error_codes import (
    BY_NUMBER,
    DOOR,
    EMPTY,
    NO_DATA,
    NO_PATH,
    NO_PAYLOAD,
    PAGE,
    REDIRECT,
    SERVER,
    TOO_MANY,
    UNKNOWN,
    Code,
)


@dataclass(frozen=True, slots=True)
class AnswerFault:
    """The fault of an answer.

    Attributes:
        kind: the row of the table in `error_codes.py`.
        number: Torn's number of the error, also of a code that the table lacks; None for none.
        said: Torn's text, shortened; "" for none.
        selection: the member of the body with the error, "" where the error is the whole answer.
    """

    kind: Code
    number: int | None = None
    said: str = ""
    selection: str = ""


def classify(
    status: int, content_type: str, body: bytes, payload: Payload | None = None
) -> AnswerFault | None:
    """The fault of an answer, None where it is data.

    For the status 429 or 5xx only the status counts: a broken server may send any body, and its
    body must not make a key count as dead. For every other status an error code of Torn's counts
    first. The decoder checks later whether the records have the right shape.

    Args:
        status: the HTTP status.
        content_type: the header of that name, "" for none.
        body: the body after decompression.
        payload: the members that the body must have, None where they are unknown.
    """
    if status == 429:  # noqa: PLR2004 - the number is the name
        return AnswerFault(TOO_MANY)
    if status >= 500:  # noqa: PLR2004
        return AnswerFault(SERVER)
    found = _error_in(body) or _by_status(status) or _by_content(content_type, body)
    return found or (None if payload is None else _without(payload, body))


def _without(payload: Payload, body: bytes) -> AnswerFault | None:
    """The fault of a body that lacks its data or cannot be read."""
    try:
        missing = payload.missing(body)
    except ValueError as error:
        return AnswerFault(NO_PAYLOAD, said=_short(f"it cannot be read: {error}"))
    return AnswerFault(NO_PAYLOAD, said=f"it has no {'/'.join(missing)}") if missing else None


def _by_status(status: int) -> AnswerFault | None:
    if 200 <= status < 300:  # noqa: PLR2004
        return None
    if status in {401, 403}:
        return AnswerFault(DOOR)
    return AnswerFault(REDIRECT if status < 400 else NO_PATH)  # noqa: PLR2004


def _by_content(content_type: str, body: bytes) -> AnswerFault | None:
    first = _first(body)
    if not first:
        return AnswerFault(EMPTY)
    if first == b"<":
        return AnswerFault(PAGE)
    media = content_type.partition(";")[0].strip().lower()
    if media.endswith("/csv"):
        return None
    is_json = media == "" or media.endswith(("/json", "+json"))
    return None if is_json and first in b"{[" else AnswerFault(NO_DATA)


def _first(body: bytes) -> bytes:
    """The first byte after white space and a byte order mark, without a copy of the whole body."""
    head = body[:64].removeprefix(b"\xef\xbb\xbf").lstrip()
    return (head or body.lstrip())[:1]


def _error_in(body: bytes) -> AnswerFault | None:
    """Torn's error in a body: nested, flat, or in the member of a selection.

    All three forms have a member `error`, so a body without these bytes has no error. The search
    takes less than a millisecond for a megabyte. JSON is read only where the bytes are found, and
    only at its top level.
    """
    if b'"error"' not in body or _first(body) != b"{":
        return None
    top = _members(body)
    error = parsed(top["error"]) if "error" in top else None
    if error is None:
        return next(_errors_in_selections(top), None)
    code = parsed(top["code"]) if "code" in top else None
    return _finding(error) or _finding({"code": code, "error": error}, top_level=True)


def _errors_in_selections(top: Mapping[str, Raw]) -> Iterator[AnswerFault]:
    for selection, raw in top.items():
        if opens(raw) != b"{":
            continue
        members_ = inside(raw)
        if members_.keys() != {"code", "error"}:
            continue
        found = _finding({name: parsed(value) for name, value in members_.items()})
        if found is not None:
            yield AnswerFault(found.kind, found.number, found.said, selection)


def _members(body: bytes) -> Mapping[str, Raw]:
    """The members of a body; empty where the body cannot be read."""
    try:
        return members(body)
    except ValueError:
        return {}


def _finding(error: Any, *, top_level: bool = False) -> AnswerFault | None:
    """The fault in an object with `code` and `error`, None where there is none.

    Args:
        error: the value.
        top_level: whether the value is the whole body: then it is an error even without a code.
    """
    if not isinstance(error, dict):
        return None
    said = _short(error.get("error"))
    code = error.get("code")
    if isinstance(code, str) and code.removeprefix("-").isdecimal():
        code = int(code)
    if isinstance(code, int) and not isinstance(code, bool):
        return AnswerFault(BY_NUMBER.get(code, UNKNOWN), code, said)
    return AnswerFault(UNKNOWN, None, said) if top_level else None


def _short(text: object) -> str:
    """One printable line of at most 200 characters."""
    if not isinstance(text, str):
        return ""
    return "".join(c if c.isprintable() else " " for c in text[:200]).strip()
