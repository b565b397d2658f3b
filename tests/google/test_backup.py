"""A dataset is backed up, into files or by snapshots, and goes on in another dataset."""

from __future__ import annotations

import json

import pytest

from tcdatalogger.core.operations.copy import summed, tables_of
from tcdatalogger.services.google.connect import connect, open_dataset

pytestmark = pytest.mark.slow

MEMBERS = """
[[endpoints]]
name = "faction_members"
path = "/faction/members"
"""
WHOLE = """select count(*) as n, count(distinct _run_id) as runs from faction_members
where server_timestamp >= timestamp '2026-01-01'"""


@pytest.fixture
def log(workplace, bigquery, new_dataset, monkeypatch):
    """Begins to log into a dataset, and gives its address."""

    def log(endpoints, *lines):
        for name, value in bigquery.environ.items():
            monkeypatch.setenv(name, value)
        url = new_dataset()
        workplace.write(endpoints)
        use(workplace, "\n".join([f'url = "{url}"', *lines]))
        did(workplace, "run", "faction_members")
        return url

    return log


def use(workplace, warehouse):
    """Change the lines of the warehouse in the configuration."""
    before, _, rest = workplace.file.read_text(encoding="utf-8").partition("[warehouse]\n")
    _, _, after = rest.partition("\n\n")
    workplace.file.write_text(f"{before}[warehouse]\n{warehouse}\n\n{after}", encoding="utf-8")


def did(workplace, *words):
    done = workplace.run(*words)
    assert done.code == 0, done.err
    return done


def rows(workplace):
    (found,) = did(workplace, "query", WHOLE, "--json").json
    return found["n"], found["runs"]


def content(url, bigquery):
    """What each column of each table of a dataset is known by, with the ledger."""
    with open_dataset(connect(url, bigquery.environ)) as warehouse:
        return {table.name: summed(warehouse, table).columns for table in tables_of(warehouse)}


def test_a_dataset_is_backed_up_and_goes_on_in_another_one(log, workplace, bigquery, new_dataset):
    first, second = log(MEMBERS, "require_partition_filter = true"), new_dataset()

    made = did(workplace, "backup", "--json").json
    found = did(
        workplace, "restore", made["folder"], "--to", "restored", "--warehouse", second, "--json"
    ).json

    assert made["tables"] == found["tables"]
    assert (made["tables"]["faction_members"], made["tables"]["_tcd_loads"]) == (30, 1)
    assert content(second, bigquery) == content(first, bigquery)
    use(workplace, found["settings"].removeprefix("[warehouse]\n"))
    workplace.clock.sleep(3600)
    did(workplace, "run", "faction_members")
    assert rows(workplace) == (60, 2)
    did(workplace, "rollback", "faction_members")
    assert rows(workplace) == (30, 1)
    assert (
        content(second, bigquery)["faction_members"] == content(first, bigquery)["faction_members"]
    )


def test_snapshots_are_listed_and_go_on_in_another_dataset(
    log, workplace, bigquery, new_dataset, lie, proxy, monkeypatch
):
    first, second = log(f'{MEMBERS}storage_mode = "replace"\n'), new_dataset()
    lie(one_less)
    workplace.clock.sleep(3600)
    did(workplace, "run", "faction_members")
    before = content(first, bigquery)
    assert "_tcd_former_faction_members" in before

    monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", proxy.endpoint)
    made = did(workplace, "backup", "--snapshots", "P30D", "--json").json
    monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", bigquery.endpoint)
    lie()
    did(workplace, "run", "faction_members")
    assert rows(workplace) == (30, 1)
    listed = did(workplace, "backup", "--list", "--json").json
    words = ("restore", "--snapshots", made["snapshots"], "--warehouse", second, "--json")
    found = did(workplace, *words).json

    assert listed == {"backups": [], "snapshots": [{k: v for k, v in made.items() if k != "made"}]}
    assert made["tables"]["faction_members"] == 29
    assert {"_tcd_loads", "_tcd_bigquery"} <= set(made["tables"])
    expiries = [each for call in proxy.calls if (each := expiry(call))]
    assert expiries == [made["expires_at"]] * len(made["tables"])
    assert content(second, bigquery) == before
    again = workplace.run(*words)
    assert (again.code, "has tables already" in again.err) == (2, True)
    use(workplace, found["settings"].removeprefix("[warehouse]\n"))
    did(workplace, "rollback", "faction_members")
    assert rows(workplace) == (30, 1)
    lie(one_less)
    workplace.clock.sleep(3600)
    did(workplace, "run", "faction_members")
    assert rows(workplace) == (29, 1)


def one_less(path, _params, body):
    """One member less than there are."""
    if path != "/faction/members":
        return None
    told = json.loads(body)
    told["members"].pop()
    return told


def expiry(call):
    """When a snapshot expires that a call to BigQuery makes, None where it makes none."""
    if call.method != "POST" or "/jobs" not in call.path or "upload" in call.path:
        return None
    job = call.json["configuration"].get("copy", {})
    return job["destinationExpirationTime"] if job.get("operationType") == "SNAPSHOT" else None
