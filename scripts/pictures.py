"""Make the pictures of docs/pictures/ anew: pages of `tcdatalogger ui` over a city of the sandbox.

python scripts/pictures.py                # all; `make browser` fetches the browser
python scripts/pictures.py today phone    # some
"""

from __future__ import annotations

import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import chromium

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


def make(names: list[str], into: Path) -> None:
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        with logged_city.logged_city(folder, hours=HOURS, start=time.time() - HOURS * 3_600):
            pass
        with sites.shown(folder) as url, chromium.started() as browser:
            sites.read_all(url)
            for name in names:
                picture = PICTURES[name]
                page = browser.new_page(
                    viewport={"width": picture.width, "height": picture.height},
                    color_scheme=picture.scheme,
                    reduced_motion="reduce",
                )
                page.goto(url + picture.path)
                page.wait_for_function("document.fonts.status === 'loaded'")
                page.screenshot(path=into / f"{name}.png")
                page.close()
                size = (into / f"{name}.png").stat().st_size
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
