"""What is known while things happen: runs, what a key may do, calls and the health of keys.

A SQLite file that all processes on a machine share. Nothing in it is needed to keep data right:
cursors and loads are in the warehouse's ledger, so this file can be lost.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Final

from tcdatalogger.core import standing, traffic
from tcdatalogger.core.database import Database
from tcdatalogger.core.standing import SharedStanding
from tcdatalogger.core.traffic import Traffic
from tcdatalogger.services.torncity.keys import KeyInfo

_SCHEMA: Final = """
create table if not exists runs (
    run_id text primary key, endpoint text not null, status text not null, started_at real not null,
    facts text not null
);
create index if not exists runs_by_endpoint on runs (endpoint, started_at);
create table if not exists keys (
    fingerprint text primary key, owner_id integer not null, checked_at real not null,
    info text not null
);
"""

RUNNING: Final = "running"


@dataclass(frozen=True, slots=True)
class RunRecord:
    """One run as the books have it. Times are seconds since 1970.

    Attributes:
        status: `running`, `done`, `failed`, `stopped` (after the step that was asked for) or
            `lost` (its process is gone).
        step: the last step that was begun.
        seconds: how long each step took.
        calls, bytes: of Torn's API.
        rows: stored, by table.
        quarantined, drift, repeated: counts.
        unchanged: whether Torn had nothing new, so that nothing was stored.
        load_id, schema_version, archive_file: where it went.
        steps: how the tables changed.
        error, error_class, remedy, exit_code: why it failed.
        pid, host: of its process.
    """

    run_id: str
    endpoint: str
    started_at: float
    status: str = RUNNING
    step: str = "fetch"
    finished_at: float | None = None
    seconds: Mapping[str, float] = field(default_factory=dict)
    calls: int = 0
    pages: int = 0
    bytes: int = 0
    rows: Mapping[str, int] = field(default_factory=dict)
    quarantined: int = 0
    drift: int = 0
    repeated: int = 0
    unchanged: bool = False
    warnings: tuple[str, ...] = ()
    server_time: float | None = None
    load_id: str = ""
    schema_version: int = 0
    steps: tuple[str, ...] = ()
    archive_file: str = ""
    error: str = ""
    error_class: str = ""
    remedy: str = ""
    exit_code: int = 0
    pid: int = 0
    host: str = ""


class State(Database):
    """The state database.

    Args:
        path: of the file; made where it is not there.

    Raises:
        ConfigError: it cannot be opened or written.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path, _SCHEMA + traffic.SCHEMA + standing.SCHEMA)
        self.traffic = Traffic(self)
        """Slots and holds of the call budget."""
        self.standing = SharedStanding(self)
        """Health of keys, whether Torn is down, rows of the day."""

    # --- runs ------------------------------------------------------------------------------

    def write_run(self, run: RunRecord) -> None:
        """Write a run down, over what was known of it."""
        facts = json.dumps(asdict(run))
        with self.writing() as db:
            db.execute(
                "insert or replace into runs values (?, ?, ?, ?, ?)",
                (run.run_id, run.endpoint, run.status, run.started_at, facts),
            )

    def runs(
        self, *, endpoint: str | None = None, run_id: str | None = None, most: int = 20
    ) -> list[RunRecord]:
        """The newest runs first."""
        rows = self.reading(
            """select facts from runs where (?1 is null or endpoint = ?1)
               and (?2 is null or run_id = ?2) order by started_at desc, rowid desc limit ?3""",
            (endpoint, run_id, most),
        )
        return [_run(json.loads(facts)) for (facts,) in rows]

    def mark_lost(self) -> list[RunRecord]:
        """Runs whose process on this machine is gone become `lost`; which they were."""
        rows = self.reading("select facts from runs where status = ?", (RUNNING,))
        lost = []
        for (facts,) in rows:
            run = _run(json.loads(facts))
            if run.host == socket.gethostname() and not _alive(run.pid):
                gone = _run(asdict(run) | {"status": "lost", "error": "Its process is gone."})
                self.write_run(gone)
                lost.append(gone)
        return lost

    # --- keys ------------------------------------------------------------------------------

    def write_key(self, fingerprint: str, info: KeyInfo, checked_at: float) -> None:
        with self.writing() as db:
            db.execute(
                "insert or replace into keys values (?, ?, ?, ?)",
                (fingerprint, info.owner_id, checked_at, json.dumps(asdict(info))),
            )

    def key(self, fingerprint: str) -> tuple[KeyInfo, float] | None:
        """What Torn said of a key, and when; None where it was never asked."""
        rows = self.reading(
            "select info, checked_at from keys where fingerprint = ?", (fingerprint,)
        )
        if not rows:
            return None
        row = rows[0]
        facts = json.loads(row[0])
        facts["selections"] = {k: tuple(v) for k, v in facts["selections"].items()}
        return KeyInfo(**facts), float(row[1])


def _run(facts: dict[str, Any]) -> RunRecord:
    """A run from its facts; what an older or newer version wrote besides is passed over."""
    known = {f.name for f in fields(RunRecord)}
    facts = {name: value for name, value in facts.items() if name in known}
    for name in ("warnings", "steps"):
        facts[name] = tuple(facts.get(name, ()))
    return RunRecord(**facts)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
