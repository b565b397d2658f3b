"""How much memory and CPU a run and a rebuild take as they grow.

    python benchmarks/memory.py [--pages 100 500 1500] [--large] [--modes append merge]

Pages of `/faction/crimes` come from the sandbox, 100 crimes each, and no crime twice. `rebuild` is
the command, with the archive of one run; `run` asks a server of this machine, with a budget that
lets no call wait. Each is a fresh process, and is measured as a whole, with start and imports: its
CPU (user and system), and the most memory that it had at once. `--large` adds 10,000 pages.
"""

# ruff: noqa: PLC0415 - what a process imports is measured too

from __future__ import annotations

import argparse
import functools
import http.server
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

PATH = "/faction/crimes"
FACTION = 40832
KEY = {"access": {"level": 4, "type": "Full", "faction": True, "company": True}}
KEY["user"] = {"id": 1, "faction_id": FACTION, "company_id": None}
CONFIGURATION = """
[warehouse]
url = "duckdb:///torn.duckdb"

[archive]
path = "archive"

[torn]
url = "{url}"

[keys]
default = "env:TCD_BENCHMARK"

[[endpoints]]
name = "crimes"
path = "/faction/crimes"
storage_mode = "{mode}"
incremental = false
"""


@functools.cache
def city_pages():
    """The crimes of the first full pages of a city."""
    import httpx2

    from tcdatalogger.sandbox.api.server import Sandbox

    with Sandbox(seed=1) as city:
        headers = {"Authorization": f"ApiKey {city.keys['full']}"}
        found = []
        while not found or len(found[-1]) == 100:
            at = str(100 * len(found))
            params = {"limit": "100", "offset": at, "timestamp": at, "cat": "completed"}
            answer = httpx2.get(city.url + PATH, params=params, headers=headers).json()
            found.append(answer.get("crimes") or sys.exit(f"The sandbox says {answer}."))
        return found[:-1]


def page(number, last):
    """A page of crimes with ids of their own, and the link to the next one."""
    crimes = city_pages()[number % len(city_pages())]
    crimes = [{**crime, "id": 1 + 100 * number + at} for at, crime in enumerate(crimes)]
    onward = None if last else f"https://api.torn.com/v2{PATH}?cat=all&offset={number + 1}"
    body = {"crimes": crimes, "_metadata": {"links": {"next": onward, "prev": None}}}
    return json.dumps(body, separators=(",", ":")).encode()


def serve(pages):
    """Answer as Torn does, at any port, whose address is printed."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_words):
            pass

        def do_GET(self):
            asked = urlsplit(self.path)
            number = int(parse_qs(asked.query).get("offset", ["0"])[0])
            body = json.dumps({"info": {**KEY, "selections": {}}}).encode()
            if not asked.path.endswith("/key/info"):
                body = page(number, number == pages - 1)
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    megabytes = pages * len(page(0, last=True)) / 1e6
    print(f"http://127.0.0.1:{server.server_port} {megabytes}", flush=True)
    server.serve_forever()


def application():
    """The program of the configuration in this folder."""
    from tcdatalogger.core.config import configuration
    from tcdatalogger.core.main import Application

    settings = configuration.load(Path("tcdatalogger.toml"), {})
    return Application(settings, environ={"TCD_BENCHMARK": "a" * 16})


def fill(pages):
    """Write the archive of one run."""
    from tcdatalogger.core.archive import ArchivedCall
    from tcdatalogger.core.run.fetched import FetchHeader
    from tcdatalogger.services.torncity.client.messages import Answer, KeptAnswer, Request

    with application() as program:
        task = program.task(program.chosen(["crimes"])[0])
        scratch, kept = program.archive.scratch(), []
        for number in range(pages):
            request = Request(PATH, (("cat", "all"), ("offset", str(number))))
            answer = Answer(request, 200, b"", 1.76e9 + number, 1.76e9 + number, 0.1)
            body = scratch.put(page(number, last=True))
            kept.append(ArchivedCall(KeptAnswer(answer, body), FACTION))
        header = FetchHeader(whole=True, stores=True, asked=task.asked, at=1.76e9)
        program.archive.write("20260101T000000Z-00000000", "crimes", kept, header.facts())


def run():
    """Run the endpoint once, without waiting for the budget of calls."""
    from tcdatalogger import memory, without_pandas

    memory.keep_little()
    without_pandas.begin(())
    from tcdatalogger.services.torncity.client.budget import Budget

    with application() as program:
        many = {"owner_calls": 10**6, "address_calls": 10**6}
        program.budget = Budget(program.state.call_slots, program.clock, window=0.01, **many)
        print(json.dumps(dict(program.run(program.chosen(["crimes"])[0]).raise_for_error().rows)))


def measured(command, folder):
    """CPU seconds and megabytes of a process, and its last line."""
    with tempfile.TemporaryFile("w+") as out:
        environ = {**os.environ, "TCD_BENCHMARK": "a" * 16}
        process = subprocess.Popen(command, cwd=folder, stdout=out, env=environ)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        lines = out.read().splitlines()
    if process.returncode:
        raise SystemExit("\n".join(lines))
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, lines[-1]


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--pages", type=int, nargs="+", default=[100, 500, 1500])
    parser.add_argument("--large", action="store_true")
    parser.add_argument("--modes", nargs="+", default=["append"])
    parser.add_argument("--what", nargs="+", default=["rebuild", "run"])
    parser.add_argument("--work", nargs="+")
    chosen = parser.parse_args()
    if chosen.work:
        what, *pages = chosen.work
        {"serve": serve, "fill": fill, "run": run}[what](*map(int, pages))
        return
    me = [sys.executable, str(Path(__file__).resolve()), "--work"]
    print("mode    what      pages      MB    CPU s  peak MB")
    for mode in chosen.modes:
        for pages in [*chosen.pages, *([10_000] if chosen.large else [])]:
            for what in chosen.what:
                with tempfile.TemporaryDirectory() as folder:
                    size, cpu, peak = once(me, what, pages, mode, Path(folder))
                print(f"{mode:7} {what:8} {pages:6} {size:7.1f} {cpu:8.2f} {peak:8.0f}", flush=True)


def once(me, what, pages, mode, folder):
    """Megabytes of bodies, and CPU seconds and megabytes of the process that stores them."""
    server = subprocess.Popen([*me, "serve", str(pages)], stdout=subprocess.PIPE, text=True)
    try:
        url, size = server.stdout.readline().split()
        configuration = CONFIGURATION.format(url=url, mode=mode)
        (folder / "tcdatalogger.toml").write_text(configuration)
        if what == "run":
            return float(size), *measured([*me, "run"], folder)[:2]
        subprocess.run([*me, "fill", str(pages)], cwd=folder, check=True)
        command = [sys.executable, "-m", "tcdatalogger", "rebuild", "crimes"]
        return float(size), *measured(command, folder)[:2]
    finally:
        server.kill()
        server.wait()


if __name__ == "__main__":
    main()
