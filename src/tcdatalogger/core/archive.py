"""The raw archive: every answer of Torn's, byte for byte, before anything is made of it.

A zstd Parquet file for each run, which any tool can query. The files of a day that is over are
joined into one (`joining`); a run keeps the name of its file, and whoever asks for it by that name
gets its answers from wherever they are. The place of the files (`services/storage`) has a whole
file or none. The key is not in them: it never was in the request.
"""

from __future__ import annotations

import json
import re
import shutil
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import date, timedelta
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any, Final

import pyarrow as pa

from tcdatalogger.clock import utc
from tcdatalogger.core import answers
from tcdatalogger.core.answers import SPOILT, ArchivedCall, JoinedFile, JoinedRun
from tcdatalogger.errors import DataRefused, Failure
from tcdatalogger.observability.log import get_logger
from tcdatalogger.scratch import Piece, Scratch
from tcdatalogger.services.storage.protocol import Storage, StoredFile
from tcdatalogger.services.torncity.client.messages import Answer, KeptAnswer, Request
from tcdatalogger.services.torncity.processing.base import Page

__all__ = ["JOINED", "PARTS", "REFUSED", "Archive", "ArchivedCall", "StoredRun", "remove"]

REFUSED: Final = ".refused"
"""The ending of a mark beside the answers of a run whose rows were refused; it holds why."""

_ANSWERS: Final = ".parquet"

JOINED: Final = f".joined{_ANSWERS}"
"""The ending of a file with the answers of several runs of a day."""

PARTS: Final = 3
"""Parts of the name of a run's file: endpoint, day, run."""

_TRIES: Final = 3
"""How often a joined file is looked for that was joined again meanwhile, under another name."""

_KEPT: Final = 4
"""Joined files whose metadata stay in memory: a rebuild reads one run of a day after another."""

_ABANDONED: Final = 3_600.0
"""Seconds after which a half joined file is one of a process that was killed."""

_RUN: Final = re.compile(r"(\d{4})(\d\d)(\d\d)T\d{6}Z-")
"""How a run id begins that contains the day of the run (`new_run_id`)."""

_log = get_logger("archive")


@dataclass(frozen=True, slots=True)
class StoredRun:
    """The answers of a run where they are now; its rows come as often as it is gone through.

    Attributes:
        storage: the place of the files.
        file: the file that has them.
        within: of a joined file what it says of itself, and of the run; None for the run's own.
    """

    storage: Storage
    file: str
    within: tuple[JoinedFile, JoinedRun] | None = None

    def about(self) -> str | None:
        """What the run was to do, as JSON; None where an older version wrote its file.

        Raises:
            FileNotFoundError: the file is not there any more.
            one of `SPOILT`: it is damaged.
        """
        if self.within is not None:
            return self.within[1].about
        return answers.about_of(answers.schema_of(self.storage, self.file))

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        """The rows, some megabytes at a time; errors are those of `about`."""
        if self.within is None:
            yield from answers.batches(self.storage, self.file)
        else:
            joined, run = self.within
            yield from joined.batches(self.storage, run)


