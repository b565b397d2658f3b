"""The BigQuery emulator of the tests' own; without its environment they are left out, loudly."""

from __future__ import annotations

import re
import uuid

import bigquery_emulator
import pytest

LEFT_OUT = "tests of BigQuery are left out"
PROJECT = "tcd-tests"


@pytest.fixture(scope="session")
def _emulator(tmp_path_factory):
    with bigquery_emulator.emulator(tmp_path_factory.mktemp("bigquery")) as started:
        yield started


@pytest.fixture
def bigquery(request):
    """The emulator: one for all tests of a process."""
    if reason := bigquery_emulator.why_not():
        pytest.skip(f"{LEFT_OUT}: {reason}")
    return request.getfixturevalue("_emulator")


@pytest.fixture
def new_dataset(bigquery):
    """Makes empty datasets of a test's own, and gives their addresses."""
    from google.auth.credentials import AnonymousCredentials  # noqa: PLC0415 - takes a second
    from google.cloud import bigquery as google  # noqa: PLC0415

    asks = google.Client(PROJECT, AnonymousCredentials(),
                         client_options={"api_endpoint": bigquery.endpoint})  # fmt: skip
    made = []

    def make():
        dataset = google.Dataset(f"{PROJECT}.t{uuid.uuid4().hex[:12]}")
        dataset.location = "EU"
        asks.create_dataset(dataset, retry=None, timeout=60)
        made.append(dataset)
        return f"bigquery://{PROJECT}/{dataset.dataset_id}?location=EU"

    yield make
    for dataset in made:
        asks.delete_dataset(
            dataset, delete_contents=True, not_found_ok=True, retry=None, timeout=60
        )
    asks.close()


@pytest.fixture
def bigquery_url(new_dataset):
    """The address of an empty dataset of a test's own."""
    return new_dataset()


def pytest_terminal_summary(terminalreporter):
    said = [str(report.longrepr) for report in terminalreporter.stats.get("skipped", [])]
    reasons = [found[1] for text in said if (found := re.search(f"{LEFT_OUT}: ([^'\"]*)", text))]
    if reasons:
        terminalreporter.section("BIGQUERY WAS NOT TESTED", sep="!", red=True, bold=True)
        terminalreporter.line(f"{len(reasons)} {LEFT_OUT}: {reasons[0]}.", red=True)
        terminalreporter.line("`make setup-bigquery` builds what they need, on Python 3.13.")
