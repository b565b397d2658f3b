"""Connections with a limit on the time of the whole call.

The HTTP library limits only each single read, so an answer with one byte every half minute could
take days. Here every read is also limited by the time that is left for the call.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Iterable
from contextlib import suppress
from contextvars import ContextVar
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import httpcore2
import httpx2

_PLACES: Final = (
    "/etc/ssl/cert.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/pki/tls/cert.pem",
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/ssl/ca-bundle.pem",
)
"""Where systems have their certificates besides the places that OpenSSL names, as httpcore2 has."""

ENDS: Final[ContextVar[float]] = ContextVar("ENDS")
"""The time by the monotonic clock at which the call of this thread must end."""


def trusted() -> ssl.SSLContext:
    """The certificates that this machine trusts: read once, and again after they have changed."""
    paths = ssl.get_default_verify_paths()
    found = []
    for place in (paths.cafile, paths.capath, *_PLACES):
        with suppress(OSError):
            found.append((place, Path(place or "").stat().st_mtime_ns))
    return _trusted(tuple(found))


@lru_cache(maxsize=1)
def _trusted(_found: tuple[tuple[str, int], ...]) -> ssl.SSLContext:
    return httpx2.create_ssl_context()


def hurry(client: httpx2.Client) -> None:
    """Make the connections of a client end at `ENDS`, also connections over a proxy."""
    # The library has no public way for this that also works for proxies of the environment.
    for transport in (client._transport, *client._mounts.values()):  # noqa: SLF001
        pool = getattr(transport, "_pool", None)
        if pool is not None:
            pool._network_backend = _Network(pool._network_backend)  # noqa: SLF001


class _Network(httpcore2.NetworkBackend):
    """Makes connections as `inner` does, with the limit of the call."""

    def __init__(self, inner: httpcore2.NetworkBackend) -> None:
        self._inner = inner

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.NetworkStream:
        return _Stream(self._inner.connect_tcp(host, port, timeout, local_address, socket_options))

    def connect_unix_socket(
        self, path: str, timeout: float | None = None, socket_options: Iterable[Any] | None = None
    ) -> httpcore2.NetworkStream:
        return _Stream(self._inner.connect_unix_socket(path, timeout, socket_options))

    def sleep(self, seconds: float) -> None:
        self._inner.sleep(seconds)


class _Stream(httpcore2.NetworkStream):
    """A connection whose reads end at `ENDS`."""

    def __init__(self, inner: httpcore2.NetworkStream) -> None:
        self._inner = inner

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        left = ENDS.get() - time.monotonic()
        if left <= 0:
            raise httpcore2.ReadTimeout("the call took too long")
        return self._inner.read(max_bytes, left if timeout is None else min(timeout, left))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._inner.write(buffer, timeout)

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self, ssl_context: Any, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore2.NetworkStream:
        return _Stream(self._inner.start_tls(ssl_context, server_hostname, timeout))

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)
