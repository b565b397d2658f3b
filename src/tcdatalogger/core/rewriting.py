"""Answers in the archive are written anew, where something in them is to be another.

A file is read as a whole first. What takes its place is written into a file without a name, read
back, and compared with what was to be written; only then it gets the name of the former. A joined
file gets another name, as its name is made of its content, and is proved as joining proves it.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import PurePosixPath
from tempfile import TemporaryFile
from typing import IO, Protocol

import pyarrow as pa

from tcdatalogger import private
from tcdatalogger.core import answers
from tcdatalogger.core.answers import SPOILT, Answers, RunSum
from tcdatalogger.core.archive import JOINED, REFUSED, Archive, StoredRun
from tcdatalogger.core.joining import name_of, prove
from tcdatalogger.errors import DataRefused
from tcdatalogger.services.storage.protocol import StoredFile


class Change(Protocol):
    """What is to be another in the answers of a run."""

    def about(self, about: str | None) -> str | None:
        """The header of the run's file, as JSON."""
        ...

    def rows(self, rows: pa.RecordBatch) -> pa.RecordBatch:
        """Some of its rows, as many as are left; the same where nothing is to be another."""
        ...


@dataclass(frozen=True, slots=True)
class _Changed:
    """The rows of a run after a change, as often as they are gone through."""

    place: StoredRun
    change: Change

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        count = 0
        for rows in self.place:
            made = self.change.rows(rows)
            if made.num_rows != rows.num_rows or count:
                pages = pa.array(range(count, count + made.num_rows), pa.int64())
                made = made.set_column(made.schema.get_field_index("page"), "page", pages)
            count += made.num_rows
            if made.num_rows:
                yield made


def rewrite(archive: Archive, one: StoredFile, change: Change, *, dry: bool = False) -> int:
    """Write the answers of a file anew; how many runs of it are another now.

    Whoever calls has the claim of the endpoint.

    Args:
        archive: with the file.
        one: the file, that of a run or a joined one.
        change: what is to be another.
        dry: whether the runs are only counted.

    Raises:
        DataRefused: the file is damaged, or what was written is not what was to be written.
        WarehouseUnavailable, ConfigError, DiskFull: the place of the files; nothing is lost.
    """
    try:
        if one.name.endswith(JOINED):
            return _joined(archive, one, change, dry=dry)
        return _own(archive, one, change, dry=dry)
    except FileNotFoundError:  # its time was over
        return 0
    except SPOILT as error:
        why = str(error).partition("\n")[0].rstrip(".")
        raise DataRefused(
            f"The archive file {one.name} cannot be read: {why}.",
            remedy="Nobody can be forgotten in it. Bring it back from a backup, or delete it.",
        ) from None


def _own(archive: Archive, one: StoredFile, change: Change, *, dry: bool) -> int:
    place = StoredRun(archive.storage, one.name)
    told = Answers(PurePosixPath(one.name).stem, place.about(), "", place)
    now = _after(told, place, change)
    if now is None:
        if not dry:
            mark = str(PurePosixPath(one.name).with_suffix(REFUSED))
            archive.storage.delete([one.name, mark])
        return 1
    if now.sha256 == _sum(told.about, told.batches).hex():
        return 0
    if not dry:
        folder = private.folder(archive.storage.halves_folder)
        with TemporaryFile(dir=folder) as file:
            answers.write_apart(now.about, now.batches, file)
            _compare(file, now, one.name)
            archive.storage.write(one.name, partial(_copied, file))
        archive.storage.deliver(one.name)
    return 1


def _copied(source: IO[bytes], target: IO[bytes]) -> None:
    source.seek(0)
    shutil.copyfileobj(source, target)


def _compare(file: IO[bytes], wanted: Answers, name: str) -> None:
    """Read what was written, and compare it with what was to be written.

    Raises:
        DataRefused: it differs; the former file is as it was.
    """
    import pyarrow.parquet as pq  # noqa: PLC0415 - 30 ms that only runs need

    file.flush()
    file.seek(0)
    with pq.ParquetFile(pa.PythonFile(file, "r"), page_checksum_verification=True) as content:
        about = answers.about_of(content.schema_arrow)
        seen = _sum(about, content.iter_batches(use_threads=False))
    if seen.hex() != wanted.sha256:
        raise DataRefused(
            f"The archive file {name} cannot be written anew: what was written differs.",
            remedy="The file is as it was. Look at the disk, and try again.",
        )


def _joined(archive: Archive, one: StoredFile, change: Change, *, dry: bool) -> int:
    joined = archive.joined(one)
    content: list[Answers] = []
    changed = 0
    for run in joined.runs.values():
        place = StoredRun(archive.storage, one.name, (joined, run))
        told = Answers(run.run_id, run.about, run.sha256, place)
        now = _after(told, place, change)
        if now is None or now.sha256 != told.sha256:
            changed += 1
            told = now or replace(told, batches=())
        if now is not None:
            content.append(told)
    if dry or not changed:
        return changed
    if content:
        name = name_of(PurePosixPath(one.name).parent, content)
        archive.storage.write(name, partial(answers.write_joined, content))
        archive.storage.deliver(name)
        prove(archive, name, content)
    archive.storage.delete([one.name])
    return changed


def _after(told: Answers, place: StoredRun, change: Change) -> Answers | None:
    """The answers of a run after a change; None where none is left."""
    batches = _Changed(place, change)
    about = change.about(told.about)
    seen = _sum(about, batches)
    return Answers(told.run_id, about, seen.hex(), batches) if seen.rows else None


def _sum(about: str | None, batches: Iterable[pa.RecordBatch]) -> RunSum:
    seen = RunSum(about)
    for rows in batches:
        seen.add(rows)
    return seen
