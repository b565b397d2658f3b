"""What every page is made from: the installation, the cache, the state, and who looks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from threading import Lock
from typing import Final, Literal, cast

from starlette.requests import Request

from tcdatalogger.clock import Clock
from tcdatalogger.core.config.settings import Settings
from tcdatalogger.core.main import Application
from tcdatalogger.core.state import run_stats
from tcdatalogger.core.state.store import State
from tcdatalogger.errors import Failure
from tcdatalogger.questions.question import Audience, Question
from tcdatalogger.questions.relations import Relations
from tcdatalogger.web.analyst import Analyst
from tcdatalogger.web.cache import AnswerCache
from tcdatalogger.web.pictures import Pictures

Role = Literal["owner", "officer", "member"]
"""Who looks: `owner` sees all, `officer` nothing of the owner's own, `member` what all may see."""

PERIODS: Final = (7, 30, 90)
"""Days that a page offers."""
_SEES: Final[Mapping[Role, tuple[Audience, ...]]] = {
    "owner": ("faction", "officer", "owner"),
    "officer": ("faction", "officer"),
    "member": ("faction",),
}
_NO_LOAD: Final = ("failed", "stopped")
"""How runs end that store nothing."""


@dataclass(frozen=True, slots=True)
class Viewer:
    """Who looks at a page.

    Attributes:
        role: what this one may see.
        signed_in: whether by a password; False on a machine of one's own, where there is none.
        exported: whether the page becomes a file, which a browser cannot ask for anything else:
            without script, forms, what is to be configured, and what is about this machine.
    """

    role: Role = "owner"
    signed_in: bool = False
    exported: bool = False

    def sees(self, question: Question) -> bool:
        """Whether this one may see the answer to a question."""
        return question.audience in _SEES[self.role]


def viewer(request: Request) -> Viewer:
    """Who asks; `security.SecurityMiddleware` has found it out."""
    return cast("Viewer", request.state.viewer)


class StateReader:
    """The state of the configuration, opened at its first use and kept. Threads may share it.

    Args:
        settings: of the configuration.
        clock: the source of time.
    """

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._lock = Lock()
        self._state: State | None = None
        self._marks: Mapping[str, float] = {}

    def open(self) -> State | None:
        """The state; None before the first run: a reader must not make one.

        Raises:
            ConfigError: it cannot be opened.
            StateUnavailable: it cannot be reached now.
        """
        with self._lock:
            if self._state is None and self._settings.state.begun:
                self._state = State(self._settings.state.url or "", self._clock)
            return self._state

    def close(self) -> None:
        """Close it; the next use opens it again."""
        with self._lock:
            if self._state is not None:
                self._state.close()
                self._state = None

    def known(self, run_ids: Iterable[str]) -> frozenset[str]:
        """Those of some runs that the state knows; none where it cannot be read."""
        try:
            state = self.open()
            if state is None:
                return frozenset()
            return frozenset(each for each in run_ids if state.runs(run_id=each, most=1))
        except Failure:
            self.close()
        return frozenset()

    def marks(self) -> Mapping[str, float]:
        """How many runs of each endpoint may have changed its tables; the last known number where
        the state cannot be read.
        """
        try:
            state = self.open()
            if state is None:
                return {}
            found: dict[str, float] = {}
            for (name, status), count in run_stats.sums(state).get("runs", {}).items():
                if status not in _NO_LOAD:
                    found[name] = found.get(name, 0.0) + count
            self._marks = found
        except Failure:
            self.close()
        return self._marks


@dataclass(frozen=True, slots=True)
class Context:
    """What every page is made from.

    Attributes:
        settings: the configuration.
        questions: by name, those of this program and the user's own.
        relations: what the tables mean to a question.
        cache: the answers.
        state: the runs.
        clock: the source of time.
        application: the parts that the pages are wired from.
        program: how commands on the pages call the program.
        pictures: those that were drawn.
        analyst: asks SQL of a copy; None where others see the pages, and for BigQuery.
        periods: days that a page offers.
    """

    settings: Settings
    questions: Mapping[str, Question]
    relations: Relations
    cache: AnswerCache
    state: StateReader
    clock: Clock
    application: Application
    program: str = "tcdatalogger"
    pictures: Pictures = field(default_factory=Pictures)
    analyst: Analyst | None = None
    periods: tuple[int, ...] = PERIODS

    def close(self) -> None:
        """Close the state, draw no more pictures, and take the analyst's copy away."""
        self.state.close()
        self.pictures.close()
        if self.analyst is not None:
            self.analyst.close()


def context(request: Request) -> Context:
    """What the page of a request is made from."""
    return cast("Context", request.app.state.context)


def analyst(request: Request) -> Analyst | None:
    """Who answers the SQL of somebody; None for who may not ask any."""
    return context(request).analyst if viewer(request).role == "owner" else None
