"""What the client promises of each call, asked of the emulator."""

from __future__ import annotations

import random
from contextlib import closing
from datetime import UTC, datetime

import pyarrow as pa
import pytest
from google.cloud.bigquery import SchemaField
from proxy import JOBS, UPLOAD

from tcdatalogger.errors import ConfigError, DataRefused, WarehouseUnavailable
from tcdatalogger.services.google.connect import connect

SCHEMA = [
    SchemaField("i", "INT64"), SchemaField("f", "FLOAT64"), SchemaField("b", "BOOL"),
    SchemaField("s", "STRING"), SchemaField("t", "TIMESTAMP"), SchemaField("j", "STRING"),
]  # fmt: skip
TYPES = {
    "i": pa.int64(), "f": pa.float64(), "b": pa.bool_(), "s": pa.string(),
    "t": pa.timestamp("us", "UTC"), "j": pa.string(),
}  # fmt: skip
LATER = 1_893_456_000.0
EXACT = {
    "i": [2**63 - 1, -(2**63), 0, None, 9_007_199_254_740_993],
    "f": [0.1, -1.7976931348623157e308, 5e-324, None, 1e23],
    "b": [True, False, True, None, False],
    "s": ["", "Zoë 🗡 „x“", "a\0b'\"`\\\n", None, "ﷺ e\u0301"],
    "t": [
        datetime(1970, 1, 1, tzinfo=UTC), datetime(2026, 11, 26, 23, 59, 59, 999_999, UTC),
        datetime(1, 1, 1, tzinfo=UTC), None, datetime(9999, 12, 31, 23, 59, 59, 999_999, UTC),
    ],
    "j": ['{"a":[1,null,"ü"]}', "[]", '"text"', None, "null"],
}  # fmt: skip


def rows(values=EXACT):
    return pa.table({name: pa.array(values[name], kind) for name, kind in TYPES.items()})


def numbers(*found):
    return pa.table({"i": pa.array(found, pa.int64())})


def noise(count):
    """Numbers that cannot be compressed: a large file."""
    raw = pa.py_buffer(random.Random(3).randbytes(8 * count))
    return pa.table({"i": pa.Array.from_buffers(pa.int64(), count, [None, raw])})


NUMBER = [SchemaField("i", "INT64")]


def staged(client, table="staging", found=None, *, schema=NUMBER, part="1", **rest):
    client.load(
        table, numbers(1, 2, 3) if found is None else found, schema,
        name=client.job_name("load", table, part), labels={"run": "r1"},
        **{"expires": LATER, **rest},
    )  # fmt: skip


def count(client, table="staging"):
    return client.ask(f"select count(*) as n from {table}")["n"].to_pylist()[0]


def test_every_value_comes_back_as_it_was(client):
    staged(client, found=rows(), schema=SCHEMA)

    found = client.ask("select * from staging")

    assert found.schema == pa.schema(TYPES)
    as_rows = {repr(row) for row in found.to_pylist()}
    assert as_rows == {repr(row) for row in rows().to_pylist()}


def test_json_is_text_until_a_statement_parses_it(client):
    staged(client, found=rows(), schema=SCHEMA)
    client.run("create table here (j json)")

    ran = client.run(
        "insert into here (j) "
        "select parse_json(j, wide_number_mode => 'exact') from staging where j is not null"
    )

    assert ran.affected == 4
    found = client.ask("select to_json_string(j) as j from here")["j"].to_pylist()
    assert set(found) == {'"text"', "[]", "null", '{"a":[1,null,"ü"]}'}


def test_a_load_of_no_rows_makes_the_table(client):
    staged(client, found=rows().slice(0, 0), schema=SCHEMA)

    found = client.ask("select * from staging")
    assert (found.num_rows, found.schema) == (0, pa.schema(TYPES))


@pytest.mark.slow
def test_two_hundred_thousand_rows_go_in_and_come_out_whole(through):
    found = noise(200_000).append_column("s", pa.array([f"{n:x}" * 9 for n in range(200_000)]))
    schema = [SchemaField("i", "INT64"), SchemaField("s", "STRING")]

    staged(through, found=found, schema=schema)

    assert through.ask("select * from staging").sort_by("s").equals(found.sort_by("s"))


