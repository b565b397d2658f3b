"""`check` tells the truth: what a run would refuse is not called well, and nothing is made."""

from __future__ import annotations

import stat
import sys

import duckdb
import pytest

from tcdatalogger.services.duckdb import connection as duckdb_file

WELL = "Everything is there"
MEMBERS = '[[endpoints]]\nname = "members"\npath = "/faction/members"\n'
BY_QUERY = (
    '[[endpoints]]\nname = "profiles"\npath = "/user/{id}/basic"\n'
    'ids = "query:select id from members limit 3"\n'
)


def found(done):
    return {one["part"]: one for one in done.json["findings"]}


def problem(place, part, *words):
    """What `check` says is wrong with a part; a person is not told that all is well."""
    shown = place.run("check", *words)
    done = place.run("check", *words, "--json")
    assert WELL not in shown.out
    assert done.code == shown.code != 0
    return found(done)[part]["problem"]


OTHERS = """
from tcdatalogger.models.schema import family
from tcdatalogger.services.torncity.processing.base import EndpointProcessor


class Frames(EndpointProcessor):
    def transform_data(self, fetched):
        import pandas as pd

        [body] = fetched.json()
        return {"levels": pd.DataFrame({"level": [each["level"] for each in body["members"]]})}


class Declared(EndpointProcessor):
    def plain_family(self, shape=None):
        made = super().plain_family(shape)
        return family(made.shape, "people", selection="members", key=("level",))
"""


@pytest.fixture
def others(tmp_path_factory, monkeypatch):
    """Processors of another package."""
    site = tmp_path_factory.mktemp("site")
    facts = site / "others-1.0.dist-info"
    facts.mkdir()
    (site / "others_torn.py").write_text(OTHERS)
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: others\nVersion: 1.0\n")
    (facts / "entry_points.txt").write_text(
        "[tcdatalogger.processors]\nframes = others_torn:Frames\ndeclared = others_torn:Declared\n"
    )
    monkeypatch.syspath_prepend(str(site))
    yield
    sys.modules.pop("others_torn", None)


@pytest.mark.usefixtures("others")
def test_a_processor_of_somebody_elses_is_asked_for_its_tables(workplace):
    workplace.write(MEMBERS + 'processor = "frames"\n')
    before = found(workplace.run("check", "--json"))["tables of members"]["says"]
    assert workplace.run("run", "members").code == 0
    after = found(workplace.run("check", "--json"))["tables of members"]["says"]
    workplace.write(MEMBERS.replace('"members"', '"others"') + 'processor = "declared"\n')
    declared = found(workplace.run("check", "--json"))["tables of others"]["says"]

    assert before == "known when its processor has made rows"
    assert after == "levels, as its processor made them last"
    assert declared.startswith("people")


def test_it_makes_nothing_on_the_disk(workplace):
    workplace.write(extra='[log]\nfile = "logs/tcd.log"\n[backup]\nfrequency = "P1D"\n')

    done = workplace.run("check")

    assert (done.code, done.out.splitlines()[-1][: len(WELL)]) == (0, WELL)
    assert [path.name for path in workplace.folder.iterdir()] == ["tcdatalogger.toml"]


def test_it_runs_the_query_for_ids(workplace):
    workplace.write(MEMBERS + BY_QUERY)
    before = workplace.run("check")
    refused = workplace.run("run", "profiles")
    assert workplace.run("run", "members").code == 0

    assert refused.code != 0
    assert WELL not in before.out
    assert "nothing to read yet" in before.out
    done = workplace.run("check", "--json")
    assert (done.code, found(done)["ids of profiles"]["says"]) == (0, "3 found by its query")
    workplace.write(MEMBERS + BY_QUERY.replace("from members", "from members where false"))
    assert "gives none" in problem(workplace, "ids of profiles")
    workplace.write(MEMBERS + BY_QUERY.replace("select id", "select nobody"))
    assert "nobody" in problem(workplace, "ids of profiles")


def test_it_looks_where_the_webhook_is(workplace):
    workplace.write(MEMBERS, extra='[alerts]\nwebhook = "env:NO_HOOK"\n')

    assert "NO_HOOK" in problem(workplace, "channel discord", "--offline")
    workplace.patch.setenv("NO_HOOK", "https://example.org/hook")
    assert workplace.run("check", "--offline").code == 0


