"""What becomes of a call that Google, or the way to Google, does not answer as it should."""

from __future__ import annotations

import json
import random

import pyarrow as pa
import pytest
from google.cloud.bigquery import SchemaField, Table
from proxy import JOBS

from tcdatalogger.errors import ConfigError, DataRefused, WarehouseUnavailable
from tcdatalogger.services.google.access import find
from tcdatalogger.services.google.address import parse
from tcdatalogger.services.google.client import Client
from tcdatalogger.services.google.connect import connect
from tcdatalogger.services.google.retrying import Patience

ROWS = pa.table({"i": pa.array([1, 2, 3], pa.int64())})
SCHEMA = [SchemaField("i", "INT64")]


@pytest.fixture
def here(client):
    """A table of one number."""
    client.create(Table(client.reference("here"), schema=SCHEMA))


def append(client, part="1"):
    client.load(
        "here", ROWS, SCHEMA, name=client.job_name("load", part), labels={},
        disposition="WRITE_APPEND",
    )  # fmt: skip


def count(client):
    return client.ask("select count(*) as n from here")["n"].to_pylist()[0]


@pytest.mark.parametrize(
    ("status", "reason"),
    [(503, "backendError"), (429, ""), (403, "rateLimitExceeded"), (500, "internalError")],
)
def test_what_may_pass_within_seconds_is_tried_again(
    here, client, through, proxy, clock, status, reason
):
    proxy.refuse(JOBS, status, reason, times=2)
    before = clock.now()

    append(through)

    assert (proxy.count(JOBS), count(client)) == (3, 3)
    assert 0.75 <= clock.now() - before <= 2.25  # half a second and one, each spread by its half


@pytest.mark.parametrize(
    ("status", "reason", "told", "calls"),
    [
        (403, "quotaExceeded", "quotaExceeded", 1),  # it takes hours to pass
        (403, "rateLimitExceeded", "rateLimitExceeded", 5),
        (503, "", "HTTP 503", 5),
        (429, "", "HTTP 429", 5),
    ],
)
def test_what_does_not_pass_leaves_the_warehouse_for_later(
    here, client, through, proxy, status, reason, told, calls
):
    proxy.refuse(JOBS, status, reason, "Your table exceeded quota for imports", times=9)

    with pytest.raises(WarehouseUnavailable) as caught:
        append(through)

    assert caught.value.facts == {"reason": told}
    assert "exceeded quota for imports" in caught.value.message
    assert (proxy.count(JOBS), count(client)) == (calls, 0)


def test_a_body_that_is_no_json_is_an_answer_of_no_use(through, proxy):
    proxy.plant("POST ", "answer", status=502, body=b"<html>Bad Gateway?key=x</html>", times=9)
    with pytest.raises(WarehouseUnavailable) as caught:
        through.run("select 1")
    assert caught.value.facts == {"reason": "HTTP 502"}


def test_an_answer_that_breaks_off_is_asked_for_again(client, through, proxy):
    proxy.plant("POST ", "answer", status=200, body=b'{"kind": "bigq')
    assert through.ask("select 7 as n")["n"].to_pylist() == [7]


def store(client, part):
    """Rows on their way into a table as a warehouse sends them: every kind of call."""
    table = f"staging_{part}"
    client.load(
        table, ROWS, SCHEMA, name=client.job_name("load", part), labels={}, expires=1_893_456_000.0
    )
    client.run(f"insert into here (i) select i from {table}", name=client.job_name("move", part))
    client.copy([table], f"{table}_kept", name=client.job_name("keep", part), labels={})
    client.delete(table)


@pytest.mark.slow
@pytest.mark.parametrize("how", ["drop the call", "drop the answer"])
def test_every_call_may_be_lost_and_no_row_is_lost_or_doubled(here, client, through, proxy, how):
    store(through, "whole")
    steps = len(proxy.calls)
    assert steps > 4

    for step in range(steps):
        proxy.plant("", how, after=step)
        store(through, f"{step}")
        assert proxy.faults.pop().times == 0
        store(through, f"{step}")  # as the next run does where this one was killed at its end

    assert count(client) == 3 * (1 + steps)


@pytest.mark.slow
def test_calls_that_are_lost_by_chance_leave_each_load_exactly_once(here, client, through, proxy):
    chance = random.Random(5)
    for number in range(20):
        for _ in range(2):
            how = chance.choice(["drop the call", "drop the answer"])
            proxy.plant("", how, after=chance.randrange(3))
        append(through, f"load {number}")
        append(through, f"load {number}")
        proxy.faults.clear()
    assert count(client) == 60


def test_a_connection_that_is_refused_is_no_mystery(bigquery_url, clock):
    gone = connect(bigquery_url, {"BIGQUERY_EMULATOR_HOST": "127.0.0.1:9"}, clock=clock)
    with pytest.raises(WarehouseUnavailable) as caught:
        gone.tables()
    gone.close()
    assert caught.value.facts == {"reason": "ConnectionError"}
    assert "127.0.0.1" not in str(caught.value)
    assert caught.value.__context__ is None  # it would have the address in it


