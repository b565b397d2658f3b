"""Every page of `tcdatalogger ui` in a real browser: on a phone and a desk, by day and by night,
and in every state that a warehouse can be in.
"""

from __future__ import annotations

import csv
import io
import re
import shutil
from contextlib import ExitStack

import httpx2
import pytest
import sites
from crawling import kind
from looking import SCREENS, screen

from shared import held

FIRST_PAGE, LATER_PAGE = 65_000, 20_000
"""Bytes over the wire: of the first page of all, with font and style, and of the content of one."""

FOREIGN = "document.querySelectorAll('[data-foreign]').length + (window.ran ? 1 : 0)"


@pytest.fixture(scope="module")
def city(tmp_path_factory):
    """A folder in which a city was logged; three members have names that no page may obey."""
    folder = tmp_path_factory.mktemp("city")
    sites.make(folder)
    return folder


@pytest.fixture(scope="module")
def pages(city):
    """The address of its pages, and what can be reached from the first of them."""
    with sites.shown(city) as url:
        yield url, sites.read_all(url)


@pytest.fixture(scope="module")
def shapes():
    """Shapes of elements that axe has seen: the same ones are on pages of another state."""
    return set()


def looked_at(browser, url, found, shapes, first=0):
    """What is wrong with the pages: the first ones on all screens, the others on two."""
    with screen(browser, url, shapes) as tab:
        for number, path in enumerate(found.to_look_at()):
            tab.open(path)
            tab.look(SCREENS if number < first else SCREENS[:2])
            if count := tab.page.evaluate(FOREIGN):
                tab.fault(f"what others wrote became {count} elements")
    return "\n".join([*found.broken, *tab.faults])


def test_every_page_is_right_on_every_screen(browser, pages, shapes):
    url, found = pages
    assert {kind(path) for path in found.pages} >= {"/", "/crimes", "/members", "/questions"}
    assert looked_at(browser, url, found, shapes, first=12) == ""


@pytest.mark.parametrize("state", ["empty", "held", "broken"])
def test_every_page_is_right_when_the_warehouse_is_not(browser, city, shapes, tmp_path, state):
    folder = tmp_path / "place"
    shutil.copytree(city, folder)
    file = folder / "torn.duckdb"
    if state == "empty":
        file.unlink()
        (folder / "torn.state.sqlite").unlink()
    if state == "broken":
        file.write_bytes(b"This is no database." * 1000)
    with held(file) if state == "held" else ExitStack(), sites.shown(folder) as url:
        found = sites.read_all(url)
        assert looked_at(browser, url, found, shapes) == ""


def test_every_link_and_field_is_reached_by_keys(browser, pages):
    url, found = pages
    with screen(browser, url) as tab:
        tab.page.route("**/state.json", lambda route: route.fulfill(status=304))  # nothing is new
        for path in found.to_look_at():
            tab.open(path)
            tab.tab_through()
            tab.skip()
        assert "\n".join(tab.faults) == ""


def test_what_is_new_waits_until_no_key_and_no_field_is_in_use(browser, pages):
    url, _ = pages
    with screen(browser, url) as tab:
        tab.page.route("**/state.json", lambda route: route.fulfill(headers={"etag": "new"}))
        tab.open("/questions/oc-participation")
        there = "document.querySelector('h1').dataset.old === '1'"
        tab.page.evaluate("document.querySelector('h1').dataset.old = '1'")

        for used in ("main a", "main input"):
            tab.page.focus(used)
            tab.page.keyboard.press("Shift+Tab")
            tab.page.keyboard.press("Tab")
            tab.page.evaluate("look()")
            assert tab.page.evaluate(there)
        tab.page.evaluate("document.activeElement.blur()")
        tab.page.evaluate("look()")
        assert not tab.page.evaluate(there)
        assert tab.faults == []


def test_keys_lead_to_pages_and_to_the_list_of_keys(browser, pages):
    url, _ = pages
    with screen(browser, url) as tab:
        tab.open("/")
        tab.page.keyboard.press("?")
        assert tab.page.locator("dialog[open]").is_visible()
        tab.look(SCREENS)
        tab.page.keyboard.press("Escape")
        assert tab.page.locator("dialog[open]").count() == 0
        tab.page.keyboard.press("g")
        tab.page.keyboard.press("c")
        tab.page.wait_for_url("**/crimes")
        tab.page.keyboard.press("/")
        tab.page.keyboard.type("profit")
        tab.page.keyboard.press("Enter")
        tab.page.wait_for_url("**/search?q=profit")
        assert tab.faults == []


def test_foreign_names_are_text_on_pages_and_in_spreadsheets(browser, pages):
    url, found = pages
    with screen(browser, url) as tab:
        tab.open("/questions/oc-participation")
        for name in sites.FOREIGN.values():
            assert tab.page.get_by_text(name, exact=True).count() > 0
        assert tab.page.evaluate(FOREIGN) == 0
    cells = set()
    for path, kind_of_it in found.others.items():
        if kind_of_it == "text/csv":
            text = httpx2.get(url + path, timeout=60).text
            cells |= {cell for row in csv.reader(io.StringIO(text)) for cell in row}
    assert "'=cmd|' /C calc'!A0" in cells
    assert [cell for cell in cells if re.match(r"[=+@]|-(?![\d.])", cell)] == []


@pytest.mark.slow
def test_exported_pages_are_right_from_the_disk(browser, city, tmp_path):
    sites.exported(city, tmp_path / "site")
    with screen(browser, f"file://{tmp_path}/site") as tab:
        for path in ("/index.html", "/members.html", "/questions.html", "/questions/chains.html",
                     "/questions/oc-participation.7-days.html"):  # fmt: skip
            tab.open(path)
            tab.look(SCREENS)
            tab.tab_through()
            assert tab.page.evaluate("[...document.fonts].map((each) => each.status)") == ["loaded"]
        for name in sites.FOREIGN.values():
            assert tab.page.get_by_text(name, exact=True).count() > 0
        assert tab.page.evaluate(FOREIGN) == 0
        tab.page.get_by_role("link", name="Members", exact=True).click()
        tab.page.get_by_role("link", name="7 days", exact=True).click()
        assert tab.page.url.endswith("/site/members.7-days.html")
        assert "\n".join(tab.faults) == ""


def test_pages_are_small(browser, pages):
    url, found = pages
    big = {}
    with screen(browser, url) as tab:
        tab.open("/")
        first = tab.page.evaluate(
            "performance.getEntries().reduce((sum, each) => sum + (each.transferSize || 0), 0)"
        )
    for path in found.pages:
        with httpx2.stream("GET", url + path, headers={"accept-encoding": "gzip"}) as answer:
            size = sum(map(len, answer.iter_raw()))
        if size > LATER_PAGE:
            big[path] = size
    assert (first <= FIRST_PAGE, big) == (True, {}), first
