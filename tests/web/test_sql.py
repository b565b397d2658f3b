"""SQL of anybody's on a copy of the warehouse: what it finds, what it cannot do, who may ask it."""

from __future__ import annotations

import re
import shutil
import stat
import threading
from dataclasses import replace
from html import unescape
from urllib.parse import urlencode

import duckdb
import pytest
from starlette.testclient import TestClient

from shared import held
from tcdatalogger.errors import TimedOut
from tcdatalogger.services.warehouse.protocol import Limits
from tcdatalogger.web import analyst
from tcdatalogger.web.app import create_app, who_may
from tcdatalogger.web.context import Viewer
from tcdatalogger.web.security import SecurityMiddleware
from tcdatalogger.web.sql_process import Copy, Helper, Query

HERE = {"sec-fetch-site": "same-origin"}
LONG = "select count(*) from range(100000000) a, range(10000) b where a.range <> b.range"
LARGE = "select repeat('x', 2000000000) as x"

pytestmark = pytest.mark.usefixtures("unread")


class Kept(Helper):
    """A helper that many sites have one after the other."""

    def kill(self):
        """Stay for the next site."""

    def close(self):
        """Stay for the next site."""


@pytest.fixture(scope="module")
def kept():
    helper = Kept({})
    yield helper
    Helper.kill(helper)
    Helper.close(helper)


@pytest.fixture(autouse=True)
def one_helper(monkeypatch, kept):
    """To load the engine takes longer than all that a test asks."""
    monkeypatch.setattr(analyst, "Helper", lambda _environ: kept)


@pytest.fixture
def mine(open_site, tmp_path):
    """Pages of a warehouse that a test may change."""
    file = tmp_path / "torn.duckdb"
    change(file, "create table member as select 1 as id, 'Bobby' as name")
    return open_site(file)


def change(file, sql):
    with duckdb.connect(str(file)) as connection:
        connection.execute(sql)


def ask(site, sql, path="/sql", headers=HERE):
    return site.client.get(f"{path}?{urlencode({'q': sql})}", headers=headers)


def cells(text):
    """The values of the answer, row by row."""
    body = re.search(r'aria-label="Answer">.*?<tbody>(.*?)</tbody>', text, re.DOTALL)
    assert body is not None, text
    rows = re.findall(r"<tr>(.*?)</tr>", body[1], re.DOTALL)
    found = [re.findall(r"<t[dh][^>]*>(.*?)</t[dh]>", row, re.DOTALL) for row in rows]
    return [[re.sub(r"<[^>]+>", "", cell).strip() for cell in row] for row in found]


def links(text):
    return {unescape(each) for each in re.findall(r'href="([^"]*)"', text)}


def copies(site):
    return sorted(site.file.parent.glob("*.analyst/*/*"))


def test_a_query_shows_its_rows_as_of_a_copy_that_nobody_else_can_read(mine):
    before = mine.file.read_bytes()
    text = ask(
        mine,
        "select id, name, null as nothing, 0.1 as share, true as yes, [1, 2] as list, "
        "timestamptz '2026-01-05 18:00:00+00' as at, '<b>&' as html, repeat('y', 400) as long "
        "from member",
    ).text

    [row] = cells(text)
    assert row[:7] == ["1", "Bobby", "null", "0.1", "true", "[1, 2]", "2026-01-05 18:00:00"]
    assert row[7] == "&lt;b&gt;&amp;"
    assert row[8] == "y" * 300 + "…"
    assert "1 row in 0." in text
    assert "The copy is of" in text
    [copy] = copies(mine)
    assert copy.read_bytes() == mine.file.read_bytes() == before
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    assert {stat.S_IMODE(each.stat().st_mode) for each in copy.parents[:2]} == {0o700}


@pytest.mark.parametrize(
    "sql",
    [
        "copy member to 'member.csv'",
        "from read_csv('torn.csv')",
        "from read_text('/proc/self/environ')",
        "attach 'other.duckdb'",
        "install httpfs",
        "set memory_limit = '9GB'",
        "delete from member",
    ],
)
def test_sql_reaches_no_file_no_extension_and_no_setting_and_changes_nothing(mine, sql):
    text = ask(mine, sql).text

    assert "The query is refused" in text
    assert not list(mine.file.parent.glob("*.csv"))
    assert [each.name for each in copies(mine)] == ["torn.duckdb"]


