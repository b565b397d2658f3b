"""Bodies of Torn's in which players who are forgotten have their aliases.

A body without any of them keeps its bytes. Another one is read and written by `lossless_json`, so
that numbers keep their digits and repeated keys stay; only white space and escapes may differ.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from tcdatalogger.models.people import texts
from tcdatalogger.models.people.fields import (
    ELEMENT,
    ERASED,
    TEXTS,
    PeopleInside,
    is_id,
    is_person,
    names_beside,
    people_inside,
)
from tcdatalogger.models.people.pseudonyms import Alias, Pseudonyms, is_distinct
from tcdatalogger.models.reading import lossless_json
from tcdatalogger.models.reading.lossless_json import Number, Value
from tcdatalogger.models.schema import METADATA
from tcdatalogger.models.shape import List, Object, Scalar, Shape

_GONE: Final = object()
"""In place of an element that is taken out of its list."""


@dataclass(frozen=True, slots=True)
class PersonFacts:
    """What is known of the bodies of an endpoint.

    Attributes:
        shape: the shape of a body; fields that it lacks are judged by their names.
        paths: where the ids of players are.
        root: the path to the list of records; empty where there is none.
        key: the paths within a record that identify it. A record that is a player's is taken out of
            the list where the player is removed.
        csv: whether the bodies are CSV; then each path is the name of a column.
    """

    shape: Shape
    paths: tuple[tuple[str, ...], ...] = ()
    root: tuple[str, ...] = ()
    key: tuple[tuple[str, ...], ...] = ()
    csv: bool = False

    @property
    def own(self) -> frozenset[tuple[str, ...]]:
        """The paths within a record by which the record is a player's own."""
        inside = {path[len(self.root) + 1 :] for path in self.paths if self._is_of_record(path)}
        return frozenset(inside & set(self.key))

    def _is_of_record(self, path: tuple[str, ...]) -> bool:
        return bool(self.root) and path[: len(self.root) + 1] == (*self.root, ELEMENT)


