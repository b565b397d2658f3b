"""The blocks of the pages: what a reader would paste, and what stands in a comment before each.

- `<!-- begin with: SCENE -->`, at the top: what is there before the first block of the page.
- `<!-- not run: REASON -->`: the next block cannot run here. A first line in the block itself,
  `# not run by a test: REASON`, says so to readers too.
- `<!-- runs on until: TEXT -->`: a program that goes on; the next block comes when it says TEXT.
- `<!-- appended to: FILE -->`: it belongs at the end of a file.
- `<!-- written to: FILE -->`: it is a file.
- `<!-- exit code: N -->`: it ends so.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]
TESTED_ELSEWHERE: Final = {"docs/python.md": "tests/test_python_page.py"}
"""Pages whose blocks another test runs."""
NO_PAGE: Final = ("CHANGELOG.md", "CODE_OF_CONDUCT.md", "LICENSE.md")
FILES: Final = sorted(
    [
        *(file for file in ROOT.glob("*.md") if file.name not in NO_PAGE),
        *(ROOT / "docs").rglob("*.md"),
        ROOT / "examples/README.md",
    ]
)

LANGUAGES: Final = ("sh", "sql", "python", "toml", "json", "yaml", "ini", "text")
SHOWN: Final = ("text", "json", "yaml", "ini")
"""Languages of blocks that show something and do nothing."""

_BLOCK = re.compile(r"(?ms)((?:^<!-- [^\n]*? -->\n)*)^```([^\n]*)\n(.*?)^```$")
_ALOUD = re.compile(r"# not run by a test: (.*)\n")
_COMMENT = re.compile(r"(?m)^<!-- ([a-z ]+): (.*?) -->$")


@dataclass(frozen=True, slots=True)
class Block:
    """One block of a page.

    Attributes:
        page: the path of the page from the root of the repository.
        line: where it begins.
        language: what stands behind the fence.
        text: what a reader pastes.
        says: what the comments before it say, by their first words.
    """

    page: str
    line: int
    language: str
    text: str
    says: dict[str, str]

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def blocks(file: Path) -> list[Block]:
    """All blocks of a page in order."""
    text = file.read_text(encoding="utf-8")
    page = file.relative_to(ROOT).as_posix()
    made = []
    for found in _BLOCK.finditer(text):
        says = dict(_COMMENT.findall(found[1]))
        if aloud := _ALOUD.match(found[3]):
            says["not run"] = aloud[1]
        line = text.count("\n", 0, found.start(2)) + 1
        made.append(Block(page, line, found[2], found[3], says))
    return made


def run_here() -> list[Block]:
    """The blocks that tests/test_pages.py runs."""
    return [
        block
        for file in FILES
        for block in blocks(file)
        if block.page not in TESTED_ELSEWHERE
        and block.language not in SHOWN
        and "not run" not in block.says
    ]


def scene(file: Path) -> str:
    """What is there before the first block of a page."""
    found = re.match(r"<!-- begin with: (.*?) -->\n", file.read_text(encoding="utf-8"))
    return found[1] if found else "an empty folder"


def commands(text: str) -> Iterator[list[str]]:
    """The words of each call of the program in lines of shell, without the program's name."""
    for line in text.replace("\\\n", " ").splitlines():
        for inner in re.findall(r"\$\((tcdatalogger [^()]*)\)", line):
            yield from commands(inner)
        flat = re.sub(r"\$\([^()]*\)", "RUN", line)
        lexer = shlex.shlex(flat, posix=True, punctuation_chars=True)
        lexer.whitespace_split = True
        try:
            words = list(lexer)
        except ValueError:  # a part of a text over several lines
            continue
        call: list[str] = []
        for word in [*words, ";"]:
            if re.fullmatch(r"[;&|<>()]+", word):
                if call and call[0].rpartition("/")[2] == "tcdatalogger":
                    yield call[1:]
                call = []
            elif call or not (re.match(r"\w+=", word) or word in ("sudo", "nice")):
                call.append(word)
