"""What a run that was stopped after a step has left: its tables, to look at and to go on from.

A folder for each run: the tables as Parquet, what was set aside and what was new as JSON, and
`step.json`, which says what they are and has a checksum of every file. It is written under another
name and renamed, so that there is a whole one or none. (What a fetch leaves is in the archive.)
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any, Final, get_type_hints

import msgspec

from tcdatalogger import disk, private
from tcdatalogger.clock import Clock
from tcdatalogger.core.archive import PART
from tcdatalogger.errors import ConfigError, DataRefused, Failure
from tcdatalogger.models import notation
from tcdatalogger.models.drift import Drift
from tcdatalogger.models.evolution import adopt
from tcdatalogger.models.salvage import Misfit
from tcdatalogger.models.schema import TableFamily, TableSchema
from tcdatalogger.models.shape import Object
from tcdatalogger.services.torncity.task import Fetched, Task, Tools, Transformed
from tcdatalogger.services.warehouse import Warehouse

KEEP: Final = 7 * 86_400.0
"""Seconds after which what nobody went on from is deleted."""

_STEP: Final = "step.json"
_FILES: Final = frozenset({"family", "tables", "drift", "misfits"})


@dataclass(frozen=True, slots=True)
class Left:
    """What an earlier part of a run has left, to go on from.

    Attributes:
        step: the last one that it took.
        fetched: its answers.
        made: its rows; None where they are still to be made.
        tools: that its fetch worked with, without a way to call Torn.
        stores: whether it was to store its rows from the beginning.
        overtaken: why it has no place in the tables any more, "" where it has one.
    """

    step: str
    fetched: Fetched
    made: Transformed | None = None
    tools: Tools = field(default_factory=Tools)
    stores: bool = False
    overtaken: Callable[[Warehouse], str] = lambda _warehouse: ""

    def refuse_stale(self, warehouse: Warehouse, name: str) -> None:
        """Refuse what has no place in the tables any more.

        Args:
            warehouse: as it is now.
            name: of the endpoint.

        Raises:
            DataRefused: a later run took its place, or has brought a field that these rows lack.
        """
        why = self.overtaken(warehouse)
        if why:
            raise DataRefused(why, remedy="Nothing was stored; its answers are in the archive.")
        known = warehouse.known(name)
        if self.made is None or known is None or not self.made.family.shape.fields:
            return
        shape = self.made.family.shape
        if adopt(shape, known) != shape:
            raise DataRefused(
                "The tables have got columns since these rows were made.",
                remedy="Make them again: `--step transform` with the same --run, or no --step.",
            )


class Artifacts:
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
                with open(part / f"{name}.parquet", "wb", opener=private.opener) as file:
                    pq.write_table(table, file, compression="zstd")
            for name, found in (("drift", made.drift), ("misfits", made.misfits)):
                _write(part / f"{name}.json", [asdict(one) for one in found])
            sums = {file.name: _sum(file) for file in sorted(part.iterdir())}
            facts = _facts(task, step, made) | {"at": self._clock.now(), "files": sums}
            _write(part / _STEP, facts)
            self.remove(task.run_id)
            return part.rename(self.folder(task.run_id))
        except OSError as error:
            shutil.rmtree(part, ignore_errors=True)
            raise _refused(self.root, error) from None

    def halves(self) -> list[Path]:
        """What runs have begun to write, as `Archive.halves`."""
        return list(self.root.glob(f"*{PART}"))

    def step(self, run_id: str) -> str:
        """The step whose rows of a run are here, "" where none are."""
        try:
            return str(json.loads((self.folder(run_id) / _STEP).read_bytes())["step"])
        except (OSError, ValueError, KeyError, TypeError):
            return ""

    def read(self, task: Task) -> Transformed:
        """The rows of a run as it left them.

        Raises:
            DataRefused: a file has been changed, or is of another run; or the endpoint's settings
                would make other rows by now.
        """
        folder = self.folder(task.run_id)
        try:
            facts = json.loads((folder / _STEP).read_bytes())
            self._verify(task, folder, facts)
            return _made(folder, facts)
        except (OSError, ValueError, KeyError, TypeError, msgspec.ValidationError):
            raise _changed(task, "is damaged") from None

    def _verify(self, task: Task, folder: Path, facts: Mapping[str, Any]) -> None:
        if (facts["run_id"], facts["endpoint"]) != (task.run_id, task.name):
            raise _changed(task, f"is that of {facts['run_id']} of {facts['endpoint']}")
        found = {file.name: _sum(file) for file in folder.iterdir() if file.name != _STEP}
        if found != facts["files"]:
            raise _changed(task, "has been changed")
        if facts["how"] != _how(task):
            raise _changed(task, "was made by other settings of its endpoint")

    def remove(self, run_id: str) -> None:
        """Delete what a run has left; nothing where it left none."""
        shutil.rmtree(self.folder(run_id), ignore_errors=True)

    def prune(self) -> int:
        """Delete what nobody has gone on from for days; how many runs' it was."""
        before = self._clock.now() - KEEP
        gone = 0
        for folder in self.root.glob("*"):
            with suppress(OSError, ValueError, KeyError, TypeError):
                if json.loads((folder / _STEP).read_bytes())["at"] < before:
                    shutil.rmtree(folder, ignore_errors=True)
                    gone += 1
        return gone


