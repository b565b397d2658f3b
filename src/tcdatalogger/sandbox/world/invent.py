"""Invents values of any shape; the name of a field makes its value plausible."""

from __future__ import annotations

from typing import Any

from tcdatalogger.models.shape import Field, Json, Kind, List, Object, Scalar, Shape
from tcdatalogger.sandbox.world.people import DAY
from tcdatalogger.sandbox.world.php_json import number
from tcdatalogger.sandbox.world.rng import Rng, mix

Path = tuple[str | int, ...]

ORDERING = (
    *("timestamp", "ended", "start", "started", "created_at", "created_time", "last_post_time"),
    *("acquired_at", "schedule"),
)
"""The fields that may order a list by time; the first that exists is taken."""

_VARIANTS = frozenset({"competition", "job", "items", "warfare"})
"""Objects that have several kinds in Torn's document. Their shapes are merged, and the merged
shape does not say which fields belong together. An answer with all fields fits one kind surely."""

_NULLS = 0.12
_ABSENT = 0.12
_WORDS = (
    *("harbour", "ledger", "velvet", "signal", "copper", "market", "garden", "bridge", "lantern"),
    *("quiet", "second", "golden", "broken", "northern", "paper", "silver", "early", "hidden"),
)
_DEAR = (
    "money",
    "price",
    "cost",
    "value",
    "worth",
    "cash",
    "fee",
    "bank",
    "total",
    "amount",
    "income",
)
_AHEAD = ("until", "expires", "ready", "next", "valid", "available")


