"""What runs now, for whoever waits: a line for each endpoint on a terminal, plain lines elsewhere.

On a terminal the lines stand still and change. Elsewhere there is a line where a run has taken
longer than two seconds, one each minute after it, and one when it has ended. All of it goes to the
standard error.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, Self, TextIO

from tcdatalogger.cli.output import counted, pasteable, span
from tcdatalogger.errors import Failure
from tcdatalogger.observability import log
from tcdatalogger.text import harmless, one_line

if TYPE_CHECKING:
    from tcdatalogger.core.state.store import RunRecord

QUIET: Final = 2.0
"""Seconds that a run may take without a word."""

AGAIN: Final = 60.0
"""Seconds after which it is told again what a run does, or waits for."""

BEAT: Final = 0.25
"""Seconds between two looks at what runs."""

_RUNNING: Final = "running"

_log = log.get_logger("progress")


@dataclass(frozen=True, slots=True)
class _Line:
    """A run that is shown: as it was last, since when, and when it was said last that it runs."""

    run: RunRecord
    began: float
    said: float | None = None


class ProgressLines:
    """Shows runs while they last; use it as a context manager.

    Args:
        running: reads which runs are under way, also those in other processes; asked at each beat.
            None where `tell` says all.
        quiet: show nothing.
        stream: instead of the standard error.
        now: seconds on the clock by which waiting is measured.
        wall: seconds since 1970, for runs that began before anybody looked.
        beats: whether a thread calls `tick`; a test does it itself.
    """

    def __init__(
        self,
        *,
        running: Callable[[], Iterable[RunRecord]] | None = None,
        quiet: bool = False,
        stream: TextIO | None = None,
        now: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
        beats: bool = True,
    ) -> None:
        self._running = running
        self._quiet = quiet
        self._stream = sys.stderr if stream is None else stream
        self._terminal = self._stream.isatty()
        self._now, self._wall, self._beats = now, wall, beats
        self._lines: dict[str, _Line] = {}
        self._words: dict[str, str] = {}
        self._lock = threading.RLock()
        self._over = threading.Event()
        self._thread: threading.Thread | None = None
        self._live: Any = None

    def __enter__(self) -> Self:
        if self._beats and not self._quiet:
            self._thread = threading.Thread(target=self._beat, name="progress", daemon=True)
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        if self._thread is not None:
            self._thread.join()
        with self._lock:
            self._lines.clear()
            self._draw()

    # --- what happens ----------------------------------------------------------------------

    def tell(self, run: RunRecord) -> None:
        """A run as it is now: when it begins, at each step and page, and when it has ended."""
        if self._quiet:
            return
        with self._lock:
            line = self._lines.get(run.run_id)
            if run.status == _RUNNING:
                self._lines[run.run_id] = (
                    _Line(run, self._now()) if line is None else replace(line, run=run)
                )
            elif line is not None:
                self._end(replace(line, run=run))

    def say(self, endpoint: str, words: str) -> None:
        """What else is to be known of an endpoint's runs: how far a backfill has come."""
        with self._lock:
            self._words[endpoint] = words

    def tick(self) -> None:
        """Look at what runs, and show it where it takes its time."""
        try:
            found = None if self._running is None else list(self._running())
        except Failure:
            return  # the books cannot be read now; the next beat tries again
        with self._lock:
            if found is not None:
                self._look(found)
            if self._terminal:
                self._draw()
                return
            for line in list(self._lines.values()):
                now = self._now()
                due = line.began + QUIET if line.said is None else line.said + AGAIN
                if now >= due:
                    self._lines[line.run.run_id] = replace(line, said=now)
                    self._print(line, "still running")

    # --- how it is shown -------------------------------------------------------------------

    def _beat(self) -> None:
        while not self._over.wait(BEAT):
            self.tick()

    def _look(self, found: list[RunRecord]) -> None:
        for run in found:
            if run.run_id not in self._lines:
                since = max(0.0, self._wall() - run.started_at)
                self._lines[run.run_id] = _Line(run, self._now() - since)
            self.tell(run)
        ids = {run.run_id for run in found}
        for run_id in [run_id for run_id in self._lines if run_id not in ids]:
            self._end(self._lines[run_id])

    def _end(self, line: _Line) -> None:
        del self._lines[line.run.run_id]
        if line.said is not None:
            self._print(line, "ended" if line.run.status == _RUNNING else line.run.status)

    def _print(self, line: _Line, status: str) -> None:
        if log.structured() and self._stream is sys.stderr:
            run = line.run
            _log.info(
                "run_progress",
                status=status,
                run_id=run.run_id,
                endpoint=run.endpoint,
                step=run.step,
                pages=run.pages,
                rows=_rows(run),
                waited=round(run.waited, 1),
                seconds=round(self._now() - line.began, 1),
            )
            return
        try:
            self._stream.write(f"{self._text(line)}, {status}\n")
            self._stream.flush()
        except (OSError, ValueError):
            return  # nobody is there to read it, and that must not end a run

    def _text(self, line: _Line) -> str:
        run = line.run
        words = [
            f"{run.endpoint}: {run.step}",
            _count(run.pages, "page"),
            _count(_rows(run), "row"),
            f"waited {span(run.waited)} for the budget" if run.waited >= 1 else "",
            span(max(0.0, self._now() - line.began)),
            self._words.get(run.endpoint, ""),
        ]
        return one_line(", ".join(filter(None, words)))

    def _draw(self) -> None:
        """The lines on a terminal; none of them, and none of rich, before it takes its time."""
        shown = [
            line
            for line in self._lines.values()
            if self._live is not None or self._now() - line.began >= QUIET / 2
        ]
        if self._live is None:
            if not (self._terminal and shown):
                return
            self._live = _live(self._stream)
        if self._lines:
            self._live.update(_rendered([self._text(line) for line in shown]), refresh=True)
        else:
            self._live.stop()
            self._live = None


def notice(text: str, event: str, **facts: object) -> None:
    """A line for whoever looks on: as text, or in the log where its lines are JSON."""
    if log.structured():
        _log.info(event, **facts)
    else:
        note(text)


def note(text: str) -> None:
    """A line on the standard error, above the lines that are live there."""
    with suppress(OSError, ValueError):  # nobody is there to read it
        # Not by click, which writes past whatever stands in the place of the standard error.
        sys.stderr.write(f"{harmless(pasteable(text))}\n")
        sys.stderr.flush()


def _count(many: int, what: str) -> str:
    return counted(many, what) if many else ""


def _rows(run: RunRecord) -> int:
    return sum(run.rows.values()) or run.records


def _live(stream: TextIO) -> Any:
    from rich.console import Console  # only where somebody looks
    from rich.live import Live

    plain = "NO_COLOR" in os.environ
    console = Console(file=stream, no_color=plain, highlight=False, stderr=stream is sys.stderr)
    live = Live(console=console, auto_refresh=False, transient=True, redirect_stdout=False)
    live.start()
    return live


def _rendered(texts: list[str]) -> Any:
    from rich.table import Table
    from rich.text import Text

    table = Table.grid()
    table.add_column(no_wrap=True, overflow="ellipsis")
    for text in texts:
        name, _, rest = text.partition(": ")
        # As Text, since a name with brackets in it would be read as markup.
        table.add_row(Text.assemble((name, "bold cyan"), ": ", rest))
    return table
