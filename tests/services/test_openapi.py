"""Reading Torn's own document: the rules one by one, and the shipped catalogue from the real."""

import json
import os
from importlib.resources import files
from pathlib import Path

import pytest

from tcdatalogger.errors import ConfigError
from tcdatalogger.models.shape import Field, Json, Kind, List, Object, Scalar
from tcdatalogger.services.torncity.catalog import catalog
from tcdatalogger.services.torncity.catalog.openapi import compile_catalog

BESIDE = Path(__file__).parents[3] / "shared" / "torn" / "openapi-6.13.6.json"
DOCUMENT = Path(os.environ.get("TCDATALOGGER_OPENAPI", BESIDE))
needs_document = pytest.mark.skipif(
    not DOCUMENT.exists(),
    reason="Torn's document openapi-6.13.6.json is not here; name it in TCDATALOGGER_OPENAPI",
)


def shipped():
    return files("tcdatalogger.services.torncity.catalog").joinpath("catalog.json").read_bytes()


def document(schema, *, path="/user/thing", schemas=None, parameters=(), **get):
    """A document with one endpoint."""
    return {
        "info": {"version": "1.2.3"},
        "paths": {
            path: {
                "get": {
                    "x-stability": "Stable",
                    "parameters": [{"$ref": "#/components/parameters/ApiKeyPublic"}, *parameters],
                    "responses": {"200": {"content": {"application/json": {"schema": schema}}}},
                    **get,
                }
            }
        },
        "components": {
            "schemas": schemas or {},
            "parameters": {
                "ApiKeyPublic": {"name": "key", "in": "query", "schema": {"type": "string"}}
            },
        },
    }


def endpoint_of(schema, **more):
    raw = compile_catalog(json.dumps(document(schema, **more)).encode(), "test.json")
    [endpoint] = catalog.read(raw, "test").endpoints
    return endpoint


def shape_of(schema, **more):
    """What becomes of the schema of one required field `x`."""
    whole = {"type": "object", "properties": {"x": schema}, "required": ["x"]}
    return endpoint_of(whole, **more).shape.field("x").shape


INT, TEXT = {"type": "integer"}, {"type": "string"}


@pytest.mark.parametrize(
    ("schema", "shape"),
    [
        ({"type": "integer", "format": "int32"}, Scalar(Kind.INT)),
        ({"type": "number", "format": "float"}, Scalar(Kind.FLOAT)),
        ({"type": "boolean"}, Scalar(Kind.BOOL)),
        ({"oneOf": [INT, {"type": "number"}]}, Scalar(Kind.FLOAT)),
        ({"oneOf": [INT, {"type": "null"}]}, Scalar(Kind.INT, nullable=True)),
        ({"type": ["integer", "null"]}, Scalar(Kind.INT, nullable=True)),
        ({"anyOf": [INT, TEXT]}, Json(options=(Scalar(Kind.INT), Scalar(Kind.TEXT)))),
        ({"type": "string", "enum": ["a", "b"]}, Scalar(Kind.TEXT, values=("a", "b"))),
        (
            {"oneOf": [{"type": "string", "enum": ["a"]}, TEXT]},
            Scalar(Kind.TEXT, values=("a",), open=True),
        ),
        ({"type": "object"}, Json()),
        ({"type": "array", "items": INT}, List(Scalar(Kind.INT))),
        (
            {"oneOf": [{"type": "array", "items": INT}, {"type": "null"}]},
            List(Scalar(Kind.INT), nullable=True),
        ),
        (
            {
                "oneOf": [
                    {"type": "object", "properties": {"a": INT}, "required": ["a"]},
                    {"type": "object", "properties": {"a": INT, "b": TEXT}, "required": ["a"]},
                ]
            },
            Object((Field("a", Scalar(Kind.INT)), Field("b", Scalar(Kind.TEXT), required=False))),
        ),
        (
            {
                "allOf": [
                    {"type": "object", "properties": {"a": INT}},
                    {"type": "object", "properties": {"b": TEXT}, "required": ["b"]},
                ]
            },
            Object((Field("a", Scalar(Kind.INT), required=False), Field("b", Scalar(Kind.TEXT)))),
        ),
        (
            {"type": "object", "properties": {"paid_at": INT, "tick_time": INT, "text_at": TEXT}},
            Object(
                (
                    Field("paid_at", Scalar(Kind.TIME), required=False),
                    Field("tick_time", Scalar(Kind.INT), required=False),
                    Field("text_at", Scalar(Kind.TEXT), required=False),
                )
            ),
        ),
    ],
    ids=str,
)
def test_a_schema_is_read_by_the_rules(schema, shape):
    assert shape_of(schema) == shape


