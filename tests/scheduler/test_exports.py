"""Exports: files and sheets that the scheduler writes, in a process of its own, in one step."""

from __future__ import annotations

import csv
import io
import json
import os
import stat
import threading
from pathlib import Path

import duckdb
import pyarrow.parquet as pq
import pytest

from google_sheets import SPREADSHEET, open_google
from tcdatalogger.core import main as core_main
from tcdatalogger.core.config import configuration
from tcdatalogger.core.config.exports import spreadsheet
from tcdatalogger.core.state.due import BACKOFF, DueQueue
from tcdatalogger.core.state.leases import EXPORT
from tcdatalogger.core.state.plans import plans
from tcdatalogger.core.state.store import State
from tcdatalogger.questions import exports
from tcdatalogger.scheduler import worker
from tcdatalogger.scheduler.daemon import Daemon
from tcdatalogger.scheduler.executor import Exit, Job
from tcdatalogger.scheduler.monitoring.notify import events

DAY = 86_400
MEMBERS = (
    '[[endpoints]]\nname = "faction_members"\npath = "/faction/members"\nfrequency = "P1Y"\n'
    'storage_mode = "append"\n'
)
ROSTER = '[[exports]]\nname = "roster"\ntable = "faction_members"\nfile = "out/roster.csv"\n'
SHEET = (
    '[[exports]]\nname = "seen"\nquestion = "inactive-members"\nparams = { hours = 1 }\n'
    f'sheet = "https://docs.google.com/spreadsheets/d/{SPREADSHEET}/edit#gid=0"\n'
    'credentials = "file:google.json"\n'
)


def configure(workplace, *exports, extra=""):
    workplace.write(MEMBERS, extra="\n".join([*exports, extra]))


@pytest.fixture
def place(workplace, monkeypatch):
    monkeypatch.setattr(core_main, "SystemClock", lambda: workplace.clock)
    configure(workplace, ROSTER)
    workplace.log("faction_members")
    return workplace


@pytest.fixture
def google(workplace, monkeypatch):
    with open_google() as found:
        monkeypatch.setenv("SHEETS_EMULATOR_HOST", found.url)
        (workplace.folder / "google.json").write_text(found.document())
        yield found


def rename(workplace, name):
    """A member with such a name, as a stranger may choose it."""
    with duckdb.connect(str(workplace.warehouse)) as db:
        db.execute("update faction_members set name = ? where id = "
                   "(select min(id) from faction_members)", [name])  # fmt: skip


def read_csv(file):
    return list(csv.DictReader(io.StringIO(file.read_text())))


# --- files ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", ["csv", "json", "parquet"])
def test_a_table_is_written_into_a_file_of_each_format(place, ending):
    configure(place, ROSTER.replace(".csv", f".{ending}"))
    done = place.run("exports", "run", "roster", "--json")

    assert done.code == 0, done.err
    file = place.folder / "out" / f"roster.{ending}"
    count = place.value("select count(*) from faction_members")
    assert done.json == [{"name": "roster", "place": str(file), "rows": count}]
    if ending == "csv":
        rows = read_csv(file)
    elif ending == "json":
        rows = json.loads(file.read_text())
    else:
        rows = pq.read_table(file).to_pylist()
    assert {str(row["id"]) for row in rows} == {str(each) for each in place.ids("faction_members")}
    assert list(rows[0]) == list(place.sql("select * from faction_members limit 1")[0])


def test_the_answer_to_a_question_is_written_with_the_values_that_are_said(place):
    configure(
        place,
        '[[exports]]\nname = "seen"\nquestion = "inactive-members"\nparams = { hours = 1 }\n'
        'file = "seen.csv"\n',
    )
    assert place.run("exports", "run", "--all").code == 0
    asked = place.run("ask", "inactive-members", "--param", "hours=1", "--csv").out
    assert (place.folder / "seen.csv").read_text() == asked


