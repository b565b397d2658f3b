"""The Parquet files of answers: one for each run, and joined ones with the runs of a day.

Both have the same columns, and any tool reads them. A joined file has each run in row groups of its
own, and says in its metadata which ones: so one run is read without the others. A checksum stands
with each page of values, and with what a file says of itself.
"""

from __future__ import annotations

import io
import json
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256
from typing import IO, TYPE_CHECKING, Any, Final

import pyarrow as pa

from tcdatalogger.clock import utc
from tcdatalogger.services.storage.protocol import Storage
from tcdatalogger.services.torncity.client.messages import Answer

if TYPE_CHECKING:
    import pyarrow.parquet as pq

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

_RUNS: Final = b"tcdatalogger.runs"
"""Under which name a joined file says which runs it has, in its metadata."""

_RUNS_SUM: Final = b"tcdatalogger.runs.crc32"

_GROUP: Final = 2 * 2**20
"""Bytes of bodies that are written together, and read together: a file is larger than memory."""

_ROWS: Final = 1_000
"""The most answers that are read together."""

_BUFFER: Final = 2**18
"""Bytes of a file that are read at once."""

_END: Final = 1 << 16
"""Bytes at the end of a file that contain its metadata, except for very long metadata."""

_LENGTH: Final = 8
"""Bytes at the very end of a file of Parquet: the length of its metadata, and a mark."""

SPOILT: Final = (OSError, pa.ArrowException, ValueError, KeyError, TypeError)
"""What a file that was damaged raises when it is read."""


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


@dataclass(frozen=True, slots=True)
class JoinedRun:
    """A run in a joined file.

    Attributes:
        run_id: of the run.
        about: what its own file said of it, as JSON; None where an older version wrote that file.
        first, groups: its first row group, and how many it has.
        rows: how many answers it has.
        sha256: of all that its own file had (`RunSum`), in hexadecimal.
    """

    run_id: str
    about: str | None
    first: int
    groups: int
    rows: int
    sha256: str


@dataclass(frozen=True, slots=True, eq=False)
class JoinedFile:
    """What a joined file says of itself.

    Attributes:
        name: in its place.
        size: in bytes.
        runs: its runs by their ids.
        metadata: all of Parquet's, for whoever reads rows of it.
    """

    name: str
    size: int
    runs: Mapping[str, JoinedRun]
    metadata: pq.FileMetaData

    @classmethod
    def read(cls, storage: Storage, name: str, size: int) -> JoinedFile:
        """Read what a joined file says of itself: its end.

        Raises:
            FileNotFoundError: there is no such file any more.
            one of `SPOILT`: it is damaged.
        """
        import pyarrow.parquet as pq  # noqa: PLC0415 - 30 ms that only runs need

        end = storage.read(name, _END)
        length = int.from_bytes(end[-_LENGTH:][:4], "little") + _LENGTH
        if len(end) < length <= size:
            end = storage.read(name, length)
        metadata = pq.read_metadata(pa.BufferReader(end))
        facts = metadata.metadata or {}
        told = facts[_RUNS]
        if facts[_RUNS_SUM] != _sum(told):
            raise ValueError("its list of runs is not as it was written")
        runs = (JoinedRun(**one) for one in json.loads(told))
        return cls(name, size, {one.run_id: one for one in runs}, metadata)

    def batches(self, storage: Storage, run: JoinedRun) -> Iterator[pa.RecordBatch]:
        """The rows of one of its runs, some megabytes at a time.

        Raises:
            FileNotFoundError: there is no such file any more.
            one of `SPOILT`: it is damaged.
        """
        import pyarrow.parquet as pq  # noqa: PLC0415 - 30 ms that only runs need

        groups = range(run.first, run.first + run.groups)
        path = storage.local(self.name)
        source: str | _Part
        if path is not None:
            source = str(path)
        else:
            start, _ = _span(self.metadata.row_group(groups[0]))
            _, end = _span(self.metadata.row_group(groups[-1]))
            source = _Part(storage, self.name, self.size, start, end)
        found = 0
        with pq.ParquetFile(
            source, metadata=self.metadata, buffer_size=_BUFFER, page_checksum_verification=True
        ) as content:
            for batch in _batches(content, groups):
                found += batch.num_rows
                yield batch
        if found != run.rows:
            raise pa.ArrowInvalid(f"{found} of the {run.rows} answers of {run.run_id} are there")


