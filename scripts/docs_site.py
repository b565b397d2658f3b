"""Build the site of the documentation into .tools/site/html, and check it.

python scripts/docs_site.py            # `make docs` does it, and sets up zensical before
python scripts/docs_site.py --pages    # only the pages of which the site is made

The pages are those of docs/ and the reference, which is made of the code. Every link has to lead
somewhere, also to a heading, and no page may ask another server for anything.
"""

from __future__ import annotations

import html
import re
import shutil
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit

import reference

ROOT: Final = Path(__file__).parents[1]
DOCS: Final = ROOT / "docs"
BUILD: Final = ROOT / ".tools/site"
ZENSICAL: Final = ROOT / ".tools/docs/bin/python"

OUTSIDE: Final = {
    "config/tcdatalogger.toml": "reference/settings.md",
    "examples/README.md": "operate/schedulers.md",
}
"""Files outside of docs/ that pages link to, and the pages that show them on the site."""

_FENCE = re.compile(r"(?ms)^```.*?^```$")
_LINK = re.compile(r"(\[(?:[^\]\[]|\[[^\]]*\])*\])\(([^()\s]+)\)")
_COMMENT = re.compile(r"(?m)^<!--.*?-->\n?")


def written() -> dict[str, str]:
    """The pages of docs/, by their paths in it."""
    files = sorted(DOCS.rglob("*.md"))
    return {file.relative_to(DOCS).as_posix(): file.read_text("utf-8") for file in files}


def pages() -> dict[str, str]:
    """Every page of the site as Markdown, by its path."""
    made = {name: _for_site(name, text) for name, text in written().items()}
    examples = (ROOT / "examples/README.md").read_text("utf-8")
    made["operate/schedulers.md"] = _for_site("operate/schedulers.md", examples, ROOT / "examples")
    return {name: _bars(text) for name, text in {**made, **reference.pages()}.items()}


def _bars(text: str) -> str:
    """A page whose tables have bars in code: the site's Markdown shows their backslash."""

    def code(found: re.Match[str]) -> str:
        said = found[1].replace("\\|", "|")
        return f"<code>{html.escape(said).replace('|', '&#124;')}</code>"

    lines = text.split("\n")
    for number, line in enumerate(lines):
        if line.startswith("|") and "\\|" in line:
            lines[number] = re.sub(r"`([^`]*\\\|[^`]*)`", code, line)
    return "\n".join(lines)


def navigation() -> list[str]:
    """The pages that the configuration names, in order."""
    config = tomllib.loads((ROOT / "zensical.toml").read_text("utf-8"))
    return list(_named(config["project"]["nav"]))


def _named(part: Any) -> Iterator[str]:
    match part:
        case str():
            yield part
        case list():
            for each in part:
                yield from _named(each)
        case dict():
            for each in part.values():
                yield from _named(each)


def hidden(name: str) -> bool:
    """Whether a page is reached by links alone: a decision is, from the list of decisions."""
    return bool(re.match(r"decisions/\d", name))


def _for_site(name: str, text: str, folder: Path | None = None) -> str:
    """A page without what is for the tests, and with links that lead somewhere on the site."""
    folder = folder or (DOCS / name).parent

    def link(found: re.Match[str]) -> str:
        words, target = found[1], found[2]
        split = urlsplit(target)
        if split.scheme or not split.path:
            return found[0]
        file = (folder / unquote(split.path)).resolve()
        if file.is_relative_to(DOCS) and folder.is_relative_to(DOCS):
            return found[0]
        if file.is_relative_to(DOCS):
            page = file.relative_to(DOCS).as_posix()
        else:
            page = OUTSIDE.get(file.relative_to(ROOT).as_posix(), "")
        if not page:  # a file of the source: it is named, and in the clone it is found
            return words[1:-1]
        up = "../" * name.count("/")
        return f"{words}({up}{page}{'#' + split.fragment if split.fragment else ''})"

    parts, at = [], 0
    for fence in _FENCE.finditer(text):
        parts += [_LINK.sub(link, _COMMENT.sub("", text[at : fence.start()])), fence[0]]
        at = fence.end()
    parts.append(_LINK.sub(link, _COMMENT.sub("", text[at:])))
    return "".join(parts)


def write() -> int:
    """Write all pages and the configuration into the folder of the build, and count them."""
    shutil.rmtree(BUILD, ignore_errors=True)
    all_pages = pages()
    for name, text in all_pages.items():
        file = BUILD / "pages" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    shutil.copytree(DOCS / "pictures", BUILD / "pages/pictures")
    shutil.copy(ROOT / "zensical.toml", BUILD / "zensical.toml")
    return len(all_pages)


class Page(HTMLParser):
    """What a page links to, what it loads, and the places in it.

    Attributes:
        links: addresses that a reader can go to.
        loads: addresses that the browser asks by itself.
        places: ids and names, to which `#` leads.
    """

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.places: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note the addresses of an element."""
        found = {name: value or "" for name, value in attrs}
        self.places.update(found[name] for name in ("id", "name") if name in found)
        if tag == "a" and "href" in found:
            self.links.append(found["href"])
        elif tag == "link" and found.get("rel") not in ("canonical", "next", "prev"):
            self.loads.append(found.get("href", ""))
        elif "src" in found:
            self.loads.append(found["src"])


def faults(folder: Path) -> Iterator[str]:
    """What is wrong with a built site."""
    files = sorted(file.resolve() for file in folder.rglob("*.html"))
    known = {file: Page(file.read_text("utf-8")) for file in files}
    for file, page in known.items():
        here = file.relative_to(folder.resolve()).as_posix()
        for address in page.loads:
            if urlsplit(address).netloc:
                yield f"{here} loads {address}"
        if file.name != "404.html":
            yield from (f"{here} {said}" for said in _lost(file, page, known))
    for style in sorted(folder.rglob("*.css")):
        if re.search(r"(?:url\(|@import)\s*[\"']?(?:https?:)?//", style.read_text("utf-8")):
            yield f"{style.name} loads something of another server"


def _lost(file: Path, page: Page, known: dict[Path, Page]) -> Iterator[str]:
    """The links of a page that lead nowhere."""
    for address in page.links:
        split = urlsplit(address)
        if split.scheme or split.netloc:
            continue
        target = (file.parent / unquote(split.path)).resolve() if split.path else file
        target = target / "index.html" if target.is_dir() else target
        wanted = unquote(split.fragment)
        if not target.is_file():
            yield f"links to {address}, which is not there"
        elif wanted and target in known and wanted not in known[target].places:
            yield f"links to {address}, and there is no such heading"


def main() -> int:
    """Build and check; the exit code."""
    begun = time.monotonic()
    count = write()
    if "--pages" in sys.argv:
        return 0
    built = subprocess.run(
        [ZENSICAL, "-m", "zensical", "build", "--strict", "--clean", "-f", "zensical.toml"],
        cwd=BUILD, stdin=subprocess.DEVNULL, check=False,
    )  # fmt: skip
    if built.returncode:
        return built.returncode
    made = BUILD / "html"
    if wrong := list(faults(made)):
        print("\n".join(wrong), file=sys.stderr)
        return 1
    size = sum(file.stat().st_size for file in made.rglob("*") if file.is_file())
    print(
        f"{made.relative_to(ROOT)}/index.html: {count} pages, {size / 1e6:.1f} MB, "
        f"{time.monotonic() - begun:.0f} s"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