def test_no_name_is_a_formula_unless_texts_are_wanted_raw(place):
    rename(place, "=cmd|' /C calc'!A0")
    place.run("exports", "run", "roster")
    names = [row["name"] for row in read_csv(place.folder / "out/roster.csv")]
    assert "'=cmd|' /C calc'!A0" in names

    configure(place, ROSTER + "raw = true\n")
    place.run("exports", "run", "roster")
    names = [row["name"] for row in read_csv(place.folder / "out/roster.csv")]
    assert "=cmd|' /C calc'!A0" in names


def test_a_file_is_replaced_in_one_step_and_keeps_its_mode(place):
    file = place.folder / "out/roster.csv"
    place.run("exports", "run", "roster")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    file.chmod(0o644)
    before, opened = file.read_text(), file.open()
    rename(place, "Somebody")
    place.run("exports", "run", "roster")
    with opened:
        assert opened.read() == before  # who had it open reads what he began
    assert "Somebody" in file.read_text()
    assert stat.S_IMODE(file.stat().st_mode) == 0o644
    assert [each.name for each in file.parent.iterdir()] == ["roster.csv"]


def test_where_writing_fails_the_former_file_stays_and_no_half(place, monkeypatch):
    file = place.folder / "out/roster.csv"
    place.run("exports", "run", "roster")
    before = file.read_text()

    def broken(_table, *, raw):
        del raw
        yield b"half of it"
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(exports.tabular, "csv_parts", broken)
    done = place.run("exports", "run", "roster")
    assert done.code == 75
    assert file.read_text() == before
    assert [each.name for each in file.parent.iterdir()] == ["roster.csv"]


def test_the_warehouse_is_free_while_a_file_is_written(place, monkeypatch):
    """A load that comes meanwhile is stored: it waits for the query alone."""
    stored = []

    def slow(table, *, raw):
        del table, raw
        thread = threading.Thread(target=lambda: stored.append(place.log("faction_members")))
        thread.start()
        thread.join(60)
        yield b"done"

    monkeypatch.setattr(exports.tabular, "csv_parts", slow)
    assert place.run("exports", "run", "roster").code == 0
    (result,) = stored
    assert result.record.status == "done"


@pytest.mark.parametrize(
    ("lines", "code", "says"),
    [
        (ROSTER.replace('"faction_members"', '"nowhere"'), 78, "there is no table 'nowhere'"),
        (
            '[[exports]]\nname = "roster"\nquestion = "oc-profit"\nfile = "x.csv"\n',
            78,
            "nothing is stored for oc-profit yet",
        ),
        (
            '[[exports]]\nname = "roster"\nquestion = "oc-profits"\nfile = "x.csv"\n',
            78,
            "Did you mean 'oc-profit'?",
        ),
        (ROSTER.replace("out/roster.csv", "/proc/no/roster.csv"), 78, "cannot be written"),
    ],
)
def test_what_cannot_be_written_is_told(place, lines, code, says):
    configure(place, lines)
    done = place.run("exports", "run", "roster")

    assert done.code == code
    assert says in done.err


OWNERS = """/*
title = "Mine?"
page = "me"
audience = "owner"
caption = "C"
chart = { kind = "tiles", label = "what", values = ["members"] }
[needs."/faction/members"]
*/
select 'm' as what, count(*) as members from {faction_members:now} order by members
"""


def test_what_only_the_owner_is_to_see_is_written_only_where_that_is_said(place):
    folder = place.folder / "questions"
    folder.mkdir()
    (folder / "mine-alone.sql").write_text(OWNERS)
    mine = '[[exports]]\nname = "mine"\nquestion = "mine-alone"\nfile = "mine.csv"\n'
    configure(place, mine)
    done = place.run("exports", "run", "mine")
    assert (done.code, "owner = true" in done.err) == (78, True)
    assert "owner = true" in place.run("check", "--offline").out

    configure(place, f"{mine}owner = true\n")
    assert place.run("exports", "run", "mine").code == 0


