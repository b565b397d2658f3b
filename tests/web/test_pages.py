"""Every page, whatever stands in the warehouse and whoever holds it."""

from __future__ import annotations

import json
import re
import sys
import threading
from concurrent.futures import CancelledError, ThreadPoolExecutor
from html.parser import HTMLParser

import known_faction
import pytest

from shared import held
from tcdatalogger.questions import answers, question
from tcdatalogger.questions.pictures.colours import DARK, LIGHT
from tcdatalogger.web import today
from tcdatalogger.web.app import begin
from tcdatalogger.web.render import LINKS, PACKED, commands

QUESTION = """/*
title = "{0}"
page = "members"
caption = "All."
chart = {{ kind = "{0}", label = "name", values = ["war_hits"] }}

[needs."/faction/members"]
*/
"""
SECTIONS = ("/crimes", "/members", "/money", "/war", "/armory", "/market", "/me")
PAGES = ("/", *SECTIONS, "/questions")
OF_ONE = ("/members/2", "/crimes/10", "/market/items/206")
QUESTIONS = tuple(question.shipped())


class Links(HTMLParser):
    """The addresses of a page, and tags that stand in it."""

    def __init__(self, text):
        super().__init__()
        self.links, self.tags, self.attributes = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [name for name, _ in attrs]
        self.links += [value for name, value in attrs if name == "href"]


pytestmark = pytest.mark.usefixtures("unread")


@pytest.mark.parametrize("path", PAGES)
def test_a_page_shows_its_answers(site, path):
    text = site.get(path)

    assert "Being read" not in text
    assert "<h1>" in text


def test_the_answer_of_a_card_is_that_of_the_question(site):
    text = site.get("/members")

    assert "Bobby" in text
    assert 'href="/members/2"' in text


@pytest.mark.parametrize("name", QUESTIONS)
def test_every_question_has_a_page_with_its_sql_or_with_what_it_lacks(site, name):
    text = site.get(f"/questions/{name}")

    assert question.shipped()[name].title.replace("'", "&#39;") in text
    assert "The SQL as it ran" in text or "[[endpoints]]" in text or "storage_mode" in text


def test_no_page_has_a_link_of_ours_that_leads_nowhere(site):
    links = set()
    for path in (*PAGES, *(f"/questions/{name}" for name in QUESTIONS)):
        links |= {link for link in Links(site.get(path)).links if link.startswith("/")}

    bad = [link for link in sorted(links) if site.client.get(link).status_code != 200]

    assert bad == []


def test_nothing_is_inline_that_the_policy_of_the_page_refuses(site):
    for path in (*PAGES, *OF_ONE, "/questions/activity-heatmap", "/questions/oc-profit"):
        found = Links(site.get(path))

        assert "style" not in found.tags
        assert not {"style", "onclick", "onload", "onsubmit"} & set(found.attributes)


@pytest.mark.parametrize("path", [*PAGES, *(f"/questions/{name}" for name in QUESTIONS)])
def test_a_warehouse_that_is_not_there_yet_is_no_error(open_site, tmp_path, path):
    site = open_site(tmp_path / "none.duckdb")

    text = site.get(path)

    assert "refused" not in text


def test_an_installation_that_logs_nothing_says_what_to_log(open_site, tmp_path):
    site = open_site(tmp_path / "none.duckdb", endpoints="")

    assert "path = &#34;/faction/crimes&#34;" in site.get("/crimes")
    assert "Nothing is logged" in site.get("/")


def test_a_warehouse_that_another_program_has_is_said_to_be_written(open_site, tmp_path):
    file = tmp_path / "held.duckdb"
    known_faction.fill(file)
    site = open_site(file)
    before = site.get("/members")
    site.clock.sleep(700)  # the answers are old now

    with held(file):
        during = site.get("/members")
        crimes = site.get("/crimes")

    assert "Bobby" in before
    assert "Bobby" in during
    assert "being written" in during
    assert "The warehouse is being written" in crimes
    site.clock.sleep(11)
    assert "being written" not in site.get("/members")


def test_a_broken_warehouse_is_said_to_be_one(open_site, tmp_path):
    file = tmp_path / "broken.duckdb"
    file.write_bytes(b"no database" * 1_000)
    site = open_site(file)

    text = site.get("/members")

    assert "This was refused" in text
    assert "is not a DuckDB file" in text