class RunSum:
    """The checksum of all that the archive has of a run: header, requests, times, bodies.

    Args:
        about: what its file says of it, as JSON; None where that says nothing.
    """

    def __init__(self, about: str | None) -> None:
        self._sum = sha256(json.dumps(about).encode())
        self.rows = 0

    def add(self, rows: pa.RecordBatch) -> None:
        """Take some rows, in their order.

        Raises:
            ValueError: they have a column that this version does not know.
        """
        _refuse_later(rows)
        bodies = rows.column("body")
        for number, row in enumerate(facts(rows)):
            body = bodies[number].as_buffer()
            length = None if body is None else body.size
            told = {name: row.get(name) for name in SCHEMA.names if name != "body"}
            self._sum.update(json.dumps([told, length]).encode())
            self._sum.update(memoryview(body or b""))
        self.rows += rows.num_rows

    def hex(self) -> str:
        """The checksum of what was taken so far, in hexadecimal."""
        return self._sum.hexdigest()


@dataclass(frozen=True, slots=True)
class Answers:
    """The answers of one run, to be written into a joined file.

    Attributes:
        run_id: of the run.
        about: as in `JoinedRun`.
        sha256: as in `JoinedRun`.
        batches: its rows; asked anew each time that a file is written.
    """

    run_id: str
    about: str | None
    sha256: str
    batches: Iterable[pa.RecordBatch]


# --- the file of one run -------------------------------------------------------------------------


def write(
    run_id: str,
    endpoint: str,
    kept: Sequence[ArchivedCall],
    about: Mapping[str, object],
    file: IO[bytes],
) -> None:
    """Write the answers of a run into a file of its own, some megabytes at a time."""
    import pyarrow.parquet as pq  # noqa: PLC0415 - 30 ms that only runs need

    schema = _with_header(json.dumps(about))
    with pq.ParquetWriter(file, schema, compression="zstd", write_page_checksum=True) as writer:
        first = size = 0
        for number, one in enumerate(kept):
            size += len(one.answer.body)
            if size >= _GROUP or number == len(kept) - 1:
                writer.write_table(_table(run_id, endpoint, kept[first : number + 1], first))
                first, size = number + 1, 0


def write_apart(about: str | None, batches: Iterable[pa.RecordBatch], file: IO[bytes]) -> None:
    """Write a run of a joined file into a file of its own, as it was before."""
    import pyarrow.parquet as pq  # noqa: PLC0415 - 30 ms that only runs need

    schema = SCHEMA if about is None else _with_header(about)
    with pq.ParquetWriter(file, schema, compression="zstd", write_page_checksum=True) as writer:
        for batch in batches:
            writer.write_table(_whole(batch))


def about_of(schema: pa.Schema) -> str | None:
    """What the file of a run says of it, as JSON; None where an older version wrote it.

    Raises:
        ValueError: it is not as it was written.
    """
    found = schema.metadata or {}
    told: bytes | None = found.get(_ABOUT)
    if _SUM in found and found[_SUM] != _sum(told or b""):
        raise ValueError("its header is not as it was written")
    return None if told is None else told.decode()


def schema_of(storage: Storage, name: str) -> pa.Schema:
    """The schema of a file, by its end.

    Raises:
        FileNotFoundError: there is no such file.
        one of `SPOILT`: it is damaged.
    """
    import pyarrow.parquet as pq  # noqa: PLC0415 - 30 ms that only runs need

    try:
        return pq.read_schema(pa.BufferReader(storage.read(name, _END)))
    except pa.ArrowException:  # it says more of itself than its end holds, or is damaged
        return pq.read_schema(pa.BufferReader(storage.read(name)))


def batches(storage: Storage, name: str) -> Iterator[pa.RecordBatch]:
    """The rows of the file of a run, some megabytes at a time.

    Raises:
        FileNotFoundError: there is no such file.
        one of `SPOILT`: it is damaged.
    """
    import pyarrow.parquet as pq  # noqa: PLC0415 - 30 ms that only runs need

    path = storage.local(name)
    source = pa.BufferReader(storage.read(name)) if path is None else str(path)
    with pq.ParquetFile(source, buffer_size=_BUFFER, page_checksum_verification=True) as content:
        yield from _batches(content, range(content.num_row_groups))