# --- a sheet -------------------------------------------------------------------------------------


def test_a_sheet_gets_the_rows_and_computes_nothing(place, google):
    rename(place, "=IMPORTXML(1)")
    configure(place, SHEET, ROSTER.replace('file = "out/roster.csv"', f'sheet = "{SPREADSHEET}"')
              + 'tab = "All members"\ncredentials = "file:google.json"\n')  # fmt: skip
    done = place.run("exports", "run", "--all")

    assert done.code == 0, done.err
    names, *rows = google.rows("All members")
    assert "=IMPORTXML(1)" in [row[names.index("name")] for row in rows]
    assert google.rows("seen")[0][0]
    assert "PRIVATE KEY" not in done.out + done.err


def test_a_sheet_that_google_does_not_take_is_tried_again(place, google):
    configure(place, SHEET)
    google.answers = [503]
    done = place.run("exports", "run", "seen")

    assert done.code == 69
    assert "it answered 503" in done.err
    found = place.run("exports", "list", "--json").json[0]
    assert found["last_run"]["status"] == "failed"
    assert found["last_run"]["exit_code"] == 69


def test_the_id_of_a_spreadsheet_is_found_in_its_address():
    assert spreadsheet(
        f"https://docs.google.com/spreadsheets/d/{SPREADSHEET}/edit?gid=0#gid=0"
    ) == (SPREADSHEET)
    assert spreadsheet(SPREADSHEET) == SPREADSHEET
    for wrong in ("x", f"https://evil.example/spreadsheets/d/{SPREADSHEET}", f"../{SPREADSHEET}"):
        with pytest.raises(ValueError, match="must be the id"):
            spreadsheet(wrong)


# --- the scheduler -------------------------------------------------------------------------------


class Here:
    """An engine behind the seam that does a job at once, in this process."""

    waitables, pid = (Path(os.devnull).open(),), 0  # noqa: SIM115  # always readable

    def __call__(self, job):
        assert job.memory == "2GB"
        assert job.timeout == 600
        self._report = worker.run_job(job)
        return self

    def ended(self):
        return Exit(self._report, 0)

    def rest(self):
        """Nothing waits."""

    def close(self):
        """Nothing is kept."""


def schedule(place):
    """What a scheduler says of the exports that are due now."""
    settings, told = configuration.load(place.file, {}), []
    with State(settings.state.url, place.clock) as state:
        queue, found = DueQueue(state), plans(settings)
        queue.sync(found.values(), place.clock.now(), alone=True)
        queue.served(found["faction_members"], place.clock.now(), place.clock.now())
        Daemon(settings, state, Here(), on_event=told.append).run("until idle")
    return [each.report.error_class for each in told if each.report]


def alerts(place):
    settings = configuration.load(place.file, {})
    with State(settings.state.url, place.clock) as state:
        found = events(settings, state, place.clock.now())
    return [each for each in found if each.kind == "export"]


def test_the_scheduler_writes_it_when_it_is_due(place):
    configure(place, ROSTER + 'frequency = "P1D"\n')
    file = place.folder / "out/roster.csv"
    assert schedule(place) == [""]
    file.unlink()
    assert schedule(place) == []
    place.clock.sleep(DAY)
    assert schedule(place) == [""]
    assert file.exists()
    (found,) = place.run("status", "--json").json["exports"]
    assert (found["frequency"], found["last_run"]["status"]) == ("P1D", "done")
    assert place.run("runs", "list", "--endpoint", f"{EXPORT}roster", "--json").json


def test_one_that_fails_is_an_alert_and_is_tried_again(place, google):
    configure(place, SHEET + 'frequency = "P1D"\n')
    google.answers = [503]
    assert schedule(place) == ["SheetsUnavailable"]
    (alert,) = alerts(place)
    assert alert.name == "export:seen"
    assert "The export seen failed: Google gave no token: it answered 503." in alert.text
    assert "export seen: Google gave no token" in place.run("status").out
    place.clock.sleep(2 * BACKOFF.first)
    assert schedule(place) == [""]
    assert alerts(place) == []
    assert google.rows("seen")