def test_a_long_path_may_be_broken_into_lines_where_its_folders_end(open_site, tmp_path):
    file = tmp_path / "a-<folder>-of-a-name" / "broken.duckdb"
    file.parent.mkdir()
    file.write_bytes(b"no database" * 1_000)

    text = open_site(file).get("/members")

    assert "/<wbr>broken.duckdb" in text
    assert "<wbr>a-&lt;folder&gt;-of-a-name/<wbr>" in text
    assert str(commands("and/or")) == "and/or"
    assert str(commands("a\u202e `b\x1b`")) == r"a\u202e <code>b\x1b</code>"


def test_what_a_member_is_called_is_never_html(open_site, tmp_path):
    file = tmp_path / "hostile.duckdb"
    hostile = "<script>alert(1)</script>"
    told = [json.dumps(poll.body).replace("Bobby", hostile) for poll in known_faction.POLLS]
    bodies = [json.loads(each.replace("Pet Project", f"{hostile}&")) for each in told]
    polls = [poll._replace(body=b) for poll, b in zip(known_faction.POLLS, bodies, strict=True)]
    known_faction.fill(file, polls)
    site = open_site(file)

    for path in (*PAGES, *OF_ONE, *(f"/questions/{name}" for name in QUESTIONS)):
        page = site.get(path)
        assert hostile not in page, path
        assert Links(page).tags.count("script") == 1, path
    assert "&lt;script&gt;" in site.get("/members")


def test_a_name_turns_no_letters_around_and_hides_none(open_site, warehouse):
    mine = """/*
title = "Mine?"
page = "members"
caption = "All \u202e of it."
chart = { kind = "table" }

[needs."/faction/members"]
*/
select 'a\u202eb\u200fc\x1b[31md\U000e0041' as name, id from {faction_members:now} order by id
"""
    site = open_site(warehouse, questions={"mine": mine})

    for path in ("/members", "/questions/mine", "/questions"):
        text = site.get(path)
        assert not re.search("[\u202e\u200f\x1b\U000e0041]", text), path
    assert "a\\u202eb\\u200fc\\x1b[31md" in site.get("/questions/mine")


def test_an_answer_is_read_as_csv_and_as_json(site):
    site.get("/questions/inactive-members")

    csv = site.client.get("/q/inactive-members.csv")
    told = json.loads(site.client.get("/q/inactive-members.json").text)

    assert csv.headers["content-type"].startswith("text/csv")
    assert "Bobby" in csv.text
    assert [row["member"] for row in told["rows"]] == ["Bobby", "Dee"]


def test_a_long_answer_comes_in_parts_and_is_whole(site, monkeypatch):
    site.get("/questions/inactive-members")
    csv, told = (site.client.get(f"/q/inactive-members.{kind}") for kind in ("csv", "json"))
    monkeypatch.setattr("tcdatalogger.models.tabular.PART", 1)

    assert site.client.get("/q/inactive-members.csv").text == csv.text
    assert site.client.get("/q/inactive-members.json").json() == told.json()
    assert len(told.json()["rows"]) == 2


def test_numbers_that_json_cannot_write_are_texts_also_within_lists(open_site, warehouse):
    sql = (
        '/*\ntitle = "Odd?"\npage = "members"\ncaption = "Odd."\nchart = { kind = "table" }\n'
        '[needs."/faction/members"]\n*/\n'
        "select cast('nan' as double) as one, [cast('inf' as double), 1.5] as more\n"
        "from {faction_members:now} limit 1\n"
    )
    site = open_site(warehouse, questions={"odd": sql})
    site.client.get("/q/odd.json")
    site.read()

    rows = site.client.get("/q/odd.json").json()["rows"]
    assert rows == [{"one": "nan", "more": ["inf", 1.5]}]


def test_how_often_something_is_read_is_said_in_words_and_commands_of_texts_are_code(site):
    text = site.get("/questions/oc-now")
    assert "is read every 1 h; this question is exact where it is read every 15 min." in text
    assert "every PT" not in text

    assert "<code>hits</code> says so." in " ".join(site.get("/questions/requirements").split())