class Archive:
    """The answers of all runs.

    Args:
        storage: the place of their files.
    """

    def __init__(self, storage: Storage) -> None:
        self.storage = storage
        self._joined: dict[str, JoinedFile] = {}
        self._runs: dict[str, tuple[str, ...]] = {}

    def write(
        self,
        run_id: str,
        endpoint: str,
        kept: Sequence[ArchivedCall],
        about: Mapping[str, object] | None = None,
    ) -> str:
        """Write the answers of a run and return the name of their file.

        Args:
            run_id: of the run.
            endpoint: of the run.
            kept: in the order in which they came.
            about: what the run was to do (`pending.About`), for whoever stores them later.

        Raises:
            ConfigError: the place cannot be written to.
            DiskFull: nothing was stored.
        """
        day = utc(kept[0].answer.requested_at).date().isoformat()
        name = f"{endpoint}/{day}/{run_id}{_ANSWERS}"
        self.storage.write(name, partial(answers.write, run_id, endpoint, kept, about or {}))
        return name

    def scratch(self) -> Scratch:
        """A place for the bodies of a run until it ends."""
        return Scratch(self.storage.halves_folder)

    def deliver(self, file: str = "") -> None:
        """Upload files that wait for a bucket (`Storage.deliver`).

        Args:
            file: the file that has to be in the bucket on return; "" for all files that wait.

        Raises:
            WarehouseUnavailable, ConfigError: the bucket does not take them; nothing is lost.
        """
        self.storage.deliver(file)

    def prune(
        self, endpoint: str, before: float, pending: Collection[str] = (), *, dry: bool = False
    ) -> int:
        """Delete the answers of an endpoint from days that ended before a moment; how many files.

        Args:
            endpoint: whose answers.
            before: seconds since 1970.
            pending: runs whose answers stay, as their rows are not in the tables yet.
            dry: whether they are only counted.
        """
        last = f"{endpoint}/{utc(before).date().isoformat()}"
        gone = []
        for one in self.storage.files(f"{endpoint}/"):
            if one.name >= last:  # they come in the order of their days
                break
            if one.name.endswith(REFUSED) or self._settled(one, pending):
                gone.append(one.name)
        if not dry:
            self.storage.delete(gone)
        return sum(name.endswith(_ANSWERS) for name in gone)

    def _settled(self, one: StoredFile, pending: Collection[str]) -> bool:
        """Whether a file has answers, and none of a pending run."""
        if not one.name.endswith(JOINED):
            return one.name.endswith(_ANSWERS) and PurePosixPath(one.name).stem not in pending
        try:
            return not pending or not any(run in pending for run in self._runs_of(one))
        except (DataRefused, FileNotFoundError):
            return False

    def halves(self) -> list[Path]:
        """What runs have begun to write: those that live, and those that were killed at it.

        A half joined file counts when it is an hour old: no run has its name.
        """
        return [half for half in self.storage.halves() if not _young(half)]

    def files(self, endpoint: str, after: str = "") -> list[str]:
        """The files of the runs of an endpoint by their names, also of those that were joined.

        Args:
            endpoint: whose answers.
            after: only those whose names come after it.

        Raises:
            DataRefused: a joined file is damaged.
        """
        for _ in range(_TRIES):
            found = set()
            try:
                for one in self.storage.files(f"{endpoint}/", after):
                    if one.name.endswith(JOINED):
                        day = PurePosixPath(one.name).parent
                        found |= {f"{day}/{run_id}{_ANSWERS}" for run_id in self._runs_of(one)}
                    elif one.name.endswith(_ANSWERS):
                        found.add(one.name)
            except FileNotFoundError:  # joined again meanwhile
                continue
            return sorted(name for name in found if name > after)
        raise _damaged(f"{endpoint}/", OSError("its files change all the time"))

    def everything(self) -> list[StoredFile]:
        """The files of all endpoints and the marks beside them, by name."""
        return [
            one
            for one in self.storage.files()
            if one.name.endswith((_ANSWERS, REFUSED)) and one.name.count("/") == PARTS - 1
        ]

    def exists(self, file: str) -> bool:
        """Whether the answers of a run are there, by the name of its file.

        Raises:
            DataRefused: a joined file of its day is damaged.
        """
        return self.storage.exists(file) or any(True for _ in self._in_joined(file))

    def holder(self, file: str) -> str | None:
        """The file that has the answers of a run now: its own or a joined one; None for none.

        Raises:
            DataRefused: a joined file of its day is damaged.
        """
        if self.storage.exists(file):
            return file
        return next((place.file for place in self._in_joined(file)), None)

    def bring(self, file: str, to: Storage) -> None:
        """Write the answers of a run into another place, into a file of their own.

        Raises:
            DataRefused: there is no such file, or it is damaged.
            ConfigError, DiskFull: the place does not take it.
        """
        try:
            place, about = self._found(file)
            content = partial(answers.write_apart, about, place)
            to.write(file, self.storage.read(file) if place.within is None else content)
        except SPOILT as error:
            raise _damaged(file, error) from None

    def joined(self, one: StoredFile) -> JoinedFile:
        """What a joined file says of itself.

        Raises:
            FileNotFoundError: it is not there any more.
            DataRefused: it is damaged.
        """
        found = self._joined.pop(one.name, None)
        if found is None or found.size != one.bytes:
            try:
                found = JoinedFile.read(self.storage, one.name, one.bytes)
            except FileNotFoundError:
                raise
            except SPOILT as error:
                raise _damaged(one.name, error) from None
        self._joined[one.name] = found  # the newest is the last
        if len(self._joined) > _KEPT:
            del self._joined[next(iter(self._joined))]
        self._runs[one.name] = tuple(found.runs)
        return found

    def _runs_of(self, one: StoredFile) -> tuple[str, ...]:
        """The runs in a joined file; its name is made of what it has, so they never change."""
        return self._runs.get(one.name) or tuple(self.joined(one).runs)

    def _in_joined(self, file: str) -> Iterator[StoredRun]:
        """Where the answers of a run are in the joined files of its day."""
        name = PurePosixPath(file)
        for _ in range(_TRIES if len(name.parts) == PARTS else 0):
            again = False
            for one in list(self.storage.files(f"{name.parent}/")):
                if not one.name.endswith(JOINED):
                    continue
                try:
                    if name.stem in self._runs_of(one):
                        joined = self.joined(one)
                        yield StoredRun(self.storage, one.name, (joined, joined.runs[name.stem]))
                        again = True  # it is still looked for
                except FileNotFoundError:
                    again = True
            if not again:
                return

    def _places(self, file: str) -> Iterator[StoredRun]:
        """Where the answers of a run may be: its own file, and then the joined ones of its day."""
        yield StoredRun(self.storage, file)
        yield from self._in_joined(file)

    def _found(self, file: str) -> tuple[StoredRun, str | None]:
        """Where the answers of a run are, and what it was to do, as JSON.

        Raises:
            FileNotFoundError: nowhere.
            one of `SPOILT`: the file is damaged.
        """
        missing = FileNotFoundError("there is no such file")
        for place in self._places(file):
            try:
                return place, place.about()
            except FileNotFoundError as error:
                missing = error
        raise missing

    def find(self, endpoint: str, run_id: str) -> str | None:
        """The file of a run, None where there is none.

        The search begins at the day before the run; if it finds nothing, it looks at all days.
        """
        since = ""
        if told := _RUN.match(run_id):
            with suppress(ValueError, OverflowError):  # it only looks like a day
                day = date(*map(int, told.groups())) - timedelta(days=1)
                since = f"{endpoint}/{day.isoformat()}"
        for after in dict.fromkeys((since, "")):
            for one in self.storage.files(f"{endpoint}/", after):
                name = PurePosixPath(one.name)
                if one.name.endswith(JOINED):
                    with suppress(FileNotFoundError):  # joined again meanwhile
                        if run_id in self._runs_of(one):
                            return f"{name.parent}/{run_id}{_ANSWERS}"
                elif one.name.endswith(_ANSWERS) and name.stem == run_id:
                    return one.name
        return None

    @contextmanager
    def marking(self, file: str, *refusals: type[DataRefused]) -> Iterator[None]:
        """Mark the answers of a run whose rows are refused, so that no rebuild stores them.

        The mark stands beside the answers, as it has to last for as long as they do.

        Args:
            file: of the archive, "" for none.
            refusals: what speaks of the rows, and not of the tables.
        """
        try:
            yield
        except refusals as refused:
            if file:
                mark = _mark(file)
                try:
                    self.storage.write(mark, f"{refused.message}\n".encode())
                    self.storage.deliver(mark)
                except Failure as failure:  # the record of the run has it too
                    _log.warning("refusal_not_archived", message=failure.message)
            raise

    def refusal(self, file: str) -> str:
        """Why the rows of an archived run were refused, "" where they were not."""
        try:
            return self.storage.read(_mark(file)).decode().strip() or "the mark does not say"
        except OSError:
            return ""

    def accept(self, file: str) -> None:
        """Rows that were refused are stored: somebody has named their run."""
        self.storage.delete([_mark(file)])

    def about(self, file: str) -> dict[str, Any]:
        """What the run of a file was to do; empty where an older version wrote it.

        Raises:
            DataRefused: there is no such file, or it is damaged.
        """
        try:
            found = json.loads(self._found(file)[1] or "{}")
        except SPOILT as error:
            raise _damaged(file, error) from None
        return found if isinstance(found, dict) else {}

    def read(self, file: str, scratch: Scratch | None = None) -> Iterator[tuple[str, Page]]:
        """The pages of a file in order, each with its error ("" for data).

        Args:
            file: its name.
            scratch: where the bodies stand; None for one of their own.

        Raises:
            DataRefused: there is no such file, or it is damaged.
        """
        scratch = self.scratch() if scratch is None else scratch
        try:
            count = 0
            for rows in self._rows(file):
                bodies = rows.column("body")
                for number, row in enumerate(answers.facts(rows)):
                    if row["page"] != count:
                        raise ValueError(f"its answer {count} is missing")
                    count += 1
                    kept = scratch.put(memoryview(bodies[number].as_buffer() or b""))
                    yield str(row["error"] or ""), _page(row, kept)
        except SPOILT as error:
            raise _damaged(file, error) from None

    def _rows(self, file: str) -> Iterator[pa.RecordBatch]:
        """The rows of a run, some megabytes at a time."""
        begun, missing = False, FileNotFoundError("there is no such file")
        for place in self._places(file):
            try:
                for batch in place:
                    begun = True
                    yield batch
            except FileNotFoundError as error:
                if begun:
                    raise
                missing = error
            else:
                return
        raise missing


