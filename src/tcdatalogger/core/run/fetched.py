"""Writes fetched answers to the archive and reads them back."""

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
    """The facts of a fetch in its archive file.

    Attributes:
        whole: whether the fetch came to its end.
        stores: whether the run has to store its rows, and does not stop before.
        asked: identifies the list (`Task.asked`).
        at: the time of the last answer by the server's clock, seconds since 1970.
        readings, stretch: how far its walks went (`Fetched`).
        accept_subject: whether the run may be about another subject than the last run.
        cursor: the cursor after the run. It is used to ask Torn while the ledger cannot be read,
            and it is never stored in the ledger.
        params: the parameters that were asked with (`Fetched.params`).
        key_owner: the player whose key made the first of the calls.
    """

    whole: bool = False
    stores: bool = False
    asked: str = ""
    at: float = 0.0
    readings: tuple[WalkSummary, ...] = ()
    stretch: TimeRange | None = None
    cursor: str | None = None
    accept_subject: bool = False
    params: tuple[tuple[str, str], ...] | None = None
    key_owner: int | None = None

    @classmethod
    def of(cls, task: Task, fetched: Fetched | None, cursor: str | None, *, stores: bool) -> Self:
        """The header of a run whose fetch has ended.

        Args:
            task: the task of the run.
            fetched: the answers, None where the fetch failed.
            cursor: the cursor at the start of the run.
            stores: whether the run has to store its rows.
        """
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
            params=fetched.params,
            key_owner=fetched.key_owner,
        )

    @property
    def complete(self) -> bool:
        """Whether all lists were read to their end."""
        return all(one.complete for one in self.readings)

    @classmethod
    def read(cls, archive: Archive, file: str) -> Self:
        """The header of an archive file.

        Raises:
            DataRefused: the file is missing or damaged.
        """
        facts = archive.about(file)
        readings = tuple(WalkSummary(**one) for one in facts.pop("readings", ()))
        stretch = facts.pop("stretch", None)
        params = facts.pop("params", None)
        return cls(
            **facts,
            readings=readings,
            stretch=TimeRange(**stretch) if stretch else None,
            params=None if params is None else tuple((name, value) for name, value in params),
        )

    def facts(self) -> dict[str, Any]:
        """The header as JSON values for the archive file."""
        return asdict(self)


def fetched_from(archive: Archive, file: str) -> Fetched | None:
    """The answers in an archive file; None where its fetch ended with an error.

    Answers about an unknown id and answers without data are left out. A file of an older version
    does not say whether its fetch came to its end, nor with which parameters it was configured:
    those count that all of its calls had alike.

    Raises:
        DataRefused: the file is missing or damaged.
    """
    header = FetchHeader.read(archive, file)
    scratch = archive.scratch()
    kept = list(archive.read(file, scratch))
    whole = header.whole or not kept or not kept[-1][0]
    whole = whole or len({page.subject_id for _, page in kept}) > 1
    pages = tuple(page for error, page in kept if not error) if whole else ()
    if not pages:
        return None
    params = header.params
    if params is None:
        asked = [set(page.answer.request.params) for page in pages if page.answer]
        params = tuple(sorted(set.intersection(*asked)))
    return Fetched(
        pages,
        readings=header.readings,
        stretch=header.stretch,
        archive=file,
        params=params,
        key_owner=header.key_owner,
        scratch=scratch,
    )


def fetched_at(archive: Archive, file: str) -> float:
    """The time of a fetch by the server's clock; 0 where the file has no time or is missing."""
    try:
        return FetchHeader.read(archive, file).at if file else 0.0
    except DataRefused:
        return 0.0
