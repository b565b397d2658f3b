"""The raw archive: every answer of Torn's, byte for byte, before anything is made of it.

A zstd Parquet file for each run, which any tool can query. It is written under another name,
synced and renamed, so that there is a whole file or none. The key is not in it: it never was in the
request.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from tcdatalogger import disk, files, private
from tcdatalogger.clock import utc
from tcdatalogger.errors import ConfigError, DataRefused, Failure
from tcdatalogger.observability.log import get_logger
from tcdatalogger.services.torncity.client.messages import Answer, Request
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

REFUSED: Final = ".refused"
"""The ending of a mark beside the answers of a run whose rows were refused; it holds why."""

PART: Final = ".part"
"""How the name of what is not whole yet ends; before it stands its run."""

_log = get_logger("archive")
"""No space on the disk, in the user's quota, or under the limit of this process."""


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
    """A folder of answers.

    Args:
        root: of the folder; made with the first file.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def write(
        self,
        run_id: str,
        endpoint: str,
        kept: Sequence[ArchivedCall],
        about: Mapping[str, object] | None = None,
    ) -> str:
        """Write the answers of a run and return their file, relative to the root.

        Args:
            run_id: of the run.
            endpoint: of the run.
            kept: in the order in which they came.
            about: what the run was to do (`pending.About`), for whoever stores them later.

        Raises:
            ConfigError: the folder cannot be written to.
            DiskFull: nothing was stored.
        """
        import pyarrow.parquet as pq  # noqa: PLC0415 - 30 ms that only runs need

        day = utc(kept[0].answer.requested_at).date().isoformat()
        name = Path(endpoint) / day / f"{run_id}.parquet"
        path = self.root / name
        part = self._halves / f"{run_id}{PART}"
        try:
            private.folder(part.parent)
            private.folder(path.parent)
            with open(part, "wb", opener=private.opener) as file:
                table = _table(run_id, endpoint, kept)
                table = table.replace_schema_metadata({_ABOUT: json.dumps(about or {}).encode()})
                pq.write_table(table, file, compression="zstd")
                file.flush()
                os.fsync(file.fileno())
            part.replace(path)
            files.sync_folder(path.parent)
        except OSError as error:
            with suppress(OSError):
                part.unlink(missing_ok=True)
            raise _refused(self.root, error) from None
        return str(name)

    def prune(self, endpoint: str, before: float, pending: Collection[str] = ()) -> int:
        """Delete the answers of an endpoint from days that ended before a moment; how many files.

        Args:
            endpoint: whose answers.
            before: seconds since 1970.
            pending: runs whose answers stay, as their rows are not in the tables yet.
        """
        last = utc(before).date().isoformat()
        gone = 0
        for day in (self.root / endpoint).glob("????-??-??"):
            if day.name < last:
                for file in day.glob("*.parquet"):
                    if file.stem not in pending:
                        file.unlink(missing_ok=True)
                        gone += 1
                for mark in day.glob(f"*{REFUSED}"):
                    mark.unlink(missing_ok=True)
                with suppress(OSError):  # another process may still write into it
                    day.rmdir()
        return gone

    @property
    def _halves(self) -> Path:
        return self.root / ".half"

    def halves(self) -> list[Path]:
        """What runs have begun to write: those that live, and those that were killed at it."""
        return list(self._halves.glob(f"*{PART}"))

    def files(self, endpoint: str) -> list[str]:
        """The files of an endpoint, relative to the root, in no order."""
        found = (self.root / endpoint).glob("*/*.parquet")
        return [str(file.relative_to(self.root)) for file in found]

    def everything(self) -> list[str]:
        """The files of all endpoints and the marks beside them, relative to the root, by name."""
        found = [*self.root.glob("*/*/*.parquet"), *self.root.glob(f"*/*/*{REFUSED}")]
        return sorted(file.relative_to(self.root).as_posix() for file in found)

    def find(self, endpoint: str, run_id: str) -> str | None:
        """The file of a run, relative to the root; None where there is none."""
        for file in (self.root / endpoint).glob(f"????-??-??/{run_id}.parquet"):
            return str(file.relative_to(self.root))
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
                try:
                    self._mark(file).write_text(f"{refused.message}\n", encoding="utf-8")
                except OSError as error:  # the record of the run has it too
                    _log.warning("refusal_not_archived", message=error.strerror)
            raise

    def refusal(self, file: str) -> str:
        """Why the rows of an archived run were refused, "" where they were not."""
        try:
            return self._mark(file).read_text(encoding="utf-8").strip() or "the mark does not say"
        except OSError:
            return ""

    def accept(self, file: str) -> None:
        """Rows that were refused are stored: somebody has named their run."""
        self._mark(file).unlink(missing_ok=True)

    def _mark(self, file: str) -> Path:
        return (self.root / file).with_suffix(REFUSED)

    def about(self, file: str) -> dict[str, Any]:
        """What the run of a file was to do; empty where an older version wrote it.

        Raises:
            DataRefused: there is no such file, or it is damaged.
        """
        import pyarrow.parquet as pq  # noqa: PLC0415

        try:
            facts = pq.read_schema(self.root / file).metadata or {}
        except (OSError, pa.ArrowException) as error:
            raise _damaged(file, error) from None
        found = json.loads(facts.get(_ABOUT, b"{}"))
        return found if isinstance(found, dict) else {}

    def read(self, file: str) -> Iterator[tuple[str, Page]]:
        """The pages of a file in order, each with its error ("" for data).

        Raises:
            DataRefused: there is no such file, or it is damaged.
        """
        import pyarrow.parquet as pq  # noqa: PLC0415

        try:
            rows = pq.read_table(self.root / file, schema=SCHEMA).to_pylist()
        except (OSError, pa.ArrowException) as error:
            raise _damaged(file, error) from None
        for row in rows:
            yield row["error"], _page(row)


def remove(halves: Iterable[Path]) -> None:
    """Delete what was left half; what cannot be deleted is for the next."""
    for half in halves:
        if half.is_dir():
            shutil.rmtree(half, ignore_errors=True)
        else:
            with suppress(OSError):
                half.unlink()


def _table(run_id: str, endpoint: str, kept: Sequence[ArchivedCall]) -> pa.Table:
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
            for number, one in enumerate(kept)
        ],
        schema=SCHEMA,
    )


def _page(row: dict[str, object]) -> Page:
    def pairs(name: str) -> tuple[tuple[str, str], ...]:
        return tuple((key, value) for key, value in json.loads(str(row[name])))

    answer = Answer(
        request=Request(str(row["path"]), pairs("params")),
        status=int(str(row["status"])),
        body=bytes(row["body"]) if isinstance(row["body"], bytes) else b"",
        server_time=_seconds(row["server_time"]),
        requested_at=_seconds(row["requested_at"]),
        seconds=float(str(row["seconds"])),
        headers=pairs("headers"),
    )
    subject = row["subject_id"]
    return Page(
        answer.body, subject if isinstance(subject, int) else None, answer.server_time, answer
    )


def _seconds(value: object) -> float:
    return value.timestamp() if hasattr(value, "timestamp") else 0.0


def _damaged(file: str, error: Exception) -> DataRefused:
    why = str(error).partition("\n")[0].rstrip(".")
    return DataRefused(
        f"The archive file {file} cannot be read: {why}.",
        remedy="Bring it back from a backup, or leave its run out: `tcdatalogger rebuild NAME "
        "--without RUN`.",
    )


def _refused(root: Path, error: OSError) -> Failure:
    return disk.failure(
        error,
        f"the archive {root}",
        ConfigError(
            f"The archive {root} cannot be written to: {error.strerror or error}.",
            remedy="Give it a folder that this user may write to, in `archive.path`.",
        ),
        remedy="Nothing was stored. Make space, or shorten `archive.keep`, and run it again.",
    )
