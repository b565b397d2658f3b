"""The raw archive: every answer of Torn's, byte for byte, before anything is made of it.

A zstd Parquet file for each run, which any tool can query. Its place (`services/storage`) has a
whole file or none. The key is not in it: it never was in the request.
"""

from __future__ import annotations

import json
import re
import shutil
import zlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import date, timedelta
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO, Any, Final

import pyarrow as pa

from tcdatalogger.clock import utc
from tcdatalogger.errors import DataRefused, Failure
from tcdatalogger.observability.log import get_logger
from tcdatalogger.scratch import Piece, Scratch
from tcdatalogger.services.storage.protocol import Storage, StoredFile
from tcdatalogger.services.torncity.client.messages import Answer, KeptAnswer, Request
from tcdatalogger.services.torncity.processing.base import Page

_TIME: Final = pa.timestamp("us", tz="UTC")

SCHEMA: Final = pa.schema(
    [
        ("run_id", pa.string()),
        ("endpoint", pa.string()),
        ("page", pa.int64()),
        ("path", pa.string()),
        ("params", pa.string()),
        ("subject_id", pa.int64()),
        ("status", pa.int64()),
        ("requested_at", _TIME),
        ("server_time", _TIME),
        ("seconds", pa.float64()),
        ("headers", pa.string()),
        ("error", pa.string()),
        ("body", pa.binary()),
    ]
)

_ABOUT: Final = b"tcdatalogger"
"""Under which name a file says what its run was to do, in the metadata of its schema."""

_SUM: Final = b"tcdatalogger.crc32"
"""The checksum of it, which files of older versions lack."""

_SPOILT: Final = (OSError, pa.ArrowException, ValueError, KeyError)
"""What a file that was damaged raises when it is read."""

REFUSED: Final = ".refused"
"""The ending of a mark beside the answers of a run whose rows were refused; it holds why."""

_ANSWERS: Final = ".parquet"

_GROUP: Final = 2 * 2**20
"""Bytes of bodies that are written together, and read together: a file is larger than memory."""

_ROWS: Final = 1_000
"""The most answers that are read together."""

_BUFFER: Final = 2**18
"""Bytes of a file that are read at once."""

_END: Final = 1 << 16
"""Bytes at the end of a file that contain its header, except for a very long header."""

_RUN: Final = re.compile(r"(\d{4})(\d\d)(\d\d)T\d{6}Z-")
"""How a run id begins that contains the day of the run (`new_run_id`)."""

_log = get_logger("archive")


@dataclass(frozen=True, slots=True)
class ArchivedCall:
    """An answer as the archive keeps it.

    Attributes:
        subject_id: whom it is about.
        error: why it is no data, "" where it is.
    """

    answer: Answer
    subject_id: int | None = None
    error: str = ""


