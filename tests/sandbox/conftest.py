"""A running city for the tests of the sandbox, and a way to call it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx2
import pytest

from tcdatalogger.sandbox.api.city import City, CityRequest, Rules
from tcdatalogger.sandbox.api.server import START, Sandbox
from tcdatalogger.sandbox.world.clock import WorldClock


@dataclass
class Caller:
    """Calls a running city over HTTP with one of its keys."""

    sandbox: Sandbox
    http: httpx2.Client

    def get(self, path: str, key: str = "full", **headers: str) -> httpx2.Response:
        """The answer to `path` (without /v2), or to a whole address, with the key of this name."""
        url = path if path.startswith("http") else self.sandbox.url + path
        text = self.sandbox.keys.get(key, key)
        auth = {"Authorization": f"ApiKey {text}"} if text else {}
        return self.http.get(url, headers={**auth, **headers})

    def json(self, path: str, key: str = "full") -> dict[str, Any]:
        answer = self.get(path, key)
        assert answer.status_code == 200
        found = answer.json()
        assert isinstance(found, dict)
        return found

    def error(self, path: str, key: str = "full") -> int:
        """The code of the error that this call gets, 0 for none."""
        code = self.json(path, key).get("error", {"code": 0})["code"]
        assert isinstance(code, int)
        return code


@pytest.fixture
def city() -> Iterator[Caller]:
    """A city that stands still at START, without limits and cache in the way."""
    rules = Rules(cache=0, per_user=100_000, per_address=100_000)
    with Sandbox(seed=7, rules=rules) as sandbox, httpx2.Client() as http:
        yield Caller(sandbox, http)


@pytest.fixture
def strict() -> Iterator[Caller]:
    """A city that stands still at START and keeps all of Torn's rules, in world seconds."""
    with Sandbox(seed=7, rules=Rules(budget="world")) as sandbox, httpx2.Client() as http:
        yield Caller(sandbox, http)


@dataclass
class Quiet:
    """The same city without a server, for many calls."""

    city: City

    def json(self, path: str, key: str = "full", **params: str | int) -> dict[str, Any]:
        found = json.loads(self.raw(path, key, **params))
        assert isinstance(found, dict)
        return found

    def raw(self, path: str, key: str = "full", **params: str | int) -> bytes:
        known = self.city.keyring.named(key)
        texts = {name.rstrip("_"): str(value) for name, value in params.items()}
        return self.city.answer(
            CityRequest(path, texts, f"ApiKey {known.text if known else key}")
        ).body

    def walk(self, path: str, way: str, name: str, /, **params: Any) -> list[list[Any]]:
        """All pages from the first to the end, by one kind of link."""
        pages = []
        for _ in range(3_000):
            body = self.json(path, **params)
            pages.append(body[name])
            link = body["_metadata"]["links"][way]
            if link is None:
                return pages
            path, following = follow(link)
            if following == params:
                return pages
            params = following
        raise AssertionError("the links never end")


def follow(link: str) -> tuple[str, dict[str, Any]]:
    """The path and the parameters of a link."""
    parts = urlsplit(link)
    assert f"{parts.scheme}://{parts.netloc}" == "http://127.0.0.1"
    return parts.path.removeprefix("/v2"), {
        {"from": "from_"}.get(name, name): value for name, value in parse_qsl(parts.query)
    }


@pytest.fixture(scope="session")
def build() -> Any:
    """A function that makes a city without a server and without limits."""

    def build(*, seed: int = 7, start: float = START, **rules: Any) -> Quiet:
        most = dict.fromkeys(("per_user", "per_address", "cloud_rows"), 10**9)
        free = {"cache": 0, **most, **rules}
        return Quiet(City(seed, WorldClock(start), Rules(**free)))

    return build