def test_a_mistake_is_shown_at_its_place_in_the_query(mine):
    text = ask(mine, "select id,\n  nane from member").text

    assert "Referenced column" in text
    assert "LINE 2:   nane from member\n          ^^^^</code>" in text
    assert "select id,\n  nane from member</textarea>" in text


def test_a_query_is_stopped_at_its_time_and_other_pages_answer_meanwhile(mine, monkeypatch):
    ask(mine, "select 1")  # the copy is made
    monkeypatch.setattr(analyst, "READING", Limits(0.5, 512_000_000, 1))
    begun, may_end, do = threading.Event(), threading.Event(), Helper.do
    texts = []

    def told(*job):
        begun.set()
        assert may_end.wait(20)
        return do(*job)

    monkeypatch.setattr(Helper, "do", told)
    asked = threading.Thread(target=lambda: texts.append(ask(mine, LONG).text))
    asked.start()
    assert begun.wait(20)
    assert mine.client.get("/questions").status_code == 200
    assert "Another query is being asked" in ask(mine, "select 2").text
    may_end.set()
    asked.join()

    assert "The query took longer than 0.5 s and was stopped." in texts[0]


def test_memory_beside_that_of_the_engine_has_a_limit_too(mine):
    assert "takes more than 512 MB of memory" in ask(mine, LARGE).text


@pytest.mark.slow
def test_a_query_that_hears_no_interrupt_is_ended_with_its_process(mine, kept):
    deaf = "select list_distinct(range(10000000))"
    ask(mine, "select 1")
    [file] = copies(mine)
    with pytest.raises(TimedOut, match=r"longer than 0\.1 s"):
        kept.do(Query(str(file), None, deaf, 1, Limits(0.1, 512_000_000, 1)))

    assert cells(ask(mine, "select 7").text) == [["7"]]


def test_a_process_that_breaks_takes_nobody_with_it(mine, monkeypatch):
    do, helper = Helper.do, Helper({})
    monkeypatch.setattr(mine.context.analyst, "_helper", helper)
    ask(mine, "select 1")

    def broken(helper, job):
        helper.kill()
        return do(helper, job)

    with monkeypatch.context() as patched:
        patched.setattr(Helper, "do", broken)
        assert "was ended by SIGKILL" in ask(mine, "select 1").text
    assert cells(ask(mine, "select 7").text) == [["7"]]


def test_the_page_shows_the_first_rows_and_csv_has_all_of_them(mine):
    sql = "select range as n, '=1+1' as formula from range(1000) order by n"
    text, all_rows = ask(mine, sql).text, ask(mine, sql, "/sql.csv")

    assert len(cells(text)) == 200
    assert "the first 200 rows" in text
    assert all_rows.headers["content-disposition"] == 'attachment; filename="sql.csv"'
    lines = all_rows.text.splitlines()
    assert len(lines) == 1_001
    assert lines[1] == '0,"\'=1+1"'


def test_csv_is_whole_or_refused(mine, monkeypatch):
    monkeypatch.setattr("tcdatalogger.web.sql.ALL_ROWS", 10)

    assert ask(mine, "from range(10)", "/sql.csv").text.count("\n") == 11
    more = ask(mine, "from range(11)", "/sql.csv")
    assert (more.status_code, more.text[:35]) == (400, "The answer has more than 10 rows. `")
    assert ask(mine, "from nowhere", "/sql.csv").status_code == 400


def test_an_answer_that_is_too_large_for_a_page_is_refused(mine):
    text = ask(mine, "select repeat('x', 1000000) as x from range(100)").text

    assert "larger than 32 MB" in text


