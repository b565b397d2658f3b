"""Records the calls of one run: keeps every answer for the archive, and counts the progress."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final, Protocol

from tcdatalogger.clock import Clock
from tcdatalogger.core.archive import Archive, ArchivedCall
from tcdatalogger.core.run.fetched import FetchHeader
from tcdatalogger.core.state import run_stats
from tcdatalogger.observability.log import get_logger
from tcdatalogger.scratch import Scratch
from tcdatalogger.services.torncity.client.envelope import count_rows
from tcdatalogger.services.torncity.client.error_codes import NoPayload, TornFault
from tcdatalogger.services.torncity.client.messages import Answer, KeptAnswer, Request
from tcdatalogger.services.torncity.processing.base import Fetched, Task

if TYPE_CHECKING:
    from tcdatalogger.core.run.people import ForgottenInAnswers

BROKEN_OFF: Final = "the fetch broke off after this page"

_log = get_logger("calls")

EVERY: Final = 1.0
"""Seconds between two times that the state is told how far a run is."""


class CallCounter(Protocol):
    """What counts the calls that were sent to Torn."""

    @property
    def calls(self) -> Sequence[float]:
        """The seconds of each call so far."""
        ...


@dataclass(slots=True)
class CallRecorder:
    """All answers of a run, with and without data.

    Attributes:
        task: the task of the run.
        clock: the clock by which waits are measured.
        told: called after each page.
        counter: has the seconds of each call of the run, also of failed calls and of calls about
            its keys. None where calls are not counted.
        cursor: the cursor at the start of the run.
        scratch: where the bodies stand; None for memory.
        forgotten: gives aliases to players who are forgotten; None where nobody is.
        kept: the answers in the order in which they came.
        so_far: the progress, by the names of fields of `RunRecord`.
    """

    task: Task
    clock: Clock
    told: Callable[[CallRecorder], None] = lambda _calls: None
    counter: CallCounter | None = None
    cursor: str | None = None
    scratch: Scratch | None = None
    forgotten: ForgottenInAnswers | None = None
    kept: list[ArchivedCall] = field(default_factory=list)
    so_far: dict[str, Any] = field(
        default_factory=lambda: {
            **dict.fromkeys(("calls", "pages", "bytes", "records", "absent"), 0),
            "waited": 0.0,
        }
    )
    _written: float = field(default_factory=time.monotonic)

    def wrap(self, get: Callable[[Request], Answer] | None) -> Callable[[Request], Answer] | None:
        """A function that calls `get` and keeps each answer; None for None."""
        if get is None:
            return None

        def keeping(request: Request) -> Answer:
            began = self.clock.now()
            if self.forgotten is not None:
                self.forgotten.refuse(request)
            try:
                answer = self._with_aliases(get(request))
            except TornFault as fault:
                if fault.answer is not None:
                    held = self._held(self._with_aliases(fault.answer))
                    self._add(ArchivedCall(held, error=fault.message), began)
                if isinstance(fault, NoPayload):
                    self.so_far["absent"] += 1
                    _log.warning("answer_without_data", path=request.path, missing=fault.said)
                raise
            answer = self._held(answer)
            self._add(ArchivedCall(answer), began)
            self.told(self)
            return answer

        return keeping

    def _with_aliases(self, answer: Answer) -> Answer:
        """The answer with aliases in place of players who are forgotten."""
        return answer if self.forgotten is None else self.forgotten.rewritten(answer)

    def _held(self, answer: Answer) -> Answer:
        """The answer with its body in the scratch."""
        if self.scratch is None:
            return answer
        return KeptAnswer(answer, self.scratch.put(answer.body))

    @property
    def _made(self) -> Sequence[float]:
        return () if self.counter is None else self.counter.calls

    def _add(self, one: ArchivedCall, began: float) -> None:
        answer, sums = one.answer, self.so_far
        self.kept.append(one)
        sums["calls"] = len(self._made)
        sums["pages"] += not one.error
        sums["bytes"] += len(answer.body)
        sums["records"] += 0 if one.error else count_rows(answer.body, answer.request.payload)
        # The time that a call waited: for its slot, for a pause, or for another try.
        held = self.clock.now() - began - answer.seconds
        sums["waited"] = round(sums["waited"] + max(0.0, held), 3)

    @property
    def key_owner(self) -> int | None:
        """The player whose key got the first answer with data; None where that is unknown."""
        return next((one.answer.key_owner for one in self.kept if not one.error), None)

    def due(self) -> bool:
        """Whether it is time to write the progress to the state."""
        now = time.monotonic()
        if now - self._written < EVERY:
            return False
        self._written = now
        return True

    def facts(self) -> dict[str, Any]:
        """The fields of `RunRecord` about the calls."""
        made = self._made
        return {
            **self.so_far,
            "calls": len(made),
            "call_seconds": run_stats.histogram(made),
            "server_time": max((one.answer.server_time for one in self.kept), default=None),
            "key_owner": self.key_owner,
        }

    def write(self, archive: Archive, fetched: Fetched | None, *, stores: bool) -> str:
        """Write the answers to the archive, also those of a failed fetch.

        Args:
            archive: the archive.
            fetched: the result of the fetch, None where it failed.
            stores: whether the run has to store its rows.

        Returns:
            The archive file, "" where there are no answers.

        Raises:
            ConfigError, DiskFull: as `Archive.write`.
        """
        if not self.kept:
            return ""
        subjects = {id(page.answer): page.subject_id for page in (fetched.pages if fetched else ())}
        kept = [replace(one, subject_id=subjects.get(id(one.answer))) for one in self.kept]
        if fetched is not None and fetched.cut is not None:
            # An answer that came after the cut is not one of the pages.
            kept = [
                one if one.error or id(one.answer) in subjects else replace(one, error=BROKEN_OFF)
                for one in kept
            ]
        if fetched is None and not kept[-1].error:
            # A fetch that failed without an answer leaves a mark: its pages are incomplete.
            kept[-1] = replace(kept[-1], error=BROKEN_OFF)
        header = FetchHeader.of(self.task, fetched, self.cursor, stores=stores)
        return archive.write(self.task.run_id, self.task.name, kept, header.facts())
