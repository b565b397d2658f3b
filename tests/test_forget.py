"""A player who is forgotten: an alias, or nothing, in all that is kept and all that comes."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections import Counter

import pyarrow.parquet as pq
import pytest

from shared import reading
from tcdatalogger.core.operations import forget as operation
from tcdatalogger.core.operations.forget import again, forget
from tcdatalogger.core.operations.replay import rebuild
from tcdatalogger.core.state.leases import BACKUP
from tcdatalogger.errors import Busy, UsageError
from tcdatalogger.models.people import texts
from tcdatalogger.models.people.pseudonyms import Pseudonyms, hash_of_id

ENDPOINTS = """
[[endpoints]]
name = "members"
path = "/faction/members"
storage_mode = "merge"

[[endpoints]]
name = "seen"
path = "/faction/members"
storage_mode = "history"

[[endpoints]]
name = "crimes"
path = "/faction/crimes"

[[endpoints]]
name = "attacks"
path = "/faction/attacks"
since = "P1D"

[[endpoints]]
name = "balance"
path = "/faction/balance"

[[endpoints]]
name = "news"
path = "/faction/news"
params = { cat = "armoryAction", striptags = false }
since = "P5D"

[[endpoints]]
name = "plain_news"
path = "/faction/news"
params = { cat = "armoryAction", striptags = true }
since = "P5D"

