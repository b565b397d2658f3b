"""What the tables of an installation mean to a question: relations by path and state.

A question says `{faction_crimes:now}`. Which tables have the answers of `/faction/crimes`, in which
storage mode, and how a user calls their columns, the configuration knows; which columns are there,
the warehouse knows. So no question knows any of it.

States of a relation:

- `now`: what was true at the moment that is asked about. Of a list that is read whole it is the
  newest picture of each subject, of a list by time the newest row of each record.
- `last`: the newest row of each record that was ever seen, also of those that are gone.
- `all`: every row that was stored until then.
- `fact`: the rows of a table of ours (`facts.py`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from tcdatalogger.core.config.durations import parse
from tcdatalogger.core.config.requests import is_incremental, query
from tcdatalogger.core.config.settings import EndpointSettings, Settings
from tcdatalogger.core.run.task import task
from tcdatalogger.errors import ConfigError
from tcdatalogger.models.evolution import StoredTypes
from tcdatalogger.models.records import VERSION
from tcdatalogger.models.schema import INDEX, SYSTEM, TableFamily, TableSchema, Type
from tcdatalogger.questions import endpoint_toml
from tcdatalogger.questions.question import SUBJECTS, Need, Question
from tcdatalogger.services.torncity.catalog.catalog import Catalog, Endpoint
from tcdatalogger.services.torncity.endpoints.registry import processor
from tcdatalogger.services.warehouse.protocol import Warehouse

_WHOSE: Final = {"/faction/{chainId}/chainreport": "faction_id"}
"""Paths whose rows are about an event of a faction, and the column that says of which one."""
STATES: Final = ("now", "last", "all", "fact")


@dataclass(frozen=True, slots=True)
class Source:
    """A stored table with rows of a relation.

    Attributes:
        table: its name.
        root: the name of the root table of its family.
        endpoints: the names of the endpoints that fill it.
        mode: their storage mode.
        picture: whether each run reads its whole list.
        columns: the stored column of each column of the relation; one that is not stored is left
            out.
        key: the columns of the relation that identify a record of one subject; empty where only its
            place does.
        root_key: the key of the records of the root; empty for the root itself.
        of_root: the columns of a child that hold it, in its order.
        params: the configured parameters of the only endpoint; a column `_NAME` that is not stored
            has this value.
        stored: whether the table is there.
        own: whether the path of its endpoints has no id: it is about the owner of the key.
    """

    table: str
    root: str
    endpoints: tuple[str, ...]
    mode: str
    picture: bool
    columns: Mapping[str, str]
    key: tuple[str, ...]
    root_key: tuple[str, ...]
    of_root: tuple[str, ...]
    params: Mapping[str, str]
    stored: bool
    own: bool


@dataclass(frozen=True, slots=True)
class Relation:
    """What a question calls by a name.

    Attributes:
        name: as `faction_crimes_slots`.
        root: the relation of the records, as `faction_crimes`.
        path: of the catalogue.
        types: the types of its columns, those of the catalogue and those that were learned.
        sources: the tables with its rows.
        kind: whom its rows are about, a value of `SUBJECTS`; "" where that is nobody, or where the
            question asks about any.
        whose: the column with the id of that.
    """

    name: str
    root: str
    path: str
    kind: str
    whose: str
    types: Mapping[str, Type]
    sources: tuple[Source, ...]


@dataclass(frozen=True, slots=True)
class Lack:
    """What stands between a question and a whole answer.

    Attributes:
        path: what is not logged, or not as the question needs it.
        says: what is lacking, a sentence.
        remedy: TOML to put into the configuration, or a sentence.
        blocks: whether there is no answer without it.
        modes: the storage modes that would do, where it is logged in another one.
    """

    path: str
    says: str
    remedy: str
    blocks: bool
    modes: tuple[str, ...] = ()


class Relations:
    """The relations of an installation.

    Attributes:
        usual: of whom answers are where nobody chose and several are logged, by kind
            (`subjects.logged`); None until that was read.

    Args:
        settings: the configuration.
        known: the catalogue.
        now: seconds since 1970.
    """

    def __init__(self, settings: Settings, known: Catalog, now: float) -> None:
        self.usual: Mapping[str, int] | None = None
        self._settings = settings
        self._known = known
        self._now = now
        self._roots = tuple(endpoint.root_table for endpoint in settings.endpoints)
        self._names: dict[str, frozenset[str]] = {}
        self._kinds: dict[str, tuple[str, ...]] = {}
        self._families: dict[str, tuple[TableFamily, TableFamily]] = {}

    def of(self, question: Question, warehouse: Warehouse | None) -> Mapping[str, Relation]:
        """The relations of what a question needs, by name.

        Args:
            question: the question.
            warehouse: that has the tables; None where there is none yet.
        """
        found: dict[str, Relation] = {}
        for path, need in question.needs.items():
            for relation in self._relations(question, path, need, warehouse):
                found[relation.name] = relation
        return found

    def endpoints(self, path: str, need: Need) -> tuple[EndpointSettings, ...]:
        """The configured endpoints whose answers a need takes, also those that are not enabled."""
        wanted = {path, *need.also}
        return tuple(
            endpoint
            for endpoint in self._settings.endpoints
            if self._path(endpoint) in wanted and self._suits(endpoint, need)
        )

    def names(self, question: Question) -> frozenset[str]:
        """The names of the configured endpoints that a question of the installation rests on."""
        if question.name not in self._names:
            self._names[question.name] = frozenset(
                endpoint.name
                for path, need in question.needs.items()
                for endpoint in self.endpoints(path, need)
            )
        return self._names[question.name]

    def own_roots(self) -> Mapping[str, str]:
        """The root tables of paths about the owner of a key, and whom their rows are about."""
        return {
            self._family(endpoint)[1].tables[0].name: SUBJECTS[entry.section]
            for endpoint in self._settings.endpoints
            for entry, _ in (self._known.find(endpoint.path),)
            if entry.of_key_owner and entry.section in SUBJECTS
        }

    def kinds(self, question: Question) -> tuple[str, ...]:
        """Whom the answer to a question is about, in the order of `SUBJECTS`.

        What a player was sent is part of an answer about a faction, whoever of it the player is.
        """
        if question.name not in self._kinds:
            found = {self._kind(self._known.find(path)[0]) for path in question.needs}
            listed = tuple(kind for kind in SUBJECTS.values() if kind in found)
            self._kinds[question.name] = ("faction",) if "faction" in found else listed
        return self._kinds[question.name]

    def lacks(self, question: Question) -> tuple[Lack, ...]:
        """What the configuration lacks for an answer."""
        return tuple(
            lack for path, need in question.needs.items() for lack in self._lacks(path, need)
        )

    def is_blocked(self, question: Question) -> bool:
        """Whether the configuration lacks something without which there is no answer."""
        return any(lack.blocks for lack in self.lacks(question))

    # --- what is configured ----------------------------------------------------------------------

    def _path(self, endpoint: EndpointSettings) -> str:
        return self._known.find(endpoint.path)[0].path

    @staticmethod
    def _kind(entry: Endpoint) -> str:
        """Whom the rows of a path are about: the faction, player or company of a key."""
        of_one = entry.of_key_owner or entry.path in _WHOSE
        return SUBJECTS.get(entry.section, "") if of_one else ""

    def _suits(self, endpoint: EndpointSettings, need: Need) -> bool:
        """Whether an endpoint asks for what the question is about."""
        entry = self._known.find(endpoint.path)[0]
        return need.one_will_do or all(
            any(_asks_for(endpoint, entry, name, each) for each in _values(value))
            for name, value in need.params.items()
        )

    def _lacks(self, path: str, need: Need) -> Iterator[Lack]:
        entry = self._known.find(path)[0]
        found = [endpoint for endpoint in self.endpoints(path, need) if endpoint.enabled]
        for name, values in need.params.items():
            for value in () if need.one_will_do and found else _values(values):
                if not any(_asks_for(each, entry, name, value) for each in found):
                    says = f"Nothing logs {path} with {name} = {value} yet."
                    given = {name: value}
                    yield Lack(path, says, self.toml(entry, need, given), not need.optional)
        if not found and not need.params:
            says = f"Nothing logs {path} yet."
            yield Lack(path, says, self.toml(entry, need, {}), not need.optional)
        for endpoint in found:
            if need.modes and endpoint.storage_mode not in need.modes:
                modes = " or ".join(need.modes)
                yield Lack(
                    path,
                    f"{endpoint.name} has storage_mode {endpoint.storage_mode}; this question "
                    f"needs {modes}.",
                    f'Set storage_mode = "{need.modes[0]}" of {endpoint.name}; or log {path} a '
                    "second time under another name.",
                    not need.optional and not _any_mode(found, need),
                    need.modes,
                )
            often = endpoint.frequency
            if need.every and (often is None or often.after(0.0) > parse(need.every).after(0.0)):
                read = "by hand" if often is None else f"every {often.words}"
                yield Lack(
                    path,
                    f"{endpoint.name} is read {read}; this question is exact where it is read "
                    f"every {parse(need.every).words}.",
                    f'Set frequency = "{need.every}" of {endpoint.name}.',
                    blocks=False,
                )

    def toml(self, entry: Endpoint, need: Need, params: Mapping[str, str]) -> str:
        """The lines that log a path as a question needs it."""
        taken = {endpoint.name for endpoint in self._settings.endpoints}
        return endpoint_toml.written(
            endpoint_toml.named(entry.name, params, taken),
            entry.path,
            ids=(need.ids or "[1]") if entry.path_parameters else "",
            frequency=need.every,
            mode="" if "append" in (need.modes or ("append",)) else need.modes[0],
            params=params,
        )

    # --- what is stored --------------------------------------------------------------------------

    def _relations(
        self, question: Question, path: str, need: Need, warehouse: Warehouse | None
    ) -> Iterator[Relation]:
        try:
            entry = self._known.find(path)[0]
        except ConfigError as error:
            raise ConfigError(
                f"The question {question.name} needs {path}. {error.message}", remedy=error.remedy
            ) from None
        if entry.family is None:
            raise ConfigError(
                f"The question {question.name} needs {path}, which has no tables of its own.",
                remedy="Name a path that `tcdatalogger catalog` lists with tables.",
            )
        plain = entry.family
        families = [(endpoint, *self._family(endpoint)) for endpoint in self.endpoints(path, need)]
        names = [table.name for _, _, named in families for table in named.tables]
        stored: StoredTypes = {}
        if warehouse is not None and names:
            stored = warehouse.stored(sorted(set(names)))
        for table in plain.tables:
            suffix = table.name.removeprefix(plain.tables[0].name)
            types = {column.name: column.type for column in table.columns}
            if not suffix:  # also where nothing is logged that sets them
                types |= {f"_{name}": Type.TEXT for name in need.params}
            sources: dict[str, Source] = {}
            for endpoint, shaped, named in families:
                source = self._source(endpoint, entry, shaped, named, suffix, stored)
                if source is None:
                    continue
                known = stored.get(source.table, {})
                for name, column in source.columns.items():
                    types.setdefault(name, known.get(column) or Type.TEXT)
                before = sources.get(source.table)
                sources[source.table] = source if before is None else _shared(before, source)
            yield Relation(
                f"{entry.name}{suffix}",
                entry.name,
                path,
                self._kind(entry),
                _WHOSE.get(path, SYSTEM[1]),
                types,
                tuple(sources.values()),
            )

    def _family(self, endpoint: EndpointSettings) -> tuple[TableFamily, TableFamily]:
        """The tables of an endpoint: by the names of the shape, and by those of the user."""
        if endpoint.name not in self._families:
            made = task(endpoint, self._known, "", self._now, self._roots)
            worker = processor(made.endpoint.path, endpoint.processor)(made)
            self._families[endpoint.name] = worker.plain_family(), worker.family()
        return self._families[endpoint.name]

    def _source(
        self,
        endpoint: EndpointSettings,
        entry: Endpoint,
        shaped: TableFamily,
        named: TableFamily,
        suffix: str,
        stored: StoredTypes,
    ) -> Source | None:
        wanted = f"{shaped.tables[0].name}{suffix}"
        at = next((n for n, each in enumerate(shaped.tables) if each.name == wanted), None)
        if at is None:
            return None
        table, mine = shaped.tables[at], named.tables[at]
        there = stored.get(mine.name, {})
        columns = {
            column.name: own.name
            for column, own in zip(table.columns, mine.columns, strict=True)
            if own.name in there
        }
        own_names = {column.name for column in mine.columns}
        columns |= {name: name for name in there if name not in own_names and name not in columns}
        of_root = _of_root(shaped.tables[0], table)
        return Source(
            table=mine.name,
            root=named.tables[0].name,
            endpoints=(endpoint.name,),
            mode=endpoint.storage_mode,
            picture=not is_incremental(endpoint, entry),
            columns=columns,
            key=_key(table),
            root_key=_key(shaped.tables[0]) if of_root else (),
            of_root=of_root,
            params={f"_{name}": value for name, value in query(endpoint, entry)},
            stored=bool(there),
            own=self._known.find(endpoint.path)[0].of_key_owner,
        )


def _key(table: TableSchema) -> tuple[str, ...]:
    """The key of a record of one subject; empty where it is its place in a list or its subject."""
    key = tuple(name for name in table.key if name not in {*SYSTEM, *VERSION})
    return () if INDEX in key and not table.lists else key


def _of_root(root: TableSchema, table: TableSchema) -> tuple[str, ...]:
    """The columns of a child with the key of its root; empty where one is missing."""
    if not table.lists:
        return ()
    found = []
    for name in _key(root):
        wanted = root.column(name)
        own = [
            column.name
            for column in table.columns
            if wanted is not None
            and column.level == 0
            and column.path == wanted.path
            and column.ours == wanted.ours
        ]
        if not own:
            return ()
        found.append(own[0])
    return tuple(found)


def _shared(one: Source, other: Source) -> Source:
    """A table that two endpoints fill; what they ask for is then known by its columns alone."""
    return replace(
        one,
        endpoints=(*one.endpoints, *other.endpoints),
        picture=one.picture and other.picture,
        own=one.own and other.own,
        params={name: v for name, v in one.params.items() if other.params.get(name) == v},
    )


def _any_mode(found: Iterable[EndpointSettings], need: Need) -> bool:
    return any(endpoint.storage_mode in need.modes for endpoint in found)


def _asks_for(endpoint: EndpointSettings, entry: Endpoint, name: str, value: str) -> bool:
    """Whether an endpoint sets a parameter to a value, alone or in a list with others."""
    given = dict(query(endpoint, entry)).get(name, "")
    return value in (given, *(part.strip() for part in given.split(",")))


def _values(value: str | Sequence[str]) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value)