@dataclass(slots=True)
class BodyRewriter:
    """Gives aliases to players who are forgotten, body after body.

    Attributes:
        facts: of the bodies.
        pseudonyms: the players.
        found: how often somebody was found.
        names: names of these players that were seen, by which texts can name them; with the hash of
            the player.
    """

    facts: PersonFacts
    pseudonyms: Pseudonyms
    found: int = 0
    names: dict[str, str] = field(default_factory=dict)
    _marks: PeopleInside = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._marks = people_inside(self.facts.paths)

    def body(self, body: bytes) -> bytes:
        """A body with aliases; one that has nobody, or that is no JSON, as it is."""
        if self.facts.csv:
            return self._csv(body)
        try:
            value = lossless_json.parse(body)
        except ValueError:
            return body
        made = self._value(value, self.facts.shape, self._marks, ())
        return body if made is value else lossless_json.dump(made).encode()

    def record(self, text: str, path: tuple[str, ...]) -> str:
        """A record of the quarantine with aliases.

        Args:
            text: its JSON.
            path: from the body to it.
        """
        try:
            value = lossless_json.parse(text.encode())
        except ValueError:
            return texts.rewritten(text, self.pseudonyms)
        shape: Shape | None = self.facts.shape
        mark: PeopleInside | None = self._marks
        for step in path:
            shape = _inner(shape, step)
            mark = None if mark is None else mark.inner.get(step)
        made = self._value(value, shape, mark or PeopleInside(), path)
        return text if made is value else lossless_json.dump(made)

    def json(self, text: str) -> str:
        """A JSON value of which nothing is known, with aliases."""
        try:
            value = lossless_json.parse(text.encode())
        except ValueError:
            return texts.rewritten(text, self.pseudonyms)
        made = self._value(value, None, PeopleInside(), ())
        return text if made is value else lossless_json.dump(made)

    def text(self, text: str, *, tells: bool = False) -> str:
        """A text with aliases.

        Args:
            text: the text.
            tells: whether it tells of people, so that their known names count.
        """
        for alias, name in texts.players_in(text, self.pseudonyms):
            self.saw(alias, name)
        made = texts.rewritten(text, self.pseudonyms, names=tells)
        self.found += made != text
        return made

    # --- values ----------------------------------------------------------------------------

    def _value(
        self, value: Value, shape: Shape | None, mark: PeopleInside, path: tuple[str, ...]
    ) -> Value:
        """A value with aliases: the same object where nothing is to be changed."""
        match value:
            case dict():
                return self._object(value, shape if isinstance(shape, Object) else None, mark, path)
            case list():
                return self._list(value, shape if isinstance(shape, List) else None, mark, path)
            case Number():
                alias = self.pseudonyms.of_id(value) if mark.person else None
                return value if alias is None else self._number(alias)
            case str():
                return self._text(value, shape, mark, path)
            case _:
                return value

    def _text(
        self, value: str, shape: Shape | None, mark: PeopleInside, path: tuple[str, ...]
    ) -> Value:
        if mark.person:
            alias = self.pseudonyms.of_id(value)
            if alias is not None:
                self.found += 1
                return None if alias.removed else alias.digits
        told = isinstance(shape, Scalar) and bool(shape.values)  # one of a few known values
        name = next((step for step in reversed(path) if step != ELEMENT), "")
        made = self.text(value, tells=name.lower() in TEXTS and not told)
        return value if made == value else made

    def _list(
        self, value: list[Value], shape: List | None, mark: PeopleInside, path: tuple[str, ...]
    ) -> Value:
        element = shape.element if shape is not None else None
        inner, at = mark.inner.get(ELEMENT, PeopleInside()), (*path, ELEMENT)
        own = self.facts.own if path == self.facts.root and self.facts.root else frozenset()
        made = [
            _GONE if own and self._is_gone(each, own) else self._value(each, element, inner, at)
            for each in value
        ]
        if all(new is old for new, old in zip(made, value, strict=True)):
            return value
        return [each for each in made if each is not _GONE]

    def _is_gone(self, record: Value, own: Iterable[tuple[str, ...]]) -> bool:
        """Whether a record is that of a player who is removed."""
        for path in own:
            value = record
            for step in path:
                value = value.get(step) if isinstance(value, dict) else None
            alias = self.pseudonyms.of_id(value)
            if alias is not None and alias.removed:
                self.found += 1
                self._see_names(record, path, alias)
                return True
        return False

    def _see_names(self, record: Value, path: tuple[str, ...], alias: Alias) -> None:
        for step in path[:-1]:
            record = record.get(step) if isinstance(record, dict) else None
        for name in names_beside(path[-1]):
            if isinstance(record, dict) and isinstance(told := record.get(name), str):
                self.saw(alias, told)

    def _object(
        self,
        value: dict[str, Value],
        shape: Object | None,
        mark: PeopleInside,
        path: tuple[str, ...],
    ) -> Value:
        pairs = lossless_json.pairs(value)
        persons = self._persons(pairs, shape, mark, path)
        beside = dict(self._beside(value, persons))
        made = []
        changed = False
        for name, inner in pairs:
            new = inner
            if name in beside and isinstance(inner, str):
                new = beside[name]
                self.found += 1
            elif path == () and name == METADATA:
                new = self._links(inner)
            else:
                known = None if shape is None else shape.field(name)
                within = mark.inner.get(name)
                if within is None:
                    within = _person(inner) if name in persons else PeopleInside()
                below = None if known is None else known.shape
                new = self._value(inner, below, within, (*path, name))
            key = self._key(name, inner, path, shape)
            changed = changed or new is not inner or key != name
            made.append((key, new))
        return lossless_json.from_pairs(made) if changed else value

    def _links(self, value: Value) -> Value:
        """What a body says of other pages: all stays but the player whom its list is about."""
        match value:
            case dict():
                pairs = lossless_json.pairs(value)
                made = [(name, self._links(inner)) for name, inner in pairs]
                if all(new is old for (_, new), (_, old) in zip(made, pairs, strict=True)):
                    return value
                return lossless_json.from_pairs(made)
            case str() if not isinstance(value, Number):
                link = texts.called(value, self.pseudonyms)
                self.found += link != value
                return value if link == value else link
            case _:
                return value

    def _persons(
        self,
        pairs: list[tuple[str, Value]],
        shape: Object | None,
        mark: PeopleInside,
        path: tuple[str, ...],
    ) -> dict[str, Alias | None]:
        """The fields of an object that hold ids of players, with the alias of one forgotten."""
        found: dict[str, Alias | None] = {}
        within = next((step for step in reversed(path) if step != ELEMENT), "")
        for name, inner in pairs:
            known = shape is not None and shape.field(name) is not None
            marked = mark.inner.get(name)
            unknown = is_person(name) or (is_id(name) and is_person(within))
            if (marked is not None and marked.person) or (unknown and not known):
                found[name] = self.pseudonyms.of_id(inner)
        return found

    def _beside(
        self, value: dict[str, Value], persons: dict[str, Alias | None]
    ) -> Iterator[tuple[str, str | None]]:
        """The fields that tell who somebody forgotten beside them is, and their new values."""
        for name, alias in persons.items():
            if alias is None:
                continue
            for other in names_beside(name):
                told = value.get(other)
                if isinstance(told, str) and not isinstance(told, Number) and other not in persons:
                    self.saw(alias, told)
                    yield other, alias.name
            if is_id(name) or name == "user_id":
                for other in ERASED:
                    if isinstance(value.get(other), str):
                        yield other, None

    def _key(self, name: str, inner: Value, path: tuple[str, ...], shape: Object | None) -> str:
        """The key of a member: in a map by players, as `members`, it is an id."""
        if shape is not None or not name.isdigit() or not isinstance(inner, dict | Number):
            return name
        around = next((step for step in reversed(path) if step != ELEMENT), "")
        alias = self.pseudonyms.of_id(name) if is_person(around) else None
        if alias is None:
            return name
        self.found += 1
        return alias.digits

    def _number(self, alias: Alias) -> Value:
        self.found += 1
        return None if alias.id is None else Number(str(alias.id))

    def saw(self, alias: Alias, name: str) -> None:
        """Remember the name of a player, if texts can tell it from the name of a thing."""
        if is_distinct(name) and name != alias.word:
            self.names[name] = alias.hash

    # --- CSV -------------------------------------------------------------------------------

    def _csv(self, body: bytes) -> bytes:
        try:
            text = body.decode("utf-8-sig")
            lines = list(csv.reader(io.StringIO(text, newline="")))
        except (ValueError, csv.Error):
            return body
        if not lines:
            return body
        head = lines[0]
        ids = [at for at, name in enumerate(head) if (name,) in self.facts.paths]
        before, made = self.found, [head]
        for line in lines[1:]:
            new = self._line(head, line, ids)
            if new is not None:
                made.append(new)
        if self.found == before:
            return body
        out = io.StringIO(newline="")
        csv.writer(out, lineterminator="\n").writerows(made)
        return out.getvalue().encode()

    def _line(self, head: list[str], line: list[str], ids: list[int]) -> list[str] | None:
        """A line with aliases; None for the line of a player who is removed."""
        made = list(line)
        for at in (each for each in ids if each < len(line)):
            aliases = {part: self.pseudonyms.of_id(part) for part in _numbers(line[at])}
            for digits, alias in aliases.items():
                if alias is None:
                    continue
                self.found += 1
                if alias.removed and is_id(head[at]):
                    return None
                made[at] = _exchanged(made[at], digits, "" if alias.removed else alias.digits)
                for name in names_beside(head[at]):
                    if name in head and head.index(name) < len(line):
                        place = head.index(name)
                        self.saw(alias, line[place])
                        made[place] = alias.name or ""
        return made


