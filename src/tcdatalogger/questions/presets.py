"""Presets: the endpoints that the questions of a kind of user need, and what they cost.

They are reckoned from the questions as they are, those of the user's own with them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Final

from tcdatalogger.core.config.durations import parse
from tcdatalogger.questions import endpoint_toml
from tcdatalogger.questions.question import Need, Question
from tcdatalogger.services.torncity.catalog.catalog import BY_TIME, Catalog, Endpoint
from tcdatalogger.services.torncity.keys import LEVELS, custom_key_link

KINDS: Final = ("faction", "player", "company", "trader")
MOST_CALLS: Final = 144_000
"""Calls that Torn takes of one user in a day: a hundred a minute."""

_MODES: Final = ("append", "replace", "merge", "history")
_CITY: Final = frozenset({"torn", "market"})
"""Sections about the whole city."""
_BACK: Final = 30
"""Days that the first run of a list by time goes back at most."""
_DAY: Final = 86_400.0
_SOURCE: Final = re.compile(r"\bfrom\s+(\w+)", re.IGNORECASE)
"""The table that a query of ids reads."""


@dataclass(slots=True)
class Wanted:
    """An endpoint that questions need.

    Attributes:
        name: of the endpoint.
        entry: its path in the catalogue.
        params: its parameters.
        modes: the storage modes that all of its questions take.
        frequency: how often it is read, as an ISO 8601 duration.
        ids: what stands for the placeholder of the path, "" for none.
        days: how far its questions look back.
        questions: their names.
    """

    name: str
    entry: Endpoint
    params: Mapping[str, str]
    modes: tuple[str, ...] = _MODES
    frequency: str = ""
    ids: str = ""
    days: int = 1
    questions: list[str] = field(default_factory=list)

    @property
    def calls(self) -> float:
        """Calls a day, one a run and an id; of a query of ids one a run."""
        ids = self.ids.count(",") + 1 if self.ids.startswith("[") else 1
        return ids * _DAY / _seconds(self.frequency)

    @property
    def of_query(self) -> bool:
        """Whether a query says how many calls a run makes."""
        return self.ids.startswith("query:")

    @property
    def toml(self) -> str:
        """The lines that configure it."""
        mode = "" if "append" in self.modes else self.modes[0]
        back = min(self.days, _BACK) if self.entry.paging in BY_TIME and mode != "replace" else 1
        return endpoint_toml.written(
            self.name,
            self.entry.path,
            ids=self.ids,
            frequency=self.frequency,
            mode=mode,
            since=f"P{back}D" if back > 1 else "",
            params=self.params,
        )


@dataclass(frozen=True, slots=True)
class Preset:
    """What some kinds of users log.

    Attributes:
        questions: the names of what it answers.
        endpoints: what it logs; what others ask for ids comes before them.
    """

    questions: tuple[str, ...]
    endpoints: tuple[Wanted, ...]

    @property
    def calls(self) -> int:
        """Calls a day, without those that queries of ids add."""
        return round(sum(each.calls for each in self.endpoints))

    @property
    def access(self) -> str:
        """The lowest level of key that reads all of it."""
        return max((each.entry.access for each in self.endpoints), key=LEVELS.__getitem__)

    @property
    def faction_access(self) -> bool:
        """Whether the key's owner needs API access in the faction."""
        return any(each.entry.faction_access for each in self.endpoints)

    @property
    def link(self) -> str:
        """Where Torn makes a key that may read this and no more."""
        return custom_key_link(each.entry for each in self.endpoints)


def preset(kinds: Sequence[str], known: Mapping[str, Question], catalog: Catalog) -> Preset:
    """What some kinds of users log.

    Args:
        kinds: of `KINDS`.
        known: all questions.
        catalog: with the paths.

    Raises:
        ConfigError: a question needs a path that the catalogue lacks.
    """
    chosen = [each for each in known.values() if any(asks(kind, each) for kind in kinds)]
    found = _Found(catalog)
    for question, path, need in _needs(chosen):
        found.take(question, _own(path, need), need)
    for each in found.endpoints:
        found.take_source(each)
        each.frequency = each.frequency or _often(each.entry)
    endpoints = sorted(found.endpoints, key=lambda each: each.of_query)
    return Preset(tuple(each.name for each in chosen), tuple(endpoints))


