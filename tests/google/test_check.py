"""`check` of a warehouse on BigQuery: what a run would stumble over, quotas and money."""

from __future__ import annotations

import json
import time

import pytest
from proxy import JOBS

from tcdatalogger.clock import ManualClock

ENDPOINT = """
[[endpoints]]
name = "faction_crimes"
path = "/faction/crimes"
frequency = "{}"
storage_mode = "{}"
"""


@pytest.fixture
def place(workplace, bigquery_url, proxy, monkeypatch):
    """A workplace whose warehouse is on BigQuery; it is asked through the proxy."""
    monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", proxy.endpoint)
    workplace.clock = ManualClock(time.time())  # the emulator has a clock of its own

    def write(frequency="PT15M", mode="append", extra="", url=bigquery_url):
        workplace.write(ENDPOINT.format(frequency, mode))
        told = workplace.file.read_text(encoding="utf-8")
        here = f'url = "{url}"\n{extra}'
        workplace.file.write_text(
            told.replace('url = "duckdb:///torn.duckdb"', here), encoding="utf-8"
        )

    write()
    workplace.configure = write
    return workplace


def check(place, *words):
    """The findings of a check, the first of each part."""
    told = place.run("check", "--json", *words).json["findings"]
    return {one["part"]: one for one in reversed(told)}


def test_the_dataset_and_what_may_be_done_in_it_are_told(place, client):
    found = check(place)

    assert found["warehouse"]["says"] == f"{client.address} in EU, on BigQuery"
    assert [found[f"{what} of warehouse"]["ok"] for what in ("jobs", "tables")] == [True, True]
    assert client.tables() == []


def test_offline_bigquery_is_not_asked(place, client, proxy):
    found = check(place, "--offline")

    assert found["warehouse"]["says"] == f"{client.address} of BigQuery, which was not asked"
    assert found["warehouse"]["ok"]
    assert proxy.calls == []


def test_each_missing_permission_is_told_and_no_table_is_looked_at(place, client, proxy):
    proxy.refuse(JOBS, 403, "accessDenied", "User does not have bigquery.jobs.create permission",
                 times=9)  # fmt: skip
    proxy.refuse("POST .*/tables", 403, "accessDenied", "Permission bigquery.tables.create denied")

    done = place.run("check", "--json")

    wrong = {one["part"]: one["remedy"] for one in done.json["findings"] if not one["ok"]}
    assert list(wrong) == ["jobs of warehouse", "tables of warehouse"]
    assert "--role=roles/bigquery.jobUser`" in wrong["jobs of warehouse"]
    assert f"`tcd-tests`.{client.address.dataset} TO" in wrong["tables of warehouse"]
    assert done.code == 78


def test_a_dataset_that_is_not_there_is_told_once_with_the_line_that_makes_it(place):
    place.configure(url="bigquery://tcd-tests/nowhere?location=EU")

    (wrong,) = [one for one in place.run("check", "--json").json["findings"] if not one["ok"]]

    assert wrong["part"] == "warehouse"
    assert "`bq --location=EU mk --dataset tcd-tests:nowhere`" in wrong["remedy"]


def test_without_credentials_and_with_wrong_ones_it_is_told_how_to_give_some(
    place, proxy, monkeypatch
):
    monkeypatch.delenv("BIGQUERY_EMULATOR_HOST")
    assert "gcloud auth application-default login" in check(place)["warehouse"]["remedy"]
    place.configure(extra='credentials = "env:TCD_GOOGLE"\n')
    assert "TCD_GOOGLE" in check(place)["warehouse"]["problem"]
    monkeypatch.setenv("TCD_GOOGLE", '{"type": "sesame"}')
    refused = check(place)["warehouse"]
    assert "of a type that does not work here" in refused["problem"]
    assert "sesame" not in str(refused)
    assert proxy.calls == []


def test_what_is_for_the_other_kind_of_warehouse_is_told(place, workplace):
    place.configure(extra='encryption_key = "env:TCD_WAREHOUSE_KEY"\n')
    says = [one["says"] for one in place.run("check", "--offline", "--json").json["findings"]]
    assert "`encryption_key`: for DuckDB; BigQuery makes no use of it" in says

    place.configure(url="duckdb:///torn.duckdb", extra='partition = "day"\nkms_key = "projects/p/'
                    'locations/l/keyRings/r/cryptoKeys/k"\n')  # fmt: skip
    done = workplace.run("check", "--offline", "--json")
    says = [one["says"] for one in done.json["findings"] if one["warning"]]
    assert says == ["`partition`, `kms_key`: for BigQuery; DuckDB makes no use of it"]
    assert done.code == 0


# --- quotas and money ----------------------------------------------------------------------------


def test_a_usual_schedule_is_within_the_quotas(place):
    found = check(place)

    assert found["quota of a table"]["says"] == (
        "faction_crimes is written to 96 times a day, more than any other table; up to 1,000 are "
        "well"
    )
    assert found["quota of the project"]["says"] == "288 load jobs a day; up to 66,666 are well"
    assert [found[part]["warning"] for part in ("quota of a table", "quota of the project")] == [
        False, False,
    ]  # fmt: skip


def test_a_table_that_is_written_to_too_often_is_told_with_who_does_it(place):
    place.configure("PT1M")

    found = check(place)["quota of a table"]

    assert found["warning"]
    assert "faction_crimes is written to 1,440 times a day" in found["says"]
    assert "Give faction_crimes a longer `frequency`" in found["says"]


def test_more_load_jobs_than_google_allows_are_wrong(place):
    place.configure("PT2S")

    found = check(place)["quota of the project"]

    assert found["problem"] == (
        "The schedule needs 129,600 load jobs a day, and Google allows a project 100,000."
    )
    place.configure("PT3S")
    assert check(place)["quota of the project"]["warning"]


def test_what_runs_by_hand_takes_nothing_of_a_quota(place):
    told = place.file.read_text(encoding="utf-8")
    place.file.write_text(told.replace('frequency = "PT15M"', ""), encoding="utf-8")

    assert {"quota of a table", "quota of the project", "cost"} & check(place).keys() == set()


def test_what_merges_read_of_large_tables_is_told_with_its_price_and_how_to_lower_it(place, proxy):
    large = {
        "kind": "bigquery#table", "numBytes": str(50 * 2**30), "schema": {"fields": []},
        "tableReference": {"projectId": "tcd-tests", "datasetId": "d", "tableId": "x"},
    }  # fmt: skip
    place.configure(mode="merge")
    proxy.plant(r"GET .*/tables/faction_crimes(\?|$)", "answer", times=9, status=200,
                body=json.dumps(large).encode())  # fmt: skip

    found = check(place)["cost"]

    # 96 runs a day, 365.25 / 12 days, three times 50 GiB, and 10 MiB 86 times
    assert found["says"].startswith(
        "at most 429.6 TiB read in a month, 429.6 TiB by faction_crimes"
    )
    assert ": up to 2,679 US dollars on demand" in found["says"]
    assert "To lower it: a longer `frequency`; append instead of merge" in found["says"]
    assert found["warning"]


def test_what_is_free_is_not_warned_of(place):
    place.configure("P1D")
    found = check(place)["cost"]
    assert found["says"].endswith("; 1.0 TiB are free")
    assert not found["warning"]
