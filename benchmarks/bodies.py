"""Pages for benchmarks: files of JSON for everybody, and the same bytes as an archived run for us.

    python benchmarks/bodies.py KIND PAGES FOLDER [--runs N] [--times N]

KIND is `crimes`, `members` or `items`. The records are those of a city of the sandbox, over and
over, each with an id of its own: 100 crimes or members a page, about 1,400 items. FOLDER gets
`pages/page_00000.json` and so on, and `project/` with a configuration and an archive. With
`--runs`, the pages are dealt to so many runs, each a second after the one before. With `--times`,
every page is there so many times, as where a list moves while it is read.
"""

from __future__ import annotations

import argparse
import itertools
import json
from pathlib import Path

import httpx2

from tcdatalogger.core.archive import ArchivedCall
from tcdatalogger.core.config import configuration
from tcdatalogger.core.main import Application
from tcdatalogger.core.run.fetched import FetchHeader
from tcdatalogger.sandbox.api.server import START, Sandbox
from tcdatalogger.services.torncity.client.messages import Answer, Request

KINDS = {
    "crimes": ("/faction/crimes", 100),
    "members": ("/faction/members", 100),
    "items": ("/torn/items", 1_400),
}
FACTION = 40_832
CONFIGURATION = """\
[warehouse]
url = "duckdb:///torn.duckdb"
[archive]
path = "archive"
[keys]
default = "env:NO_SUCH_KEY"
[[endpoints]]
name = "{name}"
path = "{path}"
timeout = "PT1H"
memory = "8GB"
"""


def records(kind: str) -> list[dict]:
    """The records of a city, all of the first pages of the list."""
    path, _ = KINDS[kind]
    with Sandbox(seed=1) as city:
        headers = {"Authorization": f"ApiKey {city.keys['full']}"}
        found: list[dict] = []
        for offset in range(0, 1_000, 100):
            params = {"limit": "100", "offset": str(offset)} if kind == "crimes" else {}
            body = httpx2.get(city.url + path, params=params, headers=headers).json()
            found += body[kind]
            if kind != "crimes" or len(body[kind]) < 100:
                return found
        return found


def pages(kind: str, count: int, url: str = "https://api.torn.com/v2") -> list[bytes]:
    """As many pages; no id is there twice, and each page of crimes links to the next."""
    again = itertools.cycle(records(kind))
    path, size = KINDS[kind]
    ids = itertools.count(1)
    made = []
    for number in range(count):
        body: dict = {kind: [{**next(again), "id": next(ids)} for _ in range(size)]}
        if kind == "crimes":
            following = f"{url}{path}?limit={size}&offset={size * (number + 1)}"
            more = following if number + 1 < count else None
            body["_metadata"] = {"links": {"next": more, "prev": None}}
        made.append(json.dumps(body, separators=(",", ":")).encode())
    return made


def archived(kind: str, bodies: list[bytes], folder: Path, runs: int) -> None:
    """A project whose archive has the pages as those of so many runs."""
    folder.mkdir(parents=True)
    path, _ = KINDS[kind]
    file = folder / "tcdatalogger.toml"
    name = path.strip("/").replace("/", "_")
    file.write_text(CONFIGURATION.format(name=name, path=path), encoding="utf-8")
    subject = None if kind == "items" else FACTION
    with Application(configuration.load(file, {})) as application:
        [endpoint] = application.settings.endpoints
        task = application.task(endpoint)
        for number in range(runs):
            at = START + number
            calls = [
                ArchivedCall(Answer(Request(path), 200, body, at, at, 0.1, ()), subject)
                for body in bodies[number::runs]
            ]
            header = FetchHeader(whole=True, stores=True, asked=task.asked, at=at)
            run_id = (
                f"20260101T{number // 3600:02}{number // 60 % 60:02}{number % 60:02}Z-{number:08x}"
            )
            application.archive.write(run_id, name, calls, header.facts())


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("kind", choices=KINDS)
    arguments.add_argument("pages", type=int)
    arguments.add_argument("folder", type=Path)
    arguments.add_argument("--runs", type=int, default=1)
    arguments.add_argument("--times", type=int, default=1)
    chosen = arguments.parse_args()
    bodies = pages(chosen.kind, chosen.pages) * chosen.times
    archived(chosen.kind, bodies, chosen.folder / "project", chosen.runs)
    (chosen.folder / "pages").mkdir()
    for number, body in enumerate(bodies):
        (chosen.folder / "pages" / f"page_{number:05}.json").write_bytes(body)


if __name__ == "__main__":
    main()
