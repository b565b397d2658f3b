"""A run that BigQuery does not take now is pending, and everybody can read Google's reason."""

from __future__ import annotations

import json

import pytest

from tcdatalogger.services.duckdb.warehouse import DuckDBWarehouse
from tcdatalogger.services.google import refusals
from tcdatalogger.services.google.address import Address
from tcdatalogger.services.google.refusals import Refusal

MEMBERS = '[[endpoints]]\nname = "members"\npath = "/faction/members"\n'
QUOTA = "Quota exceeded: Your project exceeded quota for load jobs per day"
DENIED = "Access Denied: Table torn-1:d.t: Permission bigquery.tables.updateData denied on table"


@pytest.fixture
def refused(workplace, monkeypatch):
    """Runs an endpoint whose warehouse gives an answer of Google's."""
    workplace.write(MEMBERS, extra='[log]\nfile = "log.jsonl"\n')

    def run(refusal):
        failure = refusals.failure(refusal, Address("torn-1", "d"), "serviceAccount:a@b")

        def refuse(_self):
            raise failure

        monkeypatch.setattr(DuckDBWarehouse, "_connection", property(refuse))
        workplace.run("run", "members")
        lines = (workplace.folder / "log.jsonl").read_text(encoding="utf-8").splitlines()
        (logged,) = [line for line in map(json.loads, lines) if line["event"] == "run_pending"]
        return logged

    return run


@pytest.mark.parametrize(
    ("refusal", "reason"),
    [
        (Refusal("quotaExceeded", QUOTA, 403), "quotaExceeded"),
        (Refusal("HTTP 429", "", 429), "HTTP 429"),
        (Refusal("backendError", "Error encountered during execution.", 503), "backendError"),
    ],
)
def test_the_reason_is_in_the_record_in_status_and_in_the_log(workplace, refused, refusal, reason):
    logged = refused(refusal)

    assert logged["reason"] == reason
    (told,) = workplace.run("status", "--json").json["endpoints"]
    assert (told["pending"], told["last_run"]["status"]) == (1, "pending")
    assert f"({reason})" in told["last_run"]["error"]
    assert refusal.message.rstrip(".") in told["last_run"]["error"]
    assert f"BigQuery cannot do this now ({reason})" in workplace.run("status").out
    (run,) = workplace.run("runs", "--json").json
    shown = workplace.run("runs", "show", run["run_id"]).out
    assert f"({reason})" in shown
    assert "the next run of the endpoint stores them" in " ".join(shown.split())


def test_a_permission_that_was_withdrawn_leaves_it_pending_with_the_line_that_grants_it(
    workplace, refused
):
    refused(Refusal("accessDenied", DENIED, 403))

    (run,) = workplace.run("runs", "--json").json
    told = workplace.run("runs", "show", run["run_id"], "--json").json
    assert told["status"] == "pending"
    assert "roles/bigquery.dataEditor" in told["remedy"]
