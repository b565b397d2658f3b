"""Make the pictures of docs/pictures/ anew: pages of `tcdatalogger ui` over a city of the sandbox.

python scripts/pictures.py                # all; `make browser` fetches the browser
python scripts/pictures.py today phone    # some
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import chromium
from playwright.sync_api import Browser

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "tests" / name) for name in ("", "browser", "questions")]

import logged_city  # noqa: E402 - it is of the tests
import sites  # noqa: E402 - as logged_city

HOURS = 168
LARGEST = 150_000
"""Bytes of a picture, at most."""


@dataclass(frozen=True)
class Picture:
    """A page on a screen.

    Attributes:
        path: of the page.
        width: of the screen, in pixels.
        height: of the screen; what is below is not shown.
        scheme: `light` or `dark`.
    """

    path: str
    width: int = 1200
    height: int = 900
    scheme: str = "light"


PICTURES = {
    "today": Picture("/"),
    "today-phone": Picture("/", 390, 844, "dark"),
    "members": Picture("/members", scheme="dark"),
    "money": Picture("/money"),
    "question": Picture("/questions/oc-profit"),
    "operations": Picture("/ops", scheme="dark"),
}


@contextmanager
def scheduling(folder: Path, key: str) -> Iterator[None]:
    """A scheduler that is alive: the pages say where there is none."""
    with subprocess.Popen(["tcdatalogger", "schedule"], cwd=folder,
                          env={**os.environ, sites.KEY: key},
                          stderr=subprocess.DEVNULL) as scheduler:  # fmt: skip
        try:
            yield
        finally:
            scheduler.terminate()


def take(browser: Browser, url: str, picture: Picture, file: Path) -> int:
    """Take a picture, and give its bytes."""
    page = browser.new_page(
        viewport={"width": picture.width, "height": picture.height},
        color_scheme=picture.scheme,
        reduced_motion="reduce",
    )
    page.goto(url + picture.path)
    # The page looks by itself for the answers that it waits for.
    page.wait_for_selector("[data-again]", state="detached", timeout=120_000)
    page.evaluate("document.fonts.ready")
    page.screenshot(path=file)
    page.close()
    return file.stat().st_size


def make(names: list[str], into: Path) -> None:
    # The pages show commands: by the name of the program, not by its place on this machine.
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    began = time.time() - HOURS * 3_600
    with tempfile.TemporaryDirectory() as made, ExitStack() as until_the_end:
        folder = Path(made)
        logged = until_the_end.enter_context(
            logged_city.logged_city(folder, hours=HOURS, start=began)
        )
        until_the_end.enter_context(scheduling(folder, logged.city.keys["full"]))
        url = until_the_end.enter_context(sites.shown(folder, ["tcdatalogger"]))
        browser = until_the_end.enter_context(chromium.started())
        for name in names:
            size = take(browser, url, PICTURES[name], into / f"{name}.png")
            print(f"{name:12} {size / 1000:6.0f} kB")
            if size > LARGEST:
                sys.exit(f"{name}.png is larger than {LARGEST / 1000:.0f} kB: show less of it.")


if __name__ == "__main__":
    wanted = sys.argv[1:] or list(PICTURES)
    if unknown := set(wanted) - set(PICTURES):
        sys.exit(f"There is no picture {', '.join(unknown)}. There are: {', '.join(PICTURES)}")
    if chromium.program() is None:
        sys.exit("There is no Chromium here: `make browser` fetches that of Debian.")
    place = ROOT / "docs" / "pictures"
    place.mkdir(exist_ok=True)
    make(wanted, place)