def _person(value: Value) -> PeopleInside:
    """What is known of the value of an unknown field that means a player."""
    if isinstance(value, list):
        return PeopleInside(inner={ELEMENT: PeopleInside(person=True)})
    if isinstance(value, dict):
        return PeopleInside(
            inner={name: PeopleInside(person=True) for name in value if is_id(name)}
        )
    return PeopleInside(person=True)


def _inner(shape: Shape | None, step: str) -> Shape | None:
    if isinstance(shape, List) and step == ELEMENT:
        return shape.element
    known = shape.field(step) if isinstance(shape, Object) else None
    return None if known is None else known.shape


def _numbers(cell: str) -> list[str]:
    """The numbers in a cell, which may hold a list of them."""
    digits = "".join(letter if letter.isascii() and letter.isdigit() else " " for letter in cell)
    return digits.split()


def _exchanged(cell: str, digits: str, new: str) -> str:
    """A cell with another number in place of one of its numbers."""
    parts: list[Any] = []
    at = 0
    while at < len(cell):
        end = at
        while end < len(cell) and (cell[end].isascii() and cell[end].isdigit()) == (
            cell[at].isascii() and cell[at].isdigit()
        ):
            end += 1
        parts.append(new if cell[at:end] == digits else cell[at:end])
        at = end
    return "".join(parts)