def test_a_bar_says_what_it_counts_and_a_line_that_hardly_moves_is_seen_to_move(
    open_site, warehouse
):
    bars = QUESTION.format("bars") + (
        "select distinct 'Bobby' as name, 3 as war_hits from {faction_members:now} order by name"
    )
    lines = QUESTION.format("line") + (
        "select distinct n as name, 13000000 + 40000 * n as war_hits from {faction_members:now} "
        "cross join (select 0 as n union all select 1) as x order by name"
    )
    site = open_site(warehouse, questions={"bars": bars, "lines": lines})
    assert '<p class="key"><span class="s1">war hits</span></p>' in site.get("/questions/bars")
    text = site.get("/questions/lines")
    assert '<p class="edge low">13,000,000 at the lower edge</p>' in text
    assert 'points="0,150 600,0"' in text
    # A line that falls to less than sixty hundredths begins at zero, as in a picture.
    lines = lines.replace("40000 * n", "-6000000 * n")
    text = open_site(warehouse, questions={"lines": lines}).get("/questions/lines")
    assert '<p class="edge low">0</p>' in text


def test_the_questions_of_one_who_asks_are_listed_alone(site):
    every, leader = (
        set(re.findall(r'<a href="/questions/([a-z-]+)"', site.get(path)))
        for path in ("/questions", "/questions?asks=leader")
    )

    assert leader == {name for name in every if "leader" in site.context.questions[name].asks}
    assert {"requirements", "war-hits"} <= leader < every
    assert "Nobody of this name" in site.get("/questions?asks=nobody")


def test_parameters_stand_in_the_address(site):
    text = site.get("/questions/inactive-members?hours=60")

    assert "Bobby" in text
    assert "Dee" not in text
    assert "more than 60 hours" in text


def test_a_parameter_that_is_none_of_the_question_is_refused_in_words(site):
    answer = site.client.get("/questions/inactive-members?hours=many")

    assert answer.status_code == 400
    assert "is no number" in answer.text
    assert site.client.get("/members?days=0").status_code == 400
    of_no_number = site.client.get("/questions/balances?member=Bobby").text
    assert "search shows it beside the name" in of_no_number
    assert "member=1" not in of_no_number


def test_columns_that_fall_away_on_a_phone_stand_behind_those_that_stay(site):
    heads = re.findall(r'<th scope="col" class="([^"]*)">([^<]*)', site.get("/questions/oc-now"))

    stays = ["opt" not in classes for classes, _ in heads[:10]]
    assert [name for _, name in heads[:3]] == ["crime", "need", "slots"]
    assert stays == [True] * 3 + [False] * 7


def test_days_are_offered_only_where_an_answer_looks_back(site):
    assert 'name="days"' in site.get("/questions/oc-profit")
    assert 'name="days"' not in site.get("/questions/oc-participation")
    nothing = site.get("/questions/inactive-members?hours=2160")
    assert "Nothing." in nothing
    assert "Look back" not in nothing


@pytest.mark.parametrize(
    "until", ["0001-01-01", "0009-06-01", "9999-12-31", "9999-12-31T23:59:59-10:00"]
)
@pytest.mark.parametrize("path", ["/", "/crimes", "/questions/oc-profit", "/q/oc-profit.csv"])
def test_a_moment_for_which_no_calendar_has_days_is_refused_in_words(site, path, until):
    answer = site.client.get(path, params={"until": until, "days": "3650"})

    assert answer.status_code == 400
    assert "goes from the year 1970 to 2999" in answer.text


def test_an_address_that_is_none_is_a_page_too(site):
    for path in ("/nothing", "/questions/nothing", "/static/../app.py", "/q/oc-profit.exe"):
        assert site.client.get(path).status_code == 404


def test_the_mark_of_the_pages_changes_with_the_answers_alone(site):
    first = site.client.get("/state.json")
    site.get("/members")
    second = site.client.get("/state.json")
    same = site.client.get("/state.json", headers={"if-none-match": second.headers["etag"]})

    assert first.headers["etag"] != second.headers["etag"]
    assert same.status_code == 304


def test_files_are_kept_by_the_browser_and_known_by_their_content(site):
    page = site.get("/")
    [style] = re.findall(r'href="(/static/style\.css\?\w+)"', page)

    answer = site.client.get(style)

    assert answer.headers["content-type"].startswith("text/css")
    assert "immutable" in answer.headers["cache-control"]


def test_the_script_of_the_pages_is_small(site):
    assert len(site.client.get("/static/app.js").content) <= 3_072


RATED = """/*
title = "Rated?"
page = "members"
caption = "All."
chart = { kind = "table", label = "name" }
units = { verdict = "rating", share = "percent" }

[needs."/faction/members"]
*/
select name, 'nobody knows' as verdict, cast(0.25 as numeric) as share
from {faction_members:now} order by name nulls last
"""


