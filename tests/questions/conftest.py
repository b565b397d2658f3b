"""Installations that questions are asked of."""

from __future__ import annotations

from collections.abc import Iterator

import known_faction
import known_market as market
import known_war
import pytest
from installation import Installation, installed, known_endpoints
from logged_city import Logged, logged_city


@pytest.fixture(scope="session")
def known(tmp_path_factory) -> Installation:
    """The faction of which every answer is known (`known_faction.py`), with its war."""
    file = tmp_path_factory.mktemp("known") / "torn.duckdb"
    known_faction.fill(file)
    known_war.fill(file)
    return installed(file, known_endpoints() + "".join(known_war.toml()))


@pytest.fixture(scope="session")
def known_market(tmp_path_factory) -> Installation:
    """Vaults, prices and two players of whom every answer is known (`known_market.py`)."""
    return market.install(tmp_path_factory.mktemp("market") / "torn.duckdb")


@pytest.fixture(scope="session")
def logged(tmp_path_factory) -> Iterator[Logged]:
    """A city that was logged for two days; tests that take it are slow."""
    with logged_city(tmp_path_factory.mktemp("logged")) as found:
        yield found