[[endpoints]]
name = "items"
path = "/torn/items"
storage_mode = "replace"
"""

MEMBERS = '[[endpoints]]\nname = "members"\npath = "/faction/members"\n'


@pytest.fixture
def logged(once):
    """A place where all of this was logged; the id and the name of a member who did a lot."""

    def fill(place):
        place.write(ENDPOINTS, extra='[log]\nfile = "tcd.log"\n')
        assert place.run("run", "--all").code == 0
        (one,) = place.sql(
            "with done as (select m.id, m.name, (select count(*) from crimes_slots s "
            "where s.user_id = m.id) as crimes, (select count(*) from news "
            "where contains(text, 'XID=' || m.id)) as told from members m) "
            "from done order by least(crimes, told) desc, id limit 1"
        )
        assert min(one["crimes"], one["told"]) > 0
        return one["id"], one["name"]

    return once(fill)


def everything(place):
    """All rows of all tables, those of the ledger too, as texts."""
    names = [row["name"] for row in place.sql("select name from (show tables)")]
    return {name: [repr(row) for row in place.sql(f'from "{name}"')] for name in names}


def answers(place):
    """All that the archive has, by run."""
    found = {}
    for file in sorted((place.folder / "archive").rglob("*.parquet")):
        for row in pq.read_table(file).to_pylist():
            found.setdefault(row["run_id"], []).append(row)
    return found


def holds(text, player):
    return re.search(rf"(?<!\d){player}(?!\d)", text) is not None


def where(place, player, name=""):
    """The tables and the files that still have somebody."""
    tables = [
        table for table, rows in everything(place).items()
        if any(holds(row, player) or (name and name in row) for row in rows)
    ]  # fmt: skip
    bodies = [
        run for run, rows in answers(place).items()
        if any(holds(row["body"].decode(), player) or (name and name.encode() in row["body"])
               for row in rows)
    ]  # fmt: skip
    return tables, bodies


# An alias


def test_the_player_has_an_alias_everywhere_and_no_row_is_lost(workplace, logged):
    player, name = logged
    before = everything(workplace)
    slots = workplace.value(f"select count(*) from crimes_slots where user_id = {player}")

    done = workplace.run("forget", "player", str(player), "--json")

    assert done.code == 0, done.err
    told = done.json
    assert where(workplace, player, name) == ([], [])
    after = everything(workplace)
    assert {table: len(rows) for table, rows in after.items()} == {
        table: len(rows) for table, rows in before.items()
    }
    alias = told["alias"]
    assert workplace.value(f"select name from members where id = {alias}") == told["name"]
    assert workplace.value(f"select count(*) from crimes_slots where user_id = {alias}") == slots
    assert told["rows"]["crimes_slots"] == slots
    assert told["written"]
    assert told["runs"]["news"] == 1
    assert workplace.holding(name) == []


def test_who_else_is_there_and_what_is_no_player_stays_to_the_byte(workplace, logged):
    player, name = logged
    before, old = everything(workplace), answers(workplace)
    workplace.run("forget", "player", str(player))

    after = everything(workplace)
    for table in ("items", "items_value_shops", "_tcd_loads", "_tcd_schemas", "_tcd_owners"):
        assert Counter(after[table]) == Counter(before[table]), table
    for table, rows in before.items():
        others = [row for row in rows if not holds(row, player) and name not in row]
        assert not Counter(others) - Counter(after[table]), table
    for run, rows in answers(workplace).items():
        for new, was in zip(rows, old[run], strict=True):
            assert {**new, "body": b""} == {**was, "body": b""}
            if not holds(was["body"].decode(), player) and name.encode() not in was["body"]:
                assert new["body"] == was["body"]


def test_a_dry_run_counts_the_same_and_changes_nothing(workplace, logged):
    player, _ = logged
    before = everything(workplace), answers(workplace)

    would = workplace.run("forget", "player", str(player), "--dry-run", "--json").json

    assert (everything(workplace), answers(workplace)) == before
    assert workplace.run("forget", "list").out.startswith("Nobody is forgotten yet")
    did = workplace.run("forget", "player", str(player), "--json").json
    for what in ("rows", "deleted", "runs", "log"):
        assert would[what] == did[what], what


@pytest.mark.slow
def test_what_is_made_again_from_the_archive_has_the_alias_too(workplace, logged):
    player, name = logged
    workplace.run("forget", "player", str(player))
    before = workplace.tables()
    for endpoint in ("members", "seen", "crimes", "attacks", "balance", "news", "items"):
        workplace.again(rebuild, endpoint)

    assert workplace.tables() == before
    assert where(workplace, player, name) == ([], [])


@pytest.mark.slow
def test_what_torn_sends_later_has_the_alias_before_anything_is_kept(workplace, logged):
    player, name = logged
    alias = workplace.run("forget", "player", str(player), "--json").json["alias"]
    workplace.clock.sleep(60)
    records = workplace.sql("select count(*) as n from members")

    assert workplace.run("run", "--all").code == 0

    assert where(workplace, player, name) == ([], [])
    assert workplace.sql("select count(*) as n from members") == records  # found by its alias
    versions = f"select count(*) from seen where id = {alias} and valid_to is null"
    assert workplace.value(versions) == 1
    assert workplace.value(f"select count(distinct _run_id) from balance_members "
                           f"where member_id = {alias}") == 2  # fmt: skip


def test_a_second_time_finds_nothing_and_the_list_names_aliases_alone(workplace, logged):
    player, name = logged
    first = workplace.run("forget", "player", str(player), "--json").json
    before = everything(workplace), answers(workplace)

    done = workplace.run("forget", "player", str(player))
    assert "Nothing was found." in done.out
    assert "Nothing was found." in workplace.run("forget", "again").out
    assert (everything(workplace), answers(workplace)) == before

    (line,) = workplace.run("forget", "list", "--json").json["forgotten"]
    assert (line["alias"], line["name"]) == (first["alias"], first["name"])
    assert not holds(workplace.run("forget", "list").out, player)
    state = (workplace.folder / "torn.state.sqlite").read_bytes()
    assert str(player).encode() not in state
    assert name.encode() not in state


# Nothing


@pytest.mark.slow
def test_a_player_who_is_removed_leaves_nothing_and_takes_nothing_of_others(workplace, logged):
    player, name = logged
    slots = workplace.value("select count(*) from crimes_slots")
    crimes = workplace.value("select count(*) from crimes")
    members = workplace.value("select count(*) from members")

    told = workplace.run("forget", "player", str(player), "--remove", "--json").json

    assert where(workplace, player, name) == ([], [])
    assert workplace.value("select count(*) from members") == members - 1
    assert told["deleted"]["members"] == 1
    assert workplace.value("select count(*) from crimes") == crimes
    assert workplace.value("select count(*) from crimes_slots") == slots
    before = workplace.tables()
    for endpoint in ("members", "seen", "crimes", "attacks", "balance", "news"):
        workplace.again(rebuild, endpoint)
    assert workplace.tables() == before
    workplace.clock.sleep(60)
    assert workplace.run("run", "--all").code == 0
    assert where(workplace, player, name) == ([], [])
    assert workplace.value("select count(*) from members") == members - 1


@pytest.mark.slow
def test_one_who_had_an_alias_can_be_removed_later(workplace, logged):
    player, _ = logged
    alias = workplace.run("forget", "player", str(player), "--json").json["alias"]
    assert workplace.value(f"select count(*) from crimes_slots where user_id = {alias}") > 0

    workplace.run("forget", "player", str(player), "--remove")

    assert where(workplace, alias) == ([], [])
    assert workplace.run("forget", "list", "--json").json["forgotten"][0]["removed"]


@pytest.mark.parametrize("mode", ["append", "merge"])
def test_the_sentence_of_a_check_that_refused_a_run_has_the_alias(workplace, mode):
    one = ENDPOINTS.split("[[endpoints]]")[1].replace("merge", mode)
    checks = 'checks = [{ column = "level", max = 0 }, { column = "id", max = 5 }]\n'
    workplace.write(f"[[endpoints]]{one}{checks}", extra='[log]\nfile = "tcd.log"\n')
    assert workplace.run("run", "members").code == 65
    (example,) = workplace.sql("select example from _tcd_checks where check_text like 'id %'")
    player = int(example["example"])
    written = [workplace.folder / "tcd.log", *(workplace.folder / "archive").rglob("*.refused")]
    assert all(holds(file.read_text(), player) for file in written)

    assert workplace.run("forget", "player", str(player)).code == 0

    assert where(workplace, player) == ([], [])
    assert not any(holds(file.read_text(), player) for file in written)
    assert not holds(workplace.run("runs", "list", "--json").out, player)


# What has the same number or the same name


@pytest.mark.slow
def test_a_faction_an_item_and_a_crime_with_the_number_of_a_player_stay(workplace, logged):
    before = everything(workplace), answers(workplace)
    item = workplace.value("select min(id) from items")
    crime = workplace.value("select min(id) from crimes")

    for number in (40832, item, crime):
        for words in ((), ("--remove",)):
            assert workplace.run("forget", "player", str(number), *words).code == 0

    assert (everything(workplace), answers(workplace)) == before


@pytest.mark.slow
@pytest.mark.parametrize("called", ["Xanax", "null", "deposited"])
@pytest.mark.parametrize("words", [(), ("--remove",)])
def test_a_player_who_is_called_like_a_thing_takes_no_thing_along(workplace, lie, called, words):
    workplace.write(ENDPOINTS)

    def renamed(path, _params, body):
        if path != "/faction/members":
            return None
        told = json.loads(body)
        told["members"][0] |= {"name": called, "id": 77_777}
        return told

    lie(renamed)
    assert workplace.run("run", "--all").code == 0
    before = everything(workplace)

    assert workplace.run("forget", "player", "77777", *words).code == 0

    after = everything(workplace)
    for table in set(before) - {"members", "seen", "_tcd_loads"}:
        assert after[table] == before[table], table
    assert workplace.value("select count(*) from members where id = 77777") == 0
    count = workplace.value("select count(*) from members")
    assert count == len(before["members"]) - (1 if words else 0)


# Cut short


CHILD = """
import os, signal, sys
from tcdatalogger.cli import main