def test_the_copy_is_made_anew_when_something_was_stored_and_it_is_ten_minutes_old(mine):
    count = "select count(*) from member"
    assert cells(ask(mine, count).text) == [["1"]]
    [first] = copies(mine)
    mine.clock.sleep(700)
    ask(mine, count)
    assert copies(mine) == [first]  # nothing was stored
    change(mine.file, "insert into member values (2, 'Anna')")
    assert cells(ask(mine, count).text) == [["2"]]
    assert len(copies(mine)) == 1
    assert not first.exists()
    change(mine.file, "insert into member values (3, 'Carl')")
    mine.clock.sleep(500)
    text = ask(mine, count).text
    assert cells(text) == [["2"]]
    assert "8 min 20 s ago" in text
    mine.clock.sleep(101)
    assert cells(ask(mine, count).text) == [["3"]]


def test_while_a_run_writes_the_copy_before_is_asked(mine, monkeypatch):
    monkeypatch.setattr(analyst, "PATIENCE", 0.1)
    with held(mine.file):
        assert "is open in another program" in ask(mine, "select 1").text
    assert copies(mine) == []
    ask(mine, "select 1")
    change(mine.file, "insert into member values (2, 'Anna')")
    mine.clock.sleep(700)
    with held(mine.file):
        assert cells(ask(mine, "select count(*) from member").text) == [["1"]]
    assert len(copies(mine)) == 1


def test_a_warehouse_that_takes_long_to_copy_is_not_copied_again_soon(mine, monkeypatch):
    tried = []

    def late(_helper, job):
        tried.append(job)
        raise job.late

    with monkeypatch.context() as patched:
        patched.setattr(Helper, "do", late)
        assert "too long for runs that wait" in ask(mine, "select 1").text
        assert "too long for runs that wait" in ask(mine, "select 1").text
        assert [type(each) for each in tried] == [Copy]
    mine.clock.sleep(601)
    assert cells(ask(mine, "select 1").text) == [["1"]]


def test_a_large_warehouse_is_not_copied_and_the_page_says_what_to_do(mine, monkeypatch):
    monkeypatch.setattr(analyst, "LARGEST_FILE", 1_000)
    text = ask(mine, "select 1").text

    assert "at most, as runs wait meanwhile" in text
    assert "<code>tcdatalogger backup</code>" in text
    assert copies(mine) == []


def test_a_disk_without_room_for_the_copy_is_left_to_the_runs(mine, monkeypatch):
    usage = shutil.disk_usage(mine.file.parent)._replace(free=1_000)
    monkeypatch.setattr(analyst.shutil, "disk_usage", lambda _: usage)

    assert "is full" in ask(mine, "select 1").text
    assert copies(mine) == []


def test_before_the_first_run_the_page_says_so(open_site, tmp_path):
    site = open_site(tmp_path / "none.duckdb")

    assert "Nothing is stored yet" in site.get("/sql")
    assert "tcdatalogger run --all" in ask(site, "select 1").text
    assert list(tmp_path.glob("*.analyst")) == []


def test_the_copy_goes_with_the_pages_and_that_of_a_killed_process_at_the_next_copy(
    open_site, tmp_path
):
    file = tmp_path / "torn.duckdb"
    change(file, "create table member as select 1 as id")
    left = tmp_path / "torn.duckdb.analyst" / "17.0"
    left.mkdir(parents=True)
    site = open_site(file)

    ask(site, "select 1")

    assert not left.exists()
    assert len(copies(site)) == 1
    site.context.close()
    assert list(tmp_path.glob("*.analyst")) == []


def test_pages_that_end_leave_the_copy_of_others_alone(mine, open_site):
    ask(mine, "select 1")
    other = open_site(mine.file)  # as `ui --export` beside it

    other.context.close()

    assert len(copies(mine)) == 1
    assert "1 row in" in ask(mine, "select 1").text


def test_a_value_that_python_has_no_word_for_is_a_text_wherever_it_is(mine):
    sql = (
        "select [date '294247-01-10', null] as list, {'at': timestamp '32103-01-10'} as struct, "
        "map {'a': timestamptz '32103-01-10 00:00:00+00'} as map, timestamp '32103-01-10' as plain"
    )

    [row] = cells(ask(mine, sql).text)
    answer = ask(mine, sql, "/sql.csv")

    assert "null" in row[0]
    assert all("32103-01-10" in each for each in row[1:])
    assert answer.status_code == 200
    assert answer.text.count("32103-01-10") == 3