def test_a_job_that_is_not_found_for_a_moment_is_asked_for_again(here, client, through, proxy):
    append(through)
    proxy.refuse("GET .*/jobs/", 404, "notFound", "Not found: Job tcd-tests:EU.x", times=2)
    append(through)
    assert count(client) == 3


def test_a_job_that_takes_its_time_is_looked_at_until_it_is_done(through, proxy, clock):
    running(through, proxy, times=4)
    before = clock.now()
    assert through.ask("select 7 as n")["n"].to_pylist() == [7]
    assert pytest.approx(clock.now() - before) == 0.1 + 0.2 + 0.4 + 0.8


def running(client, proxy, times):
    """Have the next job run on, as far as can be seen, for so many looks."""
    job = {
        "kind": "bigquery#job", "status": {"state": "RUNNING"},
        "jobReference": {"projectId": "tcd-tests", "jobId": "slow", "location": "EU"},
        "configuration": {"query": {"query": "select 7 as n"}, "jobType": "QUERY"},
    }  # fmt: skip
    client.ask("select 7 as n", name="slow")
    proxy.plant("POST ", "answer", status=200, body=json.dumps(job).encode())
    proxy.plant("GET .*/jobs/slow", "answer", status=200, body=json.dumps(job).encode(),
                times=times - 1)  # fmt: skip


def test_a_job_that_never_ends_is_left_to_the_next_run(bigquery_url, proxy, clock):
    hasty = Client(parse(bigquery_url), find({"BIGQUERY_EMULATOR_HOST": proxy.endpoint}), clock,
                   patience=Patience(job=9.0))  # fmt: skip
    running(hasty, proxy, times=10_000)
    with pytest.raises(WarehouseUnavailable, match=r"is not done after 9 s") as caught:
        hasty.ask("select 7 as n")
    assert caught.value.facts == {"reason": "running"}
    hasty.close()


def test_a_page_that_is_lost_is_asked_for_again(client, through, proxy):
    proxy.plant("GET .*/queries/", "drop the answer")
    assert through.ask("select 7 as n")["n"].to_pylist() == [7]


NO_JOBS = (
    "Access Denied: Project tcd-tests: User does not have bigquery.jobs.create permission in "
    "project tcd-tests."
)
NO_DATA = (
    "Access Denied: Table tcd-tests:d.here: Permission bigquery.tables.updateData denied on "
    "table tcd-tests:d.here (or it may not exist)."
)
FOR_JOBS = (
    "gcloud projects add-iam-policy-binding tcd-tests --member=serviceAccount:YOUR_ACCOUNT "
    "--role=roles/bigquery.jobUser"
)
FOR_DATA = (
    "bq query --project_id=tcd-tests --use_legacy_sql=false 'GRANT `roles/bigquery.dataEditor` ON "
    'SCHEMA `tcd-tests`.DATASET TO "serviceAccount:YOUR_ACCOUNT"\''
)


@pytest.mark.parametrize(
    ("message", "permission", "line"),
    [
        (NO_JOBS, "bigquery.jobs.create", FOR_JOBS),
        (NO_DATA, "bigquery.tables.updateData", FOR_DATA),
    ],
)
def test_a_permission_that_is_missing_is_named_with_the_line_that_grants_it(
    here, through, proxy, message, permission, line
):
    proxy.refuse(JOBS, 403, "accessDenied", message)
    with pytest.raises(ConfigError) as caught:
        append(through)
    assert f"lacks the permission {permission} for" in caught.value.message
    line = line.replace("DATASET", through.address.dataset)
    assert caught.value.remedy == f"Grant the role: `{line}`."


@pytest.mark.parametrize(
    ("status", "reason", "says"),
    [
        (401, "authError", "gcloud auth application-default login"),
        (403, "accessNotConfigured", "gcloud services enable bigquery.googleapis.com"),
        (403, "billingNotEnabled", "billing"),
        (403, "", "roles/bigquery.dataEditor"),
    ],
)
def test_what_somebody_has_to_change_at_google_is_told(through, proxy, status, reason, says):
    proxy.refuse("POST ", status, reason)
    with pytest.raises(ConfigError) as caught:
        through.run("select 1")
    assert says in str(caught.value)


def test_two_transactions_on_one_table_are_not_the_fault_of_the_data(through, proxy):
    proxy.refuse(
        "POST ", 400, "invalidQuery",
        "Transaction is aborted due to concurrent update against table tcd-tests:d.here.",
        times=9,
    )  # fmt: skip
    with pytest.raises(WarehouseUnavailable):
        through.run("select 1")


def test_no_address_with_a_query_gets_into_a_message(through, proxy):
    proxy.refuse("POST ", 400, "invalid", "See https://example.test/a?token=sesame#x now")
    with pytest.raises(DataRefused) as caught:
        through.run("select 1")
    assert "https://example.test/a now" in str(caught.value)
    assert "sesame" not in str(caught.value)
