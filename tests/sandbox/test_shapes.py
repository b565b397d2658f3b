"""Every answer has the shape that the catalogue promises, and fits Torn's own document."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from shared import rest_slow
from tcdatalogger.models.shape import Json, Kind, List, Object, Scalar, Shape
from tcdatalogger.sandbox.api.server import START
from tcdatalogger.sandbox.world.bursts import Bursts, Corrections
from tcdatalogger.services.torncity.catalog.catalog import Endpoint, load

ENDPOINTS = [e for e in load().endpoints if e.content == "json" and not e.route]
DOCUMENT = Path(
    os.environ.get("TCDATALOGGER_OPENAPI")
    or Path(__file__).parents[2].parent / "shared" / "torn" / "openapi-6.13.6.json"
)
KINDS = {
    Kind.INT: int,
    Kind.TIME: int,
    Kind.FLOAT: (int, float),
    Kind.TEXT: str,
    Kind.BOOL: bool,
}
DOCUMENTS_OWN_FAULTS = {
    # It demands a field that it does not describe.
    "/user/trades": "'items' is a required property",
}
SEEDS = ([1, 2], [3, 4, 5, 6])
"""Of the cities that are asked; each is asked all paths, so CI alone asks the last ones."""


def faults(value: Any, shape: Shape, path: str = "$") -> Iterator[str]:
    """What is wrong with a value, by a reading of shapes of its own."""
    if value is None:
        yield from () if shape.nullable else (f"{path} is null",)
        return
    match shape:
        case Object():
            yield from in_object(value, shape, path)
        case List(element=element):
            if not isinstance(value, list):
                yield f"{path} is no list"
                return
            for place, inner in enumerate(value):
                yield from faults(inner, element, f"{path}[{place}]")
        case Json(options=options):
            found = [list(faults(value, option, path)) for option in options]
            if found and all(found):
                yield f"{path} is none of the options: {found}"
        case Scalar():
            yield from in_scalar(value, shape, path)


def in_object(value: Any, shape: Object, path: str) -> Iterator[str]:
    if not isinstance(value, dict):
        yield f"{path} is no object"
        return
    yield from (f"{path}.{name} is unknown" for name in value if shape.field(name) is None)
    for field in shape.fields:
        if field.name in value:
            yield from faults(value[field.name], field.shape, f"{path}.{field.name}")
        elif field.required:
            yield f"{path}.{field.name} is missing"


def in_scalar(value: Any, shape: Scalar, path: str) -> Iterator[str]:
    if isinstance(value, bool) != (shape.kind is Kind.BOOL) or not isinstance(
        value, KINDS[shape.kind]
    ):
        yield f"{path} is {value!r}, not {shape.kind}"
    elif shape.values and not shape.open and value not in shape.values:
        yield f"{path} is {value!r}, which is not announced"


def asked(endpoint: Endpoint, city: Any) -> tuple[str, dict[str, str]]:
    """A path and parameters that this endpoint answers."""
    crime = city.json("/faction/crimes", limit=1)["crimes"][0]["id"]
    chain = city.json("/faction/chains", limit=1)["chains"][0]["id"]
    known = {"ids": "1,206,640", "crimeId": str(crime), "chainId": str(chain)}
    path = endpoint.path
    for parameter in endpoint.path_parameters:
        value = "40832" if endpoint.section == "faction" and parameter.name == "id" else "1"
        value = known.get(parameter.name, value)
        if path.startswith("/user/{id}"):
            value = "150001"
        path = path.replace(f"{{{parameter.name}}}", value)
    given = {
        p.name: str(p.values[0]) if p.values else "1"
        for p in endpoint.parameters
        if p.where == "query" and p.required and p.name != "key"
    }
    return path, given


@pytest.fixture(scope="module", params=rest_slow(SEEDS))
def cities(request: pytest.FixtureRequest, build: Any) -> list[Any]:
    return [build(seed=seed) for seed in request.param]


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda e: e.path)
def test_an_answer_has_the_shape_of_the_catalogue(endpoint: Endpoint, cities: list[Any]):
    for city in cities:
        path, given = asked(endpoint, city)
        body = city.json(path, **given)
        assert "error" not in body
        assert list(faults(body, endpoint.shape)) == []


RUSHED = (
    *("/faction/attacks", "/faction/attacksfull", "/user/attacks", "/user/attacksfull"),
    *("/faction/news", "/faction/chains", "/faction/crimes", "/user/log", "/user/events"),
)


@pytest.mark.parametrize("path", RUSHED)
def test_bursts_and_corrections_keep_the_shape_of_the_catalogue(build: Any, path: str):
    bursts = Bursts(at=(int(START) - 5,), categories=("main",))
    city = build(bursts=bursts, corrections=Corrections(share=1.0, within=4_000))
    city.city.clock.advance(4_000)
    endpoint, _ = load().find(path)
    body = city.json(path, limit=1_000, cat="main" if path.endswith("news") else "all")
    assert len(body[path.rsplit("/", 1)[-1].removesuffix("full")]) > 19
    assert list(faults(body, endpoint.shape)) == []


def anyof(schema: Any) -> Any:
    """`oneOf` read as `anyOf`: Torn's document writes the one and means the other."""
    if isinstance(schema, dict):
        return {"anyOf" if k == "oneOf" else k: anyof(v) for k, v in schema.items()}
    return [anyof(item) for item in schema] if isinstance(schema, list) else schema


@pytest.fixture(scope="module")
def document() -> Any:
    if not DOCUMENT.exists():
        pytest.skip("Torn's document is not beside the checkout; name it in TCDATALOGGER_OPENAPI")
    return anyof(json.loads(DOCUMENT.read_text()))


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda e: e.path)
def test_an_answer_fits_torns_document(endpoint: Endpoint, cities: list[Any], document: Any):
    content = document["paths"][endpoint.path]["get"]["responses"]["200"]["content"]
    schema = {**content["application/json"]["schema"], "components": document["components"]}
    validator = jsonschema.Draft202012Validator(schema)
    for city in cities:
        path, given = asked(endpoint, city)
        errors = validator.iter_errors(city.json(path, **given))
        known = DOCUMENTS_OWN_FAULTS.get(endpoint.path)
        found = [f"{e.json_path}: {e.message[:200]}" for e in errors if e.message != known]
        assert found == []