def _facts(task: Task, step: str, made: Transformed) -> dict[str, Any]:
    family = made.family
    return {
        "run_id": task.run_id,
        "endpoint": task.name,
        "step": step,
        "how": _how(task),
        "family": {
            "shape": notation.write_whole(family.shape, {}),
            "root": family.root,
            "listed": family.listed,
            "tables": [asdict(table) for table in family.tables],
        },
        "made": {name: msgspec.to_builtins(getattr(made, name)) for name in _plain()},
    }


def _how(task: Task) -> list[Any]:
    """Whatever the rows of the same answers hang on."""
    own = [list(task.key), repr(task.columns), repr(task.checks), task.contract]
    return [task.asked, task.catalog_version, *own, task.once]


def _plain() -> dict[str, Any]:
    """The fields of `Transformed` that are values, with their types."""
    return {name: kind for name, kind in get_type_hints(Transformed).items() if name not in _FILES}


def _made(folder: Path, facts: Mapping[str, Any]) -> Transformed:
    import pyarrow.parquet as pq  # noqa: PLC0415

    told = facts["family"]
    shape = notation.read(told["shape"], {}, {})
    if not isinstance(shape, Object):
        raise TypeError("a body is an object")
    tables = msgspec.convert(told["tables"], tuple[TableSchema, ...])
    family = TableFamily(shape, tuple(told["root"]), told["listed"], tables)
    return Transformed(
        family,
        {table.name: pq.read_table(folder / f"{table.name}.parquet") for table in tables},
        msgspec.convert(_read(folder / "drift.json"), tuple[Drift, ...]),
        msgspec.convert(_read(folder / "misfits.json"), tuple[Misfit, ...]),
        **{name: msgspec.convert(facts["made"][name], kind) for name, kind in _plain().items()},
    )


def _read(file: Path) -> Any:
    return json.loads(file.read_bytes())


def _write(file: Path, value: Sequence[Any] | Mapping[str, Any]) -> None:
    with open(file, "w", encoding="utf-8", opener=private.opener) as written:
        written.write(json.dumps(value, ensure_ascii=False, indent=1))


def _sum(file: Path) -> str:
    return sha256(file.read_bytes()).hexdigest()


def _changed(task: Task, what: str) -> DataRefused:
    return DataRefused(
        f"What the run {task.run_id} has left {what}.",
        remedy=f"Nothing was stored. Make its rows again: `tcdatalogger run {task.name} --run "
        f"{task.run_id} --step transform`.",
    )


def _refused(root: Path, error: OSError) -> Failure:
    return disk.told(
        error,
        str(root),
        ConfigError(f"{root} cannot be written to: {error.strerror or error}."),
    )
