"""What was fetched, written to the archive and read back from it: the way from a file to rows."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Self

from tcdatalogger.core.archive import Archive
from tcdatalogger.errors import DataRefused
from tcdatalogger.services.torncity.lists.cursor import TimeRange, WalkSummary
from tcdatalogger.services.torncity.processing import time_ranges
from tcdatalogger.services.torncity.processing.task import Fetched, Task


@dataclass(frozen=True, slots=True)
class FetchHeader:
    """What the fetch of a run was for and how far it came, as its archive file says it.

    Attributes:
        whole: whether its fetch came to its end.
        stores: whether it was to store its rows, and not to stop before.
        asked: what it asked for (`Task.asked`).
        at: the time of its last answer by the server's clock, seconds since 1970.
        readings, stretch: how far its walks went (`Fetched`).
        accept_subject: whether it may be about another than the last run.
        cursor: after it, as its load would have it: to ask by while the ledger cannot be read, and
            never to be stored.
    """

    whole: bool = False
    stores: bool = False
    asked: str = ""
    at: float = 0.0
    readings: tuple[WalkSummary, ...] = ()
    stretch: TimeRange | None = None
    cursor: str | None = None
    accept_subject: bool = False

    @classmethod
    def of(cls, task: Task, fetched: Fetched | None, cursor: str | None, *, stores: bool) -> Self:
        """Of a run whose fetch has ended; `cursor` is the one that it began with."""
        if fetched is None:
            return cls(asked=task.asked)
        return cls(
            whole=True,
            stores=stores,
            asked=task.asked,
            at=fetched.at,
            readings=fetched.readings,
            stretch=fetched.stretch,
            cursor=time_ranges.cursor(task, cursor, fetched.readings, fetched.stretch),
            accept_subject=task.accept_subject,
        )

    @property
    def complete(self) -> bool:
        """Whether all that was asked for was read to its end."""
        return all(one.complete for one in self.readings)

    @classmethod
    def read(cls, archive: Archive, file: str) -> Self:
        """Of an archive file.

        Raises:
            DataRefused: it is gone or damaged.
        """
        facts = archive.about(file)
        readings = tuple(WalkSummary(**one) for one in facts.pop("readings", ()))
        stretch = facts.pop("stretch", None)
        return cls(**facts, readings=readings, stretch=TimeRange(**stretch) if stretch else None)

    def facts(self) -> dict[str, Any]:
        """As JSON for the archive file."""
        return asdict(self)


def fetched_from(archive: Archive, file: str) -> Fetched | None:
    """What a file of the archive holds; None where its fetch ended in an error.

    An id that Torn did not know stands among the answers as an error too and is passed over, and so
    does an answer without its data. A file of an older version does not say whether it is whole.

    Raises:
        DataRefused: it is gone or damaged.
    """
    header = FetchHeader.read(archive, file)
    kept = list(archive.read(file))
    whole = header.whole or not kept or not kept[-1][0]
    whole = whole or len({page.subject_id for _, page in kept}) > 1
    pages = tuple(page for error, page in kept if not error) if whole else ()
    if not pages:
        return None
    return Fetched(pages, readings=header.readings, stretch=header.stretch, archive=file)


def fetched_at(archive: Archive, file: str) -> float:
    """When a file was fetched, by the server's clock; 0 where it does not say it, or is gone."""
    try:
        return FetchHeader.read(archive, file).at if file else 0.0
    except DataRefused:
        return 0.0
