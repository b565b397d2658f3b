"""The notation of shapes in the catalogue file: short JSON values that compare well in a diff.

"int" "float?" "text" "bool" "time" "json?"     a scalar; ? where null may stand
{"text": ["a", "b"]}  {"text+?": [...]}         with known values; + where others may come
{"list?": X}                                    a list of X
{"object": {"id": X, "note?": X, "old!": X, "gone!2027-01-01": X}}
                                                ? an optional field, ! a deprecated field
{"json": [X, Y]}                                one of several kinds
"#Name" "#Name?"                                a shape that the catalogue names once
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from tcdatalogger.models.shape import Field, Json, Kind, List, Object, Scalar, Shape

Notation = str | dict[str, Any]

_FIELD = re.compile(
    r"(?P<name>.*?)(?P<learned>~)?(?P<optional>\?)?(?P<goes>!(?P<ends>\d{4}-\d\d-\d\d)?)?",
    re.DOTALL,
)


def write(shape: Shape, names: Mapping[Shape, str]) -> Notation:
    """The notation of `shape`.

    Args:
        shape: the shape.
        names: the names of shapes that have one; the keys are not nullable.
    """
    plain = replace(shape, nullable=False)
    if plain in names:
        return f"#{names[plain]}{_null(shape)}"
    return write_whole(shape, names)


def write_whole(shape: Shape, names: Mapping[Shape, str]) -> Notation:
    """As `write`, but the outermost shape is written in full, even where it has a name."""
    null = _null(shape)
    match shape:
        case Scalar(kind=kind, values=values) if values:
            return {f"{kind}{'+' if shape.open else ''}{null}": list(values)}
        case Scalar(kind=kind):
            return f"{kind}{null}"
        case List(element=element):
            return {f"list{null}": write(element, names)}
        case Json(options=options) if options:
            return {f"json{null}": [write(option, names) for option in options]}
        case Json():
            return f"json{null}"
        case Object(fields=fields):
            return {f"object{null}": {_mark(f): write(f.shape, names) for f in fields}}


def read(notation: Notation, named: Mapping[str, Notation], known: dict[str, Shape]) -> Shape:
    """The shape of `notation`.

    Args:
        notation: a notation that `write` made.
        named: the notation of each named shape.
        known: named shapes that were read before; this function adds to it.

    Raises:
        ValueError: the notation is broken.
        KeyError: a named shape is unknown.
    """
    if isinstance(notation, str):
        word, nullable = notation.removesuffix("?"), notation.endswith("?")
        if not word.startswith("#"):
            return Json(nullable) if word == "json" else Scalar(Kind(word), nullable)
        name = word[1:]
        if name not in known:
            known[name] = read(named[name], named, known)
        return replace(known[name], nullable=True) if nullable else known[name]
    [(head, inner)] = notation.items()
    word, nullable = head.removesuffix("?"), head.endswith("?")
    match word:
        case "list":
            return List(read(inner, named, known), nullable)
        case "json":
            return Json(nullable, tuple(read(option, named, known) for option in inner))
        case "object":
            fields = (_field(mark, value, named, known) for mark, value in inner.items())
            return Object(tuple(fields), nullable)
        case _:
            kind = Kind(word.removesuffix("+"))
            return Scalar(kind, nullable, tuple(inner), open=word.endswith("+"))


def _field(
    mark: str, notation: Notation, named: Mapping[str, Notation], known: dict[str, Shape]
) -> Field:
    found = _FIELD.fullmatch(mark)
    if found is None:
        raise ValueError(f"{mark!r} is no name of a field")
    return Field(
        found["name"],
        read(notation, named, known),
        required=not found["optional"],
        deprecated=bool(found["goes"]),
        ends=found["ends"] or "",
        learned=bool(found["learned"]),
    )


def _mark(field: Field) -> str:
    goes = f"!{field.ends}" if field.deprecated else ""
    learned = "~" if field.learned else ""
    return f"{field.name}{learned}{'' if field.required else '?'}{goes}"


def _null(shape: Shape) -> str:
    return "?" if shape.nullable else ""
