"""The answers that pages show, and the one gate through which they are read from the warehouse.

A page never opens the warehouse. It asks the cache, which shows what was read last. Whether that is
still true is known from the state: each load of an endpoint counts there. What is missing or old is
read by one thread, all of it in one short opening of the warehouse, so any number of viewers costs
the runs that want to write as much as one.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from threading import Condition, Event, Thread
from typing import Any, Final, Generic, Literal, Protocol, Self, TypeVar

from tcdatalogger import ending
from tcdatalogger.clock import Clock
from tcdatalogger.errors import Failure, Stopped, TimedOut, UsageError, WarehouseUnavailable
from tcdatalogger.observability.log import get_logger
from tcdatalogger.questions.answers import Answer, ask
from tcdatalogger.questions.question import Question, Value
from tcdatalogger.questions.relations import Relations
from tcdatalogger.services.warehouse.protocol import Warehouse

REST: Final = 10.0
"""Seconds from the end of one opening of the warehouse to the next, for answers that are old."""
PAUSE: Final = 0.25
"""The same for answers that nobody has read yet, at least."""
SHARE: Final = 0.05
"""The share of the time for which the warehouse is held at most while old answers are read."""
HOLD: Final = 0.1
"""Seconds after which an opening ends, even if answers are left: a run may want to write."""
FIRST_HOLD: Final = 1.0
"""The same of the first opening: whoever begins the program waits for its first page."""
VISIBLE: Final = 60.0
"""Seconds for which a page counts as looked at after it was asked for."""
OLD: Final = 600.0
"""Seconds after which an answer is read again, even if the state knows of no new load."""
MOST: Final = 400
"""The most answers that are kept."""
LARGEST: Final = 32_000_000
"""Bytes of the largest answer that is kept: 300,000 rows of a hundred bytes are no page."""
MOST_BYTES: Final = 256_000_000
"""Bytes of all answers that are kept: each value of a parameter has an answer of its own."""

Standing = Literal["fresh", "old", "waiting", "held", "failed", "slow"]
"""How an answer stands: `waiting` to be read the first time; `held` where another program has the
warehouse; `failed` where it was refused; `slow` where it took too long."""

_log = get_logger("ui")

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class Wanted(Protocol[T_co]):
    """Something that pages show of the warehouse, and how it is read."""

    @property
    def key(self) -> Hashable:
        """What the cache knows it by."""
        ...

    def mark(self, relations: Relations, marks: Mapping[str, float], /) -> float:
        """A number that changes when there may be something new.

        Args:
            relations: of the installation.
            marks: how many loads each endpoint has made, by its name.
        """
        ...

    def read(self, warehouse: Warehouse, relations: Relations, /) -> T_co:
        """Read it.

        Raises:
            WarehouseUnavailable: the warehouse cannot be reached now.
            Failure: it cannot be read.
        """
        ...


@dataclass(frozen=True, slots=True)
class Asked:
    """A question with the values of its parameters (`answers.given`)."""

    question: Question
    values: Mapping[str, Value]

    @property
    def key(self) -> Hashable:
        """What the cache knows it by."""
        values = tuple(sorted(self.values.items(), key=lambda each: each[0]))
        # The search has questions of its own, and somebody may call one of his as it does.
        return self.question.place, self.question.name, values

    def mark(self, relations: Relations, marks: Mapping[str, float], /) -> float:
        """How many loads its endpoints have made."""
        return sum(marks.get(name, 0.0) for name in relations.names(self.question))

    def read(self, warehouse: Warehouse, relations: Relations) -> Answer:
        """The answer.

        Raises:
            UsageError: it is too large to be kept.
        """
        answer = ask(warehouse, relations, self.question, self.values)
        if _size(answer) > LARGEST and answer.rows is not None:
            raise UsageError(
                f"The answer has {answer.rows.num_rows:,} rows, too many for a page.",
                remedy=f"`tcdatalogger ask {self.question.name} --csv` writes all of them.",
            )
        return answer


def _size(answer: object) -> int:
    """Bytes of an answer; 0 for what is no answer to a question, which is small."""
    rows = answer.rows if isinstance(answer, Answer) else None
    return 0 if rows is None else rows.nbytes


@dataclass(frozen=True, slots=True)
class Cached(Generic[T]):
    """What the cache has of a question, or of something else that it reads.

    Attributes:
        asked: the question.
        standing: how the answer stands.
        answer: the newest one that could be read; None before the first.
        read_at: when that was, in seconds since 1970.
        says, remedy: what went wrong the last time, and what to do; "" for nothing.
    """

    asked: Wanted[T]
    standing: Standing = "waiting"
    answer: T | None = None
    read_at: float = 0.0
    says: str = ""
    remedy: str = ""


@dataclass(slots=True)
class _Entry:
    cached: Cached[Any]
    mark: float = -1.0
    seen_at: float = 0.0
    tried: bool = False
    size: int = 0


def _turn(entry: _Entry) -> tuple[bool, float]:
    """The order of reading: what was never read, the last first; then what was read long ago."""
    return entry.tried, entry.cached.read_at if entry.tried else -entry.seen_at


class AnswerCache:
    """Answers by question and values. Threads may share it.

    Args:
        open_warehouse: opens the warehouse for reading; it waits a moment at most.
        relations: of the installation.
        marks: how many loads each endpoint has made, by its name; from the state.
        clock: the source of time.
    """

    def __init__(
        self,
        open_warehouse: Callable[[], Warehouse],
        relations: Relations,
        marks: Callable[[], Mapping[str, float]],
        clock: Clock,
    ) -> None:
        self._open = open_warehouse
        self._relations = relations
        self._marks = marks
        self._clock = clock
        self._entries: dict[Hashable, _Entry] = {}
        self._changed = Condition()
        self._closed_at = float("-inf")
        self._held_for: float | None = None
        self._unfinished = False
        self._version = 0
        self._ended = Event()
        self._thread = Thread(target=self._forever, name="cache", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with self._changed:
            self._ended.set()
            self._changed.notify_all()
        self._thread.join(1.0)

    # --- to ask ----------------------------------------------------------------------------------

    def look(self, asked: Sequence[Wanted[T]], wait: float = 0.0) -> list[Cached[T]]:
        """What there is now of each question; from now on they are kept fresh for a while.

        Args:
            asked: the questions of a page.
            wait: the most seconds to wait for answers that were never read.
        """
        now, marks = self._clock.now(), self._marks()
        with self._changed:
            entries = [self._entry(each, now) for each in asked]
            self._forget()
            if any(self._is_due(entry, marks, now) for entry in entries):
                self._changed.notify_all()
            if wait > 0:
                self._changed.wait_for(lambda: all(entry.tried for entry in entries), wait)
            return [self._shown(entry, marks, now) for entry in entries]

    def kept(self) -> list[Cached[Any]]:
        """All that was asked for and is kept, as it stands."""
        with self._changed:
            return [entry.cached for entry in self._entries.values()]

    @property
    def version(self) -> int:
        """A number that changes when an answer does."""
        return self._version

    def _entry(self, asked: Wanted[Any], now: float) -> _Entry:
        entry = self._entries.pop(asked.key, None) or _Entry(Cached(asked))
        self._entries[asked.key] = entry  # at the end: the first is what nobody looks at any more
        entry.seen_at = now
        return entry

    def _forget(self) -> None:
        kept = sum(entry.size for entry in self._entries.values())
        while len(self._entries) > MOST or kept > MOST_BYTES:
            kept -= self._entries.pop(next(iter(self._entries))).size

    def _mark(self, entry: _Entry, marks: Mapping[str, float]) -> float:
        return entry.cached.asked.mark(self._relations, marks)

    def _is_due(self, entry: _Entry, marks: Mapping[str, float], now: float) -> bool:
        if not entry.tried or entry.cached.standing == "held":
            return True
        return entry.mark != self._mark(entry, marks) or now - entry.cached.read_at > OLD

    def _shown(self, entry: _Entry, marks: Mapping[str, float], now: float) -> Cached[Any]:
        cached = entry.cached
        if cached.standing == "fresh" and self._is_due(entry, marks, now):
            return replace(cached, standing="old")
        return cached

    # --- to read ---------------------------------------------------------------------------------

    def refresh(self) -> float:
        """Read what visible pages lack, if the warehouse has rested long enough.

        Returns the seconds after which there may be something to do; infinity for nothing.
        """
        now, marks = self._clock.now(), self._marks()
        with self._changed:
            visible = [e for e in self._entries.values() if now - e.seen_at <= VISIBLE]
            due = [entry for entry in visible if self._is_due(entry, marks, now)]
            due.sort(key=_turn)
            if not due:
                return REST if visible else float("inf")
            pause = self._rest(first=not due[0].tried)
            rest = self._closed_at + pause - now
            if 0 < rest <= pause:  # a longer one: the clock was set back
                return rest
        self._read(due, marks)
        with self._changed:
            self._closed_at = self._clock.now()
            self._held_for = self._closed_at - now
            self._version += 1
            self._changed.notify_all()
        return PAUSE

    def _rest(self, *, first: bool) -> float:
        """Seconds for which the warehouse is left alone after an opening.

        A slow machine holds it longer for each answer, and so leaves it alone for longer too.

        Args:
            first: whether somebody waits for an answer that nobody has read.
        """
        held = self._held_for or 0.0
        if first:
            return max(PAUSE, held)
        return max(PAUSE, held * (1 / SHARE - 1)) if self._unfinished else max(REST, held / SHARE)

    def _read(self, due: Sequence[_Entry], marks: Mapping[str, float]) -> None:
        began, self._unfinished = self._clock.now(), False
        hold = FIRST_HOLD if self._held_for is None else HOLD
        try:
            opened = self._open()
        except Failure as error:  # as a key that is not where the configuration says
            self._held(due, error.message, error.remedy)
            return
        with opened as warehouse:
            for number, entry in enumerate(due):
                if number and self._clock.now() - began > hold:
                    self._unfinished = True
                    return
                # The mark is older than the answer: a load between the two is read once more.
                mark = self._mark(entry, marks)
                found = self._ask(warehouse, entry.cached)
                with self._changed:
                    entry.cached, entry.mark, entry.tried = found, mark, True
                    entry.size = _size(found.answer)
                    self._forget()
                    self._changed.notify_all()
                if found.standing == "held":
                    self._held(due, found.says, found.remedy)
                    return

    def _ask(self, warehouse: Warehouse, before: Cached[Any]) -> Cached[Any]:
        asked, now = before.asked, self._clock.now()
        try:
            answer = asked.read(warehouse, self._relations)
        except WarehouseUnavailable as error:
            return replace(before, standing="held", says=error.message, remedy=error.remedy)
        except TimedOut as error:
            return replace(
                before, standing="slow", read_at=now, says=error.message, remedy=error.remedy
            )
        except Failure as error:
            return replace(
                before, standing="failed", read_at=now, says=error.message, remedy=error.remedy
            )
        except Exception as error:  # noqa: BLE001  # the one thread that reads outlives it
            ending.check()  # an error of the engine's, where it was broken into
            kind = type(error).__name__
            _log.error("answer_failed", error=kind)
            says = f"The answer could not be made: {kind}."
            return replace(before, standing="failed", read_at=now, says=says, remedy="")
        return Cached(asked, "fresh", answer, now)

    def _held(self, due: Sequence[_Entry], says: str, remedy: str) -> None:
        """Nothing can be read now: say so of all that was to be read."""
        with self._changed:
            for entry in due:
                entry.cached = replace(entry.cached, standing="held", says=says, remedy=remedy)
                entry.tried = True

    def _forever(self) -> None:
        while not self._ended.is_set():
            try:
                pause = self.refresh()
            except (Stopped, KeyboardInterrupt):  # the process ends: its engine was interrupted
                return
            with self._changed:
                if not self._ended.is_set():
                    self._changed.wait(None if pause == float("inf") else max(pause, 0.02))
