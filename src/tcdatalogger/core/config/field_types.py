"""The types of settings; each refuses a wrong value with a message in plain words."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetPydanticSchema,
    PlainValidator,
)
from pydantic_core import PydanticCustomError, core_schema

from tcdatalogger.core.config.durations import Duration, parse

_SNAKE = r"^[a-z][a-z0-9]*(_[a-z0-9]+)*$"
LOOPBACK = ("localhost", "127.0.0.1", "::1")
_LAST_PORT = 65_535
_KMS = r"projects/[^/\s]+/locations/[^/\s]+/keyRings/[^/\s]+/cryptoKeys/[^/\s]+"

Plain = str | int | float | bool


def wrong(message: str) -> PydanticCustomError:
    """The error for a wrong value; the message goes on after the place of the setting."""
    # Through {text}: pydantic reads a brace in the message itself as a placeholder.
    return PydanticCustomError("wrong", "{text}", {"text": message})


def _duration(value: Any) -> Duration:
    if isinstance(value, Duration):
        return value
    if not isinstance(value, str):
        raise wrong("a duration is a text such as PT15M (15 minutes) or P1D (a day)")
    try:
        return parse(value)
    except ValueError as error:
        raise wrong(str(error)) from None


def checked(read: Callable[[str], object]) -> AfterValidator:
    """A validator for a text that `read` accepts; the text stays as it is.

    Args:
        read: raises ValueError for a wrong text; its message is the mistake.
    """

    def check(value: str) -> str:
        try:
            read(value)
        except ValueError as error:
            raise wrong(str(error)) from None
        return value

    return AfterValidator(check)


def _clock_only(duration: Duration) -> Duration:
    if duration.seconds is None:
        raise wrong("must be counted in hours, minutes and seconds; write PT24H for a day")
    return duration


def _texts(value: Any) -> tuple[str, ...]:
    many = tuple(value) if isinstance(value, list | tuple) else (value,)
    if not all(isinstance(item, str) and item for item in many):
        raise wrong("must be a text in quotes, or a list of texts")
    return many


def _ids(value: Any) -> tuple[int | str, ...]:
    many = tuple(value) if isinstance(value, list | tuple) else (value,)
    if not all(isinstance(item, int | str) and not isinstance(item, bool) for item in many):
        raise wrong("must be an id, or a list of ids")
    return many


def _param(value: Any) -> Plain | tuple[Plain, ...]:
    many = tuple(value) if isinstance(value, list | tuple) else (value,)
    if not many or not all(isinstance(item, str | int | float) for item in many):
        raise wrong("must be a text, a number, true or false, or a list of these")
    return many if isinstance(value, list | tuple) else many[0]


def safe_url(url: str) -> str:
    """A web address without a slash at its end; https, or http to this machine.

    Raises:
        PydanticCustomError: the address is none, has a password, or is not encrypted.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise wrong("must be a web address such as https://api.torn.com/v2")
    if parts.username or parts.password:
        raise wrong("must not hold a user name or a password")
    if parts.scheme == "http" and parts.hostname not in LOOPBACK:
        raise wrong("must begin with https: over http the key could be read on its way")
    return url.rstrip("/")


def address_or_none(value: str) -> None:
    """Check a web address that is called without a key; an empty text is allowed.

    Raises:
        ValueError: the text is no such address, or has a password.
    """
    parts = urlsplit(value)
    plain = parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in LOOPBACK)
    if value and (not plain or not parts.hostname or parts.username or parts.password):
        raise ValueError("must be an address that begins with https, or empty for none")


def listening(value: str) -> None:
    """Check an address to listen on, as 127.0.0.1:9464; an empty text is allowed.

    Raises:
        ValueError: the text is no such address.
    """
    host, colon, port = value.rpartition(":")
    if value and not (colon and host and port.isdecimal() and int(port) <= _LAST_PORT):
        raise ValueError("must be an address such as 127.0.0.1:9464, or empty for none")


def time_of_day(value: str) -> None:
    """Check a time of day, as 08:00.

    Raises:
        ValueError: the text is no such time.
    """
    if not re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d", value):
        raise ValueError("must be a time of day such as 08:00")


def cloud_kms(value: str) -> None:
    """Check the full name of a key of Google's Cloud KMS.

    Raises:
        ValueError: the text is no such name.
    """
    if not re.fullmatch(_KMS, value):
        raise ValueError("must be written projects/P/locations/L/keyRings/R/cryptoKeys/K")


def lowered(value: Any) -> Any:
    """A text in lower case; other values stay as they are."""
    return value.lower() if isinstance(value, str) else value


_DURATION_SCHEMA = GetPydanticSchema(
    get_pydantic_core_schema=lambda _source, _handler: core_schema.no_info_plain_validator_function(
        _duration, serialization=core_schema.to_string_ser_schema()
    ),
    get_pydantic_json_schema=lambda _schema, _handler: {"type": "string", "format": "duration"},
)
AnyDuration = Annotated[Duration, _DURATION_SCHEMA]
ClockDuration = Annotated[Duration, _DURATION_SCHEMA, AfterValidator(_clock_only)]
Name = Annotated[str, Field(pattern=_SNAKE, max_length=63)]
Texts = Annotated[tuple[str, ...], BeforeValidator(_texts, json_schema_input_type=str | list[str])]
Ids = Annotated[
    tuple[int | str, ...],
    BeforeValidator(_ids, json_schema_input_type=int | str | list[int | str]),
]
Param = Annotated[
    Plain | tuple[Plain, ...], PlainValidator(_param, json_schema_input_type=Plain | list[Plain])
]


class Model(BaseModel):
    """The base of all settings: frozen, strict, and without unknown fields."""

    # The text of an error never has the input: it may be a key.
    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        strict=True,
        hide_input_in_errors=True,
    )
