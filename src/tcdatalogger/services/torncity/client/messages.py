"""What goes to Torn and what comes back, as values."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Protocol

from tcdatalogger.errors import ConfigError
from tcdatalogger.services.torncity.client.envelope import Payload

_PATH = re.compile(r"(/[A-Za-z0-9_,~%:@.-]+)+")


@dataclass(frozen=True, slots=True)
class Request:
    """What to ask.

    Attributes:
        path: with all values in place and without `/v2`, as `/faction/40832/members`.
        params: of the query. A key has no place here: it goes into a header.
        payload: what an answer must hold to be one, None where nobody can tell.
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
        """The value of a parameter, None where it is not there."""
        return next((value for known, value in self.params if known == name), None)


@dataclass(frozen=True, slots=True)
class Answer:
    """What came.

    Attributes:
        status: of HTTP.
        body: decompressed, otherwise byte for byte.
        server_time: when it was answered by the server's clock (its `Date` header, in whole
            seconds), or by ours where it does not say; seconds since 1970.
        requested_at: when it was asked by our clock.
        seconds: from the call to the last byte.
        headers: the few that are worth keeping, names in lower case.
    """

    request: Request
    status: int
    body: bytes = field(repr=False)
    server_time: float
    requested_at: float
    seconds: float
    headers: tuple[tuple[str, str], ...] = ()

    def header(self, name: str) -> str:
        """The value of a kept header, "" where it did not come."""
        return next((value for known, value in self.headers if known == name), "")


class ApiKey(Protocol):
    """A key by its name in the configuration; what it is comes out on demand only."""

    @property
    def name(self) -> str: ...

    def reveal(self) -> str: ...
