"""Compiles Torn's OpenAPI document into the catalogue: facts only, no sentences of Torn's.

The rules: `oneOf` is read as `anyOf`, because Torn uses it so. Alternatives of objects become one
object with all fields. An enum never leads to a refusal. Every integer has 64 bits, whatever its
`format` is. Alternatives of different kinds become JSON.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import date
from functools import cache
from importlib.resources import files
from typing import Any, cast

import msgspec

from tcdatalogger.errors import ConfigError
from tcdatalogger.models import notation
from tcdatalogger.models.shape import (
    Field,
    Json,
    Kind,
    List,
    Object,
    Scalar,
    Shape,
    as_nullable,
    merge_all,
    walk,
)

Node = Mapping[str, Any]

_KINDS = {"integer": Kind.INT, "number": Kind.FLOAT, "string": Kind.TEXT, "boolean": Kind.BOOL}
_FACTION_ACCESS = "faction api access"
_MANY_CATEGORIES = "categories at the time (comma separated)"
"""What a description says where `cat` takes a list; its schema has one value."""
_MONTHS = (
    "january february march april may june july august september october november december".split()
)
_ENDS = re.compile(
    r"(?:removed on|replaced with|starting)[^.]*?(?:(?P<day>\d{1,2})(?:st|nd|rd|th)? (?:of )?"
    rf"(?P<month>{'|'.join(_MONTHS)}),? (?P<year>\d{{4}}))",
    re.IGNORECASE,
)
_PAGING = (
    ("cursor", {"cursor"}),
    ("nanostamp", {"nanostamp"}),
    ("all", {"from", "to", "offset"}),
    ("time", {"from", "to"}),
    ("offset", {"offset"}),
)
_TRANSPORT = {"key", "comment"}
_PLAYER = "UserId"
"""The component of Torn's document that every id of a player refers to."""


