"""Looks at everything that a run will need, before the first one: keys, folders, tables."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tcdatalogger.core import soundness
from tcdatalogger.core.main import Application
from tcdatalogger.core.settings import Endpoint
from tcdatalogger.errors import ConfigError, DataRefused, Failure, KeyRefused
from tcdatalogger.models import renames
from tcdatalogger.models.evolution import Change, Step
from tcdatalogger.models.judge import unknown
from tcdatalogger.models.owners import free, of_another
from tcdatalogger.models.schema import TableFamily
from tcdatalogger.services.torncity.keys import custom_key_link, needs
from tcdatalogger.services.torncity.registry import processor
from tcdatalogger.services.torncity.task import Tools
from tcdatalogger.services.warehouse import Warehouse, as_stored


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found about one part.

    Attributes:
        part: the endpoint, key or place.
        says: what was found, one line.
        failure: what is wrong, None where it is right.
        plain: whether it is as it should be and of no interest to a person.
    """

    part: str
    says: str
    failure: Failure | None = None
    plain: bool = False


def inspect(application: Application, *, online: bool = True) -> Iterator[Finding]:
    """Every finding, good or bad, in the order in which a run would meet them.

    Args:
        application: with the settings to look at.
        online: whether Torn is asked what the keys may do: one call for each key.
    """
    yield Finding("torn", application.settings.torn.url)
    yield from _places(application)
    families = {}
    for endpoint in application.settings.endpoints:
        try:
            families[endpoint.name] = _family(application, endpoint)
        except Failure as failure:
            yield Finding(endpoint.name, endpoint.path, failure)
    yield from _clashes(application, families)
    if online:
        yield from _keys(application)
    yield from _tables(application, families)


def _places(application: Application) -> Iterator[Finding]:
    settings = application.settings
    places = [
        ("state", settings.state.file),
        ("archive", Path(settings.archive.path) / "x"),
        ("warehouse", settings.warehouse.file),
    ]
    for name, file in places:
        if file is not None:
            yield _writable(name, file)


def _writable(name: str, file: Path) -> Finding:
    """Whether a file may be made or changed; the nearest folder that is there decides."""
    folder = next((parent for parent in file.parents if parent.exists()), file.parent)
    target = file if file.exists() else folder
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


def _family(application: Application, endpoint: Endpoint) -> TableFamily:
    task = application.task(endpoint)
    kind = processor(task.endpoint.path, endpoint.processor)
    family = kind(task).family()
    plain = kind(task).plain_family()
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
            f"The key of {endpoint.name} names {nested[0]}, which stands inside of an object.",
            remedy="Choose columns that stand in the record itself: its children carry these.",
        )
    return family


def _clashes(application: Application, families: dict[str, TableFamily]) -> Iterator[Finding]:
    """Tables that two endpoints would both write which are no one owner of them."""
    writers: dict[str, dict[tuple[str, str], str]] = defaultdict(dict)
    for name, family in families.items():
        endpoint = application.settings.endpoint(name)
        template = application.task(endpoint).endpoint.path if endpoint else ""
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
    by_key: dict[str, list[Endpoint]] = defaultdict(list)
    for endpoint in application.settings.endpoints:
        for name in endpoint.api_key:
            by_key[name].append(endpoint)
    for name, endpoints in by_key.items():
        try:
            info = application.info(application.key(name))
        except Failure as failure:
            yield Finding(f"key {name}", "", failure)
            continue
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


def _tables(application: Application, families: dict[str, TableFamily]) -> Iterator[Finding]:
    """How the warehouse would change; it is not opened where it is not there yet."""
    try:
        with application.warehouse(read_only=True) as warehouse:
            for name in families:
                endpoint = application.settings.endpoint(name)
                if endpoint is not None:
                    yield from _stored(application, endpoint, warehouse)
    except Failure as failure:
        yield Finding("warehouse", "", failure)


def _stored(
    application: Application, endpoint: Endpoint, warehouse: Warehouse
) -> Iterator[Finding]:
    """What is to be said of the tables of an endpoint, with all that was learned of them."""
    task = application.task(endpoint)
    there = application.settings.warehouse.file
    exists = there is None or there.exists()
    known = warehouse.known(endpoint.name) if exists else None
    owners = warehouse.owners() if exists else ()
    tools = Tools(known=known, owners=owners)
    worker = processor(task.endpoint.path, endpoint.processor)(task, tools)
    family = worker.family()
    other = of_another(family, task.name, task.endpoint.path, owners)
    if other is not None:
        root, names = family.tables[0].name, [owner.table for owner in owners]
        clash = _clash(other.endpoint, task.name, other.table, root, names)
        yield Finding(endpoint.name, other.table, clash)
    strangers = [
        *(f"`columns` names {n}" for n in renames.unknown(worker.plain_family(), endpoint.columns)),
        *(f"`checks` names {n}" for n in unknown(task.checks, family)),
    ]
    if strangers and not endpoint.processor:
        yield Finding(endpoint.name, endpoint.path, _no_such(endpoint, strangers))
    steps = warehouse.plan(as_stored(family, task.mode, task.name))
    part = f"tables of {endpoint.name}"
    yield Finding(part, _told(family, steps), _refused(endpoint.name, steps))
    yield from _last_checks(application, endpoint)
    if known is not None:
        yield from (Finding(*found) for found in soundness.findings(warehouse, task, family))


def _no_such(endpoint: Endpoint, strangers: list[str]) -> Failure:
    return ConfigError(
        f"{endpoint.name} has no such column: {'; '.join(strangers)}.",
        remedy=f"`tcdatalogger catalog show {endpoint.path}` lists its columns.",
    )


def _last_checks(application: Application, endpoint: Endpoint) -> Iterator[Finding]:
    """The checks that the rows of the last run failed."""
    file = application.settings.state.file
    if file is not None and not file.exists():
        return
    for run in application.state.runs(endpoint=endpoint.name, most=1):
        for says in run.failed_checks:
            part = f"last run of {endpoint.name}"
            wrong = run.status == "failed"
            yield Finding(part, says, DataRefused(f"{says}.", remedy=run.remedy) if wrong else None)


def _told(family: TableFamily, steps: tuple[Step, ...]) -> str:
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
        f"The tables of {name} would have to change so: {'; '.join(asking)}.",
        remedy=f"`tcdatalogger schema apply {name}` shows what comes of it; "
        "or give the endpoint another `table`.",
    )