def remove(halves: Iterable[Path]) -> None:
    """Delete what was left half; what cannot be deleted is for the next."""
    for half in halves:
        if half.is_dir():
            shutil.rmtree(half, ignore_errors=True)
        else:
            with suppress(OSError):
                half.unlink()


def _mark(file: str) -> str:
    return str(PurePosixPath(file).with_suffix(REFUSED))


def _young(half: Path) -> bool:
    """Whether a process may still write what is half: a joined file, which no run has begun."""
    if not half.stem.endswith(PurePosixPath(JOINED).stem):
        return False
    try:
        return time.time() - half.stat().st_mtime < _ABANDONED
    except OSError:
        return False


def _page(row: dict[str, object], body: Piece) -> Page:
    def pairs(name: str) -> tuple[tuple[str, str], ...]:
        return tuple((key, value) for key, value in json.loads(str(row[name])))

    answer = Answer(
        request=Request(str(row["path"]), pairs("params")),
        status=int(str(row["status"])),
        body=b"",
        server_time=_seconds(row["server_time"]),
        requested_at=_seconds(row["requested_at"]),
        seconds=float(str(row["seconds"])),
        headers=pairs("headers"),
    )
    subject = row.get("subject_id")
    return Page.of(KeptAnswer(answer, body), subject if isinstance(subject, int) else None)


def _seconds(micros: object) -> float:
    return micros / 1e6 if isinstance(micros, int) else 0.0


def _damaged(file: str, error: Exception) -> DataRefused:
    why = str(error).partition("\n")[0].rstrip(".")
    return DataRefused(
        f"The archive file {file} cannot be read: {why}.",
        remedy="Bring it back from a backup, or leave its run out: `tcdatalogger rebuild NAME "
        "--without RUN`.",
    )