@pytest.mark.parametrize("site_of", ["cross-site", "same-site", None])
def test_what_another_site_asks_is_shown_and_not_run(mine, site_of):
    headers = {} if site_of is None else {"sec-fetch-site": site_of}
    text = ask(mine, "select 41 + 1 as n", headers=headers).text

    assert "look at the query before you run it" in text
    assert "select 41 + 1 as n</textarea>" in text
    assert ask(mine, "select 1", "/sql.csv", headers).status_code == 403
    assert copies(mine) == []


def test_a_query_of_somebody_who_wrote_the_address_is_run(mine):
    assert cells(ask(mine, "select 42", headers={"sec-fetch-site": "none"}).text) == [["42"]]


def test_a_query_that_no_address_can_hold_is_refused(mine):
    text = ask(mine, "select 1 --" + "x" * 10_000).text

    assert "more than 10,000 letters" in text
    assert copies(mine) == []


def test_the_tables_and_the_questions_stand_beside(site):
    text = site.get("/sql")

    assert re.search(r"<summary>faction_members</summary>.*?<dt>is_in_oc</dt>", text, re.DOTALL)
    assert "<summary>_tcd_loads</summary>" in text
    assert text.index("<summary>torn_items") < text.index("<summary>_tcd_")
    assert "/sql?question=oc-profit" in links(text)
    assert '<a href="/sql" aria-current="page">SQL</a>' in text


def test_the_sql_of_a_question_can_be_changed(site):
    assert "/sql?question=oc-participation" in links(site.get("/questions/oc-participation"))

    text = site.get("/sql?question=oc-participation")
    [sql] = re.findall(r"<textarea[^>]*>\n(.*?)</textarea>", text, re.DOTALL)

    assert "Who took part" in text
    assert copies(site) == []  # nothing was run
    assert len(cells(ask(site, unescape(sql)).text)) == len(
        site.client.get("/q/oc-participation.json").json()["rows"]
    )


def test_a_question_that_is_not_there_has_no_sql(site):
    assert "There is no question nothing." in site.get("/sql?question=nothing")


ALL = 'passwords = { owner = "env:OWNER", officer = "env:OFFICER", member = "env:MEMBER" }'
ROLES = {
    "owner": "owner-password-1",
    "officer": "officer-password-2",
    "member": "member-password-3",
}


@pytest.mark.parametrize("role", list(ROLES))
@pytest.mark.parametrize(
    "more", ["", "behind_proxy = true", 'hosts = ["torn.example"]\nbehind_proxy = true']
)
def test_there_is_no_sql_where_somebody_signs_in(open_site, warehouse, role, more):
    site = open_site(warehouse, f"[ui]\n{ALL}\n{more}\n")
    site.client.post("/login", data={"password": ROLES[role]})
    for path in ("/sql", "/sql.csv"):
        answer = ask(site, "select 1", path)
        assert (answer.status_code, "There is no such page." in answer.text) == (404, True)
    assert "/sql" not in site.get("/questions/oc-participation")


@pytest.mark.parametrize("role", ["officer", "member"])
def test_who_is_not_the_owner_asks_no_sql(mine, monkeypatch, role):
    monkeypatch.setattr(SecurityMiddleware, "_viewer", lambda *_: Viewer(role))
    assert ask(mine, "select 1").status_code == 404
    assert ask(mine, "select 1", "/sql.csv").status_code == 404
    assert "/sql" not in mine.get("/questions")


def test_on_bigquery_the_page_says_that_it_costs_money(site):
    app = create_app(replace(site.context, analyst=None), who_may(site.context.application))
    with TestClient(app, base_url="https://localhost") as client:
        answer = client.get("/sql", headers=HERE)
        assert answer.status_code == 404
        assert "what a query reads there costs money" in answer.text
        assert "/sql" not in client.get("/questions").text
