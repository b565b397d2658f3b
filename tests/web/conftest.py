"""The pages of an installation, asked as a browser asks."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import known_faction
import pytest
from installation import HEAD, known_endpoints
from starlette.testclient import TestClient

from tcdatalogger.clock import ManualClock
from tcdatalogger.core.config import configuration
from tcdatalogger.core.main import Application
from tcdatalogger.questions import question
from tcdatalogger.web.app import create_app, make_context, who_may
from tcdatalogger.web.context import Context

ENVIRON = {
    "TORN_API_KEY": "a" * 16,
    "OWNER": "owner-password-1",
    "OFFICER": "officer-password-2",
    "MEMBER": "member-password-3",
    "TOKEN": "token-of-a-member-4",
}
ENDPOINTS = known_endpoints()


@dataclass(frozen=True)
class Site:
    """The pages, what they are made from, and their clock."""

    client: TestClient
    context: Context
    clock: ManualClock
    file: Path

    def read(self) -> None:
        """Let the cache read all that pages want, as its thread does by itself."""
        for _ in range(200):
            pause = self.context.cache.refresh()
            if pause > 5:
                return
            self.clock.sleep(pause)

    def get(self, path: str, **given) -> str:
        """A page after its answers were read."""
        self.client.get(path, **given)
        self.read()
        answer = self.client.get(path, **given)
        assert answer.status_code == 200, (path, answer.status_code, answer.text)
        return answer.text


@pytest.fixture
def unread(monkeypatch):
    """Pages that do not wait for what was never read: no thread reads it here."""
    monkeypatch.setattr("tcdatalogger.web.cards.WAIT", 0.0)
    monkeypatch.setattr("tcdatalogger.web.pages.PATIENCE", 0.0)
    monkeypatch.setattr("tcdatalogger.web.sql.WAIT", 0.0)


@pytest.fixture(scope="session")
def warehouse(tmp_path_factory) -> Path:
    """The warehouse of the known faction."""
    file = tmp_path_factory.mktemp("pages") / "torn.duckdb"
    known_faction.fill(file)
    return file


@contextmanager
def opened(
    folder: Path,
    file: Path,
    toml: str = "",
    *,
    endpoints: str = ENDPOINTS,
    base: str = "https://localhost",
    questions: Mapping[str, str] | None = None,
    environ: Mapping[str, str] | None = None,
) -> Iterator[Site]:
    """The pages of a warehouse; nobody reads for them until `Site.read`."""
    (folder / "questions").mkdir()
    for name, text in (questions or {}).items():
        (folder / "questions" / f"{name}.sql").write_text(text, "utf-8")
    config = folder / "tcdatalogger.toml"
    config.write_text(
        f'[warehouse]\nurl = "duckdb:///{file}"\n\n{HEAD}{toml}\n{endpoints}', "utf-8"
    )
    environ = {**ENVIRON, **(environ or {})}
    settings = configuration.load(config, environ)
    clock = ManualClock(float(known_faction.LATER))
    with ExitStack() as stack:
        application = stack.enter_context(Application(settings, clock=clock, environ=environ))
        context = make_context(application, question.known(folder / "questions"))
        stack.callback(context.close)
        app = create_app(context, who_may(application))
        client = stack.enter_context(TestClient(app, base_url=base, follow_redirects=False))
        yield Site(client, context, clock, file)


@pytest.fixture
def open_site(tmp_path) -> Iterator[Callable[..., Site]]:
    """Opens the pages of a warehouse (`opened`)."""
    numbers = itertools.count()
    with ExitStack() as stack:

        def open_one(file: Path, toml: str = "", **given) -> Site:
            folder = tmp_path / f"site-{next(numbers)}"
            folder.mkdir()
            return stack.enter_context(opened(folder, file, toml, **given))

        yield open_one


@pytest.fixture
def site(open_site, warehouse) -> Site:
    """The pages of the known faction."""
    return open_site(warehouse)
