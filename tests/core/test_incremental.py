"""Runs that ask only for what is new: nothing is missed, nothing is stored twice."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared import rest_slow
from tcdatalogger.core.operations.replay import rebuild, replay
from tcdatalogger.errors import ConfigError
from tcdatalogger.sandbox.api.server import START
from tcdatalogger.sandbox.world.bursts import Bursts, Corrections
from tcdatalogger.services.torncity.lists.cursor import Coverage, Cursor, TimeRange, WalkSummary
from tcdatalogger.services.warehouse.ledger import Ledger

HOUR, DAY = 3_600, 86_400
LISTS = """
[[endpoints]]
name = "attacks"
path = "/faction/attacks"

[[endpoints]]
name = "chains"
path = "/faction/chains"

[[endpoints]]
name = "crimes"
path = "/faction/crimes"

[[endpoints]]
name = "members"
path = "/faction/members"
"""


@pytest.fixture
def place(settle):
    late = Corrections(share=0.2, within=6 * HOUR)
    crowd = Bursts(at=(int(START) + HOUR,))
    return settle(LISTS, history=40 * DAY, corrections=late, bursts=crowd)


def asked(place, outcome):
    """What was asked for, in every call that was not by id."""
    params = [dict(page.answer.request.params) for page in outcome.fetched.pages]
    return [one for one in params if "idFilter" not in one.get("filters", "")]


def alone(place, words, path="/faction/attacks", name="attacks"):
    """Go on with this endpoint alone, and these settings."""
    place.write(f'[[endpoints]]\nname = "{name}"\npath = "{path}"\n{words}\n')


def test_the_first_run_goes_back_a_day_and_leaves_the_rest(place):
    outcome = place.log("attacks")

    assert asked(place, outcome)[0]["from"] == str(int(START) - DAY)
    assert set(place.ids("attacks")) >= place.expected("attacks", int(START) - DAY)


@pytest.mark.parametrize(("since", "begin"), [("P3D", START - 3 * DAY), ("2025-12-30", 1767052800)])
def test_how_far_it_goes_back_is_a_setting(place, since, begin):
    assert asked(place, place.log("attacks", f"since={since}"))[0]["from"] == str(int(begin))


def test_a_run_asks_only_from_a_minute_before_the_last_row(place):
    place.log("attacks")
    place.later(HOUR * 5)
    low, high = place.spans("attacks")
    assert low == START - DAY

    outcome = place.log("attacks")

    assert {int(params["from"]) for params in asked(place, outcome)} == {high - 60}
    assert set(place.ids("attacks")) >= place.expected("attacks", int(START) - DAY)


@pytest.mark.slow
def test_runs_on_and_on_store_every_row_once_over_a_crowded_second(place):
    place.log("attacks")
    for seconds in (HOUR - 1, 1, 1, 1, 2 * HOUR, 7, 12 * HOUR, 3 * DAY):
        place.later(seconds)
        place.log("attacks", "overlap=PT7H")

    states = place.sql("from attacks select id, respect_gain, respect_loss")
    assert set(place.ids("attacks")) >= place.expected("attacks", int(START) - DAY)
    assert len(states) == len({tuple(row.values()) for row in states})
    newest = {row["id"]: row["respect_gain"] for row in states}  # in the order of their storing
    for row in place.city.expected("attacks", int(START), key="limited"):
        assert newest[row["id"]] == row["respect_gain"]
    assert (
        max(place.ids("attacks").values()) == 2
    )  # some were edited by Torn: both states are there


def test_nothing_new_is_done_and_unchanged_and_keeps_the_cursor(place):
    place.log("attacks")
    before, loads = place.spans("attacks"), place.sql("from _tcd_loads")

    outcome = place.log("attacks")

    record = outcome.record
    assert (record.status, record.unchanged, record.exit_code, record.load_id) == (
        *("done", True, 0),
        "",
    )
    assert outcome.receipt.left_out > 0
    assert place.spans("attacks") == before
    assert place.sql("from _tcd_loads") == loads
    shown = place.run("run", "attacks", "--json").json[0]
    assert shown["unchanged"]
    assert "unchanged" in place.run("run", "attacks").out


def test_a_list_that_is_empty_at_first_is_gone_on_from_there(place):
    place.log("attacks", "since=PT1S")
    assert place.spans("attacks") == [START - 1, START - 1]
    place.later(3 * DAY)
    place.log("attacks")
    assert set(place.ids("attacks")) >= place.expected("attacks", int(START) - 61)


@pytest.mark.slow
def test_a_walk_that_was_stopped_leaves_the_cursor(place):
    place.log("attacks")
    before = place.spans("attacks")
    place.later(DAY)
    outcome = place.log("attacks", "max_pages=1")
    assert outcome.record.warnings
    assert outcome.record.rows["attacks"] == 100
    assert place.spans("attacks") == before
    place.later(DAY)
    place.log("attacks")
    assert set(place.ids("attacks")) >= place.expected("attacks", int(START) - DAY)
    assert place.spans("attacks")[1] > before[1]


def test_the_cursor_is_in_the_same_transaction_as_its_rows(place, monkeypatch):
    place.log("attacks")
    before = place.spans("attacks")
    place.later(DAY)
    write = Ledger.write_loads

    def dying(*args):
        write(*args)
        raise KeyboardInterrupt

    monkeypatch.setattr(Ledger, "write_loads", dying)
    with pytest.raises(KeyboardInterrupt):
        place.log("attacks")
    monkeypatch.undo()

    assert place.spans("attacks") == before
    place.log("attacks")
    assert set(place.ids("attacks")) >= place.expected("attacks", int(START) - DAY)


def test_other_params_are_another_list_with_a_cursor_of_its_own(place):
    alone(place, 'params = { filters = "incoming" }')
    place.log("attacks")
    place.later(HOUR)
    alone(place, 'params = { filters = "outgoing" }')
    outcome = place.log("attacks")
    assert asked(place, outcome)[0]["from"] == str(int(place.clock.now()) - DAY)


@pytest.mark.slow
def test_chains_are_found_though_they_are_listed_when_they_end(place):
    place.log("chains", "since=P20D")
    for _ in range(12):
        place.later(DAY)
        place.log("chains")
    assert set(place.ids("chains")) >= place.expected("chains", int(START) - 20 * DAY)
    assert set(place.ids("chains").values()) == {1}


def test_what_is_not_incremental_adds_a_snapshot_each_time(place):
    whole = [place.log("attacks", "incremental=false", "max_pages=1").record for _ in range(2)]
    members = [place.log("members").record for _ in range(2)]
    assert whole[0].rows["attacks"] == whole[1].rows["attacks"] == 100
    assert members[0].rows == members[1].rows
    assert not any(record.unchanged for record in (*whole, *members))


# Crimes


def state(row):
    return json.dumps(row, default=str, sort_keys=True)


@pytest.mark.slow
def test_every_state_of_a_crime_that_a_run_could_see_is_there_once(place):
    seen = {}
    for _ in range(24):
        place.log("crimes")
        for row in place.city.expected("crimes", key="limited"):
            if row["executed_at"] is None and row["status"] != "Expired":
                seen.setdefault(row["id"], set()).add((row["status"], len(row["slots"])))
        place.later(5 * HOUR)
    place.log("crimes")

    rows = place.sql("from crimes select id, status order by server_timestamp, rowid")
    stored = {}
    for row in rows:
        stored.setdefault(row["id"], []).append(row["status"])
    for crime, states in seen.items():
        assert {status for status, _ in states} <= set(stored[crime])
    newest = {crime: states[-1] for crime, states in stored.items()}
    since = int(START) - DAY
    for row in place.city.expected("crimes", key="limited"):
        late = (row["executed_at"] or row["expired_at"]) >= since
        if row["created_at"] >= since or late:
            assert newest[row["id"]] == row["status"]
    paid = {r["id"]: r["rewards_payout_paid_at"] for r in place.sql(
        "from crimes select id, rewards_payout_paid_at order by server_timestamp")}  # fmt: skip
    for row in place.city.expected("crimes", since, key="limited"):
        payout = (row["rewards"] or {}).get("payout")
        assert (paid[row["id"]] is not None) == (payout is not None)


RENAMED = """columns = { id = "crime", status = "what", executed_at = "done", \
"crimes.rewards_payout_paid_at" = "p" }"""


@pytest.mark.parametrize("mode", ["append", "merge", "history"])
@pytest.mark.parametrize("names", rest_slow([RENAMED, ""]), ids=["renamed", "plain"])
def test_crimes_that_wait_for_their_pay_are_asked_for_in_every_mode_by_any_name(place, mode, names):
    words = f'incremental = true\nsince = "P20D"\nstorage_mode = "{mode}"\n{names}\n'
    alone(place, words, "/faction/crimes", "crimes")
    fetched = place.log("crimes").fetched.pages
    place.later(HOUR)

    params = asked(place, place.log("crimes"))

    crimes = [crime for page in fetched for crime in json.loads(page.body)["crimes"]]
    unpaid = min(
        crime["executed_at"]
        for crime in crimes
        if crime["status"] == "Successful" and not (crime["rewards"]["payout"] or {}).get("paid_at")
    )
    [begin] = [int(one["from"]) for one in params if one["cat"] == "completed"]
    assert begin == unpaid < START - DAY


def test_a_crime_that_was_paid_meanwhile_is_waited_for_no_more(place):
    place.log("crimes", "since=P20D")
    waits = "from crimes where status = 'Successful' and rewards_payout_paid_at is null"
    first, second = place.sql(f"select distinct id, executed_at {waits} order by 2 limit 2")
    with duckdb.connect(str(place.warehouse)) as connection:  # as a later run would have stored it
        connection.execute(
            f"""insert into crimes select * replace (now() as rewards_payout_paid_at,
                server_timestamp + interval 1 minute as server_timestamp)
                {waits} and id = {first["id"]}"""
        )
    place.later(HOUR)

    params = asked(place, place.log("crimes"))

    [begin] = [int(one["from"]) for one in params if one["cat"] == "completed"]
    assert begin == second["executed_at"].timestamp() > first["executed_at"].timestamp()


def test_names_that_nobody_accepted_yet_keep_no_crimes_from_the_archive(place):
    place.log("crimes", "since=P20D")
    place.later(HOUR)
    alone(place, f"incremental = true\n{RENAMED}\n", "/faction/crimes", "crimes")

    refused = place.log("crimes").record

    assert (refused.status, refused.step) == ("failed", "store")
    assert refused.archive_file


def test_crimes_ask_for_what_is_open_finished_expired_and_unpaid(place):
    place.log("crimes", "since=P20D")
    place.later(HOUR)

    params = asked(place, place.log("crimes"))

    by = {p["cat"]: p for p in params}
    assert set(by) == {"available", "completed", "expired"}
    assert by["expired"]["filters"] == "expired_at"
    assert int(by["expired"]["from"]) == START - 60
    assert by["completed"]["filters"] == "executed_at"
    unpaid = place.value("""select min(epoch(executed_at))::bigint from crimes
        where status = 'Successful' and rewards_payout_paid_at is null""")
    assert int(by["completed"]["from"]) == unpaid < START - DAY
    assert "from" not in by["available"]


def test_an_unchanged_crime_is_not_stored_again(place):
    place.log("crimes")
    again = place.log("crimes").record
    assert again.unchanged


def test_crimes_that_replace_are_read_whole(place):
    outcome = place.log("crimes", "storage_mode=replace")
    assert set(place.ids("crimes")) == place.expected("crimes")
    assert {p["cat"] for p in asked(place, outcome)} == {"all"}


# The same body again


def test_the_same_answer_to_an_endpoint_that_replaces_is_not_stored_again(place):
    first, second = (place.log("members", "storage_mode=replace").record for _ in range(2))
    assert (second.status, second.unchanged, second.rows) == ("done", True, {})
    assert place.value("select distinct _run_id from members") == first.run_id

    place.later(DAY)
    third = place.log("members", "storage_mode=replace").record
    assert not third.unchanged
    assert place.value("select distinct _run_id from members") == third.run_id


@pytest.mark.parametrize(
    "other",
    ['key = "id"', "params = { striptags = false }", 'table = "people"', 'contract = "freeze"'],
)
def test_the_same_answer_to_another_question_is_stored(place, other):
    replaces = 'storage_mode = "replace"\n'
    for words in (replaces, replaces + other):
        alone(place, words, "/faction/members", "members")
        assert not place.log("members").record.unchanged
    assert place.log("members").record.unchanged


def test_the_same_answer_is_stored_where_the_tables_are_gone(place):
    import duckdb  # noqa: PLC0415

    place.log("members", "storage_mode=replace")
    with duckdb.connect(str(place.warehouse)) as connection:
        connection.execute("drop table members")
    assert place.log("members", "storage_mode=replace").record.rows["members"] > 0


# The archive


@pytest.mark.slow
def test_a_rebuild_of_incremental_runs_has_the_same_rows_and_the_same_cursor(place):
    for _ in range(3):
        place.log("crimes")
        place.log("attacks", "overlap=PT7H")
        place.later(9 * HOUR)
    before = {name: place.sql(f"from {name} order by all") for name in ("crimes", "attacks",
              "crimes_slots")}  # fmt: skip
    cursors = place.spans("crimes"), place.spans("attacks")

    with place.application() as application:
        runs = [run.run_id for run in application.state.runs(endpoint="crimes")]
        replay(application, runs[-1])
        for name in ("crimes", "attacks"):
            rebuild(application, name)

    columns = "select * exclude _run_id"
    for name, rows in before.items():
        found = place.sql(f"from {name} {columns} order by all")
        assert len(found) == len(rows)
    assert {n: place.sql(f"from {n} order by all") for n in before} == before
    assert (place.spans("crimes"), place.spans("attacks")) == cursors


# Settings


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ('path = "/faction/members"\nincremental = true', "is no list by time"),
        (
            'path = "/faction/attacks"\nincremental = true\nstorage_mode = "replace"',
            "only endpoints",
        ),
        ('path = "/faction/attacks"\nincremental = true\nparams = { from = 5 }', "set 'from'"),
        ('path = "/faction/attacks"\nsince = "yesterday"', "not a date or a duration"),
        ('path = "/faction/attacks"\noverlap = "often"', "not an ISO 8601 duration"),
    ],
)
def test_what_cannot_be_incremental_is_told(workplace, words, says):
    workplace.write(f'[[endpoints]]\nname = "a"\n{words}\n')
    with pytest.raises(ConfigError) as caught, workplace.application():
        pass
    assert says in str(caught.value)


# Cursors and stretches


def test_a_cursor_never_goes_into_the_future_or_back():
    cursor = Cursor("x", {"1": (5, 50)})
    moved = cursor.moved([WalkSummary("1", 40, at=100, newest=900)])
    assert moved.spans["1"] == (5, 100)
    assert moved.moved([WalkSummary("1", 40, at=200, newest=60)]).spans["1"] == (5, 100)
    assert Cursor.read(moved.text, "x") == moved
    assert Cursor.read(moved.text, "y").spans == {}


SPANS = st.lists(
    st.tuples(st.none() | st.integers(0, 60), st.integers(0, 60)).filter(
        lambda span: span[0] is None or span[0] <= span[1]
    ),
    max_size=8,
)


@given(spans=SPANS, high=st.integers(0, 70))
def test_what_is_not_read_yet_is_found_whatever_was_read(spans, high):
    texts = [TimeRange("1", top, low).text("x") for low, top in spans]
    read = {s for low, top in spans for s in range(-1 if low is None else low, top + 1)}
    found = Coverage.read(texts, "x", "1").below(high)

    left = [second for second in range(-1, high + 1) if second not in read]
    assert found == (left[-1] if left and left[-1] >= 0 else None if left == [] else left[-1])
    assert Coverage.read(texts, "y", "1").below(high) == high


@pytest.mark.slow
def test_four_processes_that_read_one_list_at_once_store_each_row_once(workplace):
    workplace.write(
        '[[endpoints]]\nname = "chains"\npath = "/faction/chains"\nsince = "P2Y"\n'
        '[[endpoints]]\nname = "crimes"\npath = "/faction/crimes"\nsince = "P2Y"\n'
    )
    workplace.key = workplace.city.keys["full"]

    with ThreadPoolExecutor(4) as pool:
        runs = list(pool.map(lambda _: workplace.process("run", "--all", "--json"), range(4)))

    assert {run.code for run in runs} <= {0, 75}  # an endpoint that another one runs is busy
    for table in ("chains", "crimes"):
        sql = f"select count(*) n, count(distinct id) k from {table}"
        rows, keys = workplace.sql(sql)[0].values()
        assert rows == keys > 0
        stored = sum(run["rows"].get(table, 0) for one in runs for run in one.json)
        assert stored == rows
