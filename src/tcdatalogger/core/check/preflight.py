"""Checks everything that a run needs before the first run: keys, folders, tables."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, closing
from pathlib import Path

from tcdatalogger import disk
from tcdatalogger.core.check import bigquery, rights, stored_tables
from tcdatalogger.core.check.finding import Finding
from tcdatalogger.core.config.channels import ChannelSettings
from tcdatalogger.core.config.paths import without_password
from tcdatalogger.core.config.settings import QUERY, EndpointSettings, Settings, WarehouseSettings
from tcdatalogger.core.main import Application
from tcdatalogger.core.operations.channels import opened
from tcdatalogger.core.run.key_selection import subject
from tcdatalogger.core.run.task import queried
from tcdatalogger.core.state import migrations
from tcdatalogger.core.state.connect import open_database
from tcdatalogger.core.state.sqlite import refuse_share
from tcdatalogger.errors import ConfigError, DataRefused, Failure, KeyRefused
from tcdatalogger.models import renames
from tcdatalogger.models.checks.evaluate import unknown
from tcdatalogger.models.evolution import Change, Step
from tcdatalogger.models.owners import free, of_another
from tcdatalogger.models.records import key_columns
from tcdatalogger.models.schema import TableFamily
from tcdatalogger.services.storage.address import BucketAddress
from tcdatalogger.services.storage.folder import Folder
from tcdatalogger.services.storage.open import open_spool
from tcdatalogger.services.torncity.endpoints.registry import processor
from tcdatalogger.services.torncity.keys import KeyInfo, custom_key_link, needs
from tcdatalogger.services.torncity.processing.task import Known
from tcdatalogger.services.warehouse.load import as_stored
from tcdatalogger.services.warehouse.protocol import Warehouse

_OF_DUCKDB = ("encryption_key",)
_OF_BIGQUERY = ("credentials", "partition", "require_partition_filter", "kms_key")
"""Settings of `[warehouse]` for one kind alone."""


def inspect(application: Application, *, online: bool = True) -> Iterator[Finding]:
    """All findings, good and bad, in the order in which a run needs the parts.

    Args:
        application: the application.
        online: whether Torn is asked about the keys, with one call for each key, and whether a
            bucket and BigQuery are asked.
    """
    settings = application.settings
    yield Finding("torn", settings.torn.url)
    state = _state(settings)
    yield state
    yield from _places(settings)
    if settings.archive.folder is None:
        yield _bucket(application, online=online)
        yield _spool(settings)
    warehouse_ok = True
    if settings.warehouse.file is None:
        found = list(bigquery.access(application)) if online else [bigquery.not_asked(settings)]
        yield from found
        warehouse_ok = online and all(finding.failure is None for finding in found)
    yield from _unused(settings.warehouse)
    yield from rights.findings(settings)
    for channel in settings.all_channels:
        yield _channel(application, channel)
    with ExitStack() as beside:
        if state.failure is None and not settings.state.begun:
            application = beside.enter_context(application.aside())
        state_ok = state.failure is None
        yield from _endpoints(
            application,
            online=online and state_ok,
            state_ok=state_ok,
            warehouse_ok=warehouse_ok,
        )


def _endpoints(
    application: Application, *, online: bool, state_ok: bool, warehouse_ok: bool
) -> Iterator[Finding]:
    families: dict[str, TableFamily | None] = {}
    named = {endpoint.name: endpoint for endpoint in application.settings.endpoints}
    for name, endpoint in named.items():
        try:
            families[name] = _family(application, endpoint)
        except Failure as failure:
            yield Finding(name, endpoint.path, failure)
    told = {name: family for name, family in families.items() if family is not None}
    yield from _clashes(application, named, told)
    yield from _keys(application) if online else _missing_keys(application)
    if warehouse_ok:
        yield from _tables(application, named, families, state_ok=state_ok)
        if application.settings.warehouse.file is None:
            yield from bigquery.schedule(application, families)


def _state(settings: Settings) -> Finding:
    """Whether the state can be used; a missing state is not created."""
    url, file = settings.state.url or "", settings.state.file
    shown = without_password(url) or ""
    try:
        if file is not None:
            refuse_share(file)
        if file is not None and not file.exists():
            return _writable("state", file)
        with closing(open_database(url)) as database:
            there = migrations.version(database) > 0
    except Failure as failure:
        return Finding("state", "" if file else shown, failure)
    if file is not None:
        return _writable("state", file)
    return Finding("state", shown if there else f"{shown}, its tables to be made")


def _places(settings: Settings) -> Iterator[Finding]:
    places = [
        ("archive", settings.archive.folder and settings.archive.folder / "x"),
        ("warehouse", settings.warehouse.file),
        ("log", settings.log.file),
        ("backup", _backups(settings)),
    ]
    for name, file in places:
        if file is not None:
            yield _writable(name, file)


def _bucket(application: Application, *, online: bool) -> Finding:
    """Whether the bucket can be listed, written, read and deleted in; how much waits for it."""
    settings = application.settings
    place = str(BucketAddress.parse(settings.archive.path))
    if not online:
        return Finding("archive", f"{place}, which was not asked")
    try:
        application.bucket.prove()
    except Failure as failure:
        return Finding("archive", place, failure)
    waiting = sum(1 for _ in open_spool(settings.archive.path, settings.spool).files())
    says = f", {waiting} files wait for it: the next run brings them there" if waiting else ""
    if others := sum(1 for _ in Folder(settings.spool).files()) - waiting:
        says += f", {others} files in {settings.spool} wait for another address than this one"
    return Finding("archive", place + says, warning=bool(says))


def _spool(settings: Settings) -> Finding:
    """Whether answers can wait for the bucket on this machine."""
    found = _writable("spool", settings.spool / "x")
    if found.failure is None:
        return Finding("spool", str(settings.spool))
    says = (
        f"{found.failure.message} Answers go into the bucket at once, and are lost if it is away."
    )
    return Finding("spool", f"{says} Name a folder in `archive.spool`.", warning=True)


def _unused(warehouse: WarehouseSettings) -> Iterator[Finding]:
    """Settings that are set for another kind of warehouse than the configured one."""
    kinds = {True: _OF_DUCKDB, False: _OF_BIGQUERY}
    fields = type(warehouse).model_fields
    unused = [
        f"`{name}`"
        for name in kinds[warehouse.file is None]
        if getattr(warehouse, name) != fields[name].default
    ]
    if unused:
        other, this = ("DuckDB", "BigQuery") if warehouse.file is None else ("BigQuery", "DuckDB")
        says = f"{', '.join(unused)}: for {other}; {this} makes no use of it"
        yield Finding("warehouse", says, warning=True)


def _backups(settings: Settings) -> Path | None:
    """A file in the folder of backups, None where the scheduler makes no backups."""
    place, often = settings.backup.path, settings.backup.frequency
    return None if place is None or often is None else place / "x"


def _channel(application: Application, channel: ChannelSettings) -> Finding:
    """Whether the secrets of a channel are where the configuration says; nothing is sent."""
    part = f"channel {channel.name}"
    try:
        opened(application.settings, channel, application.environ)
    except Failure as failure:
        return Finding(part, "", failure)
    where = ", ".join(channel.references.values()) or channel.server
    return Finding(part, f"{channel.kind}, {where}; gets {', '.join(channel.gets)}")


def _writable(name: str, file: Path) -> Finding:
    """Whether a file can be created or changed; for a new file the nearest folder decides."""
    folder = next((parent for parent in file.parents if parent.exists()), file.parent)
    target = file if file.exists() else folder
    if disk.is_full(folder):
        return Finding(name, str(file), disk.full(f"the {name} {file}"))
    if os.access(target, os.W_OK) and folder.is_dir():
        shown = file if name != "archive" else file.parent
        return Finding(name, str(shown) if shown.exists() else f"{shown}, to be made")
    return Finding(
        name,
        str(file),
        ConfigError(
            f"The {name} cannot be written: this user may not write to {target}.",
            remedy=f"Name another place in [{name}].",
        ),
    )


def _family(application: Application, endpoint: EndpointSettings) -> TableFamily | None:
    """The tables of an endpoint; None where its processor does not declare them.

    Raises:
        ConfigError: the key is missing or does not fit the storage mode.
    """
    task = application.task(endpoint)
    kind = processor(task.endpoint.path, endpoint.processor)
    if not kind.declares():
        return None
    worker = kind(task)
    family, plain = worker.family(), worker.plain_family()
    root = {column.name for column in plain.tables[0].columns}
    missing = [name for name in task.key if name not in root]
    if missing and not endpoint.processor:
        raise ConfigError(
            f"The key of {endpoint.name} names a column that {endpoint.root_table} lacks: "
            f"{missing[0]}.",
            remedy=f"`tcdatalogger catalog show {endpoint.path}` lists its columns.",
        )
    nested = [
        column.name
        for column in plain.tables[0].data_columns
        if column.name in task.key and len(column.path) > 1
    ]
    if nested:
        raise ConfigError(
            f"The key of {endpoint.name} names {nested[0]}, which is inside of an object.",
            remedy="Choose columns of the record itself: its child tables get copies of them.",
        )
    if endpoint.storage_mode in ("merge", "history") and key_columns(family) is None:
        raise ConfigError(
            f"{endpoint.storage_mode} needs a key that tells the records of {endpoint.name} apart.",
            remedy=f"Set `key` of {endpoint.name} to columns of {endpoint.root_table} that do.",
        )
    return family


def _clashes(
    application: Application,
    named: Mapping[str, EndpointSettings],
    families: Mapping[str, TableFamily],
) -> Iterator[Finding]:
    """Tables that two endpoints would write that are not one owner."""
    writers: dict[str, dict[tuple[str, str], str]] = defaultdict(dict)
    for name, family in families.items():
        template = application.catalog.find(named[name].path)[0].path
        for table in family.tables:
            writers[table.name].setdefault((template, family.tables[0].name), name)
    for shared, by_owner in writers.items():
        if len(by_owner) > 1:
            [(_, first), ((_, root), second), *_] = by_owner.items()
            yield Finding(second, shared, _clash(first, second, shared, root, writers))


def _clash(first: str, second: str, table: str, root: str, tables: Iterable[str]) -> Failure:
    return ConfigError(
        f"{first} and {second} would both write the table {table}.",
        remedy=f'Give {second} a table of its own: table = "{free(root, tables)}"',
    )


def _keys(application: Application) -> Iterator[Finding]:
    by_key: dict[str, list[EndpointSettings]] = defaultdict(list)
    whose: dict[str, KeyInfo] = {}
    for endpoint in application.settings.endpoints:
        for name in endpoint.api_key:
            by_key[name].append(endpoint)
    for name, endpoints in by_key.items():
        try:
            info = application.info(application.key(name))
        except Failure as failure:
            yield Finding(f"key {name}", "", failure)
            continue
        whose[name] = info
        faction = f", faction {info.faction_id}" if info.faction_id else ""
        access = " with API access" if info.faction_access else " without API access"
        yield Finding(
            f"key {name}",
            f"{info.access_type}, player {info.owner_id}{faction}{access if faction else ''}",
        )
        wanted = [application.task(endpoint).endpoint for endpoint in endpoints]
        link = custom_key_link(wanted)
        for endpoint, found in zip(endpoints, wanted, strict=True):
            why = needs(found, info)
            if why is not None:
                remedy = f"A key that can do all of this: {link}"
                if found.faction_access and not info.faction_access:
                    remedy = "Ask your faction's leader for API access in your position."
                yield Finding(endpoint.name, endpoint.path, KeyRefused(why, remedy=remedy))

    yield from _whose(application, whose)


def _whose(application: Application, whose: dict[str, KeyInfo]) -> Iterator[Finding]:
    """Endpoints whose keys are about several factions, players or companies."""
    for endpoint in application.settings.endpoints:
        found = application.task(endpoint).endpoint
        if not found.of_key_owner:
            continue
        infos = {name: whose[name] for name in endpoint.api_key if name in whose}
        about = {name: subject(found.section, info) for name, info in infos.items()}
        if endpoint.subject is not None and about and endpoint.subject not in about.values():
            yield Finding(
                endpoint.name,
                endpoint.path,
                KeyRefused(
                    f"No key of {endpoint.name} is about {endpoint.subject}: {_listed(about)}.",
                    remedy=f"Correct `subject` of {endpoint.name}, or its api_key.",
                ),
            )
        elif endpoint.subject is None and len(set(about.values())) > 1:
            says = f"its keys are about several subjects: {_listed(about)}. Set `subject`."
            yield Finding(endpoint.name, says, warning=True)


def _listed(about: dict[str, int | None]) -> str:
    return ", ".join(f"{name} of {who or 'nobody'}" for name, who in about.items())


def _missing_keys(application: Application) -> Iterator[Finding]:
    """Keys that cannot be resolved; Torn is not asked about the others."""
    used = [name for endpoint in application.settings.endpoints for name in endpoint.api_key]
    for name in dict.fromkeys(used):
        try:
            application.key(name)
        except ConfigError as error:
            yield Finding(f"key {name}", str(error), warning=True)


def _tables(
    application: Application,
    named: Mapping[str, EndpointSettings],
    families: Mapping[str, TableFamily | None],
    *,
    state_ok: bool,
) -> Iterator[Finding]:
    """How the tables would change; a missing warehouse is not created."""
    try:
        warehouse_settings = application.settings.warehouse
        if warehouse_settings.encryption_key is not None and warehouse_settings.file is not None:
            application.look_for_cipher()
        with application.warehouse(read_only=True) as warehouse:
            for name, family in families.items():
                endpoint = named[name]
                yield from _ids(endpoint, warehouse)
                if family is None:
                    yield from _by_its_rows(endpoint, warehouse)
                else:
                    yield from _stored(application, endpoint, warehouse)
                if state_ok:
                    yield from _last_checks(application, endpoint)
    except Failure as failure:
        yield Finding("warehouse", "", failure)


def _by_its_rows(endpoint: EndpointSettings, warehouse: Warehouse) -> Iterator[Finding]:
    """The tables of the last load of a processor that does not declare its tables."""
    says = "known when its processor has made rows"
    for line in warehouse.loads(endpoint=endpoint.name, counting=True, most=1):
        says = f"{', '.join(line.rows)}, as its processor made them last"
    yield Finding(f"tables of {endpoint.name}", says)
    yield Finding(
        f"processor of {endpoint.name}",
        "not checked here: its key, `columns`, `checks` and stored rows, because it does not "
        "declare its tables (`plain_family`). A run checks its own rows",
    )


def _ids(endpoint: EndpointSettings, warehouse: Warehouse) -> Iterator[Finding]:
    """The number of ids that the query of an endpoint finds."""
    asked = next((str(value) for value in endpoint.ids if str(value).startswith(QUERY)), None)
    if asked is None:
        return
    part = f"ids of {endpoint.name}"
    if not warehouse.exists():
        says = "its query has nothing to read yet: another endpoint has to run first"
        yield Finding(part, says, warning=True)
        return
    try:
        yield Finding(part, f"{len(queried(warehouse, asked))} found by its query")
    except Failure as failure:
        yield Finding(part, asked, failure)


def _stored(
    application: Application, endpoint: EndpointSettings, warehouse: Warehouse
) -> Iterator[Finding]:
    """The findings about the tables of an endpoint, with all learned fields."""
    task = application.task(endpoint)
    known = Known.of(warehouse, task)
    owners = known.owners
    kind = processor(task.endpoint.path, endpoint.processor)
    worker = kind(task, known=known)
    family = worker.family()
    other = of_another(family, task.name, task.endpoint.path, owners)
    if other is not None:
        root, names = family.tables[0].name, [owner.table for owner in owners]
        clash = _clash(other.endpoint, task.name, other.table, root, names)
        yield Finding(endpoint.name, other.table, clash)
    plain, ignored = worker.plain_family(), task.history_ignore or ()
    strangers = [
        *(f"`columns` names {n}" for n in renames.unknown(plain, endpoint.columns)),
        *(f"`history_ignore` names {n}" for n in renames.unknown(plain, ignored)),
        *(f"`checks` names {n}" for n in unknown(task.checks, family)),
    ]
    if strangers:
        yield Finding(endpoint.name, endpoint.path, _no_such(endpoint, strangers))
    steps = warehouse.plan(as_stored(family, task.mode, task.name))
    part = f"tables of {endpoint.name}"
    yield Finding(part, _summary(family, steps), _refused(endpoint.name, steps))
    if known.shape is not None:
        yield from (Finding(*found) for found in stored_tables.findings(warehouse, task, family))


def _no_such(endpoint: EndpointSettings, strangers: list[str]) -> Failure:
    return ConfigError(
        f"{endpoint.name} has no such column: {'; '.join(strangers)}.",
        remedy="The tables that its processor declares (`plain_family`) have the columns."
        if endpoint.processor
        else f"`tcdatalogger catalog show {endpoint.path}` lists its columns.",
    )


def _last_checks(application: Application, endpoint: EndpointSettings) -> Iterator[Finding]:
    """The failed checks of the last run of an endpoint."""
    file = application.settings.state.file
    if file is not None and not file.exists():
        return
    for run in application.state.runs(endpoint=endpoint.name, most=1):
        for says in run.failed_checks:
            part = f"last run of {endpoint.name}"
            wrong = run.status == "failed"
            yield Finding(part, says, DataRefused(f"{says}.", remedy=run.remedy) if wrong else None)


def _summary(family: TableFamily, steps: tuple[Step, ...]) -> str:
    tables = ", ".join(table.name for table in family.tables)
    changes = [str(step) for step in steps if step.change is not Change.TABLE]
    new = sum(step.change is Change.TABLE for step in steps)
    plan = [f"{new} of {len(family.tables)} tables to be made"] if new else []
    return "; ".join([tables, *plan, *changes])


def _refused(name: str, steps: tuple[Step, ...]) -> Failure | None:
    asking = [str(step) for step in steps if not step.free]
    if not asking:
        return None
    return ConfigError(
        f"The tables of {name} need these changes: {'; '.join(asking)}.",
        remedy=f"`tcdatalogger schema apply {name}` shows what comes of it; "
        "or give the endpoint another `table`.",
    )
