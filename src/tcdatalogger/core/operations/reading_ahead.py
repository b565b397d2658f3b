"""Reads archived runs in groups: the rows of many small runs are made together."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Final

from tcdatalogger.core.archive import Archive
from tcdatalogger.core.operations.from_archive import run_of
from tcdatalogger.core.run.fetched import fetched_from
from tcdatalogger.services.torncity.processing.task import Fetched

MOST: Final = 64
"""Runs of a group."""

BYTES: Final = 4 * 2**20
"""Bytes of bodies of a group: as much as the fast reader takes at once."""


def read_ahead(
    archive: Archive, files: Sequence[str], passed: Collection[str]
) -> Iterator[tuple[str, Fetched | None, Mapping[str, Fetched]]]:
    """Archived runs in their order.

    Args:
        archive: with their answers.
        files: of the runs.
        passed: runs that are not read.

    Returns:
        Each run with its answers, None where it has none or is passed; and with the answers of all
        runs of its group where it is the first one of them that has some, else with none.

    Raises:
        DataRefused: a file is missing or damaged.
    """
    waiting: list[tuple[str, Fetched | None]] = []
    size = 0
    for file in files:
        run_id = run_of(file)
        fetched = None if run_id in passed else fetched_from(archive, file)
        more = sum(len(page.body) for page in fetched.pages) if fetched else 0
        if waiting and (size + more > BYTES or len(waiting) == MOST):
            yield from _each(waiting)
            waiting, size = [], 0
        waiting.append((run_id, fetched))
        size += more
    yield from _each(waiting)


def _each(
    waiting: Sequence[tuple[str, Fetched | None]],
) -> Iterator[tuple[str, Fetched | None, Mapping[str, Fetched]]]:
    group = {run_id: fetched for run_id, fetched in waiting if fetched is not None}
    for run_id, fetched in waiting:
        yield run_id, fetched, group if fetched is not None else {}
        group = {} if fetched is not None else group