left = int(sys.argv[1])
player = sys.argv[2]

def step(*_):
    global left
    left -= 1
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)

def before(owner, name):
    whole = getattr(owner, name)
    def killing(*args, **named):
        step()
        return whole(*args, **named)
    setattr(owner, name, killing)

import pathlib, sqlite3
from tcdatalogger import files
from tcdatalogger.core.state.forgotten import ForgottenPlayers
from tcdatalogger.core.state.store import State
from tcdatalogger.services.duckdb import compaction, people
from tcdatalogger.services.duckdb.session import Session
from tcdatalogger.services.storage.folder import Folder
from tcdatalogger.core.operations import forget

for owner, names in {
    ForgottenPlayers: ("begin", "remember", "remember_names", "end"),
    State: ("rewrite",),
    Folder: ("write", "delete"),
    people: ("exchange",),
    Session: ("commit",),
    compaction: ("connect", "_reading", "_sums"),
    files: ("sync_folder",),
    forget: ("rewrite_logs",),
}.items():
    for name in names:
        before(owner, name)
code = main(["forget", "player", player])
print("steps", -left, flush=True)
sys.exit(code)
"""


def child(place, steps, player):
    return subprocess.run(
        [sys.executable, "-c", CHILD, str(steps), str(player)],
        cwd=place.folder, env=place.outside(), capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_a_run_waits_until_what_was_cut_short_is_finished(workplace, logged):
    player, name = logged
    with workplace.application() as application:
        application.state.forgotten.begin(1.0)

    done = workplace.run("run", "members")
    assert done.code == 75
    assert "`tcdatalogger forget again`" in done.err + done.out
    assert workplace.run("forget", "player", str(player)).code == 0
    assert workplace.run("run", "members").code == 0
    assert where(workplace, player, name) == ([], [])


FEW = ENDPOINTS.split("\n\n[[endpoints]]")


@pytest.mark.slow
def test_killed_at_any_step_and_called_again_the_end_is_the_same(workplace, tmp_path_factory):
    few = [each for each in FEW if re.search('name = "(members|seen|crimes|news)"', each)]
    workplace.write("\n\n[[endpoints]]".join(few), extra='[log]\nfile = "tcd.log"\n')
    assert workplace.run("run", "--all").code == 0
    (one,) = workplace.sql("select id, name from members m where id in "
                           "(select user_id from crimes_slots) order by id limit 1")  # fmt: skip
    player, name = one["id"], one["name"]
    start = tmp_path_factory.mktemp("start") / "place"
    shutil.copytree(workplace.folder, start)
    told = child(workplace, -1, player)
    assert told.returncode == 0, told.stderr
    steps = int(re.search(r"steps (\d+)", told.stdout)[1]) - 1
    assert steps > 15
    wanted = {table: len(rows) for table, rows in everything(workplace).items()}

    for step in range(1, steps + 1, 1 + steps // 25):
        shutil.rmtree(workplace.folder)
        shutil.copytree(start, workplace.folder)
        killed = child(workplace, step, player)
        assert killed.returncode == -9, (step, killed.stderr)
        assert workplace.run("forget", "player", str(player)).code == 0, step
        assert where(workplace, player, name) == ([], []), step
        assert {table: len(rows) for table, rows in everything(workplace).items()} == wanted, step
    before = workplace.tables()
    workplace.again(rebuild, "crimes")
    assert workplace.tables() == before


# Backups


@pytest.mark.slow
def test_backups_are_listed_and_rewritten_and_restore_as_they_should(workplace, logged):
    player, name = logged
    assert workplace.run("backup", "--archive").code == 0
    (folder,) = (workplace.folder / "backups").glob("2*")

    told = workplace.run("forget", "player", str(player), "--json").json
    assert [one["became"] for one in told["backups"]] == ["kept"]
    assert name.encode() in b"".join(
        repr(pq.read_table(f).to_pylist()).encode() for f in folder.rglob("*.parquet"))  # fmt: skip

    told = workplace.run("forget", "again", "--backups", "rewrite", "--json").json
    assert [one["became"] for one in told["backups"]] == ["rewritten"]
    done = workplace.run("restore", str(folder), "--to", "again", "--json")
    assert done.code == 0, done.err
    there = workplace.folder / "again"
    assert (there / "archive").is_dir()
    for file in (there / "archive").rglob("*.parquet"):
        text = repr(pq.read_table(file).to_pylist())
        assert name not in text
        assert not holds(text, player)
    with reading(there / "warehouse" / "torn.duckdb") as connection:
        names = connection.sql("select name from members").fetchall()
    assert name not in str(names)


@pytest.mark.slow
def test_a_backup_that_is_restored_later_keeps_the_promise(workplace, logged):
    player, name = logged
    assert workplace.run("backup").code == 0
    (folder,) = (workplace.folder / "backups").glob("2*")
    alias = workplace.run("forget", "player", str(player), "--json").json["alias"]

    done = workplace.run("restore", str(folder), "--to", "again")

    assert done.code == 0, done.err
    assert "Players who are forgotten have their aliases in it" in done.out
    with reading(workplace.folder / "again" / "warehouse" / "torn.duckdb") as connection:
        found = dict(connection.sql("select id, name from members").fetchall())
    assert player not in found
    assert name not in found.values()
    assert alias in found


@pytest.mark.slow
def test_backups_can_go(workplace, logged):
    player, _ = logged
    assert workplace.run("backup").code == 0
    assert workplace.run("forget", "player", str(player), "--backups", "delete").code == 0
    assert list((workplace.folder / "backups").glob("2*")) == []


def test_a_backup_with_players_under_another_secret_is_refused_before_anything_is_changed(
    workplace,
):
    workplace.write(MEMBERS)
    assert workplace.run("run", "--all").code == 0
    first, second, *_ = (row["id"] for row in workplace.sql("select id from members order by id"))
    assert workplace.run("forget", "player", str(first)).code == 0
    assert workplace.run("backup").code == 0
    (folder,) = (workplace.folder / "backups").glob("2*")
    kept = {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()}
    for file in workplace.folder.glob("torn.state.sqlite*"):  # the state is lost, and begins anew
        file.unlink()
    assert workplace.run("forget", "player", str(second)).code == 0
    mine = workplace.run("forget", "list", "--json").json["forgotten"]

    for dry in ((), ("--dry-run",)):
        done = workplace.run("restore", str(folder), "--to", "again", *dry)
        assert done.code == 65
        assert "under another secret" in done.err
        assert f"tcdatalogger restore {folder} --to {workplace.folder / 'again'}" in done.err
    rewritten = workplace.run("forget", "again", "--backups", "rewrite")

    assert rewritten.code == 65
    assert f"rm -r {folder}" in rewritten.err
    assert not (workplace.folder / "again").exists()
    assert {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()} == kept
    assert workplace.run("forget", "list", "--json").json["forgotten"] == mine


def test_it_is_logged_where_somebody_was_forgotten_and_not_where_nobody_was(workplace):
    workplace.write(MEMBERS, extra='[log]\nfile = "tcd.log"\n')
    assert workplace.run("run", "--all").code == 0
    player = workplace.value("select min(id) from members")

    assert workplace.run("forget", "player", str(player)).code == 0
    assert workplace.run("forget", "again").code == 0

    lines = (workplace.folder / "tcd.log").read_text().splitlines()
    events = [json.loads(line)["event"] for line in lines]
    assert events.count("player_forgotten") == 1


def test_exports_that_were_written_before_are_named(workplace):
    export = '[[exports]]\nname = "members_csv"\ntable = "members"\nfile = "members.csv"\n'
    workplace.write(MEMBERS, extra=export)
    assert workplace.run("run", "--all").code == 0
    assert workplace.run("forget", "player", "77", "--json").json["exports"] == []
    assert workplace.run("exports", "run", "--all").code == 0
    player = workplace.value("select min(id) from members")

    done = workplace.run("forget", "player", str(player))

    assert "Exports that were written before: members_csv." in done.out
    assert workplace.run("exports", "run", "--all").code == 0
    assert not holds((workplace.folder / "members.csv").read_text(), player)


# Whom nobody asks about any more


@pytest.mark.slow
def test_nothing_is_asked_about_a_player_who_is_forgotten(workplace, city):
    workplace.write(
        '[[endpoints]]\nname = "who"\npath = "/user/{id}/basic"\nids = [2531687, 2531688]\n'
        '[[endpoints]]\nname = "me"\npath = "/user/basic"\n'
    )
    assert workplace.run("run", "--all").code == 0
    (owner,) = {key.owner for key in city.city.keyring if key.name == "limited"}
    ids = {row["_subject_id"] for row in workplace.sql("select _subject_id from who")}
    player = max(ids)
    for each in (player, owner):
        assert workplace.run("forget", "player", str(each)).code == 0
    assert where(workplace, player) == ([], [])
    assert where(workplace, owner) == ([], [])
    for file in (workplace.folder / "archive").rglob("*.parquet"):
        text = repr(pq.read_table(file).to_pylist()) + repr(pq.read_schema(file).metadata)
        assert not holds(text, player)
        assert not holds(text, owner)

    workplace.clock.sleep(60)
    asked = dict(city.stats()["paths"])
    done = workplace.run("run", "who", "--json")
    assert done.code == 0, done.err
    path = f"/user/{player}/basic"
    assert city.stats()["paths"].get(path, 0) == asked.get(path, 0)
    assert workplace.value("select count(*) from who") == 3
    alone = workplace.run("run", "me")
    assert alone.code == 65
    assert "forgotten" in alone.err + alone.out
    assert where(workplace, owner) == ([], [])


def test_the_links_between_pages_about_a_player_have_the_alias(workplace, says):
    link = "https://api.torn.com/v2/user/{}/properties?offset=20"
    links = {"prev": None, "next": None, "last": link.format(2531687)}
    says("/user/2531687/properties",
         {"properties": [], "_metadata": {"total": 2531687, "links": links}})  # fmt: skip
    workplace.write(
        '[[endpoints]]\nname = "who"\npath = "/user/{id}/properties"\nids = [2531687]\n'
    )
    assert workplace.run("run", "who").code == 0

    assert workplace.run("forget", "player", "2531687").code == 0

    [[row]] = answers(workplace).values()
    told = json.loads(row["body"])["_metadata"]
    assert told["total"] == 2531687
    assert re.fullmatch(link.format(r"\d{16}").replace("?", r"\?"), told["links"]["last"])


@pytest.mark.parametrize("path", ["crimes", "trade"])
def test_a_link_to_a_crime_or_a_trade_with_the_number_of_a_player_stays(path):
    own = hash_of_id(b"secret", "123")
    pseudonyms = Pseudonyms(b"secret", {own: False})
    text = "https://api.torn.com/v2/user/123/"
    assert texts.called(f"{text}{path}", pseudonyms) == f"{text}{path}"
    assert "/123/" not in texts.called(f"{text}icons", pseudonyms)


# What is refused


def test_an_id_that_no_player_has_is_refused(workplace, logged):
    with workplace.application() as application, pytest.raises(UsageError):
        forget(application, 0)
    with workplace.application() as application, pytest.raises(UsageError):
        forget(application, 10**15)


def test_while_an_endpoint_runs_nobody_is_forgotten(workplace, logged, monkeypatch):
    player, _ = logged
    monkeypatch.setattr(operation, "PATIENCE", 2.0)
    with workplace.application() as application:
        claim = application.state.leases.claim("crimes", "another")
        with pytest.raises(Busy):
            forget(application, player)
        assert not application.state.forgotten.unfinished()
        application.state.leases.release(claim)
        claim = application.state.leases.claim(BACKUP, "another")
        with pytest.raises(Busy):
            again(application)
        application.state.leases.release(claim)


def test_before_anything_is_stored_a_player_is_remembered(workplace):
    done = workplace.run("forget", "player", "2531687")
    assert done.code == 0
    assert "Nothing was found. What Torn sends later is looked through." in done.out
    assert len(workplace.run("forget", "list", "--json").json["forgotten"]) == 1
    assert json.loads(workplace.run("forget", "again", "--json").out)["rows"] == {}
