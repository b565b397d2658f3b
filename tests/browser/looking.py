"""A page on a screen, and what is wrong with it there."""

from __future__ import annotations

import functools
import importlib.util
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, Request, Response

SCREENS = ((1440, "light"), (390, "dark"), (1440, "dark"), (390, "light"))
"""A phone and a desk, by day and by night: widths in pixels, and colour schemes.

The first two have both widths and both schemes.
"""
SMALLEST = 12
"""The smallest letters, in pixels."""
MOST_STOPS = 220
"""Stops of Tab at most: the links of a page (`render.LINKS`), and its fields and boxes."""
MANY_TABS = 40
"""How often Tab is pressed before somebody looks where it went."""

_LISTEN = """
window.refused = [];
addEventListener("securitypolicyviolation", (e) =>
  refused.push(`${e.violatedDirective} refuses ${e.blockedURI || "something"} ${e.sample}`));
"""

_WIDE = """() => {
  const held = (element) => {  // by one of its boxes, which scrolls or cuts what sticks out
    for (let box = element.parentElement; box && box !== document.body; box = box.parentElement) {
      if (getComputedStyle(box).overflowX !== "visible") return true;
    }
    return false;
  };
  const said = (element) => element.tagName.toLowerCase() + (element.id && "#" + element.id) +
    [...element.classList].map((name) => "." + name).join("");
  const screen = document.documentElement;
  const found = [];
  for (const element of document.body.querySelectorAll("*")) {
    const {left, right, width} = element.getBoundingClientRect();
    if (width && (right > innerWidth + 0.5 || left < -0.5) && !held(element) &&
        getComputedStyle(element).position !== "absolute") {
      found.push(`${said(element)} goes from ${Math.round(left)} to ${Math.round(right)}`);
    }
  }
  if (screen.scrollWidth > innerWidth) found.push(`the page is ${screen.scrollWidth} px wide`);
  return found.slice(-3);  // the innermost come last
}"""

_SMALL = """(smallest) => {
  const found = new Set();
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const text = walk.currentNode.data.trim(), box = walk.currentNode.parentElement;
    if (!text || !box.checkVisibility()) continue;
    const scale = box.getScreenCTM ? box.getScreenCTM().d : 1;  // of a drawing
    const size = parseFloat(getComputedStyle(box).fontSize) * scale;
    if (size < smallest - 0.05) found.add(`letters of ${size.toFixed(1)} px: ${text.slice(0, 40)}`);
  }
  return [...found].slice(0, 3);
}"""

_BROKEN = """() => {
  const found = new Set();
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const range = document.createRange();
  while (walk.nextNode()) {
    const node = walk.currentNode, box = node.parentElement;
    if (node.data.length > 400 || box.closest(".hide, code, pre")) continue;
    if (!box.checkVisibility()) continue;
    range.selectNodeContents(node);
    if (range.getBoundingClientRect().height < 1.5 * parseFloat(getComputedStyle(box).fontSize)) {
      continue;  // one line
    }
    for (const {0: word, index} of node.data.matchAll(/\\b[A-Za-z]{2,16}\\b/g)) {
      range.setStart(node, index);
      range.setEnd(node, index + word.length);
      const lines = new Set([...range.getClientRects()].map((each) => Math.round(each.top)));
      if (lines.size > 1) found.add(`the word ${word} is broken`);
    }
  }
  return [...found].slice(0, 3);
}"""

_STOPS = """() => {
  const all = "a[href], button, input, select, textarea, summary, [tabindex]";
  let count = 0;
  for (const element of document.querySelectorAll(all)) {
    const off = element.disabled || element.tabIndex < 0 || element.type === "hidden";
    if (off || !element.checkVisibility({visibilityProperty: true})) continue;
    if (element.type === "radio" && !element.checked) continue;  // arrows go to these
    element.dataset.stop = count++;
  }
  return count;
}"""

