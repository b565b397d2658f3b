"""Forgets players: their ids and names get an alias, or go, in all that the program keeps.

1. The player is remembered, as a hash, and the state notes that a forgetting has begun. From now
   on no endpoint runs, until it is finished.
2. The archive is written anew, file by file, where the player is in it.
3. All tables and the ledger are changed in one transaction, and the file of the warehouse is
   written anew.
4. The state, the log, and tables of single steps follow.

Each step can be done again: an alias is nobody who is forgotten. So who was killed at any moment
calls it again, and the end is the same. What Torn sends later has aliases before it is kept.
"""

from __future__ import annotations

import json
import re
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import pyarrow as pa

from tcdatalogger.core import rewriting
from tcdatalogger.core.archive import REFUSED, Archive
from tcdatalogger.core.main import Application
from tcdatalogger.core.operations.exclusive import everything
from tcdatalogger.core.operations.forget_logs import rewrite_logs
from tcdatalogger.core.state.leases import BACKUP
from tcdatalogger.errors import ConfigError, DataRefused, Failure, UsageError
from tcdatalogger.files import Progress, silent
from tcdatalogger.models.evolution import origin
from tcdatalogger.models.people import texts
from tcdatalogger.models.people.columns import PersonColumns, of_names
from tcdatalogger.models.people.pseudonyms import (
    FIRST,
    Alias,
    Pseudonyms,
    hash_of_id,
    hash_of_name,
)
from tcdatalogger.models.people.rewriter import BodyRewriter, PersonFacts
from tcdatalogger.models.schema import TableFamily, TableSchema
from tcdatalogger.models.schema import family as family_of
from tcdatalogger.models.shape import Json
from tcdatalogger.models.versions import Version, current_columns
from tcdatalogger.observability.log import get_logger
from tcdatalogger.services.torncity.catalog import people
from tcdatalogger.services.torncity.catalog.catalog import Endpoint
from tcdatalogger.services.torncity.endpoints.registry import processor
from tcdatalogger.services.torncity.processing.task import Known
from tcdatalogger.services.warehouse.people import Places, at_place
from tcdatalogger.services.warehouse.protocol import Warehouse

PATIENCE: Final = 60.0
"""Seconds to wait for a run of an endpoint to end."""

_PASSES: Final = 3
"""How often the archive is gone through at most: once more where it told new names."""

_USER: Final = re.compile(r"^/user/(\d+)(?=/|$)")

_log = get_logger("forget")


@dataclass(slots=True)
class Done:
    """What was done, or would be.

    Attributes:
        alias: what stands in place of the player; None where all were looked for again.
        rows: rows with an alias now, by table.
        deleted: rows of players who are removed, by table.
        runs: archived runs whose answers are others now, by endpoint.
        state: lines of the state.
        logs: lines of log files.
        steps: runs whose tables of a step were deleted.
        exports: exports that were written before, by name: `exports run` writes them anew.
        written: whether the file of the warehouse was written anew.
        left: what could not be done, in sentences.
    """

    alias: Alias | None = None
    rows: Counter[str] = field(default_factory=Counter)
    deleted: Counter[str] = field(default_factory=Counter)
    runs: Counter[str] = field(default_factory=Counter)
    state: int = 0
    logs: int = 0
    steps: int = 0
    exports: tuple[str, ...] = ()
    written: bool = False
    left: list[str] = field(default_factory=list)

    @property
    def nothing(self) -> bool:
        """Whether nobody was found anywhere."""
        return not (self.rows or self.deleted or self.runs or self.state or self.logs)


def forget(
    application: Application,
    player: int,
    *,
    remove: bool = False,
    dry: bool = False,
    progress: Progress = silent,
) -> Done:
    """Forget a player.

    Args:
        application: the application.
        player: the id.
        remove: whether nothing is to stand in the player's place: ids and names become null, and
            records that are the player's own go. By default an alias does.
        dry: whether it is only counted.
        progress: told of each piece of work.

    Raises:
        UsageError: no player has this id.
        Busy: an endpoint runs for longer than it is waited for.
        WarehouseUnavailable: the warehouse cannot be reached now; `again` finishes it.
    """
    if not 0 < player < FIRST:
        raise UsageError(
            f"No player of Torn's has the id {player}.", remedy="It is a number, as in XID=123."
        )
    store = application.state.forgotten
    if dry:
        known = store.would_be(player, removed=remove)
        whole = _only(known, player)
        done = _found(application, whole, _Hints(player), dry=True, progress=progress)
        _beside(application, done, dry=True)
        return done
    with _exclusive(application):
        now = application.clock.now()
        store.begin(now)
        store.remember(player, now, removed=remove)
        only = _only(store.pseudonyms(), player)
        done = _found(application, only, _Hints(player), progress=progress)
        _beside(application, done, dry=False)
        store.end()
    return done


