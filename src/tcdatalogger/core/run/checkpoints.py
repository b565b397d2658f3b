"""What a run that was stopped after a step has left to look at: its tables.

A folder for each run: the tables as Parquet, what was set aside and what was new as JSON, and
`step.json`, which says what they are. It is written under another name and renamed, so that there
is a whole one or none. Nothing is read back: a run goes on from its answers in the archive.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from tcdatalogger import disk, private
from tcdatalogger.clock import Clock
from tcdatalogger.errors import ConfigError, Failure
from tcdatalogger.services.storage.folder import PART
from tcdatalogger.services.torncity.processing.task import Task, Transformed

KEEP: Final = 7 * 86_400.0
"""Seconds after which it is deleted."""

_STEP: Final = "step.json"


class StepTables:
    """A folder of what runs have left.

    Args:
        root: of the folder; made when a run first leaves something.
        clock: tells how old a thing is.
    """

    def __init__(self, root: Path, clock: Clock) -> None:
        self.root = root
        self._clock = clock

    def folder(self, run_id: str) -> Path:
        """Where the tables of a run are."""
        return self.root / run_id

    def write(self, task: Task, step: str, made: Transformed) -> Path:
        """Keep the rows of a run after a step, in place of those of an earlier one; their folder.

        Raises:
            ConfigError: the folder cannot be written to.
            DiskFull: nothing was kept.
        """
        import pyarrow.parquet as pq  # noqa: PLC0415 - 30 ms that only runs need

        part = self.root / f"{task.run_id}{PART}"
        try:
            self.prune()
            shutil.rmtree(part, ignore_errors=True)
            private.folder(part)
            for name, table in made.tables.items():
                with (
                    open(part / f"{name}.parquet", "wb", opener=private.opener) as file,
                    pq.ParquetWriter(file, table.schema, compression="zstd") as writer,
                ):
                    for batch in table.to_batches():
                        writer.write_batch(batch)
            for name, found in (("drift", made.drift), ("rejected", made.rejected)):
                _write(part / f"{name}.json", [asdict(one) for one in found])
            facts = {"run_id": task.run_id, "endpoint": task.name, "step": step}
            _write(part / _STEP, facts | {"at": self._clock.now()})
            self.remove(task.run_id)
            return part.rename(self.folder(task.run_id))
        except OSError as error:
            shutil.rmtree(part, ignore_errors=True)
            raise _refused(self.root, error) from None

    def halves(self) -> list[Path]:
        """What runs have begun to write, as `Archive.halves`."""
        return list(self.root.glob(f"*{PART}"))

    def remove(self, run_id: str) -> None:
        """Delete what a run has left; nothing where it left none."""
        shutil.rmtree(self.folder(run_id), ignore_errors=True)

    def prune(self) -> int:
        """Delete what is older than `KEEP`; how many runs' it was."""
        before = self._clock.now() - KEEP
        gone = 0
        for folder in self.root.glob("*"):
            with suppress(OSError, ValueError, KeyError, TypeError):
                if json.loads((folder / _STEP).read_bytes())["at"] < before:
                    shutil.rmtree(folder, ignore_errors=True)
                    gone += 1
        return gone


def _write(file: Path, value: Sequence[Any] | Mapping[str, Any]) -> None:
    with open(file, "w", encoding="utf-8", opener=private.opener) as written:
        written.write(json.dumps(value, ensure_ascii=False, indent=1))


def _refused(root: Path, error: OSError) -> Failure:
    return disk.failure(
        error,
        str(root),
        ConfigError(f"{root} cannot be written to: {error.strerror or error}."),
    )
