"""What may be done in a dataset is proved by doing it, and every lack is told with its remedy."""

from __future__ import annotations

import time

import pytest
from proxy import JOBS, UPLOAD

from tcdatalogger.errors import ConfigError, WarehouseUnavailable
from tcdatalogger.services.google.connect import connect
from tcdatalogger.services.google.prove import place, prove

MEMBER = "serviceAccount:YOUR_ACCOUNT"
DATASET = "GET .*/datasets/[^/]+$"
TABLES = "POST .*/datasets/[^/]+/tables"
TABLE = ".*/tables/_tcd_check_"
QUERIES = "POST /bigquery/v2/projects/tcd-tests/jobs"


def refusal(client, what, on, permission):
    """A refusal as BigQuery words it."""
    name = f"{client.address.project}:{client.address.dataset}"
    name += "._tcd_check_1" if what == "Table" else ""
    denied = f"Permission {permission} denied on {on} {name} (or it may not exist)."
    return f"Access Denied: {what} {name}: {denied}"


def failures(client):
    return [proof.failure for proof in prove(client, time.time()) if proof.failure]


def test_a_dataset_where_all_may_be_done_is_left_as_it_was(client, through, proxy):
    assert place(through) == "EU"
    found = list(prove(through, time.time()))

    assert [(proof.what, proof.failure) for proof in found] == [("jobs", None), ("tables", None)]
    assert client.tables() == []
    assert (proxy.count(TABLES), proxy.count(UPLOAD), proxy.count(f"DELETE {TABLE}")) == (1, 1, 1)


def test_the_table_that_is_made_goes_by_itself_if_this_program_is_killed(through, proxy):
    now = time.time()
    list(prove(through, now))

    (made,) = [call.json for call in proxy.calls if call.line.startswith("POST") and
               call.path.partition("?")[0].endswith("/tables")]  # fmt: skip
    assert int(made["expirationTime"]) == pytest.approx(1000 * (now + 3_600), abs=1000)


GRANT = (
    "bq query --project_id=tcd-tests --use_legacy_sql=false 'GRANT `roles/bigquery.dataEditor` ON "
    f'SCHEMA `tcd-tests`.DATASET TO "{MEMBER}"\''
)


@pytest.mark.parametrize(
    ("on", "what", "where", "permission"),
    [
        (TABLES, "Dataset", "dataset", "bigquery.tables.create"),
        (f"GET {TABLE}", "Table", "table", "bigquery.tables.get"),
        (f"PATCH {TABLE}", "Table", "table", "bigquery.tables.update"),
        (UPLOAD, "Table", "table", "bigquery.tables.updateData"),
        (f"DELETE {TABLE}", "Table", "table", "bigquery.tables.delete"),
    ],
)
def test_every_permission_on_the_dataset_that_is_missing_is_named_with_the_line_that_grants_it(
    client, through, proxy, on, what, where, permission
):
    proxy.refuse(on, 403, "accessDenied", refusal(client, what, where, permission), times=9)

    (failure,) = failures(through)

    assert isinstance(failure, ConfigError)
    assert f"lacks the permission {permission} for" in failure.message
    line = GRANT.replace("DATASET", client.address.dataset)
    assert failure.remedy == f"Grant the role: `{line}`."
    if not on.startswith("DELETE"):
        assert client.tables() == []


def test_reading_and_changing_rows_are_tried_apart(client, through, proxy):
    denied = refusal(client, "Table", "table", "bigquery.tables.{}")
    proxy.refuse(QUERIES, 403, "accessDenied", denied.format("updateData"), after=1)
    proxy.refuse(QUERIES, 403, "accessDenied", denied.format("getData"), after=1)

    lacking = [failure.message for failure in failures(through)]

    assert [sum(f".{name} " in says for says in lacking) for name in ("updateData", "getData")] == [
        1, 1,
    ]  # fmt: skip
    assert client.tables() == []


def test_without_jobs_the_project_is_named_and_the_tables_are_tried_all_the_same(
    client, through, proxy
):
    says = (
        "Access Denied: Project tcd-tests: User does not have bigquery.jobs.create permission in "
        "project tcd-tests."
    )
    proxy.refuse(JOBS, 403, "accessDenied", says, times=9)
    denied = refusal(client, "Table", "table", "bigquery.tables.update")
    proxy.refuse(f"PATCH {TABLE}", 403, "accessDenied", denied, times=9)

    jobs, tables = failures(through)

    assert jobs.remedy == (
        "Grant the role: `gcloud projects add-iam-policy-binding tcd-tests "
        f"--member={MEMBER} --role=roles/bigquery.jobUser`."
    )
    assert "roles/bigquery.dataEditor" in tables.remedy
    assert proxy.count(JOBS) == 1
    assert client.tables() == []