def test_a_component_is_read_once_and_named():
    schemas = {
        "Thing": {"type": "object", "properties": {"id": INT, "name": TEXT}, "required": ["id"]}
    }
    ref = {"$ref": "#/components/schemas/Thing"}
    thing = shape_of({"type": "array", "items": ref}, schemas=schemas)
    assert thing == List(
        Object((Field("id", Scalar(Kind.INT)), Field("name", Scalar(Kind.TEXT), required=False)))
    )


@pytest.mark.parametrize(
    ("said", "ends"),
    [
        ({"description": "This will be removed on 1st January 2027."}, "2027-01-01"),
        ({"description": "Deprecated. Will be removed on June 3rd.", "deprecated": True}, ""),
        ({"deprecated": True}, ""),
    ],
)
def test_what_is_announced_to_go_is_marked_with_its_end(said, ends):
    whole = {"type": "object", "properties": {"x": {**INT, **said}}}
    field = endpoint_of(whole).shape.field("x")
    assert (field.deprecated, field.ends) == (True, ends)


def test_what_is_not_announced_to_go_is_not_marked():
    text = "Counted since 1 January 2027. Starting then it is 0."
    whole = {"type": "object", "properties": {"x": {**INT, "description": text}}}
    assert not endpoint_of(whole).shape.field("x").deprecated


def test_a_parameter_keeps_its_facts_and_the_key_is_none():
    limit = {
        "name": "limit",
        "in": "query",
        "schema": {"type": "integer", "minimum": 1, "maximum": 50, "default": 20},
    }
    cats = {
        "name": "cat",
        "in": "query",
        "required": True,
        "schema": {"type": "array", "items": {"type": "string", "enum": ["a", "b"]}},
    }
    endpoint = endpoint_of({"type": "object"}, parameters=[limit, cats])
    assert [parameter.name for parameter in endpoint.parameters] == ["limit", "cat"]
    found = endpoint.parameter("limit")
    assert (found.kind, found.default, found.minimum, found.maximum) == ("int", 20, 1, 50)
    found = endpoint.parameter("cat")
    assert (found.required, found.many, found.values) == (True, True, ("a", "b"))
    assert endpoint.limit == 50


@pytest.mark.parametrize("raw", [b"", b"[]", b"{}", b'{"info":{}}', b"null", b"\xff"])
def test_what_is_no_document_is_refused_with_its_place(raw):
    with pytest.raises(ConfigError, match=r"other\.json is not an OpenAPI document"):
        compile_catalog(raw, "other.json")


@needs_document
def test_the_shipped_catalogue_is_what_the_document_compiles_to():
    assert compile_catalog(DOCUMENT.read_bytes(), DOCUMENT.name) == shipped()


@needs_document
def test_the_catalogue_holds_no_sentence_of_the_document():
    text = shipped().decode()
    told = set(sentences(json.loads(DOCUMENT.read_bytes())))
    assert len(told) > 100
    assert [sentence for sentence in told if sentence in text] == []


def sentences(node):
    """Every description and summary that is more than a word or two."""
    if isinstance(node, dict):
        for name, inner in node.items():
            if name in {"description", "summary"} and isinstance(inner, str):
                yield from (s.strip() for s in inner.split(".") if len(s.split()) > 2)
            else:
                yield from sentences(inner)
    elif isinstance(node, list):
        for inner in node:
            yield from sentences(inner)


def test_a_category_is_a_list_where_the_description_says_so():
    cat = {"name": "cat", "in": "query", "schema": {"type": "string", "enum": ["a", "b"]}}
    says = "It is possible to pass up to 10 categories at the time (comma separated)."

    for description, many in ((says, True), ("One category.", False)):
        found = endpoint_of({"type": "object"}, parameters=[cat], description=description)
        assert found.parameter("cat").many is many