_WATCH = """() => {
  const here = () => {
    const element = document.activeElement;
    if (!element || element === document.body) return null;
    const style = getComputedStyle(element), box = element.getBoundingClientRect();
    const seen = box.right > 0 && box.bottom > 0 && box.left < innerWidth && box.top < innerHeight;
    return {
      stop: element.dataset.stop,
      text: (element.innerText || element.value || element.ariaLabel || element.tagName)
        .slice(0, 40),
      href: element.getAttribute("href") || "",
      seen: seen && ((style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0)
        || style.boxShadow !== "none"),
    };
  };
  window.left = [];
  addEventListener("keydown", (event) => { if (event.key === "Tab") left.push(here()); }, true);
}"""
"""Writes down what each Tab leaves: what it goes to is on the screen only after its event."""

_BEGIN = """() => {
  document.body.tabIndex = -1;
  document.body.focus();
  document.body.removeAttribute("tabindex");
}"""
"""The next Tab goes to the first stop, wherever the last one went to."""

_SHAPES = """() => {
  const told = new Map(), shapes = new Set(), names = new Set();
  const values = ["role", "type", "tabindex", "scope", "lang", "aria-hidden", "aria-current"];
  let heading = "";
  for (const element of document.querySelectorAll("*")) {
    const tag = element.tagName.toLowerCase(), box = element.getBoundingClientRect();
    let shape = [tag, ...element.classList].join(".");
    for (const {name, value} of element.attributes) {
      if (name !== "class") shape += ` ${name}${values.includes(name) ? "=" + value : ""}`;
    }
    if (!element.textContent.trim()) shape += " empty";
    if (!element.checkVisibility()) shape += " unseen";
    if (element.scrollWidth > element.clientWidth) shape += " scrolls";
    if (element.matches("a, button, input, select, summary")) {
      shape += box.width < 24 ? " narrow" : box.height < 24 ? " low" : "";
    }
    if (/^h\\d$/.test(tag)) {
      shape += ` after ${heading}`;
      heading = tag;
    }
    for (const name of ["id", "aria-label", "aria-labelledby"]) {  // is it the only one?
      const value = element.getAttribute(name), one = `${name === "id" || tag} ${value}`;
      if (value !== null && names.has(one)) shape += ` second ${name}`;
      names.add(one);
    }
    shape = `${told.get(element.parentElement) || ""} > ${shape}`;
    told.set(element, shape);
    shapes.add(shape);
  }
  return [...shapes];
}"""
"""How elements are made, each with all that it stands in: in the same ones axe finds the same."""


@functools.cache
def axe() -> str:
    """The script of axe-core, as a package of its own ships it under the MPL; only tests use it."""
    found = importlib.util.find_spec("axe_playwright_python")
    return Path(found.submodule_search_locations[0], "axe.min.js").read_text(encoding="utf-8")