class Archive:
    """The answers of all runs.

    Args:
        storage: the place of their files.
    """

    def __init__(self, storage: Storage) -> None:
        self.storage = storage

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
        self.storage.write(name, partial(_write, run_id, endpoint, kept, about or {}))
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
            answers = one.name.endswith(_ANSWERS) and PurePosixPath(one.name).stem not in pending
            if answers or one.name.endswith(REFUSED):
                gone.append(one.name)
        if not dry:
            self.storage.delete(gone)
        return sum(name.endswith(_ANSWERS) for name in gone)

    def halves(self) -> list[Path]:
        """What runs have begun to write: those that live, and those that were killed at it."""
        return self.storage.halves()

    def files(self, endpoint: str, after: str = "") -> list[str]:
        """The files of an endpoint, in the order of their days.

        Args:
            endpoint: whose answers.
            after: only those whose names come after it.
        """
        found = self.storage.files(f"{endpoint}/", after)
        return [one.name for one in found if one.name.endswith(_ANSWERS)]

    def everything(self) -> list[StoredFile]:
        """The files of all endpoints and the marks beside them, by name."""
        return [
            one
            for one in self.storage.files()
            if one.name.endswith((_ANSWERS, REFUSED)) and one.name.count("/") == 2  # noqa: PLR2004
        ]

    def exists(self, file: str) -> bool:
        """Whether there is such a file."""
        return self.storage.exists(file)

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
            for file in self.files(endpoint, after):
                if PurePosixPath(file).stem == run_id:
                    return file
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
        import pyarrow.parquet as pq  # noqa: PLC0415 - 30 ms that only runs need

        try:
            try:
                schema = pq.read_schema(pa.BufferReader(self.storage.read(file, _END)))
            except pa.ArrowException:  # it says more of itself than its end holds, or is damaged
                schema = pq.read_schema(pa.BufferReader(self.storage.read(file)))
            facts = schema.metadata or {}
            told = facts.get(_ABOUT, b"{}")
            if _SUM in facts and facts[_SUM] != _sum(told):
                raise ValueError("its header is not as it was written")
            found = json.loads(told)
        except _SPOILT as error:
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
                for number, row in enumerate(_facts(rows)):
                    if row["page"] != count:
                        raise ValueError(f"its answer {count} is missing")
                    count += 1
                    kept = scratch.put(memoryview(bodies[number].as_buffer() or b""))
                    yield str(row["error"] or ""), _page(row, kept)
        except _SPOILT as error:
            raise _damaged(file, error) from None

    def _rows(self, file: str) -> Iterator[pa.RecordBatch]:
        """The rows of a file, some megabytes at a time."""
        import pyarrow.parquet as pq  # noqa: PLC0415 - 30 ms that only runs need

        path = self.storage.local(file)
        source = pa.BufferReader(self.storage.read(file)) if path is None else str(path)
        with pq.ParquetFile(
            source, buffer_size=_BUFFER, page_checksum_verification=True
        ) as content:
            for number in range(content.num_row_groups):  # together they would be read ahead
                group = content.metadata.row_group(number)
                rows = max(1, _GROUP * group.num_rows // max(group.total_byte_size, 1))
                found = 0
                for batch in content.iter_batches(
                    min(rows, _ROWS), row_groups=[number], use_threads=False
                ):
                    found += batch.num_rows
                    yield batch
                if found != group.num_rows:
                    raise pa.ArrowInvalid(f"{found} of {group.num_rows} answers are there")


def remove(halves: Iterable[Path]) -> None:
    """Delete what was left half; what cannot be deleted is for the next."""
    for half in halves:
        if half.is_dir():
            shutil.rmtree(half, ignore_errors=True)
        else:
            with suppress(OSError):
                half.unlink()


def _sum(content: bytes) -> bytes:
    return b"%08x" % zlib.crc32(content)


def _mark(file: str) -> str:
    return str(PurePosixPath(file).with_suffix(REFUSED))


def _write(
    run_id: str,
    endpoint: str,
    kept: Sequence[ArchivedCall],
    about: Mapping[str, object],
    file: IO[bytes],
) -> None:
    """Write the answers into a file of Parquet, some megabytes at a time."""
    import pyarrow.parquet as pq  # noqa: PLC0415 - 30 ms that only runs need

    told = json.dumps(about).encode()
    schema = SCHEMA.with_metadata({_ABOUT: told, _SUM: _sum(told)})
    with pq.ParquetWriter(file, schema, compression="zstd", write_page_checksum=True) as writer:
        first = size = 0
        for number, one in enumerate(kept):
            size += len(one.answer.body)
            if size >= _GROUP or number == len(kept) - 1:
                writer.write_table(_table(run_id, endpoint, kept[first : number + 1], first))
                first, size = number + 1, 0


def _table(run_id: str, endpoint: str, kept: Sequence[ArchivedCall], first: int) -> pa.Table:
    return pa.Table.from_pylist(
        [
            {
                "run_id": run_id,
                "endpoint": endpoint,
                "page": number,
                "path": one.answer.request.path,
                "params": json.dumps(one.answer.request.params),
                "subject_id": one.subject_id,
                "status": one.answer.status,
                "requested_at": utc(one.answer.requested_at),
                "server_time": utc(one.answer.server_time),
                "seconds": one.answer.seconds,
                "headers": json.dumps(one.answer.headers),
                "error": one.error,
                "body": one.answer.body,
            }
            for number, one in enumerate(kept, first)
        ],
        schema=SCHEMA,
    )


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


def _facts(rows: pa.RecordBatch) -> list[dict[str, object]]:
    """All but the bodies of some rows, the times as microseconds: of a time Arrow asks pandas."""
    facts = rows.drop_columns(["body"])
    for name in ("requested_at", "server_time"):
        at = facts.schema.get_field_index(name)
        facts = facts.set_column(at, name, facts.column(at).cast(_TIME).cast(pa.int64()))
    found: list[dict[str, object]] = facts.to_pylist()
    return found


def _seconds(micros: object) -> float:
    return micros / 1e6 if isinstance(micros, int) else 0.0


def _damaged(file: str, error: Exception) -> DataRefused:
    why = str(error).partition("\n")[0].rstrip(".")
    return DataRefused(
        f"The archive file {file} cannot be read: {why}.",
        remedy="Bring it back from a backup, or leave its run out: `tcdatalogger rebuild NAME "
        "--without RUN`.",
    )