def test_it_loads_the_module_that_encrypts(workplace, monkeypatch):
    workplace.patch.setenv("WAREHOUSE_KEY", "some-long-key")
    file = workplace.write(MEMBERS)
    text = file.read_text().replace("[archive]", 'encryption_key = "env:WAREHOUSE_KEY"\n[archive]')
    file.write_text(text)

    connect = duckdb.connect

    class Bare:
        """DuckDB where the extension is not."""

        def __init__(self):
            self.real = connect()

        def __enter__(self):
            return self

        def __exit__(self, *_):
            self.real.close()

        def execute(self, sql, *values):
            if "httpfs" in sql:
                raise duckdb.IOException("Extension not found")
            return self.real.execute(sql, *values)

    monkeypatch.setattr(
        duckdb_file.duckdb, "connect", lambda *a, **o: connect(*a, **o) if a else Bare()
    )

    assert "httpfs" in problem(workplace, "warehouse", "--offline")


@pytest.mark.parametrize(("line", "part"), [("file", "log"), ("path", "backup")])
def test_a_place_that_a_run_would_refuse_is_found(workplace, line, part):
    (workplace.folder / "taken").write_text("a file")
    often = '\nfrequency = "P1D"' if part == "backup" else ""
    workplace.write(MEMBERS, extra=f'[{part}]\n{line} = "taken/here"{often}\n')

    assert f"The {part} cannot be written" in problem(workplace, part, "--offline")


def test_offline_a_key_that_is_not_there_is_told_and_not_called_well(workplace):
    workplace.key = None

    done = workplace.run("check", "--offline")

    assert done.code == 0
    assert WELL not in done.out
    assert "TORN_API_KEY" in done.out


def test_a_state_that_is_damaged_is_found_once(workplace):
    (workplace.folder / "torn.state.sqlite").write_text("no database " * 100)

    assert "damaged" in problem(workplace, "state")
    wrong = [one for one in workplace.run("check", "--json").json["findings"] if not one["ok"]]
    assert len(wrong) == 1


def test_a_state_on_postgres_is_shown(workplace):
    workplace.write(MEMBERS, extra='[state]\nurl = "postgresql://me:secret@127.0.0.1:1/torn"\n')

    done = workplace.run("check", "--offline", "--json")

    assert done.code != 0
    state = found(done)["state"]
    assert "127.0.0.1" in state["says"]
    assert "secret" not in done.out
    assert state["problem"]


def test_it_warns_of_keys_of_two_factions(workplace, city):
    workplace.patch.setenv("RIVAL", city.keys["rival"])
    both = MEMBERS + 'api_key = ["default", "rival"]\n'
    workplace.write(both, extra='rival = "env:RIVAL"\n')

    done = workplace.run("check")

    assert done.code == 0
    assert WELL not in done.out
    assert "its keys are about several subjects: default of 40832, rival of " in done.out
    workplace.write(both + "subject = 40832\n", extra='rival = "env:RIVAL"\n')
    assert WELL in workplace.run("check").out
    workplace.write(both + "subject = 7\n", extra='rival = "env:RIVAL"\n')
    assert "is about 7" in problem(workplace, "members")


def test_it_names_what_others_may_read_or_write_and_how_to_mend_it(workplace):
    key = workplace.folder / "key"
    key.write_text(workplace.key)
    file = workplace.write(MEMBERS, extra='[log]\nfile = "tcd.log"\n')
    file.write_text(file.read_text().replace("env:TORN_API_KEY", "file:key"))
    key.chmod(0o600)
    assert workplace.run("run", "members").code == 0
    assert workplace.run("backup").code == 0
    assert WELL in workplace.run("check").out
    wide = {
        "key default": (key, 0o640),
        "state": (workplace.folder / "torn.state.sqlite", 0o644),
        "warehouse": (workplace.warehouse, 0o666),
        "archive": (workplace.folder / "archive", 0o755),
        "backup": (workplace.folder / "backups", 0o750),
        "log": (workplace.folder / "tcd.log", 0o604),
    }
    for path, mode in wide.values():
        path.chmod(mode)

    done = workplace.run("check")

    assert done.code == 0
    assert WELL not in done.out
    says = {part: one["says"] for part, one in found(workplace.run("check", "--json")).items()}
    assert "its group may read it (its mode is 0640)" in says["rights of key default"]
    assert "everybody may read and write it" in says["rights of warehouse"]
    for part, (path, _) in wide.items():
        remedy = says[f"rights of {part}"].partition("`")[2].rstrip("`").split()
        assert remedy[0] == "chmod"
        assert remedy[-2:] == ["go=", str(path)]
        path.chmod(stat.S_IMODE(path.stat().st_mode) & 0o700)
    assert WELL in workplace.run("check").out
