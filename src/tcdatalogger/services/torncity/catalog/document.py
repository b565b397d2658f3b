"""Fetches Torn's own document of its API."""

from __future__ import annotations

import ssl
import time
from typing import Final
from urllib.parse import urlsplit

from tcdatalogger import __version__
from tcdatalogger.errors import DataRefused, TornUnavailable
from tcdatalogger.services.torncity.client.connections import trusted

LARGEST: Final = 64 * 2**20
"""The most bytes of a document; that of version 6 has two million."""
PATIENCE: Final = 60.0
"""Seconds that it may take, from the first byte to the last."""

_OK: Final = 200


def fetch(url: str) -> bytes:
    """The document at an address. No key is sent, and no redirect is followed.

    Raises:
        TornUnavailable: it cannot be fetched now.
        DataRefused: it is far larger than such a document.
    """
    import httpx2  # noqa: PLC0415 - 70 ms that only this call needs

    began, body = time.monotonic(), bytearray()
    plain = urlsplit(url).scheme == "http"  # of this machine alone: the settings see to that
    try:
        with (
            httpx2.Client(
                verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT) if plain else trusted(),
                trust_env=not plain,
                follow_redirects=False,
                timeout=httpx2.Timeout(30.0, connect=10.0),
                # Cloudflare refuses the names of libraries.
                headers={"User-Agent": f"tcdatalogger/{__version__} (reads Torn's document)"},
            ) as client,
            client.stream("GET", url) as response,
        ):
            if response.status_code != _OK:
                raise _unavailable(url, f"it answered with HTTP {response.status_code}")
            for piece in response.iter_bytes():
                body += piece
                if len(body) > LARGEST:
                    raise DataRefused(f"The document at {url} has over {LARGEST >> 20} MiB.")
                if time.monotonic() - began > PATIENCE:
                    raise _unavailable(url, f"it took over {PATIENCE:.0f} seconds")
    except httpx2.RequestError as error:
        raise _unavailable(url, str(error) or type(error).__name__) from None
    return bytes(body)


def _unavailable(url: str, why: str) -> TornUnavailable:
    return TornUnavailable(
        f"Torn's document cannot be fetched from {url}: {why}.",
        remedy="Try again later, or fetch it by hand: `tcdatalogger catalog use FILE` takes it.",
    )