def test_pages_have_the_colours_of_pictures(site):
    style = site.client.get("/static/style.css").text
    light, dark = (set(re.findall(r"(--[\w-]+): #", style.split("dark)")[at])) for at in (0, 1))

    assert light == dark >= set(re.findall(r"var\((--[\w-]+)\)", style))
    for colours in (LIGHT, DARK):
        assert f"--card: {colours.paper};" in style
        assert f"--s2: {colours.second};" in style
        assert f"--h8: {colours.ramp[8]};" in style


def test_no_line_is_broken_behind_the_mark_of_a_rating(site):
    [style] = re.findall(r'href="(/static/style\.css[^"]*)"', site.get("/war"))
    marks = re.findall(r'content: "([●▲■][^"]*)"', site.client.get(style).text)
    assert marks == [r"●\a0", r"▲\a0", r"■\a0"]


def test_no_line_is_broken_before_a_percent_sign(open_site, warehouse):
    sql = (
        '/*\ntitle = "How full?"\npage = "crimes"\nasks = ["planner"]\ncaption = "Of slots."\n'
        'chart = { kind = "table" }\nunits = { rate = "percent" }\n[needs."/faction/members"]\n*/\n'
        "select 'Ada 100 %, Bob 90 %' as slots, 0.5 as rate\n"
        "from {faction_members:now} order by id limit 1\n"
    )
    text = open_site(warehouse, questions={"full": sql}).get("/questions/full")

    assert "Ada 100\N{NO-BREAK SPACE}%, Bob 90\N{NO-BREAK SPACE}%" in text
    assert "50\N{NO-BREAK SPACE}%" in text


def test_at_the_start_the_answers_of_the_first_page_are_read_first(site, monkeypatch):
    read = []

    def ask(warehouse, relations, question, values):
        read.append(question.name)
        return answers.ask(warehouse, relations, question, values)

    monkeypatch.setattr("tcdatalogger.web.cache.ask", ask)
    begin(site.context)
    site.read()
    first = [name for name in read if name in today.QUESTIONS]

    assert len(read) > len(first) > 5
    assert read[: len(first)] == first


def test_a_text_that_is_no_rating_is_shown_whole_and_a_decimal_is_a_number(open_site, warehouse):
    text = open_site(warehouse, questions={"rated": RATED}).get("/questions/rated")

    assert ">nobody knows<" in text
    assert "25\N{NO-BREAK SPACE}%" in text


LINES = """/*
title = "Lines?"
page = "members"
caption = "All."
chart = { kind = "line", label = "day", values = ["worth"], series = "name" }

[needs."/faction/members"]
*/
select 'line' || cast(lines.n as string) as name, days.day, lines.n * 10 as worth
from (select distinct _subject_id from {faction_members:now}) one
cross join (select 1 as n union all select 2 union all select 3 union all select 4
  union all select 5 union all select 6 union all select 7) lines
cross join (select 1 as day union all select 2) days
order by lines.n nulls last, days.day nulls last
"""


def test_a_chart_draws_the_largest_lines_and_says_how_many_it_leaves_out(open_site, warehouse):
    text = open_site(warehouse, questions={"lines": LINES}).get("/questions/lines")

    [key] = re.findall(r'<figcaption class="key">(.*?)</figcaption>', text)
    assert re.findall(r"line\d", key) == ["line7", "line6", "line5", "line4", "line3"]
    assert "and 2 more" in key


DIGITS = "(select 0 as n union all " + " union all ".join(f"select {n}" for n in range(1, 10)) + ")"
LED = 'links = { name = "member_id", other = "user_id" }\n'
MANY = f"""/*
title = "Many?"
page = "war"
caption = "All."
chart = {{ kind = "KIND", label = "LABEL", values = ["one", "two"], across = "across" }}
units = {{ one = "money" }}
{LED}
[needs."/faction/members"]
*/
with number as (
    select a.n + 10 * b.n + 100 * c.n + 1000 * d.n as n
    from {DIGITS} a cross join {DIGITS} b cross join {DIGITS} c cross join {DIGITS} d
)
select md5(cast(n as string)) as name, md5(cast(-n as string)) as other,
       n * 7919 + 1000000 as one, mod(n * 104729, 99991) as two,
       mod(n, 50) as down, 'no. ' || cast(cast(floor(n / 50) as int64) as string) as across,
       n as member_id, n + 10000 as user_id TEXTS
from (select distinct _subject_id from {{faction_members:now}}) one cross join number
where n < ROWS
order by n nulls last
"""
"""Rows of two factions, each with two links."""
LONG = "".join(
    f", {' || '.join([f'md5(cast(n as string) || {part!r})' for part in parts])} as text_{parts[0]}"
    for parts in ("abcdefghij", "klmnopqrst", "uvwxyzABCD")
)
"""Three texts of 320 letters."""