def test_every_table_that_is_made_has_the_key_of_cloud_kms_also_one_that_expires(
    bigquery_url, client, proxy, clock
):
    key = "projects/p/locations/europe/keyRings/r/cryptoKeys/k"
    environ = {"BIGQUERY_EMULATOR_HOST": proxy.endpoint}
    with closing(connect(bigquery_url, environ, clock=clock, kms_key=key)) as encrypted:
        staged(encrypted)
        encrypted.create(table(client, "here"))

    made = [call.json for call in proxy.calls if call.method == "POST" and
            call.path.partition("?")[0].endswith("/tables")]  # fmt: skip
    assert [one["tableReference"]["tableId"] for one in made] == ["staging", "here"]
    assert [one["encryptionConfiguration"] for one in made] == [{"kmsKeyName": key}] * 2


def test_a_job_of_one_name_is_done_once(client):
    client.create(table(client, "here"))

    for _ in range(2):
        client.load(
            "here", numbers(1, 2), NUMBER, name=client.job_name("load", "x"), labels={},
            disposition="WRITE_APPEND",
        )  # fmt: skip
        client.run("insert into here (i) values (3)", name=client.job_name("run", "x"))

    assert sorted(client.ask("select i from here")["i"].to_pylist()) == [1, 2, 3]


def table(client, name, schema=NUMBER):
    from google.cloud.bigquery import Table  # noqa: PLC0415 - named as the helper

    return Table(client.reference(name), schema=schema)


