"""Clients of the emulator, straight and through a proxy that plants faults."""

from __future__ import annotations

import os

import pytest
from proxy import Proxy

from tcdatalogger.clock import ManualClock
from tcdatalogger.services.google.connect import connect


@pytest.fixture
def clock():
    """A client's clock: it does not wait."""
    return ManualClock()


@pytest.fixture
def client(bigquery, bigquery_url, clock):
    """A client of an empty dataset."""
    made = connect(bigquery_url, bigquery.environ, clock=clock)
    yield made
    made.close()


@pytest.fixture
def proxy(bigquery):
    with Proxy(bigquery.endpoint) as started:
        yield started


@pytest.fixture
def through(bigquery_url, proxy, clock):
    """A client of the same dataset that asks through the proxy."""
    made = connect(bigquery_url, {"BIGQUERY_EMULATOR_HOST": proxy.endpoint}, clock=clock)
    yield made
    made.close()


@pytest.fixture(autouse=True)
def _no_google(monkeypatch):
    """No test finds credentials or a project of whoever runs it."""
    for name in [name for name in os.environ if name.startswith(("GOOGLE_", "BIGQUERY_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("CLOUDSDK_CONFIG", "/nowhere")
    monkeypatch.setenv("NO_GCE_CHECK", "true")