class Maker:
    """Makes values about one subject at one time.

    Args:
        seed: chooses the world.
        subject: the subject of the answer; other subjects get other values.
        t: the time of the world, seconds since 1970.
    """

    def __init__(self, seed: int, subject: str, t: int) -> None:
        self.seed = seed
        self.subject = subject
        self._key = mix(seed, subject)
        self._day = t - t % DAY

    def whole(self, shape: Object, place: tuple[str, ...]) -> dict[str, Any]:
        """A body of this shape; the objects on the way to the list at `place` always exist."""
        body: dict[str, Any] = {}
        for field in shape.fields:
            if place[:1] == (field.name,) and isinstance(field.shape, Object):
                body[field.name] = self.whole(field.shape, place[1:])
            elif place[:1] == (field.name,):
                body[field.name] = []
            elif not place and isinstance(field.shape, (Object, List, Json)):
                body[field.name] = self._solid(field.shape, (field.name,), field.name)
            elif self._present(field, ()):
                body[field.name] = self.value(field.shape, field.name, (field.name,))
        return body

    def row(self, name: str, shape: Shape, serial: int, at: int | None = None) -> Any:
        """An element of the list `name`.

        Args:
            name: the name of the list.
            shape: the shape of an element.
            serial: the number of the element; it makes the id.
            at: the time that orders the element, None in a list without times.
        """
        made = self._solid(shape, (name, serial), "")
        if not (isinstance(made, dict) and isinstance(shape, Object)):
            return made
        self._number(made, shape, serial)
        if at is not None:
            self._date(made, shape, at)
        return made

    def value(self, shape: Shape, name: str, path: Path) -> Any:
        """A value of this shape; sometimes null where the shape is nullable."""
        if shape.nullable and self._rng("null", path).chance(_NULLS):
            return None
        return self._solid(shape, path, name)

    def _solid(self, shape: Shape, path: Path, name: str) -> Any:
        match shape:
            case Object(fields=fields):
                present = [field for field in fields if self._present(field, path)]
                return {f.name: self.value(f.shape, f.name, (*path, f.name)) for f in present}
            case List(element=element):
                return self._list(element, path, name)
            case Json(options=()):
                return self._free(path)
            case Json(options=options):
                return self._solid(self._rng("option", path).pick(options), path, name)
            case Scalar():
                return self._scalar(shape, name, self._rng("value", path))

    def _list(self, element: Shape, path: Path, name: str) -> list[Any]:
        low = 1 if len(path) == 1 else 0
        count = self._rng("length", path).between(low, 4)
        if isinstance(element, Scalar) and element.values:
            return self._rng("sample", path).sample(element.values, count)
        made = [self.value(element, name, (*path, place)) for place in range(count)]
        if isinstance(element, Object):
            for place, row in enumerate(made):
                if isinstance(row, dict):
                    self._number(row, element, place)
        return made

    def _number(self, row: dict[str, Any], shape: Object, serial: int) -> None:
        """Give the row an id of its own in the list."""
        field = shape.field("id")
        if field is None or not isinstance(field.shape, Scalar):
            return
        if field.shape.values:
            row["id"] = field.shape.values[(self._key + serial) % len(field.shape.values)]
            return
        if field.shape.kind is Kind.INT:
            row["id"] = 1_000 + self._key % 1_000_000 + serial
        elif field.shape.kind is Kind.TEXT:
            row["id"] = f"{mix(self._key, 'id', serial):016x}{serial:04x}"

    def _date(self, row: dict[str, Any], shape: Object, at: int) -> None:
        """Set the time of the row; its other times are close to it, in a plausible order."""
        ordering = next((name for name in ORDERING if name in row), None)
        for field in shape.fields:
            if isinstance(field.shape, Object) and isinstance(row.get(field.name), dict):
                if field.name == ordering:
                    self._date(row[field.name], field.shape, at)
            elif not isinstance(field.shape, Scalar) or field.shape.kind is not Kind.TIME:
                continue
            elif field.name == ordering:
                row[field.name] = at
            elif row.get(field.name) is not None:
                gap = mix(self._key, field.name, at) % 290
                later = field.name in {"end", "completed_at", "modified_at", "expires_at"}
                row[field.name] = at + gap if later else at - gap

    def _present(self, field: Field, path: Path) -> bool:
        return (
            field.required
            or bool(_VARIANTS.intersection(path))
            or not self._rng("absent", (*path, field.name)).chance(_ABSENT)
        )

    def _free(self, path: Path) -> dict[str, Any]:
        """An object like `data` and `params` of a log: whole numbers, and decimals as text."""
        rng = self._rng("free", path)
        if rng.chance(0.15):
            return {}
        whole: dict[str, Any] = {"happy_used": rng.between(0, 150), "energy_used": 5}
        if rng.chance(0.6):
            before = rng.spread(10, 9_999)
            whole |= {"defense_before": f"{before:.2f}", "defense_after": f"{before + 3.5:.2f}"}
        if rng.chance(0.3):
            whole["items"] = [{"id": rng.between(1, 800), "uid": 0, "qty": rng.between(1, 9)}]
        return whole

    def _scalar(self, shape: Scalar, name: str, rng: Rng) -> Any:
        if shape.values:
            return rng.pick(shape.values)
        match shape.kind:
            case Kind.BOOL:
                return rng.chance(0.5)
            case Kind.FLOAT:
                return number(rng.spread(0, 100))
            case Kind.TIME:
                ahead = any(word in name for word in _AHEAD)
                low, high = (0, 5 * DAY) if ahead else (-30 * DAY, 0)
                return self._day + rng.between(low, high)
            case Kind.INT:
                return _whole(name, rng)
            case Kind.TEXT:
                return _text(name, rng)

    def _rng(self, what: str, path: Path) -> Rng:
        return Rng(self._key, what, *path)


def _whole(name: str, rng: Rng) -> int:
    if name == "id" or name.endswith("_id"):
        return rng.between(1, 3_400_000)
    if any(word in name for word in _DEAR):
        return int(10 ** rng.spread(1, 10.6, 4))
    if "percent" in name or name == "level":
        return rng.between(1, 100)
    return rng.between(0, 5_000)


def _text(name: str, rng: Rng) -> str:
    if "image" in name or "avatar" in name:
        return f"https://www.torn.com/images/v2/{rng.between(1, 99_999)}.png"
    words = [rng.pick(_WORDS) for _ in range(2 if "name" in name or "title" in name else 4)]
    return " ".join(words).capitalize()
