"""Joins the archive files of days that are over, one file for a day of an endpoint.

An endpoint that runs every quarter of an hour has 35,000 files a year, and each look at the archive
gets slower by them. No byte may be lost by that, at whatever step the process is killed:

1. Each file of the day is read as a whole, and a checksum made of all that it has.
2. The joined file is written under another name, synced and renamed, as any file of the archive.
3. It is read back from its place, and each of its runs has to have the checksum of its own file.
4. Only then the former files are deleted.

So a run is in one file or, for a while, in two; whoever reads it takes one of them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from hashlib import sha256
from itertools import groupby
from pathlib import PurePosixPath
from typing import IO, Final

from tcdatalogger.clock import utc
from tcdatalogger.core import answers
from tcdatalogger.core.answers import SPOILT, Answers, RunSum
from tcdatalogger.core.archive import JOINED, PARTS, Archive, StoredRun
from tcdatalogger.errors import DataRefused
from tcdatalogger.observability.log import get_logger
from tcdatalogger.services.storage.protocol import StoredFile

LATE: Final = 3_600.0
"""Seconds after the end of a day in which a run that began on it may still write its answers."""

_log = get_logger("archive")


@dataclass(frozen=True, slots=True)
class Joined:
    """What joining came to.

    Attributes:
        days: how many days were joined.
        runs: how many runs are in their files.
        before, after: how many files these days had, and have.
        left: files that were left as they are: they are damaged, or of a later version.
    """

    days: int = 0
    runs: int = 0
    before: int = 0
    after: int = 0
    left: tuple[str, ...] = ()

    def __add__(self, other: Joined) -> Joined:
        return Joined(
            self.days + other.days,
            self.runs + other.runs,
            self.before + other.before,
            self.after + other.after,
            self.left + other.left,
        )


def day_of(now: float) -> str:
    """The day that is not over yet: the days before it can be joined.

    Args:
        now: seconds since 1970.
    """
    return utc(now - LATE).date().isoformat()


def join(
    archive: Archive,
    endpoint: str,
    now: float,
    pending: Collection[str] = (),
    *,
    most: int | None = None,
    dry: bool = False,
) -> Joined:
    """Join the files of the days of an endpoint that are over, the oldest days first.

    Whoever calls has the claim of the endpoint: no other process joins or prunes meanwhile, and no
    rebuild lists its runs.

    Args:
        archive: with the files.
        endpoint: whose files.
        now: seconds since 1970.
        pending: runs whose files stay, as their rows are not in the tables yet.
        most: how many days at most, None for all.
        dry: whether nothing is changed, and only counted.

    Raises:
        DataRefused: a joined file is not what was written, or damaged; the others are in place.
        WarehouseUnavailable, ConfigError, DiskFull: the place of the files; nothing is lost.
    """
    done = Joined()
    for files in _days(archive, endpoint, day_of(now)):
        own = [
            one
            for one in files
            if not one.name.endswith(JOINED) and PurePosixPath(one.name).stem not in pending
        ]
        former = [one for one in files if one.name.endswith(JOINED)]
        if len(own) + len(former) < 2:  # noqa: PLR2004 - one is joined
            continue
        if most is not None and done.days >= most:
            break
        done += _planned(own, former) if dry else _join_day(archive, own, former)
    return done


def split(archive: Archive, endpoint: str) -> Joined:
    """Give each run a file of its own again, as versions before 0.2.0 read them.

    Whoever calls has the claim of the endpoint.

    Raises:
        as `join`.
    """
    done = Joined()
    for files in _days(archive, endpoint, ""):
        for one in files:
            if one.name.endswith(JOINED):
                done += _split_file(archive, one)
    return done


def _days(archive: Archive, endpoint: str, before: str) -> Iterator[list[StoredFile]]:
    """The files of each day with answers, the oldest day first; "" for all days."""
    # All names first: what is joined while they are listed is not listed again.
    found = [
        one
        for one in archive.storage.files(f"{endpoint}/")
        if one.name.endswith(".parquet") and one.name.count("/") == PARTS - 1
    ]
    for day, files in groupby(found, lambda one: one.name.split("/")[1]):
        if not before or day < before:
            yield list(files)


def _planned(own: Sequence[StoredFile], former: Sequence[StoredFile]) -> Joined:
    return Joined(1, len(own), len(own) + len(former), 1)


def _join_day(archive: Archive, own: Sequence[StoredFile], former: Sequence[StoredFile]) -> Joined:
    runs: dict[str, Answers] = {}
    gone: list[StoredFile] = []
    left: list[str] = []
    for one in former:
        joined = archive.joined(one)
        for run in joined.runs.values():
            place = StoredRun(archive.storage, one.name, (joined, run))
            its = Answers(run.run_id, run.about, run.sha256, place)
            if runs.setdefault(run.run_id, its).sha256 != run.sha256:
                _log.error("archive_files_differ", file=one.name, other_run_id=run.run_id)
                return Joined(left=tuple(each.name for each in former))
        gone.append(one)
    for one in own:
        try:
            alone = _own(archive, one)
            if alone is None or runs.setdefault(alone.run_id, alone).sha256 != alone.sha256:
                left.append(one.name)  # the run was made again: both stay, and its own file counts
                continue
        except FileNotFoundError:  # its time was over
            continue
        except SPOILT as error:
            _log.warning("archive_file_not_joined", file=one.name, message=str(error))
            left.append(one.name)
            continue
        gone.append(one)
    if len(gone) < 2:  # noqa: PLR2004 - there is nothing to join it with
        return Joined(left=tuple(left))
    day = PurePosixPath(gone[0].name).parent
    content = [runs[run_id] for run_id in sorted(runs)]
    name = name_of(day, content)
    new = name not in {one.name for one in former}
    if new:
        archive.storage.write(name, partial(_written, name, partial(answers.write_joined, content)))
    archive.storage.deliver(name)
    prove(archive, name, content, new=new)
    _delete(archive, day, [one for one in gone if one.name != name])
    after = 1 + len(left)
    done = Joined(1, len(content), len(own) + len(former), after, tuple(left))
    _log.info("archive_joined", file=name, runs=done.runs, files=done.before)
    return done


def _own(archive: Archive, one: StoredFile) -> Answers | None:
    """The answers in a run's own file; None where it has none, or those of another run.

    Raises:
        FileNotFoundError: it is gone.
        one of `SPOILT`: it is damaged, or of a later version.
    """
    run_id = PurePosixPath(one.name).stem
    place = StoredRun(archive.storage, one.name)
    told = Answers(run_id, place.about(), "", place)
    seen = _sum(told)
    return replace(told, sha256=seen.hex()) if seen.rows else None


def _sum(run: Answers) -> RunSum:
    seen = RunSum(run.about)
    for batch in run.batches:
        if set(batch.column("run_id").to_pylist()) - {run.run_id}:
            raise ValueError("it has answers of another run than its name says")
        seen.add(batch)
    return seen


def name_of(day: PurePosixPath, content: Sequence[Answers]) -> str:
    """The name of a joined file: it is made of what the file has.

    Args:
        day: the folder of its endpoint and its day.
        content: its runs, in their order.
    """
    told = "".join(f"{run.run_id}{run.sha256}" for run in content)
    return f"{day}/{sha256(told.encode()).hexdigest()[:16]}{JOINED}"


def prove(archive: Archive, name: str, content: Sequence[Answers], *, new: bool = True) -> None:
    """Read a joined file from its place, and compare all of it with what was to be written.

    Args:
        archive: with the file.
        name: of the file.
        content: what it has to have.
        new: whether it was just written. One that was there before may be the only file that has
            some of its runs, and is never deleted here.

    Raises:
        DataRefused: it differs; it is deleted if it is new, and the former files stay.
    """
    why = "it is not there"
    try:
        for one in archive.storage.files(f"{PurePosixPath(name).parent}/"):
            if one.name == name:
                why = _differs(archive, one, content)
    except (*SPOILT, DataRefused) as error:
        why = str(error)
    if why:
        if new:
            archive.storage.delete([name])
        raise DataRefused(
            f"The archive file {name} is not what was written: {why.rstrip('.')}.",
            remedy="The files that were to be joined are as they were. Look at the disk.",
        )


def _written(name: str, content: Callable[[IO[bytes]], None], file: IO[bytes]) -> None:
    """Write content that is read meanwhile: it may turn out to be damaged, which is no full disk.

    Raises:
        DataRefused: it is damaged.
    """
    try:
        content(file)
    except SPOILT as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # of the system: the file cannot be written, or what it is made of not be opened
        why = str(error).partition("\n")[0].rstrip(".")
        raise DataRefused(
            f"The answers for the archive file {name} cannot be read: {why}.",
            remedy="All files are as they were. Bring those of this day back from a backup.",
        ) from None


def _differs(archive: Archive, one: StoredFile, content: Sequence[Answers]) -> str:
    joined = archive.joined(one)
    if list(joined.runs) != [run.run_id for run in content]:
        return "it has other runs"
    for run in content:
        place = StoredRun(archive.storage, one.name, (joined, joined.runs[run.run_id]))
        told = joined.runs[run.run_id]
        if _sum(Answers(run.run_id, told.about, "", place)).hex() != run.sha256:
            return f"the run {run.run_id} differs"
    return ""


def _delete(archive: Archive, day: PurePosixPath, gone: Sequence[StoredFile]) -> None:
    """Delete the files that were joined, except one that was written anew meanwhile."""
    wanted = set(gone)
    archive.storage.delete([one.name for one in archive.storage.files(f"{day}/") if one in wanted])


def _split_file(archive: Archive, one: StoredFile) -> Joined:
    joined = archive.joined(one)
    day = PurePosixPath(one.name).parent
    for run in joined.runs.values():
        name = f"{day}/{run.run_id}.parquet"
        if not archive.storage.exists(name):
            place = StoredRun(archive.storage, one.name, (joined, run))
            apart = partial(answers.write_apart, run.about, place)
            archive.storage.write(name, partial(_written, one.name, apart))
            archive.storage.deliver(name)
            seen = _own(archive, StoredFile(name, 0, 0))
            if seen is None or seen.sha256 != run.sha256:
                archive.storage.delete([name])
                raise DataRefused(
                    f"The archive file {name} is not what was written.",
                    remedy=f"{one.name} still has all of its runs. Look at the disk.",
                )
    archive.storage.delete([one.name])
    _log.info("archive_split", file=one.name, runs=len(joined.runs))
    return Joined(1, len(joined.runs), 1, len(joined.runs))
