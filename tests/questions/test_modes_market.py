"""What is answered of vaults, prices and players does not hang on how the rows are stored."""

from __future__ import annotations

import json

import pytest
from known_market import NEWS, PATHS, install
from test_pack import KNOWN, OF_MARKET, PACK, cell

LISTS = frozenset({*NEWS, "user_log", "market_auctionhouse"})
"""Endpoints that read new records alone: what is not read again would be deleted by other modes."""
MODES = {"replace", "merge", "history"}
"""Those that `test_pack.py` does not ask."""


def stored_in(name: str, mode: str) -> list[str]:
    """The endpoints of a question that a storage mode is allowed for."""
    return [
        endpoint
        for path, need in PACK[name].needs.items()
        for endpoint, its in PATHS.items()
        if its == path
        and mode in (need.modes or MODES)
        and (mode == "merge" or endpoint not in LISTS)
    ]


ALLOWED = [
    (name, mode) for mode in sorted(MODES) for name in sorted(OF_MARKET) if stored_in(name, mode)
]


@pytest.fixture(scope="module")
def asked(tmp_path_factory):
    """The installation of a storage mode."""
    made = {}

    def one(mode):
        if mode not in made:
            names = {each for name, its in ALLOWED if its == mode for each in stored_in(name, mode)}
            made[mode] = install(tmp_path_factory.mktemp(mode) / "torn.duckdb", mode, names)
        return made[mode]

    return one


@pytest.mark.slow
@pytest.mark.parametrize(("name", "mode"), ALLOWED)
def test_a_question_has_its_known_answer_in_every_storage_mode_that_it_allows(asked, name, mode):
    wanted = json.loads((KNOWN / f"{name}.json").read_text(encoding="utf-8"))

    found = asked(mode).ask(name, **wanted.get("values", {}))

    rows = [[cell(row[column]) for column in wanted["columns"]] for row in found.rows.to_pylist()]
    assert rows == wanted["rows"]