def again(application: Application, *, dry: bool = False, progress: Progress = silent) -> Done:
    """Look for all players who are forgotten once more, and finish what was cut short.

    Args:
        application: the application.
        dry: whether it is only counted.
        progress: told of each piece of work.

    Raises:
        Busy, WarehouseUnavailable: as `forget`.
    """
    store = application.state.forgotten
    if dry:
        return _found(application, store.pseudonyms(), None, dry=True, progress=progress)
    with _exclusive(application):
        pseudonyms = store.pseudonyms()
        if not pseudonyms:
            store.end()
            return Done()
        store.begin(application.clock.now())
        done = _found(application, pseudonyms, None, progress=progress)
        _beside(application, done, dry=False)
        store.end()
    return done


def in_place(
    application: Application, pseudonyms: Pseudonyms, *, progress: Progress = silent
) -> Done:
    """Change data that nobody else has: a copy, which no run of an endpoint reaches.

    Args:
        application: with the copy.
        pseudonyms: the players.
        progress: told of each piece of work.
    """
    return _found(application, pseudonyms, None, progress=progress)


def _exclusive(application: Application) -> AbstractContextManager[Callable[[], None]]:
    """Claim all endpoints and backups."""
    with application.warehouse(read_only=True) as warehouse:
        known = warehouse.ledger.endpoints() if warehouse.exists() else []
    return everything(application, known, others=(BACKUP,), patience=PATIENCE, forgets=True)


def _only(pseudonyms: Pseudonyms, player: int) -> Pseudonyms:
    """One of the players alone: what is known of the others need not be looked for."""
    own = hash_of_id(pseudonyms.secret, str(player))
    names = {name: whose for name, whose in pseudonyms.names.items() if whose == own}
    return Pseudonyms(pseudonyms.secret, {own: pseudonyms.players[own]}, names)


@dataclass(slots=True)
class _Hints:
    """Bytes of which a body has one if it tells of a player.

    Attributes:
        player: the id.
        names: the names as they are.
        former: the id of the alias, which one who is removed now may have had.
    """

    player: int
    names: set[str] = field(default_factory=set)
    former: str = ""

    def within(self, body: bytes) -> bool:
        """Whether a body may tell of the player."""
        wanted = filter(None, (str(self.player), self.former, *self.names))
        return any(each.encode() in body for each in wanted)


def _found(
    application: Application,
    pseudonyms: Pseudonyms,
    hints: _Hints | None,
    *,
    dry: bool = False,
    progress: Progress = silent,
) -> Done:
    """Do all of it, or count."""
    done = Done()
    if hints is not None:
        done.alias = pseudonyms.of_id(hints.player)
        hints.former = str(done.alias.number) if done.alias else ""
    with application.warehouse(read_only=True) as warehouse:
        places = places_of(application, warehouse)
        names = dict(warehouse.names_in(places, pseudonyms)) if warehouse.exists() else {}
    pseudonyms = _with_names(application, pseudonyms, names, hints, dry=dry)
    pseudonyms = _archive(application, places, pseudonyms, hints, done, dry=dry, progress=progress)
    progress("the tables", 0, 1)
    with application.warehouse(read_only=dry) as warehouse:
        if warehouse.exists():
            found = warehouse.forget(places, pseudonyms, dry=dry)
            done.rows, done.deleted = found.rows, found.deleted
            pseudonyms = _with_names(application, pseudonyms, found.names, hints, dry=dry)
            if not dry:
                _compact(warehouse, done)
    progress("the tables", 1, 1)
    rest(application, pseudonyms, done, dry=dry)
    return done


def rest(
    application: Application, pseudonyms: Pseudonyms, done: Done, *, dry: bool = False
) -> None:
    """Change the state and the log.

    Args:
        application: the application.
        pseudonyms: the players.
        done: what is counted.
        dry: whether it is only counted.
    """
    done.state = application.state.rewrite(pseudonyms, dry=dry)
    done.logs = rewrite_logs(application.settings.log.file, pseudonyms, dry=dry)
    if not dry and (done.alias is not None or not done.nothing):
        _log.info(
            "player_forgotten",
            rows=sum(done.rows.values()),
            deleted=sum(done.deleted.values()),
            runs=sum(done.runs.values()),
        )


