"""Every error of this package, ordered by what to do about it.

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
    │   ├── ChannelUnavailable 69   a channel did not take a message
    │   ├── SheetsUnavailable  69   Google's sheets did not take an export
    │   ├── SchedulerUnavailable 69  no scheduler of this installation goes round
    │   ├── Busy               75   a lease is held, or a budget is spent
    │   ├── DiskFull           75   there is no space
    │   ├── DiskFailed         75   a disk does not give back what is on it
    │   └── TimedOut          124
    ├── Unbalanced           1   rows were lost or doubled: undone, and the run stays pending
    └── SetAside              one record or one subject is put aside, the rest goes on
        └── NotFound                an id that Torn does not know

A failure carries its exit code (sysexits, so that orchestrators can act on it) and a remedy:
one line that says what to do next. This module imports no other module of the package.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar


class Failure(Exception):
    """The base of all errors that the program expects.

    Attributes:
        exit_code: the exit code of a process that ends by this error.
        message: what went wrong, a whole sentence.
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
    """Somebody has to change something first; to try again without that is of no use."""


class TryAgain(Failure):
    """The same call may succeed later."""

    exit_code = 75


class SetAside(Failure):
    """One record or one subject is set aside; the rest is stored."""

    exit_code = 65


class UsageError(FixIt):
    """The words of a command line are wrong."""

    exit_code = 2


class ConfigError(FixIt):
    """The configuration is wrong, or the code of a processor that it names.

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
    """Torn refused the parameters of a call, for example a wrong field or category."""

    exit_code = 65


class DataRefused(FixIt):
    """A contract, a check or a change of schema refused the data; nothing was stored."""

    exit_code = 65


class Unbalanced(Failure):
    """The warehouse lost or doubled rows of a load: a fault of this program or of the engine.

    The transaction is undone, and the run stays pending.
    """


class TornUnavailable(TryAgain):
    """Torn, or the network on the way to Torn, does not answer."""

    exit_code = 69


class WarehouseUnavailable(TryAgain):
    """The warehouse, or the bucket of the archive, cannot be opened, read or written now."""

    exit_code = 69


class StateUnavailable(TryAgain):
    """The state cannot be opened, read or written now."""

    exit_code = 69


class StateGone(StateUnavailable):
    """The file of the state was moved or deleted while it was open; a new process can go on."""


class ChannelUnavailable(TryAgain):
    """A channel cannot be reached, or did not take a message."""

    exit_code = 69


class SchedulerUnavailable(TryAgain):
    """No scheduler of this installation runs on this machine, or it has not gone round."""

    exit_code = 69


class SheetsUnavailable(TryAgain):
    """Google's sheets cannot be reached, or did not take an export now."""

    exit_code = 69


class Busy(TryAgain):
    """Another process holds the claim, or the call budget is used up for now."""

    exit_code = 75


class DiskFull(TryAgain):
    """The disk has no space left."""

    exit_code = 75


class DiskFailed(TryAgain):
    """A disk does not give back what this process has put on it.

    The run stays pending where its answers are in the archive.
    """


class TimedOut(TryAgain):
    """A run took longer than its timeout.

    Attributes:
        reason: the failure that the run was waiting out when the time was over, None where the run
            was at work.
    """

    exit_code = 124
    reason: Failure | None = None


class NotFound(SetAside):
    """Torn does not know this id. The run goes on with the other ids."""


class Stopped(BaseException):
    """SIGTERM came: the process undoes what is half-written and ends.

    This is no `Failure`, because nothing went wrong: handlers of failures must not catch it.
    """

    exit_code: ClassVar[int] = 143
