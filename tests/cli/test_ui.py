"""`tcdatalogger ui`: a process of its own, from its start to its end."""

from __future__ import annotations

import contextlib
import re
import signal
import socket
import ssl
import subprocess
import time
from pathlib import Path

import httpx2
import pytest

from shared import PROGRAM, rest_slow


def fill(place):
    assert place.run("run", "--all").code == 0


@contextlib.contextmanager
def begun(place, *words):
    """The process and the address that it prints."""
    with subprocess.Popen(
        [*PROGRAM, "ui", *words], cwd=place.folder, env=place.outside(), text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        try:
            line = process.stdout.readline()
            found = re.fullmatch(r"The pages: (https?://\S+/)\n", line)
            assert found, (line, process.poll() is not None and process.stderr.read())
            yield process, found[1]
        finally:
            process.kill()


@pytest.mark.parametrize(
    ("number", "code"), rest_slow([(signal.SIGTERM, 143), (signal.SIGINT, 130)])
)
def test_it_shows_what_was_logged_and_ends_by_a_signal(workplace, once, number, code):
    once(fill)
    with begun(workplace, "--listen", "127.0.0.1:0") as (process, address):
        end = time.monotonic() + 60
        while "<table" not in (page := httpx2.get(f"{address}members").text):
            assert time.monotonic() < end, page
        process.send_signal(number)
        out, err = process.communicate(timeout=30)

    assert "Who was not seen?" in page
    assert process.returncode == code
    assert err.strip() in {"", "interrupted"}
    assert "Traceback" not in out


@pytest.mark.slow
def test_the_demo_opens_its_pages_in_a_browser(workplace):
    environ = {**workplace.outside(), "BROWSER": "echo opened %s"}  # prints the address as well
    with subprocess.Popen(
        [*PROGRAM, "demo", "--ui", "--polls", "1"], cwd=workplace.folder, env=environ, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        lines = iter(process.stdout.readline, "")
        address = next(found[1] for line in lines if (found := re.match(r"opened (\S+)", line)))
        end = time.monotonic() + 60
        while "Who was not seen?" not in (page := httpx2.get(address).text):
            assert time.monotonic() < end
        process.terminate()
        process.communicate(timeout=30)

    assert "Crimes brought in" in page
    assert process.returncode == 143


def test_it_makes_neither_a_state_nor_a_warehouse(workplace):
    before = sorted(each.name for each in workplace.folder.iterdir())
    with begun(workplace, "--listen", "127.0.0.1:0") as (_, address):
        assert "Nothing is stored" in httpx2.get(f"{address}members").text
        assert httpx2.get(address).status_code == 200
        assert httpx2.get(f"{address}questions").status_code == 200

    assert sorted(each.name for each in workplace.folder.iterdir()) == before


def test_an_address_that_is_taken_is_named(workplace):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        place = f"127.0.0.1:{taken.getsockname()[1]}"
        done = workplace.run("ui", "--listen", place)

    assert done.code == 78
    assert f"cannot listen on {place}" in done.err
    assert "--listen 127.0.0.1:0" in done.err


@pytest.mark.parametrize("place", ["here", "127.0.0.1:", "127.0.0.1:http", ""])
def test_what_is_no_address_is_refused(workplace, place):
    done = workplace.run("ui", "--listen", place or ":")

    assert done.code == 2
    assert "is no address" in done.err


def test_it_does_not_begin_where_others_would_see_it_without_a_password(workplace):
    done = workplace.run("ui", "--listen", "0.0.0.0:0")
    proxied = workplace.run("ui", "--listen", "0.0.0.0:0", "--behind-proxy")

    assert (done.code, proxied.code) == (78, 78)
    assert "could be seen by everybody" in done.err
    assert "could be seen by everybody" in proxied.err


def test_a_certificate_that_is_none_is_named(workplace):
    (workplace.folder / "ui.pem").write_text("no certificate")
    told = '[ui]\ncertificate = "ui.pem"\n'
    workplace.file.write_text(told + workplace.file.read_text("utf-8"), "utf-8")

    done = workplace.run("ui", "--listen", "127.0.0.1:0")

    assert done.code == 78
    assert "ui.pem cannot be used" in done.err


def test_requests_that_are_half_sent_keep_nobody_out(workplace):
    with (
        begun(workplace, "--listen", "127.0.0.1:0") as (_, address),
        contextlib.ExitStack() as halves,
    ):
        place = ("127.0.0.1", int(address.rpartition(":")[2].strip("/")))
        for _ in range(300):
            half = halves.enter_context(socket.create_connection(place))
            half.sendall(b"GET / HTTP/1.1\r\nhost: localhost\r\n")

        assert httpx2.get(f"{address}questions").status_code == 200


def test_it_speaks_tls_with_its_own_certificate(workplace):
    file = Path(__file__).parents[1] / "services" / "stranger.pem"
    told = f'[ui]\ncertificate = "{file}"\n'
    workplace.file.write_text(told + workplace.file.read_text("utf-8"), "utf-8")
    trusting = ssl.create_default_context(cafile=file)

    with begun(workplace, "--listen", "127.0.0.1:0") as (_, address):
        assert address.startswith("https://")
        assert httpx2.get(f"{address}questions", verify=trusting).status_code == 200
