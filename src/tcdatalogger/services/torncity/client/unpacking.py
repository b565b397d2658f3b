"""A body as it came over the wire becomes its bytes, a bounded piece at a time.

A kilobyte may unpack to a megabyte, and where it was packed twice to a gigabyte: so nothing is
unpacked further than somebody looks, and only once.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from typing import Final

PIECE: Final = 2**20
"""Bytes that are unpacked at most before somebody looks how many there are."""
ENCODINGS: Final = frozenset({"", "identity", "gzip", "x-gzip"})
"""What a body may be packed in: gzip is what we ask for, once."""

_GZIP: Final = 16 + zlib.MAX_WBITS
_MAGIC: Final = b"\x1f\x8b"


class Broken(Exception):
    """The packed bytes are damaged, or end before their end."""


def unpacked(chunks: Iterable[bytes], encoding: str) -> Iterator[bytes]:
    """The bytes of a body in pieces of no more than `PIECE`, or as they came where not packed.

    Args:
        chunks: as they came.
        encoding: one of `ENCODINGS`.

    Raises:
        Broken: what came is damaged, or not all of it.
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
