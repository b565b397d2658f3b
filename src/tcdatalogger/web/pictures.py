"""Pictures of answers for programs: each is drawn once, however many ask for it."""

from __future__ import annotations

import asyncio
from collections.abc import Hashable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Final

from tcdatalogger.questions.answers import Answer
from tcdatalogger.questions.pictures.picture import svg
from tcdatalogger.questions.pictures.png import png_apart
from tcdatalogger.web.cache import Cached

MOST_BYTES: Final = 32_000_000
"""Bytes of all pictures that are kept."""


@dataclass(frozen=True, slots=True)
class _Drawn:
    read_at: float
    png: bytes


class Pictures:
    """Pictures of answers, drawn one after the other and kept until the answer is read again."""

    def __init__(self) -> None:
        self._kept: dict[Hashable, _Drawn] = {}
        self._drawing = ThreadPoolExecutor(1, "pictures")

    def close(self) -> None:
        """Draw nothing more: what is drawn now is the last one, whoever waits."""
        self._drawing.shutdown(wait=False, cancel_futures=True)

    async def png(self, cached: Cached[Answer], answer: Answer, *, dark: bool) -> bytes:
        """The picture of an answer as PNG.

        Args:
            cached: what the cache has.
            answer: of it.
            dark: whether it is for a dark page.

        Raises:
            ConfigError: what draws it is not installed.
            DataRefused: it could not be drawn.
        """
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(
            self._drawing, partial(self._png, cached, answer, dark=dark)
        )

    def _png(self, cached: Cached[Answer], answer: Answer, *, dark: bool) -> bytes:
        key = (cached.asked.key, dark)
        kept = self._kept.pop(key, None)
        if kept is None or kept.read_at != cached.read_at:
            kept = _Drawn(cached.read_at, png_apart(svg(answer, dark=dark)))
        self._kept[key] = kept  # at the end: the first is what nobody asks for any more
        size = sum(len(each.png) for each in self._kept.values())
        while size > MOST_BYTES:
            size -= len(self._kept.pop(next(iter(self._kept))).png)
        return kept.png