def many(kind: str, rows: int = 1_000, label: str = "name", texts: str = "") -> str:
    """A question of many rows, with a chart of a kind."""
    sql = MANY.replace("KIND", kind).replace("ROWS", str(rows))
    return sql.replace("LABEL", label).replace("TEXTS", texts)


@pytest.mark.parametrize(
    "sql",
    [
        *map(many, ("table", "list", "bars", "stack", "line", "tiles")),
        pytest.param(many("matrix", 6_000, "down"), marks=pytest.mark.slow),
        many("table", texts=LONG),
        many("table", texts=LONG).replace(LED, ""),
    ],
    ids=["table", "list", "bars", "stack", "line", "tiles", "matrix", "texts", "no links"],
)
def test_no_page_is_heavy_or_full_of_links_however_many_rows_there_are(open_site, warehouse, sql):
    site = open_site(warehouse, questions={f"many-{n}": sql for n in range(4)})
    for path in ("/questions/many-1", "/war"):
        text = site.get(path)
        packed = site.client.get(path, headers={"accept-encoding": "gzip"})
        assert int(packed.headers["content-length"]) <= PACKED, path
        assert text.count("<a ") <= LINKS, path
    assert re.search(r'<a href="/q/many-1.csv">and [\d,]+ more', site.get("/questions/many-1"))


# --- answers for programs ------------------------------------------------------------------------

KINDS = ("csv", "json", "png")


@pytest.fixture
def drawn(monkeypatch):
    """What was drawn, in place of drawing it."""
    found = []

    def draw(svg):
        found.append(svg)
        return b"PNG %d" % len(found)

    monkeypatch.setattr("tcdatalogger.web.pictures.png_apart", draw)
    return found


def picture(site, query=""):
    site.client.get(f"/q/inactive-members.png{query}")
    site.read()
    return site.client.get(f"/q/inactive-members.png{query}")


def test_an_answer_is_read_as_a_picture_and_its_page_has_the_link(site):
    page = site.get("/questions/inactive-members?hours=100")
    assert "/q/inactive-members.png?hours=100" in Links(page).links

    queries = ("", "?scheme=dark", "?hours=100&scheme=light")
    light, dark, few = (picture(site, query) for query in queries)

    assert light.headers["content-type"] == "image/png"
    assert light.headers["cache-control"] == "no-store"
    assert light.headers["content-disposition"] == 'inline; filename="inactive-members.png"'
    bodies = {each.content for each in (light, dark, few)}
    assert len(bodies) == 3
    assert all(each.startswith(b"\x89PNG") for each in bodies)


def test_a_picture_has_the_chosen_parameters_and_scheme(site, drawn):
    picture(site, "?hours=100&scheme=dark")

    [svg] = drawn
    assert "more than 100 hours" in svg
    assert "Bobby" not in svg
    assert DARK.paper in svg
    assert site.client.get("/q/inactive-members.png?scheme=sepia").status_code == 400
    assert site.client.get("/q/inactive-members.png?hours=many").status_code == 400


def test_however_many_look_a_picture_is_drawn_once_until_its_answer_is_read_again(site, drawn):
    picture(site)
    drawn.clear()
    site.context.pictures._kept.clear()

    with ThreadPoolExecutor(8) as pool:
        paths = ["/q/inactive-members.png"] * 50
        bodies = {each.content for each in pool.map(site.client.get, paths)}

    assert len(drawn) == len(bodies) == 1
    site.clock.sleep(700)
    picture(site)
    assert len(drawn) == 2


def test_pictures_that_nobody_asks_for_any_more_are_forgotten(site, drawn, monkeypatch):
    monkeypatch.setattr("tcdatalogger.web.pictures.MOST_BYTES", 10)  # two of them
    for query in ("", "?hours=30", "?hours=40"):
        picture(site, query)
    drawn.clear()

    picture(site, "?hours=40")
    assert drawn == []
    picture(site)
    assert len(drawn) == 1


def test_pages_are_answered_while_a_picture_is_drawn(site, monkeypatch):
    begun, over = threading.Event(), threading.Event()

    def draw(_svg):
        begun.set()
        assert over.wait(30)
        return b"PNG"

    monkeypatch.setattr("tcdatalogger.web.pictures.png_apart", draw)
    site.get("/questions/inactive-members")
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(site.client.get, "/q/inactive-members.png")
        assert begun.wait(30)
        page = site.client.get("/questions/inactive-members")
        over.set()

        assert page.status_code == 200
        assert asked.result().content == b"PNG"