def test_a_project_without_billing_is_found_by_its_first_statement_that_changes_rows(
    client, through, proxy
):
    says = (
        "Billing has not been enabled for this project. Enable billing at "
        "https://console.cloud.google.com/billing. DML queries are not allowed in the free tier. "
        "Set up a billing account to remove this restriction."
    )
    proxy.refuse(QUERIES, 403, "billingNotEnabled", says, after=1)

    (failure,) = failures(through)

    assert "gcloud billing projects link tcd-tests --billing-account=ACCOUNT" in failure.remedy
    asked = [call.json["configuration"]["query"] for call in proxy.calls if QUERIES in call.line]
    assert [query["query"].split()[0] for query in asked] == ["select", "insert", "select"]
    assert client.tables() == []


def test_a_key_of_cloud_kms_that_bigquery_may_not_use_is_granted_to_bigquery(
    client, through, proxy
):
    key = "projects/p/locations/europe/keyRings/r/cryptoKeys/k"
    account = "bq-1234@bigquery-encryption.iam.gserviceaccount.com"
    says = (
        "Access Denied: BigQuery BigQuery: Please grant Cloud KMS CryptoKey Encrypter/Decrypter "
        f"role to BigQuery service account {account} on key {key}."
    )
    proxy.refuse(TABLES, 403, "accessDenied", says)

    (failure,) = failures(through)

    assert failure.remedy.startswith(
        f"Grant the role: `gcloud kms keys add-iam-policy-binding {key} "
        f"--member=serviceAccount:{account} --role=roles/cloudkms.cryptoKeyEncrypterDecrypter`"
    )


def test_where_bigquery_is_away_no_more_is_tried_and_nothing_is_left(client, through, proxy):
    proxy.refuse(UPLOAD, 403, "quotaExceeded", "Quota exceeded: load jobs", times=9)
    before = proxy.count(JOBS)

    (failure,) = failures(through)

    assert isinstance(failure, WarehouseUnavailable)
    assert failure.facts == {"reason": "quotaExceeded"}
    assert proxy.count(JOBS) - before == 2  # the query that is only parsed, and the load
    assert client.tables() == []


NO_DATASET = (
    "Access Denied: Dataset tcd-tests:DATASET: Permission bigquery.datasets.get denied on dataset "
    "tcd-tests:DATASET (or it may not exist)."
)
NO_API = (
    "BigQuery API has not been used in project 1 before or it is disabled. Enable it by visiting "
    "https://console.developers.google.com/x?project=1 then retry."
)
ENABLE = "`gcloud services enable bigquery.googleapis.com --project=tcd-tests`"
MAKE = "`bq --location=EU mk --dataset tcd-tests:DATASET`"
NO_LOGIN = "Request had invalid authentication credentials."


@pytest.mark.parametrize(
    ("status", "reason", "says", "remedy"),
    [
        (404, "notFound", "Not found: Dataset tcd-tests:DATASET", MAKE),
        (404, "notFound", "Not found: Dataset tcd-tests:DATASET was not found in location EU",
         "Or correct `location` in the address"),
        (403, "accessDenied", NO_DATASET, "roles/bigquery.dataEditor"),
        (403, "accessNotConfigured", NO_API, ENABLE),
        (400, "invalid", "The project tcd-tests has not enabled BigQuery.", ENABLE),
        (401, "authError", NO_LOGIN, "`gcloud auth application-default login`"),
    ],
)  # fmt: skip
def test_a_dataset_that_cannot_be_had_is_told_with_what_to_do(
    client, through, proxy, status, reason, says, remedy
):
    name = client.address.dataset
    proxy.refuse(DATASET, status, reason, says.replace("DATASET", name))
    with pytest.raises(ConfigError) as caught:
        place(through)
    assert remedy.replace("DATASET", name) in caught.value.remedy


def test_a_dataset_that_lies_elsewhere_is_told_with_the_right_address(bigquery, bigquery_url):
    other = connect(bigquery_url.replace("=EU", "=US"), bigquery.environ)
    with pytest.raises(ConfigError, match="lies in EU, and the address says US") as caught:
        place(other)
    other.close()
    assert caught.value.remedy == f"Write {bigquery_url}."
    whatever = connect(bigquery_url.partition("?")[0], bigquery.environ)
    assert place(whatever) == "EU"
    whatever.close()
    small = connect(bigquery_url.replace("=EU", "=eu"), bigquery.environ)
    assert place(small) == "EU"
    small.close()


def test_a_dataset_that_deletes_its_tables_by_itself_is_refused(client, proxy, through):
    dataset = client.dataset()
    for name in ("default_table_expiration_ms", "default_partition_expiration_ms"):
        setattr(dataset, name, 60 * 86_400_000)
        client._google.update_dataset(dataset, [name], retry=None, timeout=60)
        with pytest.raises(ConfigError, match="deletes what is in") as caught:
            place(client)
        assert f"tcd-tests:{client.address.dataset}`" in caught.value.remedy
        dataset = client.dataset()
        setattr(dataset, name, None)
        client._google.update_dataset(dataset, [name], retry=None, timeout=60)
        dataset = client.dataset()
    assert place(client) == "EU"