def test_a_job_of_an_export_has_its_limits_and_all_endpoints(place):
    configure(place, ROSTER + 'memory = "300MB"\ntimeout = "PT7S"\n')
    settings = configuration.load(place.file, {})
    with State(settings.state.url, place.clock) as state:
        claim = state.leases.claim(f"{EXPORT}roster", "r1")
        job = Job("r1", settings, claim)
        assert (job.memory, job.timeout, job.export.name) == ("300MB", 7.0, "roster")


@pytest.mark.slow
def test_it_is_written_in_a_process_of_its_own(yard):
    yard.write(
        ("faction_members", 'frequency = "PT1H"'),
        extra=ROSTER + 'frequency = "P1D"\n',
    )
    yard.place.log("faction_members")
    yard.schedule("--once")

    (run,) = yard.runs(f"{EXPORT}roster")
    assert run.status == "done"
    assert run.pid not in {0, os.getpid()}
    assert (yard.place.folder / "out/roster.csv").exists()


# --- what is shown -------------------------------------------------------------------------------


def test_the_list_and_the_check_tell_of_each(place):
    configure(place, ROSTER + 'frequency = "P1D"\n')
    assert "roster" in place.run("exports", "list").out
    (found,) = place.run("exports", "list", "--json").json
    assert (found["of"], found["last_run"]) == ("faction_members", None)
    assert found["next_due"]
    parts = {
        each["part"]: each for each in place.run("check", "--offline", "--json").json["findings"]
    }
    assert "every P1D" in parts["export roster"]["says"]
    configure(place)
    assert "[[exports]]" in place.run("exports", "list").out
    assert place.run("exports", "list", "--json").json == []


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("run",), "Name exports, or write --all."),
        (("run", "roster", "--all"), "Name exports, or write --all."),
        (("run", "rooster"), "Did you mean 'roster'?"),
    ],
)
def test_a_wrong_use_is_told(place, words, says):
    done = place.run("exports", *words)
    assert done.code == 2
    assert says in done.err


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        ('file = "a.csv"', "needs a question or a table"),
        ('table = "a"\nquestion = "b"\nfile = "a.csv"', "needs a question or a table"),
        ('table = "a"', "needs a file or a sheet"),
        ('table = "a"\nfile = "a.xlsx"', "must end with .csv, .json or .parquet"),
        ('table = "a"\nfile = "a.csv"\ntab = "x"', "tab and credentials go with a sheet"),
        ('table = "a"\nfile = "a.json"\nraw = true', "raw goes with a file"),
        ('table = "a"\nfile = "a.csv"\nparams = { days = 1 }', "go with a question"),
        ('table = "a; drop table b"\nfile = "a.csv"', "is not lower snake_case"),
        (f'table = "a"\nsheet = "{SPREADSHEET}"', "a sheet needs some"),
        ('table = "a"\nsheet = "x y"', "must be the id of a spreadsheet"),
        (f'table = "a"\nsheet = "{SPREADSHEET}"\ncredentials = "secret"', "is no reference"),
    ],
)
def test_a_wrong_export_is_told_where_and_why(workplace, lines, says):
    configure(workplace, f'[[exports]]\nname = "x"\n{lines}\n')
    done = workplace.run("check", "--offline")

    assert done.code == 78
    assert "exports.x" in done.err
    assert says in done.err


def test_two_exports_have_two_names_and_two_places(workplace):
    configure(workplace, ROSTER, ROSTER)
    assert "another export is called 'roster'" in workplace.run("check", "--offline").err
    configure(workplace, ROSTER, ROSTER.replace('"roster"', '"again"'))
    assert "'roster' writes there too" in workplace.run("check", "--offline").err