class Screen:
    """A tab of the browser that writes down everything that is wrong.

    Args:
        page: the tab.
        url: of the pages; nothing else may be asked.
        shapes: of elements that axe has seen, each on its screen: another tab may go on with them.

    Attributes:
        faults: what was wrong, each with the page and the screen.
    """

    def __init__(self, page: Page, url: str, shapes: set[tuple[int, str, str]]) -> None:
        self.page = page
        self.url = url
        self._shapes = shapes
        self.faults: list[str] = []
        self._where = ""
        page.add_init_script(_LISTEN)
        page.on("console", lambda said: self._console(said.type, said.text))
        page.on("pageerror", lambda error: self.fault(f"a script failed: {error}"))
        page.on("request", self._asked)
        page.on("response", self._answered)
        page.on("requestfailed", self._failed)

    def fault(self, what: str) -> None:
        """Write down what is wrong."""
        self.faults.append(f"{self._where}: {what}")

    def _console(self, kind: str, text: str) -> None:
        if kind in {"error", "warning"}:
            self.fault(f"the console has: {text}")

    def _asked(self, request: Request) -> None:
        if not request.url.startswith((self.url, "data:")):
            self.fault(f"{request.url} is asked, which is not ours")

    def _failed(self, request: Request) -> None:
        if request.failure != "net::ERR_ABORTED":  # as what a page still asks when it is left
            self.fault(f"{request.url} failed: {request.failure}")

    def _answered(self, response: Response) -> None:
        if response.status >= 400:
            self.fault(f"{response.url} answers {response.status}")

    def open(self, path: str) -> None:
        """Open a page, and wait until it is there with all that belongs to it."""
        self._where = path
        self.page.goto(self.url + path, wait_until="load")

    def look(self, screens: Iterable[tuple[int, str]] = SCREENS) -> None:
        """Look at the page as it is on screens: pairs of a width and a colour scheme."""
        path = self._where
        for width, scheme in screens:
            self.page.set_viewport_size({"width": width, "height": 900})
            self.page.emulate_media(color_scheme=scheme)
            self._where = f"{path} ({width} px, {scheme})"
            self._look_once()
            shapes = {(width, scheme, shape) for shape in self.page.evaluate(_SHAPES)}
            if shapes - self._shapes:
                self._ask_axe()
            self._shapes |= shapes
        self._where = path
        for refused in self.page.evaluate("refused"):
            self.fault(refused)

    def _look_once(self) -> None:
        page = self.page
        for text in (
            *page.evaluate(_WIDE),
            *page.evaluate(_SMALL, SMALLEST),
            *page.evaluate(_BROKEN),
        ):
            self.fault(text)

    def _ask_axe(self) -> None:
        if not self.page.evaluate("'axe' in window"):
            self.page.evaluate(axe())
        options = {
            "resultTypes": ["violations"],
            "rules": {"target-size": {"enabled": True}},
            "preload": False,  # styles and films: no rule of these wants them
        }
        found = self.page.evaluate("(options) => axe.run(options)", options)
        for rule in found["violations"]:
            nodes = [node["html"][:120] for node in rule["nodes"]]
            self.fault(f"axe: {rule['id']}: {rule['help']}: {len(nodes)} as {nodes[0]}")

    def tab_through(self) -> None:
        """Press Tab through the page: every link and field is reached, and is seen then."""
        stops = self.page.evaluate(_STOPS)
        if stops > MOST_STOPS:
            self.fault(f"Tab has {stops} stops")
        self.page.evaluate(_BEGIN)
        self.page.evaluate(_WATCH)
        reached: set[str] = set()
        for number, here in enumerate(self._left_by_tab(2 * stops + 10)):
            if number == 0 and not here["href"].startswith("#"):
                self.fault(
                    f"the first Tab goes to {here['text']!r} and not to the link to the text"
                )
            if here["stop"] not in reached and not here["seen"]:
                self.fault(f"nobody sees that Tab went to {here['text']!r}")
            if here["stop"]:
                reached.add(here["stop"])
        missed = set(map(str, range(stops))) - reached
        for stop in sorted(missed, key=int)[:3]:
            html = self.page.locator(f"[data-stop='{stop}']").evaluate("(e) => e.outerHTML")
            self.fault(f"Tab never goes to {html[:120]}")

    def _left_by_tab(self, most: int) -> Iterator[dict[str, Any]]:
        """What Tab goes through, to the end of the page; a box that scrolls is a stop, too."""
        count = 0
        while count < most:
            for _ in range(MANY_TABS):
                self.page.keyboard.down("Tab")
            for here in self.page.evaluate("left.splice(0)"):
                if count and (here is None or (count > 1 and here["stop"] == "0")):
                    return
                if count:
                    yield here
                count += 1

    def skip(self) -> None:
        """The first link leads to the text: the next Tab goes on from there."""
        self.page.evaluate(_BEGIN)
        self.page.keyboard.press("Tab")
        self.page.keyboard.press("Enter")
        if not self.page.evaluate("document.activeElement.closest('main') !== null"):
            self.fault("the link to the text does not lead into it")


@contextmanager
def screen(
    browser: Browser, url: str, shapes: set[tuple[int, str, str]] | None = None, **options: Any
) -> Iterator[Screen]:
    """A tab of its own, with no cookie and an empty cache, until the end of the block."""
    context = browser.new_context(reduced_motion="reduce", **options)
    try:
        yield Screen(context.new_page(), url, set() if shapes is None else shapes)
    finally:
        context.close()
