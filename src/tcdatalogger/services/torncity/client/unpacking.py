"""Unpacks a compressed body in pieces of bounded size.

A kilobyte may unpack to a megabyte, and if packed twice to a gigabyte. So a piece is unpacked only
when the caller asks for it, and a body is unpacked once.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from typing import Final

PIECE: Final = 2**20
"""The most bytes of a piece."""
ENCODINGS: Final = frozenset({"", "identity", "gzip", "x-gzip"})
"""The values of `Content-Encoding` that are accepted."""

_GZIP: Final = 16 + zlib.MAX_WBITS
_MAGIC: Final = b"\x1f\x8b"


class Broken(Exception):
    """The packed bytes are damaged or incomplete."""


def unpacked(chunks: Iterable[bytes], encoding: str) -> Iterator[bytes]:
    """The bytes of a body in pieces of at most `PIECE`; an unpacked body stays in its chunks.

    Args:
        chunks: the bytes as they came.
        encoding: one of `ENCODINGS`.

    Raises:
        Broken: the packed bytes are damaged or incomplete.
    """
    return _gunzip(chunks) if encoding.endswith("gzip") else iter(chunks)


def _gunzip(chunks: Iterable[bytes]) -> Iterator[bytes]:
    stream = zlib.decompressobj(_GZIP)
    try:
        for chunk in chunks:
            rest = chunk
            while rest:
                if stream.eof:
                    if not _MAGIC.startswith(rest[:2]):
                        return  # padding
                    stream = zlib.decompressobj(_GZIP)
                yield stream.decompress(rest, PIECE)
                rest = stream.unused_data or stream.unconsumed_tail
    except zlib.error as error:
        raise Broken(str(error)) from None
    if not stream.eof:
        raise Broken("it ends before its end")
