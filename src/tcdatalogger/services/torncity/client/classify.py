"""Whether an answer is data, and what is wrong with it where it is not."""

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
    """What is wrong with an answer.

    Attributes:
        kind: the row of the table.
        number: Torn's own number, also of a code that the table lacks.
        said: Torn's words, cut short; "" where there were none.
        selection: the payload key that the error stood in.
    """

    kind: Code
    number: int | None = None
    said: str = ""
    selection: str = ""


def classify(
    status: int, content_type: str, body: bytes, payload: Payload | None = None
) -> AnswerFault | None:
    """What is wrong with an answer, None where it is data.

    Of a 429 or a 5xx only the status counts: a server that is not itself may say anything, and a
    key must not be declared dead on its word. Under every other status a code of Torn's counts
    first. Whether the records have the promised shape is for the decoder to say.

    Args:
        status: of HTTP.
        content_type: the header, "" where there was none.
        body: after decompression.
        payload: what it must hold, None where nobody can tell.
    """
    if status == 429:  # noqa: PLR2004 - the number is the name
        return AnswerFault(TOO_MANY)
    if status >= 500:  # noqa: PLR2004
        return AnswerFault(SERVER)
    found = _error_in(body) or _by_status(status) or _by_content(content_type, body)
    return found or (None if payload is None else _without(payload, body))


def _without(payload: Payload, body: bytes) -> AnswerFault | None:
    """The finding of an answer that lacks its data, or of which nothing can be read."""
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
    """The first byte that counts, without a copy of the whole body."""
    head = body[:64].removeprefix(b"\xef\xbb\xbf").lstrip()
    return (head or body.lstrip())[:1]


def _error_in(body: bytes) -> AnswerFault | None:
    """The error of Torn's in `body`: nested, flat, or in the key of a selection.

    Each of the three has a member named `error`, so a body without these bytes holds none. To
    look for them costs well under a millisecond in a megabyte; JSON is read only if they are there,
    and then only its top level.
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
        its = inside(raw)
        if its.keys() != {"code", "error"}:
            continue
        found = _finding({name: parsed(value) for name, value in its.items()})
        if found is not None:
            yield AnswerFault(found.kind, found.number, found.said, selection)


def _members(body: bytes) -> Mapping[str, Raw]:
    """The members of a body, unread; none where it cannot be read."""
    try:
        return members(body)
    except ValueError:
        return {}


def _finding(error: Any, *, top_level: bool = False) -> AnswerFault | None:
    """The finding of an object with `code` and `error`.

    Args:
        error: the value.
        top_level: whether it is the whole body: then it is an error even without a code.
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