class _Found:
    """The endpoints that were found so far."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self.endpoints: list[Wanted] = []

    def take(self, question: Question, path: str, need: Need) -> None:
        """Add what a question needs of a path, to an endpoint that is there where that will do."""
        entry = self._catalog.find(path)[0]
        for params in _each(need):
            wanted = next(
                (
                    each
                    for each in self.endpoints
                    if each.entry is entry
                    and each.params == params
                    and (not need.modes or set(need.modes) & set(each.modes))
                ),
                None,
            ) or self._added(entry, params)
            _take(wanted, question, need)

    def take_source(self, wanted: Wanted) -> None:
        """Add what fills the table that a query of ids reads."""
        source = _SOURCE.search(wanted.ids) if wanted.of_query else None
        if source is None or any(each.name == source[1] for each in self.endpoints):
            return
        entry = next((e for e in self._catalog.endpoints if e.name == source[1]), None)
        if entry is not None:
            other = self._added(entry, {})
            other.questions, other.days = wanted.questions, wanted.days

    def _added(self, entry: Endpoint, params: Mapping[str, str]) -> Wanted:
        taken = {each.name for each in self.endpoints}
        wanted = Wanted(endpoint_toml.named(entry.name, params, taken), entry, params)
        self.endpoints.append(wanted)
        return wanted


def asks(kind: str, question: Question) -> bool:
    """Whether a question is one of a kind of user."""
    sections = {_section(path) for path, need in question.needs.items() if not need.optional}
    match kind:
        case "company":
            return "company" in sections
        case "faction":
            return question.page not in {"me", "market"} and "company" not in sections
        case "trader":
            return question.page == "market"
        case _:
            own = "member" in question.asks or question.page == "me"
            return own and sections <= {*_CITY, "user"}


def _needs(chosen: Iterable[Question]) -> Iterator[tuple[Question, str, Need]]:
    """What questions need; of what they can do without, what nobody keeps to himself.

    Somebody who logs his faction may not want his own events in its tables.
    """
    for question in chosen:
        sections = {_section(path) for path, need in question.needs.items() if not need.optional}
        for path, need in question.needs.items():
            if not need.optional or _section(path) in sections | _CITY:
                yield question, path, need


def _own(path: str, need: Need) -> str:
    """Of the paths that will do the first that needs no id: it is about the key's owner."""
    return next((each for each in (path, *need.also) if "{" not in each), path)


def _section(path: str) -> str:
    return path.split("/")[1]


def _each(need: Need) -> Iterator[dict[str, str]]:
    """The parameters of each endpoint that a need takes."""
    values = [(value,) if isinstance(value, str) else value for value in need.params.values()]
    for chosen in product(*values):
        yield dict(zip(need.params, chosen, strict=True))


def _take(wanted: Wanted, question: Question, need: Need) -> None:
    if need.modes:
        wanted.modes = tuple(mode for mode in need.modes if mode in wanted.modes)
    if need.every and (not wanted.frequency or _seconds(need.every) < _seconds(wanted.frequency)):
        wanted.frequency = need.every
    if wanted.entry.path_parameters:
        wanted.ids = wanted.ids or need.ids or "[1]"
    wanted.days = max(wanted.days, question.days)
    if question.name not in wanted.questions:
        wanted.questions.append(question.name)


def _often(entry: Endpoint) -> str:
    """How often a path is read where no question says it."""
    if entry.section == "torn" or (entry.path_parameters and entry.section != "market"):
        return "P1D"
    return "PT1H" if entry.paging in BY_TIME or entry.section == "market" else "PT6H"


def _seconds(duration: str) -> float:
    return parse(duration).after(0.0)
