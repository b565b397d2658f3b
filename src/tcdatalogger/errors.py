"""Every error of ours, by what to do about it. This module imports nothing of ours.

    Failure
    ├── FixIt                 somebody must change something first
    │   ├── UsageError          2   the command line
    │   ├── ConfigError        78   the configuration: every mistake at once
    │   ├── KeyRefused         77   a key is dead, or may not do this
    │   ├── RequestRefused     65   Torn says that this question makes no sense
    │   └── DataRefused        65   the data, or a change of schema, was refused
    ├── TryAgain              the same call may go through later
    │   ├── TornUnavailable    69   Torn, or the way to it
    │   ├── WarehouseUnavailable 69
    │   ├── StateUnavailable   69
    │   │   └── StateGone       69   its file was moved away or deleted while it was open
    │   ├── Busy               75   a lease is held, or a budget is spent
    │   ├── DiskFull           75   there is no space
    │   └── TimedOut          124
    ├── Unbalanced           1   rows were lost or doubled by us or by the engine: undone and owed
    └── SetAside              one record or one subject is put aside, the rest goes on
        ├── Misfit                  a record that breaks its shape
        └── NotFound                an id that Torn does not know

A failure carries its exit code (sysexits, so that orchestrators can act on it) and a remedy:
one line that says what to do next.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar


class Failure(Exception):
    """Anything that can go wrong in a way that we foresaw.

    Attributes:
        exit_code: what a process that ends by it returns.
        remedy: what to do next, one line, or "" where the message says it all.
        facts: names and values for the log; never a key, never a body.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, remedy: str = "", **facts: object) -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy
        self.facts = facts

    def __str__(self) -> str:
        if self.remedy and not self.message.endswith((".", "!", "?")):
            return f"{self.message}. {self.remedy}"
        return f"{self.message} {self.remedy}".strip()


class FixIt(Failure):
    """Trying again without changing something is of no use."""


class TryAgain(Failure):
    """The same call may succeed later."""

    exit_code = 75


class SetAside(Failure):
    """One record or one subject cannot be taken; the rest can."""

    exit_code = 65


class UsageError(FixIt):
    exit_code = 2


class ConfigError(FixIt):
    """The configuration is wrong.

    Attributes:
        problems: every mistake found, each a whole sentence with its place and its remedy.
    """

    exit_code = 78

    def __init__(self, message: str, *, problems: Sequence[str] = (), remedy: str = "") -> None:
        super().__init__(message, remedy=remedy)
        self.problems = tuple(problems)

    def __str__(self) -> str:
        return "\n".join([super().__str__(), *(f"  - {problem}" for problem in self.problems)])


class KeyRefused(FixIt):
    """Torn refused the key, or the key may not do this."""

    exit_code = 77


class RequestRefused(FixIt):
    """Torn understood the call and says that it makes no sense: a wrong field or category."""

    exit_code = 65


class DataRefused(FixIt):
    """A contract, a check or a plan of evolution refused the data; nothing was stored."""

    exit_code = 65


class Unbalanced(Failure):
    """Rows that were handed in are not there, or more than once: a fault of ours or of the engine.

    The transaction is undone, and the run stays owed: nobody else did anything wrong.
    """


class TornUnavailable(TryAgain):
    exit_code = 69


class WarehouseUnavailable(TryAgain):
    exit_code = 69


class StateUnavailable(TryAgain):
    exit_code = 69


class StateGone(StateUnavailable):
    """Whoever has it open has to begin anew."""


class Busy(TryAgain):
    exit_code = 75


class DiskFull(TryAgain):
    """Nothing is wrong with the place, save that nothing more fits."""

    exit_code = 75


class TimedOut(TryAgain):
    """A run has had its time.

    Attributes:
        reason: what it was waiting out just then, None where it was at work. That is why it ended.
    """

    exit_code = 124
    reason: Failure | None = None


class Misfit(SetAside):
    """A record that breaks its shape."""


class NotFound(SetAside):
    """Torn does not know this id: a tombstone, not a failure."""


class Stopped(BaseException):
    """SIGTERM came: unwind to the next safe place, leave nothing half-written, and end.

    No `Failure`: nothing went wrong, and whoever handles those must not take it for one.
    """

    exit_code: ClassVar[int] = 143
