"""Requests to Torn and answers, as values."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, fields
from typing import Protocol

from tcdatalogger.errors import ConfigError
from tcdatalogger.scratch import Piece
from tcdatalogger.services.torncity.client.envelope import Payload

_PATH = re.compile(r"(/[A-Za-z0-9_,~%:@.-]+)+")


@dataclass(frozen=True, slots=True)
class Request:
    """One request.

    Attributes:
        path: the path with all values and without `/v2`, as `/faction/40832/members`.
        params: the parameters of the query, without the key: the key goes into a header.
        payload: the members that an answer must have, None where they are unknown.

    Raises:
        ConfigError: the path is no path of the API or has a placeholder, or a parameter is a key.
    """

    path: str
    params: tuple[tuple[str, str], ...] = ()
    payload: Payload | None = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        if "{" in self.path:
            raise ConfigError(
                f"The path {self.path} has a placeholder without a value.",
                remedy="Write the path with the id in its place.",
            )
        if not _PATH.fullmatch(self.path) or {".", ".."} & set(self.path.split("/")):
            raise ConfigError(
                f"{self.path.partition('?')[0]!r} is not a path of Torn's API.",
                remedy="Write it as /section/selection; the query goes into `params`.",
            )
        if any(name.lower() == "key" for name, _ in self.params):
            raise ConfigError(
                f"The parameters of {self.path} hold a key.",
                remedy="Take it out and name a key of the `[keys]` section in `api_key`.",
            )

    def param(self, name: str) -> str | None:
        """The value of a parameter, None where it is not given."""
        return next((value for known, value in self.params if known == name), None)


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer.

    Attributes:
        request: the request.
        status: the HTTP status.
        body: the body after decompression, byte for byte.
        server_time: the time of the answer by the server's clock (header `Date`, whole seconds), or
            by this machine's clock where the header is missing; seconds since 1970.
        requested_at: the time of the request by this machine's clock, seconds since 1970.
        seconds: the time from the request to the last byte.
        headers: the headers that are kept, with names in lower case.
        key_owner: the player whose key made the call; None where that is unknown.
    """

    request: Request
    status: int
    body: bytes = field(repr=False)
    server_time: float
    requested_at: float
    seconds: float
    headers: tuple[tuple[str, str], ...] = ()
    key_owner: int | None = None

    def header(self, name: str) -> str:
        """The value of a kept header, "" where the answer does not have it."""
        return next((value for known, value in self.headers if known == name), "")


class KeptAnswer(Answer):
    """An answer whose body stands in a scratch, and is read each time that it is asked for.

    Args:
        answer: the answer.
        kept: its body.
    """

    __slots__ = ("_kept",)
    _kept: Piece

    def __init__(self, answer: Answer, kept: Piece) -> None:
        for known in fields(Answer):
            if known.name != "body":
                object.__setattr__(self, known.name, getattr(answer, known.name))
        object.__setattr__(self, "_kept", kept)

    @property
    def body(self) -> bytes:
        """The body, byte for byte."""
        return self._kept.read()

    def __eq__(self, other: object) -> bool:
        """Whether an answer is the same, wherever its body stands."""
        names = [known.name for known in fields(Answer)]
        return isinstance(other, Answer) and all(
            getattr(self, name) == getattr(other, name) for name in names
        )

    __hash__ = Answer.__hash__


class ApiKey(Protocol):
    """A key that shows its name and not its text."""

    @property
    def name(self) -> str:
        """The name in the configuration."""
        ...

    def reveal(self) -> str:
        """The text of the key, for the one place that sends it."""
        ...