def test_answers_that_were_read_at_the_same_time_have_each_a_picture_of_their_own(site, drawn):
    paths = [f"/q/inactive-members.png{query}" for query in ("", "?hours=100")]
    for path in paths:
        site.client.get(path)
    site.read()

    pictures = {site.client.get(path).content for path in paths * 2}

    assert len(pictures) == len(drawn) == 2


def test_pages_that_end_draw_no_picture_for_those_who_wait(site, monkeypatch):
    drawn, begun, over = [], threading.Event(), threading.Event()

    def draw(svg):
        drawn.append(svg)
        begun.set()
        assert over.wait(30)
        return b"PNG"

    monkeypatch.setattr("tcdatalogger.web.pictures.png_apart", draw)
    site.get("/questions/inactive-members")
    paths = [f"/q/inactive-members.png?scheme={scheme}" for scheme in ("light", "dark")]
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(site.client.get, paths[0])
        assert begun.wait(30)
        second = pool.submit(site.client.get, paths[1])
        while not site.context.pictures._drawing._work_queue.qsize():
            assert not second.done()
        site.context.close()
        over.set()

        assert first.result().content == b"PNG"
        with pytest.raises(CancelledError):
            second.result()
    assert len(drawn) == 1


def test_a_program_waits_for_an_answer_that_was_never_read(open_site, warehouse, monkeypatch):
    monkeypatch.setattr("tcdatalogger.web.pages.PATIENCE", 30.0)
    site = open_site(warehouse)
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(site.client.get, "/q/inactive-members.csv")
        while not site.context.cache.kept():
            assert not asked.done()
        site.read()

        assert asked.result().status_code == 200


@pytest.mark.parametrize(
    ("path", "status", "says"),
    [
        ("oc-nothing.csv", 404, "There is no question oc-nothing."),
        ("inactive-members.csv?hours=2d", 400, "hours is '2d', which is no number. As: hours=24"),
    ],
)
def test_programs_read_in_a_line_what_is_wrong_with_an_address(site, path, status, says):
    answer = site.client.get(f"/q/{path}")

    assert (answer.status_code, answer.text) == (status, says)


@pytest.mark.parametrize("kind", KINDS)
def test_why_there_is_no_answer_is_said_to_programs(open_site, warehouse, tmp_path, kind):
    members = f"/q/inactive-members.{kind}"
    unread = open_site(warehouse)
    waiting = unread.client.get(members)
    assert (waiting.status_code, waiting.headers["retry-after"]) == (503, "10")
    assert "being read" in waiting.text

    file = tmp_path / "held.duckdb"
    known_faction.fill(file)
    site = open_site(file)
    with held(file):
        site.client.get(members)
        site.read()
        answer = site.client.get(members)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "10")
    assert "torn.duckdb" in answer.text or "held.duckdb" in answer.text

    broken = tmp_path / "broken.duckdb"
    broken.write_bytes(b"no database" * 1_000)
    site = open_site(broken)
    site.client.get(members)
    site.read()
    answer = site.client.get(members)
    assert answer.status_code == 500
    assert "is not a DuckDB file" in answer.text

    site = open_site(tmp_path / "none.duckdb", endpoints="")
    answer = site.client.get(members)
    assert answer.status_code == 404
    assert answer.text == "Nothing logs /faction/members yet."


def test_without_what_draws_pictures_the_owner_reads_what_installs_it(
    open_site, warehouse, monkeypatch
):
    monkeypatch.setitem(sys.modules, "resvg_py", None)
    site = open_site(warehouse, '[ui]\ntokens = { member = "env:TOKEN" }\n')

    owner, member = picture(site), picture(site, "?token=token-of-a-member-4")

    assert (owner.status_code, member.status_code) == (501, 501)
    assert "needs the package resvg-py" in member.text
    assert "pip install 'resvg-py" in owner.text
    assert sys.executable not in member.text


def test_what_cannot_be_drawn_is_said(site, monkeypatch):
    monkeypatch.setattr("tcdatalogger.web.pictures.svg", lambda *_, **__: "<no svg")
    answer = picture(site)

    assert answer.status_code == 500
    assert answer.text.startswith("The picture could not be drawn: ")
    assert "Traceback" not in answer.text
