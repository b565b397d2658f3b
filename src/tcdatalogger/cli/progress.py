"""Shows the runs that are under way: a line for each on a terminal, plain lines elsewhere.

On a terminal each line keeps its place and changes. Elsewhere a run that takes longer than two
seconds gets a line, then another one each minute, and one at its end. All lines go to the standard
error.
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

from tcdatalogger.cli.output import counted, pasteable
from tcdatalogger.clock import span
from tcdatalogger.errors import Failure
from tcdatalogger.observability import log
from tcdatalogger.text import harmless, one_line

if TYPE_CHECKING:
    from tcdatalogger.core.state.store import RunRecord

QUIET: Final = 2.0
"""Seconds that a run may take before it gets a line."""

AGAIN: Final = 60.0
"""Seconds between two lines of a run."""

BEAT: Final = 0.25
"""Seconds between two looks at the runs."""

_RUNNING: Final = "running"

_log = log.get_logger("progress")


@dataclass(frozen=True, slots=True)
class _Line:
    """A run that is shown; its times are those of the clock of `ProgressLines`, in seconds.

    Attributes:
        run: as it was at the last look.
        began: when it began.
        said: when its last line was printed; None before the first.
    """

    run: RunRecord
    began: float
    said: float | None = None


class ProgressLines:
    """Shows runs while they are under way; use it as a context manager.

    Args:
        running: reads which runs are under way, also those of other processes; called at each beat.
            None where `tell` is called for every run.
        quiet: whether nothing is shown.
        stream: to write to; None for the standard error.
        now: the seconds of a clock that never goes back, to measure how long runs take.
        wall: seconds since 1970, for runs that began before the first look.
        beats: whether a thread calls `tick`; a test calls it by itself.
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
        """Take a run as it is now: when it begins, at each step and page, and at its end."""
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
        """Add words to the line of an endpoint: how far a backfill has come."""
        with self._lock:
            self._words[endpoint] = words

    def tick(self) -> None:
        """Look at the runs, and show those that take long."""
        try:
            found = None if self._running is None else list(self._running())
        except Failure:
            return  # the state cannot be read now; the next beat tries again
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
        """Draw the lines on a terminal. Before a run takes long, nothing is drawn or imported."""
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
    """Print a line on the standard error, or log it where the lines of the log are JSON."""
    if log.structured():
        _log.info(event, **facts)
    else:
        note(text)


def note(text: str) -> None:
    """Print a line on the standard error, above the lines of `ProgressLines`."""
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