def compile_catalog(raw: bytes, place: str) -> bytes:
    """The bytes of the catalogue file for an OpenAPI document.

    Args:
        raw: the bytes of the document.
        place: where they came from, for the message.

    Raises:
        ConfigError: the bytes are no OpenAPI document of Torn's.
    """
    try:
        document = json.loads(raw)
        version, paths = document["info"]["version"], document["paths"]
        components = document["components"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ConfigError(
            f"{place} is not an OpenAPI document: {error!r}.",
            remedy="Fetch Torn's own openapi.json and give its path.",
        ) from None
    reader = _Reader(components["schemas"])
    endpoints = [_endpoint(path, item["get"], components, reader) for path, item in paths.items()]
    return _pack(version, endpoints, reader)


class _Reader:
    """Makes shapes from schemas; each component is read once."""

    def __init__(self, schemas: Node) -> None:
        self._schemas = schemas
        self.components: dict[str, Shape] = {}
        self._people: dict[str, list[str]] = {}

    def component(self, name: str) -> Shape:
        if name not in self.components:
            self.components[name] = self.shape(self._schemas[name], name)
        return self.components[name]

    def shape(self, node: Node, component: str) -> Shape:
        """The shape of a schema in the component of this name; the name decides on Unix times."""
        if "$ref" in node:
            return self.component(node["$ref"].rpartition("/")[2])
        for word in ("oneOf", "anyOf"):
            if word in node:
                return self._any_of(node[word], component)
        if "allOf" in node:
            return self._all_of(node["allOf"], component)
        kind = node.get("type", "object")
        if isinstance(kind, list):
            return self._any_of([{**node, "type": each} for each in kind], component)
        if kind == "array":
            return List(self.shape(node["items"], component))
        if kind == "object":
            properties = node.get("properties")
            return self._object(node, component) if properties else Json()
        return Scalar(_KINDS[kind], values=tuple(node.get("enum", ())))

    def people(self, node: Node) -> list[str]:
        """Where in the bodies of a schema the ids of players are, as `members.[].id`."""
        if "$ref" in node:
            name = node["$ref"].rpartition("/")[2]
            if name == _PLAYER:
                return [""]
            if name not in self._people:
                self._people[name] = []  # a component may refer to itself
                self._people[name] = self.people(self._schemas[name])
            return self._people[name]
        found = [path for w in ("oneOf", "anyOf", "allOf") for n in node.get(w, ())
                 for path in self.people(n)]  # fmt: skip
        inside = dict(node.get("properties", {}))
        if node.get("type") == "array":
            inside["[]"] = node["items"]
        for step, inner in inside.items():
            found += [f"{step}.{path}".rstrip(".") for path in self.people(inner)]
        return found

    def _any_of(self, nodes: list[Node], component: str) -> Shape:
        shapes = [self.shape(node, component) for node in nodes if node.get("type") != "null"]
        merged = merge_all(shapes)
        return as_nullable(merged) if len(shapes) < len(nodes) else merged

    def _all_of(self, nodes: list[Node], component: str) -> Shape:
        """One object with the fields of all parts; a later part replaces a field."""
        parts = [cast("Object", self.shape(node, component)) for node in nodes]
        fields: dict[str, Field] = {}
        for part in parts:
            for field in part.fields:
                old = fields.get(field.name)
                required = field.required or (old is not None and old.required)
                fields[field.name] = replace(field, required=required)
        return Object(tuple(fields.values()))

    def _object(self, node: Node, component: str) -> Object:
        required = set(node.get("required", ()))
        return Object(
            tuple(
                self._field(name, schema, component, required=name in required)
                for name, schema in node["properties"].items()
            )
        )

    def _field(self, name: str, schema: Node, component: str, *, required: bool) -> Field:
        shape = self.shape(schema, component)
        if isinstance(shape, Scalar) and shape.kind is Kind.INT and is_unix_time(component, name):
            shape = Scalar(Kind.TIME, shape.nullable)
        text = schema.get("description", "")
        ends = _end(text)
        gone = bool(schema.get("deprecated")) or (bool(ends) and "removed on" in text)
        return Field(name, shape, required=required, deprecated=gone, ends=ends if gone else "")


@cache
def _times() -> Mapping[str, Any]:
    text = files(__package__).joinpath("unix_times.toml").read_text("utf-8")
    return tomllib.loads(text)


def is_unix_time(component: str, name: str) -> bool:
    """Whether an integer field of this name in this component is a Unix time."""
    rules = _times()
    return (
        name in rules["names"]
        or name.endswith(tuple(rules["suffixes"]))
        or f"{component}.{name}" in rules["fields"]
    )


def _end(text: str) -> str:
    """The ISO date of a removal that a description names, "" for none."""
    found = _ENDS.search(text)
    if found is None:
        return ""
    month = _MONTHS.index(found["month"].lower()) + 1
    return date(int(found["year"]), month, int(found["day"])).isoformat()


def _endpoint(path: str, get: Node, components: Node, reader: _Reader) -> dict[str, Any]:
    resolved = [_resolve(node, components) for node in get["parameters"]]
    names = {node["name"] for node in resolved}
    content, media = next(iter(get["responses"]["200"]["content"].items()))
    route = path.count("/") == 1
    csv = content == "text/csv"
    shape: Shape
    if csv:
        shape = _csv_shape(path, media["schema"]["example"])
    else:
        shape = Json() if route else reader.shape(media["schema"], path)
    people = _people_in_csv(path) if csv else list(dict.fromkeys(reader.people(media["schema"])))
    limit = next((node for node in resolved if node["name"] == "limit"), None)
    description = f"{get.get('summary', '')} {get.get('description', '')}".lower()
    return {
        "path": path,
        "shape": shape,
        "access": _access(get["parameters"]),
        "faction_access": _FACTION_ACCESS in description,
        "stable": get["x-stability"] == "Stable",
        "deprecated": bool(get.get("deprecated")),
        "ends": _end(description) if get.get("deprecated") else "",
        "content": "csv" if csv else "json",
        "route": route,
        "paging": next((kind for kind, needs in _PAGING if needs <= names), "none"),
        "limit": limit and limit["schema"].get("maximum", 100),
        "people": [] if route else people,
        "parameters": [
            _parameter(n, reader, many=n["name"] == "cat" and _MANY_CATEGORIES in description)
            for n in resolved
            if n["name"] not in _TRANSPORT
        ],
    }


def _resolve(node: Node, components: Node) -> Node:
    if "$ref" not in node:
        return node
    return cast("Node", components["parameters"][node["$ref"].rpartition("/")[2]])


def _access(parameters: list[Node]) -> str:
    """The access level; it is in the name of the shared `key` parameter, as `ApiKeyLimited`."""
    for node in parameters:
        name = node.get("$ref", "").rpartition("/")[2]
        if name.startswith("ApiKey"):
            return str(name.removeprefix("ApiKey").lower())
    raise ConfigError("The document has an endpoint without a `key` parameter.")


def _parameter(node: Node, reader: _Reader, *, many: bool) -> dict[str, Any]:
    schema = node["schema"]
    shape = reader.shape(schema, "")
    inner = shape.element if isinstance(shape, List) else shape
    scalar = inner if isinstance(inner, Scalar) else Scalar(Kind.TEXT)
    words = {Kind.INT: "int", Kind.BOOL: "bool"}
    return {
        "name": node["name"],
        "where": node["in"],
        "required": bool(node.get("required")),
        "kind": words.get(scalar.kind, "text"),
        "many": many or isinstance(shape, List),
        "values": () if scalar.open else scalar.values,
        "default": schema.get("default"),
        "minimum": schema.get("minimum"),
        "maximum": schema.get("maximum"),
    }


def _csv_shape(path: str, example: str) -> Shape:
    """A list of flat records: the header comes from the document, the kinds from `unix_times.toml`.

    Every column may be empty, and an empty cell is null.
    """
    kinds = {
        name: Kind(word)
        for word, names in _times().get("csv", {}).get(path, {}).items()
        for name in names
    }
    header = example.replace("\\n", "\n").splitlines()[0].split(",")
    fields = (Field(name, Scalar(kinds.get(name, Kind.TEXT), nullable=True)) for name in header)
    selection = path.rpartition("/")[2]
    return Object((Field(selection, List(Object(tuple(fields)))),))


def _people_in_csv(path: str) -> list[str]:
    """The columns with ids of players, for which Torn's document has no type."""
    text = files(__package__).joinpath("people.toml").read_text("utf-8")
    columns: list[str] = tomllib.loads(text)["csv"].get(path, [])
    return [f"{path.rpartition('/')[2]}.[].{name}" for name in columns]


def _pack(version: str, endpoints: list[dict[str, Any]], reader: _Reader) -> bytes:
    """The bytes of the catalogue file; a shape that is used more than once is named and written
    once.
    """
    uses = Counter(
        replace(part, nullable=False)
        for shape in (*reader.components.values(), *(e["shape"] for e in endpoints))
        for part in _parts(shape)
    )
    names = {
        shape: name
        for name, shape in reader.components.items()
        if uses[shape] > 1 and not (isinstance(shape, Scalar) and not shape.values)
    }
    names = {shape: name for shape, name in names.items() if not isinstance(shape, Json)}
    needed = _needed([e["shape"] for e in endpoints], names)
    shared = Counter(_freeze(p) for e in endpoints for p in e["parameters"])
    labels = _labels([p for p, count in shared.items() if count > 1])
    facts = {
        "version": version,
        "endpoints": [
            {
                **_without_defaults(endpoint),
                "shape": notation.write(endpoint["shape"], names),
                "parameters": [labels.get(_freeze(p), p) for p in endpoint["parameters"]],
            }
            for endpoint in endpoints
        ],
        "parameters": {label: json.loads(frozen) for frozen, label in labels.items()},
        "shapes": {names[shape]: notation.write_whole(shape, names) for shape in needed},
    }
    return _lines(facts)


def _parts(shape: Shape) -> Iterator[Shape]:
    """Every shape inside, also the options of JSON values."""
    for _, part in walk(shape):
        yield part
        if isinstance(part, Json):
            for option in part.options:
                yield from _parts(option)


def _needed(shapes: list[Shape], names: Mapping[Shape, str]) -> list[Shape]:
    """The named shapes inside of these shapes, ordered by name."""
    found = {
        plain
        for shape in shapes
        for part in _parts(shape)
        if (plain := replace(part, nullable=False)) in names
    }
    return sorted(found, key=lambda shape: names[shape])


def _freeze(parameter: Mapping[str, Any]) -> str:
    empty: tuple[object, ...] = (None, False, ())
    defaults = {"where": "query", "kind": "text"}
    kept = {
        key: value
        for key, value in parameter.items()
        if not any(value is e for e in empty[:2]) and value != () and defaults.get(key) != value
    }
    return json.dumps(kept)


def _labels(parameters: list[str]) -> dict[str, str]:
    """A label for each shared parameter: its name, with a number where the name is taken."""
    labels: dict[str, str] = {}
    seen: Counter[str] = Counter()
    for frozen in parameters:
        name = json.loads(frozen)["name"]
        seen[name] += 1
        labels[frozen] = name if seen[name] == 1 else f"{name}-{seen[name]}"
    return labels


def _without_defaults(endpoint: Mapping[str, Any]) -> dict[str, Any]:
    defaults = {
        "access": "public", "faction_access": False, "stable": True, "deprecated": False,
        "ends": "", "content": "json", "route": False, "paging": "none", "limit": None,
        "people": [],
    }  # fmt: skip
    return {k: v for k, v in endpoint.items() if k not in defaults or defaults[k] != v}


def _lines(facts: Mapping[str, Any]) -> bytes:
    """JSON with one line for each endpoint, parameter and shape, so that a diff is readable."""
    encode = msgspec.json.encode
    out = [b'{\n"version": ' + encode(facts["version"]) + b",\n"]
    out.append(b'"endpoints": [\n' + b",\n".join(encode(e) for e in facts["endpoints"]) + b"\n],\n")
    for name in ("parameters", "shapes"):
        rows = (encode(key) + b": " + encode(value) for key, value in facts[name].items())
        out.append(b'"%s": {\n' % name.encode() + b",\n".join(rows) + b"\n}")
        out.append(b",\n" if name == "parameters" else b"\n}\n")
    return b"".join(out)