def facts(rows: pa.RecordBatch) -> list[dict[str, object]]:
    """All but the bodies of some rows, the times as microseconds: of a time Arrow asks pandas."""
    told = rows.drop_columns(["body"])
    for name in ("requested_at", "server_time"):
        at = told.schema.get_field_index(name)
        told = told.set_column(at, name, told.column(at).cast(_TIME).cast(pa.int64()))
    found: list[dict[str, object]] = told.to_pylist()
    return found


# --- the file of a day ---------------------------------------------------------------------------


def write_joined(runs: Sequence[Answers], file: IO[bytes]) -> None:
    """Write runs into a joined file, some megabytes at a time.

    Raises:
        ValueError: a run has other answers than those that its checksum is of.
    """
    import pyarrow.parquet as pq  # noqa: PLC0415 - 30 ms that only runs need

    told, groups = [], 0
    with pq.ParquetWriter(
        file,
        SCHEMA,
        compression="zstd",
        write_page_checksum=True,
        write_statistics=["run_id", "server_time"],  # with those of all columns the end is long
    ) as writer:
        for run in runs:
            seen, first = RunSum(run.about), groups
            for batch in run.batches:
                seen.add(batch)
                writer.write_table(_whole(batch))
                groups += 1
            if seen.hex() != run.sha256:
                raise ValueError(f"the run {run.run_id} changed while it was read")
            one = JoinedRun(run.run_id, run.about, first, groups - first, seen.rows, run.sha256)
            told.append(asdict(one))
        text = json.dumps(told).encode()
        writer.add_key_value_metadata({_RUNS: text, _RUNS_SUM: _sum(text)})


# --- parts of both -------------------------------------------------------------------------------


class _Part(io.RawIOBase):
    """A file in a bucket of which one part is in memory; what else is asked for, is fetched."""

    def __init__(self, storage: Storage, name: str, size: int, start: int, end: int) -> None:
        super().__init__()
        self._storage, self._name, self._size = storage, name, size
        self._start, self._held = start, storage.read_part(name, start, end - start)
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        self._at = base + offset
        return self._at

    def read(self, size: int | None = -1, /) -> bytes:
        left = max(0, self._size - self._at)
        wanted = left if size is None or size < 0 else min(size, left)
        first = self._at - self._start
        if first >= 0 and first + wanted <= len(self._held):
            found = self._held[first : first + wanted]
        else:
            found = self._storage.read_part(self._name, self._at, wanted) if wanted else b""
        self._at += len(found)
        return found


def _span(group: Any) -> tuple[int, int]:
    """The first byte of a row group, and the one behind its last."""
    columns = [group.column(number) for number in range(group.num_columns)]
    starts = [
        min(filter(None, (one.dictionary_page_offset, one.data_page_offset))) for one in columns
    ]
    ends = [start + one.total_compressed_size for start, one in zip(starts, columns, strict=True)]
    return min(starts), max(ends)


def _batches(content: pq.ParquetFile, groups: Iterable[int]) -> Iterator[pa.RecordBatch]:
    for number in groups:  # together they would be read ahead
        group = content.metadata.row_group(number)
        rows = max(1, _GROUP * group.num_rows // max(group.total_byte_size, 1))
        found = 0
        for batch in content.iter_batches(min(rows, _ROWS), row_groups=[number], use_threads=False):
            found += batch.num_rows
            yield batch
        if found != group.num_rows:
            raise pa.ArrowInvalid(f"{found} of {group.num_rows} answers are there")


def _refuse_later(rows: pa.RecordBatch) -> None:
    if more := set(rows.schema.names) - set(SCHEMA.names):
        raise ValueError(f"it has a column {min(more)} of a later version")


def _whole(rows: pa.RecordBatch) -> pa.Table:
    """Rows with all columns: a file of an older version lacks some."""
    columns = [
        rows.column(field.name).cast(field.type)
        if field.name in rows.schema.names
        else pa.nulls(rows.num_rows, field.type)
        for field in SCHEMA
    ]
    return pa.Table.from_arrays(columns, schema=SCHEMA)


def _with_header(about: str) -> pa.Schema:
    told = about.encode()
    return SCHEMA.with_metadata({_ABOUT: told, _SUM: _sum(told)})


def _sum(content: bytes) -> bytes:
    return b"%08x" % zlib.crc32(content)


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