def _beside(application: Application, done: Done, *, dry: bool) -> None:
    """Delete the tables of single steps, and say what else has copies."""
    done.exports = tuple(
        each.name
        for each in application.settings.exports
        if each.file is None or Path(each.file).exists()
    )
    root = application.settings.artifacts
    folders = [folder for folder in root.glob("*") if folder.is_dir()]
    done.steps = len(folders)
    for folder in folders if not dry else ():
        shutil.rmtree(folder, ignore_errors=True)
    file = application.settings.warehouse.file
    if file is not None and file.with_name(f"{file.name}.analyst").exists():
        done.left.append(
            "`tcdatalogger ui` runs and has a copy of the warehouse for its SQL page. Stop it: the "
            "copy goes with it."
        )


def _compact(warehouse: Warehouse, done: Done) -> None:
    try:
        done.written = warehouse.compact()
    except Failure as failure:  # the tables are right; old bytes are left in free space of the file
        done.left.append(
            "The file of the warehouse could not be written anew, so old values may be left in its "
            f"free space: {failure} `tcdatalogger forget again` tries it once more."
        )


def _with_names(
    application: Application,
    pseudonyms: Pseudonyms,
    names: Mapping[str, str],
    hints: _Hints | None,
    *,
    dry: bool,
) -> Pseudonyms:
    """The same with names that were found, which are remembered for what comes later."""
    if hints is not None:
        hints.names |= set(names)
    if names and not dry:
        application.state.forgotten.remember_names(names, application.clock.now())
    new = {hash_of_name(pseudonyms.secret, name): whose for name, whose in names.items()}
    return Pseudonyms(pseudonyms.secret, pseudonyms.players, {**pseudonyms.names, **new})


# --- where players are -------------------------------------------------------------------------


def places_of(application: Application, warehouse: Warehouse) -> Places:
    """Where players are in the tables of a warehouse and in the bodies of endpoints."""
    tables: dict[str, PersonColumns] = {}
    bodies: dict[str, PersonFacts] = {}
    about: set[str] = set()
    there = warehouse.exists()
    for configured in application.settings.endpoints:
        task = application.task(configured)
        kind = processor(task.endpoint.path, configured.processor)
        bodies[configured.name] = people.facts(task.endpoint)
        if task.endpoint.about_player:
            about.add(configured.name)
        if kind.declares() and not task.endpoint.route and there:
            family = kind(task, known=Known.of(warehouse, task)).family()
            tables |= _of_family(warehouse, task.endpoint, family)
    if not there:
        return Places((), bodies, frozenset(about))
    ledger = warehouse.ledger
    for owner in ledger.owners():
        endpoint = _endpoint(application, owner.path)
        if endpoint is not None:
            bodies.setdefault(owner.endpoint, people.facts(endpoint))
            about |= {owner.endpoint} if endpoint.about_player else set()
        if owner.table in tables:
            continue
        if endpoint is not None and not endpoint.route:
            shape = ledger.known_shape(owner.endpoint) or endpoint.shape
            family = family_of(shape, owner.family, selection=endpoint.selection)
            found = _of_family(warehouse, endpoint, family)
            tables |= {name: each for name, each in found.items() if name not in tables}
        if owner.table not in tables:
            columns = warehouse.stored([owner.table]).get(owner.table, {})
            whose = endpoint is not None and endpoint.about_player
            tables[owner.table] = of_names(owner.table, columns, about=whose)
    return Places(tuple(tables.values()), bodies, frozenset(about))


def _of_family(
    warehouse: Warehouse, endpoint: Endpoint, family: TableFamily
) -> dict[str, PersonColumns]:
    """Where players are in the tables of a family, by the names that the columns have there."""
    ledger = warehouse.ledger
    found = {}
    for schema, columns in zip(family.tables, people.columns(endpoint, family), strict=True):
        names = _stored_names(ledger.history(schema.name), schema)
        found[schema.name] = columns.called(names)
    return found


def _stored_names(history: Iterable[Version], schema: TableSchema) -> dict[str, str]:
    stored = current_columns(history)
    return {
        column.name: stored[origin(column)].name
        for column in schema.columns
        if origin(column) in stored and stored[origin(column)].name != column.name
    }


def _endpoint(application: Application, path: str) -> Endpoint | None:
    try:
        return application.catalog.find(path)[0] if path else None
    except ConfigError:
        return None


# --- the archive -------------------------------------------------------------------------------


