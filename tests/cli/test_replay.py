"""`replay` and `rebuild` from the command line."""

import json

import pytest

MEMBERS = '[[endpoints]]\nname = "faction_members"\npath = "/faction/members"\n'


def fill(place):
    place.write(MEMBERS)
    found = []
    for _ in range(3):
        place.clock.sleep(60)
        found.append(place.run("run", "faction_members", "--json").json[0]["run_id"])
    place.clock.sleep(60)
    return found


@pytest.fixture
def runs(once):
    """Three runs of the members, a minute after each other."""
    return once(fill)


def test_a_run_is_replayed_and_its_rows_are_counted(workplace, runs):
    done = workplace.run("replay", runs[1], "--json")

    assert done.code == 0
    assert done.json == [
        {
            "run_id": runs[1],
            "rows": {"faction_members": 30},
            "quarantined": 0,
            "result": "stored",
        }
    ]
    assert workplace.value("select count(*) from faction_members") == 90
    shown = workplace.run("replay", runs[1]).out
    assert "30 rows made." in shown


def test_a_rebuild_tells_of_every_run(workplace, runs):
    done = workplace.run("rebuild", "faction_members", "--without", runs[0], "--json")

    assert [(one["run_id"], one["result"]) for one in done.json] == [
        (runs[0], "left out"),
        (runs[1], "stored"),
        (runs[2], "stored"),
    ]
    assert workplace.value("select count(*) from faction_members") == 60
    assert "90 rows made." in workplace.run("rebuild", "faction_members").out


def test_torn_is_not_asked(workplace, runs):
    before = workplace.city.stats()["calls"]

    workplace.run("replay", runs[0])
    workplace.run("rebuild", "faction_members")

    assert workplace.city.stats()["calls"] == before


def test_a_dry_run_stores_nothing(workplace, runs):
    books = workplace.sql("from _tcd_loads")

    for words in (("replay", runs[0]), ("rebuild", "faction_members")):
        done = workplace.run(*words, "--dry-run")
        assert done.code == 0
        assert "nothing was stored" in done.out
        assert {one["result"] for one in workplace.run(*words, "--dry-run", "--json").json} == {
            "not stored"
        }

    assert workplace.sql("from _tcd_loads") == books


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (("replay", "nothing"), 2, "The archive has no run nothing"),
        (("rebuild", "faction_member"), 2, "Did you mean 'faction_members'?"),
        (("rebuild", "faction_members", "--without", "nothing"), 2, "has no run nothing"),
    ],
)
def test_mistakes_are_told(workplace, runs, words, code, says):
    done = workplace.run(*words)

    assert done.code == code
    assert says in done.err


def test_a_damaged_archive_ends_with_65_and_the_name_of_the_file(workplace, runs):
    (file,) = (workplace.folder / "archive").rglob(f"{runs[2]}.parquet")
    file.write_bytes(file.read_bytes()[:-8])
    books = workplace.sql("from _tcd_loads")

    done = workplace.run("rebuild", "faction_members", "--json")

    assert done.code == 65
    assert f"{runs[2]}.parquet cannot be read" in done.err
    assert json.loads(done.out)["error"]["exit_code"] == 65
    assert workplace.sql("from _tcd_loads") == books
    assert workplace.value("select count(*) from faction_members") == 90
