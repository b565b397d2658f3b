"""The address of a bucket, as `gs://bucket/prefix` or `s3://bucket/prefix?region=eu-central-1`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qsl, urlsplit

SCHEMES: Final = ("gs", "s3")
_OPTIONS: Final = ("endpoint", "region")
_BUCKET: Final = re.compile(r"[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]")
_PREFIX: Final = re.compile(r"[A-Za-z0-9._=-]+(/[A-Za-z0-9._=-]+)*")
_SECRET: Final = 16
"""Letters of the shortest secret: an access key of Amazon's has 20."""

_LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True, slots=True)
class BucketAddress:
    """Where a bucket is.

    Attributes:
        scheme: `gs` or `s3`.
        bucket: its name.
        prefix: how the names of its files begin, without a slash at the end; "" for nothing.
        endpoint: the web address of the service, "" for Google's or Amazon's own.
        region: of the bucket, "" for what the environment says.
    """

    scheme: str
    bucket: str
    prefix: str = ""
    endpoint: str = ""
    region: str = ""

    def __str__(self) -> str:
        return f"{self.scheme}://{self.bucket}{self.prefix and '/'}{self.prefix}"

    @property
    def folder(self) -> str:
        """A name for a folder of this bucket's own; a `+` is in no part of an address."""
        host = urlsplit(self.endpoint).netloc.replace(":", "_")
        parts = (self.scheme, host, self.bucket, self.prefix.replace("/", "+"))
        return "+".join(filter(None, parts))

    @classmethod
    def parse(cls, url: str) -> BucketAddress:
        """Read an address.

        Raises:
            ValueError: it is none. The text names what is wrong and shows no part of the address
                that may be a secret.
        """
        try:
            parts = urlsplit(url)
        except ValueError:
            raise ValueError("is no address") from None
        if parts.scheme not in SCHEMES:
            raise ValueError("is no folder, and no address that begins with gs:// or s3://")
        if "@" in parts.netloc or ":" in parts.netloc:
            raise ValueError("must not hold a user name, a password or a port")
        if parts.fragment or not _BUCKET.fullmatch(parts.netloc):
            raise ValueError("names no bucket: its name has small letters, digits, - . and _")
        prefix = parts.path.strip("/")
        if prefix and (not _PREFIX.fullmatch(prefix) or {".", ".."} & set(prefix.split("/"))):
            raise ValueError("has a prefix with other letters than A-Z a-z 0-9 . _ = - and /")
        pairs = parse_qsl(parts.query, keep_blank_values=True)
        options = dict(pairs)
        if len(options) < len(pairs) or not set(options) <= set(_OPTIONS):
            raise ValueError(
                "has something else than endpoint= and region= after its question mark; "
                "credentials never stand in an address"
            )
        if parts.scheme == "gs" and "region" in options:
            raise ValueError("has a region, which is of s3:// alone")
        found = cls(parts.scheme, parts.netloc, prefix, **options)
        if found.endpoint:
            _look_at(found)
        return found


def secrets_of(url: str) -> tuple[str, ...]:
    """The long words of an address that is refused: each of them may be a secret."""
    words = re.split(r"[:/@?&=#]+", url)
    return tuple(word for word in words if len(word) >= _SECRET)


def _look_at(address: BucketAddress) -> None:
    """Refuse an endpoint that is none.

    Over plain HTTP the token of `gs://` could be read on its way; the requests of `s3://` are
    signed, and never hold the key.
    """
    try:
        parts = urlsplit(address.endpoint)
    except ValueError:
        raise ValueError("has an endpoint that is no web address") from None
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query:
        raise ValueError("has an endpoint that is no web address, as https://minio.example:9000")
    if parts.username or parts.password:
        raise ValueError("has an endpoint with a user name or a password")
    if parts.scheme == "http" and address.scheme == "gs" and parts.hostname not in _LOOPBACK:
        raise ValueError("has an endpoint without https, over which the token could be read")