def _archive(
    application: Application,
    places: Places,
    pseudonyms: Pseudonyms,
    hints: _Hints | None,
    done: Done,
    *,
    dry: bool,
    progress: Progress,
) -> Pseudonyms:
    """Change the answers in the archive; returns the players with names that were found there."""
    archive = application.archive
    seen: set[str] = set()
    for _ in range(_PASSES):
        names: dict[str, str] = {}
        there = [one for one in archive.everything() if one.name.endswith(".parquet")]
        for number, one in enumerate(there, 1):
            endpoint = one.name.partition("/")[0]
            facts = places.bodies.get(endpoint, PersonFacts(Json()))
            about = endpoint in places.about_player
            change = _InAnswers(BodyRewriter(facts, pseudonyms), about_player=about, hints=hints)
            try:
                runs = rewriting.rewrite(archive, one, change, dry=True)
                if runs and not dry:  # the names first: a kill must not lose them
                    _with_names(application, pseudonyms, change.rewriter.names, hints, dry=False)
                    rewriting.rewrite(archive, one, change)
            except DataRefused as damaged:
                says = f"{damaged.message} {damaged.remedy}".strip()
                done.left += [says] if says not in done.left else []
                continue
            if runs and not (dry and one.name in seen):
                seen.add(one.name)
                done.runs[endpoint] += runs
            names |= change.rewriter.names
            progress("the archive", number, len(there))
        before = pseudonyms.names
        pseudonyms = _with_names(application, pseudonyms, names, hints, dry=dry)
        if set(pseudonyms.names) == set(before):
            break
    if not dry:
        _marks(archive, pseudonyms)
    return pseudonyms


def _marks(archive: Archive, pseudonyms: Pseudonyms) -> None:
    """Change the marks of refused runs: the sentence of a check has a value for example."""
    for one in archive.everything():
        if not one.name.endswith(REFUSED):
            continue
        with suppress(FileNotFoundError):  # its time was over
            text = archive.storage.read(one.name).decode("utf-8", "replace")
            made = texts.rewritten(text, pseudonyms, names=True)
            if made != text:
                archive.storage.write(one.name, made.encode())
                archive.storage.deliver(one.name)


@dataclass(slots=True)
class _InAnswers:
    """The change of a run's answers (`rewriting.Change`).

    Attributes:
        rewriter: of the bodies.
        about_player: whether the endpoint is about one player.
        hints: what a body has that tells of the player; None to look into each.
    """

    rewriter: BodyRewriter
    about_player: bool
    hints: _Hints | None

    def about(self, about: str | None) -> str | None:
        """The header with aliases: the owner of the key, and places that are a player's."""
        if about is None:
            return None
        pseudonyms = self.rewriter.pseudonyms
        told = json.loads(about)
        alias = pseudonyms.of_id(told.get("key_owner"))
        if alias is not None:
            told["key_owner"] = alias.id
        if self.about_player:
            for each in (*told.get("readings", ()), told.get("stretch") or {}):
                place = pseudonyms.of_id(str(each.get("place", "")))
                if place is not None:
                    each["place"] = place.digits
            if told.get("cursor"):
                told["cursor"] = at_place(told["cursor"], pseudonyms)
        return about if told == json.loads(about) else json.dumps(told)

    def rows(self, rows: pa.RecordBatch) -> pa.RecordBatch:
        """The answers with aliases; without those about a player who is removed."""
        bodies, paths = rows.column("body"), rows.column("path").to_pylist()
        subjects = rows.column("subject_id").to_pylist() if _has(rows, "subject_id") else []
        kept: list[int] = []
        changed: dict[str, dict[int, object]] = {"body": {}, "path": {}, "subject_id": {}}
        for number, path in enumerate(paths):
            alias = self._whose(path, subjects[number] if subjects else None)
            if alias is not None and alias.removed:
                continue
            kept.append(number)
            if alias is not None:
                changed["path"][number] = _USER.sub(f"/user/{alias.digits}", path)
                changed["subject_id"][number] = alias.number
            body = (bodies[number].as_buffer() or pa.py_buffer(b"")).to_pybytes()
            if self.hints is None or self.hints.within(body):
                made = self.rewriter.body(body)
                if made != body:
                    changed["body"][number] = made
        for name, values in changed.items():
            if values and _has(rows, name):
                rows = _with_values(rows, name, values)
        return rows if len(kept) == rows.num_rows else rows.take(pa.array(kept, pa.int64()))

    def _whose(self, path: str, subject: int | None) -> Alias | None:
        """Whom an answer is about, where that is somebody who is forgotten."""
        if not self.about_player:
            return None
        found = _USER.match(path)
        return self.rewriter.pseudonyms.of_id(found[1] if found else subject)


def _has(rows: pa.RecordBatch, name: str) -> bool:
    return name in rows.schema.names


def _with_values(rows: pa.RecordBatch, name: str, values: Mapping[int, object]) -> pa.RecordBatch:
    at = rows.schema.get_field_index(name)
    old = rows.column(at).to_pylist()
    new = [values.get(number, value) for number, value in enumerate(old)]
    return rows.set_column(at, name, pa.array(new, rows.schema.field(at).type))