@pytest.mark.parametrize("large", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_a_load_whose_answer_was_lost_is_not_done_twice(client, through, proxy, large):
    client.create(table(client, "here"))
    found = noise(900_000) if large else numbers(1, 2, 3)
    # The last request of a large load is the one that has the bytes.
    proxy.plant("PUT /" if large else UPLOAD, "drop the answer")

    through.load(
        "here", found, NUMBER, name=through.job_name("load", "x"), labels={},
        disposition="WRITE_APPEND",
    )  # fmt: skip

    assert proxy.count("GET .*/jobs/") == 1
    assert count(client, "here") == found.num_rows


def test_a_statement_whose_answer_was_lost_is_not_run_twice(client, through, proxy):
    client.create(table(client, "here"))
    proxy.plant(JOBS, "drop the answer")

    ran = through.run("insert into here (i) values (1), (2)")

    assert (ran.affected, ran.statement) == (2, "INSERT")
    assert (proxy.count(JOBS), count(client, "here")) == (2, 2)


def test_a_copy_and_a_snapshot_whose_answer_was_lost_are_not_done_twice(client, through, proxy):
    staged(client)
    client.create(table(client, "here"))
    proxy.plant(JOBS, "drop the answer", times=2, after=0)

    through.copy(
        ["staging"], "here", name=through.job_name("copy", "x"), labels={},
        disposition="WRITE_APPEND",
    )  # fmt: skip

    assert count(client, "here") == 3
    proxy.plant(JOBS, "drop the answer")
    through.snapshot("here", "kept", name=through.job_name("keep", "x"), labels={}, expires=None)
    assert client.table("kept").table_type == "SNAPSHOT"


def test_a_job_that_failed_gets_another_name_and_one_that_fails_now_is_told(client):
    words = {"name": client.job_name("run", "x")}
    with pytest.raises(DataRefused) as caught:
        client.run("insert into here (i) values (1)", **words)
    assert caught.value.facts == {"reason": "notFound"}
    client.create(table(client, "here"))

    first, second = (client.run("insert into here (i) values (1)", **words) for _ in range(2))

    assert first.job == second.job == f"{words['name']}-2"
    assert count(client, "here") == 1


def test_rows_that_expired_after_their_job_was_done_are_loaded_again(client):
    staged(client)
    client.delete("staging")

    staged(client)

    assert count(client) == 3


def test_a_table_that_stays_is_not_loaded_twice_though_others_have_changed_it_since(client):
    client.create(table(client, "here"))
    staged(client, "here", expires=None, disposition="WRITE_TRUNCATE")
    client.run("insert into here (i) values (9)")

    staged(client, "here", expires=None, disposition="WRITE_TRUNCATE")

    assert count(client, "here") == 4


def test_a_load_into_rows_is_refused_unless_it_says_what_happens_to_them(client):
    staged(client)
    with pytest.raises(DataRefused, match="Already Exists"):
        staged(client, part="2")
    staged(client, part="3", disposition="WRITE_APPEND")
    assert count(client) == 6
    staged(client, part="4", disposition="WRITE_TRUNCATE")
    assert count(client) == 3


@pytest.mark.parametrize(
    ("found", "schema", "says"),
    [
        (numbers(1), [SchemaField("i", "STRING")], "type int64, .* as STRING"),
        (numbers(1), [SchemaField("i", "JSON")], "as JSON"),
        (numbers(1), [SchemaField("other", "INT64")], "the columns i, and the table has other"),
        (pa.table({"t": pa.array([1], pa.timestamp("us"))}), [SchemaField("t", "TIMESTAMP")], "t "),
        (pa.table({"t": pa.array([1], pa.timestamp("ns", "UTC"))}),
         [SchemaField("t", "TIMESTAMP")], "t "),
    ],
)  # fmt: skip
def test_rows_that_bigquery_would_convert_are_not_sent(through, proxy, found, schema, says):
    with pytest.raises(DataRefused, match=says):
        staged(through, found=found, schema=schema)
    assert proxy.calls == []


def test_staging_is_labelled_and_expires_and_lives_on_when_it_is_loaded_later(client):
    staged(client)
    first = client.table("staging")
    assert first.expires.timestamp() == LATER
    assert first.labels == {"run": "r1"}

    staged(client, expires=LATER + 60)

    assert client.table("staging").expires.timestamp() == LATER + 60
    assert count(client) == 3


def test_jobs_carry_labels_in_the_letters_that_bigquery_takes(through, proxy):
    through.run("select 1", labels={"Run": "2026-11-26T23:59 Ü", "endpoint": "x" * 80})

    (call,) = [call for call in proxy.calls if "/jobs" in call.path and call.method == "POST"]
    assert call.json["configuration"]["labels"] == {
        "run": "2026-11-26t23_59__", "endpoint": "x" * 63,
    }  # fmt: skip


def test_a_script_is_one_job_and_its_last_statement_answers(client):
    staged(client)
    found = client.ask(
        "begin transaction; insert into staging (i) values (@n); commit transaction;"
        "select count(*) as n, max(i) as high from staging",
        parameters={"n": 9},
    )
    assert found.to_pylist() == [{"n": 4, "high": 9}]


def test_a_script_that_fails_leaves_nothing(client):
    staged(client)
    with pytest.raises(DataRefused, match="nobody may") as caught:
        client.run(
            "begin transaction; insert into staging (i) values (9); "
            "raise using message = 'nobody may'; commit transaction"
        )
    assert caught.value.facts["reason"]
    assert count(client) == 3


def test_parameters_of_every_type_are_bound(client):
    when = datetime(2026, 11, 26, 23, 59, 59, 999_999, UTC)
    given = {"i": 2**63 - 1, "f": 0.1, "b": True, "s": "it's `x`", "t": when, "z": None}

    found = client.ask(
        "select @i as i, @f as f, @b as b, @s as s, @t as t, @z as z, "
        "(select count(*) from unnest(@many) as m where m in ('a', 'b')) as many, "
        "array_length(@none) as none",
        parameters={**given, "many": ["a", "b", "c"], "none": []},
    )

    assert found.to_pylist() == [{**given, "many": 2, "none": 0}]


def test_a_ceiling_for_the_bill_is_sent(through, proxy):
    through.run("select 1", most_billed=10_000_000)
    (call,) = [call for call in proxy.calls if call.method == "POST"]
    assert call.json["configuration"]["query"]["maximumBytesBilled"] == "10000000"


def test_a_dry_run_tells_the_kind_and_runs_nothing(client):
    staged(client)
    assert client.dry_run("insert into staging (i) values (1)").statement == "INSERT"
    assert client.dry_run("select * from staging where i = @i", {"i": 1}).statement == "SELECT"
    with pytest.raises(DataRefused, match="Unrecognized name"):
        client.dry_run("select nothing from staging")
    assert count(client) == 3


def test_what_bigquery_does_not_understand_is_refused_with_its_words(client, wrong_sql):
    with pytest.raises(DataRefused, match="selec") as caught:
        client.ask("selec 1")
    assert caught.value.facts == {"reason": "invalidQuery"}


def test_tables_are_made_changed_listed_and_deleted(client):
    assert client.table("here") is None
    made = client.create(table(client, "here"))
    assert client.create(table(client, "here", SCHEMA)).schema == made.schema  # it stays as it is

    made.description = "What it holds."
    made.schema = [*made.schema, SchemaField("s", "STRING", description="A name.")]
    changed = client.patch(made, ["description", "schema"])

    assert changed.etag != made.etag
    again = client.table("here")
    assert (again.description, [field.name for field in again.schema]) == (
        "What it holds.", ["i", "s"],
    )  # fmt: skip
    staged(client)
    assert {each.table_id for each in client.tables()} == {"here", "staging"}
    for _ in range(2):
        client.delete("here")
    assert {each.table_id for each in client.tables()} == {"staging"}


def test_a_table_that_somebody_else_changed_is_not_changed(client):
    old = client.create(table(client, "here"))
    new = client.table("here")
    new.description = "first"
    client.patch(new, ["description"])

    old.description = "second"
    with pytest.raises(WarehouseUnavailable) as caught:
        client.patch(old, ["description"])

    assert caught.value.facts == {"reason": "conditionNotMet"}
    assert client.table("here").description == "first"


def test_a_snapshot_keeps_what_was_there_and_says_when_it_ends(client, through, proxy):
    staged(client)
    through.snapshot(
        "staging", "kept", name=through.job_name("keep", "1"), labels={"run": "r"}, expires=LATER
    )
    client.run("delete from staging where true")

    assert client.table("kept").table_type == "SNAPSHOT"
    assert count(client, "kept") == 3
    (call,) = [call for call in proxy.calls if call.method == "POST"]
    assert call.json["configuration"]["copy"] | {"sourceTables": 0, "destinationTable": 0} == {
        "sourceTables": 0, "destinationTable": 0, "operationType": "SNAPSHOT",
        "destinationExpirationTime": "2030-01-01T00:00:00Z",
    }  # fmt: skip


def test_tables_are_copied_into_one(client):
    staged(client, "one")
    staged(client, "two", numbers(4))
    client.create(table(client, "here"))

    client.copy(["one", "two"], "here", name=client.job_name("copy", "1"), labels={})

    assert sorted(client.ask("select i from here")["i"].to_pylist()) == [1, 2, 3, 4]


def test_the_place_of_the_dataset_is_asked_for_once_where_the_address_lacks_it(
    bigquery_url, proxy, clock
):
    short = bigquery_url.partition("?")[0]
    client = connect(short, {"BIGQUERY_EMULATOR_HOST": proxy.endpoint}, clock=clock)
    for _ in range(2):
        client.run("select 1")
    client.close()

    assert client.location == "EU"
    dataset = short.rpartition("/")[2]
    assert proxy.count(f"GET .*/datasets/{dataset}") == 1


def test_a_dataset_that_is_not_there_is_told_with_the_command_that_makes_it(bigquery, clock):
    client = connect("bigquery://tcd-tests/nowhere?location=EU", bigquery.environ, clock=clock)
    for ask in (client.dataset, lambda: client.create(table(client, "here"))):
        with pytest.raises(ConfigError) as caught:
            ask()
        assert "bq --location=EU mk --dataset tcd-tests:nowhere" in caught.value.remedy
    client.close()
