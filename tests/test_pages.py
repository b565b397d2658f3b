"""What the pages show runs: every block of shell, SQL and Python, in order, against a sandbox."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import docs_site
import pytest

from page_blocks import ROOT, Block, run_here, scene
from tcdatalogger.sandbox.api.city import Rules
from tcdatalogger.sandbox.api.server import Sandbox

RUN = run_here()
FIRST_TOOL = ROOT / "tests/cli/first_tool"
KEY = "sandboxFull00001"
FREE = Rules(per_user=10**6, per_address=10**6)
PORTS = ("8642", "9464", "8765")
"""Ports that the pages name; each is another, free one in a test."""
BEGUN = 60
"""Seconds for a program that goes on to say that it has begun."""


BUILT = docs_site.ZENSICAL.parent.parent / ".installed"


@pytest.mark.slow
@pytest.mark.skipif(not BUILT.exists(), reason="`make docs` sets up zensical")
def test_the_site_is_built_strictly_and_asks_nobody_for_anything():
    done = subprocess.run(
        [sys.executable, ROOT / "scripts/docs_site.py"],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def torn():
    """A Torn City whose time is now."""
    with Sandbox(seed=7, start=time.time(), rules=FREE) as city:
        yield city


class Channel(BaseHTTPRequestHandler):
    """Takes what is posted, as a channel of Discord does."""

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_words):
        pass


@pytest.fixture(scope="module")
def channel():
    """The address of a webhook."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Channel) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/webhook"
        server.shutdown()


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [str(each.getsockname()[1]) for each in sockets]
    for each in sockets:
        each.close()
    return ports


@pytest.fixture(scope="module")
def variables(torn, channel, tmp_path_factory):
    """The environment of a reader who has a key."""
    taken = {name: value for name, value in os.environ.items() if not name.startswith("TCD")}
    taken.pop("PYTHONPATH", None)  # tests/bare, which hides pandas
    tools = Path(sys.executable).parent
    return {
        **taken,
        "PATH": f"{tools}{os.pathsep}{taken['PATH']}",
        "HOME": str(tmp_path_factory.mktemp("home")),
        "TORN_API_KEY": KEY,
        "TCDATALOGGER_TORN__URL": torn.url,
        "DISCORD_WEBHOOK": channel,
    }


@pytest.fixture(scope="module")
def logged(variables, tmp_path_factory):
    """A folder with a faction that was logged once."""
    folder = tmp_path_factory.mktemp("logged")
    for words in (["init", "--for", "faction"], ["run", "--all"]):
        subprocess.run(
            ["tcdatalogger", *words],
            cwd=folder, env=variables, check=True, capture_output=True, stdin=subprocess.DEVNULL,
        )  # fmt: skip
    return folder


def prepare(name, folder, variables, request):
    """Make what a page says is there."""
    match name:
        case "an empty folder":
            pass
        case "an empty folder, and Torn itself":
            del variables["TCDATALOGGER_TORN__URL"], variables["TORN_API_KEY"]
        case "a logged faction":
            shutil.copytree(request.getfixturevalue("logged"), folder, dirs_exist_ok=True)
        case "the folder of the first tool, and a logged faction":
            shutil.copytree(request.getfixturevalue("logged"), folder, dirs_exist_ok=True)
            there = folder.parent / "TCdatalogger/config"
            there.mkdir(parents=True)
            for file in FIRST_TOOL.glob("*.json"):
                shutil.copy(file, there)
        case _:
            raise AssertionError(f"there is no scene {name!r}")


def script(block: Block, number: int, folder: Path) -> str:
    """The lines of shell that do what a reader of a block does."""
    file = folder.parent / "blocks" / f"{number}.{block.language}"
    file.parent.mkdir(exist_ok=True)
    file.write_text(block.text, encoding="utf-8")
    path = shlex.quote(str(file))
    lines = [f"printf '\\n== %s\\n' {shlex.quote(str(block))} >&2"]
    if target := block.says.get("appended to"):
        lines.append(f"cat {path} >>{shlex.quote(target)}")
    elif target := block.says.get("written to"):
        lines.append(f"mkdir -p $(dirname {target}); cp {path} {shlex.quote(target)}")
    elif text := block.says.get("runs on until"):
        said = shlex.quote(f"{file}.out")
        lines.append(f"bash -eu {path} >{said} 2>&1 &")
        lines.append(
            f"for _ in $(seq {BEGUN * 10}); do grep -q -- {shlex.quote(text)} {said} && break; "
            f"kill -0 $! || {{ cat {said}; exit 1; }}; sleep 0.1; done\n"
            f"grep -q -- {shlex.quote(text)} {said} || {{ cat {said}; exit 1; }}"
        )
    elif code := block.says.get("exit code"):
        lines.append(f"code=0; bash -eu {path} || code=$?; [ $code = {code} ]")
    elif block.language == "sh":
        lines.append(block.text)
    elif block.language == "sql":
        lines.append(f'tcdatalogger query -- "$(cat {path})"')
    elif block.language == "python":
        lines.append(f"python -W error::SyntaxWarning {path}")
    return "\n".join(lines)


PAGES = sorted({b.page for b in RUN if b.language != "toml" or "appended to" in b.says})


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES)
def test_the_blocks_of_a_page_run_one_after_the_other(page, variables, tmp_path, request):
    folder = tmp_path / "here"
    folder.mkdir()
    environ = dict(variables)
    prepare(scene(ROOT / page), folder, environ, request)
    ports = dict(zip(PORTS, free_ports(len(PORTS)), strict=True))
    environ["TCDATALOGGER_METRICS__LISTEN"] = f"127.0.0.1:{ports['9464']}"
    environ["TCDATALOGGER_UI__LISTEN"] = f"127.0.0.1:{ports['8765']}"
    parts = ["set -euo pipefail"]
    for number, block in enumerate(RUN):
        if block.page == page:
            text = block.text.replace("YOUR_KEY", KEY)
            for port, other in ports.items():
                text = text.replace(port, other)
            told = Block(block.page, block.line, block.language, text, block.says)
            parts.append(script(told, number, folder))

    done, said = run_all("\n".join(parts), folder, environ)

    assert done == 0, said[-6_000:]
    assert "Traceback" not in said


def run_all(text, folder, environ):
    """The exit code of a script, and all that it said; what it has begun ends with it."""
    with subprocess.Popen(
        ["bash", "-c", text], cwd=folder, env=environ, text=True, start_new_session=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    ) as shell:  # fmt: skip
        try:
            said = []
            reader = threading.Thread(target=lambda: said.extend(shell.stdout))
            reader.start()
            code = shell.wait(timeout=300)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(shell.pid, signal.SIGTERM)
            reader.join(timeout=15)
            with suppress(ProcessLookupError):
                os.killpg(shell.pid, signal.SIGKILL)
            reader.join(timeout=15)
    return code, "".join(said)
