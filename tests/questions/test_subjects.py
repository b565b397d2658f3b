"""Two factions in one warehouse: each has the answers that it would have alone."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import known_faction
import known_market
import known_war
import pytest
from analyzer import Analyzer
from evaluator import evaluate
from installation import EVERYBODY, Installation, installed, known_endpoints
from known_faction import DAY, OURS, THEIRS
from polls import Poll, store
from test_pack import OF_MARKET, PACK, of_google

from shared import rest_slow
from tcdatalogger.errors import UsageError
from tcdatalogger.questions.answers import Answer, ask, given, looked_up
from tcdatalogger.services.duckdb.warehouse import DuckDBWarehouse

TWIN = 41_999
"""A faction that does the same as ours, ten minutes later; so do the players and the company."""
APART = 70_000
"""What the numbers of its people, crimes and chains are more than those of ours."""


def twin(poll: Poll) -> Poll:
    """The answer of Torn that the other faction, player or company gets in place of ours."""
    text = json.dumps(poll.body).replace(str(OURS), str(TWIN))
    body = json.loads(text, object_hook=_moved)
    subject = TWIN if poll.subject == OURS else (poll.subject or 0) + APART
    return poll._replace(subject=subject, at=poll.at + 600, body=body)


def _moved(fields: dict) -> dict:
    """An object with another id: the lists of people, crimes and chains have one for each."""
    number = fields.get("id")
    people = isinstance(number, int) and number != TWIN and not {"market_price"} & set(fields)
    return {**fields, "id": number + APART} if people else fields


@dataclass(frozen=True)
class Pair:
    """An installation with one faction, and one with several."""

    alone: Installation
    mixed: Installation


def answer(here: Installation, name: str, **texts: str) -> Answer:
    """The answer to a question, without a choice that a test does not make."""
    asked = PACK[name]
    with DuckDBWarehouse(here.file, read_only=True) as warehouse:
        return ask(warehouse, here.relations, asked, given(asked, texts))


def of_somebody(name: str, paths: dict[str, str]) -> bool:
    """Whether an endpoint is about the owner of the key, or a chain of his."""
    path = paths[name]
    return path.startswith(("/faction/", "/user/", "/company/")) and "{id}" not in path


def made(folder: Path, endpoints: str, *kinds: tuple[Iterable[Poll], dict[str, str], dict]) -> Pair:
    """Both installations of some polls, each with the paths and parameters of its endpoints."""
    for number, (polls, paths, params) in enumerate(kinds):
        alone = [poll for poll in polls if poll.subject != THEIRS]
        more = [twin(poll) for poll in alone if of_somebody(poll.name, paths)]
        for name, what in (("alone", alone), ("mixed", [*polls, *more])):
            store(folder / f"{name}.duckdb", what, paths, params=params, runs=f"run{number}")
    return Pair(*(installed(folder / f"{name}.duckdb", endpoints) for name in ("alone", "mixed")))


@pytest.fixture(scope="module")
def faction(tmp_path_factory) -> Pair:
    paths = known_faction.PATHS | known_war.PATHS
    return made(
        tmp_path_factory.mktemp("factions"),
        known_endpoints() + "".join(known_war.toml()),
        (known_faction.POLLS, paths, known_war.PARAMS),
        (known_war.POLLS, paths, known_war.PARAMS),
    )


@pytest.fixture(scope="module")
def market(tmp_path_factory) -> Pair:
    params = {name: ("cat", category) for name, category in known_market.NEWS.items()}
    return made(
        tmp_path_factory.mktemp("players"),
        known_market.lines(),
        (known_market.POLLS, known_market.PATHS, params),
    )


@pytest.fixture
def pair(request, name) -> Pair:
    return request.getfixturevalue("market" if name in OF_MARKET else "faction")


def choice(name: str, here: Installation, *, other: bool = False) -> dict[str, str]:
    """Whom a question can be asked about: ours, or the other one."""
    with DuckDBWarehouse(here.file, read_only=True) as warehouse:
        found = looked_up(warehouse, here.relations, PACK[name], given(PACK[name], EVERYBODY))
    ours = {kind: min(set(ids) - {THEIRS}) for kind, ids in found.subjects.items()}
    theirs = {kind: TWIN if i == OURS else i + APART for kind, i in ours.items()}
    return {kind: str(i) for kind, i in (theirs if other else ours).items()}


def plain(found: Answer) -> list | None:
    """The rows without the runs that stored them: those of two installations differ."""
    if found.rows is None:
        return None
    return [
        {name: value for name, value in row.items() if name != "run_id"}
        for row in found.rows.to_pylist()
    ]


COMPARES = {"faction-comparison"}
"""Questions about several factions."""


@pytest.mark.parametrize("name", sorted(set(PACK) - COMPARES))
def test_a_faction_has_the_answer_that_it_would_have_alone(pair, name):
    wanted = answer(pair.alone, name)
    found = answer(pair.mixed, name, **choice(name, pair.mixed))

    assert found.until == wanted.until
    assert plain(found) == plain(wanted)


SUMS = ("oc-profit", "contributions", "retaliation", "networth", "company-profit", "chains")


@pytest.mark.parametrize("name", SUMS)
def test_both_factions_have_answers_and_nobody_has_that_of_all_together(pair, name):
    one, other = (
        answer(pair.mixed, name, **choice(name, pair.mixed, other=o)) for o in (False, True)
    )
    together = answer(pair.mixed, name, **EVERYBODY)

    assert one.rows.num_rows == other.rows.num_rows > 0
    assert plain(together) not in (plain(one), plain(other))


def test_a_question_that_compares_factions_has_them_all(faction):
    found = answer(faction.mixed, "faction-comparison", faction=str(OURS))

    assert {row["faction_id"] for row in found.rows.to_pylist()} == {OURS, THEIRS, TWIN}


def test_without_a_choice_the_answer_is_of_whoever_was_logged_first_and_says_so(faction):
    found = answer(faction.mixed, "inactive-members")

    assert plain(found) == plain(answer(faction.mixed, "inactive-members", faction=str(OURS)))
    assert found.subjects == {"faction": (THEIRS, OURS, TWIN)}
    assert found.values["faction"] == OURS
    assert found.caption.endswith(f" Of Us [{OURS}].")


def test_who_is_logged_no_more_gives_way(tmp_path):
    """Whose key logged another faction before is shown the one of now."""
    ours = [poll for poll in known_faction.POLLS if poll.subject == OURS]
    before = [poll._replace(subject=THEIRS, at=poll.at - 40 * DAY) for poll in ours]
    known_faction.fill(tmp_path / "t.duckdb", [*before, *ours])
    here = installed(tmp_path / "t.duckdb", known_endpoints())

    assert answer(here, "inactive-members").values["faction"] == OURS


def test_one_faction_is_no_choice_and_changes_nothing_of_the_sql(faction):
    found = answer(faction.alone, "oc-profit")

    assert found.of == ()
    assert "faction" not in found.values
    assert str(OURS) not in found.sql


@pytest.mark.parametrize("text", ["Lights", "-1", "1.5", "1 or 1", "9" * 19, "\u0661"])
def test_what_is_no_id_is_refused(text):
    with pytest.raises(UsageError, match="is no id"):
        given(PACK["oc-profit"], {"faction": text})


@pytest.mark.parametrize("name", ["inactive-members", *rest_slow(("chains", "networth"))])
def test_googles_evaluator_gives_the_rows_of_duckdb(pair, name):
    here = pair.mixed
    texts = choice(name, here, other=True)
    sql, tables, schemas, wanted = of_google(here.file, here, name, **texts)

    assert all(f"= {each}" in sql for each in texts.values())
    assert evaluate(Analyzer(schemas), sql, tables).to_pylist() == wanted.to_pylist()
