"""The BigQuery emulator of the tests' own; without its environment they are left out, loudly."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PLACE = ROOT / ".bigquery"
"""What `make setup-bigquery` builds."""
LEFT_OUT = "tests of BigQuery are left out"
PROJECT = "tcd-tests"
STARTING = 120.0
"""Seconds that the emulator may take to answer; it takes five on a machine at rest."""


def why_not() -> str | None:
    """Why there is no emulator here, None where there is one."""
    if (PLACE / ".installed").exists():
        return None
    note = PLACE / "left-out"
    return note.read_text().strip() if note.exists() else "`make setup-bigquery` was not run"


@dataclass(frozen=True)
class Emulator:
    """A BigQuery on this machine.

    Attributes:
        endpoint: its address, for REST.
        storage_endpoint: HOST:PORT of its Storage API, for gRPC.
    """

    endpoint: str
    storage_endpoint: str

    @property
    def environ(self) -> Mapping[str, str]:
        """What has this program ask the emulator."""
        return {
            "BIGQUERY_EMULATOR_HOST": self.endpoint,
            "BIGQUERY_STORAGE_EMULATOR_HOST": self.storage_endpoint,
        }


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def emulator(folder: Path) -> Iterator[Emulator]:
    """An emulator that keeps its data in a folder, until the end of the block."""
    rest, grpc = free_port(), free_port()
    log = folder / "emulator.log"
    words = ["--host", "127.0.0.1", "--port", rest, "--grpc-port", grpc]
    with log.open("wb") as out, subprocess.Popen(
        [PLACE / "venv/bin/local-bigquery", *map(str, words), "--data-dir", folder / "data"],
        env={"HOME": str(PLACE / "home"), "PATH": os.environ["PATH"]},
        cwd=folder, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT,
    ) as process:  # fmt: skip
        try:
            deadline = time.monotonic() + STARTING
            # The port is open before it answers, and it answers 500 where something is missing.
            while not _answers(f"http://127.0.0.1:{rest}/bigquery/v2/projects/{PROJECT}/datasets"):
                assert process.poll() is None, log.read_text()
                assert time.monotonic() < deadline, log.read_text()
                time.sleep(0.1)
            yield Emulator(f"http://127.0.0.1:{rest}", f"127.0.0.1:{grpc}")
            assert process.poll() is None, log.read_text()
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return answer.status == 200
    except (urllib.error.URLError, OSError):
        return False


@pytest.fixture(scope="session")
def _emulator(tmp_path_factory):
    with emulator(tmp_path_factory.mktemp("bigquery")) as started:
        yield started


@pytest.fixture
def bigquery(request):
    """The emulator: one for all tests of a process."""
    if reason := why_not():
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
