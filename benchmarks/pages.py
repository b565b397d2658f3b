"""What each page of `tcdatalogger ui` weighs, and when it is painted: in Chromium, on this machine.

Run it with:

    python benchmarks/pages.py [--hours N]

It logs a city of the sandbox for some hours, opens every page twice and prints a line for each:
bytes over the wire of a first visit (with font, style and script) and of a later one, milliseconds
until the answer began, and until the first thing was painted, both of the later visit.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [
    str(ROOT / name) for name in ("scripts", "tests", "tests/browser", "tests/questions")
]

import chromium  # noqa: E402
import sites  # noqa: E402
from looking import screen  # noqa: E402

MEASURE = """async () => {
  await new Promise((painted) => new PerformanceObserver((found) => {
    if (found.getEntriesByName("first-contentful-paint").length) painted();
  }).observe({ type: "paint", buffered: true }));
  const [page] = performance.getEntriesByType("navigation");
  const paint = performance.getEntriesByName("first-contentful-paint")[0];
  const sizes = performance.getEntries().map((each) => each.transferSize || 0);
  return {
    bytes: sizes.reduce((one, other) => one + other, 0),
    begun: page.responseStart,
    painted: paint ? paint.startTime : NaN,
  };
}"""


def visited(tab):
    """What a visit of the page that is open took."""
    return tab.page.evaluate(MEASURE)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hours", type=int, default=48)
    hours = parser.parse_args().hours
    with tempfile.TemporaryDirectory() as made:
        sites.make(Path(made), hours)
        with sites.shown(Path(made)) as url, chromium.started() as browser:
            print("first kB  later kB  begun ms  painted ms")
            for path in sites.read_all(url).to_look_at():
                with screen(browser, url) as tab:
                    tab.open(path)
                    first = visited(tab)
                    tab.open(path)
                    later = visited(tab)
                print(
                    f"{first['bytes'] / 1000:8.1f}  {later['bytes'] / 1000:8.1f}"
                    f"  {later['begun']:8.0f}  {later['painted']:10.0f}  {path}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
