"""The BigQuery emulator of the tests' own; without its environment they are left out, loudly.

Tests marked `bigquery_live` ask Google instead, in a project that a variable names: by its default
credentials, in datasets of their own that expire. They are left out without it.
"""

from __future__ import annotations

import os
import re
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import bigquery_emulator
import pytest
from layers import Layers

TESTS = 12
"""Tests for which an emulator lives."""
LEFT_OUT = "tests of BigQuery are left out"
PROJECT = "tcd-tests"
LIVE = "TCD_BIGQUERY_LIVE_PROJECT"
"""The variable that names a project in which tests may make datasets."""
EXPIRES = timedelta(hours=2)
"""Tables of Google's that a test leaves behind are deleted then."""
LAYERS = pytest.StashKey[Layers]()


class _Emulators:
    """One emulator at a time, a new one for some tests: it keeps all answers, and slows down.

    Args:
        folder: for their data.
    """

    def __init__(self, folder: Path) -> None:
        self._folder, self._open = folder, ExitStack()
        self._tests = 0

    def next(self) -> bigquery_emulator.Emulator:
        """The emulator for the next test."""
        if self._tests % TESTS == 0:
            self.close()
            folder = self._folder / str(self._tests)
            folder.mkdir()
            self._now = self._open.enter_context(bigquery_emulator.emulator(folder))
        self._tests += 1
        return self._now

    def close(self) -> None:
        """End the one that runs."""
        self._open.close()


@pytest.fixture(scope="session")
def _emulators(tmp_path_factory):
    with closing(_Emulators(tmp_path_factory.mktemp("bigquery"))) as made:
        yield made


@contextmanager
def datasets(asks: Any, expires: timedelta | None = None) -> Iterator[Callable[[], str]]:
    """Makes empty datasets, which are deleted at the end of the block, and gives their addresses.

    Args:
        asks: a client of Google's library.
        expires: when the tables that are made in them are deleted by BigQuery; None for never.
    """
    from google.cloud import bigquery as google  # noqa: PLC0415 - takes a second

    made = []

    def make() -> str:
        dataset = google.Dataset(f"{asks.project}.t{uuid.uuid4().hex[:12]}")
        dataset.location = "EU"
        if expires is not None:
            dataset.default_table_expiration_ms = expires // timedelta(milliseconds=1)
        asks.create_dataset(dataset, retry=None, timeout=60)
        made.append(dataset)
        return f"bigquery://{asks.project}/{dataset.dataset_id}?location=EU"

    yield make
    for dataset in made:
        asks.delete_dataset(
            dataset, delete_contents=True, not_found_ok=True, retry=None, timeout=60
        )
    asks.close()


@pytest.fixture
def layers(request):
    """What is done with each text of SQL that a test sends."""
    return request.config.stash[LAYERS]


@pytest.fixture
def bigquery(request, layers):
    """The emulator: one for some tests of a process; what is sent to it is analysed."""
    from google.auth.credentials import AnonymousCredentials  # noqa: PLC0415 - takes a second
    from google.cloud import bigquery as google  # noqa: PLC0415

    if reason := bigquery_emulator.why_not():
        pytest.skip(f"{LEFT_OUT}: {reason}")
    started = request.getfixturevalue("_emulators").next()
    layers.counts.tests += 1
    asks = google.Client(PROJECT, AnonymousCredentials(),
                         client_options={"api_endpoint": started.endpoint})  # fmt: skip
    with closing(asks), layers.watching(asks):
        yield started


@pytest.fixture
def new_dataset(bigquery):
    """Makes empty datasets of a test's own, and gives their addresses."""
    from google.auth.credentials import AnonymousCredentials  # noqa: PLC0415 - takes a second
    from google.cloud import bigquery as google  # noqa: PLC0415

    asks = google.Client(PROJECT, AnonymousCredentials(),
                         client_options={"api_endpoint": bigquery.endpoint})  # fmt: skip
    with datasets(asks) as make:
        yield make


@pytest.fixture
def new_live_dataset(layers, monkeypatch):
    """Makes empty datasets of a test's own at Google, and gives their addresses."""
    from google.cloud import bigquery as google  # noqa: PLC0415 - takes a second

    from tcdatalogger.services.google.access import find  # noqa: PLC0415

    monkeypatch.delenv("BIGQUERY_EMULATOR_HOST", raising=False)  # Google's library knows it too
    asks = google.Client(os.environ[LIVE], find({}).credentials)
    layers.counts.live += 1
    with layers.watching(asks), datasets(asks, EXPIRES) as make:
        yield make


@pytest.fixture
def evaluated(bigquery, layers):
    """What is asked is answered by Google's evaluator too, and the answers are compared."""
    layers.evaluating = True


@pytest.fixture
def wrong_sql(bigquery, layers):
    """For tests that send what BigQuery has to refuse."""
    layers.wrong = True


@pytest.fixture
def bigquery_url(new_dataset):
    """The address of an empty dataset of a test's own."""
    return new_dataset()


def pytest_configure(config):
    config.stash[LAYERS] = Layers()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config, items):
    if os.environ.get(LIVE):
        return
    live = [item for item in items if item.get_closest_marker("bigquery_live")]
    if live:
        items[:] = [item for item in items if item not in live]
        config.hook.pytest_deselected(items=live)


def pytest_deselected(items):
    live = [item for item in items if item.get_closest_marker("bigquery_live")]
    if live:
        live[0].config.stash[LAYERS].counts.left_out += len(live)


def pytest_sessionfinish(session):
    if hasattr(session.config, "workeroutput"):  # a process of xdist
        session.config.workeroutput["layers"] = session.config.stash[LAYERS].counts.told()


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node):
    node.config.stash[LAYERS].counts.add(getattr(node, "workeroutput", {}).get("layers", {}))


def pytest_terminal_summary(terminalreporter, config):
    said = [str(report.longrepr) for report in terminalreporter.stats.get("skipped", [])]
    reasons = [found[1] for text in said if (found := re.search(f"{LEFT_OUT}: ([^'\"]*)", text))]
    if reasons:
        terminalreporter.section("BIGQUERY WAS NOT TESTED", sep="!", red=True, bold=True)
        terminalreporter.line(f"{len(reasons)} {LEFT_OUT}: {reasons[0]}.", red=True)
        terminalreporter.line("`make setup-bigquery` builds what they need, on Python 3.13.")
    counts = config.stash[LAYERS].counts
    if counts.tests or counts.live or counts.left_out:
        terminalreporter.section("BigQuery")
        terminalreporter.line(
            f"{counts.tests} tests on the emulator, {counts.live} in a project of Google's; "
            f"{counts.sent} texts of SQL sent, {len(counts.texts)} different ones analysed, "
            f"{len(counts.evaluated)} of them evaluated."
        )
    if counts.left_out:
        why = "were not chosen" if os.environ.get(LIVE) else f"{LIVE} names no project"
        terminalreporter.line(f"{counts.left_out} tests marked bigquery_live are left out: {why}.")
